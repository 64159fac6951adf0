//! Limits of a source, of a block of sources and of a listener; how long one half of a connection lasts, and which is
//! evicted.

use super::*;
use crate::config::{Block, Class, FullTable, Sources};
use crate::destination::Destination;
use alloc::vec;

const SECOND: Duration = Duration::from_secs(1);

impl Bench {
    /// Whether one that connects from there is accepted; then it has sent something, and all of that was consumed.
    fn admits_from(&mut self, address: &str) -> Option<Token> {
        let address = address.parse().expect("an address");
        let refused = self.machine.stats().refused_source;
        let token = self.reserve();
        match self.done(token, Op::Accept, Outcome::Accepted(Some(address))) {
            Some(_) => {
                self.hears(token, 1);
                self.machine.consume(token, 1);
                self.run();
                assert_eq!(self.machine.refused_by(token), None);
                Some(token)
            }
            None => {
                let listener = self.listener.index();
                assert_eq!(self.machine.refused_by(token), Some(listener));
                self.run();
                assert_eq!(self.machine.stats().refused_source, refused + 1);
                assert_eq!(self.machine.refused_by(token), None, "it is closed");
                None
            }
        }
    }

    /// The peer has ended; the application goes on.
    fn ended(&mut self, token: Token) {
        self.report(token, READ, true);
        self.script(token, &[END], &[]);
        assert!(self.notices.contains(&Notice::Ended(token)));
    }

    /// The application has ended; the peer goes on.
    fn shuts(&mut self, token: Token) {
        self.machine.shut_down(token);
        self.run();
    }

    fn is_there(&self, token: Token) -> bool {
        self.told.contains(&token)
    }
}

/// Each host of a network of local addresses has its own share; a global /64 has one.
#[test]
fn hosts_of_a_lan_do_not_share_and_those_of_a_global_network_do() {
    let mut bench = Bench::limited::<16>(&Config::default(), Some(2));
    for address in [
        "[fe80::1%2]:1",
        "[fe80::2%2]:1",
        "[fe80::1%3]:1",
        "[fd00::1]:1",
        "[fd00::2]:1",
        "10.0.0.1:1",
    ] {
        let taken = [(); 3].map(|()| bench.admits_from(address));
        assert!(taken[0].is_some() && taken[1].is_some(), "{address}");
        assert_eq!(taken[2], None, "{address}: a third");
        // Which of them goes makes no difference.
        for gone in taken.into_iter().flatten() {
            bench.machine.abort(gone);
            bench.run();
            assert!(bench.admits_from(address).is_some(), "{address}: again");
            assert_eq!(bench.admits_from(address), None);
        }
        bench
            .told
            .clone()
            .into_iter()
            .for_each(|token| bench.machine.abort(token));
        bench.run();
    }
    assert!(bench.admits_from("[2001:db8::1]:1").is_some());
    assert!(bench.admits_from("[2001:db8::2]:1").is_some());
    assert_eq!(bench.admits_from("[2001:db8::3]:1"), None);
    assert!(bench.admits_from("[2001:db8:0:1::1]:1").is_some());
}

#[test]
fn a_block_has_its_limit_beside_that_of_its_sources() {
    let config = Config {
        sources: Sources {
            block: Some(Block {
                prefix: 56,
                connections: 3,
            }),
            ..Sources::DEFAULT
        },
        ..Config::default()
    };
    for per_source in [None, Some(2)] {
        let mut bench = Bench::limited::<16>(&config, per_source);
        let all: Vec<_> = (1..=5)
            .map(|n| bench.admits_from(&alloc::format!("[2001:db8:0:{n}::1]:1")))
            .collect();
        let taken = all.iter().map(Option::is_some);
        assert!(taken.eq([true, true, true, false, false]), "{per_source:?}");
        assert!(
            bench.admits_from("[2001:db8:0:100::1]:1").is_some(),
            "another block"
        );
        assert!(
            bench.admits_from("[fd00::1]:1").is_some(),
            "none of a block"
        );
        bench.machine.abort(all[1].expect("it was taken"));
        bench.run();
        assert!(bench.admits_from("[2001:db8:0:9::1]:1").is_some(), "again");
        assert_eq!(bench.admits_from("[2001:db8:0:a::1]:1"), None);
    }
}

/// Nothing is counted before there is a limit; earlier connections count all the same, and are counted no longer when
/// they close.
#[test]
fn connections_before_the_first_limit_are_counted() {
    let (there, other) = ("10.0.0.1:1", "10.0.0.2:1");
    let mut bench = Bench::limited::<8>(&Config::default(), None);
    let taken = [(); 2].map(|()| bench.admits_from(there).expect("no limit"));
    let closing = bench.admits_from(there).expect("no limit");
    bench.machine.abort(closing);
    bench.listener = bench.machine.listen(Some(2)).expect("a place");
    bench.run();
    assert_eq!(bench.admits_from(there), None, "it has two");
    assert!(bench.admits_from(other).is_some(), "another has none");
    bench.machine.abort(taken[0]);
    bench.run();
    assert!(bench.admits_from(there).is_some(), "one has gone");
    assert_eq!(bench.admits_from(there), None, "it has two again");
}

/// For a listener that has its most the table is full, and for no other.
#[test]
fn a_listener_has_its_most_and_leaves_the_others_theirs() {
    for full in [
        FullTable::Wait,
        FullTable::Refuse,
        FullTable::Evict,
        FullTable::EvictHalfClosed,
    ] {
        let config = Config {
            full,
            ..Config::default()
        };
        let mut bench = Bench::new::<8>(&config);
        let service = bench.listener;
        let metrics = bench.machine.listen(None).expect("a place");
        bench.machine.limit_connections(metrics, 2);
        bench.run();
        let served = bench.spoken();
        bench.later(SECOND);
        bench.listener = metrics;
        let (first, second) = (bench.spoken(), bench.spoken());
        bench.ready(metrics, READ);
        let actions = bench.run_with(|action| match action {
            Action::Accept { .. } => Some(Outcome::Accepted(None)),
            _ => None,
        });
        let kinds = kinds(&actions);
        match full {
            FullTable::Wait | FullTable::EvictHalfClosed => {
                assert!(!kinds.contains(&"accept"), "{full:?}");
            }
            FullTable::Refuse => assert!(kinds.contains(&"refuse")),
            FullTable::Evict => {
                assert!(!bench.is_there(first), "its own make room");
                assert!(kinds.contains(&"accept"));
            }
        }
        assert!(bench.is_there(served) && bench.is_there(second), "{full:?}");
        bench.listener = service;
        for _ in 0..5 {
            bench.rest();
        }
        // One that goes lets the next one in.
        bench.machine.abort(second);
        bench.run();
        bench.listener = metrics;
        assert!(bench.try_reserve(metrics).is_some(), "{full:?}");
    }
}

#[test]
fn a_limit_that_is_raised_lets_in_at_once() {
    let mut bench = Bench::new::<4>(&Config::default());
    bench.machine.limit_connections(bench.listener, 0);
    bench.run();
    assert_eq!(bench.try_reserve(bench.listener), None);
    bench.machine.limit_connections(bench.listener, u32::MAX);
    bench.run();
    assert!(
        bench
            .slot(bench.listener)
            .readiness
            .registered()
            .contains(READ)
    );
    bench.rest();
}

/// Whichever side has ended, and whatever the trigger: a minute without a byte, counted from the last one.
#[test]
fn one_half_lasts_as_long_as_it_moves() {
    for trigger in TRIGGERS {
        for ours in [false, true] {
            for first_byte in [Some(60 * SECOND), None] {
                let mut bench = Bench::new::<4>(&Config {
                    trigger,
                    first_byte,
                    ..Config::default()
                });
                let token = bench.spoken();
                if ours {
                    bench.shuts(token);
                } else {
                    bench.ended(token);
                }
                // What still moves keeps it, for longer than any deadline there is.
                for _ in 0..20 {
                    bench.later(50 * SECOND);
                    bench.run();
                    if ours {
                        bench.hears(token, 1);
                        bench.machine.consume(token, 1);
                    } else {
                        bench.machine.commit(token, 1);
                    }
                    bench.run();
                    assert!(bench.is_there(token), "{trigger:?}, ours: {ours}");
                }
                bench.later(59 * SECOND);
                bench.run();
                assert!(bench.is_there(token), "{trigger:?}, ours: {ours}");
                bench.later(2 * SECOND);
                bench.run();
                let half_closed = Some(Reason::Deadline(Class::HalfClosed));
                assert_eq!(
                    bench.closed(token),
                    half_closed,
                    "{trigger:?}, ours: {ours}"
                );
            }
        }
    }
}

#[test]
fn a_half_that_has_not_sent_has_a_deadline_though_no_first_byte_is_expected() {
    let mut bench = Bench::new::<4>(&Config {
        first_byte: None,
        ..Config::default()
    });
    let token = bench.rest();
    bench.shuts(token);
    bench.later(61 * SECOND);
    bench.run();
    assert_eq!(
        bench.closed(token),
        Some(Reason::Deadline(Class::HalfClosed))
    );
}

#[test]
fn switched_off_it_is_no_deadline() {
    let mut bench = Bench::new::<4>(&Config {
        half_closed: None,
        ..Config::default()
    });
    let (ours, theirs) = (bench.spoken(), bench.spoken());
    bench.shuts(ours);
    bench.ended(theirs);
    bench.later(100_000 * SECOND);
    bench.run();
    assert!(bench.is_there(ours) && bench.is_there(theirs));
}

/// A pipe has one direction, which is not a half.
#[test]
fn a_stream_of_one_direction_is_idle_and_not_half_closed() {
    for directions in [READ, WRITE] {
        let mut bench = Bench::level();
        let to = Destination::Stream {
            number: 5,
            directions,
        };
        let token = bench.machine.connect(to, None).expect("a place");
        bench.run_with(|action| matches!(action, Action::Connect { .. }).then_some(END));
        bench.later(500 * SECOND);
        bench.run();
        assert!(bench.is_there(token), "{directions:?}");
        bench.later(200 * SECOND);
        bench.run();
        assert_eq!(bench.closed(token), Some(Reason::Deadline(Class::Idle)));
    }
}

/// First those on which FIN was sent, then those on which it was received, then idle ones if the policy has it so.
#[test]
fn half_closed_ones_are_evicted_first() {
    for trigger in TRIGGERS {
        for (full, speak) in [
            (FullTable::Evict, true),
            (FullTable::Evict, false),
            (FullTable::EvictHalfClosed, true),
            (FullTable::EvictHalfClosed, false),
        ] {
            let mut bench = Bench::new::<4>(&Config {
                full,
                trigger,
                first_byte: Some(600 * SECOND),
                ..Config::default()
            });
            let open = |bench: &mut Bench| if speak { bench.spoken() } else { bench.rest() };
            let idle = open(&mut bench);
            bench.later(SECOND);
            let theirs = open(&mut bench);
            bench.ended(theirs);
            bench.later(SECOND);
            let [older, newer] = [(); 2].map(|()| {
                let token = open(&mut bench);
                bench.later(SECOND);
                bench.shuts(token);
                token
            });
            let order = match full {
                FullTable::Evict => vec![older, newer, idle, theirs],
                _ => vec![older, newer, theirs],
            };
            for (n, victim) in order.iter().enumerate() {
                bench.later(SECOND);
                bench.ready(bench.listener, READ);
                bench.run_with(|action| match action {
                    Action::Accept { .. } => Some(Outcome::Accepted(None)),
                    _ => None,
                });
                assert_eq!(
                    bench.closed(*victim),
                    Some(Reason::Evicted),
                    "{full:?}, {n}, {speak}"
                );
                // The newcomers are busy.
                let new = *bench.told.last().expect("opened");
                bench.hears(new, 1);
            }
            assert_eq!(bench.is_there(idle), full == FullTable::EvictHalfClosed);
        }
    }
}

/// Only one that was accepted and never notified is refused: not one that the application resets, nor one that is given
/// up before it is connected.
#[test]
fn what_is_reset_is_not_refused() {
    let mut bench = Bench::limited::<16>(&Config::default(), Some(1));
    let taken = bench.admits_from("10.0.0.1:1").expect("it is taken");
    assert!(bench.admits_from("10.0.0.1:2").is_none());
    let to = Destination::Inet("10.0.0.2:1".parse().expect("an address"));
    let made = bench.machine.connect(to, None).expect("a slot");
    for token in [taken, made] {
        bench.machine.abort(token);
        assert_eq!(bench.machine.refused_by(token), None);
    }
    assert_eq!(bench.machine.refused_by(bench.listener), None);
}
