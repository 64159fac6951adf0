//! [`States`]: what was found, each state with the step that led to it.

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
        Self(u32::try_from(place * keepers + keeper).expect("states are numbered by 32 bits"))
    }

    pub(super) fn keeper(self, keepers: usize) -> usize {
        self.0 as usize % keepers
    }

    pub(super) fn place(self, keepers: usize) -> usize {
        self.0 as usize / keepers
    }
}

/// States in the order in which they were found.
#[derive(Default)]
pub(super) struct States {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    index: HashTable<u32>,
    from: Vec<(Id, u64)>,
    /// The successor if all behave, and the successor if only the driver acts; `NONE`: it rests.
    pub(super) ways: Vec<[Id; 2]>,
}

impl States {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn at(&self, place: usize) -> &[u8] {
        slice(&self.bytes, &self.ends, place)
    }

    /// Where it was reached from, and by which step.
    pub(super) fn from(&self, place: usize) -> (Id, u64) {
        self.from[place]
    }

    /// The index of a state, which is new or is known.
    pub(super) fn add(&mut self, bytes: &[u8], from: Id, step: u64) -> usize {
        let hashed = hash(bytes);
        let known = (self.index).find(hashed, |place| self.at(*place as usize) == bytes);
        if let Some(place) = known {
            return *place as usize;
        }
        let place = self.len();
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
        self.from.push((from, step));
        self.ways.push([Id::NONE; 2]);
        let short = u32::try_from(place).expect("states are numbered by 32 bits");
        let (all, ends) = (&self.bytes, &self.ends);
        (self.index).insert_unique(hashed, short, |place| {
            hash(slice(all, ends, *place as usize))
        });
        place
    }

    /// Bytes taken.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
            + self.ends.capacity() * size_of::<usize>()
            + self.from.capacity() * size_of::<(Id, u64)>()
            + self.ways.capacity() * size_of::<[Id; 2]>()
            + self.index.allocation_size()
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[usize], place: usize) -> &'a [u8] {
    let begin = place.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[begin..ends[place]]
}
