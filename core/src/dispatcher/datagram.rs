//! Datagram sockets: received one at a time, notified as they come, and at most one is queued to be sent.
//!
//! They are in the second table, by level. Their bytes and addresses are the session's; here is only whether one waits.

use super::Dispatcher;
use crate::directions::Directions;
use crate::event::{Fault, FaultKind, Op, Outcome};
use crate::flags::Flags;
use crate::output::{Action, Notice};
use crate::slot::{Slot, State};
use crate::source::{Listener, Source};
use crate::stats::bump;
use crate::token::Token;
use crate::unavailable::Unavailable;
use defmt_or_log::error;

/// The most datagrams that are received for one readiness event. As many as that are only tried if they come in poll
/// after poll, so that one that comes alone costs no spurious try.
const BURST: u16 = 16;

/// Sends of one datagram that would block, after which the socket pauses: the first finds the buffer full, the others
/// follow notifications of writability.
const SENDS: u16 = 3;

/// The functions for datagram sockets. Reached by these pointers alone, so that only a program that adds one links
/// them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verbs {
    next: fn(&mut Dispatcher<'_>, u32) -> Option<Action>,
    done: fn(&mut Dispatcher<'_>, u32, Op, Outcome) -> Option<Notice>,
}

const VERBS: Verbs = Verbs {
    next: |machine, index| machine.next_of_datagrams(index),
    done: |machine, index, op, outcome| match op == Op::SendTo {
        true => machine.datagram_went(index, outcome),
        false => machine.datagram_came(index, outcome),
    },
};

impl Slot {
    /// Whether it is a datagram socket with an operation in flight in this direction.
    pub(super) fn is_of_datagrams_with(&self, direction: Directions, token: Token) -> bool {
        token.is_listener()
            && self.flags.has(Flags::DATAGRAMS)
            && self.in_flight.contains(direction)
    }
}

/// While one is queued to be sent nothing is received: what comes waits in the kernel, up to its buffer. An error of
/// the socket is notified and ends nothing; it is closed only if its descriptor is not a socket any more. Resource
/// exhaustion while receiving suspends it for a while, as it does a listener.
impl Dispatcher<'_> {
    /// Adds a datagram socket. A stop does not end it. A driver for which everything is always ready reports it as it
    /// reports a listener: [`Action::ReceiveFrom`] is tried for an event, and completes at once or when one has come.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Sources`] when all slots for sources are taken, by listeners too.
    pub fn add_datagrams(&mut self) -> Result<Token, Unavailable> {
        let nobody = Listener::new(self.m.pause_min);
        let index = self.take_place(nobody)?;
        self.m.datagrams = Some(&VERBS);
        let slot = self.slots.at_mut(index);
        slot.state = State::Datagrams;
        slot.flags = Flags::WATCHED.or(Flags::DATAGRAMS);
        slot.ready = Directions::WRITE;
        self.touch(index);
        Ok(self.token(index))
    }

    /// Whether a datagram can be queued: the token names a datagram socket, and none is queued there. `None` if it
    /// names none.
    #[must_use]
    pub fn has_datagram_room(&self, token: Token) -> Option<bool> {
        let index = self.find_datagrams(token)?;
        Some(!self.slots.at(index).flags.has(Flags::LOADED))
    }

    /// Has the datagram sent that the application put where [`Action::SendTo`] finds it. One at a time; a token that
    /// does not name a datagram socket changes nothing.
    pub fn queue_datagram(&mut self, token: Token) {
        if let Some(index) = self.find_datagrams(token) {
            let slot = self.slots.at_mut(index);
            slot.flags.set(Flags::LOADED);
            slot.tally = 0;
            self.touch(index);
        }
    }

    /// Has [`Notice::Datagram`] notified when the queued one is gone; if none is queued, there is no notice.
    pub fn want_datagram_room(&mut self, token: Token) {
        if let Some(index) = self.find_datagrams(token) {
            let slot = self.slots.at_mut(index);
            slot.wants = slot.flags.has(Flags::LOADED).into();
        }
    }

    /// Ends it: no more notices, what is queued is dropped, and the driver closes it. A token that does not name a
    /// datagram socket changes nothing.
    pub fn close_datagrams(&mut self, token: Token) {
        if let Some(index) = self.find_datagrams(token) {
            self.slots.at_mut(index).state = State::Closing;
            self.touch(index);
        }
    }

    /// Whether a token names nothing that is.
    pub(crate) fn is_gone(&self, token: Token) -> bool {
        self.find(token).is_none()
    }

    /// Whether the application waited until the one that was sent is gone,
    /// [`want_datagram_room`](Self::want_datagram_room); it waits no longer. Call it when [`Notice::Datagram`] comes
    /// after a send.
    pub fn take_datagram_wish(&mut self, token: Token) -> bool {
        let wish = self
            .find_datagrams(token)
            .map(|index| core::mem::take(&mut self.slots.at_mut(index).wants));
        wish.is_some_and(|wish| wish != 0)
    }

    fn find_datagrams(&self, token: Token) -> Option<u32> {
        let index = self.find(token)?;
        (self.slots.at(index).state == State::Datagrams).then_some(index)
    }

    /// The next receive or send, if one is due.
    pub(super) fn next_datagram(&mut self, index: u32) -> Option<Action> {
        (self.m.datagrams?.next)(self, index)
    }

    /// The completion of one of them.
    pub(super) fn datagram_done(&mut self, index: u32, op: Op, outcome: Outcome) -> Option<Notice> {
        (self.m.datagrams?.done)(self, index, op, outcome)
    }

    fn next_of_datagrams(&mut self, index: u32) -> Option<Action> {
        let windows = self.m.windows;
        let (receives, sends) = (self.m.schedule.may_receive(), self.m.schedule.may_send());
        let slot = self.slots.at_mut(index);
        let issue = slot.issue(slot.wanted(windows, false));
        let token = Token::new(index, slot.generation);
        if issue.contains(Directions::WRITE) && sends {
            slot.in_flight |= Directions::WRITE;
            return Some(Action::SendTo { token });
        }
        if issue.contains(Directions::READ) && receives {
            slot.in_flight |= Directions::READ;
            return Some(Action::ReceiveFrom { token });
        }
        None
    }

    /// The completion of `ReceiveFrom`.
    fn datagram_came(&mut self, index: u32, outcome: Outcome) -> Option<Notice> {
        let (turn, pause) = (self.m.schedule.iterations(), self.m.pause_min);
        let Source { slot, listener } = self.slots.source_mut(index)?;
        slot.in_flight -= Directions::READ;
        if slot.state != State::Datagrams {
            self.touch(index);
            return None;
        }
        match outcome {
            Outcome::Datagram { len, lost, .. } => {
                let more = lost.wrapping_sub(core::mem::replace(&mut listener.lost, lost));
                let stats = &mut self.m.stats;
                stats.datagrams_lost = stats.datagrams_lost.saturating_add(more.into());
                listener.pause = pause;
                let another = listener.burst.another(turn, BURST);
                slot.ready -= Directions::READ.when(!another);
                slot.tally = 0;
                bump(&mut self.m.stats.datagrams_in);
                self.spend(index, Directions::READ, len);
                Some(Notice::Datagram(self.token(index)))
            }
            Outcome::Drained(_) => {
                slot.ready -= Directions::READ;
                // A speculative one is not a failure.
                let tried = listener.burst.vain(turn);
                slot.tally = slot.tally.saturating_add(u16::from(!tried));
                let failures = self.m.accept_failures;
                self.spend(index, Directions::READ, 0);
                self.rests_after(index, failures);
                None
            }
            Outcome::Failed(fault) => self.datagram_failed(index, Directions::READ, fault),
            Outcome::Complete(_) | Outcome::Accepted(_) => {
                slot.ready -= Directions::READ;
                self.impossible_datagram(index);
                None
            }
        }
    }

    /// The completion of `SendTo`.
    fn datagram_went(&mut self, index: u32, outcome: Outcome) -> Option<Notice> {
        let slot = self.slots.at_mut(index);
        slot.in_flight -= Directions::WRITE;
        if slot.state != State::Datagrams {
            self.touch(index);
            return None;
        }
        match outcome {
            Outcome::Complete(n) => {
                slot.flags.clear(Flags::LOADED);
                slot.tally = 0;
                let waited = slot.wants != 0;
                bump(&mut self.m.stats.datagrams_out);
                self.spend(index, Directions::WRITE, n);
                waited.then_some(Notice::Datagram(self.token(index)))
            }
            Outcome::Drained(_) => {
                slot.ready -= Directions::WRITE;
                slot.tally = slot.tally.saturating_add(1);
                self.spend(index, Directions::WRITE, 0);
                self.rests_after(index, SENDS);
                None
            }
            Outcome::Failed(fault) => self.datagram_failed(index, Directions::WRITE, fault),
            Outcome::Accepted(_) | Outcome::Datagram { .. } => {
                slot.flags.clear(Flags::LOADED);
                let waited = slot.wants != 0;
                self.impossible_datagram(index);
                waited.then_some(Notice::Datagram(self.token(index)))
            }
        }
    }

    /// So many attempts in a row without success are followed by a pause, and each one after them, until one succeeds:
    /// the kernel's notifications are spurious.
    fn rests_after(&mut self, index: u32, most: u16) {
        if self.slots.at(index).tally >= most {
            self.hold_back(index, FaultKind::Unknown.with_code(0));
            self.slots.at_mut(index).tally = most.saturating_sub(1);
        }
    }

    /// An error is notified, and the next event tries again. What was to be sent is given up.
    fn datagram_failed(
        &mut self,
        index: u32,
        direction: Directions,
        fault: Fault,
    ) -> Option<Notice> {
        self.spend_on_fault(index, direction, fault);
        if fault.kind == FaultKind::Interrupted {
            return None;
        }
        let slot = self.slots.at_mut(index);
        if direction == Directions::WRITE {
            slot.flags.clear(Flags::LOADED);
        } else {
            slot.ready -= Directions::READ;
        }
        match fault.kind {
            FaultKind::Shortage | FaultKind::Unknown if direction == Directions::READ => {
                self.hold_back(index, fault);
            }
            FaultKind::Invalid => slot.state = State::Closing,
            FaultKind::Interrupted
            | FaultKind::Reset
            | FaultKind::Refused
            | FaultKind::TimedOut
            | FaultKind::Unreachable
            | FaultKind::Shortage
            | FaultKind::Unknown => {}
        }
        bump(&mut self.m.stats.datagram_faults);
        self.touch(index);
        Some(Notice::Datagram(self.token(index)))
    }

    /// An impossible completion.
    #[cold]
    fn impossible_datagram(&mut self, index: u32) {
        let token = self.token(index);
        error!("impossible answer of the driver: {:?}", token);
        bump(&mut self.m.stats.unasked);
        self.touch(index);
    }
}
