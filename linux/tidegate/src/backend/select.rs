//! `select(2)`: sets of bits, filled before every wait and searched after it. 1,024 descriptors is the limit of the C
//! library's `fd_set`; the kernel takes sets of any length.

use super::entries::{Entries, List, Slices};
use super::poll::ask;
use super::{Backend, Kind, sealed};
use crate::clock;
use crate::error::Error;
use crate::socket;
use core::fmt;
use core::time::Duration;
use rustix::event::{FdSetElement, FdSetIter, fd_set_bound, fd_set_insert, select};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::io::Errno;
use tidegate_core::heapless::VecView;
use tidegate_core::{Directions, Event, Instant, Outcome, Token, Trigger};

/// Sets of descriptors to read and to write, handed to the kernel at each wait: level only. A wait costs time in
/// proportion to the number of registrations and to the highest number among them.
///
/// A descriptor whose number is not below `W × usize::BITS` (see [`Entries`]) cannot be registered: its connection is
/// closed.
pub struct Select<'m> {
    list: List<'m>,
    reads: &'m mut VecView<FdSetElement>,
    writes: &'m mut VecView<FdSetElement>,
    /// The last wait failed: each descriptor is to be polled by itself.
    blind: bool,
    /// When those that are registered for a hang-up alone are polled next, and whether they are after this wait.
    due: Instant,
    asks: bool,
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select")
            .field("registered", &self.list.len())
            .finish_non_exhaustive()
    }
}

impl<'m> Select<'m> {
    /// Without a registration.
    pub fn new<const N: usize, const W: usize>(entries: &'m mut Entries<N, W>) -> Self {
        let Slices { list, sets, .. } = entries.lend();
        let [reads, writes] = sets;
        reads.clear();
        writes.clear();
        Self {
            list,
            reads,
            writes,
            blind: false,
            due: Instant::ZERO,
            asks: false,
        }
    }

    /// Puts all that is registered into the sets; returns one more than the highest number in them, and whether anything is
    /// registered for a hang-up alone.
    fn fill(&mut self) -> (RawFd, bool) {
        self.reads.fill(FdSetElement::default());
        self.writes.fill(FdSetElement::default());
        let mut alone = false;
        for registered in self.list.iter() {
            alone |= is_alone(registered.directions);
            if registered.directions.contains(Directions::READ) {
                fd_set_insert(self.reads, registered.fd);
            }
            if registered.directions.contains(Directions::WRITE) {
                fd_set_insert(self.writes, registered.fd);
            }
        }
        let bound = fd_set_bound(self.reads).max(fd_set_bound(self.writes));
        (bound, alone)
    }
}

impl sealed::Sealed for Select<'_> {}

impl Backend for Select<'_> {
    fn kind(&self) -> Kind {
        Kind::Select
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
        let (word, _) = bit(socket.as_raw_fd());
        while self.reads.len() <= word {
            let empty = FdSetElement::default();
            self.reads.push(empty).map_err(|_| Errno::NOSPC)?;
            self.writes.push(empty).map_err(|_| Errno::NOSPC)?;
        }
        let (_, mended) = self.list.set(socket, token, was, now)?;
        Ok(mended)
    }

    unsafe fn renew(&mut self, stop: BorrowedFd<'_>) {
        self.list.clear();
        // An entry is free: there was one before. SAFETY: the caller's promise.
        let _ = unsafe { self.watch(stop) };
    }

    fn end(&mut self) {
        self.list.clear();
    }

    #[inline(never)]
    fn wait(&mut self, until: Option<Instant>, _busy: bool) -> Result<usize, Error> {
        self.blind = false;
        loop {
            let (bound, alone) = self.fill();
            self.asks = alone && clock::now() >= self.due;
            let until = match (alone, until) {
                (false, until) => until,
                (true, _) if self.asks => Some(Instant::ZERO),
                (true, Some(until)) => Some(until.min(self.due)),
                (true, None) => Some(self.due),
            };
            if self.asks {
                self.due = clock::now().plus(ASK);
            }
            let timeout = until.map(clock::timeout);
            let (reads, writes) = (&mut *self.reads, &mut *self.writes);
            // SAFETY: each descriptor is removed before it is closed, so all in the sets are open.
            let found = unsafe { select(bound, Some(reads), Some(writes), None, timeout.as_ref()) };
            match found {
                Ok(0) if !self.asks => return Ok(0),
                Ok(_) => return Ok(self.list.len()),
                Err(Errno::INTR) => {}
                // No memory for the sets in the kernel, or some descriptor was closed elsewhere (`select(2)`, section
                // "Errors"). `poll` finds which, and its connection is closed.
                Err(Errno::NOMEM | Errno::BADF) => {
                    self.blind = true;
                    return Ok(self.list.len());
                }
                Err(errno) => return Err(Error::of("select")(errno)),
            }
        }
    }

    #[inline(never)]
    fn report(&mut self, index: usize) -> Option<Event> {
        let registered = self.list.get(index)?;
        if self.blind || self.asks && is_alone(registered.directions) {
            return ask(registered);
        }
        // A hang-up or an error counts as readable, an error as writable, too: nothing distinguishes them.
        let directions = Directions::READ.when(has(self.reads, registered.fd))
            | Directions::WRITE.when(has(self.writes, registered.fd));
        (!directions.is_empty()).then_some(Event::Ready {
            token: registered.token,
            directions,
            closing: false,
        })
    }

    fn close(&mut self, token: Token, socket: OwnedFd, reset: bool) -> Outcome {
        // It has been removed; were it not, the next wait would poll a number that is another's by then.
        let none = Directions::NONE;
        // SAFETY: it is open, and removed.
        let _ = unsafe { self.arm(socket.as_fd(), token, none, none, Trigger::Level) };
        socket::close(socket, reset)
    }
}

/// The period at which those are polled one by one that are registered for a hang-up alone: `select` reports none.
const ASK: Duration = Duration::from_secs(1);

/// Whether what is registered is a hang-up alone.
fn is_alone(directions: Directions) -> bool {
    !directions.is_empty() && (directions & Directions::BOTH).is_empty()
}

/// Where the bit of a descriptor lies: in which word, and where in it.
const fn bit(fd: RawFd) -> (usize, RawFd) {
    let fd = fd.cast_unsigned();
    (
        (fd / usize::BITS) as usize,
        (fd % usize::BITS).cast_signed(),
    )
}

/// Whether a descriptor is in a set.
fn has(set: &[FdSetElement], fd: RawFd) -> bool {
    let (word, bit) = bit(fd);
    let word = set.get(word..word.saturating_add(1)).unwrap_or(&[]);
    FdSetIter::new(word).any(|found| found == bit)
}
