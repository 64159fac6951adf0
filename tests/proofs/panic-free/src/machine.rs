//! The verbs of [`Dispatcher`], the calls by token, and what may be asked.

use tidegate_core::{
    Action, Config, ConfigError, Destination, Directions, Dispatcher, Event, Info, Instant, Notice,
    Span, Stats, Table, Token, Trigger, Unavailable, Windows,
};

const N: usize = 100;

#[unsafe(no_mangle)]
pub fn machine_new<'t>(
    table: &'t mut Table<N>,
    config: &Config,
    windows: Windows,
) -> Result<Dispatcher<'t>, ConfigError> {
    Dispatcher::new(table, config, windows)
}

#[unsafe(no_mangle)]
pub fn machine_listen(m: &mut Dispatcher<'_>, limit: Option<u32>) -> Result<Token, Unavailable> {
    m.listen(limit)
}

#[unsafe(no_mangle)]
pub fn machine_handle_event(m: &mut Dispatcher<'_>, now: Instant, event: Event) -> Option<Notice> {
    m.handle_event(now, event)
}

#[unsafe(no_mangle)]
pub fn machine_handle_timeout(m: &mut Dispatcher<'_>, now: Instant) {
    m.handle_timeout(now);
}

#[unsafe(no_mangle)]
pub fn machine_poll_output(m: &mut Dispatcher<'_>) -> Option<Action> {
    m.poll_output()
}

#[unsafe(no_mangle)]
pub fn machine_poll_timeout(m: &Dispatcher<'_>) -> Option<Instant> {
    m.poll_timeout()
}

#[unsafe(no_mangle)]
pub fn machine_stop(m: &mut Dispatcher<'_>, by: Instant) -> bool {
    m.stop(by);
    m.is_stopped()
}

#[unsafe(no_mangle)]
pub fn machine_asks(m: &Dispatcher<'_>) -> (bool, u32, Instant, Trigger, Windows) {
    (
        m.has_work(),
        m.listening(),
        m.now(),
        m.trigger(),
        m.windows(),
    )
}

#[unsafe(no_mangle)]
pub fn machine_stats<'m>(m: &'m Dispatcher<'_>) -> &'m Stats {
    m.stats()
}

#[unsafe(no_mangle)]
pub fn machine_armed(m: &Dispatcher<'_>, each: fn(Token, Directions, Trigger)) {
    for (token, armed, trigger) in m.armed() {
        each(token, armed, trigger);
    }
}

#[unsafe(no_mangle)]
pub fn machine_connections(m: &Dispatcher<'_>, each: fn(Token)) {
    m.connections().for_each(each);
}

#[unsafe(no_mangle)]
pub fn machine_info(m: &Dispatcher<'_>, token: Token) -> Option<Info> {
    m.info(token)
}

#[unsafe(no_mangle)]
pub fn machine_refused_by(m: &Dispatcher<'_>, token: Token) -> Option<u32> {
    m.refused_by(token)
}

#[unsafe(no_mangle)]
pub fn machine_is_stopping(m: &Dispatcher<'_>) -> bool {
    m.is_stopping()
}

#[unsafe(no_mangle)]
pub fn machine_spans(m: &Dispatcher<'_>, token: Token) -> (Span, Span) {
    (m.unconsumed(token), m.spare_capacity(token))
}

#[unsafe(no_mangle)]
pub fn machine_consume(m: &mut Dispatcher<'_>, token: Token, n: u32) {
    m.consume(token, n);
}

#[unsafe(no_mangle)]
pub fn machine_compact(m: &mut Dispatcher<'_>, token: Token) -> Option<Span> {
    m.compact(token)
}

#[unsafe(no_mangle)]
pub fn machine_commit(m: &mut Dispatcher<'_>, token: Token, n: u32) {
    m.commit(token, n);
}

#[unsafe(no_mangle)]
pub fn machine_want_capacity(m: &mut Dispatcher<'_>, token: Token, n: u32) {
    m.want_capacity(token, n);
}

#[unsafe(no_mangle)]
pub fn machine_finish(m: &mut Dispatcher<'_>, token: Token) {
    m.finish(token);
}

#[unsafe(no_mangle)]
pub fn machine_too_long(m: &mut Dispatcher<'_>, token: Token) {
    m.too_long(token);
}

#[unsafe(no_mangle)]
pub fn machine_abort(m: &mut Dispatcher<'_>, token: Token) {
    m.abort(token);
}

#[unsafe(no_mangle)]
pub fn machine_pause(m: &mut Dispatcher<'_>, token: Token) {
    m.pause(token);
}

#[unsafe(no_mangle)]
pub fn machine_resume(m: &mut Dispatcher<'_>, token: Token) {
    m.resume(token);
}

#[unsafe(no_mangle)]
pub fn machine_connect(
    m: &mut Dispatcher<'_>,
    to: Destination,
    origin: Option<Token>,
) -> Result<Token, Unavailable> {
    m.connect(to, origin)
}

#[unsafe(no_mangle)]
pub fn machine_destination(m: &Dispatcher<'_>, token: Token) -> Option<Destination> {
    m.destination(token)
}

#[unsafe(no_mangle)]
pub fn machine_shut_down(m: &mut Dispatcher<'_>, token: Token) {
    m.shut_down(token);
}
