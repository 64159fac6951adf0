//! The application's timers: what it does with them, and what the model expects of them.

use super::app::{App, Face, Shared};
use super::connection::Stage;
use super::drive::Drive;
use super::model::Model;
use super::world::{TIMERS, World};
use core::time::Duration;
use tidegate_core::{Connections, Directions, Dispatcher, Instant, Peer, SendError, Token};

/// The most timers that one iteration notifies.
const TOLD: u32 = 64;

/// The calls that are about no connection, whichever world they are in.
pub(super) trait Free {
    /// Whether there is a timer of this number. `period`: it comes again and again.
    fn set(&mut self, timer: u32, length: Duration, period: bool) -> bool;
    fn cancel(&mut self, timer: u32);
    fn watch_for(&mut self, token: Token, directions: Directions);
    fn unwatch(&mut self, token: Token);
    fn send_datagram(&mut self, token: Token, to: Peer, bytes: &[u8]) -> Result<(), SendError>;
    fn close_datagrams(&mut self, token: Token);
}

impl Free for Connections<'_> {
    fn set(&mut self, timer: u32, length: Duration, period: bool) -> bool {
        let set = if period {
            self.set_interval(timer, length)
        } else {
            self.set_timer(timer, length)
        };
        set.is_ok()
    }
    fn cancel(&mut self, timer: u32) {
        self.cancel_timer(timer);
    }
    fn watch_for(&mut self, token: Token, directions: Directions) {
        self.watch_for(token, directions);
    }
    fn unwatch(&mut self, token: Token) {
        self.unwatch(token);
    }
    fn send_datagram(&mut self, token: Token, to: Peer, bytes: &[u8]) -> Result<(), SendError> {
        self.send_datagram(token, to, bytes)
    }
    fn close_datagrams(&mut self, token: Token) {
        self.close_datagrams(token);
    }
}

impl Free for Dispatcher<'_> {
    fn set(&mut self, timer: u32, length: Duration, period: bool) -> bool {
        let set = if period {
            self.set_interval(timer, length)
        } else {
            self.set_free_timer(timer, length)
        };
        set.is_ok()
    }
    fn cancel(&mut self, timer: u32) {
        self.cancel_free_timer(timer);
    }
    fn watch_for(&mut self, token: Token, directions: Directions) {
        self.watch_for(token, directions);
    }
    fn unwatch(&mut self, token: Token) {
        self.unwatch(token);
    }
    fn send_datagram(&mut self, token: Token, _: Peer, bytes: &[u8]) -> Result<(), SendError> {
        let window = super::datagrams::TX;
        match self.has_datagram_capacity(token) {
            None => Err(SendError::Closed),
            Some(_) if bytes.len() > window => Err(SendError::TooLong { window }),
            Some(true) => {
                self.queue_datagram(token);
                Ok(())
            }
            Some(false) => {
                self.want_datagram_capacity(token);
                Err(SendError::Full { capacity: 0 })
            }
        }
    }
    fn close_datagrams(&mut self, token: Token) {
        self.close_datagrams(token);
    }
}

/// A timer that is set. They are ordered as they have to be notified.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Set {
    due: Instant,
    /// How many were set before it.
    order: u64,
    /// 0: it fires once.
    period: u64,
}

/// What is expected of the free timers.
#[derive(Debug, Default)]
pub(super) struct Timers {
    free: [Option<Set>; TIMERS],
    order: u64,
    /// Those before it were set when the iteration began.
    before: u64,
    /// In this iteration: how many were notified, and the last of them.
    told: u32,
    last: Option<Set>,
}

impl Timers {
    pub(super) fn begin_turn(&mut self) {
        self.before = self.order;
        self.told = 0;
        self.last = None;
    }

    fn set(&mut self, now: Instant, after: u64, period: u64) -> Set {
        self.order += 1;
        Set {
            due: Instant::from_nanos(now.as_nanos().saturating_add(after)),
            order: self.order,
            period,
        }
    }

    fn is_due(&self, set: &Set, now: Instant) -> bool {
        set.due <= now && set.order <= self.before
    }

    /// One fires: not early, in its order, and not too many.
    fn tell(&mut self, set: Set, now: Instant) {
        assert!(self.is_due(&set, now), "early: {set:?}");
        assert!(self.last < Some(set), "{set:?} after {:?}", self.last);
        self.last = Some(set);
        self.told += 1;
        assert!(self.told <= TOLD, "{} timers in an iteration", self.told);
    }
}

impl Model {
    pub(super) fn timer_is_told(&mut self, token: Token) {
        let set = self.get(token).timer.take();
        let set = set.unwrap_or_else(|| panic!("a timer that was not set: {token:?}"));
        self.timers.tell(set, self.now);
    }

    fn tick_is_told(&mut self, timer: u32, periods: u64) {
        let known = &mut self.timers.free[timer as usize];
        let set = known.take().expect("a timer that was not set");
        self.timers.tell(set, self.now);
        if set.period == 0 {
            assert_eq!(periods, 1, "of one that comes once");
            return;
        }
        let passed = self.now.nanos_since(set.due) / set.period + 1;
        assert_eq!(periods, passed, "periods of {set:?}");
        let due = self.timers.set(set.due, passed * set.period, set.period);
        self.timers.free[timer as usize] = Some(due);
    }

    /// After the timers of an iteration have fired: none that is due is left, unless there are many.
    pub(super) fn no_timer_is_left(&self, core: &Dispatcher<'_>) {
        let free = self.timers.free.iter().flatten();
        // One that is being closed has lost its timer, and only the machine knows.
        let connections = self
            .live()
            .filter(|(token, _)| core.timer(*token).is_some());
        let all = free.chain(connections.filter_map(|(_, connection)| connection.timer.as_ref()));
        for set in all {
            let left = self.timers.is_due(set, self.now) && self.timers.told < TOLD;
            assert!(!left, "not fired: {set:?} at {:?}", self.now);
        }
    }

    /// What is set here is set there, of every connection that is not being closed.
    pub(super) fn timers_are_set(&self, core: &Dispatcher<'_>) {
        for (timer, set) in (0..).zip(&self.timers.free) {
            assert_eq!(core.free_timer(timer), set.map(|set| set.due), "{timer}");
        }
        for (token, connection) in self.live() {
            let ending = connection.source.cancelled || connection.source.closing;
            let due = connection.timer.map(|set| set.due);
            if connection.stage == Stage::Told && !ending {
                assert_eq!(core.timer(token), due, "{token:?}");
            } else {
                assert_eq!(core.timer(token), None, "of one that closes: {token:?}");
            }
        }
    }
}

impl Shared<'_> {
    /// The timer of a connection is set or taken away.
    pub(super) fn act_on_timer(&mut self, face: &mut dyn Face, gone: bool, choice: u8) {
        let token = face.token();
        let length = u64::from(self.input.byte()) * self.model.unit;
        if choice < 232 {
            face.cancel_timer();
            if !gone {
                self.model.get(token).timer = None;
            }
            return;
        }
        face.set_timer(Duration::from_nanos(length));
        let connection = self.model.get(token);
        if !gone && !connection.aborted && connection.stage == Stage::Told {
            let set = self.model.timers.set(self.model.now, length, 0);
            self.model.get(token).timer = Some(set);
        }
    }

    fn act_on_free(&mut self, free: &mut dyn Free) {
        let (what, length) = (self.input.byte(), self.input.byte());
        let timer = u32::from(what & 31);
        let length = u64::from(length) * self.model.unit;
        if self.trace {
            eprintln!("             app timer {timer} {} {length}", what >> 5);
        }
        let known = self.model.timers.free.get_mut(timer as usize);
        if what >= 224 {
            free.cancel(timer);
            if let Some(known) = known {
                *known = None;
            }
            return;
        }
        let period = what >= 128;
        let set = free.set(timer, Duration::from_nanos(length), period);
        assert_eq!(set, (timer as usize) < TIMERS, "timer {timer}");
        if set {
            let length = length.max(u64::from(period));
            let now = self.model.now;
            let set = self
                .model
                .timers
                .set(now, length, length * u64::from(period));
            self.model.timers.free[timer as usize] = Some(set);
        }
    }
}

impl App<'_> {
    /// A free timer fires.
    pub(super) fn ticked(&self, free: &mut dyn Free, timer: u32, periods: u64) {
        let shared = &mut *self.0.borrow_mut();
        if shared.trace {
            eprintln!("             app timer {timer}: {periods}");
        }
        shared.model.tick_is_told(timer, periods);
        if shared.tame {
            free.cancel(timer);
            shared.model.timers.free[timer as usize] = None;
            return;
        }
        for _ in 0..shared.input.below(3) {
            shared.act_on_free(free);
        }
    }
}

impl<W: World> Drive<'_, W> {
    /// The application comes to the free timers.
    pub(super) fn act_on_free_timers(&mut self) {
        let shared = alloc::rc::Rc::clone(&self.shared);
        self.world
            .free(&mut |free| shared.borrow_mut().act_on_free(free));
    }

    pub(super) fn cancel_free_timers(&mut self) {
        let shared = alloc::rc::Rc::clone(&self.shared);
        self.world.free(&mut |free| {
            for (timer, set) in (0..).zip(&mut shared.borrow_mut().model.timers.free) {
                free.cancel(timer);
                *set = None;
            }
        });
    }
}
