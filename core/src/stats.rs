//! [`Stats`]: what has been counted since the start, also of what can never happen.

use crate::output::Reason;

/// Counters since the machine was made. They saturate rather than wrap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stats {
    /// Connections that are open now, whether finishing or not.
    pub open: u32,
    /// The most that were ever open together.
    pub peak: u32,
    /// Connections that the application was told of.
    pub accepted: u64,
    /// Refused because the table was full, under [`FullTable::Refuse`](crate::FullTable::Refuse).
    pub refused_full: u64,
    /// Refused because their source address had its share.
    pub refused_source: u64,
    /// Accepts that brought no connection, for whatever reason.
    pub accept_failures: u64,
    /// Times that a listener was paused because the system was short of something.
    pub shortages: u64,
    /// Listeners that were closed because they no longer worked.
    pub listeners_failed: u64,
    /// Connections closed, by [`Reason::kind`].
    pub closed: [u64; Reason::KINDS],
    /// Bytes that applications were given.
    pub bytes_in: u64,
    /// Bytes that the kernel took.
    pub bytes_out: u64,
    /// Events whose token names nothing live.
    pub stale: u64,
    /// Answers that nobody waited for, or that cannot be: a mistake of the driver.
    pub unasked: u64,
    /// Times that the readiness set had to be rebuilt.
    pub rebuilds: u64,
    /// The most sources that ever waited for their turn together.
    pub worst_queue: u32,
}

impl Stats {
    /// How many connections were closed for this reason; every fault but a reset counts as one reason.
    #[must_use]
    pub fn closed_by(&self, reason: Reason) -> u64 {
        self.closed.get(reason.kind()).copied().unwrap_or(0)
    }

    /// How many connections were evicted.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.closed_by(Reason::Evicted)
    }

    /// How many connections were closed, for whatever reason.
    #[must_use]
    pub fn closed_total(&self) -> u64 {
        self.closed.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    pub(crate) fn count_closed(&mut self, reason: Reason) {
        if let Some(count) = self.closed.get_mut(reason.kind()) {
            bump(count);
        }
    }
}

/// One more.
pub(crate) fn bump(count: &mut u64) {
    *count = count.saturating_add(1);
}

/// `n` more.
pub(crate) fn add(count: &mut u64, n: u32) {
    *count = count.saturating_add(u64::from(n));
}
