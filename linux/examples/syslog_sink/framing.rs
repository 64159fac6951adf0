//! The end of a message in a stream (RFC 6587): after as many bytes as the number in front of it, or at the end of its
//! line.
//!
//! Each message shows which of the two it is, as for rsyslog: `27 <34>…` begins with a length and a space, and what
//! follows begins with `<`; anything else is a line. A line ends with LF, CR LF or NUL (section 3.4.2), or with the
//! stream. Empty lines, as some senders put behind counted messages, are none.

use core::ops::Range;
use tidegate::Instant;
use tidegate::framing::{Decoded, Decoder};

/// Bytes of the longest message that is kept whole.
pub(crate) const MESSAGE: usize = 8 * 1024;

/// Digits of the longest length, and bytes in front of a message.
const DIGITS: usize = 10;
pub(crate) const HEAD: usize = DIGITS + 1;

/// Messages in a stream. Of one that is too long the first [`MESSAGE`] bytes are a message, and the rest is skipped.
///
/// Work: each byte of a message is examined once; an incomplete head is parsed again.
pub(crate) struct Messages;

/// How far a message was read, for each connection.
#[derive(Default)]
pub(crate) struct Progress {
    /// Bytes of the first message that have been searched for its end.
    seen: usize,
    /// What is to be skipped before the next message.
    skip: Skip,
    /// Of the last message, if it was cut: its length, if that is known.
    pub(crate) cut: Option<Option<u64>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Skip {
    #[default]
    Nothing,
    Bytes(u64),
    /// Up to the end of the line.
    Line,
}

/// What a message begins with.
enum Head {
    /// It may become a length.
    Incomplete,
    /// The message begins after so many bytes, and is as long.
    Counted {
        at: usize,
        length: u64,
    },
    Line,
}

impl Head {
    fn read(data: &[u8], ended: bool) -> Self {
        let digits = data.iter().take(DIGITS + 1);
        let digits = digits.take_while(|byte| byte.is_ascii_digit()).count();
        let length = data.get(..digits).unwrap_or(&[]);
        let (space, first) = (data.get(digits), data.get(digits + 1));
        let missing = space.is_none() || (space == Some(&b' ') && first.is_none());
        match length {
            [b'1'..=b'9', ..] if digits <= DIGITS => match (space, first) {
                (Some(b' '), Some(b'<')) => {
                    let push = |sum: u64, digit: &u8| sum * 10 + u64::from(digit - b'0');
                    Self::Counted {
                        at: digits + 1,
                        length: length.iter().fold(0, push), // at most ten digits
                    }
                }
                _ if missing && !ended => Self::Incomplete,
                _ => Self::Line,
            },
            [] if data.is_empty() => Self::Incomplete,
            _ => Self::Line,
        }
    }
}

const fn is_end(byte: u8) -> bool {
    byte == b'\n' || byte == 0
}

impl Progress {
    fn message(&mut self, message: Range<usize>, frame: usize) -> Decoded {
        self.seen = 0;
        Decoded::Message { message, frame }
    }

    /// A message of `length` bytes from `at` on.
    fn counted(&mut self, data: &[u8], at: usize, length: u64, ended: bool) -> Decoded {
        let here = data.len() - at;
        let most = usize::try_from(length).unwrap_or(usize::MAX).min(MESSAGE);
        if here < most && !ended {
            return Decoded::Incomplete;
        }
        let whole = usize::try_from(length).is_ok_and(|length| length <= here);
        let kept = here.min(most);
        if !whole || kept < here.min(usize::try_from(length).unwrap_or(usize::MAX)) {
            self.cut = Some(Some(length));
        }
        // All of the frame that is here is consumed with the message.
        let frame = u64::try_from(here).unwrap_or(u64::MAX).min(length);
        if frame < length {
            self.skip = Skip::Bytes(length - frame);
        }
        let frame = usize::try_from(frame).unwrap_or(here);
        self.message(at..at + kept, at + frame)
    }

    /// A message that ends with its line.
    fn line(&mut self, data: &[u8], ended: bool) -> Decoded {
        let fresh = data.get(self.seen..).unwrap_or(&[]);
        let end = fresh.iter().position(|byte| is_end(*byte));
        match end.map(|at| at + self.seen) {
            Some(end) if end > MESSAGE => {
                self.cut = Some(Some(u64::try_from(end).unwrap_or(u64::MAX)));
                self.message(0..MESSAGE, end + 1)
            }
            Some(end) => self.message(0..end, end + 1),
            // A carriage return may follow the longest.
            None if data.len() > MESSAGE + 1 => {
                (self.cut, self.skip) = (Some(None), Skip::Line);
                self.message(0..MESSAGE, data.len())
            }
            None if ended && !data.is_empty() => {
                let end = data.len().min(MESSAGE);
                self.message(0..end, data.len())
            }
            None => {
                self.seen = data.len();
                Decoded::Incomplete
            }
        }
    }

    /// What is to be skipped of `data`, which is not empty; `None` if nothing is.
    fn skipped(&mut self, data: &[u8]) -> Option<usize> {
        match self.skip {
            Skip::Nothing => {
                let ends = data
                    .iter()
                    .take_while(|byte| is_end(**byte) || **byte == b'\r');
                Some(ends.count()).filter(|ends| *ends > 0 && self.seen == 0)
            }
            Skip::Bytes(left) => {
                let here = u64::try_from(data.len()).unwrap_or(u64::MAX).min(left);
                self.skip = match left - here {
                    0 => Skip::Nothing,
                    left => Skip::Bytes(left),
                };
                usize::try_from(here).ok()
            }
            Skip::Line => Some(match data.iter().position(|byte| is_end(*byte)) {
                Some(end) => {
                    self.skip = Skip::Nothing;
                    end + 1
                }
                None => data.len(),
            }),
        }
    }
}

impl Decoder for Messages {
    type Progress = Progress;

    fn decode(&self, progress: &mut Progress, data: &[u8], now: Instant) -> Decoded {
        progress.cut = None;
        if data.is_empty() {
            return Decoded::Incomplete;
        }
        if let Some(n) = progress.skipped(data) {
            return Decoded::Skipped(n);
        }
        let ended = now == Instant::NEVER;
        match Head::read(data, ended) {
            Head::Incomplete => Decoded::Incomplete,
            Head::Counted { at, length } => progress.counted(data, at, length, ended),
            Head::Line => progress.line(data, ended),
        }
    }
}

#[cfg(test)]
mod tests;
