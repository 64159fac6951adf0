//! It listens on IPv4, IPv6 and Unix sockets at once; the file of a Unix socket is its own business.

use rustix::process::Signal;
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, tcp, unix};
use tests::process::{Folder, Program, run};

#[test]
fn several_at_once() {
    let _bound = Watchdog::new();
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("this machine has no IPv6: nothing tested");
        return;
    }
    let folder = Folder::new("several");
    let paths = [folder.path("a"), folder.path("b")];
    let [a, b] = paths.clone().map(|path| format!("unix:{path}"));
    for mode in MODES {
        let mut program = Program::start_with(&mode.with(&[
            "--service",
            "print",
            "--listen",
            "[::1]:0",
            "--listen",
            &a,
            "--listen",
            "127.0.0.1:0",
            "--listen",
            &a,
            "--listen",
            "127.0.0.1:0",
            "--listen",
            &b,
        ]));
        program.wait_for(&format!("listening on {b}"));
        let places: Vec<_> = program
            .output()
            .lines()
            .filter_map(|line| line.strip_prefix("listening on ").map(str::to_owned))
            .collect();
        assert_eq!(
            places.len(),
            5,
            "one asked for twice is one, any free port is another: {places:?}"
        );
        assert!(places[0].starts_with("[::1]:"), "{places:?}");
        assert!(
            places[2].starts_with("127.0.0.1:") && places[3].starts_with("127.0.0.1:"),
            "{places:?}"
        );
        assert_eq!([&places[1], &places[4]], [&a, &b]);

        for place in [&places[0], &places[2], &places[3]] {
            let mut client = tcp(place.parse().expect("an address"));
            let peer = client.local_addr().expect("an address");
            client.say(b"hello");
            program.wait_for(&format!("{peer} connected"));
            program.wait_for(&format!("{peer} received 5 bytes: hello"));
            drop(client);
            program.wait_for(&format!(
                "{peer} closed: peer finished; 5 bytes in, 0 bytes out, "
            ));
        }
        // Unix peers have no address: they are numbered.
        for (n, path) in (1..).zip([&paths[0], &paths[1], &paths[0]]) {
            let mut client = unix(path);
            client.say(b"hello");
            program.wait_for(&format!("unix#{n} connected"));
            program.wait_for(&format!("unix#{n} received 5 bytes: hello"));
            client.finish();
            assert_eq!(client.rest(), b"");
            program.wait_for(&format!(
                "unix#{n} closed: peer finished; 5 bytes in, 0 bytes out, "
            ));
        }
        assert_eq!(program.stop().code, Some(0));
        for path in &paths {
            assert!(fs::symlink_metadata(path).is_err(), "removed at the end");
        }
    }
}

#[test]
fn a_name_is_resolved() {
    let _bound = Watchdog::new();
    let program = Program::start_with(&["--service", "echo", "--listen", "localhost:0"]);
    assert!(program.address().ip().is_loopback());
    tcp(program.address()).echo(b"hello");
}

#[test]
fn a_stale_file_is_replaced_one_in_use_stays() {
    let _bound = Watchdog::new();
    let folder = Folder::new("stale");
    let path = folder.path("s");
    let place = format!("unix:{path}");
    // What one leaves that was killed.
    let program = Program::start_with(&["--service", "echo", "--listen", &place]);
    program.signal(Signal::KILL);
    assert_eq!(program.end().code, None);
    assert!(fs::symlink_metadata(&path).is_ok());

    let program = Program::start_with(&["--service", "echo", "--listen", &place]);
    unix(&path).echo(b"hello");
    let ended = run(&["--listen", &place]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.errors.contains(&path) && ended.errors.contains("in use"),
        "{}",
        ended.errors
    );
    unix(&path).echo(b"not affected");
    assert_eq!(program.stop().code, Some(0));
    assert!(fs::symlink_metadata(&path).is_err());
}

#[test]
fn files_of_others_stay() {
    let _bound = Watchdog::new();
    let folder = Folder::new("others");
    let file = folder.path("f");
    fs::write(&file, "precious").expect("written");
    let ended = run(&["--listen", &format!("unix:{file}")]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.errors.contains(&file), "{}", ended.errors);
    assert_eq!(fs::read_to_string(&file).expect("still there"), "precious");

    // Another process took the path while we ran: it is theirs now.
    let path = folder.path("s");
    let program = Program::start_with(&["--service", "echo", "--listen", &format!("unix:{path}")]);
    fs::remove_file(&path).expect("removed");
    let theirs = UnixListener::bind(&path).expect("bound");
    assert_eq!(program.stop().code, Some(0));
    assert!(fs::symlink_metadata(&path).is_ok());
    drop(theirs);

    // And a start that fails later takes away what it had made.
    let first = folder.path("first");
    let ended = run(&[
        "--listen",
        &format!("unix:{first}"),
        "--listen",
        &format!("unix:{file}"),
    ]);
    assert_eq!(ended.code, Some(1));
    assert!(fs::symlink_metadata(&first).is_err(), "{}", ended.errors);
}

#[test]
fn a_restart_has_its_address_at_once() {
    let _bound = Watchdog::new();
    let program = Program::start(&["--service", "echo", "--linger", "100ms"]);
    let address = program.address();
    // The server closes first: its end is in TIME_WAIT.
    let mut client = tcp(address);
    client.echo(b"hello");
    program.signal(Signal::TERM);
    assert_eq!(client.rest(), b"");
    drop(client);
    assert_eq!(program.end().code, Some(0));
    let program = Program::start_with(&["--service", "echo", "--listen", &address.to_string()]);
    assert_eq!(program.address(), address);
    tcp(address).echo(b"hello");
}
