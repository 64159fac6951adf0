//! Receives of `io_uring(7)`: multishot ones (`IORING_RECV_MULTISHOT`), one-shot ones, and the poll that has to
//! accompany the former.

use super::endpoint::State;
use super::socket::Socket;
use super::{Errno, Fd, Kernel};
use crate::flags::EpollFlags;

/// What ends a connection, for a poll.
const END: EpollFlags = EpollFlags::from_bits(0x2018); // RDHUP, HUP, ERR

/// What wakes a receive.
const RECEIVE: EpollFlags = EpollFlags::from_bits(0x201b); // the same, IN, PRI

impl Kernel {
    /// Submits a multishot receive, which waits first (`IORING_RECVSEND_POLL_FIRST`). One that is in flight is forgotten.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`.
    pub fn begin_multishot(&mut self, fd: Fd) -> Result<(), Errno> {
        let at = self.stream(fd)?;
        let ready = self.poll_file(at).intersects(RECEIVE);
        if let Some(socket) = self.socket_mut(at) {
            socket.multishot = Some(u32::from(ready));
        }
        Ok(())
    }

    /// What the multishot receive in flight completes with, as [`recv`](Self::recv); submits one if none is in flight. It
    /// receives only after a wake-up. If the last bytes and a reset behind them were there when it was submitted, it completes
    /// with the bytes and never with the reset: the one wake-up is used up when the bytes are found, and none comes again.
    /// With [`Limits::merged_wake_ups`](super::Limits::merged_wake_ups) also if they came after.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv). After any but `AGAIN` it is not in flight any more.
    pub fn recv_multishot(&mut self, fd: Fd, into: &mut [u8]) -> Result<usize, Errno> {
        let at = self.stream(fd)?;
        if self
            .socket(at)
            .is_some_and(|socket| socket.multishot.is_none())
        {
            self.begin_multishot(fd)?;
        }
        let wake_ups = self.socket(at).and_then(|socket| socket.multishot);
        let wake_ups = wake_ups.unwrap_or(0);
        if wake_ups == 0 {
            return Err(Errno::AGAIN);
        }
        let received = self.recv(fd, into);
        let merges = self.limits.merged_wake_ups;
        if let Some(socket) = self.socket_mut(at) {
            match received {
                Ok(1..) => socket.multishot = socket.left_after_bytes(merges),
                // What has come since, an injected one among it, is not used up.
                Err(Errno::AGAIN) => {
                    let now = socket.multishot.unwrap_or(0);
                    socket.multishot = Some(now.saturating_sub(wake_ups));
                }
                Ok(0) | Err(_) => socket.multishot = None,
            }
        }
        received
    }

    /// Cancels the multishot receive in flight, if there is one.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`.
    pub fn cancel_multishot(&mut self, fd: Fd) -> Result<(), Errno> {
        let at = self.stream(fd)?;
        if let Some(socket) = self.socket_mut(at) {
            socket.multishot = None;
        }
        Ok(())
    }

    /// What a receive that completes once completes with; `AGAIN`: it waits. It checks the state, so it misses nothing.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_once(&mut self, fd: Fd, into: &mut [u8]) -> Result<usize, Errno> {
        self.stream(fd)?;
        self.recv(fd, into)
    }

    /// Whether a poll for the end has completed: FIN, hang-up or error. It checks the state, so it misses nothing.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`.
    pub fn has_hung_up(&mut self, fd: Fd) -> Result<bool, Errno> {
        let (at, limits) = (self.stream(fd)?, self.limits.clone());
        let polled = self.socket_mut(at).map(|socket| {
            // A connection that is being made has no end.
            socket.end.state != State::Connecting && socket.poll(&limits).intersects(END)
        });
        Ok(polled.unwrap_or(false))
    }

    /// A wake-up of a file; `what` is empty if anything may have changed.
    pub(super) fn wake_multishot(&mut self, at: u32, what: EpollFlags) {
        if let Some(socket) = self.socket_mut(at)
            && (what.is_empty() || what.intersects(RECEIVE))
            && let Some(wake_ups) = &mut socket.multishot
        {
            *wake_ups = wake_ups.saturating_add(1);
        }
    }
}

impl Socket {
    /// The wake-ups that a multishot receive has left after one attempt that has received bytes.
    fn left_after_bytes(&self, merges: bool) -> Option<u32> {
        let wake_ups = self.multishot?;
        // The kernel knows that there is more: bytes, or FIN (`tcp_inq_hint`).
        if self.end.holds_bytes() || self.end.ended {
            return Some(wake_ups);
        }
        let ended = self.end.receive_shut;
        if ended && wake_ups > 1 && !merges {
            return Some(1);
        }
        Some(0)
    }
}
