//! [`Buffers`]: what the kernel receives into, before the connection is known.
//!
//! ```text
//!   given:  a ring of free buffers, shared with the kernel: it takes them at its head, we add them at our tail
//!   filled: one chain for each connection, oldest first, until the session takes the bytes
//! ```
//!
//! When there are none left the kernel returns `ENOBUFS`, and bytes wait in their sockets.

use super::mapping::{Mapping, Zeroable, Zeroed};
use super::ring::Ring;
use core::ptr::from_ref;
use core::sync::atomic::{AtomicU16, Ordering};
use rustix::io::Errno;
use rustix::io_uring::{IoringRegisterOp, io_uring_buf, io_uring_buf_reg, io_uring_ptr};

/// Bytes of a buffer.
const SIZE: u32 = 4096;

/// Buffers, a power of two. With the size: half a MiB, which the cache of a CPU holds.
const COUNT: u16 = 128;

/// Where the tail lies in the shared ring: in the reserved field of its first entry (`struct io_uring_buf_ring`).
const TAIL: usize = 14;

/// The name of the ring of buffers in submissions.
pub(super) const GROUP: u16 = 0;

/// The buffers that a connection has not taken the bytes of, by their numbers, which begin at 1; 0 is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chain {
    first: u16,
    last: u16,
}

impl Chain {
    pub(super) const fn is_empty(self) -> bool {
        self.first == 0
    }
}

/// A filled buffer in a chain.
#[derive(Clone, Copy, Debug, Default)]
struct Filled {
    /// Bytes that were taken.
    at: u32,
    /// Bytes that there are; 0 in one that is in no chain.
    end: u32,
    /// The number of the next in the chain.
    next: u16,
}

// SAFETY: numbers only.
unsafe impl Zeroable for u8 {}

#[derive(Debug)]
pub(super) struct Buffers {
    given: Mapping,
    tail: u16,
    bytes: Zeroed<u8>,
    filled: [Filled; COUNT as usize],
}

impl Buffers {
    /// Buffers, not yet given to the kernel.
    pub(super) fn new() -> Result<Self, Errno> {
        Ok(Self {
            given: Mapping::anonymous(usize::from(COUNT) * size_of::<io_uring_buf>())?,
            tail: 0,
            bytes: Zeroed::new(usize::from(COUNT) * SIZE as usize)?,
            filled: [Filled::default(); COUNT as usize],
        })
    }

    /// Gives all of them to the kernel.
    ///
    /// # Safety
    ///
    /// They must live until the ring is closed.
    pub(super) unsafe fn give_to(&mut self, ring: &Ring) -> Result<(), Errno> {
        // SAFETY: the caller's promise.
        unsafe { self.register(ring) }?;
        for number in 1..=COUNT {
            self.give(number);
        }
        Ok(())
    }

    /// # Safety
    ///
    /// As [`give_to`](Self::give_to).
    unsafe fn register(&self, ring: &Ring) -> Result<(), Errno> {
        let mut group = io_uring_buf_reg::default();
        group.ring_addr = io_uring_ptr::new(self.given.at::<io_uring_buf>(0, 0).as_ptr().cast());
        group.ring_entries = u32::from(COUNT);
        group.bgid = GROUP;
        // SAFETY: the structure lives until the call returns; the caller guarantees that the ring of buffers lives as
        // long as the ring.
        unsafe { ring.register(IoringRegisterOp::RegisterPbufRing, from_ref(&group), 1) }
    }

    /// Returns those to the kernel whose completions are lost: all that are in no chain.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_register(2)`. The kernel has none then, and returns `ENOBUFS`.
    ///
    /// # Safety
    ///
    /// As [`give_to`](Self::give_to); and nothing may be in flight that selects one.
    pub(super) unsafe fn give_again(&mut self, ring: &Ring) -> Result<(), Errno> {
        let mut group = io_uring_buf_reg::default();
        group.bgid = GROUP;
        // SAFETY: the structure lives until the call returns.
        unsafe { ring.register(IoringRegisterOp::UnregisterPbufRing, from_ref(&group), 1) }?;
        self.tail = 0;
        let tail = self.given.at::<AtomicU16>(TAIL, 0);
        // SAFETY: inside the mapping, which the kernel does not know now.
        unsafe { tail.as_ref() }.store(0, Ordering::Release);
        // SAFETY: the caller's promise.
        unsafe { self.register(ring) }?;
        for number in 1..=COUNT {
            if self
                .filled
                .get(entry_of(number))
                .is_some_and(|filled| filled.end == 0)
            {
                self.give(number);
            }
        }
        Ok(())
    }

    /// Returns one buffer to the kernel whose bytes are not needed.
    pub(super) fn give(&mut self, number: u16) {
        if let Some(filled) = self.filled.get_mut(entry_of(number)) {
            filled.end = 0;
        }
        let Some(bytes) = self.bytes.get_mut(range(number, 0, SIZE as usize)) else {
            return;
        };
        let address = io_uring_ptr::new(bytes.as_mut_ptr().cast());
        let index = usize::from(self.tail & (COUNT - 1));
        let entry = self.given.at::<io_uring_buf>(0, index).as_ptr();
        // SAFETY: inside the mapping; the kernel has taken the earlier entry, as there are as many entries as buffers.
        // The reserved field, where the first entry has the tail, is not written.
        unsafe {
            (&raw mut (*entry).addr).write(address);
            (&raw mut (*entry).len).write(SIZE);
            (&raw mut (*entry).bid).write(number);
        }
        self.tail = self.tail.wrapping_add(1);
        let tail = self.given.at::<AtomicU16>(TAIL, 0);
        // SAFETY: inside the mapping, and only read by the kernel. The entry is seen before the tail that covers it.
        unsafe { tail.as_ref() }.store(self.tail, Ordering::Release);
    }

    /// Puts a buffer that the kernel filled with so many bytes at the end of a chain.
    pub(super) fn append(&mut self, chain: &mut Chain, number: u16, bytes: u32) {
        if bytes == 0 {
            return self.give(number);
        }
        let Some(filled) = self.filled.get_mut(entry_of(number)) else {
            return;
        };
        *filled = Filled {
            at: 0,
            end: bytes,
            next: 0,
        };
        match self.filled.get_mut(entry_of(chain.last)) {
            Some(last) if !chain.is_empty() => last.next = number,
            Some(_) | None => chain.first = number,
        }
        chain.last = number;
    }

    /// Takes bytes from the front of a chain, as many as there are and fit; returns how many.
    pub(super) fn take(&mut self, chain: &mut Chain, into: &mut [u8]) -> usize {
        let mut taken = 0;
        while let Some(rest) = into.get_mut(taken..).filter(|rest| !rest.is_empty()) {
            let number = chain.first;
            let Some(filled) = self.filled.get_mut(entry_of(number)) else {
                break;
            };
            let left = range(number, filled.at as usize, filled.end as usize);
            let bytes = self.bytes.get(left).unwrap_or(&[]);
            let n = bytes.len().min(rest.len());
            rest[..n].copy_from_slice(&bytes[..n]);
            taken += n;
            if n < bytes.len() {
                // Shorter than a buffer.
                filled.at += u32::try_from(n).unwrap_or(0);
                break;
            }
            chain.first = filled.next;
            self.give(number);
        }
        taken
    }

    /// Gives a whole chain back to the kernel.
    pub(super) fn drop_chain(&mut self, chain: &mut Chain) {
        while let Some(filled) = self.filled.get(entry_of(chain.first)) {
            let number = core::mem::replace(&mut chain.first, filled.next);
            self.give(number);
        }
    }
}

/// Where the bytes of a buffer lie, from one of its bytes to another.
fn range(number: u16, from: usize, to: usize) -> core::ops::Range<usize> {
    let size = SIZE as usize;
    let start = entry_of(number).saturating_mul(size);
    start.saturating_add(from)..start.saturating_add(to.min(size))
}

/// The entry of a buffer; that of number 0 is none.
fn entry_of(number: u16) -> usize {
    usize::from(number).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills a buffer as the kernel would.
    fn fill(buffers: &mut Buffers, chain: &mut Chain, number: u16, text: &[u8]) {
        let to = range(number, 0, text.len());
        buffers.bytes[to].copy_from_slice(text);
        let bytes = u32::try_from(text.len()).expect("a buffer");
        buffers.append(chain, number, bytes);
    }

    #[test]
    fn bytes_come_out_as_they_came_and_buffers_go_back() {
        let mut buffers = Buffers::new().expect("memory");
        let mut chain = Chain::default();
        fill(&mut buffers, &mut chain, 7, b"hello ");
        fill(&mut buffers, &mut chain, COUNT, b"io_");
        fill(&mut buffers, &mut chain, 1, b"uring");
        assert_eq!(buffers.tail, 0);
        let mut into = [0; 4];
        assert_eq!(buffers.take(&mut chain, &mut into), 4);
        assert_eq!(
            (&into, buffers.tail),
            (b"hell", 0),
            "the first is not empty"
        );
        assert_eq!(buffers.take(&mut chain, &mut into), 4);
        assert_eq!((&into, buffers.tail), (b"o io", 1));
        // A buffer that is as good as new goes behind the others.
        fill(&mut buffers, &mut chain, 7, b"!");
        let mut into = [0; 9];
        assert_eq!(buffers.take(&mut chain, &mut into), 7);
        assert_eq!((&into[..7], buffers.tail), (&b"_uring!"[..], 4));
        assert!(chain.is_empty());
        assert_eq!(buffers.take(&mut chain, &mut into), 0);
    }

    #[test]
    fn nothing_is_lost_where_nothing_is_taken() {
        let mut buffers = Buffers::new().expect("memory");
        let mut chain = Chain::default();
        buffers.append(&mut chain, 3, 0);
        assert!(chain.is_empty(), "an end without bytes");
        assert_eq!(buffers.tail, 1);
        fill(&mut buffers, &mut chain, 4, b"a");
        fill(&mut buffers, &mut chain, 5, b"b");
        buffers.drop_chain(&mut chain);
        assert!(chain.is_empty());
        assert_eq!(buffers.tail, 3);
        let given = [0, 1, 2].map(|index| {
            let entry = buffers.given.at::<io_uring_buf>(0, index);
            // SAFETY: inside the mapping, and written by `give`.
            unsafe { entry.as_ref() }.bid
        });
        assert_eq!(given, [3, 4, 5]);
        // Numbers that no buffer has change nothing.
        buffers.append(&mut chain, 0, 9);
        buffers.append(&mut chain, u16::MAX, 9);
        assert!(chain.is_empty());
    }
}
