//! [`Yielding`]: a source that fills the send buffer of another connection yields to it, so that a peer that reads all
//! the time loses nothing that the kernel would take.
//!
//! What a handler queues on other connections comes from what its own has received, at most a receive window at a time. So
//! before any source receives, each send buffer must have as much free capacity as that, if the kernel takes what is in it:
//!
//! - a connection whose buffer is filled past the threshold by another source's handler is sent from before anything
//!   else is done, once;
//! - the source whose handler has filled it receives no more in this service: it goes on in the next iteration;
//! - where that send completes later, the iteration is over: the next poll of the kernel brings the completion, unless
//!   the kernel does not take it;
//! - if the receive window is the larger, a receive is bounded to the send window, once a handler has filled a buffer:
//!   no more can be forwarded than fits there.
//!
//! A peer that does not read delays no other: one attempt is made for it. What a handler adds to what was received
//! needs capacity beyond that: with the default windows, three bytes for each that was received are lossless.

use crate::config::Windows;
use crate::output::Span;

/// What is known of send buffers that other sources' handlers have filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Yielding {
    /// More than this in a send buffer is past the threshold: half of it, or less if what can be received at once would
    /// not fit behind that.
    threshold: u32,
    /// Bytes that a handler is shown at most, once one has filled a buffer; `u32::MAX`: no bound is needed.
    most: u32,
    /// Some handler has filled the send buffer of another connection.
    is_used: bool,
    /// Filled connections have indices from `from` to `to`, without that; so none if they are equal.
    from: u32,
    to: u32,
    /// Sends of filled connections that are in flight, and the iteration in which the last of them was issued.
    flushed: u32,
    iteration: u32,
}

impl Yielding {
    pub(super) const fn new(windows: Windows) -> Self {
        let Windows { receive, send } = windows;
        let (behind, half) = (send.saturating_sub(receive), send / 2);
        Self {
            threshold: if behind < half { behind } else { half },
            most: if receive > send { send } else { u32::MAX },
            is_used: false,
            from: 0,
            to: 0,
            flushed: 0,
            iteration: 0,
        }
    }

    /// Whether nothing is serviced in this iteration any more: a send of a filled connection completes in the next
    /// poll.
    pub(super) const fn waits_for_poll(&self, iteration: u32) -> bool {
        self.flushed > 0 && self.iteration == iteration
    }

    pub(super) const fn threshold(&self) -> u32 {
        self.threshold
    }

    /// Whether a send may be due.
    pub(super) const fn is_due(&self) -> bool {
        self.from < self.to
    }

    /// Whether receives are bounded from now on.
    #[cfg(feature = "inspect")]
    pub(super) const fn is_bounding(&self) -> bool {
        self.is_used && self.most < u32::MAX
    }

    /// The part of a receive that may be filled, behind `left` bytes that the handler has left.
    pub(super) const fn bounded(&self, into: Span, left: u32) -> Span {
        if !self.is_used || into.len <= self.most.saturating_sub(left) {
            return into;
        }
        let most = self.most.saturating_sub(left);
        // A message that is longer than the send window cannot be forwarded; whether it may be received is not decided
        // here.
        let len = if most == 0 { 1 } else { most };
        Span { at: into.at, len }
    }

    /// How many sends of filled connections are in flight.
    #[cfg(any(test, feature = "inspect"))]
    pub(super) const fn in_flight(&self) -> u32 {
        self.flushed
    }

    /// A handler has filled the send buffer of another connection: receives are bounded from now on.
    pub(super) const fn bound(&mut self) {
        self.is_used = true;
    }

    /// A connection that may be filled, of a range that becomes shorter with each call.
    pub(super) const fn next(&mut self) -> Option<u32> {
        if !self.is_due() {
            return None;
        }
        let index = self.from;
        self.from = index.saturating_add(1);
        Some(index)
    }

    /// A send of a filled connection is in flight; `more`: it was not counted.
    pub(super) const fn flushes(&mut self, iteration: u32, more: bool) {
        if more {
            self.flushed = self.flushed.saturating_add(1);
        }
        self.iteration = iteration;
    }

    /// Such a send has completed.
    pub(super) const fn flushed(&mut self) {
        debug_assert!(self.flushed > 0, "it was counted");
        self.flushed = self.flushed.saturating_sub(1);
    }

    /// The connection of this index is filled.
    pub(super) const fn add(&mut self, index: u32) {
        let next = index.saturating_add(1);
        if !self.is_due() {
            (self.from, self.to) = (index, next);
        }
        if index < self.from {
            self.from = index;
        }
        if next > self.to {
            self.to = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn of(receive: u32, send: u32) -> Yielding {
        Yielding::new(Windows { receive, send })
    }

    #[test]
    fn what_is_received_at_once_fits_behind_the_threshold() {
        for receive in 1..40 {
            for send in 1..40 {
                let mut yielding = of(receive, send);
                yielding.is_used = true;
                assert!(yielding.threshold() <= send / 2);
                for left in 0..receive {
                    let (at, len) = (left, receive - left);
                    let Span { len, .. } = yielding.bounded(Span { at, len }, left);
                    assert!(len > 0);
                    let fits = yielding.threshold() + left + len <= send;
                    assert!(fits || left >= send, "{receive}/{send}, {left} left");
                }
            }
        }
    }

    #[test]
    fn no_receive_is_bounded_without_need() {
        let whole = Span { at: 0, len: 100 };
        assert_eq!(of(100, 10).bounded(whole, 0), whole, "nothing was filled");
        let mut yielding = of(100, 100);
        yielding.is_used = true;
        assert_eq!(yielding.bounded(whole, 0), whole);
    }

    #[test]
    fn every_filled_index_lies_in_the_range() {
        let mut yielding = of(1, 1);
        assert!(!yielding.is_due());
        for (index, range) in [(5, 5..6), (2, 2..6), (7, 2..8), (3, 2..8)] {
            yielding.add(index);
            assert_eq!(yielding.from..yielding.to, range);
        }
        yielding.from = 8;
        assert!(!yielding.is_due());
        yielding.add(0);
        assert_eq!(yielding.from..yielding.to, 0..1);
    }

    #[test]
    fn nothing_else_is_serviced_while_a_send_completes_in_the_next_poll() {
        let mut yielding = of(1, 1);
        assert!(!yielding.waits_for_poll(0), "none is in flight");
        for iteration in [1, 2] {
            yielding.flushes(iteration, iteration == 1);
            for other in 0..4 {
                assert_eq!(yielding.waits_for_poll(other), other == iteration);
            }
        }
        yielding.flushed();
        assert!(!yielding.waits_for_poll(2), "it has completed");
    }
}
