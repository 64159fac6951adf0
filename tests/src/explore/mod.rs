//! Every order of events that a small world allows, driven through the real dispatcher until nothing new comes.
//!
//! The world: a listener with a short queue, a few connections with windows of two bytes, a kernel model of a handful
//! of bits for each (`socket`), peers that connect, send, read, finish and reset, an application that may do anything
//! it can at each notice and between iterations, events that are true and events that are not, a failure of each class
//! at each operation, a clock that goes on in steps of the shortest deadline; and,
//! where they are switched on, a timer of the application's (`timers`), connections that it asks for (`outbound`), a datagram
//! socket that comes and goes (`datagrams`), and the orderly end (`stops`). A state is the
//! [image](tidegate_core::inspect::Image) of the dispatcher and those bits; states that differ only in the names of
//! connections, or in what has no bearing on what comes next (`matter`), are one. The search is breadth first, so what it finds broken is shown by one of the shortest ways
//! there.
//!
//! In each state the laws are checked: those that the dispatcher can check by itself, and those that need the kernel's
//! eyes (`check`). After each step the notices to the application and the requests to the driver are checked
//! (`driver`). Two ways lead on from every state. If peers, kernel and application behave from there on, all comes to
//! rest: no connection is left, and a few deadlines have passed ([`Report::patience`]). If only the driver acts, events
//! come to an end: nothing spins.
//!
//! Not in this world: completions that come later, a stop without a deadline, halves that are shut down, limits
//! for each source, several listeners, deadlines that are switched off, generations that are used up.
//!
#![doc = include_str!("states.md")]

mod check;
mod choices;
mod datagrams;
mod driver;
mod matter;
mod outbound;
mod search;
mod socket;
mod states;
mod steps;
mod stops;
mod table;
mod timers;
mod world;

pub use search::{explore, images_hold_all, leaves_out_nothing_that_matters};
pub use table::Seen;
use tidegate_core::{FullTable, Trigger};

/// How large the world is, and what may happen in it. All that is switched is on in the largest.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Slots of the table, at most 4.
    pub connections: u32,
    /// How connections are reported.
    pub trigger: Trigger,
    /// The policy for a full table.
    pub full: FullTable,
    /// Bytes of each receive window, 1 or 2.
    pub window: u32,
    /// Bytes of each send window, 1 or 2.
    pub capacity: u32,
    /// The most bytes of a peer that wait in the kernel, at most 3.
    pub arrive: u32,
    /// The most peers that wait to be accepted.
    pub backlog: u32,
    /// Peers connect, too, when the table is full.
    pub crowd: bool,
    /// The kernel may report what is not so.
    pub spurious: bool,
    /// Stale reports may last until the readiness set is rebuilt.
    pub stale: bool,
    /// Each class of fault is tried that has the same effect as another, and impossible completions.
    pub every_fault: bool,
    /// The kernel reports how much it has not sent; otherwise the query fails.
    pub probes: bool,
    /// Write stalls and lingering last twice as long as other waits.
    pub long_waits: bool,
    /// Applications abort between iterations, too.
    pub aborts: bool,
    /// Applications make any call between iterations.
    pub between: bool,
    /// Peers and applications act while work is queued, too.
    pub hasty: bool,
    /// The application goes on calling after `finish`.
    pub rude: bool,
    /// Peers act within a service, too. All effects are also reached by acts before and after it and by faults.
    pub racing: bool,
    /// Some peers are Unix peers.
    pub unix: bool,
    /// The application sets and cancels the timer of its connection: of a world of one.
    pub timers: bool,
    /// The application asks for connections, too.
    pub outbound: bool,
    /// The application has a datagram socket, too, and iterations are twice as long unless there are [`shortages`](Self::shortages) only.
    pub datagrams: bool,
    /// The application stops at some time.
    pub stop: bool,
    /// Only the datagram socket meets faults, and only shortages: no network has an error for a datagram or spoils one, and
    /// its application sends one at a time and does not close it.
    pub shortages: bool,
    /// How many datagrams come to a socket, at most 7; `None`: any number. What it learns of how many come together has a bound by
    /// that.
    pub few_datagrams: Option<u8>,
    /// A wait and the iteration after it are one step, in which at most one operation fails; all that is ready is
    /// reported, in any order.
    pub rounds: bool,
}

impl Settings {
    /// The world of one connection in full, of which all else leaves something out.
    const WHOLE: Self = Self {
        connections: 1,
        trigger: Trigger::Level,
        full: FullTable::Wait,
        window: 2,
        capacity: 2,
        arrive: 2,
        backlog: 1,
        crowd: true,
        spurious: true,
        stale: true,
        every_fault: true,
        probes: true,
        long_waits: true,
        aborts: true,
        between: true,
        hasty: true,
        rude: true,
        racing: true,
        unix: true,
        timers: false,
        outbound: false,
        datagrams: false,
        stop: false,
        shortages: false,
        few_datagrams: None,
        rounds: false,
    };

    /// The world of so many connections. What one connection may do alone is tried with one; several may do less each, so
    /// that what they do to each other can be seen to the end.
    #[must_use]
    pub fn of(connections: u32, trigger: Trigger) -> Self {
        if connections == 1 {
            return Self {
                trigger,
                arrive: 1,
                hasty: false,
                rude: false,
                racing: false,
                unix: false,
                ..Self::WHOLE
            };
        }
        Self {
            connections,
            crowd: false,
            spurious: false,
            stale: false,
            every_fault: false,
            probes: false,
            long_waits: false,
            window: 1,
            aborts: false,
            ..Self::small(trigger)
        }
    }

    /// A world of one connection in which a few seconds show everything of the documented table.
    #[must_use]
    pub fn small(trigger: Trigger) -> Self {
        Self {
            trigger,
            capacity: 1,
            arrive: 1,
            crowd: false,
            spurious: false,
            between: false,
            hasty: false,
            rude: false,
            racing: false,
            unix: false,
            rounds: true,
            ..Self::WHOLE
        }
    }

    /// A world of one connection with a timer, which is due in iterations with bytes, a deadline, both or neither.
    #[must_use]
    pub fn timed(trigger: Trigger) -> Self {
        Self {
            timers: true,
            every_fault: false,
            probes: false,
            long_waits: false,
            stale: false,
            aborts: false,
            ..Self::small(trigger)
        }
    }

    /// A world of one connection, which may be an outbound one.
    #[must_use]
    pub fn outbound(trigger: Trigger) -> Self {
        Self {
            timers: false,
            outbound: true,
            ..Self::timed(trigger)
        }
    }

    /// A world of one connection that is stopped, at any time.
    #[must_use]
    pub fn stopped(trigger: Trigger) -> Self {
        Self {
            timers: false,
            stop: true,
            aborts: true,
            ..Self::timed(trigger)
        }
    }

    /// A world of a datagram socket alone: to the listener nobody comes.
    #[must_use]
    pub fn datagrams(trigger: Trigger) -> Self {
        Self {
            trigger,
            datagrams: true,
            backlog: 0,
            hasty: false,
            racing: false,
            ..Self::WHOLE
        }
    }

    /// A world of a datagram socket beside a connection: both are in iterations of one operation, want memory and slots, and
    /// their applications send to each other. What each may do alone is tried alone.
    #[must_use]
    pub fn beside(trigger: Trigger) -> Self {
        Self {
            connections: 1,
            datagrams: true,
            shortages: true,
            few_datagrams: Some(1),
            ..Self::of(2, trigger)
        }
    }

    /// Switches what has this name on or off; whether there is such a thing.
    pub fn switch(&mut self, name: &str, on: bool) -> bool {
        let switch = match name {
            "crowd" => &mut self.crowd,
            "spurious" => &mut self.spurious,
            "stale" => &mut self.stale,
            "every-fault" => &mut self.every_fault,
            "probes" => &mut self.probes,
            "long-waits" => &mut self.long_waits,
            "aborts" => &mut self.aborts,
            "between" => &mut self.between,
            "hasty" => &mut self.hasty,
            "rude" => &mut self.rude,
            "racing" => &mut self.racing,
            "unix" => &mut self.unix,
            "timers" => &mut self.timers,
            "outbound" => &mut self.outbound,
            "datagrams" => &mut self.datagrams,
            "stop" => &mut self.stop,
            "shortages" => &mut self.shortages,
            "rounds" => &mut self.rounds,
            _ => return false,
        };
        *switch = on;
        true
    }
}

/// When to give up, and how many are at work.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// States.
    pub states: usize,
    /// Bytes that the states may take.
    pub memory: usize,
    /// Threads.
    pub threads: usize,
    /// Each depth is reported when all of it has been seen.
    pub progress: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// Distinct states.
    pub states: usize,
    /// Steps between them.
    pub transitions: u64,
    /// The most steps that a state is away from the beginning.
    pub depth: usize,
    /// Bytes that the states took.
    pub memory: usize,
    /// Every state was seen.
    pub closed: bool,
    /// Which state follows which.
    pub seen: Seen,
    /// Once faults stop and all behave, how often time has to pass at most until all is at rest, and how many steps
    /// that takes. `None` unless every state was seen.
    pub patience: Option<(u32, u32)>,
    /// A shortest way to something that must not be, in words.
    pub broken: Option<Vec<String>>,
}
