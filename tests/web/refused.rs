//! What cannot be done with an image on a web server.

use std::fs;

use dmverity_tests::veritysetup;

use crate::command::{Ended, Image};
use crate::server::Server;

#[test]
fn what_writes_or_needs_a_block_device_says_so() {
    let image = Image::new(8, &[]);
    let (url, root_hash) = ("http://me:secret@127.0.0.1:9/data.img", &*image.root_hash);
    let cases: [(&[&str], &str); 6] = [
        (&["format", url, "new.img"], "Cannot format an image on a web server."),
        (&["repair", url, "hash.img", root_hash], "Cannot repair an image on a web server."),
        (&["open", url, "name", "hash.img", root_hash], "Cannot open an image on a web server."),
        (&["table", url, "hash.img", root_hash], "Cannot make a table for an image on a web server."),
        (&["plan", url], "Cannot plan an image on a web server."),
        (&["sign", url], "Cannot sign an image on a web server."),
    ];
    for (arguments, message) in cases {
        let ended = image.run(arguments);
        ended
            .expect(1, message)
            .expect(1, "hint: it can be read alone, with serve, mount-file, verify, dump and inspect");
        assert!(!ended.stderr.contains("secret"), "{ended:?}");
    }
    assert!(!image.path("new.img").exists());
}

#[test]
fn options_for_web_servers_need_one() {
    let image = Image::new(8, &[]);
    let local = ["verify", "data.img", "hash.img", &*image.root_hash];
    let run = |more: &[&str]| image.run(&[&local[..], more].concat());
    run(&["--http-timeout=5"]).expect(1, "Option --http-timeout is only for images on web servers.");
    let serve = |more: &str| image.run(&["serve", "data.img", "hash.img", &image.root_hash, more, "--exec", "true"]);
    serve("--http-cache=c").expect(1, "Option --http-cache is only for images on web servers.");
    serve("--http-cache-size=5000000").expect(1, "Option --http-cache-size must be used with --http-cache.");
    // What is checked is what the server has.
    run(&["--http-cache=c"]).expect(1, "is not allowed with verify action.");
    image.run(&["open", "a", "b", "c", "--http-timeout=5"]).expect(1, "is not allowed with open action.");
}

#[test]
fn a_build_without_it_says_what_to_do() {
    let image = Image::new(8, &[]);
    let mut command = std::process::Command::new(veritysetup());
    let url = "http://me:secret@127.0.0.1:9/data.img";
    let output = command.args(["verify", url, url, &image.root_hash]).output().expect("it runs");
    let ended = Ended::of(&output);
    ended.expect(1, "This veritysetup was built without HTTP.").expect(1, "make static FEATURES=http");
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
}

#[test]
fn a_local_file_of_such_a_name_can_be_reached() {
    let image = Image::new(8, &[]);
    fs::create_dir_all(image.path("http:/a")).expect("writable");
    fs::rename(image.path("data.img"), image.path("http:/a/data.img")).expect("writable");
    image.run(&["verify", "./http://a/data.img", "hash.img", &image.root_hash]).expect(0, "");
}

#[test]
fn what_is_not_there_is_named() {
    let image = Image::new(8, &[]);
    let server = Server::right();
    let missing = format!("http://127.0.0.1:{}/missing", server.port);
    let ended = image.run(&["verify", "data.img", &missing, &image.root_hash]);
    ended.expect(4, &format!("Device {missing} cannot be opened.")).expect(4, "the server answers with status 404.");
    let ended = image.run(&["verify", "data.img", "http://a b/", &image.root_hash]);
    ended.expect(4, "the URL cannot be used: it has blanks");
}
