//! [`Response`]: the head of a response.

use super::Status;
use super::date;
use super::representation::Representation;
use core::fmt::{self, Display, Write};
use std::time::SystemTime;

/// The head of a response, to be [written](Self::write) in front of its content.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The status.
    pub status: Status,
    /// The wall clock, for `Date`; left out while it is not set.
    pub now: SystemTime,
    /// `Server`.
    pub server: Option<&'a str>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Content-Length`, also of a response to HEAD, which has none of the content. Never written with 204 and 304.
    pub content_length: Option<u64>,
    /// `Content-Range`, of 206 and 416.
    pub content_range: Option<ContentRange>,
    /// `ETag` and `Last-Modified`; and, if it has them, `Accept-Ranges: bytes`.
    pub representation: Option<&'a Representation>,
    /// `Allow`: the methods of the resource, separated by commas; needed with 405, and in the response to OPTIONS.
    pub allow: Option<&'a str>,
    /// `Retry-After`, in seconds, of 503.
    pub retry_after: Option<u32>,
    /// `Cache-Control`.
    pub cache_control: Option<&'a str>,
    /// Whether the connection persists: `Connection: keep-alive`, or `close`.
    pub keep_alive: bool,
}

/// The range that the content is of the whole, in bytes (RFC 9110, section 14.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContentRange {
    /// From `first` to `last`, both included, of `length`.
    Part {
        /// The position of its first byte.
        first: u64,
        /// The position of its last byte.
        last: u64,
        /// Bytes of the whole.
        length: u64,
    },
    /// No requested range is within these bytes.
    Unsatisfied {
        /// Bytes of the whole.
        length: u64,
    },
}

impl<'a> Response<'a> {
    /// Without content or any field but `Date`, and the last on its connection.
    #[must_use]
    pub const fn new(status: Status, now: SystemTime) -> Self {
        Self {
            status,
            now,
            server: None,
            content_type: None,
            content_length: None,
            content_range: None,
            representation: None,
            allow: None,
            retry_after: None,
            cache_control: None,
            keep_alive: false,
        }
    }

    /// Writes the head and its empty line to the front of `out`; returns its length in bytes, `None` if it does not fit.
    /// 600 bytes are enough if no text of the caller's is longer than 40.
    #[must_use]
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let mut head = Buffer { out, len: 0 };
        self.write_fields(&mut head).ok()?;
        Some(head.len)
    }

    fn write_fields(&self, head: &mut Buffer<'_>) -> fmt::Result {
        write!(head, "HTTP/1.1 {}\r\n", self.status)?;
        let is_set = date::is_set(self.now);
        let now = date::date(self.now).filter(|_| is_set);
        head.field("Date", now)?;
        head.field("Server", self.server)?;
        head.field("Content-Type", self.content_type)?;
        let has_length = !matches!(self.status, Status::NoContent | Status::NotModified);
        head.field("Content-Length", self.content_length.filter(|_| has_length))?;
        match self.content_range {
            None => {}
            Some(ContentRange::Part {
                first,
                last,
                length,
            }) => write!(head, "Content-Range: bytes {first}-{last}/{length}\r\n")?,
            Some(ContentRange::Unsatisfied { length }) => {
                write!(head, "Content-Range: bytes */{length}\r\n")?;
            }
        }
        if let Some(it) = self.representation {
            head.field("ETag", it.etag())?;
            // Never later than Date (RFC 9110, section 8.8.2.1).
            let modified = it.modified().map(|modified| match now {
                Some(now) => modified.min(now),
                None => modified,
            });
            head.field("Last-Modified", modified)?;
            head.field("Accept-Ranges", it.etag().map(|_| "bytes"))?;
        }
        head.field("Allow", self.allow)?;
        head.field("Retry-After", self.retry_after)?;
        head.field("Cache-Control", self.cache_control)?;
        let connection = if self.keep_alive {
            "keep-alive"
        } else {
            "close"
        };
        write!(head, "Connection: {connection}\r\n\r\n")
    }
}

struct Buffer<'o> {
    out: &'o mut [u8],
    len: usize,
}

impl Buffer<'_> {
    fn field(&mut self, name: &str, value: Option<impl Display>) -> fmt::Result {
        match value {
            Some(value) => write!(self, "{name}: {value}\r\n"),
            None => Ok(()),
        }
    }
}

impl Write for Buffer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let free = self.out.get_mut(self.len..).unwrap_or(&mut []);
        let free = free.get_mut(..text.len()).ok_or(fmt::Error)?;
        free.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}
