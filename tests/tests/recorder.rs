//! The flight recorder of the program: its last inputs are printed on a signal and on the control socket.

use rustix::process::Signal;
use tests::bounded::{Watchdog, until};
use tests::net::{Client, tcp, unix};
use tests::process::{Folder, Program};

/// A listener is added before the clock is read.
const LISTENS: &str = "0.000000000 listener 0 Listen { limited: false, per_source: 0 }\n";

#[test]
fn a_signal_prints_what_went_in_last() {
    let _bound = Watchdog::new();
    for trigger in ["level", "edge", "oneshot"] {
        let program = Program::start(&["--service", "echo", "--trigger", trigger]);
        tcp(program.address()).echo(b"hello");
        until("the connection is told of", || {
            program.signal(Signal::USR2);
            let told = program.output();
            told.contains("#0 Handled { consumed: 5, queued: 5 }\n")
        });
        let told = program.output();
        assert!(told.contains("#0 Accept: a peer\n"), "{told}");
        assert!(told.contains(&format!("recorder: 0: {LISTENS}")), "{told}");
        // The first bytes come the long way.
        assert!(told.contains("#0 Recv: 5"), "{told}");
        assert!(!told.contains("hello"), "no payload");
    }
}

#[test]
fn the_last_of_many_are_kept_and_the_control_socket_prints_them() {
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
    let handled = lines
        .iter()
        .filter(|line| line.ends_with(" #0 Handled { consumed: 5, queued: 5 }"));
    assert!(handled.count() > 12, "{told}");
    let times = lines.iter().filter_map(|line| line.split_once(" #"));
    let times: Vec<f64> = times
        .map(|(time, _)| time.parse().expect("seconds"))
        .collect();
    assert!(times.is_sorted() && times.first() < times.last(), "{told}");
    assert!(
        told.contains("#1 Accept: a peer\n"),
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
        [0, 1].iter().all(|thread| {
            let line = format!("recorder: {thread}: {LISTENS}");
            told.contains(&line)
        })
    });
}
