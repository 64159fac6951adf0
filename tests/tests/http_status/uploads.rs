//! Uploads that are not wanted: the client gets its response, and the connection goes on if that is possible.

use super::start;
use std::io::Read;
use tests::bounded::Watchdog;
use tests::http::Response;
use tests::net::{Client, tcp};
use tests::process::Program;

/// A request with a body of so many bytes, in chunks or not.
fn upload(target: &str, bytes: usize, chunked: bool) -> Vec<u8> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\n");
    if !chunked {
        let head = format!("{head}Content-Length: {bytes}\r\n\r\n");
        return [head.as_bytes(), &vec![b'x'; bytes]].concat();
    }
    let mut all = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in vec![b'x'; bytes].chunks(60_000) {
        all.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        all.extend(chunk);
        all.extend(b"\r\n");
    }
    all.extend(b"0\r\n\r\n");
    all
}

#[test]
fn an_upload_gets_its_response_after_all_was_sent() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    for chunked in [false, true] {
        let mut client = tcp(site.program.address());
        for bytes in [1, 5000, 100_000, 1_000_000, 10_000_000] {
            // All of it before the first byte of the response is read.
            client.say(&upload("/", bytes, chunked));
            let response = Response::read(&mut client, false);
            assert_eq!(response.status, 405, "{bytes} bytes, {chunked}");
            assert_eq!(response.field("connection"), "keep-alive");
            client.say(b"GET /sub/a.txt HTTP/1.1\r\nHost: x\r\n\r\n");
            assert_eq!(Response::read(&mut client, false).text(), "small\n");
        }
    }
    // Beyond what is discarded the connection ends, and the response is there all the same.
    let mut client = tcp(site.program.address());
    client.say(&upload("/", 20_000_000, false));
    let response = Response::rest(&mut client);
    assert_eq!((response.len(), response[0].status), (1, 405));
    assert_eq!(response[0].field("connection"), "close");
    assert_eq!(site.program.stop().code, Some(0));
}

/// The length of a body is unknown behind a head that was refused, or when a client sends it without waiting for the
/// 100 that it expects.
#[test]
fn an_upload_behind_a_refused_head_gets_its_response_too() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(8001));
    let large = format!("GET / HTTP/1.0\r\nA: {}\r\n\r\n", "b".repeat(8192));
    for (head, status) in [
        ("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            501,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: x\r\nExpect: more\r\n\r\n", 417),
        ("POST / HTTP/3.1\r\nHost: x\r\n\r\n", 505),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
            405,
        ),
        (
            "GET /sub/a.txt HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
            200,
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
            413,
        ),
        (&long, 414),
        (&large, 431),
    ] {
        // All at once, or after the response and the end of the other side.
        for waits in [false, true] {
            let mut client = tcp(site.program.address());
            client.say(head.as_bytes());
            let mut responses = Vec::new();
            if waits {
                responses = Response::rest(&mut client);
            }
            for _ in 0..1000 {
                client.say(&[b'x'; 10_000]);
            }
            client.finish();
            responses.extend(Response::rest(&mut client));
            let found: Vec<_> = responses.iter().map(|it| it.status).collect();
            assert_eq!(found, [status], "{head}");
            assert_eq!(responses[0].field("connection"), "close");
        }
    }
    assert_eq!(site.program.stop().code, Some(0));
}

/// The content of a GET means nothing. It comes before the response is read, more of it than all windows hold.
#[test]
fn a_get_with_a_body_gets_its_response() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    let mut client = tcp(site.program.address());
    for _ in 0..2 {
        let request = "GET /big.bin HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n";
        client.say(request.as_bytes());
        client.say(&vec![b'x'; 5_000_000]);
        let response = Response::read(&mut client, false);
        assert_eq!((response.status, response.content.len()), (200, 1_000_000));
    }
    assert_eq!(site.program.stop().code, Some(0));
}

#[test]
fn a_client_that_expects_100_gets_its_response_at_once() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    for (request, status, content) in [
        ("POST /", 405, "405 Method Not Allowed"),
        ("GET /sub/a.txt", 200, "small\n"),
    ] {
        let mut client = tcp(site.program.address());
        let fields = "Host: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n";
        client.say(format!("{request} HTTP/1.1\r\n{fields}\r\n").as_bytes());
        // The body is not sent before the response is there, with its content.
        let response = Response::read(&mut client, false);
        assert_eq!((response.status, response.text()), (status, content));
        assert_eq!(response.field("connection"), "close");
        // What comes then may be the body, or not: it is not taken for a request.
        client.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.rest(), b"");
    }
    assert_eq!(site.program.stop().code, Some(0));
}

/// Whether they come with the head, or before the response has arrived, or later: the response arrives, whole, and is
/// the last.
#[test]
fn chunks_that_are_none_end_the_connection() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    for body in [
        "x\r\n",
        "5\r\nabcdefg\r\n",
        "1\na\n0\n\n",
        "1;\nx\r\n0\r\n\r\n",
        "ffffffffffffffff\r\n",
    ] {
        for (request, status, length) in [
            ("POST /", 405, None),
            ("GET /", 200, None),
            ("GET /sub/a.txt", 200, Some(6)),
            ("GET /big.bin", 200, Some(1_000_000)),
            ("HEAD /big.bin", 200, Some(0)),
        ] {
            let head =
                format!("{request} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
            let rest = format!("{body}GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            let is_head = request.starts_with("HEAD");
            let mut client = tcp(site.program.address());
            client.say(format!("{head}{rest}").as_bytes());
            let response = Response::read(&mut client, is_head);
            assert_eq!(response.status, 400, "{request}, {body:?}");
            assert_eq!(response.field("connection"), "close");
            assert_eq!(client.rest(), b"", "{request}, {body:?}");

            let mut client = tcp(site.program.address());
            client.say(head.as_bytes());
            let mut begun = [0; 12];
            client.read_exact(&mut begun).expect("a status line");
            client.say(rest.as_bytes());
            let response = Response::read(&mut (&begun[..]).chain(&mut client), is_head);
            assert_eq!(response.status, status, "{request}, {body:?}");
            if let Some(length) = length {
                assert_eq!(response.content.len(), length, "{request}, {body:?}");
            }
            assert_eq!(client.rest(), b"", "{request}, {body:?}");
        }
    }
    assert_eq!(site.program.stop().code, Some(0));
}

/// The program's metrics are behind the same functions.
#[test]
fn an_upload_to_the_metrics_gets_a_response_too() {
    let _bound = Watchdog::new();
    let program = Program::start(&["--metrics", "127.0.0.1:0"]);
    let output = program.output();
    let mut lines = output.lines();
    let address = lines.find_map(|line| line.strip_prefix("metrics on "));
    let address = address.expect("metrics").parse().expect("an address");
    for (chunked, bytes) in [
        (false, 10),
        (false, 10_000_000),
        (true, 10),
        (true, 10_000_000),
    ] {
        let mut client = tcp(address);
        client.say(&upload("/metrics", bytes, chunked));
        let response = Response::read(&mut client, false);
        assert_eq!(response.status, 405, "{bytes}, {chunked}");
        assert_eq!(response.field("connection"), "close");
    }
    assert_eq!(program.stop().code, Some(0));
}
