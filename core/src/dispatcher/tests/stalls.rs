//! Stalls: output that makes no progress, and operations that resource exhaustion delays.

use super::deadlines::{CONGESTION, NANO, SECOND, STALL, due, in_time, wait};
use super::*;
use crate::config::Class;

/// As activity does of an idle deadline.
#[test]
fn progress_moves_a_stall_once_in_a_granule_and_never_early() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    bench.stalled(token, 4000);
    let (mut moves, mut last) = (0, bench.machine.next_deadline());
    for _ in 0..640 {
        bench.later(STALL / 640);
        bench.ready(token, WRITE);
        bench.script(token, &[], &[Outcome::Drained(1)]);
        assert!(in_time(due(&bench), STALL));
        moves += u32::from(last != bench.machine.next_deadline());
        last = bench.machine.next_deadline();
    }
    assert!((50..=64).contains(&moves), "{moves} moves");
}

#[test]
fn what_the_kernel_takes_restarts_a_stall() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    bench.stalled(token, 100);
    for _ in 0..5 {
        wait(&mut bench, 29 * SECOND);
        bench.ready(token, WRITE);
        bench.script(token, &[], &[Outcome::Drained(1)]);
        assert!(in_time(due(&bench), STALL));
    }
    wait(&mut bench, 29 * SECOND);
    bench.ready(token, WRITE);
    bench.script(token, &[], &[BLOCKED]);
    assert!(due(&bench) < 2 * SECOND, "a try is no progress");
}

fn unsent(n: u32) -> impl FnMut(&Action) -> Option<Outcome> {
    move |action| match action {
        Action::Unsent { .. } => Some(Outcome::Complete(n)),
        Action::Send { .. } => Some(BLOCKED),
        _ => None,
    }
}

#[test]
fn a_stall_asks_what_the_peer_has_taken_and_a_slow_link_lives() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    bench.machine.commit(token, 1000);
    bench.script(token, &[], &[Outcome::Drained(900), BLOCKED]);
    for left in [800, 500, 499] {
        bench.later(STALL + STALL / 64);
        let actions = bench.run_with(unsent(left));
        assert_eq!(kinds(&actions), ["unsent"], "{left}");
        assert_eq!(bench.closed(token), None, "{left}: it took something");
        assert!(in_time(due(&bench), STALL));
    }
    bench.later(STALL + STALL / 64);
    let actions = bench.run_with(unsent(499));
    assert_eq!(kinds(&actions), ["unsent", "del", "close"]);
    assert_eq!(
        bench.closed(token),
        Some(Reason::Deadline(Class::WriteStall))
    );
}

/// The kernel reports that the peer responds, though it takes nothing.
fn lives(n: u32) -> impl FnMut(&Action) -> Option<Outcome> {
    move |action| match action {
        Action::Unsent { .. } => Some(Outcome::Drained(n)),
        Action::Send { .. } => Some(BLOCKED),
        _ => None,
    }
}

#[test]
fn a_peer_that_lives_may_take_nothing_for_as_long_as_it_may_be_idle() {
    for trigger in TRIGGERS {
        for finishing in [false, true] {
            for (idle, stalls) in [(Some(600), 20), (Some(45), 2), (Some(5), 1), (None, 100)] {
                let mut bench = Bench::new::<4>(&Config {
                    trigger,
                    idle: idle.map(Duration::from_secs),
                    ..Config::default()
                });
                let token = bench.spoken();
                bench.machine.commit(token, 1000);
                if finishing {
                    bench.machine.finish(token);
                }
                bench.script(token, &[], &[Outcome::Drained(900), BLOCKED]);
                // The first time it has taken something since it was opened.
                for stall in 0..=stalls {
                    assert_eq!(bench.closed(token), None, "{idle:?}, after {stall}");
                    bench.later(STALL + STALL / 64);
                    bench.run_with(lives(100));
                }
                let reason = idle.map(|_| Reason::Deadline(Class::Idle));
                assert_eq!(bench.closed(token), reason, "{idle:?}");
            }
        }
    }
}

#[test]
fn a_peer_that_vanishes_while_it_takes_nothing_ends_after_one_to_two_stalls() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    bench.machine.commit(token, 1000);
    bench.script(token, &[], &[Outcome::Drained(900), BLOCKED]);
    for _ in 0..5 {
        bench.later(STALL + STALL / 64);
        bench.run_with(lives(100));
    }
    assert_eq!(bench.closed(token), None);
    bench.later(STALL + STALL / 64);
    bench.run_with(unsent(100));
    assert_eq!(
        bench.closed(token),
        Some(Reason::Deadline(Class::WriteStall))
    );
}

/// It responds, but we are short of memory: that it lives does not help.
#[test]
fn resource_exhaustion_that_lasts_ends_a_peer_that_lives_too() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    bench.machine.commit(token, 10);
    let begun = bench.now;
    while bench.closed(token).is_none() {
        bench.run_with(|action| match action {
            Action::Send { .. } => Some(NO_MEMORY),
            Action::Unsent { .. } => Some(Outcome::Drained(10)),
            _ => None,
        });
        bench.later(CONGESTION);
        assert!(bench.now.since(begun) < 3 * STALL, "no end");
    }
    assert_eq!(
        bench.closed(token),
        Some(Reason::Deadline(Class::Congestion))
    );
}

#[test]
fn a_stall_of_which_nothing_can_be_learned_ends_the_connection() {
    for outcome in [FAILED, Outcome::Complete(0)] {
        let mut bench = Bench::level();
        let token = bench.spoken();
        bench.stalled(token, 10);
        bench.later(STALL + SECOND);
        bench.run_with(|action| matches!(action, Action::Unsent { .. }).then_some(outcome));
        assert_eq!(
            bench.closed(token),
            Some(Reason::Deadline(Class::WriteStall)),
            "{outcome:?}"
        );
    }
}

/// The report and the deadline may come out of one wait.
#[test]
fn output_that_goes_on_in_the_turn_of_its_deadline_is_not_stalled() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.stalled(token, 10);
    bench.now = bench.now.plus(STALL + SECOND);
    bench.ready(token, WRITE);
    let actions = bench.run_with(|action| match action {
        Action::Unsent { .. } => Some(Outcome::Complete(10)),
        _ => None,
    });
    assert_eq!(bench.closed(token), None, "{actions:?}");
}

#[test]
fn resource_exhaustion_is_waited_out_and_then_retried() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.machine.commit(token, 10);
    bench.script(token, &[], &[NO_MEMORY]);
    bench.ready(token, READ | WRITE);
    assert!(
        !kinds(&bench.run()).contains(&"send"),
        "nothing is tried before"
    );
    bench.later(CONGESTION - NANO);
    assert_eq!(bench.run(), []);
    bench.later(NANO);
    let actions = bench.run();
    assert!(kinds(&actions).contains(&"send"), "no report is needed");
    assert_eq!(bench.machine.info(token).expect("live").bytes_out, 10);
}

#[test]
fn resource_exhaustion_for_the_length_of_a_stall_ends_the_connection() {
    let mut bench = Bench::level();
    // Even right after the accept, whatever the clock shows.
    for first in [true, false] {
        let token = if first { bench.open() } else { bench.rest() };
        bench.machine.commit(token, 10);
        let (begun, mut tries) = (bench.now, 0);
        while bench.closed(token).is_none() {
            let actions = bench.run_with(|action| match action {
                Action::Send { .. } => Some(NO_MEMORY),
                Action::Recv { .. } if tries % 2 == 0 => Some(NO_MEMORY),
                _ => None,
            });
            tries += actions.len();
            bench.later(CONGESTION);
        }
        assert_eq!(
            bench.closed(token),
            Some(Reason::Deadline(Class::Congestion))
        );
        let lasted = bench.now.since(begun);
        assert!(
            (STALL..=STALL + SECOND).contains(&lasted),
            "{lasted:?} after {tries}"
        );
    }
}

#[test]
fn occasional_resource_exhaustion_does_not_prolong_lingering() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    bench.machine.finish(token);
    bench.run();
    let shortage = Outcome::Failed(Fault::Exhausted(105));
    for _ in 0..30 {
        bench.ready(token, READ);
        bench.script(token, &[shortage], &[]);
        wait(&mut bench, SECOND / 10);
    }
    assert_eq!(bench.closed(token), Some(Reason::Finished));
}

#[test]
fn resource_exhaustion_as_a_stall_ends_does_not_end_a_peer_that_is_slow() {
    for taken in [true, false] {
        let mut bench = Bench::level();
        let token = bench.spoken();
        bench.machine.commit(token, 100);
        bench.script(token, &[], &[Outcome::Drained(50)]);
        bench.later(STALL - SECOND / 1000);
        bench.ready(token, WRITE);
        bench.script(token, &[], &[NO_MEMORY]);
        bench.later(CONGESTION);
        // Of 50 bytes that were sent, 20 are not acknowledged: the others were, since.
        let unsent = if taken { 20 } else { 50 };
        let actions = bench.run_with(|action| match action {
            Action::Unsent { .. } => Some(Outcome::Complete(unsent)),
            _ => None,
        });
        assert_eq!(kinds(&actions)[0], "unsent", "it is asked first");
        bench.later(CONGESTION);
        bench.run();
        let reason = (!taken).then_some(Reason::Deadline(Class::Congestion));
        assert_eq!(bench.closed(token), reason);
        let sent = bench.machine.info(token).map(|info| info.bytes_out);
        assert_eq!(sent, taken.then_some(100));
    }
}

/// A completion driver completes when it likes: what has come in between does not affect the query.
#[test]
fn a_question_about_the_end_is_none_about_a_stall() {
    for trigger in TRIGGERS {
        for stall in [Duration::from_nanos(64), SECOND, STALL] {
            for answer in [Outcome::Complete(0), Outcome::Drained(0), FAILED] {
                let mut bench = Bench::new::<4>(&Config {
                    trigger,
                    write_stall: Some(stall),
                    idle: None,
                    half_closed: None,
                    ..Config::default()
                });
                let token = bench.spoken();
                // Longer than output may stall: but there is none.
                bench.later(2 * STALL);
                bench.ready(token, READ);
                bench.turn();
                while let Some(action) = bench.poll() {
                    match action {
                        Action::Recv { token, .. } => drop(bench.done(token, Op::Recv, END)),
                        Action::Unsent { .. } => break,
                        _ => {}
                    }
                }
                assert!(bench.asked.contains(&(token, Op::Unsent)), "{trigger:?}");
                bench.machine.commit(token, 10);
                bench.done(token, Op::Unsent, answer);
                let actions = bench.run();
                assert_eq!(bench.closed(token), None, "{stall:?}, {answer:?}");
                assert!(kinds(&actions).contains(&"send"), "{stall:?}, {answer:?}");
            }
        }
    }
}

#[test]
fn a_direction_that_falls_short_after_the_other_rests_its_whole_time() {
    for trigger in TRIGGERS {
        for [first, second] in [[READ, WRITE], [WRITE, READ]] {
            let mut bench = Bench::with(trigger);
            let token = bench.spoken();
            for (direction, wait) in [(first, CONGESTION - NANO), (second, CONGESTION - NANO)] {
                bench.ready(token, direction);
                if direction == WRITE {
                    bench.machine.commit(token, 10);
                    bench.script(token, &[], &[NO_MEMORY]);
                } else {
                    bench.script(token, &[NO_MEMORY], &[]);
                }
                bench.later(wait);
            }
            assert_eq!(bench.run(), [], "{trigger:?}: {second:?} is tried too soon");
            bench.later(NANO);
            let actions = bench.run();
            for kind in ["recv", "send"] {
                assert!(kinds(&actions).contains(&kind), "{trigger:?}: {actions:?}");
            }
        }
    }
}

/// The peer's FIN is to be followed by a query, but the application has something to send, at a time at which earlier
/// output would have stalled.
#[test]
fn output_that_begins_at_the_end_of_the_peer_has_not_stalled() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.spoken();
        bench.ready(token, READ);
        bench.machine.commit(token, 10);
        bench.outputs();
        let asked = [(token, Op::Recv), (token, Op::Send)];
        assert!(asked.iter().all(|asked| bench.asked.contains(asked)));
        bench.done(token, Op::Send, Outcome::Complete(10));
        bench.now = bench.now.plus(2 * STALL);
        bench.done(token, Op::Recv, END);
        bench.machine.commit(token, 10);
        let actions = bench.script(token, &[], &[BLOCKED]);
        assert!(!kinds(&actions).contains(&"unsent"), "{trigger:?}");
        assert_eq!(bench.closed(token), None, "{trigger:?}");
    }
}

/// A process that is stopped right after an accept: what it sends when it goes on has its time from then.
#[test]
fn output_of_a_first_service_that_comes_late_has_its_whole_time() {
    for trigger in TRIGGERS {
        for first in [BLOCKED, NO_MEMORY] {
            let mut bench = Bench::new::<4>(&Config {
                trigger,
                first_byte: None,
                ..Config::default()
            });
            let token = bench.open();
            bench.now = bench.now.plus(1000 * SECOND);
            bench.machine.commit(token, 10);
            let begun = bench.now;
            bench.script(token, &[], &[first]);
            while bench.closed(token).is_none() {
                bench.later(SECOND);
                bench.run_with(|action| match action {
                    Action::Send { .. } => Some(first),
                    Action::Unsent { .. } => Some(Outcome::Drained(0)),
                    _ => None,
                });
                assert!(bench.now.since(begun) < 1200 * SECOND, "no end");
            }
            let lasted = bench.now.since(begun);
            let least = if first == BLOCKED {
                600 * SECOND
            } else {
                STALL
            };
            assert!(lasted >= least, "{trigger:?}, {first:?}: {lasted:?}");
        }
    }
}
