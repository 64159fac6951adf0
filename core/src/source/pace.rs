//! [`Pace`]: how often a listener or a datagram socket is tried, and how long it pauses when that fails.

use super::burst::Burst;
use crate::time::Instant;

/// What its attempts have come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    burst: Burst,
    /// Failures in a row.
    failures: u16,
    /// How long the next pause lasts, in nanoseconds.
    pause: u64,
    /// The end of the pause that it is in.
    until: Option<Instant>,
}

impl Pace {
    /// `pause`: how long the first one lasts, in nanoseconds.
    pub(super) const fn new(pause: u64) -> Self {
        Self {
            burst: Burst::ONE,
            failures: 0,
            pause,
            until: None,
        }
    }

    /// An attempt has succeeded. `pause`: how long the next pause is the first again.
    pub(crate) const fn succeed(&mut self, pause: u64) {
        self.failures = 0;
        self.pause = pause;
    }

    /// What failed is over, or is not to be tried again.
    pub(crate) const fn forget_failures(&mut self) {
        self.failures = 0;
    }

    pub(crate) const fn fail(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// Nothing was there; a failure, unless the attempt was one more than the event was good for.
    pub(crate) const fn try_in_vain(&mut self, iteration: u32) {
        if !self.burst.vain(iteration) {
            self.fail();
        }
    }

    /// Something was there: whether another attempt is due for the same event, `most` for each.
    pub(crate) const fn another(&mut self, iteration: u32, most: u16) -> bool {
        self.burst.another(iteration, most)
    }

    pub(crate) const fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Whether so many attempts in a row have failed.
    pub(crate) const fn is_hopeless(&self, most: u16) -> bool {
        self.failures >= most
    }

    /// Until one succeeds, each further failure makes it hopeless again.
    pub(crate) const fn stay_hopeless(&mut self, most: u16) {
        self.failures = most.saturating_sub(1);
    }

    /// A pause begins, or begins again. `next`: how long the pause after one of this length is. Whether there was none.
    pub(crate) fn rest(&mut self, now: Instant, next: impl FnOnce(u64) -> u64) -> bool {
        let new = self.until.is_none();
        self.until = Some(now.plus_nanos(self.pause));
        self.pause = next(self.pause);
        self.failures = 0;
        new
    }

    /// Ends its pause, if that is over `by` this time; whether it was in one that is.
    pub(crate) fn resume(&mut self, by: Instant) -> bool {
        let over = self.until.is_some_and(|until| until <= by);
        if over {
            self.until = None;
        }
        over
    }

    pub(crate) const fn is_paused(&self) -> bool {
        self.until.is_some()
    }

    pub(crate) const fn paused_until(&self) -> Option<Instant> {
        self.until
    }
}

/// For images: failures in a row, how long the next pause lasts, and until when it pauses.
#[cfg(feature = "inspect")]
impl Pace {
    pub(crate) const fn parts(&self) -> (u16, u64, Option<Instant>) {
        (self.failures, self.pause, self.until)
    }

    pub(crate) const fn put_back(&mut self, failures: u16, until: Option<Instant>) {
        (self.failures, self.until) = (failures, until);
    }

    pub(crate) const fn put_pause(&mut self, pause: u64) {
        self.pause = pause;
    }

    /// As [`Burst::parts`].
    pub(crate) const fn burst_parts(&self, iteration: u32, turn: bool) -> (u32, u16, u16, u16) {
        self.burst.parts(iteration, turn)
    }

    pub(crate) const fn put_burst(&mut self, turn: u32, size: u16, left: u16, rest: u16) {
        self.burst = Burst::put_back(turn, size, left, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_lead_to_a_pause_and_one_success_to_none() {
        for most in 1..5 {
            let mut pace = Pace::new(100);
            for failure in 1..=most {
                assert!(!pace.is_hopeless(most));
                pace.fail();
                assert_eq!(pace.is_hopeless(most), failure == most);
            }
            assert!(pace.rest(Instant::from_nanos(5), |pause| 2 * pause));
            assert_eq!(pace.paused_until(), Some(Instant::from_nanos(105)));
            pace.stay_hopeless(most);
            pace.fail();
            assert!(pace.is_hopeless(most), "the next failure is enough");
            assert!(!pace.rest(Instant::from_nanos(6), |pause| 2 * pause));
            assert_eq!(pace.paused_until(), Some(Instant::from_nanos(206)));
            assert!(!pace.resume(Instant::from_nanos(205)) && pace.is_paused());
            assert!(pace.resume(Instant::from_nanos(206)) && !pace.is_paused());
            pace.succeed(100);
            assert!(!pace.has_failed() && !pace.resume(Instant::NEVER));
            assert!(pace.rest(Instant::ZERO, |pause| pause));
            assert_eq!(pace.paused_until(), Some(Instant::from_nanos(100)));
        }
    }
}
