//! What may be watched: a duplicate of the caller's descriptor, if the kernel can report its readiness.

use crate::error::CallError;
use core::fmt;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use tidegate_core::Unavailable;

/// A descriptor cannot be watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WatchError {
    /// It is a regular file, a directory or a device without readiness (`EPERM`): always ready, so just use it.
    NotPollable,
    /// All slots for listeners, watched descriptors and datagram sockets are taken.
    Full(Unavailable),
    /// A system call failed.
    System(CallError),
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPollable => f.write_str(
                "cannot be waited for: a regular file or directory is always ready; use it without a watch",
            ),
            Self::Full(error) => error.fmt(f),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for WatchError {}

/// The server's own copy: no other code can close it, so it is always removed from the readiness set before it is
/// closed (`epoll(7)`, Q6). Never one of the standard streams, even if those were closed.
pub(crate) fn duplicate(descriptor: BorrowedFd<'_>) -> Result<OwnedFd, WatchError> {
    let system = |call| move |errno| WatchError::System(CallError::of(call)(errno));
    let copy = fcntl_dupfd_cloexec(descriptor, 3).map_err(system("fcntl"))?;
    if is_pollable(copy.as_fd()).map_err(WatchError::System)? {
        Ok(copy)
    } else {
        Err(WatchError::NotPollable)
    }
}

/// Whether it can be waited for. Only epoll reports that (`epoll_ctl(2)`, EPERM); for poll and select such a descriptor
/// is always ready. So it is checked with epoll whatever the backend is, before a watch is accepted.
pub(crate) fn is_pollable(descriptor: BorrowedFd<'_>) -> Result<bool, CallError> {
    let set = epoll::create(CreateFlags::CLOEXEC).map_err(CallError::of("epoll_create1"))?;
    match epoll::add(&set, descriptor, EventData::new_u64(0), EventFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::PERM) => Ok(false),
        Err(errno) => Err(CallError::of("epoll_ctl")(errno)),
    }
}
