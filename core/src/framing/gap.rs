//! [`IdleGap`]: messages with a silence between them.

use super::{Decoded, Decoder, EncodeError, Encoder, FrameError, join};
use crate::time::{Instant, nanos_of};
use core::time::Duration;

/// Messages that end when nothing has come for a while, as in Modbus RTU: three and a half characters (*MODBUS over Serial
/// Line* 1.02, section 2.5.1.1).
///
/// The bytes themselves do not tell their end, so somebody must look again when the time has passed:
/// [`IdleGap::due`] tells when; a timer of the connection set to it calls whatever calls `next`. The time of bytes is that
/// of the turn in which they were received: a loop that is held up for longer than a gap takes two messages for one, or
/// one for two. Their own check sums find that out.
///
/// Work: constant for each call.
#[derive(Clone, Copy, Debug)]
pub struct IdleGap {
    gap: u64,
    max: usize,
}

impl IdleGap {
    /// Messages of at most `max` bytes with nothing between them for at least `gap`.
    #[must_use]
    pub const fn new(gap: Duration, max: usize) -> Self {
        let gap = nanos_of(gap);
        Self { gap, max }
    }

    /// The longest frame: there is nothing around a message.
    #[must_use]
    pub const fn max_frame(&self) -> usize {
        self.max
    }

    /// When to look again even if nothing comes; `None` if no message has begun.
    #[must_use]
    pub const fn due(&self, progress: &Gap) -> Option<Instant> {
        if progress.seen > 0 {
            Some(progress.last.plus_nanos(self.gap))
        } else {
            None
        }
    }
}

impl Decoder for IdleGap {
    type Progress = Gap;

    fn decode(&self, progress: &mut Gap, data: &[u8], now: Instant) -> Decoded {
        let silent = now.nanos_since(progress.last) >= self.gap;
        let seen = (progress.seen as usize).min(data.len());
        if seen > 0 && silent {
            *progress = Gap::default();
            return Decoded::Message {
                message: 0..seen,
                frame: seen,
            };
        }
        if data.len() == seen {
            return Decoded::Incomplete;
        }
        let skipping = progress.skipping && !silent;
        let too_long = !skipping && data.len() > self.max;
        *progress = Gap {
            last: now,
            seen: u32::try_from(data.len()).unwrap_or(u32::MAX),
            skipping: skipping || too_long,
        };
        if !progress.skipping {
            return Decoded::Incomplete;
        }
        progress.seen = 0;
        let (error, frame) = (FrameError::TooLong { max: self.max }, data.len());
        if too_long {
            Decoded::Error { error, frame }
        } else {
            Decoded::Skipped(frame)
        }
    }
}

/// The bytes are sent as they are; that silence follows is the sender's business.
impl Encoder for IdleGap {
    fn frame_len(&self, message: usize) -> usize {
        message
    }

    fn encode(&self, message: &[u8], frame: &mut [u8]) -> Result<usize, EncodeError> {
        match message.len() {
            n if n > self.max => Err(EncodeError::TooLong { max: self.max }),
            0 => Err(EncodeError::Ambiguous),
            _ => Ok(join(&[message], frame)),
        }
    }
}

/// What was heard since the last gap, and when.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Gap {
    /// When a byte came last.
    last: Instant,
    /// So many bytes of the data are of one message.
    seen: u32,
    /// What comes before the next gap belongs to a message that was too long.
    skipping: bool,
}
