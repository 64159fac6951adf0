//! On SIGTERM everything that has arrived is answered before the end; a second one ends at once.

use rustix::process::Signal;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, pattern, tcp};
use tests::process::Program;

#[test]
fn what_has_arrived_is_answered() {
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
fn who_waits_to_be_accepted_is_served() {
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
