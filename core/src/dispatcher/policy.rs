//! What a full table does for a connection that waits, if it is not to wait: the listener refuses it, or evicts another.

use super::Dispatcher;
use crate::config::FullTable;
use crate::event::Outcome;
use crate::output::{Action, Reason};
use crate::readiness::Directions;
use crate::slot::Call;
use crate::stats::bump;

/// The functions of a policy. Reached by these pointers alone, so that only a program that has it links it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    /// Whether a listener may accept although there is no slot.
    pub(super) admits: fn(&Dispatcher<'_>, u32) -> bool,
    pub(super) make_room: fn(&mut Dispatcher<'_>, u32) -> Option<Action>,
    pub(super) refused: fn(&mut Dispatcher<'_>, u32, &Outcome),
}

const REFUSE: Policy = Policy {
    admits: |_, _| true,
    make_room: |machine, listener| machine.refuse(listener),
    refused: |machine, listener, outcome| machine.has_refused(listener, outcome),
};

const EVICT: Policy = Policy {
    admits: |machine, listener| {
        !machine.m.admission.is_evicting() && machine.victim(listener).is_some()
    },
    make_room: |machine, listener| machine.evict(listener),
    refused: |_, _, _| {},
};

impl Policy {
    /// That of a configuration; `None`: who comes waits.
    pub(super) const fn of(full: FullTable) -> Option<&'static Self> {
        match full {
            FullTable::Wait => None,
            FullTable::Refuse => Some(&REFUSE),
            FullTable::Evict | FullTable::EvictHalfClosed => Some(&EVICT),
        }
    }
}

impl Dispatcher<'_> {
    fn refuse(&mut self, index: u32) -> Option<Action> {
        let listener = self.token(index);
        let slot = self.slots.at_mut(index);
        slot.readiness.begin(Directions::READ);
        slot.call = Some(Call::Refuse);
        Some(Action::Refuse { listener })
    }

    /// The completion of `Refuse`.
    pub(super) fn refused(&mut self, index: u32, outcome: &Outcome) {
        if let Some(policy) = self.m.policy {
            (policy.refused)(self, index, outcome);
        }
    }

    fn has_refused(&mut self, index: u32, outcome: &Outcome) {
        self.slots.at_mut(index).call = None;
        if let Outcome::Complete(_) | Outcome::Accepted(_) = *outcome {
            bump(&mut self.m.stats.refused_full);
        }
        self.tried(index, outcome);
    }

    fn evict(&mut self, listener: u32) -> Option<Action> {
        if let Some(victim) = self.victim(listener) {
            self.m.admission.set_evicting(true);
            self.begin_close(victim, Reason::Evicted);
        }
        self.m.admission.starve();
        None
    }
}
