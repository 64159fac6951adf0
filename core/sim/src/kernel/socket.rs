//! [`Socket`]: one end of a stream with its bytes.

use super::endpoint::{Endpoint, State};
use super::{Family, Limits};
use crate::flags::EpollFlags;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

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

#[derive(Clone, Debug)]
pub(super) struct Socket {
    pub(super) end: Endpoint,
    pub(super) address: Option<SocketAddr>,
    /// The other end; `None` before the connection and after it was closed.
    pub(super) peer: Option<u32>,
    /// The listener that a connect waits for.
    pub(super) knocks_at: Option<u32>,
    /// The host whose hardware address a connect waits for.
    pub(super) towards: Option<IpAddr>,
    /// Received and not read.
    pub(super) queue: VecDeque<Chunk>,
    /// The last urgent byte.
    urgent: u8,
    /// `SO_LINGER` of zero seconds: closing resets.
    pub(super) resets: bool,
    /// Its machine is gone: there is no response to what is sent to it.
    pub(super) silent: bool,
    /// Wake-ups that the multishot receive in flight has not used up; `None`: none is in flight. One that was submitted when
    /// there was something to receive begins with one.
    pub(super) multishot: Option<u32>,
}

impl Socket {
    pub(super) const fn new(family: Family, address: Option<SocketAddr>) -> Self {
        Self {
            end: Endpoint::new(family),
            address,
            peer: None,
            knocks_at: None,
            towards: None,
            queue: VecDeque::new(),
            urgent: 0,
            resets: false,
            silent: false,
            multishot: None,
        }
    }

    pub(super) const fn connected(family: Family, address: Option<SocketAddr>, peer: u32) -> Self {
        let mut socket = Self::new(family, address);
        socket.end = Endpoint::connected(family);
        socket.peer = Some(peer);
        socket
    }

    /// What is true of it now.
    pub(super) fn poll(&mut self, limits: &Limits) -> EpollFlags {
        self.end.poll(limits.buffer(self.end.family))
    }

    /// Takes as many bytes as `into` holds out of the queue, which has them. Returns the charges of chunks that are used up.
    pub(super) fn take(&mut self, into: &mut [u8]) -> usize {
        let (mut moved, mut freed) = (0, 0);
        while moved < into.len() {
            let Some(chunk) = self.queue.front_mut() else {
                break;
            };
            let left = chunk.left();
            let n = left.len().min(into.len() - moved);
            if let (Some(to), Some(from)) = (into.get_mut(moved..moved + n), left.get(..n)) {
                to.copy_from_slice(from);
            }
            chunk.at += n;
            moved += n;
            if self.end.family != Family::Unix {
                freed += n;
            }
            if chunk.left().is_empty() {
                if self.end.family == Family::Unix {
                    freed += chunk.charge;
                }
                self.queue.pop_front();
            }
        }
        freed
    }

    /// An urgent byte comes in. An earlier one that was not reached yet becomes a byte like any other
    /// (`tcp_check_urg`).
    pub(super) fn mark(&mut self, byte: u8) {
        if let Some(mut ahead) = self.end.urgent.filter(|ahead| *ahead > 0) {
            for chunk in &mut self.queue {
                let left = chunk.left().len();
                if ahead <= left {
                    chunk.bytes.insert(chunk.at + ahead, self.urgent);
                    self.end.unread += 1;
                    break;
                }
                ahead -= left;
            }
        }
        // A reset has the mark and not the byte, which then is never passed.
        let ahead = if self.end.state == State::Closed {
            usize::MAX
        } else {
            self.end.unread
        };
        self.end.urgent = Some(ahead);
        self.urgent = byte;
    }

    pub(super) fn put(&mut self, bytes: &[u8], charge: usize) {
        self.end.arrive(bytes.len());
        self.queue.push_back(Chunk {
            bytes: bytes.to_vec(),
            at: 0,
            charge,
        });
    }
}
