//! What the machine makes of timers: it sets those of connections that live, and removes those of connections that end. The
//! heap, and nothing else, is [`Timers`](crate::timers::Timers).

use super::Dispatcher;
use crate::output::Notice;
use crate::slot::State;
use crate::time::{Instant, nanos_of};
use crate::timers::Fired;
use crate::token::Token;
use crate::unavailable::Unavailable;
use core::time::Duration;

/// Timers of connections. A token that names no open connection changes nothing. Lengths are counted from the time of
/// this iteration, [`now`](Dispatcher::now). Work: the logarithm of the number of timers that are set.
impl Dispatcher<'_> {
    /// Fires [`Notice::Timer`] once `after` has passed, once. It replaces what was set before; what happens on the
    /// connection does not move it; when the connection closes it is gone.
    pub fn set_timer(&mut self, token: Token, after: Duration) {
        if let Some(index) = self.connection(token)
            && !matches!(
                self.slots.at(index).state(),
                State::Connecting | State::Closing | State::Cancelling
            )
        {
            let at = self.m.now.plus(after);
            self.timers.set(index, at);
        }
    }

    /// Takes the timer of a connection away, if it is set.
    pub fn cancel_timer(&mut self, token: Token) {
        if let Some(index) = self.connection(token) {
            self.timers.cancel(index);
        }
    }

    /// When the timer of a connection is due; `None`: it is not set.
    #[must_use]
    pub fn timer(&self, token: Token) -> Option<Instant> {
        let index = self.connection(token)?;
        self.timers.due(index)
    }
}

/// Free timers, numbered from 0: the application gives them their meaning. They outlive every connection, and a stop.
impl Dispatcher<'_> {
    /// Fires [`Notice::Tick`] once `after` has passed, once. It replaces what was set before under this number.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Timer`]: the table has fewer.
    pub fn set_free_timer(&mut self, timer: u32, after: Duration) -> Result<(), Unavailable> {
        self.start_free_timer(timer, nanos_of(after), 0)
    }

    /// Fires [`Notice::Tick`] each time that `period` has passed, from now on. When it is late, it reports how many
    /// periods have passed, and the next one is due when it would have been anyway. A period of zero counts as 1 ns.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Timer`]: the table has fewer.
    pub fn set_interval(&mut self, timer: u32, period: Duration) -> Result<(), Unavailable> {
        let period = nanos_of(period).max(1);
        self.start_free_timer(timer, period, period)
    }

    fn start_free_timer(&mut self, timer: u32, after: u64, period: u64) -> Result<(), Unavailable> {
        let at = self.m.now.plus_nanos(after);
        self.timers.set_free(timer, at, period)
    }

    /// Takes a free timer away, if it is set.
    pub fn cancel_free_timer(&mut self, timer: u32) {
        self.timers.cancel_free(timer);
    }

    /// When a free timer is due next; `None`: it is not set.
    #[must_use]
    pub fn free_timer(&self, timer: u32) -> Option<Instant> {
        self.timers.free_due(timer)
    }
}

impl Dispatcher<'_> {
    /// The next timer that is due; `None`: no more in this iteration. Call it after [`handle_timeout`](Self::handle_timeout)
    /// until it returns `None`, which it does after 64 at most; what is not fetched fires in a later iteration. They
    /// come in the order in which they are due, and those that are due together in the order in which they were set.
    pub fn poll_timer(&mut self) -> Option<Notice> {
        Some(match self.timers.poll(self.m.now)? {
            Fired::Connection(index) => Notice::Timer(self.token(index)),
            Fired::Free { timer, periods } => Notice::Tick { timer, periods },
        })
    }

    /// Whether the heap is sound, and only live connections have a timer.
    #[cfg(any(test, feature = "inspect"))]
    pub(super) fn timers_are_sound(&self) -> bool {
        let idle = |index: &u32| {
            let slot = self.slots.at(*index);
            !slot.is_live() || slot.state().is_closing()
        };
        self.timers.is_sound()
            && (0..self.slots.used())
                .filter(idle)
                .all(|index| self.timers.due(index).is_none())
    }
}
