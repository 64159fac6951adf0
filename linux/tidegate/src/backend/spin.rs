//! No wait at all: every source is polled by itself, round and round. This is busy polling.

use super::entries::{Entries, List, Slices};
use super::poll::ask;
use super::{Backend, Kind, sealed};
use crate::error::Error;
use crate::socket;
use core::fmt;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use tidegate_core::{Directions, Event, Instant, Outcome, Token, Trigger};

/// A list of sources, each of which is polled in every iteration: level only. It never sleeps, so it takes a whole
/// core, and every iteration costs a system call for each registration, ready or not. It is there to be compared with.
///
/// A receive that would block would do as well as a poll, but for deadlines: a source that was reported ready in time
/// has met its deadline, so one that is always reported ready would have none.
pub struct Spin<'m> {
    list: List<'m>,
}

impl fmt::Debug for Spin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spin")
            .field("registered", &self.list.len())
            .finish_non_exhaustive()
    }
}

impl<'m> Spin<'m> {
    /// Without a registration.
    pub fn new<const N: usize, const W: usize>(entries: &'m mut Entries<N, W>) -> Self {
        let Slices { list, .. } = entries.lend();
        Self { list }
    }
}

impl sealed::Sealed for Spin<'_> {}

impl Backend for Spin<'_> {
    fn kind(&self) -> Kind {
        Kind::Spin
    }

    fn expect(&mut self, sources: usize) {
        self.list.sources = sources;
    }

    fn entries(&self) -> usize {
        self.list.capacity()
    }

    #[inline(never)]
    unsafe fn arm(
        &mut self,
        socket: BorrowedFd<'_>,
        token: Token,
        was: Directions,
        now: Directions,
        _trigger: Trigger,
    ) -> Result<bool, Errno> {
        let (_, mended) = self.list.set(socket, token, was, now)?;
        Ok(mended)
    }

    unsafe fn renew(&mut self, stop: BorrowedFd<'_>) {
        self.list.clear();
        // An entry is free: the list is empty. SAFETY: the caller's promise.
        let _ = unsafe { self.watch(stop) };
    }

    fn end(&mut self) {
        self.list.clear();
    }

    #[inline(never)]
    fn wait(&mut self, _until: Option<Instant>, _busy: bool) -> Result<usize, Error> {
        Ok(self.list.len())
    }

    #[inline(never)]
    fn report(&mut self, index: usize) -> Option<Event> {
        ask(self.list.get(index)?)
    }

    fn close(&mut self, token: Token, socket: OwnedFd, reset: bool) -> Outcome {
        // It has been removed; were it not, the next wait would poll a number that is another's by then.
        let none = Directions::NONE;
        // SAFETY: it is open, and removed.
        let _ = unsafe { self.arm(socket.as_fd(), token, none, none, Trigger::Level) };
        socket::close(socket, reset)
    }
}
