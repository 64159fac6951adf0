//! [`Random`]: numbers that follow from a seed.

/// A generator of 64-bit numbers: splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
///
/// Small, without a dependency, and the same on every machine, so that a seed is a complete description of a run.
///
/// ```
/// use tidegate_sim::Random;
/// let (mut a, mut b) = (Random::new(7), Random::new(7));
/// assert_eq!(a.next_u64(), b.next_u64());
/// assert!(a.below(6) < 6);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`; any number is as good as any other.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub const fn below(&mut self, bound: u32) -> u32 {
        // The upper 32 bits times the bound, shifted back: below the bound, so it fits.
        (((self.next_u64() >> 32) * bound as u64) >> 32) as u32
    }

    /// A length from 1 to `most`, small ones as often as large ones: its number of bits is drawn first.
    pub const fn length(&mut self, most: u32) -> u32 {
        let bits = 1 + self.below(u32::BITS - most.leading_zeros());
        let length = 1 + self.below(if bits < 32 { 1 << bits } else { u32::MAX });
        if length < most { length } else { most }
    }

    /// True once in `n` times, on the average; never if `n` is 0.
    pub const fn one_in(&mut self, n: u32) -> bool {
        n > 0 && self.below(n) == 0
    }

    /// One of them; `None` if there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let count = u32::try_from(from.len()).unwrap_or(u32::MAX);
        from.get(self.below(count) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of the reference implementation (prng.di.unimi.it/splitmix64.c) for this seed.
    #[test]
    fn is_the_published_sequence() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn stays_below_its_bound_and_reaches_it() {
        let mut random = Random::new(3);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[random.below(5) as usize] = true;
            assert!((1..=9).contains(&random.length(9)));
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(random.below(0), 0);
        assert_eq!(random.pick::<u8>(&[]), None);
    }
}
