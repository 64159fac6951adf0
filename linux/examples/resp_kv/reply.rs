//! Writing replies, in RESP2 or RESP3.

use core::fmt::{self, Display, Write};

/// A reply that is being written to where it will be sent from. One that does not fit is marked, and never sent.
pub(crate) struct Reply<'a> {
    to: &'a mut [u8],
    len: usize,
    overflowed: bool,
    resp3: bool,
}

impl<'a> Reply<'a> {
    pub(crate) const fn new(to: &'a mut [u8], resp3: bool) -> Self {
        Self {
            to,
            len: 0,
            overflowed: false,
            resp3,
        }
    }

    /// Its length in bytes; `None` if there was not enough space.
    pub(crate) const fn len(&self) -> Option<usize> {
        match self.overflowed {
            true => None,
            false => Some(self.len),
        }
    }

    /// Whether it is an error.
    pub(crate) fn is_error(&self) -> bool {
        self.len > 0 && self.to.first() == Some(&b'-')
    }

    /// Begins again.
    pub(crate) const fn clear(&mut self) {
        (self.len, self.overflowed) = (0, false);
    }

    /// From now on in this version of the protocol.
    pub(crate) const fn set_resp3(&mut self, resp3: bool) {
        self.resp3 = resp3;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        match self.to.get_mut(self.len..end) {
            Some(space) => {
                space.copy_from_slice(bytes);
                self.len = end;
            }
            None => self.overflowed = true,
        }
    }

    fn head(&mut self, kind: char, rest: impl Display) {
        let _ = write!(self, "{kind}{rest}\r\n"); // an overflow is marked
    }

    pub(crate) fn simple(&mut self, text: &str) {
        self.head('+', text);
    }

    /// Without a line end.
    pub(crate) fn simple_fmt(&mut self, text: fmt::Arguments<'_>) {
        self.head('+', text);
    }

    /// `why` begins with the name of the error, and has no line end.
    pub(crate) fn error(&mut self, why: impl Display) {
        self.head('-', why);
    }

    pub(crate) fn integer(&mut self, number: i64) {
        self.head(':', number);
    }

    /// As an integer; nothing that is counted here has more than 2⁶³.
    pub(crate) fn count(&mut self, count: usize) {
        self.head(':', count);
    }

    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.head('$', bytes.len());
        self.bytes(bytes);
        self.bytes(b"\r\n");
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bulk(text.as_bytes());
    }

    pub(crate) fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    pub(crate) fn null(&mut self) {
        self.bytes(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// No array.
    pub(crate) fn null_array(&mut self) {
        self.bytes(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// Text for people, which `write` writes: twice, because its length comes first.
    pub(crate) fn verbatim(&mut self, write: impl Fn(&mut dyn Write) -> fmt::Result) {
        let mut length = Length(0);
        let _ = write(&mut length); // it takes all
        let Length(length) = length;
        if self.resp3 {
            self.head('=', length.saturating_add(4));
            self.bytes(b"txt:");
        } else {
            self.head('$', length);
        }
        let _ = write(self); // an overflow is marked
        self.bytes(b"\r\n");
    }

    pub(crate) fn array(&mut self, elements: usize) {
        self.head('*', elements);
    }

    pub(crate) fn set(&mut self, elements: usize) {
        self.head(if self.resp3 { '~' } else { '*' }, elements);
    }

    /// `pairs` keys, each followed by its value.
    pub(crate) fn map(&mut self, pairs: usize) {
        match self.resp3 {
            true => self.head('%', pairs),
            false => self.head('*', pairs.saturating_mul(2)),
        }
    }
}

impl Write for Reply<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

/// How long what is written is.
struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.saturating_add(text.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_in_both_versions() {
        for (resp3, expected) in [
            (
                false,
                "+OK\r\n-ERR no\r\n:-1\r\n$2\r\nhi\r\n$-1\r\n$2\r\nhi\r\n*2\r\n*2\r\n*4\r\n",
            ),
            (
                true,
                "+OK\r\n-ERR no\r\n:-1\r\n$2\r\nhi\r\n_\r\n=6\r\ntxt:hi\r\n*2\r\n~2\r\n%2\r\n",
            ),
        ] {
            let mut space = [0; 200];
            let mut reply = Reply::new(&mut space, resp3);
            reply.simple("OK");
            reply.error("ERR no");
            reply.integer(-1);
            reply.text("hi");
            reply.null();
            reply.verbatim(|to| to.write_str("hi"));
            reply.array(2);
            reply.set(2);
            reply.map(2);
            let len = reply.len().expect("it fits");
            assert_eq!(str::from_utf8(&space[..len]), Ok(expected));
        }
    }

    #[test]
    fn one_that_does_not_fit_is_marked_whatever_follows() {
        let mut space = [0; 7];
        let mut reply = Reply::new(&mut space, false);
        reply.text("ab");
        reply.text("");
        assert_eq!(reply.len(), None);
        reply.clear();
        reply.error("ERR");
        assert_eq!((reply.len(), reply.is_error()), (Some(6), true));
    }
}
