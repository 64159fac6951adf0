//! What must hold of the queues between two calls.

use super::Schedule;
use crate::queue::{Link, NONE, Queue};
use crate::slot::{Queued, Slot};
use crate::table::Slots;

/// What does not hold, and of which source.
type Held = Result<(), (&'static str, u32)>;

fn hold(condition: bool, law: &'static str, index: u32) -> Held {
    if condition { Ok(()) } else { Err((law, index)) }
}

impl Schedule {
    /// Whether each slot is in at most one queue, and knows in which. `all`: every slot.
    pub(crate) fn check(&self, slots: &Slots<'_>, all: impl Iterator<Item = u32> + Clone) -> Held {
        let mut before = Queued::First;
        walk(slots, self.fresh.all(), |index, slot| {
            let goes_first = slot.queued == Queued::First && before == Queued::First;
            before = slot.queued;
            hold(
                goes_first || slot.queued == Queued::Fresh,
                "those with priority are before the other fresh",
                index,
            )
        })?;
        walk(slots, &self.continuing, |index, slot| {
            let knows = slot.queued == Queued::Continuing;
            hold(knows, "a slot knows its run queue", index)
        })?;
        hold(
            !self.others_next || self.fresh.others_len() > 0,
            "only those that wait are next",
            NONE,
        )?;
        for (queued, len) in [
            (Queued::First, self.fresh.first_len()),
            (Queued::Fresh, self.fresh.others_len()),
            (Queued::Continuing, self.continuing.len()),
        ] {
            let marked = all
                .clone()
                .filter(|index| slots.at(*index).queued == queued);
            hold(
                marked.count() == len as usize,
                "what is marked as queued is queued",
                NONE,
            )?;
        }
        let flushed = all.filter(|index| slots.at(*index).attempts.is_flushed());
        hold(
            flushed.count() == self.yielding.in_flight() as usize,
            "sends of filled connections are counted",
            NONE,
        )
    }

    /// How many of the fresh have priority, how many have none, and how many are continuing.
    #[cfg(test)]
    pub(crate) const fn lengths(&self) -> [u32; 3] {
        let fresh = &self.fresh;
        [fresh.first_len(), fresh.others_len(), self.continuing.len()]
    }
}

/// Walks the members of a queue of slots from its head on; their links agree, and `each` holds of them.
pub(crate) fn walk(
    slots: &Slots<'_>,
    queue: &Queue,
    mut each: impl FnMut(u32, &Slot) -> Held,
) -> Held {
    let (mut before, mut next, mut members) = (NONE, queue.head().unwrap_or(NONE), 0u32);
    while next != NONE {
        let slot = slots.at(next);
        let Link { prev, next: behind } = slot.run;
        hold(prev == before, "links agree", next)?;
        hold(members < queue.len(), "a queue is as long as it says", next)?;
        each(next, slot)?;
        members = members.saturating_add(1);
        (before, next) = (next, behind);
    }
    hold(
        members == queue.len(),
        "a queue is as long as it says",
        before,
    )
}
