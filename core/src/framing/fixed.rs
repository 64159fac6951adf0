//! [`FixedLength`]: messages that are all equally long.

use super::{Decoded, Decoder, Encoder, FrameError, join};
use crate::time::Instant;

/// Messages of always so many bytes. There is nothing to remember, and no error. Work: constant.
#[derive(Clone, Copy, Debug)]
pub struct FixedLength(usize);

impl FixedLength {
    /// Messages of `len` bytes; 0 counts as 1.
    #[must_use]
    pub const fn new(len: usize) -> Self {
        Self(if len == 0 { 1 } else { len })
    }

    /// The longest frame: every one.
    #[must_use]
    pub const fn max_frame(&self) -> usize {
        self.0
    }
}

impl Decoder for FixedLength {
    type Progress = ();

    fn decode(&self, (): &mut (), data: &[u8], _: Instant) -> Decoded {
        if data.len() < self.0 {
            return Decoded::Incomplete;
        }
        Decoded::Message {
            message: 0..self.0,
            frame: self.0,
        }
    }
}

impl Encoder for FixedLength {
    fn frame_len(&self, message: usize) -> usize {
        message
    }

    fn encode(&self, message: &[u8], frame: &mut [u8]) -> Result<usize, FrameError> {
        if message.len() == self.0 {
            Ok(join(&[message], frame))
        } else {
            Err(FrameError::Ambiguous)
        }
    }
}
