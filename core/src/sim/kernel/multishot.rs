//! Receives of `io_uring(7)` that go on (`IORING_RECV_MULTISHOT`), and the poll that has to stand beside them.

use super::Kernel;
use super::socket::State;
use crate::sim::errno::Errno;
use crate::sim::flags::EpollFlags;
use crate::sim::kernel::Fd;

impl Kernel {
    /// What a receive that goes on brings, as [`recv`](Self::recv): but if bytes and a reset are there together, it brings the
    /// bytes, and never the reset. The wake-ups of both are consumed when the bytes are found; none comes again.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv). `AGAIN` for ever after that.
    pub fn recv_multishot(&mut self, fd: Fd, into: &mut [u8]) -> Result<usize, Errno> {
        let at = self.stream(fd)?;
        if self
            .socket(at)
            .is_some_and(|socket| socket.forgotten && socket.unread == 0)
        {
            return Err(Errno::AGAIN);
        }
        let received = self.recv(fd, into);
        if let (Ok(1..), Some(socket)) = (received, self.socket_mut(at)) {
            socket.forgotten |= socket.unread == 0 && socket.error.is_some();
        }
        received
    }

    /// Whether a poll for the end has completed: FIN, hang-up or error. It checks the state, so it misses nothing.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`.
    pub fn has_hung_up(&mut self, fd: Fd) -> Result<bool, Errno> {
        let (at, limits, wrong) = (self.stream(fd)?, self.limits.clone(), self.wrong());
        let end = EpollFlags::RDHUP | EpollFlags::HUP | EpollFlags::ERR;
        let polled = self.socket_mut(at).map(|socket| {
            // A connection that is being made has no end.
            socket.state != State::Connecting && socket.poll(&limits, wrong).intersects(end)
        });
        Ok(polled.unwrap_or(false))
    }
}
