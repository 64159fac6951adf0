//! [`Deadlines`]: a FIFO for each class, sorted by appending, because all lengths of a class are equal.

use crate::attempts::Attempts;
use crate::config::{Class, Config};
use crate::flags::Flags;
use crate::queue::Queue;
use crate::slot::Slot;
use crate::time::{Instant, nanos_of};

/// The deadline of a connection whose deadline has passed and that is tried once more before it is judged.
pub(crate) const LATE: Instant = Instant::ZERO;

impl Slot {
    /// Whether its deadline has passed and it tries once more.
    pub(crate) fn is_late(&self) -> bool {
        self.class.is_some() && self.deadline == LATE
    }
}

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
pub(crate) const QUEUES: [(Class, u8); Class::ALL.len() + LONGER.len()] = {
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

/// One class of deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timed {
    pub(crate) queue: Queue,
    /// In nanoseconds; [`OFF`] if it is switched off.
    pub(crate) length: u64,
    /// Activity moves a deadline at most once in this time, and every deadline is set later by it, so that it is never
    /// early. 0 where nothing restarts it.
    pub(crate) granule: u64,
}

impl Timed {
    #[inline]
    fn new(config: &Config, class: Class) -> Self {
        let length = config.length(class).map_or(OFF, nanos_of).min(OFF);
        let granule = match restarts(class) {
            Flags::NONE => 0,
            // Which has been idle or half-closed longest must be exact to the moment.
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
    pub(crate) const fn due(&self, now: Instant) -> Instant {
        now.plus_nanos(self.length.saturating_add(self.granule))
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.length < OFF
    }
}

/// Every class of deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    first_byte: Timed,
    request: Timed,
    pub(crate) write_stall: Timed,
    congestion: Timed,
    /// Waits for memory that are longer because the one before was not enough.
    longer: [Timed; LONGER.len()],
    pub(crate) idle: Timed,
    pub(crate) linger: Timed,
    pub(crate) connect: Timed,
    half_closed: Timed,
    /// Connections whose deadline is [`LATE`].
    pub(crate) late: u32,
    /// No deadline passes before this, and if `is_exact`, one does then; [`Instant::NEVER`]: there is none.
    first: Instant,
    is_exact: bool,
}

impl Deadlines {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            first_byte: Timed::new(config, Class::FirstByte),
            request: Timed::new(config, Class::Request),
            write_stall: Timed::new(config, Class::WriteStall),
            congestion: Timed::new(config, Class::Congestion),
            longer: LONGER.map(|times| {
                let first = nanos_of(config.congestion).min(OFF);
                Timed {
                    length: first.saturating_mul(times).min(LONGEST.max(first)),
                    ..Timed::new(config, Class::Congestion)
                }
            }),
            idle: Timed::new(config, Class::Idle),
            linger: Timed::new(config, Class::Linger),
            connect: Timed::new(config, Class::Connect),
            half_closed: Timed::new(config, Class::HalfClosed),
            late: 0,
            first: Instant::NEVER,
            is_exact: true,
        }
    }

    /// Whether some connection is tried once more before its deadline is judged.
    #[inline]
    pub(crate) const fn has_late(&self) -> bool {
        self.late > 0
    }

    /// Whether some deadline may have passed.
    #[inline]
    pub(crate) fn may_have_passed(&self, now: Instant) -> bool {
        self.first <= now
    }

    /// When the first deadline passes, if that is known; [`Instant::NEVER`]: there is none.
    #[inline]
    pub(crate) const fn known_first(&self) -> Option<Instant> {
        if self.is_exact {
            Some(self.first)
        } else {
            None
        }
    }

    pub(crate) const fn know_first(&mut self, first: Instant) {
        self.first = first;
        self.is_exact = true;
    }

    /// Another deadline is there, of a class that is on.
    pub(crate) fn add(&mut self, due: Instant) {
        self.first = self.first.min(due);
    }

    /// The first deadline of a class has gone.
    pub(crate) const fn forget_first(&mut self) {
        self.is_exact = false;
    }

    /// Whether an idle deadline was set less than a granule ago, so that activity need not move it.
    #[inline]
    pub(crate) fn is_recent(&self, deadline: Instant, now: Instant) -> bool {
        // It was set to its length and a granule later.
        deadline > now.plus_nanos(self.idle.length)
    }

    pub(crate) const fn of(&self, class: Class) -> &Timed {
        match class {
            Class::FirstByte => &self.first_byte,
            Class::Request => &self.request,
            Class::WriteStall => &self.write_stall,
            Class::Congestion => &self.congestion,
            Class::Idle => &self.idle,
            Class::Linger => &self.linger,
            Class::Connect => &self.connect,
            Class::HalfClosed => &self.half_closed,
        }
    }

    pub(crate) const fn of_mut(&mut self, class: Class) -> &mut Timed {
        match class {
            Class::FirstByte => &mut self.first_byte,
            Class::Request => &mut self.request,
            Class::WriteStall => &mut self.write_stall,
            Class::Congestion => &mut self.congestion,
            Class::Idle => &mut self.idle,
            Class::Linger => &mut self.linger,
            Class::Connect => &mut self.connect,
            Class::HalfClosed => &mut self.half_closed,
        }
    }

    /// The queue of a class at this step of its wait; only congestion has steps.
    pub(crate) fn step(&self, class: Class, step: u8) -> &Timed {
        let longer = step
            .checked_sub(1)
            .and_then(|at| self.longer.get(usize::from(at)));
        match longer {
            Some(longer) if class == Class::Congestion => longer,
            Some(_) | None => self.of(class),
        }
    }

    pub(crate) fn step_mut(&mut self, class: Class, step: u8) -> &mut Timed {
        let at = step.checked_sub(1).map_or(LONGER.len(), usize::from);
        if class != Class::Congestion || at >= LONGER.len() {
            return self.of_mut(class);
        }
        match self.longer.get_mut(at) {
            Some(longer) => longer,
            None => &mut self.congestion,
        }
    }

    /// Whether connections that have not sent have a class of their own.
    #[inline]
    pub(crate) const fn expects_first_byte(&self) -> bool {
        self.first_byte.is_on()
    }

    #[cfg(any(test, feature = "inspect"))]
    pub(crate) fn queues(&self) -> impl Iterator<Item = (Class, u8, &Queue)> {
        QUEUES
            .into_iter()
            .map(|(class, step)| (class, step, &self.step(class, step).queue))
    }
}

/// For images.
#[cfg(feature = "inspect")]
impl Deadlines {
    pub(crate) fn queue_mut(&mut self, class: Class, step: u8) -> &mut Queue {
        &mut self.step_mut(class, step).queue
    }

    /// Empties the queues, and keeps their lengths.
    pub(crate) fn empty(&mut self) {
        for (class, step) in QUEUES {
            *self.queue_mut(class, step) = Queue::EMPTY;
        }
        self.late = 0;
        self.first = Instant::ZERO;
        self.is_exact = false;
    }

    pub(crate) fn count_late(&mut self, slot: &Slot) {
        self.late += u32::from(slot.is_late());
    }

    /// A time, in nanoseconds, beyond all that a time waited or since the opening is compared with.
    pub(crate) fn beyond_every_wait(&self) -> u64 {
        let lengths = Class::ALL.map(|class| self.of(class));
        let on = lengths.into_iter().filter(|timed| timed.is_on());
        let longest = on.map(|timed| timed.length.saturating_add(timed.granule));
        longest.max().unwrap_or(0).saturating_add(2_000_000)
    }
}
