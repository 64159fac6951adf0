//! Several loops in one program: every client is served, by all of them, and a signal reaches each.

use rustix::process::Signal;
use std::net::TcpStream;
use tests::bounded::{Watchdog, until};
use tests::net::{Client, pattern, tcp};
use tests::process::{Program, run};

/// So many that it would be a wonder if the kernel dealt none to one of four: 4 × 0.75¹²⁸ is one in 10¹⁵.
const CLIENTS: u64 = 128;

#[test]
fn all_loops_serve_and_all_stop() {
    let _bound = Watchdog::new();
    for threads in ["2", "4"] {
        for trigger in ["level", "edge", "oneshot"] {
            let mut program = Program::start(&[
                "--service",
                "echo",
                "--threads",
                threads,
                "--trigger",
                trigger,
            ]);
            let mut clients: Vec<_> = (0..CLIENTS).map(|_| tcp(program.address())).collect();
            for (n, client) in (0..).zip(&mut clients) {
                client.echo(&pattern(n, 1000));
            }
            let statistics = program.statistics();
            assert_eq!(statistics["open"], CLIENTS);
            assert_eq!(statistics["bytes_out"], CLIENTS * 1000);
            let each: Vec<_> = statistics
                .iter()
                .filter(|(name, _)| name.starts_with("accepted_by_thread_"))
                .map(|(_, n)| *n)
                .collect();
            assert_eq!(each.len().to_string(), threads);
            assert_eq!(each.iter().sum::<u64>(), CLIENTS);
            assert!(each.iter().all(|&n| n > 0), "{each:?}");
            // Asked again, twice in succession: there is at least one reply.
            assert_eq!(program.statistics()["accepted"], CLIENTS);

            program.signal(Signal::TERM);
            for mut client in clients {
                assert_eq!(client.rest(), b"", "an orderly end");
            }
            let ended = program.end();
            assert_eq!(ended.code, Some(0));
            let summary = format!("stopped: {CLIENTS} connections accepted");
            assert!(ended.output.contains(&summary), "{}", ended.output);
        }
    }
}

#[test]
fn the_connections_are_shared_out() {
    let _bound = Watchdog::new();
    let mut program = Program::start(&[
        "--service",
        "echo",
        "--threads",
        "2",
        "--connections",
        "5",
        "--full",
        "refuse",
    ]);
    // One that is refused may get the error in any call.
    let clients: Vec<_> = (0..64)
        .map(|_| TcpStream::connect(program.address()))
        .collect();
    let statistics = program.statistics_when("refused_full", 64 - 6);
    assert_eq!(statistics["open"], 6, "three for each thread");
    drop(clients);
}

#[test]
fn a_second_signal_ends_all_at_once() {
    let _bound = Watchdog::new();
    let mut program = Program::start(&["--service", "echo", "--threads", "3", "--drain", "off"]);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| tcp(program.address())).collect();
    for client in &mut clients {
        // Ten bytes that are not read, so that the connection lingers.
        client.say(&pattern(0, 10));
    }
    program.signal(Signal::TERM);
    program.signal(Signal::INT);
    until("the end", || program.has_ended());
    assert_eq!(program.end().code, Some(0));
}

#[test]
fn what_cannot_be_shared_is_said() {
    let _bound = Watchdog::new();
    for (arguments, says) in [
        (
            &["--threads", "5"][..],
            "--threads 5: must be a number from 1 to 4",
        ),
        (
            &["--threads", "2", "--connections", "10001"],
            "--threads 2: at most 10000 connections",
        ),
        (
            &["--threads", "2", "--service", "chat"],
            "--threads 2: the chat has one thread",
        ),
        (
            &["--listen", "unix:/x", "--threads", "2"],
            "--threads 2: unix:/x cannot be shared",
        ),
    ] {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}");
        assert!(ended.errors.contains(says), "{}", ended.errors);
    }
}
