//! [`Representation`]: what a request's conditions and ranges are held against.

use super::date;
use super::fields::{number, trim};
use super::head::{Head, Method};
use core::fmt::Write;
use core::time::Duration;
use heapless::String;
use httpdate::HttpDate;
use std::time::{SystemTime, UNIX_EPOCH};

/// The content that a response would have, and how clients know it again (RFC 9110, section 8.8).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Representation {
    length: u64,
    modified: Option<HttpDate>,
    /// With its quotes, and `W/` in front if it is weak; empty if there is none.
    etag: String<64>,
}

/// What the conditions of a request lead to (RFC 9110, section 13.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Respond as if there were none.
    Met,
    /// The client has it: 304.
    NotModified,
    /// 412.
    Failed,
}

/// The part of the content that a request selects (RFC 9110, section 14).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// All of it: 200.
    Whole,
    /// From `first` to `last`, both included: 206.
    Range {
        /// The position of its first byte.
        first: u64,
        /// The position of its last byte.
        last: u64,
    },
    /// None: 416.
    Unsatisfiable,
}

impl Representation {
    /// Content that is made for each response: `length` bytes, not known again.
    #[must_use]
    pub const fn of_page(length: u64) -> Self {
        Self {
            length,
            modified: None,
            etag: String::new(),
        }
    }

    /// The content of a file: its length, when it was modified, and its inode.
    ///
    /// A file that was modified less than 2 s before `now` may change again within one tick of the file system's clock, so
    /// its tag is weak: no range is made of it on condition (`If-Range`).
    #[must_use]
    pub fn of_file(length: u64, modified: SystemTime, inode: u64, now: SystemTime) -> Self {
        let age = now.duration_since(modified);
        let is_weak = !age.is_ok_and(|age| age >= Duration::from_secs(2));
        let (sign, since) = match modified.duration_since(UNIX_EPOCH) {
            Ok(since) => ("", since),
            Err(before) => ("-", before.duration()),
        };
        let mut etag = String::new();
        // It fits: three numbers of at most 16, 24 and 16 digits.
        let _ = write!(
            etag,
            "{}\"{inode:x}-{length:x}-{sign}{:x}\"",
            if is_weak { "W/" } else { "" },
            since.as_nanos() & u128::from(u64::MAX),
        );
        Self {
            length,
            modified: date::date(modified),
            etag,
        }
    }

    /// Bytes of the content.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn etag(&self) -> Option<&str> {
        Some(self.etag.as_str()).filter(|etag| !etag.is_empty())
    }

    pub(super) const fn modified(&self) -> Option<HttpDate> {
        self.modified
    }

    /// Evaluates the conditions of a request in the order of RFC 9110, section 13.2.2. Dates that are malformed, or
    /// come twice, are not conditions.
    #[must_use]
    pub fn condition(&self, head: &Head<'_, '_>) -> Condition {
        let has = |name: &str| head.values(name).next().is_some();
        let date = |name: &str| head.value(name).and_then(date::parse);
        let of_read = matches!(head.method(), Method::Get | Method::Head);
        if has("if-match") {
            let it_is = |tag: &[u8]| tag == b"*" || self.is_strongly(tag);
            if !head.elements("if-match").any(it_is) {
                return Condition::Failed;
            }
        } else if let (Some(since), Some(modified)) = (date("if-unmodified-since"), self.modified)
            && modified > since
        {
            return Condition::Failed;
        }
        if has("if-none-match") {
            let it_is = |tag: &[u8]| tag == b"*" || self.is_weakly(tag);
            return match head.elements("if-none-match").any(it_is) {
                false => Condition::Met,
                true if of_read => Condition::NotModified,
                true => Condition::Failed,
            };
        }
        match (date("if-modified-since"), self.modified) {
            (Some(since), Some(modified)) if of_read && modified <= since => Condition::NotModified,
            _ => Condition::Met,
        }
    }

    /// The part that a GET selects. Several ranges at once, units other than bytes and what is malformed are ignored,
    /// as is a range whose `If-Range` is not what the content is now.
    #[must_use]
    pub fn part(&self, head: &Head<'_, '_>) -> Part {
        let Some(range) = head.value("range") else {
            return Part::Whole;
        };
        if head.method() != Method::Get || !self.is_in_time(head) {
            return Part::Whole;
        }
        self.range(range).unwrap_or(Part::Whole)
    }

    /// Whether `If-Range`, if it is there, names this very content (RFC 9110, section 13.1.5).
    fn is_in_time(&self, head: &Head<'_, '_>) -> bool {
        if head.values("if-range").next().is_none() {
            return true;
        }
        let Some(value) = head.value("if-range") else {
            return false;
        };
        let is_strong = self.etag.starts_with('"');
        let dated = || self.modified.is_some() && date::parse(value) == self.modified;
        self.is_strongly(value) || (is_strong && dated())
    }

    fn range(&self, value: &[u8]) -> Option<Part> {
        let (unit, set) = value.split_at_checked(UNIT.len())?;
        if !unit.eq_ignore_ascii_case(UNIT) {
            return None;
        }
        let mut ranges = set
            .split(|&byte| byte == b',')
            .map(trim)
            .filter(|range| !range.is_empty());
        let (Some(range), None) = (ranges.next(), ranges.next()) else {
            return None;
        };
        let dash = range.iter().position(|&byte| byte == b'-')?;
        let (first, last) = range.split_at(dash);
        let last = last.get(1..)?;
        let end = self.length.checked_sub(1);
        if first.is_empty() {
            // The last bytes, so many; of empty content, all of it.
            return Some(match (number(last)?, end) {
                (0, _) => Part::Unsatisfiable,
                (_, None) => Part::Whole,
                (n, Some(end)) => Part::Range {
                    first: self.length.saturating_sub(n),
                    last: end,
                },
            });
        }
        let first = number(first)?;
        let last = match last {
            [] => u64::MAX,
            digits => number(digits)?,
        };
        if first > last {
            return None;
        }
        Some(match end {
            Some(end) if first <= end => Part::Range {
                first,
                last: last.min(end),
            },
            Some(_) | None => Part::Unsatisfiable,
        })
    }

    fn is_strongly(&self, tag: &[u8]) -> bool {
        self.etag.starts_with('"') && tag == self.etag.as_bytes()
    }

    fn is_weakly(&self, tag: &[u8]) -> bool {
        let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag) == self.opaque();
        !self.etag.is_empty() && opaque(tag)
    }

    fn opaque(&self) -> &[u8] {
        let tag = self.etag.as_bytes();
        tag.strip_prefix(b"W/").unwrap_or(tag)
    }
}

const UNIT: &[u8] = b"bytes=";
