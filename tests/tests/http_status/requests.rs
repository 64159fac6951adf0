//! Requests: pipelines, refusals, methods, which content is served when.

use super::start;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use std::net::TcpStream;
use std::process::Command;
use tests::bounded::{Watchdog, until};
use tests::http::Response;
use tests::net::{Client, descriptors, pattern, tcp};
use tests::process::{example, run_with};

#[test]
fn requests_get_their_responses_at_every_cut_and_in_pipelines() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    let said =
        b"GET /sub/a.txt HTTP/1.1\r\nHost: x\r\n\r\nHEAD /sub/a.txt HTTP/1.1\r\nhost: x\r\n\r\n\
                 GET /none HTTP/1.1\nHost: x\n\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
                 POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a\r\nx\r\n0\r\nA: b\r\n\r\n\
                 GET /empty.html HTTP/1.1\r\nHost: x\r\n\r\n";
    let expected = [
        (200, "small\n"),
        (200, ""),
        (404, "404 Not Found"),
        (405, "405 Method Not Allowed"),
        (405, "405 Method Not Allowed"),
        (200, ""),
    ];
    let hear = |client: &mut _| {
        for (at, (status, text)) in expected.iter().enumerate() {
            let response = Response::read(client, at == 1);
            assert_eq!((response.status, response.text()), (*status, *text));
            assert_eq!(response.field("connection"), "keep-alive");
            if at == 1 {
                assert_eq!(response.field("content-length"), "6");
            }
        }
    };
    let mut client = tcp(site.program.address());
    for cut in 0..=said.len() {
        client.say(&said[..cut]);
        client.say(&said[cut..]);
        hear(&mut client);
    }
    for byte in said {
        client.say(&[*byte]);
    }
    hear(&mut client);
    client.say(&said.repeat(50));
    (0..50).for_each(|_| hear(&mut client));
    // A request behind a large file waits for it.
    let big = "GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\nGET /sub/a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    client.say(big.as_bytes());
    let big = Response::read(&mut client, false);
    assert!((big.status, big.content) == (200, pattern(7, 1_000_000)));
    let last = Response::rest(&mut client);
    assert_eq!((last.len(), last[0].text()), (1, "small\n"));
    assert_eq!(last[0].field("connection"), "close");
    assert_eq!(site.program.stop().code, Some(0));
}

#[test]
fn what_is_wrong_or_leads_out_is_refused() {
    let _bound = Watchdog::new();
    let mut nowhere = Command::new(example("http_status"));
    let ended = run_with(nowhere.args(["--root", "/nonexistent"]), b"");
    let told = "--root /nonexistent: ";
    assert!(ended.errors.contains(told), "{}", ended.errors);
    assert_eq!(ended.code, Some(1));
    let site = start(&[]);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let with = |field: &str| format!("GET / HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\n");
    for (request, status) in [
        (get("/sub/a.txt"), 200),
        (get("/?now"), 200),
        (get("http://elsewhere/sub/./a.txt?x"), 200),
        (get("/%73ub/%2e%2e/sub//../a.txt"), 200),
        (get("/b%20c~%C3%A9.txt"), 200),
        (get("/../secret.txt"), 404),
        (get("/sub/../../secret.txt"), 404),
        (get("/%2e%2e/secret.txt"), 404),
        (get("/..%2fsecret.txt"), 404),
        (get("/sub%2Fa.txt"), 404),
        (get("/%00"), 400),
        (get("/%"), 400),
        (get("//etc/passwd"), 404),
        (get("/sub/"), 404),
        (get("/sub"), 404),
        (get("/sub/a.txt/"), 404),
        (get("/.hidden"), 404),
        (get("/%2Ehidden"), 404),
        (get("/link.txt"), 404),
        (get("/up/secret.txt"), 404),
        (get("/a\\..\\b"), 404),
        (get(&format!("/{}", "a".repeat(300))), 404),
        (get(&format!("/{}", "a/".repeat(2000))), 404),
        (get(&format!("/{}", "a".repeat(9000))), 414),
        ("GET /sub/a.txt HTTP/1.0\r\n\r\n".into(), 200),
        (
            "GET / HTTP/1.2\r\nHost: x\r\nConnection: close\r\n\r\n".into(),
            200,
        ),
        ("GET / HTTP/1.1\r\n\r\n".into(), 400),
        ("nonsense\r\n\r\n".into(), 400),
        ("\x16\x03\x01\x02\x00".into(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        (with("Content-Length: 0\r\nContent-Length: 30"), 400),
        (with("Content-Length: 1\r\nTransfer-Encoding: chunked"), 400),
        (with("Transfer-Encoding: gzip, chunked"), 501),
        (with("Host: y"), 400),
        (with("Expect: more\r\nContent-Length: 3"), 417),
        (
            with(&format!("X: {}\r\nConnection: close", "x".repeat(3500))),
            200,
        ),
        (with(&format!("X: {}", "x".repeat(9000))), 431),
        (
            with(&format!("{}Connection: close", "A: b\r\n".repeat(98))),
            200,
        ),
        (with(&"A: b\r\n".repeat(101)), 431),
        (with("Content-Length: 99999999999"), 413),
    ] {
        // Whatever follows is not taken for a request, but where the connection was to go on.
        let responses = site.ask(&format!("{request}{}", get("/sub/a.txt")));
        let found: Vec<_> = responses.iter().map(|it| it.status).collect();
        assert_eq!(found, [status], "{request:?}");
        let all = format!("{responses:?}");
        assert!(!all.contains("secret"), "{request:?}: {all}");
        assert_eq!(responses[0].field("connection"), "close");
    }
    assert_eq!(site.program.stop().code, Some(0));
}

#[test]
fn what_is_no_request_is_refused_before_it_ends() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    for said in [
        &b"\x16\x03\x01"[..],
        b"\0",
        b"hello\n",
        b"GET / HTTP/1.1\r\nA : b\r\n",
    ] {
        let mut client = tcp(site.program.address());
        client.say(said);
        // The client sends no more, and has not finished.
        assert_eq!(Response::read(&mut client, false).status, 400, "{said:?}");
    }
    assert_eq!(site.program.stop().code, Some(0));
}

#[test]
fn methods_get_the_responses_of_http() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    let mut client = tcp(site.program.address());
    for (request, status, allow) in [
        ("OPTIONS *", 204, true),
        ("OPTIONS /sub/a.txt", 204, true),
        ("POST /", 405, true),
        ("PUT /sub/a.txt", 405, true),
        ("DELETE /none", 405, true),
        ("PATCH /", 405, true),
        ("TRACE /", 405, true),
        ("CONNECT x:443", 405, true),
        ("BREW /", 501, false),
        ("get /", 501, false),
        ("HEAD /", 200, false),
        ("HEAD /none", 404, false),
        ("HEAD /big.bin", 200, false),
        ("HEAD /%00", 400, false),
    ] {
        client.say(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        // Nothing of its content follows a response to HEAD: the next response would not be one.
        let to_head = request.starts_with("HEAD");
        let response = Response::read(&mut client, to_head);
        assert_eq!(response.status, status, "{request}");
        assert_eq!(response.field("connection"), "keep-alive", "{request}");
        let methods = if allow { "GET, HEAD, OPTIONS" } else { "" };
        assert_eq!(response.field("allow"), methods, "{request}");
    }
    client.say(b"HEAD / HTTP/1.1\r\n\r\n");
    let response = Response::read(&mut client, true);
    assert_eq!(
        (response.status, response.field("connection")),
        (400, "close")
    );
    assert_eq!(client.rest(), b"", "no content");
    assert_eq!(site.program.stop().code, Some(0));
}

/// `printf ... | nc -N`: the client's EOF does not end its responses.
#[test]
fn a_client_that_has_finished_gets_all_its_replies() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    let mut client = tcp(site.program.address());
    let request = b"GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n";
    client.say(&request.repeat(3));
    client.finish();
    let responses = Response::rest(&mut client);
    assert_eq!(responses.len(), 3);
    for response in responses {
        assert!(response.content == pattern(7, 1_000_000));
    }
    // Half a request is none.
    let mut client = tcp(site.program.address());
    client.say(&request[..20]);
    client.finish();
    assert_eq!(client.rest(), b"");
    assert_eq!(site.program.stop().code, Some(0));
}

/// A soft limit that leaves a process no number for another descriptor: the lowest that is free.
fn no_more(process: Pid) -> Rlimit {
    let taken = descriptors(process);
    Rlimit {
        current: (0..)
            .find(|number| !taken.contains(number))
            .and_then(|free| u64::try_from(free).ok()),
        ..getrlimit(Resource::Nofile)
    }
}

#[test]
fn without_a_descriptor_a_file_is_not_said_to_be_absent() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    let mut client = tcp(site.program.address());
    let mut ask = |path: &str| {
        client.say(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        Response::read(&mut client, false)
    };
    assert_eq!(ask("/sub/a.txt").status, 200);
    let pid = site.program.pid();
    let old = prlimit(Some(pid), Resource::Nofile, no_more(pid)).expect("a lower limit");
    // The file itself, or the folder on the way to it, cannot be opened.
    for path in ["/big.bin", "/sub/a.txt"] {
        let response = ask(path);
        assert_eq!(
            (response.status, response.field("retry-after")),
            (503, "1"),
            "{path}"
        );
    }
    assert_eq!((ask("/none").status, ask("/").status), (404, 200));
    prlimit(Some(pid), Resource::Nofile, old).expect("the limit as it was");
    assert_eq!(ask("/sub/a.txt").status, 200);
    assert_eq!(site.program.stop().code, Some(0));
}

#[test]
fn a_full_table_lets_the_idlest_go() {
    let _bound = Watchdog::new();
    let site = start(&["--per-source", "off"]);
    let ask = |client: &mut _| {
        Client::say(client, b"GET /sub/a.txt HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(Response::read(client, false).text(), "small\n");
    };
    // As many as there are slots, all kept by their clients, which are done.
    let mut clients: Vec<_> = (0..256).map(|_| tcp(site.program.address())).collect();
    clients.iter_mut().for_each(ask);
    for next in 0..10 {
        let mut client = tcp(site.program.address());
        ask(&mut client);
        clients.push(client);
        assert_eq!(clients[next].rest(), b"", "the one idle longest");
    }
    ask(&mut clients[100]);
    assert_eq!(site.program.stop().code, Some(0));
}

#[test]
fn a_full_table_may_say_so() {
    let _bound = Watchdog::new();
    for (options, most) in [
        (&["--per-source", "off", "--full", "refuse"][..], 256),
        (&["--per-source", "2"], 2),
    ] {
        let site = start(options);
        let mut clients: Vec<_> = (0..most).map(|_| tcp(site.program.address())).collect();
        for client in &mut clients {
            client.say(b"GET /sub/a.txt HTTP/1.1\r\nHost: x\r\n\r\n");
            assert_eq!(Response::read(client, false).text(), "small\n");
        }
        let mut one_more = tcp(site.program.address());
        let said = String::from_utf8(one_more.rest()).expect("text");
        assert!(
            said.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{said}"
        );
        assert!(said.contains("\r\nRetry-After: 1\r\n"), "{said}");
        assert!(said.ends_with("\r\nConnection: close\r\n\r\n"), "{said}");
        drop(clients);
        assert_eq!(site.program.stop().code, Some(0));
    }
}

/// A client that keeps its connections must not send another request on one that is about to end (RFC 9112, section
/// 9.6).
#[test]
fn a_response_at_a_stop_is_the_last() {
    let _bound = Watchdog::new();
    for target in ["/", "/sub/a.txt", "/none", "/big.bin"] {
        let site = start(&[]);
        let address = site.program.address();
        let mut clients = ["", "GET ", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"].map(|before| {
            let mut client = tcp(address);
            client.say(before.as_bytes());
            client
        });
        assert_eq!(
            Response::read(&mut clients[2], false).field("connection"),
            "keep-alive"
        );
        site.program.signal(Signal::TERM);
        until("it stops", || TcpStream::connect(address).is_err());
        let rest = format!("{target} HTTP/1.1\r\nHost: x\r\n\r\n");
        clients[0].say(format!("GET {rest}").as_bytes());
        clients[1].say(rest.as_bytes());
        for client in clients.iter_mut().take(2) {
            let responses = Response::rest(client);
            assert_eq!(responses.len(), 1, "{target}");
            assert_eq!(responses[0].field("connection"), "close", "{target}");
        }
        drop(clients);
        assert_eq!(site.program.end().code, Some(0));
    }
}
