//! [`Table<N>`]: all that a dispatcher is made over, as one value of known size.

use super::Machine;
use crate::record::Record;
use crate::slot::Slot;
use crate::source::Source;
use crate::table::{Others, Records, Slots};
use crate::timers::{FreeTimers, Timer, Timers};
use crate::token::LISTENER_BIT;
use crate::trace::Recorder;
use core::mem::MaybeUninit;
use heapless::Vec;

/// Slots for `N` connections, for `SOURCES` listeners, watched descriptors and datagram sockets together (16 by
/// default, 255 at most), and `TIMERS` free timers (16): all the memory that a [`Dispatcher`](crate::Dispatcher) uses.
///
/// It can be made at compile time and is then all zeros, so that it lies in `.bss`; a slot that was never used costs no
/// page. `N` is at least 1 and below 2³¹.
// In this order, so that what is touched at the start lies together, on few pages.
#[derive(Debug)]
#[repr(C)]
pub struct Table<const N: usize, const SOURCES: usize = 16, const TIMERS: usize = 16> {
    /// Written before it is borrowed; until then it has no bytes, so that the table is all zeros.
    machine: MaybeUninit<Machine>,
    others: Others<Vec<Source, SOURCES>>,
    free_timers: FreeTimers<TIMERS>,
    /// What an index that names no record falls on.
    no_record: Record,
    slots: [Slot; N],
    records: [Record; N],
    /// How many connections each source has.
    sources: [u64; N],
    /// The same of blocks of sources, touched only if they are limited.
    blocks: [u64; N],
    timers: [Timer; N],
    recorder: Recorder,
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
            others: Others::UNUSED,
            free_timers: FreeTimers::NONE,
            no_record: Record::UNUSED,
            slots: [Slot::UNUSED; N],
            records: [Record::UNUSED; N],
            sources: [0; N],
            blocks: [0; N],
            timers: [Timer::NONE; N],
            recorder: Recorder::EMPTY,
        }
    }

    /// Resets it and borrows its parts.
    pub(crate) fn lend(&mut self) -> Parts<'_> {
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
                others: self.others.begin(),
            },
            records: Records {
                list: &mut self.records,
                nowhere: &mut self.no_record,
            },
            sources: &mut self.sources,
            blocks: &mut self.blocks,
            timers: Timers::new(&mut self.free_timers, &mut self.timers),
            recorder: self.recorder.begin(),
            machine: &mut self.machine,
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

/// The borrowed parts of a table, whatever its sizes.
#[derive(Debug)]
pub(crate) struct Parts<'t> {
    pub(crate) slots: Slots<'t>,
    pub(crate) records: Records<'t>,
    pub(crate) sources: &'t mut [u64],
    pub(crate) blocks: &'t mut [u64],
    pub(crate) timers: Timers<'t>,
    pub(crate) recorder: &'t mut Recorder,
    pub(crate) machine: &'t mut MaybeUninit<Machine>,
}
