//! A tiny builder of verity images, to start from: the data image is a file system that exists already.
//!
//!     cargo run --example image_builder -- DATA FOLDER
//!
//! The folder gets `root.verity`, which is the content of the hash partition (superblock, hash tree, and after it the
//! parity), and `root-hash`. What is printed: the partition UUIDs by which systemd and the Discoverable Partitions
//! Specification find the two partitions of a root hash, and a device-mapper table for them, in which the devices are
//! named as the kernel knows them while it boots.

use std::error::Error;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use dmverity::boot::BootImage;
use dmverity::{Devices, Fec, Formatted, Layout, Params, ParamsBuilder, Progress, Salt, Work, device_size};
use uuid::Uuid;

/// Parity bytes in each codeword of 255: this many of the blocks that share codewords can be recovered.
const FEC_ROOTS: u64 = 2;

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("image_builder: {error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let [data, folder] = &arguments[..] else { return Err("usage: image_builder DATA FOLDER".into()) };
    let (data, folder) = (Path::new(data), Path::new(folder));
    fs::create_dir_all(folder)?;
    let formatted = format(data, folder.join("root.verity"))?;
    let root_hash = formatted.root_hash.to_string();
    fs::write(folder.join("root-hash"), format!("{root_hash}\n"))?;

    let uuids = formatted.root_hash.partition_uuids().ok_or("the root hash is too short")?;
    // Devices that are not named are the partitions with these UUIDs; the parity is in that of the hash tree.
    let area = formatted.fec_area.clone().ok_or("there is no parity")?;
    let image = BootImage::new(&formatted.layout, &formatted.root_hash).fec(area, format!("PARTUUID={}", uuids.hash));
    println!("root hash:           {root_hash}");
    println!("data partition UUID: {}", uuids.data);
    println!("hash partition UUID: {}", uuids.hash);
    println!("table:               {}", image.table_line()?);
    if formatted.uncovered_bytes > 0 {
        eprintln!("warning: nothing protects the last {} bytes of {}", formatted.uncovered_bytes, data.display());
    }
    Ok(())
}

fn format(data: &Path, hash: PathBuf) -> Result<Formatted, Box<dyn Error>> {
    // A builder whose images have to be the same every time takes salt and UUID from its input instead.
    let builder: ParamsBuilder = Params::builder().salt(Salt::random()?).uuid(Uuid::new_v4());
    // Where the tree ends, and the parity can start, is known once the parameters are.
    let tree = Layout::new(&builder.clone().build(device_size(data)?)?)?;
    let builder = builder.fec(Fec::new(FEC_ROOTS, tree.hash_end())?);
    // What an older, longer file has at its end would stay there.
    match fs::remove_file(&hash) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => (),
    }
    let devices = Devices { data: data.to_owned(), fec: Some(hash.clone()), hash };
    let progress = |Progress { done, total }| eprint!("\r{:3} %", done * 100 / total);
    let formatted = dmverity::format(&devices, builder, &Work::default().progress(&progress));
    eprintln!();
    Ok(formatted?)
}
