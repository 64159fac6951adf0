//! [`Waker`] and [`Mailbox`]: how other threads and signal handlers reach a handler.
//!
//! Both are an `eventfd(2)`, to be watched like any descriptor: [`Server::watch`](crate::Server::watch).

use crate::error::Error;
use core::fmt;
use heapless::mpmc::Queue;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io;

/// Wakes a handler from anywhere in the process: a thread, or a signal handler.
///
/// Share it by reference (`&'static`, an `Arc`, a scoped thread); the server watches it, and
/// [`Handler::ready`](crate::Handler::ready) calls [`take`](Self::take). Wake-ups that come together are one readiness
/// event.
#[derive(Debug)]
pub struct Waker {
    counter: OwnedFd,
}

impl Waker {
    /// A new one, without a wake-up.
    ///
    /// # Errors
    ///
    /// No descriptor is free (`EMFILE`, `ENFILE`).
    pub fn new() -> Result<Self, Error> {
        let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        Ok(Self {
            counter: counter.map_err(Error::of("eventfd"))?,
        })
    }

    /// Wakes. One `write(2)`, which a signal handler may do, too (`signal-safety(7)`); it changes no `errno` of C.
    pub fn wake(&self) {
        // The only failure is a counter at its maximum: then it has been woken.
        let _ = io::retry_on_intr(|| io::write(&self.counter, &1u64.to_ne_bytes()));
    }

    /// How often it was woken since the last call. Call it first, then process what was queued: what is queued later
    /// wakes again.
    pub fn take(&self) -> u64 {
        let mut word = [0; 8];
        match io::retry_on_intr(|| io::read(&self.counter, &mut word)) {
            Ok(8) => u64::from_ne_bytes(word),
            Ok(_) | Err(_) => 0,
        }
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.counter.as_fd()
    }
}

/// Up to `N` values on their way from any threads to a handler; `N` is a power of two, at least 2.
///
/// The server watches it, and [`Handler::ready`](crate::Handler::ready) calls [`take`](Self::take). Values of one thread
/// come in the order in which it sent them.
pub struct Mailbox<T, const N: usize> {
    values: Queue<T, N>,
    waker: Waker,
}

impl<T, const N: usize> fmt::Debug for Mailbox<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("waker", &self.waker)
            .finish_non_exhaustive()
    }
}

impl<T, const N: usize> Mailbox<T, N> {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// No descriptor is free (`EMFILE`, `ENFILE`).
    #[expect(
        deprecated,
        reason = "a sender that is held up hides what others put behind it until it goes on; then it wakes us, so nothing is lost"
    )]
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            values: Queue::new(),
            waker: Waker::new()?,
        })
    }

    /// Puts a value in and wakes the handler. It never waits.
    ///
    /// # Errors
    ///
    /// It is full, or another thread's send has yet to free an entry: the value comes back.
    pub fn send(&self, value: T) -> Result<(), T> {
        self.values.enqueue(value)?;
        self.waker.wake();
        Ok(())
    }

    /// Returns what there is, at most `N` values; for what is put in meanwhile the handler is called again.
    pub fn take(&self, mut each: impl FnMut(T)) {
        // First the counter, then the values: a sender does it the other way round, so none is left without a wake-up.
        self.waker.take();
        for _ in 0..N {
            let Some(value) = self.values.dequeue() else {
                return;
            };
            each(value);
        }
    }
}

impl<T, const N: usize> AsFd for Mailbox<T, N> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }
}
