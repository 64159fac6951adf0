//! [`Classes`]: how long each class of deadline is, and its queue.

use crate::config::{Class, Config};
use crate::queue::Queue;
use crate::slot::{Attempts, Flags};
use crate::time::{Instant, nanos_of};

/// What since the last service restarts a deadline of this class.
pub(crate) const fn restarts(class: Class) -> Flags {
    match class {
        Class::FirstByte | Class::Congestion | Class::Linger | Class::Connect => Flags::NONE,
        Class::Request => Flags::CONSUMED,
        Class::WriteStall => Flags::TAKEN,
        Class::Idle | Class::HalfClosed => Flags::HEARD.or(Flags::TAKEN),
    }
}

/// A granule is this part of a class's length: activity moves a deadline at most once in it.
const GRANULES: u64 = 64;

/// The longest wait for memory, in nanoseconds (640 ms), unless the first one is longer.
const LONGEST: u64 = 640_000_000;

/// How many times as long as the first wait for memory those are that follow it while nothing moves, up to [`LONGEST`]. The
/// last one comes again and again.
const LONGER: [u64; Attempts::LAST_STEP as usize] = [4, 16, 32];

/// Every queue of deadlines: the class, and the step of its wait.
#[expect(
    clippy::indexing_slicing,
    reason = "the compiler computes it, and would not compile an index that is too large"
)]
pub(super) const QUEUES: [(Class, u8); Class::ALL.len() + LONGER.len()] = {
    let mut queues = [(Class::Congestion, 0); Class::ALL.len() + LONGER.len()];
    let (mut at, mut step) = (0, 1);
    while at < queues.len() {
        if at < Class::ALL.len() {
            queues[at] = (Class::ALL[at], 0);
        } else {
            queues[at] = (Class::Congestion, step);
            step += 1;
        }
        at += 1;
    }
    queues
};

/// The length of a class that is switched off: its queue is kept in order all the same, because the longest idle
/// connection is searched for when the table is full. 146 years.
const OFF: u64 = u64::MAX / 4;

/// The granule of a class that is switched off, in nanoseconds: 10 s.
const OFF_GRANULE: u64 = 10_000_000_000;

/// One class of deadline, or one step of congestion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timed {
    pub(super) queue: Queue,
    /// In nanoseconds; [`OFF`] if it is switched off.
    pub(super) length: u64,
    /// Activity moves a deadline at most once in this time, and every deadline is set later by it, so that it is never
    /// early. 0 where nothing restarts it.
    granule: u64,
}

impl Timed {
    const OFF: Self = Self {
        queue: Queue::EMPTY,
        length: OFF,
        granule: 0,
    };

    /// Of congestion, the step of its wait.
    fn new(config: &Config, class: Class, step: u8) -> Self {
        let mut length = config.length(class).map_or(OFF, nanos_of).min(OFF);
        if let Some(&times) = step
            .checked_sub(1)
            .and_then(|at| LONGER.get(usize::from(at)))
        {
            length = length.saturating_mul(times).min(LONGEST.max(length));
        }
        let granule = match restarts(class) {
            Flags::NONE => 0,
            // Which has been idle or half-closed longest must be exact.
            _ if matches!(class, Class::Idle | Class::HalfClosed) && config.full.evicts() => 0,
            _ if length < OFF => length / GRANULES,
            _ => OFF_GRANULE,
        };
        Self {
            queue: Queue::EMPTY,
            length,
            granule,
        }
    }

    /// When a deadline passes that starts `now`.
    pub(super) const fn due(&self, now: Instant) -> Instant {
        now.plus_nanos(self.length.saturating_add(self.granule))
    }

    pub(super) const fn is_on(&self) -> bool {
        self.length < OFF
    }
}

/// Every queue, in the order of [`QUEUES`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Classes([Timed; QUEUES.len()]);

impl Classes {
    pub(super) fn new(config: &Config) -> Self {
        let mut all = [Timed::OFF; QUEUES.len()];
        for (timed, &(class, step)) in all.iter_mut().zip(&QUEUES) {
            *timed = Timed::new(config, class, step);
        }
        Self(all)
    }

    pub(super) fn of(&self, class: Class) -> &Timed {
        self.step(class, 0)
    }

    /// The queue of a class at this step of its wait; only congestion has steps.
    pub(super) fn step(&self, class: Class, step: u8) -> &Timed {
        let [first, ..] = &self.0;
        self.0.get(place(class, step)).unwrap_or(first)
    }

    pub(super) fn step_mut(&mut self, class: Class, step: u8) -> &mut Timed {
        let [first, others @ ..] = &mut self.0;
        match (place(class, step).checked_sub(1)).and_then(|place| others.get_mut(place)) {
            Some(timed) => timed,
            None => first,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Timed> {
        self.0.iter()
    }
}

/// The place of a queue in [`QUEUES`].
const fn place(class: Class, step: u8) -> usize {
    match class {
        Class::Congestion if step > 0 => (Class::ALL.len() - 1).wrapping_add(step as usize),
        Class::FirstByte
        | Class::Request
        | Class::WriteStall
        | Class::Congestion
        | Class::Idle
        | Class::Linger
        | Class::Connect
        | Class::HalfClosed => class.index(),
    }
}
