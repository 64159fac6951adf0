//! [`Recorder`]: the flight recorder, the last marks in a ring.

use super::entry::Entry;
use super::mark::Mark;
use core::fmt;

/// How many marks are kept: half a KiB of them.
pub const MARKS: usize = 64;

/// The last `K` [`Mark`]s. `K` is a power of two, or 0: then it keeps nothing and costs nothing.
///
/// A ring of its own, not `heapless::HistoryBuf`: that has no capacity of 0, and its `write` can panic as far as a linker
/// can see, which the proof that no verb panics forbids.
pub struct Recorder<const K: usize = MARKS> {
    /// Where the next one goes.
    next: usize,
    marks: [Mark; K],
    /// Where the full trace goes.
    #[cfg(feature = "trace")]
    sink: Option<&'static mut (dyn super::Sink + Send)>,
}

impl<const K: usize> fmt::Debug for Recorder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.marks()).finish()
    }
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
            #[cfg(feature = "trace")]
            sink: None,
        }
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, mark: Mark) {
        if let Some(place) = self.marks.get_mut(self.next % K.max(1)) {
            *place = mark;
            self.next = self.next.wrapping_add(1);
        }
    }

    /// A mark of it, unless it has none, and all of it.
    pub(crate) fn keep(&mut self, entry: &Entry<'_>) {
        let mark = Mark::of(entry);
        if mark != Mark::NONE {
            self.push(mark);
        }
        self.tell(|| entry.clone());
    }

    /// Into the full trace alone, if there is one.
    #[inline(always)]
    pub(crate) fn tell<'a>(&mut self, entry: impl FnOnce() -> Entry<'a>) {
        #[cfg(feature = "trace")]
        if let Some(sink) = &mut self.sink {
            sink.take(&entry());
        }
        #[cfg(not(feature = "trace"))]
        let _ = entry;
    }

    /// Whether there is a full trace.
    #[inline(always)]
    pub(crate) const fn is_told(&self) -> bool {
        #[cfg(feature = "trace")]
        return self.sink.is_some();
        #[cfg(not(feature = "trace"))]
        false
    }

    #[cfg(feature = "trace")]
    pub(crate) fn tell_to(&mut self, sink: &'static mut (dyn super::Sink + Send)) {
        self.sink = Some(sink);
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
