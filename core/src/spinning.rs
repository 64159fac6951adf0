//! [`Spinning`]: whether the next poll of the kernel may sleep.

use crate::time::{Instant, nanos_of};
use core::time::Duration;

/// Bounded spinning: for a while after the last event, a driver polls again without sleeping. It is for drivers, which
/// alone know when they poll.
///
/// Waking a sleeping thread costs the kernel some 5 µs or more, and the CPU its deeper states; a reply that comes soon
/// is noticed sooner by polling. Until it comes, and for the whole length when none does, a core is busy.
///
/// ```
/// use tidegate_core::{Instant, Spinning};
/// use core::time::Duration;
///
/// let mut spinning = Spinning::new(Some(Duration::from_nanos(50)));
/// spinning.record_event(Instant::from_nanos(100));
/// let deadline = Some(Instant::from_nanos(500));
/// let soon = Instant::from_nanos(149);
/// assert_eq!(spinning.until(soon, deadline), Some(soon), "no sleep");
/// assert_eq!(spinning.until(Instant::from_nanos(150), deadline), deadline);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spinning {
    /// In nanoseconds, 0 if there is none.
    length: u64,
    end: Instant,
}

impl Spinning {
    /// For `length` after each event; `None` is never.
    #[must_use]
    pub const fn new(length: Option<Duration>) -> Self {
        Self {
            length: match length {
                Some(length) => nanos_of(length),
                None => 0,
            },
            end: Instant::ZERO,
        }
    }

    /// A poll at `now` returned an event.
    pub fn record_event(&mut self, now: Instant) {
        if self.length > 0 {
            self.end = now.plus_nanos(self.length);
        }
    }

    /// Until when the next poll may sleep: until `due`, or no longer than `now`, which is when the last one ended.
    ///
    /// What is due is never delayed: a poll that does not sleep ends before it.
    #[must_use]
    pub fn until(&self, now: Instant, due: Option<Instant>) -> Option<Instant> {
        if now < self.end { Some(now) } else { due }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    /// How many of the polls after an event at 1,000 do not sleep, if each takes 10 ns and returns nothing.
    fn looks_without_sleep(length: Option<Duration>, due: Option<Instant>) -> u32 {
        let mut spinning = Spinning::new(length);
        spinning.record_event(at(1000));
        let mut now = at(1000);
        let mut looks = 0;
        while looks < 1000 && spinning.until(now, due) == Some(now) {
            now = now.plus_nanos(10);
            looks += 1;
        }
        assert!(looks == 1000 || spinning.until(now, due) == due);
        looks
    }

    #[test]
    fn polls_for_the_configured_time_and_then_sleeps_as_before() {
        for due in [None, Some(at(1_000_000))] {
            for (nanos, looks) in [(1, 1), (10, 1), (11, 2), (50, 5), (500, 50)] {
                let length = Some(Duration::from_nanos(nanos));
                assert_eq!(looks_without_sleep(length, due), looks, "{nanos} ns");
            }
            assert_eq!(
                looks_without_sleep(Some(Duration::MAX), due),
                1000,
                "for ever"
            );
            assert_eq!(looks_without_sleep(None, due), 0, "off");
        }
    }

    #[test]
    fn every_event_restarts_it_and_none_has_not_begun_it() {
        let mut spinning = Spinning::new(Some(Duration::from_nanos(50)));
        assert_eq!(spinning.until(at(10), None), None, "nothing has happened");
        spinning.record_event(at(100));
        spinning.record_event(at(140));
        assert_eq!(spinning.until(at(189), None), Some(at(189)));
        assert_eq!(spinning.until(at(190), None), None);
    }
}
