//! A reset of a connection of which nothing is received frees its slot at once, on every backend: not only when it has been
//! idle for too long.

use std::net::Shutdown;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, reset, tcp};
use tests::server::{Running, memory};
use tidegate::{Config, Conn, Handler, Reason};
use tidegate_core::Fault;

const RESET: Reason = Reason::Failed(Fault::Reset(0));

/// Stops receiving at the first byte, or goes on after the peer's FIN.
#[derive(Clone, Copy, Debug)]
enum Rests {
    Paused,
    Ended,
}

impl Handler for Rests {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        match self {
            Self::Paused => conn.pause(),
            Self::Ended => conn.consume(conn.data().len()),
        }
    }

    fn ended(&mut self, _: &mut Conn<'_>, (): &mut ()) {}
}

#[test]
fn its_slot_is_free_at_once() {
    let _bound = Watchdog::new();
    for mode in MODES {
        for rests in [Rests::Paused, Rests::Ended] {
            for more in [0, 100, 50_000] {
                eprintln!("{mode}, {rests:?}, {more}");
                let config = Config::default();
                let running = Running::start::<4, 1024, 4096>(mode, memory(), &config, rests);
                let mut clients = [(); 4].map(|()| tcp(running.address()));
                for client in &mut clients {
                    client.say(b"x");
                }
                running.stats_when("all are there", |stats| stats.bytes_in >= 4);
                for client in &mut clients {
                    client.say(&vec![7; more]);
                    if matches!(rests, Rests::Ended) {
                        client.shutdown(Shutdown::Write).expect("FIN");
                    }
                }
                // Nothing is to be seen of it from here: a few iterations, in which what came is processed.
                for _ in 0..5 {
                    let _ = running.stats();
                }
                clients.into_iter().for_each(reset);
                let stats = running.stats_when("their slots are free", |stats| stats.open == 0);
                assert_eq!(
                    stats.closed_by(RESET),
                    4,
                    "{mode}, {rests:?}, {more}: {stats:?}"
                );
                assert_eq!((stats.stale, stats.unasked), (0, 0), "{mode}");
            }
        }
    }
}

/// One that has only sent FIN, and gets its reply later, was not reset.
#[test]
fn a_fin_while_it_is_paused_ends_nothing() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = Running::start::<4, 1024, 4096>(mode, memory(), &Config::default(), Late);
        let mut client = tcp(running.address());
        client.say(b"question");
        running.stats_when("it is paused", |stats| stats.bytes_in == 8);
        client.finish();
        for _ in 0..5 {
            assert_eq!(running.stats().open, 1, "{mode}");
        }
        running.ask(|server| {
            let token = server.session().machine().connections().next();
            server
                .session_mut()
                .with(token.expect("it"), |_, conn, _| conn.resume());
        });
        assert_eq!(client.rest(), b"question", "{mode}");
    }
}

/// Pauses at the first byte, once, and replies after the peer's FIN.
#[derive(Debug)]
struct Late;

impl Handler for Late {
    /// It has paused.
    type State = bool;

    fn readable(&mut self, conn: &mut Conn<'_>, paused: &mut bool) {
        if !core::mem::replace(paused, true) {
            conn.pause();
        }
    }

    fn ended(&mut self, conn: &mut Conn<'_>, _: &mut bool) {
        let data = conn.data();
        conn.send(data).expect("capacity");
        conn.consume(data.len());
        conn.finish();
    }
}
