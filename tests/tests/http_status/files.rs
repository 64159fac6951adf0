//! Files: types, dates, tags, conditions and ranges; and what is not a file.

use super::start;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::thread;
use tests::bounded::Watchdog;
use tests::http::Response;
use tests::net::{Client, pattern, tcp};

const MODIFIED: &str = "Tue, 14 Nov 2023 22:13:20 GMT";

#[test]
fn a_file_is_sent_in_part_or_not_at_all_as_the_client_asks() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    let whole = site.get("/big.bin", "");
    assert_eq!(
        (whole.status, whole.field("last-modified")),
        (200, MODIFIED)
    );
    assert_eq!(whole.field("accept-ranges"), "bytes");
    let etag = whole.field("etag").to_owned();
    assert!(etag.starts_with('"') && etag.len() > 2, "{etag}");
    let all = pattern(7, 1_000_000);
    assert!(whole.content == all);
    for (lines, first, last) in [
        ("Range: bytes=0-0\r\n", 0, 0),
        ("Range: bytes=999990-\r\n", 999_990, 999_999),
        ("Range: bytes=100000-500000\r\n", 100_000, 500_000),
        ("Range: bytes=-70000\r\n", 930_000, 999_999),
        ("Range: bytes=5-9999999999\r\n", 5, 999_999),
        (&format!("Range: bytes=7-8\r\nIf-Range: {etag}\r\n"), 7, 8),
        (
            &format!("Range: bytes=7-8\r\nIf-Range: {MODIFIED}\r\n"),
            7,
            8,
        ),
    ] {
        let part = site.get("/big.bin", lines);
        let range = format!("bytes {first}-{last}/1000000");
        assert_eq!((part.status, part.field("content-range")), (206, &*range));
        assert!(part.content == all[first..=last], "{lines}");
        assert_eq!(part.field("etag"), etag);
    }
    for lines in [
        "Range: bytes=0-1,5-6\r\n",
        "Range: bytes=7-8\r\nIf-Range: \"x\"\r\n",
        "Range: x\r\n",
    ] {
        let response = site.get("/big.bin", lines);
        assert_eq!(
            (response.status, response.content.len()),
            (200, 1_000_000),
            "{lines}"
        );
    }
    let none = site.get("/big.bin", "Range: bytes=1000000-\r\n");
    assert_eq!(
        (none.status, none.field("content-range")),
        (416, "bytes */1000000")
    );
    for (lines, status) in [
        (format!("If-None-Match: {etag}\r\n"), 304),
        (
            format!("If-None-Match: \"a\"\r\nIf-None-Match: W/{etag}\r\n"),
            304,
        ),
        (format!("If-Modified-Since: {MODIFIED}\r\n"), 304),
        (format!("If-Match: {etag}\r\nRange: bytes=0-5\r\n"), 206),
        ("If-None-Match: \"a\"\r\n".into(), 200),
        (
            "If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT\r\n".into(),
            200,
        ),
        ("If-Match: \"a\"\r\n".into(), 412),
        (
            "If-Unmodified-Since: Tue, 14 Nov 2023 22:13:19 GMT\r\n".into(),
            412,
        ),
    ] {
        let response = site.get("/big.bin", &lines);
        assert_eq!(response.status, status, "{lines}");
        assert!(status != 304 || response.field("etag") == etag, "{lines}");
    }
    // Parts, conditions and HEAD leave a connection as it should be for the next.
    let mut client = tcp(site.program.address());
    for method in ["GET", "HEAD"] {
        client.say(
            format!(
                "{method} /big.bin HTTP/1.1\r\nHost: x\r\nIf-None-Match: {etag}\r\n\r\n\
                 {method} /big.bin HTTP/1.1\r\nHost: x\r\nRange: bytes=10-19\r\n\r\n"
            )
            .as_bytes(),
        );
        let to_head = method == "HEAD";
        assert_eq!(Response::read(&mut client, to_head).status, 304);
        let part = Response::read(&mut client, to_head);
        assert_eq!(part.status, if to_head { 200 } else { 206 });
    }
    // A file that has changed has another tag.
    let path = site.folder.path("root/big.bin");
    let file = OpenOptions::new().append(true).open(path);
    file.and_then(|mut file| file.write_all(b"more"))
        .expect("written");
    let lines = format!("Range: bytes=7-8\r\nIf-Range: {etag}\r\n");
    assert_eq!(site.get("/big.bin", &lines).content.len(), 1_000_004);
    assert_eq!(site.get("/empty.html", "Range: bytes=0-\r\n").status, 416);
    // The page is made for each request.
    let page = site.get(
        "/",
        &format!("If-Modified-Since: {MODIFIED}\r\nRange: bytes=0-1\r\n"),
    );
    assert_eq!(
        (page.status, page.field("cache-control")),
        (200, "no-store")
    );
    assert_eq!(site.program.stop().code, Some(0));
}

#[test]
fn types_are_those_of_the_names() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    for (name, kind) in [
        ("a.htm", "text/html; charset=utf-8"),
        ("A.HTML", "text/html; charset=utf-8"),
        ("a.b.css", "text/css; charset=utf-8"),
        ("m.mjs", "text/javascript; charset=utf-8"),
        ("m.JS", "text/javascript; charset=utf-8"),
        ("d.json", "application/json"),
        ("w.wasm", "application/wasm"),
        ("p.png", "image/png"),
        ("j.jpeg", "image/jpeg"),
        ("f.ico", "image/vnd.microsoft.icon"),
        ("x.xml", "application/xml"),
        ("d.pdf", "application/pdf"),
        ("f.woff2", "font/woff2"),
        ("i.svg", "image/svg+xml"),
        ("t.txt", "text/plain; charset=utf-8"),
        ("t.log", "text/plain; charset=utf-8"),
        ("html", "application/octet-stream"),
        ("a.html.bin", "application/octet-stream"),
        ("a.", "application/octet-stream"),
    ] {
        fs::write(site.folder.path(&format!("root/{name}")), "x").expect("a file");
        let response = site.get(&format!("/{name}"), "");
        assert_eq!(
            (response.status, response.field("content-type")),
            (200, kind),
            "{name}"
        );
    }
    assert_eq!(site.program.stop().code, Some(0));
}

#[test]
fn only_regular_files_are_opened() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    let fifo = site.folder.path("root/fifo.txt");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
    let _socket = UnixListener::bind(site.folder.path("root/socket.txt")).expect("a socket");
    // An open of a pipe for writing waits until it is opened for reading.
    let writer = thread::spawn({
        let fifo = fifo.clone();
        move || File::options().write(true).open(fifo)
    });
    for _ in 0..50 {
        assert_eq!(site.get("/fifo.txt", "").status, 404);
    }
    assert!(!writer.is_finished(), "the pipe was opened");
    let reader = File::open(fifo).expect("a pipe");
    writer.join().expect("no panic").expect("a pipe");
    drop(reader);
    for name in ["socket.txt", "sub", "link.txt", "big.bin/x"] {
        assert_eq!(site.get(&format!("/{name}"), "").status, 404, "{name}");
    }
    assert_eq!(site.program.stop().code, Some(0));
}
