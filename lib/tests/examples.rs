//! The programs in `examples/`, run as they are built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dmverity::table::VerityTable;
use dmverity::{BlockSize, Devices, Fec, HashAlgorithm, HashType, Layout, Params, RepairMode, RootHash, Salt, Work};

const BLOCK: usize = 4096;

/// An example, which `cargo test` builds before it runs tests, but not if it is told to run this one alone.
fn example(name: &str) -> Command {
    let this = std::env::current_exe().expect("this program has a path");
    let program = this.ancestors().nth(2).expect("it lies in deps/").join("examples").join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.rs"));
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let is_built = modified(&program).is_ok_and(|built| built >= modified(&source).expect("an example"));
    assert!(is_built, "run `cargo build -p dmverity --examples` first: {} is missing or old", program.display());
    Command::new(program)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Blocks that are all different.
fn data(blocks: usize, block_size: usize) -> Vec<u8> {
    (0..blocks).flat_map(|block| (block as u64 + 1).to_le_bytes().repeat(block_size / 8)).collect()
}

/// An image in a directory that goes away with it.
struct Image {
    directory: tempfile::TempDir,
    data: Vec<u8>,
}

impl Image {
    fn new(data: Vec<u8>) -> Self {
        let image = Self { directory: tempfile::tempdir().expect("a directory"), data };
        fs::write(image.path("data.img"), &image.data).expect("a file");
        image
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn format(&self, builder: dmverity::ParamsBuilder) -> (Layout, RootHash) {
        let devices = Devices::new(self.path("data.img"), self.path("hash.img"));
        let formatted = dmverity::format(&devices, builder, &Work::default()).expect("an image");
        (formatted.layout, formatted.root_hash)
    }

    fn read(&self, root_hash: &RootHash) -> Output {
        let mut reader = example("verifying_reader");
        let reader = reader.args([self.path("data.img"), self.path("hash.img")]).arg(root_hash.to_string());
        reader.output().expect("it runs")
    }

    fn flip(&self, name: &str, at: usize) {
        let mut bytes = fs::read(self.path(name)).expect("a file");
        bytes[at] ^= 1;
        fs::write(self.path(name), bytes).expect("a file");
    }
}

#[test]
fn the_builder_makes_an_image_that_verifies_and_says_how_to_open_it() {
    // The last bytes make no block.
    let image = Image::new([data(300, BLOCK), vec![1; 10]].concat());
    let mut printed = Vec::new();
    // The second time there is an older, longer file in the way.
    for _ in 0..2 {
        let output = example("image_builder").args([image.path("data.img"), image.path("out")]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stderr(&output).contains("100 %"));
        assert!(stderr(&output).ends_with(&format!(
            "warning: nothing protects the last 10 bytes of {}\n",
            image.path("data.img").display()
        )));
        printed = output.stdout;
        let hash = fs::File::options().write(true).open(image.path("out/root.verity")).unwrap();
        // The superblock, a tree of two levels, and a block of parity for each of two rounds and two roots.
        assert_eq!(hash.metadata().unwrap().len(), (1 + 1 + 3 + 4) * BLOCK as u64);
        hash.set_len(1 << 20).unwrap();
    }
    let printed = String::from_utf8(printed).unwrap();
    let value = |key: &str| printed.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
    let hex = value("root hash:");
    assert_eq!(fs::read_to_string(image.path("out/root-hash")).unwrap(), format!("{hex}\n"));
    assert_eq!(value("data partition UUID:").replace('-', ""), hex[..32]);
    assert_eq!(value("hash partition UUID:").replace('-', ""), hex[32..]);

    let table = value("table:");
    let table = VerityTable::parse(table.strip_prefix("0 2400 verity ").unwrap()).unwrap();
    assert_eq!(table.data_device, format!("PARTUUID={}", value("data partition UUID:")));
    assert_eq!(table.hash_device, format!("PARTUUID={}", value("hash partition UUID:")));
    assert_eq!((table.data_blocks, table.hash_start, table.root_hash.to_string()), (300, 1, hex));
    let fec = table.options.fec.unwrap();
    assert_eq!((&fec.device, fec.blocks, fec.start, fec.roots), (&table.hash_device, 304, 5, 2));

    // It can be repaired.
    let hash = image.path("out/root.verity");
    let devices = Devices { fec: Some(hash.clone()), ..Devices::new(image.path("data.img"), &hash) };
    let params = dmverity::load(&hash, 0, Some(Fec::new(2, 5 * BLOCK as u64).unwrap())).unwrap();
    image.flip("data.img", 7 * BLOCK);
    let repair = dmverity::repair(&devices, &params, &table.root_hash, RepairMode::Write, &Work::default()).unwrap();
    assert!(repair.is_clean_afterwards());
    assert_eq!(repair.blocks().len(), 1);
    assert_eq!(fs::read(image.path("data.img")).unwrap(), image.data);
}

#[test]
fn the_builder_says_what_is_wrong() {
    let image = Image::new(Vec::new());
    for (arguments, message) in
        [(vec![], "usage: "), (vec![image.path("data.img"), image.path("out")], "0 bytes are less than one data block")]
    {
        let output = example("image_builder").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }
    assert!(!image.path("out/root.verity").exists());
}

#[test]
fn the_reader_hands_out_images_of_every_shape() {
    let small = BlockSize::new(512).unwrap();
    let sha1 = HashAlgorithm::from_name("sha1").unwrap();
    let shapes = [
        // No level, one, two, and four, in which hash blocks have another size than the data's.
        (1, Params::builder()),
        (2, Params::builder().salt(Salt::new(b"salt").unwrap())),
        (129, Params::builder()),
        (5000, Params::builder().data_block_size(small).hash_block_size(small)),
        (600, Params::builder().data_block_size(BlockSize::new(1024).unwrap()).hash_block_size(small)),
        // Digests that are not a power of two, padded or not, and the salt before or after.
        (300, Params::builder().algorithm(sha1).hash_block_size(small)),
        (300, Params::builder().algorithm(sha1).hash_type(HashType::ChromeOs).salt(Salt::new(b"salt").unwrap())),
    ];
    for (blocks, builder) in shapes {
        let block_size = builder.clone().data_blocks(1).build(1 << 20).unwrap().data_block_size();
        let image = Image::new(data(blocks, block_size.as_usize()));
        let (layout, root_hash) = image.format(builder);
        let output = image.read(&root_hash);
        assert!(output.status.success(), "{layout:?}: {}", stderr(&output));
        assert_eq!(layout.params().data_blocks(), blocks as u64);
        assert!(output.stdout == image.data, "{layout:?}");
    }
}

#[test]
fn the_reader_stops_before_a_tampered_block() {
    let image = Image::new(data(300, BLOCK));
    let (layout, root_hash) = image.format(Params::builder());
    // Level 1 is block 1, and level 0 the blocks 2 to 4, of 128 digests each.
    assert_eq!(layout.levels().iter().map(|level| level.first_block).collect::<Vec<_>>(), [2, 1]);
    let cases = [
        ("data.img", 0, 0, "data block 0 at byte 0"),
        ("data.img", 200 * BLOCK + 4095, 200, "data block 200 at byte 819200"),
        ("data.img", 300 * BLOCK - 1, 299, "data block 299 at byte 1224704"),
        // The digest of block 130; nothing below the hash block that it is in is handed out.
        ("hash.img", 3 * BLOCK + 2 * 32, 128, "hash block 3 at byte 12288"),
        // Behind the last digest.
        ("hash.img", 5 * BLOCK - 1, 256, "hash block 4 at byte 16384"),
        ("hash.img", BLOCK, 0, "hash block 1 at byte 4096"),
    ];
    for (file, at, blocks, message) in cases {
        image.flip(file, at);
        let output = image.read(&root_hash);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert_eq!(stderr(&output), format!("verifying_reader: {message} is not what the root hash says\n"));
        assert!(output.stdout == image.data[..blocks * BLOCK], "{message}: {} bytes", output.stdout.len());
        image.flip(file, at);
    }
    let output = image.read(&RootHash::new(vec![0; 32]));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(image.read(&root_hash).status.success());
}

/// A program that is ended with the test.
#[cfg(feature = "nbd")]
struct Running(std::process::Child);

#[cfg(feature = "nbd")]
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(feature = "nbd")]
#[test]
fn the_server_serves_a_file() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    let image = Image::new(data(4, BLOCK));
    let socket = image.path("nbd");
    let mut server = example("nbd_server");
    let mut server = Running(server.args([image.path("data.img"), socket.clone()]).spawn().expect("it runs"));
    let mut client = loop {
        match UnixStream::connect(&socket) {
            Ok(client) => break client,
            Err(_) => assert_eq!(server.0.try_wait().expect("it is a child"), None),
        }
    };
    // Hello, EXPORT_NAME, a read of ten bytes from byte 5000 on, and goodbye.
    let read = [b"\x25\x60\x95\x13\0\0\0\0a cookie", &5000_u64.to_be_bytes()[..], &[0, 0, 0, 10]].concat();
    let bye = [&read[..6], &[0, 2], &[0; 20]].concat();
    client.write_all(&[b"\0\0\0\x03IHAVEOPT\0\0\0\x01\0\0\0\0", &read[..], &bye].concat()).expect("it listens");
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).expect("it answers");
    let reply = [b"\x67\x44\x66\x98\0\0\0\0a cookie", &image.data[5000..5010]].concat();
    assert_eq!(heard[28..], reply);
}
