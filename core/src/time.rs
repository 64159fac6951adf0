//! [`Instant`]: time as an argument.

use core::time::Duration;

/// A point on the driver's monotonic clock, in nanoseconds from any origin.
///
/// The machine never reads a clock. An instant that lies before one it has already seen counts as that one.
/// 64 bits of nanoseconds last 584 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub struct Instant(u64);

impl Instant {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);
    /// Later than everything that comes to pass.
    pub const NEVER: Self = Self(u64::MAX);

    /// `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This instant and `nanos` more, at most [`Instant::NEVER`].
    #[must_use]
    pub const fn plus_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// This instant and `length` more, at most [`Instant::NEVER`].
    #[must_use]
    pub const fn plus(self, length: Duration) -> Self {
        self.plus_nanos(nanos_of(length))
    }

    /// Nanoseconds from `earlier` to this instant, 0 if it is not earlier.
    #[must_use]
    pub const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time from `earlier` to this instant, zero if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// Milliseconds since the origin, modulo 2³²: for intervals below 49 days, compared by wrapping subtraction.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "modulo 2^32 is what is wanted"
    )]
    pub(crate) const fn wrapping_millis(self) -> u32 {
        (self.0 / 1_000_000) as u32
    }
}

/// The length in nanoseconds, at most `u64::MAX` (584 years).
pub(crate) const fn nanos_of(length: Duration) -> u64 {
    let nanos = length.as_nanos();
    if nanos > u64::MAX as u128 {
        u64::MAX
    } else {
        #[expect(clippy::cast_possible_truncation, reason = "compared above")]
        let nanos = nanos as u64;
        nanos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saturates_at_both_ends() {
        assert_eq!(Instant::NEVER.plus_nanos(1), Instant::NEVER);
        assert_eq!(Instant::NEVER.as_nanos(), u64::MAX);
        assert_eq!(Instant::ZERO.plus(Duration::MAX), Instant::NEVER);
        let years = Duration::from_secs(585 * 366 * 86_400);
        assert_eq!(Instant::ZERO.plus(years), Instant::NEVER);
        assert_eq!(Instant::ZERO.since(Instant::NEVER), Duration::ZERO);
        assert_eq!(
            Instant::from_nanos(7).nanos_since(Instant::from_nanos(3)),
            4
        );
    }

    #[test]
    fn milliseconds_wrap_and_still_subtract() {
        let before = Instant::from_nanos(u64::from(u32::MAX) * 1_000_000);
        let after = before.plus(Duration::from_millis(5));
        assert_eq!(
            after
                .wrapping_millis()
                .wrapping_sub(before.wrapping_millis()),
            5
        );
    }
}
