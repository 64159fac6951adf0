//! The log goes to syslog on request: a message for each line. If that takes none, lines are dropped and counted, and
//! nothing waits.

use rustix::process::Signal;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use tests::bounded::{SOON, Watchdog, until};
use tests::net::{Client, tcp};
use tests::process::{Folder, Program, program};

fn listen(path: &str) -> UnixDatagram {
    let hears = UnixDatagram::bind(path).expect("bound");
    hears.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
    hears
}

fn start(path: &str, arguments: &[&str]) -> Program {
    let log_to = format!("syslog:{path}");
    let common = ["--service", "echo", "--log", "debug", "--log-to", &log_to];
    Program::start(&[&common[..], arguments].concat())
}

fn next(hears: &UnixDatagram) -> String {
    let mut message = [0; 4096];
    let n = hears.recv(&mut message).expect("a message");
    String::from_utf8(message[..n].to_vec()).expect("UTF-8")
}

fn hear(hears: &UnixDatagram, part: &str) -> String {
    loop {
        let message = next(hears);
        if message.contains(part) {
            return message;
        }
    }
}

#[test]
fn each_line_is_a_message_with_its_severity() {
    let _bound = Watchdog::new();
    let folder = Folder::new("syslog");
    let path = folder.path("log");
    let hears = listen(&path);
    let program = start(&path, &["--listen", "0.0.0.0:0"]);
    let tag = format!("tidegate[{}]: ", program.pid().as_raw_pid());
    let warning = hear(&hears, "every interface");
    assert!(
        warning.starts_with(&format!("<28>{tag}warn: ")),
        "{warning}"
    );
    tcp(program.address()).echo(b"hello");
    let opened = hear(&hears, "debug: ");
    assert!(opened.starts_with(&format!("<31>{tag}debug: ")), "{opened}");
    assert!(!opened.contains('\n'), "{opened:?}");
    let ended = program.stop();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
}

#[test]
fn another_daemon_at_the_same_path_is_found() {
    let _bound = Watchdog::new();
    let folder = Folder::new("restart");
    let path = folder.path("log");
    let hears = listen(&path);
    let mut program = start(&path, &[]);
    tcp(program.address()).echo(b"hello");
    hear(&hears, "debug: ");
    drop(hears);
    tcp(program.address()).echo(b"nobody logs this");
    program.statistics_when("log_lines_dropped", 1);
    std::fs::remove_file(&path).expect("removed");
    let hears = listen(&path);
    tcp(program.address()).echo(b"hello again");
    hear(&hears, "debug: ");
    assert_eq!(program.stop().code, Some(0));
}

#[test]
fn a_daemon_that_takes_nothing_delays_nothing() {
    let _bound = Watchdog::new();
    let folder = Folder::new("stuck");
    let path = folder.path("log");
    // It is there, and never reads.
    let _deaf = UnixDatagram::bind(&path).expect("bound");
    let mut program = start(&path, &["--log", "trace"]);
    let mut client = tcp(program.address());
    until("lines are dropped", || {
        for _ in 0..100 {
            tcp(program.address()).echo(b"a few lines for each connection");
        }
        program.statistics()["log_lines_dropped"] > 0
    });
    client.echo(b"still here");
    let ended = program.stop();
    assert_eq!(ended.code, Some(0));
    assert!(
        !ended.output.contains(" 0 lines dropped"),
        "{}",
        ended.output
    );
}

#[test]
fn last_words_are_on_standard_error_too() {
    let _bound = Watchdog::new();
    let folder = Folder::new("words");
    let path = folder.path("log");
    let hears = listen(&path);
    let mut command = Command::new(program());
    command.args([
        "--log-to",
        &format!("syslog:{path}"),
        "--listen",
        "192.0.2.1:0",
        "--bind",
        "now",
    ]);
    let ended = Program::spawn(&mut command).end();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .errors
            .starts_with("tidegate: cannot listen on 192.0.2.1:0")
    );
    let told = next(&hears);
    assert!(
        told.starts_with("<26>tidegate[") && told.contains("192.0.2.1:0"),
        "{told}"
    );
}

#[test]
fn a_log_that_comes_later_gets_the_earlier_lines() {
    let _bound = Watchdog::new();
    let folder = Folder::new("later");
    let path = folder.path("log");
    let program = start(&path, &["--listen", "0.0.0.0:0"]);
    tcp(program.address()).echo(b"it serves all the same");
    assert!(
        program
            .errors()
            .contains(&format!("--log-to syslog:{path}: ")),
        "{}",
        program.errors()
    );
    let hears = listen(&path);
    program.signal(Signal::HUP);
    hear(&hears, "every interface");
    hear(&hears, "debug: ");
    let ended = program.stop();
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.output.contains("; 0 lines dropped"),
        "{}",
        ended.output
    );
}

#[test]
fn a_log_that_never_comes_delays_nothing() {
    let _bound = Watchdog::new();
    let folder = Folder::new("never");
    let log_to = format!("syslog:{}", folder.path("log"));
    let running = start(&folder.path("log"), &[]);
    assert_eq!(running.stop().code, Some(0));
    // What it dies of is on standard error all the same.
    let mut command = Command::new(program());
    let bad = [
        "--log-to",
        &log_to,
        "--listen",
        "192.0.2.1:0",
        "--bind",
        "now",
    ];
    let ended = Program::spawn(command.args(bad)).end();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .errors
            .contains("tidegate: cannot listen on 192.0.2.1:0"),
        "{}",
        ended.errors
    );
}

/// What `logger` sends is what such a daemon expects: our messages differ from its in the text alone, and the time.
#[test]
#[ignore = "needs logger"]
fn logger_writes_the_same() {
    let _bound = Watchdog::new();
    let folder = Folder::new("logger");
    let path = folder.path("log");
    let hears = listen(&path);
    let mut command = Command::new("logger");
    command.args([
        "--socket",
        &path,
        "--rfc3164",
        "--tag",
        "tidegate",
        "--id=7",
    ]);
    let ended = Program::spawn(command.args(["-p", "daemon.warning", "warn: x"])).end();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let theirs = next(&hears);
    assert!(
        theirs.starts_with("<28>") && theirs.ends_with("tidegate[7]: warn: x"),
        "{theirs}"
    );
}
