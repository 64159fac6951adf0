//! Closing: output first, then FIN sent, then FIN received; join, disarm, close; notified once.

use super::*;
use crate::config::Class;
use crate::slot::{Flags, State};
use crate::token::LISTENER_BIT;

fn reset(actions: &[Action]) -> bool {
    kinds(actions).contains(&"reset")
}

#[test]
fn finishing_sends_the_rest_then_our_end_and_waits_for_the_peers() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.rest();
        bench.stalled(token, 100);
        bench.machine.finish(token);
        assert_eq!(bench.run(), [], "{trigger:?}: output waits");
        bench.ready(token, WRITE);
        let actions = bench.script(token, &[], &[Outcome::Complete(60)]);
        let kinds_only: Vec<_> = kinds(&actions)
            .into_iter()
            .filter(|k| *k != "mod")
            .collect();
        assert_eq!(
            kinds_only,
            ["send", "send", "shutdown", "recv"],
            "{trigger:?}"
        );
        assert_eq!(bench.slot(token).state(), State::Lingering);
        bench.ready(token, READ);
        let actions = bench.script(token, &[Outcome::Complete(5), END], &[]);
        assert_eq!(
            kinds(&actions),
            ["recv", "recv", "del", "close"],
            "{trigger:?}"
        );
        assert_eq!(bench.closed(token), Some(Reason::Finished));
    }
}

#[test]
fn nothing_can_be_queued_behind_our_end() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.machine.finish(token);
    assert_eq!(bench.machine.spare_capacity(token).len, 0);
    bench.machine.commit(token, 10);
    assert_eq!(kinds(&bench.run()), ["shutdown", "recv"]);
    assert_eq!(bench.machine.stats().bytes_out, 0);
}

#[test]
fn what_arrives_while_lingering_is_thrown_away() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.hears(token, 700);
    bench.machine.finish(token);
    bench.run();
    let told = bench.notices.len();
    bench.ready(token, READ);
    let whole = crate::Span { at: 0, len: 1024 };
    let actions = bench.script(token, &[Outcome::Complete(1024); 3], &[]);
    for action in &actions {
        assert_eq!(
            *action,
            Action::Recv { token, into: whole },
            "the window is a waste bin"
        );
    }
    assert_eq!(actions.len(), 4);
    assert_eq!(bench.notices.len(), told);
    assert_eq!(bench.machine.info(token).expect("live").bytes_in, 700);
}

#[test]
fn our_end_is_not_sent_if_the_peers_was_read() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.stalled(token, 10);
    bench.report(token, READ, true);
    bench.script(token, &[END], &[BLOCKED]);
    assert_eq!(bench.notices.last(), Some(&Notice::Ended(token)));
    bench.machine.finish(token);
    bench.run();
    bench.ready(token, WRITE);
    assert_eq!(kinds(&bench.run()), ["send", "del", "close"]);
    assert_eq!(bench.closed(token), Some(Reason::PeerFinished));
}

/// Half-close: the end comes after the data, and we may go on sending.
#[test]
fn after_the_peers_end_output_goes_on_until_the_application_finishes() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.rest();
        bench.report(token, READ, true);
        bench.script(token, &[Outcome::Drained(5), END], &[]);
        let expected = [Notice::Readable(token), Notice::Ended(token)];
        assert_eq!(bench.notices[1..], expected, "{trigger:?}: first the data");
        assert_eq!(bench.machine.unconsumed(token).len, 5);
        for _ in 0..3 {
            bench.machine.commit(token, 10);
            bench.run();
        }
        assert_eq!(bench.machine.info(token).expect("live").bytes_out, 30);
    }
}

#[test]
fn lingering_ends_with_the_cap() {
    let mut bench = Bench::new::<1>(&Config {
        linger_bytes: 3000,
        ..Config::default()
    });
    let token = bench.rest();
    bench.machine.finish(token);
    bench.run();
    bench.ready(token, READ);
    bench.script(
        token,
        &[Outcome::Complete(1024), Outcome::Drained(1023)],
        &[],
    );
    assert_eq!(bench.closed(token), None);
    bench.ready(token, READ);
    let actions = bench.script(
        token,
        &[Outcome::Complete(1024), Outcome::Complete(1024)],
        &[],
    );
    assert_eq!(kinds(&actions)[..3], ["recv", "del", "close"]);
    assert_eq!(bench.closed(token), Some(Reason::Finished));
}

#[test]
fn lingering_ends_with_an_error_or_its_deadline_and_the_reason_stays() {
    for fails in [true, false] {
        let mut bench = Bench::level();
        let token = bench.rest();
        bench.machine.finish(token);
        bench.run();
        if fails {
            bench.ready(token, READ);
            bench.script(token, &[FAILED], &[]);
        } else {
            bench.later(Duration::from_secs(2));
            bench.run();
        }
        assert_eq!(
            bench.closed(token),
            Some(Reason::Finished),
            "all was handed over"
        );
    }
}

#[test]
fn if_fin_cannot_be_sent_there_is_no_peer_to_wait_for() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.machine.finish(token);
    let actions =
        bench.run_with(|action| matches!(action, Action::Shutdown { .. }).then_some(FAILED));
    assert_eq!(kinds(&actions), ["shutdown", "del", "close"]);
    assert_eq!(bench.closed(token), Some(Reason::Finished));
}

#[test]
fn an_abort_resets_at_once_from_every_state() {
    let reach: [fn(&mut Bench) -> Token; 5] = [
        Bench::open,
        Bench::rest,
        Bench::spoken,
        |bench| {
            let token = bench.rest();
            bench.stalled(token, 10);
            bench.machine.finish(token);
            token
        },
        |bench| {
            let token = bench.rest();
            bench.stalled(token, 10);
            token
        },
    ];
    for reach in reach {
        let mut bench = Bench::level();
        let token = reach(&mut bench);
        bench.machine.abort(token);
        bench.machine.abort(token);
        bench.machine.finish(token);
        let actions = bench.run();
        assert!(
            reset(&actions) && !kinds(&actions).contains(&"send"),
            "{actions:?}"
        );
        assert_eq!(bench.closed(token), Some(Reason::Aborted));
    }
}

#[test]
fn an_abort_while_lingering_resets_but_the_reason_stays() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.machine.finish(token);
    bench.run();
    bench.machine.abort(token);
    assert!(reset(&bench.run()));
    assert_eq!(bench.closed(token), Some(Reason::Finished));
}

#[test]
fn what_is_in_flight_is_cancelled_once_and_joined() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.machine.commit(token, 10);
    bench.ready(token, READ);
    assert_eq!(kinds(&bench.outputs()), ["recv", "send"]);
    bench.machine.abort(token);
    assert_eq!(kinds(&bench.outputs()), ["cancel"]);
    bench.report(token, READ | WRITE, true);
    assert_eq!(bench.outputs(), [], "once");
    assert_eq!(bench.done(token, Op::Send, FAILED), None);
    assert_eq!(bench.outputs(), [], "both are waited for");
    assert_eq!(
        bench.done(token, Op::Recv, Outcome::Drained(7)),
        None,
        "nothing is told any more"
    );
    assert_eq!(kinds(&bench.outputs()), ["del", "reset"]);
    assert_eq!(bench.outputs(), []);
    let closed = Notice::Closed(token, Reason::Aborted);
    assert_eq!(
        bench.done(token, Op::Close, FAILED),
        Some(closed),
        "whatever close answers"
    );
}

#[test]
fn a_call_in_flight_is_joined_too() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.machine.finish(token);
    assert_eq!(kinds(&bench.outputs()), ["shutdown"]);
    bench.machine.abort(token);
    assert_eq!(kinds(&bench.outputs()), ["cancel"]);
    bench.done(token, Op::Shutdown, END);
    assert_eq!(kinds(&bench.run()), ["del", "reset"]);
}

#[test]
fn a_driver_that_completes_at_once_never_sees_a_cancel() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.rest();
        bench.machine.commit(token, 10);
        bench.report(token, READ, true);
        let actions = bench.run_with(|action| match action {
            Action::Recv { .. } | Action::Send { .. } => Some(FAILED),
            _ => None,
        });
        assert!(!kinds(&actions).contains(&"cancel"));
        assert_eq!(bench.closed(token), Some(Reason::Failed(RESET)));
    }
}

#[test]
fn what_is_registered_is_withdrawn_before_the_close() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.rest();
        bench.ready(token, READ);
        let actions = bench.script(token, &[FAILED], &[]);
        assert_eq!(kinds(&actions), ["recv", "del", "close"], "{trigger:?}");
        let never = bench.open();
        bench.machine.abort(never);
        assert_eq!(kinds(&bench.run()), ["reset"], "nothing was armed");
    }
}

#[test]
fn an_error_ends_its_connection_with_the_reason() {
    for kind in [
        Fault::Reset,
        Fault::TimedOut,
        Fault::Unreachable,
        Fault::Invalid,
        Fault::Unknown,
    ] {
        for sending in [true, false] {
            let mut bench = Bench::level();
            let token = bench.rest();
            let fault = kind(7);
            bench.machine.commit(token, u32::from(sending));
            bench.ready(token, READ);
            let outcome = [Outcome::Failed(fault)];
            if sending {
                bench.script(token, &[], &outcome);
            } else {
                bench.script(token, &outcome, &[]);
            }
            assert_eq!(bench.closed(token), Some(Reason::Failed(fault)));
            assert_eq!(bench.machine.stats().closed_by(Reason::Failed(fault)), 1);
        }
    }
}

/// An orderly reason is a promise that all output was sent to the kernel.
#[test]
fn a_connection_that_fails_while_it_finishes_reports_the_failure() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.stalled(token, 10);
    bench.machine.finish(token);
    bench.ready(token, WRITE);
    bench.script(token, &[], &[FAILED]);
    assert_eq!(bench.closed(token), Some(Reason::Failed(RESET)));
}

#[test]
fn the_first_cause_stays() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.ready(token, READ);
    bench.outputs();
    bench.machine.abort(token);
    bench.done(token, Op::Recv, FAILED);
    bench.later(Duration::from_secs(10_000));
    bench.run();
    assert_eq!(bench.closed(token), Some(Reason::Aborted));
}

#[test]
fn a_full_window_of_which_nothing_can_be_used_is_too_long() {
    for (consumed, queued, paused, ends) in [
        (0, 0, false, true),
        (1, 0, false, false),
        (0, 1, false, false),
        (0, 0, true, false),
    ] {
        let mut bench = Bench::level();
        let token = bench.rest();
        bench.ready(token, READ);
        bench.turn();
        while !matches!(bench.poll(), Some(Action::Recv { .. })) {}
        bench.done(token, Op::Recv, Outcome::Complete(1024));
        bench.machine.consume(token, consumed);
        bench.machine.commit(token, queued);
        if paused {
            bench.machine.pause(token);
        }
        bench.script(token, &[], &[BLOCKED]);
        let reason = ends.then_some(Reason::TooLong);
        assert_eq!(
            bench.closed(token),
            reason,
            "{consumed}, {queued}, {paused}"
        );
    }
}

#[test]
fn an_impossible_completion_ends_its_connection_and_is_counted() {
    for (op, outcome) in [
        (Op::Recv, Outcome::Complete(1025)),
        (Op::Recv, Outcome::Drained(u32::MAX)),
        (Op::Recv, Outcome::Accepted(None)),
        (Op::Send, Outcome::Complete(11)),
        (Op::Send, Outcome::Drained(u32::MAX)),
        (Op::Send, Outcome::Accepted(None)),
    ] {
        let mut bench = Bench::level();
        let token = bench.rest();
        bench.machine.commit(token, 10);
        bench.ready(token, READ);
        bench.outputs();
        assert_eq!(bench.done(token, op, outcome), None);
        assert_eq!(bench.machine.stats().unasked, 1, "{op:?} {outcome:?}");
        bench.answer_all();
        bench.run();
        let invalid = Fault::Invalid(0);
        assert_eq!(
            bench.closed(token),
            Some(Reason::Failed(invalid)),
            "{op:?} {outcome:?}"
        );
    }
}

#[test]
fn a_slot_is_freed_once_and_its_generation_rises() {
    let mut bench = Bench::new::<1>(&Config::default());
    let mut last = 0;
    for round in 1..=5 {
        let token = bench.rest();
        assert!(token.generation() > last);
        last = token.generation();
        bench.machine.abort(token);
        bench.run();
        let closed = Notice::Closed(token, Reason::Aborted);
        assert_eq!(bench.notices.iter().filter(|n| **n == closed).count(), 1);
        assert_eq!(
            bench.done(token, Op::Close, END),
            None,
            "a second answer is stale"
        );
        assert_eq!(bench.machine.m.admission.free().len(), 1);
        assert_eq!(bench.machine.stats().closed_total(), round);
    }
}

#[test]
fn a_slot_whose_generation_would_wrap_is_retired_and_the_others_go_on() {
    let mut bench = Bench::new::<2>(&Config::default());
    let token = bench.rest();
    bench.machine.abort(token);
    bench.run();
    bench.machine.slots.at_mut(token.slot()).generation = u32::MAX;
    let last = bench.rest();
    assert_eq!((last.index(), last.generation()), (token.index(), u32::MAX));
    bench.machine.abort(last);
    bench.run();
    assert_eq!(bench.slot(last).state(), State::Retired);
    assert_eq!(bench.machine.stats().slots_retired, 1, "and counted");
    for _ in 0..3 {
        let token = bench.rest();
        assert_ne!(token.index(), last.index());
        assert_eq!(bench.try_reserve(bench.listener), None, "one place is left");
        bench.ready(last, READ);
        bench.machine.abort(token);
        bench.run();
    }
    assert_eq!(bench.machine.stats().stale, 3);
}

#[test]
fn a_listener_whose_generation_would_wrap_is_counted_too() {
    let mut bench = Bench::level();
    let listener = bench.listener;
    bench.machine.slots.at_mut(listener.slot()).generation = u32::MAX;
    bench.machine.stop(Instant::ZERO);
    bench.run();
    assert_eq!(bench.machine.stats().slots_retired, 1);
}

#[test]
fn a_reserved_slot_is_freed_with_its_generation_too() {
    let mut bench = Bench::level();
    let token = bench.reserve();
    bench.done(token, Op::Accept, BLOCKED);
    let next = bench.reserve();
    assert_eq!(next.index(), token.index());
    assert!(next.generation() > token.generation());
    assert_eq!(bench.done(token, Op::Accept, Outcome::Accepted(None)), None);
    assert_eq!(bench.machine.stats().stale, 1);
}

#[test]
fn what_was_not_asked_is_counted() {
    let mut bench = Bench::level();
    let token = bench.rest();
    let mut counted = 0;
    for op in [
        Op::Recv,
        Op::Send,
        Op::Accept,
        Op::Refuse,
        Op::Shutdown,
        Op::Unsent,
        Op::Close,
    ] {
        assert_eq!(bench.done(token, op, Outcome::Complete(1)), None);
        counted += 1;
        assert_eq!(bench.machine.stats().unasked, counted, "{op:?}");
    }
    bench.done(bench.listener, Op::Recv, Outcome::Complete(1));
    bench.done(Token::new(LISTENER_BIT | 9, 1), Op::Refuse, END);
    assert_eq!(bench.machine.stats().unasked, counted + 1);
    assert_eq!(bench.machine.stats().stale, 1);
    assert_eq!(bench.slot(token).state(), State::Open);
    assert!(!bench.slot(token).flags.has(Flags::ENDED));
}

#[test]
fn reasons_are_counted_by_kind() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.later(Duration::from_secs(60));
    bench.run();
    let reason = Reason::Deadline(Class::FirstByte);
    assert_eq!(bench.closed(token), Some(reason));
    assert_eq!(bench.machine.stats().closed_by(reason), 1);
    assert_eq!(
        bench
            .machine
            .stats()
            .closed_by(Reason::Deadline(Class::Idle)),
        0
    );
    assert_eq!(
        (bench.machine.stats().open, bench.machine.stats().peak),
        (0, 1)
    );
}
