//! Dates as HTTP writes them (RFC 9110, section 5.6.7).

use core::time::Duration;
use httpdate::HttpDate;
use std::time::{SystemTime, UNIX_EPOCH};

/// Of the years 1970 to 9999: others the crate refuses with a panic, but a file can have them.
pub(super) fn date(time: SystemTime) -> Option<HttpDate> {
    const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    (since < YEAR_10000).then(|| HttpDate::from(time))
}

/// In any of the three forms; `None` if it is none of them.
pub(super) fn parse(value: &[u8]) -> Option<HttpDate> {
    core::str::from_utf8(value).ok()?.parse().ok()
}

/// Whether the clock has been set: that of a machine without a battery begins in 1970, and a server without a clock
/// sends no Date (RFC 9110, section 6.6.1).
pub(super) fn is_set(now: SystemTime) -> bool {
    const YEAR_2000: Duration = Duration::from_secs(946_684_800);
    let since = now.duration_since(UNIX_EPOCH);
    since.is_ok_and(|since| since >= YEAR_2000)
}
