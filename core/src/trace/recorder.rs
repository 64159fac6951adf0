//! [`Recorder`]: the flight recorder, the last inputs in a ring.

use super::entry::Entry;
use super::input::{Input, RecordedInput};
use crate::time::Instant;
use crate::token::Token;
use core::fmt;

/// How many inputs are kept, a power of two: 1.5 KiB of them.
pub const RECORDED: usize = 64;

/// The last [`RECORDED`] inputs.
///
/// A ring of its own, not `heapless::HistoryBuf`: its `write` can panic as far as a linker can see, which the proof that no
/// verb panics forbids.
pub(crate) struct Recorder {
    /// How many there were.
    count: u64,
    /// What puts one in, if it is on: reached by this pointer alone where it is not known, so that only then it is linked.
    push: Option<fn(&mut Self, Instant, Token, Input)>,
    /// Where the full trace goes; never with the feature `trace` off.
    sink: Option<&'static mut (dyn FnMut(&Entry<'_>) + Send)>,
    kept: [RecordedInput; RECORDED],
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.inputs()).finish()
    }
}

impl Recorder {
    /// All zeros.
    pub(crate) const EMPTY: Self = Self {
        count: 0,
        push: None,
        sink: None,
        kept: [RecordedInput::UNUSED; RECORDED],
    };

    /// Has it empty, and off.
    pub(crate) fn begin(&mut self) -> &mut Self {
        (self.count, self.push, self.sink) = (0, None, None);
        self
    }

    /// Has it keep what comes.
    pub(crate) const fn switch_on(&mut self) {
        self.push = Some(Self::push);
    }

    /// Where the one of this number is.
    #[expect(clippy::cast_possible_truncation, reason = "modulo is what is wanted")]
    const fn place(number: u64) -> usize {
        number as usize % RECORDED
    }

    pub(crate) fn push(&mut self, at: Instant, token: Token, input: Input) {
        if let Some(kept) = self.kept.get_mut(Self::place(self.count)) {
            *kept = RecordedInput { at, token, input };
            self.count = self.count.wrapping_add(1);
        }
    }

    /// The same unless it is off.
    pub(crate) fn push_if_on(&mut self, at: Instant, token: Token, input: Input) {
        if let Some(push) = self.push {
            push(self, at, token, input);
        }
    }

    /// Into the full trace, if there is one.
    pub(crate) fn trace<'a>(&mut self, entry: impl FnOnce() -> Entry<'a>) {
        if cfg!(feature = "trace")
            && let Some(sink) = &mut self.sink
        {
            sink(&entry());
        }
    }

    /// Whether there is a full trace.
    pub(crate) const fn is_traced(&self) -> bool {
        cfg!(feature = "trace") && self.sink.is_some()
    }

    #[cfg(feature = "trace")]
    pub(crate) fn trace_to(&mut self, sink: &'static mut (dyn FnMut(&Entry<'_>) + Send)) {
        self.sink = Some(sink);
    }

    /// What is kept, the oldest first.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = RecordedInput> + '_ {
        let oldest = self.count.saturating_sub(RECORDED as u64);
        (oldest..self.count).filter_map(|number| self.kept.get(Self::place(number)).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn the_last_are_kept_in_order() {
        for (times, oldest) in [(0, 1), (3, 1), (64, 1), (65, 2), (200, 137)] {
            let mut recorder = Recorder::EMPTY;
            for n in 1..=times {
                recorder.push(Instant::ZERO, Token::NONE, Input::Commit(n));
            }
            let kept: Vec<Input> = recorder.inputs().map(|kept| kept.input).collect();
            let last: Vec<Input> = (oldest..=times).map(Input::Commit).collect();
            assert_eq!(kept, last);
        }
    }
}
