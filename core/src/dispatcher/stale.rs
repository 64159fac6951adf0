//! Events of what is gone: a few are late, but those of a registration that outlived its descriptor do not end, and only a new
//! readiness set does without it.

use super::Dispatcher;
use crate::on_demand::on_demand;
use crate::output::Action;
use crate::stats::bump;
use crate::token::Token;

/// Iterations in a row with a stale event after which the driver is asked to rebuild its readiness set. A registration
/// that outlived its descriptor reports at every wait and cannot be removed; eight iterations are more than any event
/// that was merely late.
const STALE_TURNS: u8 = 8;

on_demand! { Dispatcher[m.staleness.functions];
    fn count_iteration[&mut]() = count_stale;
    fn rebuild[&mut]() -> Option<Action> = renew;
}

/// Stale events of late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Staleness {
    /// None: they are only counted.
    functions: Option<&'static Functions>,
    /// One came in this iteration, and in how many iterations in a row before it.
    now: bool,
    iterations: u8,
    /// A new readiness set is to be requested.
    rebuilds: bool,
}

impl Staleness {
    pub(super) const NONE: Self = Self {
        functions: None,
        now: false,
        iterations: 0,
        rebuilds: false,
    };

    pub(super) const fn rebuilds(&self) -> bool {
        self.rebuilds
    }

    /// Of an image: none came before.
    #[cfg(feature = "inspect")]
    pub(super) const fn put_back(&mut self, rebuilds: bool) {
        (self.now, self.iterations, self.rebuilds) = (false, 0, rebuilds);
    }
}

impl Dispatcher<'_> {
    /// Has stale events that do not end lead to a new readiness set.
    pub(super) const fn watch_staleness(&mut self) {
        self.m.staleness.functions = Some(&FUNCTIONS);
    }

    pub(super) fn stale(&mut self, token: Token) {
        trace!("stale: {:?}", token);
        bump(&mut self.m.stats.stale);
        self.m.staleness.now = true;
    }

    /// Requests a new readiness set when stale events do not end.
    pub(super) fn watch_stale(&mut self) {
        if self.m.staleness.now || self.m.staleness.iterations > 0 {
            self.count_iteration();
        }
    }

    /// The request, if it is due.
    pub(super) fn next_rebuild(&mut self) -> Option<Action> {
        let rebuilds = self.m.staleness.rebuilds;
        rebuilds.then(|| self.rebuild()).flatten()
    }

    fn count_stale(&mut self) {
        let stale = core::mem::take(&mut self.m.staleness.now);
        self.m.staleness.iterations = if stale {
            self.m.staleness.iterations.saturating_add(1)
        } else {
            0
        };
        if self.m.staleness.iterations >= STALE_TURNS {
            self.m.staleness.iterations = 0;
            self.m.staleness.rebuilds = true;
        }
    }

    fn renew(&mut self) -> Option<Action> {
        self.m.staleness.rebuilds = false;
        bump(&mut self.m.stats.rebuilds);
        warn!("stale reports do not end: the readiness set is rebuilt");
        // What the new set reports first is the present state, so a one-shot that had fired is armed again.
        let used = self.slots.used() as usize;
        let others = self.slots.others.list.iter_mut();
        let others = others.map(|source| &mut source.slot);
        let connections = self.slots.connections.iter_mut().take(used);
        for slot in connections.chain(others) {
            slot.readiness.renew();
        }
        Some(Action::Rebuild)
    }
}
