//! [`Attempts`]: what attempts have come to that a readiness event led to, in one byte of a slot.

use crate::readiness::Directions;

/// What attempts have come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Attempts(u8);

/// Bits 0 and 1: directions that the kernel has notified as ready, and in which nothing has moved since.
const CLAIMED: u32 = 0;
/// Bits 2 and 3: directions in which the last attempt after that moved nothing.
const DOUBTED: u32 = 2;
/// Bits 4 and 5: how long the next wait is.
const STEP: u32 = 4;
/// Bit 6: the handler of another source has filled the send buffer past its threshold, and a send is due for it.
const FILLED: u8 = 1 << 6;

/// Bit 7: that send is in flight.
const FLUSHED: u8 = 1 << 7;

impl Attempts {
    pub(crate) const NONE: Self = Self(0);
    /// The longest wait.
    pub(crate) const LAST_STEP: u8 = 3;

    /// The kernel has notified these directions as ready.
    pub(crate) const fn claim(&mut self, directions: Directions) {
        self.0 |= directions.byte() << CLAIMED;
    }

    /// The kernel's notifications no longer count.
    pub(crate) const fn disclaim(&mut self, direction: Directions) {
        self.0 &= !(direction.byte() << CLAIMED);
    }

    /// Bytes have moved in a direction: the kernel's notification was true.
    pub(crate) const fn moved(&mut self, direction: Directions) {
        let bits = direction.byte();
        self.0 &= !(bits << CLAIMED | bits << DOUBTED);
        if self.0 >> DOUBTED & 3 == 0 {
            self.0 &= !(3 << STEP);
        }
    }

    /// Whether the kernel has notified a direction as ready, and nothing has moved in it since.
    pub(crate) const fn is_claimed(self, direction: Directions) -> bool {
        (self.0 >> CLAIMED) & direction.byte() != 0
    }

    /// Directions in which the last attempt after such a notification moved nothing.
    pub(crate) const fn doubted(self) -> Directions {
        Directions::of_bits((self.0 >> DOUBTED) as u32)
    }

    pub(crate) const fn doubt(&mut self, direction: Directions) {
        self.0 |= direction.byte() << DOUBTED;
    }

    /// How many times the wait has been made longer, at most [`LAST_STEP`](Self::LAST_STEP).
    pub(crate) const fn step(self) -> u8 {
        self.0 >> STEP & 3
    }

    pub(crate) const fn next_step(self) -> u8 {
        let step = self.step();
        if step < Self::LAST_STEP {
            step + 1
        } else {
            step
        }
    }

    /// The next wait is longer, up to the longest.
    pub(crate) const fn lengthen(&mut self) {
        self.0 = self.0 & !(3 << STEP) | self.next_step() << STEP;
    }

    pub(crate) const fn fill(&mut self) {
        self.0 |= FILLED;
    }

    /// Whether a send is due because another source has filled the send buffer; it is not due any more then.
    pub(crate) const fn take_filled(&mut self) -> bool {
        let filled = self.is_filled();
        self.0 &= !FILLED;
        filled
    }

    pub(crate) const fn is_filled(self) -> bool {
        self.0 & FILLED != 0
    }

    pub(crate) const fn flush(&mut self) {
        self.0 |= FLUSHED;
    }

    /// The send has completed.
    pub(crate) const fn flushed(&mut self) {
        self.0 &= !FLUSHED;
    }

    pub(crate) const fn is_flushed(self) -> bool {
        self.0 & FLUSHED != 0
    }
}

/// As bits, for images.
#[cfg(feature = "inspect")]
impl Attempts {
    pub(crate) const fn of(bits: u8) -> Self {
        Self(bits)
    }

    /// Those that may matter to a source that is ready in these directions, in some of which none is ever doubted.
    pub(crate) const fn bits_that_matter(self, ready: Directions, never: Directions) -> u8 {
        let asked = (ready.byte() | self.doubted().byte()) << CLAIMED;
        self.0 & !(3 << CLAIMED & !asked) & !(never.byte() << CLAIMED)
    }

    /// Whether the send is in flight that was due for another source, and nothing else.
    pub(crate) const fn flushed_bit(self) -> u8 {
        self.0 & FLUSHED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECTIONS: [Directions; 2] = [Directions::READ, Directions::WRITE];

    #[test]
    fn each_direction_is_known_apart() {
        for [one, other] in [DIRECTIONS, [DIRECTIONS[1], DIRECTIONS[0]]] {
            let mut attempts = Attempts::NONE;
            attempts.claim(one);
            attempts.doubt(one);
            attempts.doubt(other);
            assert!(attempts.is_claimed(one) && !attempts.is_claimed(other));
            assert_eq!(attempts.doubted(), Directions::BOTH);
            attempts.lengthen();
            attempts.moved(one);
            assert!(!attempts.is_claimed(one));
            assert_eq!((attempts.doubted(), attempts.step()), (other, 1));
            attempts.moved(other);
            assert_eq!(attempts, Attempts::NONE, "the next wait is the first again");
        }
    }

    #[test]
    fn waits_grow_to_a_bound_and_leave_the_rest_alone() {
        let mut attempts = Attempts::NONE;
        attempts.fill();
        attempts.claim(Directions::BOTH);
        let steps = [(); 5].map(|()| {
            attempts.lengthen();
            attempts.step()
        });
        assert_eq!(steps, [1, 2, 3, 3, 3]);
        assert!(attempts.take_filled() && !attempts.take_filled());
        assert!(attempts.is_claimed(Directions::READ));
        assert_eq!(attempts.doubted(), Directions::NONE);
    }
}
