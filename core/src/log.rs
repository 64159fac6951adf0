//! What is logged, to `defmt` if that feature is on, else to `log` if that one is, else to nobody; and warnings about a limit, at most
//! one a second of each kind, with the number of those left out.

use crate::time::Instant;

/// One line. With both features `defmt` has it: features only add, so one crate's wish must not break another's.
macro_rules! log_line {
    ($level:ident, $text:literal $(, $value:expr)*) => {{
        #[cfg(feature = "defmt")]
        ::defmt::$level!($text $(, $value)*);
        #[cfg(all(feature = "log", not(feature = "defmt")))]
        ::log::$level!($text $(, $value)*);
        #[cfg(not(any(feature = "log", feature = "defmt")))]
        {
            $(let _ = &$value;)*
        }
    }};
}

/// The library must give something up.
macro_rules! error {
    ($($line:tt)*) => { log_line!(error, $($line)*) };
}

/// A limit was met.
macro_rules! warn {
    ($($line:tt)*) => { log_line!(warn, $($line)*) };
}

/// Lifecycle.
macro_rules! info {
    ($($line:tt)*) => { log_line!(info, $($line)*) };
}

/// Each connection.
macro_rules! debug {
    ($($line:tt)*) => { log_line!(debug, $($line)*) };
}

/// Each output.
macro_rules! trace {
    ($($line:tt)*) => { log_line!(trace, $($line)*) };
}

/// The shortest time between two warnings of a kind, in nanoseconds.
const QUIET: u64 = 1_000_000_000;

/// One kind of warning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limited {
    until: Instant,
    left_out: u32,
}

impl Limited {
    pub(crate) const NEW: Self = Self {
        until: Instant::ZERO,
        left_out: 0,
    };

    /// Whether to warn now, and how many were left out since the last one. Without a logger, never: nothing of a warning
    /// is linked.
    pub(crate) fn due(&mut self, now: Instant) -> Option<u32> {
        if !cfg!(any(test, feature = "log", feature = "defmt")) {
            return None;
        }
        if now < self.until {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.until = now.plus_nanos(QUIET);
        Some(core::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_and_none_forgotten() {
        let mut kind = Limited::NEW;
        let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
        assert_eq!(kind.due(at(1)), Some(0));
        assert_eq!(kind.due(at(2)), None);
        assert_eq!(kind.due(at(1000)), None);
        assert_eq!(kind.due(at(1001)), Some(2));
    }
}
