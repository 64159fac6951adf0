//! [`Table<N>`]: the fixed-capacity connection table, and the views of it that know no `N`.

use crate::dispatcher::Machine;
use crate::dispatcher::listener::Listener;
use crate::queue::{Link, Linked};
use crate::record::Record;
use crate::slot::{Queued, Slot};
use crate::timers::{FreeTimers, Timer, Timers};
use crate::token::LISTENER_BIT;
use core::mem::MaybeUninit;
use heapless::{Vec, VecView};

/// Slots for `N` connections, for `SOURCES` listeners, watched descriptors and datagram sockets together (16 by
/// default, 255 at most), and `TIMERS` free timers (16): all the memory that a [`Dispatcher`](crate::Dispatcher) uses.
///
/// It can be made at compile time and is then all zeros, so that it lies in `.bss`; a slot that was never used costs no
/// page. `N` is at least 1 and below 2³¹.
// In this order, so that what is touched at the start lies together, on few pages.
#[derive(Debug)]
#[repr(C)]
pub struct Table<const N: usize, const SOURCES: usize = 16, const TIMERS: usize = 16> {
    /// Written before it is borrowed, as the two below; until then it has no bytes, so that the table is all zeros.
    machine: MaybeUninit<Machine>,
    others: MaybeUninit<Others<Vec<Source, SOURCES>>>,
    free_timers: FreeTimers<TIMERS>,
    /// What an index that names no record falls on.
    no_record: MaybeUninit<Record>,
    slots: [Slot; N],
    records: [Record; N],
    /// How many connections each source has.
    sources: [u64; N],
    /// The same of blocks of sources, touched only if they are limited.
    blocks: [u64; N],
    timers: [Timer; N],
}

impl<const N: usize, const SOURCES: usize, const TIMERS: usize> Table<N, SOURCES, TIMERS> {
    /// Bytes that it takes.
    pub const SIZE: usize = size_of::<Self>();

    /// Bytes of it for one connection: slot, record, count of its source.
    pub(crate) const CONNECTION: usize = size_of::<Slot>() + size_of::<Record>() + size_of::<u64>();

    /// Bytes of it for the counter of a connection's block of addresses, touched where blocks are limited.
    pub(crate) const BLOCK: usize = size_of::<u64>();

    /// Bytes of it for a connection's timer, touched by those that set one.
    pub(crate) const TIMER: usize = size_of::<Timer>();

    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(N > 0, "a table holds at least one connection");
            assert!(
                N < LISTENER_BIT as usize,
                "one bit of the index selects the table"
            );
            assert!(
                SOURCES <= 255,
                "a connection's record has one byte for its listener"
            );
            assert!(
                TIMERS < LISTENER_BIT as usize,
                "timers have numbers of 32 bits, those of the connections too"
            );
        }
        Self {
            machine: MaybeUninit::uninit(),
            others: MaybeUninit::uninit(),
            free_timers: FreeTimers::NONE,
            no_record: MaybeUninit::uninit(),
            slots: [Slot::UNUSED; N],
            records: [Record::UNUSED; N],
            sources: [0; N],
            blocks: [0; N],
            timers: [Timer::NONE; N],
        }
    }

    /// Resets it and borrows its parts.
    pub(crate) fn parts(&mut self, machine: impl FnOnce() -> Machine) -> Parts<'_> {
        // A page that is only read is none of the process's.
        if self.slots.first().is_some_and(|slot| slot.generation != 0) {
            self.sources.fill(0);
            self.blocks.fill(0);
        }
        // Slots come into use in order, and have a generation from then on.
        let used = self.slots.iter_mut();
        for slot in used.take_while(|slot| slot.generation != 0) {
            *slot = Slot::UNUSED;
        }
        Parts {
            slots: Slots {
                connections: &mut self.slots,
                others: self.others.write(Others::NONE),
            },
            records: Records {
                list: &mut self.records,
                nowhere: self.no_record.write(Record::NEW),
            },
            sources: &mut self.sources,
            blocks: &mut self.blocks,
            timers: Timers::new(&mut self.free_timers, &mut self.timers),
            machine: self.machine.write(machine()),
        }
    }
}

impl<const N: usize, const SOURCES: usize, const TIMERS: usize> Default
    for Table<N, SOURCES, TIMERS>
{
    fn default() -> Self {
        Self::new()
    }
}

/// The borrowed parts of a table.
pub(crate) struct Parts<'t> {
    pub(crate) slots: Slots<'t>,
    pub(crate) records: Records<'t>,
    pub(crate) sources: &'t mut [u64],
    pub(crate) blocks: &'t mut [u64],
    pub(crate) timers: Timers<'t>,
    pub(crate) machine: &'t mut Machine,
}

/// A listener, a watched descriptor or a datagram socket.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) slot: Slot,
    pub(crate) listener: Listener,
}

/// The sources that are not connections.
#[derive(Debug)]
pub(crate) struct Others<L: ?Sized = VecView<Source>> {
    /// How many connection slots have ever been used.
    used: u32,
    /// What an index that names no slot falls on. Always free.
    nowhere: Slot,
    pub(crate) list: L,
}

impl<const SOURCES: usize> Others<Vec<Source, SOURCES>> {
    pub(crate) const NONE: Self = Self {
        used: 0,
        nowhere: Slot::NEW,
        list: Vec::new(),
    };
}

/// The slots of both tables, by index with [`LISTENER_BIT`].
///
/// Total: an index that names no slot, which cannot be, reads and writes a spare one that is always free, so that there
/// is neither a panic nor an `Option` at every step. The index of a listener lies beyond every connection's, so finding
/// a connection is one comparison.
#[derive(Debug)]
pub(crate) struct Slots<'t> {
    pub(crate) connections: &'t mut [Slot],
    pub(crate) others: &'t mut Others,
}

impl Slots<'_> {
    #[inline]
    pub(crate) fn at(&self, index: u32) -> &Slot {
        match self.connections.get(index as usize) {
            Some(slot) => slot,
            None => self.other(index),
        }
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> &mut Slot {
        match self.connections.get_mut(index as usize) {
            Some(slot) => slot,
            None => self.others.at_mut(index),
        }
    }

    #[cold]
    #[inline(never)]
    fn other(&self, index: u32) -> &Slot {
        let place = self.others.list.get((index ^ LISTENER_BIT) as usize);
        place.map_or(&self.others.nowhere, |source| &source.slot)
    }

    /// What is known of a listener beside its slot, by its index without [`LISTENER_BIT`].
    pub(crate) fn listener(&self, place: u32) -> Option<&Listener> {
        let source = self.others.list.get(place as usize)?;
        Some(&source.listener)
    }

    pub(crate) fn listener_mut(&mut self, place: u32) -> Option<&mut Listener> {
        let source = self.others.list.get_mut(place as usize)?;
        Some(&mut source.listener)
    }

    /// A listener, a watched descriptor or a datagram socket, by its index.
    pub(crate) fn source_mut(&mut self, index: u32) -> Option<&mut Source> {
        (self.others.list).get_mut((index ^ LISTENER_BIT) as usize)
    }

    /// How many connection slots have ever been used: the indices `0..used`.
    #[inline]
    pub(crate) fn used(&self) -> u32 {
        self.others.used
    }

    /// The index of a slot that is used for the first time; `None`: all have been.
    pub(crate) fn use_another(&mut self) -> Option<u32> {
        let index = self.others.used;
        *self.connections.get_mut(index as usize)? = Slot::NEW;
        self.others.used = index.wrapping_add(1);
        Some(index)
    }

    /// Has none of them used.
    #[cfg(feature = "inspect")]
    pub(crate) fn forget_used(&mut self) {
        self.others.used = 0;
    }

    #[inline]
    pub(crate) fn reborrow(&mut self) -> Slots<'_> {
        Slots {
            connections: self.connections,
            others: self.others,
        }
    }
}

impl Others {
    #[cold]
    #[inline(never)]
    fn at_mut(&mut self, index: u32) -> &mut Slot {
        let place = self.list.get_mut((index ^ LISTENER_BIT) as usize);
        place.map_or(&mut self.nowhere, |source| &mut source.slot)
    }
}

/// The slots, linked by the free list or a run queue.
pub(crate) struct Run<'a, 't>(pub(crate) &'a mut Slots<'t>);

impl Linked for Run<'_, '_> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0.at_mut(index).run
    }

    fn unlink(&mut self, index: u32) -> Link {
        let slot = self.0.at_mut(index);
        slot.queued = Queued::No;
        core::mem::replace(&mut slot.run, Link::NONE)
    }
}

/// The records of the connections, by index; total in the same way as [`Slots`].
#[derive(Debug)]
pub(crate) struct Records<'t> {
    pub(crate) list: &'t mut [Record],
    pub(crate) nowhere: &'t mut Record,
}

impl Records<'_> {
    #[inline]
    pub(crate) fn at(&self, index: u32) -> &Record {
        self.list.get(index as usize).unwrap_or(&*self.nowhere)
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> &mut Record {
        self.list
            .get_mut(index as usize)
            .unwrap_or(&mut *self.nowhere)
    }

    #[inline]
    pub(crate) fn reborrow(&mut self) -> Records<'_> {
        Records {
            list: self.list,
            nowhere: self.nowhere,
        }
    }
}
