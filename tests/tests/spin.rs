//! Bounded spinning: no sleep for so long after an event, none before the first, and no deadline is missed.

use core::time::Duration;
use std::net::Shutdown;
use std::time::Instant;
use tests::bounded::{SOON, Watchdog, until};
use tests::modes::SLEEPING;
use tests::net::{Client, tcp};
use tests::server::{Echo, Running, memory, serve, server};
use tidegate::{Class, Config, Conn, Handler, Reason};

const HOUR: Duration = Duration::from_secs(3600);

fn spinning(length: Duration) -> Config {
    Config {
        spin: Some(length),
        ..Config::default()
    }
}

#[test]
fn an_iteration_does_not_sleep_after_an_event() {
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

/// Stays when the peer has sent FIN: paused before it, at rest after it, or sending more than the peer, which receives nothing,
/// has space for, from before or after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stays {
    Paused,
    Ended,
    SendsBefore,
    SendsAfter,
}

impl Handler for Stays {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        match self {
            Self::Paused => conn.pause(),
            Self::Ended | Self::SendsBefore | Self::SendsAfter => {
                conn.consume(conn.data().len());
            }
        }
        if *self == Self::SendsBefore {
            fill(conn);
        }
    }

    fn writable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        fill(conn);
    }

    fn ended(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        if *self == Self::SendsAfter {
            fill(conn);
        }
    }
}

fn fill(conn: &mut Conn<'_>) {
    while conn.send(&[7; 500]).is_ok() {}
}

/// FIN is a state that stays, so an unrequested readiness (io_uring notifies RDHUP unasked) must not be awaited again.
#[test]
fn a_half_closed_connection_wakes_nothing() {
    let _bound = Watchdog::new();
    let sleep = Duration::from_millis(30);
    for mode in SLEEPING {
        for stays in [
            Stays::Paused,
            Stays::Ended,
            Stays::SendsBefore,
            Stays::SendsAfter,
        ] {
            let config = Config::default();
            let (mut server, address) = server::<4, 1024, 4096, _>(mode, memory(), &config, stays);
            let mut client = tcp(address);
            serve(&mut server, || client.say(b"hello"));
            client.shutdown(Shutdown::Write).expect("FIN");
            // An acknowledgement may wake it once more.
            let mut in_a_row = 0;
            until(&format!("turns sleep: {mode}, {stays:?}"), || {
                let began = Instant::now();
                server.turn(Some(sleep)).expect("a wait");
                let slept = began.elapsed() >= sleep;
                in_a_row = if slept { in_a_row + 1 } else { 0 };
                in_a_row == 3
            });
            assert_eq!(server.session().stats().open, 1, "{mode}, {stays:?}");
        }
    }
}
