//! The example `serial_bridge`: bytes go both ways between a client and a line, however slow a side is; the line may go
//! and come back, and clients as they like.

use core::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;
use tests::bounded::{Watchdog, until};
use tests::net::{Client, pattern, tcp};
use tests::process::{Folder, Program};
use tests::terminal::terminal;

fn bridge(device: &str) -> Program {
    bridge_with(device, &[])
}

fn bridge_with(device: &str, arguments: &[&str]) -> Program {
    let arguments = [&["--listen", "127.0.0.1:0", "--device", device], arguments].concat();
    let bridge = Program::example("serial_bridge", &arguments);
    said(&bridge, ": open", 1);
    bridge
}

/// A client that is served: one that comes too early, or while another is served, is reset.
fn client(bridge: &Program, far: &mut (impl Read + AsFd)) -> TcpStream {
    let mut client = None;
    until("a client is served", || {
        let asking = client.get_or_insert_with(|| ask(bridge));
        if has_input(&*far) {
            return true;
        }
        let waits = |error: &Error| error.kind() == ErrorKind::WouldBlock;
        if !asking.read(&mut [0]).is_err_and(|error| waits(&error)) {
            client = None;
        }
        false
    });
    let mut hello = [0];
    far.read_exact(&mut hello).expect("a byte");
    assert_eq!(&hello, b"!");
    let client = client.expect("a client");
    client.set_nonblocking(false).expect("blocking");
    client
}

fn ask(bridge: &Program) -> TcpStream {
    let mut client = tcp(bridge.address());
    client.set_nonblocking(true).expect("non-blocking");
    // It may have been reset by now.
    let _ = client.write_all(b"!");
    client
}

fn has_input(of: &impl AsFd) -> bool {
    let mut asked = [PollFd::new(of, PollFlags::IN)];
    poll(&mut asked, Some(&Timespec::default())).expect("an answer") > 0
}

/// Waits until it has printed that so often.
fn said(bridge: &Program, part: &str, times: usize) {
    until(part, || {
        let output = bridge.output();
        output.lines().filter(|line| line.ends_with(part)).count() >= times
    });
}

/// Both send `len` bytes at once, and receive those of the other; `slow` receives them in small pieces.
fn exchange<A, B>(near: &A, far: &B, len: usize, slow: impl Fn(usize) + Sync)
where
    for<'a> &'a A: Read + Write,
    for<'a> &'a B: Read + Write,
    A: Sync,
    B: Sync,
{
    let (one, other) = (pattern(1, len), pattern(2, len));
    let hears = |mut from: Box<dyn Read + '_>, said: &[u8]| {
        let mut heard = vec![0; said.len()];
        let mut at = 0;
        while at < heard.len() {
            let n = from.read(&mut heard[at..]).expect("bytes");
            assert!(n > 0, "an end after {at} of {}", said.len());
            at += n;
            slow(at);
        }
        assert!(heard == said, "other bytes");
    };
    thread::scope(|scope| {
        scope.spawn(|| (&*near).write_all(&one).expect("sent"));
        scope.spawn(|| (&*far).write_all(&other).expect("sent"));
        scope.spawn(|| hears(Box::new(&*near), &other));
        hears(Box::new(&*far), &one);
    });
}

#[test]
fn bytes_go_both_ways_at_once_however_slow_a_side_is() {
    let _bound = Watchdog::new();
    let (mut far, path) = terminal();
    let bridge = bridge(&path);
    let client = client(&bridge, &mut far);
    exchange(&client, &far, 200_000, |_| {});
    exchange(&client, &far, 50_000, |_| {
        thread::sleep(Duration::from_micros(200));
    });
}

#[test]
fn a_client_that_comes_while_another_is_served_is_refused() {
    let _bound = Watchdog::new();
    let (mut far, path) = terminal();
    let bridge = bridge(&path);
    let mut first = client(&bridge, &mut far);
    for _ in 0..20 {
        if let Ok(mut second) = TcpStream::connect(bridge.address()) {
            assert!(second.is_reset());
        }
    }
    first.say(b"still here");
    let mut heard = [0; 10];
    far.read_exact(&mut heard).expect("bytes");
    assert_eq!(&heard, b"still here");
    // Output of the line without a client is not for the next.
    tests::net::reset(first);
    let mut next = client(&bridge, &mut far);
    far.write_all(b"for you").expect("capacity");
    next.hear(b"for you");
}

#[test]
fn the_end_of_the_line_is_the_end_of_its_client_and_the_line_is_opened_again() {
    let _bound = Watchdog::new();
    let folder = Folder::new("serial_bridge");
    let device = folder.path("line");
    let plug = || -> File {
        let (far, path) = terminal();
        symlink(path, &device).expect("a link");
        far
    };
    let mut far = plug();
    let bridge = bridge(&device);
    for round in 1..=3 {
        let mut client = client(&bridge, &mut far);
        far.write_all(b"the last words").expect("capacity");
        // They have come before the line goes.
        client.hear(b"the last words");
        // The name first: the number of a pseudo-terminal that is gone may be another's at once.
        std::fs::remove_file(&device).expect("a link");
        drop(far);
        assert_eq!(client.rest(), b"");
        said(&bridge, ": closed: peer finished", round);
        if let Ok(mut early) = TcpStream::connect(bridge.address()) {
            assert!(early.is_reset(), "nobody waits for a line");
        }
        said(&bridge, ": closed: connection refused (errno 2)", round);
        far = plug();
        said(&bridge, ": open", round + 1);
    }
}

#[test]
fn after_a_clients_eof_the_reply_of_the_device_still_comes() {
    let _bound = Watchdog::new();
    let (mut far, path) = terminal();
    let bridge = bridge_with(&path, &["--half-close", "off"]);
    let mut one = client(&bridge, &mut far);
    one.say(b"status");
    one.finish();
    let mut heard = [0; 6];
    far.read_exact(&mut heard).expect("bytes");
    far.write_all(b"OK 42").expect("capacity");
    one.hear(b"OK 42");
    // It only waits for a reply by now, and yields to another client.
    let mut next = client(&bridge, &mut far);
    assert_eq!(one.rest(), b"");
    far.write_all(b"for you").expect("capacity");
    next.hear(b"for you");
}

#[test]
fn a_client_that_has_ended_has_its_time_and_no_more() {
    let _bound = Watchdog::new();
    for half_close in ["1ms", "10ms"] {
        let (mut far, path) = terminal();
        let bridge = bridge_with(&path, &["--half-close", half_close]);
        let mut one = client(&bridge, &mut far);
        let said = pattern(4, 100_000);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                one.say(&said);
                one.finish();
                assert_eq!(one.rest(), b"", "{half_close}");
            });
            let mut heard = vec![0; said.len()];
            far.read_exact(&mut heard).expect("all of it");
            assert!(heard == said);
        });
    }
}

#[test]
fn a_new_client_takes_over_if_it_may() {
    let _bound = Watchdog::new();
    let (mut far, path) = terminal();
    let bridge = bridge_with(&path, &["--take-over"]);
    let mut old = client(&bridge, &mut far);
    for round in 0..3 {
        let mut new = client(&bridge, &mut far);
        assert!(old.is_reset(), "{round}");
        far.write_all(b"for the new one").expect("capacity");
        new.hear(b"for the new one");
        old = new;
    }
}

#[test]
fn what_the_driver_does_not_take_is_a_warning() {
    let _bound = Watchdog::new();
    let (mut far, path) = terminal();
    let unusual = ["--format", "7M2", "--rs485", "on,before=1", "--dtr", "off"];
    let bridge = bridge_with(&path, &unusual);
    for name in ["data bits", "parity", "RS-485", "DTR"] {
        said(
            &bridge,
            &format!("the driver ignores this setting: {name}"),
            1,
        );
    }
    assert!(!bridge.output().contains("stop bits"), "those it has");
    let mut client = client(&bridge, &mut far);
    client.say(b"all the same");
    let mut heard = [0; 12];
    far.read_exact(&mut heard).expect("bytes");
}

#[test]
fn an_error_of_the_line_is_reported() {
    for (arguments, part) in [
        (&["--speed", "0", "--device", "/dev/ttyS0"][..], "hangs up"),
        (&["--format", "9N1"], "5 to 8"),
        (&["--format", "8N1.5"], "five bits"),
        (&["--format", "8X1"], "N, E, O, M or S"),
        (&["--parity", "7"], "mark or space"),
        (&["--flow", "maybe"], "hardware"),
        (&["--dtr", "perhaps"], "on or off"),
        (&["--rs485", "on,up"], "up is none of"),
        (&["--rs485", "before=101"], "0 to 100"),
        (&["--break", "long"], "duration"),
        (&["--rfc2217", "here"], "port"),
        (&[], "--device is missing"),
    ] {
        let ended = run(arguments);
        assert_ne!(ended.code, Some(0));
        assert!(ended.errors.contains(part), "{}", ended.errors);
    }
}

#[test]
fn options_are_checked_without_a_line() {
    for (arguments, expected) in [
        (&["--format", "8M1"][..], "9600 --format 8M1 --flow none"),
        (&["--format", "5s1.5"], "--format 5S1.5"),
        (&["--parity", "space"], "--format 8S1"),
        (&["--rs485", "after-send,receive,after=5"], "--rs485 on"),
    ] {
        let ended = run(&[&["--check", "--device", "/dev/x"], arguments].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        assert!(ended.output.contains(expected), "{}", ended.output);
    }
}

fn run(arguments: &[&str]) -> tests::process::Ended {
    let mut command = Command::new(tests::process::example("serial_bridge"));
    tests::process::run_with(command.args(arguments), b"")
}

/// Two pseudo-terminals with a wire between them.
fn wire(one: &str, other: &str) -> Program {
    let end = |path: &str| format!("PTY,link={path},raw,echo=0");
    let mut command = Command::new("socat");
    let wire = Program::spawn(command.args([end(one), end(other)]));
    until("there are both ends", || {
        [one, other]
            .iter()
            .all(|path| std::fs::metadata(path).is_ok())
    });
    wire
}

/// ser2net at a device, and a client of it.
fn ser2net(folder: &Folder, device: &str) -> (Program, TcpStream) {
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("an address").port()
    };
    let config = format!(
        "connection: &line\n  accepter: tcp,127.0.0.1,{port}\n  connector: serialdev,{device},9600n81,local\n"
    );
    let path = folder.path("ser2net.yaml");
    std::fs::write(&path, config).expect("a file");
    let mut command = Command::new("ser2net");
    let program = Program::spawn(command.args(["-n", "-u", "-c", &path]));
    let mut client = None;
    until("ser2net listens", || {
        client = TcpStream::connect(("127.0.0.1", port)).ok();
        client.is_some()
    });
    let client = client.expect("a client");
    let soon = Some(tests::bounded::SOON);
    client.set_read_timeout(soon).expect("a timeout");
    (program, client)
}

#[test]
#[ignore = "needs socat and ser2net"]
fn ser2net_at_the_other_end() {
    let _bound = Watchdog::new();
    let folder = Folder::new("serial_bridge");
    let (one, other) = (folder.path("one"), folder.path("other"));
    let _wire = wire(&one, &other);
    let (_ser2net, mut far) = ser2net(&folder, &other);
    let bridge = bridge(&one);
    let near = client(&bridge, &mut far);
    exchange(&near, &far, 200_000, |_| {});
    exchange(&near, &far, 30_000, |_| {
        thread::sleep(Duration::from_micros(300));
    });
}

#[test]
#[ignore = "needs socat and ser2net"]
fn the_wire_is_cut_and_repaired() {
    let _bound = Watchdog::new();
    let folder = Folder::new("serial_bridge");
    let (one, other) = (folder.path("one"), folder.path("other"));
    let cut = wire(&one, &other);
    let bridge = bridge(&one);
    assert!(
        cut.stop().code.is_some(),
        "it removes the names of its ends"
    );
    said(&bridge, ": closed: peer finished", 1);
    let _wire = wire(&one, &other);
    said(&bridge, ": open", 2);
    let (_ser2net, mut far) = ser2net(&folder, &other);
    let near = client(&bridge, &mut far);
    exchange(&near, &far, 20_000, |_| {});
}

#[test]
#[ignore = "needs socat and ser2net"]
fn a_client_that_is_killed_frees_its_slot() {
    let _bound = Watchdog::new();
    let (mut far, path) = terminal();
    let bridge = bridge(&path);
    for _ in 0..5 {
        let to = format!("TCP:{}", bridge.address());
        let mut command = Command::new("socat");
        let mut socat = Program::spawn(command.args(["SYSTEM:echo hello; sleep 60", &to]));
        let mut heard = [0; 6];
        far.read_exact(&mut heard).expect("bytes");
        assert_eq!(&heard, b"hello\n");
        socat.signal(rustix::process::Signal::KILL);
        until("it is dead", || socat.has_ended());
    }
    let mut next = client(&bridge, &mut far);
    far.write_all(b"served").expect("capacity");
    next.hear(b"served");
}
