//! `poll(2)`: the whole list at every wait, and through the whole list afterwards.

use super::entries::{Change, Entries, List, Polled, Registered, Slices};
use super::{Backend, Kind, sealed};
use crate::clock;
use crate::error::Error;
use crate::socket;
use core::fmt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use tidegate_core::heapless::VecView;
use tidegate_core::{Directions, Event, Instant, Outcome, Token, Trigger};

/// A list of descriptors, handed to the kernel at each wait: level only. A wait costs time in proportion to the number
/// of registrations, ready or not, and does not report which was ready first.
pub struct Poll<'m> {
    list: List<'m>,
    polled: &'m mut VecView<Polled>,
    /// The last wait failed: each descriptor is to be polled by itself.
    blind: bool,
}

impl fmt::Debug for Poll<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poll")
            .field("registered", &self.list.len())
            .finish_non_exhaustive()
    }
}

impl<'m> Poll<'m> {
    /// Without a registration.
    pub fn new<const N: usize, const W: usize>(entries: &'m mut Entries<N, W>) -> Self {
        let Slices { list, polled, .. } = entries.lend();
        polled.clear();
        Self {
            list,
            polled,
            blind: false,
        }
    }
}

impl sealed::Sealed for Poll<'_> {}

impl Backend for Poll<'_> {
    fn kind(&self) -> Kind {
        Kind::Poll
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
        let (change, mended) = self.list.set(socket, token, was, now)?;
        let fresh = Polled::new(socket, interest(now));
        match change {
            // Both lists are of one length and one capacity.
            Change::Added => self.polled.push(fresh).map_err(|_| Errno::NOSPC)?,
            Change::Changed(position) => {
                if let Some(polled) = self.polled.get_mut(position) {
                    *polled = fresh;
                }
            }
            Change::Removed(position) => drop(self.polled.swap_remove(position)),
            Change::Nothing => {}
        }
        Ok(mended)
    }

    unsafe fn renew(&mut self, stop: BorrowedFd<'_>) {
        self.list.clear();
        self.polled.clear();
        // An entry is free: the list is empty. SAFETY: the caller's promise.
        let _ = unsafe { self.watch(stop) };
    }

    fn end(&mut self) {
        self.list.clear();
        self.polled.clear();
    }

    #[inline(never)]
    fn wait(&mut self, until: Option<Instant>, _busy: bool) -> Result<usize, Error> {
        self.blind = false;
        loop {
            let timeout = until.map(clock::timeout);
            // SAFETY: the caller of `Backend::arm` promises that a registered descriptor stays open until it is
            // removed.
            let polled = unsafe { Polled::all(self.polled) };
            match poll(polled, timeout.as_ref()) {
                Ok(0) => return Ok(0),
                Ok(_) => return Ok(self.list.len()),
                Err(Errno::INTR) => {}
                // No memory for the list in the kernel, or more entries than the limit of open files, which was lowered
                // (`poll(2)`, section "Errors"). It serves on, without sleeping, until that has passed.
                Err(Errno::NOMEM | Errno::INVAL) => {
                    self.blind = true;
                    return Ok(self.list.len());
                }
                Err(errno) => return Err(Error::of("poll")(errno)),
            }
        }
    }

    #[inline(never)]
    fn report(&mut self, index: usize) -> Option<Event> {
        let registered = self.list.get(index)?;
        if self.blind {
            return ask(registered);
        }
        event(registered.token, self.polled.get(index)?.revents())
    }

    fn close(&mut self, token: Token, socket: OwnedFd, reset: bool) -> Outcome {
        // It has been removed; were it not, the next wait would poll a number that is another's by then.
        let none = Directions::NONE;
        // SAFETY: it is open, and removed.
        let _ = unsafe { self.arm(socket.as_fd(), token, none, none, Trigger::Level) };
        socket::close(socket, reset)
    }
}

/// Polls one source, without waiting.
pub(super) fn ask(registered: &Registered) -> Option<Event> {
    // SAFETY: the caller of `Backend::arm` promises that a registered descriptor stays open until it is removed.
    let fd = unsafe { BorrowedFd::borrow_raw(registered.fd) };
    let mut asked = [PollFd::from_borrowed_fd(
        fd,
        interest(registered.directions),
    )];
    // Whatever goes wrong, it is polled again.
    let found = poll(&mut asked, Some(&Timespec::default()));
    found.ok().filter(|found| *found > 0)?;
    event(registered.token, asked[0].revents())
}

/// The interest to register. `HUP`, `ERR` and `NVAL` come unasked.
fn interest(directions: Directions) -> PollFlags {
    let mut flags = PollFlags::empty();
    if directions.contains(Directions::READ) {
        flags |= PollFlags::IN | PollFlags::RDHUP;
    }
    if directions.contains(Directions::WRITE) {
        flags |= PollFlags::OUT;
    }
    flags
}

/// The event for the kernel's flags. `NVAL`, a descriptor closed elsewhere, is found by the call that follows.
fn event(token: Token, flags: PollFlags) -> Option<Event> {
    let closing = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    (!flags.is_empty()).then(|| Event::Ready {
        token,
        directions: Directions::READ.when(flags.contains(PollFlags::IN))
            | Directions::WRITE.when(flags.contains(PollFlags::OUT)),
        closing: flags.intersects(closing),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_means_what_it_should() {
        let token = Token::from_bits(1 << 32);
        let of = |flags| match event(token, flags) {
            Some(Event::Ready {
                directions,
                closing,
                ..
            }) => Some((directions, closing)),
            Some(other) => panic!("{other:?}"),
            None => None,
        };
        let (none, read, write) = (Directions::NONE, Directions::READ, Directions::WRITE);
        for (flags, expected) in [
            (PollFlags::empty(), None),
            (PollFlags::IN, Some((read, false))),
            (PollFlags::OUT, Some((write, false))),
            (
                PollFlags::IN | PollFlags::OUT,
                Some((Directions::BOTH, false)),
            ),
            (PollFlags::IN | PollFlags::RDHUP, Some((read, true))),
            (PollFlags::HUP, Some((none, true))),
            (PollFlags::ERR, Some((none, true))),
            (PollFlags::NVAL, Some((none, true))),
        ] {
            assert_eq!(of(flags), expected, "{flags:?}");
        }
        assert_eq!(interest(read), PollFlags::IN | PollFlags::RDHUP);
        assert_eq!(interest(write), PollFlags::OUT);
    }
}
