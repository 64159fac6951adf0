//! What can be asked of a value: sets, times, tokens, limits, counters.

use core::time::Duration;
use tidegate_core::{
    Backoff, Class, Completion, Config, Directions, Fault, Instant, Outcome, Reason, Stats, Token,
    Trigger, awaited, issue,
};

#[unsafe(no_mangle)]
pub fn sets(a: Directions, b: Directions, c: Directions) -> (Directions, Directions, bool) {
    let other = (a | b) & (b - c);
    let when = other.when(a.contains(b) || c.is_empty());
    (issue(a, b, when), awaited(a, b, c), other.is_empty())
}

#[unsafe(no_mangle)]
pub fn rearm(
    trigger: Trigger,
    wanted: Directions,
    awaited: Directions,
    armed: Directions,
    unwanted: bool,
) -> Option<Directions> {
    trigger.rearm(wanted, awaited, armed, unwanted)
}

#[unsafe(no_mangle)]
pub fn times(
    a: Instant,
    b: Instant,
    n: u64,
    length: Duration,
) -> (Instant, Instant, u64, Duration) {
    (
        a.plus_nanos(n),
        b.plus(length),
        a.nanos_since(b),
        a.since(b),
    )
}

#[unsafe(no_mangle)]
pub fn tokens(bits: u64) -> (u64, u32, u32, bool) {
    let token = Token::from_bits(bits);
    let back = token.to_bits();
    (back, token.index(), token.generation(), token.is_listener())
}

#[unsafe(no_mangle)]
pub fn limits(config: &Config, class: Class) -> Option<Duration> {
    config.length(class)
}

#[unsafe(no_mangle)]
pub fn faults(fault: Fault) -> u16 {
    fault.code()
}

#[unsafe(no_mangle)]
pub fn completions(
    transfer: Result<u32, Option<Fault>>,
    requested: u32,
    outcome: Outcome,
) -> [Option<Outcome>; 3] {
    [
        Some(Completion::of_receive(transfer, requested)),
        Some(Completion::of_send(transfer, requested)),
        outcome.completion(),
    ]
    .map(|completion| completion.map(Outcome::from))
}

#[unsafe(no_mangle)]
pub fn counters(stats: &Stats, reason: Reason) -> (u64, u64, u64, usize) {
    (
        stats.closed_by(reason),
        stats.evicted(),
        stats.closed_total(),
        reason.kind(),
    )
}

#[unsafe(no_mangle)]
pub fn backoff_next(b: &mut Backoff, random: u64) -> Duration {
    b.next(random)
}
