//! [`BareRing`]: the ring without a server, for the comparison of the simulated kernel with this one (`tests`, program
//! `differ`). It submits what the backend submits, by the same functions, and returns each completion as it is.

use super::buffers::{Buffers, Chain};
use super::ring::Ring;
use super::submission::{self, Name, Request};
use crate::error::{Error, REGISTER, SETUP};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;
use tidegate_core::Token;

/// Submissions of one call, and completions that the ring holds.
const ENTRIES: u32 = 64;

/// What is submitted for a connection. One of each may be in flight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Operation {
    /// A receive into provided buffers: it waits first, and goes on until it ends (multishot) or completes once.
    Receive,
    /// A poll for the end: FIN, and HUP and ERR, which come unasked.
    HangUp,
    /// The same after FIN was received.
    Reset,
    /// A poll for free send capacity.
    Writable,
    /// A send that does not wait.
    Send,
    /// The end of another operation.
    Cancel,
}

/// A completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completed {
    /// The connection, as it was named.
    pub index: u32,
    /// What has completed. [`Operation::Reset`] completes as [`Operation::HangUp`].
    pub operation: Operation,
    /// What the call would have returned: bytes, or the events of a poll.
    pub result: Result<u32, Errno>,
    /// Whether more completions follow.
    pub goes_on: bool,
}

/// A ring of this thread's own, with the buffers that it receives into.
#[derive(Debug)]
pub struct BareRing {
    /// First, so that it is closed before the buffers are unmapped.
    ring: Ring,
    buffers: Buffers,
}

impl BareRing {
    /// A ring, set up as the backend's.
    ///
    /// # Errors
    ///
    /// Those of [`Uring::new`](super::Uring::new).
    pub fn new() -> Result<Self, Error> {
        let mut ring = Ring::new(ENTRIES, ENTRIES).map_err(Error::of(SETUP))?;
        ring.hand_over().map_err(Error::of("io_uring_enter"))?;
        let mut bare = Self {
            ring,
            buffers: Buffers::new().map_err(Error::of("mmap"))?,
        };
        // SAFETY: they are a field behind that of the ring, so they are dropped after it.
        let given = unsafe { bare.buffers.give_to(&bare.ring) };
        given.map_err(Error::of(REGISTER))?;
        Ok(bare)
    }

    /// Gathers a receive. `once`: one completion, as after the end was notified.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_enter(2)`, if so much was gathered that it was submitted.
    pub fn receive(&mut self, index: u32, socket: BorrowedFd<'_>, once: bool) -> Result<(), Errno> {
        let (name, socket) = (name(index, Operation::Receive), socket.as_raw_fd());
        let receive = if once {
            submission::receive_once(name, socket)
        } else {
            submission::receive(name, socket)
        };
        // SAFETY: it points to nothing; the buffers that it selects live as long as the ring.
        unsafe { self.ring.push(receive) }
    }

    /// Gathers a poll: [`Operation::HangUp`], [`Operation::Reset`] or [`Operation::Writable`].
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive). `EINVAL` if the operation is not a poll.
    pub fn poll(
        &mut self,
        index: u32,
        socket: BorrowedFd<'_>,
        operation: Operation,
    ) -> Result<(), Errno> {
        let events = match operation {
            Operation::HangUp => submission::FIN,
            Operation::Reset => 0,
            Operation::Writable => submission::OUT,
            Operation::Receive | Operation::Send | Operation::Cancel => return Err(Errno::INVAL),
        };
        let poll = submission::poll(name(index, operation), socket.as_raw_fd(), events);
        // SAFETY: it points to nothing.
        unsafe { self.ring.push(poll) }
    }

    /// Gathers a send.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn send(
        &mut self,
        index: u32,
        socket: BorrowedFd<'_>,
        bytes: &'static [u8],
    ) -> Result<(), Errno> {
        let send = submission::send(name(index, Operation::Send), socket, bytes);
        // SAFETY: the bytes are static.
        unsafe { self.ring.push(send) }
    }

    /// Gathers the cancellation of an operation.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn cancel(&mut self, index: u32, operation: Operation) -> Result<(), Errno> {
        // SAFETY: it points to nothing.
        unsafe { (self.ring).push(submission::cancel(name(index, operation))) }
    }

    /// Submits what was gathered, and passes every completion that is there to `each`, with the bytes of a receive. It
    /// does not wait.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_enter(2)`.
    pub fn complete(&mut self, mut each: impl FnMut(Completed, &[u8])) -> Result<(), Errno> {
        self.ring.wait(Some(core::time::Duration::ZERO), ENTRIES)?;
        while let Some(done) = self.ring.next() {
            let mut bytes = [0; 4096];
            let mut received = 0;
            if let Some(number) = done.buffer() {
                let mut chain = Chain::default();
                let count = done.returned().unwrap_or(0);
                self.buffers.append(&mut chain, number, count);
                received = self.buffers.take(&mut chain, &mut bytes);
            }
            let Some(Name { token, request }) = Name::from_bits(done.data) else {
                continue;
            };
            let completed = Completed {
                index: token.index(),
                operation: match request {
                    Request::Receive => Operation::Receive,
                    Request::HangUp => Operation::HangUp,
                    Request::Writable => Operation::Writable,
                    Request::Send => Operation::Send,
                    Request::Cancel => Operation::Cancel,
                    Request::Readable | Request::Stop => continue,
                },
                result: done.returned(),
                goes_on: done.goes_on(),
            };
            each(completed, bytes.get(..received).unwrap_or(&[]));
        }
        Ok(())
    }
}

impl Drop for BareRing {
    fn drop(&mut self) {
        // Closing the ring ends everything, too, only later.
        let _ = self.ring.cancel_all();
    }
}

/// The name of an operation: what the backend gives it.
fn name(index: u32, operation: Operation) -> Name {
    // The first generation of a slot.
    let token = Token::from_bits(1 << 32 | u64::from(index));
    let request = match operation {
        Operation::Receive => Request::Receive,
        Operation::HangUp | Operation::Reset => Request::HangUp,
        Operation::Writable => Request::Writable,
        Operation::Send => Request::Send,
        Operation::Cancel => Request::Cancel,
    };
    Name { token, request }
}
