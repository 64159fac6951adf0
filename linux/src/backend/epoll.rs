//! `epoll(7)`: level, edge and one-shot, each token in the event's 64-bit word.

use crate::clock;
use core::fmt;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::time::Timespec;
use tidegate_core::{Directions, Event, Instant, Token, Trigger};

/// Reports taken in one look.
const BATCH: usize = 256;

/// Reports taken in one look while work is queued, in level mode: every look reports all that is ready again, so most of
/// a large batch is known already. Measured on a prototype with bulk traffic: 0.53 of the CPU of a C loop with 8, 0.89
/// with 256.
const GLANCE: usize = 8;

/// An epoll set, and what the last look brought.
pub(crate) struct Epoll {
    set: OwnedFd,
    events: [epoll::Event; BATCH],
    count: usize,
    /// Registrations that were not as we believed, mended: somebody shares a descriptor, or a mistake of ours.
    pub(crate) repairs: u64,
}

impl fmt::Debug for Epoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoll")
            .field("set", &self.set)
            .field("repairs", &self.repairs)
            .finish_non_exhaustive()
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}

impl Epoll {
    pub(crate) fn new() -> Result<Self, Errno> {
        let nothing = epoll::Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        };
        Ok(Self {
            set: epoll::create(CreateFlags::CLOEXEC)?,
            events: [nothing; BATCH],
            count: 0,
            repairs: 0,
        })
    }

    /// Takes a new set without registrations into use, and hands the old one out.
    pub(crate) fn renew(&mut self) -> Result<OwnedFd, Errno> {
        let fresh = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(self.restore(fresh))
    }

    /// Takes a set into use, and hands the present one out.
    pub(crate) const fn restore(&mut self, set: OwnedFd) -> OwnedFd {
        core::mem::replace(&mut self.set, set)
    }

    /// Waits until something is ready or it is `until`; a signal does not shorten the wait. Answers how many reports
    /// there are, for [`report`](Self::report).
    ///
    /// `glance`: work is queued, and what is ready is reported at every look.
    pub(crate) fn wait(&mut self, until: Option<Instant>, glance: bool) -> Result<usize, Errno> {
        let batch = if glance { GLANCE } else { BATCH };
        self.count = loop {
            let timeout = until.map(|until| {
                let left = clock::wait_for(until, clock::now());
                Timespec {
                    tv_sec: left.as_secs().try_into().unwrap_or(0),
                    tv_nsec: left.subsec_nanos().into(),
                }
            });
            match epoll::wait(&self.set, &mut self.events[..batch], timeout.as_ref()) {
                Ok(count) => break count,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        };
        Ok(self.count)
    }

    /// A report of the last look, by its number.
    pub(crate) fn report(&self, number: usize) -> Option<Event> {
        let event = self.events[..self.count].get(number)?;
        let (flags, data) = (event.flags, event.data);
        let closing = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR | EventFlags::PRI;
        Some(Event::Ready {
            token: Token::from_bits(data.u64()),
            directions: Directions::READ.when(flags.intersects(EventFlags::IN | EventFlags::PRI))
                | Directions::WRITE.when(flags.contains(EventFlags::OUT)),
            closing: flags.intersects(closing),
        })
    }

    /// Registers, changes or withdraws: `was` and `now` alone decide which.
    ///
    /// Where the set is not as `was` says, it is made as `now` says, and counted.
    pub(crate) fn arm(
        &mut self,
        fd: BorrowedFd<'_>,
        token: Token,
        was: Directions,
        now: Directions,
        trigger: Trigger,
    ) -> Result<(), Errno> {
        let data = EventData::new_u64(token.to_bits());
        let flags = interest(now, trigger);
        let done = if now.is_empty() {
            epoll::delete(&self.set, fd)
        } else if was.is_empty() {
            epoll::add(&self.set, fd, data, flags)
        } else {
            epoll::modify(&self.set, fd, data, flags)
        };
        let mended = match done {
            Err(Errno::NOENT | Errno::BADF) if now.is_empty() => Ok(()),
            Err(Errno::EXIST) => epoll::modify(&self.set, fd, data, flags),
            Err(Errno::NOENT) => epoll::add(&self.set, fd, data, flags),
            done => return done,
        };
        self.repairs = self.repairs.saturating_add(1);
        mended
    }
}

/// What to ask the kernel for. `HUP` and `ERR` come unasked.
///
/// In edge mode the end and the urgent mark are always asked for: they tell that a short read is not the last one.
fn interest(directions: Directions, trigger: Trigger) -> EventFlags {
    let mut flags = EventFlags::empty();
    if directions.contains(Directions::READ) {
        flags |= EventFlags::IN | EventFlags::RDHUP;
    }
    if directions.contains(Directions::WRITE) {
        flags |= EventFlags::OUT;
    }
    match trigger {
        Trigger::Level => flags,
        Trigger::Edge => flags | EventFlags::ET | EventFlags::RDHUP | EventFlags::PRI,
        Trigger::Oneshot => flags | EventFlags::ONESHOT,
    }
}
