//! [`Schedule`]: which source is serviced next, how much it may do, and when the iteration is over.
//!
//! Two FIFOs: sources that were just reported ready are *fresh*, those that have used up a quantum are *continuing*; one that is
//! continuing comes after so many fresh ones. An iteration ends when its bytes are spent, or when all that was queued at its
//! beginning, and all that became ready in it, has been serviced once. The links lie in the slots, each in one queue at most.

#[cfg(any(test, feature = "inspect"))]
mod checks;
#[cfg(feature = "inspect")]
mod inspect;
mod priority;
mod rounds;
mod service;
mod yielding;

use crate::config::{Config, OPERATION_MIN, Windows};
use crate::output::Span;
use crate::queue::{Parted, Queue};
use crate::readiness::Directions;
use crate::slot::{Queued, Slot};
use crate::table::{Run, Slots};
#[cfg(any(test, feature = "inspect"))]
pub(crate) use checks::walk;
#[cfg(feature = "inspect")]
pub(crate) use inspect::Progress;
use priority::Priority;
pub use rounds::Round;
use rounds::Served;
use service::Service;
use yielding::Yielding;

/// The run queues, the source that is being serviced, and what the iteration has spent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// What a source may move in each direction in one service, in units of [`OPERATION_MIN`].
    quantum: u32,
    /// What all may move in one iteration, in units of [`OPERATION_MIN`].
    budget: u32,
    /// How many fresh sources go before one that is continuing.
    fresh_in_a_row: u32,
    /// Those with priority go first.
    fresh: Parted,
    continuing: Queue,
    /// A source with priority was serviced last while others of the fresh were waiting, and still are: one of them is next.
    others_next: bool,
    /// From the first source with priority on.
    priority: Option<&'static Priority>,
    served: Served,
    service: Service,
    iteration: Iteration,
    /// Iterations so far, modulo 2³².
    iterations: u32,
    yielding: Yielding,
}

/// What has been done since the kernel was last polled.
#[derive(Clone, Copy, Debug)]
struct Iteration {
    /// In units of [`OPERATION_MIN`], all sources together.
    moved: u32,
    served: u32,
    /// How many fresh ones have gone before one that is continuing, in earlier iterations, too.
    fresh: u32,
    /// How many that were continuing when the iteration began have not been serviced.
    left: u32,
    /// There was nothing more to do: what is done next is done in another iteration.
    over: bool,
}

impl Iteration {
    const FIRST: Self = Self {
        moved: 0,
        served: 0,
        fresh: 0,
        left: 0,
        over: false,
    };
}

/// How much an operation counts for: its bytes in units of [`OPERATION_MIN`], rounded up, at least one.
pub(crate) const fn units(bytes: u32) -> u32 {
    let units = bytes.div_ceil(OPERATION_MIN);
    if units == 0 { 1 } else { units }
}

impl Schedule {
    pub(crate) fn new(config: &Config, windows: Windows) -> Self {
        Self {
            quantum: units(config.quantum),
            budget: units(config.iteration_bytes),
            fresh_in_a_row: config.fresh_in_a_row,
            fresh: Parted::EMPTY,
            continuing: Queue::EMPTY,
            others_next: false,
            priority: None,
            served: Served::NOTHING,
            service: Service::NONE,
            iteration: Iteration::FIRST,
            iterations: 0,
            yielding: Yielding::new(windows),
        }
    }
}

/// The queues.
impl Schedule {
    /// Queues a source as fresh, unless it is being serviced or queued.
    #[inline]
    pub(crate) fn touch(&mut self, slots: &mut Slots<'_>, index: u32) {
        if let Some(last) = self.queue(slots.at_mut(index), index) {
            slots.at_mut(last).run.next = index;
        }
    }

    /// The same for who has the slot at hand: the source behind which it stands, whose link is to be set.
    #[inline]
    #[must_use]
    pub(crate) fn queue(&mut self, slot: &mut Slot, index: u32) -> Option<u32> {
        if slot.queued != Queued::No || self.service.is_of(index) {
            return None;
        }
        slot.queued = Queued::Fresh;
        self.fresh.append(&mut slot.run, index)
    }

    /// Queues a source that has had its quantum behind the others, unless it is queued.
    pub(crate) fn touch_last(&mut self, slots: &mut Slots<'_>, index: u32) {
        let slot = slots.at_mut(index);
        if slot.queued == Queued::No {
            slot.queued = Queued::Continuing;
            self.continuing.push(&mut Run(slots), index);
        }
    }

    /// Takes a source out of whatever queue it stands in.
    pub(crate) fn remove(&mut self, slots: &mut Slots<'_>, index: u32) {
        match slots.at(index).queued {
            Queued::No => {}
            Queued::First => {
                if let Some(priority) = self.priority {
                    (priority.remove)(self, slots, index);
                }
            }
            Queued::Fresh => {
                self.fresh.remove(&mut Run(slots), index);
                self.others_next &= self.fresh.others_len() > 0;
            }
            Queued::Continuing => self.continuing.remove(&mut Run(slots), index),
        }
    }

    /// How many sources wait.
    pub(crate) const fn waiting(&self) -> u32 {
        self.fresh.all().len().saturating_add(self.continuing.len())
    }

    /// Whether a source is queued or being serviced.
    pub(crate) const fn has_work(&self) -> bool {
        !self.fresh.is_empty() || !self.continuing.is_empty() || self.service.index().is_some()
    }
}

/// The iteration.
impl Schedule {
    /// Begins the next iteration, unless one is in progress.
    pub(crate) fn begin(&mut self) {
        if self.iteration.over {
            self.iteration = Iteration {
                fresh: self.iteration.fresh,
                ..Iteration::FIRST
            };
        }
        self.iterations = self.iterations.wrapping_add(1);
        self.iteration.left = self.continuing.len();
    }

    /// There is nothing more to do in this iteration. The count of fresh sources that have gone before one that is continuing
    /// is kept for the next, as one iteration may be used up by fewer than a row of them.
    pub(crate) const fn end(&mut self) {
        self.iteration.over = true;
        if self.continuing.is_empty() {
            self.iteration.fresh = 0;
        }
    }

    /// How many iterations there were, modulo 2³².
    pub(crate) const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The source that is being serviced, or else the next, whose service begins; `None`: the iteration is over.
    #[inline]
    pub(crate) fn next(&mut self, slots: &mut Slots<'_>) -> Option<u32> {
        if let Some(index) = self.service.index() {
            return Some(index);
        }
        let iteration = &mut self.iteration;
        if iteration.moved >= self.budget && iteration.served > 0
            || self.yielding.waits_for_poll(self.iterations)
        {
            return None;
        }
        let continues = iteration.left > 0
            && !self.continuing.is_empty()
            && (iteration.fresh >= self.fresh_in_a_row || self.fresh.is_empty());
        let index = if continues {
            iteration.fresh = 0;
            iteration.left = iteration.left.saturating_sub(1);
            self.served.continuing = self.served.continuing.wrapping_add(1);
            self.continuing.pop(&mut Run(slots))?
        } else {
            let index = if self.fresh.first_len() > 0 {
                (self.priority?.pick)(self, slots)?
            } else {
                self.others_next = false;
                let index = self.fresh.pop(&mut Run(slots))?;
                self.served.fresh = self.served.fresh.wrapping_add(1);
                index
            };
            self.iteration.fresh = self.iteration.fresh.wrapping_add(1);
            index
        };
        self.iteration.served = self.iteration.served.wrapping_add(1);
        self.service = Service::of(index);
        Some(index)
    }
}

/// The service.
impl Schedule {
    /// The source that is being serviced.
    pub(crate) const fn serving(&self) -> Option<u32> {
        self.service.index()
    }

    pub(crate) const fn is_serving(&self, index: u32) -> bool {
        self.service.is_of(index)
    }

    /// The service is over.
    #[inline]
    pub(crate) const fn end_service(&mut self) {
        self.service = Service::NONE;
    }

    /// Whether the serviced source may receive, or accept: its quantum is not used up, and it does not yield.
    pub(crate) const fn may_receive(&self) -> bool {
        self.service.may_receive(self.quantum)
    }

    /// Whether the serviced source may send: its quantum is not used up.
    pub(crate) const fn may_send(&self) -> bool {
        self.service.may_send(self.quantum)
    }

    /// Charges an operation to the iteration's budget and, if `index` is the source being serviced, to its quantum; whether it
    /// is. To the iteration, a send after a receive of the same service counts by its bytes alone: a small request and its
    /// reply are one small exchange, and with 64 of them a poll of the kernel is due.
    #[inline]
    pub(crate) fn charge(&mut self, index: u32, direction: Directions, bytes: u32) -> bool {
        let serviced = self.service.is_of(index);
        let counted = if serviced {
            self.service.charge(direction, bytes)
        } else {
            units(bytes)
        };
        // An iteration ends soon after its budget.
        self.iteration.moved = self.iteration.moved.wrapping_add(counted);
        serviced
    }

    /// What an interrupted operation counts for, in bytes: sixteen of them use a quantum up.
    pub(crate) const fn cost_of_interruption(&self) -> u32 {
        self.quantum.div_ceil(16).saturating_mul(OPERATION_MIN)
    }
}

/// Sources whose handlers fill the send buffers of others; see [`yielding`].
impl Schedule {
    /// Whether so many bytes in a send buffer are past the threshold.
    pub(crate) const fn is_filled(&self, end: u32) -> bool {
        end > self.yielding.threshold()
    }

    /// The serviced source has filled the send buffer of another connection: it receives no more in this service, and a send of
    /// the other is due before anything else.
    pub(crate) const fn fill(&mut self, index: u32) {
        self.service.yields();
        self.yielding.bound();
        self.yielding.add(index);
    }

    /// What was queued behind a send of a filled connection fills its buffer, too.
    pub(crate) const fn fill_again(&mut self, index: u32) {
        self.yielding.add(index);
    }

    /// Whether a send of a filled connection may be due.
    pub(crate) const fn has_filled(&self) -> bool {
        self.yielding.is_due()
    }

    /// A connection that may be filled, of those that have not been named since.
    pub(crate) const fn next_filled(&mut self) -> Option<u32> {
        self.yielding.next()
    }

    /// A send of a filled connection is in flight; `more`: it was not known as one.
    pub(crate) const fn flushes(&mut self, more: bool) {
        self.yielding.flushes(self.iterations, more);
    }

    /// A send of a filled connection has completed.
    pub(crate) const fn flushed(&mut self) {
        self.yielding.flushed();
    }

    /// The part of a receive that may be filled, behind `left` bytes that the handler has left.
    #[inline]
    pub(crate) const fn bounded(&self, into: Span, left: u32) -> Span {
        self.yielding.bounded(into, left)
    }
}

/// For images.
#[cfg(feature = "inspect")]
impl Schedule {
    /// The fresh, those with priority first, and the continuing.
    pub(crate) const fn queues(&self) -> [&Queue; 2] {
        [self.fresh.all(), &self.continuing]
    }
}
