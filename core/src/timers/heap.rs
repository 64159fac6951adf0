//! The heap of [`Timers`]: the one that is due first at the top.
//!
//! A binary min-heap without an allocation: the timers are numbered, each has one entry, and an entry holds two unrelated
//! things: when the timer of that number is due, and which timer is at that position of the heap. All zeros is an empty
//! heap, so a table whose timers are not used has no page of them.
//!
//! The deadlines of connections do not stand here: within one of their classes all lengths are equal, which a queue does
//! better.

use super::Timers;
use crate::time::Instant;

/// One entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    /// When the timer of this number is due.
    due: Instant,
    /// How many were set before it: of two that are due together, the one that was set first comes first.
    order: u64,
    /// Where in the heap it stands, plus one; 0: it is not set.
    position: u32,
    /// The number of the timer at this position of the heap.
    member: u32,
}

impl Timer {
    /// Not set.
    pub(crate) const NONE: Self = Self {
        due: Instant::ZERO,
        order: 0,
        position: 0,
        member: 0,
    };

    /// When it is due; `None`: it is not set.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.position > 0).then_some(self.due)
    }
}

/// A timer that is set, with its order in the heap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Due {
    pub(super) at: Instant,
    pub(super) order: u64,
    pub(super) number: u32,
}

/// Work: the logarithm of the number of timers that are set. No timer has a number beyond the entries: it cannot be set.
impl Timers<'_> {
    /// The timer that is due first, if one is set.
    pub(super) fn first(&self) -> Option<Due> {
        if self.known.len == 0 {
            return None;
        }
        self.key(self.member(0))
    }

    /// Sets a timer, or sets it again. `order` rises with each call.
    pub(super) fn put_in(&mut self, number: u32, at: Instant, order: u64) {
        let Some(entry) = self.entry_mut(number) else {
            debug_assert!(false, "no timer {number}");
            return;
        };
        (entry.due, entry.order) = (at, order);
        let position = match entry.position.checked_sub(1) {
            Some(position) => position,
            None => {
                let position = self.known.len;
                self.known.len = position.saturating_add(1);
                self.put(position, number);
                position
            }
        };
        self.sift(position);
        self.assert_sound();
    }

    /// Removes a timer, if it is set.
    pub(super) fn take_out(&mut self, number: u32) {
        let Some(entry) = self.entry_mut(number) else {
            return;
        };
        let Some(position) = entry.position.checked_sub(1) else {
            return;
        };
        entry.position = 0;
        debug_assert!(position < self.known.len, "those that are set are counted");
        self.known.len = self.known.len.saturating_sub(1);
        if position < self.known.len {
            self.put(position, self.member(self.known.len));
            self.sift(position);
        }
        self.assert_sound();
    }

    /// Moves the timer at a position to where it belongs.
    fn sift(&mut self, position: u32) {
        let mut position = position;
        while let Some(above) = position.checked_sub(1).map(|below| below / 2)
            && self.key_at(position) < self.key_at(above)
        {
            self.swap(position, above);
            position = above;
        }
        loop {
            let left = position.saturating_mul(2).saturating_add(1);
            let below = [left, left.saturating_add(1)].into_iter();
            let below = below.filter(|below| *below < self.known.len);
            let Some(least) = below.min_by_key(|below| self.key_at(*below)) else {
                return;
            };
            if self.key_at(position) <= self.key_at(least) {
                return;
            }
            self.swap(position, least);
            position = least;
        }
    }

    fn swap(&mut self, a: u32, b: u32) {
        let (of_a, of_b) = (self.member(a), self.member(b));
        self.put(a, of_b);
        self.put(b, of_a);
    }

    fn put(&mut self, position: u32, number: u32) {
        if let Some(entry) = self.entry_mut(position) {
            entry.member = number;
        }
        if let Some(entry) = self.entry_mut(number) {
            entry.position = position.saturating_add(1);
        }
    }

    fn key_at(&self, position: u32) -> Option<Due> {
        self.key(self.member(position))
    }

    /// When a timer is due, if it is set.
    pub(super) fn key(&self, number: u32) -> Option<Due> {
        let entry = self.entry(number)?;
        let (at, order) = (entry.due()?, entry.order);
        Some(Due { at, order, number })
    }

    fn member(&self, position: u32) -> u32 {
        self.entry(position).map_or(0, |entry| entry.member)
    }

    fn entry(&self, number: u32) -> Option<&Timer> {
        let (number, free) = (number as usize, &self.known.free);
        match free.get(number) {
            Some(free) => Some(&free.timer),
            None => self.connections.get(number.wrapping_sub(free.len())),
        }
    }

    fn entry_mut(&mut self, number: u32) -> Option<&mut Timer> {
        let (number, free) = (number as usize, &mut self.known.free);
        let len = free.len();
        match free.get_mut(number) {
            Some(free) => Some(&mut free.timer),
            None => self.connections.get_mut(number.wrapping_sub(len)),
        }
    }
}

/// What this part believes.
impl Timers<'_> {
    /// Whether each timer that is set stands in the heap, once, and none before the one above it. Work: all entries.
    pub(crate) fn is_sound(&self) -> bool {
        let free = self.known.free.iter().map(|free| &free.timer);
        let set = free.chain(&*self.connections);
        let set = set.filter(|entry| entry.position > 0).count();
        set == self.known.len as usize
            && (0..self.known.len).all(|position| {
                let entry = self.entry(self.member(position));
                let above = position.saturating_sub(1) / 2;
                entry.is_some_and(|entry| entry.position == position.saturating_add(1))
                    && self.key_at(above) <= self.key_at(position)
            })
    }

    /// Of a small table: what it costs would else grow with the table.
    fn assert_sound(&self) {
        let entries = self.known.free.len().saturating_add(self.connections.len());
        debug_assert!(entries > CHECKED || self.is_sound(), "a heap: {self:?}");
    }
}

/// So many entries at most are checked at each change.
const CHECKED: usize = 128;

#[cfg(test)]
impl Timer {
    /// Whether it is all zeros.
    pub(super) fn is_untouched(&self) -> bool {
        let Self {
            due,
            order,
            position,
            member,
        } = *self;
        (due, order, position, member) == (Instant::ZERO, 0, 0, 0)
    }
}
