//! Deadlines: a FIFO for each class, sorted by appending, because all lengths of a class are equal.

use super::Dispatcher;
use crate::attempts::Attempts;
use crate::config::{Class, Config, FullTable};
use crate::directions::{Directions, Trigger};
use crate::event::{FaultKind, Outcome};
use crate::flags::Flags;
use crate::output::Reason;
use crate::queue::{NONE, Queue, Timer};
use crate::record::Record;
use crate::slot::{Queued, Slot, State};
use crate::time::{Instant, nanos_of};
use crate::token::LISTENER_BIT;

/// Deadlines acted on in one turn, so that a thousand that pass together do not keep the others waiting.
const EXPIRIES: u32 = 64;

/// A granule is this part of a class's length: activity moves a deadline at most once in it.
const GRANULES: u64 = 64;

/// Connections looked at to find one that is idle.
const LOOKS: u32 = 16;

/// The deadline of a connection whose deadline has passed and that is tried once more before it is judged.
pub(super) const LATE: Instant = Instant::ZERO;

/// A deadline that is noticed later than this after it has passed, in nanoseconds (1 s), says nothing about a peer: in the
/// gap neither it nor we may have run.
const GAP: u64 = 1_000_000_000;

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
const QUEUES: [(Class, u8); Class::ALL.len() + LONGER.len()] = {
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

/// What stands for the length of a class that is switched off: its queue is kept in order all the same, because who has
/// been idle longest is asked when the table is full. 146 years.
const OFF: u64 = u64::MAX / 4;

/// The granule of a class that is switched off, in nanoseconds: 10 s.
const OFF_GRANULE: u64 = 10_000_000_000;

/// One class of deadline.
#[derive(Clone, Copy, Debug)]
struct Timed {
    queue: Queue,
    /// In nanoseconds; [`OFF`] if it is switched off.
    length: u64,
    /// Activity moves a deadline at most once in this time, and every deadline is set later by it, so that it is never
    /// early. 0 where nothing restarts it.
    granule: u64,
}

impl Timed {
    #[cfg_attr(feature = "small", inline(always))]
    fn new(config: &Config, class: Class) -> Self {
        let length = config.length(class).map_or(OFF, nanos_of).min(OFF);
        let granule = match restarts(class) {
            Flags::NONE => 0,
            // Which has been idle or half-closed longest is asked to the moment.
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
    const fn due(&self, now: Instant) -> Instant {
        now.plus_nanos(self.length.saturating_add(self.granule))
    }

    const fn is_on(&self) -> bool {
        self.length < OFF
    }
}

/// Every class of deadline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timers {
    first_byte: Timed,
    request: Timed,
    write_stall: Timed,
    congestion: Timed,
    /// Waits for memory that are longer because the one before was not enough.
    longer: [Timed; LONGER.len()],
    idle: Timed,
    linger: Timed,
    connect: Timed,
    half_closed: Timed,
    /// Connections whose deadline is [`LATE`].
    late: u32,
}

impl Timers {
    pub(super) fn new(config: &Config) -> Self {
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
        }
    }

    /// Whether some connection is tried once more before its deadline is judged.
    #[inline]
    pub(super) const fn has_late(&self) -> bool {
        self.late > 0
    }

    /// Whether an idle deadline was set less than a granule ago, so that activity need not move it.
    #[inline]
    pub(super) fn is_recent(&self, deadline: Instant, now: Instant) -> bool {
        self.idle.due(now).nanos_since(deadline) < self.idle.granule
    }

    const fn of(&self, class: Class) -> &Timed {
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

    const fn of_mut(&mut self, class: Class) -> &mut Timed {
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

    /// The queue of a class whose wait has come to this step; only congestion has steps.
    fn step(&self, class: Class, step: u8) -> &Timed {
        let longer = step
            .checked_sub(1)
            .and_then(|at| self.longer.get(usize::from(at)));
        match longer {
            Some(longer) if class == Class::Congestion => longer,
            Some(_) | None => self.of(class),
        }
    }

    fn step_mut(&mut self, class: Class, step: u8) -> &mut Timed {
        let at = step.checked_sub(1).map_or(LONGER.len(), usize::from);
        if class != Class::Congestion || at >= LONGER.len() {
            return self.of_mut(class);
        }
        match self.longer.get_mut(at) {
            Some(longer) => longer,
            None => &mut self.congestion,
        }
    }

    /// Whether connections that have not spoken have a class of their own.
    #[inline]
    pub(super) const fn expects_first_byte(&self) -> bool {
        self.first_byte.is_on()
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn queues(&self) -> impl Iterator<Item = (Class, u8, &Queue)> {
        QUEUES
            .into_iter()
            .map(|(class, step)| (class, step, &self.step(class, step).queue))
    }
}

/// For images.
#[cfg(feature = "sim")]
impl Timers {
    pub(super) fn queue_mut(&mut self, class: Class, step: u8) -> &mut Queue {
        &mut self.step_mut(class, step).queue
    }

    /// Forgets who stands in the queues, and keeps their lengths.
    pub(super) fn empty(&mut self) {
        for (class, step) in QUEUES {
            *self.queue_mut(class, step) = Queue::EMPTY;
        }
        self.late = 0;
    }

    pub(super) fn count_late(&mut self, slot: &Slot) {
        self.late += u32::from(slot.is_late());
    }

    /// A time, in nanoseconds, beyond all that a time waited or since the opening is compared with.
    pub(super) fn beyond_every_wait(&self) -> u64 {
        let lengths = [&self.first_byte, &self.write_stall, &self.linger];
        let longest = lengths.map(|timed| timed.length).into_iter().max();
        longest.unwrap_or(0).saturating_add(2_000_000)
    }
}

impl Slot {
    /// Whether its deadline has passed and it tries once more.
    pub(super) fn is_late(&self) -> bool {
        self.class.is_some() && self.deadline == LATE
    }

    /// The class of deadline that its state decides; `None`: not a connection, or one whose end only waits for answers.
    ///
    /// `first_byte`: that class is on. A peer that has not spoken is in it whatever is sent to it, so that nothing that
    /// the application says makes it live longer.
    #[inline]
    pub(super) fn deadline_class(&self, first_byte: bool) -> Option<Class> {
        let class = match self.state {
            State::Connecting
            | State::Open
            | State::HalfClosed
            | State::Finishing
            | State::Lingering
                if self.flags.has(Flags::CONGESTED) =>
            {
                Class::Congestion
            }
            State::Connecting => Class::Connect,
            State::Open | State::HalfClosed if first_byte && !self.flags.has(Flags::SPOKEN) => {
                Class::FirstByte
            }
            State::Open | State::HalfClosed | State::Finishing if !self.tx.is_empty() => {
                Class::WriteStall
            }
            State::Open | State::HalfClosed
                if !self.flags.has(Flags::SPOKEN) && !self.is_half_closed() =>
            {
                Class::FirstByte
            }
            State::Open | State::HalfClosed
                if !self.rx.is_empty() && !self.flags.has(Flags::PAUSED) =>
            {
                Class::Request
            }
            State::Open | State::HalfClosed if self.is_half_closed() => Class::HalfClosed,
            State::Open | State::HalfClosed => Class::Idle,
            State::Finishing | State::Lingering => Class::Linger,
            State::Free
            | State::Reserved
            | State::Closing
            | State::Listening
            | State::Watching
            | State::Datagrams
            | State::Retired => {
                return None;
            }
        };
        Some(class)
    }
}

/// What a connection whose deadline of this class has passed may find when it tries once more.
const fn awaited(class: Class) -> Directions {
    match class {
        Class::FirstByte | Class::Request | Class::Idle | Class::HalfClosed | Class::Linger => {
            Directions::READ
        }
        Class::Connect => Directions::WRITE,
        // Of these the kernel is asked, or the operation is tried again, before they end anything.
        Class::WriteStall | Class::Congestion => Directions::NONE,
    }
}

/// What since the last visit restarts a deadline of this class.
const fn restarts(class: Class) -> Flags {
    match class {
        Class::FirstByte | Class::Congestion | Class::Linger | Class::Connect => Flags::NONE,
        Class::Request => Flags::CONSUMED,
        Class::WriteStall => Flags::TAKEN,
        Class::Idle | Class::HalfClosed => Flags::HEARD.or(Flags::TAKEN),
    }
}

/// The one that comes first, if there is one.
fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Milliseconds without progress, modulo 2³².
const fn waited(record: &Record, now: Instant) -> u64 {
    now.wrapping_millis().wrapping_sub(record.stalled_at) as u64
}

impl Dispatcher<'_> {
    /// The class of deadline of a source: what its state decides; a stream that has one direction only is not half-closed.
    #[inline]
    pub(super) fn class_of(&self, index: u32) -> Option<Class> {
        let class = self
            .slots
            .at(index)
            .deadline_class(self.m.timers.expects_first_byte());
        if class == Some(Class::HalfClosed)
            && self.records.at(index).directions() != Directions::BOTH
        {
            return Some(Class::Idle);
        }
        class
    }

    /// Gives a connection the deadline of its state.
    #[inline]
    pub(super) fn settle(&mut self, index: u32) {
        let now = self.m.now;
        let class = self.class_of(index);
        let slot = self.slots.at_mut(index);
        let flags = slot.flags;
        slot.flags
            .clear(Flags::HEARD.or(Flags::TAKEN).or(Flags::CONSUMED));
        if let Some(class) = class
            && slot.class == Some(class)
        {
            // What moved while another operation waited for memory is progress, though it does not shorten that wait.
            if class == Class::Congestion && flags.has(slot.progress()) {
                self.records.at_mut(index).stalled_at = now.wrapping_millis();
            }
            if !flags.has(restarts(class)) {
                return;
            }
            let timed = self.m.timers.of(class);
            if timed.due(now).nanos_since(slot.deadline) >= timed.granule {
                self.unlink(index);
                self.link(index, class);
            }
            if class == Class::WriteStall {
                self.records.at_mut(index).stalled_at = now.wrapping_millis();
            }
            return;
        }
        self.settle_anew(index, class, flags);
    }

    /// Moves it to another class.
    fn settle_anew(&mut self, index: u32, class: Option<Class>, flags: Flags) {
        let now = self.m.now;
        let slot = self.slots.at(index);
        let (old, moved) = (slot.class, flags.has(slot.progress()));
        // Since when nothing has moved, if that is what the class has counted that it is kept from.
        let since = match old {
            Some(old @ (Class::Request | Class::Idle | Class::HalfClosed))
                if class == Some(Class::Congestion) && !moved && slot.tx.is_empty() =>
            {
                let timed = self.m.timers.of(old);
                let length = timed.length.saturating_add(timed.granule);
                Some((slot.deadline.max(now)).nanos_since(Instant::from_nanos(length)))
            }
            Some(_) | None => None,
        };
        self.unlink(index);
        let Some(class) = class else { return };
        // A wait goes on while the connection only waits for memory: going to and fro does not restart it. How long it
        // has waited for its first byte is known from when it was opened.
        let detour = match old {
            None | Some(Class::Congestion) => true,
            Some(Class::WriteStall | Class::Linger | Class::Connect) => class == Class::Congestion,
            Some(Class::FirstByte | Class::Request | Class::Idle | Class::HalfClosed) => false,
        };
        // What was asked of it at the end of another class.
        self.slots.at_mut(index).flags.clear(Flags::STALLS);
        if class == Class::WriteStall {
            // What was to be asked of it while nothing was queued.
            self.slots.at_mut(index).flags.clear(Flags::PROBE);
        }
        let record = self.records.at_mut(index);
        match since {
            Some(set) => record.stalled_at = Instant::from_nanos(set).wrapping_millis(),
            None if moved || !detour => record.stalled_at = now.wrapping_millis(),
            None => {}
        }
        if detour && !moved {
            return self.resume_class(index, class);
        }
        // What nothing restarts is over when its time is over.
        let length = self.m.timers.of(class).length;
        let opened_at = self.records.at(index).opened_at;
        if matches!(class, Class::FirstByte | Class::Connect)
            && now.nanos_since(opened_at) >= length
        {
            return self.expired(index, class);
        }
        self.link(index, class);
    }

    /// Gives a connection that a wait for memory has kept from its class what is left of the time of that, however often
    /// it was kept from it; or the whole time, if it is new in it.
    fn resume_class(&mut self, index: u32, class: Class) {
        let due = self.rest_of_time(index, class);
        if due <= self.m.now {
            return self.expired(index, class);
        }
        if class == Class::Congestion && self.slots.at(index).tx.is_empty() {
            // It waits again: for no longer than the class that it is kept from lets it.
            self.slots.at_mut(index).flags.clear(Flags::CONGESTED);
            let kept_from = self.class_of(index);
            self.slots.at_mut(index).flags.set(Flags::CONGESTED);
            if let Some(class) = kept_from
                && self.rest_of_time(index, class) <= self.m.now
            {
                return self.expired(index, class);
            }
        }
        self.link_for(index, class, due);
    }

    /// When the time of a class is over of which a wait for memory has taken a part.
    fn rest_of_time(&self, index: u32, class: Class) -> Instant {
        let now = self.m.now;
        let step = self.slots.at(index).attempts.step();
        let timed = self.m.timers.step(class, step);
        let record = self.records.at(index);
        let waited = waited(record, now);
        match class {
            Class::FirstByte | Class::Connect => record.opened_at.plus_nanos(timed.length),
            Class::Linger if waited > timed.length.div_ceil(1_000_000) => now,
            // Known to the millisecond, and never early.
            Class::Request | Class::Idle | Class::HalfClosed => {
                let passed = waited.saturating_sub(1).saturating_mul(1_000_000);
                let due = timed.due(now).nanos_since(Instant::from_nanos(passed));
                Instant::from_nanos(due)
            }
            Class::Linger | Class::WriteStall | Class::Congestion => timed.due(now),
        }
    }

    fn link(&mut self, index: u32, class: Class) {
        let step = self.slots.at(index).attempts.step();
        let due = self.m.timers.step(class, step).due(self.m.now);
        self.link_for(index, class, due);
    }

    /// Puts it behind those of its class whose deadlines pass before: at once, unless a part of its time has passed. Work:
    /// those whose deadlines pass later.
    #[inline]
    fn link_for(&mut self, index: u32, class: Class, due: Instant) {
        let slot = self.slots.at_mut(index);
        let step = slot.attempts.step();
        slot.class = Some(class);
        slot.deadline = due;
        let queue = &self.m.timers.step(class, step).queue;
        let mut prev = queue.tail();
        while prev != NONE && self.slots.at(prev).deadline > due {
            prev = self.slots.at(prev).timer.prev;
        }
        let queue = &mut self.m.timers.step_mut(class, step).queue;
        queue.insert(&mut Timer(&mut self.slots), index, prev);
    }

    /// Takes the deadline away.
    pub(super) fn unlink(&mut self, index: u32) {
        let slot = self.slots.at_mut(index);
        let late = slot.is_late();
        if let Some(class) = slot.class.take() {
            self.m.timers.late = self.m.timers.late.saturating_sub(late.into());
            let queue = &mut self.m.timers.step_mut(class, slot.attempts.step()).queue;
            queue.remove(&mut Timer(&mut self.slots), index);
        }
    }

    /// The connection of a class whose deadline passes first, if the class has one.
    fn head(&self, class: Class, step: u8) -> Option<u32> {
        self.m.timers.step(class, step).queue.head()
    }

    /// When the next deadline passes.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let mut first = None;
        for &(class, step) in &QUEUES {
            if self.m.timers.of(class).is_on()
                && let Some(index) = self.head(class, step)
            {
                first = sooner(first, Some(self.slots.at(index).deadline));
            }
        }
        let pause = if self.m.paused > 0 {
            self.first_pause()
        } else {
            None
        };
        let ahead = |by: &Instant| *by < Instant::NEVER && !self.m.stop_over && !self.is_stopped();
        let stop = self.m.stop_at.filter(ahead);
        sooner(sooner(first, pause), sooner(stop, self.next_timer()))
    }

    /// Acts on what has passed.
    pub(super) fn expire(&mut self) {
        let now = self.m.now;
        let mut left = EXPIRIES;
        for &(class, step) in &QUEUES {
            if !self.m.timers.of(class).is_on() {
                continue;
            }
            let mut head = self.head(class, step);
            while let Some(index) = head {
                let slot = self.slots.at(index);
                if slot.deadline > now || left == 0 {
                    break;
                }
                left = left.saturating_sub(1);
                head = (slot.timer.next != NONE).then_some(slot.timer.next);
                self.judge(index, class);
            }
        }
        if self.m.paused > 0 {
            self.wake_listeners(now);
        }
        if self.m.stop_at.is_some_and(|by| by <= now) && !self.m.stop_over {
            self.end_stop();
        }
    }

    /// A deadline has passed. What came in time counts, however late this is noticed (the process was stopped, the machine
    /// suspended, a handler long): so the connection first tries what it waits for once more, in its turn, and nothing that
    /// was reported and not served is overlooked.
    fn judge(&mut self, index: u32, class: Class) {
        let windows = self.m.windows;
        // What happened in time, and was told, counts, though it has not been served yet.
        let moved = self.slots.at(index).flags.has(restarts(class));
        if moved || self.class_of(index) != Some(class) {
            return self.settle(index);
        }
        let slot = self.slots.at_mut(index);
        let wanted = slot.wanted(windows, false) & awaited(class);
        if slot.deadline != LATE && !wanted.is_empty() {
            slot.deadline = LATE;
            // What is tried without a notification says nothing about the kernel's.
            slot.attempts.disclaim(wanted - slot.ready);
            slot.ready |= wanted;
            self.m.timers.late = self.m.timers.late.saturating_add(1);
            return self.touch(index);
        }
        let waits = slot.queued != Queued::No || self.m.visit.index == index;
        if waits && (wanted & (slot.ready | slot.in_flight)) != Directions::NONE {
            return;
        }
        let gap = self.m.now.nanos_since(slot.deadline) > GAP && slot.deadline != LATE;
        self.unlink(index);
        match class {
            // How much the peer takes is seen once more when it has had its time.
            Class::WriteStall if gap => self.link(index, class),
            Class::Congestion if gap => self.try_again(index),
            Class::FirstByte
            | Class::Request
            | Class::WriteStall
            | Class::Congestion
            | Class::Idle
            | Class::HalfClosed
            | Class::Linger
            | Class::Connect => self.expired(index, class),
        }
    }

    fn expired(&mut self, index: u32, class: Class) {
        match class {
            Class::FirstByte
            | Class::Request
            | Class::Idle
            | Class::HalfClosed
            | Class::Linger
            | Class::Connect => {
                self.begin_close(index, Reason::Deadline(class));
            }
            Class::WriteStall => {
                self.slots.at_mut(index).flags.set(Flags::PROBE);
                self.link(index, class);
            }
            Class::Congestion => self.tried_again(index),
        }
        self.touch(index);
    }

    /// A wait for memory is over: the operation is tried again, unless nothing has moved for as long as output may stall,
    /// or lingering may last, or, with nothing queued, for as long as its class would otherwise let it. Of output that the
    /// kernel has it is asked first whether the peer takes it.
    fn tried_again(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if slot.state == State::Connecting {
            return self.connect_again(index);
        }
        let lingers = slot.state == State::Lingering;
        if !lingers && slot.tx.is_empty() {
            // Its lack of memory is not the peer's: its time is that of any other.
            return self.try_again(index);
        }
        let limit = if lingers {
            &self.m.timers.linger
        } else {
            &self.m.timers.write_stall
        };
        let waited = waited(self.records.at(index), self.m.now);
        if !limit.is_on() || waited <= limit.length.div_ceil(1_000_000) {
            self.try_again(index);
        } else if lingers {
            self.begin_close(index, Reason::Deadline(Class::Congestion));
        } else {
            self.slots.at_mut(index).flags.set(Flags::PROBE);
            self.link(index, Class::Congestion);
        }
    }

    /// What failed for want of memory is tried anew. Where the kernel had notified readiness it is asked again, but in edge
    /// mode, where it would not tell.
    fn try_again(&mut self, index: u32) {
        let edge = self.m.trigger == Trigger::Edge;
        let slot = self.slots.at_mut(index);
        slot.flags.clear(Flags::CONGESTED);
        for direction in [Directions::READ, Directions::WRITE] {
            let asked = slot.attempts.is_claimed(direction) && !edge;
            slot.ready |= (slot.resting() & direction).when(!asked);
        }
        let (this, next) = (slot.attempts.step(), slot.attempts.next_step());
        let timers = &self.m.timers;
        if timers.step(Class::Congestion, next).length > timers.step(Class::Congestion, this).length
        {
            slot.attempts.lengthen();
        }
        self.touch(index);
    }

    /// Another attempt to connect, if there is time for it.
    fn connect_again(&mut self, index: u32) {
        let limit = &self.m.timers.connect;
        let waited = self.m.now.nanos_since(self.records.at(index).opened_at);
        if limit.is_on() && waited >= limit.length {
            self.begin_close(index, Reason::Deadline(Class::Connect));
        } else {
            self.slots.at_mut(index).flags.clear(Flags::CONGESTED);
        }
    }

    /// How much the peer has not acknowledged, asked at the end of a write stall: if it took something since it was
    /// asked last, the time runs once more. So it does if the peer took nothing but lives, until nothing has been taken
    /// for as long as a connection may be idle.
    pub(super) fn measured(&mut self, index: u32, outcome: Outcome) {
        let slot = self.slots.at_mut(index);
        if slot.flags.has(Flags::CHECKED) {
            return self.checked(index, outcome);
        }
        let stalls = slot.flags.has(Flags::STALLS) && slot.state != State::Closing;
        slot.flags.clear(Flags::CALLED);
        self.touch(index);
        if !stalls {
            return self.hung_up(index, outcome);
        }
        let slot = self.slots.at_mut(index);
        slot.flags.clear(Flags::STALLS);
        if slot.tx.is_empty() {
            return self.hung_up(index, outcome);
        }
        let now = self.m.now;
        let moved = slot.flags.has(Flags::TAKEN);
        let (stall, record) = (&self.m.timers.write_stall, self.records.at_mut(index));
        if moved || waited(record, now) < stall.length / 1_000_000 {
            // The kernel has taken some since it was asked.
            return;
        }
        if let Outcome::Complete(unsent) | Outcome::Drained(unsent) = outcome {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "modulo 2^32 is what is wanted"
            )]
            let acknowledged = (record.bytes_out as u32).wrapping_sub(unsent);
            if record.acknowledged != acknowledged {
                record.acknowledged = acknowledged;
                record.stalled_at = now.wrapping_millis();
                self.slots.at_mut(index).flags.clear(Flags::PROBE);
                return;
            }
        }
        let class = if self.slots.at(index).class == Some(Class::Congestion) {
            Class::Congestion
        } else if let Outcome::Drained(_) = outcome {
            let idle = &self.m.timers.idle;
            if !idle.is_on() || waited(record, now) <= idle.length.div_ceil(1_000_000) {
                self.slots.at_mut(index).flags.clear(Flags::PROBE);
                return;
            }
            Class::Idle
        } else {
            Class::WriteStall
        };
        self.begin_close(index, Reason::Deadline(class));
    }

    /// What came of the question whether a connection whose peer has sent FIN can still send. If it cannot, that counts as our
    /// FIN: it is closed once the application has consumed all that came, whether or not it finishes it.
    fn hung_up(&mut self, index: u32, outcome: Outcome) {
        let slot = self.slots.at_mut(index);
        let Outcome::Failed(fault) = outcome else {
            return;
        };
        if !slot.may_have_hung_up() {
            return;
        }
        match fault.kind {
            // The peer has ended in order, and receives no more.
            FaultKind::Refused => {}
            FaultKind::Reset | FaultKind::TimedOut | FaultKind::Unreachable => {
                slot.reason = Some(Reason::Failed(fault));
            }
            // It could not be asked.
            FaultKind::Interrupted
            | FaultKind::Shortage
            | FaultKind::Invalid
            | FaultKind::Unknown => return,
        }
        slot.state = State::HalfClosed;
        slot.flags.set(Flags::SHUT);
        slot.wants = 0;
    }

    /// Whether a connection of which nothing is transferred has failed, asked after a hang-up. If it has not, and reports
    /// come by level, the hang-up is no more to be heard of: it lasts, and tells that both sides have ended.
    fn checked(&mut self, index: u32, outcome: Outcome) {
        let edge = self.m.trigger == Trigger::Edge;
        let slot = self.slots.at_mut(index);
        slot.flags.clear(Flags::CALLED);
        if !slot.hears() || edge {
            slot.flags.clear(Flags::CHECKED);
        }
        self.touch(index);
        let Outcome::Failed(fault) = outcome else {
            return;
        };
        match fault.kind {
            FaultKind::Interrupted | FaultKind::Shortage => {}
            // The peer has ended in order, and receives no more: what it sent before that is still to be had.
            FaultKind::Refused => self.hung_up(index, outcome),
            FaultKind::Reset
            | FaultKind::TimedOut
            | FaultKind::Unreachable
            | FaultKind::Invalid
            | FaultKind::Unknown => self.begin_close(index, Reason::Failed(fault)),
        }
    }

    /// The connection that is to make room for another: first an accepted one on which we have ended and the peer has not,
    /// then, as the policy has it, the one that has been half-closed or idle longest; a connection that has received
    /// nothing yet counts as idle. One that waits for its turn is not idle any more, though its deadline does not know;
    /// past [`LOOKS`] of those none is looked for. What is reserved from the listener that asks stays; to a listener that
    /// has its most, only its own connections make room.
    pub(super) fn victim(&self, listener: u32) -> Option<u32> {
        let ended = |index: u32| {
            let accepted = !self.records.at(index).is_outbound();
            accepted && self.slots.at(index).state == State::HalfClosed
        };
        if let Some((_, index)) = self.longest_half_closed(listener, ended) {
            return Some(index);
        }
        let any = |_: u32| true;
        let half_closed = self.longest_half_closed(listener, any);
        let longest = match self.m.full {
            FullTable::Wait | FullTable::Refuse => None,
            FullTable::EvictHalfClosed => half_closed,
            FullTable::Evict => {
                let first_byte = self.longest(Class::FirstByte, listener, any);
                let idle = self.longest(Class::Idle, listener, any);
                [half_closed, first_byte, idle].into_iter().flatten().min()
            }
        };
        longest.map(|(_, index)| index)
    }

    /// Of the half-closed, the connection of this kind that has been without progress longest, and since when. A peer that
    /// has not spoken is in the class of that, half-closed or not.
    fn longest_half_closed(
        &self,
        listener: u32,
        is_of_kind: impl Fn(u32) -> bool,
    ) -> Option<(u64, u32)> {
        let unspoken = |index| self.slots.at(index).is_half_closed() && is_of_kind(index);
        let half_closed = self.longest(Class::HalfClosed, listener, &is_of_kind);
        let unspoken = self.longest(Class::FirstByte, listener, unspoken);
        [half_closed, unspoken].into_iter().flatten().min()
    }

    /// Of a class, the connection of this kind that has been in it longest without progress, and since when.
    fn longest(
        &self,
        class: Class,
        listener: u32,
        is_of_kind: impl Fn(u32) -> bool,
    ) -> Option<(u64, u32)> {
        let own_only = self.has_its_most(listener);
        let mut index = self.head(class, 0)?;
        for _ in 0..LOOKS {
            let slot = self.slots.at(index);
            let rests = slot.queued == Queued::No && self.m.visit.index != index;
            let of = LISTENER_BIT | u32::from(self.records.at(index).listener);
            let may_go = !self.is_reserved_from(index, listener) && (!own_only || of == listener);
            if rests && may_go && is_of_kind(index) {
                let length = self.m.timers.of(class).due(Instant::ZERO);
                return Some((slot.deadline.nanos_since(length), index));
            }
            index = slot.timer.next;
            if index == NONE {
                return None;
            }
        }
        None
    }

    /// The time to stop is over. What has come by then is received and answered first: each connection gets one more
    /// turn, and then what is left is closed.
    fn end_stop(&mut self) {
        match self.m.last_round {
            None => {
                let windows = self.m.windows;
                for index in 0..self.slots.used() {
                    let slot = self.slots.at_mut(index);
                    if slot.hears() {
                        slot.ready |= slot.wanted(windows, false) & Directions::READ;
                        self.touch(index);
                    }
                }
                self.m.last_round = Some(self.round());
            }
            Some(round) if self.is_round_over(round) => self.close_all(),
            Some(_) => {}
        }
    }

    fn close_all(&mut self) {
        for index in 0..self.slots.used() {
            self.begin_close(index, Reason::Stopping);
        }
        for index in self.places() {
            let slot = self.slots.at_mut(index);
            if slot.state == State::Listening {
                slot.state = State::Closing;
                self.touch(index);
            }
        }
        // What answers are on their way to ends when they come; an accept that still succeeds is closed at once.
        self.m.stop_over = true;
    }
}
