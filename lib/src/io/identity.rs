//! What a path leads to.

/// What makes two paths the same device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))] // Other systems tell no block device from others.
pub(crate) enum Identity {
    /// A block device, by its device number.
    Block(u64),
    /// A regular file, by file system and inode.
    File(u64, u64),
    /// Something of the caller's, by its address.
    Storage(usize),
}
