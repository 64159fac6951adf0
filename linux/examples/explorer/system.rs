//! [`System`]: the calls that a lesson makes, of the simulated kernel and of the real one.

use tidegate_sim::{EpollFlags, Errno, Fd, Report};

/// The result of a call.
pub(crate) type SysResult<T> = Result<T, Errno>;

/// A change of what an epoll set holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Add(EpollFlags, u64),
    Modify(EpollFlags, u64),
    Delete,
}

/// One kernel, with one listener. No call waits, but the receive on a descriptor that was made blocking, and that for a
/// bounded time. When a call has returned, what it sent has arrived.
pub(crate) trait System {
    /// The one listener, made at the start.
    fn listener(&self) -> Fd;

    /// A client's end, connected or in the listener's queue.
    fn connect(&mut self) -> SysResult<Fd>;

    /// The server's end of the client that connected first.
    fn accept(&mut self) -> SysResult<Fd>;

    /// Sends; all of it, if it is a few KiB.
    fn send(&mut self, fd: Fd, bytes: &[u8]) -> SysResult<usize>;

    /// Receives once; 0 bytes are EOF.
    fn receive(&mut self, fd: Fd, into: &mut [u8]) -> SysResult<usize>;

    /// Makes receives wait until there is something, or a bounded time has passed (`EAGAIN`).
    fn make_blocking(&mut self, fd: Fd) -> SysResult<()>;

    /// Sends the end.
    fn finish(&mut self, fd: Fd) -> SysResult<()>;

    /// Closes, with a reset if requested.
    fn close(&mut self, fd: Fd, reset: bool) -> SysResult<()>;

    /// A new epoll set.
    fn epoll(&mut self) -> SysResult<Fd>;

    /// Changes what is registered in an epoll set.
    fn change(&mut self, set: Fd, fd: Fd, change: Change) -> SysResult<()>;

    /// What an epoll set reports now.
    fn wait(&mut self, set: Fd) -> SysResult<Vec<Report>>;

    /// What `poll(2)` returns for these now, in their order.
    fn poll(&mut self, list: &[(Fd, EpollFlags)]) -> SysResult<Vec<EpollFlags>>;

    /// What `select(2)` returns for these now, in their order: `IN` and `OUT`, which are all it has.
    fn select(&mut self, list: &[(Fd, EpollFlags)]) -> SysResult<Vec<EpollFlags>>;

    /// Bytes that wait to be received.
    fn unread(&mut self, fd: Fd) -> usize;
}
