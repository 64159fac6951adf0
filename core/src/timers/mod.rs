//! [`Timers`]: the application's timers, one for each connection and free ones, as many as the table has.
//!
//! They are exact: none fires early, and none is left out. There are no ticks. The timers of the connections lie in an array
//! that is lent to each call; the free ones, and what is known of both, are this part's own.

mod heap;
#[cfg(test)]
mod tests;

use crate::time::Instant;
use crate::unavailable::{Unavailable, count};
pub(crate) use heap::Timer;
use heap::{Due, Heap, Len};

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

type Poll = fn(&mut Timers<[Free]>, &mut [Timer], Instant) -> Option<Fired>;

/// The functions for timers once one is set. Reached by these pointers alone, so that only a program that sets one
/// links them.
#[derive(Clone, Copy, Debug)]
struct Verbs {
    poll: Poll,
    next: fn(&Timers<[Free]>, &[Timer]) -> Option<Instant>,
    cancel: fn(&mut Timers<[Free]>, &mut [Timer], u32),
}

const VERBS: Verbs = Verbs {
    poll: |timers, lent, now| timers.poll_set(lent, now),
    next: |timers, lent| timers.next_set(lent),
    cancel: |timers, lent, index| timers.of_connections(lent).cancel(index),
};

/// The timers.
#[derive(Debug)]
pub(crate) struct Timers<F: ?Sized> {
    /// From the first timer that is set on.
    verbs: Option<&'static Verbs>,
    /// How many connections have a timer set.
    connections: Len,
    /// How many free ones are set.
    free_len: Len,
    /// How many were ever set.
    turn: u64,
    /// Those that were set before this iteration began may fire in it, so many of them.
    before: u64,
    left: u32,
    free: F,
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

impl AsRef<Timer> for Free {
    fn as_ref(&self) -> &Timer {
        &self.timer
    }
}

impl AsMut<Timer> for Free {
    fn as_mut(&mut self) -> &mut Timer {
        &mut self.timer
    }
}

impl<const TIMERS: usize> Timers<[Free; TIMERS]> {
    pub(crate) const NONE: Self = Self {
        verbs: None,
        connections: Len::NONE,
        free_len: Len::NONE,
        turn: 0,
        before: 0,
        left: 0,
        free: [Free::NONE; TIMERS],
    };
}

/// `lent`: the timers of the connections, by index. Work: the logarithm of the number of timers that are set.
impl Timers<[Free]> {
    /// Sets the timer of a connection, or sets it again. An index beyond the array is that of no timer.
    pub(crate) fn set(&mut self, lent: &mut [Timer], index: u32, at: Instant) {
        let turn = self.next_turn();
        self.of_connections(lent).set(index, at, turn);
    }

    /// Removes the timer of a connection, if it is set.
    pub(crate) fn cancel(&mut self, lent: &mut [Timer], index: u32) {
        if let Some(verbs) = self.verbs {
            (verbs.cancel)(self, lent, index);
        }
        debug_assert_eq!(
            Self::due(lent, index),
            None,
            "none is set without the verbs"
        );
    }

    /// When the timer of a connection is due; `None`: it is not set.
    pub(crate) fn due(lent: &[Timer], index: u32) -> Option<Instant> {
        heap::due(lent, index).map(|due| due.at)
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
        let capacity = count(self.free.len());
        let known = self.free.get_mut(timer as usize);
        known.ok_or(Unavailable::Timer { timer, capacity })?.period = period;
        let turn = self.next_turn();
        self.free().set(timer, at, turn);
        Ok(())
    }

    /// Removes a free timer, if it is set.
    pub(crate) fn cancel_free(&mut self, timer: u32) {
        self.free().cancel(timer);
    }

    /// When a free timer is due next; `None`: it is not set.
    pub(crate) fn free_due(&self, timer: u32) -> Option<Instant> {
        heap::due(&self.free, timer).map(|due| due.at)
    }

    /// An iteration begins: those that are set may fire.
    pub(crate) const fn begin_iteration(&mut self) {
        self.before = self.turn;
        self.left = FIRED;
    }

    /// The next timer that fires; `None`: no more in this iteration. In the order in which they are due, and those that are
    /// due together in the order in which they were set.
    #[inline]
    pub(crate) fn poll(&mut self, lent: &mut [Timer], now: Instant) -> Option<Fired> {
        (self.verbs?.poll)(self, lent, now)
    }

    /// When the next timer is due; `None`: none is set, or it is due [never](Instant::NEVER).
    #[inline]
    pub(crate) fn next(&self, lent: &[Timer]) -> Option<Instant> {
        (self.verbs?.next)(self, lent)
    }

    fn poll_set(&mut self, lent: &mut [Timer], now: Instant) -> Option<Fired> {
        let (connection, free) = self.first(lent);
        debug_assert!(connection.is_none() || connection != free, "set one by one");
        // Between equals the order of setting decides, and no two have the same.
        let of_free = match (connection, free) {
            (Some(connection), Some(free)) => free < connection,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        let due = if of_free { free? } else { connection? };
        if due.at > now || due.turn > self.before || self.left == 0 {
            return None;
        }
        self.left = self.left.saturating_sub(1);
        if of_free {
            let periods = self.tick(due, now);
            let timer = due.timer;
            return Some(Fired::Free { timer, periods });
        }
        self.of_connections(lent).cancel(due.timer);
        Some(Fired::Connection(due.timer))
    }

    /// Takes a free timer that is due out, or sets it to its next period; how many periods have passed.
    fn tick(&mut self, due: Due, now: Instant) -> u64 {
        let late = now.nanos_since(due.at);
        let timer = self.free.get(due.timer as usize);
        let period = timer.map_or(0, |timer| timer.period);
        let Some(more) = late.checked_div(period) else {
            self.free().cancel(due.timer);
            return 1;
        };
        let periods = more.saturating_add(1);
        let passed = periods.saturating_mul(period);
        let turn = self.next_turn();
        (self.free()).set(due.timer, due.at.plus_nanos(passed), turn);
        periods
    }

    fn next_set(&self, lent: &[Timer]) -> Option<Instant> {
        let (connection, free) = self.first(lent);
        let first = [connection, free].into_iter().flatten().min();
        first.map(|due| due.at).filter(|at| *at < Instant::NEVER)
    }

    fn first(&self, lent: &[Timer]) -> (Option<Due>, Option<Due>) {
        (
            heap::first(lent, self.connections),
            heap::first(&self.free, self.free_len),
        )
    }

    /// For a timer that is set now.
    fn next_turn(&mut self) -> u64 {
        self.verbs = Some(&VERBS);
        self.turn = self.turn.saturating_add(1);
        self.turn
    }

    fn of_connections<'a>(&'a mut self, lent: &'a mut [Timer]) -> Heap<'a> {
        Heap {
            timers: lent,
            len: &mut self.connections,
        }
    }

    fn free(&mut self) -> Heap<'_, Free> {
        Heap {
            timers: &mut self.free,
            len: &mut self.free_len,
        }
    }

    /// Whether both heaps are sound.
    #[cfg(any(test, feature = "inspect"))]
    pub(crate) fn is_sound(&self, lent: &[Timer]) -> bool {
        heap::is_sound(lent, self.connections) && heap::is_sound(&self.free, self.free_len)
    }

    /// None is set any more.
    #[cfg(feature = "inspect")]
    pub(crate) fn clear(&mut self, lent: &mut [Timer]) {
        lent.fill(Timer::NONE);
        (self.connections, self.free_len) = (Len::NONE, Len::NONE);
        (self.turn, self.before, self.left) = (0, 0, 0);
        self.verbs = None;
        self.free.fill(Free::NONE);
    }
}
