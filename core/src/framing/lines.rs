//! [`Lines`]: messages that end with a line feed.

use super::{Decoded, Decoder, EncodeError, Encoder, Scan, join};
use crate::time::Instant;

/// Lines that end with LF or CR LF, as they come; the ending is not part of a message. They are sent with LF, or with
/// CR LF if [`crlf`](Self::crlf) says so.
///
/// Work: each byte is looked at once.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    max: usize,
    ending: &'static [u8],
}

impl Lines {
    /// Lines of at most `max` bytes, without their ending.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { max, ending: b"\n" }
    }

    /// The same, and CR LF after each that is sent.
    #[must_use]
    pub const fn crlf(self) -> Self {
        Self {
            ending: b"\r\n",
            ..self
        }
    }

    /// The longest frame: the longest line, CR and LF.
    #[must_use]
    pub const fn max_frame(&self) -> usize {
        self.max.saturating_add(2)
    }
}

impl Decoder for Lines {
    type Progress = Scan;

    fn decode(&self, scan: &mut Scan, data: &[u8], _: Instant) -> Decoded {
        scan.decode(data, b"\n", self.max, 1, |line| {
            line.strip_suffix(b"\r").unwrap_or(line).len()
        })
    }
}

impl Encoder for Lines {
    fn frame_len(&self, message: usize) -> usize {
        message.saturating_add(self.ending.len())
    }

    fn encode(&self, message: &[u8], frame: &mut [u8]) -> Result<usize, EncodeError> {
        if message.len() > self.max {
            Err(EncodeError::TooLong { max: self.max })
        } else if message.contains(&b'\n') || message.ends_with(b"\r") {
            Err(EncodeError::Ambiguous)
        } else {
            Ok(join(&[message, self.ending], frame))
        }
    }
}
