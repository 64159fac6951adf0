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
    /// Connections that were accepted, and that the application was notified of.
    pub accepted: u64,
    /// Outbound connections that were opened.
    pub connected: u64,
    /// Outbound connections that ended before they were opened: refused, unreachable, timed out, given up.
    pub connect_failures: u64,
    /// Refused because the table was full, under [`FullTable::Refuse`](crate::FullTable::Refuse).
    pub refused_full: u64,
    /// Refused because their source address had its share.
    pub refused_source: u64,
    /// Accepts that failed, for whatever reason.
    pub accept_failures: u64,
    /// Times that a listener or a datagram socket was paused for resource exhaustion.
    pub shortages: u64,
    /// Listeners that were closed because they no longer worked.
    pub listeners_failed: u64,
    /// Connections closed that had been opened, by [`Reason::kind`].
    pub closed: [u64; Reason::KINDS],
    /// Bytes that applications were given.
    pub bytes_in: u64,
    /// Bytes that the kernel took.
    pub bytes_out: u64,
    /// Datagrams that applications were given.
    pub datagrams_in: u64,
    /// Datagrams that the kernel took.
    pub datagrams_out: u64,
    /// Errors of datagram sockets: network errors of an earlier datagram (ICMP), or of one that was not sent.
    pub datagram_faults: u64,
    /// Datagrams that the kernel dropped because the receive buffer of their socket was full (`SO_RCVBUF`). It is known with
    /// the next datagram that is received there.
    pub datagrams_lost: u64,
    /// Events whose token is stale.
    pub stale: u64,
    /// Completions of operations that were not in flight, or that are impossible: a bug of the driver.
    pub unasked: u64,
    /// Times that the readiness set had to be rebuilt.
    pub rebuilds: u64,
    /// Slots that are used up: their next generation would repeat an old token. The table has so many fewer.
    pub slots_retired: u64,
    /// The most sources that were ever queued at the beginning of an iteration.
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

    /// How many connections were refused, for either reason.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused_full.saturating_add(self.refused_source)
    }

    /// How many connections were closed, for whatever reason.
    #[must_use]
    pub fn closed_total(&self) -> u64 {
        self.closed.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// What two machines have counted together. Their peaks need not have been at the same time, so the sum of them is a
    /// bound.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let sum = u64::saturating_add;
        let mut closed = self.closed;
        for (count, more) in closed.iter_mut().zip(other.closed) {
            *count = sum(*count, more);
        }
        Self {
            open: self.open.saturating_add(other.open),
            peak: self.peak.saturating_add(other.peak),
            accepted: sum(self.accepted, other.accepted),
            connected: sum(self.connected, other.connected),
            connect_failures: sum(self.connect_failures, other.connect_failures),
            refused_full: sum(self.refused_full, other.refused_full),
            refused_source: sum(self.refused_source, other.refused_source),
            accept_failures: sum(self.accept_failures, other.accept_failures),
            shortages: sum(self.shortages, other.shortages),
            listeners_failed: sum(self.listeners_failed, other.listeners_failed),
            closed,
            bytes_in: sum(self.bytes_in, other.bytes_in),
            bytes_out: sum(self.bytes_out, other.bytes_out),
            datagrams_in: sum(self.datagrams_in, other.datagrams_in),
            datagrams_out: sum(self.datagrams_out, other.datagrams_out),
            datagram_faults: sum(self.datagram_faults, other.datagram_faults),
            datagrams_lost: sum(self.datagrams_lost, other.datagrams_lost),
            stale: sum(self.stale, other.stale),
            unasked: sum(self.unasked, other.unasked),
            rebuilds: sum(self.rebuilds, other.rebuilds),
            slots_retired: sum(self.slots_retired, other.slots_retired),
            worst_queue: self.worst_queue.max(other.worst_queue),
        }
    }

    pub(crate) fn count_closed(&mut self, reason: Reason) {
        if let Some(count) = self.closed.get_mut(reason.kind()) {
            bump(count);
        }
    }
}

/// One more.
pub(crate) fn bump(count: &mut u64) {
    add(count, 1);
}

/// `n` more. At 100 Gbit/s a count of bytes would overflow after 46 years.
pub(crate) fn add(count: &mut u64, n: u32) {
    debug_assert!(
        count.checked_add(n.into()).is_some(),
        "a counter does not overflow"
    );
    *count = count.wrapping_add(u64::from(n));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_machines_have_counted_what_each_has() {
        let one = Stats {
            open: 1,
            accepted: 20,
            closed: [3; Reason::KINDS],
            worst_queue: 7,
            ..Stats::default()
        };
        let other = Stats {
            open: 2,
            accepted: u64::MAX,
            closed: [4; Reason::KINDS],
            worst_queue: 5,
            ..Stats::default()
        };
        let both = one.with(&other);
        assert_eq!((both.open, both.accepted), (3, u64::MAX));
        assert_eq!((both.closed, both.worst_queue), ([7; Reason::KINDS], 7));
        assert_eq!(one.with(&Stats::default()), one);
        let refusing = Stats {
            refused_full: 1,
            refused_source: 2,
            ..Stats::default()
        };
        assert_eq!(refusing.refused(), 3);
    }
}
