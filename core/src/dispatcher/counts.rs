//! [`Counts`]: how many connections each source has, in one word for each connection that there can be.
//!
//! A hash table with open addressing, in which entries without a gap between them are in the order of their home (Robin Hood
//! hashing). It has as many entries as there are connections, so it is full only when each has a source of its own.

use core::ops::{Deref, DerefMut};

/// A source or a block of sources: its hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key(u64);

/// Bits of an entry that are the hash; the others are the count.
const HASH: u32 = 40;
const HASH_MASK: u64 = (1 << HASH) - 1;

impl Key {
    /// The key of a hash, of which 40 bits count: two sources share a counter once in 2⁴⁰ pairs, and none outside can
    /// choose them without knowing the seed.
    pub(crate) const fn of(hash: u64) -> Self {
        Self(hash & HASH_MASK)
    }
}

/// An entry; 0 is free.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry(u64);

impl Entry {
    const FREE: Self = Self(0);

    /// More connections than 24 bits hold are as good as this many.
    fn new(key: Key, count: u32) -> Self {
        let count = u64::from(count).min(u64::MAX >> HASH);
        Self(count << HASH | key.0)
    }

    const fn key(self) -> Key {
        Key::of(self.0)
    }

    fn count(self) -> u32 {
        u32::try_from(self.0 >> HASH).unwrap_or(u32::MAX)
    }

    const fn is_free(self) -> bool {
        self.0 >> HASH == 0
    }
}

/// Counters by key. A lookup reads the entries between its home and itself: about one in a table that is half full,
/// whatever the counts are; the first connection of a source and the last one move those that follow without a gap.
pub(crate) struct Counts<S>(pub(crate) S);

impl<S: DerefMut<Target = [u64]>> Counts<S> {
    /// One more.
    pub(crate) fn add(&mut self, key: Key) {
        let (at, entry) = self.find(key);
        if let Some(entry) = entry {
            return self.set(at, Entry::new(key, entry.count().saturating_add(1)));
        }
        let (mut at, mut moved) = (at, Entry::new(key, 1));
        for _ in 0..self.0.len() {
            let before = self.at(at);
            self.set(at, moved);
            if before.is_free() {
                break;
            }
            moved = before;
            at = self.after(at);
        }
    }

    /// One less.
    pub(crate) fn remove(&mut self, key: Key) {
        let (mut at, entry) = self.find(key);
        let Some(entry) = entry else { return };
        if entry.count() > 1 {
            return self.set(at, Entry::new(key, entry.count().saturating_sub(1)));
        }
        // Those behind it move up, up to one that is at home.
        for _ in 0..self.0.len() {
            let next = self.after(at);
            let behind = self.at(next);
            if behind.is_free() || self.distance(behind, next) == 0 {
                break;
            }
            self.set(at, behind);
            at = next;
        }
        self.set(at, Entry::FREE);
    }

    fn set(&mut self, at: usize, entry: Entry) {
        if let Some(word) = self.0.get_mut(at) {
            *word = entry.0;
        }
    }
}

impl<S: Deref<Target = [u64]>> Counts<S> {
    /// How many are counted under a key.
    pub(crate) fn get(&self, key: Key) -> u32 {
        let (_, entry) = self.find(key);
        entry.map_or(0, Entry::count)
    }

    /// Where the entry of a key is, and it; or where it would be.
    fn find(&self, Key(key): Key) -> (usize, Option<Entry>) {
        let mut at = self.home(Key(key));
        for distance in 0..self.0.len() {
            let entry = self.at(at);
            if entry.is_free() || self.distance(entry, at) < distance {
                return (at, None);
            }
            if entry.key() == Key(key) {
                return (at, Some(entry));
            }
            at = self.after(at);
        }
        (at, None)
    }

    /// How far an entry is from its home.
    fn distance(&self, entry: Entry, at: usize) -> usize {
        let home = self.home(entry.key());
        if home <= at {
            at.wrapping_sub(home)
        } else {
            at.wrapping_add(self.0.len()).wrapping_sub(home)
        }
    }

    /// The first entry that a key may have: the hash, scaled to the table.
    fn home(&self, Key(hash): Key) -> usize {
        let scaled = (u128::from(hash) * self.0.len() as u128) >> HASH;
        usize::try_from(scaled).unwrap_or(0)
    }

    fn after(&self, at: usize) -> usize {
        let next = at.saturating_add(1);
        if next < self.0.len() { next } else { 0 }
    }

    fn at(&self, at: usize) -> Entry {
        Entry(self.0.get(at).copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use alloc::collections::BTreeMap;
    use alloc::vec;

    /// Against a map, with keys that fall together, in tables that run full, again and again.
    #[test]
    fn counts_are_those_of_a_map() {
        for len in [1usize, 2, 3, 7, 16] {
            for hard in [false, true] {
                let mut words = vec![0; len];
                let mut counts = Counts(&mut words[..]);
                let mut map = BTreeMap::<u64, u32>::new();
                let mut random = Random::new(1);
                let keys = 2 * u32::try_from(len).expect("few") + 1;
                for _ in 0..20_000 {
                    let n = u64::from(random.below(keys));
                    // Hard ones have homes next to each other, at the end of the table.
                    let hash = if hard {
                        HASH_MASK - n
                    } else {
                        n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    };
                    let known = map.get(&n).copied().unwrap_or(0);
                    assert_eq!(counts.get(Key::of(hash)), known);
                    if random.below(2) == 0 && known > 0 {
                        counts.remove(Key::of(hash));
                        map.insert(n, known - 1);
                    } else if known > 0 || map.len() < len {
                        counts.add(Key::of(hash));
                        map.insert(n, known + 1);
                    }
                    map.retain(|_, count| *count > 0);
                    let used = counts.0.iter().filter(|word| **word != 0).count();
                    assert_eq!(used, map.len());
                }
            }
        }
    }

    /// What a check reads does not depend on how many connections a source has.
    #[test]
    fn a_count_stands_in_one_entry() {
        let mut words = [0; 8];
        let mut counts = Counts(&mut words[..]);
        for n in 1..=10_000 {
            counts.add(Key::of(5));
            assert_eq!(counts.get(Key::of(5)), n);
        }
        assert_eq!(words.iter().filter(|word| **word != 0).count(), 1);
    }
}
