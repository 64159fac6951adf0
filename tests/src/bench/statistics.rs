//! Statistics over several rounds.

/// The median, and between what all values lie.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    /// The middle one; of an even number, the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of these values; `None` if there are none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { median, min, max })
    }

    /// Of each value over that of the base in the same round; rounds in which one of them is missing do not count.
    #[must_use]
    pub fn of_ratios(values: &[Option<f64>], base: &[Option<f64>]) -> Option<Self> {
        let pairs = values.iter().zip(base);
        Self::of(pairs.filter_map(|(value, base)| Some((*value)? / (*base)?)))
    }
}

/// The order in a round: round robin, every other round backwards, and each round begins with another.
#[must_use]
pub fn order(round: usize, contenders: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..contenders).collect();
    if contenders > 0 {
        order.rotate_left(round % contenders);
    }
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ranges() {
        let of = |values: &[f64]| Spread::of(values.iter().copied());
        let spread = |median, min, max| Some(Spread { median, min, max });
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0]), spread(3.0, 3.0, 3.0));
        assert_eq!(of(&[9.0, 1.0, 2.0]), spread(2.0, 1.0, 9.0));
        assert_eq!(of(&[4.0, 1.0, 2.0, 9.0]), spread(3.0, 1.0, 9.0));
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        // The second round was twice as slow for both, the third is half missing.
        let ours = [Some(1.0), Some(2.0), Some(5.0), None];
        let base = [Some(2.0), Some(4.0), None, Some(1.0)];
        let expected = Some(Spread {
            median: 0.5,
            min: 0.5,
            max: 0.5,
        });
        assert_eq!(Spread::of_ratios(&ours, &base), expected);
        assert_eq!(Spread::of_ratios(&[None], &[Some(1.0)]), None);
    }

    #[test]
    fn each_goes_once_a_round_and_first_at_some_time() {
        let mut first = [false; 5];
        for round in 0..10 {
            let mut order = order(round, 5);
            first[order[0]] = true;
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4]);
        }
        assert_eq!(first, [true; 5]);
        assert_eq!(order(0, 3), [0, 1, 2]);
        assert_eq!(order(1, 3), [0, 2, 1]);
        assert!(order(3, 0).is_empty());
    }
}
