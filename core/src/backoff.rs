//! [`Backoff`]: how long to wait before trying again.

use crate::time::nanos_of;
use core::time::Duration;

/// Waits that double from the shortest to the longest, each shortened at random by up to a half, so that clients that
/// lost the same peer do not all come back at the same moment.
///
/// It has no clock and no source of chance: both are the caller's.
///
/// ```
/// use core::time::Duration;
/// use tidegate_core::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
/// let random = 0; // any source will do
/// let waits = [(); 5].map(|()| backoff.next(random).as_millis());
/// assert_eq!(waits, [100, 200, 400, 800, 1000]);
/// backoff.reset(); // it worked
/// assert_eq!(backoff.next(u64::MAX / 2).as_millis(), 75);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    // In nanoseconds.
    min: u64,
    max: u64,
    /// The next wait, before it is shortened.
    wait: u64,
}

impl Backoff {
    /// Waits from `min` to `max`, each at most 584 years; `min` all the time, if `max` is shorter.
    #[must_use]
    pub const fn new(min: Duration, max: Duration) -> Self {
        let (min, max) = (nanos_of(min), nanos_of(max));
        Self {
            min,
            max,
            wait: min,
        }
    }

    /// How long to wait after another failure: between a half of the wait and all of it, by a number that was drawn at
    /// random from all there are. The wait after it is twice as long.
    #[must_use]
    pub fn next(&mut self, random: u64) -> Duration {
        let wait = self.wait;
        self.wait = wait.saturating_mul(2).min(self.max).max(self.min);
        let less = (u128::from(wait / 2) * u128::from(random)) >> 64;
        Duration::from_nanos(wait.saturating_sub(u64::try_from(less).unwrap_or(0)))
    }

    /// It worked: the next wait is the shortest again.
    pub const fn reset(&mut self) {
        self.wait = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_is_between_a_half_and_the_whole() {
        let (min, max) = (Duration::from_millis(7), Duration::from_secs(3));
        let mut random = 1u64;
        let mut backoff = Backoff::new(min, max);
        let mut whole = min;
        for _ in 0..64 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let wait = backoff.next(random);
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
            whole = (whole * 2).min(max);
        }
        assert_eq!(whole, max);
    }

    #[test]
    fn the_ends_are_sound() {
        let mut backoff = Backoff::new(Duration::MAX, Duration::ZERO);
        for random in [0, u64::MAX, 0] {
            let wait = backoff.next(random);
            assert!(wait >= Duration::from_nanos(u64::MAX / 2));
        }
        let mut nothing = Backoff::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(nothing.next(u64::MAX), Duration::ZERO);
    }
}
