//! Events of a connection that is gone reach no other, and do not keep the loop awake.

use core::time::Duration;
use rustix::event::epoll::{EventData, EventFlags, add};
use rustix::fd::AsFd;
use rustix::process::getpid;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use tests::bounded::{SOON, Watchdog};
use tests::modes::{EPOLL, MODES};
use tests::net::{Client, pattern, reset, server_end, tcp};
use tests::server::{Echo, Running, memory, over_epoll, serve, server, turn_until};
use tidegate::{Config, Conn, Handler, Reason, Server, Token};

/// Descriptors are found by number: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn closing_and_accepting_in_one_batch() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    for mode in MODES {
        let (mut server, address) =
            server::<16, 1024, 4096, _>(mode, memory(), &Config::default(), Echo);
        let mut clients: Vec<TcpStream> = (0..16).map(|_| tcp(address)).collect();
        turn_until(&mut server, "all are accepted", |stats| stats.open == 16);
        for round in 0..50 {
            // All in one poll: some are reset, some send a message and FIN, some only talk, and as many new ones are
            // waiting, which will get the same numbers.
            let message = |n: usize| pattern((round * 16 + n) as u64, 50 + n);
            let mut kept = Vec::new();
            let mut finishing = Vec::new();
            for (n, mut client) in clients.into_iter().enumerate() {
                client.say(&message(n));
                match (n + round) % 4 {
                    0 => reset(client),
                    1 => {
                        client.finish();
                        finishing.push((n, client));
                    }
                    _ => kept.push((n, client)),
                }
            }
            let mut new: Vec<_> = (0..16 - kept.len()).map(|_| tcp(address)).collect();
            for client in &mut new {
                client.say(b"new");
            }
            serve(&mut server, || {
                for client in &mut new {
                    client.hear(b"new");
                }
                for (n, mut client) in finishing {
                    assert!(client.rest() == message(n), "{mode}, round {round}");
                }
                for (n, client) in &mut kept {
                    client.hear(&message(*n));
                }
            });
            clients = kept
                .into_iter()
                .map(|(_, client)| client)
                .chain(new)
                .collect();
        }
        let stats = server.stats();
        assert_eq!(stats.accepted, 16 + 50 * 8);
        assert_eq!(
            (stats.stale, stats.unasked, stats.rebuilds),
            (0, 0, 0),
            "{mode}"
        );
        assert_eq!(server.repairs(), 0);
    }
}

/// Aborts at `a`, finishes at `f`.
struct Obeys;

impl Handler for Obeys {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        match conn.data().first() {
            Some(b'a') => conn.abort(),
            Some(b'f') => conn.finish(),
            _ => {
                let _ = conn.send(conn.data());
            }
        }
        conn.consume(conn.data().len());
    }
}

/// A copy of the descriptor keeps the connection, and a registration that was not removed, alive.
#[test]
fn a_copy_that_another_process_keeps_is_never_reported_again() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    for mode in MODES {
        let config = Config {
            idle: Some(Duration::from_millis(50)),
            linger: Some(Duration::from_millis(50)),
            ..Config::default()
        };
        let running = Running::start::<8, 1024, 4096>(mode, memory(), &config, Obeys);
        let mut copies = Vec::new();
        // Closed by an abort, after finishing, by a deadline, by FIN.
        for how in [b"a", b"f", b"-", b"e"] {
            let mut client = tcp(running.address());
            let copy = server_end(getpid(), &client);
            client.say(how);
            if how == b"e" {
                client.finish();
            }
            let closed = copies.len() as u64 + 1;
            running.stats_when("it is closed", |stats| stats.closed_total() == closed);
            // Whatever arrives there now is for the copy.
            let _ = client.write_all(b"more");
            copies.push((copy, client));
        }
        let mut lives = tcp(running.address());
        lives.echo(b"hello");
        let stats = running.stop();
        assert_eq!(
            (stats.accepted, stats.stale, stats.rebuilds),
            (5, 0, 0),
            "{mode}"
        );
    }
}

/// A foreign registration in our set, which cannot be removed: what is left of a descriptor that a child or a library
/// copied and we closed. It is ready for ever. Only epoll's kernel side remembers it: poll and select get the list with
/// each wait.
#[test]
fn what_cannot_be_removed_is_left_behind_with_its_set() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    for mode in EPOLL {
        let config = Config {
            trigger: mode.trigger,
            ..Config::default()
        };
        let (mut server, address) = over_epoll::<8, 1024, 4096, _>(memory(), &config, Echo);
        let mut client = tcp(address);
        serve(&mut server, || client.echo(b"hello"));
        // The token of a connection that is gone: the same slot, an earlier life.
        let gone = server.session().machine().connections().next();
        let gone = gone.expect("a connection");
        drop(client);
        turn_until(&mut server, "it is closed", |stats| stats.open == 0);
        let mut lives = tcp(address);
        serve(&mut server, || lives.echo(b"hello"));
        let now = server
            .session()
            .machine()
            .connections()
            .next()
            .expect("a connection");
        assert_eq!(gone.index(), now.index(), "the slot is used again");
        assert_ne!(gone, now);

        let (ready, mut write) = std::io::pipe().expect("a pipe");
        write.write_all(b"for ever").expect("capacity");
        let data = EventData::new_u64(gone.to_bits());
        add(server.as_fd(), &ready, data, EventFlags::IN).expect("registered");
        let mut turns = 0;
        while server.stats().rebuilds == 0 {
            server.turn(Some(SOON)).expect("a wait");
            turns += 1;
            assert!(turns < 20, "{mode}: {turns} turns without a cure");
        }
        // Everything else is in the new set: the connection, the listener, the wish to stop. Nothing wakes it now.
        let stale = server.stats().stale;
        for _ in 0..20 {
            server.turn(Some(Duration::ZERO)).expect("a wait");
        }
        assert!(!is_readable(&server), "{mode}");
        let mut new = tcp(address);
        serve(&mut server, || {
            lives.echo(b"hello again");
            new.echo(b"new");
        });
        let stop = server.stop_handle().expect("a handle");
        drop((lives, new));
        stop.stop();
        server.run().expect("a wait");
        let stats = server.stats();
        assert_eq!(
            (stats.stale, stats.rebuilds, stats.open),
            (stale, 1, 0),
            "{mode}"
        );
        assert_eq!(stats.closed_by(Reason::PeerFinished), 3, "{stats:?}");
    }
}

fn is_readable<H: Handler>(server: &Server<'_, H>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(server, PollFlags::IN)];
    let none = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&none)).expect("poll") > 0
}

/// Tokens are words: any of them may come back, and none that is not of a live connection changes anything.
#[test]
fn any_word_may_be_reported() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    let (mut server, address) = over_epoll::<4, 1024, 4096, _>(memory(), &Config::default(), Echo);
    let mut lives = tcp(address);
    serve(&mut server, || lives.echo(b"hello"));
    let live = server
        .session()
        .machine()
        .connections()
        .next()
        .expect("a connection")
        .to_bits();
    let (ready, mut write) = std::io::pipe().expect("a pipe");
    write.write_all(b"for ever").expect("capacity");
    for word in [
        0,
        1,
        live ^ 1,
        live ^ (1 << 32),
        u64::MAX - 1,
        u64::from(u32::MAX),
        1 << 63,
        7 << 31,
    ] {
        if Token::from_bits(word) == Token::from_bits(live) {
            continue;
        }
        let (stale, rebuilds) = (server.stats().stale, server.stats().rebuilds);
        add(
            server.as_fd(),
            &ready,
            EventData::new_u64(word),
            EventFlags::IN,
        )
        .expect("registered");
        while server.stats().rebuilds == rebuilds {
            server.turn(Some(SOON)).expect("a wait");
        }
        assert!(server.stats().stale > stale, "{word:x}");
        serve(&mut server, || lives.echo(b"hello"));
    }
    assert_eq!((server.stats().accepted, server.stats().open), (1, 1));
}
