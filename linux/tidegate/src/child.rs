//! [`Child`]: the exit of a child process, as a descriptor to be watched (`pidfd_open(2)`).

use crate::error::Error;
use core::fmt;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

/// How a child ended (`waitid(2)`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It returned or called `exit`, with this status.
    Status(i32),
    /// A signal of this number ended it.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// A child of this process, to be watched for READ by [`Server::watch`](crate::Server::watch): it is ready when the child
/// has ended. Unlike a signal it names the process itself, so it cannot mean another that has its number by then.
#[derive(Debug)]
pub struct Child {
    process: OwnedFd,
}

impl Child {
    /// The child of this number, as `std::process::Child::id` has it. It must not have been waited for.
    ///
    /// # Errors
    ///
    /// There is no such process (`ESRCH`), no descriptor is free, or the kernel is older than Linux 5.3 (`ENOSYS`).
    pub fn of(pid: u32) -> Result<Self, Error> {
        let failed = Error::of("pidfd_open");
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::Errno::SRCH).map_err(&failed)?;
        let process = pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(failed)?;
        Ok(Self { process })
    }

    /// Returns its exit status and reaps it, once; `None` if it still runs, or was reaped already.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let wait = || waitid(WaitId::PidFd(self.process.as_fd()), options);
        let status = io::retry_on_intr(wait).ok().flatten()?;
        let exited = status.exit_status().map(Exit::Status);
        exited.or_else(|| status.terminating_signal().map(Exit::Signal))
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}
