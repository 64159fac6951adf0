//! Framing: messages in a stream of bytes, each with a maximum.
//!
//! A [`Decoder`] finds the first message in what a connection has received and not consumed; an [`Encoder`] writes one
//! message as a frame. Both are plain values without bytes of their own, one for a whole handler. What a decoder
//! remembers of an incomplete message is its `Progress`, a few bytes that are part of the state of each connection, so
//! that a byte is examined once however the stream is cut. [`Framed`] applies both to a [`Conn`](crate::Conn):
//!
//! ```
//! use tidegate_core::framing::{Framed, Lines, Progress};
//! use tidegate_core::{Conn, Handler};
//!
//! const LINES: Lines = Lines::new(120); // bytes in a line, at most
//!
//! struct Upper(Framed<Lines>);
//!
//! impl Handler for Upper {
//!     type State = Progress;
//!     fn readable(&mut self, conn: &mut Conn<'_>, progress: &mut Progress) {
//!         // A line is taken when its answer has capacity; if there is none, `writable` calls again when there is.
//!         while conn.reserve(LINES.max_frame()).is_ok()
//!             && let Some(line) = self.0.next(conn, progress)
//!         {
//!             let mut answer = [0; 120];
//!             let answer = &mut answer[..line.len()];
//!             answer.copy_from_slice(line);
//!             answer.make_ascii_uppercase();
//!             let _ = self.0.send(conn, answer);
//!         }
//!     }
//! }
//!
//! let handler = Upper(Framed::new(LINES).skip_errors());
//! # let _ = handler;
//! ```
//!
//! | framing | a message ends |
//! | --- | --- |
//! | [`Lines`] | with a line feed, which a carriage return may precede |
//! | [`Delimiter`] | with given bytes |
//! | [`LengthPrefix`] | where a length in its front ends it: 1, 2 or 4 bytes, either order, at any offset |
//! | [`FixedLength`] | after so many bytes |
//! | `Cobs` (feature `cobs`) | with a zero, which its bytes are coded not to hold |
//! | [`IdleGap`] | when nothing has come for a while |
//!
//! # How long
//!
//! Messages are slices of the receive window, without a copy, and an incomplete one stays there. So the longest message
//! is the lesser of the framing's own limit and what fits into the window with its frame. A message beyond the first is
//! an [`FrameError::TooLong`]; one beyond the second fills the window, which closes the connection with
//! [`Reason::TooLong`](crate::Reason::TooLong) whatever the framing's limit is. That the window is large enough can be
//! asserted:
//!
//! ```
//! # use tidegate_core::framing::Lines;
//! const RX: usize = 256;
//! const LINES: Lines = Lines::new(120);
//! const _: () = assert!(LINES.max_frame() <= RX);
//! ```

#[cfg(feature = "cobs")]
mod cobs;
mod delimiter;
mod fixed;
mod framed;
mod gap;
mod length;
mod lines;
mod progress;
#[cfg(test)]
mod tests;

#[cfg(feature = "cobs")]
pub use cobs::Cobs;
pub use delimiter::Delimiter;
pub use fixed::FixedLength;
pub use framed::Framed;
pub use gap::IdleGap;
pub use length::LengthPrefix;
pub use lines::Lines;
pub use progress::Progress;

use crate::session::SendError;
use crate::time::Instant;
use core::fmt;
use core::ops::Range;

/// Finds messages in a stream.
///
/// For a framing of your own: the same messages and errors must come out however the stream is cut. `decode` is called
/// with all that was received and not consumed, repeatedly, until it returns [`Decoded::Incomplete`]; between two calls
/// what it returned was consumed, and bytes may have come.
pub trait Decoder {
    /// What is remembered of an incomplete message, for each connection. A new one at the start of a stream.
    type Progress: Default;

    /// Decodes `data`, which begins where a message begins or where the last call stopped, at the time `now`:
    /// [`Instant::NEVER`] after EOF, so nothing comes any more.
    fn decode(&self, progress: &mut Self::Progress, data: &[u8], now: Instant) -> Decoded;

    /// When to call it again even if nothing comes, for a framing that silence is a part of. By default `None`: never.
    fn due(&self, progress: &Self::Progress) -> Option<Instant> {
        let _ = progress;
        None
    }
}

/// What a [`Decoder`] found at the front of the data. All positions are in bytes from the start of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decoded {
    /// A message.
    Message {
        /// Where it lies.
        message: Range<usize>,
        /// The length of its frame, which is to be consumed.
        frame: usize,
    },
    /// A malformed frame.
    Error {
        /// What is wrong with it.
        error: FrameError,
        /// How much of it is here, and to be consumed.
        frame: usize,
    },
    /// So many bytes belong to a frame that was in error before, and are to be consumed.
    Skipped(usize),
    /// No message is complete.
    Incomplete,
}

/// Why a frame could not be decoded, or a message not be sent as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrameError {
    /// Its message is longer than the maximum. Decoding goes on behind the frame; nothing of a message to send was sent.
    TooLong {
        /// The maximum in bytes.
        max: usize,
    },
    /// It cannot be decoded. Decoding goes on behind the frame.
    Malformed,
    /// The start of the next frame is unknown: nothing that follows can be decoded.
    Lost,
    /// The peer would read something other than the message to send: it contains its own delimiter, or does not have the
    /// length that it must have.
    Ambiguous,
    /// The connection does not take the frame, or not now: nothing of it was sent.
    Send(SendError),
}

impl From<SendError> for FrameError {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { max } => {
                write!(f, "message too long: a frame carries at most {max} bytes")
            }
            Self::Malformed => f.write_str("frame that cannot be decoded"),
            Self::Lost => {
                f.write_str("frame with an impossible length; close, and let the peer begin again")
            }
            Self::Ambiguous => f.write_str(
                "message contains its own delimiter, or does not have its fixed length; the peer would read another",
            ),
            Self::Send(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Send(error) => Some(error),
            Self::TooLong { .. } | Self::Malformed | Self::Lost | Self::Ambiguous => None,
        }
    }
}

/// Writes messages as frames.
pub trait Encoder {
    /// The length of the frame of a message of `message` bytes, at most.
    fn frame_len(&self, message: usize) -> usize;

    /// Writes the frame of `message` to the front of `frame`, which has at least [`frame_len`](Self::frame_len) bytes
    /// for it; returns its length.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`] or [`FrameError::Ambiguous`]; what is in `frame` then is of no use.
    fn encode(&self, message: &[u8], frame: &mut [u8]) -> Result<usize, FrameError>;
}

/// Writes `parts` one after the other to the front of `frame`; returns their length.
fn join(parts: &[&[u8]], frame: &mut [u8]) -> usize {
    let mut at = 0usize;
    for part in parts {
        let end = at.saturating_add(part.len());
        match frame.get_mut(at..end) {
            Some(space) => crate::session::bytes::copy(space, part),
            None => return 0,
        }
        at = end;
    }
    at
}
