//! [`Random`]: numbers that follow from a seed, for unit tests. (`tidegate-sim` has more, but depends on this crate.)

/// splitmix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) const fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z >> 32) * bound as u64) >> 32) as u32
    }

    /// A length from 1 to `most`.
    pub(crate) const fn length(&mut self, most: u32) -> u32 {
        1 + self.below(most)
    }

    /// True once in `n` times, on the average.
    pub(crate) const fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }
}
