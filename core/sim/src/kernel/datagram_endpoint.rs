//! [`DatagramEndpoint`]: a datagram socket as a small value, without its datagrams: what `poll(2)` reports of it, and what
//! its calls return.

use super::Errno;
use crate::flags::EpollFlags;

/// A datagram socket, as far as its calls and `poll(2)` depend on it. The datagrams themselves, and the epoll sets, are the
/// [`Kernel`](super::Kernel)'s.
///
/// Each method is a call, or something that the network does. What the watchers are woken with is in the documentation of
/// what the network does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct DatagramEndpoint {
    /// Datagrams that came and were not received.
    pub received: usize,
    /// Datagrams that were sent and have not left.
    pub leaving: usize,
    /// The stored error (`SO_ERROR`): the network's reply to one that was sent before.
    pub error: Option<Errno>,
}

impl DatagramEndpoint {
    /// What the watchers are woken with when a datagram has come.
    pub const INPUT: EpollFlags = EpollFlags::IN;
    /// What they are woken with when there is a stored error.
    pub const ERROR: EpollFlags = EpollFlags::ERR;
    /// What they are woken with when there is free capacity again.
    pub const SPACE: EpollFlags = EpollFlags::OUT;

    /// What is true of it now: `datagram_poll`. A stored error is not input. So many datagrams fit on their way out.
    #[must_use]
    pub fn poll(&self, buffer: usize) -> EpollFlags {
        EpollFlags::IN.when(self.received > 0)
            | EpollFlags::OUT.when(self.leaving < buffer)
            | EpollFlags::ERR.when(self.error.is_some())
    }

    /// Takes the first datagram from the queue. A stored error comes before it.
    ///
    /// # Errors
    ///
    /// `AGAIN`; the stored error, once.
    pub fn recv(&mut self) -> Result<(), Errno> {
        if let Some(errno) = self.error.take() {
            return Err(errno);
        }
        self.received = self.received.checked_sub(1).ok_or(Errno::AGAIN)?;
        Ok(())
    }

    /// Sends one, unless so many are on their way out. A stored error is returned in its place.
    ///
    /// # Errors
    ///
    /// `AGAIN`; the stored error, once.
    pub fn send(&mut self, buffer: usize) -> Result<(), Errno> {
        if let Some(errno) = self.error.take() {
            return Err(errno);
        }
        if self.leaving >= buffer {
            return Err(Errno::AGAIN);
        }
        self.leaving += 1;
        Ok(())
    }

    /// A datagram comes; returns whether it fits into the queue, which holds so many. Wakes with [`INPUT`](Self::INPUT) if
    /// so.
    pub const fn arrive(&mut self, queue: usize) -> bool {
        let fits = self.received < queue;
        if fits {
            self.received += 1;
        }
        fits
    }

    /// An ICMP error: there is no listener where one was sent. Wakes with [`ERROR`](Self::ERROR).
    pub const fn refuse(&mut self) {
        self.error = Some(Errno::CONNREFUSED);
    }

    /// The network takes all that was sent; returns whether there was something. Wakes with [`SPACE`](Self::SPACE) if so.
    pub const fn leave(&mut self) -> bool {
        let left = self.leaving > 0;
        self.leaving = 0;
        left
    }
}
