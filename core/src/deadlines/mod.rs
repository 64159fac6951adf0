//! [`Deadlines`]: one deadline for each connection, in a FIFO for each class. A FIFO stays sorted by appending, because all
//! lengths of a class are equal: O(1), no ticks, and the next deadline is the least of a few heads.
//!
//! A slot carries its class, its deadline and its links; this part alone writes them while it is a connection. What its
//! state makes of a deadline that has passed is decided elsewhere. A class can be off: its queue is kept in order all the
//! same, but none of its deadlines passes.

mod classes;
#[cfg(test)]
mod tests;

use crate::config::{Class, Config};
use crate::queue::{Link, Linked, NONE};
use crate::slot::{Attempts, Slot};
use crate::table::Slots;
use crate::time::Instant;
pub(crate) use classes::restarts;
use classes::{Classes, QUEUES};

/// The deadline of a connection whose deadline has passed and that is tried once more before it is judged.
pub(crate) const LATE: Instant = Instant::ZERO;

impl Slot {
    /// Whether its deadline has passed and it tries once more.
    pub(crate) fn is_late(&self) -> bool {
        self.class.is_some() && self.deadline == LATE
    }

    /// Whether it is of this class and at this step of its wait; only congestion has steps.
    fn is_in(&self, class: Class, step: u8) -> bool {
        self.class == Some(class) && (class != Class::Congestion || self.attempts.step() == step)
    }
}

/// The slots, linked by the queue of a deadline class.
struct Linking<'a, 't>(&'a mut Slots<'t>);

impl Linked for Linking<'_, '_> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0.at_mut(index).timer
    }
}

/// Every deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    classes: Classes,
    /// Connections whose deadline is [`LATE`].
    late: u32,
    /// No deadline passes before this, and if `is_exact`, one does then; [`Instant::NEVER`]: there is none.
    first: Instant,
    is_exact: bool,
}

/// How far a search for deadlines that have passed has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    /// The queue, by its place in [`QUEUES`].
    queue: usize,
    /// The next of its members; `None`: its head, whichever that is by then.
    next: Option<u32>,
}

impl Deadlines {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            classes: Classes::new(config),
            late: 0,
            first: Instant::NEVER,
            is_exact: true,
        }
    }

    /// Gives a connection without a deadline one of this class, that starts now.
    pub(crate) fn add(&mut self, slots: &mut Slots<'_>, index: u32, class: Class, now: Instant) {
        let due = self.due(class, slots.at(index).attempts, now);
        self.add_until(slots, index, class, due);
    }

    /// Gives a connection without a deadline one of this class that passes at `due`: behind those of its class that pass
    /// before, so at the tail, unless a part of its time has passed. Work: those that pass later.
    pub(crate) fn add_until(
        &mut self,
        slots: &mut Slots<'_>,
        index: u32,
        class: Class,
        due: Instant,
    ) {
        let slot = slots.at_mut(index);
        debug_assert_eq!(slot.class, None, "a connection has one deadline");
        debug_assert_eq!(slot.timer, Link::NONE, "and stands in one queue");
        let step = slot.attempts.step();
        slot.class = Some(class);
        slot.deadline = due;
        let timed = self.classes.step_mut(class, step);
        let mut prev = timed.queue.tail();
        while prev != NONE && slots.at(prev).deadline > due {
            prev = slots.at(prev).timer.prev;
        }
        timed.queue.insert(&mut Linking(slots), index, prev);
        debug_assert!(self.is_in_order(slots, index), "a queue is sorted");
        if self.classes.of(class).is_on() {
            self.first = self.first.min(due);
        }
    }

    /// Removes the deadline of a connection, if it has one.
    pub(crate) fn remove(&mut self, slots: &mut Slots<'_>, index: u32) {
        debug_assert!(self.is_in_order(slots, index), "a queue is sorted");
        let slot = slots.at_mut(index);
        let late = slot.is_late();
        if let Some(class) = slot.class.take() {
            debug_assert!(
                self.late >= u32::from(late),
                "those that are late are counted"
            );
            self.late = self.late.saturating_sub(late.into());
            let queue = &mut (self.classes.step_mut(class, slot.attempts.step())).queue;
            let was_first = queue.head() == Some(index);
            queue.remove(&mut Linking(slots), index);
            if was_first {
                self.is_exact = false;
            }
        }
    }

    /// Has a connection whose deadline has passed try once more: it is late from now on.
    pub(crate) fn make_late(&mut self, slots: &mut Slots<'_>, index: u32) {
        let slot = slots.at_mut(index);
        debug_assert!(slot.class.is_some() && slot.deadline > LATE, "late once");
        slot.deadline = LATE;
        debug_assert!(
            self.is_in_order(slots, index),
            "those before it are late, too"
        );
        self.late = self.late.saturating_add(1);
        (self.first, self.is_exact) = (LATE, false);
    }
}

/// What has passed, and what is next.
impl Deadlines {
    /// Whether a connection is late.
    pub(crate) const fn has_late(&self) -> bool {
        self.late > 0
    }

    /// Whether a deadline may have passed.
    pub(crate) fn may_have_passed(&self, now: Instant) -> bool {
        self.first <= now
    }

    /// Begins to search for the deadlines that have passed.
    pub(crate) const fn search(&mut self) -> Passed {
        self.is_exact = false;
        Passed {
            queue: 0,
            next: None,
        }
    }

    /// The next connection whose deadline has passed, and its class, those of a class in the order in which they pass. The
    /// deadline of one that was found may be moved or removed before the next is searched for.
    pub(crate) fn next_passed(
        &self,
        slots: &Slots<'_>,
        search: &mut Passed,
        now: Instant,
    ) -> Option<(u32, Class)> {
        while let Some(&(class, step)) = QUEUES.get(search.queue) {
            let timed = self.classes.step(class, step);
            let head = timed.queue.head().unwrap_or(NONE);
            let index = search.next.unwrap_or(head);
            let slot = slots.at(index);
            if index != NONE && timed.is_on() && slot.deadline <= now {
                search.next = Some(slot.timer.next);
                return Some((index, class));
            }
            search.queue = search.queue.wrapping_add(1);
            search.next = None;
        }
        None
    }

    /// When the first deadline passes; [`Instant::NEVER`]: there is none.
    pub(crate) fn first(&self, slots: &Slots<'_>) -> Instant {
        if self.is_exact {
            debug_assert_eq!(self.first, self.least(slots), "the first deadline is known");
            self.first
        } else {
            self.least(slots)
        }
    }

    /// Finds out when the first deadline passes, unless that is known.
    pub(crate) fn find_first(&mut self, slots: &Slots<'_>) {
        if !self.is_exact {
            let first = self.least(slots);
            debug_assert!(self.first <= first, "none passes before the first");
            (self.first, self.is_exact) = (first, true);
        }
    }

    /// The least of the heads of the classes that are on.
    fn least(&self, slots: &Slots<'_>) -> Instant {
        let mut first = Instant::NEVER;
        for timed in self.classes.iter() {
            if timed.is_on()
                && let Some(index) = timed.queue.head()
            {
                first = first.min(slots.at(index).deadline);
            }
        }
        first
    }

    /// The connections of a class, with when their deadlines were set, the longest ago first. Congestion: its first step.
    pub(crate) fn longest<'a>(
        &'a self,
        slots: &'a Slots<'_>,
        class: Class,
    ) -> impl Iterator<Item = (u64, u32)> + 'a {
        let head = self.classes.of(class).queue.head();
        members(slots, head).map(move |index| (self.set_at(class, slots.at(index).deadline), index))
    }
}

/// The members of a queue from this one on.
fn members<'a>(slots: &'a Slots<'_>, first: Option<u32>) -> impl Iterator<Item = u32> + 'a {
    core::iter::successors(first, |index| {
        let next = slots.at(*index).timer.next;
        (next != NONE).then_some(next)
    })
}

/// How long the classes are.
impl Deadlines {
    /// When a deadline of this class that starts now passes. `attempts`: of congestion, how often it has been waited.
    pub(crate) fn due(&self, class: Class, attempts: Attempts, now: Instant) -> Instant {
        self.classes.step(class, attempts.step()).due(now)
    }

    /// When a deadline of this class that passes then was set, in nanoseconds since the origin.
    pub(crate) fn set_at(&self, class: Class, deadline: Instant) -> u64 {
        let whole = self.classes.of(class).due(Instant::ZERO);
        deadline.nanos_since(whole)
    }

    /// Whether a deadline of this class was set less than a granule ago, so that activity need not move it.
    pub(crate) fn is_recent(&self, class: Class, deadline: Instant, now: Instant) -> bool {
        // It was set to its length and a granule later.
        deadline > now.plus_nanos(self.length(class))
    }

    /// The length of a class in nanoseconds; one that is off has 146 years.
    pub(crate) fn length(&self, class: Class) -> u64 {
        self.classes.of(class).length
    }

    /// Whether a class is on.
    pub(crate) fn is_on(&self, class: Class) -> bool {
        self.classes.of(class).is_on()
    }

    /// Whether so many milliseconds, known to one, are longer than a class; never if it is off.
    pub(crate) fn is_longer(&self, waited_ms: u64, class: Class) -> bool {
        let timed = self.classes.of(class);
        timed.is_on() && waited_ms > timed.length.div_ceil(1_000_000)
    }

    /// Whether the wait for memory that follows this one is longer.
    pub(crate) fn grows(&self, attempts: Attempts) -> bool {
        let length = |step| self.classes.step(Class::Congestion, step).length;
        length(attempts.next_step()) > length(attempts.step())
    }
}

/// What this part believes.
impl Deadlines {
    /// Whether a connection stands between two of its own class and step, the one before it passing no later than it and the
    /// one behind it no earlier; or, without a class, in no queue.
    fn is_in_order(&self, slots: &Slots<'_>, index: u32) -> bool {
        let slot = slots.at(index);
        let Link { prev, next } = slot.timer;
        let Some(class) = slot.class else {
            return slot.timer == Link::NONE;
        };
        let step = slot.attempts.step();
        let queue = &self.classes.step(class, step).queue;
        let (before, behind) = (slots.at(prev), slots.at(next));
        let in_front = match prev {
            NONE => queue.head() == Some(index),
            _ => before.is_in(class, step) && before.deadline <= slot.deadline,
        };
        let in_back = match next {
            NONE => queue.tail() == index,
            _ => behind.is_in(class, step) && behind.deadline >= slot.deadline,
        };
        in_front && in_back
    }

    /// Whether each class holds those of it, in the order in which they pass, and the late and the first are known.
    /// `slots`: those of `all`. Work: the slots, for each queue.
    ///
    /// # Errors
    ///
    /// What does not hold, and of which slot.
    #[cfg(any(test, feature = "inspect"))]
    pub(crate) fn check(
        &self,
        slots: &Slots<'_>,
        all: impl Iterator<Item = u32> + Clone,
    ) -> Result<(), (&'static str, u32)> {
        let count = |of: &dyn Fn(&Slot) -> bool| {
            let found = all.clone().filter(|index| of(slots.at(*index)));
            u32::try_from(found.count()).unwrap_or(u32::MAX)
        };
        for (class, step) in QUEUES {
            let queue = &self.classes.step(class, step).queue;
            let most = usize::try_from(queue.len()).unwrap_or(usize::MAX);
            let mut found = 0;
            for index in members(slots, queue.head()).take(most.saturating_add(1)) {
                let slot = slots.at(index);
                if !slot.is_in(class, step) || !self.is_in_order(slots, index) {
                    return Err(("a class is sorted by deadline, and its links agree", index));
                }
                found += 1;
            }
            if found != queue.len() || found != count(&|slot| slot.is_in(class, step)) {
                return Err(("a connection of a class stands in its queue", NONE));
            }
        }
        if self.late != count(&Slot::is_late) {
            return Err(("those that are tried once more are counted", NONE));
        }
        let least = self.least(slots);
        if self.first > least || self.is_exact && self.first != least {
            return Err(("the first deadline is known", NONE));
        }
        Ok(())
    }
}

/// For images.
#[cfg(feature = "inspect")]
impl Deadlines {
    /// Every queue, each with its members in order.
    pub(crate) fn queues<'a>(
        &'a self,
        slots: &'a Slots<'_>,
    ) -> impl Iterator<Item = impl Iterator<Item = u32> + 'a> + 'a {
        QUEUES.iter().map(move |&(class, step)| {
            let head = self.classes.step(class, step).queue.head();
            members(slots, head)
        })
    }

    /// Empties the queues, and keeps their lengths.
    pub(crate) fn empty(&mut self) {
        for (class, step) in QUEUES {
            self.classes.step_mut(class, step).queue = crate::queue::Queue::EMPTY;
        }
        self.late = 0;
        (self.first, self.is_exact) = (Instant::ZERO, false);
    }

    /// Appends a connection that has a class and a deadline already to its queue.
    pub(crate) fn put_back(&mut self, slots: &mut Slots<'_>, index: u32) {
        let slot = slots.at(index);
        let Some(class) = slot.class else { return };
        self.late += u32::from(slot.is_late());
        let timed = self.classes.step_mut(class, slot.attempts.step());
        timed.queue.push(&mut Linking(slots), index);
    }

    /// A time, in nanoseconds, beyond all that a time waited or since the opening is compared with.
    pub(crate) fn beyond_every_wait(&self) -> u64 {
        let lengths = Class::ALL.map(|class| self.classes.of(class));
        let on = lengths.into_iter().filter(|timed| timed.is_on());
        let longest = on.map(|timed| timed.due(Instant::ZERO).as_nanos());
        longest.max().unwrap_or(0).saturating_add(2_000_000)
    }

    /// A time, in nanoseconds, after the opening from which on a connection is as one that was opened long ago: no class that
    /// counts from the opening is longer.
    pub(crate) fn beyond_every_opening(&self) -> u64 {
        let lengths = [Class::FirstByte, Class::Connect].map(|class| self.classes.of(class));
        let on = lengths.into_iter().filter(|timed| timed.is_on());
        on.map(|timed| timed.length).max().unwrap_or(0)
    }
}
