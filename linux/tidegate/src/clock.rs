//! The clock: `CLOCK_MONOTONIC`, which stops while the machine is suspended and is never set.

use core::time::Duration;
use rustix::time::{ClockId, Timespec, clock_gettime};
use tidegate_core::Instant;

/// The longest wait, in nanoseconds: 10 minutes. Old kernels take very long ones for endless, and a wake-up every ten
/// minutes costs nothing.
const LONGEST: u64 = 600 * 1_000_000_000;

const MILLI: u64 = 1_000_000;

/// Now.
pub(crate) fn now() -> Instant {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Instant::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// How long to wait now until it is `until`, as the waiting calls want it.
#[inline]
pub(crate) fn timeout(until: Instant) -> Timespec {
    let left = wait_for(until, now());
    Timespec {
        tv_sec: left.as_secs().try_into().unwrap_or(0),
        tv_nsec: left.subsec_nanos().into(),
    }
}

/// How long to wait until `until`, rounded up to the milliseconds that `epoll_wait(2)` counts: a wait rounded down
/// ends before the deadline, again and again.
fn wait_for(until: Instant, now: Instant) -> Duration {
    let left = until.nanos_since(now).min(LONGEST);
    Duration::from_millis(left.div_ceil(MILLI))
}

/// How long it is until `until`, as calls want it that wait to the nanosecond.
#[inline]
pub(crate) fn left(until: Instant) -> Duration {
    // What is queued is due already: the clock need not be read.
    if until == Instant::ZERO {
        return Duration::ZERO;
    }
    Duration::from_nanos(until.nanos_since(now()).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_and_never_endless() {
        let at = Instant::from_nanos;
        for (left, millis) in [(0, 0), (1, 1), (MILLI - 1, 1), (MILLI, 1), (MILLI + 1, 2)] {
            assert_eq!(wait_for(at(7 + left), at(7)), Duration::from_millis(millis));
        }
        assert_eq!(wait_for(at(3), at(9)), Duration::ZERO, "already passed");
        assert_eq!(wait_for(Instant::NEVER, at(0)), Duration::from_secs(600));
    }
}
