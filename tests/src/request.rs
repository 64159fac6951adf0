//! The body of the fuzz target `request`.

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};
use tidegate::http::{Body, Condition, Fields, Head, MAX_HEAD, Part, Representation};

/// Reads bytes as requests of HTTP, cut anywhere: what is made of them does not depend on the cut, a head that is taken has one
/// reading only, its path leads nowhere but down, its body ends where it ends, and a range lies within its file.
///
/// The first byte chooses whether the rest is taken as it is or as words of HTTP; the next ones where it is cut.
///
/// # Panics
///
/// When that does not hold.
pub fn request(data: &[u8]) {
    let [how, cut, more, rest @ ..] = data else {
        return;
    };
    let stream = match how % 2 {
        0 => rest.to_vec(),
        _ => rest.iter().flat_map(word).copied().collect(),
    };
    let at = |n: u8| usize::from(n) * (stream.len() + 1) / 256;
    let mut fields = Fields::new();
    let made = Head::parse(&stream, &mut fields);
    let told = made.map(|head| head.map(|head| (head.len(), head.keep_alive(), head.body())));
    for cut in [at(*cut), at(*more)] {
        let mut fields = Fields::new();
        match Head::parse(&stream[..cut], &mut fields) {
            Ok(None) => {}
            Ok(Some(head)) => {
                let early = Some((head.len(), head.keep_alive(), head.body()));
                assert_eq!(Ok(early), told, "a piece is another head");
            }
            Err(refusal) => {
                let whole = told.expect_err("a piece is refused, and not the whole");
                assert_eq!(refusal.status, whole.status);
            }
        }
    }
    match made {
        Ok(Some(head)) => {
            let (text, behind) = stream.split_at(head.len());
            check_head(&head, text);
            check_body(head.body(), behind, at(*cut).saturating_sub(text.len()));
        }
        Ok(None) => assert!(stream.len() < MAX_HEAD, "it is waited for more"),
        Err(_) => {}
    }
}

/// What a byte below 64 stands for; the most useful first, because they are made most often.
fn word(byte: &u8) -> &[u8] {
    const WORDS: [&[u8]; 64] = [
        b"GET ",
        b"/",
        b" HTTP/1.1\r\n",
        b"Host: x\r\n",
        b"\r\n",
        b"Content-Length: ",
        b"5",
        b"Transfer-Encoding: ",
        b"chunked",
        b"..",
        b"%2e",
        b"\n",
        b",",
        b"Range: bytes=",
        b"-",
        b"0",
        b"a",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"POST ",
        b"HEAD ",
        b"OPTIONS ",
        b"* ",
        b" HTTP/1.0\r\n",
        b" HTTP/1.2\r\n",
        b"http://",
        b"x:80",
        b"?",
        b"%2f",
        b"%",
        b"%00",
        b"%41",
        b".",
        b"Connection: ",
        b"close",
        b"keep-alive",
        b"Expect: 100-continue\r\n",
        b": ",
        b" ",
        b"\t",
        b"\r",
        b"\0",
        b"\x7f",
        b"\xc3\xa9",
        b"If-Range: ",
        b"If-None-Match: ",
        b"If-Match: ",
        b"If-Modified-Since: ",
        b"\"2-1-0\"",
        b"W/",
        b"Thu, 01 Jan 1970 00:00:00 GMT",
        b"1",
        b"f",
        b"18446744073709551615",
        b";",
        b"[::1]",
        b"@",
        b"#",
        b"\"",
        b"\r\n\r\n",
        b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        b"X: y\r\n",
        b"Host:",
        b"gzip",
        b"=",
    ];
    WORDS
        .get(usize::from(*byte))
        .map_or(core::slice::from_ref(byte), |word| *word)
}

/// Another reading of the head, by line ends and colons, must find what was found, once.
fn check_head(head: &Head<'_, '_>, text: &[u8]) {
    assert!(text.len() <= MAX_HEAD && text.ends_with(b"\n"));
    let lines: Vec<_> = text
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .skip_while(|line| line.is_empty())
        .collect();
    // The request line and the fields, the empty line, and what is behind the last line end.
    let [request, fields @ .., b"", b""] = &lines[..] else {
        panic!("a head of other lines: {}", text.escape_ascii());
    };
    assert!(request.iter().all(|&byte| byte >= b' ' && byte != 0x7f));
    assert!(fields.iter().all(|line| {
        let control = |&byte: &u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
        !line.is_empty() && !line.iter().any(control)
    }));
    let named = |name: &str| {
        let is = |line: &&&[u8]| {
            let name = name.as_bytes();
            line.len() > name.len()
                && line[..name.len()].eq_ignore_ascii_case(name)
                && line[name.len()] == b':'
        };
        fields.iter().filter(is).count()
    };
    let (hosts, lengths) = (named("host"), named("content-length"));
    let codings = named("transfer-encoding");
    assert_eq!(
        hosts,
        if request.ends_with(b"HTTP/1.0") {
            hosts.min(1)
        } else {
            1
        }
    );
    assert!(lengths <= 1 && (lengths == 0 || codings == 0));
    assert_eq!(head.body().remaining().is_none(), codings > 0);
    assert_eq!(head.values("host").count(), hosts);

    let (mut buffer, mut small) = ([0; MAX_HEAD], [0; 7]);
    if let Ok(path) = head.path(&mut buffer) {
        assert!(path.starts_with(b"/") && path.len() <= text.len());
        let mut names = path[1..].split(|&byte| byte == b'/');
        assert!(names.all(|name| name != b"." && name != b".." && !name.contains(&0)));
        if let Ok(short) = head.path(&mut small) {
            assert_eq!(short, path);
        }
    }
    let now = UNIX_EPOCH + Duration::from_secs(10);
    for (length, modified) in [(0, UNIX_EPOCH), (1, UNIX_EPOCH), (1000, SystemTime::now())] {
        let it = Representation::of_file(length, modified, 2, now);
        match it.part(head) {
            Part::Range { first, last } => assert!(first <= last && last < length),
            Part::Whole | Part::Unsatisfiable => {}
        }
        match it.condition(head) {
            Condition::Met => {}
            Condition::NotModified | Condition::Failed => {
                assert!(
                    text.iter().any(|byte| byte.eq_ignore_ascii_case(&b'i')),
                    "no condition"
                );
            }
        }
    }
}

/// In one piece or two, a body ends at the same byte, or is malformed.
fn check_body(body: Body, stream: &[u8], cut: usize) {
    let skip = |body: &mut Body, from: usize, to: usize| {
        let found = body.discard(&stream[from..to]).ok()?;
        assert!(found.consumed <= to - from && found.complete == body.is_empty());
        Some((from + found.consumed, found.complete))
    };
    let whole = skip(&mut body.clone(), 0, stream.len());
    let mut body = body;
    let pieces = match skip(&mut body, 0, cut.min(stream.len())) {
        Some((at, false)) => skip(&mut body, at, stream.len()),
        other => other,
    };
    assert_eq!(pieces, whole);
}
