//! Completions of `Unsent`: how much the peer has not acknowledged, whether it can still be sent to, whether it has
//! failed.

use super::super::Dispatcher;
use super::waited;
use crate::config::Class;
use crate::event::{Fault, Outcome};
use crate::output::Reason;
use crate::readiness::Trigger;
use crate::slot::{Flags, Slot};

/// The pending query. While something is in flight its kind stays known; then a stall is queried one stall later.
impl Slot {
    /// Output has stalled: how much has the peer not acknowledged?
    pub(in crate::dispatcher) fn ask_about_stall(&mut self) {
        self.flags.set(Flags::PROBE);
        if self.call.is_none() {
            self.flags.set(Flags::STALLS);
        }
    }

    /// The peer has ended: can it still be sent to?
    pub(in crate::dispatcher) fn ask_about_end(&mut self) {
        self.forget_question();
        self.flags.set(Flags::PROBE);
    }

    /// Drops the pending query.
    pub(in crate::dispatcher) fn forget_question(&mut self) {
        self.flags.clear(Flags::PROBE);
        if self.call.is_none() {
            self.flags.clear(Flags::STALLS);
        }
    }
}

impl Dispatcher<'_> {
    /// How much the peer has not acknowledged, queried at the end of a write stall: if it took something since the last
    /// query, the time runs once more. So it does if the peer took nothing but lives, until nothing has been taken for
    /// as long as a connection may be idle.
    pub(in crate::dispatcher) fn measured(&mut self, index: u32, outcome: &Outcome) {
        let slot = self.slots.at_mut(index);
        if slot.flags.has(Flags::CHECKED) {
            return self.checked(index, outcome);
        }
        let stalls = slot.flags.has(Flags::STALLS);
        slot.call = None;
        self.touch(index);
        if !stalls {
            return self.hung_up(index, outcome);
        }
        let slot = self.slots.at_mut(index);
        slot.flags.clear(Flags::STALLS);
        if slot.tx.is_empty() {
            return self.hung_up(index, outcome);
        }
        let now = self.m.now;
        let moved = slot.flags.has(Flags::TAKEN);
        let stall = self.m.deadlines.length(Class::WriteStall);
        let record = self.records.at_mut(index);
        if moved || waited(record, now) < stall / 1_000_000 {
            // The kernel has taken some since the query.
            return;
        }
        if let Outcome::Complete(unsent) | Outcome::Drained(unsent) = *outcome {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "modulo 2^32 is what is wanted"
            )]
            let acknowledged = (record.bytes_out as u32).wrapping_sub(unsent);
            if record.acknowledged != acknowledged {
                record.acknowledged = acknowledged;
                record.stalled_at = now.wrapping_millis();
                self.slots.at_mut(index).flags.clear(Flags::PROBE);
                return;
            }
        }
        let class = if self.slots.at(index).class == Some(Class::Congestion) {
            Class::Congestion
        } else if let Outcome::Drained(_) = *outcome {
            if !self.m.deadlines.is_longer(waited(record, now), Class::Idle) {
                self.slots.at_mut(index).flags.clear(Flags::PROBE);
                return;
            }
            Class::Idle
        } else {
            Class::WriteStall
        };
        self.begin_close(index, Reason::Deadline(class));
    }

    /// The result of the query whether a connection whose peer has sent FIN can still send. If it cannot, that counts
    /// as our FIN: it is closed once the application has consumed all that came, whether or not it finishes it.
    fn hung_up(&mut self, index: u32, outcome: &Outcome) {
        let slot = self.slots.at_mut(index);
        let Outcome::Failed(fault) = *outcome else {
            return;
        };
        if !slot.may_have_hung_up() {
            return;
        }
        match fault {
            // The peer has ended in order, and receives no more.
            Fault::Refused(_) => {}
            Fault::Reset(_) | Fault::TimedOut(_) | Fault::Unreachable(_) => {
                slot.reason = Some(Reason::Failed(fault));
            }
            // The query failed.
            Fault::Interrupted(_) | Fault::Exhausted(_) | Fault::Invalid(_) | Fault::Unknown(_) => {
                return;
            }
        }
        slot.lose_peer();
    }

    /// The result of the query whether a connection without transfers has failed, made after a hang-up. If it has not,
    /// and events come by level, the hang-up is ignored from now on: it lasts, and means that both sides have sent FIN.
    fn checked(&mut self, index: u32, outcome: &Outcome) {
        let edge = self.m.trigger == Trigger::Edge;
        let slot = self.slots.at_mut(index);
        slot.call = None;
        if !slot.hears() || edge {
            slot.flags.clear(Flags::CHECKED);
        }
        self.touch(index);
        let Outcome::Failed(fault) = *outcome else {
            return;
        };
        match fault {
            Fault::Interrupted(_) | Fault::Exhausted(_) => {}
            // The peer has ended in order, and receives no more: what it sent before that is still to be had.
            Fault::Refused(_) => self.hung_up(index, outcome),
            Fault::Reset(_)
            | Fault::TimedOut(_)
            | Fault::Unreachable(_)
            | Fault::Invalid(_)
            | Fault::Unknown(_) => self.begin_close(index, Reason::Failed(fault)),
        }
    }
}
