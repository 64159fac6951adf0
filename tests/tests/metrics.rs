//! The counters are served as metrics next to the service, in the format of Prometheus, over HTTP.

use core::net::SocketAddr;
use rustix::process::Signal;
use std::collections::HashMap;
use std::net::TcpStream;
use std::process::Command;
use tests::bounded::{Watchdog, until};
use tests::http::Response;
use tests::modes::MODES;
use tests::net::{Client, tcp, unix};
use tests::process::{Folder, Program, program, run_with};
use tidegate::backend::Kind;

fn start(arguments: &[&str]) -> (Program, SocketAddr) {
    let common = ["--service", "echo", "--metrics", "127.0.0.1:0"];
    let program = Program::start(&[&common[..], arguments].concat());
    let output = program.output();
    let mut lines = output.lines();
    let metrics = lines.find_map(|line| line.strip_prefix("metrics on "));
    let address = metrics.expect("metrics").parse().expect("an address");
    (program, address)
}

/// The only response to a request.
fn ask(mut client: TcpStream, request: &str) -> Response {
    client.say(request.as_bytes());
    let response = Response::read(&mut client, request.starts_with("HEAD"));
    assert_eq!(client.rest(), b"", "{request}");
    assert_eq!(response.field("connection"), "close", "{request}");
    response
}

fn get(address: SocketAddr) -> String {
    let response = ask(tcp(address), "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(
        (response.status, response.field("content-type")),
        (200, kind)
    );
    response.text().to_owned()
}

/// The samples of a page, whose every line must conform to the format.
fn samples(page: &str) -> HashMap<&str, f64> {
    let mut samples = HashMap::new();
    let mut kind = None;
    for line in page.split_terminator('\n') {
        if let Some(told) = line.strip_prefix("# ") {
            let mut words = told.split(' ');
            let (what, name) = (words.next(), words.next().expect("a name"));
            match what {
                Some("HELP") => kind = None,
                Some("TYPE") => kind = Some((name, words.next().expect("a type"))),
                other => panic!("{other:?}: {line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a sample");
        let (bare, labels) = name.split_once('{').unwrap_or((name, "}"));
        assert!(
            bare.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{line}"
        );
        assert!(labels.ends_with('}'), "{line}");
        let (named, kind) = kind.expect("a type before its samples");
        assert_eq!(named, bare);
        assert_eq!(kind == "counter", bare.ends_with("_total"), "{line}");
        let value = value.parse().expect("a number");
        assert_eq!(samples.insert(name, value), None, "twice: {line}");
    }
    assert!(page.ends_with('\n'));
    samples
}

#[test]
fn counters_are_shown_as_they_are() {
    let _bound = Watchdog::new();
    for backend in Kind::ALL.map(Kind::name) {
        let arguments = ["--connections", "20", "--backend", backend];
        let (program, address) = start(&arguments);
        let mut client = tcp(program.address());
        client.echo(b"hello");
        let page = get(address);
        let samples = samples(&page);
        let is = |name: &str, value: f64| {
            let found = samples.get(format!("tidegate_{name}").as_str());
            assert_eq!(found, Some(&value), "{backend}: {name} in {page}");
        };
        is("connections_limit", 20.0);
        // The request's connection is one of them, and the request has been received.
        is("connections_open", 2.0);
        is("connections_accepted_total", 2.0);
        is("sent_bytes_total", 5.0);
        is("connections_closed_total{reason=\"idle\"}", 0.0);
        is("lines_dropped_total{to=\"log\"}", 0.0);
        let version = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
        is(&format!("build_info{version}"), 1.0);
        drop(client);
        until("the end is counted", || {
            get(address).contains("{reason=\"peer_finished\"} 1\n")
        });
        assert_eq!(program.stop().code, Some(0));
    }
}

#[test]
fn every_thread_is_counted() {
    let _bound = Watchdog::new();
    let (program, address) = start(&["--threads", "3", "--connections", "300"]);
    let mut clients: Vec<_> = (0..60).map(|_| tcp(program.address())).collect();
    for client in &mut clients {
        client.echo(b"hello");
    }
    // The other threads publish their counters within a second.
    until("all are told, and who asks", || {
        samples(&get(address))["tidegate_connections_open"] == 61.0
    });
    let page = get(address);
    assert!(samples(&page)["tidegate_received_bytes_total"] >= 300.0);
    assert_eq!(samples(&page)["tidegate_connections_limit"], 300.0);
}

#[test]
fn other_requests_get_the_responses_of_http() {
    let _bound = Watchdog::new();
    let (program, address) = start(&[]);
    let host = "Host: x\r\n";
    let many = format!("{}Cookie: {}\r\n", "A: b\r\n".repeat(38), "c".repeat(3400));
    for (request, fields, status, body) in [
        ("GET /metrics?name[]=x HTTP/1.0", "", 200, "tidegate_"),
        ("GET http://x/%6detrics HTTP/1.1", host, 200, "tidegate_"),
        ("GET /x/../metrics HTTP/1.2", host, 200, "tidegate_"),
        ("GET /metrics HTTP/1.0", &many, 200, "tidegate_"),
        ("HEAD /metrics HTTP/1.1", host, 200, ""),
        ("GET / HTTP/1.1", host, 404, "/metrics"),
        ("GET /metrics/ HTTP/1.1", host, 404, "/metrics"),
        ("GET /%metrics HTTP/1.1", host, 400, "/metrics"),
        ("HEAD / HTTP/1.1", host, 404, ""),
        ("OPTIONS * HTTP/1.1", host, 204, ""),
        ("POST /metrics HTTP/1.1", host, 405, "GET"),
        ("BREW /metrics HTTP/1.1", host, 501, "GET"),
        ("GET /metrics HTTP/1.1", "", 400, "Host"),
        ("HEAD /metrics HTTP/1.1", "", 400, ""),
        (
            "GET /metrics HTTP/1.1",
            "Host: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n",
            400,
            "Content-Length",
        ),
        (
            "GET /metrics HTTP/1.1",
            "no header\r\n",
            400,
            "header field",
        ),
        ("GET /metrics HTTP/2.0", host, 505, "HTTP/1.1"),
        ("hello", "", 400, "HTTP/1.1"),
        ("\x16\x03\x01", "", 400, "HTTP/1.1"),
        (
            "GET /metrics HTTP/1.0",
            &format!("A: {}\r\n", "b".repeat(8192)),
            431,
            "8192",
        ),
        ("GET /metrics HTTP/1.0", &"A: b\r\n".repeat(101), 431, "100"),
        (&format!("GET /{}", "x".repeat(8192)), "", 414, "8000"),
    ] {
        let response = ask(tcp(address), &format!("{request}\r\n{fields}\r\n"));
        assert_eq!(response.status, status, "{request}");
        let said = response.text();
        assert_eq!(said.is_empty(), body.is_empty(), "{request}: {said}");
        assert!(said.contains(body), "{request}: {said}");
        let allow = response.field("allow");
        assert_eq!(allow, "GET, HEAD, OPTIONS", "{request}");
    }
    // A byte at a time, and not at all.
    let mut slow = tcp(address);
    for byte in b"GET /metrics HTTP/1.1\r\nHost: x\r\n" {
        slow.say(&[*byte]);
    }
    assert_eq!(ask(slow, "\r\n").status, 200);
    tcp(program.address()).echo(b"the service goes on");
}

/// A head of so many bytes.
fn head_of(bytes: usize) -> Vec<u8> {
    let front = "GET /metrics HTTP/1.1\r\nHost: x\r\nCookie: ";
    let cookie = "c".repeat(bytes - front.len() - 4);
    format!("{front}{cookie}\r\n\r\n").into_bytes()
}

/// The receive window of the program is 4,096 bytes, and a head may have 8,192.
#[test]
fn heads_of_8_kb_and_100_fields_are_taken_however_they_are_cut() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (program, address) = start(&mode.with(&["--connections", "100"]));
        let sizes = [1, 2, 3, 4].map(|kb| 2048 * kb);
        let around = [4094, 4095, 4096, 4097, 4098, 8189, 8190, 8191, 8192];
        for size in sizes.into_iter().chain(around) {
            for cut in [0, 1, 2048, 4094, 4095, 4096, 4097, 8190, 8191, size - 1] {
                let mut client = tcp(address);
                client.set_nodelay(true).expect("TCP_NODELAY");
                let head = head_of(size);
                let (one, other) = head.split_at(cut.min(size));
                client.say(one);
                client.say(other);
                let status = Response::read(&mut client, false).status;
                assert_eq!(
                    (status, client.rest().len()),
                    (200, 0),
                    "{mode}: {size}, {cut}"
                );
            }
        }
        let mut client = tcp(address);
        client.say(&head_of(8193));
        let refused = Response::read(&mut client, false);
        assert_eq!((refused.status, client.rest().len()), (431, 0), "{mode}");
        let fields = "A: b\r\n".repeat(99);
        let many = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        assert_eq!(ask(tcp(address), &many).status, 200, "{mode}");
        assert_eq!(program.stop().code, Some(0));
    }
}

/// The body begins in the middle of the window, and is counted from there: with its last byte the connection has ended.
#[test]
fn a_body_behind_a_long_head_is_counted_from_its_beginning() {
    let _bound = Watchdog::new();
    let front = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nCookie: ";
    let body = "x".repeat(100_000);
    let post = format!("{front}{}\r\n\r\n{body}", "c".repeat(6000));
    for mode in MODES {
        let (program, address) = start(&mode.with(&["--linger", "1ms"]));
        let mut client = tcp(address);
        client.say(post.as_bytes());
        assert_eq!(Response::read(&mut client, false).status, 405, "{mode}");
        assert_eq!(client.rest(), b"", "{mode}");
        until("the one who asks is alone", || {
            get(address).contains("tidegate_connections_open 1\n")
        });
        assert_eq!(program.stop().code, Some(0));
    }
}

/// A client in the middle of a head when the program is stopped gets its response: also if what was in the window has
/// moved.
#[test]
fn a_long_head_that_has_begun_gets_its_response_at_a_stop() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut program, address) = start(&mode.with(&[]));
        let mut idle = tcp(program.address());
        idle.echo(b"hello");
        let mut client = tcp(address);
        let head = head_of(8000);
        client.say(&head[..4096]);
        program.statistics_when("bytes_in", 4096 + 5);
        program.signal(Signal::TERM);
        // It sees EOF, so the stop was handled.
        assert_eq!(idle.rest(), b"", "{mode}");
        client.say(&head[4096..]);
        assert_eq!(Response::read(&mut client, false).status, 200, "{mode}");
        assert_eq!(client.rest(), b"", "{mode}");
        assert_eq!(program.end().code, Some(0));
    }
}

/// As many as the listener takes, all in the middle of a long head; and their slots are free again, whatever becomes of
/// them.
#[test]
fn each_connection_may_have_a_long_head() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (program, address) = start(&mode.with(&["--connections", "100"]));
        let head = head_of(8192);
        for _ in 0..3 {
            let mut clients: Vec<_> = (0..16).map(|_| tcp(address)).collect();
            for client in &mut clients {
                client.say(&head[..6000]);
            }
            drop(clients.split_off(8));
            for client in &mut clients {
                client.say(&head[6000..]);
                assert_eq!(Response::read(client, false).status, 200, "{mode}");
            }
        }
        assert_eq!(program.stop().code, Some(0));
    }
}

/// An error response reaches a client that is still sending, and does not read before it has sent all.
#[test]
fn what_follows_a_refused_head_is_discarded_until_the_client_has_its_response() {
    let _bound = Watchdog::new();
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(8100));
    let large = format!("GET / HTTP/1.0\r\nA: {}\r\n", "b".repeat(8192));
    for mode in MODES {
        // What is left to the time for lingering is lost.
        let (program, address) = start(&mode.with(&["--linger", "1ms"]));
        for (head, status) in [
            ("POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n", 400),
            (
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                501,
            ),
            ("POST / HTTP/1.1\r\nHost: x\r\nExpect: more\r\n\r\n", 417),
            ("POST / HTTP/3.1\r\nHost: x\r\n\r\n", 505),
            (
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
                405,
            ),
            (
                "BREW / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
                501,
            ),
            (
                "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n",
                405,
            ),
            (&long, 414),
            (&large, 431),
        ] {
            let mut client = tcp(address);
            client.say(head.as_bytes());
            // The end of the other side is there before the body begins.
            let response = Response::read(&mut client, false);
            assert_eq!(
                (response.status, client.rest().len()),
                (status, 0),
                "{mode}: {head}"
            );
            for _ in 0..99 {
                client.say(&[b'x'; 10_000]);
            }
            client.finish();
            assert_eq!(client.rest(), b"", "{mode}: {head}");
        }
        assert_eq!(program.stop().code, Some(0));
    }
}

#[test]
fn metrics_have_a_socket_of_their_own_and_chat_does_not_reach_it() {
    let _bound = Watchdog::new();
    let folder = Folder::new("metrics");
    let path = folder.path("m");
    let place = format!("unix:{path}");
    let mut program = Program::start(&["--service", "chat", "--metrics", &place]);
    let mut asking = unix(&path);
    asking.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\n");
    let (mut one, mut other) = (tcp(program.address()), tcp(program.address()));
    program.statistics_when("accepted", 3);
    one.say(b"to one\n");
    other.hear(b"to one\n");
    other.say(b"to other\n");
    one.hear(b"to other\n");
    asking.say(b"\r\n");
    let answer = String::from_utf8(asking.rest()).expect("UTF-8");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(!answer.contains("to other"), "{answer}");
    assert_eq!(program.stop().code, Some(0));
    assert!(std::fs::exists(&path).is_ok_and(|there| !there));
}

#[test]
fn an_address_in_use_is_reported() {
    let _bound = Watchdog::new();
    let (_program, address) = start(&[]);
    let mut command = Command::new(program());
    command.args(["--listen", "127.0.0.1:0", "--metrics", &address.to_string()]);
    let ended = Program::spawn(&mut command).end();
    assert_eq!(
        (ended.code, ended.output.as_str()),
        (Some(1), ""),
        "{ended:?}"
    );
    assert!(
        ended.errors.contains(&address.to_string()),
        "{}",
        ended.errors
    );
    assert!(ended.errors.contains("in use"), "{}", ended.errors);
}

#[test]
#[ignore = "needs curl"]
fn curl_is_served() {
    let _bound = Watchdog::new();
    let (_program, address) = start(&[]);
    let place = format!("http://{address}/metrics");
    let ended = run_with(Command::new("curl").args(["-sSf", "-i", &place]), b"");
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    assert!(ended.output.contains("tidegate_connections_open 1\n"));
    let ended = run_with(Command::new("curl").args(["-sSf", "-I", &place]), b"");
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
}

#[test]
#[ignore = "needs promtool"]
fn promtool_finds_no_fault() {
    let _bound = Watchdog::new();
    let (program, address) = start(&[]);
    tcp(program.address()).echo(b"hello");
    let page = get(address);
    let mut promtool = Command::new("promtool");
    let ended = run_with(promtool.args(["check", "metrics"]), page.as_bytes());
    assert_eq!(
        (ended.code, ended.errors.as_str()),
        (Some(0), ""),
        "{}",
        ended.output
    );
}
