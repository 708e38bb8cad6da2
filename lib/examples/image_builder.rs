//! A tiny builder of verity images, to start from: the data image is a file system that exists already.
//!
//!     cargo run --example image_builder -- DATA FOLDER
//!
//! The folder gets `root.verity`, which is the content of the hash partition (superblock, hash tree, and behind it the
//! parity), and `root-hash`. What is printed: the partition UUIDs by which systemd and the Discoverable Partitions
//! Specification find the two partitions of a root hash, and a device-mapper table for them, in which the devices are
//! named as the kernel knows them while it boots.

use std::error::Error;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use dmverity::table::{TableFec, TableOptions, VerityTable};
use dmverity::{Devices, Fec, Formatted, Layout, Params, ParamsBuilder, Progress, Salt, Work, device_size};
use uuid::Uuid;

/// Parity bytes in each codeword of 255: so many blocks of those that belong together can be recovered.
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

    let [data_uuid, hash_uuid] = partition_uuids(&formatted)?;
    println!("root hash:           {root_hash}");
    println!("data partition UUID: {data_uuid}");
    println!("hash partition UUID: {hash_uuid}");
    println!("table:               {}", table(&formatted, &data_uuid, &hash_uuid)?);
    if formatted.uncovered_bytes > 0 {
        eprintln!("warning: nothing protects the last {} bytes of {}", formatted.uncovered_bytes, data.display());
    }
    Ok(())
}

fn format(data: &Path, hash: PathBuf) -> Result<Formatted, Box<dyn Error>> {
    // A builder whose images have to be the same every time takes salt and UUID from its input instead.
    let builder: ParamsBuilder = Params::builder().salt(Salt::random()?).uuid(Uuid::new_v4());
    // Where the tree ends, and the parity can start, is known once the parameters are.
    let tree = Layout::new(&builder.clone().build(data, device_size(data)?)?)?;
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

/// The first and the last 128 bits of the root hash.
fn partition_uuids(formatted: &Formatted) -> Result<[String; 2], Box<dyn Error>> {
    let bytes = formatted.root_hash.as_bytes();
    let (first, last) = (bytes.first_chunk().ok_or("short digest")?, bytes.last_chunk().ok_or("short digest")?);
    Ok([first, last].map(|bits| Uuid::from_bytes(*bits).to_string()))
}

/// Start and length in sectors, target, and what the target is told.
fn table(formatted: &Formatted, data_uuid: &str, hash_uuid: &str) -> Result<String, Box<dyn Error>> {
    let [data, hash] = [data_uuid, hash_uuid].map(|uuid| format!("PARTUUID={uuid}"));
    let area = formatted.fec_area.as_ref().ok_or("no parity")?;
    let start = area.start.ok_or("the parity does not start with a block")?;
    let fec = TableFec { device: hash.clone(), blocks: area.blocks, start, roots: u32::try_from(FEC_ROOTS)? };
    let options = TableOptions { fec: Some(fec), ..TableOptions::default() };
    let table = VerityTable::new(&formatted.layout, formatted.root_hash.clone(), data, hash, options);
    Ok(format!("0 {} verity {table}", table.sectors().ok_or("too large")?))
}
