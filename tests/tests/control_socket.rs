//! The example `control_socket`: commands and notices, signals and timers, for operators; and it responds when all
//! other slots are taken.

use rustix::process::Signal;
use std::fs;
use std::io::{ErrorKind, Read};
use std::process::Command;
use tests::bounded::Watchdog;
use tests::net::{Client, tcp, unix};
use tests::process::{Folder, Program, run_with};

/// It, with a Unix socket and one on the internet.
struct Control {
    program: Program,
    path: String,
    folder: Folder,
}

impl Control {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let folder = Folder::new("control_socket");
        let path = folder.path("c");
        let place = format!("unix:{path}");
        let arguments = [&["--listen", &place], arguments].concat();
        let mut program = Program::example("control_socket", &arguments);
        program.wait_for("listening on 127.0.0.1:");
        Self {
            program,
            path,
            folder,
        }
    }
}

fn status(connections: u32, lines: u32, unknown: u32, too_long: u32, reloads: u32) -> String {
    format!(
        "status: {connections} connections, {lines} lines, {unknown} unknown, {too_long} too long, {reloads} reloads, \
         0 notices missed\n"
    )
}

#[test]
fn the_last_line_may_lack_its_end() {
    let _bound = Watchdog::new();
    let control = Control::start();
    for (count, said) in [
        "status",
        "status\r",
        "status\r\n",
        " status \n",
        "\n \nstatus\t\r",
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = unix(&control.path);
        client.say(said.as_bytes());
        client.finish();
        let lines = u32::try_from(count + 1).expect("few");
        let expected = status(1, lines, 0, 0, 0);
        assert_eq!(
            String::from_utf8_lossy(&client.rest()),
            expected,
            "{said:?}"
        );
    }
}

#[test]
fn lines_get_their_replies_at_every_cut_and_errors_are_counted() {
    let _bound = Watchdog::new();
    let control = Control::start();
    let mut client = unix(&control.path);
    let unknown = "unknown; say status, wait SECONDS, every SECONDS or quit\n";
    let number = "not a number of seconds; at most 86400\n";
    let said = b"hello\r\nwait x\nevery 86401\nevery 0\n";
    let heard = [unknown, number, number, "ok\n"].concat();
    for cut in 0..=said.len() {
        client.say(&said[..cut]);
        client.say(&said[cut..]);
        client.hear(heard.as_bytes());
    }
    let cuts = u32::try_from(said.len() + 1).expect("few");
    client.say(&[b"x".repeat(81), b"\nstatus\n".to_vec()].concat());
    let expected = status(1, 4 * cuts + 1, cuts, 1, 0);
    client.hear(expected.as_bytes());
    client.say(b"quit\nstatus\n");
    assert_eq!(client.rest(), b"", "nothing after the end");
    assert_eq!(control.program.stop().code, Some(0));
    assert!(fs::metadata(&control.path).is_err(), "the path is gone");
    drop(control.folder);
}

#[test]
fn signals_and_timers_are_notified() {
    let _bound = Watchdog::new();
    let control = Control::start();
    let mut operators = [unix(&control.path), unix(&control.path)];
    for operator in &mut operators {
        operator.echo_status();
    }
    control.program.signal(Signal::HUP);
    for operator in &mut operators {
        operator.hear(b"notice: reloaded\n");
    }
    control.program.signal(Signal::USR1);
    for operator in &mut operators {
        operator.hear(status(2, 2, 0, 0, 1).as_bytes());
    }
    let [one, other] = &mut operators;
    one.say(b"wait 0\n");
    one.hear(b"done\n");
    other.say(b"every 1\n");
    other.hear(b"ok\n");
    for _ in 0..2 {
        one.hear(status(2, 4, 0, 0, 1).as_bytes());
    }
    // As it was in the beginning: no more of them.
    control.program.signal(Signal::HUP);
    let mut heard = Vec::new();
    while !heard.ends_with(b"notice: reloaded\n") {
        let mut byte = [0];
        one.read_exact(&mut byte).expect("a notice");
        heard.extend(byte);
    }
    one.say(b"wait 2\n");
    one.hear(b"done\n");
    assert_eq!(control.program.stop().code, Some(0));
}

trait Status {
    fn echo_status(&mut self);
}

impl<C: Client> Status for C {
    /// Sends a command, and waits for a reply.
    fn echo_status(&mut self) {
        self.say(b"status\n");
        self.hear(b"status: ");
        let mut byte = [0];
        while byte != *b"\n" {
            self.read_exact(&mut byte).expect("a line");
        }
    }
}

#[test]
fn an_operator_gets_a_reply_when_all_other_slots_are_taken() {
    let _bound = Watchdog::new();
    let control = Control::start_with(&["--full", "wait"]);
    let mut inside: Vec<_> = (0..14).map(|_| tcp(control.program.address())).collect();
    inside.iter_mut().for_each(Status::echo_status);
    let mut outside = tcp(control.program.address());
    outside.say(b"status\n");
    for _ in 0..3 {
        let mut operator = unix(&control.path);
        operator.echo_status();
        operator.say(b"quit\n");
        assert_eq!(operator.rest(), b"");
    }
    outside.set_nonblocking(true).expect("non-blocking");
    let nothing = outside.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(nothing, Err(ErrorKind::WouldBlock), "it waits");
    outside.set_nonblocking(false).expect("blocking");
    inside.pop();
    outside.hear(b"status: ");
}

#[test]
#[ignore = "needs socat"]
fn socat_is_an_operator() {
    let _bound = Watchdog::new();
    let control = Control::start();
    for place in [
        format!("UNIX-CONNECT:{}", control.path),
        format!("TCP:{}", control.program.address()),
    ] {
        let mut socat = Command::new("socat");
        socat.args(["-t", "10", "-", &place]);
        let ended = run_with(&mut socat, b"status\nwait 0\nnonsense\nquit\n");
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        let lines: Vec<_> = ended.output.lines().collect();
        assert!(lines[0].starts_with("status: 1 connections"), "{lines:?}");
        assert!(lines[1].starts_with("unknown"), "{lines:?}");
    }
    assert_eq!(control.program.stop().code, Some(0));
}

/// A dialogue, in which signals come from the side.
#[test]
#[ignore = "needs expect and socat"]
fn expect_has_a_dialogue() {
    let _bound = Watchdog::new();
    let control = Control::start();
    let script = r#"
        set timeout 30
        proc hear {what} {
            expect {
                -re $what {}
                timeout { puts "not heard: $what"; exit 1 }
                eof { puts "ended before: $what"; exit 1 }
            }
        }
        spawn -noecho socat - UNIX-CONNECT:$env(CONTROL)
        send "status\r"
        hear {status: 1 connections, 1 lines}
        exec kill -HUP $env(PROGRAM)
        hear {notice: reloaded}
        send "wait 0\r"
        hear {done}
        exec kill -USR1 $env(PROGRAM)
        hear {status: 1 connections, 2 lines, 0 unknown, 0 too long, 1 reloads}
        send "every 1\r"
        hear {ok.*status: .*status: }
        send "quit\r"
        expect {
            eof {}
            timeout { puts "it goes on"; exit 1 }
        }
    "#;
    let mut expect = Command::new("expect");
    expect.env("CONTROL", &control.path);
    expect.env("PROGRAM", control.program.pid().to_string());
    let ended = run_with(expect.args(["-c", script]), b"");
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
    assert_eq!(control.program.stop().code, Some(0));
}
