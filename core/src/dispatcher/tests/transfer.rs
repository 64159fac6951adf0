//! Bytes: what is tried, what is believed, what is armed.

use super::*;
use crate::output::Span;

/// A machine that echoes: what is received is consumed and as much is queued.
fn echo(bench: &mut Bench, token: Token, receives: &[Outcome], sends: &[Outcome]) -> Vec<Action> {
    let (mut receives, mut sends) = (receives.iter().copied(), sends.iter().copied());
    let mut all = Vec::new();
    while bench.machine.has_work() {
        bench.turn();
        while let Some(action) = bench.poll() {
            all.push(action);
            let Some((of, op)) = asks(&action) else {
                continue;
            };
            let scripted = match op {
                Op::Recv if of == token => receives.next(),
                Op::Send if of == token => sends.next(),
                _ => None,
            };
            let notice = bench.done(of, op, scripted.unwrap_or_else(|| quiet(&action)));
            if let Some(Notice::Readable(token)) = notice {
                let n = bench.machine.unconsumed(token).len;
                let n = n.min(bench.machine.spare_capacity(token).len);
                bench.machine.commit(token, n);
                bench.machine.consume(token, n);
            }
            assert!(all.len() < OUTPUTS, "outputs without end");
        }
    }
    all
}

fn received(actions: &[Action]) -> usize {
    kinds(actions)
        .iter()
        .filter(|kind| **kind == "recv")
        .count()
}

fn sent(actions: &[Action]) -> Vec<Span> {
    let spans = actions.iter().filter_map(|action| match action {
        Action::Send { from, .. } => Some(*from),
        _ => None,
    });
    spans.collect()
}

fn armed(actions: &[Action]) -> Vec<(Directions, Directions)> {
    let changes = actions.iter().filter_map(|action| match action {
        Action::Arm { was, now, .. } => Some((*was, *now)),
        _ => None,
    });
    changes.collect()
}

const BOTH: Directions = Directions::BOTH;
const NONE: Directions = Directions::NONE;

#[test]
fn a_short_read_is_the_last_one_where_that_is_true() {
    for trigger in TRIGGERS {
        for tcp in [true, false] {
            for closing in [true, false] {
                let mut bench = Bench::with(trigger);
                let address = tcp.then(|| bench.address());
                let token = bench.open_from(address);
                bench.run();
                bench.report(token, READ, closing);
                let actions = bench.script(token, &[Outcome::Drained(3)], &[]);
                let believed = !closing && (tcp || trigger != Trigger::Edge);
                let expected = if believed { 1 } else { 2 };
                let context = (trigger, tcp, closing);
                assert_eq!(received(&actions), expected, "{context:?}");
            }
        }
    }
}

#[test]
fn closing_is_sticky_after_the_event_that_reported_it() {
    let mut bench = Bench::with(Trigger::Edge);
    let token = bench.rest();
    bench.report(token, READ, true);
    bench.script(token, &[Outcome::Drained(3)], &[]);
    bench.ready(token, READ);
    let actions = bench.script(token, &[Outcome::Drained(3)], &[]);
    assert_eq!(received(&actions), 2);
}

#[test]
fn a_read_that_was_not_short_is_followed_by_another() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.rest();
        bench.ready(token, READ);
        let actions = bench.script(token, &[Outcome::Complete(512), Outcome::Drained(500)], &[]);
        let into: Vec<Span> = actions
            .iter()
            .filter_map(|action| match action {
                Action::Recv { into, .. } => Some(*into),
                _ => None,
            })
            .collect();
        let expected = [(0, 1024), (512, 512)].map(|(at, len)| Span { at, len });
        assert_eq!(into, expected, "one behind the other");
        assert_eq!(bench.machine.unconsumed(token), Span { at: 0, len: 1012 });
    }
}

#[test]
fn a_full_window_wants_nothing_until_it_is_consumed() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.stalled(token, 1);
    bench.hears(token, 1024);
    bench.ready(token, READ);
    assert_eq!(
        armed(&bench.run()),
        [(BOTH, WRITE)],
        "the peer is held back"
    );
    bench.machine.consume(token, 1024);
    let actions = bench.run();
    assert_eq!(received(&actions), 1, "the report is not forgotten");
    assert_eq!(armed(&actions), [(WRITE, BOTH)]);
}

#[test]
fn a_short_send_proves_nothing_in_edge_mode() {
    for (trigger, sends) in [
        (Trigger::Level, 1),
        (Trigger::Edge, 2),
        (Trigger::Oneshot, 1),
    ] {
        let mut bench = Bench::with(trigger);
        let token = bench.rest();
        bench.machine.commit(token, 100);
        let actions = bench.script(token, &[], &[Outcome::Drained(40), BLOCKED]);
        let expected = [(0, 100), (40, 60)].map(|(at, len)| Span { at, len });
        assert_eq!(sent(&actions), expected[..sends], "{trigger:?}");
        assert!(bench.slot(token).readiness.armed().contains(WRITE));
        bench.ready(token, WRITE);
        assert_eq!(
            sent(&bench.run()),
            expected[1..],
            "the rest, from where it stopped"
        );
        assert_eq!(bench.machine.info(token).expect("live").bytes_out, 100);
    }
}

#[test]
fn a_send_of_nothing_would_have_blocked() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.rest();
        bench.machine.commit(token, 1);
        let actions = bench.script(token, &[], &[Outcome::Complete(0)]);
        assert_eq!(sent(&actions).len(), 1);
        assert!(bench.slot(token).readiness.armed().contains(WRITE));
    }
}

#[test]
fn input_is_gathered_before_one_send_while_there_is_capacity() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.ready(token, READ);
    let full = Outcome::Complete(1024);
    let actions = echo(&mut bench, token, &[full, full, Outcome::Drained(1)], &[]);
    assert_eq!(kinds(&actions), ["recv", "recv", "recv", "send"]);
    assert_eq!(sent(&actions), [Span { at: 0, len: 2049 }]);
    bench.ready(token, READ);
    let actions = echo(
        &mut bench,
        token,
        &[full, full, full, full, Outcome::Drained(1)],
        &[],
    );
    assert_eq!(
        kinds(&actions),
        ["recv", "recv", "recv", "recv", "send", "recv", "send"],
        "no capacity, so it sends"
    );
}

#[test]
fn what_would_block_is_awaited_and_the_other_direction_goes_on() {
    for (trigger, change) in [
        (Trigger::Level, Some((READ, BOTH))),
        (Trigger::Edge, None),
        (Trigger::Oneshot, Some((READ, BOTH))),
    ] {
        let mut bench = Bench::with(trigger);
        let token = bench.rest();
        bench.machine.commit(token, 10);
        let actions = bench.script(token, &[], &[BLOCKED]);
        assert_eq!(armed(&actions), Vec::from_iter(change), "{trigger:?}");
        bench.ready(token, READ);
        let actions = bench.script(token, &[Outcome::Drained(5)], &[]);
        assert_eq!(
            (received(&actions), sent(&actions).len()),
            (1, 0),
            "{trigger:?}"
        );
        bench.ready(token, WRITE);
        assert_eq!(sent(&bench.run()).len(), 1, "{trigger:?}");
    }
}

#[test]
fn edge_mode_arms_both_directions_once() {
    let mut bench = Bench::with(Trigger::Edge);
    let token = bench.open();
    assert_eq!(armed(&bench.run()), [(NONE, BOTH)]);
    let mut later = Vec::new();
    for _ in 0..3 {
        bench.ready(token, READ);
        later.extend(echo(
            &mut bench,
            token,
            &[Outcome::Complete(700), BLOCKED],
            &[BLOCKED],
        ));
        bench.machine.pause(token);
        bench.report(token, BOTH, true);
        later.extend(echo(
            &mut bench,
            token,
            &[],
            &[Outcome::Drained(1), BLOCKED],
        ));
        bench.ready(token, WRITE);
        bench.machine.resume(token);
        later.extend(echo(&mut bench, token, &[], &[]));
    }
    assert_eq!(armed(&later), []);
    bench.machine.abort(token);
    assert_eq!(armed(&bench.run()), [(BOTH, NONE)], "until it is closed");
}

/// After it has fired the kernel still holds the registration: it is modified, not added.
#[test]
fn oneshot_arms_again_what_is_awaited_after_each_report() {
    let mut bench = Bench::with(Trigger::Oneshot);
    let token = bench.open();
    assert_eq!(armed(&bench.run()), [(NONE, READ)]);
    for _ in 0..3 {
        bench.ready(token, READ);
        assert_eq!(
            armed(&bench.script(token, &[Outcome::Drained(1)], &[])),
            [(READ, READ)]
        );
        bench.machine.consume(token, 1);
        bench.run();
    }
    bench.stalled(token, 10);
    assert_eq!(bench.slot(token).readiness.registered(), BOTH);
    bench.ready(token, WRITE);
    assert_eq!(armed(&bench.run()), [(BOTH, READ)]);
    bench.machine.pause(token);
    bench.ready(token, READ);
    let hang_up = Directions::HANGUP;
    assert_eq!(
        armed(&bench.run()),
        [(READ, hang_up)],
        "fired and unwanted: a reset is still to be heard of"
    );
    bench.machine.resume(token);
    assert_eq!(armed(&bench.run()), [(hang_up, READ)]);
}

#[test]
fn level_mode_withdraws_only_what_was_reported_and_not_wanted() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.machine.pause(token);
    assert_eq!(bench.run(), [], "no call until it disturbs");
    bench.ready(token, READ);
    assert_eq!(
        armed(&bench.run()),
        [(READ, Directions::HANGUP)],
        "a reset is still to be heard of"
    );
    bench.machine.resume(token);
    let actions = bench.run();
    assert_eq!(kinds(&actions), ["recv", "mod"]);
    bench.stalled(token, 10);
    bench.machine.pause(token);
    bench.report(token, READ, true);
    let actions = bench.script(token, &[], &[BLOCKED]);
    assert_eq!(armed(&actions), [(BOTH, WRITE)], "what is awaited stays");
}

#[test]
fn a_pause_and_a_resume_between_reports_cost_no_call() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.rest();
        bench.machine.pause(token);
        bench.run();
        bench.machine.resume(token);
        assert_eq!(bench.run(), [], "{trigger:?}");
    }
}

#[test]
fn what_arrives_while_paused_is_not_notified() {
    let mut bench = Bench::level();
    let token = bench.open();
    assert_eq!(kinds(&bench.outputs())[0], "recv");
    bench.machine.pause(token);
    assert_eq!(bench.done(token, Op::Recv, Outcome::Drained(5)), None);
    assert_eq!(bench.machine.unconsumed(token).len, 5, "but not lost");
    bench.run();
}

#[test]
fn eof_is_read_again_when_the_application_has_capacity_or_resumes() {
    for paused in [true, false] {
        let mut bench = Bench::level();
        let token = bench.rest();
        bench.stalled(token, WINDOWS.send);
        bench.ready(token, READ);
        while !matches!(bench.poll(), Some(Action::Recv { .. })) {}
        if paused {
            bench.machine.pause(token);
        } else {
            bench.machine.want_capacity(token, 1);
        }
        assert_eq!(bench.done(token, Op::Recv, END), None);
        bench.run();
        bench.ready(token, WRITE);
        bench.machine.resume(token);
        bench.script(token, &[END], &[]);
        assert_eq!(bench.notices.last(), Some(&Notice::Ended(token)));
    }
}

#[test]
fn one_source_moves_a_quantum_before_the_next_has_its_turn() {
    for (each, operations) in [(1024, 4), (256, 16), (1, 16)] {
        let mut bench = Bench::new::<4>(&Config {
            quantum: 4096,
            iteration_bytes: u32::MAX,
            ..Config::default()
        });
        let (a, b) = (bench.rest(), bench.rest());
        bench.ready(a, READ);
        bench.ready(b, READ);
        bench.turn();
        let mut visits = Vec::new();
        for _ in 0..operations + 1 {
            let Some(Action::Recv { token, .. }) = bench.poll() else {
                panic!("both always have more");
            };
            visits.push(token);
            bench.done(token, Op::Recv, Outcome::Complete(each));
            bench.machine.consume(token, each);
        }
        let served = visits.iter().filter(|token| **token == a).count();
        assert_eq!(
            served, operations,
            "an operation counts for at least 256 bytes"
        );
        assert_eq!(visits.last(), Some(&b));
    }
}

#[test]
fn an_interrupted_operation_is_tried_again_and_that_is_bounded() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.ready(token, READ);
    let interrupted = Outcome::Failed(Fault::Interrupted(4));
    let actions = bench.script(token, &[interrupted, Outcome::Drained(3)], &[]);
    assert_eq!(received(&actions), 2);
    bench.ready(token, READ);
    bench.machine.commit(token, 10);
    let actions = bench.one_turn(|_| Some(interrupted));
    assert!(
        actions.len() <= 2 * 64,
        "a quantum in units of 256 bytes each way"
    );
    assert_eq!(bench.closed(token), None);
}

#[test]
fn capacity_that_was_requested_is_notified_once_when_it_is_there() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.machine.want_capacity(token, 10);
    bench.machine.want_capacity(token, u32::MAX);
    assert_eq!(
        bench.slot(token).send_wanted,
        0,
        "all there is fits already"
    );
    bench.stalled(token, WINDOWS.send);
    bench.machine.want_capacity(token, 100);
    let writable = |bench: &Bench| {
        let told = bench
            .notices
            .iter()
            .filter(|n| **n == Notice::Writable(token));
        told.count()
    };
    for (taken, told) in [(60, 0), (39, 0), (1, 1), (1000, 1)] {
        bench.ready(token, WRITE);
        bench.script(token, &[], &[Outcome::Drained(taken), BLOCKED]);
        assert_eq!(writable(&bench), told, "after {taken} more");
    }
}

#[test]
fn more_capacity_than_the_window_has_is_all_of_it() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.stalled(token, 10);
    bench.machine.want_capacity(token, u32::MAX);
    bench.ready(token, WRITE);
    bench.run();
    assert_eq!(bench.notices.last(), Some(&Notice::Writable(token)));
}
