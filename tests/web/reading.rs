//! What can be read from a server that is as it should be: the same as from a local file.

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::Client;
use crate::command::{BLOCK, Ended, Image};
use crate::server::{Answer, Server};

#[test]
fn data_hash_tree_and_parity_can_be_anywhere() {
    let image = Image::new(700, &["--fec-device=fec.img"]);
    let server = Server::right();
    let [data, hash, fec] = ["data.img", "hash.img", "fec.img"].map(|name| server.put(&image.path(name)));
    let places = [(&*data, &*hash), (&*data, "hash.img"), ("data.img", &*hash)];
    for (data, hash) in places {
        image.run(&["verify", data, hash, &image.root_hash]).expect(0, "");
    }
    let with_fec = format!("--fec-device={fec}");
    image.run(&["verify", &data, &hash, &image.root_hash, &with_fec, "--strict"]).expect(0, "");
    let wrong = image.root_hash.replace(char::is_numeric, "a");
    let [here, there] = [["data.img", "hash.img"], [&*data, &*hash]]
        .map(|[data, hash]| image.run(&["verify", data, hash, &wrong, "--json"]));
    assert_eq!((here.code, &here.stderr), (there.code, &there.stderr));
    assert_eq!(here.stdout.replace("data.img", &data).replace("\"hash.img", &format!("\"{hash}")), there.stdout);
    let dumps = ["hash.img", &*hash].map(|hash| image.run(&["dump", hash, "--root-hash"]));
    assert_eq!(dumps[0].stdout.replace("hash.img", &hash), dumps[1].stdout, "{dumps:?}");
}

#[test]
fn an_image_in_one_file_is_one_url() {
    let image = Image::appended(300);
    let server = Server::right();
    let url = server.put(&image.path("data.img"));
    image.run(&["verify", &url, &url, &image.root_hash, "--hash-offset=auto"]).expect(0, "");
    let offset = format!("--hash-offset={}", image.data.len());
    image.run(&["verify", &url, &url, &image.root_hash, &offset]).expect(0, "");
    image.run(&["dump", &url, &offset]).expect(0, "");
    image.run(&["verify", &url, &url, &image.root_hash]).expect(1, "hint: if the hash tree follows the data");
    image
        .run(&["verify", &url, &format!("--root-hash={}", image.root_hash)])
        .expect(1, "on a web server veritysetup does not look for files next to it");
}

#[test]
fn a_disk_image_is_one_url() {
    let image = Image::new(64, &[]);
    let made = image.run(&["build", "--root=data.img", "--output=disk.raw", "--json"]);
    made.expect(0, "");
    let server = Server::right();
    let url = server.put(&image.path("disk.raw"));
    let json: serde_json::Value = serde_json::from_str(&made.stdout).expect("JSON");
    let text = json.to_string();
    let start = text.find("\"root_hash\":\"").expect("a root hash") + 13;
    let option = format!("--root-hash={}", &text[start..start + 64]);
    image.run(&["verify", &url, &option]).expect(0, "");
    let here = image.run(&["inspect", "disk.raw"]);
    let there = image.run(&["inspect", &url]);
    assert_eq!(here.stdout.replace("disk.raw", &url), there.stdout, "{here:?}");
    assert_eq!(image.run(&["dump", &url]).code, 0);
    let copy = ["--exec", "sh", "-c", "nbdcopy \"$uri\" copy.img"];
    image.run(&[&["serve", &url, &option], &copy[..]].concat()).expect(0, "");
    assert!(fs::read(image.path("copy.img")).expect("a copy") == image.data);
}

#[test]
fn clients_get_what_is_proven() {
    let image = Image::new(5000, &[]);
    let server = Server::right();
    let [data, hash] = ["data.img", "hash.img"].map(|name| server.put(&image.path(name)));
    let copy = ["--exec", "sh", "-c", "nbdcopy \"$uri\" copy.img"];
    let ended = image.run(&[&["serve", &*data, &*hash, &image.root_hash], &copy[..]].concat());
    ended.expect(0, "http_failed_requests=0");
    assert!(fs::read(image.path("copy.img")).expect("a copy") == image.data);
    let fetched = ended.counter("http_bytes_fetched");
    let all = image.data.len() as u64 + fs::metadata(image.path("hash.img")).expect("it is there").len();
    assert!(fetched >= all && fetched < all + all / 4, "{fetched} of {all}");
    assert!(ended.counter("http_requests") < all / (256 << 10), "{ended:?}");
    let json = image.run(&["serve", &data, &hash, &image.root_hash, "--json", "--exec", "true"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["data_device"], *data);
    assert_eq!(json["http"]["requests"], 2);
}

#[test]
fn an_image_on_a_server_is_a_file() {
    let image = Image::new(3000, &[]);
    fs::create_dir(image.path("mnt")).expect("writable");
    let server = Server::right();
    let [data, hash] = ["data.img", "hash.img"].map(|name| server.put(&image.path(name)));
    let mount = ["mount-file", &*data, &*hash, &*image.root_hash, "mnt", "--http-cache=cache"];
    let compare = ["--exec", "sh", "-c", "cmp \"$image\" data.img"];
    image.run(&[&mount[..], &compare].concat()).expect(0, "http_failed_requests=0");
    let again = image.run(&[&mount[..], &compare].concat());
    assert!(again.counter("http_bytes_fetched") <= 2 * 131_072 + 4096, "{again:?}");
}

#[test]
fn damage_is_found_where_it_is() {
    let image = Image::new(400, &[]);
    image.flip("data.img", (77 * BLOCK + 5) as u64);
    let server = Server::right();
    let [data, hash] = ["data.img", "hash.img"].map(|name| server.put(&image.path(name)));
    let [here, there] = [["data.img", "hash.img"], [&*data, &*hash]]
        .map(|[data, hash]| image.run(&["verify", data, hash, &image.root_hash]));
    assert_eq!((here.code, &here.stderr), (there.code, &there.stderr));
    let mut serve = image.command(&["serve", &data, &hash, &image.root_hash, "--socket=nbd"]);
    let mut child = serve.stderr(Stdio::piped()).spawn().expect("it runs");
    while UnixStream::connect(image.path("nbd")).is_err() {
        assert!(child.try_wait().expect("it is a child").is_none(), "it does not start");
        sleep(Duration::from_millis(5));
    }
    let mut client = Client::new(&image.path("nbd"), false);
    let mut read = |block: usize| client.read((block * BLOCK) as u64, 4096);
    for block in [76, 78, 0] {
        assert!(read(block).expect("it is right") == image.data[block * BLOCK..][..BLOCK]);
    }
    assert_eq!(read(77).expect_err("a bad block").errno, 5);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("it runs");
    let ended = Ended::of(&child.wait_with_output().expect("it is a child"));
    ended.expect(0, "Data block 77 at byte 315392 is not what the root hash says.");
    assert_eq!(ended.counter("corrupted"), 1);
}

#[test]
fn bytes_that_differ_each_time_never_arrive() {
    let image = Image::new(600, &[]);
    let server = Server::new(|request, file| {
        let mut answer = Answer::right(file, &request.range);
        // Every other answer about data is wrong in each block.
        if request.number % 2 == 1 && file.len() == 600 * BLOCK {
            answer.body.iter_mut().step_by(512).for_each(|byte| *byte ^= 1);
        }
        answer
    });
    let [data, hash] = ["data.img", "hash.img"].map(|name| server.put(&image.path(name)));
    let script = "nbdcopy \"$uri\" copy.img; true";
    let ended = image.run(&["serve", &data, &hash, &image.root_hash, "--exec", "sh", "-c", script]);
    ended.expect(0, "");
    let copy = fs::read(image.path("copy.img")).unwrap_or_default();
    let is_proven = |(copy, data): (&[u8], &[u8])| copy == data || copy.iter().all(|&byte| byte == 0);
    assert!(copy.chunks(BLOCK).zip(image.data.chunks(BLOCK)).all(is_proven));
}
