//! [`MODES`]: the one list of triggers and backends, for every test of behaviour.

use core::fmt;
use tidegate::Trigger;
use tidegate::backend::{Kind, Uring};

/// A backend, and a trigger that it has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Mode {
    /// The backend that polls the kernel.
    pub backend: Kind,
    /// How it reports.
    pub trigger: Trigger,
}

/// Every mode.
pub const MODES: [Mode; 7] = [
    EPOLL[0],
    EPOLL[1],
    EPOLL[2],
    level(Kind::Poll),
    level(Kind::Select),
    level(Kind::Uring),
    level(Kind::Spin),
];

/// The modes in which a server sleeps when there is nothing to do: all but that of spin, which never does.
pub const SLEEPING: [Mode; 6] = [MODES[0], MODES[1], MODES[2], MODES[3], MODES[4], MODES[5]];

/// The modes of epoll, for what only epoll has.
pub const EPOLL: [Mode; 3] = [
    level(Kind::Epoll),
    Mode {
        backend: Kind::Epoll,
        trigger: Trigger::Edge,
    },
    Mode {
        backend: Kind::Epoll,
        trigger: Trigger::Oneshot,
    },
];

const fn level(backend: Kind) -> Mode {
    Mode {
        backend,
        trigger: Trigger::Level,
    }
}

impl Mode {
    /// Arguments of the program: `others`, and the options of this mode. Where io_uring is refused, epoll stands in.
    #[must_use]
    pub fn with<'a>(self, others: &[&'a str]) -> Vec<&'a str> {
        let refused = self.backend == Kind::Uring && Uring::new(1).is_err();
        let backend = if refused {
            eprintln!("not tested here: io_uring is refused");
            Kind::Epoll
        } else {
            self.backend
        };
        let own = ["--backend", backend.name(), "--trigger", self.name()];
        [others, &own[..]].concat()
    }

    const fn name(self) -> &'static str {
        match self.trigger {
            Trigger::Level => "level",
            Trigger::Edge => "edge",
            Trigger::Oneshot => "oneshot",
        }
    }
}

impl fmt::Display for Mode {
    /// `epoll-edge`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.backend.name(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn all_but_spin_sleep() {
        let sleeps = |mode: &Mode| mode.backend != Kind::Spin;
        let sleeping: Vec<Mode> = MODES.into_iter().filter(sleeps).collect();
        assert_eq!(sleeping, SLEEPING);
    }

    #[test]
    fn every_backend_is_there_with_every_trigger_that_it_has() {
        let listed: HashSet<Mode> = MODES.into_iter().collect();
        assert_eq!(listed.len(), MODES.len(), "nothing twice");
        for backend in Kind::ALL {
            for trigger in [Trigger::Level, Trigger::Edge, Trigger::Oneshot] {
                let mode = Mode { backend, trigger };
                assert_eq!(listed.contains(&mode), backend.has(trigger), "{mode}");
            }
        }
    }
}
