//! [`Cobs`]: messages encoded without zeros, so that a zero can end them.

use super::{Decoded, Decoder, Encoder, FrameError, Framed, Progress};
use crate::session::Conn;
use crate::time::Instant;

/// Consistent Overhead Byte Stuffing, as on serial lines: a coded message without a zero, and a zero (S. Cheshire and
/// M. Baker, *Consistent Overhead Byte Stuffing*, IEEE/ACM Transactions on Networking 7.2, 1999). The coding is that of
/// the crate [`cobs`]. A receiver that joins in the middle is in step after the next zero.
///
/// Empty frames, two zeros in a row, mean nothing. The messages of [`Decoder`] are still coded;
/// [`Framed::next_decoded`] gives them plain.
///
/// Work: each byte is examined once, and once more to decode it.
#[derive(Clone, Copy, Debug)]
pub struct Cobs {
    max: usize,
}

impl Cobs {
    /// Messages of at most `max` bytes, decoded.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { max }
    }

    /// The longest frame: a message of `max` bytes coded, one byte more for each 254, and a zero.
    #[must_use]
    pub const fn max_frame(&self) -> usize {
        cobs::max_encoding_length(self.max).saturating_add(1)
    }

    /// Decodes a message of [`Decoder`] into `plain`, which has capacity for the longest; returns it.
    ///
    /// # Errors
    ///
    /// `Malformed`, or `TooLong` if it is longer than the longest, or than `plain`.
    pub fn unstuff<'p>(&self, coded: &[u8], plain: &'p mut [u8]) -> Result<&'p [u8], FrameError> {
        let max = self.max.min(plain.len());
        let space = plain.get_mut(..max).unwrap_or(&mut []);
        match cobs::decode(coded, space) {
            Ok(report) => Ok(plain.get(..report.frame_size()).unwrap_or(&[])),
            Err(cobs::DecodeError::TargetBufTooSmall) => Err(FrameError::TooLong { max }),
            Err(cobs::DecodeError::EmptyFrame | cobs::DecodeError::InvalidFrame { .. }) => {
                Err(FrameError::Malformed)
            }
        }
    }
}

impl Decoder for Cobs {
    type Progress = Progress;

    fn decode(&self, progress: &mut Progress, data: &[u8], _: Instant) -> Decoded {
        let mut scan = progress.scan();
        let max = cobs::max_encoding_length(self.max);
        let decoded = scan.decode(data, &[0], max, 0, <[u8]>::len);
        *progress = scan.into();
        match decoded {
            Decoded::Message { message, frame } if message.is_empty() => Decoded::Skipped(frame),
            // The maximum is one of decoded bytes.
            Decoded::Error { frame, .. } => Decoded::Error {
                error: FrameError::TooLong { max: self.max },
                frame,
            },
            found @ (Decoded::Message { .. } | Decoded::Skipped(_) | Decoded::Incomplete) => found,
        }
    }
}

impl Encoder for Cobs {
    fn frame_len(&self, message: usize) -> usize {
        cobs::max_encoding_length(message).saturating_add(1)
    }

    fn encode(&self, message: &[u8], frame: &mut [u8]) -> Result<usize, FrameError> {
        let too_long = FrameError::TooLong { max: self.max };
        if message.len() > self.max {
            return Err(too_long);
        }
        let n = cobs::try_encode(message, frame).map_err(|_| too_long)?;
        *frame.get_mut(n).ok_or(too_long)? = 0;
        Ok(n.saturating_add(1))
    }
}

/// Messages of which the bytes on the wire are not the bytes of the message.
impl Framed<Cobs> {
    /// As [`next`](Self::next), decoded into `plain`, which has capacity for the longest message: one for all
    /// connections will do, because a message lives as long as a service.
    pub fn next_decoded<'p>(
        &mut self,
        conn: &mut Conn<'_>,
        progress: &mut Progress,
        plain: &'p mut [u8],
    ) -> Option<&'p [u8]> {
        let len = loop {
            let coded = self.next(conn, progress)?;
            match self.framing().unstuff(coded, plain) {
                Ok(message) => break message.len(),
                Err(error) => self.meet(conn, error),
            }
        };
        plain.get(..len)
    }
}
