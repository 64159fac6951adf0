//! [`Burst`]: how many accepts one readiness event of a listener is good for.

/// How many accepts one event is good for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    /// The iteration in which it was last accepted from.
    turn: u32,
    /// Accepts for each event now.
    size: u16,
    /// Of those, how many are left in that iteration.
    left: u16,
    /// Iterations with an accept before more than one is tried again.
    rest: u16,
}

impl Burst {
    /// Iterations with single accepts after one that would block: an extra call in nine at most.
    const REST: u16 = 8;

    pub(crate) const ONE: Self = Self {
        turn: 0,
        size: 1,
        left: 1,
        rest: 0,
    };

    /// A connection was accepted: whether another is due for the same report.
    pub(crate) const fn another(&mut self, turn: u32, most: u16) -> bool {
        if self.turn != turn {
            let in_a_row = self.left == 0 && self.turn.wrapping_add(1) == turn;
            let twice = self.size.saturating_mul(2);
            self.size = if !in_a_row || self.rest > 0 {
                1
            } else if twice < most {
                twice
            } else {
                most
            };
            self.rest = self.rest.saturating_sub(1);
            self.left = self.size;
            self.turn = turn;
        }
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    /// An accept found no connection: whether it was one more than the event was good for.
    pub(crate) const fn vain(&mut self, turn: u32) -> bool {
        let more = self.turn == turn && self.left < self.size;
        *self = Self {
            turn: self.turn,
            rest: Self::REST,
            ..Self::ONE
        };
        more
    }
}

/// For images.
#[cfg(feature = "inspect")]
impl Burst {
    /// How many iterations ago it began, at most 2; its size; what is left of it; and the iterations until the next. What no
    /// longer matters is that of [`ONE`](Self::ONE), long ago. `turn`: an iteration is in progress; if not, what comes next
    /// comes in another.
    pub(crate) const fn parts(&self, iteration: u32, turn: bool) -> (u32, u16, u16, u16) {
        let ago = iteration.wrapping_sub(self.turn);
        if ago == 0 && turn {
            return (0, self.size, self.left, self.rest);
        }
        // What comes next goes on where this has ended, or begins anew.
        let goes_on = self.left == 0 && self.rest == 0 && ago == turn as u32;
        if goes_on {
            (ago, self.size, 0, 0)
        } else {
            (2, 1, 1, self.rest)
        }
    }

    pub(crate) const fn put_back(turn: u32, size: u16, left: u16, rest: u16) -> Self {
        Self {
            turn,
            size,
            left,
            rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts for one event, if there are always more.
    fn accepts(burst: &mut Burst, turn: u32, most: u16) -> u32 {
        let mut count = 1;
        while burst.another(turn, most) {
            count += 1;
        }
        count
    }

    #[test]
    fn a_listener_with_more_in_poll_after_poll_is_accepted_from_more_often() {
        let mut burst = Burst::ONE;
        let turns = [7, 8, 9, 10, 12, 13, u32::MAX, 0];
        let counts = turns.map(|turn| accepts(&mut burst, turn, 4));
        assert_eq!(
            counts,
            [1, 2, 4, 4, 1, 2, 1, 2],
            "doubled in a row, to a bound"
        );
        for (most, expected) in [(1, [1, 1, 1]), (3, [1, 2, 3])] {
            let mut burst = Burst::ONE;
            let counts = [1, 2, 3].map(|turn| accepts(&mut burst, turn, most));
            assert_eq!(counts, expected);
        }
    }

    #[test]
    fn a_spurious_accept_is_one_in_nine() {
        let mut burst = Burst::ONE;
        assert_eq!(accepts(&mut burst, 1, 4), 1);
        let mut vain = 0;
        for turn in 2..92 {
            // One connection for each event.
            if burst.another(turn, 4) {
                assert!(burst.vain(turn), "it was one more");
                vain += 1;
            }
        }
        assert_eq!(vain, 10);
    }
}
