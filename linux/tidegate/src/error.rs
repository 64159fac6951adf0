//! [`Error`]: why a server cannot start, take on something, or go on.

use crate::backend::Kind;
use core::fmt;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
#[cfg(doc)]
use tidegate_core::Config;
use tidegate_core::{ConfigError, Trigger, Unavailable};

/// What failed, and what to do about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A value in the [`Config`] cannot work.
    Config(ConfigError),
    /// Everything of a kind is taken: nothing was added.
    Unavailable(Unavailable),
    /// A system call failed that does not fail in a sound process; or, of a serial line, one that its driver does not have.
    System {
        /// Which.
        call: &'static str,
        /// The system's error number (`errno(3)`).
        errno: Errno,
    },
    /// A listener or a datagram socket could not be opened.
    Open {
        /// The call or the option that failed.
        call: &'static str,
        /// The system's error number (`errno(3)`).
        errno: Errno,
        /// The process that serves a Unix socket at this path (`SO_PEERCRED`), if the kernel reports it.
        holder: Option<u32>,
    },
    /// The backend cannot report by this trigger.
    Trigger {
        /// Which one it is.
        backend: Kind,
        /// The value of [`Config::trigger`].
        trigger: Trigger,
    },
    /// The backend's memory has too few entries for what may be registered at a time.
    Entries {
        /// Entries that it has.
        capacity: usize,
        /// One for each connection, each possible listener, and what stops the server.
        needed: usize,
    },
    /// What was passed is not a socket.
    NotSocket,
    /// The socket is neither of TCP nor a Unix socket.
    Family,
    /// The socket is of another type than a stream socket: of datagrams, of packets.
    NotStream,
    /// What was passed is not a datagram socket.
    NotDatagrams,
    /// The socket is bound, perhaps, or connected, but does not listen.
    NotListening,
    /// `shutdown(2)` was called on the socket, here or in another process that has it: it never accepts again.
    ShutDown,
    /// It is a regular file, a directory or a device without readiness (`EPERM` of `epoll_ctl(2)`): always ready, so read
    /// and write it without a loop.
    NotPollable,
    /// It is a socket: those come by a listener ([`Server::listen`](crate::Server::listen)) or are connected
    /// ([`Server::connect`](crate::Server::connect)).
    IsSocket,
    /// It is one of the descriptors 0 to 2. Flags set on them apply to every process that shares the open file
    /// description, a shell for instance, and outlive this one: open a descriptor of your own (`/dev/tty`,
    /// `/proc/self/fd/0`).
    Standard,
    /// It is a terminal that returns 0 bytes when nothing has come (`VMIN` is 0, `termios(3)`), which would look like
    /// EOF: set `VMIN` to 1.
    Polled,
    /// The path is empty, has a NUL in it, or is too long.
    Path {
        /// The most bytes that it may have.
        max: usize,
    },
    /// A serial line does not have this speed: the driver makes one that is more than 3 % off; or it is 0, which would hang
    /// up.
    Speed {
        /// The requested speed, in bits per second.
        asked: u32,
        /// What the driver makes, 0 if it was not asked.
        made: u32,
    },
}

/// The call that makes a ring of io_uring.
pub(crate) const SETUP: &str = "io_uring_setup";

/// The call that gives it buffers.
pub(crate) const REGISTER: &str = "io_uring_register";

impl Error {
    /// What turns the number of a failed call into [`System`](Self::System).
    pub(crate) fn of(call: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::System { call, errno }
    }

    /// The same for [`Open`](Self::Open).
    pub(crate) fn of_open(call: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::open(call, errno)
    }

    pub(crate) const fn open(call: &'static str, errno: Errno) -> Self {
        Self::Open {
            call,
            errno,
            holder: None,
        }
    }

    /// The system's error number, if a system call failed.
    #[must_use]
    pub const fn errno(&self) -> Option<Errno> {
        match self {
            Self::System { errno, .. } | Self::Open { errno, .. } => Some(*errno),
            Self::Config(_)
            | Self::Unavailable(_)
            | Self::Trigger { .. }
            | Self::Entries { .. }
            | Self::NotSocket
            | Self::Family
            | Self::NotStream
            | Self::NotDatagrams
            | Self::NotListening
            | Self::ShutDown
            | Self::NotPollable
            | Self::IsSocket
            | Self::Standard
            | Self::Polled
            | Self::Path { .. }
            | Self::Speed { .. } => None,
        }
    }

    /// Whether the cause may pass: this machine does not have the address of a listener, or the network interface, yet.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Open {
                errno: Errno::ADDRNOTAVAIL | Errno::NODEV,
                ..
            }
        )
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<Unavailable> for Error {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Config(error) => return error.fmt(f),
            Self::Unavailable(error) => return error.fmt(f),
            Self::System { call, errno } => return write_system(f, call, *errno),
            Self::Open {
                call,
                errno,
                holder,
            } => return write_open(f, call, *errno, *holder),
            Self::Trigger { backend, trigger } => {
                return write!(
                    f,
                    "{} cannot report by Trigger::{trigger:?}; use Trigger::Level, or epoll",
                    backend.name()
                );
            }
            Self::Entries { capacity, needed } => {
                return write!(
                    f,
                    "the backend has {capacity} entries and needs {needed}: give it more, or serve fewer connections"
                );
            }
            Self::NotSocket => "it is not a socket; pass a stream socket that listens",
            Self::Family => "it is neither a TCP nor a Unix socket; pass one of these",
            Self::NotStream => {
                "it is not a stream socket; pass one of type SOCK_STREAM (ListenStream=)"
            }
            Self::NotDatagrams => {
                "it is not a datagram socket; pass one of type SOCK_DGRAM (ListenDatagram=)"
            }
            Self::NotListening => {
                "it does not listen, or was shut down; call listen() on it before (Accept=no)"
            }
            Self::ShutDown => {
                "it was shut down, and never accepts again; pass a new one that listens"
            }
            Self::NotPollable => {
                "cannot be waited for: a regular file or directory is always ready; read and write it without the loop"
            }
            Self::IsSocket => "it is a socket; listen or connect for one",
            Self::Standard => {
                "it is a standard stream, which is shared with others; open a descriptor of your own, such as /dev/tty"
            }
            Self::Polled => "the terminal's VMIN is 0, so that silence looks like EOF; set it to 1",
            Self::Path { max } => {
                return write!(
                    f,
                    "the path is not usable; it has 1 to {max} bytes, none of them 0"
                );
            }
            Self::Speed { asked: 0, .. } => {
                "a speed of 0 hangs up; write bits per second, such as 9600"
            }
            Self::Speed { asked, made } => {
                return write!(
                    f,
                    "the driver makes {made} bits per second of {asked}; choose a speed that it has"
                );
            }
        })
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Unavailable(error) => Some(error),
            // rustix' numbers are errors of their own only with std: see `errno`.
            Self::System { .. }
            | Self::Open { .. }
            | Self::Trigger { .. }
            | Self::Entries { .. }
            | Self::NotSocket
            | Self::Family
            | Self::NotStream
            | Self::NotDatagrams
            | Self::NotListening
            | Self::ShutDown
            | Self::NotPollable
            | Self::IsSocket
            | Self::Standard
            | Self::Polled
            | Self::Path { .. }
            | Self::Speed { .. } => None,
        }
    }
}

/// Prints a failed call.
fn write_system(f: &mut fmt::Formatter<'_>, call: &str, errno: Errno) -> fmt::Result {
    let hint = match errno {
        Errno::MFILE | Errno::NFILE => ": too many open files; raise the limit (ulimit -n)",
        errno if call == SETUP => match errno {
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
    write!(f, "{call} failed: errno {}{hint}", errno.raw_os_error())?;
    if errno == Errno::NOMEM && (call == SETUP || call == REGISTER) {
        write_memlock(f, getrlimit(Resource::Memlock).current)?;
    }
    Ok(())
}

/// Prints why a socket could not be opened.
fn write_open(
    f: &mut fmt::Formatter<'_>,
    call: &str,
    errno: Errno,
    holder: Option<u32>,
) -> fmt::Result {
    let hint = match errno {
        Errno::ADDRINUSE => {
            "address in use; choose another, or stop the process that listens there"
        }
        Errno::ADDRNOTAVAIL => {
            "no interface of this machine has this address; choose one that it has, or 0.0.0.0 for all"
        }
        Errno::NODEV => "no network interface has this name or number; ip link lists them",
        Errno::ACCESS => {
            "permission denied; ports below 1024 need privileges, paths a writable folder"
        }
        Errno::NOENT => "the path's folder does not exist; make it, or choose another path",
        Errno::AFNOSUPPORT => "this kernel lacks the address family; choose another address",
        Errno::NAMETOOLONG | Errno::INVAL => {
            "the address is not usable; a link-local one needs its interface ([fe80::1%eth0]:PORT), a path has at most 107 bytes"
        }
        Errno::MFILE | Errno::NFILE => "too many open files; raise the limit (ulimit -n)",
        Errno::NOTSOCK => "a file that is not a socket is there; choose another path, or remove it",
        Errno::STALE => {
            "another file has come to the path just now; choose a folder that only this user may write to"
        }
        Errno::PERM => "not permitted; an owner is given by root only",
        _ => "",
    };
    let number = errno.raw_os_error();
    if let Some(holder) = holder {
        return write!(
            f,
            "address in use by process {holder}; choose another, or stop it ({}: errno {number})",
            call
        );
    }
    if hint.is_empty() {
        write!(f, "{} failed: errno {number}", call)
    } else {
        write!(f, "{hint} ({}: errno {number})", call)
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
            let error = Error::of(call)(Errno::NOMEM).to_string();
            assert!(error.contains("RLIMIT_MEMLOCK is "), "{error}");
        }
        let other = Error::of("mmap")(Errno::NOMEM).to_string();
        assert!(!other.contains("MEMLOCK"), "{other}");
    }
}
