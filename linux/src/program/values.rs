//! The values of options: numbers, durations, and how durations are shown.

use core::time::Duration;

/// A whole number from 1 to `most`, in digits only.
pub(crate) fn number(text: &str, most: u32) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("must be a number from 1 to {most}")),
    }
}

/// A duration, `None` for `off`.
pub(crate) fn duration(text: &str) -> Result<Option<Duration>, String> {
    if text == "off" {
        return Ok(None);
    }
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("is no time at all; say off to switch it off".into()),
        Ok(duration) => Ok(Some(duration)),
        Err(_) => Err("must be a duration such as 500ms, 30s, 10m, or off".into()),
    }
}

/// A duration as it could be typed: `90s`, `10m`, `off`.
pub(crate) fn shown(duration: Option<Duration>) -> String {
    let Some(duration) = duration else {
        return "off".into();
    };
    match (duration.as_secs(), duration.subsec_nanos()) {
        (seconds, 0) if seconds > 60 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        (seconds, 0) => format!("{seconds}s"),
        _ => humantime::format_duration(duration).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_within_bounds() {
        assert_eq!(number("1", 20), Ok(1));
        assert_eq!(number("20", 20), Ok(20));
        assert_eq!(number("007", 20), Ok(7));
        for bad in [
            "",
            "0",
            "21",
            "-1",
            "+1",
            "1_0",
            "0x1",
            "1 ",
            "ten",
            "4294967296",
            "１",
        ] {
            assert_eq!(
                number(bad, 20),
                Err("must be a number from 1 to 20".into()),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn durations_have_units_and_are_not_zero() {
        let millis = |n| Ok(Some(Duration::from_millis(n)));
        assert_eq!(duration("30s"), millis(30_000));
        assert_eq!(duration("10m"), millis(600_000));
        assert_eq!(duration("500ms"), millis(500));
        assert_eq!(duration("1h 30m"), millis(5_400_000));
        assert_eq!(duration("off"), Ok(None));
        assert!(duration("0s").is_err_and(|why| why.contains("say off")));
        for bad in [
            "",
            "30",
            "s",
            "-1s",
            "1.5",
            "OFF",
            "10 parsecs",
            "99999999999999999999s",
        ] {
            assert!(
                duration(bad).is_err_and(|why| why.contains("such as")),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn what_is_shown_can_be_typed() {
        for text in ["off", "2s", "60s", "90s", "10m", "500ms"] {
            assert_eq!(duration(text).map(shown), Ok(text.into()));
        }
    }
}
