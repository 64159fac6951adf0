//! [`Conn`]: what a handler is lent for one visit.

use super::bytes::{NOBODY, Store, copy};
use crate::directions::Directions;
use crate::dispatcher::Dispatcher;
use crate::dispatcher::calls::Info;
use crate::event::Peer;
use crate::output::Span;
use crate::slot::{Cursors, State};
use crate::time::Instant;
use crate::token::Token;
use core::fmt;
use core::time::Duration;

/// Why bytes were not taken. None of them was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SendError {
    /// There is room for `room` bytes now. [`Handler::writable`](crate::Handler::writable) is called once all would fit.
    Full {
        /// Bytes that would fit.
        room: usize,
    },
    /// More than the send window could ever hold.
    TooLong {
        /// The size of the send window in bytes.
        window: usize,
    },
    /// The connection is finished, aborted or gone.
    Closed,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { room } => write!(f, "send window full: room for {room} bytes now"),
            Self::TooLong { window } => {
                write!(
                    f,
                    "longer than the send window of {window} bytes; send it in parts"
                )
            }
            Self::Closed => f.write_str("connection closed for sending"),
        }
    }
}

impl core::error::Error for SendError {}

/// One connection, lent to its handler for one visit.
#[derive(Debug)]
pub struct Conn<'a> {
    pub(super) machine: Dispatcher<'a>,
    pub(super) sending: Store<'a>,
    /// What was received and not consumed; what is gone from its front is consumed when the visit ends.
    pub(super) data: &'a [u8],
    pub(super) index: u32,
    pub(super) token: Token,
    pub(super) info: Option<&'a Info>,
    /// `resume` was called, and nothing after it that makes it vain.
    pub(super) resumed: bool,
    /// Bytes of space that were lent and not committed: until then nobody else may take the area.
    pub(super) lent: u32,
}

/// Receiving. The bytes of a visit stay where they are until it ends, so a slice of them outlives any call.
impl<'a> Conn<'a> {
    /// What was received and not consumed, in order and in one piece.
    #[inline]
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Drops the first `n` bytes of the data, at most all of it.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        let n = n.min(self.data.len());
        self.data = self.data.get(n..).unwrap_or(&[]);
    }

    /// Receives no more: the peer is held back. What is received stays, no `readable` is called, and the time for a
    /// request does not run; the time for an idle connection does.
    pub fn pause(&mut self) {
        self.machine.pause(self.token);
        self.resumed = false;
    }

    /// Receives again; if bytes are left, `readable` is called for them at the end of this visit, once.
    pub fn resume(&mut self) {
        self.machine.resume(self.token);
        self.resumed = true;
    }
}

/// Sending. What is taken is sent, in order, once the visit ends.
impl Conn<'_> {
    /// Queues all of `bytes`, or none.
    ///
    /// # Errors
    ///
    /// [`SendError`]; after `Full`, `writable` is called once there is room for as many bytes, and nothing is received
    /// until then.
    #[inline]
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.lent = 0;
        self.send_at(self.index, bytes, true)
    }

    /// Bytes that can be queued now.
    #[inline]
    #[must_use]
    pub fn room(&self) -> usize {
        self.machine.room_at(self.index) as usize
    }

    /// The free part of the send window, [`room`](Self::room) bytes, to be filled in place; [`commit`](Self::commit)
    /// queues what was put there, in the same visit and before anything else is sent on this connection.
    pub fn space(&mut self) -> &mut [u8] {
        let span = self.make_space(self.index, u32::MAX);
        self.lent = span.len;
        self.sending.get_mut(self.index, span)
    }

    /// The first `len` bytes of the [`space`](Self::space), so that what is filled in piece by piece is sent whole or not
    /// at all: ask for the most that it can be, fill, and [`commit`](Self::commit) what it was. A handler that asks
    /// before it takes a request from the data never has to give up an answer half way.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), for so many bytes.
    pub fn reserve(&mut self, len: usize) -> Result<&mut [u8], SendError> {
        self.lent = 0;
        let len = self.check_room(self.index, len, true)?;
        let span = self.make_space(self.index, len);
        self.lent = span.len;
        Ok(self.sending.get_mut(self.index, span))
    }

    /// Queues the first `n` bytes of the [`space`](Self::space) or of what was [reserved](Self::reserve), at most all of
    /// it.
    pub fn commit(&mut self, n: usize) {
        let n = width(n).min(core::mem::take(&mut self.lent));
        self.machine.commit_at(self.index, n);
    }

    /// Queues `bytes` on another connection, or none of them. Its handler is not called for it; if they do not fit,
    /// nobody is told when they would.
    ///
    /// # Errors
    ///
    /// [`SendError`], `Closed` also if the token names no live connection.
    pub fn send_to(&mut self, token: Token, bytes: &[u8]) -> Result<(), SendError> {
        let index = self.machine.connection(token).ok_or(SendError::Closed)?;
        if index == self.index {
            self.lent = 0;
        }
        self.send_at(index, bytes, false)
    }

    /// Queues `bytes` on every other open connection where they fit, and tells on how many they did not. Work: each
    /// place of the table that was ever used.
    pub fn send_others(&mut self, bytes: &[u8]) -> u32 {
        let mut missed = 0u32;
        for index in 0..self.machine.slots.used() {
            let other = index != self.index && self.machine.slots.at(index).state == State::Open;
            if other && self.send_at(index, bytes, false).is_err() {
                missed = missed.saturating_add(1);
            }
        }
        missed
    }

    /// Sends what is queued, then our end, and waits for the peer's. Data that was not consumed is dropped.
    pub fn finish(&mut self) {
        self.resumed = false;
        self.machine.finish_at(self.index);
    }

    /// As [`finish`](Self::finish), because a message is longer than this application takes: the reason is
    /// [`Reason::TooLong`](crate::Reason::TooLong).
    pub fn too_long(&mut self) {
        self.resumed = false;
        self.machine.too_long_at(self.index);
    }

    /// Closes at once, without sending what is queued: the peer reads a reset.
    pub fn abort(&mut self) {
        self.resumed = false;
        self.machine.abort_at(self.index);
    }
}

/// Who and when.
impl Conn<'_> {
    /// The name of this connection, to find it again: [`send_to`](Self::send_to), [`Session::lend`](crate::Session::lend).
    #[must_use]
    pub const fn token(&self) -> Token {
        self.token
    }

    /// What is known of it.
    #[must_use]
    pub fn info(&self) -> Info {
        match self.info {
            Some(info) => *info,
            None => Info::of(self.machine.records.at(self.index)),
        }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.info().peer
    }

    /// Which listener accepted it: 0 for the first.
    #[must_use]
    pub fn listener(&self) -> u32 {
        self.info().listener
    }

    /// How long it has been open.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.machine.now().since(self.info().opened_at)
    }

    /// The time of this turn.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.machine.now()
    }

    /// Every live connection, this one too.
    pub fn connections(&self) -> impl Iterator<Item = Token> + '_ {
        self.machine.connections()
    }
}

impl Conn<'_> {
    /// Straight into the shared area, if it is free or the connection's own and there is room at the end.
    #[inline]
    pub(super) fn send_at(
        &mut self,
        index: u32,
        bytes: &[u8],
        tell: bool,
    ) -> Result<(), SendError> {
        let slot = self.machine.slots.at_mut(index);
        if slot.state == State::Open {
            if self.sending.owner() == NOBODY && slot.tx.is_empty() {
                self.sending.take_free(index);
            }
            if let Some(space) = self.sending.own_mut(index)
                && let Some(space) = space.get_mut(slot.tx.end as usize..)
                && let Some(space) = space.get_mut(..bytes.len())
            {
                copy(space, bytes);
                slot.tx.end = slot.tx.end.wrapping_add(width(bytes.len()));
                self.machine.touch(index);
                return Ok(());
            }
        }
        self.send_anywhere(index, bytes, tell)
    }

    #[inline(never)]
    fn send_anywhere(&mut self, index: u32, bytes: &[u8], tell: bool) -> Result<(), SendError> {
        let len = self.check_room(index, bytes.len(), tell)?;
        let span = self.make_space(index, len);
        copy(self.sending.get_mut(index, span), bytes);
        self.machine.commit_at(index, len);
        Ok(())
    }

    /// Whether so many bytes can be queued; if they only cannot now, and it is to be told, `Writable` comes when they can.
    fn check_room(&mut self, index: u32, len: usize, tell: bool) -> Result<u32, SendError> {
        let window = self.machine.windows().send;
        let len = width(len);
        let slot = self.machine.slots.at(index);
        if slot.state != State::Open {
            return Err(SendError::Closed);
        }
        if len > window {
            let window = window as usize;
            return Err(SendError::TooLong { window });
        }
        let room = self.machine.room_at(index);
        if len > room {
            if tell {
                self.machine.want_room_at(index, len);
            }
            let room = room as usize;
            return Err(SendError::Full { room });
        }
        Ok(len)
    }

    /// Makes room for at least `len` bytes, or as many as there can be, behind what is queued, and tells where.
    fn make_space(&mut self, index: u32, len: u32) -> Span {
        let window = self.machine.windows().send;
        let sending = self.machine.is_in_flight(index, Directions::WRITE);
        let queued = self.machine.slots.at(index).tx;
        if !sending {
            if queued.is_empty() {
                self.take_area(index);
            } else if queued.at > 0 && window.saturating_sub(queued.end) < len {
                let span = self.machine.slots.at(index).send_span();
                self.sending.move_to_front(index, span);
                self.machine.slots.at_mut(index).tx = Cursors {
                    at: 0,
                    end: span.len,
                };
            }
        }
        let slot = self.machine.slots.at(index);
        Span {
            at: slot.tx.end,
            len: slot.room(self.machine.windows(), true).min(len),
        }
    }

    /// Gives the send area to a connection with nothing queued, unless its owner is sending from it or filling it.
    #[inline]
    fn take_area(&mut self, index: u32) {
        let slot = self.machine.slots.at(self.sending.owner());
        let lent = self.lent > 0 && self.sending.owner() == self.index;
        if !lent && !slot.in_flight.contains(Directions::WRITE) {
            self.sending.take(index, slot.send_span());
        }
    }
}

/// A length that was checked against a window, which is below 2³².
pub(super) fn width(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
