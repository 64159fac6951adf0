//! [`StartError`], [`CallError`]: why a server cannot start, or cannot go on.

use crate::backend::Kind;
use core::fmt;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
#[cfg(doc)]
use tidegate_core::Config;
use tidegate_core::{ConfigError, Trigger};

/// A server could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// A value in the [`Config`] cannot work.
    Config(ConfigError),
    /// A system call failed: the readiness set, the event counter.
    System(CallError),
    /// The backend cannot report by this trigger.
    Trigger {
        /// Which one it is.
        backend: Kind,
        /// The value of [`Config::trigger`].
        trigger: Trigger,
    },
    /// The backend's memory has too few entries for what may be registered at a time.
    Places {
        /// Entries that it has.
        lent: usize,
        /// One for each connection, each possible listener, and what stops the server.
        needed: usize,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::System(error) => error.fmt(f),
            Self::Trigger { backend, trigger } => write!(
                f,
                "{} cannot report by Trigger::{trigger:?}; use Trigger::Level, or epoll",
                backend.name()
            ),
            Self::Places { lent, needed } => write!(
                f,
                "the backend has {lent} entries and needs {needed}: give it more, or serve fewer connections"
            ),
        }
    }
}

impl core::error::Error for StartError {}

/// A system call failed that does not fail in a sound process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallError {
    /// Which.
    pub call: &'static str,
    /// The system's error number (`errno(3)`).
    pub errno: Errno,
}

/// The call that makes a ring of io_uring.
pub(crate) const SETUP: &str = "io_uring_setup";

/// The call that gives it buffers.
pub(crate) const REGISTER: &str = "io_uring_register";

impl CallError {
    pub(crate) fn of(call: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self { call, errno }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = match self.errno {
            Errno::MFILE | Errno::NFILE => ": too many open files; raise the limit (ulimit -n)",
            errno if self.call == SETUP => match errno {
                Errno::NOSYS => ": this kernel has no io_uring",
                Errno::PERM => {
                    ": not allowed here, by /proc/sys/kernel/io_uring_disabled or a seccomp profile"
                }
                Errno::INVAL => ": this kernel is older than Linux 6.1",
                _ => "",
            },
            Errno::NOSPC => {
                ": no entry for another registration; raise the limit (fs.epoll.max_user_watches), or give the backend more entries"
            }
            _ => "",
        };
        write!(
            f,
            "{} failed: errno {}{hint}",
            self.call,
            self.errno.raw_os_error()
        )?;
        if self.errno == Errno::NOMEM && (self.call == SETUP || self.call == REGISTER) {
            write_memlock(f, getrlimit(Resource::Memlock).current)?;
        }
        Ok(())
    }
}

/// What a ring takes of the memory that a user without `CAP_IPC_LOCK` may lock, in KiB: both queues, and the ring of buffers.
const RING_KIB: u64 = 80;

/// Prints the limit of locked memory, and what would be sufficient.
fn write_memlock(f: &mut fmt::Formatter<'_>, limit: Option<u64>) -> fmt::Result {
    match limit {
        Some(bytes) => write!(
            f,
            ": RLIMIT_MEMLOCK is {} KiB for all processes of this user, and each ring (one a thread) takes {RING_KIB} KiB of it; raise it (ulimit -l, LimitMEMLOCK=), or give CAP_IPC_LOCK",
            bytes / 1024
        ),
        None => f.write_str(": the kernel is short of memory (RLIMIT_MEMLOCK is unlimited)"),
    }
}

impl core::error::Error for CallError {}

#[cfg(test)]
mod tests {
    extern crate alloc;

    use super::*;
    use alloc::string::ToString;

    struct Said(Option<u64>);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_memlock(f, self.0)
        }
    }

    #[test]
    fn a_limit_of_locked_memory_is_named_with_its_value() {
        let said = Said(Some(65_536)).to_string();
        for part in ["RLIMIT_MEMLOCK is 64 KiB", "80 KiB", "LimitMEMLOCK="] {
            assert!(said.contains(part), "{said}");
        }
        assert!(Said(None).to_string().contains("unlimited"));
        for call in [SETUP, REGISTER] {
            let error = CallError::of(call)(Errno::NOMEM).to_string();
            assert!(error.contains("RLIMIT_MEMLOCK is "), "{error}");
        }
        let other = CallError::of("mmap")(Errno::NOMEM).to_string();
        assert!(!other.contains("MEMLOCK"), "{other}");
    }
}
