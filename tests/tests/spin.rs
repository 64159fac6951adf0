//! Bounded spinning: no sleep for so long after an event, none before the first, and no deadline is missed.

use core::time::Duration;
use std::time::Instant;
use tests::bounded::{SOON, Watchdog, until};
use tests::modes::SLEEPING;
use tests::net::{Client, tcp};
use tests::server::{Echo, Running, memory, serve, server};
use tidegate::{Class, Config, Reason};

const HOUR: Duration = Duration::from_secs(3600);

fn spinning(length: Duration) -> Config {
    Config {
        spin: Some(length),
        ..Config::default()
    }
}

#[test]
fn a_turn_does_not_sleep_after_an_event() {
    let _bound = Watchdog::new();
    for mode in SLEEPING {
        let (mut server, address) =
            server::<4, 1024, 4096, _>(mode, memory(), &spinning(HOUR), Echo);
        let mut client = tcp(address);
        serve(&mut server, || client.echo(b"hello"));
        // Nothing happens any more: one that slept would sleep for longer than this test may take.
        for _ in 0..1000 {
            server.turn(Some(SOON)).expect("a wait");
        }
        serve(&mut server, || client.echo(b"hello again"));
    }
}

#[test]
fn it_sleeps_before_the_first_event_and_when_the_time_is_over() {
    let _bound = Watchdog::new();
    let sleep = Duration::from_millis(30);
    for mode in SLEEPING {
        let (mut server, _) = server::<4, 1024, 4096, _>(mode, memory(), &spinning(HOUR), Echo);
        // What is queued at first is done at once.
        server.turn(Some(Duration::ZERO)).expect("a wait");
        let began = Instant::now();
        server.turn(Some(sleep)).expect("a wait");
        assert!(began.elapsed() >= sleep, "{mode}: it spins for nothing");
    }
    for mode in SLEEPING {
        let config = spinning(Duration::from_millis(2));
        let (mut server, address) = server::<4, 1024, 4096, _>(mode, memory(), &config, Echo);
        let mut client = tcp(address);
        serve(&mut server, || client.echo(b"hello"));
        until("a turn sleeps", || {
            let began = Instant::now();
            server.turn(Some(sleep)).expect("a wait");
            began.elapsed() >= sleep
        });
    }
}

#[test]
fn a_deadline_passes_while_it_spins() {
    let _bound = Watchdog::new();
    for mode in SLEEPING {
        let config = Config {
            idle: Some(Duration::from_millis(50)),
            linger: Some(Duration::from_millis(50)),
            ..spinning(HOUR)
        };
        let running = Running::start::<4, 1024, 4096>(mode, memory(), &config, Echo);
        let mut client = tcp(running.address());
        client.echo(b"hello");
        assert_eq!(client.rest(), b"", "{mode}");
        let idle = Reason::Deadline(Class::Idle);
        running.stats_when("it is closed", |stats| stats.closed_by(idle) == 1);
    }
}
