//! [`States`]: what was found, each state with the one that it was reached from.
//!
//! A state consists of parts: what is there once, and each connection. There are far fewer parts than combinations of them, so each
//! distinct one is kept once, and a state is their numbers: nothing is lost by that, and two connections take 12 bytes, not 68.

use core::hash::BuildHasher;
use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// The hash of a state, which also selects the thread that keeps it.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    FixedState::default().hash_one(bytes)
}

/// Names a state: its index, and the thread that keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Id(u32);

impl Id {
    pub(super) const NONE: Self = Self(u32::MAX);

    pub(super) fn new(place: usize, keeper: usize, keepers: usize) -> Self {
        Self(short(place * keepers + keeper))
    }

    pub(super) fn keeper(self, keepers: usize) -> usize {
        self.0 as usize % keepers
    }

    pub(super) fn place(self, keepers: usize) -> usize {
        self.0 as usize / keepers
    }
}

/// States in the order in which they were found.
pub(super) struct States {
    /// How long the first part of each is, and each further one.
    sizes: [usize; 2],
    heads: Parts,
    connections: Parts,
    /// The numbers of the parts of each.
    all: Rows<u32>,
    index: HashTable<u32>,
    from: Vec<Id>,
    /// The successor if all behave, and the successor if only the driver acts; `NONE`: it rests.
    pub(super) ways: Vec<[Id; 2]>,
    /// The numbers of the state that is looked up.
    numbers: Vec<u32>,
}

impl States {
    /// Of states of which each has so many bytes once, and so many for each of its connections.
    pub(super) fn new(head: usize, each: usize, connections: usize) -> Self {
        Self {
            sizes: [head, each],
            heads: Parts::new(head),
            connections: Parts::new(each),
            all: Rows::new(1 + connections),
            index: HashTable::new(),
            from: Vec::new(),
            ways: Vec::new(),
            numbers: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.from.len()
    }

    /// The bytes of a state.
    pub(super) fn read(&self, place: usize, into: &mut Vec<u8>) {
        into.clear();
        if let [head, connections @ ..] = self.all.at(place) {
            into.extend_from_slice(self.heads.all.at(*head as usize));
            for number in connections {
                into.extend_from_slice(self.connections.all.at(*number as usize));
            }
        }
    }

    /// Where it was reached from.
    pub(super) fn from(&self, place: usize) -> Id {
        self.from[place]
    }

    /// The index of a state, which is new or is known.
    pub(super) fn add(&mut self, bytes: &[u8], from: Id) -> usize {
        let [head, each] = self.sizes;
        let (head, connections) = bytes.split_at(head);
        self.numbers.clear();
        self.numbers.push(self.heads.number(head));
        for connection in connections.chunks_exact(each) {
            self.numbers.push(self.connections.number(connection));
        }
        let (place, new) = number(&mut self.index, &mut self.all, &self.numbers);
        if new {
            push(&mut self.from, from);
            push(&mut self.ways, [Id::NONE; 2]);
        }
        place as usize
    }

    /// Bytes taken.
    pub(super) fn memory(&self) -> usize {
        self.heads.memory()
            + self.connections.memory()
            + self.all.memory()
            + self.index.allocation_size()
            + self.from.capacity() * size_of::<Id>()
            + self.ways.capacity() * size_of::<[Id; 2]>()
    }
}

/// The distinct parts of one length, in the order in which they were found.
struct Parts {
    all: Rows<u8>,
    index: HashTable<u32>,
}

impl Parts {
    fn new(len: usize) -> Self {
        Self {
            all: Rows::new(len),
            index: HashTable::new(),
        }
    }

    /// The number of a part, which is new or is known.
    fn number(&mut self, part: &[u8]) -> u32 {
        number(&mut self.index, &mut self.all, part).0
    }

    fn memory(&self) -> usize {
        self.all.memory() + self.index.allocation_size()
    }
}

/// The number of a row among those that are known, and whether it is new.
fn number<T: Copy + Eq + core::hash::Hash>(
    index: &mut HashTable<u32>,
    all: &mut Rows<T>,
    row: &[T],
) -> (u32, bool) {
    let hash_of = |row: &[T]| FixedState::default().hash_one(row);
    let hashed = hash_of(row);
    if let Some(known) = index.find(hashed, |number| all.at(*number as usize) == row) {
        return (*known, false);
    }
    let new = short(all.len());
    all.push(row);
    index.insert_unique(hashed, new, |number| hash_of(all.at(*number as usize)));
    (new, true)
}

/// Rows of one length, one behind the other.
struct Rows<T> {
    len: usize,
    all: Vec<T>,
}

impl<T: Copy> Rows<T> {
    const fn new(len: usize) -> Self {
        Self {
            len,
            all: Vec::new(),
        }
    }

    fn len(&self) -> usize {
        self.all.len() / self.len
    }

    fn at(&self, row: usize) -> &[T] {
        &self.all[row * self.len..][..self.len]
    }

    fn push(&mut self, row: &[T]) {
        assert_eq!(row.len(), self.len, "rows of one length");
        grow(&mut self.all, row.len());
        self.all.extend_from_slice(row);
    }

    fn memory(&self) -> usize {
        self.all.capacity() * size_of::<T>()
    }
}

fn push<T>(to: &mut Vec<T>, value: T) {
    grow(to, 1);
    to.push(value);
}

/// Makes place for so many more; by a sixth, not by as many again: this is most of the memory.
fn grow<T>(all: &mut Vec<T>, more: usize) {
    if all.capacity() - all.len() < more {
        all.reserve_exact(more.max(all.len() / 6).max(1024));
    }
}

fn short(number: usize) -> u32 {
    u32::try_from(number).expect("states are numbered by 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever two states have in common, each is found again as it was, and once.
    #[test]
    fn every_state_is_kept_as_it_was() {
        for connections in 0..4 {
            let mut states = States::new(3, 2, connections);
            let of = |n: usize| {
                let mut bytes = vec![u8::try_from(n % 5).expect("below 5"); 3];
                for connection in 0..connections {
                    bytes.extend([u8::try_from(n >> connection & 3).expect("below 4"), 7]);
                }
                bytes
            };
            let mut known: Vec<Vec<u8>> = Vec::new();
            for n in (0..500).chain(0..500) {
                let place = states.add(&of(n), Id::NONE);
                if place == known.len() {
                    known.push(of(n));
                }
                assert_eq!(known[place], of(n));
            }
            let mut bytes = Vec::new();
            for (place, expected) in known.iter().enumerate() {
                states.read(place, &mut bytes);
                assert_eq!(&bytes, expected);
                assert_eq!(known.iter().filter(|other| *other == expected).count(), 1);
            }
            assert_eq!(states.len(), known.len());
        }
    }
}
