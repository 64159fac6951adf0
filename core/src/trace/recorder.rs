//! [`Recorder`]: the flight recorder, the last inputs in a ring.

use super::entry::Entry;
use super::input::{Input, RecordedInput};
use crate::time::Instant;
use crate::token::Token;
use core::fmt;

/// How many inputs are kept: 1.5 KiB of them.
pub const RECORDED: usize = 64;

/// The last `K` inputs. `K` is a power of two, or 0: then it keeps nothing and costs nothing.
///
/// A ring of its own, not `heapless::HistoryBuf`: that has no capacity of 0, and its `write` can panic as far as a linker
/// can see, which the proof that no verb panics forbids.
pub struct Recorder<const K: usize = RECORDED> {
    /// How many there were.
    count: u64,
    /// What puts one in, if it is on: reached by this pointer alone where it is not known, so that only then it is linked.
    put: Option<fn(&mut Self, RecordedInput)>,
    kept: [RecordedInput; K],
    /// Where the full trace goes.
    #[cfg(feature = "trace")]
    sink: Option<&'static mut (dyn super::Sink + Send)>,
}

impl<const K: usize> fmt::Debug for Recorder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.inputs()).finish()
    }
}

impl<const K: usize> Recorder<K> {
    /// Where the one of this number is.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "modulo K is what is wanted"
    )]
    const fn place(number: u64) -> usize {
        number as usize & K.wrapping_sub(1)
    }

    /// All zeros.
    pub(crate) const EMPTY: Self = {
        assert!(K == 0 || K.is_power_of_two(), "0, or a power of two");
        Self {
            count: 0,
            put: None,
            kept: [RecordedInput::UNUSED; K],
            #[cfg(feature = "trace")]
            sink: None,
        }
    };

    /// Has it empty, and off.
    pub(crate) fn begin(&mut self) -> &mut Self {
        (self.count, self.put) = (0, None);
        #[cfg(feature = "trace")]
        {
            self.sink = None;
        }
        self
    }

    /// Has it keep what comes.
    pub(crate) const fn switch_on(&mut self) {
        self.put = Some(|recorder, RecordedInput { at, token, input }| {
            recorder.push(at, token, input);
        });
    }

    pub(crate) fn push(&mut self, at: Instant, token: Token, input: Input) {
        if let Some(entry) = self.kept.get_mut(Self::place(self.count)) {
            *entry = RecordedInput { at, token, input };
            self.count = self.count.wrapping_add(1);
        }
    }

    /// The same unless it is off.
    pub(crate) fn push_if_on(&mut self, at: Instant, token: Token, input: Input) {
        if let Some(put) = self.put {
            put(self, RecordedInput { at, token, input });
        }
    }

    /// Into the full trace, if there is one.
    pub(crate) fn trace<'a>(&mut self, entry: impl FnOnce() -> Entry<'a>) {
        #[cfg(feature = "trace")]
        if let Some(sink) = &mut self.sink {
            super::format::take(*sink, entry);
        }
        #[cfg(not(feature = "trace"))]
        let _ = entry;
    }

    /// Whether there is a full trace.
    pub(crate) const fn is_traced(&self) -> bool {
        #[cfg(feature = "trace")]
        return self.sink.is_some();
        #[cfg(not(feature = "trace"))]
        false
    }

    #[cfg(feature = "trace")]
    pub(crate) fn trace_to(&mut self, sink: &'static mut (dyn super::Sink + Send)) {
        self.sink = Some(sink);
    }

    /// What is kept, the oldest first.
    pub fn inputs(&self) -> impl Iterator<Item = RecordedInput> + '_ {
        let oldest = self.count.saturating_sub(K as u64);
        (oldest..self.count).filter_map(|number| self.kept.get(Self::place(number)).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn kept<const K: usize>(times: u32) -> Vec<u32> {
        let mut recorder = Recorder::<K>::EMPTY;
        for n in 1..=times {
            recorder.push(Instant::ZERO, Token::NONE, Input::Commit(n));
        }
        let number = |kept: RecordedInput| {
            let Input::Commit(n) = kept.input else {
                return None;
            };
            Some(n)
        };
        recorder.inputs().filter_map(number).collect()
    }

    #[test]
    fn the_last_are_kept_in_order() {
        assert_eq!(kept::<4>(0), []);
        assert_eq!(kept::<4>(3), [1, 2, 3]);
        assert_eq!(kept::<4>(4), [1, 2, 3, 4]);
        assert_eq!(kept::<4>(9), [6, 7, 8, 9]);
        assert_eq!(kept::<1>(2), [2]);
    }

    #[test]
    fn none_are_kept_where_there_is_no_memory() {
        assert_eq!(kept::<0>(9), []);
    }
}
