//! Datagram sockets: received one at a time, notified as they come, and at most one is queued to be sent.
//!
//! They are in the second table, by level. Their bytes and addresses are the session's; here is only whether one waits.

use super::Dispatcher;
use crate::event::{Fault, Op, Outcome};
use crate::on_demand::on_demand;
use crate::output::{Action, Notice};
use crate::readiness::Directions;
use crate::slot::State;
use crate::source::{Datagrams, Kind};
use crate::stats::bump;
use crate::token::Token;
use crate::unavailable::Unavailable;

/// The most datagrams that are received for one readiness event. As many as that are only tried if they come in poll
/// after poll, so that one that comes alone costs no spurious try.
const BURST: u16 = 16;

/// Sends of one datagram that would block, after which the socket pauses: the first finds the buffer full, the others
/// follow notifications of writability.
const SENDS: u16 = 3;

on_demand! { Dispatcher[m.datagrams];
    /// The next receive or send, if one is due.
    pub(super) fn next_datagram[&mut](index: u32) -> Option<Action> = next_of_datagrams;
    /// The completion of one of them.
    pub(super) fn datagram_done[&mut](index: u32, op: Op, outcome: Outcome) -> Option<Notice> = complete_datagram;
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
        let index = self.take_place(Kind::Datagrams(Datagrams::default()))?;
        self.m.datagrams = Some(&FUNCTIONS);
        let slot = self.slots.at_mut(index);
        slot.readiness.set_ready(Directions::WRITE);
        self.touch(index);
        Ok(self.token(index))
    }

    /// Whether a datagram can be queued: the token names a datagram socket, and none is queued there. `None` if it
    /// names none.
    #[must_use]
    pub fn has_datagram_capacity(&self, token: Token) -> Option<bool> {
        let source = self.slots.source(self.find(token)?)?;
        match source.kind {
            Kind::Datagrams(datagrams) if source.slot.state() == State::Datagrams => {
                Some(!datagrams.loaded)
            }
            Kind::Datagrams(_) | Kind::Listener(_) | Kind::Watch(_) => None,
        }
    }

    /// Has the datagram sent that the application put where [`Action::SendTo`] finds it. One at a time; a token that
    /// does not name a datagram socket changes nothing.
    pub fn queue_datagram(&mut self, token: Token) {
        if let Some((index, source)) = self.find_source(token, State::Datagrams) {
            source.pace.forget_failures();
            if let Some(datagrams) = source.datagrams_mut() {
                datagrams.loaded = true;
            }
            self.touch(index);
        }
    }

    /// Has [`Notice::Datagram`] notified when the queued one is gone; if none is queued, there is no notice.
    pub fn want_datagram_capacity(&mut self, token: Token) {
        let found = self.find_source(token, State::Datagrams);
        if let Some(datagrams) = found.and_then(|(_, source)| source.datagrams_mut()) {
            datagrams.send_wanted = datagrams.loaded;
        }
    }

    /// Ends it: no more notices, what is queued is dropped, and the driver closes it. A token that does not name a
    /// datagram socket changes nothing.
    pub fn close_datagrams(&mut self, token: Token) {
        if let Some((index, source)) = self.find_source(token, State::Datagrams) {
            source.slot.close_source();
            self.touch(index);
        }
    }

    /// Whether a token names nothing that is.
    pub(crate) fn is_gone(&self, token: Token) -> bool {
        self.find(token).is_none()
    }

    /// Whether the application waited until the one that was sent is gone,
    /// [`want_datagram_capacity`](Self::want_datagram_capacity); it waits no longer. Call it when [`Notice::Datagram`] comes
    /// after a send.
    pub fn take_datagram_request(&mut self, token: Token) -> bool {
        let found = self.find_source(token, State::Datagrams);
        let datagrams = found.and_then(|(_, source)| source.datagrams_mut());
        datagrams.is_some_and(|datagrams| core::mem::take(&mut datagrams.send_wanted))
    }

    /// Whether it is a datagram socket with an operation in flight in this direction.
    pub(super) fn has_datagram_in_flight(&self, index: u32, direction: Directions) -> bool {
        (self.slots.source(index)).is_some_and(|source| {
            matches!(source.kind, Kind::Datagrams(_))
                && source.slot.readiness.is_in_flight(direction)
        })
    }

    fn next_of_datagrams(&mut self, index: u32) -> Option<Action> {
        let (receives, sends) = (self.m.schedule.may_receive(), self.m.schedule.may_send());
        let source = self.slots.source_mut(index)?;
        let issue = source.slot.readiness.issue(source.wanted(false));
        let slot = &mut source.slot;
        let token = Token::new(index, slot.generation);
        if issue.contains(Directions::WRITE) && sends {
            slot.readiness.begin(Directions::WRITE);
            return Some(Action::SendTo { token });
        }
        if issue.contains(Directions::READ) && receives {
            slot.readiness.begin(Directions::READ);
            return Some(Action::ReceiveFrom { token });
        }
        None
    }

    /// An impossible completion gives up what was to be sent.
    fn complete_datagram(&mut self, index: u32, op: Op, outcome: Outcome) -> Option<Notice> {
        let sent = op == Op::SendTo;
        let direction = if sent {
            Directions::WRITE
        } else {
            Directions::READ
        };
        let source = self.slots.source_mut(index)?;
        source.slot.readiness.end(direction);
        if source.slot.state() != State::Datagrams {
            self.touch(index);
            return None;
        }
        match outcome {
            Outcome::Datagram { len, lost, .. } if !sent => self.datagram_came(index, len, lost),
            Outcome::Complete(n) if sent => self.datagram_went(index, n),
            Outcome::Drained(_) => self.datagram_blocks(index, direction),
            Outcome::Failed(fault) => self.datagram_failed(index, direction, fault),
            Outcome::Complete(_) | Outcome::Accepted(_) | Outcome::Datagram { .. } => {
                (source.slot.readiness).clear_ready(Directions::READ & direction);
                let waited = sent && source.datagrams_mut()?.unload();
                self.impossible_datagram(index);
                waited.then_some(Notice::Datagram(self.token(index)))
            }
        }
    }

    fn datagram_came(&mut self, index: u32, len: u32, lost: u32) -> Option<Notice> {
        let (iteration, pause) = (self.m.schedule.iterations(), self.m.admission.first_pause());
        let source = self.slots.source_mut(index)?;
        source.pace.succeed(pause);
        let another = source.pace.another(iteration, BURST);
        (source.slot.readiness).clear_ready(Directions::READ.when(!another));
        let before = &mut source.datagrams_mut()?.lost;
        let more = lost.wrapping_sub(core::mem::replace(before, lost));
        let stats = &mut self.m.stats;
        stats.datagrams_lost = stats.datagrams_lost.saturating_add(more.into());
        bump(&mut stats.datagrams_in);
        self.spend(index, Directions::READ, len);
        Some(Notice::Datagram(self.token(index)))
    }

    fn datagram_went(&mut self, index: u32, n: u32) -> Option<Notice> {
        let source = self.slots.source_mut(index)?;
        source.pace.forget_failures();
        let waited = source.datagrams_mut()?.unload();
        bump(&mut self.m.stats.datagrams_out);
        self.spend(index, Directions::WRITE, n);
        waited.then_some(Notice::Datagram(self.token(index)))
    }

    /// A receive that was made on speculation is not a failure.
    fn datagram_blocks(&mut self, index: u32, direction: Directions) -> Option<Notice> {
        let source = self.slots.source_mut(index)?;
        source.slot.readiness.clear_ready(direction);
        let most = if direction == Directions::READ {
            source.pace.try_in_vain(self.m.schedule.iterations());
            self.m.admission.failures()
        } else {
            source.pace.fail();
            SENDS
        };
        self.spend(index, direction, 0);
        self.pause_after(index, most, None);
        None
    }

    /// An error is notified, and the next event tries again. What was to be sent is given up.
    fn datagram_failed(
        &mut self,
        index: u32,
        direction: Directions,
        fault: Fault,
    ) -> Option<Notice> {
        self.spend_on_fault(index, direction, fault);
        if matches!(fault, Fault::Interrupted(_)) {
            return None;
        }
        let source = self.slots.source_mut(index)?;
        if direction == Directions::WRITE {
            source.datagrams_mut()?.unload();
        }
        let slot = &mut source.slot;
        slot.readiness.clear_ready(Directions::READ & direction);
        match fault {
            Fault::Exhausted(_) | Fault::Unknown(_) if direction == Directions::READ => {
                self.hold_back(index, fault);
            }
            Fault::Invalid(_) => slot.close_source(),
            Fault::Interrupted(_)
            | Fault::Reset(_)
            | Fault::Refused(_)
            | Fault::TimedOut(_)
            | Fault::Unreachable(_)
            | Fault::Exhausted(_)
            | Fault::Unknown(_) => {}
        }
        bump(&mut self.m.stats.datagram_faults);
        self.touch(index);
        Some(Notice::Datagram(self.token(index)))
    }

    /// An impossible completion.
    fn impossible_datagram(&mut self, index: u32) {
        let token = self.token(index);
        error!("impossible answer of the driver: {:?}", token);
        bump(&mut self.m.stats.unasked);
        self.touch(index);
    }
}
