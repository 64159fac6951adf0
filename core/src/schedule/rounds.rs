//! [`Round`]: whether each source that waited has been serviced. A watchdog is fed by that, and by nothing less.

use super::Schedule;

/// How many were ever served from each queue, modulo 2³².
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Served {
    /// Of the fresh, those that go first.
    pub(super) first: u32,
    pub(super) fresh: u32,
    pub(super) continuing: u32,
}

impl Served {
    pub(super) const NOTHING: Self = Self {
        first: 0,
        fresh: 0,
        continuing: 0,
    };
}

/// The sources that were queued at some moment, from [`Dispatcher::round`](crate::Dispatcher::round).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Round {
    /// What must have been served.
    goal: Served,
}

/// Rounds.
impl Schedule {
    /// Begins a round: of all the sources that are queued now.
    pub(crate) fn round(&self) -> Round {
        let (served, fresh) = (self.served, &self.fresh);
        let goal = Served {
            first: served.first.wrapping_add(fresh.first_len()),
            fresh: served.fresh.wrapping_add(fresh.others_len()),
            continuing: served.continuing.wrapping_add(self.continuing.len()),
        };
        Round { goal }
    }

    /// Whether each of them has been serviced since, or has gone.
    pub(crate) fn is_round_over(&self, round: Round) -> bool {
        let (Round { goal }, served) = (round, self.served);
        let reached = |served: u32, goal: u32| served.wrapping_sub(goal) < 1 << 31;
        (self.fresh.first_len() == 0 || reached(served.first, goal.first))
            && (self.fresh.others_len() == 0 || reached(served.fresh, goal.fresh))
            && (self.continuing.is_empty() || reached(served.continuing, goal.continuing))
    }
}

/// For images: rounds of sources without priority.
#[cfg(feature = "inspect")]
impl Schedule {
    /// How many of the fresh and of the continuing a round still waits for.
    pub(crate) const fn left_of_round(&self, round: Round) -> (u32, u32) {
        let (Round { goal }, served) = (round, self.served);
        (
            left(served.fresh, goal.fresh),
            left(served.continuing, goal.continuing),
        )
    }

    /// A round that waits for so many.
    pub(crate) const fn round_of(&self, (fresh, continuing): (u32, u32)) -> Round {
        let served = self.served;
        let goal = Served {
            fresh: served.fresh.wrapping_add(fresh),
            continuing: served.continuing.wrapping_add(continuing),
            ..served
        };
        Round { goal }
    }
}

#[cfg(feature = "inspect")]
const fn left(served: u32, goal: u32) -> u32 {
    let left = goal.wrapping_sub(served);
    if left < 1 << 31 { left } else { 0 }
}
