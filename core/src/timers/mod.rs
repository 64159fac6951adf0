//! [`Timers`]: the application's timers, one for each connection and free ones, in one heap.
//!
//! They are exact: none fires early, and none is left out. There are no ticks. Those that are due together fire in the
//! order in which they were set.

mod heap;
#[cfg(test)]
mod tests;

use crate::on_demand::on_demand;
use crate::time::Instant;
use crate::unavailable::{Unavailable, count};
pub(crate) use heap::Timer;

/// Timers fired in one iteration. One that is set while they fire waits for the next iteration, even if it is due at
/// once: so a handler that sets a timer of no length in its timer does not keep the connections waiting.
const FIRED: u32 = 64;

/// A timer that has fired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fired {
    /// That of the connection of this index; it is not set any more.
    Connection(u32),
    /// A free one, after so many periods; 1 if it is one-shot.
    Free { timer: u32, periods: u64 },
}

on_demand! { Timers[known.functions];
    /// The next timer that fires; `None`: no more in this iteration. In the order in which they are due, and those that are
    /// due together in the order in which they were set.
    pub(crate) fn poll[&mut](now: Instant) -> Option<Fired> = poll_set;
    /// When the next timer is due; `None`: none is set, or it is due [never](Instant::NEVER).
    pub(crate) fn next[&]() -> Option<Instant> = next_set;
    /// Removes the timer of this number, if it is set.
    fn cancel_set[&mut](number: u32) = take_out;
}

/// A free timer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Free {
    timer: Timer,
    /// The length of a period in nanoseconds; 0: one-shot.
    period: u64,
}

impl Free {
    const NONE: Self = Self {
        timer: Timer::NONE,
        period: 0,
    };
}

/// What is known of the timers, and the free ones: all zeros at first.
#[derive(Debug)]
pub(crate) struct Known<F: ?Sized> {
    /// From the first timer that is set on.
    functions: Option<&'static Functions>,
    /// How many were ever set.
    sets: u64,
    /// Those that were set before this iteration began may fire in it, `left` of them.
    before: u64,
    left: u32,
    /// How many are set.
    len: u32,
    /// So many of the free ones are not to be used: a replay has as many as what it replays had.
    unused: u32,
    free: F,
}

/// The free timers of a table.
pub(crate) type FreeTimers<const TIMERS: usize> = Known<[Free; TIMERS]>;

impl<const TIMERS: usize> FreeTimers<TIMERS> {
    pub(crate) const NONE: Self = Self {
        functions: None,
        sets: 0,
        before: 0,
        left: 0,
        len: 0,
        unused: 0,
        free: [Free::NONE; TIMERS],
    };
}

/// The timers, by number: the free ones first, so that they touch no page of the connections'. N + TIMERS is a length
/// that Rust cannot name, so the entries lie in two arrays.
#[derive(Debug)]
pub(crate) struct Timers<'t> {
    known: &'t mut Known<[Free]>,
    connections: &'t mut [Timer],
}

impl<'t> Timers<'t> {
    /// Forgets what was set.
    pub(crate) fn new<const TIMERS: usize>(
        known: &'t mut FreeTimers<TIMERS>,
        connections: &'t mut [Timer],
    ) -> Self {
        known.unused = 0;
        let mut timers = Self { known, connections };
        timers.clear();
        timers
    }

    pub(crate) fn reborrow(&mut self) -> Timers<'_> {
        Timers {
            known: self.known,
            connections: self.connections,
        }
    }
}

/// Work: the logarithm of the number of timers that are set.
impl Timers<'_> {
    /// Sets the timer of a connection, or sets it again.
    pub(crate) fn set(&mut self, index: u32, at: Instant) {
        self.start(self.number(index), at);
    }

    /// Removes the timer of a connection, if it is set.
    pub(crate) fn cancel(&mut self, index: u32) {
        self.cancel_set(self.number(index));
        debug_assert_eq!(self.due(index), None, "none is set without the functions");
    }

    /// When the timer of a connection is due; `None`: it is not set.
    pub(crate) fn due(&self, index: u32) -> Option<Instant> {
        self.key(self.number(index)).map(|due| due.at)
    }

    /// Sets a free timer, or sets it again. `period`: in nanoseconds; 0: one-shot.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Timer`]: there are fewer.
    pub(crate) fn set_free(
        &mut self,
        timer: u32,
        at: Instant,
        period: u64,
    ) -> Result<(), Unavailable> {
        let capacity = self.capacity();
        let free = self.known.free.get_mut(timer as usize);
        let free = free.filter(|_| timer < capacity);
        free.ok_or(Unavailable::Timer { timer, capacity })?.period = period;
        self.start(timer, at);
        Ok(())
    }

    /// How many free ones there can be.
    pub(crate) fn capacity(&self) -> u32 {
        count(self.known.free.len()).saturating_sub(self.known.unused)
    }

    /// Lets there be fewer free ones.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Timer`]: there are not so many; the last that is lacking.
    #[cfg(feature = "trace")]
    pub(crate) fn restrict(&mut self, capacity: u32) -> Result<(), Unavailable> {
        let all = count(self.known.free.len());
        let unused = all.checked_sub(capacity);
        self.known.unused = unused.ok_or(Unavailable::Timer {
            timer: capacity.saturating_sub(1),
            capacity: all,
        })?;
        Ok(())
    }

    /// Removes a free timer, if it is set.
    pub(crate) fn cancel_free(&mut self, timer: u32) {
        if self.free_due(timer).is_some() {
            self.take_out(timer);
        }
    }

    /// When a free timer is due next; `None`: it is not set.
    pub(crate) fn free_due(&self, timer: u32) -> Option<Instant> {
        self.known.free.get(timer as usize)?.timer.due()
    }

    /// An iteration begins: those that are set may fire.
    pub(crate) const fn begin_iteration(&mut self) {
        self.known.before = self.known.sets;
        self.known.left = FIRED;
    }

    fn next_set(&self) -> Option<Instant> {
        let first = self.first()?.at;
        (first < Instant::NEVER).then_some(first)
    }

    fn poll_set(&mut self, now: Instant) -> Option<Fired> {
        let first = self.first()?;
        if first.at > now || first.order > self.known.before || self.known.left == 0 {
            return None;
        }
        self.known.left = self.known.left.saturating_sub(1);
        let number = first.number;
        let Some(free) = self.known.free.get(number as usize) else {
            self.take_out(number);
            return Some(Fired::Connection(number.wrapping_sub(self.number(0))));
        };
        let period = free.period;
        let periods = match now.nanos_since(first.at).checked_div(period) {
            Some(more) => {
                let periods = more.saturating_add(1);
                let passed = periods.saturating_mul(period);
                self.start(number, first.at.plus_nanos(passed));
                periods
            }
            None => {
                self.take_out(number);
                1
            }
        };
        let timer = number;
        Some(Fired::Free { timer, periods })
    }

    fn start(&mut self, number: u32, at: Instant) {
        self.known.functions = Some(&FUNCTIONS);
        self.known.sets = self.known.sets.saturating_add(1);
        self.put_in(number, at, self.known.sets);
    }

    /// The number of the timer of a connection.
    fn number(&self, index: u32) -> u32 {
        count(self.known.free.len()).saturating_add(index)
    }

    /// Removes all of them.
    pub(crate) fn clear(&mut self) {
        // A page that is only read is none of the process's.
        if self.known.functions.take().is_some() {
            self.connections.fill(Timer::NONE);
            self.known.free.fill(Free::NONE);
        }
        (self.known.sets, self.known.len) = (0, 0);
        self.begin_iteration();
    }
}
