//! A reset, before or after the accept, ends one connection and is counted; the server lives.

use std::io::Read;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, pattern, reset, tcp};
use tests::server::{Echo, Running, memory, server};
use tidegate::{Config, Reason};
use tidegate_core::FaultKind;

const RESET: Reason = Reason::Failed(FaultKind::Reset.with_code(0));

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
        // Linux accepts them all and tells afterwards; other kernels fail the accept.
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
        // Silent; in the middle of an exchange; with an answer left unread; while it is flooded.
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
