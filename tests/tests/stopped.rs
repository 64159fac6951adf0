//! A process that was stopped (SIGSTOP, a frozen cgroup) and goes on reads what came in time before it checks
//! deadlines.

use core::time::Duration;
use rustix::process::Signal;
use std::net::TcpStream;
use std::thread;
use std::time::Instant;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, tcp};
use tests::process::Program;

/// Every deadline here: long enough to come to the stop in time on a machine that is busy.
const DEADLINE: &str = "3s";
const PASSED: Duration = Duration::from_millis(3200);

/// A client, what it sends while the program is stopped, and the receiver and its data.
type Heard = (TcpStream, &'static [u8], TcpStream, &'static [u8]);

/// First byte and idle: an echo to both.
fn echoes(program: &Program) -> Vec<Heard> {
    let (fresh, mut idle) = (tcp(program.address()), tcp(program.address()));
    idle.echo(b"hello");
    [fresh, idle]
        .map(|client| {
            let hears = client.try_clone().expect("a descriptor");
            (client, &b"in time"[..], hears, &b"in time"[..])
        })
        .into()
}

/// Request: the second half of a line, which another receives.
fn line(program: &mut Program) -> Vec<Heard> {
    let mut says = tcp(program.address());
    let hears = tcp(program.address());
    says.say(b"in ");
    program.statistics_when("bytes_in", 3);
    program.statistics_when("open", 2);
    vec![(says, b"time\n", hears, b"in time\n")]
}

#[test]
fn what_came_in_time_counts() {
    let _bound = Watchdog::new();
    let mut all = Vec::new();
    for mode in MODES {
        let deadlines = ["--first-byte", DEADLINE, "--idle", DEADLINE];
        let program =
            Program::start(&mode.with(&[&["--service", "echo"], &deadlines[..]].concat()));
        let heard = echoes(&program);
        program.signal(Signal::STOP);
        all.push((mode, program, heard));
        let deadlines = ["--first-byte", "off", "--request", DEADLINE];
        let mut program =
            Program::start(&mode.with(&[&["--service", "chat"], &deadlines[..]].concat()));
        let heard = line(&mut program);
        program.signal(Signal::STOP);
        all.push((mode, program, heard));
    }
    for (says, what, ..) in all.iter_mut().flat_map(|(.., heard)| heard) {
        says.say(what);
    }
    let began = Instant::now();
    while began.elapsed() < PASSED {
        thread::park_timeout(PASSED.saturating_sub(began.elapsed()));
    }
    for (mode, program, heard) in all {
        program.signal(Signal::CONT);
        for (_, _, mut hears, what) in heard {
            hears.hear(what);
        }
        assert_eq!(program.stop().code, Some(0), "{mode}");
    }
}
