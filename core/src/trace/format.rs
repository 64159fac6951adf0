//! Entries as bytes.
//!
//! A trace is [`MAGIC`] and then entries, one after the other, each in the format of
//! [postcard](https://postcard.jamesmunns.com/wire-format): the number of the variant, then the fields in their order,
//! without names. Numbers above 8 bits are variable-length (seven bits a byte, the lowest first), so neither the width
//! nor the byte order of a machine can be seen; bytes and text have their length in front. Four bytes follow each entry,
//! the [`hash`] of those before, the low one first: what a disk or a line has changed is not an entry any more, always if
//! it is one byte that leaves its length, or else but for one in four thousand million. The last entry of a recording
//! is [`Entry::End`]. The version is in the magic: it rises with each change of [`Entry`] or of what is in it.

use super::entry::{Entry, hash};
use crate::unavailable::count;
use core::fmt;

/// What every trace begins with, and the version of what follows.
pub const MAGIC: &[u8; 16] = b"tidegate trace 5";

/// Bytes of a sum.
const SUM: usize = size_of::<u32>();

/// Writes an entry to the front of `into`. Of the bytes that were received it keeps the first `payload`, and the [`hash`] of
/// the rest; `usize::MAX` is all. Returns the bytes written; `None` if they do not fit.
pub fn encode<'b>(entry: &Entry<'_>, payload: usize, into: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut entry = entry.clone();
    if let Entry::Event {
        kept,
        cut: cut @ 0,
        hash: of_cut,
        ..
    } = &mut entry
        && let Some((first, rest)) = kept.split_at_checked(payload)
        && !rest.is_empty()
    {
        (*kept, *cut, *of_cut) = (first, count(rest.len()), hash(rest));
    }
    let len = postcard::to_slice(&entry, into).ok()?.len();
    let (encoded, behind) = into.split_at_mut_checked(len)?;
    *behind.first_chunk_mut::<SUM>()? = hash(encoded).to_le_bytes();
    into.get(..len.checked_add(SUM)?)
}

/// Reads the first entry of `bytes`. Returns it and what follows it; `Ok(None)` if `bytes` is empty.
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
        Err(postcard::Error::DeserializeUnexpectedEnd) => return Err(CUT),
        Err(_) => return Err(DAMAGED),
    };
    let (sum, rest) = behind.split_first_chunk::<SUM>().ok_or(CUT)?;
    match bytes.get(..bytes.len().saturating_sub(behind.len())) {
        Some(encoded) if hash(encoded).to_le_bytes() == *sum => Ok(Some((entry, rest))),
        Some(_) | None => Err(DAMAGED),
    }
}

/// The bytes are not an entry: cut off, since the writer was stopped, or not what was written. Its text says which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeError(&'static str);

const CUT: DecodeError = DecodeError("the last entry is cut off");
const DAMAGED: DecodeError = DecodeError("an entry is damaged");

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for DecodeError {}
