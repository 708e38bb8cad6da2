//! What Linux reports about files and block devices, and the hints that it accepts.

mod files;
mod holes;
mod page_cache;
mod read_only;
mod writeback;

pub use files::page_size;
pub(super) use files::{
    check_directory, check_writable, file_system_of, for_the_owner_alone, has_no_locks, has_one_name, identity_of,
    is_a_directory, is_same, open_direct, open_exclusively, read_exact_at, read_some_at, size_of,
    will_be_read_in_order, write_all_at,
};
pub(super) use holes::data_at;
pub(super) use page_cache::PageCache;
pub(super) use page_cache::advise_large_pages;
pub(super) use writeback::start as start_writing_out;
