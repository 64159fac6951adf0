//! [`Lines`]: messages that end with a line feed.

use super::{Decoded, Decoder, Encoder, FrameError, Progress, join};
use crate::time::Instant;

/// Lines that end with LF or CR LF, as they come; the ending is not part of a message. They are sent with LF, or with
/// CR LF if [`crlf`](Self::crlf) was called.
///
/// Work: each byte is examined once.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    max: usize,
    ending: &'static [u8],
    /// The bytes between the last line feed and the peer's FIN are a line.
    unterminated: bool,
}

impl Lines {
    /// Lines of at most `max` bytes, without their ending.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self {
            max,
            ending: b"\n",
            unterminated: false,
        }
    }

    /// The same, and what lies between the last line feed and the peer's FIN is a line, too: `printf status | nc -N`
    /// sends one. Off by default: where half a line does harm, a line counts only with its ending.
    ///
    /// The handler has to check once more at EOF: its [`ended`](crate::Handler::ended) calls `readable`.
    #[must_use]
    pub const fn last_unterminated(self) -> Self {
        Self {
            unterminated: true,
            ..self
        }
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
    type Progress = Progress;

    fn decode(&self, progress: &mut Progress, data: &[u8], now: Instant) -> Decoded {
        let mut scan = progress.scan();
        let content = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).len();
        let decoded = scan.decode(data, b"\n", self.max, 1, content);
        *progress = scan.into();
        let is_last = self.unterminated && now == Instant::NEVER && !data.is_empty();
        if decoded != Decoded::Incomplete || !is_last {
            return decoded;
        }
        *progress = Progress::default();
        let (len, max, frame) = (content(data), self.max, data.len());
        if len > max {
            let error = FrameError::TooLong { max };
            return Decoded::Error { error, frame };
        }
        let message = 0..len;
        Decoded::Message { message, frame }
    }
}

impl Encoder for Lines {
    fn frame_len(&self, message: usize) -> usize {
        message.saturating_add(self.ending.len())
    }

    fn encode(&self, message: &[u8], frame: &mut [u8]) -> Result<usize, FrameError> {
        if message.len() > self.max {
            Err(FrameError::TooLong { max: self.max })
        } else if message.contains(&b'\n') || message.ends_with(b"\r") {
            Err(FrameError::Ambiguous)
        } else {
            Ok(join(&[message, self.ending], frame))
        }
    }
}
