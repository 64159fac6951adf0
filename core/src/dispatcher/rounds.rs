//! [`Round`]: whether everybody who waited has had a turn. A watchdog is fed by that, and by nothing less.

use super::Dispatcher;

/// Who waited for a turn at some moment, from [`Dispatcher::round`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Round {
    /// How many must have been served from each queue since the start, modulo 2³².
    fresh: u32,
    continuing: u32,
}

/// Rounds.
impl Dispatcher<'_> {
    /// Begins a round: of all the sources that wait for their turn now.
    #[must_use]
    pub fn round(&self) -> Round {
        let [fresh, continuing] = self.m.served;
        Round {
            fresh: fresh.wrapping_add(self.m.fresh.len()),
            continuing: continuing.wrapping_add(self.m.continuing.len()),
        }
    }

    /// Whether each source that waited when this round began has been served since, or has gone. To be asked at least once
    /// in 2³¹ visits. However many sources become ready meanwhile, it comes to be so, as each queue is served in order.
    #[must_use]
    pub fn is_round_over(&self, round: Round) -> bool {
        let [fresh, continuing] = self.m.served;
        let reached = |served: u32, goal: u32| served.wrapping_sub(goal) < 1 << 31;
        (self.m.fresh.is_empty() || reached(fresh, round.fresh))
            && (self.m.continuing.is_empty() || reached(continuing, round.continuing))
    }
}
