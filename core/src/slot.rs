//! [`Slot`]: the state of a source that every iteration needs, in one cache line.
//!
//! ```text
//!              Accept           Accepted
//!   Free ─────────────▶ Reserved ───────▶ Open ──────────────┐ finish, peer's end, drain
//!    ▲                     │              │                   ▼
//!    │                     │ failed       │ abort,       Finishing   send what is queued
//!    │                     │              │ deadline,         │ Shutdown done (skipped if the peer's end was read)
//!    │                     │              │ error             ▼
//!    │                     │              │              Lingering   receive and discard
//!    │   Done(Close)       ▼              ▼                   │ peer's end, byte cap, deadline, error
//!    └───────────────────────────── Closing ◀─────────────────┘      join what is in flight, disarm, Close
//!
//!   An outbound connection: Free ── connect ──▶ Connecting ── Connect done ──▶ Open; failed, too late: Closing.
//!   Open ── our end, the peer's still to come ──▶ HalfClosed, which ends as Open does.
//!   A slot whose generation has come to its last value becomes Retired instead of Free.
//!   A listener is Listening until it is drained or fails, then Closing, then Free; a descriptor that is watched is
//!   Watching until that is given up or cannot be done, then Closing, then Free; and so is a socket of Datagrams.
//! ```

use crate::attempts::Attempts;
use crate::config::{Class, WINDOW_MAX, Windows};
use crate::directions::{self, Directions};
use crate::event::FaultKind;
use crate::flags::Flags;
use crate::output::{Reason, Span};
use crate::queue::Link;
use crate::time::Instant;
use crate::token::Token;

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
    /// What is queued is sent, then FIN; bytes still come in. With the peer's FIN it is finished.
    HalfClosed,
    /// What is queued is sent, then FIN.
    Finishing,
    /// FIN is sent; what arrives is discarded until the peer's FIN.
    Lingering,
    /// Every operation in flight is joined, then the descriptor closed.
    Closing,
    /// A listener that accepts.
    Listening,
    /// A descriptor of the application's, which is notified of its readiness.
    Watching,
    /// A datagram socket.
    Datagrams,
    /// Used up: its next generation would repeat an old token.
    Retired,
}

/// Where the bytes of a window begin and end: `at ≤ end ≤` its size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cursors {
    pub(crate) at: u32,
    pub(crate) end: u32,
}

impl Cursors {
    pub(crate) const EMPTY: Self = Self { at: 0, end: 0 };

    pub(crate) const fn len(self) -> u32 {
        self.end.saturating_sub(self.at)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.at >= self.end
    }

    /// Drops up to `n` bytes from the front.
    pub(crate) const fn advance(&mut self, n: u32) {
        let at = self.at.saturating_add(n);
        self.at = if at < self.end { at } else { self.end };
    }
}

/// Which run queue a slot stands in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Queued {
    No,
    /// In that of the fresh, among those that go first.
    First,
    Fresh,
    Continuing,
}

/// A source, as far as every iteration needs it.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Slot {
    /// When the deadline of `class` passes; of a source that is not a connection, until when it is paused.
    pub(crate) deadline: Instant,
    /// In the free list, or in a run queue.
    pub(crate) run: Link,
    /// In the queue of its class.
    pub(crate) timer: Link,
    /// The peer's bytes that the application has not consumed.
    pub(crate) rx: Cursors,
    /// The application's bytes that the kernel has not taken.
    pub(crate) tx: Cursors,
    pub(crate) generation: u32,
    /// The free send capacity that the application waits for, in the bits of [`ROOM`]; 0 if none. Receiving is
    /// suspended while it is set, unless [`HEARS_ON`]. Of a watched descriptor, the bits of the directions; of a
    /// datagram socket, not 0 while the application waits until the queued datagram is sent.
    pub(crate) wants: u32,
    /// While lingering, what was discarded, in units of `OPERATION_MIN`; of a listener, failures in a row.
    pub(crate) tally: u16,
    pub(crate) flags: Flags,
    pub(crate) reason: Option<Reason>,
    pub(crate) state: State,
    /// The kernel reported it, or it is new, and no attempt since has shown otherwise.
    pub(crate) ready: Directions,
    /// Issued to the driver and not completed.
    pub(crate) in_flight: Directions,
    /// What the kernel has been asked to report, and has not reported yet if the trigger is one-shot.
    pub(crate) armed: Directions,
    /// What the kernel's set holds, reported or not: the same as `armed` but for one-shot.
    pub(crate) registered: Directions,
    pub(crate) class: Option<Class>,
    pub(crate) queued: Queued,
    pub(crate) attempts: Attempts,
}

const _: () = assert!(size_of::<Slot>() == 64, "a slot is one cache line");

/// In what a slot wants: receiving goes on while it waits for capacity.
pub(crate) const HEARS_ON: u32 = !ROOM;

/// In what a slot wants: how many bytes of capacity. A window is smaller.
pub(crate) const ROOM: u32 = WINDOW_MAX;

/// What a slot wants whose handler left data while output was queued: to be called again when all output has been sent.
/// Bytes are received in the meantime; the peer's FIN is held.
pub(crate) const UNTIL_SENT: u32 = HEARS_ON;

impl Slot {
    /// What lies in a table before its slots are used for the first time, which writes [`NEW`](Self::NEW): zeros, so that a
    /// static table lies in `.bss`. Nothing of it but its state is ever read.
    pub(crate) const UNUSED: Self = Self {
        run: Link { prev: 0, next: 0 },
        timer: Link { prev: 0, next: 0 },
        generation: 0,
        reason: Some(Reason::Failed(FaultKind::Interrupted.with_code(0))),
        class: Some(Class::FirstByte),
        ..Self::NEW
    };

    /// A free slot that has never been used.
    pub(crate) const NEW: Self = Self {
        deadline: Instant::ZERO,
        run: Link::NONE,
        timer: Link::NONE,
        rx: Cursors::EMPTY,
        tx: Cursors::EMPTY,
        generation: 1,
        wants: 0,
        tally: 0,
        flags: Flags::NONE,
        reason: None,
        state: State::Free,
        ready: Directions::NONE,
        in_flight: Directions::NONE,
        armed: Directions::NONE,
        registered: Directions::NONE,
        class: None,
        queued: Queued::No,
        attempts: Attempts::NONE,
    };

    /// Makes a free slot ready for its next incarnation, or retires it if there is none left.
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

    /// Whether `token` names this incarnation, and it is taken.
    #[inline]
    pub(crate) fn is_named(&self, token: Token) -> bool {
        self.generation == token.generation() && !matches!(self.state, State::Free | State::Retired)
    }

    /// What this source could use now. Never stored: read off its state and its buffers.
    ///
    /// `admits`: a listener may take a connection, or apply the policy instead.
    #[inline]
    pub(crate) fn wanted(&self, windows: Windows, admits: bool) -> Directions {
        let output = Directions::WRITE.when(!self.tx.is_empty());
        let special = Flags::ENDED.or(Flags::PAUSED).or(Flags::CONGESTED);
        if self.state == State::Open && !self.flags.has(special) && self.wants == 0 {
            return output | Directions::READ.when(self.rx.end < windows.receive);
        }
        let wanted = match self.state {
            State::Open | State::HalfClosed => {
                // An application that waits for capacity gets no more data: nothing is lost when EOF comes.
                let hears = !self.flags.has(Flags::ENDED.or(Flags::PAUSED))
                    && !self.is_held_back()
                    && self.rx.end < windows.receive;
                output | Directions::READ.when(hears)
            }
            State::Connecting => Directions::WRITE.when(!self.flags.has(Flags::CALLED)),
            State::Finishing => output,
            State::Lingering => Directions::READ.when(!self.flags.has(Flags::ENDED)),
            State::Listening => Directions::READ.when(admits),
            State::Watching => Directions::of_bits(self.wants),
            // What comes waits in the kernel until the reply to the previous datagram is sent.
            State::Datagrams => match self.flags.has(Flags::LOADED) {
                _ if self.flags.has(Flags::PAUSED) => Directions::NONE,
                true => Directions::WRITE,
                false => Directions::READ,
            },
            State::Free | State::Reserved | State::Closing | State::Retired => Directions::NONE,
        };
        if self.flags.has(Flags::CONGESTED) {
            return wanted - self.resting();
        }
        wanted
    }

    /// The directions that are left alone while it is congested: both, if it is not known which.
    pub(crate) const fn resting(&self) -> Directions {
        let doubted = self.attempts.doubted();
        if doubted.is_empty() {
            Directions::BOTH
        } else {
            doubted
        }
    }

    /// What is progress while output is queued, and what while none is.
    pub(crate) const fn progress(&self) -> Flags {
        if self.tx.is_empty() {
            Flags::TAKEN.or(Flags::HEARD)
        } else {
            Flags::TAKEN
        }
    }

    /// What the kernel has to report: what is wanted, or of an open connection that wants nothing (paused, backpressured,
    /// its window full, its peer's FIN received) a hang-up, so that a reset frees its slot.
    pub(crate) fn interest(&self, wanted: Directions) -> Directions {
        let rests = wanted.is_empty() && self.hears();
        if rests && !self.flags.has(Flags::CONGESTED.or(Flags::CHECKED)) {
            Directions::HANGUP
        } else {
            wanted
        }
    }

    /// Whether receiving is suspended because there is no capacity for the reply.
    #[inline]
    pub(crate) const fn is_held_back(&self) -> bool {
        self.wants != 0 && self.wants & HEARS_ON == 0
    }

    /// Whether there is the send capacity now that is waited for.
    #[inline]
    pub(crate) const fn has_wanted_room(&self, windows: Windows) -> bool {
        let wanted = if self.wants == UNTIL_SENT {
            windows.send
        } else {
            self.wants & ROOM
        };
        self.wants > 0 && self.room(windows, false) >= wanted
    }

    /// Whether the handler left data while output was queued, and is called again before EOF is notified.
    pub(crate) const fn keeps_end_waiting(&self) -> bool {
        self.wants == UNTIL_SENT && !self.rx.is_empty()
    }

    /// Whether bytes that come are the application's.
    #[inline]
    pub(crate) const fn hears(&self) -> bool {
        matches!(self.state, State::Open | State::HalfClosed)
    }

    /// Whether an open connection has nothing to do and nothing special about it: all that came has its reply, nothing is queued,
    /// and the kernel will report more.
    #[inline]
    pub(crate) fn rests(&self) -> bool {
        const RESTING: Flags = Flags::TOLD.or(Flags::SPOKEN);
        self.state == State::Open
            && self.flags.are_but_for_activity(RESTING)
            && self.rx.is_empty()
            && self.tx.is_empty()
            && self.wants == 0
            && self.in_flight.is_empty()
            && !self.ready.contains(Directions::READ)
            && self.armed.contains(Directions::READ)
            && self.class == Some(Class::Idle)
    }

    /// `wanted ∩ ready − in_flight`
    pub(crate) fn issue(&self, wanted: Directions) -> Directions {
        directions::issue(wanted, self.ready, self.in_flight)
    }

    /// `wanted − ready − in_flight`
    pub(crate) fn awaited(&self, wanted: Directions) -> Directions {
        directions::awaited(wanted, self.ready, self.in_flight)
    }

    /// Whether it is a connection that reports, user calls and deadlines may touch.
    pub(crate) const fn is_live(&self) -> bool {
        matches!(
            self.state,
            State::Connecting
                | State::Open
                | State::HalfClosed
                | State::Finishing
                | State::Lingering
                | State::Closing
        )
    }

    /// Where the next receive goes. While lingering the whole window is a waste bin.
    pub(crate) const fn receive_span(&self, windows: Windows) -> Span {
        let at = if matches!(self.state, State::Lingering) {
            0
        } else {
            self.rx.end
        };
        Span {
            at,
            len: windows.receive.saturating_sub(at),
        }
    }

    /// Where the next send comes from.
    pub(crate) const fn send_span(&self) -> Span {
        Span {
            at: self.tx.at,
            len: self.tx.len(),
        }
    }

    /// Bytes that can be queued now. What is being sent must not move, so then only the space behind it counts.
    pub(crate) const fn room(&self, windows: Windows, sending: bool) -> u32 {
        if !matches!(self.state, State::Open) {
            return 0;
        }
        let used = if sending { self.tx.end } else { self.tx.len() };
        windows.send.saturating_sub(used)
    }

    /// Whether there is nothing more to receive for now: a try would block, or is not wanted.
    pub(crate) fn has_heard_all(&self) -> bool {
        !self.in_flight.contains(Directions::READ)
            && (!self.ready.contains(Directions::READ)
                || self.flags.has(Flags::PAUSED.or(Flags::ENDED)))
            && !self.is_held_back()
            && !self.keeps_end_waiting()
    }

    /// Whether one side has ended, or both have and the application has not taken all that came.
    pub(crate) const fn is_half_closed(&self) -> bool {
        matches!(self.state, State::HalfClosed)
            || matches!(self.state, State::Open) && self.flags.has(Flags::ENDED)
    }

    /// Whether FIN was received and not sent, and nothing is queued whose send would show that the peer is gone.
    pub(crate) const fn may_have_hung_up(&self) -> bool {
        matches!(self.state, State::Open) && self.flags.has(Flags::ENDED) && self.tx.is_empty()
    }

    /// Whether both ends have gone their way, and the application has taken all that came: nothing is left but to close.
    pub(crate) fn is_complete(&self) -> bool {
        self.state == State::HalfClosed
            && self.flags.has(Flags::ENDED)
            && self.flags.has(Flags::SHUT)
            && !self.flags.has(Flags::CALLED)
            && self.rx.is_empty()
    }

    /// Whether the window is full and nothing would ever empty it: what lies there is too long for it. The handler has
    /// been shown all of it with the whole send window free, and waits for nothing.
    pub(crate) const fn is_stuck(&self, windows: Windows) -> bool {
        self.hears()
            && self.rx.at == 0
            && self.rx.end >= windows.receive
            && self.tx.is_empty()
            && self.wants == 0
            && !self.flags.has(Flags::PAUSED.or(Flags::ENDED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows {
        receive: 8,
        send: 8,
    };
    const STATES: [State; 12] = [
        State::Free,
        State::Reserved,
        State::Connecting,
        State::Open,
        State::HalfClosed,
        State::Finishing,
        State::Lingering,
        State::Closing,
        State::Listening,
        State::Watching,
        State::Datagrams,
        State::Retired,
    ];

    fn slot(state: State) -> Slot {
        Slot { state, ..Slot::NEW }
    }

    #[test]
    fn every_state_wants_what_its_sentence_says() {
        for state in STATES {
            for queued in [0, 3] {
                for received in [0, 3, 8] {
                    for flags in 0..=u16::MAX {
                        let slot = Slot {
                            tx: Cursors { at: 0, end: queued },
                            rx: Cursors {
                                at: 0,
                                end: received,
                            },
                            flags: Flags::of(flags),
                            ..slot(state)
                        };
                        let wanted = slot.wanted(WINDOWS, true);
                        let loaded = slot.flags.has(Flags::LOADED);
                        let paused = slot.flags.has(Flags::PAUSED);
                        let sends = match state {
                            State::Datagrams => loaded && !paused,
                            State::Open | State::HalfClosed | State::Finishing => queued > 0,
                            State::Connecting => !slot.flags.has(Flags::CALLED),
                            State::Free
                            | State::Reserved
                            | State::Lingering
                            | State::Closing
                            | State::Listening
                            | State::Watching
                            | State::Retired => false,
                        };
                        let hears = match state {
                            State::Open | State::HalfClosed => {
                                received < 8
                                    && !slot.flags.has(Flags::ENDED)
                                    && !slot.flags.has(Flags::PAUSED)
                            }
                            State::Lingering => !slot.flags.has(Flags::ENDED),
                            State::Listening => true,
                            State::Datagrams => !loaded && !paused,
                            State::Free
                            | State::Reserved
                            | State::Connecting
                            | State::Finishing
                            | State::Closing
                            | State::Watching
                            | State::Retired => false,
                        };
                        let calm = !slot.flags.has(Flags::CONGESTED);
                        assert_eq!(wanted.contains(Directions::WRITE), sends && calm);
                        assert_eq!(wanted.contains(Directions::READ), hears && calm);
                    }
                }
            }
        }
        let waits_for_room = Slot {
            wants: 1,
            ..slot(State::Open)
        };
        assert!(waits_for_room.wanted(WINDOWS, true).is_empty());
        let hears_on = Slot {
            wants: HEARS_ON | 1,
            ..slot(State::Open)
        };
        assert_eq!(hears_on.wanted(WINDOWS, true), Directions::READ);
        assert!(
            slot(State::Listening).wanted(WINDOWS, false).is_empty(),
            "a full table is just an empty wanted"
        );
    }

    #[test]
    fn a_generation_that_would_wrap_retires_the_slot() {
        let mut slot = Slot {
            generation: u32::MAX - 1,
            state: State::Closing,
            ..Slot::NEW
        };
        slot.renew();
        assert_eq!((slot.generation, slot.state), (u32::MAX, State::Free));
        slot.renew();
        assert_eq!((slot.generation, slot.state), (u32::MAX, State::Retired));
    }

    #[test]
    fn all_is_quiet_when_nothing_is_coming_and_none_waits() {
        let heard = |ready, in_flight, flags, wants| {
            let open = slot(State::Open);
            let slot = Slot {
                ready,
                in_flight,
                flags,
                wants,
                ..open
            };
            slot.has_heard_all()
        };
        const READ: Directions = Directions::READ;
        const NONE: Directions = Directions::NONE;
        assert!(heard(NONE, NONE, Flags::NONE, 0));
        assert!(heard(READ, NONE, Flags::PAUSED, 0), "not wanted");
        assert!(heard(READ, NONE, Flags::ENDED, 0), "nothing more comes");
        assert!(!heard(READ, NONE, Flags::NONE, 0), "more may be there");
        assert!(!heard(NONE, READ, Flags::NONE, 0), "more may be coming");
        assert!(
            !heard(NONE, NONE, Flags::NONE, 1),
            "a reply waits for capacity"
        );
        assert!(!heard(NONE, READ, Flags::PAUSED, 0));
    }

    #[test]
    fn capacity_counts_what_may_move() {
        let slot = Slot {
            tx: Cursors { at: 5, end: 7 },
            ..slot(State::Open)
        };
        assert_eq!(slot.room(WINDOWS, false), 6);
        assert_eq!(slot.room(WINDOWS, true), 1);
        let slot = Slot {
            state: State::Finishing,
            ..slot
        };
        assert_eq!(slot.room(WINDOWS, false), 0, "nothing follows FIN");
    }
}
