//! A refused table, the kernel's answer to it, and what trials found out about it. The command's messages and the JSON
//! schema use the same words.

use super::errno::Errno;

use crate::error::Area;
use crate::line::table::TableOption;

/// The kernel's answer to a table that it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelAnswer {
    /// The errno.
    pub errno: Errno,
    /// The kernel's own message, if its log can be read.
    pub kernel_message: Option<String>,
}

/// An option that the kernel refused, although it took the same table without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedOption {
    /// The option.
    pub option: TableOption,
    /// The kernel's answer to it.
    pub answer: KernelAnswer,
}

impl RefusedOption {
    /// What is wrong with the signature, if this is the signature and the kernel knows the option.
    pub fn signature_fault(&self) -> Option<SignatureFault> {
        if self.option == TableOption::Signature { SignatureFault::of(&self.answer) } else { None }
    }
}

impl RefusedTable {
    /// What is wrong with the signature, if that is what the kernel refuses.
    pub fn signature_fault(&self) -> Option<SignatureFault> {
        match &self.cause {
            Cause::Options(refused) => refused.iter().find_map(RefusedOption::signature_fault),
            _ => None,
        }
    }
}

/// Why the kernel did not accept a root hash signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureFault {
    /// The kernel did not find the key that holds the signature.
    KeyMissing,
    /// It is signed by a key that the kernel does not trust. Kernels with several keyrings say the same about the
    /// signature of another root hash.
    NotTrusted,
    /// It is not a PKCS#7 signature that the kernel can read.
    Malformed,
    /// It is the signature of something other than this root hash.
    Mismatch,
    /// It is made with an algorithm that the kernel does not have.
    Algorithm,
}

impl SignatureFault {
    fn of(answer: &KernelAnswer) -> Option<Self> {
        match answer.errno {
            Errno::ENOKEY if answer.kernel_message.as_ref().is_some_and(|words| words.contains("Invalid key")) => {
                Some(Self::KeyMissing)
            }
            Errno::ENOKEY | Errno::EKEYEXPIRED | Errno::EKEYREVOKED => Some(Self::NotTrusted),
            Errno::EBADMSG => Some(Self::Malformed),
            Errno::EKEYREJECTED => Some(Self::Mismatch),
            Errno::ENOPKG => Some(Self::Algorithm),
            _ => None,
        }
    }
}

/// Why the kernel refused a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// These options, each alone.
    Options(Vec<RefusedOption>),
    /// These options together; each alone is accepted.
    Combination(Vec<TableOption>),
    /// The kernel does not have this hash algorithm under any of its names.
    Algorithm {
        /// The name in the table.
        name: String,
    },
    /// Blocks of this size.
    BlockSize {
        /// Of the data or of the hash area.
        area: Area,
        /// Their size in bytes.
        found: u64,
        /// The smallest size in bytes that the device supports, its logical block size, if known.
        least: Option<u64>,
        /// The largest size in bytes that the kernel supports, if there is a limit.
        most: Option<u64>,
    },
    /// The kernel demands a root hash signature, and none was given.
    SignatureRequired,
    /// No trial has found the cause.
    Unknown,
}

/// A table that the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedTable {
    /// The target's arguments as they were sent.
    pub table: String,
    /// The kernel's answer to it.
    pub answer: KernelAnswer,
    /// What was found out.
    pub cause: Cause,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_signature_is_told_by_the_errno() {
        let fault = |errno, words: Option<&str>, option| {
            let answer = KernelAnswer { errno, kernel_message: words.map(str::to_owned) };
            RefusedOption { option, answer }.signature_fault()
        };
        let of = |errno| fault(errno, None, TableOption::Signature);
        assert_eq!(of(Errno::ENOKEY), Some(SignatureFault::NotTrusted));
        assert_eq!(of(Errno::EKEYEXPIRED), Some(SignatureFault::NotTrusted));
        assert_eq!(of(Errno::EKEYREVOKED), Some(SignatureFault::NotTrusted));
        assert_eq!(of(Errno::EBADMSG), Some(SignatureFault::Malformed));
        assert_eq!(of(Errno::EKEYREJECTED), Some(SignatureFault::Mismatch));
        assert_eq!(of(Errno::ENOPKG), Some(SignatureFault::Algorithm));
        assert_eq!(of(Errno::EINVAL), None);
        // Two reasons with one errno: the kernel's words tell them apart.
        let words = |words| fault(Errno::ENOKEY, Some(words), TableOption::Signature);
        assert_eq!(words("verity: Invalid key specified"), Some(SignatureFault::KeyMissing));
        assert_eq!(words("verity: Root hash verification failed"), Some(SignatureFault::NotTrusted));
        assert_eq!(fault(Errno::ENOKEY, None, TableOption::Fec), None);
    }
}
