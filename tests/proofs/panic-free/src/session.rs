//! The verbs of [`Session`], with a handler whose every decision comes from outside, and what [`Conn`] offers it.

use core::time::Duration;
use tidegate_core::trace::RecordedInput;
use tidegate_core::{
    Action, Completion, Config, ConfigError, Conn, Connections, Datagram, Destination, Directions,
    Event, Fault, Handler, Info, Instant, Memory, Op, Outcome, Reason, SendError, Session, Span,
    Stats, Token, Trigger, Unavailable,
};

/// An application of which nothing is known.
#[derive(Clone, Copy)]
pub struct Unknown {
    opened: fn(&mut Conn<'_>, &mut u64),
    readable: fn(&mut Conn<'_>, &mut u64),
    writable: fn(&mut Conn<'_>, &mut u64),
    ended: fn(&mut Conn<'_>, &mut u64),
    closed: fn(&mut Conn<'_>, &mut u64, Reason),
    datagram: fn(&mut Connections<'_>, Token, Datagram<'_>),
    capacity: fn(&mut Connections<'_>, Token),
    failed: fn(&mut Connections<'_>, Token, Fault),
}

impl Handler for Unknown {
    type State = u64;

    fn opened(&mut self, conn: &mut Conn<'_>, state: &mut u64) {
        (self.opened)(conn, state);
    }

    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut u64) {
        (self.readable)(conn, state);
    }

    fn writable(&mut self, conn: &mut Conn<'_>, state: &mut u64) {
        (self.writable)(conn, state);
    }

    fn ended(&mut self, conn: &mut Conn<'_>, state: &mut u64) {
        (self.ended)(conn, state);
    }

    fn closed(&mut self, conn: &mut Conn<'_>, state: &mut u64, reason: Reason) {
        (self.closed)(conn, state, reason);
    }

    fn datagram(&mut self, all: &mut Connections<'_>, token: Token, datagram: Datagram<'_>) {
        (self.datagram)(all, token, datagram);
    }

    fn datagram_writable(&mut self, all: &mut Connections<'_>, token: Token) {
        (self.capacity)(all, token);
    }

    fn datagram_failed(&mut self, all: &mut Connections<'_>, token: Token, fault: Fault) {
        (self.failed)(all, token, fault);
    }
}

/// The default methods of [`Handler`].
struct Silent;

impl Handler for Silent {
    type State = ();
}

#[unsafe(no_mangle)]
pub fn silent(conn: &mut Conn<'_>, reason: Reason) {
    Silent.opened(conn, &mut ());
    Silent.readable(conn, &mut ());
    Silent.writable(conn, &mut ());
    Silent.ended(conn, &mut ());
    Silent.closed(conn, &mut (), reason);
}

/// The echo server of the documentation.
struct Echo;

impl Handler for Echo {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let data = conn.data();
        let n = data.len().min(conn.capacity());
        if conn.send(&data[..n]).is_ok() {
            conn.consume(n);
        }
    }
}

#[unsafe(no_mangle)]
pub fn echo(conn: &mut Conn<'_>) {
    Echo.readable(conn, &mut ());
}

type Plant = Memory<100, 1000, 3000, u64>;
type Machine<'m> = Session<'m, Unknown>;

#[unsafe(no_mangle)]
pub fn session_new<'m>(
    memory: &'m mut Plant,
    config: &Config,
    handler: Unknown,
) -> Result<Machine<'m>, ConfigError> {
    Session::new(memory, config, handler)
}

#[unsafe(no_mangle)]
pub fn session_listen(s: &mut Machine<'_>, limit: Option<u32>) -> Result<Token, Unavailable> {
    s.listen(limit)
}

#[unsafe(no_mangle)]
pub fn session_handle_event(s: &mut Machine<'_>, now: Instant, event: Event) {
    s.handle_event(now, event);
}

#[unsafe(no_mangle)]
pub fn session_handle_call(
    s: &mut Machine<'_>,
    now: Instant,
    token: Token,
    op: Op,
    outcome: &Outcome,
) {
    s.handle_call(now, token, op, outcome);
}

#[unsafe(no_mangle)]
pub fn session_handle_timeout(s: &mut Machine<'_>, now: Instant) {
    s.handle_timeout(now);
}

#[unsafe(no_mangle)]
pub fn session_poll_output(s: &mut Machine<'_>, completed: Option<Completion>) -> Option<Action> {
    s.poll_output(completed)
}

#[unsafe(no_mangle)]
pub fn session_poll_timeout(s: &Machine<'_>) -> Option<Instant> {
    s.poll_timeout()
}

#[unsafe(no_mangle)]
pub fn session_receive_into<'s>(s: &'s mut Machine<'_>, token: Token, into: Span) -> &'s mut [u8] {
    s.receive_into(token, into)
}

#[unsafe(no_mangle)]
pub fn session_send_from<'s>(s: &'s Machine<'_>, token: Token, from: Span) -> &'s [u8] {
    s.send_from(token, from)
}

#[unsafe(no_mangle)]
pub fn session_stop(s: &mut Machine<'_>, by: Instant) -> bool {
    s.stop(by);
    s.is_stopped()
}

#[unsafe(no_mangle)]
pub fn session_lend(
    s: &mut Machine<'_>,
    token: Token,
    visit: fn(&mut Unknown, &mut Conn<'_>, &mut u64),
) -> Option<()> {
    s.with(token, visit)
}

#[unsafe(no_mangle)]
pub fn session_armed(s: &Machine<'_>, each: fn(Token, Directions, Trigger)) {
    for (token, armed, trigger) in s.armed() {
        each(token, armed, trigger);
    }
}

#[unsafe(no_mangle)]
pub fn session_looks<'s>(s: &'s mut Machine<'_>) -> (&'s Stats, Unknown) {
    *s.handler_mut() = *s.handler();
    let handler = *s.handler();
    (s.machine().stats(), handler)
}

#[unsafe(no_mangle)]
pub fn session_recorder(s: &Machine<'_>, each: fn(RecordedInput)) {
    s.machine().last_inputs().for_each(each);
}

#[unsafe(no_mangle)]
pub fn conn_data<'a>(c: &Conn<'a>) -> &'a [u8] {
    c.data()
}

#[unsafe(no_mangle)]
pub fn conn_consume(c: &mut Conn<'_>, n: usize) {
    c.consume(n);
}

#[unsafe(no_mangle)]
pub fn conn_pause(c: &mut Conn<'_>) {
    c.pause();
}

#[unsafe(no_mangle)]
pub fn conn_resume(c: &mut Conn<'_>) {
    c.resume();
}

#[unsafe(no_mangle)]
pub fn conn_send(c: &mut Conn<'_>, bytes: &[u8]) -> Result<(), SendError> {
    c.send(bytes)
}

#[unsafe(no_mangle)]
pub fn conn_space<'c>(c: &'c mut Conn<'_>) -> (usize, &'c mut [u8]) {
    (c.capacity(), c.spare_capacity())
}

#[unsafe(no_mangle)]
pub fn conn_reserve<'c>(c: &'c mut Conn<'_>, len: usize) -> Result<&'c mut [u8], SendError> {
    c.reserve(len)
}

#[unsafe(no_mangle)]
pub fn conn_commit(c: &mut Conn<'_>, n: usize) {
    c.commit(n);
}

#[unsafe(no_mangle)]
pub fn conn_send_to(c: &mut Conn<'_>, token: Token, bytes: &[u8]) -> Result<(), SendError> {
    c.send_to(token, bytes)
}

#[unsafe(no_mangle)]
pub fn conn_send_others(c: &mut Conn<'_>, bytes: &[u8]) -> u32 {
    c.send_others(bytes)
}

#[unsafe(no_mangle)]
pub fn conn_finish(c: &mut Conn<'_>) {
    c.finish();
}

#[unsafe(no_mangle)]
pub fn conn_too_long(c: &mut Conn<'_>) {
    c.too_long();
}

#[unsafe(no_mangle)]
pub fn conn_abort(c: &mut Conn<'_>) {
    c.abort();
}

#[unsafe(no_mangle)]
pub fn conn_asks(c: &Conn<'_>) -> (Token, Info, u32, Duration, Instant) {
    let mut info = c.info();
    info.peer = c.peer();
    (c.token(), info, c.listener(), c.age(), c.now())
}

#[unsafe(no_mangle)]
pub fn conn_connections(c: &Conn<'_>, each: fn(Token)) {
    c.connections().for_each(each);
}

#[unsafe(no_mangle)]
pub fn session_connect(s: &mut Machine<'_>, to: Destination) -> Result<Token, Unavailable> {
    s.connect(to)
}

#[unsafe(no_mangle)]
pub fn session_destination(s: &Machine<'_>, token: Token) -> Option<Destination> {
    s.destination(token)
}

#[unsafe(no_mangle)]
pub fn conn_connect(c: &mut Conn<'_>, to: Destination) -> Result<Token, Unavailable> {
    c.connect(to)
}

#[unsafe(no_mangle)]
pub fn conn_lend(c: &mut Conn<'_>, token: Token, visit: fn(&mut Conn<'_>)) -> Option<()> {
    c.with(token, visit)
}

#[unsafe(no_mangle)]
pub fn conn_want_capacity(c: &mut Conn<'_>, n: usize) {
    c.want_capacity(n);
}

#[unsafe(no_mangle)]
pub fn conn_shut_down(c: &mut Conn<'_>) {
    c.shut_down();
}
