//! What may be watched: a duplicate of the caller's descriptor, if the kernel can report its readiness.

use crate::error::Error;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

/// The server's own copy: no other code can close it, so it is always removed from the readiness set before it is
/// closed (`epoll(7)`, Q6). Never one of the standard streams, even if those were closed.
pub(crate) fn duplicate(descriptor: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let system = |call| move |errno| Error::System { call, errno };
    let copy = fcntl_dupfd_cloexec(descriptor, 3).map_err(system("fcntl"))?;
    if is_pollable(copy.as_fd())? {
        Ok(copy)
    } else {
        Err(Error::NotPollable)
    }
}

/// Whether it can be waited for. Only epoll reports that (`epoll_ctl(2)`, EPERM); for poll and select such a descriptor
/// is always ready. So it is checked with epoll whatever the backend is, before a watch is accepted.
pub(crate) fn is_pollable(descriptor: BorrowedFd<'_>) -> Result<bool, Error> {
    let set = epoll::create(CreateFlags::CLOEXEC).map_err(Error::of("epoll_create1"))?;
    match epoll::add(&set, descriptor, EventData::new_u64(0), EventFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::PERM) => Ok(false),
        Err(errno) => Err(Error::of("epoll_ctl")(errno)),
    }
}
