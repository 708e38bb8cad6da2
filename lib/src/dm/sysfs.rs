//! What the kernel says about block devices in sysfs. Everything here is for people to read: where sysfs is missing or
//! has nothing to say, there is no answer and no error.

use std::ffi::OsString;
use std::fs;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::value::SECTOR_SIZE;

const BLOCK_DEVICES: &str = "/sys/dev/block";

/// What keeps a block device from being used by others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holder {
    /// A device-mapper mapping of this name.
    Mapping(String),
    /// Another block device made of it, such as a RAID array.
    Device(PathBuf),
    /// A file system, mounted here.
    Mount(PathBuf),
    /// It is in use as swap space.
    Swap,
}

/// What holds the block device `major:minor` or one of its partitions, as far as is known.
pub(crate) fn holders(numbers: &str) -> Vec<Holder> {
    let directory = Path::new(BLOCK_DEVICES).join(numbers);
    let mut found = holders_of_one(&directory, numbers);
    for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
        let partition = entry.path();
        if partition.join("partition").exists()
            && let Ok(numbers) = fs::read_to_string(partition.join("dev"))
        {
            found.extend(holders_of_one(&partition, numbers.trim_end()));
        }
    }
    found
}

fn holders_of_one(directory: &Path, numbers: &str) -> Vec<Holder> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory.join("holders")).into_iter().flatten().flatten() {
        found.push(match fs::read_to_string(entry.path().join("dm/name")) {
            Ok(name) => Holder::Mapping(name.trim_end().to_owned()),
            Err(_) => Holder::Device(Path::new("/dev").join(entry.file_name())),
        });
    }
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    found.extend(mount_points(&mounts, numbers).map(Holder::Mount));
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    let node = block_device_path(numbers);
    if swaps.lines().any(|line| line.split_whitespace().next().map(PathBuf::from) == node && node.is_some()) {
        found.push(Holder::Swap);
    }
    found
}

/// The mount points of a device in `/proc/self/mountinfo`: the fifth field of the lines whose third is its numbers,
/// with blanks and the like as octal numbers.
fn mount_points<'a>(mountinfo: &'a [u8], numbers: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    mountinfo.split(|&byte| byte == b'\n').filter_map(move |line| {
        let mut fields = line.split(|&byte| byte == b' ').skip(2);
        if fields.next()? != numbers.as_bytes() {
            return None;
        }
        Some(PathBuf::from(OsString::from_vec(unescaped(fields.nth(1)?))))
    })
}

fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        let (byte, left) = match octal.filter(|_| first == b'\\') {
            Some(byte) => (byte, &after[3..]),
            None => (first, after),
        };
        bytes.push(byte);
        rest = left;
    }
    bytes
}

/// Whether there is a block device `major:minor`; `None` if sysfs is missing.
pub(crate) fn exists(numbers: &str) -> Option<bool> {
    let root = Path::new(BLOCK_DEVICES);
    root.exists().then(|| root.join(numbers).exists())
}

/// Whether the block device `major:minor` exists and is not a mapping. True if sysfs cannot tell.
pub(crate) fn is_of_another_kind(numbers: &str) -> bool {
    exists(numbers).is_none_or(|exists| exists && !Path::new(BLOCK_DEVICES).join(numbers).join("dm").exists())
}

/// The size of the block device `major:minor` in bytes.
pub(crate) fn size(numbers: &str) -> Option<u64> {
    number(&Path::new(BLOCK_DEVICES).join(numbers).join("size"))?.checked_mul(SECTOR_SIZE)
}

/// The smallest unit in bytes that the block device `major:minor` can read.
pub(crate) fn logical_block_size(numbers: &str) -> Option<u64> {
    let directory = Path::new(BLOCK_DEVICES).join(numbers);
    // A partition has the queue of the disk it is a part of.
    ["queue", "../queue"].iter().find_map(|queue| number(&directory.join(queue).join("logical_block_size")))
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim_end().parse().ok()
}

/// The node of the block device `major:minor`; that of its name for a mapping.
pub(crate) fn block_device_path(numbers: &str) -> Option<PathBuf> {
    let directory = Path::new(BLOCK_DEVICES).join(numbers);
    if let Ok(name) = fs::read_to_string(directory.join("dm/name")) {
        return Some(Path::new("/dev/mapper").join(name.trim_end()));
    }
    let uevent = fs::read_to_string(directory.join("uevent")).ok()?;
    let name = uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
    Some(Path::new("/dev").join(name))
}

/// The devices that the block device `major:minor` is stored on, as their numbers: the disk that it is a partition of,
/// and what a mapping or an array is made of.
pub(crate) fn stored_on(numbers: &str) -> Vec<String> {
    let directory = Path::new(BLOCK_DEVICES).join(numbers);
    let slaves = fs::read_dir(directory.join("slaves")).into_iter().flatten().flatten().map(|entry| entry.path());
    let disk = directory.join("partition").exists().then(|| directory.join(".."));
    let numbers = slaves.chain(disk).filter_map(|device| fs::read_to_string(device.join("dev")).ok());
    numbers.map(|numbers| numbers.trim_end().to_owned()).collect()
}

/// The node of the partition with these bytes of the disk `major:minor`, if the kernel has it.
pub(crate) fn partition(numbers: &str, bytes: &Range<u64>) -> Option<PathBuf> {
    let disk = Path::new(BLOCK_DEVICES).join(numbers);
    let at = |partition: &Path, file: &str| number(&partition.join(file))?.checked_mul(SECTOR_SIZE);
    fs::read_dir(disk).into_iter().flatten().flatten().find_map(|entry| {
        let partition = entry.path();
        let is_it = partition.join("partition").exists()
            && at(&partition, "start") == Some(bytes.start)
            && at(&partition, "size") == Some(bytes.end - bytes.start);
        let numbers = fs::read_to_string(partition.join("dev")).ok().filter(|_| is_it)?;
        block_device_path(numbers.trim_end())
    })
}

/// The image file of the loop device `major:minor`.
pub(crate) fn loop_backing_file(numbers: &str) -> Option<PathBuf> {
    let path = Path::new(BLOCK_DEVICES).join(numbers).join("loop/backing_file");
    let mut name = fs::read(path).ok()?;
    if name.last() == Some(&b'\n') {
        name.pop();
    }
    Some(PathBuf::from(OsString::from_vec(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_found_by_number_and_unescaped() {
        let mountinfo = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            30 22 7:10 / /mnt/a rw shared:1 - squashfs /dev/loop10 ro\n\
            31 22 7:1 /sub /mnt/a\\040b\\134 rw - squashfs /dev/loop1 ro\n";
        let found: Vec<PathBuf> = mount_points(mountinfo, "7:1").collect();
        assert_eq!(found, [Path::new("/mnt/a b\\")]);
    }
}
