//! Lines for readers that do not use the kernel's table: Chrome OS's old boot parameter, policies of the kernel's IPE
//! module, FIT images of U-Boot, Kata Containers.
//!
//! Sources: the `dm=` of Chrome OS's kernels as its images have it; the kernel's
//! `Documentation/admin-guide/LSM/ipe.rst`; U-Boot's `doc/usage/fit/dm-verity.rst`; the `kernel_verity_params` and the
//! storage options of Kata Containers.

use std::fmt::{Display, Write as _};

use super::{BootImage, SEPARATORS, is_known_early, named};
use crate::error::{Error, Result};
use crate::hash::{HashAlgorithm, HashType};
use crate::line::table::{Reader, TableOptions, VerityTable};
use crate::value::SECTOR_SIZE;

/// The algorithms whose root hashes IPE knows.
const IPE_ALGORITHMS: &[&str] = &[
    "blake2b-512",
    "blake2s-256",
    "sha256",
    "sha384",
    "sha512",
    "sha3-224",
    "sha3-256",
    "sha3-384",
    "sha3-512",
    "sm3",
    "rmd160",
];

/// The only block size of Chrome OS's parameter, in bytes.
const CHROMEOS_BLOCK: u64 = 4096;

impl BootImage<'_> {
    /// `dm="1 vroot none ro 1,0 SECTORS verity payload=... hashtree=... hashstart=... alg=... root_hexdigest=...
    /// salt=..."`: the parameter by which kernels of Chrome OS open the root device, as `/dev/dm-0`.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for an image that differs from what these kernels assume: type 0, blocks of 4096 bytes, no
    /// superblock, and the tree as far from the start of its device as the data are long; for FEC, options and a
    /// signature; for devices that the kernel does not find; [`Error::NoPartitionUuids`].
    pub fn chromeos(&self) -> Result<String> {
        const LINE: &str = "ChromiumOS's dm=";
        let params = self.layout.params();
        let cannot = |value: &str| Err(Error::Unwritable { line: LINE, value: value.to_owned() });
        self.refuse_extras(LINE)?;
        self.refuse_flags(LINE)?;
        if params.hash_type() != HashType::ChromeOs {
            return cannot("hash type 1");
        }
        for size in [params.data_block_size().bytes(), params.hash_block_size().bytes()] {
            if size != CHROMEOS_BLOCK {
                return cannot(&format!("block size {size}"));
            }
        }
        if params.uuid().is_some() {
            return cannot("a superblock");
        }
        let start = self.layout.first_hash_block() * CHROMEOS_BLOCK;
        if start != params.data_bytes() {
            return cannot(&format!("hash offset {start} with {} bytes of data", params.data_bytes()));
        }
        // Installers of such a system replace these two words with the devices.
        let is_device = |name: &str| is_known_early(name) || matches!(name, "ROOT_DEV" | "HASH_DEV");
        let device = |name: &str| named(LINE, name, SEPARATORS, is_device);
        let (data, hash) = (device(&self.data()?)?, device(&self.hash()?)?);
        let sectors = start / SECTOR_SIZE;
        let mut value = format!(
            "1 vroot none ro 1,0 {sectors} verity payload={data} hashtree={hash} hashstart={sectors} alg={} \
             root_hexdigest={}",
            params.algorithm().kernel_name(),
            self.root_hash
        );
        if !params.salt().as_bytes().is_empty() {
            write!(value, " salt={}", params.salt()).expect("a String takes everything");
        }
        Ok(format!("dm=\"{value}\""))
    }

    /// `op=EXECUTE dmverity_roothash=ALGORITHM:HEX action=ALLOW`: the rule by which a policy of the kernel's IPE module
    /// allows programs of this image. It does not say where the devices are.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for an algorithm that IPE has no root hashes of, for options and for a signature.
    pub fn ipe(&self) -> Result<String> {
        const LINE: &str = "an IPE policy";
        self.refuse_extras(LINE)?;
        self.refuse_flags(LINE)?;
        let algorithm = self.layout.params().algorithm().kernel_name();
        if !IPE_ALGORITHMS.contains(&algorithm) {
            return Err(Error::Unwritable { line: LINE, value: algorithm.to_owned() });
        }
        Ok(format!("op=EXECUTE dmverity_roothash={algorithm}:{} action=ALLOW", self.root_hash))
    }

    /// `dm-verity { ... };`: the node below a file system's in the source of a FIT image, from which U-Boot makes a
    /// `dm-mod.create=`. Data and tree are that file system's image.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for an image of type 0, without salt or of more than `u32::MAX` blocks, for FEC, a
    /// signature and options that U-Boot has no property for.
    pub fn fit(&self) -> Result<String> {
        const LINE: &str = "a FIT image";
        self.refuse_extras(LINE)?;
        let options = self.flags_for(Reader::UBoot, LINE)?;
        let params = self.layout.params();
        let cannot = |value: &str| Error::Unwritable { line: LINE, value: value.to_owned() };
        if params.hash_type() != HashType::Normal {
            return Err(cannot("hash type 0"));
        }
        if params.salt().as_bytes().is_empty() {
            return Err(cannot("an empty salt"));
        }
        let table = VerityTable::new(
            self.layout,
            self.root_hash.clone(),
            String::new(),
            String::new(),
            TableOptions::default(),
        )?;
        let cells = [
            ("data-block-size", table.data_block_size.bytes()),
            ("hash-block-size", table.hash_block_size.bytes()),
            ("num-data-blocks", table.data_blocks),
            ("hash-start-block", table.hash_start),
        ];
        let mut node = format!("dm-verity {{\n\talgo = \"{}\";\n", table.algorithm);
        for (property, number) in cells {
            let number = u32::try_from(number).map_err(|_| cannot(&format!("{property} {number}")))?;
            writeln!(node, "\t{property} = <{number}>;").expect("a String takes everything");
        }
        writeln!(node, "\tdigest = [{}];\n\tsalt = [{}];", self.root_hash, table.salt)
            .expect("a String takes everything");
        for option in options {
            writeln!(node, "\t{option};").expect("a String takes everything");
        }
        Ok(node + "};")
    }

    /// `root_hash=HEX,salt=HEX,data_blocks=N,data_block_size=4096,hash_block_size=4096`: Kata Containers'
    /// `kernel_verity_params`, by which it opens its guest's root device. Data and tree have partitions of their own.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for what the line has no words for: a superblock, hash type 0, an algorithm other than
    /// SHA-256, an empty salt, a hash offset, FEC, options and a signature.
    pub fn kata_guest(&self) -> Result<String> {
        const LINE: &str = "kernel_verity_params";
        let params = self.layout.params();
        let cannot = |value: String| Err(Error::Unwritable { line: LINE, value });
        self.refuse_extras(LINE)?;
        self.refuse_flags(LINE)?;
        if params.uuid().is_some() {
            return cannot("a superblock".to_owned());
        }
        if params.hash_type() != HashType::Normal {
            return cannot("hash type 0".to_owned());
        }
        if params.algorithm() != HashAlgorithm::default() {
            return cannot(params.algorithm().to_string());
        }
        if params.salt().as_bytes().is_empty() {
            return cannot("an empty salt".to_owned());
        }
        if params.hash_offset() > 0 {
            return cannot(format!("hash offset {}", params.hash_offset()));
        }
        Ok(format!(
            "root_hash={},salt={},data_blocks={},data_block_size={},hash_block_size={}",
            self.root_hash,
            params.salt(),
            params.data_blocks(),
            params.data_block_size(),
            params.hash_block_size()
        ))
    }

    /// `X-kata.dmverity.roothash=HEX` and more, a line each: the options of a storage by which Kata Containers' agent
    /// opens a container's layer. Data and tree are one file, without anything between them.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for a tree that does not follow the data, for FEC, options and a signature.
    pub fn kata_layer(&self) -> Result<String> {
        const LINE: &str = "a storage of Kata Containers";
        let params = self.layout.params();
        self.refuse_extras(LINE)?;
        self.refuse_flags(LINE)?;
        // The agent derives the number of data blocks from it.
        let offset = params.hash_offset();
        if offset != params.data_bytes() {
            let value = format!("hash offset {offset} with {} bytes of data", params.data_bytes());
            return Err(Error::Unwritable { line: LINE, value });
        }
        let words: [(&str, &dyn Display); 8] = [
            ("roothash", &self.root_hash),
            ("hashoffset", &offset),
            ("blocksize", &params.data_block_size()),
            ("hashsize", &params.hash_block_size()),
            ("algorithm", &params.algorithm()),
            ("salt", params.salt()),
            ("hashtype", &params.hash_type().number()),
            ("no-superblock", &params.uuid().is_none()),
        ];
        let word = |(key, value): &(&str, &dyn Display)| format!("X-kata.dmverity.{key}={value}");
        let words: Vec<String> = words.iter().map(word).collect();
        Ok(format!("X-kata.dmverity-enabled=true\n{}", words.join("\n")))
    }

    /// Refuses what has no place in the line: FEC and a signature.
    fn refuse_extras(&self, line: &'static str) -> Result<()> {
        if let Some((_, device)) = &self.fec {
            return Err(Error::Unwritable { line, value: format!("FEC device {device}") });
        }
        match &self.signature {
            Some(signature) => Err(Error::Unwritable { line, value: signature.clone() }),
            None => Ok(()),
        }
    }

    fn refuse_flags(&self, line: &'static str) -> Result<()> {
        match self.flags.iter().next() {
            Some(flag) => Err(Error::Unwritable { line, value: flag.word().to_owned() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Fec, Params, ParamsBuilder, Plan};
    use crate::hash::HashAlgorithm;
    use crate::line::table::TableFlag;
    use crate::value::{RootHash, Salt};

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn root_hash() -> RootHash {
        RootHash::new((0..32).collect())
    }

    fn plan(builder: ParamsBuilder) -> Plan {
        Plan::new(builder, 1 << 20).unwrap()
    }

    fn salted() -> ParamsBuilder {
        Params::builder().salt(Salt::from_hex("aabb").unwrap())
    }

    fn refused(result: Result<String>) -> String {
        match result {
            Err(Error::Unwritable { value, .. }) => value,
            other => panic!("{other:?}"),
        }
    }

    fn chromeos() -> ParamsBuilder {
        salted().hash_type(HashType::ChromeOs).no_superblock().hash_offset(1 << 20)
    }

    #[test]
    fn chromeos_takes_an_image_whose_tree_follows_its_data() {
        let (root_hash, layout) = (root_hash(), plan(chromeos()).layout);
        let image = BootImage::new(&layout, &root_hash).data_device("ROOT_DEV").hash_device("HASH_DEV");
        assert_eq!(
            image.chromeos().unwrap(),
            format!(
                "dm=\"1 vroot none ro 1,0 2048 verity payload=ROOT_DEV hashtree=HASH_DEV hashstart=2048 alg=sha256 \
                 root_hexdigest={HEX} salt=aabb\""
            )
        );
        let layout = plan(chromeos().salt(Salt::from_hex("-").unwrap())).layout;
        let line = BootImage::new(&layout, &root_hash).chromeos().unwrap();
        assert!(
            line.contains(" payload=PARTUUID=00010203-0405-0607-0809-0a0b0c0d0e0f hashtree=PARTUUID=1011"),
            "{line}"
        );
        assert!(line.ends_with(&format!("root_hexdigest={HEX}\"")), "{line}");
    }

    #[test]
    fn chromeos_has_no_words_for_other_images() {
        let root_hash = root_hash();
        for (builder, value) in [
            (chromeos().hash_type(HashType::Normal), "hash type 1"),
            (chromeos().hash_offset(2 << 20), "hash offset 2097152 with 1048576 bytes of data"),
        ] {
            assert_eq!(refused(BootImage::new(&plan(builder).layout, &root_hash).chromeos()), value);
        }
        let layout = plan(chromeos()).layout;
        let image = || BootImage::new(&layout, &root_hash).data_device("/dev/sda3").hash_device("/dev/sda3");
        assert!(image().chromeos().is_ok());
        for device in ["vda2", "/dev/a b", "/dev/a,b", "/dev/mapper/x", "LABEL=x", "/dev/\"x"] {
            assert_eq!(refused(image().data_device(device).chromeos()), device);
        }
        assert_eq!(refused(image().signature("/sig").chromeos()), "/sig");
        let flags = [TableFlag::PanicOnCorruption].into();
        assert_eq!(refused(image().flags(flags).chromeos()), "panic_on_corruption");
    }

    #[test]
    fn a_rule_of_ipe_names_the_kernels_algorithm() {
        let root_hash = root_hash();
        let rule = |name: &str| {
            let layout = plan(salted().algorithm(HashAlgorithm::from_name(name).unwrap())).layout;
            BootImage::new(&layout, &root_hash).ipe()
        };
        assert_eq!(rule("sha256").unwrap(), format!("op=EXECUTE dmverity_roothash=sha256:{HEX} action=ALLOW"));
        assert!(rule("ripemd160").unwrap().contains("=rmd160:"));
        for name in ["sha1", "md5", "sha224", "streebog256"] {
            assert_eq!(refused(rule(name)), name);
        }
        let layout = plan(salted()).layout;
        let flags = [TableFlag::CheckAtMostOnce].into();
        assert_eq!(refused(BootImage::new(&layout, &root_hash).flags(flags).ipe()), "check_at_most_once");
    }

    #[test]
    fn a_fit_image_has_the_table_as_properties() {
        let (root_hash, layout) = (root_hash(), plan(salted().no_superblock().hash_offset(1 << 20)).layout);
        let flags = [TableFlag::RestartOnCorruption, TableFlag::RestartOnError, TableFlag::CheckAtMostOnce].into();
        assert_eq!(
            BootImage::new(&layout, &root_hash).flags(flags).fit().unwrap(),
            format!(
                "dm-verity {{\n\talgo = \"sha256\";\n\tdata-block-size = <4096>;\n\thash-block-size = <4096>;\n\
                 \tnum-data-blocks = <256>;\n\thash-start-block = <256>;\n\tdigest = [{HEX}];\n\tsalt = [aabb];\n\
                 \trestart-on-corruption;\n\trestart-on-error;\n\tcheck-at-most-once;\n}};"
            )
        );
        let image = || BootImage::new(&layout, &root_hash);
        for flag in [TableFlag::IgnoreZeroBlocks, TableFlag::IgnoreCorruption, TableFlag::TryVerifyInTasklet] {
            assert_eq!(refused(image().flags([flag].into()).fit()), flag.word());
        }
        for flag in [TableFlag::PanicOnCorruption, TableFlag::PanicOnError] {
            let property = format!("\n\t{};\n}};", flag.word().replace('_', "-"));
            assert!(image().flags([flag].into()).fit().unwrap().ends_with(&property));
        }
        assert_eq!(refused(image().signature("/sig").fit()), "/sig");
        let unsalted = plan(Params::builder().salt(Salt::from_hex("-").unwrap())).layout;
        assert_eq!(refused(BootImage::new(&unsalted, &root_hash).fit()), "an empty salt");
        let old = plan(salted().hash_type(HashType::ChromeOs)).layout;
        assert_eq!(refused(BootImage::new(&old, &root_hash).fit()), "hash type 0");
        let parity = plan(salted().fec(Fec::new(2, 0).unwrap()));
        let with_parity = BootImage::new(&parity.layout, &root_hash).fec(parity.fec_area.unwrap(), "/dev/sdb");
        assert_eq!(refused(with_parity.fit()), "FEC device /dev/sdb");
        let blocks = 1 << 33;
        let large = Plan::new(salted(), blocks << 12).unwrap().layout;
        assert_eq!(refused(BootImage::new(&large, &root_hash).fit()), format!("num-data-blocks {blocks}"));
    }

    #[test]
    fn kata_opens_its_guests_root_device_with_all_parameters() {
        let (root_hash, layout) = (root_hash(), plan(salted().no_superblock()).layout);
        let image = || BootImage::new(&layout, &root_hash);
        assert_eq!(
            image().kata_guest().unwrap(),
            format!("root_hash={HEX},salt=aabb,data_blocks=256,data_block_size=4096,hash_block_size=4096")
        );
        assert_eq!(refused(image().signature("/sig").kata_guest()), "/sig");
        assert_eq!(refused(image().flags([TableFlag::CheckAtMostOnce].into()).kata_guest()), "check_at_most_once");
        let sha512 = HashAlgorithm::from_name("sha512").unwrap();
        for (builder, value) in [
            (salted(), "a superblock"),
            (salted().no_superblock().hash_type(HashType::ChromeOs), "hash type 0"),
            (salted().no_superblock().algorithm(sha512), "sha512"),
            (Params::builder().no_superblock(), "an empty salt"),
            (salted().no_superblock().hash_offset(4096), "hash offset 4096"),
        ] {
            assert_eq!(refused(BootImage::new(&plan(builder).layout, &root_hash).kata_guest()), value);
        }
    }

    #[test]
    fn kata_opens_a_layer_whose_tree_follows_its_data() {
        let (root_hash, layout) = (root_hash(), plan(salted().hash_offset(1 << 20)).layout);
        let words = BootImage::new(&layout, &root_hash).kata_layer().unwrap();
        assert_eq!(
            words.split('\n').collect::<Vec<_>>(),
            [
                "X-kata.dmverity-enabled=true",
                &format!("X-kata.dmverity.roothash={HEX}"),
                "X-kata.dmverity.hashoffset=1048576",
                "X-kata.dmverity.blocksize=4096",
                "X-kata.dmverity.hashsize=4096",
                "X-kata.dmverity.algorithm=sha256",
                "X-kata.dmverity.salt=aabb",
                "X-kata.dmverity.hashtype=1",
                "X-kata.dmverity.no-superblock=false",
            ]
        );
        let other = plan(salted().no_superblock().hash_offset((1 << 20) + 4096)).layout;
        let value = refused(BootImage::new(&other, &root_hash).kata_layer());
        assert_eq!(value, "hash offset 1052672 with 1048576 bytes of data");
    }
}
