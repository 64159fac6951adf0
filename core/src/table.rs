//! [`Slots`], [`Records`]: the fixed-capacity connection table, in views that know no `N`.

use crate::queue::{Link, Linked};
use crate::record::Record;
use crate::slot::{Queued, Slot};
use crate::source::Source;
use crate::token::LISTENER_BIT;
use crate::unavailable::{Unavailable, count};
use heapless::{Vec, VecView};

/// The sources that are not connections.
#[derive(Debug)]
pub(crate) struct Others<L: ?Sized = VecView<Source>> {
    /// How many connection slots have ever been used.
    used: u32,
    /// What an index that names no slot falls on. Always free.
    nowhere: Slot,
    /// So many of the list are not to be used: a replay has as many as what it replays had.
    unused: u32,
    pub(crate) list: L,
}

impl<const SOURCES: usize> Others<Vec<Source, SOURCES>> {
    /// All zeros.
    pub(crate) const UNUSED: Self = Self {
        used: 0,
        nowhere: Slot::UNUSED,
        unused: 0,
        list: Vec::new(),
    };

    /// Has none of them.
    pub(crate) fn begin(&mut self) -> &mut Others {
        (self.used, self.unused) = (0, 0);
        self.nowhere = Slot::NEW;
        self.list.clear();
        self
    }
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
    pub(crate) fn at(&self, index: u32) -> &Slot {
        match self.connections.get(index as usize) {
            Some(slot) => slot,
            None => self.other(index),
        }
    }

    pub(crate) fn at_mut(&mut self, index: u32) -> &mut Slot {
        match self.connections.get_mut(index as usize) {
            Some(slot) => slot,
            None => self.others.at_mut(index),
        }
    }

    #[cold]
    fn other(&self, index: u32) -> &Slot {
        let place = self.others.list.get((index ^ LISTENER_BIT) as usize);
        place.map_or(&self.others.nowhere, |source| &source.slot)
    }

    /// A listener, a watched descriptor or a datagram socket, by its index.
    pub(crate) fn source(&self, index: u32) -> Option<&Source> {
        self.others.list.get((index ^ LISTENER_BIT) as usize)
    }

    /// The same, to be changed.
    pub(crate) fn source_mut(&mut self, index: u32) -> Option<&mut Source> {
        (self.others.list).get_mut((index ^ LISTENER_BIT) as usize)
    }

    /// How many connection slots have ever been used: the indices `0..used`.
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

    pub(crate) fn reborrow(&mut self) -> Slots<'_> {
        Slots {
            connections: self.connections,
            others: self.others,
        }
    }
}

impl Others {
    /// How many there can be.
    pub(crate) fn capacity(&self) -> u32 {
        count(self.list.capacity()).saturating_sub(self.unused)
    }

    /// Adds one behind the last.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Sources`]: there are as many as there can be.
    pub(crate) fn add(&mut self, source: Source) -> Result<(), Unavailable> {
        let capacity = self.capacity();
        let full = Unavailable::Sources { capacity };
        if count(self.list.len()) >= capacity {
            return Err(full);
        }
        self.list.push(source).map_err(|_| full)
    }

    /// Lets there be fewer.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Sources`]: there are not so many.
    #[cfg(feature = "trace")]
    pub(crate) fn restrict(&mut self, capacity: u32) -> Result<(), Unavailable> {
        let all = count(self.list.capacity());
        let unused = all.checked_sub(capacity);
        self.unused = unused.ok_or(Unavailable::Sources { capacity: all })?;
        Ok(())
    }

    #[cold]
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
    pub(crate) fn at(&self, index: u32) -> &Record {
        self.list.get(index as usize).unwrap_or(&*self.nowhere)
    }

    pub(crate) fn at_mut(&mut self, index: u32) -> &mut Record {
        self.list
            .get_mut(index as usize)
            .unwrap_or(&mut *self.nowhere)
    }

    pub(crate) fn reborrow(&mut self) -> Records<'_> {
        Records {
            list: self.list,
            nowhere: self.nowhere,
        }
    }
}
