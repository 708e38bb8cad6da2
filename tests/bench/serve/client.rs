//! A client that reads from an NBD server: no more of the protocol than that takes.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

/// How much one request of a sequential reader asks for.
const SEQUENTIAL: u32 = 1 << 20;

/// A connection that has chosen the only export.
pub(crate) struct Connection(UnixStream);

impl Connection {
    pub(crate) fn open(socket: &Path) -> Result<Self> {
        let mut stream =
            UnixStream::connect(socket).with_context(|| format!("cannot connect to {}", socket.display()))?;
        let mut greeting = [0; 18];
        stream.read_exact(&mut greeting)?;
        ensure!(greeting.starts_with(b"NBDMAGICIHAVEOPT"), "no NBD server");
        // Fixed newstyle, no zeroes; then EXPORT_NAME with an empty name.
        let mut options = Vec::from(3_u32.to_be_bytes());
        options.extend(b"IHAVEOPT");
        options.extend([0, 0, 0, 1, 0, 0, 0, 0]);
        stream.write_all(&options)?;
        let mut export = [0; 10];
        stream.read_exact(&mut export)?;
        Ok(Self(stream))
    }

    pub(crate) fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut request = [0; 28];
        request[..4].copy_from_slice(&0x2560_9513_u32.to_be_bytes());
        request[16..24].copy_from_slice(&offset.to_be_bytes());
        request[24..].copy_from_slice(&u32::try_from(buffer.len())?.to_be_bytes());
        self.0.write_all(&request)?;
        let mut reply = [0; 16];
        self.0.read_exact(&mut reply)?;
        ensure!(reply[..8] == [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0], "the server replied {reply:x?}");
        Ok(self.0.read_exact(buffer)?)
    }
}

/// Reads all of the image by one connection; returns the seconds that it took.
pub(crate) fn whole(socket: &Path, bytes: u64) -> Result<f64> {
    let mut connection = Connection::open(socket)?;
    let mut buffer = vec![0; SEQUENTIAL as usize];
    let start = Instant::now();
    for offset in (0..bytes).step_by(SEQUENTIAL as usize) {
        connection.read(offset, &mut buffer)?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// The same by nbdcopy with its own choices, and its start.
pub(crate) fn nbdcopy(socket: &Path, _: u64) -> Result<f64> {
    let mut uri = std::ffi::OsString::from("nbd+unix:///?socket=");
    uri.push(socket);
    let start = Instant::now();
    let status = Command::new("nbdcopy").arg(uri).arg("null:").status()?;
    ensure!(status.success(), "nbdcopy: {status}");
    Ok(start.elapsed().as_secs_f64())
}
