//! No wait at all: every source is tried, round and round. What is called polling where one asks by hand.

use super::places::{Lent, List, Places};
use super::{Backend, Kind, Report, sealed};
use crate::error::CallError;
use core::fmt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use tidegate_core::{Directions, Instant, Token, Trigger};

/// A list of sources, each of which is reported ready for all it is registered for, every time: level only. It never
/// sleeps, so it takes a whole core, and every turn costs a system call for each registration, ready or not. It is there
/// to be compared with.
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
    pub fn new<const N: usize, const W: usize>(places: &'m mut Places<N, W>) -> Self {
        let Lent { list, .. } = places.lend();
        Self { list }
    }
}

impl sealed::Sealed for Spin<'_> {}

impl Backend for Spin<'_> {
    fn kind(&self) -> Kind {
        Kind::Spin
    }

    fn places(&self) -> usize {
        self.list.capacity()
    }

    fn arm(
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

    fn renew(&mut self, stop: BorrowedFd<'_>) {
        self.list.clear();
        // There is a place: the list is empty.
        let _ = self.watch(stop);
    }

    fn wait(&mut self, _until: Option<Instant>, _glance: bool) -> Result<usize, CallError> {
        Ok(self.list.len())
    }

    fn report(&mut self, place: usize) -> Option<Report> {
        let registered = self.list.get(place)?;
        // A listener that was reported ready for nothing too often counts as broken, so it is asked before.
        let ready = !registered.token.is_listener() || {
            // SAFETY: it is withdrawn before it is closed.
            let listener = unsafe { BorrowedFd::borrow_raw(registered.fd) };
            is_readable(listener)
        };
        ready.then(|| Report::Event(registered.guess()))
    }
}

/// Whether there is something to take, or something wrong.
fn is_readable(listener: BorrowedFd<'_>) -> bool {
    let mut asked = [PollFd::new(&listener, PollFlags::IN)];
    poll(&mut asked, Some(&Timespec::default())).is_ok_and(|found| found > 0)
}
