//! [`Rest`]: law 9 for each direction of a connection. An attempt that moves nothing although the kernel has reported
//! it as possible may be spurious once; after the second in a row, and after resource exhaustion, the direction rests.

use tidegate_core::{Directions, Instant, Token};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    /// Reported, and nothing has moved since.
    pub(super) claimed: Directions,
    /// The last attempt after that moved nothing.
    doubted: Directions,
    /// Those that may rest, or did until their time was over and they were reported or tried again.
    pub(super) directions: Directions,
    must: Must,
}

/// The same for attempts after an event of their own: those it must count.
#[derive(Clone, Copy, Debug, Default)]
struct Must {
    /// Reported, and not tried since.
    reported: Directions,
    doubted: Directions,
    rests: Directions,
    since: [Instant; 2],
}

impl Rest {
    pub(super) fn reported(&mut self, directions: Directions) {
        self.claimed |= directions;
        self.must.reported |= directions;
    }

    pub(super) fn moves(&mut self, direction: Directions) {
        self.claimed -= direction;
        self.doubted -= direction;
        self.directions -= direction;
        let must = &mut self.must;
        must.reported -= direction;
        must.doubted -= direction;
        must.rests -= direction;
    }

    /// `at_once`: there is no second event.
    pub(super) fn moves_nothing(&mut self, direction: Directions, now: Instant, at_once: bool) {
        if self.claimed.contains(direction) {
            let rests = at_once || self.doubted.contains(direction);
            self.directions |= direction.when(rests);
            self.doubted |= direction;
        }
        if self.must.reported.contains(direction) {
            let rests = at_once || self.must.doubted.contains(direction);
            self.must.reported -= direction;
            self.must.doubted |= direction;
            if rests {
                self.begin(direction, now);
            }
        }
    }

    /// It rests.
    pub(super) fn begin(&mut self, direction: Directions, now: Instant) {
        self.doubted |= direction;
        self.directions |= direction;
        self.must.rests |= direction;
        self.must.since[usize::from(direction == Directions::WRITE)] = now;
    }

    /// It failed for resource exhaustion.
    pub(super) fn runs_short(&mut self, direction: Directions, now: Instant) {
        self.begin(direction, now);
        self.claimed -= direction;
        self.must.reported -= direction;
    }

    /// An operation is tried: not before the shortest rest, of `length` nanoseconds, is over.
    pub(super) fn tries(&mut self, token: Token, direction: Directions, now: Instant, length: u64) {
        let since = self.must.since[usize::from(direction == Directions::WRITE)];
        let rested = !self.must.rests.contains(direction) || now.nanos_since(since) >= length;
        assert!(rested, "it spins: {token:?} tries {direction:?} again");
        self.directions -= direction;
        self.must.rests -= direction;
    }
}
