//! A strict HTTP/1.1 client's view of a response: for the tests of all servers.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};

/// A response, read to its end and no further.
#[derive(Debug)]
pub struct Response {
    /// The code.
    pub status: u16,
    /// By lower-case names; each comes once.
    pub fields: HashMap<String, String>,
    /// The content.
    pub content: Vec<u8>,
}

impl Response {
    /// Reads the next response, to a HEAD or not, from a connection.
    ///
    /// # Panics
    ///
    /// If it is not a response, or malformed: no date, a field twice, content of unknown length.
    pub fn read(from: &mut impl Read, to_head: bool) -> Self {
        Self::read_next(from, to_head).expect("a response")
    }

    /// The same; `None` at the end of the connection.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    pub fn read_next(from: &mut impl Read, to_head: bool) -> Option<Self> {
        // A byte at a time: what follows belongs to the next.
        let mut lines = BufReader::with_capacity(1, from);
        let mut line = || {
            let mut line = Vec::new();
            lines.read_until(b'\n', &mut line).expect("a line");
            String::from_utf8(line).expect("text")
        };
        let first = line();
        if first.is_empty() {
            return None;
        }
        let status = first.strip_prefix("HTTP/1.1 ").expect("a status line");
        let status = status.get(..3).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("{first}"));
        let mut fields = HashMap::new();
        loop {
            let line = line();
            let field = line.strip_suffix("\r\n").expect("a line end");
            if field.is_empty() {
                break;
            }
            let (name, value) = field.split_once(": ").expect("a field");
            let before = fields.insert(name.to_lowercase(), value.to_owned());
            assert_eq!(before, None, "twice: {name}");
        }
        assert!(fields.contains_key("date"), "{fields:?}");
        assert!(fields.contains_key("connection"), "{fields:?}");
        let without = to_head || matches!(status, 204 | 304);
        let length = fields.get("content-length");
        assert_eq!(
            length.is_none(),
            matches!(status, 204 | 304),
            "{status}: {fields:?}"
        );
        let length = length.map_or(0, |length| length.parse().expect("a length"));
        let mut content = vec![0; if without { 0 } else { length }];
        lines.read_exact(&mut content).expect("the content");
        Some(Self {
            status,
            fields,
            content,
        })
    }

    /// The value of a field, empty if it is not there.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// The content as text.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[must_use]
    pub fn text(&self) -> &str {
        core::str::from_utf8(&self.content).expect("text")
    }

    /// Every response that is left on the connection, to its orderly end.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    pub fn rest(from: &mut impl Read) -> Vec<Self> {
        core::iter::from_fn(|| Self::read_next(from, false)).collect()
    }
}
