//! [`State`]: where a source is in its life, and every transition.
//!
//! ```text
//!              Accept           Accepted
//!   Free ─────────────▶ Reserved ───────▶ Open ──────────────┐ finish, FIN received, stop
//!    ▲                     │              │                   ▼
//!    │                     │ failed       │ abort,       Finishing   send what is queued
//!    │                     │              │ deadline,         │ Shutdown done (skipped if FIN was received)
//!    │                     │              │ error             ▼
//!    │                     │              │              Lingering   receive and discard
//!    │   Done(Close)       ▼              ▼                   │ FIN received, byte cap, deadline, error
//!    └───────────────────────────── Closing ◀─────────────────┘      join what is in flight, disarm, Close
//!                                   (Cancelling, once Cancel was issued for what is in flight)
//!
//!   Outbound:     Free ── connect ──▶ Connecting ── Connect done ──▶ Open; failed, too late: Closing.
//!   Half-closed:  Open ── shut down ──▶ HalfClosing ── Shutdown done ──▶ HalfClosed; both end as Open does.
//!   Listening, Watching and Datagrams come from Free and end in Closing.
//!   A slot whose generation has come to its last value becomes Retired instead of Free.
//! ```

use super::{Cursors, Flags, Slot};
use crate::output::Reason;
use crate::readiness::Directions;

/// Where a source is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Free.
    Free,
    /// Taken for an `Accept` that has not completed.
    Reserved,
    /// Requested by the application; the kernel has not connected it yet.
    Connecting,
    /// Bytes go both ways.
    Open,
    /// What is queued is sent, then FIN; bytes still come in.
    HalfClosing,
    /// FIN is sent; bytes still come in. With the peer's FIN it is complete.
    HalfClosed,
    /// What is queued is sent, then FIN.
    Finishing,
    /// FIN is sent; what arrives is discarded until the peer's FIN.
    Lingering,
    /// Every operation in flight is joined, then the descriptor closed.
    Closing,
    /// The same, and `Cancel` was issued for what is in flight.
    Cancelling,
    /// A listener that accepts.
    Listening,
    /// A descriptor of the application's, which is notified of its readiness.
    Watching,
    /// A datagram socket.
    Datagrams,
    /// Used up: its next generation would repeat an old token.
    Retired,
}

/// An operation that moves no bytes: one at a time is in flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    Connect,
    Unsent,
    Shutdown,
    Refuse,
    Close,
}

impl State {
    /// Whether what comes is the application's.
    pub(crate) const fn hears(self) -> bool {
        matches!(self, Self::Open | Self::HalfClosing | Self::HalfClosed)
    }

    pub(crate) const fn is_closing(self) -> bool {
        matches!(self, Self::Closing | Self::Cancelling)
    }

    /// Whether it is a connection that events, user calls and deadlines may touch.
    pub(crate) const fn is_live(self) -> bool {
        match self {
            Self::Connecting
            | Self::Open
            | Self::HalfClosing
            | Self::HalfClosed
            | Self::Finishing
            | Self::Lingering
            | Self::Closing
            | Self::Cancelling => true,
            Self::Free
            | Self::Reserved
            | Self::Listening
            | Self::Watching
            | Self::Datagrams
            | Self::Retired => false,
        }
    }

    /// Whether it names no source.
    pub(crate) const fn is_gone(self) -> bool {
        matches!(self, Self::Free | Self::Retired)
    }
}

impl Slot {
    pub(crate) const fn state(&self) -> State {
        self.state
    }

    /// A free slot is taken, for an accept, a connect, or a source that is no connection.
    pub(crate) fn take(&mut self, state: State) {
        debug_assert_eq!(self.state, State::Free, "only a free slot is taken");
        debug_assert!(
            matches!(
                state,
                State::Reserved
                    | State::Connecting
                    | State::Listening
                    | State::Watching
                    | State::Datagrams
            ),
            "what a slot is taken for"
        );
        self.state = state;
    }

    /// The kernel has accepted it.
    pub(crate) fn accept(&mut self) {
        debug_assert_eq!(self.state, State::Reserved);
        self.state = State::Open;
        self.flags = Flags::OPENED;
        self.readiness.set_ready(Directions::BOTH);
    }

    /// The kernel has accepted it, and it is one too many: it is reset.
    pub(crate) fn reject(&mut self) {
        debug_assert_eq!(self.state, State::Reserved);
        self.state = State::Closing;
        self.flags.set(Flags::RESET);
    }

    /// It is connected, or a stream of these directions is open. One without READ is as one whose peer has sent FIN, one without
    /// WRITE as one on which FIN was sent.
    pub(crate) fn connect(&mut self, directions: Directions) {
        debug_assert_eq!(self.state, State::Connecting);
        self.state = if directions.contains(Directions::WRITE) {
            State::Open
        } else {
            State::HalfClosed
        };
        // An outbound connection sends first, as a rule: no first byte is expected.
        self.flags.set(Flags::OPENED.or(Flags::SPOKEN));
        if !directions.contains(Directions::READ) {
            self.flags.set(Flags::ENDED);
        }
        self.readiness.set_ready(Directions::BOTH);
    }

    /// Nothing more is queued; FIN follows what is. Whether that is new.
    pub(crate) fn shut_down(&mut self) -> bool {
        let new = self.state == State::Open;
        if new {
            self.state = State::HalfClosing;
            self.stop_waiting();
        }
        new
    }

    /// FIN is sent.
    pub(crate) fn half_close(&mut self) {
        debug_assert_eq!(self.state, State::HalfClosing);
        self.state = State::HalfClosed;
    }

    /// The peer receives no more, so FIN has no meaning: as if it had been sent.
    pub(crate) fn lose_peer(&mut self) {
        debug_assert!(self.state == State::Open && self.tx.is_empty());
        self.state = State::HalfClosed;
        self.stop_waiting();
    }

    /// The application, or a stop, has finished it: FIN follows what is queued. Where it is sent already, only the peer's is
    /// awaited.
    pub(crate) fn finish(&mut self, reason: Reason) {
        debug_assert!(self.hears());
        let sent = self.state == State::HalfClosed;
        self.state = State::Finishing;
        self.reason = Some(reason);
        self.stop_waiting();
        if sent && !self.flags.has(Flags::ENDED) {
            self.linger();
        }
    }

    /// FIN is sent, and the application has finished.
    pub(crate) fn linger(&mut self) {
        debug_assert_eq!(self.state, State::Finishing);
        self.state = State::Lingering;
        self.rx = Cursors::EMPTY;
        self.tally = 0;
        self.readiness.set_ready(Directions::READ);
    }

    /// The end begins: whatever is in flight is joined, then it is closed. An earlier reason stays if all output was sent for it.
    /// Whether that is new, and it is a connection.
    pub(crate) fn close(&mut self, reason: Reason) -> bool {
        match self.state {
            State::Connecting
            | State::Open
            | State::HalfClosing
            | State::HalfClosed
            | State::Finishing => self.reason = Some(reason),
            State::Lingering => {}
            State::Free
            | State::Reserved
            | State::Closing
            | State::Cancelling
            | State::Listening
            | State::Watching
            | State::Datagrams
            | State::Retired => return false,
        }
        self.state = State::Closing;
        self.flags.clear(Flags::QUESTIONS);
        true
    }

    /// A listener, a watched descriptor or a datagram socket ends, unless it does so already.
    pub(crate) const fn close_source(&mut self) {
        if let State::Listening | State::Watching | State::Datagrams = self.state {
            self.state = State::Closing;
        }
    }

    /// `Cancel` is issued for what is in flight; whether it is for the first time.
    pub(crate) fn cancel(&mut self) -> bool {
        debug_assert!(self.state.is_closing());
        let first = self.state == State::Closing;
        self.state = State::Cancelling;
        first
    }

    /// Makes a slot ready for its next incarnation, or retires it if there is none left.
    pub(crate) const fn renew(&mut self) {
        let (generation, state) = match self.generation.checked_add(1) {
            Some(next) => (next, State::Free),
            None => (self.generation, State::Retired),
        };
        *self = Self {
            generation,
            state,
            ..Self::NEW
        };
    }
}

#[cfg(test)]
impl Slot {
    /// Whether FIN is sent, or being sent, on a connection that is not closed yet.
    pub(crate) fn has_shut(&self) -> bool {
        matches!(self.state, State::HalfClosed | State::Lingering)
            || self.call == Some(Call::Shutdown)
    }
}

/// For images.
#[cfg(feature = "inspect")]
impl Slot {
    /// The same slot in any state.
    pub(crate) fn in_state(self, state: State) -> Self {
        Self { state, ..self }
    }
}
