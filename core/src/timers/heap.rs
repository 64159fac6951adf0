//! [`Heap`]: timers of any length, the one that is due first at the top.
//!
//! A binary min-heap without an allocation: the timers are numbered, each has one entry in an array, and an entry holds
//! two unrelated things: when the timer of that number is due, and which timer is at that position of the heap. All
//! zeros is an empty heap, so a table whose timers are not used has no page of them.
//!
//! The deadlines of connections do not stand here: within one of their classes all lengths are equal, which a queue does
//! better.

use crate::time::Instant;

/// One entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    /// When the timer of this number is due.
    due: Instant,
    /// How many were set before it: of two that are due together, the one that was set first comes first.
    turn: u64,
    /// Where in the heap it stands, plus one; 0: it is not set.
    place: u32,
    /// The number of the timer at this position of the heap.
    member: u32,
}

impl Timer {
    /// Not set.
    pub(crate) const NONE: Self = Self {
        due: Instant::ZERO,
        turn: 0,
        place: 0,
        member: 0,
    };
}

impl AsRef<Self> for Timer {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl AsMut<Self> for Timer {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

/// How many of the timers of an array are set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Len(u32);

impl Len {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A timer that is set, with its order in the heap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    pub(crate) turn: u64,
    pub(crate) timer: u32,
}

/// An array of timers, and how many of them are set. A number beyond the array is that of no timer: it cannot be set.
#[derive(Debug)]
pub(crate) struct Heap<'a, T = Timer> {
    pub(crate) timers: &'a mut [T],
    pub(crate) len: &'a mut Len,
}

/// The timer that is due first, if one is set.
pub(crate) fn first<T: AsRef<Timer>>(timers: &[T], len: Len) -> Option<Due> {
    if len.is_empty() {
        return None;
    }
    due(timers, timers.first()?.as_ref().member)
}

/// When a timer is due, if it is set.
pub(crate) fn due<T: AsRef<Timer>>(timers: &[T], timer: u32) -> Option<Due> {
    let entry = timers.get(timer as usize)?.as_ref();
    (entry.place > 0).then_some(Due {
        at: entry.due,
        turn: entry.turn,
        timer,
    })
}

/// Work: the logarithm of the number of timers that are set.
impl<T: AsRef<Timer> + AsMut<Timer>> Heap<'_, T> {
    /// Sets a timer, or sets it again. `turn` rises with each call.
    pub(crate) fn set(&mut self, timer: u32, at: Instant, turn: u64) {
        let Some(entry) = self.entry(timer) else {
            return;
        };
        entry.due = at;
        entry.turn = turn;
        let place = match entry.place.checked_sub(1) {
            Some(place) => place,
            None => {
                let place = self.len.0;
                self.len.0 = place.saturating_add(1);
                self.put(place, timer);
                place
            }
        };
        self.sift(place);
    }

    /// Takes a timer out; one that is not set is none to take out.
    pub(crate) fn cancel(&mut self, timer: u32) {
        let Some(entry) = self.entry(timer) else {
            return;
        };
        let Some(place) = entry.place.checked_sub(1) else {
            return;
        };
        entry.place = 0;
        self.len.0 = self.len.0.saturating_sub(1);
        if place < self.len.0 {
            let last = self.member(self.len.0);
            self.put(place, last);
            self.sift(place);
        }
    }

    /// Moves the timer at a position to where it belongs.
    fn sift(&mut self, place: u32) {
        let mut place = place;
        while let Some(above) = place.checked_sub(1).map(|below| below / 2)
            && self.key(place) < self.key(above)
        {
            self.swap(place, above);
            place = above;
        }
        loop {
            let left = place.saturating_mul(2).saturating_add(1);
            let below = [left, left.saturating_add(1)].into_iter();
            let below = below.filter(|below| *below < self.len.0);
            let Some(least) = below.min_by_key(|below| self.key(*below)) else {
                return;
            };
            if self.key(place) <= self.key(least) {
                return;
            }
            self.swap(place, least);
            place = least;
        }
    }

    fn swap(&mut self, a: u32, b: u32) {
        let (of_a, of_b) = (self.member(a), self.member(b));
        self.put(a, of_b);
        self.put(b, of_a);
    }

    fn put(&mut self, place: u32, timer: u32) {
        if let Some(entry) = self.entry(place) {
            entry.member = timer;
        }
        if let Some(entry) = self.entry(timer) {
            entry.place = place.saturating_add(1);
        }
    }

    fn member(&self, place: u32) -> u32 {
        let entry = self.timers.get(place as usize);
        entry.map_or(0, |entry| entry.as_ref().member)
    }

    fn entry(&mut self, number: u32) -> Option<&mut Timer> {
        self.timers.get_mut(number as usize).map(T::as_mut)
    }

    fn key(&self, place: u32) -> Option<Due> {
        due(self.timers, self.member(place))
    }
}

/// Whether each timer that is set stands in the heap, once, and none before the one above it.
#[cfg(any(test, feature = "inspect"))]
pub(crate) fn is_sound<T: AsRef<Timer>>(timers: &[T], len: Len) -> bool {
    let entry = |number: u32| timers.get(number as usize).map(T::as_ref);
    let set = timers
        .iter()
        .filter(|entry| entry.as_ref().place > 0)
        .count();
    let member = |place: u32| entry(place).map_or(0, |entry| entry.member);
    set == len.0 as usize
        && (0..len.0).all(|place| {
            let entry = entry(member(place));
            let above = member(place.saturating_sub(1) / 2);
            entry.is_some_and(|entry| entry.place == place.saturating_add(1))
                && due(timers, above) <= due(timers, member(place))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// As it should be: a list, searched.
    #[derive(Default)]
    struct List(Vec<Due>);

    impl List {
        fn cancel(&mut self, timer: u32) {
            self.0.retain(|due| due.timer != timer);
        }
        fn set(&mut self, due: Due) {
            self.cancel(due.timer);
            self.0.push(due);
        }
    }

    #[test]
    fn agrees_with_a_list_that_is_searched() {
        let mut random = 7u64;
        let mut next = |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) % below
        };
        for count in [1u32, 2, 3, 8, 33] {
            let mut timers = [Timer::NONE; 33];
            let timers = &mut timers[..count as usize];
            let (mut len, mut list) = (Len::NONE, List::default());
            for turn in 0..3_000 {
                let timer = u32::try_from(next(u64::from(count) + 1)).expect("small");
                let mut heap = Heap {
                    timers,
                    len: &mut len,
                };
                if next(3) == 0 {
                    heap.cancel(timer);
                    list.cancel(timer);
                } else {
                    let at = Instant::from_nanos(next(20));
                    heap.set(timer, at, turn);
                    if timer < count {
                        list.set(Due { at, turn, timer });
                    }
                }
                assert!(is_sound(timers, len), "{timers:?}");
                assert_eq!(first(timers, len), list.0.iter().min().copied());
            }
        }
    }

    #[test]
    fn what_is_due_together_comes_in_the_order_in_which_it_was_set() {
        let (mut timers, mut len) = ([Timer::NONE; 8], Len::NONE);
        let now = Instant::from_nanos(5);
        for (turn, timer) in (0..).zip([3, 0, 7, 1, 6, 2, 5, 4]) {
            Heap {
                timers: &mut timers,
                len: &mut len,
            }
            .set(timer, now, turn);
        }
        let mut seen = Vec::new();
        while let Some(due) = first(&timers, len) {
            seen.push(due.timer);
            Heap {
                timers: &mut timers,
                len: &mut len,
            }
            .cancel(due.timer);
        }
        assert_eq!(seen, [3, 0, 7, 1, 6, 2, 5, 4]);
    }
}
