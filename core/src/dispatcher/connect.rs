//! Outbound connections: a slot is taken at the application's request, and the driver connects.

use super::Dispatcher;
use crate::destination::Destination;
use crate::event::{Fault, Op, Outcome};
use crate::ignored::Ignored;
use crate::on_demand::on_demand;
use crate::output::{Action, Notice, Reason};
use crate::queue::NONE;
use crate::readiness::Directions;
use crate::record::Record;
use crate::slot::{Attempts, Call, Flags, State};
use crate::stats::bump;
use crate::token::Token;
use crate::unavailable::Unavailable;

on_demand! { Dispatcher[m.outbound];
    /// The next attempt, if one is due.
    pub(super) fn next_attempt[&mut](index: u32) -> Option<Action> = attempt;
    /// The completion of `Connect`.
    pub(super) fn connected[&mut](index: u32, outcome: Outcome) -> Option<Notice> = attempted;
    /// A stop begins: only pairs whose first exchange is in progress are spared from here on. Work: every connection,
    /// if one was ever made.
    pub(super) fn keep_unanswered_pairs[&mut]() = forget_answered;
    /// Whether it is one of a pair that a stop spares.
    pub(super) fn is_spared[&](index: u32) -> bool = has_other;
    /// It ends: the other of its pair is not spared any more.
    pub(super) fn leave_pair[&mut](index: u32) = wake_other;
}

impl Dispatcher<'_> {
    /// Takes a slot for a connection to `to`, on behalf of the connection `origin` if there is one. Its result is
    /// notified once: `Opened`, and `Closed` when it ends; or `Closed` alone. Until then nothing can be sent to it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: nothing was begun, and there will be no notice.
    pub fn connect(
        &mut self,
        to: Destination,
        origin: Option<Token>,
    ) -> Result<Token, Unavailable> {
        if self.is_stopping() && !origin.is_some_and(|origin| self.may_connect_for(origin)) {
            return Err(Unavailable::Stopping);
        }
        let capacity = self.m.admission.capacity();
        let full = Unavailable::Connections { capacity };
        // No listener has this index: what is reserved for one is not for us.
        let free = self
            .has_free(NONE)
            .then(|| self.take_slot(State::Connecting));
        let index = free.flatten().ok_or(full)?;
        *self.records.at_mut(index) = Record::connecting(to, origin);
        (self.slots.at_mut(index).readiness).set_ready(Directions::BOTH);
        self.may_connect();
        let token = self.token(index);
        if let Some(origin) = origin {
            self.pair(origin, token);
        }
        // In the service in which its slot came free it has been serviced: an application that repeatedly connects
        // without success waits for the others each time.
        if self.m.schedule.is_serving(index) {
            self.m.schedule.end_service();
        }
        self.touch(index);
        Ok(token)
    }

    /// There may be outbound connections.
    pub(super) const fn may_connect(&mut self) {
        self.m.outbound = Some(&FUNCTIONS);
    }

    /// The destination of a connection, for the driver ([`Action::Connect`]).
    #[must_use]
    pub fn destination(&self, token: Token) -> Option<Destination> {
        let index = self.connection(token)?;
        self.records.at(index).destination()
    }

    fn attempt(&mut self, index: u32) -> Option<Action> {
        let windows = self.m.windows;
        let may_send = self.m.schedule.may_send();
        let slot = self.slots.at_mut(index);
        let issue = slot.readiness.issue(slot.wanted(windows));
        if issue.is_empty() || !may_send {
            return None;
        }
        slot.call = Some(Call::Connect);
        let token = Token::new(index, slot.generation);
        // The time begins with the first attempt: the clock may have stood still since long before the request.
        let record = self.records.at_mut(index);
        record.opened_at = record.opened_at.min(self.m.now);
        Some(Action::Connect { token })
    }

    /// If it was being closed meanwhile, that goes on now.
    fn attempted(&mut self, index: u32, outcome: Outcome) -> Option<Notice> {
        let slot = self.slots.at_mut(index);
        slot.call = None;
        if slot.state() != State::Connecting {
            self.touch(index);
            return None;
        }
        match outcome {
            Outcome::Complete(ignored) => {
                return Some(self.open_outbound(index, Ignored::of_bits(ignored)));
            }
            Outcome::Drained(_) => {
                slot.readiness.clear_ready(Directions::WRITE);
                self.moved_nothing(index, Directions::WRITE);
                self.spend(index, Directions::WRITE, 0);
            }
            Outcome::Failed(fault) => {
                // Once the connect is in progress, resource exhaustion is its result.
                let begun = !slot.readiness.registered().is_empty();
                self.spend_on_fault(index, Directions::WRITE, fault);
                match fault {
                    Fault::Interrupted(_) => {}
                    Fault::Exhausted(_) if !begun => {
                        self.slots.at_mut(index).flags.set(Flags::CONGESTED);
                    }
                    Fault::Exhausted(_)
                    | Fault::Reset(_)
                    | Fault::Refused(_)
                    | Fault::TimedOut(_)
                    | Fault::Unreachable(_)
                    | Fault::Invalid(_)
                    | Fault::Unknown(_) => self.begin_close(index, Reason::Failed(fault)),
                }
            }
            Outcome::Accepted(_) | Outcome::Datagram { .. } => {
                self.impossible(index, Op::Connect);
                return None;
            }
        }
        self.touch(index);
        None
    }

    /// `ignored`: of a device, the settings that its driver did not take.
    fn open_outbound(&mut self, index: u32, ignored: Ignored) -> Notice {
        self.spend(index, Directions::WRITE, 0);
        let record = self.records.at_mut(index);
        record.stalled_at = self.m.now.wrapping_millis();
        record.set_ignored(ignored);
        let (directions, ignored) = (record.directions(), record.ignored());
        let slot = self.slots.at_mut(index);
        slot.attempts = Attempts::NONE;
        // What goes one way is as what goes both when the other way is at its end.
        slot.connect(directions);
        let token = Token::new(index, slot.generation);
        bump(&mut self.m.stats.connected);
        self.m.stats.open = self.m.stats.open.saturating_add(1);
        self.m.stats.peak = self.m.stats.peak.max(self.m.stats.open);
        debug!("connected: {:?}", token);
        for name in ignored.names() {
            warn!("{:?}: the driver ignores this setting: {}", token, name);
        }
        self.touch(index);
        Notice::Opened(token)
    }
}
