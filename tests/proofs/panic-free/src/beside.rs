//! What stands beside the connections: timers, watched descriptors, reserved slots, rounds; and [`Connections`].

use core::time::Duration;
use tidegate_core::{
    Connections, Destination, Directions, Dispatcher, Info, Instant, Notice, Round, SendError,
    Token, Unavailable,
};

#[unsafe(no_mangle)]
pub fn timers_set(m: &mut Dispatcher<'_>, token: Token, after: Duration) {
    m.set_timer(token, after);
}

#[unsafe(no_mangle)]
pub fn timers_cancel(m: &mut Dispatcher<'_>, token: Token, timer: u32) {
    m.cancel_timer(token);
    m.cancel_free_timer(timer);
}

#[unsafe(no_mangle)]
pub fn timers_set_free(
    m: &mut Dispatcher<'_>,
    timer: u32,
    after: Duration,
) -> [Result<(), Unavailable>; 2] {
    [m.set_free_timer(timer, after), m.set_interval(timer, after)]
}

#[unsafe(no_mangle)]
pub fn timers_ask(m: &Dispatcher<'_>, token: Token, timer: u32) -> [Option<Instant>; 2] {
    [m.timer(token), m.free_timer(timer)]
}

#[unsafe(no_mangle)]
pub fn timers_poll(m: &mut Dispatcher<'_>) -> Option<Notice> {
    m.poll_timer()
}

#[unsafe(no_mangle)]
pub fn watch_begin(m: &mut Dispatcher<'_>, at: Directions) -> Result<Token, Unavailable> {
    m.watch(at)
}

#[unsafe(no_mangle)]
pub fn watch_change(m: &mut Dispatcher<'_>, token: Token, at: Directions) {
    m.watch_for(token, at);
    m.unwatch(token);
}

#[unsafe(no_mangle)]
pub fn watch_list(m: &Dispatcher<'_>, each: fn(Token)) {
    m.watched_tokens().for_each(each);
}

#[unsafe(no_mangle)]
pub fn reserve_slots(m: &mut Dispatcher<'_>, listener: Token, slots: u32) {
    m.reserve_slots(listener, slots);
}

#[unsafe(no_mangle)]
pub fn limit_connections(m: &mut Dispatcher<'_>, listener: Token, connections: u32) {
    m.limit_connections(listener, connections);
}

#[unsafe(no_mangle)]
pub fn set_priority(m: &mut Dispatcher<'_>, listener: Token, priority: bool) {
    m.set_priority(listener, priority);
}

#[unsafe(no_mangle)]
pub fn round(m: &Dispatcher<'_>, before: Round) -> (Round, bool) {
    (m.round(), m.is_round_over(before))
}

#[unsafe(no_mangle)]
pub fn all_ask(all: &Connections<'_>, token: Token, each: fn(Token)) -> (Option<Info>, Instant) {
    all.tokens().for_each(each);
    (all.info(token), all.now())
}

#[unsafe(no_mangle)]
pub fn all_connect(all: &mut Connections<'_>, to: Destination) -> Result<Token, Unavailable> {
    all.connect(to)
}

#[unsafe(no_mangle)]
pub fn all_send(all: &mut Connections<'_>, token: Token, bytes: &[u8]) -> Result<u32, SendError> {
    all.send_to(token, bytes)?;
    Ok(all.send_all(bytes))
}

#[unsafe(no_mangle)]
pub fn all_end(all: &mut Connections<'_>, token: Token, other: Token) {
    all.finish(token);
    all.abort(other);
}

#[unsafe(no_mangle)]
pub fn all_watch(all: &mut Connections<'_>, token: Token, at: Directions) {
    all.watch_for(token, at);
    all.unwatch(token);
}

#[unsafe(no_mangle)]
pub fn all_timers(
    all: &mut Connections<'_>,
    token: Token,
    timer: u32,
    after: Duration,
) -> Result<(), Unavailable> {
    all.set_timer_of(token, after);
    all.cancel_timer_of(token);
    all.cancel_timer(timer);
    all.set_interval(timer, after)?;
    all.set_timer(timer, after)
}
