//! [`DatagramMemory`]: the windows of datagram sockets.

use crate::event::{Local, Peer};
use crate::token::Token;
use core::fmt;
use heapless::{Vec, VecView};

/// Windows of datagram sockets: `RX` bytes to receive and `TX` bytes to send, of which each socket gets a region of its
/// own. Borrowed by a [`Session`](crate::Session) that has such sockets; one without them needs none.
///
/// At most `SOCKETS` sockets have windows in it, 16 by default. Made at compile time it is all zeros, so that a
/// `static` of it lies in `.bss`.
#[derive(Debug)]
pub struct DatagramMemory<const RX: usize, const TX: usize, const SOCKETS: usize = 16> {
    received: Lot<RX, SOCKETS>,
    sending: Lot<TX, SOCKETS>,
}

impl<const RX: usize, const TX: usize, const SOCKETS: usize> DatagramMemory<RX, TX, SOCKETS> {
    /// Bytes that it takes.
    pub const SIZE: usize = size_of::<Self>();

    /// Unused memory.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(
                RX < 1 << 31 && TX < 1 << 31,
                "positions in a window are 31 bits wide"
            );
        }
        Self {
            received: Lot {
                parts: Vec::new(),
                bytes: [0; RX],
            },
            sending: Lot {
                parts: Vec::new(),
                bytes: [0; TX],
            },
        }
    }

    /// The windows to receive and to send, for a session.
    pub(super) fn lend(&mut self) -> (&mut AnyWindows, &mut AnyWindows) {
        self.received.parts.clear();
        self.sending.parts.clear();
        (&mut self.received, &mut self.sending)
    }
}

impl<const RX: usize, const TX: usize, const SOCKETS: usize> Default
    for DatagramMemory<RX, TX, SOCKETS>
{
    fn default() -> Self {
        Self::new()
    }
}

/// The windows of one direction: one after the other.
#[derive(Debug)]
struct Lot<const BYTES: usize, const SOCKETS: usize> {
    parts: Vec<Part, SOCKETS>,
    bytes: [u8; BYTES],
}

/// The same, whatever its sizes.
pub(super) trait Windows {
    fn parts(&self) -> (&VecView<Part>, &[u8]);
    fn parts_mut(&mut self) -> (&mut VecView<Part>, &mut [u8]);
}

impl<const BYTES: usize, const SOCKETS: usize> Windows for Lot<BYTES, SOCKETS> {
    fn parts(&self) -> (&VecView<Part>, &[u8]) {
        (&self.parts, &self.bytes)
    }

    fn parts_mut(&mut self) -> (&mut VecView<Part>, &mut [u8]) {
        (&mut self.parts, &mut self.bytes)
    }
}

pub(super) type AnyWindows = dyn Windows;

/// Not by the trait: its table would link what prints addresses with all that have datagrams.
impl fmt::Debug for AnyWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Windows")
    }
}

/// The window of one socket.
#[derive(Debug)]
pub(super) struct Part {
    owner: Token,
    at: u32,
    len: u32,
    /// The queued datagram: its receiver, its source address, and its length in bytes.
    queued: Option<(Peer, Option<Local>, u32)>,
}

impl Part {
    fn range(&self, len: u32) -> core::ops::Range<usize> {
        self.at as usize..self.at.saturating_add(len.min(self.len)) as usize
    }
}

impl AnyWindows {
    /// Capacity for a window of `len` bytes: the number of a region whose owner is gone, or of the one behind the last.
    pub(super) fn find(&self, len: u32, is_gone: impl Fn(Token) -> bool) -> Option<usize> {
        let (parts, bytes) = self.parts();
        let old = (parts.iter()).position(|part| part.len >= len && is_gone(part.owner));
        old.or_else(|| {
            let end = u64::from(self.end()).saturating_add(u64::from(len));
            let fits = end <= bytes.len() as u64 && !parts.is_full();
            fits.then_some(parts.len())
        })
    }

    pub(super) fn give(&mut self, number: usize, owner: Token, len: u32) {
        let at = self.end();
        let (parts, _) = self.parts_mut();
        match parts.get_mut(number) {
            Some(part) => (part.owner, part.queued) = (owner, None),
            None => {
                let part = Part {
                    owner,
                    at,
                    len,
                    queued: None,
                };
                // The capacity was found before.
                let _ = parts.push(part);
            }
        }
    }

    fn end(&self) -> u32 {
        let last = self.parts().0.last();
        last.map_or(0, |part| part.at.saturating_add(part.len))
    }

    fn of(&self, owner: Token) -> Option<&Part> {
        self.parts().0.iter().find(|part| part.owner == owner)
    }

    /// Notes whom the datagram is for that was copied to the front of a window, and its length.
    pub(super) fn queue(&mut self, owner: Token, to: Peer, local: Option<Local>, len: u32) {
        let mut parts = self.parts_mut().0.iter_mut();
        if let Some(part) = parts.find(|part| part.owner == owner) {
            part.queued = Some((to, local, len));
        }
    }

    /// The queued datagram of a socket: its receiver, its source address, and its bytes.
    pub(super) fn queued(&self, owner: Token) -> Option<(Peer, Option<Local>, &[u8])> {
        let (to, local, len) = self.of(owner)?.queued?;
        Some((to, local, self.window(owner, len)))
    }

    pub(super) fn window(&self, owner: Token, len: u32) -> &[u8] {
        let range = self.of(owner).map(|part| part.range(len));
        range
            .and_then(|range| self.parts().1.get(range))
            .unwrap_or(&[])
    }

    pub(super) fn window_mut(&mut self, owner: Token) -> &mut [u8] {
        let range = self.of(owner).map(|part| part.range(part.len));
        range
            .and_then(|range| self.parts_mut().1.get_mut(range))
            .unwrap_or(&mut [])
    }
}
