//! Entries as bytes.
//!
//! A trace is [`MAGIC`] and then entries, one after the other, each in the format of
//! [postcard](https://postcard.jamesmunns.com/wire-format): the number of the variant, then the fields in their order, without
//! names. Numbers above 8 bits are variable-length (seven bits a byte, the lowest first), so neither the width nor the
//! byte order of a machine can be seen; bytes and text have their length in front. Two bytes follow each entry, the sum of those
//! before: what a disk or a line has changed is no entry any more. The version is in the magic: it rises with each change of
//! [`Entry`] or of what is in it.

use super::entry::{Entry, Payload, hash};
use core::fmt;

/// What every trace begins with, and the version of what follows.
pub const MAGIC: &[u8; 16] = b"tidegate trace 3";

/// Bytes of a sum.
const SUM: usize = 2;

/// The [`hash`] of an entry's bytes, folded, the low byte first.
fn sum(entry: &[u8]) -> [u8; SUM] {
    let [a, b, c, d] = hash(entry).to_le_bytes();
    [a ^ c, b ^ d]
}

/// Whatever takes the entries of a trace. It must not block.
pub trait Sink {
    /// Takes one.
    fn take(&mut self, entry: &Entry<'_>);
}

/// Out of line: most sessions have no trace.
#[cold]
#[inline(never)]
pub(super) fn take<'a>(sink: &mut dyn Sink, entry: impl FnOnce() -> Entry<'a>) {
    sink.take(&entry());
}

/// Writes an entry to the front of `into`, with as much of its payload as is wanted; answers the bytes, `None` if there is
/// no room for them.
pub fn encode<'b>(entry: &Entry<'_>, payload: Payload, into: &'b mut [u8]) -> Option<&'b [u8]> {
    let space = into.len().checked_sub(SUM)?;
    let space = into.get_mut(..space)?;
    let encoded = postcard::to_slice(&entry.limited(payload), space).ok()?;
    let (len, sum) = (encoded.len(), sum(encoded));
    let all = into.get_mut(..len.checked_add(SUM)?)?;
    all.get_mut(len..)?.copy_from_slice(&sum);
    Some(all)
}

/// Reads the first entry of `bytes`; answers what follows it, too. `Ok(None)` at the end.
///
/// # Errors
///
/// [`DecodeError`].
pub fn decode(bytes: &[u8]) -> Result<Option<(Entry<'_>, &[u8])>, DecodeError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (entry, behind) = match postcard::take_from_bytes(bytes) {
        Ok(read) => read,
        Err(postcard::Error::DeserializeUnexpectedEnd) => return Err(DecodeError::Cut),
        Err(_) => return Err(DecodeError::Unknown),
    };
    let Some((found, rest)) = behind.split_at_checked(SUM) else {
        return Err(DecodeError::Cut);
    };
    let len = bytes.len().saturating_sub(behind.len());
    match bytes.get(..len).map(sum) {
        Some(sum) if sum == found => Ok(Some((entry, rest))),
        Some(_) | None => Err(DecodeError::Damaged),
    }
}

/// What is no entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// The last entry is not there to its end: whoever wrote it was stopped.
    Cut,
    /// It is of another version, or no trace.
    Unknown,
    /// It is not what was written.
    Damaged,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "the last entry is cut off",
            Self::Unknown => "no entry of this version",
            Self::Damaged => "an entry is damaged",
        })
    }
}

impl core::error::Error for DecodeError {}

impl<'a> Entry<'a> {
    /// With no more of its payload than this.
    #[must_use]
    pub fn limited(&self, payload: Payload) -> Self {
        let mut limited = self.clone();
        if let Self::Event(_, bytes) = &mut limited {
            *bytes = payload.of(*bytes);
        }
        limited
    }
}
