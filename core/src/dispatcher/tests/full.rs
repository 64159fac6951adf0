//! When there is no slot: a full table waits, refuses or evicts; a full source is refused.

use super::*;
use crate::config::FullTable;
use crate::destination::Destination;
use crate::unavailable::Unavailable;

const MS: Duration = Duration::from_millis(1);

fn config(full: FullTable) -> Config {
    Config {
        full,
        ..Config::default()
    }
}

#[test]
fn a_full_table_waits_and_the_next_slot_is_taken_at_once() {
    let mut bench = Bench::new::<2>(&config(FullTable::Wait));
    let (a, _) = (bench.rest(), bench.rest());
    assert!(
        bench.slot(bench.listener).readiness.registered().is_empty(),
        "the kernel queues"
    );
    bench.ready(bench.listener, READ);
    assert_eq!(bench.run(), []);
    bench.machine.abort(a);
    let actions = bench.run();
    assert_eq!(
        kinds(&actions),
        ["del", "reset", "accept", "add"],
        "and is asked again"
    );
}

#[test]
fn fewer_connections_than_slots_can_be_used() {
    let mut bench = Bench::new::<4>(&Config {
        connections: Some(2),
        ..Config::default()
    });
    let (a, _) = (bench.rest(), bench.rest());
    assert_eq!(bench.try_reserve(bench.listener), None);
    bench.machine.abort(a);
    bench.run();
    bench.rest();
}

#[test]
fn a_full_table_refuses_once_for_each_report() {
    let mut bench = Bench::new::<1>(&config(FullTable::Refuse));
    bench.rest();
    for refused in 1..=3 {
        bench.ready(bench.listener, READ);
        assert_eq!(kinds(&bench.run()), ["refuse"]);
        assert_eq!(bench.machine.stats().refused_full, refused);
    }
    bench.ready(bench.listener, READ);
    bench.run_with(|action| matches!(action, Action::Refuse { .. }).then_some(BLOCKED));
    assert_eq!(bench.machine.stats().refused_full, 3, "nobody was there");
    bench.ready(bench.listener, READ);
    bench.run_with(|action| matches!(action, Action::Refuse { .. }).then_some(NO_MEMORY));
    assert!(bench.machine.first_pause().is_some());
}

#[test]
fn a_full_table_evicts_the_longest_idle() {
    let mut bench = Bench::new::<3>(&config(FullTable::Evict));
    let (first, second) = (bench.spoken(), bench.rest());
    bench.later(MS);
    let third = bench.spoken();
    bench.later(60_000 * MS / 63);
    bench.hears(first, 1);
    bench.machine.consume(first, 1);
    bench.run();
    for victim in [second, third] {
        bench.later(1000 * MS);
        bench.ready(bench.listener, READ);
        let actions = bench.run_with(|action| match action {
            Action::Accept { .. } => Some(Outcome::Accepted(None)),
            _ => None,
        });
        assert_eq!(bench.closed(victim), Some(Reason::Evicted), "{actions:?}");
        assert_eq!(
            bench.machine.stats().open,
            3,
            "and the newcomer has its place"
        );
        let new = *bench.told.last().expect("opened");
        bench.hears(new, 1);
    }
    assert_eq!(bench.machine.stats().evicted(), 2);
    assert_eq!(bench.closed(first), None);
}

/// As many come as there are slots, one event after the other, so that an event is good for several accepts: the one
/// that fills the table in the middle of such a burst proves nothing about another that waits.
#[test]
fn none_is_evicted_or_refused_for_a_newcomer_that_is_not_there() {
    for full in [FullTable::Evict, FullTable::Refuse] {
        for slots in 1..=24 {
            let mut bench = Bench::new::<24>(&Config {
                connections: Some(slots),
                ..config(full)
            });
            let mut waiting = slots;
            for _ in 0..2 * slots {
                if waiting > 0 {
                    bench.ready(bench.listener, READ);
                }
                let actions = bench.one_turn(|action| match action {
                    Action::Accept { .. } if waiting > 0 => {
                        waiting -= 1;
                        Some(Outcome::Accepted(None))
                    }
                    _ => None,
                });
                let wrong = |kind: &&str| ["close", "refuse"].contains(kind);
                assert!(!kinds(&actions).iter().any(wrong), "{slots}: {actions:?}");
            }
            assert_eq!((bench.machine.stats().open, waiting), (slots, 0));
        }
    }
}

#[test]
fn one_connection_is_evicted_at_a_time() {
    let mut bench = Bench::new::<2>(&config(FullTable::Evict));
    let second = bench.machine.listen(None).expect("a place");
    for _ in 0..2 {
        bench.rest();
    }
    bench.ready(bench.listener, READ);
    bench.ready(second, READ);
    let actions = bench.outputs();
    let closes = kinds(&actions)
        .iter()
        .filter(|kind| **kind == "close")
        .count();
    assert_eq!(closes, 1, "{actions:?}");
    bench.ready(bench.listener, READ);
    assert!(!kinds(&bench.outputs()).contains(&"close"));
}

#[test]
fn if_none_is_idle_the_table_waits_until_one_is() {
    let mut bench = Bench::new::<1>(&config(FullTable::Evict));
    let busy = bench.rest();
    bench.hears(busy, 10);
    bench.ready(bench.listener, READ);
    assert_eq!(
        kinds(&bench.run()),
        ["del"],
        "a request is on its way: it is not idle"
    );
    bench.machine.consume(busy, 10);
    let actions = bench.run();
    assert_eq!(kinds(&actions), ["del", "close", "accept", "add"]);
    assert_eq!(bench.closed(busy), Some(Reason::Evicted));
}

fn with_limit(bench: &mut Bench, address: &str) -> bool {
    let token = bench.reserve();
    let address = address.parse().expect("an address");
    let notice = bench.done(token, Op::Accept, Outcome::Accepted(Some(address)));
    // There is no notice of one that is refused, so it cannot be called.
    assert_eq!(bench.machine.info(token).is_some(), notice.is_some());
    let actions = bench.run();
    let reset = kinds(&actions).contains(&"reset");
    assert_eq!(notice, (!reset).then_some(Notice::Opened(token)));
    !reset
}

#[test]
fn a_source_has_its_share_and_more_is_reset_without_a_word() {
    let mut bench = Bench::limited::<8>(&Config::default(), Some(2));
    for (address, taken) in [
        ("10.0.0.1:1", true),
        ("10.0.0.1:2", true),
        ("10.0.0.1:3", false),
        ("[::ffff:10.0.0.1]:4", false),
        ("10.0.0.2:1", true),
        ("[2001:db8::1]:1", true),
        ("[2001:db8::2]:1", true),
        ("[2001:db8::3]:1", false),
        ("[2001:db8:0:1::3]:1", true),
    ] {
        assert_eq!(with_limit(&mut bench, address), taken, "{address}");
    }
    assert_eq!(bench.machine.stats().refused_source, 3);
    assert_eq!(bench.machine.stats().open, 6);
    let of_the_first = bench.told[0];
    bench.machine.abort(of_the_first);
    bench.run();
    assert!(
        with_limit(&mut bench, "10.0.0.1:5"),
        "its share is free again"
    );
    bench.open_from(None);
}

#[test]
fn the_limit_holds_whatever_the_hash() {
    for seed in 0..64 {
        let mut bench = Bench::limited::<6>(
            &Config {
                hash_seed: seed,
                ..Config::default()
            },
            Some(1),
        );
        let addresses = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"];
        for address in addresses {
            assert!(with_limit(&mut bench, address), "seed {seed}");
        }
        for address in addresses {
            assert!(!with_limit(&mut bench, address), "seed {seed}");
        }
        for token in bench.told.clone() {
            bench.machine.abort(token);
            bench.run();
        }
        for address in addresses {
            assert!(with_limit(&mut bench, address), "seed {seed}");
        }
    }
}

#[test]
fn none_is_evicted_that_is_about_to_be_serviced() {
    let mut bench = Bench::new::<40>(&config(FullTable::Evict));
    let tokens: Vec<Token> = (0..40).map(|_| bench.spoken()).collect();
    // All of them have something to send, and the newcomer is serviced first.
    bench.ready(bench.listener, READ);
    for token in &tokens {
        bench.ready(*token, READ);
    }
    bench.turn();
    let outputs = [bench.poll(), bench.poll()].map(|action| action.as_ref().map(kind));
    assert_eq!(outputs, [Some("del"), Some("recv")], "the listener waits");
    assert!(tokens.iter().all(|token| bench.closed(*token).is_none()));
}

/// A listener for which one slot of three is reserved, in addition to the bench's own.
fn with_control(full: FullTable) -> (Bench, Token, Token) {
    let mut bench = Bench::new::<3>(&config(full));
    let control = bench.machine.listen(None).expect("a place");
    bench.machine.reserve_slots(control, 1);
    bench.run();
    let all = bench.listener;
    (bench, all, control)
}

#[test]
fn a_reserved_slot_is_left_to_its_listener() {
    let (mut bench, all, control) = with_control(FullTable::Wait);
    bench.rest();
    bench.rest();
    assert_eq!(bench.try_reserve(all), None, "the last is not for these");
    bench.listener = control;
    let inside = bench.rest();
    assert_eq!(bench.try_reserve(control), None, "full");
    bench.machine.abort(inside);
    bench.run();
    assert_eq!(bench.try_reserve(all), None, "it is reserved again");
    bench.machine.reserve_slots(control, 0);
    bench.run();
    assert!(
        bench.slot(all).readiness.registered().contains(READ),
        "now it is theirs"
    );
    bench.listener = all;
    bench.rest();
}

#[test]
fn the_owner_of_a_reserved_slot_is_not_evicted_for_others() {
    let (mut bench, all, control) = with_control(FullTable::Evict);
    bench.listener = control;
    let inside = bench.spoken();
    bench.later(MS);
    bench.listener = all;
    let first = bench.spoken();
    bench.later(MS);
    bench.spoken();
    bench.later(1000 * MS);
    bench.rest();
    assert!(bench.told.contains(&inside), "idle longest, and reserved");
    assert!(!bench.told.contains(&first));
    // Its own listener may.
    bench.later(1000 * MS);
    bench.listener = control;
    bench.rest();
    assert!(!bench.told.contains(&inside));
}

#[test]
fn a_reserved_slot_is_not_for_whom_we_connect_to() {
    let (mut bench, all, control) = with_control(FullTable::Evict);
    let to = Destination::Registered(3);
    bench.listener = all;
    bench.rest();
    let ours = bench.machine.connect(to, None).expect("one is free");
    let full = Unavailable::Connections { capacity: 3 };
    assert_eq!(
        bench.machine.connect(to, None),
        Err(full),
        "the last is not for us"
    );
    bench.listener = control;
    bench.rest();
    bench.machine.abort(ours);
    bench.run();
    assert!(
        bench.machine.connect(to, None).is_ok(),
        "who is inside has it"
    );
}
