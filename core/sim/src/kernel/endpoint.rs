//! [`Endpoint`]: one end of a stream as a small value, without its bytes: what `poll(2)` reports of it, and what its calls
//! return.

use super::{Errno, Family, Shutdown};
use crate::flags::EpollFlags;

/// How far the connection of an [`Endpoint`] has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Not connected yet.
    Fresh,
    /// A TCP connect waits for a slot of the listener's queue, or gets no response.
    Connecting,
    /// Connected.
    Established,
    /// TCP: FIN was sent and received both ways, or it was reset. A terminal: it was hung up.
    Closed,
}

/// One end of a stream, as far as its calls and `poll(2)` depend on it. The bytes themselves, the other end and the epoll
/// sets are the [`Kernel`](super::Kernel)'s.
///
/// Each method is a call, or something that comes in from the other end. What the watchers are woken with is in the
/// documentation of what comes in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Endpoint {
    /// Which kind of stream.
    pub family: Family,
    /// How far its connection has come.
    pub state: State,
    /// Bytes received and not read, the urgent one not among them.
    pub unread: usize,
    /// An urgent byte that has not been passed: so many in-band bytes are in front of it.
    pub urgent: Option<usize>,
    /// What its own bytes that the other end has not read cost.
    pub charged: usize,
    /// It receives no more: it was shut down, or FIN or a reset was received.
    pub receive_shut: bool,
    /// It sends no more: it was shut down, or a reset was received.
    pub send_shut: bool,
    /// TCP: FIN was received.
    pub ended: bool,
    /// TCP: a write or a poll has found the buffer full, so the next free capacity is notified (`SOCK_NOSPACE`).
    pub no_space: bool,
    /// The stored error (`SO_ERROR`).
    pub error: Option<Errno>,
}

impl Endpoint {
    /// What the watchers are woken with when bytes or an urgent mark have come.
    pub const INPUT: EpollFlags = EpollFlags::from_bits(0x3);
    /// What they are woken with when anything may have changed.
    pub const STATE: EpollFlags = EpollFlags::NONE;
    /// What they are woken with when there is free capacity again.
    pub const SPACE: EpollFlags = EpollFlags::OUT;

    /// One that is not connected.
    #[must_use]
    pub const fn new(family: Family) -> Self {
        Self {
            family,
            state: State::Fresh,
            unread: 0,
            urgent: None,
            charged: 0,
            receive_shut: false,
            send_shut: false,
            ended: false,
            no_space: false,
            error: None,
        }
    }

    /// One that is connected.
    #[must_use]
    pub const fn connected(family: Family) -> Self {
        let mut end = Self::new(family);
        end.state = State::Established;
        end
    }

    /// Whether it is writable: a quarter of the buffer taken at most on a Unix stream (`unix_writable`), two thirds on
    /// TCP (`sk_stream_is_writeable`). `extra` is what is being freed right now and still counted.
    #[must_use]
    pub const fn is_writable(&self, buffer: usize, extra: usize) -> bool {
        match self.family {
            Family::Unix => (self.charged + 1 + extra) * 4 <= buffer,
            Family::Tcp | Family::Terminal => {
                let free = buffer.saturating_sub(self.charged);
                free >= self.charged / 2 && free > 0
            }
        }
    }

    /// What is true of it now: `unix_poll`, `tcp_poll`. A poll for writability that finds the buffer full requests the
    /// notification.
    pub fn poll(&mut self, buffer: usize) -> EpollFlags {
        let both = self.receive_shut && self.send_shut;
        let apart = matches!(self.state, State::Fresh | State::Closed);
        let mut bits = EpollFlags::ERR.when(self.error.is_some())
            | EpollFlags::HUP.when(both || apart)
            | (EpollFlags::RDHUP | EpollFlags::IN).when(self.receive_shut);
        if self.state == State::Connecting {
            return bits;
        }
        bits |= EpollFlags::IN.when(self.unread > 0);
        bits |= EpollFlags::PRI.when(self.urgent.is_some());
        let writable = self.is_writable(buffer, 0);
        match self.family {
            Family::Unix => bits |= EpollFlags::OUT.when(writable),
            Family::Tcp | Family::Terminal => {
                bits |= EpollFlags::OUT.when(writable || self.send_shut);
                self.no_space |= !writable && !self.send_shut;
            }
        }
        bits
    }

    /// Whether its queue holds a byte, be it the urgent one.
    #[must_use]
    pub fn holds_bytes(&self) -> bool {
        self.unread > 0 || self.urgent == Some(0)
    }

    /// Bytes that one receive could get: those in front of the urgent mark.
    #[must_use]
    pub fn readable(&self) -> usize {
        self.urgent
            .map_or(self.unread, |ahead| ahead.min(self.unread))
    }

    /// Receives up to `len` bytes; 0: EOF, or nothing was asked for. A transfer ends at the urgent mark, and the next one
    /// begins behind it.
    ///
    /// # Errors
    ///
    /// As [`Kernel::recv`](super::Kernel::recv).
    pub fn recv(&mut self, len: usize) -> Result<usize, Errno> {
        match (self.family, self.state) {
            (Family::Unix, State::Fresh) => return Err(Errno::INVAL),
            (Family::Tcp | Family::Terminal, State::Fresh) => return Err(Errno::NOTCONN),
            (_, State::Connecting) => return Err(Errno::AGAIN),
            (_, State::Established | State::Closed) => {}
        }
        if len == 0 && (self.family == Family::Terminal || self.holds_bytes()) {
            return Ok(0);
        }
        self.urgent = self.urgent.filter(|ahead| *ahead > 0);
        let moved = len.min(self.readable());
        if moved > 0 {
            self.unread -= moved;
            self.urgent = self.urgent.map(|ahead| ahead.saturating_sub(moved));
            return Ok(moved);
        }
        if self.ended {
            return Ok(0);
        }
        if self.family == Family::Terminal && self.state == State::Closed {
            return Err(Errno::IO);
        }
        match self.error.take() {
            Some(errno) => Err(errno),
            None if self.receive_shut => Ok(0),
            None => Err(Errno::AGAIN),
        }
    }

    /// Sends as much of `len` bytes as fits, on TCP and on a terminal. (A Unix stream is charged for each write by itself:
    /// [`Kernel::send`](super::Kernel::send).)
    ///
    /// # Errors
    ///
    /// As [`Kernel::send`](super::Kernel::send).
    pub fn send(&mut self, len: usize, buffer: usize) -> Result<usize, Errno> {
        if self.family == Family::Terminal {
            if self.state != State::Established {
                return Err(Errno::IO);
            }
        } else {
            if self.state == State::Connecting {
                return Err(Errno::AGAIN);
            }
            if let Some(errno) = self.error.take() {
                return Err(errno);
            }
            if self.send_shut || self.state != State::Established {
                return Err(Errno::PIPE);
            }
        }
        let taken = len.min(buffer.saturating_sub(self.charged));
        self.no_space |= taken < len;
        if taken == 0 && (len > 0 || self.family == Family::Terminal) {
            return Err(Errno::AGAIN);
        }
        self.charged += taken;
        Ok(taken)
    }

    /// Shuts one or both directions down; returns whether FIN goes to the other end. Wakes with
    /// [`STATE`](Self::STATE), also if it fails.
    ///
    /// # Errors
    ///
    /// `NOTCONN`: TCP that is not connected, or no longer.
    pub fn shut_down(&mut self, how: Shutdown) -> Result<bool, Errno> {
        let write = how != Shutdown::Read;
        let established = self.state == State::Established;
        let ends = write && !self.send_shut && established;
        self.receive_shut |= how != Shutdown::Write;
        self.send_shut |= write;
        if self.family == Family::Tcp && !established {
            return Err(Errno::NOTCONN);
        }
        if ends && self.ended {
            self.state = State::Closed;
        }
        Ok(ends)
    }

    /// The result of a connect: its error, which is cleared (`SO_ERROR`), or that it is in progress (`getpeername`
    /// fails).
    ///
    /// # Errors
    ///
    /// `INPROGRESS`, `NOTCONN`, and the error of the connect.
    pub fn take_connected(&mut self) -> Result<(), Errno> {
        match self.error.take() {
            Some(errno) => Err(errno),
            None if self.state == State::Connecting => Err(Errno::INPROGRESS),
            None if self.state == State::Fresh => Err(Errno::NOTCONN),
            None => Ok(()),
        }
    }

    /// Bytes come in. Wakes with [`INPUT`](Self::INPUT).
    pub const fn arrive(&mut self, len: usize) {
        self.unread += len;
    }

    /// TCP: FIN comes in. When both ends have sent and received FIN, the connection is over. Wakes with
    /// [`STATE`](Self::STATE).
    pub const fn end(&mut self) {
        self.receive_shut = true;
        self.ended = true;
        if self.send_shut {
            self.state = State::Closed;
        }
    }

    /// TCP: a reset comes in; returns whether there was something to reset. Wakes with [`STATE`](Self::STATE) if so.
    pub fn reset(&mut self) -> bool {
        if self.state == State::Closed {
            return false;
        }
        self.error = Some(match self.state {
            State::Connecting => Errno::CONNREFUSED,
            // `tcp_reset` in CLOSE_WAIT.
            State::Established if self.ended && !self.send_shut => Errno::PIPE,
            State::Fresh | State::Established | State::Closed => Errno::CONNRESET,
        });
        self.state = State::Closed;
        self.receive_shut = true;
        self.send_shut = true;
        self.charged = 0;
        true
    }

    /// The other end has read so much of what was charged; returns whether the free capacity is notified. Wakes with
    /// [`SPACE`](Self::SPACE) if so.
    pub const fn acknowledge(&mut self, freed: usize, buffer: usize) -> bool {
        self.charged = self.charged.saturating_sub(freed);
        match self.family {
            Family::Unix => freed > 0 && self.is_writable(buffer, 1),
            Family::Tcp | Family::Terminal => {
                let notifies = self.no_space && self.is_writable(buffer, 0);
                self.no_space &= !notifies;
                notifies
            }
        }
    }
}
