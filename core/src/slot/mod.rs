//! [`Slot`]: the state of a source that every iteration needs, in one cache line.

mod attempts;
mod flags;
mod state;

use crate::config::{Class, Windows};
use crate::event::Fault;
use crate::output::{Reason, Span};
use crate::queue::Link;
use crate::readiness::{Directions, Readiness, Trigger};
use crate::time::Instant;
use crate::token::Token;
pub(crate) use attempts::Attempts;
pub(crate) use flags::Flags;
pub(crate) use state::{Call, State};

/// Where the bytes of a window begin and end: `at ≤ end ≤` its size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cursors {
    pub(crate) at: u32,
    pub(crate) end: u32,
}

impl Cursors {
    pub(crate) const EMPTY: Self = Self { at: 0, end: 0 };

    pub(crate) const fn len(self) -> u32 {
        debug_assert!(self.at <= self.end, "it ends behind its beginning");
        self.end.wrapping_sub(self.at)
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
// The order is kept, so that what `rests` compares lies together.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct Slot {
    /// When the deadline of `class` passes.
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
    /// The free send capacity, in bytes, that the application waits for, [`ALL_SENT`] for the whole window; 0 if none. Receiving
    /// is suspended while it is set, unless [`Flags::KEEP_READING`].
    pub(crate) send_wanted: u32,
    /// While lingering, what was discarded, in units of `OPERATION_MIN`.
    pub(crate) tally: u16,
    pub(crate) flags: Flags,
    pub(crate) reason: Option<Reason>,
    /// Written by the transitions in `state` alone.
    state: State,
    pub(crate) call: Option<Call>,
    pub(crate) readiness: Readiness,
    pub(crate) class: Option<Class>,
    pub(crate) attempts: Attempts,
    pub(crate) queued: Queued,
}

const _: () = assert!(size_of::<Slot>() == 64, "a slot is one cache line");

/// In [`Slot::send_wanted`]: all output is to be sent. The handler left data while output was queued, and is called again when that
/// has been sent; the peer's FIN is held until then.
pub(crate) const ALL_SENT: u32 = u32::MAX;

impl Slot {
    /// What lies in a table before its slots are used for the first time, which writes [`NEW`](Self::NEW): zeros, so that a
    /// static table lies in `.bss`. Nothing of it but its state is ever read.
    pub(crate) const UNUSED: Self = Self {
        run: Link { prev: 0, next: 0 },
        timer: Link { prev: 0, next: 0 },
        generation: 0,
        reason: Some(Reason::Failed(Fault::Interrupted(0))),
        call: Some(Call::Connect),
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
        send_wanted: 0,
        tally: 0,
        flags: Flags::NONE,
        reason: None,
        state: State::Free,
        call: None,
        readiness: Readiness::NONE,
        class: None,
        queued: Queued::No,
        attempts: Attempts::NONE,
    };

    /// Whether `token` names this incarnation, and it is taken.
    pub(crate) fn is_named(&self, token: Token) -> bool {
        self.generation == token.generation() && !self.state.is_gone()
    }

    /// Whether `token` names this incarnation, and an operation of it in this direction is in flight.
    pub(crate) const fn has_in_flight(&self, token: Token, direction: Directions) -> bool {
        self.generation == token.generation() && self.readiness.is_in_flight(direction)
    }

    /// What a connection could use now. Never stored: read off its state and its buffers.
    pub(crate) fn wanted(&self, windows: Windows) -> Directions {
        // Most, most of the time: nothing holds it back.
        if self.state == State::Open && self.send_wanted == 0 && !self.flags.has(Flags::HOLDS) {
            let has_room = self.rx.end < windows.receive;
            return Directions::WRITE.when(!self.tx.is_empty()) | Directions::READ.when(has_room);
        }
        self.wanted_by_state(windows)
    }

    /// The same, whatever its state is.
    #[inline(never)]
    fn wanted_by_state(&self, windows: Windows) -> Directions {
        let output = Directions::WRITE.when(!self.tx.is_empty());
        let wanted = match self.state {
            State::Open | State::HalfClosing | State::HalfClosed => {
                // An application that waits for capacity gets no more data: nothing is lost when EOF comes.
                let hears = !self.flags.has(Flags::ENDED.or(Flags::PAUSED))
                    && !self.is_held_back()
                    && self.rx.end < windows.receive;
                output | Directions::READ.when(hears)
            }
            State::Connecting => Directions::WRITE.when(self.call.is_none()),
            State::Finishing => output,
            State::Lingering => Directions::READ.when(!self.flags.has(Flags::ENDED)),
            State::Free
            | State::Reserved
            | State::Closing
            | State::Cancelling
            | State::Listening
            | State::Watching
            | State::Datagrams
            | State::Retired => Directions::NONE,
        };
        if self.flags.has(Flags::CONGESTED) {
            return wanted - self.resting();
        }
        wanted
    }

    /// FIN, a hang-up, an error or an urgent mark was reported.
    #[cold]
    pub(crate) fn suspect(&mut self, trigger: Trigger) {
        self.flags.set(Flags::CLOSING);
        // By level it is reported again once nothing else is armed.
        let alone = self.readiness.registered() == Directions::HANGUP;
        if self.hears() && (alone || trigger == Trigger::Edge) {
            self.flags.set(Flags::SUSPECT);
        }
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

    /// Drops so many received bytes, or as many as there are; whether the window is empty then, and nothing is being received.
    pub(crate) fn consume(&mut self, n: u32) -> bool {
        if n > 0 {
            self.rx.advance(n);
            self.flags.set(Flags::CONSUMED);
        }
        let empty = self.rx.is_empty() && !self.readiness.is_in_flight(Directions::READ);
        if empty {
            self.rx = Cursors::EMPTY;
        }
        empty
    }

    /// Whether receiving is suspended because there is no capacity for the reply.
    pub(crate) const fn is_held_back(&self) -> bool {
        self.send_wanted != 0 && !self.flags.has(Flags::KEEP_READING)
    }

    /// Whether there is the send capacity now that is waited for.
    pub(crate) const fn has_wanted_capacity(&self, windows: Windows) -> bool {
        let wanted = if self.send_wanted < windows.send {
            self.send_wanted
        } else {
            windows.send
        };
        self.send_wanted > 0 && self.capacity(windows, false) >= wanted
    }

    /// The application waits for so much capacity, and `keep_reading` meanwhile or not.
    pub(crate) const fn want(&mut self, capacity: u32, keep_reading: bool) {
        self.send_wanted = capacity;
        if keep_reading {
            self.flags.set(Flags::KEEP_READING);
        } else {
            self.flags.clear(Flags::KEEP_READING);
        }
    }

    /// It waits no longer, so there is nothing during which reading would go on.
    pub(crate) const fn stop_waiting(&mut self) {
        self.want(0, false);
    }

    /// Whether the handler left data while output was queued, and is called again before EOF is notified.
    pub(crate) const fn keeps_end_waiting(&self) -> bool {
        self.send_wanted == ALL_SENT && !self.rx.is_empty()
    }

    /// Whether bytes that come are the application's.
    pub(crate) const fn hears(&self) -> bool {
        self.state.hears()
    }

    /// Whether an open connection has nothing to do and nothing special about it: all that came has its reply, nothing is queued,
    /// and the kernel will report more.
    pub(crate) fn rests(&self) -> bool {
        // Without a branch for each: all of it is read at once.
        let alike = self.state == State::Open
            && self.call.is_none()
            && self.readiness.only_awaits_bytes()
            && self.class == Some(Class::Idle);
        let empty = self.rx == Cursors::EMPTY && self.tx == Cursors::EMPTY && self.send_wanted == 0;
        alike & empty & (self.flags).are_but_for_activity(Flags::OPENED.or(Flags::SPOKEN))
    }

    /// Whether it is a connection that events, user calls and deadlines may touch.
    pub(crate) const fn is_live(&self) -> bool {
        self.state.is_live()
    }

    /// Where the next receive goes. While lingering the whole window is a waste bin.
    pub(crate) const fn receive_span(&self, windows: Windows) -> Span {
        let at = if matches!(self.state, State::Lingering) {
            0
        } else {
            self.rx.end
        };
        debug_assert!(at <= windows.receive, "the window has an end");
        Span {
            at,
            len: windows.receive.wrapping_sub(at),
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
    pub(crate) const fn capacity(&self, windows: Windows, sending: bool) -> u32 {
        if !matches!(self.state, State::Open) {
            return 0;
        }
        let used = if sending { self.tx.end } else { self.tx.len() };
        debug_assert!(used <= windows.send, "the window has an end");
        windows.send.wrapping_sub(used)
    }

    /// Whether there is nothing more to receive for now: a try would block, or is not wanted.
    pub(crate) fn has_heard_all(&self) -> bool {
        !self.readiness.is_in_flight(Directions::READ)
            && (!self.readiness.is_ready(Directions::READ)
                || self.flags.has(Flags::PAUSED.or(Flags::ENDED)))
            && !self.is_held_back()
            && !self.keeps_end_waiting()
    }

    /// Whether one side has ended, or both have and the application has not taken all that came.
    pub(crate) const fn is_half_closed(&self) -> bool {
        matches!(self.state, State::HalfClosing | State::HalfClosed)
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
            && self.call.is_none()
            && self.rx.is_empty()
    }

    /// Whether the window is full and nothing would ever empty it: what lies there is too long for it. The handler has
    /// been shown all of it with the whole send window free, and waits for nothing.
    pub(crate) const fn is_stuck(&self, windows: Windows) -> bool {
        self.hears()
            && self.rx.at == 0
            && self.rx.end >= windows.receive
            && self.tx.is_empty()
            && self.send_wanted == 0
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
    const STATES: [State; 14] = [
        State::Free,
        State::Reserved,
        State::Connecting,
        State::Open,
        State::HalfClosing,
        State::HalfClosed,
        State::Finishing,
        State::Lingering,
        State::Closing,
        State::Cancelling,
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
                        let wanted = slot.wanted(WINDOWS);
                        let sends = match state {
                            State::Open
                            | State::HalfClosing
                            | State::HalfClosed
                            | State::Finishing => queued > 0,
                            State::Connecting => true,
                            State::Free
                            | State::Reserved
                            | State::Lingering
                            | State::Closing
                            | State::Cancelling
                            | State::Listening
                            | State::Watching
                            | State::Datagrams
                            | State::Retired => false,
                        };
                        let hears = match state {
                            State::Open | State::HalfClosing | State::HalfClosed => {
                                received < 8
                                    && !slot.flags.has(Flags::ENDED)
                                    && !slot.flags.has(Flags::PAUSED)
                            }
                            State::Lingering => !slot.flags.has(Flags::ENDED),
                            State::Free
                            | State::Reserved
                            | State::Connecting
                            | State::Finishing
                            | State::Closing
                            | State::Cancelling
                            | State::Listening
                            | State::Watching
                            | State::Datagrams
                            | State::Retired => false,
                        };
                        let calm = !slot.flags.has(Flags::CONGESTED);
                        assert_eq!(wanted.contains(Directions::WRITE), sends && calm);
                        assert_eq!(wanted.contains(Directions::READ), hears && calm);
                    }
                }
            }
        }
        let waits_for_capacity = Slot {
            send_wanted: 1,
            ..slot(State::Open)
        };
        assert!(waits_for_capacity.wanted(WINDOWS).is_empty());
        let keeps_reading = Slot {
            send_wanted: 1,
            flags: Flags::KEEP_READING,
            ..slot(State::Open)
        };
        assert_eq!(keeps_reading.wanted(WINDOWS), Directions::READ);
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
        let heard = |ready, in_flight, flags, send_wanted| {
            let mut slot = Slot {
                flags,
                send_wanted,
                ..slot(State::Open)
            };
            slot.readiness.set_ready(ready);
            slot.readiness.begin(in_flight);
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
        assert_eq!(slot.capacity(WINDOWS, false), 6);
        assert_eq!(slot.capacity(WINDOWS, true), 1);
        let slot = Slot {
            state: State::Finishing,
            ..slot
        };
        assert_eq!(slot.capacity(WINDOWS, false), 0, "nothing follows FIN");
    }
}
