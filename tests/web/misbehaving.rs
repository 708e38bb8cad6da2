//! Servers that do what a server must not do.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::command::{Ended, Image};
use crate::server::{Answer, Request, Server};

/// Verifies an image that is on a server which behaves like this.
fn verified(behaviour: impl Fn(&Request, &[u8]) -> Answer + Send + Sync + 'static) -> Ended {
    let image = Image::new(600, &[]);
    let server = Server::new(behaviour);
    let [data, hash] = ["data.img", "hash.img"].map(|name| server.put(&image.path(name)));
    image.run(&["verify", &data, &hash, &image.root_hash, "--http-timeout=1"])
}

fn right(request: &Request, file: &[u8]) -> Answer {
    Answer::right(file, &request.range)
}

/// Whether a request is the second one or a later one.
fn is_later(request: &Request) -> bool {
    request.number > 2
}

#[test]
fn a_server_without_ranges_is_named_as_such() {
    let answer = |_: &Request, file: &[u8]| Answer {
        status: "200 OK",
        body: file.to_vec(),
        ..Answer::status("").header("Content-Length", file.len().to_string())
    };
    verified(answer)
        .expect(4, "the server serves no ranges of the file.")
        .expect(4, "hint: use a server that serves ranges (status 206), or download the file.");
}

#[test]
fn an_answer_that_is_not_the_range_is_refused() {
    let sizes = ["bytes 0-9/10", "bytes 1-131072/2457600", "bytes 0-131071/*", "bytes 0-131071/99999999999999999999"];
    for range in sizes {
        verified(move |request, file| right(request, file).header("Content-Range", range))
            .expect(4, "the server's answer");
    }
    verified(|request, file| right(request, file).header("Content-Length", "5")).expect(4, "its length is not");
    verified(|request, file| right(request, file).header("Content-Encoding", "gzip")).expect(4, "it is encoded");
    verified(|request, file| right(request, file).header("Content-Range", b"bytes 0-\xff/9".to_vec()))
        .expect(4, "the server's answer");
    verified(|_, _| Answer::raw(vec![b'a'; 1 << 20])).expect(4, "hint: ");
    let endless = [b"HTTP/1.1 206 OK\r\n".to_vec(), b"X: y\r\n".repeat(1 << 20)].concat();
    verified(move |_, _| Answer::raw(endless.clone())).expect(4, "hint: ");
}

#[test]
fn a_file_that_changes_is_not_mixed_with_what_it_was() {
    verified(|request, file| {
        let tag = if is_later(request) { "\"second\"" } else { "\"first\"" };
        right(request, file).header("ETag", tag)
    })
    .expect(1, "the file on the server has changed: it has another entity tag than before.");
    verified(|request, file| {
        let file = if is_later(request) { &file[..file.len() - 1] } else { file };
        right(request, file)
    })
    .expect(1, "the file on the server has changed");
    verified(|request, file| {
        let time = if is_later(request) { "Tue" } else { "Mon" };
        right(request, file).header("ETag", "W/\"weak\"").header("Last-Modified", time)
    })
    .expect(1, "another time of modification");
}

#[test]
fn a_size_that_is_a_lie_is_found_out() {
    // More than there is.
    verified(|request, file| {
        let end = request.range.end.min(file.len()) - 1;
        right(request, file).header("Content-Range", format!("bytes {}-{end}/9000000000000000000", request.range.start))
    })
    .expect(4, "the server's answer");
    // Less than there is.
    verified(|request, file| right(request, &file[..file.len().min(100_000)])).expect(1, "hint: ");
}

#[test]
fn what_passes_does_no_harm() {
    let cases: [fn(&Request, &[u8]) -> Answer; 5] = [
        |_, _| Answer::status("503 Service Unavailable"),
        |_, _| Answer::status("429 Too Many Requests").header("Retry-After", "0"),
        |request, file| Answer { cut: Some(10), ..right(request, file) },
        |_, _| Answer::raw(""),
        |request, file| Answer { cut: Some(70_000.min(request.range.len() / 2)), ..right(request, file) },
    ];
    for case in cases {
        let ended = verified(
            move |request, file| {
                if request.number % 3 == 0 { case(request, file) } else { right(request, file) }
            },
        );
        ended.expect(0, "");
    }
}

#[test]
fn what_does_not_pass_fails_in_the_end() {
    verified(|_, _| Answer::status("500 Internal Server Error")).expect(4, "the server answers with status 500.");
    verified(|request, file| Answer { cut: Some(0), ..right(request, file) }).expect(4, "it ends too early");
    verified(|_, _| Answer::status("403 Forbidden")).expect(4, "https://USER:PASSWORD@HOST/PATH");
    verified(|_, _| Answer::status("302 Found").header("Location", "/data.img")).expect(4, "it redirects without end");
}

#[test]
fn a_server_that_stalls_is_given_up_and_asked_again() {
    static HAS_STALLED: AtomicBool = AtomicBool::new(false);
    let ended = verified(|request, file| {
        let mut answer = right(request, file);
        if is_later(request) && !HAS_STALLED.swap(true, Ordering::Relaxed) {
            answer.cut = Some(1000);
            answer.stalls = true;
        }
        answer
    });
    ended.expect(0, "");
    assert!(HAS_STALLED.load(Ordering::Relaxed));
}

#[test]
fn redirects_are_followed_and_passwords_are_not_sent_on() {
    let image = Image::new(600, &[]);
    let target = Server::new(|request, file| {
        assert!(!request.headers.contains_key("authorization"));
        right(request, file)
    });
    target.put(&image.path("data.img"));
    let port = target.port;
    let server = Server::new(move |request, file| {
        assert_eq!(request.headers.get("authorization").map(String::as_str), Some("Basic bWU6c2VjcmV0"));
        if request.path == "/data.img" {
            let location = format!("http://127.0.0.1:{port}/data.img");
            return Answer::status("302 Found").header("Location", location);
        }
        right(request, file)
    });
    let [data, hash] = ["data.img", "hash.img"].map(|name| server.put(&image.path(name)));
    let secret = |url: &str| url.replace("//", "//me:secret@");
    let [data, hash] = [secret(&data), secret(&hash)];
    for arguments in [&["--json"][..], &["-v", "--debug"], &["--fec-device=missing"]] {
        let all = [&["verify", &*data, &*hash, &*image.root_hash], arguments].concat();
        let ended = image.run(&all);
        assert_eq!(ended.code == 0, arguments != ["--fec-device=missing"], "{ended:?}");
        assert!(!ended.stdout.contains("secret") && !ended.stderr.contains("secret"), "{ended:?}");
    }
    assert!(target.requests() > 2);
}
