//! A slow reader of the output, or none at all, delays no connection.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Command};
use tests::bounded::Watchdog;
use tests::net::{Client, tcp};
use tests::process::{Program, program};

fn start() -> (Program, BufReader<ChildStdout>, core::net::SocketAddr) {
    let mut command = Command::new(program());
    command.args(["--service", "print", "--listen", "127.0.0.1:0"]);
    let (process, output) = Program::spawn_unread(&mut command);
    let mut output = BufReader::new(output);
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    let address = line
        .trim_end()
        .strip_prefix("listening on ")
        .expect("a place");
    let address = address.parse().expect("an address");
    (process, output, address)
}

/// More lines than a pipe and the program hold: about 140 bytes for each of 256 KiB.
fn talk(address: core::net::SocketAddr) {
    for _ in 0..20 {
        let mut client = tcp(address);
        for _ in 0..100 {
            client.say(&[b'x'; 100]);
        }
        client.finish();
        assert_eq!(client.rest(), b"");
    }
    for _ in 0..2000 {
        let client = tcp(address);
        client.finish();
    }
}

#[test]
fn a_closed_output() {
    let _bound = Watchdog::new();
    let (process, output, address) = start();
    drop(output);
    talk(address);
    let ended = process.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
}

#[test]
fn a_full_output() {
    let _bound = Watchdog::new();
    let (process, output, address) = start();
    talk(address);
    talk(address);
    let ended = process.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    drop(output);
}

#[test]
fn no_output_at_all() {
    let _bound = Watchdog::new();
    // The streams are closed before it starts: no socket may take their numbers.
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "exec \"$0\" --service echo --listen \"unix:$1\" <&- >&- 2>&-",
    ]);
    let folder = tests::process::Folder::new("output");
    let path = folder.path("s");
    command.arg(program()).arg(&path);
    let (process, _output) = Program::spawn_unread(&mut command);
    tests::bounded::until("it listens", || std::fs::symlink_metadata(&path).is_ok());
    tests::bounded::until("it accepts", || {
        std::os::unix::net::UnixStream::connect(&path).is_ok()
    });
    tests::net::unix(&path).echo(b"hello");
    for number in 0..3 {
        let link = std::fs::read_link(format!("/proc/{}/fd/{number}", process.pid().as_raw_pid()));
        let link = link.expect("open").to_string_lossy().into_owned();
        assert!(
            !link.starts_with("socket:") && !link.starts_with("anon_inode:"),
            "{number}: {link}"
        );
    }
    assert_eq!(process.stop().code, Some(0));
}
