//! Accepting: reserve first, one for each event, and no error ends it.

use super::*;
use crate::slot::State;

const MS: Duration = Duration::from_millis(1);

fn failed(kind: fn(u16) -> Fault) -> Outcome {
    Outcome::Failed(kind(1))
}

/// Completes `times` accepts in a row with `outcome`; each after an event, unless it is retried without.
fn fail(bench: &mut Bench, outcome: Outcome, times: u32) {
    for _ in 0..times {
        let again = bench.poll();
        let token = match again {
            Some(Action::Accept { token, .. }) => token,
            _ => bench.reserve(),
        };
        assert_eq!(bench.done(token, Op::Accept, outcome), None);
    }
    while bench.poll().is_some() {}
}

fn is_paused(bench: &Bench) -> bool {
    bench.machine.first_pause().is_some()
}

#[test]
fn a_listener_is_armed_when_it_is_added() {
    let mut bench = Bench::level();
    let second = bench.machine.listen(None).expect("a place");
    let expected = Action::Arm {
        token: second,
        was: Directions::NONE,
        now: READ,
        trigger: Trigger::Level,
    };
    assert_eq!(bench.run(), [expected]);
    for _ in 2..16 {
        bench.machine.listen(None).expect("a place");
    }
    assert!(bench.machine.listen(None).is_err());
    assert_eq!(bench.machine.listening(), 16);
}

#[test]
fn listeners_are_level_whatever_connections_are() {
    for trigger in TRIGGERS {
        let bench = Bench::with(trigger);
        assert_eq!(
            bench.machine.trigger_of(bench.listener.slot()),
            Trigger::Level
        );
    }
}

#[test]
fn a_slot_is_reserved_before_the_accept_is_issued() {
    let mut bench = Bench::new::<1>(&Config::default());
    let token = bench.reserve();
    assert_eq!(bench.slot(token).state(), State::Reserved);
    assert_eq!(bench.machine.info(token), None, "not a connection yet");
    bench.ready(bench.listener, READ);
    assert_eq!(
        kinds(&bench.run()),
        ["del"],
        "none is issued for which there is no place"
    );
    let notice = bench.done(token, Op::Accept, Outcome::Accepted(None));
    assert_eq!(notice, Some(Notice::Opened(token)));
}

#[test]
fn one_accept_follows_one_event() {
    for outcome in [Outcome::Accepted(None), BLOCKED, failed(Fault::Reset)] {
        let mut bench = Bench::level();
        bench.ready(bench.listener, READ);
        let actions = bench.run_with(|action| match action {
            Action::Accept { .. } => Some(outcome),
            _ => None,
        });
        let accepts = kinds(&actions)
            .iter()
            .filter(|kind| **kind == "accept")
            .count();
        assert_eq!(accepts, 1, "{outcome:?}");
        assert_eq!(
            bench.machine.m.admission.counts()[0],
            u32::from(outcome == Outcome::Accepted(None))
        );
    }
}

#[test]
fn a_new_connection_is_received_from_and_armed_in_the_turn_of_its_accept() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        bench.ready(bench.listener, READ);
        let actions = bench.one_turn(|action| match action {
            Action::Accept { .. } => Some(Outcome::Accepted(None)),
            _ => None,
        });
        assert_eq!(kinds(&actions), ["accept", "recv", "add"], "{trigger:?}");
    }
}

#[test]
fn every_class_of_error_once_three_times_and_sixteen_times_in_a_row() {
    // What it takes to pause, what to close the listener; `None`: never.
    let table = [
        (BLOCKED, Some(16), None),
        (failed(Fault::Interrupted), Some(16), None),
        (failed(Fault::Reset), Some(16), None),
        (failed(Fault::Refused), Some(16), None),
        (failed(Fault::TimedOut), Some(16), None),
        (failed(Fault::Unreachable), Some(16), None),
        (failed(Fault::Exhausted), Some(1), None),
        (failed(Fault::Unknown), Some(1), None),
        (failed(Fault::Invalid), None, Some(1)),
        (Outcome::Complete(1), Some(16), None),
    ];
    assert_eq!(table.len(), Fault::ALL.len() + 2);
    for (outcome, pauses, closes) in table {
        for times in [1, 3, 15, 16] {
            if times > 1 && (pauses == Some(1) || closes.is_some()) {
                continue;
            }
            let mut bench = Bench::level();
            fail(&mut bench, outcome, times);
            let context = alloc::format!("{outcome:?}, {times} in a row");
            assert_eq!(
                is_paused(&bench),
                pauses.is_some_and(|n| times >= n),
                "{context}"
            );
            assert_eq!(
                bench.machine.stats().accept_failures,
                times.into(),
                "{context}"
            );
            let tried_again = bench
                .asked
                .iter()
                .filter(|(_, op)| *op == Op::Accept)
                .count();
            assert_eq!(
                bench.machine.m.admission.counts()[0] as usize,
                tried_again,
                "{context}: free again"
            );
            bench.answer_all();
            bench.run();
            if closes.is_some() {
                assert_eq!(bench.machine.listening(), 0, "{context}");
                assert_eq!(bench.machine.stats().listeners_failed, 1);
            } else {
                bench.later(1000 * MS);
                bench.rest();
                assert_eq!(
                    bench.machine.stats().open,
                    1,
                    "{context}: accepting goes on"
                );
            }
        }
    }
}

#[test]
fn a_success_resets_the_count_of_failures() {
    let mut bench = Bench::level();
    for _ in 0..3 {
        fail(&mut bench, failed(Fault::Reset), 15);
        let token = bench.rest();
        assert!(!is_paused(&bench));
        bench.machine.abort(token);
        bench.run();
    }
}

#[test]
fn a_pause_doubles_from_100_ms_to_1_s_and_a_success_ends_that() {
    let mut bench = Bench::level();
    fail(&mut bench, failed(Fault::Exhausted), 1);
    for millis in [100, 200, 400, 800, 1000, 1000] {
        bench.run();
        let due = bench.now.plus(millis * MS);
        assert_eq!(bench.machine.poll_timeout(), Some(due), "{millis} ms");
        bench.ready(bench.listener, READ);
        assert!(
            !kinds(&bench.run()).contains(&"accept"),
            "nothing is tried before"
        );
        bench.later(millis * MS - Duration::from_nanos(1));
        assert_eq!(bench.run(), []);
        bench.later(Duration::from_nanos(1));
        let Some(Action::Accept { token, .. }) = bench.poll() else {
            panic!("a pause of {millis} ms does not end");
        };
        bench.done(token, Op::Accept, failed(Fault::Unknown));
    }
    bench.later(1000 * MS);
    bench.rest();
    fail(&mut bench, failed(Fault::Exhausted), 1);
    let due = bench.now.plus(100 * MS);
    assert_eq!(bench.machine.next_deadline(), Some(due));
}

#[test]
fn resource_exhaustion_does_not_spin() {
    let mut bench = Bench::level();
    let mut outputs = 0;
    for _ in 0..100 {
        bench.ready(bench.listener, READ);
        outputs += bench
            .run_with(|action| match action {
                Action::Accept { .. } => Some(NO_MEMORY),
                _ => None,
            })
            .len();
    }
    assert_eq!(outputs, 2, "one accept and one withdrawal");
}

#[test]
fn a_slot_that_is_freed_ends_a_pause() {
    let mut bench = Bench::level();
    let token = bench.rest();
    fail(&mut bench, failed(Fault::Exhausted), 1);
    bench.run();
    bench.machine.abort(token);
    let actions = bench.run();
    assert_eq!(kinds(&actions), ["del", "reset", "accept", "add"]);
    assert!(!is_paused(&bench));
}

#[test]
fn a_listener_that_fails_is_closed_and_the_others_go_on() {
    let mut bench = Bench::level();
    let second = bench.machine.listen(None).expect("a place");
    let first = bench.listener;
    bench.run();
    let token = bench.reserve();
    bench.done(token, Op::Accept, failed(Fault::Invalid));
    assert_eq!(kinds(&bench.run()), ["del", "close"]);
    bench.ready(first, READ);
    assert_eq!(bench.machine.stats().stale, 1, "its token is of the past");
    bench.listener = second;
    let token = bench.rest();
    assert_eq!(bench.machine.info(token).expect("live").listener, 1);
    assert_eq!(bench.machine.listening(), 1);
    let third = bench.machine.listen(None).expect("a place");
    assert_eq!(third.index(), 0, "its place is used again");
    assert_ne!(third, first);
}

/// The slot of a listener may be in a run queue when its close completes.
#[test]
fn a_listener_that_goes_while_queued_takes_no_other_with_it() {
    let mut bench = Bench::level();
    let (a, b) = (bench.rest(), bench.rest());
    let token = bench.reserve();
    bench.done(token, Op::Accept, failed(Fault::Invalid));
    bench.outputs();
    for token in [a, bench.listener, b] {
        bench.ready(token, READ);
    }
    bench.done(bench.listener, Op::Close, END);
    assert_eq!(kinds(&bench.run()), ["recv", "recv"]);
}

#[test]
fn a_listener_that_could_not_be_armed_tries_again() {
    let mut bench = Bench::level();
    let second = bench.machine.listen(None).expect("a place");
    assert_eq!(kinds(&bench.outputs()), ["add"]);
    bench.done(second, Op::Arm, NO_MEMORY);
    assert_eq!(bench.run(), []);
    bench.later(100 * MS);
    assert_eq!(kinds(&bench.run()), ["add"]);
}

#[test]
fn a_connection_that_could_not_be_armed_ends_and_its_listener_pauses() {
    let mut bench = Bench::level();
    let token = bench.open();
    bench.outputs();
    bench.done(token, Op::Recv, BLOCKED);
    assert_eq!(kinds(&bench.outputs()), ["add"]);
    bench.done(token, Op::Arm, NO_MEMORY);
    assert!(is_paused(&bench));
    bench.answer_all();
    bench.run();
    assert_eq!(bench.closed(token), Some(Reason::Failed(SHORTAGE)));
}

#[test]
fn a_connection_whose_descriptor_cannot_be_armed_delays_no_other() {
    let mut bench = Bench::level();
    let token = bench.rest();
    let fault = Fault::Invalid(1);
    bench.done(token, Op::Arm, Outcome::Failed(fault));
    assert!(!is_paused(&bench));
    bench.run();
    assert_eq!(bench.closed(token), Some(Reason::Failed(fault)));
}

#[test]
fn a_stop_accepts_all_that_had_connected_and_then_closes_the_listener() {
    let mut bench = Bench::level();
    let by = bench.now.plus(10_000 * MS);
    bench.machine.stop(by);
    let mut waiting = 3;
    let actions = bench.run_with(|action| match action {
        Action::Accept { .. } if waiting > 0 => {
            waiting -= 1;
            Some(Outcome::Accepted(None))
        }
        Action::Recv { .. } => Some(END),
        _ => None,
    });
    let accepts = kinds(&actions)
        .iter()
        .filter(|kind| **kind == "accept")
        .count();
    assert_eq!(accepts, 4, "in one go, until it would block");
    assert_eq!(bench.machine.stats().accepted, 3);
    assert!(kinds(&actions).contains(&"close"));
    assert_eq!(bench.machine.listening(), 0);
}

#[test]
fn a_stop_reads_replies_and_finishes_every_connection_and_then_it_is_stopped() {
    let mut bench = Bench::level();
    let token = bench.rest();
    let by = bench.now.plus(10_000 * MS);
    bench.machine.stop(by);
    assert!(!bench.machine.is_stopped());
    let actions = bench.script(token, &[Outcome::Drained(5)], &[]);
    assert_eq!(kinds(&actions), ["recv", "accept", "del", "close"]);
    assert_eq!(bench.closed(token), None, "in the middle of a message");
    bench.machine.consume(token, 5);
    let actions = bench.script(token, &[END], &[]);
    assert_eq!(kinds(&actions), ["shutdown", "recv", "del", "close"]);
    assert_eq!(bench.closed(token), Some(Reason::Stopping));
    assert!(bench.machine.is_stopped());
    assert_eq!(bench.machine.poll_timeout(), None);
}

#[test]
fn what_is_left_when_the_time_to_stop_is_over_is_closed() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.stalled(token, 10);
    bench.machine.stop(bench.now.plus(9000 * MS));
    bench.machine.stop(bench.now.plus(5000 * MS));
    bench.machine.stop(bench.now.plus(7000 * MS));
    let blocked = |action: &Action| matches!(action, Action::Send { .. }).then_some(BLOCKED);
    bench.run_with(blocked);
    assert_eq!(
        bench.machine.poll_timeout(),
        Some(bench.now.plus(5000 * MS)),
        "the earlier time counts"
    );
    bench.later(5000 * MS);
    bench.run_with(blocked);
    assert!(bench.closed(token).is_some());
    assert!(bench.machine.is_stopped());
}

#[test]
fn an_accept_that_succeeds_after_the_time_to_stop_is_closed() {
    let mut bench = Bench::level();
    let token = bench.reserve();
    bench.machine.stop(bench.now);
    bench.turn();
    let address = bench.address();
    let notice = bench.done(token, Op::Accept, Outcome::Accepted(Some(address)));
    assert_eq!(notice, Some(Notice::Opened(token)));
    bench.run();
    assert_eq!(bench.closed(token), Some(Reason::Stopping));
    assert!(bench.machine.is_stopped());
}
