//! [`Framed`]: a framing applied to connections.

use super::{Decoded, Decoder, Encoder, FrameError};
use crate::session::Conn;
use crate::time::Instant;

/// A framing, and what to do about errors: one for all connections of a handler. What it remembers of each is the
/// decoder's `Progress`, which is (part of) the handler's state.
///
/// A malformed frame ends its connection in an orderly way: too long a message with
/// [`Reason::TooLong`](crate::Reason::TooLong), any other with [`Reason::Finished`](crate::Reason::Finished). With
/// [`skip_errors`](Self::skip_errors) it is dropped.
#[derive(Clone, Copy, Debug)]
pub struct Framed<F> {
    framing: F,
    /// A malformed frame is dropped.
    skips: bool,
    errors: u64,
}

impl<F> Framed<F> {
    /// With this framing.
    #[must_use]
    pub const fn new(framing: F) -> Self {
        Self {
            framing,
            skips: false,
            errors: 0,
        }
    }

    /// The same, but a malformed frame is dropped and counted, and decoding goes on with the next. Where the start of the
    /// next is unknown ([`FrameError::Lost`]), the connection ends all the same.
    #[must_use]
    pub const fn skip_errors(mut self) -> Self {
        self.skips = true;
        self
    }

    /// The framing.
    #[must_use]
    pub const fn framing(&self) -> &F {
        &self.framing
    }

    /// How many frames were no messages, on all connections together.
    #[must_use]
    pub const fn errors(&self) -> u64 {
        self.errors
    }

    /// Does what is to be done about an error.
    pub(super) fn meet(&mut self, conn: &mut Conn<'_>, error: FrameError) {
        self.errors = self.errors.saturating_add(1);
        match error {
            FrameError::TooLong { .. } | FrameError::Malformed if self.skips => return,
            FrameError::TooLong { .. } => conn.too_long(),
            // Of a received frame, a decoder reports no other.
            FrameError::Malformed
            | FrameError::Lost
            | FrameError::Ambiguous
            | FrameError::Send(_) => conn.finish(),
        }
        conn.consume(usize::MAX);
    }
}

impl<F: Decoder> Framed<F> {
    /// Takes the next message out of the data of a connection; `None` if no message is complete. It lies in the receive
    /// window until the service ends.
    ///
    /// It is consumed at once. A handler whose reply must fit calls `conn.reserve(longest_reply)` first.
    ///
    /// Where silence ends a message ([`Decoder::due`]), the timer of the connection is set for it and is the framing's;
    /// [`Handler::timer`](crate::Handler::timer), which calls `readable` unless it is written, has to come here again.
    ///
    /// Work: that of the decoder, for each byte that is new; what is skipped is consumed on the way.
    pub fn next<'a>(
        &mut self,
        conn: &mut Conn<'a>,
        progress: &mut F::Progress,
    ) -> Option<&'a [u8]> {
        loop {
            match self.try_next(conn, progress)? {
                Ok(message) => return Some(message),
                Err(error) => self.meet(conn, error),
            }
        }
    }

    /// The same, for a handler that handles errors itself. After one it may go on, or end the connection, with
    /// [`Conn::too_long`] or otherwise; after [`FrameError::Lost`] nothing comes any more. They are not counted.
    ///
    /// # Errors
    ///
    /// [`FrameError`], once for each frame.
    pub fn try_next<'a>(
        &self,
        conn: &mut Conn<'a>,
        progress: &mut F::Progress,
    ) -> Option<Result<&'a [u8], FrameError>> {
        loop {
            let data = conn.data();
            let now = if conn.has_ended() {
                Instant::NEVER
            } else {
                conn.now()
            };
            match self.framing.decode(progress, data, now) {
                Decoded::Message { message, frame } => {
                    conn.consume(frame);
                    return Some(Ok(data.get(message).unwrap_or(&[])));
                }
                Decoded::Error { error, frame } => {
                    conn.consume(frame);
                    return Some(Err(error));
                }
                // A decoder that skips nothing would loop for ever.
                Decoded::Skipped(0) | Decoded::Incomplete => {
                    if let Some(due) = self.framing.due(progress) {
                        conn.set_timer(due.since(conn.now()));
                    }
                    return None;
                }
                Decoded::Skipped(n) => conn.consume(n),
            }
        }
    }
}

impl<F: Encoder> Framed<F> {
    /// Queues the frame of `message`, whole or not at all. It is written straight into the send window.
    ///
    /// # Errors
    ///
    /// [`FrameError`]. Capacity is required for the longest frame that the message could have, which is more than
    /// it has only with COBS: by one byte for each 254.
    pub fn send(&self, conn: &mut Conn<'_>, message: &[u8]) -> Result<(), FrameError> {
        let frame = conn.reserve(self.framing.frame_len(message.len()))?;
        let n = self.framing.encode(message, frame)?;
        conn.commit(n);
        Ok(())
    }
}
