//! [`Body`]: where a request's body ends.

use super::fields::Fields;
use super::head::Refusal;

/// Bytes of the longest line with the size of a chunk, extensions included.
const MAX_CHUNK_LINE: usize = 256;

/// Bytes of the longest trailer section.
const MAX_TRAILERS: usize = 2048;

/// How much of a body is still to come (RFC 9112, sections 6 and 7). It is data of a connection: `Copy` and 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Body(Rest);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rest {
    /// So many bytes.
    Length(u64),
    /// Chunks: at the size of the next one, so many bytes inside one and its line end, or in the trailers.
    ChunkSize,
    Chunk(u64),
    Trailers,
}

/// What [`Body::discard`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Discarded {
    /// Bytes of the data that belong to the body: to be consumed.
    pub consumed: usize,
    /// Whether the body ends with them.
    pub complete: bool,
}

impl Body {
    /// None.
    pub const EMPTY: Self = Self(Rest::Length(0));

    /// Everything until the connection ends: behind a head that was refused, or that expects a 100 before its body, the
    /// end of the body is unknown.
    pub const UNBOUNDED: Self = Self(Rest::Length(u64::MAX));

    pub(super) const fn of_length(bytes: u64) -> Self {
        Self(Rest::Length(bytes))
    }

    pub(super) const fn chunked() -> Self {
        Self(Rest::ChunkSize)
    }

    /// Whether nothing is to come.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self.0, Rest::Length(0))
    }

    /// Bytes that are to come, if that is known: a chunked body has no length until its end.
    #[must_use]
    pub const fn remaining(&self) -> Option<u64> {
        match self.0 {
            Rest::Length(u64::MAX) => None,
            Rest::Length(bytes) => Some(bytes),
            Rest::ChunkSize | Rest::Chunk(_) | Rest::Trailers => None,
        }
    }

    /// Skips what of the body is at the front of `data`. The caller counts: a chunked body has no bound of its own. What is
    /// left although the body is not complete, a line or the trailers, is at most 2 KB.
    ///
    /// Work: constant for each chunk, and each byte of the lines and trailers once for each call.
    ///
    /// # Errors
    ///
    /// [`Refusal::BODY`]; line ends within chunks are CRLF only.
    pub fn discard(&mut self, data: &[u8]) -> Result<Discarded, Refusal> {
        let mut consumed = 0;
        loop {
            let rest = data.get(consumed..).unwrap_or(&[]);
            let step = match self.0 {
                Rest::Length(0) => {
                    return Ok(Discarded {
                        consumed,
                        complete: true,
                    });
                }
                Rest::Length(bytes) => {
                    let n = at_most(bytes, rest);
                    if *self != Self::UNBOUNDED {
                        self.0 = Rest::Length(bytes - n as u64);
                    }
                    n
                }
                Rest::ChunkSize => self.size(rest)?,
                Rest::Chunk(bytes) => self.chunk(bytes, rest)?,
                Rest::Trailers => self.trailers(rest)?,
            };
            if step == 0 && !self.is_empty() {
                return Ok(Discarded {
                    consumed,
                    complete: false,
                });
            }
            consumed += step;
        }
    }

    fn size(&mut self, rest: &[u8]) -> Result<usize, Refusal> {
        // The crate takes a line without a digit for the last chunk, and LF alone for part of an extension, where others
        // see a line end.
        if rest.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) {
            return Err(Refusal::BODY);
        }
        let end = rest.iter().position(|&byte| byte == b'\n');
        if end.unwrap_or(rest.len()) > MAX_CHUNK_LINE {
            return Err(Refusal::BODY);
        }
        match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Partial) if end.is_none() => Ok(0),
            Ok(httparse::Status::Complete((line, size))) if end == line.checked_sub(1) => {
                self.0 = match size {
                    0 => Rest::Trailers,
                    _ => Rest::Chunk(size.checked_add(2).ok_or(Refusal::BODY)?),
                };
                Ok(line)
            }
            Ok(_) | Err(_) => Err(Refusal::BODY),
        }
    }

    /// Inside a chunk, of whose bytes the last two are its line end.
    fn chunk(&mut self, bytes: u64, rest: &[u8]) -> Result<usize, Refusal> {
        let n = at_most(bytes, rest);
        let content = at_most(bytes.saturating_sub(2), rest);
        let end: &[u8] = if bytes == 1 { b"\n" } else { b"\r\n" };
        if !end.starts_with(rest.get(content..n).unwrap_or(&[])) {
            return Err(Refusal::BODY);
        }
        self.0 = match bytes - n as u64 {
            0 => Rest::ChunkSize,
            left => Rest::Chunk(left),
        };
        Ok(n)
    }

    /// Fields that are dropped, and the empty line.
    fn trailers(&mut self, rest: &[u8]) -> Result<usize, Refusal> {
        match httparse::parse_headers(rest, &mut Fields::new().0) {
            Ok(httparse::Status::Complete((n, _))) if n <= MAX_TRAILERS => {
                self.0 = Rest::Length(0);
                Ok(n)
            }
            Ok(httparse::Status::Partial) if rest.len() < MAX_TRAILERS => Ok(0),
            Ok(_) | Err(_) => Err(Refusal::BODY),
        }
    }
}

/// How many of so many bytes are there.
fn at_most(bytes: u64, data: &[u8]) -> usize {
    usize::try_from(bytes).map_or(data.len(), |bytes| bytes.min(data.len()))
}
