//! The application's side: what it did with the bytes, and what it wants.

use super::Dispatcher;
use crate::event::Peer;
use crate::ignored::Ignored;
use crate::output::{Reason, Span};
use crate::readiness::Directions;
use crate::record::Record;
use crate::slot::{Cursors, Flags, State};
use crate::time::Instant;
use crate::token::{LISTENER_BIT, Token};

/// A connection, as its application may know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    /// The peer.
    pub peer: Peer,
    /// The index of the listener that accepted it, [`Token::index`]; `u32::MAX`, which none has, if we connected it.
    pub listener: u32,
    /// We connected it.
    pub outbound: bool,
    /// Of one that we connected, the connection for which that was done ([`Conn::connect`](crate::Conn::connect)). It may
    /// be gone by now.
    pub origin: Option<Token>,
    /// When it was accepted; when it was first tried, if we connected it, and until then [`Instant::NEVER`].
    pub opened_at: Instant,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes that the kernel took.
    pub bytes_out: u64,
    /// Of a device that we opened, the settings that its driver did not take. Known from `opened` on.
    pub ignored: Ignored,
}

impl Info {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            peer: record.peer(),
            listener: if record.is_outbound() {
                u32::MAX
            } else {
                u32::from(record.listener)
            },
            outbound: record.is_outbound(),
            origin: record.origin(),
            opened_at: record.opened_at,
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            ignored: record.ignored(),
        }
    }
}

/// Calls by token. A stale token changes nothing; a result is then `None`, empty or 0.
impl Dispatcher<'_> {
    /// What is known of a live connection.
    #[must_use]
    pub fn info(&self, token: Token) -> Option<Info> {
        Some(Info::of(self.records.at(self.connection(token)?)))
    }

    /// The index of the listener that refuses a connection because its source is at its limit
    /// ([`listen`](Self::listen)): it was accepted, no application is notified, and
    /// [`Action::Close`](crate::Action::Close) is its only action. The driver may send a last message then, instead of
    /// a reset. `None` for any other token.
    #[must_use]
    pub fn refused_by(&self, token: Token) -> Option<u32> {
        let index = self.find(token).filter(|index| index & LISTENER_BIT == 0)?;
        let slot = self.slots.at(index);
        let refused = slot.state().is_closing()
            && !self.was_opened(index)
            && !self.records.at(index).is_outbound();
        refused.then(|| u32::from(self.records.at(index).listener))
    }

    /// Where the bytes lie that were received and not consumed.
    #[must_use]
    pub fn unconsumed(&self, token: Token) -> Span {
        let found = self.connection(token);
        let Cursors { at, end } = found.map_or(Cursors::EMPTY, |index| self.slots.at(index).rx);
        Span {
            at,
            len: end.saturating_sub(at),
        }
    }

    /// Where a receive is in flight to; `None`: none is.
    #[must_use]
    pub fn receiving(&self, token: Token) -> Option<Span> {
        let slot = self.slots.at(self.find(token)?);
        let receiving = slot.readiness.is_in_flight(Directions::READ);
        receiving
            .then(|| (self.m.schedule).bounded(slot.receive_span(self.m.windows), slot.rx.len()))
    }

    /// Drops up to `n` bytes from the front of what was received.
    pub fn consume(&mut self, token: Token, n: u32) {
        if let Some(index) = self.connection(token) {
            self.consume_at(index, n);
        }
    }

    /// If the receive window has come to its end with something consumed from its front: the span that is left, which
    /// counts as moved to the front now; the caller moves the bytes. Until that is done nothing more is received.
    #[must_use = "the bytes have to be moved"]
    pub fn compact(&mut self, token: Token) -> Option<Span> {
        let index = self.connection(token)?;
        self.compact_at(index)
    }

    /// Where bytes to be sent may be put: the end of the send window. The whole capacity, if nothing is queued.
    #[must_use]
    pub fn spare_capacity(&self, token: Token) -> Span {
        let Some(index) = self.connection(token) else {
            return Span { at: 0, len: 0 };
        };
        let slot = self.slots.at(index);
        Span {
            at: slot.tx.end,
            len: slot.capacity(self.m.windows, true),
        }
    }

    /// Queues the first `n` bytes of the [`spare_capacity`](Self::spare_capacity), at most all of it, to be sent.
    pub fn commit(&mut self, token: Token, n: u32) {
        self.will_fill();
        if let Some(index) = self.connection(token) {
            self.commit_at(index, n);
        }
    }

    /// Receives nothing until `n` bytes fit into the send window, at most all of it, and notifies `Writable` then.
    pub fn want_capacity(&mut self, token: Token, n: u32) {
        let n = n.min(self.m.windows.send);
        if let Some(index) = self.connection(token)
            && n > self.capacity_at(index)
        {
            self.want_capacity_at(index, n, false);
        }
    }

    /// Sends what is queued, then FIN, and goes on to receive. It is finished when the peer has sent FIN, too, and all
    /// that came was consumed.
    pub fn shut_down(&mut self, token: Token) {
        if let Some(index) = self.connection(token)
            && self.slots.at_mut(index).shut_down()
        {
            self.touch(index);
        }
    }

    /// Sends what is queued, then FIN, then waits for the peer's. One that is not connected yet is given up.
    pub fn finish(&mut self, token: Token) {
        if let Some(index) = self.connection(token) {
            self.finish_at(index);
        }
    }

    /// As [`finish`](Self::finish), because of a message that is longer than the application takes.
    pub fn too_long(&mut self, token: Token) {
        if let Some(index) = self.connection(token) {
            self.finish_for(index, Reason::TooLong);
        }
    }

    /// Closes without sending what is queued: the peer reads a reset.
    pub fn abort(&mut self, token: Token) {
        if let Some(index) = self.connection(token)
            && !self.slots.at(index).state().is_closing()
        {
            self.begin_close(index, Reason::Aborted);
            self.slots.at_mut(index).flags.set(Flags::RESET);
        }
    }

    /// Suspends receiving until [`resume`](Self::resume): the window of its connection backpressures the peer.
    pub fn pause(&mut self, token: Token) {
        if let Some(index) = self.connection(token) {
            self.slots.at_mut(index).flags.set(Flags::PAUSED);
            // The deadline of a request ends.
            self.touch(index);
        }
    }

    /// Receives again.
    pub fn resume(&mut self, token: Token) {
        if let Some(index) = self.connection(token) {
            self.slots.at_mut(index).flags.clear(Flags::PAUSED);
            self.touch(index);
        }
    }

    /// The slot of a live connection, opened or not; one that was refused is none, because it was never notified.
    pub(crate) fn connection(&self, token: Token) -> Option<u32> {
        let index = self.find(token)?;
        (index & LISTENER_BIT == 0 && self.is_known(index)).then_some(index)
    }

    /// Whether it is a live connection that the application knows: it was notified, or requested it itself.
    pub(crate) fn is_known(&self, index: u32) -> bool {
        let slot = self.slots.at(index);
        slot.is_live() && (slot.flags.has(Flags::OPENED) || self.records.at(index).is_outbound())
    }

    /// Whether a known connection was opened: `Opened` was notified.
    pub(crate) fn was_opened(&self, index: u32) -> bool {
        self.slots.at(index).flags.has(Flags::OPENED)
    }
}

/// The same calls by index, for the session, which has checked the token.
impl Dispatcher<'_> {
    /// Drops so many received bytes, or as many as there are: a connection that begins to linger while its handler has it discards
    /// them all.
    pub(crate) fn consume_at(&mut self, index: u32, n: u32) {
        if n > 0 {
            self.slots.at_mut(index).consume(n);
            self.touch(index);
        }
    }

    pub(crate) fn compact_at(&mut self, index: u32) -> Option<Span> {
        let windows = self.m.windows;
        let slot = self.slots.at_mut(index);
        let Cursors { at, end } = slot.rx;
        let due = at > 0 && end >= windows.receive && slot.hears();
        if !due || slot.readiness.is_in_flight(Directions::READ) {
            return None;
        }
        let len = slot.rx.len();
        slot.rx = Cursors { at: 0, end: len };
        self.touch(index);
        Some(Span { at, len })
    }

    pub(crate) fn commit_at(&mut self, index: u32, n: u32) {
        let windows = self.m.windows;
        let slot = self.slots.at_mut(index);
        let n = n.min(slot.capacity(windows, true));
        if n > 0 {
            slot.tx.end = slot.tx.end.wrapping_add(n);
            let (tx, doubted) = (slot.tx, slot.attempts.doubted());
            self.queued(index, n, tx, doubted);
        }
    }

    /// `n` bytes were queued to be sent, so that `tx` is what is queued, of a connection whose directions are `doubted`: it is
    /// scheduled, and at once if another source's handler has filled its buffer.
    #[inline]
    pub(crate) fn queued(&mut self, index: u32, n: u32, tx: Cursors, doubted: Directions) {
        if !doubted.is_empty() && tx.len() == n {
            // What it has waited for so far was no output.
            self.records.at_mut(index).stalled_at = self.m.now.wrapping_millis();
        }
        if self.m.schedule.is_serving(index) {
            return;
        }
        self.touch(index);
        // What is being sent does not move, so what counts is where the bytes end.
        if self.m.schedule.serving().is_some() && self.m.schedule.is_filled(tx.end) {
            self.fill(index);
        }
    }

    /// Notifies `Writable` once there is send capacity for `n` bytes; nothing is received until then, unless `keep_reading`.
    /// That may replace a wait during which nothing was received, so the source is scheduled.
    pub(crate) fn want_capacity_at(&mut self, index: u32, n: u32, keep_reading: bool) {
        let slot = self.slots.at_mut(index);
        if slot.state() == State::Open {
            slot.want(n, keep_reading);
            self.touch(index);
        }
    }

    pub(super) fn finish_at(&mut self, index: u32) {
        let ended = self.slots.at(index).flags.has(Flags::ENDED);
        let directions = self.records.at(index).directions();
        let reason = if ended && directions.contains(Directions::READ) {
            Reason::PeerFinished
        } else {
            Reason::Finished
        };
        self.finish_for(index, reason);
    }

    pub(super) fn finish_for(&mut self, index: u32, reason: Reason) {
        let slot = self.slots.at_mut(index);
        if slot.state() == State::Connecting {
            return self.begin_close(index, reason);
        }
        if slot.hears() {
            let directions = self.records.at(index).directions();
            if !directions.contains(Directions::WRITE) {
                // The peer does not wait for our FIN.
                return self.begin_close(index, reason);
            }
            slot.finish(reason);
            // The wait for the peer's FIN begins here, though the connection may not have been serviced since its
            // accept.
            self.records.at_mut(index).stalled_at = self.m.now.wrapping_millis();
            self.touch(index);
            self.leave_pair(index);
        }
    }

    /// Bytes that can be queued, if what is queued may move.
    pub(crate) fn capacity_at(&self, index: u32) -> u32 {
        let slot = self.slots.at(index);
        slot.capacity(
            self.m.windows,
            slot.readiness.is_in_flight(Directions::WRITE),
        )
    }
}
