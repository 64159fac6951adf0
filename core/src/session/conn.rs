//! [`Conn`]: what a handler borrows for one service.

use super::bytes::{NOBODY, Store};
use super::connections::Connections;
use super::send_error::SendError;
use crate::destination::Destination;
use crate::dispatcher::calls::Info;
use crate::event::Peer;
use crate::output::Span;
use crate::slot::{Cursors, Flags};
use crate::time::Instant;
use crate::token::Token;
use crate::trace::{Detail, Entry, Input, hash};
use crate::unavailable::{Unavailable, count};
use core::time::Duration;

/// One connection, borrowed by its handler for one service.
#[derive(Debug)]
pub struct Conn<'a> {
    pub(super) all: Connections<'a>,
    /// Where the data of every connection lies.
    pub(super) received: &'a Store<'a>,
    /// What was received and not consumed; what is taken from its front is consumed when the service ends.
    pub(super) data: &'a [u8],
    pub(super) token: Token,
    pub(super) info: Option<&'a Info>,
    /// `resume` was called, and nothing after it that makes it vain.
    pub(super) resumed: bool,
    /// The connection during whose service this one is borrowed; [`NOBODY`] if it is being serviced itself.
    pub(super) borrower: u32,
}

/// Receiving. The bytes stay where they are until the service ends, so a slice of them outlives any call.
impl<'a> Conn<'a> {
    /// What was received and not consumed, in order and in one piece.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Drops the first `n` bytes of the data, at most all of it.
    pub fn consume(&mut self, n: usize) {
        let n = n.min(self.data.len());
        self.data = self.data.get(n..).unwrap_or(&[]);
    }

    /// Suspends receiving: the peer is backpressured. What is received stays, no `readable` is called, and the time for
    /// a request does not run; the time for an idle connection does. A reset of the peer ends it all the same, at once;
    /// what was received and not consumed by then is dropped.
    pub fn pause(&mut self) {
        self.record(Input::Pause);
        self.all.machine.pause(self.token);
        self.resumed = false;
    }

    /// Resumes receiving; if bytes are left, `readable` is called for them at the end of this service, once.
    pub fn resume(&mut self) {
        self.record(Input::Resume);
        self.all.machine.resume(self.token);
        self.resumed = true;
    }
}

/// Sending. What is queued is sent, in order, once the service ends.
impl Conn<'_> {
    /// Queues all of `bytes`, or none.
    ///
    /// # Errors
    ///
    /// [`SendError`]; after `Full`, `writable` is called once there is send capacity for as many bytes, and nothing is
    /// received until then.
    #[inline]
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.all.lent = 0;
        let sent = self.all.send_at(self.all.own, bytes, true);
        let (len, taken) = (count(bytes.len()), sent.is_ok());
        self.trace(move || (Input::Send { len, taken }, Detail::Hash(hash(bytes))));
        sent
    }

    /// Bytes that can be queued now.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.all.machine.capacity_at(self.all.own) as usize
    }

    /// The free part of the send window, [`capacity`](Self::capacity) bytes, to be filled in place; [`commit`](Self::commit)
    /// queues what was put there, in the same service and before anything else is sent on this connection.
    pub fn spare_capacity(&mut self) -> &mut [u8] {
        self.trace(|| (Input::SpareCapacity, Detail::None));
        let span = self.all.make_space(self.all.own, u32::MAX);
        self.all.lent = span.len;
        self.all.sending.get_mut(self.all.own, span)
    }

    /// The first `len` bytes of the [`spare_capacity`](Self::spare_capacity), so that what is filled in piece by piece is sent whole or
    /// not at all: reserve the most that it can be, fill, and [`commit`](Self::commit) the actual length. A handler
    /// that reserves capacity before it takes a request from the data never has to give up a reply half way.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), for so many bytes.
    pub fn reserve(&mut self, len: usize) -> Result<&mut [u8], SendError> {
        self.all.lent = 0;
        let checked = self.all.check_capacity(self.all.own, len, true);
        let (asked, taken) = (count(len), checked.is_ok());
        self.trace(|| (Input::Reserve { len: asked, taken }, Detail::None));
        let len = checked?;
        let span = self.all.make_space(self.all.own, len);
        self.all.lent = span.len;
        Ok(self.all.sending.get_mut(self.all.own, span))
    }

    /// Queues the first `n` bytes of the [`spare_capacity`](Self::spare_capacity) or of what was [reserved](Self::reserve), at most all of
    /// it.
    pub fn commit(&mut self, n: usize) {
        let n = count(n).min(core::mem::take(&mut self.all.lent));
        let at = self.all.machine.slots.at(self.all.own).tx.end;
        let bytes = self.all.sending.get(self.all.own, Span { at, len: n });
        let hash = self.all.machine.traced_hash(bytes);
        self.trace(move || (Input::Commit(n), Detail::Hash(hash)));
        self.all.machine.commit_at(self.all.own, n);
    }

    /// Queues `bytes` on another connection, or none of them. No handler method is called for that connection; if they
    /// do not fit, there is no notice when they would.
    ///
    /// # Errors
    ///
    /// [`SendError`], `Closed` also if the token names no live connection.
    pub fn send_to(&mut self, token: Token, bytes: &[u8]) -> Result<(), SendError> {
        self.all.send_to(token, bytes)
    }

    /// Queues `bytes` on every other open connection where they fit, and returns on how many they did not. Work: each
    /// slot of the table that was ever used.
    pub fn send_others(&mut self, bytes: &[u8]) -> u32 {
        self.all.send_all(bytes)
    }

    /// Has `writable` called once there is send capacity for `n` bytes, at most the whole window, if there is not now.
    /// Unlike after a send that returned `Full`, bytes are received in the meantime.
    pub fn want_capacity(&mut self, n: usize) {
        let n = count(n).min(self.all.machine.windows().send);
        self.record(Input::WantCapacity(n));
        if n > self.all.machine.capacity_at(self.all.own) {
            self.all.machine.want_capacity_at(self.all.own, n, true);
        }
    }

    /// Sends what is queued, then FIN (`SHUT_WR`), and goes on to receive: the peer's reply may still come. Nothing
    /// more can be sent. It is finished when the peer has sent FIN, too, and all that came was consumed.
    pub fn shut_down(&mut self) {
        self.record(Input::ShutDown);
        self.all.machine.shut_down(self.token);
    }

    /// Sends what is queued, then FIN, and waits for the peer's. Data that was not consumed is dropped. One that is not
    /// opened yet is given up.
    pub fn finish(&mut self) {
        self.record(Input::Finish);
        self.resumed = false;
        self.all.machine.finish(self.token);
    }

    /// As [`finish`](Self::finish), because a message is longer than this application takes: the reason is
    /// [`Reason::TooLong`](crate::Reason::TooLong).
    pub fn too_long(&mut self) {
        self.record(Input::TooLong);
        self.resumed = false;
        self.all.machine.too_long(self.token);
    }

    /// Closes at once, without sending what is queued: the peer reads a reset.
    pub fn abort(&mut self) {
        self.record(Input::Abort);
        self.resumed = false;
        self.all.machine.abort(self.token);
    }
}

/// Its timer, for what the deadlines of the [`Config`](crate::Config) do not cover: a gap that ends a frame, a reply
/// that is given later, a greeting that must come in time.
impl<'a> Conn<'a> {
    /// Has [`Handler::timer`](crate::Handler::timer) called once, `after` the time of this iteration and never earlier.
    /// There is one for each connection: it replaces what was set before. Bytes do not move it, and it is gone when the
    /// connection closes. Of one that is not opened yet, none is set.
    pub fn set_timer(&mut self, after: Duration) {
        self.all.set_timer_of(self.token, after);
    }

    /// Takes the timer away, if it is set.
    pub fn cancel_timer(&mut self) {
        self.all.cancel_timer_of(self.token);
    }

    /// All connections, and the timers that belong to none.
    pub const fn all(&mut self) -> &mut Connections<'a> {
        &mut self.all
    }
}

/// Other connections.
impl Conn<'_> {
    /// Connects to `to`. The connection takes a slot of the table at once, and has a name: the returned token. Its
    /// result is notified once, by a later call: `opened` and in the end `closed`, or only `closed`, with the reason
    /// why it was not connected, in [`Config::connect`](crate::Config::connect) at the latest. Its [`Info`] marks it as
    /// outbound, and names the connection that it was made for: this one.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: then there is no notice.
    pub fn connect(&mut self, to: Destination) -> Result<Token, Unavailable> {
        self.all.connect_for(Some(self.token), to)
    }

    /// Runs `f` with access to another live connection, opened or not. Returns `None` if `token` is stale or names
    /// this connection. No handler method is called for the other connection, even if `f` resumes it. It can borrow
    /// this one in turn, without its data, and no third.
    ///
    /// [`spare_capacity`](Self::spare_capacity) that was borrowed and not committed is released first.
    pub fn with<R>(&mut self, token: Token, f: impl FnOnce(&mut Conn<'_>) -> R) -> Option<R> {
        let index = self.all.machine.connection(token)?;
        let back = index == self.borrower;
        if token == self.token || (self.borrower != NOBODY && !back) {
            return None;
        }
        self.all.record(token, Input::With);
        self.all.machine.will_fill();
        self.all.lent = 0;
        // What a connection is shown in its service is consumed when that service ends, once.
        let Cursors { at, end } = if back {
            Cursors::EMPTY
        } else {
            self.all.machine.slots.at(index).rx
        };
        let len = end.saturating_sub(at);
        let mut other = Conn {
            all: Connections::of(
                self.all.machine.reborrow(),
                self.all.sending.reborrow(),
                self.all.departures.as_deref_mut(),
                index,
            ),
            received: self.received,
            data: self.received.get(index, Span { at, len }),
            token,
            info: None,
            resumed: false,
            borrower: self.all.own,
        };
        let returned = f(&mut other);
        let consumed = len.saturating_sub(count(other.data.len()));
        self.all.record(token, Input::Release(consumed));
        self.all.machine.consume_at(index, consumed);
        Some(returned)
    }
}

/// Identity and time.
impl Conn<'_> {
    /// The name of this connection, to find it again: [`send_to`](Self::send_to),
    /// [`Session::with`](crate::Session::with).
    #[must_use]
    pub const fn token(&self) -> Token {
        self.token
    }

    /// What is known of it.
    #[must_use]
    pub fn info(&self) -> Info {
        match self.info {
            Some(info) => *info,
            None => Info::of(self.all.machine.records.at(self.all.own)),
        }
    }

    /// The peer.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.info().peer
    }

    /// Which listener accepted it: 0 for the first; `u32::MAX` if we connected it.
    #[must_use]
    pub fn listener(&self) -> u32 {
        self.info().listener
    }

    /// Of one that we connected, the connection for which that was done. It may be gone by now.
    #[must_use]
    pub fn origin(&self) -> Option<Token> {
        self.info().origin
    }

    /// How long it has been there.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.all.machine.now().since(self.info().opened_at)
    }

    /// Whether a stop was requested ([`Session::stop`](super::Session::stop)): a reply now should be the last, where
    /// the protocol can express that.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.all.machine.is_stopping()
    }

    /// The time of this iteration.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.all.machine.now()
    }

    /// Whether the peer's FIN was received: what is in [`data`](Self::data) is all that ever comes.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let slot = self.all.machine.slots.at(self.all.own);
        self.info.is_none() && slot.flags.has(Flags::ENDED)
    }

    /// Every live connection, this one too.
    pub fn connections(&self) -> impl Iterator<Item = Token> + '_ {
        self.all.machine.connections()
    }
}

impl Conn<'_> {
    fn record(&mut self, input: Input) {
        self.all.record(self.token, input);
    }

    fn trace(&mut self, call: impl FnOnce() -> (Input, Detail)) {
        let token = self.token;
        self.all.machine.trace(move || {
            let (input, detail) = call();
            Entry::Call(token, input, detail)
        });
    }

    /// The handler is back.
    pub(super) fn trace_return(&mut self) {
        let left = self.data.len();
        (self.all.machine).trace(move || Entry::Returned(count(left)));
    }
}
