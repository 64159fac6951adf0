//! On SIGTERM every request that has arrived gets its reply before the end; a second one ends at once.

use rustix::process::Signal;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, pattern, tcp};
use tests::process::Program;

#[test]
fn what_has_arrived_gets_its_reply() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let mut program = Program::start(&mode.with(&["--service", "echo"]));
        let mut clients: Vec<_> = (0..10).map(|_| tcp(program.address())).collect();
        program.statistics_when("open", 10);
        for (n, client) in (0..).zip(&mut clients) {
            client.say(&pattern(n, 30_000));
        }
        program.signal(Signal::TERM);
        for (n, mut client) in (0..).zip(clients) {
            assert!(client.rest() == pattern(n, 30_000), "{mode}");
        }
        let ended = program.end();
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
        let last = ended.output.lines().last().expect("a line").to_owned();
        assert!(
            last.starts_with(
                "stopped: 10 connections accepted, 0 refused, 0 evicted; 300000 bytes in, 300000"
            ),
            "{last}"
        );
    }
}

#[test]
fn a_connection_in_the_queue_is_served() {
    let _bound = Watchdog::new();
    for signal in [Signal::TERM, Signal::INT] {
        for mode in MODES {
            let program = Program::start(&mode.with(&["--service", "echo"]));
            program.signal(Signal::STOP);
            let mut clients: Vec<_> = (0..50).map(|_| tcp(program.address())).collect();
            for (n, client) in (0..).zip(&mut clients) {
                client.say(&pattern(n, 5000));
            }
            program.signal(signal);
            program.signal(Signal::CONT);
            for (n, mut client) in (0..).zip(clients) {
                assert!(client.rest() == pattern(n, 5000), "{mode}");
            }
            let ended = program.end();
            assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
            assert!(
                ended.output.contains("stopped: 50 connections accepted"),
                "{}",
                ended.output
            );
        }
    }
}

/// A client that connected a moment ago may still send its first request: accepted already, or still in the queue.
#[test]
fn a_new_client_gets_its_reply() {
    let _bound = Watchdog::new();
    for mode in MODES {
        for first_byte in ["60s", "off"] {
            let arguments = ["--service", "echo", "--first-byte", first_byte];
            let mut program = Program::start(&mode.with(&arguments));
            let mut idle = tcp(program.address());
            idle.echo(b"hello");
            let mut accepted = tcp(program.address());
            program.statistics_when("open", 2);
            program.signal(Signal::STOP);
            let mut queued = tcp(program.address());
            program.signal(Signal::TERM);
            program.signal(Signal::CONT);
            // It sees EOF, so the stop was handled; the others are not ended by it.
            assert_eq!(idle.rest(), b"", "{mode}");
            for client in [&mut accepted, &mut queued] {
                client.echo(b"hello");
                assert_eq!(client.rest(), b"", "{mode}");
            }
            drop((idle, accepted, queued));
            let ended = program.end();
            assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{mode}");
        }
    }
}

#[test]
fn a_client_in_the_middle_of_a_line_sends_the_rest() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let mut program = Program::start(&mode.with(&["--service", "chat"]));
        let (mut says, mut hears) = (tcp(program.address()), tcp(program.address()));
        says.say(b"half");
        program.statistics_when("bytes_in", 4);
        program.statistics_when("open", 2);
        program.signal(Signal::TERM);
        // Both are left: the one in the middle of its line, and the one that was silent up to now.
        says.say(b" a line\n");
        assert_eq!(says.rest(), b"", "{mode}");
        hears.hear(b"half a line\n");
        hears.shutdown(std::net::Shutdown::Write).expect("shut");
        drop((says, hears));
        assert_eq!(program.end().code, Some(0), "{mode}");
    }
}

#[test]
fn the_time_for_it_has_an_end() {
    let _bound = Watchdog::new();
    for mode in MODES {
        // It neither reads nor ends; nothing but the time for the drain would end it.
        let program = Program::start(&mode.with(&[
            "--service",
            "echo",
            "--drain",
            "200ms",
            "--idle",
            "off",
            "--write-stall",
            "off",
            "--linger",
            "off",
        ]));
        let mut deaf = tcp(program.address());
        deaf.set_write_timeout(Some(core::time::Duration::from_millis(100)))
            .expect("SO_SNDTIMEO");
        while std::io::Write::write(&mut deaf, &[7; 4096]).is_ok() {}
        let ended = program.stop();
        assert_eq!(ended.code, Some(0), "{mode}: {}", ended.errors);
        deaf.is_reset();
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let mut program =
            Program::start(&mode.with(&["--service", "echo", "--drain", "off", "--linger", "off"]));
        let mut stays = tcp(program.address());
        stays.echo(b"hello");
        program.signal(Signal::TERM);
        assert_eq!(
            stays.rest(),
            b"",
            "the first was heard: the server has finished"
        );
        assert!(!program.has_ended(), "it waits for our end, for ever");
        let ended = program.stop();
        assert_eq!(ended.code, Some(0), "{mode}: {}", ended.errors);
    }
}
