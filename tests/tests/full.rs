//! A full table is an ordinary condition: peers wait and are served in order, are refused, or evict an idle one.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use tests::bounded::Watchdog;
use tests::modes::{MODES, Mode};
use tests::net::{Client, is_refused, pattern, tcp};
use tests::server::{Echo, Running, anywhere, memory, server};
use tidegate::{Config, Conn, FullTable, Handler, Listen, PerSource};

fn start(mode: Mode, full: FullTable) -> Running<Echo> {
    let config = Config {
        connections: Some(2),
        full,
        ..Config::default()
    };
    Running::start::<4, 1024, 4096>(mode, memory(), &config, Echo)
}

#[test]
fn wait() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = start(mode, FullTable::Wait);
        let mut clients: Vec<_> = (0..20).map(|_| tcp(running.address())).collect();
        for (n, client) in (0..).zip(&mut clients) {
            client.say(&[n; 10]);
        }
        running.stats_when("both places are taken", |stats| stats.accepted == 2);
        for n in 0..20 {
            let client = &mut clients[usize::from(n)];
            client.hear(&[n; 10]);
            // The one behind is served too, no other.
            assert_eq!(running.stats().accepted, u64::from(n + 2).min(20), "{mode}");
            client.finish();
            assert_eq!(client.rest(), b"");
            let next = u64::from(n + 3).min(20);
            running.stats_when("the next has its place", |stats| stats.accepted == next);
        }
        let stats = running.stop();
        assert_eq!((stats.accepted, stats.peak), (20, 2), "{mode}");
        assert_eq!(
            (stats.refused_full, stats.evicted(), stats.unasked),
            (0, 0, 0)
        );
    }
}

#[test]
fn refuse() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = start(mode, FullTable::Refuse);
        let mut kept = [(); 2].map(|()| tcp(running.address()));
        for client in &mut kept {
            client.echo(b"mine");
        }
        for n in 1..=10 {
            assert!(
                is_refused(running.address()),
                "{mode}: an orderly end would look like an answer"
            );
            running.stats_when("it is counted", |stats| stats.refused_full == n);
        }
        for client in &mut kept {
            client.echo(b"still mine");
        }
        let [one, _two] = kept;
        drop(one);
        running.stats_when("a place is free", |stats| stats.open == 1);
        tcp(running.address()).echo(b"mine now");
        let stats = running.stats();
        assert_eq!((stats.accepted, stats.peak, stats.refused_full), (3, 2, 10));
    }
}

#[test]
fn evict() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = start(mode, FullTable::Evict);
        let mut clients = vec![tcp(running.address()), tcp(running.address())];
        for client in &mut clients {
            client.echo(b"mine");
        }
        for n in 1..=10 {
            let mut new = tcp(running.address());
            new.echo(b"mine");
            clients.push(new);
            let mut oldest = clients.remove(0);
            oldest.is_reset();
            assert_eq!(running.stats().evicted(), n, "{mode}");
            for client in &mut clients {
                client.echo(b"still mine");
            }
        }
        let stats = running.stats();
        assert_eq!((stats.accepted, stats.peak, stats.evicted()), (12, 2, 10));
    }
}

#[test]
fn evict_waits_while_none_is_idle() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = start(mode, FullTable::Evict);
        // Both have a reply in their buffers that they do not take.
        let mut busy = [(); 2].map(|()| tcp(running.address()));
        for client in &mut busy {
            client
                .set_write_timeout(Some(Duration::from_millis(200)))
                .expect("SO_SNDTIMEO");
            let error = loop {
                if let Err(error) = client.write(&[7; 4096]) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        let mut new = tcp(running.address());
        new.say(b"hello");
        assert_eq!(running.stats().accepted, 2);
        let [one, _two] = busy;
        drop(one);
        new.hear(b"hello");
        let stats = running.stats();
        assert_eq!((stats.accepted, stats.evicted()), (3, 0), "{mode}");
    }
}

/// An operator can connect.
#[test]
fn a_reserved_slot_serves_when_all_others_are_taken() {
    let _bound = Watchdog::new();
    for mode in MODES {
        for full in [FullTable::Wait, FullTable::Refuse, FullTable::Evict] {
            let config = Config {
                full,
                ..Config::default()
            };
            let (mut server, all) = server::<4, 1024, 4096, _>(mode, memory(), &config, Echo);
            let reserved = Listen {
                reserved: 1,
                ..anywhere()
            };
            let (_, control) = server.listen(&reserved).expect("listening");
            let control = control.expect("an address");
            let handle = server.stop_handle().expect("a handle");
            let clients = std::thread::spawn(move || {
                let mut inside: Vec<_> = (0..3).map(|_| tcp(all)).collect();
                inside.iter_mut().for_each(|client| client.echo(b"served"));
                // They wait, are reset, or evict idle connections.
                let crowd: Vec<_> = (0..5).map(|_| TcpStream::connect(all)).collect();
                for _ in 0..3 {
                    let mut operator = tcp(control);
                    operator.echo(b"status");
                    operator.finish();
                    assert_eq!(operator.rest(), b"");
                }
                handle.stop();
                handle.stop();
                drop(crowd);
            });
            server.run().expect("a wait");
            clients.join().expect("clients");
        }
    }
}

/// An operator gets replies while all others have more to do than can be done.
#[test]
fn a_listener_with_priority_replies_among_sources_that_never_rest() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let config = Config::default();
        let (mut server, all) = server::<8, 4096, 16_384, _>(mode, memory(), &config, Echo);
        let first = Listen {
            reserved: 1,
            priority: true,
            ..anywhere()
        };
        let (_, control) = server.listen(&first).expect("listening");
        let control = control.expect("an address");
        let handle = server.stop_handle().expect("a handle");
        let clients = std::thread::spawn(move || {
            let answered = AtomicBool::new(false);
            std::thread::scope(|scope| {
                for seed in 0..7 {
                    let mut client = tcp(all);
                    client.echo(b"inside");
                    let answered = &answered;
                    scope.spawn(move || {
                        let bulk = pattern(seed, 16_384);
                        while !answered.load(Ordering::Relaxed) {
                            client.echo(&bulk);
                        }
                    });
                }
                for _ in 0..5 {
                    let mut operator = tcp(control);
                    for _ in 0..5 {
                        operator.echo(b"status");
                    }
                    operator.finish();
                    assert_eq!(operator.rest(), b"");
                }
                answered.store(true, Ordering::Relaxed);
            });
            handle.stop();
        });
        server.run().expect("a wait");
        clients.join().expect("clients");
        assert_eq!(server.stats().peak, 8, "the table was full");
    }
}

/// What it is sent before it is closed.
const REFUSAL: &[u8] = b"-ERR max number of clients reached\r\n";

/// A peer that is refused receives the reason and then EOF, whether it has sent something by then or not, and is not
/// reset.
#[test]
fn a_refusal_has_its_reason() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let config = Config {
            connections: Some(1),
            full: FullTable::Refuse,
            ..Config::default()
        };
        let listen = Listen {
            refusal: REFUSAL,
            ..anywhere()
        };
        let memory = memory::<4, 1024, 4096, _>();
        let running = Running::listen(mode, memory, &config, Echo, &listen);
        let mut kept = tcp(running.address());
        kept.echo(b"mine");
        // What has been sent before it is accepted: nothing, a request, more than is discarded in one piece.
        for (n, said) in (1..).zip([0, 20, 5000]) {
            // Connected between two iterations: the server accepts only after both.
            let address = running.address();
            let mut client = running.ask(move |_| {
                let mut client = tcp(address);
                client.say(&pattern(1, said));
                client
            });
            assert_eq!(client.rest(), REFUSAL, "{mode}, {said} bytes");
            running.stats_when("it is counted", |stats| stats.refused_full == n);
        }
        kept.echo(b"still mine");
    }
}

/// So does one whose source is at its limit, whatever a full table does.
#[test]
fn a_refusal_for_the_source_has_its_reason() {
    let _bound = Watchdog::new();
    for mode in MODES {
        for full in [FullTable::Wait, FullTable::Refuse, FullTable::Evict] {
            let config = Config {
                full,
                ..Config::default()
            };
            let listen = Listen {
                refusal: REFUSAL,
                per_source: PerSource::AtMost(1),
                ..anywhere()
            };
            let memory = memory::<4, 1024, 4096, _>();
            let running = Running::listen(mode, memory, &config, Echo, &listen);
            let mut kept = tcp(running.address());
            kept.echo(b"mine");
            for (n, said) in (1..).zip([0, 20, 5000, 0]) {
                let address = running.address();
                let mut client = running.ask(move |_| {
                    let mut client = tcp(address);
                    client.say(&pattern(1, said));
                    client
                });
                assert_eq!(client.rest(), REFUSAL, "{mode}, {full:?}, {said} bytes");
                running.stats_when("it is counted", |stats| stats.refused_source == n);
            }
            kept.echo(b"still mine");
            drop(kept);
            running.stats_when("its share is free", |stats| stats.open == 0);
            tcp(running.address()).echo(b"mine now");
        }
    }
}

/// However many come to another listener, the service has its slots.
#[test]
fn a_listener_with_a_limit_leaves_the_others_their_slots() {
    let _bound = Watchdog::new();
    for mode in MODES {
        for full in [FullTable::Wait, FullTable::Refuse, FullTable::Evict] {
            let config = Config {
                full,
                ..Config::default()
            };
            let (mut server, service) = server::<8, 1024, 4096, _>(mode, memory(), &config, Echo);
            let limited = Listen {
                at_most: Some(2),
                ..anywhere()
            };
            let (_, metrics) = server.listen(&limited).expect("listening");
            let metrics = metrics.expect("an address");
            let handle = server.stop_handle().expect("a handle");
            let clients = std::thread::spawn(move || {
                let crowd: Vec<_> = (0..20).map(|_| TcpStream::connect(metrics)).collect();
                let mut inside: Vec<_> = (0..6).map(|_| tcp(service)).collect();
                inside.iter_mut().for_each(|client| client.echo(b"served"));
                handle.stop();
                handle.stop();
                drop(crowd);
            });
            server.run().expect("a wait");
            clients.join().expect("clients");
            assert!(server.stats().peak <= 8, "{mode} {full:?}");
        }
    }
}

/// Sends FIN on request, and goes on reading.
#[derive(Debug)]
struct EndsAtQ;

impl Handler for EndsAtQ {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let data = conn.data();
        let _ = conn.send(data);
        let ends = data.contains(&b'q');
        conn.consume(data.len());
        if ends {
            conn.shut_down();
        }
    }
}

/// Clients that keep a connection on which the server has ended do not lock others out, and one that is only idle stays.
#[test]
fn half_closed_connections_are_evicted() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let config = Config {
            connections: Some(4),
            full: FullTable::EvictHalfClosed,
            ..Config::default()
        };
        let running = Running::start::<4, 1024, 4096>(mode, memory(), &config, EndsAtQ);
        let mut idle = tcp(running.address());
        idle.echo(b"idle");
        let mut kept = Vec::new();
        for n in 0..9u64 {
            let mut client = tcp(running.address());
            client.say(b"q");
            assert_eq!(client.rest(), b"q", "{mode}, {n}");
            kept.push(client);
        }
        let stats = running.stats_when("they made room", |stats| stats.evicted() == 6);
        assert_eq!(stats.accepted, 10, "{mode}");
        idle.echo(b"still here");
    }
}
