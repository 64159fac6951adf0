//! What a schedule knows beside its queues, for images of a machine (feature `inspect`).

use super::{Iteration, Schedule, Service, Yielding};
use crate::config::Windows;
use crate::queue::{Parted, Queue};
use crate::slot::Queued;
use crate::table::{Run, Slots};

/// All that bears on what comes next, each number at most as large as what it is compared with.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    /// What the serviced source has received and sent, and whether it yields.
    pub(crate) spent: (u32, u32, bool),
    /// Receives are bounded, as some handler has filled a send buffer.
    pub(crate) bounds: bool,
    /// The iteration waits for the send of a filled connection.
    pub(crate) waits_for_poll: bool,
    /// An iteration is in progress: what it has moved, whether it has serviced a source, and how many that were continuing are
    /// left. Nothing otherwise.
    pub(crate) iteration: Option<(u32, u32, u32)>,
    /// How many fresh ones have gone before one that is continuing.
    pub(crate) fresh: u32,
}

impl Schedule {
    /// `goes_on`: an iteration is in progress, and has outputs; `outputs`: something waits.
    pub(crate) fn progress(&self, goes_on: bool, outputs: bool) -> Progress {
        let Iteration {
            moved,
            served,
            fresh,
            left,
            over: _,
        } = self.iteration;
        let over = moved >= self.budget && served > 0;
        // A continuing source waits in one iteration for what was done in another. If none waits, none is serviced before the next
        // iteration is over; where one fresh source is a row, the count is as long as a row then, whatever it was, or is reset.
        let single = self.fresh_in_a_row <= 1 && !goes_on && self.continuing.is_empty();
        let fresh = if outputs && !single { fresh } else { 0 };
        let left = if over { 0 } else { left };
        let left = left.min(self.continuing.len());
        let iteration = (moved.min(self.budget), served.min(1), left);
        Progress {
            spent: self.service.spent(self.quantum),
            bounds: self.yielding.is_bounding(),
            waits_for_poll: self.yielding.waits_for_poll(self.iterations),
            iteration: goes_on.then_some(iteration),
            fresh: fresh.min(self.fresh_in_a_row),
        }
    }

    /// How many were ever serviced: of the fresh with priority, of the other fresh, of the continuing.
    pub(crate) const fn services(&self) -> [u32; 3] {
        [self.served.first, self.served.fresh, self.served.continuing]
    }

    pub(crate) const fn fresh_in_a_row(&self) -> u32 {
        self.fresh_in_a_row
    }

    /// Empties the queues, and puts back what was known.
    pub(crate) fn put_back(&mut self, windows: Windows, progress: Progress, serving: Option<u32>) {
        let (moved, served, left) = progress.iteration.unwrap_or((0, 0, 0));
        self.fresh = Parted::EMPTY;
        self.continuing = Queue::EMPTY;
        self.others_next = false;
        self.service = Service::put_back(serving, progress.spent);
        self.iteration = Iteration {
            moved,
            served,
            fresh: progress.fresh,
            left,
            over: progress.iteration.is_none(),
        };
        self.yielding = Yielding::new(windows);
        if progress.bounds {
            self.yielding.bound();
        }
    }

    /// A connection whose send of a filled buffer is in flight.
    pub(crate) fn put_flushed(&mut self, waits_for_poll: bool) {
        let iteration = self.iterations.wrapping_sub(u32::from(!waits_for_poll));
        self.yielding.flushes(iteration, true);
    }

    /// Queues a source of an image.
    pub(crate) fn put(&mut self, slots: &mut Slots<'_>, index: u32, queued: Queued) {
        slots.at_mut(index).queued = queued;
        match queued {
            Queued::No => {}
            Queued::First | Queued::Fresh => self.fresh.push(&mut Run(slots), index),
            Queued::Continuing => self.continuing.push(&mut Run(slots), index),
        }
    }
}
