//! Sockets that the service manager has opened for us (`sd_listen_fds(3)`): they are used, never opened.

use super::Failure;
use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};
use rustix::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::fcntl_getfd;
use rustix::net::{SocketAddrUnix, getsockname};
use std::env;

/// The first descriptor that is passed.
const FIRST: RawFd = 3;

/// More than there can be listeners: a number beyond it is a mistake.
const MOST: RawFd = 1024;

/// One of them.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) socket: OwnedFd,
    number: RawFd,
    name: String,
}

impl fmt::Display for Inherited {
    /// `descriptor 3 (http.socket)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "descriptor {}", self.number)?;
        if self.name.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.name.escape_debug())
    }
}

impl Inherited {
    /// The path of a Unix socket that has one, or its abstract name after `@`.
    pub(crate) fn path(&self) -> Option<String> {
        let name = SocketAddrUnix::try_from(getsockname(&self.socket).ok()?).ok()?;
        match (name.path_bytes(), name.abstract_name()) {
            (Some(path), _) => Some(String::from_utf8_lossy(path).into_owned()),
            (None, Some(name)) => Some(format!("@{}", String::from_utf8_lossy(name))),
            (None, None) => None,
        }
    }
}

/// They were taken.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes those that the environment names, once. To be called before anything else is opened.
pub(crate) fn take() -> Result<Vec<Inherited>, Failure> {
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let variable = |name| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let (pid, count) = (variable("LISTEN_PID"), variable("LISTEN_FDS"));
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let numbers = numbers(pid.as_deref(), count.as_deref(), std::process::id());
    let numbers = numbers.map_err(Failure::System)?;
    let take_one = |number| {
        // SAFETY: it is borrowed for one call, which only checks whether it is open.
        let there = fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) });
        if there.is_err() {
            let count = count.as_deref().unwrap_or_default();
            return Err(Failure::System(format!(
                "LISTEN_FDS {count}: descriptor {number} is not open; pass as many sockets as it says, from {FIRST} on"
            )));
        }
        Ok(Inherited {
            // SAFETY: it is open, and was passed to this process to own: nothing else was opened yet, and it is taken once.
            socket: unsafe { OwnedFd::from_raw_fd(number) },
            number,
            name: names.next().unwrap_or_default().to_owned(),
        })
    };
    numbers.map(take_one).collect()
}

/// The numbers of the descriptors that are passed to process `us`, if any are.
fn numbers(pid: Option<&str>, count: Option<&str>, us: u32) -> Result<Range<RawFd>, String> {
    const NONE: Range<RawFd> = FIRST..FIRST;
    let (Some(pid), Some(count)) = (pid, count) else {
        return Ok(NONE);
    };
    let remedy = "the service manager sets this, so unset it to open the sockets here";
    match pid.parse::<u32>() {
        Ok(pid) if pid == us => {}
        // They were for our parent, which did not take its note away.
        Ok(_) => return Ok(NONE),
        Err(_) => return Err(format!("LISTEN_PID {pid} must be a number; {remedy}")),
    }
    match count.parse() {
        Ok(count @ 0..=MOST) => Ok(FIRST..FIRST + count),
        _ => Err(format!(
            "LISTEN_FDS {count} must be a number from 0 to {MOST}; {remedy}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_to_this_process_is_ours() {
        assert_eq!(numbers(Some("7"), Some("2"), 7), Ok(3..5));
        assert_eq!(numbers(Some("7"), Some("0"), 7), Ok(3..3));
        assert_eq!(numbers(Some("7"), Some("1024"), 7), Ok(3..1027));
        for (pid, count) in [
            (None, None),
            (None, Some("2")),
            (Some("7"), None),
            (Some("8"), Some("2")),
            (Some("8"), Some("what is not ours is not looked at")),
        ] {
            assert_eq!(numbers(pid, count, 7), Ok(3..3), "{pid:?} {count:?}");
        }
    }

    #[test]
    fn an_error_is_reported_with_the_value() {
        for (pid, count, named) in [
            ("7", "-1", "LISTEN_FDS -1"),
            ("7", "1025", "LISTEN_FDS 1025"),
            ("7", "two", "LISTEN_FDS two"),
            ("7", "", "LISTEN_FDS "),
            ("self", "1", "LISTEN_PID self"),
            ("-7", "1", "LISTEN_PID -7"),
        ] {
            let why = numbers(Some(pid), Some(count), 7).expect_err(count);
            assert!(why.starts_with(named) && why.contains("unset"), "{why}");
        }
    }
}
