//! [`Recorder`]: the flight recorder, the last marks in a ring.

use super::mark::Mark;

/// How many marks are kept: half a KiB of them. With the feature `small`, none.
pub const MARKS: usize = if cfg!(feature = "small") { 0 } else { 64 };

/// The last `K` [`Mark`]s. `K` is a power of two, or 0: then it keeps nothing and costs nothing.
///
/// A ring of its own, not `heapless::HistoryBuf`: that has no capacity of 0, and its `write` can panic as far as a linker
/// can see, which the proof that no verb panics forbids.
#[derive(Debug)]
pub struct Recorder<const K: usize = MARKS> {
    /// Where the next one goes.
    next: usize,
    marks: [Mark; K],
}

impl<const K: usize> Recorder<K> {
    /// An empty one.
    pub(crate) const fn new() -> Self {
        const {
            assert!(
                K == 0 || K.is_power_of_two(),
                "the flight recorder keeps 0 marks, or a power of two"
            );
        }
        Self {
            next: 0,
            marks: [Mark::NONE; K],
        }
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, mark: Mark) {
        if let Some(place) = self.marks.get_mut(self.next % K.max(1)) {
            *place = mark;
            self.next = self.next.wrapping_add(1);
        }
    }

    /// What is kept, the oldest first.
    pub fn marks(&self) -> impl Iterator<Item = Mark> + '_ {
        let (young, old) = self.marks.split_at(self.next % K.max(1));
        let kept = old.iter().chain(young).copied();
        kept.filter(|mark| *mark != Mark::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn kept<const K: usize>(times: u64) -> Vec<Mark> {
        let mut recorder = Recorder::<K>::new();
        (1..=times).for_each(|nanos| recorder.push(Mark::time(nanos)));
        recorder.marks().collect()
    }

    fn times(from: u64, to: u64) -> Vec<Mark> {
        (from..=to).map(Mark::time).collect()
    }

    #[test]
    fn the_last_are_kept_in_order() {
        assert_eq!(kept::<4>(0), []);
        assert_eq!(kept::<4>(3), times(1, 3));
        assert_eq!(kept::<4>(4), times(1, 4));
        assert_eq!(kept::<4>(9), times(6, 9));
        assert_eq!(kept::<1>(2), times(2, 2));
    }

    #[test]
    fn none_are_kept_where_there_is_no_room() {
        assert_eq!(kept::<0>(9), []);
    }
}
