//! Sources with priority: they go before the other fresh ones, but never two in a row while others wait.

use super::Schedule;
use crate::slot::Queued;
use crate::table::{Run, Slots};

/// What a schedule does with sources that have priority. Reached by these pointers alone, so that only a program that gives one
/// priority links it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Priority {
    pub(super) pick: fn(&mut Schedule, &mut Slots<'_>) -> Option<u32>,
    pub(super) remove: fn(&mut Schedule, &mut Slots<'_>, u32),
}

const PRIORITY: Priority = Priority {
    pick: Schedule::pick_first,
    remove: Schedule::remove_first,
};

impl Schedule {
    /// Queues a source before those without priority, unless it is being serviced or queued.
    pub(crate) fn touch_first(&mut self, slots: &mut Slots<'_>, index: u32) {
        if self.is_serving(index) || slots.at(index).queued != Queued::No {
            return;
        }
        self.priority = Some(&PRIORITY);
        slots.at_mut(index).queued = Queued::First;
        self.fresh.push_first(&mut Run(slots), index);
    }

    /// The next of the fresh, where some have priority.
    fn pick_first(&mut self, slots: &mut Slots<'_>) -> Option<u32> {
        let members = &mut Run(slots);
        let (index, served) = if self.others_next {
            (self.fresh.pop(members)?, &mut self.served.fresh)
        } else {
            (self.fresh.pop_first(members)?, &mut self.served.first)
        };
        *served = served.wrapping_add(1);
        self.others_next = !self.others_next && self.fresh.others_len() > 0;
        Some(index)
    }

    fn remove_first(&mut self, slots: &mut Slots<'_>, index: u32) {
        self.fresh.remove_first(&mut Run(slots), index);
    }
}
