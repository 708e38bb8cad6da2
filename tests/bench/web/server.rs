//! A web server of the files in a folder, with ranges, as fast as the system copies.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

/// Serves until this process ends. Returns the port.
pub(crate) fn start(folder: impl AsRef<Path>) -> io::Result<u16> {
    let folder = folder.as_ref().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let folder = folder.clone();
            thread::spawn(move || connection(&stream, &folder));
        }
    });
    Ok(port)
}

/// Answers requests until the client goes; what it does wrong ends its connection.
fn connection(stream: &TcpStream, folder: &Path) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (path, range) = request(&mut reader, folder)?;
        let mut file = File::open(path).ok()?;
        let size = file.metadata().ok()?.len();
        let (start, end) = range.map_or((0, size), |(first, last)| (first, size.min(last + 1)));
        let status = match range {
            Some(_) => format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{size}", end - 1),
            None => "200 OK".to_owned(),
        };
        file.seek(SeekFrom::Start(start)).ok()?;
        (&mut &*stream)
            .write_all(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", end - start).as_bytes())
            .ok()?;
        // This is sendfile(2).
        io::copy(&mut file.take(end - start), &mut &*stream).ok()?;
    }
}

/// The file, and the first and the last byte that are wanted of it.
fn request(reader: &mut BufReader<&TcpStream>, folder: &Path) -> Option<(PathBuf, Option<(u64, u64)>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = folder.join(line.split(' ').nth(1)?.trim_start_matches('/'));
    let mut range = None;
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? <= 2 {
            return Some((path, range));
        }
        let lower = line.to_ascii_lowercase();
        if let Some((first, last)) = lower.strip_prefix("range: bytes=").and_then(|range| range.trim().split_once('-'))
        {
            range = Some((first.parse().ok()?, last.parse().ok()?));
        }
    }
}
