//! A reset of a connection that wants nothing (paused, its window full, its peer's FIN received) frees its slot, under
//! every trigger; a hang-up that is not a reset does not, and is not queried repeatedly.

use super::*;
use crate::slot::State;

/// Why nothing is wanted.
#[derive(Clone, Copy, Debug)]
enum Why {
    Paused,
    PausedWithData,
    Full,
    Ended,
    EndedAndShut,
}

const WHYS: [Why; 5] = [
    Why::Paused,
    Why::PausedWithData,
    Why::Full,
    Why::Ended,
    Why::EndedAndShut,
];

/// A connection that wants nothing, after the kernel has reported what made it so.
fn resting(trigger: Trigger, why: Why) -> (Bench, Token) {
    let mut bench = Bench::with(trigger);
    let token = bench.spoken();
    match why {
        Why::Paused => bench.machine.pause(token),
        Why::PausedWithData => {
            bench.hears(token, 5);
            bench.machine.pause(token);
        }
        Why::Full => {
            bench.hears(token, 1023);
            bench.machine.consume(token, 1);
            bench.run();
            bench.hears(token, 1);
        }
        Why::Ended | Why::EndedAndShut => {
            bench.hears(token, 5);
            bench.report(token, READ, true);
            bench.script(token, &[END], &[]);
            if matches!(why, Why::EndedAndShut) {
                bench.machine.shut_down(token);
            }
        }
    }
    bench.run();
    // More comes, or the FIN is reported again: that is not wanted.
    let fin = matches!(why, Why::Ended | Why::EndedAndShut);
    if bench.slot(token).readiness.registered().contains(READ) && trigger != Trigger::Edge {
        bench.report(token, READ, fin);
        bench.run();
    }
    assert!(
        bench
            .slot(token)
            .readiness
            .issue(bench.slot(token).wanted(WINDOWS))
            .is_empty()
    );
    (bench, token)
}

#[test]
fn a_reset_is_noticed_of_one_that_wants_nothing() {
    for trigger in TRIGGERS {
        for why in WHYS {
            let (mut bench, token) = resting(trigger, why);
            let registered = bench.slot(token).readiness.registered();
            assert!(
                !registered.is_empty(),
                "{trigger:?} {why:?}: {registered:?}"
            );
            bench.report(token, Directions::NONE, true);
            let actions = bench.run_with(|action| match action {
                Action::Unsent { .. } => Some(Outcome::Failed(RESET)),
                _ => None,
            });
            assert!(!kinds(&actions).contains(&"recv"), "{actions:?}");
            let reset = Some(Reason::Failed(RESET));
            assert_eq!(bench.closed(token), reset, "{trigger:?} {why:?}");
        }
    }
}

/// What was reported while it still received, and was not read, counts when it no longer does.
#[test]
fn a_reset_that_comes_just_before_the_pause_is_noticed() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.spoken();
        bench.report(token, READ, true);
        bench.machine.pause(token);
        bench.run_with(|action| match action {
            Action::Unsent { .. } => Some(Outcome::Failed(RESET)),
            _ => None,
        });
        // By level and one-shot the kernel reports it of what is armed now; the edge is past.
        if bench.closed(token).is_none() {
            assert_ne!(trigger, Trigger::Edge);
            assert!(
                !bench.slot(token).readiness.armed().is_empty(),
                "{trigger:?}"
            );
            bench.report(token, Directions::NONE, true);
            bench.run_with(|action| match action {
                Action::Unsent { .. } => Some(Outcome::Failed(RESET)),
                _ => None,
            });
        }
        assert_eq!(
            bench.closed(token),
            Some(Reason::Failed(RESET)),
            "{trigger:?}"
        );
    }
}

#[test]
fn a_hang_up_that_is_no_reset_is_asked_about_once_and_ends_nothing() {
    for trigger in TRIGGERS {
        for why in WHYS {
            let (mut bench, token) = resting(trigger, why);
            bench.report(token, Directions::NONE, true);
            let asked = kinds(&bench.run())
                .iter()
                .filter(|kind| **kind == "unsent")
                .count();
            assert_eq!(asked, 1, "{trigger:?} {why:?}");
            assert!(bench.closed(token).is_none());
            // It lasts: by level it would be reported at every wait, so nothing is registered any more.
            let silent = bench.slot(token).readiness.armed().is_empty();
            assert_eq!(silent, trigger != Trigger::Edge, "{trigger:?} {why:?}");
            assert_eq!(bench.run(), [], "{trigger:?} {why:?}");
        }
    }
}

#[test]
fn after_a_hang_up_it_goes_on_where_it_was_paused() {
    for trigger in TRIGGERS {
        let (mut bench, token) = resting(trigger, Why::Paused);
        bench.report(token, Directions::NONE, true);
        bench.run();
        bench.machine.resume(token);
        let actions = bench.script(token, &[Outcome::Complete(3), END], &[]);
        assert!(kinds(&actions).contains(&"recv"), "{trigger:?}");
        assert!(bench.notices.contains(&Notice::Ended(token)));
        // The reply is still sent, and it ends in an orderly way.
        bench.machine.consume(token, 3);
        bench.machine.commit(token, 2);
        bench.machine.finish(token);
        bench.run();
        assert_eq!(bench.closed(token), Some(Reason::PeerFinished));
    }
}

/// It is closed while the query is in flight: the completion is joined first.
#[test]
fn a_completion_that_comes_late_is_joined() {
    for trigger in TRIGGERS {
        for outcome in [END, Outcome::Failed(RESET)] {
            let (mut bench, token) = resting(trigger, Why::Paused);
            bench.report(token, Directions::NONE, true);
            assert!(kinds(&bench.outputs()).contains(&"unsent"));
            for wrong in [Op::Shutdown, Op::Close, Op::Connect] {
                let unasked = bench.machine.stats().unasked;
                assert_eq!(bench.done(token, wrong, END), None);
                assert_eq!(bench.machine.stats().unasked, unasked + 1, "{wrong:?}");
            }
            bench.machine.abort(token);
            let actions = kinds(&bench.outputs());
            assert!(!actions.contains(&"reset"), "{actions:?}");
            bench.done(token, Op::Unsent, outcome);
            bench.run();
            assert_eq!(bench.closed(token), Some(Reason::Aborted), "{trigger:?}");
        }
    }
}

/// The peer's FIN does not make output that waits stall sooner.
#[test]
fn what_waits_to_be_sent_is_not_asked_about_at_the_fin() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.spoken();
        bench.stalled(token, 10);
        bench.later(Duration::from_secs(1));
        bench.report(token, READ, true);
        let actions = bench.script(token, &[END], &[BLOCKED]);
        assert!(bench.notices.contains(&Notice::Ended(token)));
        assert!(!kinds(&actions).contains(&"unsent"), "{actions:?}");
        assert!(bench.closed(token).is_none(), "{trigger:?}");
    }
}

/// FIN is sent, the query is in flight when the application finishes, and its result is that nothing is wrong: the peer's
/// FIN is waited for.
#[test]
fn what_finishes_during_the_query_lingers() {
    for trigger in TRIGGERS {
        for stops in [false, true] {
            let mut bench = Bench::with(trigger);
            let token = bench.spoken();
            bench.machine.shut_down(token);
            bench.run();
            bench.machine.pause(token);
            bench.run();
            bench.report(token, Directions::NONE, true);
            let mut asked = bench.outputs();
            bench.report(token, Directions::NONE, true);
            asked.extend(bench.outputs());
            assert!(kinds(&asked).contains(&"unsent"), "{trigger:?}: {asked:?}");
            if stops {
                bench.machine.stop(bench.now.plus(Duration::from_secs(60)));
            } else {
                bench.machine.finish(token);
            }
            bench.run();
            bench.done(token, Op::Unsent, Outcome::Complete(0));
            bench.run();
            let state = bench.slot(token).state();
            assert_eq!(state, State::Lingering, "{trigger:?}, stops: {stops}");
            bench.report(token, READ, true);
            bench.script(token, &[END], &[]);
            let reason = bench.closed(token).expect("the peer's FIN is its end");
            assert!(
                matches!(reason, Reason::Finished | Reason::Stopping),
                "{reason:?}"
            );
        }
    }
}
