//! A reset, before or after the accept, ends one connection and is counted; the server lives.

use std::io::Read;
use tests::bounded::{Watchdog, until};
use tests::modes::MODES;
use tests::net::{Client, pattern, reset, tcp};
use tests::server::{AnyServer, Echo, Running, memory, server, turn_until};
use tidegate::{Config, Conn, Handler, Reason};
use tidegate_core::Fault;

const RESET: Reason = Reason::Failed(Fault::Reset(0));

#[test]
fn before_the_accept() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut server, address) =
            server::<8, 1024, 4096, _>(mode, memory(), &Config::default(), Echo);
        for said in [0, 1, 5000] {
            let mut client = tcp(address);
            client.say(&pattern(1, said));
            reset(client);
        }
        let mut lives = tcp(address);
        lives.say(b"hello");
        // Linux accepts them all and reports the reset afterwards; other kernels fail the accept.
        let done = |stats: &tidegate::Stats| stats.closed_total() + stats.accept_failures >= 3;
        while !done(server.stats()) || server.stats().bytes_out < 5 {
            server.turn(None).expect("a wait");
        }
        lives.hear(b"hello");
        let stats = server.stats();
        assert_eq!(stats.closed_by(RESET) + stats.accept_failures, 3, "{mode}");
        assert_eq!((stats.open, stats.stale, stats.unasked), (1, 0, 0));
    }
}

#[test]
fn after_the_accept() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = Running::start::<8, 1024, 4096>(mode, memory(), &Config::default(), Echo);
        let mut lives = tcp(running.address());
        lives.echo(b"hello");
        // Silent; in the middle of an exchange; with a reply left unread; while it is flooded.
        let silent = tcp(running.address());
        running.stats_when("it is accepted", |stats| stats.accepted == 2);
        reset(silent);
        let mut talks = tcp(running.address());
        talks.echo(b"hello");
        reset(talks);
        let mut leaves = tcp(running.address());
        leaves.say(&pattern(1, 10_000));
        leaves.read_exact(&mut [0]).expect("a byte");
        reset(leaves);
        let mut floods = tcp(running.address());
        let mut never_heard = floods.try_clone().expect("a descriptor");
        let flood = std::thread::spawn(move || {
            while std::io::Write::write(&mut never_heard, &[0; 4096]).is_ok() {}
        });
        floods.read_exact(&mut [0; 100]).expect("an echo");
        rustix::net::sockopt::set_socket_linger(&floods, Some(core::time::Duration::ZERO))
            .expect("SO_LINGER");
        rustix::net::connect_unspec(&floods).expect("reset");
        flood.join().expect("an end");

        let stats = running.stats_when("each is closed", |stats| stats.open == 1);
        assert_eq!(stats.closed_by(RESET), 4, "{mode}: {stats:?}");
        assert_eq!((stats.accepted, stats.stale, stats.unasked), (5, 0, 0));
        lives.echo(b"still here");
    }
}

/// Sends nothing, so that only what it receives can show EOF; pauses at each piece if it `pauses`.
#[derive(Clone, Copy)]
struct Mute {
    pauses: bool,
}

impl Handler for Mute {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let n = conn.data().len();
        conn.consume(n);
        if self.pauses {
            conn.pause();
        }
    }
}

/// Bytes and the reset are there together before the server polls: both are noticed.
#[test]
fn behind_bytes() {
    let _bound = Watchdog::new();
    for mode in MODES {
        for pieces in [1, 2, 8] {
            for size in [1, 3000] {
                let config = Config::default();
                let handler = Mute { pauses: false };
                let (mut server, address) =
                    server::<8, 4096, 64, _>(mode, memory(), &config, handler);
                let mut client = tcp(address);
                client.say(b"x");
                turn_until(&mut server, "the first byte", |stats| stats.bytes_in == 1);
                // What waits for more is under way.
                server
                    .turn(Some(core::time::Duration::ZERO))
                    .expect("a wait");
                for _ in 0..pieces {
                    client.say(&vec![b'y'; size]);
                }
                reset(client);
                turn_until(&mut server, "the reset", |stats| stats.open == 0);
                assert_eq!(server.stats().closed_by(RESET), 1, "{mode}");
            }
        }
    }
}

/// The same of a connection that is paused meanwhile: it is noticed at once, or when the connection reads again.
#[test]
fn behind_bytes_while_it_is_paused() {
    let _bound = Watchdog::new();
    for mode in MODES {
        for before in [false, true] {
            let config = Config::default();
            let handler = Mute { pauses: true };
            let (mut server, address) = server::<8, 4096, 64, _>(mode, memory(), &config, handler);
            let mut clients: Vec<_> = (0..8).map(|_| tcp(address)).collect();
            clients.iter_mut().for_each(|client| client.say(b"x"));
            turn_until(&mut server, "the first bytes", |stats| stats.bytes_in == 8);
            server
                .turn(Some(core::time::Duration::ZERO))
                .expect("a wait");
            if before {
                resume(&mut server);
                server
                    .turn(Some(core::time::Duration::ZERO))
                    .expect("a wait");
            }
            for mut client in clients {
                client.say(b"y");
                client.say(b"z");
                reset(client);
            }
            server
                .turn(Some(core::time::Duration::ZERO))
                .expect("a wait");
            turn_until_with(&mut server, "the resets", resume);
            assert_eq!(server.stats().closed_by(RESET), 8, "{mode}");
        }
    }
}

fn resume(server: &mut AnyServer<Mute>) {
    let tokens: Vec<_> = server.session().machine().connections().collect();
    for token in tokens {
        server.session_mut().with(token, |_, conn, _| conn.resume());
    }
}

/// Runs a server, with something done between two iterations, until no connection is open.
fn turn_until_with(
    server: &mut AnyServer<Mute>,
    what: &str,
    mut between: impl FnMut(&mut AnyServer<Mute>),
) {
    until(what, || {
        between(server);
        server
            .turn(Some(core::time::Duration::ZERO))
            .expect("a wait");
        server.stats().open == 0
    });
}

#[test]
fn after_the_servers_end() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = Running::start::<8, 1024, 4096>(mode, memory(), &Config::default(), Echo);
        let mut client = tcp(running.address());
        client.echo(b"hello");
        running.handle().stop();
        assert_eq!(client.rest(), b"", "finished by the server, which lingers");
        reset(client);
        let stats = running.stop();
        assert_eq!(
            stats.closed_by(Reason::Stopping),
            1,
            "{mode}: the first cause counts"
        );
    }
}
