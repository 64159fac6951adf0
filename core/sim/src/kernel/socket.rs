//! [`Socket`]: one end of a stream, and its readiness for `poll(2)`.

use super::Limits;
use crate::flags::EpollFlags;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use tidegate_core::errno::Errno;

/// The kinds of streams.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// Unix streams: each write is kept apart and frees its buffer when it has been read whole.
    Unix,
    /// TCP: bytes are bytes; FIN, resets, an urgent mark.
    Tcp,
    /// Pseudo-terminals in raw mode, which are non-socket streams: no EOF but the hang-up, after which everything fails
    /// with `EIO` (`pty(7)`). Listening is plugging a device in, connecting is opening it, accepting returns that it
    /// was. Not compared with Linux by `differ`: there, bytes take their time in between.
    Terminal,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Not connected yet.
    Fresh,
    /// A TCP connect waits for a slot of the listener's queue, or gets no response.
    Connecting,
    Established,
    /// TCP: FIN was sent and received both ways, or it was reset.
    Closed,
}

/// What one write has put into the queue, as far as it has not been read.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    /// How many of them have been read.
    pub(super) at: usize,
    /// What the writer is charged for it.
    pub(super) charge: usize,
}

impl Chunk {
    pub(super) fn left(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }
}

/// An urgent byte that has not been passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Urgent {
    /// In-band bytes in front of it.
    ahead: usize,
    byte: u8,
}

#[derive(Clone, Debug)]
pub(super) struct Socket {
    pub(super) family: Family,
    pub(super) state: State,
    pub(super) address: Option<SocketAddr>,
    /// The other end; `None` before the connection and after it was closed.
    pub(super) peer: Option<u32>,
    /// The listener that a connect waits for.
    pub(super) knocks_at: Option<u32>,
    /// The host whose hardware address a connect waits for.
    pub(super) towards: Option<IpAddr>,
    /// Received and not read.
    pub(super) queue: VecDeque<Chunk>,
    /// Bytes in the queue.
    pub(super) unread: usize,
    pub(super) urgent: Option<Urgent>,
    /// What our own unread bytes cost.
    pub(super) charged: usize,
    pub(super) receive_shut: bool,
    pub(super) send_shut: bool,
    /// TCP: FIN was received.
    pub(super) ended: bool,
    /// TCP: a write or a poll has found the buffer full, so the next free capacity is notified.
    pub(super) no_space: bool,
    /// `SO_LINGER` of zero seconds: closing resets.
    pub(super) resets: bool,
    /// Its machine is gone: there is no response to what is sent to it.
    pub(super) silent: bool,
    pub(super) error: Option<Errno>,
    /// Wake-ups that the multishot receive in flight has not used up; `None`: none is in flight. One that was submitted when
    /// there was something to receive begins with one.
    pub(super) multishot: Option<u32>,
}

impl Socket {
    pub(super) const fn new(family: Family, address: Option<SocketAddr>) -> Self {
        Self {
            family,
            state: State::Fresh,
            address,
            peer: None,
            knocks_at: None,
            towards: None,
            queue: VecDeque::new(),
            unread: 0,
            urgent: None,
            charged: 0,
            receive_shut: false,
            send_shut: false,
            ended: false,
            no_space: false,
            resets: false,
            silent: false,
            error: None,
            multishot: None,
        }
    }

    pub(super) const fn connected(family: Family, address: Option<SocketAddr>, peer: u32) -> Self {
        let mut socket = Self::new(family, address);
        socket.state = State::Established;
        socket.peer = Some(peer);
        socket
    }

    /// Whether it is writable: a quarter of the limit taken at most on a Unix stream (`unix_writable`), two thirds on
    /// TCP (`sk_stream_is_writeable`). `extra` is what is being freed right now and still counted.
    pub(super) const fn is_writable(&self, limits: &Limits, extra: usize) -> bool {
        match self.family {
            Family::Unix => (self.charged + 1 + extra) * 4 <= limits.unix_buffer,
            Family::Tcp | Family::Terminal => {
                let free = limits.tcp_buffer.saturating_sub(self.charged);
                free >= self.charged / 2 && free > 0
            }
        }
    }

    /// What is true of it now: `unix_poll`, `tcp_poll`. A poll for writability that finds the buffer full requests the
    /// notification.
    pub(super) fn poll(&mut self, limits: &Limits) -> EpollFlags {
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
        let writable = self.is_writable(limits, 0);
        match self.family {
            Family::Unix => bits |= EpollFlags::OUT.when(writable),
            Family::Tcp | Family::Terminal => {
                bits |= EpollFlags::OUT.when(writable || self.send_shut);
                self.no_space |= !writable && !self.send_shut;
            }
        }
        bits
    }

    /// Takes up to `into.len()` bytes out of the queue; returns how many, and the charges of chunks that are used up. A
    /// transfer ends at the urgent mark, and the next one begins behind it.
    pub(super) fn take(&mut self, into: &mut [u8]) -> (usize, usize) {
        let (mut moved, mut freed) = (0, 0);
        self.urgent = self.urgent.filter(|urgent| urgent.ahead > 0);
        let most = into.len().min(self.unread());
        while moved < most {
            let Some(chunk) = self.queue.front_mut() else {
                break;
            };
            let left = chunk.left();
            let n = left.len().min(most - moved);
            if let (Some(to), Some(from)) = (into.get_mut(moved..moved + n), left.get(..n)) {
                to.copy_from_slice(from);
            }
            chunk.at += n;
            moved += n;
            if self.family != Family::Unix {
                freed += n;
            }
            if chunk.left().is_empty() {
                if self.family == Family::Unix {
                    freed += chunk.charge;
                }
                self.queue.pop_front();
            }
        }
        self.unread -= moved;
        if let Some(urgent) = &mut self.urgent {
            urgent.ahead = urgent.ahead.saturating_sub(moved);
        }
        (moved, freed)
    }

    /// Whether its queue holds a byte, be it the urgent one.
    pub(super) fn holds_bytes(&self) -> bool {
        self.unread > 0 || self.urgent.is_some_and(|urgent| urgent.ahead == 0)
    }

    /// Bytes that one receive could get: those in front of the urgent mark.
    pub(super) fn unread(&self) -> usize {
        self.urgent
            .map_or(self.unread, |urgent| urgent.ahead.min(self.unread))
    }

    /// An urgent byte comes in. An earlier one that was not reached yet becomes a byte like any other
    /// (`tcp_check_urg`).
    pub(super) fn mark(&mut self, byte: u8) {
        if let Some(Urgent { mut ahead, byte }) = self.urgent.filter(|urgent| urgent.ahead > 0) {
            for chunk in &mut self.queue {
                let left = chunk.left().len();
                if ahead <= left {
                    chunk.bytes.insert(chunk.at + ahead, byte);
                    self.unread += 1;
                    break;
                }
                ahead -= left;
            }
        }
        // A reset has the mark and not the byte, which then is never passed.
        let ahead = if self.state == State::Closed {
            usize::MAX
        } else {
            self.unread
        };
        self.urgent = Some(Urgent { ahead, byte });
    }

    pub(super) fn put(&mut self, bytes: &[u8], charge: usize) {
        self.unread += bytes.len();
        self.queue.push_back(Chunk {
            bytes: bytes.to_vec(),
            at: 0,
            charge,
        });
    }
}
