//! Conditions, ranges, and the heads of responses.

use super::alloc::format;
use super::alloc::string::String;
use crate::http::{Condition, ContentRange, Fields, Head, Part, Representation, Response, Status};
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

/// Sun, 06 Nov 1994 08:49:37 GMT, the date in all examples of the RFCs; the next day.
const MODIFIED: Duration = Duration::new(784_111_777, 250_000_000);
const NOW: Duration = Duration::from_secs(784_111_777 + 86_400);

/// The clock of a machine whose clock is set, much later.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn file(length: u64) -> Representation {
    Representation::of_file(length, UNIX_EPOCH + MODIFIED, 0xab, UNIX_EPOCH + NOW)
}

const ETAG: &str = "\"ab-3e8-ae1b981cb2fbc80\"";

fn with_head<T>(method: &str, lines: &str, see: impl FnOnce(&Head<'_, '_>) -> T) -> T {
    let head = format!("{method} / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
    let mut fields = Fields::new();
    let head = Head::parse(head.as_bytes(), &mut fields).expect("valid");
    see(&head.expect("whole"))
}

fn field(it: &Representation, name: &str) -> Option<String> {
    let mut out = [0; 600];
    let response = Response {
        representation: Some(it),
        ..Response::new(Status::Ok, now())
    };
    let n = response.write(&mut out).expect("it fits");
    let head = core::str::from_utf8(&out[..n]).expect("text");
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(it, _)| *it == name)
        .map(|(_, value)| value.into())
}

#[test]
fn a_file_is_known_again_until_it_changes() {
    let etag = |it: &Representation| field(it, "ETag").expect("a tag");
    let one = etag(&file(1000));
    assert_eq!(one, ETAG);
    assert_eq!(
        field(&file(1000), "Last-Modified").as_deref(),
        Some("Sun, 06 Nov 1994 08:49:37 GMT")
    );
    assert_eq!(
        field(&file(1000), "Accept-Ranges").as_deref(),
        Some("bytes")
    );
    let at = |time: Duration, inode, now: Duration| {
        etag(&Representation::of_file(
            1000,
            UNIX_EPOCH + time,
            inode,
            UNIX_EPOCH + now,
        ))
    };
    assert_ne!(one, etag(&file(1001)));
    assert_ne!(one, at(MODIFIED, 0xac, NOW));
    assert_ne!(one, at(MODIFIED + Duration::from_nanos(1), 0xab, NOW));
    // Just written, or in the future: it may change within a tick.
    let second = Duration::from_secs(1);
    assert_eq!(at(MODIFIED, 0xab, MODIFIED + 2 * second), one);
    for now in [MODIFIED + second, MODIFIED, MODIFIED - second] {
        assert_eq!(at(MODIFIED, 0xab, now), format!("W/{one}"));
    }
    // Times that HTTP cannot write.
    for time in [
        UNIX_EPOCH - second,
        UNIX_EPOCH + Duration::from_secs(300_000_000_000),
    ] {
        let it = Representation::of_file(1, time, 2, now());
        assert_eq!(field(&it, "Last-Modified"), None);
        assert!(field(&it, "ETag").is_some());
    }
    let page = Representation::of_page(5);
    for name in ["ETag", "Last-Modified", "Accept-Ranges"] {
        assert_eq!(field(&page, name), None);
    }
}

#[test]
fn conditions() {
    use Condition::{Failed, Met, NotModified};
    let long = format!("If-None-Match: \"a\", W/\"b,c\"\r\nIf-None-Match: {ETAG}\r\n");
    for (lines, expected) in [
        ("", Met),
        (&format!("If-None-Match: {ETAG}\r\n"), NotModified),
        (&format!("If-None-Match: W/{ETAG}\r\n"), NotModified),
        (&long, NotModified),
        ("If-None-Match: *\r\n", NotModified),
        ("If-None-Match: \"other\"\r\n", Met),
        ("If-None-Match:\r\n", Met),
        (
            &format!("If-None-Match: {}\r\n", ETAG.replace('"', "")),
            Met,
        ),
        // In any of the three forms of a date.
        (
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            NotModified,
        ),
        (
            "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n",
            NotModified,
        ),
        (
            "If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n",
            NotModified,
        ),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", Met),
        ("If-Modified-Since: yesterday\r\n", Met),
        ("If-Modified-Since: 784111777\r\n", Met),
        // A tag goes before a date.
        (
            "If-None-Match: \"other\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            Met,
        ),
        (&format!("If-Match: {ETAG}\r\n"), Met),
        ("If-Match: *\r\n", Met),
        ("If-Match: \"other\"\r\n", Failed),
        (&format!("If-Match: W/{ETAG}\r\n"), Failed),
        (
            "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            Met,
        ),
        (
            "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n",
            Failed,
        ),
        ("If-Unmodified-Since: x\r\n", Met),
    ] {
        for method in ["GET", "HEAD"] {
            let found = with_head(method, lines, |head| file(1000).condition(head));
            assert_eq!(found, expected, "{method}: {lines}");
        }
    }
    let found = with_head("PUT", "If-None-Match: *\r\n", |head| {
        file(1000).condition(head)
    });
    assert_eq!(found, Failed);
    let page = Representation::of_page(5);
    for (lines, expected) in [
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", Met),
        ("If-None-Match: \"\"\r\n", Met),
        ("If-Match: \"x\"\r\n", Failed),
    ] {
        let found = with_head("GET", lines, |head| page.condition(head));
        assert_eq!(found, expected, "{lines}");
    }
}

#[test]
fn ranges() {
    let part = |first, last| Part::Range { first, last };
    for (range, expected) in [
        ("bytes=0-0", part(0, 0)),
        ("bytes=990-", part(990, 999)),
        ("bytes=0-999", part(0, 999)),
        ("bytes=0-5000", part(0, 999)),
        ("Bytes=10-19", part(10, 19)),
        ("bytes= 10-19 ,", part(10, 19)),
        ("bytes=-1", part(999, 999)),
        ("bytes=-1000", part(0, 999)),
        ("bytes=-99999999999999999999999", part(0, 999)),
        ("bytes=5-99999999999999999999999", part(5, 999)),
        ("bytes=1000-", Part::Unsatisfiable),
        ("bytes=99999999999999999999999-", Part::Unsatisfiable),
        ("bytes=-0", Part::Unsatisfiable),
        // What is malformed, or more than one, is as if it were not there.
        ("bytes=5-4", Part::Whole),
        ("bytes=0-1,3-4", Part::Whole),
        ("bytes=", Part::Whole),
        ("bytes=-", Part::Whole),
        ("bytes=a-b", Part::Whole),
        ("bytes=1", Part::Whole),
        ("bytes=1-2-3", Part::Whole),
        ("bytes=+1-2", Part::Whole),
        ("bytes 0-1", Part::Whole),
        ("lines=0-1", Part::Whole),
        ("0-1", Part::Whole),
    ] {
        let lines = format!("Range: {range}\r\n");
        let found = with_head("GET", &lines, |head| file(1000).part(head));
        assert_eq!(found, expected, "{range}");
        let found = with_head("HEAD", &lines, |head| file(1000).part(head));
        assert_eq!(found, Part::Whole, "{range}");
        let twice = format!("{lines}{lines}");
        let found = with_head("GET", &twice, |head| file(1000).part(head));
        assert_eq!(found, Part::Whole, "{range}");
    }
    for (range, expected) in [("0-", Part::Unsatisfiable), ("-5", Part::Whole)] {
        let lines = format!("Range: bytes={range}\r\n");
        let found = with_head("GET", &lines, |head| file(0).part(head));
        assert_eq!(found, expected, "{range} of nothing");
    }
    // On condition that it is what the client has the rest of.
    let weak = Representation::of_file(1000, UNIX_EPOCH + MODIFIED, 0xab, UNIX_EPOCH + MODIFIED);
    for (it, condition, goes) in [
        (file(1000), ETAG, true),
        (file(1000), "Sun, 06 Nov 1994 08:49:37 GMT", true),
        (file(1000), "Sun, 06 Nov 1994 08:49:38 GMT", false),
        (file(1000), "\"other\"", false),
        (file(1000), "*", false),
        (file(1000), "", false),
        (weak.clone(), &format!("W/{ETAG}"), false),
        (weak, "Sun, 06 Nov 1994 08:49:37 GMT", false),
    ] {
        let lines = format!("Range: bytes=5-\r\nIf-Range: {condition}\r\n");
        let found = with_head("GET", &lines, |head| it.part(head));
        assert_eq!(
            found,
            if goes { part(5, 999) } else { Part::Whole },
            "{condition}"
        );
    }
}

#[test]
fn heads_of_responses() {
    let write = |response: &Response<'_>| {
        let mut out = [0; 600];
        let n = response.write(&mut out).expect("it fits");
        for len in 0..n {
            assert_eq!(response.write(&mut out[..len]), None, "{len}");
        }
        String::from_utf8(out[..n].to_vec()).expect("text")
    };
    let date = "Date: Fri, 15 Jan 2027 08:00:00 GMT\r\n";
    let least = write(&Response::new(Status::ServiceUnavailable, now()));
    assert_eq!(
        least,
        format!("HTTP/1.1 503 Service Unavailable\r\n{date}Connection: close\r\n\r\n")
    );
    let it = file(1000);
    let most = Response {
        server: Some("s"),
        content_type: Some("t"),
        content_length: Some(u64::MAX),
        content_range: Some(ContentRange::Part {
            first: 1,
            last: 2,
            length: 3,
        }),
        representation: Some(&it),
        allow: Some("GET"),
        retry_after: Some(4),
        cache_control: Some("no-store"),
        keep_alive: true,
        ..Response::new(Status::PartialContent, now())
    };
    let rest = format!(
        "Content-Range: bytes 1-2/3\r\nETag: {ETAG}\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Accept-Ranges: bytes\r\nAllow: GET\r\nRetry-After: 4\r\nCache-Control: no-store\r\nConnection: keep-alive\r\n\r\n"
    );
    assert_eq!(
        write(&most),
        format!(
            "HTTP/1.1 206 Partial Content\r\n{date}Server: s\r\nContent-Type: t\r\n\
             Content-Length: 18446744073709551615\r\n{rest}"
        )
    );
    // Without content there is no length of it.
    for status in [Status::NotModified, Status::NoContent] {
        assert!(!write(&Response { status, ..most }).contains("Content-Length"));
    }
    // A clock that is not set is none; a file of tomorrow was not modified tomorrow.
    let unset = write(&Response {
        now: UNIX_EPOCH + Duration::from_secs(60),
        ..most
    });
    assert!(!unset.contains("Date: "), "{unset}");
    let early = write(&Response {
        now: UNIX_EPOCH + Duration::from_secs(946_684_800),
        representation: Some(&Representation::of_file(1, now(), 2, UNIX_EPOCH)),
        ..most
    });
    assert!(
        early.contains("Last-Modified: Sat, 01 Jan 2000 00:00:00 GMT\r\n"),
        "{early}"
    );
    let range = ContentRange::Unsatisfied { length: 7 };
    let range = write(&Response {
        content_range: Some(range),
        ..most
    });
    assert!(
        range.contains("\r\nContent-Range: bytes */7\r\n"),
        "{range}"
    );
}
