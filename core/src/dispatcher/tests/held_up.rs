//! What comes late, or all at once: resource exhaustion after long quiet, loops that were delayed, calls after the end.

use super::*;
use crate::config::{Class, FullTable};
use crate::output::Span;

const SECOND: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(20);

/// A connection that was quiet for long, to which nothing could be sent once.
fn short_of_memory_once(mut bench: Bench, token: Token) -> Option<Reason> {
    bench.later(40 * SECOND);
    bench.run();
    bench.machine.commit(token, 1);
    bench.script(token, &[], &[NO_MEMORY]);
    bench.later(RETRY);
    bench.run();
    bench.closed(token)
}

#[test]
fn resource_exhaustion_is_counted_from_its_beginning_not_from_that_of_the_quiet_before() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    assert_eq!(short_of_memory_once(bench, token), None);
    let mut bench = Bench::level();
    let token = bench.rest();
    assert_eq!(short_of_memory_once(bench, token), None);
}

#[test]
fn eviction_is_exact_to_the_moment_about_the_longest_idle() {
    let mut bench = Bench::new::<2>(&Config {
        full: FullTable::Evict,
        ..Config::default()
    });
    let (active, idle) = (bench.spoken(), bench.spoken());
    for _ in 0..8 {
        bench.later(SECOND);
        bench.hears(active, 1);
        bench.machine.consume(active, 1);
        bench.run();
    }
    bench.ready(bench.listener, READ);
    bench.run();
    assert_eq!(bench.closed(active), None);
    assert_eq!(bench.closed(idle), Some(Reason::Evicted));
}

#[test]
fn bytes_that_came_in_time_count_though_the_loop_was_delayed() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    bench.now = bench.now.plus(700 * SECOND);
    bench.ready(token, READ);
    bench.turn();
    bench.script(token, &[Outcome::Drained(5)], &[]);
    assert_eq!(bench.closed(token), None);
}

#[test]
fn a_report_without_bytes_delays_the_end_by_a_turn_at_most() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    bench.now = bench.now.plus(700 * SECOND);
    bench.ready(token, READ);
    bench.run();
    bench.later(Duration::from_nanos(1));
    bench.run();
    assert_eq!(bench.closed(token), Some(Reason::Deadline(Class::Idle)));
}

#[test]
fn a_listener_that_comes_after_the_end_ends_too() {
    for by in [10 * SECOND, Duration::ZERO] {
        let mut bench = Bench::level();
        bench.machine.stop(bench.now.plus(by));
        bench.later(SECOND);
        bench.run();
        assert!(bench.machine.is_stopped());
        bench.machine.listen(None).expect("a place");
        bench.run();
        assert!(bench.machine.is_stopped());
    }
}

#[test]
fn without_a_session_the_application_moves_what_is_left_to_the_front() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    bench.machine.consume(token, u32::MAX);
    bench.run();
    bench.ready(token, READ);
    bench.turn();
    let Some(Action::Recv { into, .. }) = bench.poll() else {
        panic!("no receive");
    };
    bench.done(token, Op::Recv, Outcome::Complete(into.len));
    bench.machine.consume(token, into.len - 24);
    let at = into.len - 24;
    let left = Span { at, len: 24 };
    assert_eq!(bench.machine.compact(token), Some(left));
    assert_eq!(bench.machine.unconsumed(token), Span { at: 0, len: 24 });
    assert_eq!(bench.machine.compact(token), None, "once");
}
