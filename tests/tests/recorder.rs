//! The flight recorder of the program: its last inputs are printed on a signal and on the control socket.

use rustix::process::Signal;
use tests::bounded::{Watchdog, until};
use tests::net::{Client, tcp, unix};
use tests::process::{Folder, Program};

#[test]
fn a_signal_prints_what_went_in_last() {
    let _bound = Watchdog::new();
    for trigger in ["level", "edge", "oneshot"] {
        let program = Program::start(&["--service", "echo", "--trigger", trigger]);
        tcp(program.address()).echo(b"hello");
        until("the connection is told of", || {
            program.signal(Signal::USR2);
            let told = program.output();
            told.contains("#0 told: 5 bytes consumed, 5 queued\n")
        });
        let told = program.output();
        assert!(told.contains("#0 accept: a peer\n"), "{told}");
        assert!(told.contains("recorder: 0: listener 0 added\n"), "{told}");
        // The first bytes come the long way.
        assert!(told.contains("#0 recv: 5"), "{told}");
        assert!(!told.contains("hello"), "no payload");
    }
}

#[test]
fn the_last_of_many_are_kept_and_the_control_socket_tells_them() {
    let _bound = Watchdog::new();
    let folder = Folder::new("recorder");
    let path = folder.path("c");
    let place = format!("unix:{path}");
    let program = Program::start(&["--service", "echo", "--control", &place]);
    let mut client = tcp(program.address());
    for _ in 0..100 {
        client.echo(b"hello");
    }
    let mut operator = unix(&path);
    operator.say(b"recorder\n");
    operator.finish();
    let told = String::from_utf8(operator.rest()).expect("UTF-8");
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 65, "{told}");
    assert_eq!(lines.last(), Some(&"ok"));
    let served = lines
        .iter()
        .filter(|line| **line == "#0 served: 5 bytes in, 5 out");
    assert!(served.count() > 20, "{told}");
    assert!(told.contains("\n+0."), "the time passes: {told}");
    assert!(
        told.contains("#1 accept: a peer\n"),
        "who asks is the last: {told}"
    );
}

#[test]
fn each_thread_has_one() {
    let _bound = Watchdog::new();
    let program = Program::start(&["--service", "echo", "--threads", "2"]);
    until("both have told", || {
        program.signal(Signal::USR2);
        let told = program.output();
        told.contains("recorder: 0: listener 0 added")
            && told.contains("recorder: 1: listener 0 added")
    });
}
