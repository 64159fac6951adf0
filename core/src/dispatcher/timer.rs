//! Timers: one for each connection, and free ones, which are about none, as many as the table has.
//!
//! They are exact: none fires early, and none is left out. A periodic one that was delayed reports how many periods
//! have passed, and keeps its phase. There are no ticks: [`poll_timeout`](Dispatcher::poll_timeout) knows the next.

use super::Dispatcher;
use crate::output::Alarm;
use crate::slot::State;
use crate::time::{Instant, nanos_of};
use crate::timers::heap::{self, Due, Heap, Len, Timer};
use crate::token::Token;
use core::fmt;
use core::time::Duration;

/// Timers fired in one iteration. One that is set while they fire waits for the next iteration, even if it is due at
/// once: so a handler that sets a timer of no length in its timer does not keep the connections waiting.
const TOLD: u32 = 64;

/// There is no such timer: the table has fewer, numbered from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoTimer {
    /// Its number.
    pub timer: u32,
    /// How many the table has.
    pub timers: usize,
}

impl fmt::Display for NoTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timer, timers } = self;
        write!(
            f,
            "no timer {timer}; the memory has {timers}, numbered from 0: raise its TIMERS"
        )
    }
}

impl core::error::Error for NoTimer {}

/// The functions for timers once one is set. Reached by these pointers alone, so that only a program that sets one
/// links them.
#[derive(Clone, Copy, Debug)]
struct Verbs {
    poll: fn(&mut Dispatcher<'_>) -> Option<Alarm>,
    next: fn(&Dispatcher<'_>) -> Option<Instant>,
    drop: fn(&mut Dispatcher<'_>, u32),
}

const VERBS: Verbs = Verbs {
    poll: |machine| machine.poll_set_timer(),
    next: |machine| machine.next_set_timer(),
    drop: |machine, index| machine.timers_of_connections().cancel(index),
};

/// The timers in addition to those of the connections.
#[derive(Debug)]
pub(crate) struct Alarms<F: ?Sized> {
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

impl<const TIMERS: usize> Alarms<[Free; TIMERS]> {
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

impl Alarms<[Free]> {
    /// For a timer that is set now.
    fn next_turn(&mut self) -> u64 {
        self.verbs = Some(&VERBS);
        self.turn = self.turn.saturating_add(1);
        self.turn
    }

    /// None is set any more.
    #[cfg(any(test, feature = "inspect"))]
    pub(super) fn clear(&mut self) {
        (self.connections, self.free_len) = (Len::NONE, Len::NONE);
        (self.turn, self.before, self.left) = (0, 0, 0);
        self.verbs = None;
        self.free.fill(Free::NONE);
    }

    fn free(&mut self) -> Heap<'_, Free> {
        Heap {
            timers: &mut self.free,
            len: &mut self.free_len,
        }
    }

    /// An iteration begins: those that are set may fire.
    pub(super) const fn begin_turn(&mut self) {
        self.before = self.turn;
        self.left = TOLD;
    }
}

/// Timers of connections. A token that names no open connection changes nothing. Lengths are counted from the time of
/// this iteration, [`now`](Dispatcher::now). Work: the logarithm of the number of timers that are set.
impl Dispatcher<'_> {
    /// Fires [`Alarm::Connection`] once `after` has passed, once. It replaces what was set before; what happens on the
    /// connection does not move it; when the connection closes it is gone.
    pub fn set_timer(&mut self, token: Token, after: Duration) {
        if let Some(index) = self.connection(token)
            && !matches!(
                self.slots.at(index).state,
                State::Connecting | State::Closing
            )
        {
            let at = self.m.now.plus(after);
            let turn = self.alarms.next_turn();
            self.timers_of_connections().set(index, at, turn);
        }
    }

    /// Takes the timer of a connection away, if it is set.
    pub fn cancel_timer(&mut self, token: Token) {
        if let Some(index) = self.connection(token) {
            self.drop_timer(index);
        }
    }

    /// When the timer of a connection is due; `None`: it is not set.
    #[must_use]
    pub fn timer(&self, token: Token) -> Option<Instant> {
        let index = self.connection(token)?;
        heap::due(self.timers, index).map(|due| due.at)
    }

    /// A connection that closes has no timer any more.
    pub(super) fn drop_timer(&mut self, index: u32) {
        if let Some(verbs) = self.alarms.verbs {
            (verbs.drop)(self, index);
        }
    }

    fn timers_of_connections(&mut self) -> Heap<'_> {
        Heap {
            timers: self.timers,
            len: &mut self.alarms.connections,
        }
    }
}

/// Free timers, numbered from 0: the application gives them their meaning. They outlive every connection, and a stop.
impl Dispatcher<'_> {
    /// Fires [`Alarm::Free`] once `after` has passed, once. It replaces what was set before under this number.
    ///
    /// # Errors
    ///
    /// [`NoTimer`]: the table has fewer.
    pub fn set_free_timer(&mut self, timer: u32, after: Duration) -> Result<(), NoTimer> {
        self.start_free_timer(timer, nanos_of(after), 0)
    }

    /// Fires [`Alarm::Free`] each time that `period` has passed, from now on. When it is late, it reports how many
    /// periods have passed, and the next one is due when it would have been anyway. A period of zero counts as 1 ns.
    ///
    /// # Errors
    ///
    /// [`NoTimer`]: the table has fewer.
    pub fn set_interval(&mut self, timer: u32, period: Duration) -> Result<(), NoTimer> {
        let period = nanos_of(period).max(1);
        self.start_free_timer(timer, period, period)
    }

    fn start_free_timer(&mut self, timer: u32, after: u64, period: u64) -> Result<(), NoTimer> {
        let alarms = &mut *self.alarms;
        let timers = alarms.free.len();
        let known = alarms.free.get_mut(timer as usize);
        known.ok_or(NoTimer { timer, timers })?.period = period;
        let at = self.m.now.plus_nanos(after);
        let turn = alarms.next_turn();
        alarms.free().set(timer, at, turn);
        Ok(())
    }

    /// Takes a free timer away, if it is set.
    pub fn cancel_free_timer(&mut self, timer: u32) {
        self.alarms.free().cancel(timer);
    }

    /// When a free timer is due next; `None`: it is not set.
    #[must_use]
    pub fn free_timer(&self, timer: u32) -> Option<Instant> {
        heap::due(&self.alarms.free, timer).map(|due| due.at)
    }
}

impl Dispatcher<'_> {
    /// The next timer that is due; `None`: no more in this iteration. Call it after [`handle_timeout`](Self::handle_timeout)
    /// until it returns `None`, which it does after 64 at most; what is not fetched fires in a later iteration. They
    /// come in the order in which they are due, and those that are due together in the order in which they were set.
    #[inline]
    pub fn poll_timer(&mut self) -> Option<Alarm> {
        (self.alarms.verbs?.poll)(self)
    }

    fn poll_set_timer(&mut self) -> Option<Alarm> {
        let (connection, free) = self.first_timers();
        // Between equals the order of setting decides, and no two have the same.
        let of_free = match (connection, free) {
            (Some(connection), Some(free)) => free < connection,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        let due = if of_free { free? } else { connection? };
        let alarms = &mut *self.alarms;
        if due.at > self.m.now || due.turn > alarms.before || alarms.left == 0 {
            return None;
        }
        alarms.left = alarms.left.saturating_sub(1);
        if of_free {
            let periods = self.tick(due);
            let timer = due.timer;
            return Some(Alarm::Free { timer, periods });
        }
        self.drop_timer(due.timer);
        Some(Alarm::Connection(self.token(due.timer)))
    }

    /// Takes a free timer that is due out, or sets it to its next period; how many periods have passed.
    fn tick(&mut self, due: Due) -> u64 {
        let late = self.m.now.nanos_since(due.at);
        let alarms = &mut *self.alarms;
        let timer = alarms.free.get(due.timer as usize);
        let period = timer.map_or(0, |timer| timer.period);
        let Some(more) = late.checked_div(period) else {
            alarms.free().cancel(due.timer);
            return 1;
        };
        let periods = more.saturating_add(1);
        let passed = periods.saturating_mul(period);
        let turn = alarms.next_turn();
        alarms
            .free()
            .set(due.timer, due.at.plus_nanos(passed), turn);
        periods
    }

    fn first_timers(&self) -> (Option<Due>, Option<Due>) {
        let alarms = &*self.alarms;
        (
            heap::first(self.timers, alarms.connections),
            heap::first(&alarms.free, alarms.free_len),
        )
    }

    /// When the next timer is due.
    #[inline]
    pub(super) fn next_timer(&self) -> Option<Instant> {
        (self.alarms.verbs?.next)(self)
    }

    fn next_set_timer(&self) -> Option<Instant> {
        let (connection, free) = self.first_timers();
        let first = [connection, free].into_iter().flatten().min();
        first.map(|due| due.at).filter(|at| *at < Instant::NEVER)
    }

    /// Whether both heaps are sound, and only live connections have a timer.
    #[cfg(any(test, feature = "inspect"))]
    pub(super) fn timers_are_sound(&self) -> bool {
        let alarms = &*self.alarms;
        let idle = |index: &u32| {
            let slot = self.slots.at(*index);
            !slot.is_live() || slot.state == State::Closing
        };
        heap::is_sound(self.timers, alarms.connections)
            && heap::is_sound(&alarms.free, alarms.free_len)
            && (0..self.slots.used())
                .filter(idle)
                .all(|index| heap::due(self.timers, index).is_none())
    }
}
