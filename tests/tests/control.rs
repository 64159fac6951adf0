//! The control socket: an operator queries and commands, line by line; no other connection is delayed by that, however
//! slowly the operator reads.

use core::net::SocketAddr;
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use tests::bounded::{Watchdog, until};
use tests::net::{Client, tcp, unix};
use tests::process::{Folder, Program, program, run_with};
use tidegate::backend::Kind;

/// A program with a control socket, and the folder that it is in.
struct Controlled {
    program: Program,
    path: String,
    _folder: Folder,
}

impl Controlled {
    fn start(arguments: &[&str]) -> Self {
        let folder = Folder::new("control");
        let path = folder.path("c");
        let place = format!("unix:{path}");
        let common = ["--service", "echo", "--control", &place];
        let program = Program::start(&[&common[..], arguments].concat());
        assert!(program.output().contains(&format!("control on {place}\n")));
        Self {
            program,
            path,
            _folder: folder,
        }
    }

    fn address(&self) -> SocketAddr {
        self.program.address()
    }

    /// Sends a command on a connection of its own; returns the lines, that of the result last.
    fn ask(&self, line: &str) -> Vec<String> {
        let mut operator = unix(&self.path);
        operator.say(line.as_bytes());
        operator.say(b"\n");
        operator.finish();
        let answer = String::from_utf8(operator.rest()).expect("UTF-8");
        assert!(answer.ends_with('\n'), "{line}: {answer:?}");
        answer.lines().map(ToOwned::to_owned).collect()
    }

    fn status(&self) -> HashMap<String, u64> {
        let mut lines = self.ask("status");
        assert_eq!(lines.pop().as_deref(), Some("ok"));
        let pairs = lines
            .iter()
            .map(|line| line.split_once(' ').expect("a value"));
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.parse().expect(value)));
        pairs.collect()
    }
}

#[test]
fn status_and_connections_show_what_there_is() {
    let _bound = Watchdog::new();
    for backend in Kind::ALL.map(Kind::name) {
        let controlled = Controlled::start(&["--backend", backend]);
        let mut client = tcp(controlled.address());
        client.echo(b"hello");
        let status = controlled.status();
        // The operator's connection is one of them.
        for (name, value) in [
            ("open", 2),
            ("accepted", 2),
            ("bytes_out", 5),
            ("repairs", 0),
        ] {
            assert_eq!(status[name], value, "{backend}: {name}");
        }
        until("no other operator is left", || {
            let lines = controlled.ask("connections");
            let own = client.local_addr().expect("an address").to_string();
            let shown = lines
                .iter()
                .find(|line| line.starts_with(&own))
                .expect("the client");
            assert!(
                shown.contains(" listener=0 ") && shown.ends_with(" in=5 out=5"),
                "{shown}"
            );
            assert!(
                lines.iter().any(|line| line.starts_with("unix#")),
                "{lines:?}"
            );
            lines.last().is_some_and(|last| last == "ok") && lines.len() == 3
        });
        assert_eq!(controlled.program.stop().code, Some(0));
    }
}

#[test]
fn the_last_line_may_lack_its_end() {
    let _bound = Watchdog::new();
    for backend in Kind::ALL.map(Kind::name) {
        let controlled = Controlled::start(&["--backend", backend]);
        for (said, heard) in [
            ("log warn", "ok\n"),
            ("log warn\r", "ok\n"),
            (" log warn ", "ok\n"),
            ("log warn\nlog warn", "ok\nok\n"),
            (
                "log warn\ndrop 10.9.9.9",
                "ok\nerror: no such connection; connections lists them\n",
            ),
            (
                "log loud",
                "error: log loud: must be off, error, warn, info, debug or trace\n",
            ),
            ("", ""),
            ("\n", ""),
            ("  ", ""),
        ] {
            let mut operator = unix(&controlled.path);
            operator.say(said.as_bytes());
            operator.finish();
            let rest = operator.rest();
            assert_eq!(String::from_utf8_lossy(&rest), heard, "{backend}: {said:?}");
        }
        // A list that takes several pieces.
        let mut operator = unix(&controlled.path);
        operator.say(&b"status\n".repeat(20));
        operator.say(b"connections");
        operator.finish();
        let rest = String::from_utf8(operator.rest()).expect("UTF-8");
        assert_eq!(rest.matches("ok\n").count(), 21, "{backend}: {rest}");
    }
}

#[test]
fn it_responds_when_all_other_connections_are_taken() {
    let _bound = Watchdog::new();
    for backend in Kind::ALL.map(Kind::name) {
        let controlled = Controlled::start(&["--connections", "8", "--backend", backend]);
        let mut clients: Vec<_> = (0..6).map(|_| tcp(controlled.address())).collect();
        for client in &mut clients {
            client.echo(b"hello");
        }
        let mut late = [(); 2].map(|()| tcp(controlled.address()));
        let mut forgotten = unix(&controlled.path);
        for _ in 0..3 {
            until("the last operator is gone", || {
                let status = controlled.status();
                assert_eq!(status["closed_evicted"], 0, "{backend}");
                status["open"] == 8
            });
        }
        for client in &mut clients {
            client.echo(b"hello again");
        }
        // Those that wait are accepted when others leave.
        clients.truncate(4);
        for late in &mut late {
            late.echo(b"at last");
        }
        forgotten.say(b"status\n");
        forgotten.finish();
        assert!(forgotten.rest().ends_with(b"ok\n"), "{backend}");
    }
}

#[test]
fn only_its_user_reaches_it_and_it_goes_with_the_program() {
    let _bound = Watchdog::new();
    let Controlled {
        program,
        path,
        _folder,
    } = Controlled::start(&[]);
    let mode = std::fs::metadata(&path)
        .expect("a socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(program.stop().code, Some(0));
    assert!(!std::fs::exists(&path).expect("a folder"));
}

#[test]
fn a_dropped_connection_is_reset_and_no_other() {
    let _bound = Watchdog::new();
    let controlled = Controlled::start(&[]);
    let mut clients = [(); 3].map(|()| tcp(controlled.address()));
    for client in &mut clients {
        client.echo(b"hello");
    }
    let [mut first, mut second, mut third] = clients;
    let name = second.local_addr().expect("an address").to_string();
    assert_eq!(controlled.ask(&format!("drop {name}")), ["ok: 1 dropped"]);
    assert!(second.is_reset());
    first.echo(b"still here");
    let nobody = "error: no such connection; connections lists them";
    assert_eq!(controlled.ask(&format!("drop {name}")), [nobody]);
    assert_eq!(controlled.ask("drop unix#999"), [nobody]);
    third.echo(b"still here");
    assert_eq!(controlled.ask("drop 127.0.0.1"), ["ok: 2 dropped"]);
    assert!(first.is_reset() && third.is_reset());
    assert_eq!(controlled.status()["closed_aborted"], 3);
}

#[test]
fn very_many_are_dropped_at_once() {
    let _bound = Watchdog::new();
    let controlled = Controlled::start(&["--connections", "400"]);
    let mut clients: Vec<_> = (0..300).map(|_| tcp(controlled.address())).collect();
    for client in &mut clients {
        client.echo(b"hello");
    }
    assert_eq!(controlled.ask("drop 127.0.0.1"), ["ok: 300 dropped"]);
    assert!(clients.iter_mut().all(Client::is_reset));
}

#[test]
fn the_log_is_turned_up_and_down() {
    let _bound = Watchdog::new();
    let controlled = Controlled::start(&[]);
    tcp(controlled.address()).echo(b"hello");
    assert_eq!(controlled.program.errors(), "");
    assert_eq!(controlled.ask("log debug"), ["ok"]);
    tcp(controlled.address()).echo(b"hello");
    until("more is logged", || {
        controlled.program.errors().contains("tidegate: debug: ")
    });
    assert_eq!(controlled.ask("log off"), ["ok"]);
    // Earlier lines come first.
    assert_eq!(controlled.status()["log_lines_dropped"], 0);
    let ended = controlled.program.stop();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.errors.contains("stop"), "{}", ended.errors);
}

#[test]
fn a_drain_replies_to_what_has_arrived_and_ends() {
    let _bound = Watchdog::new();
    let mut controlled = Controlled::start(&["--drain", "500ms"]);
    let mut client = tcp(controlled.address());
    client.echo(b"hello");
    let mut operator = unix(&controlled.path);
    operator.say(b"drain\ndrain\n");
    operator.hear(b"ok: draining\nerror: draining already; a SIGTERM more ends at once\n");
    let _ = client.is_reset();
    until("it ends", || controlled.program.has_ended());
    assert_eq!(controlled.program.end().code, Some(0));
}

#[test]
fn lines_may_come_in_any_pieces_and_errors_are_reported() {
    let _bound = Watchdog::new();
    let controlled = Controlled::start(&[]);
    let mut operator = unix(&controlled.path);
    for byte in b"log warn\r\n" {
        operator.say(&[*byte]);
    }
    operator.hear(b"ok\n");
    operator.say(b"\n  \nstop\nlog warn\n\x1b[2J\n");
    operator.hear(
        b"error: stop: must be status, connections, recorder, drop ADDR, log LEVEL or drain\nok\n",
    );
    operator.hear(
        b"error: \\x1b[2J: must be status, connections, recorder, drop ADDR, log LEVEL or drain\n",
    );
    // Too long, with its end, and without one.
    let long = [&[b'x'; 300][..], b"\nlog warn\n"].concat();
    operator.say(&long);
    operator.hear(b"error: a line has at most 255 bytes\nok\n");
    operator.say(&[b'x'; 256]);
    assert_eq!(operator.rest(), b"error: a line has at most 255 bytes\n");
    assert_eq!(controlled.ask("log warn"), ["ok"]);
    tcp(controlled.address()).echo(b"and goes on");
}

/// Connections of which a list is longer than all buffers between the program and an operator that does not read.
fn crowd(controlled: &Controlled) -> Vec<(String, std::net::TcpStream)> {
    let clients = (0..900).map(|_| tcp(controlled.address()));
    let mut clients: Vec<_> = clients
        .map(|client| (client.local_addr().expect("an address").to_string(), client))
        .collect();
    for (_, client) in &mut clients {
        client.echo(b"hello");
    }
    clients
}

#[test]
fn a_long_reply_is_whole_for_a_slow_reader() {
    let _bound = Watchdog::new();
    for backend in ["epoll", "uring"] {
        a_long_reply_is_whole(backend);
    }
}

fn a_long_reply_is_whole(backend: &str) {
    let controlled = Controlled::start(&["--connections", "1000", "--backend", backend]);
    let mut crowd = crowd(&controlled);
    let mut operator = unix(&controlled.path);
    operator.say(b"connections\nconnections\nlog warn\n");
    operator.finish();
    // While it is not read, all others are served.
    for (_, client) in &mut crowd {
        client.echo(b"hello again");
    }
    let answer = String::from_utf8(operator.rest()).expect("UTF-8");
    let lists: Vec<_> = answer.split("ok\n").collect();
    assert_eq!((lists.len(), lists[2], lists[3]), (4, "", ""));
    for list in &lists[..2] {
        for (name, _) in &crowd {
            let own = format!("{name} listener=0 ");
            assert_eq!(list.matches(&own).count(), 1, "{name}");
        }
        assert_eq!(list.lines().count(), 901, "and the operator");
    }
}

#[test]
fn a_peer_that_never_reads_delays_no_other() {
    let _bound = Watchdog::new();
    let controlled = Controlled::start(&["--connections", "1000"]);
    let mut crowd = crowd(&controlled);
    let mut deaf: Vec<UnixStream> = (0..4).map(|_| unix(&controlled.path)).collect();
    for operator in &mut deaf {
        operator.say(&b"connections\n".repeat(300));
    }
    for (_, client) in &mut crowd {
        client.echo(b"hello again");
    }
    assert_eq!(controlled.ask("log warn"), ["ok"]);
    drop(deaf);
    until("they have gone", || controlled.status()["open"] == 901);
}

#[test]
fn chat_does_not_reach_it() {
    let _bound = Watchdog::new();
    let controlled = Controlled::start(&["--service", "chat"]);
    let mut operator = unix(&controlled.path);
    operator.say(b"log warn\n");
    operator.hear(b"ok\n");
    let (mut one, mut other) = (tcp(controlled.address()), tcp(controlled.address()));
    until("both are there", || controlled.status()["open"] == 4);
    one.say(b"to other\n");
    other.hear(b"to other\n");
    operator.say(b"log warn\n");
    operator.finish();
    assert_eq!(operator.rest(), b"ok\n");
    assert_eq!(controlled.status()["lines_not_delivered"], 0);
}

#[test]
#[ignore = "needs socat"]
fn socat_is_an_operator() {
    let _bound = Watchdog::new();
    let controlled = Controlled::start(&[]);
    let place = format!("UNIX-CONNECT:{}", controlled.path);
    let ended = run_with(
        Command::new("socat").args(["-", &place]),
        b"log info\nstatus\n",
    );
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    assert!(ended.output.starts_with("ok\nseconds "), "{}", ended.output);
    assert!(ended.output.ends_with("\nok\n"), "{}", ended.output);
}

#[test]
fn several_threads_have_none() {
    let _bound = Watchdog::new();
    let mut command = Command::new(program());
    let ended = Program::spawn(command.args(["--threads", "2", "--control", "unix:/x"])).end();
    assert_eq!(
        (ended.code, ended.output.as_str()),
        (Some(2), ""),
        "{ended:?}"
    );
    assert!(
        ended.errors.contains("--control unix:/x"),
        "{}",
        ended.errors
    );
}
