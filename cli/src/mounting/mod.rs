//! An image as one file that the kernel asks this process for, by the FUSE protocol: the directory that it is mounted
//! on, the mount itself, and what answers the kernel.

mod directory;
mod helper;
mod mount;
mod one_file;

pub(crate) use directory::Directory;
pub(crate) use mount::{Mount, Unmounted};
pub(crate) use one_file::{OneFile, Traffic};
