//! [`Delimiter`]: messages that end with given bytes.

use super::{Decoded, Decoder, Encoder, FrameError, Progress, join};
use crate::time::Instant;

/// Messages that end with the bytes `delimiter`, which are not part of them.
///
/// Work: each byte is compared once, with a delimiter of `m` bytes at most `m` times.
#[derive(Clone, Copy, Debug)]
pub struct Delimiter<'d> {
    delimiter: &'d [u8],
    max: usize,
}

impl<'d> Delimiter<'d> {
    /// Messages of at most `max` bytes, each followed by `delimiter`. An empty delimiter is never found.
    #[must_use]
    pub const fn new(delimiter: &'d [u8], max: usize) -> Self {
        Self { delimiter, max }
    }

    /// The longest frame: the longest message and its delimiter.
    #[must_use]
    pub const fn max_frame(&self) -> usize {
        self.max.saturating_add(self.delimiter.len())
    }
}

impl Decoder for Delimiter<'_> {
    type Progress = Progress;

    fn decode(&self, progress: &mut Progress, data: &[u8], _: Instant) -> Decoded {
        let mut scan = progress.scan();
        let decoded = scan.decode(data, self.delimiter, self.max, 0, <[u8]>::len);
        *progress = scan.into();
        decoded
    }
}

impl Encoder for Delimiter<'_> {
    fn frame_len(&self, message: usize) -> usize {
        message.saturating_add(self.delimiter.len())
    }

    fn encode(&self, message: &[u8], frame: &mut [u8]) -> Result<usize, FrameError> {
        if message.len() > self.max {
            return Err(FrameError::TooLong { max: self.max });
        }
        let n = join(&[message, self.delimiter], frame);
        // The delimiter may also begin in the message and end in itself.
        let whole = frame.get(..n).unwrap_or(&[]);
        match find(whole, self.delimiter, 0) {
            Some(at) if at == message.len() => Ok(n),
            Some(_) | None => Err(FrameError::Ambiguous),
        }
    }
}

/// How far the delimiter has been searched for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Scan {
    /// At none of so many first bytes of the data does a delimiter begin.
    seen: u32,
    /// They belong to a message that was too long.
    skipping: bool,
}

impl Scan {
    /// The first message that ends with `delimiter`. `message` returns how many bytes of what is in front of the
    /// delimiter are message: all but at most `slack`.
    pub(super) fn decode(
        &mut self,
        data: &[u8],
        delimiter: &[u8],
        max: usize,
        slack: usize,
        message: impl Fn(&[u8]) -> usize,
    ) -> Decoded {
        let error = FrameError::TooLong { max };
        if let Some(at) = find(data, delimiter, self.seen as usize) {
            let frame = at.saturating_add(delimiter.len());
            let skipped = core::mem::take(self).skipping;
            let len = message(data.get(..at).unwrap_or(&[]));
            return match len {
                _ if skipped => Decoded::Skipped(frame),
                len if len > max => Decoded::Error { error, frame },
                len => Decoded::Message {
                    message: 0..len,
                    frame,
                },
            };
        }
        // The last bytes may be the beginning of a delimiter.
        let seen = data.len().saturating_sub(delimiter.len().saturating_sub(1));
        self.seen = u32::try_from(seen).unwrap_or(u32::MAX);
        if self.skipping && seen > 0 {
            self.seen = 0;
            Decoded::Skipped(seen)
        } else if !self.skipping && seen > max.saturating_add(slack) {
            *self = Self {
                seen: 0,
                skipping: true,
            };
            Decoded::Error { error, frame: seen }
        } else {
            Decoded::Incomplete
        }
    }
}

/// Where `delimiter` begins in `data`, at `from` or later.
fn find(data: &[u8], delimiter: &[u8], from: usize) -> Option<usize> {
    let (&first, rest) = delimiter.split_first()?;
    let mut at = from;
    loop {
        let ahead = data.get(at..)?;
        at = at.saturating_add(ahead.iter().position(|&byte| byte == first)?);
        if data.get(at.saturating_add(1)..)?.starts_with(rest) {
            return Some(at);
        }
        at = at.saturating_add(1);
    }
}
