//! Heads and bodies, at every cut.

use super::alloc::format;
use super::alloc::string::String;
use super::alloc::vec::Vec;
use crate::http::{Body, Fields, Head, MAX_FIELDS, MAX_HEAD, MAX_TARGET, Method};

/// What is made of a head: its length, whether the connection persists, and the body, if that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Made {
    Head(usize, bool, Option<u64>),
    Refused(u16),
    Incomplete,
}

fn made(data: &[u8]) -> Made {
    let mut fields = Fields::new();
    match Head::parse(data, &mut fields) {
        Ok(Some(head)) => Made::Head(head.len(), head.keep_alive(), head.body().remaining()),
        Ok(None) => Made::Incomplete,
        Err(refusal) => Made::Refused(refusal.status.code()),
    }
}

/// What is made of the whole must be made of the first piece that decides it, and of nothing before.
fn at_every_cut(data: &[u8], expected: Made) {
    let name = data.escape_ascii();
    assert_eq!(made(data), expected, "{name}");
    let found = (0..=data.len()).map(|cut| (cut, made(&data[..cut])));
    let mut decided = found.filter(|(_, made)| *made != Made::Incomplete);
    match (expected, decided.next()) {
        (Made::Head(len, ..), first) => assert_eq!(first, Some((len, expected)), "{name}"),
        (Made::Refused(_), Some((_, first))) => assert_eq!(first, expected, "{name}"),
        (Made::Refused(_) | Made::Incomplete, first) => {
            assert!(first.is_none(), "{name}: {first:?}");
        }
    }
    assert!(
        decided.all(|(_, made)| made == expected),
        "{name}: it changes its mind"
    );
}

#[test]
fn valid_heads() {
    for (head, keep_alive, body) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", true, Some(0)),
        ("GET / HTTP/1.0\r\n\r\n", false, Some(0)),
        (
            "GET / HTTP/1.0\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n",
            true,
            Some(0),
        ),
        // Later minor versions are 1.1.
        ("GET / HTTP/1.2\r\nHost: x\r\n\r\n", true, Some(0)),
        ("GET / HTTP/1.9\r\nHost: x\r\n\r\n", true, Some(0)),
        // LF alone ends a line, in all or some of them; empty lines come before.
        ("GET / HTTP/1.0\n\n", false, Some(0)),
        ("GET / HTTP/1.1\nHost: x\n\n", true, Some(0)),
        ("GET / HTTP/1.1\r\nHost: x\n\r\n", true, Some(0)),
        ("\r\n\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", true, Some(0)),
        // The connection's options are a list over all fields.
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            false,
            Some(0),
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: TE, close\r\n\r\n",
            false,
            Some(0),
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nConnection: Close\r\n\r\n",
            false,
            Some(0),
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: closer\r\n\r\n",
            true,
            Some(0),
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
            true,
            Some(0),
        ),
        // Hosts.
        ("GET / HTTP/1.1\r\nhOST:x.example:80\r\n\r\n", true, Some(0)),
        (
            "GET / HTTP/1.1\r\nHost: \t 10.0.0.1:8080 \t\r\n\r\n",
            true,
            Some(0),
        ),
        (
            "GET / HTTP/1.1\r\nHost: [fe80::1]:8080\r\n\r\n",
            true,
            Some(0),
        ),
        ("GET / HTTP/1.1\r\nHost: x:\r\n\r\n", true, Some(0)),
        ("GET / HTTP/1.1\r\nHost: a_b-c.d~%41\r\n\r\n", true, Some(0)),
        // Bodies.
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
            true,
            Some(5),
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\ncontent-LENGTH:\t0005 \r\n\r\n",
            true,
            Some(5),
        ),
        (
            "POST / HTTP/1.0\r\nContent-Length: 18446744073709551614\r\n\r\n",
            false,
            Some(u64::MAX - 1),
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n",
            true,
            None,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: ,chunked,\r\n\r\n",
            true,
            None,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n",
            true,
            Some(5),
        ),
        ("GET / HTTP/1.0\r\nExpect: anything\r\n\r\n", false, Some(0)),
        // Values may be empty, and hold bytes beyond ASCII; a method may be unknown.
        (
            "GET / HTTP/1.1\r\nHost: x\r\nX:\r\nY: \u{e9}\t|\"\r\n\r\n",
            true,
            Some(0),
        ),
        ("BREW / HTTP/1.1\r\nHost: x\r\n\r\n", true, Some(0)),
        ("get / HTTP/1.1\r\nHost: x\r\n\r\n", true, Some(0)),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", true, Some(0)),
        (
            "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n",
            true,
            Some(0),
        ),
    ] {
        at_every_cut(head.as_bytes(), Made::Head(head.len(), keep_alive, body));
        // What is behind it is not its own.
        let more = format!("{head}GET / HTTP/1.1\r\nHost: y\r\n\r\n");
        assert_eq!(
            made(more.as_bytes()),
            Made::Head(head.len(), keep_alive, body),
            "{head}"
        );
    }
}

#[test]
fn refused_heads() {
    for (head, status) in [
        // No request, or none of this protocol.
        ("\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}", 400),
        ("\0", 400),
        ("hello\r\n\r\n", 400),
        ("<34>1 2026-11-30T00:00:00Z h a - - - x\n", 400),
        ("\r\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (" GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / \r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("GET / a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / http/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.10\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\rHost: x\r\n\r\n", 400),
        ("GET / HTTP/a.1\r\nHost: x\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("GET / HTTP/0.9\r\n\r\n", 505),
        ("GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
        // Targets.
        ("GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET a.txt HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET http://u:p@x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT x: HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT x:65536 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT [::1] HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        // Field lines.
        ("GET / HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: y\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: a\x1b[31m\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nX\0: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nX\u{e9}: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\n\rX: a\r\n\r\n", 400),
        // Hosts.
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost: x\r\nhost: y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x,y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: u@x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: http://x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x:80a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x:65536\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x:1:2\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [:::]\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [....]\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [127.0.0.1]\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x%4\r\n\r\n", 400),
        ("GET http://x/ HTTP/1.1\r\n\r\n", 400),
        // Two lengths, or none that all read alike.
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX: y\r\ncontent-length: 5\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5,\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5 5\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5;a\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1e1\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked;q=1\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            501,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n",
            501,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nExpect: more\r\nContent-Length: 5\r\n\r\n",
            417,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue, more\r\nContent-Length: 5\r\n\r\n",
            417,
        ),
    ] {
        at_every_cut(head.as_bytes(), Made::Refused(status));
    }
    // Found by fuzzing: "too long" is checked first, so that the result does not depend on how much has arrived.
    let long = [
        "A".repeat(60) + "\0",
        format!("GET /{}\0", "a".repeat(8000)),
    ];
    at_every_cut(long[0].as_bytes(), Made::Refused(501));
    at_every_cut(long[1].as_bytes(), Made::Refused(414));
    let late = format!("GET / HTTP/1.0\r\nA: {}\0", "a".repeat(MAX_HEAD));
    at_every_cut(late.as_bytes(), Made::Refused(431));
    // Bytes that are no text.
    at_every_cut(b"\x16\x03\x01\x02\x00\x01", Made::Refused(400));
    at_every_cut(b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", Made::Refused(400));
}

#[test]
fn garbage_is_refused_at_its_first_byte() {
    for first in (0..=255).filter(|first: &u8| !first.is_ascii_graphic()) {
        let expected = match first {
            b'\r' | b'\n' => Made::Incomplete,
            _ => Made::Refused(400),
        };
        assert_eq!(made(&[first]), expected, "{first}");
    }
}

#[test]
fn bounds_are_kept_to_the_byte() {
    let with_target = |len: usize| format!("GET /{} HTTP/1.0\r\n\r\n", "a".repeat(len - 1));
    let whole = with_target(MAX_TARGET);
    assert_eq!(
        made(whole.as_bytes()),
        Made::Head(whole.len(), false, Some(0))
    );
    for len in [MAX_TARGET + 1, MAX_HEAD, 100_000] {
        let long = with_target(len);
        assert_eq!(made(long.as_bytes()), Made::Refused(414), "{len}");
    }
    assert_eq!(
        made(&with_target(MAX_TARGET + 1).as_bytes()[..=MAX_TARGET + 5]),
        Made::Refused(414)
    );

    let start = "GET / HTTP/1.0\r\nCookie: ";
    let with_head = |len: usize| format!("{start}{}\r\n\r\n", "a".repeat(len - start.len() - 4));
    let whole = with_head(MAX_HEAD);
    assert_eq!(made(whole.as_bytes()), Made::Head(MAX_HEAD, false, Some(0)));
    let long = with_head(MAX_HEAD + 1);
    for cut in [MAX_HEAD, MAX_HEAD + 1] {
        assert_eq!(made(&long.as_bytes()[..cut]), Made::Refused(431), "{cut}");
    }
    assert_eq!(made(&long.as_bytes()[..MAX_HEAD - 1]), Made::Incomplete);
    // Not by empty lines, either, nor by a method.
    assert_eq!(made(&[b'\n'; MAX_HEAD]), Made::Refused(431));
    assert_eq!(made(&[b'\n'; MAX_HEAD - 1]), Made::Incomplete);
    assert_eq!(made(&[b'A'; 40]), Made::Incomplete);
    assert_eq!(made(&[b'A'; 41]), Made::Refused(501));

    let with_fields = |n: usize| format!("GET / HTTP/1.0\r\n{}\r\n", "A: b\r\n".repeat(n));
    let whole = with_fields(MAX_FIELDS);
    assert_eq!(
        made(whole.as_bytes()),
        Made::Head(whole.len(), false, Some(0))
    );
    assert_eq!(
        made(with_fields(MAX_FIELDS + 1).as_bytes()),
        Made::Refused(431)
    );
}

#[test]
fn what_a_browser_sends_is_taken() {
    let cookies: Vec<_> = (0..30)
        .map(|n| format!("session{n}={}", "a".repeat(100)))
        .collect();
    let cookies = cookies.join("; ");
    // Chromium 130, and what a chain of proxies adds.
    let head = format!(
        "GET /a/b?c=%20&d HTTP/1.1\r\nHost: 192.168.1.1:8080\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n\
         sec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\n\
         Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/130.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,\
         image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n\
         Sec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
         Accept-Language: en-US,en;q=0.9\r\nCookie: {cookies}\r\n{}\r\n",
        (0..60)
            .map(|n| format!("X-Forwarded-{n}: y\r\n"))
            .collect::<String>(),
    );
    let mut fields = Fields::new();
    let head = Head::parse(head.as_bytes(), &mut fields)
        .expect("valid")
        .expect("whole");
    assert_eq!(
        (head.method(), head.query()),
        (Method::Get, Some(&b"c=%20&d"[..]))
    );
    assert_eq!(head.value("COOKIE"), Some(cookies.as_bytes()));
    assert_eq!(head.elements("accept-encoding").count(), 4);
    assert!(head.keep_alive());
}

/// The body of a head, and what is made of what follows it, in pieces of every size: consumed and complete, or malformed.
fn skipped(mut body: Body, data: &[u8], piece: usize) -> Result<(usize, bool), ()> {
    let (mut from, mut to) = (0, 0);
    loop {
        let found = body.discard(&data[from..to]).map_err(|_| ())?;
        from += found.consumed;
        if found.complete || to == data.len() {
            assert_eq!(found.complete, body.is_empty());
            return Ok((from, found.complete));
        }
        to = data.len().min(to + piece);
    }
}

#[test]
fn bodies() {
    let body = |field: &str| {
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\n");
        let mut fields = Fields::new();
        let head = Head::parse(head.as_bytes(), &mut fields).expect("valid");
        head.expect("whole").body()
    };
    let long = |n: usize| format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(n));
    let trailers = |n: usize| format!("0\r\nA: {}\r\n\r\n", "x".repeat(n));
    for (data, expected) in [
        ("0\r\n\r\n", Ok(5)),
        ("0\r\n\r\nGET", Ok(5)),
        ("3\r\nabc\r\n0\r\n\r\n", Ok(13)),
        (
            "00a;x=\"y\"\r\n0123456789\r\nA\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
            Ok(43),
        ),
        (
            "1 ;a\r\nx\r\n0\r\nTrailer: y\r\nOther: z\r\n\r\nGET",
            Ok(36),
        ),
        (&long(200), Ok(212)),
        (&trailers(2000), Ok(2010)),
        ("", Err(true)),
        ("3\r\nab", Err(true)),
        ("0\r\n", Err(true)),
        ("\r\n\r\n", Err(false)),
        (";a\r\n\r\n", Err(false)),
        ("g\r\n", Err(false)),
        ("-1\r\n", Err(false)),
        ("0x1\r\na\r\n", Err(false)),
        ("+1\r\na\r\n", Err(false)),
        ("1\na\r\n0\r\n\r\n", Err(false)),
        ("1;\na\r\n0\r\n\r\n", Err(false)),
        ("1;a\nb\r\n0\r\n\r\n", Err(false)),
        ("1;\nx\r\n0\r\n0\r\n\r\n", Err(false)),
        ("1\r\nab\r\n", Err(false)),
        ("1\r\na\n0\r\n\r\n", Err(false)),
        ("1\r\na\rb", Err(false)),
        ("1\r\na0\r\n\r\n", Err(false)),
        ("ffffffffffffffff\r\n", Err(false)),
        ("11111111111111111\r\n", Err(false)),
        ("0\r\nno field\r\n\r\n", Err(false)),
        (&long(300), Err(false)),
        (&trailers(3000), Err(false)),
        (&long(300)[..300], Err(false)),
        (&trailers(3000)[..2500], Err(false)),
    ] {
        for piece in 1..=data.len().max(1) {
            let found = skipped(body("Transfer-Encoding: chunked"), data.as_bytes(), piece);
            let found = match found {
                Ok((n, true)) => Ok(n),
                Ok((_, false)) => Err(true),
                Err(()) => Err(false),
            };
            assert_eq!(
                found,
                expected,
                "{} in pieces of {piece}",
                data.escape_debug()
            );
        }
    }
    for (bytes, there) in [(0, 0), (1, 3), (5, 5), (5, 4), (1_000_000, 10)] {
        let left = body(&format!("Content-Length: {bytes}"));
        for piece in 1..=10 {
            let found = skipped(left, &[b'x'; 10][..there], piece);
            assert_eq!(found, Ok((there.min(bytes), there >= bytes)));
        }
    }
}
