//! [`Connection`]: what the checker believes of one connection.

use super::input::TX;
use super::model::Source;
use super::rest::Rest;
use super::timers::Set;
use core::net::SocketAddr;
use tidegate_core::{Destination, Directions, Fault, Instant, OPERATION_MIN, Op, Span, Token};

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// `Accept` is in flight.
    Reserved,
    /// It is outbound, and the application waits for it.
    Connecting,
    /// `Opened` was notified.
    Told,
    /// It was accepted and dropped without a notice, because its source was at its limit.
    Refused,
    /// Its slot is free again.
    Gone,
}

/// A connection that was, is or will be.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stage: Stage,
    pub(super) source: Source,
    pub(super) listener: Token,
    pub(super) address: Option<SocketAddr>,
    /// Where it is to be connected to.
    pub(super) to: Option<Destination>,
    /// `Opened` was notified.
    pub(super) opened: bool,
    /// FIN is to be sent, while the peer's is awaited.
    pub(super) half: bool,
    /// Names the bytes of its peer.
    pub(super) id: u64,
    pub(super) receiving: Option<Span>,
    pub(super) sending: Option<Span>,
    /// `Shutdown` or `Unsent` is in flight.
    pub(super) call: Option<Op>,
    pub(super) shut: bool,
    /// FIN was not sent: there is nothing to wait for.
    pub(super) not_shut: bool,
    /// What was received since FIN was sent, in operations of 256 bytes or fewer.
    pub(super) discarded: u32,
    /// Bytes put into its receive window while it was open, and those of them that the application consumed.
    pub(super) got: u64,
    pub(super) consumed: u64,
    /// Every byte that was queued, and how many the kernel took.
    pub(super) queued: Vec<u8>,
    pub(super) taken: usize,
    pub(super) paused: bool,
    pub(super) finished: bool,
    /// It finished because of a message that was too long.
    pub(super) too_long: bool,
    pub(super) aborted: bool,
    pub(super) ended: bool,
    /// An attempt has shown that a direction is not ready, or the kernel has reported.
    pub(super) disturbed: bool,
    /// The last attempt to connect failed for resource exhaustion, or moved nothing twice after an event.
    pub(super) congested: bool,
    pub(super) rest: Rest,
    /// The length of a send that returned `Full`.
    pub(super) wants: u32,
    pub(super) timer: Option<Set>,
    pub(super) was_full: bool,
    pub(super) faults: Vec<Fault>,
    pub(super) opened_at: Instant,
    pub(super) finished_at: Instant,
    pub(super) times: Times,
    pub(super) settled: Times,
    /// When output had made progress last, when `Unsent` was issued.
    pub(super) probed: Instant,
    /// A hang-up was reported since the query whether it has failed.
    pub(super) hung_up: bool,
    /// That is what `Unsent` queries.
    pub(super) checks: bool,
    /// The peer lives, by the completion of `Unsent`, though it takes nothing: how long it may take nothing is what
    /// counts then.
    pub(super) lives: bool,
}

/// When something happened last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) heard: Instant,
    pub(super) progress: Instant,
    pub(super) consumed: Instant,
    pub(super) spoken: bool,
}

impl Connection {
    pub(super) fn new(listener: Token) -> Self {
        Self {
            stage: Stage::Reserved,
            source: Source::default(),
            listener,
            address: None,
            to: None,
            opened: false,
            half: false,
            id: 0,
            receiving: None,
            sending: None,
            call: None,
            shut: false,
            not_shut: false,
            discarded: 0,
            got: 0,
            consumed: 0,
            queued: Vec::new(),
            taken: 0,
            paused: false,
            finished: false,
            too_long: false,
            aborted: false,
            ended: false,
            disturbed: false,
            congested: false,
            rest: Rest::default(),
            wants: 0,
            timer: None,
            was_full: false,
            faults: Vec::new(),
            opened_at: Instant::ZERO,
            finished_at: Instant::ZERO,
            times: Times::default(),
            settled: Times::default(),
            probed: Instant::NEVER,
            hung_up: false,
            checks: false,
            lives: false,
        }
    }

    /// What was queued and not taken.
    pub(super) fn pending(&self) -> &[u8] {
        &self.queued[self.taken..]
    }

    /// Bytes that can be queued, if it is open: what is being sent must not move, so then only what lies behind counts.
    pub(super) fn capacity(&self) -> usize {
        let before = self.sending.map_or(0, |from| from.at as usize);
        (TX - before).saturating_sub(self.pending().len())
    }

    pub(super) fn unread(&self) -> u64 {
        self.got - self.consumed
    }

    pub(super) fn is_live(&self) -> bool {
        self.stage == Stage::Told
    }

    /// Whether the application knows of it.
    pub(super) fn is_known(&self) -> bool {
        matches!(self.stage, Stage::Told | Stage::Connecting)
    }

    /// Whether bytes may be queued, unless it is ending for another reason than the application's.
    pub(super) fn can_send(&self) -> bool {
        self.is_live() && !self.finished && !self.half
    }

    pub(super) fn in_flight(&self) -> bool {
        self.receiving.is_some() || self.sending.is_some() || self.call.is_some()
    }

    /// Whether nothing is to be waited for before it is closed: the peer's FIN was received, none can be, or more than this was
    /// discarded before it; or it failed.
    pub(super) fn has_lingered(&self, linger_bytes: u32) -> bool {
        let most = linger_bytes.div_ceil(OPERATION_MIN).max(1);
        let gone = !self.opened || self.not_shut || !self.faults.is_empty();
        self.ended || self.directions() != Directions::BOTH || self.discarded >= most || gone
    }

    /// Whether nothing that the checker saw ends it.
    pub(super) fn goes_on(&self) -> bool {
        let ends = self.finished || self.aborted || self.source.cancelled || self.source.closing;
        self.is_live() && !ends && self.faults.is_empty()
    }
}

impl Connection {
    /// Whether some direction may rest, or the connect does.
    pub(super) fn is_congested(&self) -> bool {
        self.congested || !self.rest.directions.is_empty()
    }

    pub(super) fn failed(&mut self, fault: Fault, direction: Directions, now: Instant) {
        match fault {
            Fault::Interrupted(_) => {}
            Fault::Exhausted(_) => {
                self.rest.runs_short(direction, now);
                self.disturbed = true;
            }
            Fault::Reset(_)
            | Fault::Refused(_)
            | Fault::TimedOut(_)
            | Fault::Unreachable(_)
            | Fault::Invalid(_)
            | Fault::Unknown(_) => self.faults.push(fault),
        }
    }

    /// The application queued bytes.
    pub(super) fn queues(&mut self, bytes: &[u8], now: Instant) {
        if self.pending().is_empty() && !bytes.is_empty() {
            self.times.progress = now;
        }
        self.queued.extend_from_slice(bytes);
    }

    /// The application consumed bytes.
    pub(super) fn consumes(&mut self, n: u64, now: Instant) {
        self.consumed += n;
        if n > 0 {
            self.times.consumed = now;
        }
    }

    pub(super) fn finishes(&mut self, now: Instant) {
        if !self.finished {
            self.finished = true;
            self.finished_at = now;
        }
    }
}
