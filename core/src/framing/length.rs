//! [`LengthPrefix`]: messages with their length in front.

use super::{Decoded, Decoder, Encoder, FrameError, Progress, join};
use crate::time::Instant;

/// Messages with their length in front of them.
///
/// ```text
///   ┌────────┬────────┬─────────────────────────┐
///   │ offset │ length │ length + adjustment     │
///   └────────┴────────┴─────────────────────────┘
/// ```
///
/// At offset 0 the message is what follows the length. At another offset what precedes the length belongs to the
/// application, so the message is the whole frame; in one that is sent, the length is written over.
///
/// Modbus/TCP has two numbers of two bytes, then the length of what follows, which is at most 254 bytes
/// (*MODBUS Messaging on TCP/IP Implementation Guide* 1.0b, section 3.1.3):
///
/// ```
/// use tidegate_core::framing::LengthPrefix;
/// const MODBUS_TCP: LengthPrefix = LengthPrefix::u16(260).offset(4);
/// assert_eq!(MODBUS_TCP.max_frame(), 260);
/// ```
///
/// Work: constant for each call.
#[derive(Clone, Copy, Debug)]
pub struct LengthPrefix {
    width: Width,
    little_endian: bool,
    offset: usize,
    adjustment: i32,
    max: usize,
}

/// Bytes of a length.
#[derive(Clone, Copy, Debug)]
enum Width {
    One,
    Two,
    Four,
}

impl Width {
    const fn bytes(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

impl LengthPrefix {
    /// A length of 8 bits, up to 255, in front of a message of at most `max` bytes.
    #[must_use]
    pub const fn u8(max: usize) -> Self {
        Self::new(Width::One, max)
    }

    /// A length of 16 bits, up to 65,535, in front of a message of at most `max` bytes, the highest byte first.
    #[must_use]
    pub const fn u16(max: usize) -> Self {
        Self::new(Width::Two, max)
    }

    /// A length of 32 bits in front of a message of at most `max` bytes, the highest byte first.
    #[must_use]
    pub const fn u32(max: usize) -> Self {
        Self::new(Width::Four, max)
    }

    const fn new(width: Width, max: usize) -> Self {
        Self {
            width,
            little_endian: false,
            offset: 0,
            adjustment: 0,
            max,
        }
    }

    /// The lowest byte first.
    #[must_use]
    pub const fn little_endian(self) -> Self {
        Self {
            little_endian: true,
            ..self
        }
    }

    /// The length begins after so many bytes, and the message is the whole frame.
    #[must_use]
    pub const fn offset(self, bytes: usize) -> Self {
        Self {
            offset: bytes,
            ..self
        }
    }

    /// How many more bytes follow the length than its value. Less than 0 if it counts itself, or what is in front of
    /// it.
    #[must_use]
    pub const fn adjustment(self, bytes: i32) -> Self {
        Self {
            adjustment: bytes,
            ..self
        }
    }

    /// The longest frame.
    #[must_use]
    pub const fn max_frame(&self) -> usize {
        self.max.saturating_add(self.stripped())
    }

    /// Bytes up to the end of the length.
    const fn head(&self) -> usize {
        self.offset.saturating_add(self.width.bytes())
    }

    /// Bytes of a frame that are not in its message.
    const fn stripped(&self) -> usize {
        if self.offset == 0 { self.head() } else { 0 }
    }

    /// The length as it is in a frame.
    fn read(&self, data: &[u8]) -> Option<u32> {
        let field = data.get(self.offset..self.head())?;
        let push = |length: u32, byte: &u8| (length << 8) | u32::from(*byte);
        Some(if self.little_endian {
            field.iter().rev().fold(0, push)
        } else {
            field.iter().fold(0, push)
        })
    }

    /// The length for a frame with `rest` bytes after it, as it would stand there, in the first bytes of four.
    fn written(&self, rest: usize) -> Result<[u8; 4], FrameError> {
        let length = i64::try_from(rest)
            .unwrap_or(i64::MAX)
            .saturating_sub(self.adjustment.into());
        let most = match self.width {
            Width::One => u8::MAX.into(),
            Width::Two => u16::MAX.into(),
            Width::Four => u32::MAX,
        };
        let length = match u32::try_from(length) {
            Ok(length) if length <= most => length,
            Ok(_) | Err(_) => return Err(FrameError::TooLong { max: self.max }),
        };
        Ok(if self.little_endian {
            length.to_le_bytes()
        } else {
            match self.width {
                Width::One => length << 24,
                Width::Two => length << 16,
                Width::Four => length,
            }
            .to_be_bytes()
        })
    }
}

impl Decoder for LengthPrefix {
    type Progress = Progress;

    fn decode(&self, progress: &mut Progress, data: &[u8], _: Instant) -> Decoded {
        let mut skip = progress.skip();
        if skip.0 > 0 {
            let skipped = skip.skip(data);
            *progress = skip.into();
            return skipped;
        }
        let Some(length) = self.read(data) else {
            return Decoded::Incomplete;
        };
        let Ok(rest) = u64::try_from(i64::from(length).saturating_add(self.adjustment.into()))
        else {
            *progress = Skip::ALL.into();
            return Decoded::Error {
                error: FrameError::Lost,
                frame: data.len(),
            };
        };
        let frame = rest.saturating_add(self.head() as u64);
        let stripped = self.stripped();
        if frame.saturating_sub(stripped as u64) > self.max as u64 {
            let here = usize::try_from(frame).unwrap_or(usize::MAX).min(data.len());
            *progress = Skip(frame.saturating_sub(here as u64)).into();
            let error = FrameError::TooLong { max: self.max };
            return Decoded::Error { error, frame: here };
        }
        match usize::try_from(frame) {
            Ok(frame) if frame <= data.len() => Decoded::Message {
                message: stripped..frame,
                frame,
            },
            Ok(_) | Err(_) => Decoded::Incomplete,
        }
    }
}

impl Encoder for LengthPrefix {
    fn frame_len(&self, message: usize) -> usize {
        message.saturating_add(self.stripped())
    }

    /// With an offset, `Ambiguous` if the message ends before the end of its length.
    fn encode(&self, message: &[u8], frame: &mut [u8]) -> Result<usize, FrameError> {
        if message.len() > self.max {
            return Err(FrameError::TooLong { max: self.max });
        }
        let n = self.frame_len(message.len());
        let rest = n.checked_sub(self.head()).ok_or(FrameError::Ambiguous)?;
        let length = self.written(rest)?;
        let length = length.get(..self.width.bytes()).unwrap_or(&[]);
        let before = message.get(..self.offset).unwrap_or(&[]);
        let after = n.saturating_sub(rest).saturating_sub(self.stripped());
        let after = message.get(after..).unwrap_or(&[]);
        Ok(join(&[before, length, after], frame))
    }
}

/// How much of a malformed frame is still to come.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Skip(pub(super) u64);

impl Skip {
    /// All that ever comes.
    const ALL: Self = Self(u64::MAX);

    fn skip(&mut self, data: &[u8]) -> Decoded {
        if data.is_empty() {
            return Decoded::Incomplete;
        }
        let here = usize::try_from(self.0)
            .unwrap_or(usize::MAX)
            .min(data.len());
        if *self != Self::ALL {
            self.0 = self.0.saturating_sub(here as u64);
        }
        Decoded::Skipped(here)
    }
}
