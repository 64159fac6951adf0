//! [`IdleGap`]: messages with a silence between them.

use super::{Decoded, Decoder, Encoder, FrameError, Progress, join};
use crate::time::{Instant, nanos_of};
use core::time::Duration;

/// Messages that end when nothing has come for a while, as in Modbus RTU: three and a half characters (*MODBUS over Serial
/// Line* 1.02, section 2.5.1.1).
///
/// The bytes themselves do not mark the end of a message, so the handler must check again when the time has passed:
/// [`Framed`] sets the timer of the connection for that, and [`Handler::timer`](crate::Handler::timer) calls `readable`
/// unless it is overridden. A handler is written as for any other framing, except that EOF ends a message, too:
///
/// ```
/// use core::time::Duration;
/// use tidegate_core::framing::{Framed, IdleGap, Progress};
/// use tidegate_core::{Conn, Handler};
///
/// const REQUESTS: IdleGap = IdleGap::new(Duration::from_millis(4), 256); // 9600 bits a second
///
/// struct Slave(Framed<IdleGap>);
///
/// impl Handler for Slave {
///     type State = Progress;
///     fn readable(&mut self, conn: &mut Conn<'_>, progress: &mut Progress) {
///         while conn.reserve(256).is_ok()
///             && let Some(request) = self.0.next(conn, progress)
///         {
///             let _ = self.0.send(conn, request);
///         }
///     }
///     fn ended(&mut self, conn: &mut Conn<'_>, progress: &mut Progress) {
///         self.readable(conn, progress);
///         conn.finish();
///     }
/// }
///
/// let handler = Slave(Framed::new(REQUESTS).skip_errors());
/// # let _ = handler;
/// ```
///
/// The time of bytes is that of the iteration in which the handler was shown them: a loop that is delayed for longer
/// than a gap takes two messages for one, or one for two. Their own check sums find that out.
///
/// Work: constant for each call.
///
/// [`Framed`]: super::Framed
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

    /// What must fit into the receive window: the longest message and a byte more, as a full window is taken for too
    /// long a message before the gap can show that it is complete.
    #[must_use]
    pub const fn max_frame(&self) -> usize {
        self.max.saturating_add(1)
    }
}

impl Decoder for IdleGap {
    type Progress = Progress;

    fn decode(&self, progress: &mut Progress, data: &[u8], now: Instant) -> Decoded {
        let mut gap = progress.gap();
        let decoded = gap.decode(self, data, now);
        *progress = gap.into();
        decoded
    }

    fn due(&self, progress: &Progress) -> Option<Instant> {
        let gap = progress.gap();
        (gap.seen > 0).then(|| gap.last.plus_nanos(self.gap))
    }
}

/// The bytes are sent as they are; that silence follows is the sender's business.
impl Encoder for IdleGap {
    fn frame_len(&self, message: usize) -> usize {
        message
    }

    fn encode(&self, message: &[u8], frame: &mut [u8]) -> Result<usize, FrameError> {
        match message.len() {
            n if n > self.max => Err(FrameError::TooLong { max: self.max }),
            0 => Err(FrameError::Ambiguous),
            _ => Ok(join(&[message], frame)),
        }
    }
}

/// What was received since the last gap, and when.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Gap {
    /// When a byte came last.
    last: Instant,
    /// So many bytes of the data are of one message.
    seen: u32,
    /// What comes before the next gap belongs to a message that was too long.
    skipping: bool,
}

impl Gap {
    fn decode(&mut self, framing: &IdleGap, data: &[u8], now: Instant) -> Decoded {
        let ended = now == Instant::NEVER;
        let silent = !ended && now.nanos_since(self.last) >= framing.gap;
        let seen = (self.seen as usize).min(data.len());
        if seen > 0 && silent {
            *self = Self::default();
            return Decoded::Message {
                message: 0..seen,
                frame: seen,
            };
        }
        let frame = data.len();
        if frame == seen && (seen == 0 || !ended) {
            return Decoded::Incomplete;
        }
        let skipping = self.skipping && !silent;
        let too_long = !skipping && frame > framing.max;
        *self = Self {
            last: now,
            seen: u32::try_from(frame).unwrap_or(u32::MAX),
            skipping: skipping || too_long,
        };
        if self.skipping {
            self.seen = 0;
        }
        let error = FrameError::TooLong { max: framing.max };
        match (too_long, skipping) {
            (true, _) => Decoded::Error { error, frame },
            (false, true) => Decoded::Skipped(frame),
            (false, false) if ended => {
                *self = Self::default();
                let message = 0..frame;
                Decoded::Message { message, frame }
            }
            (false, false) => Decoded::Incomplete,
        }
    }
}
