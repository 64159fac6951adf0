//! What is sent: one stream of bytes that repeats after a prime number of them, so that a byte that was lost, changed,
//! repeated or of another connection shows.

use crate::net::pattern;

/// After so many bytes the stream begins again: a prime, so that it never falls in step with a size of messages.
const PERIOD: usize = 16_381;

/// How many bytes of the stream can be compared in one piece.
pub(super) const PIECE: usize = 256 * 1024;

/// The stream, written out.
#[derive(Debug)]
pub(super) struct Stream(Vec<u8>);

impl Stream {
    pub(super) fn new() -> Self {
        let once = pattern(1, PERIOD);
        Self(once.iter().copied().cycle().take(PERIOD + PIECE).collect())
    }

    /// At most `len` bytes, and at most [`PIECE`], from a position on.
    pub(super) fn from(&self, at: Position, len: usize) -> &[u8] {
        &self.0[at.0..][..len.min(PIECE)]
    }

    /// How many of `bytes`, at most [`PIECE`], are not those of the stream from a position on.
    pub(super) fn wrong(&self, at: Position, bytes: &[u8]) -> u64 {
        let expected = self.from(at, bytes.len());
        if bytes == expected {
            return 0;
        }
        let differs = bytes.iter().zip(expected).filter(|(a, b)| a != b);
        differs.count() as u64
    }
}

/// A position in the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Position(usize);

impl Position {
    /// Where a connection begins: elsewhere than its neighbours.
    pub(super) const fn of(connection: u32) -> Self {
        Self((connection as usize).wrapping_mul(7919) % PERIOD)
    }

    pub(super) const fn advance(&mut self, bytes: usize) {
        self.0 = (self.0 + bytes) % PERIOD;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_a_lost_and_a_foreign_byte_are_seen() {
        let stream = Stream::new();
        let at = Position::of(3);
        let mut said = stream.from(at, 1000).to_vec();
        assert_eq!(stream.wrong(at, &said), 0);
        said[700] ^= 1;
        assert_eq!(stream.wrong(at, &said), 1);
        assert!(stream.wrong(at, &said[1..]) > 900);
        assert!(stream.wrong(Position::of(4), &said) > 900);
    }

    #[test]
    fn it_goes_on_without_a_seam() {
        let stream = Stream::new();
        let mut at = Position::of(0);
        let long = stream.from(at, PIECE).to_vec();
        assert_eq!(long.len(), PIECE);
        for piece in long.chunks(997) {
            assert_eq!(stream.wrong(at, piece), 0);
            at.advance(piece.len());
        }
    }
}
