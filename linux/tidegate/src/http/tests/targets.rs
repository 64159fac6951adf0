//! Targets and the paths in them.

use super::alloc::format;
use super::alloc::string::String;
use super::alloc::vec::Vec;
use crate::Errno;
use crate::http::{Fields, Head, Refusal, Status};

fn path(method: &str, target: &str) -> Result<Vec<u8>, Refusal> {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut fields = Fields::new();
    let head = Head::parse(head.as_bytes(), &mut fields).expect("valid");
    let mut buffer = [0xee; 64];
    head.expect("whole").path(&mut buffer).map(<[u8]>::to_vec)
}

#[test]
fn paths() {
    for (target, expected) in [
        ("/", Ok("/")),
        ("/a.txt", Ok("/a.txt")),
        ("/?t=1", Ok("/")),
        ("/?", Ok("/")),
        ("/a.css?v=2?/../b", Ok("/a.css")),
        ("http://x", Ok("/")),
        ("http://x?q", Ok("/")),
        ("HTTP://x:80/a.txt?q", Ok("/a.txt")),
        ("https://[::1]:443/a/../b", Ok("/b")),
        ("/%61.txt", Ok("/a.txt")),
        ("/a%2Etxt", Ok("/a.txt")),
        ("/b%20c.txt", Ok("/b c.txt")),
        ("/~u.txt", Ok("/~u.txt")),
        ("/%C3%A9.txt", Ok("/é.txt")),
        ("/é.txt", Ok("/é.txt")),
        ("/a+b", Ok("/a+b")),
        ("/%3F%23", Ok("/?#")),
        ("/%2561", Ok("/%61")),
        ("/a\\..\\b", Ok("/a\\..\\b")),
        // Dot segments.
        ("/./a.txt", Ok("/a.txt")),
        ("/x/../a.txt", Ok("/a.txt")),
        ("/x/y/../../a.txt", Ok("/a.txt")),
        ("/x/%2e%2E/a.txt", Ok("/a.txt")),
        ("/%2e/a.txt", Ok("/a.txt")),
        ("/../../etc/passwd", Ok("/etc/passwd")),
        ("/%2e%2e/%2e./.%2e", Ok("/")),
        ("/a/..", Ok("/")),
        ("/a/b/..", Ok("/a/")),
        ("/a/.", Ok("/a/")),
        ("/.", Ok("/")),
        ("/..", Ok("/")),
        ("/a/", Ok("/a/")),
        ("/...", Ok("/...")),
        ("/..a/.b", Ok("/..a/.b")),
        ("/a../b", Ok("/a../b")),
        // Empty segments stay.
        ("//", Ok("//")),
        ("//etc/passwd", Ok("//etc/passwd")),
        ("/a//b", Ok("/a//b")),
        ("/a//../b", Ok("/a/b")),
        // What names nothing.
        ("/%", Err(Refusal::ESCAPE)),
        ("/%4", Err(Refusal::ESCAPE)),
        ("/%zz", Err(Refusal::ESCAPE)),
        ("/%4/1", Err(Refusal::ESCAPE)),
        ("/%%41", Err(Refusal::ESCAPE)),
        ("/%u0041", Err(Refusal::ESCAPE)),
        ("/a%00.txt", Err(Refusal::NUL)),
        ("/..%2fsecret", Err(Refusal::SLASH)),
        ("/a%2Fb", Err(Refusal::SLASH)),
    ] {
        let expected = expected.map(|path| path.as_bytes().to_vec());
        assert_eq!(path("GET", target), expected, "{target}");
    }
    assert_eq!(
        path("GET", &format!("/{}", "a".repeat(63))).map(|path| path.len()),
        Ok(64)
    );
    assert_eq!(
        path("GET", &format!("/{}", "a".repeat(64))),
        Err(Refusal::PATH_TOO_LONG)
    );
    for (method, target) in [
        ("OPTIONS", "*"),
        ("OPTIONS", "http://x"),
        ("CONNECT", "x:443"),
    ] {
        assert_eq!(
            path(method, target),
            Err(Refusal::NO_PATH),
            "{method} {target}"
        );
    }
    assert_eq!(path("OPTIONS", "http://x/"), Ok(b"/".to_vec()));
}

#[test]
fn no_path_leads_out_whatever_it_is_made_of() {
    const PIECES: [&str; 9] = ["/", ".", "..", "%2e", "%2E%2e", "a", "%2f", "%", "%00"];
    // Every word of five pieces.
    for word in 0..PIECES.len().pow(5) {
        let (mut target, mut rest) = (String::from("/"), word);
        for _ in 0..5 {
            target.push_str(PIECES[rest % PIECES.len()]);
            rest /= PIECES.len();
        }
        if let Ok(path) = path("GET", &target) {
            assert!(
                path.starts_with(b"/") && path.len() <= target.len(),
                "{target}"
            );
            let mut names = path[1..].split(|&byte| byte == b'/');
            assert!(names.all(|name| name != b"." && name != b".."), "{target}");
        }
    }
}

#[test]
fn resource_exhaustion_is_no_fact_about_a_file() {
    for (errno, status) in [
        (Errno::NOENT, Status::NotFound),
        (Errno::NOTDIR, Status::NotFound),
        (Errno::LOOP, Status::NotFound),
        (Errno::NAMETOOLONG, Status::NotFound),
        (Errno::ACCESS, Status::Forbidden),
        (Errno::PERM, Status::Forbidden),
        (Errno::MFILE, Status::ServiceUnavailable),
        (Errno::NFILE, Status::ServiceUnavailable),
        (Errno::NOMEM, Status::ServiceUnavailable),
        (Errno::NOBUFS, Status::ServiceUnavailable),
        (Errno::IO, Status::InternalServerError),
        (Errno::STALE, Status::InternalServerError),
    ] {
        assert_eq!(Status::of_file_error(errno), status, "{errno:?}");
    }
    assert_eq!(Refusal::ESCAPE.status, Status::BadRequest);
    assert_eq!(Refusal::SLASH.status, Status::NotFound);
}
