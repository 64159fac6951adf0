//! [`Choices`]: what is left open in a step, one number below another at a time, so that all steps can be counted through.

/// The most choices of one step.
const MOST: usize = 32;

/// The choices of one step. The first of each is what a world would do that behaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choices {
    taken: [u8; MOST],
    below: [u8; MOST],
    asked: usize,
    /// Those still to be taken from a packed number.
    packed: u64,
}

impl Choices {
    /// The first of each.
    pub(super) const FIRST: Self = Self {
        taken: [0; MOST],
        below: [0; MOST],
        asked: 0,
        packed: 0,
    };

    /// Those that were packed.
    pub(super) fn unpacked(packed: u64) -> Self {
        Self {
            packed,
            ..Self::FIRST
        }
    }

    /// The same, to be taken once more.
    pub(super) fn again(&self) -> Self {
        Self { asked: 0, ..*self }
    }

    /// The choices of a step that was taken as digits of one number, each of a base of its own.
    pub(super) fn packed(&self) -> u64 {
        let digits = self.taken[..self.asked].iter().zip(&self.below);
        digits.rev().fold(0, |number: u64, (digit, base)| {
            let shifted = number.checked_mul(u64::from(*base));
            shifted.expect("a short step") + u64::from(*digit)
        })
    }

    /// Whether each is the first, but for the very first, which is this.
    pub(super) fn behaves(&self, first: usize) -> bool {
        usize::from(self.taken[0]) == first && self.taken[1..] == [0; MOST - 1]
    }

    /// The next number below `n`, at least 1.
    pub(super) fn choose(&mut self, n: usize) -> usize {
        let at = self.asked;
        let base = u8::try_from(n).expect("few choices");
        if self.packed > 0 {
            self.taken[at] = u8::try_from(self.packed % u64::from(base)).expect("below the base");
            self.packed /= u64::from(base);
        }
        self.below[at] = base;
        self.asked += 1;
        self.taken[at].into()
    }

    /// One of several.
    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.choose(of.len())]
    }

    /// On to the next step; whether there is one. The last one's count of choices bounds it.
    pub(super) fn advance(&mut self) -> bool {
        for at in (0..core::mem::take(&mut self.asked)).rev() {
            if self.taken[at] + 1 < self.below[at] {
                self.taken[at] += 1;
                return true;
            }
            self.taken[at] = 0;
        }
        false
    }
}
