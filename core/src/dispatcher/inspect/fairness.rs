//! Which sources wait to be serviced, and how many were: for the law of fairness.

use super::Dispatcher;
use crate::queue::NONE;
use crate::slot::Queued;
use crate::token::Token;

/// The run queues, in this order: the fresh that have priority, the other fresh, the continuing.
pub const RUN_QUEUES: [&str; 3] = ["first", "fresh", "continuing"];

impl Dispatcher<'_> {
    /// The sources that wait, each with its queue as an index in [`RUN_QUEUES`]; those of one queue in their order.
    pub fn waiting(&self) -> impl Iterator<Item = (Token, usize)> + '_ {
        let members = |head: Option<u32>| {
            core::iter::successors(head, |index| {
                let next = self.slots.at(*index).run.next;
                (next != NONE).then_some(next)
            })
        };
        let queues = self.m.schedule.queues();
        let indices = queues
            .into_iter()
            .flat_map(move |queue| members(queue.head()));
        indices.filter_map(|index| {
            let queue = match self.slots.at(index).queued {
                Queued::No => return None,
                Queued::First => 0,
                Queued::Fresh => 1,
                Queued::Continuing => 2,
            };
            Some((self.token(index), queue))
        })
    }

    /// How many were ever serviced from each of the [`RUN_QUEUES`], modulo 2³².
    #[must_use]
    pub fn services(&self) -> [u32; 3] {
        self.m.schedule.services()
    }

    /// How many iterations were begun, modulo 2³².
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.m.schedule.iterations()
    }

    /// [`Config::fresh_in_a_row`](crate::Config::fresh_in_a_row).
    #[must_use]
    pub fn fresh_in_a_row(&self) -> u32 {
        self.m.schedule.fresh_in_a_row()
    }
}
