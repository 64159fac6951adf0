//! [`Rest`]: law 9 for each direction of a connection. An attempt that moves nothing although the kernel has reported it as
//! possible may be in vain once; after the second in a row, and after a shortage, the direction rests.

use tidegate_core::{Directions, Instant, Token};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    /// Reported, and nothing has moved since.
    pub(super) claimed: Directions,
    /// The last attempt after that moved nothing.
    doubted: Directions,
    /// Those that rest, or did until their time was over and they were reported or tried again.
    pub(super) directions: Directions,
    since: [Instant; 2],
}

impl Rest {
    pub(super) fn moves(&mut self, direction: Directions) {
        self.claimed = self.claimed - direction;
        self.doubted = self.doubted - direction;
        self.directions = self.directions - direction;
    }

    /// `at_once`: there is no second report.
    pub(super) fn moves_nothing(&mut self, direction: Directions, now: Instant, at_once: bool) {
        if !self.claimed.contains(direction) {
            return;
        }
        if at_once || self.doubted.contains(direction) {
            self.begin(direction, now);
        } else {
            self.doubted = self.doubted | direction;
        }
    }

    pub(super) fn begin(&mut self, direction: Directions, now: Instant) {
        self.doubted = self.doubted | direction;
        self.directions = self.directions | direction;
        self.since[usize::from(direction == Directions::WRITE)] = now;
    }

    /// An operation is tried: not before the shortest rest, of `length` nanoseconds, is over.
    pub(super) fn tries(&mut self, token: Token, direction: Directions, now: Instant, length: u64) {
        let since = self.since[usize::from(direction == Directions::WRITE)];
        let rested = !self.directions.contains(direction) || now.nanos_since(since) >= length;
        assert!(rested, "it spins: {token:?} tries {direction:?} again");
        self.directions = self.directions - direction;
    }
}
