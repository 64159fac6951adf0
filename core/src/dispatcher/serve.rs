//! Outputs, derived from a slot's bits when they are pulled.

use super::{Dispatcher, Issued, Machine};
use crate::config::{Class, Windows};
use crate::event::{Fault, Op};
use crate::output::{Action, Reason};
use crate::readiness::Directions;
use crate::slot::{Call, Flags, Slot, State};
use crate::token::{LISTENER_BIT, Token};

/// How long a connection without a deadline for its first byte counts as just made, in nanoseconds: 10 s.
const FRESH: u64 = 10_000_000_000;

impl Machine {
    /// Ends the service of a connection that rests; whether its deadline is to be restarted, `None` if it does not rest. Most
    /// end here: nothing is to be armed or called, the class of the deadline is the same, no stop waits for it, and no
    /// listener for a connection that can be evicted.
    #[inline]
    pub(super) fn end_at_rest(&mut self, slot: &mut Slot) -> Option<bool> {
        if !slot.rests() || self.stopping.is_requested() || self.admission.waits_for_idle() {
            return None;
        }
        let active = slot.flags.has(Flags::HEARD.or(Flags::TAKEN));
        slot.flags.clear(Flags::ACTIVITY);
        self.schedule.end_service();
        Some(active && !(self.deadlines).is_recent(Class::Idle, slot.deadline, self.now))
    }
}

impl Dispatcher<'_> {
    /// What the driver shall do for this source next; `None`: its service is over.
    #[inline]
    pub(super) fn next_output(&mut self, index: u32) -> Option<Action> {
        let m = &mut *self.m;
        let windows = m.windows;
        let slot = self.slots.at_mut(index);
        let issue = slot.readiness.issue(slot.wanted(windows));
        // One that is being connected wants to know that it is; what is no connection moves nothing here.
        if !issue.is_empty() && slot.state() != State::Connecting {
            let sends = issue.contains(Directions::WRITE) && m.schedule.may_send();
            let receives = issue.contains(Directions::READ) && m.schedule.may_receive();
            let token = Token::new(index, slot.generation);
            // Receive on before sending, each up to its quantum: sends are what costs, so input is gathered while there
            // is capacity for the reply, and a send takes all of it.
            if receives && (!sends || slot.capacity(windows, false) > 0) {
                slot.readiness.begin(Directions::READ);
                let into = (m.schedule).bounded(slot.receive_span(windows), slot.rx.len());
                m.issued = Issued {
                    token,
                    op: Op::Recv,
                };
                return Some(Action::Recv { token, into });
            }
            if sends {
                slot.readiness.begin(Directions::WRITE);
                let from = slot.send_span();
                m.issued = Issued {
                    token,
                    op: Op::Send,
                };
                return Some(Action::Send { token, from });
            }
        } else if let Some(restarts) = m.end_at_rest(slot) {
            if restarts {
                self.restart(index, Class::Idle);
            }
            return None;
        }
        let mut action = None;
        self.next_step(index, &mut action);
        action
    }

    /// What a source needs when nothing moves: an accept, a call, the next step of its end, or a notice.
    // Not returned, so that a transfer need not lie in memory either.
    #[inline(never)]
    fn next_step(&mut self, index: u32, into: &mut Option<Action>) {
        self.progress(index);
        let action = match self.slots.at(index).state() {
            State::Connecting => (self.next_attempt(index)).or_else(|| self.rearm(index, true)),
            State::Open
            | State::HalfClosing
            | State::HalfClosed
            | State::Finishing
            | State::Lingering => self.call(index).or_else(|| self.rearm(index, true)),
            State::Listening => self.accept(index).or_else(|| {
                let admits = self.admits(index);
                self.rearm(index, admits)
            }),
            State::Watching => self.rearm(index, true),
            State::Datagrams => (self.next_datagram(index)).or_else(|| self.rearm(index, true)),
            State::Closing | State::Cancelling => self.close(index),
            State::Free | State::Reserved | State::Retired => None,
        };
        self.m.issued = match action.and_then(|action| action.operation()) {
            Some((token, op)) => Issued { token, op },
            None => {
                self.leave(index);
                Issued::NOTHING
            }
        };
        *into = action;
    }

    /// Takes the steps of a state that need no completion.
    fn progress(&mut self, index: u32) {
        let windows = self.m.windows;
        let slot = self.slots.at(index);
        match slot.state() {
            State::Connecting => self.give_up_to_stop(index),
            State::Open | State::HalfClosing | State::HalfClosed => {
                if slot.is_stuck(windows) {
                    self.warn_too_long(index);
                    self.begin_close(index, Reason::TooLong);
                } else if self.gives_up_suspect(index) {
                    self.begin_close(index, Reason::Failed(Fault::Reset(0)));
                } else if !self.finishes_to_stop(index) && self.slots.at(index).is_complete() {
                    match self.slots.at(index).reason {
                        // It had hung up.
                        Some(reason) => self.begin_close(index, reason),
                        None => {
                            self.finish_at(index);
                            self.finish_early(index);
                        }
                    }
                }
            }
            State::Finishing => self.finish_early(index),
            State::Lingering => {
                if slot.flags.has(Flags::ENDED) {
                    self.begin_close(index, Reason::Finished);
                }
            }
            State::Free
            | State::Reserved
            | State::Closing
            | State::Cancelling
            | State::Listening
            | State::Watching
            | State::Datagrams
            | State::Retired => {}
        }
    }

    /// A message that the windows are too small for is the application's to know: with the sizes.
    fn warn_too_long(&mut self, index: u32) {
        if let Some(more) = self.m.long_warning.due(self.m.now) {
            let held = self.slots.at(index).rx.len();
            let Windows { receive, send } = self.m.windows;
            warn!(
                "closed, message too long: {} bytes fill the receive window of {}, and the handler took none with the send window of {} empty ({} more times since the last such line)",
                held, receive, send, more
            );
        }
    }

    /// Whether its peer is in the middle of a message, or may be about to send for the first time, so that a stop
    /// leaves it the chance to. In the middle it is while something is left unconsumed. About to send it is while the
    /// deadline for the first byte runs; where that is off, peers that only listen are usual, and it is for [`FRESH`]
    /// after the connection was opened.
    pub(super) fn is_speaking(&self, index: u32) -> bool {
        let slot = self.slots.at(index);
        if slot.flags.has(Flags::ENDED) {
            return false;
        }
        if slot.flags.has(Flags::SPOKEN) {
            return !slot.rx.is_empty() && !slot.flags.has(Flags::PAUSED);
        }
        self.m.deadlines.is_on(Class::FirstByte) || self.is_fresh(index)
    }

    /// Whether it was opened less than [`FRESH`] ago.
    pub(super) fn is_fresh(&self, index: u32) -> bool {
        self.m.now.nanos_since(self.records.at(index).opened_at) < FRESH
    }

    /// After the peer's FIN nothing is gained by sending ours and waiting: closing does both.
    pub(super) fn finish_early(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if slot.flags.has(Flags::ENDED)
            && slot.tx.is_empty()
            && !slot.readiness.is_in_flight(Directions::WRITE)
        {
            let reason = slot.reason.unwrap_or(Reason::PeerFinished);
            self.begin_close(index, reason);
        }
    }

    /// The calls that move no bytes: one at a time.
    fn call(&mut self, index: u32) -> Option<Action> {
        if self.slots.at(index).call.is_some() {
            return None;
        }
        if let Some(action) = self.query(index) {
            return Some(action);
        }
        let slot = self.slots.at_mut(index);
        let flushed = slot.tx.is_empty() && !slot.readiness.is_in_flight(Directions::WRITE);
        if flushed && matches!(slot.state(), State::HalfClosing | State::Finishing) {
            slot.flags.clear(Flags::CHECKED);
            slot.call = Some(Call::Shutdown);
            let token = Token::new(index, slot.generation);
            return Some(Action::Shutdown { token });
        }
        None
    }

    /// Arms what is awaited and not armed; disarms what was reported and not wanted.
    fn rearm(&mut self, index: u32, admits: bool) -> Option<Action> {
        let trigger = self.trigger_of(index);
        let wanted = self.wanted_by(index, admits);
        let slot = self.slots.at_mut(index);
        let unwanted = slot.flags.has(Flags::UNWANTED);
        slot.flags.clear(Flags::UNWANTED);
        if slot.hears() && !wanted.is_empty() && slot.call.is_none() {
            slot.flags.clear(Flags::CHECKED);
        }
        let wanted = slot.interest(wanted);
        let (was, now) = slot.readiness.rearm(trigger, wanted, unwanted)?;
        Some(Action::Arm {
            token: Token::new(index, slot.generation),
            was,
            now,
            trigger,
        })
    }

    /// What a source could use now. `admits`: a listener may take a connection, or apply the policy instead.
    pub(super) fn wanted_by(&self, index: u32, admits: bool) -> Directions {
        if index & LISTENER_BIT == 0 {
            return self.slots.at(index).wanted(self.m.windows);
        }
        let source = self.slots.source(index);
        source.map_or(Directions::NONE, |source| source.wanted(admits))
    }

    /// Joins what is in flight, removes what is registered, closes.
    fn close(&mut self, index: u32) -> Option<Action> {
        let trigger = self.trigger_of(index);
        let slot = self.slots.at_mut(index);
        let token = Token::new(index, slot.generation);
        if slot.call == Some(Call::Close) {
            return None;
        }
        if !slot.readiness.in_flight().is_empty() || slot.call.is_some() {
            return slot.cancel().then_some(Action::Cancel { token });
        }
        if let Some(was) = slot.readiness.disarm() {
            return Some(Action::Arm {
                token,
                was,
                now: Directions::NONE,
                trigger,
            });
        }
        slot.call = Some(Call::Close);
        let reset = slot.flags.has(Flags::RESET);
        Some(Action::Close { token, reset })
    }
}
