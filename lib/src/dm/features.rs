//! What this kernel's verity target accepts, found out by trials on an image of zeros that exists only in memory.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::control::Control;
use super::device::device_numbers;
use super::errno::Errno;
use super::error::{Error, Result};
use super::kmsg::KernelLog;
use super::loop_device::LoopDevice;
use super::refused::KernelAnswer;
use super::scratch::{Outcome, Scratch};
use crate::hash::{HashAlgorithm, HashType};
use crate::io::page_size;
use crate::line::table::{TableFec, TableOption, TableOptions, VerityTable};
use crate::value::{BlockSize, RootHash};

/// The image: one area of data, one of hash blocks, one of parity, each large enough for the largest blocks.
const AREA: u64 = 2 * BlockSize::MAX as u64;
const IMAGE: u64 = 3 * AREA;

/// A description that no key has.
const NO_KEY: &str = "dmverity:no-such-key";

/// An optional argument of tables, and whether the kernel takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionFeature {
    /// The option.
    pub option: TableOption,
    /// The kernel's answer when it refuses the option; `None` when it takes it.
    pub refused: Option<KernelAnswer>,
}

/// A hash algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlgorithmFeature {
    /// The algorithm under userland's name.
    pub algorithm: HashAlgorithm,
    /// The name under which the kernel takes it; `None` when it does not.
    pub kernel_name: Option<&'static str>,
}

/// What a kernel's verity target accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Features {
    /// The kernel's page size in bytes.
    pub page_size: Option<u64>,
    /// The largest data block it takes, in bytes.
    pub data_block_size_max: Option<BlockSize>,
    /// The largest hash block it accepts, in bytes; only the format's sizes were tried.
    pub hash_block_size_max: Option<BlockSize>,
    /// Whether it demands a root hash signature.
    pub signature_required: bool,
    /// Whether this process can read the kernel's own words about a refused table.
    pub kernel_log: bool,
    /// Every option, in table order.
    pub options: Vec<OptionFeature>,
    /// Every hash algorithm this library has.
    pub algorithms: Vec<AlgorithmFeature>,
}

/// Asks the kernel. Needs root and a loop device, and leaves nothing behind.
///
/// # Errors
/// [`Error::NoDeviceMapper`], [`Error::NotPermitted`], [`Error::NoVerityTarget`], [`Error::LoopDevice`],
/// [`Error::DeviceMapper`].
///
/// # Examples
/// ```no_run
/// use dmverity::HashAlgorithm;
/// use dmverity::dm::features;
/// use dmverity::table::TableOption;
///
/// # fn main() -> dmverity::dm::Result<()> {
/// let features = features()?;
/// let accepts = |wanted| features.options.iter().any(|known| known.option == wanted && known.refused.is_none());
/// println!("forward error correction: {}", accepts(TableOption::Fec));
/// let wanted = HashAlgorithm::from_name("sha3-256")?;
/// let known = features.algorithms.iter().find(|known| known.algorithm == wanted);
/// println!("sha3-256: {}", known.is_some_and(|known| known.kernel_name.is_some()));
/// # Ok(())
/// # }
/// ```
pub fn features() -> Result<Features> {
    let control = Control::open()?;
    let image = LoopDevice::attach_file_read_only(&image()?, Path::new("an image in memory"))?;
    let trials = Trials { numbers: device_numbers(image.number()?) };
    let scratch = Scratch::create(&control)?;
    found_out(&trials, |table| scratch.attempt(table), || control.has_verity())
}

/// The same for a kernel that is represented by two functions.
fn found_out(
    trials: &Trials,
    attempt: impl Fn(&VerityTable) -> Result<Outcome>,
    has_verity: impl FnOnce() -> Result<bool>,
) -> Result<Features> {
    let plain = trials.table(HashAlgorithm::sha256(), BlockSize::DEFAULT, BlockSize::DEFAULT);
    let bare = attempt(&plain)?;
    if bare.is_err() && !has_verity()? {
        return Err(Error::NoVerityTarget);
    }
    // A kernel that demands a signature accepts nothing; it still refuses what it does not know with another errno.
    let signature_required = matches!(&bare, Err(answer) if answer.errno == Errno::ENOKEY);
    let is_known = |outcome: &Outcome| match outcome {
        Ok(()) => true,
        Err(answer) => bare.as_ref().is_err_and(|bare| bare.errno == answer.errno),
    };

    let mut options = Vec::new();
    for option in TableOption::all() {
        let outcome = attempt(&VerityTable { options: trials.option(option), ..plain.clone() })?;
        // Only a kernel that knows the option finds out that there is no such key.
        let known = is_known(&outcome)
            || option == TableOption::Signature && matches!(&outcome, Err(answer) if answer.errno == Errno::ENOKEY);
        options.push(OptionFeature { option, refused: outcome.err().filter(|_| !known) });
    }
    let mut algorithms: Vec<AlgorithmFeature> = Vec::new();
    for algorithm in HashAlgorithm::all() {
        if algorithms.iter().any(|known| known.algorithm == algorithm) {
            continue;
        }
        let mut kernel_name = None;
        for name in [algorithm.kernel_name()].into_iter().chain(algorithm.other_names()) {
            let table = trials.table(algorithm, BlockSize::DEFAULT, BlockSize::DEFAULT);
            if is_known(&attempt(&VerityTable { algorithm: name.to_owned(), ..table })?) {
                kernel_name = Some(name);
                break;
            }
        }
        algorithms.push(AlgorithmFeature { algorithm, kernel_name });
    }
    let largest = |table: &dyn Fn(BlockSize) -> VerityTable| -> Result<Option<BlockSize>> {
        for size in BlockSize::all().rev() {
            if is_known(&attempt(&table(size))?) {
                return Ok(Some(size));
            }
        }
        Ok(None)
    };
    let sha256 = HashAlgorithm::sha256();
    Ok(Features {
        page_size: page_size(),
        data_block_size_max: largest(&|size| trials.table(sha256, size, BlockSize::DEFAULT))?,
        hash_block_size_max: largest(&|size| trials.table(sha256, BlockSize::DEFAULT, size))?,
        signature_required,
        kernel_log: KernelLog::open().is_some(),
        options,
        algorithms,
    })
}

/// The image: an unnamed file in memory, which is gone with its last user.
fn image() -> Result<File> {
    let failed = |source: std::io::Error| crate::Error::Io { action: "make", path: "a file in memory".into(), source };
    let image: OwnedFd = memfd_create("dmverity-trial", MFdFlags::MFD_CLOEXEC).map_err(|errno| failed(errno.into()))?;
    let image = File::from(image);
    image.set_len(IMAGE).map_err(failed)?;
    Ok(image)
}

/// Tables for the image.
struct Trials {
    numbers: String,
}

impl Trials {
    fn table(&self, algorithm: HashAlgorithm, data_block_size: BlockSize, hash_block_size: BlockSize) -> VerityTable {
        VerityTable {
            hash_type: HashType::Normal,
            data_device: self.numbers.clone(),
            hash_device: self.numbers.clone(),
            data_block_size,
            hash_block_size,
            // A tree of one block.
            data_blocks: 2,
            hash_start: AREA / hash_block_size.bytes(),
            algorithm: algorithm.kernel_name().to_owned(),
            root_hash: RootHash::new(vec![0; algorithm.digest_size()]),
            salt: "-".to_owned(),
            options: TableOptions::default(),
        }
    }

    /// The option alone, with values that a kernel which knows it has no reason to refuse.
    fn option(&self, option: TableOption) -> TableOptions {
        let none = TableOptions::default();
        match option {
            TableOption::Flag(flag) => TableOptions { flags: [flag].into(), ..none },
            TableOption::Fec => {
                let start = 2 * AREA / BlockSize::DEFAULT.bytes();
                TableOptions {
                    fec: Some(TableFec { device: self.numbers.clone(), blocks: 3, start, roots: 2 }),
                    ..none
                }
            }
            TableOption::Signature => TableOptions { signature_key: Some(NO_KEY.to_owned()), ..none },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::table::TableFlag;

    fn trials() -> Trials {
        Trials { numbers: "7:1".to_owned() }
    }

    fn refused(errno: Errno) -> Outcome {
        Err(KernelAnswer { errno, kernel_message: None })
    }

    #[test]
    fn an_image_of_zeros_is_large_enough_for_every_table_that_is_tried() {
        let image = image().unwrap();
        assert_eq!(image.metadata().unwrap().len(), IMAGE);
        for size in BlockSize::all() {
            let table = trials().table(HashAlgorithm::sha256(), size, size);
            assert_eq!(table.hash_start * size.bytes(), AREA);
            assert!(table.sectors().unwrap() * 512 <= AREA && size.bytes() <= AREA);
        }
    }

    #[test]
    fn a_kernel_that_takes_some_is_told_from_its_answers() {
        let newest = found_out(&trials(), |_| Ok(Ok(())), || panic!("nothing was refused")).unwrap();
        assert!(newest.options.iter().all(|known| known.refused.is_none()));
        assert_eq!(newest.options.len(), TableOption::all().len());
        assert!(!newest.signature_required);
        assert!(newest.algorithms.iter().all(|known| known.kernel_name == Some(known.algorithm.kernel_name())));

        // Blocks of a page at most, no FEC, and one algorithm under another name.
        let other = HashAlgorithm::all().find(|algorithm| algorithm.other_names().next().is_some()).unwrap();
        let other_name = other.other_names().next().unwrap();
        let older = |table: &VerityTable| {
            let largest = table.data_block_size.max(table.hash_block_size);
            Ok(match () {
                () if table.algorithm == other.kernel_name() || table.algorithm == "sha1" => refused(Errno::ENOENT),
                () if largest.get() > 4096 || table.options.fec.is_some() => refused(Errno::EINVAL),
                () if table.options.signature_key.is_some() => refused(Errno::ENOKEY),
                () => Ok(()),
            })
        };
        let found = found_out(&trials(), older, || panic!("the plain table is taken")).unwrap();
        assert_eq!(found.data_block_size_max.map(BlockSize::get), Some(4096));
        assert_eq!(found.hash_block_size_max.map(BlockSize::get), Some(4096));
        // Only a kernel that knows the option says that there is no such key.
        for known in &found.options {
            let errno = known.refused.as_ref().map(|refused| refused.errno);
            assert_eq!(errno, (known.option == TableOption::Fec).then_some(Errno::EINVAL), "{:?}", known.option);
        }
        let name_of = |wanted| found.algorithms.iter().find(|known| known.algorithm == wanted).unwrap().kernel_name;
        assert_eq!(name_of(other), Some(other_name));
        assert_eq!(name_of(HashAlgorithm::from_name("sha1").unwrap()), None);
        assert_eq!(name_of(HashAlgorithm::sha256()), Some("sha256"));
    }

    #[test]
    fn where_a_signature_is_demanded_what_is_known_is_refused_like_all_else() {
        let demands = |table: &VerityTable| {
            Ok(if table.options.flags.contains(TableFlag::CheckAtMostOnce) {
                refused(Errno::EINVAL)
            } else {
                refused(Errno::ENOKEY)
            })
        };
        let found = found_out(&trials(), demands, || Ok(true)).unwrap();
        assert!(found.signature_required);
        for known in &found.options {
            assert_eq!(
                known.refused.is_some(),
                known.option == TableOption::from(TableFlag::CheckAtMostOnce),
                "{:?}",
                known.option
            );
        }
        assert_eq!(found.data_block_size_max, BlockSize::all().last());
    }

    #[test]
    fn without_the_target_nothing_is_tried_further() {
        let tried = std::cell::Cell::new(0);
        let nothing = |_: &VerityTable| {
            tried.set(tried.get() + 1);
            Ok(refused(Errno::EINVAL))
        };
        assert!(matches!(found_out(&trials(), nothing, || Ok(false)), Err(Error::NoVerityTarget)));
        assert_eq!(tried.get(), 1);
    }
}
