//! [`StopHandle`]: how a signal handler or another thread reaches the loop.
//!
//! An `eventfd(2)` in the readiness set. Its counter holds the number of requests of each kind, so nothing else is
//! shared.

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno, fcntl_dupfd_cloexec};
use tidegate_core::Token;

/// One wish to stop, in the counter.
const STOP: u64 = 1;

/// One wake-up, in the counter: above any number of wishes to stop.
const WAKE: u64 = 1 << 32;

/// Stops a [`Server`](crate::Server), from anywhere in the process.
///
/// Every call is one `write(2)`, which a signal handler may do, too. Calls that come together are not lost.
#[derive(Debug)]
pub struct StopHandle {
    counter: OwnedFd,
}

impl StopHandle {
    /// Requests a stop: once, in an orderly way, within the time for it; a second time, at once.
    pub fn stop(&self) {
        self.add(STOP);
    }

    /// Ends the present wait, so that [`turn`](crate::Server::turn) returns.
    pub fn wake(&self) {
        self.add(WAKE);
    }

    fn add(&self, n: u64) {
        // The only failure is a counter at its maximum: then the loop is awake already.
        let _ = io::retry_on_intr(|| io::write(&self.counter, &n.to_ne_bytes()));
    }
}

/// The loop's end of it.
#[derive(Debug)]
pub(crate) struct Stop {
    counter: OwnedFd,
}

impl Stop {
    /// The word under which it is registered: no slot has it, so the machine would drop it.
    pub(crate) const TOKEN: Token = Token::from_bits(u64::MAX);

    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self {
            counter: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    pub(crate) fn handle(&self) -> Result<StopHandle, Errno> {
        // Never one of the standard streams, even if those were closed.
        Ok(StopHandle {
            counter: fcntl_dupfd_cloexec(&self.counter, 3)?,
        })
    }

    /// How many stops were requested since the last call.
    pub(crate) fn take(&self) -> u64 {
        let mut word = [0; 8];
        match io::retry_on_intr(|| io::read(&self.counter, &mut word)) {
            Ok(8) => u64::from_ne_bytes(word) % WAKE,
            Ok(_) | Err(_) => 0,
        }
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.counter.as_fd()
    }
}
