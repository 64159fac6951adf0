//! Deadlines: one for each connection, never early, late by a 64th at most.

use super::*;
use crate::config::Class;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const NANO: Duration = Duration::from_nanos(1);

const FIRST_BYTE: Duration = Duration::from_secs(60);
const REQUEST: Duration = Duration::from_secs(30);
pub(super) const STALL: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(600);
const LINGER: Duration = Duration::from_secs(2);
pub(super) const CONGESTION: Duration = Duration::from_millis(20);

fn class(bench: &Bench, token: Token) -> Option<Class> {
    bench.slot(token).class
}

/// What passes next, and in how long.
pub(super) fn due(bench: &Bench) -> Duration {
    let due = bench.machine.next_deadline().expect("a deadline");
    due.since(bench.now)
}

/// Whether it is `length`, or later by a 64th at most.
pub(super) fn in_time(due: Duration, length: Duration) -> bool {
    due >= length && due <= length + length / 64
}

/// Nothing happens for so long; what has to be done is done.
pub(super) fn wait(bench: &mut Bench, by: Duration) {
    bench.later(by);
    bench.run();
}

/// The driver runs on, at the times that it gets, for so long.
fn live(bench: &mut Bench, by: Duration) {
    let end = bench.now.plus(by);
    while let Some(next) = bench.machine.poll_timeout()
        && next <= end
    {
        bench.now = bench.now.max(next);
        bench.run();
    }
    bench.now = end;
    bench.run();
}

#[test]
fn each_state_has_the_deadline_of_its_class() {
    let mut bench = Bench::level();
    let token = bench.rest();
    assert_eq!(
        (class(&bench, token), due(&bench)),
        (Some(Class::FirstByte), FIRST_BYTE)
    );
    bench.hears(token, 10);
    assert_eq!(class(&bench, token), Some(Class::Request));
    assert!(in_time(due(&bench), REQUEST));
    bench.machine.pause(token);
    bench.run();
    assert_eq!(
        class(&bench, token),
        Some(Class::Idle),
        "a pause is the application's"
    );
    bench.machine.resume(token);
    bench.run();
    assert_eq!(class(&bench, token), Some(Class::Request));
    bench.stalled(token, 10);
    assert_eq!(class(&bench, token), Some(Class::WriteStall));
    assert!(in_time(due(&bench), STALL));
    bench.ready(token, WRITE);
    bench.machine.consume(token, 10);
    bench.run();
    assert_eq!(class(&bench, token), Some(Class::Idle));
    assert!(in_time(due(&bench), IDLE));
    bench.machine.commit(token, 1);
    bench.script(token, &[], &[NO_MEMORY]);
    assert_eq!(
        (class(&bench, token), due(&bench)),
        (Some(Class::Congestion), CONGESTION)
    );
    wait(&mut bench, CONGESTION);
    bench.machine.finish(token);
    bench.run();
    assert_eq!(
        (class(&bench, token), due(&bench)),
        (Some(Class::Linger), LINGER)
    );
    wait(&mut bench, LINGER);
    assert_eq!(bench.machine.next_deadline(), None, "nobody is left");
}

#[test]
fn the_first_byte_is_due_from_the_accept_on_whatever_else_happens() {
    let mut bench = Bench::level();
    let token = bench.rest();
    for _ in 0..5 {
        bench.later(10 * SECOND);
        bench.ready(token, READ);
        bench.run();
    }
    wait(&mut bench, 10 * SECOND - NANO);
    assert_eq!(bench.closed(token), None, "never early");
    wait(&mut bench, NANO);
    assert_eq!(
        bench.closed(token),
        Some(Reason::Deadline(Class::FirstByte))
    );
}

#[test]
fn more_bytes_do_not_prolong_a_request() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.hears(token, 1);
    let end = bench.now.plus(due(&bench));
    for _ in 0..29 {
        bench.later(SECOND);
        bench.hears(token, 1);
    }
    assert_eq!(bench.machine.next_deadline(), Some(end));
    wait(&mut bench, 2 * SECOND);
    assert_eq!(bench.closed(token), Some(Reason::Deadline(Class::Request)));
}

#[test]
fn consuming_restarts_a_request() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.hears(token, 100);
    for _ in 0..5 {
        wait(&mut bench, 20 * SECOND);
        bench.machine.consume(token, 1);
        bench.run();
        assert!(in_time(due(&bench), REQUEST));
    }
    assert_eq!(bench.closed(token), None);
}

#[test]
fn any_byte_in_either_direction_restarts_idling_and_a_report_does_not() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    wait(&mut bench, 300 * SECOND);
    bench.hears(token, 1);
    bench.machine.consume(token, 1);
    bench.run();
    assert!(in_time(due(&bench), IDLE));
    wait(&mut bench, 300 * SECOND);
    bench.machine.commit(token, 1);
    bench.run();
    assert!(in_time(due(&bench), IDLE));
    wait(&mut bench, 599 * SECOND);
    bench.ready(token, READ | WRITE);
    bench.run();
    assert!(due(&bench) < 11 * SECOND);
    wait(&mut bench, 11 * SECOND);
    assert_eq!(bench.closed(token), Some(Reason::Deadline(Class::Idle)));
}

/// Activity moves a deadline at most once in a granule; wherever in it the last byte came, its time is not cut.
#[test]
fn no_deadline_is_early_and_none_later_than_a_64th() {
    let granule = IDLE / 64;
    for part in 0..=16 {
        let mut bench = Bench::level();
        let token = bench.spoken();
        bench.later(granule * part / 8);
        bench.machine.commit(token, 1);
        bench.run();
        let due = due(&bench);
        assert!(in_time(due, IDLE), "{part} eighths: {due:?}");
        wait(&mut bench, IDLE - NANO);
        assert_eq!(bench.closed(token), None, "early at {part} eighths");
        wait(&mut bench, granule + NANO);
        assert_eq!(bench.closed(token), Some(Reason::Deadline(Class::Idle)));
    }
}

#[test]
fn activity_moves_a_deadline_once_in_a_granule() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    let mut moves = 0;
    let mut last = bench.machine.next_deadline();
    for _ in 0..640 {
        bench.later(IDLE / 640);
        bench.machine.commit(token, 1);
        bench.run();
        moves += u32::from(last != bench.machine.next_deadline());
        last = bench.machine.next_deadline();
    }
    assert!(
        (50..=64).contains(&moves),
        "{moves} moves in the length of the deadline"
    );
}

#[test]
fn nothing_prolongs_lingering() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.machine.finish(token);
    bench.run();
    for _ in 0..19 {
        bench.later(SECOND / 10);
        bench.ready(token, READ);
        bench.script(token, &[Outcome::Drained(1)], &[]);
    }
    wait(&mut bench, SECOND / 10 - NANO);
    assert_eq!(bench.closed(token), None);
    wait(&mut bench, NANO);
    assert_eq!(
        bench.closed(token),
        Some(Reason::Finished),
        "all was handed over"
    );
}

#[test]
fn a_class_that_is_off_never_passes() {
    let mut bench = Bench::new::<2>(&Config {
        first_byte: None,
        request: None,
        write_stall: None,
        idle: None,
        linger: None,
        ..Config::default()
    });
    let (silent, token) = (bench.rest(), bench.rest());
    let year = 365 * 24 * 3600 * SECOND;
    assert_eq!(bench.machine.poll_timeout(), None);
    bench.hears(token, 10);
    wait(&mut bench, year);
    bench.machine.consume(token, 10);
    wait(&mut bench, year);
    bench.stalled(token, 10);
    wait(&mut bench, year);
    bench.ready(token, WRITE);
    bench.machine.finish(token);
    wait(&mut bench, year);
    assert_eq!(bench.machine.poll_timeout(), None);
    assert_eq!(bench.told, [silent, token]);
}

#[test]
fn a_clock_that_goes_back_is_ignored() {
    let mut bench = Bench::level();
    let token = bench.rest();
    let (now, next) = (bench.now, bench.machine.poll_timeout());
    bench.now = Instant::ZERO;
    bench.hears(token, 1);
    bench.machine.consume(token, 1);
    bench.run();
    assert_eq!(bench.machine.now(), now);
    assert!(bench.machine.poll_timeout() > next);
    bench.now = Instant::NEVER;
    bench.run();
    assert_eq!(
        bench.closed(token),
        Some(Reason::Deadline(Class::Idle)),
        "a jump is taken"
    );
}

#[test]
fn sixty_four_deadlines_are_acted_on_in_a_turn_and_the_rest_in_the_next() {
    let mut bench = Bench::new::<100>(&Config::default());
    for _ in 0..100 {
        bench.rest();
    }
    bench.now = bench.now.plus(FIRST_BYTE);
    // Each tries once more, and is judged.
    for (tried, left) in [(64, 100), (0, 36), (36, 36), (0, 0)] {
        let actions = bench.one_turn(|_| None);
        let receives = kinds(&actions).into_iter().filter(|kind| *kind == "recv");
        assert_eq!((receives.count(), bench.told.len()), (tried, left));
        let due = (left > 0).then_some(bench.now);
        let next = bench.machine.poll_timeout().map(|due| due.max(bench.now));
        assert_eq!(next, due, "the driver does not sleep meanwhile");
    }
}

#[test]
fn a_timeout_is_the_least_of_all() {
    let mut bench = Bench::new::<8>(&Config::default());
    assert_eq!(
        bench.machine.poll_timeout(),
        None,
        "a listener alone waits for ever"
    );
    let mut least = Duration::MAX;
    let first_byte = bench.rest();
    for (at, class) in [
        (Some(FIRST_BYTE), Class::FirstByte),
        (Some(REQUEST), Class::Request),
        (Some(LINGER), Class::Linger),
        (Some(CONGESTION), Class::Congestion),
    ] {
        let token = if class == Class::FirstByte {
            first_byte
        } else {
            bench.rest()
        };
        match class {
            Class::Request => bench.hears(token, 1),
            Class::Linger => {
                bench.machine.finish(token);
                bench.run();
            }
            Class::Congestion => {
                bench.ready(token, READ);
                bench.script(token, &[NO_MEMORY], &[]);
            }
            _ => {}
        }
        least = least.min(at.expect("on"));
        assert!(in_time(due(&bench), least), "{class:?}");
    }
    let reserved = bench.reserve();
    bench.done(reserved, Op::Accept, NO_MEMORY);
    bench.machine.stop(bench.now.plus(Duration::from_millis(1)));
    assert_eq!(
        due(&bench),
        Duration::from_millis(1),
        "and the time to stop"
    );
}

#[test]
fn whatever_is_going_on_every_connection_ends_when_its_peer_falls_silent() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let tokens = [bench.rest(), bench.spoken(), bench.rest(), bench.rest()];
        bench.hears(tokens[2], 5);
        bench.stalled(tokens[3], 5);
        live(&mut bench, 2 * IDLE);
        for token in tokens {
            assert!(
                matches!(bench.closed(token), Some(Reason::Deadline(_))),
                "{token:?}"
            );
        }
    }
}

#[test]
fn nothing_that_is_said_to_a_silent_peer_prolongs_its_first_byte() {
    let mut bench = Bench::level();
    let token = bench.rest();
    for _ in 0..5 {
        wait(&mut bench, 10 * SECOND);
        bench.machine.commit(token, 1);
        bench.script(token, &[], &[Outcome::Complete(1)]);
    }
    wait(&mut bench, 10 * SECOND - NANO);
    assert_eq!(bench.closed(token), None);
    wait(&mut bench, NANO);
    assert_eq!(
        bench.closed(token),
        Some(Reason::Deadline(Class::FirstByte))
    );
}

#[test]
fn what_was_done_between_iterations_counts_at_a_deadline_that_has_passed() {
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.hears(token, 2);
    bench.run();
    assert_eq!(class(&bench, token), Some(Class::Request));
    bench.now = bench.now.plus(Duration::from_secs(31));
    // The application borrows the connection in time, and the iteration comes late.
    bench.machine.consume(token, 1);
    bench.run();
    assert_eq!(bench.closed(token), None);
    assert_eq!(class(&bench, token), Some(Class::Request));
    wait(&mut bench, Duration::from_secs(31));
    let reason = Some(Reason::Deadline(Class::Request));
    assert_eq!(bench.closed(token), reason, "it is still due");
}

#[test]
fn what_a_silent_peer_does_not_read_waits_for_its_first_byte_unless_that_is_off() {
    for (first_byte, expected) in [
        (Some(FIRST_BYTE), Class::FirstByte),
        (None, Class::WriteStall),
    ] {
        let mut bench = Bench::new::<2>(&Config {
            first_byte,
            ..Config::default()
        });
        let token = bench.rest();
        assert_eq!(class(&bench, token), Some(Class::FirstByte));
        bench.stalled(token, 10);
        assert_eq!(class(&bench, token), Some(expected));
    }
}

#[test]
fn a_stop_without_an_end_is_due_at_no_time() {
    let mut bench = Bench::new::<2>(&Config {
        idle: None,
        ..Config::default()
    });
    let token = bench.spoken();
    bench.stalled(token, 10);
    let before = bench.machine.next_deadline();
    assert!(before.is_some(), "of the stall");
    bench.machine.abort(token);
    bench.machine.stop(Instant::NEVER);
    bench.turn();
    while bench.poll().is_some() {}
    assert_eq!(bench.machine.next_deadline(), None);
}
