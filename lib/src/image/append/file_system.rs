//! How long the file system in an image says it is. If it is longer than the data, it has been grown into what follows
//! them: `resize2fs` does that without changing the file's length.

/// How many bytes of the image are needed to find out.
pub(super) const HEAD_BYTES: usize = 2048;

const EXT_SUPERBLOCK: usize = 1024;
const EXT_MAGIC: u16 = 0xEF53;
const EXT_INCOMPAT_64BIT: u32 = 0x80;
const EXT_MAX_LOG_BLOCK_SIZE: u32 = 6;

/// The length in bytes of the ext2, ext3 or ext4 file system that begins with these bytes, if there is one. Other file
/// systems grow only while they are mounted.
pub(super) fn bytes(head: &[u8]) -> Option<u64> {
    let superblock = head.get(EXT_SUPERBLOCK..)?;
    let u16_at = |offset| Some(u16::from_le_bytes(*superblock.get(offset..)?.first_chunk()?));
    let u32_at = |offset| Some(u32::from_le_bytes(*superblock.get(offset..)?.first_chunk()?));
    // s_magic, s_log_block_size, s_feature_incompat, s_blocks_count_hi, s_blocks_count_lo
    if u16_at(56)? != EXT_MAGIC {
        return None;
    }
    let log_block_size = u32_at(24).filter(|&log| log <= EXT_MAX_LOG_BLOCK_SIZE)?;
    let high = if u32_at(96)? & EXT_INCOMPAT_64BIT == 0 { 0 } else { u32_at(336)? };
    let blocks = u64::from(high) << 32 | u64::from(u32_at(4)?);
    blocks.checked_mul(1024 << log_block_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ext4_says_of_its_length() {
        let mut head = [0; HEAD_BYTES];
        assert_eq!(bytes(&head), None);
        head[1024 + 4..][..4].copy_from_slice(&300_u32.to_le_bytes());
        head[1024 + 24] = 2;
        head[1024 + 336] = 1;
        assert_eq!(bytes(&head), None);
        head[1024 + 56..][..2].copy_from_slice(&EXT_MAGIC.to_le_bytes());
        assert_eq!(bytes(&head), Some(300 * 4096));
        head[1024 + 96] = 0x80;
        assert_eq!(bytes(&head), Some(((1 << 32) + 300) * 4096));
        // No block size that there is, more than there can be, too short.
        head[1024 + 24] = 7;
        assert_eq!(bytes(&head), None);
        head[1024 + 24] = 6;
        head[1024 + 336..][..4].fill(0xFF);
        assert_eq!(bytes(&head), None);
        for len in [0, 1024, 1081, 1359] {
            assert_eq!(bytes(&head[..len]), None, "{len}");
        }
    }

    #[test]
    fn a_file_system_may_end_where_the_data_do_and_not_after() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let append = || crate::append(file.path(), crate::Hashing::default(), None, &crate::Work::default());
        let mut data = vec![0; 64 * 4096];
        data[1024 + 24] = 2;
        data[1024 + 56..][..2].copy_from_slice(&EXT_MAGIC.to_le_bytes());
        let mut says = |blocks: u32| {
            data[1024 + 4..][..4].copy_from_slice(&blocks.to_le_bytes());
            std::fs::write(file.path(), &data).unwrap();
            append().unwrap();
            // It grows only once there is a tree.
            append()
        };
        for blocks in [63, 64] {
            assert_eq!(says(blocks).unwrap().replaced, Some(64 * 4096));
        }
        says(64).unwrap();
        let mut image = std::fs::read(file.path()).unwrap();
        image[1024 + 4] = 65;
        std::fs::write(file.path(), &image).unwrap();
        let refused = append().unwrap_err();
        let expected = (65 * 4096, 64 * 4096, 64 * 4096);
        assert!(
            matches!(&refused, crate::Error::FileSystemTooLarge { found, data_end, offset, .. }
                if (*found, *data_end, *offset) == expected),
            "{refused}"
        );
        assert!(std::fs::read(file.path()).unwrap() == image);
    }
}
