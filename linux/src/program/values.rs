//! The values of options that the program and the examples have in common: numbers, durations, sizes of buffers, policies;
//! and how they are shown.

use core::time::Duration;
use tidegate::{Block, FullTable, PerSource, Sources};

/// What to do when every slot is taken.
pub(crate) const FULL: [(&str, FullTable); 4] = [
    ("wait", FullTable::Wait),
    ("refuse", FullTable::Refuse),
    ("evict", FullTable::Evict),
    ("evict-half-closed", FullTable::EvictHalfClosed),
];

/// The largest buffer of a socket: the kernel doubles it, and counts in an `int`.
const BUFFER_MAX: u32 = 1 << 30;

/// What to do about an address to listen at that this machine does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bind {
    /// Try again until it has.
    Wait,
    /// Bind to it all the same (`IP_FREEBIND`).
    Free,
    /// Give up.
    Now,
}

/// The names of these.
pub(crate) const BIND: [(&str, Bind); 3] = [
    ("wait", Bind::Wait),
    ("free", Bind::Free),
    ("now", Bind::Now),
];

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
        Ok(Duration::ZERO) => Err("is not a duration; write off to switch it off".into()),
        Ok(duration) => Ok(Some(duration)),
        Err(_) => Err("must be a duration such as 500ms, 30s, 10m, or off".into()),
    }
}

/// One of [`FULL`].
pub(crate) fn full(text: &str) -> Result<FullTable, String> {
    let found = FULL.iter().find(|(name, _)| *name == text);
    let found = found.map(|(_, full)| *full);
    found.ok_or_else(|| "must be one of wait, refuse, evict, evict-half-closed".into())
}

/// One of [`BIND`].
pub(crate) fn bind(text: &str) -> Result<Bind, String> {
    let found = BIND.iter().find(|(name, _)| *name == text);
    let found = found.map(|(_, bind)| *bind);
    found.ok_or_else(|| "must be one of wait, free, now".into())
}

/// A limit of connections from one source; unlimited for `off`.
pub(crate) fn per_source(text: &str) -> Result<PerSource, String> {
    if text == "off" {
        return Ok(PerSource::Unlimited);
    }
    match number(text, u32::MAX) {
        Ok(n) => Ok(PerSource::AtMost(n)),
        Err(why) => Err(format!("{why}, or off")),
    }
}

/// A limit of connections from one block of IPv6 addresses, `N/BITS`; `None` for `off`.
pub(crate) fn per_block(text: &str) -> Result<Option<Block>, String> {
    if text == "off" {
        return Ok(None);
    }
    let block = text.split_once('/').and_then(|(connections, prefix)| {
        Some(Block {
            connections: number(connections, u32::MAX).ok()?,
            prefix: u8::try_from(number(prefix, 64).ok()?).ok()?,
        })
    });
    match block {
        Some(block) => Ok(Some(block)),
        None => Err("must be CONNECTIONS/BITS with 1 to 64 bits, such as 64/56, or off".into()),
    }
}

/// The bits of an IPv4, a global IPv6 and a local IPv6 address that make one source.
pub(crate) fn source_bits(text: &str) -> Result<Sources, String> {
    let bits = |text: &str, most: u8| match text.parse() {
        Ok(bits) if bits <= most && text.bytes().all(|b| b.is_ascii_digit()) => Some(bits),
        Ok(_) | Err(_) => None,
    };
    let mut parts = text.split(',');
    let read = [32, 128, 128].map(|most| parts.next().and_then(|part| bits(part, most)));
    match (read, parts.next()) {
        ([Some(ipv4), Some(ipv6), Some(local)], None) => Ok(Sources {
            ipv4,
            ipv6,
            local,
            block: None,
        }),
        _ => Err("must be three numbers of bits such as 32,64,128: of IPv4, of global IPv6 and of local IPv6 addresses".into()),
    }
}

/// The size of a buffer of the kernel in bytes; `None` for `auto`: the kernel tunes it.
pub(crate) fn buffer(text: &str) -> Result<Option<u32>, String> {
    if text == "auto" {
        return Ok(None);
    }
    match number(text, BUFFER_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(why) => Err(format!("{why}, in bytes, or auto")),
    }
}

/// The permissions of a socket file, in octal digits; `None` for `umask`: what that leaves.
pub(crate) fn mode(text: &str) -> Result<Option<u16>, String> {
    if text == "umask" {
        return Ok(None);
    }
    let octal = !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    match u16::from_str_radix(text, 8) {
        Ok(mode @ 0..=0o777) if octal => Ok(Some(mode)),
        _ => Err("must be an octal number from 0 to 0777, or umask".into()),
    }
}

/// The permissions of a socket file as they could be typed.
pub(crate) fn mode_shown(mode: Option<u16>) -> String {
    mode.map_or_else(|| "umask".into(), |mode| format!("{mode:04o}"))
}

/// The size of a buffer as it could be typed.
pub(crate) fn buffer_shown(bytes: Option<u32>) -> String {
    bytes.map_or_else(|| "auto".into(), |bytes| bytes.to_string())
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
        assert!(duration("0s").is_err_and(|why| why.contains("write off")));
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
    fn buffers_are_bytes_or_the_kernels() {
        assert_eq!(buffer("auto"), Ok(None));
        assert_eq!(buffer("65536"), Ok(Some(65_536)));
        assert_eq!(buffer("1073741824"), Ok(Some(BUFFER_MAX)));
        for bad in ["", "0", "off", "64k", "1073741825", "-1"] {
            assert!(
                buffer(bad).is_err_and(|why| why.contains("or auto")),
                "{bad:?}"
            );
        }
        for text in ["auto", "65536"] {
            assert_eq!(buffer(text).map(buffer_shown), Ok(text.into()));
        }
    }

    #[test]
    fn policies_are_named() {
        for (name, policy) in FULL {
            assert_eq!(full(name), Ok(policy));
        }
        assert!(full("drop").is_err_and(|why| FULL.iter().all(|(name, _)| why.contains(name))));
        assert_eq!(per_source("off"), Ok(PerSource::Unlimited));
        assert_eq!(per_source("7"), Ok(PerSource::AtMost(7)));
        assert!(per_source("0").is_err_and(|why| why.contains("or off")));
    }

    #[test]
    fn sources_and_blocks_have_bits() {
        assert_eq!(source_bits("32,64,128"), Ok(Sources::DEFAULT));
        for text in [
            "",
            "32",
            "32,64",
            "33,64,128",
            "32,129,128",
            "32,64,128,1",
            "a,b,c",
            "+1,2,3",
        ] {
            assert!(source_bits(text).is_err(), "{text}");
        }
        let block = Block {
            connections: 64,
            prefix: 56,
        };
        assert_eq!(per_block("64/56"), Ok(Some(block)));
        assert_eq!(per_block("off"), Ok(None));
        for text in ["", "64", "0/56", "64/0", "64/65", "64/56/1"] {
            assert!(
                per_block(text).is_err_and(|why| why.contains("or off")),
                "{text}"
            );
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode("0660"), Ok(Some(0o660)));
        assert_eq!(mode("666"), Ok(Some(0o666)));
        assert_eq!(mode("0"), Ok(Some(0)));
        assert_eq!(mode("umask"), Ok(None));
        for bad in ["", "8", "01000", "+660", "0x1b6", "-1", "rw", "6660"] {
            assert!(mode(bad).is_err_and(|why| why.contains("octal")), "{bad}");
        }
        for text in ["0660", "0007", "umask"] {
            assert_eq!(mode(text).map(mode_shown), Ok(text.into()));
        }
    }

    #[test]
    fn what_is_shown_can_be_typed() {
        for text in ["off", "2s", "60s", "90s", "10m", "500ms"] {
            assert_eq!(duration(text).map(shown), Ok(text.into()));
        }
    }
}
