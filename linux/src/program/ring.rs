//! [`Ring`]: bytes of whole lines that wait to be written; what does not fit is dropped and counted.

/// At most `SIZE` bytes, in order.
#[derive(Debug)]
pub(crate) struct Ring<const SIZE: usize> {
    bytes: [u8; SIZE],
    /// Where the oldest byte lies.
    start: usize,
    len: usize,
    /// Lines that were not taken, or could not be written.
    dropped: u64,
}

impl<const SIZE: usize> Ring<SIZE> {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; SIZE],
            start: 0,
            len: 0,
            dropped: 0,
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Counts lines as dropped.
    pub(crate) fn drop_lines(&mut self, n: u64) {
        self.dropped = self.dropped.saturating_add(n);
    }

    /// Takes all of `line`, or drops it.
    pub(crate) fn push(&mut self, line: &[u8]) {
        if !self.offer(line) {
            self.drop_lines(1);
        }
    }

    /// Takes all of these bytes, if they fit; returns whether they did.
    pub(crate) fn offer(&mut self, line: &[u8]) -> bool {
        if line.len() > SIZE - self.len {
            return false;
        }
        let end = (self.start + self.len) % SIZE;
        let (first, rest) = line.split_at(line.len().min(SIZE - end));
        self.bytes[end..end + first.len()].copy_from_slice(first);
        self.bytes[..rest.len()].copy_from_slice(rest);
        self.len += line.len();
        true
    }

    /// Moves the oldest bytes to `into`: whole lines, unless the first is longer than `into`. Returns how many.
    pub(crate) fn take(&mut self, into: &mut [u8]) -> usize {
        let n = self.peek(into);
        let lines = into[..n].iter().rposition(|&byte| byte == b'\n');
        let n = lines.map_or(n, |last| last + 1);
        self.skip(n);
        n
    }

    /// Moves the oldest bytes to `into` until it is full; there are as many.
    pub(crate) fn read(&mut self, into: &mut [u8]) {
        let n = self.peek(into);
        self.skip(n);
    }

    /// Copies the oldest bytes to `into`; returns how many.
    fn peek(&self, into: &mut [u8]) -> usize {
        let n = self.len.min(into.len());
        let first = n.min(SIZE - self.start);
        into[..first].copy_from_slice(&self.bytes[self.start..self.start + first]);
        into[first..n].copy_from_slice(&self.bytes[..n - first]);
        n
    }

    fn skip(&mut self, n: usize) {
        self.start = (self.start + n) % SIZE;
        self.len -= n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(ring: &mut Ring<8>, most: usize) -> String {
        let mut into = [0; 16];
        let n = ring.take(&mut into[..most]);
        String::from_utf8_lossy(&into[..n]).into_owned()
    }

    #[test]
    fn lines_go_round_in_order() {
        let mut ring = Ring::<8>::new();
        for turn in 0..100 {
            let line = format!("{turn:04}\n");
            ring.push(line.as_bytes());
            assert!(!ring.is_empty());
            assert_eq!(take(&mut ring, 16), line);
            assert!(ring.is_empty());
        }
        assert_eq!(ring.dropped(), 0);
    }

    #[test]
    fn a_line_is_dropped_whole_and_counted() {
        let mut ring = Ring::<8>::new();
        ring.push(b"abcd\n");
        ring.push(b"efg\n");
        ring.push(b"hi\n");
        assert_eq!(ring.dropped(), 1);
        assert_eq!(take(&mut ring, 16), "abcd\nhi\n");
        ring.push(b"12345678\n");
        assert_eq!((ring.dropped(), ring.is_empty()), (2, true), "never fits");
        ring.push(b"1234567\n");
        assert_eq!(take(&mut ring, 16), "1234567\n");
    }

    #[test]
    fn whole_lines_are_taken_where_one_fits() {
        let mut ring = Ring::<8>::new();
        ring.push(b"ab\n");
        ring.push(b"cde\n");
        assert_eq!(take(&mut ring, 6), "ab\n");
        assert_eq!(take(&mut ring, 2), "cd", "longer than what takes it");
        assert_eq!(take(&mut ring, 2), "e\n");
        assert_eq!(take(&mut ring, 2), "");
    }
}
