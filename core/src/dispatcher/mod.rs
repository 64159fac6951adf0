//! [`Dispatcher`]: the four verbs.
//!
//! This file holds what a turn is: who is served next, and when it ends. `answer` takes answers in, `serve` derives
//! outputs, `listener` accepts, `deadline` keeps time, `source` counts connections of one address, `calls` is the
//! application's side.

mod answer;
pub(crate) mod calls;
mod deadline;
pub(crate) mod listener;
mod serve;
mod source;
#[cfg(test)]
pub(crate) mod tests;

use crate::config::{Config, ConfigError, FullTable, LISTENERS, OPERATION_MIN, Windows};
use crate::directions::{Directions, Trigger};
use crate::event::Event;
use crate::log::Limited;
use crate::output::{Action, Notice, Reason};
use crate::queue::{NONE, Queue, Run};
use crate::slot::{Flags, Queued, Record, State};
use crate::stats::{Stats, bump};
use crate::table::{Others, Parts, Records, Slots, Table};
use crate::time::{Instant, nanos_of};
use crate::token::Token;
use deadline::Timers;
use defmt_or_log::{trace, warn};
use heapless::Vec;
use listener::Listener;

/// Turns in a row with a stale report after which the driver is asked to rebuild its readiness set. A registration that
/// outlived its descriptor reports at every wait and cannot be removed; eight turns are more than any event that was
/// merely late.
const STALE_TURNS: u8 = 8;

/// What the machine knows beside its slots.
#[derive(Debug)]
pub(crate) struct Machine {
    windows: Windows,
    trigger: Trigger,
    full: FullTable,
    connections: u32,
    /// In units of [`OPERATION_MIN`].
    quantum: u32,
    /// In units of [`OPERATION_MIN`].
    look: u32,
    fresh_in_a_row: u32,
    /// In units of [`OPERATION_MIN`].
    linger: u16,
    accept_failures: u16,
    pause_min: u64,
    pause_max: u64,
    hash_seed: u64,

    now: Instant,
    timers: Timers,
    free: Queue,
    fresh: Queue,
    continuing: Queue,
    visit: Visit,
    turn: Turn,

    /// Slots that are taken, reserved ones too.
    taken: u32,
    /// Some listener would accept if a slot were free.
    starved: bool,
    /// A connection is being closed to make place.
    evicting: bool,
    /// Listeners that wait for their pause to end.
    paused: u32,
    /// Listeners that are not closed.
    listening: u32,
    listeners: Vec<Listener, LISTENERS>,
    /// Unix peers so far, to number them.
    unix_peers: u32,
    /// No connection is accepted once the queues of the listeners are empty; at this time all that is left is closed.
    stop_at: Option<Instant>,
    /// That time has come.
    stop_over: bool,
    /// A stale report came in this turn, and in how many turns in a row before it.
    stale_now: bool,
    stale_turns: u8,
    rebuild: bool,

    stats: Stats,
    full_warning: Limited,
    source_warning: Limited,
    shortage_warning: Limited,
}

/// The source that is being served.
#[derive(Clone, Copy, Debug)]
struct Visit {
    index: u32,
    /// What it has received and sent, in units of [`OPERATION_MIN`].
    received: u32,
    sent: u32,
}

impl Visit {
    const NOBODY: Self = Self::to(NONE);

    const fn to(index: u32) -> Self {
        Self {
            index,
            received: 0,
            sent: 0,
        }
    }
}

/// What has been done since the kernel was last asked.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// In units of [`OPERATION_MIN`], all sources together.
    moved: u32,
    served: u32,
    /// How many that were just reported have gone before one that is continuing.
    fresh: u32,
    /// How many that were continuing when the turn began have not been served.
    left: u32,
}

/// All of a table that does not depend on its capacity.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) machine: Machine,
    pub(crate) others: Others,
    pub(crate) no_record: Record,
}

impl Control {
    pub(crate) fn new() -> Self {
        let none = Windows {
            receive: 0,
            send: 0,
        };
        Self {
            machine: Machine::new(&Config::default(), 0, none),
            others: Others::NONE,
            no_record: Record::NEW,
        }
    }
}

impl Machine {
    fn new(config: &Config, connections: u32, windows: Windows) -> Self {
        Self {
            windows,
            trigger: config.trigger,
            full: config.full,
            connections,
            quantum: units(config.quantum),
            look: units(config.look),
            fresh_in_a_row: config.fresh_in_a_row,
            linger: u16::try_from(units(config.linger_bytes)).unwrap_or(u16::MAX),
            accept_failures: config.accept_failures,
            pause_min: nanos_of(config.pause_min),
            pause_max: nanos_of(config.pause_max),
            hash_seed: config.hash_seed,
            now: Instant::ZERO,
            timers: Timers::new(config),
            free: Queue::EMPTY,
            fresh: Queue::EMPTY,
            continuing: Queue::EMPTY,
            visit: Visit::NOBODY,
            turn: Turn {
                moved: 0,
                served: 0,
                fresh: 0,
                left: 0,
            },
            taken: 0,
            starved: false,
            evicting: false,
            paused: 0,
            listening: 0,
            listeners: Vec::new(),
            unix_peers: 0,
            stop_at: None,
            stop_over: false,
            stale_now: false,
            stale_turns: 0,
            rebuild: false,
            stats: Stats::default(),
            full_warning: Limited::NEW,
            source_warning: Limited::NEW,
            shortage_warning: Limited::NEW,
        }
    }
}

/// How much an operation counts for: its bytes in units of [`OPERATION_MIN`], rounded up, at least one.
const fn units(bytes: u32) -> u32 {
    let units = bytes.div_ceil(OPERATION_MIN);
    if units == 0 { 1 } else { units }
}

/// The machine: what happened goes in as a value, what to do comes out as a value.
///
/// It works on a lent [`Table`], so there is one copy of its code whatever `N` is. Any order of calls is legal; the loop
/// of the [crate documentation](crate) is the one that makes sense.
#[derive(Debug)]
pub struct Dispatcher<'t> {
    pub(crate) slots: Slots<'t>,
    pub(crate) records: Records<'t>,
    chains: &'t mut [u32],
    m: &'t mut Machine,
}

impl<'t> Dispatcher<'t> {
    /// A machine over `table`, which forgets what it held.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] tells which value cannot work, and what would.
    pub fn new<const N: usize>(
        table: &'t mut Table<N>,
        config: &Config,
        windows: Windows,
    ) -> Result<Self, ConfigError> {
        let slots = u32::try_from(N).unwrap_or(u32::MAX);
        config.check(slots, windows)?;
        let parts: Parts<'t> = table.parts();
        *parts.machine = Machine::new(config, config.connections.unwrap_or(slots), windows);
        Ok(Self {
            slots: parts.slots,
            records: parts.records,
            chains: parts.chains,
            m: parts.machine,
        })
    }

    /// The same machine, lent for a shorter time.
    pub(crate) fn reborrow(&mut self) -> Dispatcher<'_> {
        Dispatcher {
            slots: self.slots.reborrow(),
            records: self.records.reborrow(),
            chains: self.chains,
            m: self.m,
        }
    }
}

/// The four verbs. What goes in never fails: a wrong event is dropped and counted in [`Stats`].
impl Dispatcher<'_> {
    /// Takes in what happened. Bounded work: at most [`LISTENERS`](crate::LISTENERS) sources are touched, and an accept
    /// looks at one chain of source addresses, up to the limit for one source and those that share its hash.
    #[inline(always)]
    pub fn handle_event(&mut self, now: Instant, event: Event) -> Option<Notice> {
        self.advance_clock(now);
        match event {
            Event::Ready {
                token,
                directions,
                closing,
            } => {
                self.ready(token, directions, closing);
                None
            }
            Event::Done { token, op, outcome } => self.done(token, op, outcome),
        }
    }

    /// Begins a turn: takes the time in, acts on deadlines that have passed, at most 64 of them, and lets
    /// [`poll_output`](Self::poll_output) answer again.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance_clock(now);
        self.m.turn = Turn {
            moved: 0,
            served: 0,
            fresh: 0,
            left: self.m.continuing.len(),
        };
        self.watch_stale();
        self.expire();
    }

    /// What to do next, or `None`: it is time to ask the kernel what is ready, for [`poll_timeout`](Self::poll_timeout)
    /// at most.
    ///
    /// A source that is ready is served within `(Q + Q / K + 2) × V` outputs, where `Q` is the number of sources queued
    /// ahead of it, at most `N + 16`, `K` is [`Config::fresh_in_a_row`] and `V = 2 × quantum / 256 + 4` bounds the
    /// outputs of one visit. A turn ends after [`Config::look`] bytes, or when each source that was queued at its
    /// beginning, and each that became ready in it, has been served once. Work: one visit of each queued source.
    #[inline]
    pub fn poll_output(&mut self) -> Option<Action> {
        if self.m.rebuild {
            return Some(self.rebuild());
        }
        loop {
            let index = match self.m.visit.index {
                NONE => {
                    let next = self.pick()?;
                    self.m.visit = Visit::to(next);
                    next
                }
                index => index,
            };
            if let Some(action) = self.next_output(index) {
                // A copy, so that the action itself can stay in registers.
                trace!("{:?}", { action });
                return Some(action);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; an instant that has passed, so now, while work is queued;
    /// `None`: never, unless an event comes.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.has_work() {
            return Some(self.m.now);
        }
        self.next_deadline()
    }
}

/// What a driver or an application may ask.
impl Dispatcher<'_> {
    /// Whether sources wait for their turn, so that the next look at the kernel must not sleep.
    #[inline]
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.m.fresh.is_empty()
            || !self.m.continuing.is_empty()
            || self.m.visit.index != NONE
            || self.m.rebuild
    }

    /// The latest time that was told.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.m.now
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.m.stats
    }

    /// How connections are reported, from the [`Config`].
    #[must_use]
    pub fn trigger(&self) -> Trigger {
        self.m.trigger
    }

    /// The sizes of a connection's windows.
    #[must_use]
    pub fn windows(&self) -> Windows {
        self.m.windows
    }

    /// Every source that is registered, and how: for a driver that makes a new readiness set. Its length is at most
    /// `N + 16`.
    pub fn armed(&self) -> impl Iterator<Item = (Token, Directions, Trigger)> + '_ {
        let connections = self.slots.connections.iter().zip(0u32..);
        let places = (self.slots.others.places.iter()).zip(crate::token::LISTENER_BIT..);
        connections
            .chain(places)
            .filter(|(slot, _)| !slot.registered.is_empty())
            .map(|(slot, index)| {
                (
                    Token::new(index, slot.generation),
                    slot.registered,
                    slot.trigger,
                )
            })
    }

    /// The live connections, of which the application was told and `Closed` was not.
    pub fn connections(&self) -> impl Iterator<Item = Token> + '_ {
        (self.slots.connections.iter().zip(0u32..))
            .filter(|(slot, _)| slot.is_live() && slot.flags.has(Flags::TOLD))
            .map(|(slot, index)| Token::new(index, slot.generation))
    }
}

/// Whose turn it is.
impl Dispatcher<'_> {
    fn advance_clock(&mut self, now: Instant) {
        if now > self.m.now {
            self.m.now = now;
        }
    }

    /// The index of a live source, if `token` names one.
    #[inline]
    fn find(&self, token: Token) -> Option<u32> {
        let index = token.slot();
        self.slots.at(index).is_named(token).then_some(index)
    }

    fn token(&self, index: u32) -> Token {
        Token::new(index, self.slots.at(index).generation)
    }

    /// A report: the sets take it in, and the source gets its turn.
    #[inline(always)]
    fn ready(&mut self, token: Token, directions: Directions, closing: bool) {
        let windows = self.m.windows;
        let index = token.slot();
        let slot = self.slots.at_mut(index);
        if !slot.is_named(token) {
            return self.stale(token);
        }
        let mut reported = directions;
        if closing {
            slot.flags.set(Flags::CLOSING);
            reported = Directions::BOTH;
        }
        slot.ready |= reported;
        match slot.trigger {
            // What a listener wants is asked when it is served.
            Trigger::Level => {
                if slot.state == State::Listening || !slot.wanted(windows, true).contains(reported) {
                    slot.flags.set(Flags::UNWANTED);
                }
            }
            Trigger::Oneshot => slot.armed = Directions::NONE,
            Trigger::Edge => {}
        }
        self.touch(index);
    }

    #[cold]
    fn stale(&mut self, token: Token) {
        trace!("stale: {:?}", token);
        bump(&mut self.m.stats.stale);
        self.m.stale_now = true;
    }

    /// Asks for a new readiness set when stale reports do not end.
    fn watch_stale(&mut self) {
        let stale = core::mem::take(&mut self.m.stale_now);
        self.m.stale_turns = if stale {
            self.m.stale_turns.saturating_add(1)
        } else {
            0
        };
        if self.m.stale_turns >= STALE_TURNS {
            self.m.stale_turns = 0;
            self.m.rebuild = true;
        }
    }

    fn rebuild(&mut self) -> Action {
        self.m.rebuild = false;
        bump(&mut self.m.stats.rebuilds);
        warn!("stale reports do not end: the readiness set is rebuilt");
        // What the new set reports first is the present state, so a one-shot that had fired is armed again.
        let connections = self.slots.connections.iter_mut();
        for slot in connections.chain(self.slots.others.places.iter_mut()) {
            slot.armed = slot.registered;
        }
        Action::Rebuild
    }

    /// Gives a source its turn, unless it has it or waits for it.
    #[inline]
    pub(crate) fn touch(&mut self, index: u32) {
        if self.m.visit.index == index {
            return;
        }
        let slot = self.slots.at_mut(index);
        if slot.queued != Queued::No {
            return;
        }
        slot.queued = Queued::Fresh;
        self.m.fresh.push(&mut Run(&mut self.slots), index);
        let waiting = self.m.fresh.len().saturating_add(self.m.continuing.len());
        if waiting > self.m.stats.worst_queue {
            self.m.stats.worst_queue = waiting;
        }
    }

    /// Puts a source that has had its quantum behind the others.
    fn touch_last(&mut self, index: u32) {
        let slot = self.slots.at_mut(index);
        if slot.queued != Queued::No {
            return;
        }
        slot.queued = Queued::Continuing;
        self.m.continuing.push(&mut Run(&mut self.slots), index);
    }

    /// The next source, unless the turn is over.
    #[inline]
    fn pick(&mut self) -> Option<u32> {
        let turn = &mut self.m.turn;
        if turn.moved >= self.m.look && turn.served > 0 {
            return None;
        }
        let continuing = turn.left > 0 && !self.m.continuing.is_empty();
        let members = &mut Run(&mut self.slots);
        let index = if continuing
            && (turn.fresh >= self.m.fresh_in_a_row || self.m.fresh.is_empty())
        {
            turn.fresh = 0;
            turn.left = turn.left.saturating_sub(1);
            self.m.continuing.pop(members)?
        } else {
            turn.fresh = turn.fresh.saturating_add(1);
            self.m.fresh.pop(members)?
        };
        turn.served = turn.served.saturating_add(1);
        self.slots.at_mut(index).queued = Queued::No;
        Some(index)
    }

    /// Ends a visit: what is left to do waits behind the others, and the deadline is that of the new state.
    fn leave(&mut self, index: u32) {
        let Visit { received, sent, .. } = core::mem::replace(&mut self.m.visit, Visit::NOBODY);
        let windows = self.m.windows;
        let slot = self.slots.at(index);
        match slot.state {
            State::Open | State::Finishing | State::Lingering => {
                // Unless a quantum is used up, all that could be done has been done.
                let cut = received >= self.m.quantum || sent >= self.m.quantum;
                if cut && !slot.issue(slot.wanted(windows, false)).is_empty() {
                    self.touch_last(index);
                }
                self.settle(index);
            }
            State::Listening => {
                // With an accept in flight, its answer gives the next turn.
                let issue = slot.issue(Directions::READ);
                if !issue.is_empty() && self.admits(index) {
                    self.touch_last(index);
                }
            }
            State::Free | State::Reserved | State::Closing | State::Retired => {}
        }
    }

    /// Counts an operation against the turn, and against the visit if it is of the source that is being served; if it
    /// is not, that source gets its turn.
    #[inline]
    fn spend(&mut self, index: u32, direction: Directions, bytes: u32) {
        let units = units(bytes);
        self.m.turn.moved = self.m.turn.moved.saturating_add(units);
        let visit = &mut self.m.visit;
        if visit.index != index {
            return self.touch(index);
        }
        let spent = if direction == Directions::READ {
            &mut visit.received
        } else {
            &mut visit.sent
        };
        *spent = spent.saturating_add(units);
    }

    /// Puts a slot that nobody uses any more back, with its next generation.
    fn release(&mut self, index: u32) {
        self.drop_from_queues(index);
        if index & crate::token::LISTENER_BIT != 0 {
            let slot = self.slots.at_mut(index);
            if slot.flags.has(Flags::PAUSED) {
                self.m.paused = self.m.paused.saturating_sub(1);
            }
            slot.renew();
            self.m.listening = self.m.listening.saturating_sub(1);
            return;
        }
        let slot = self.slots.at_mut(index);
        slot.renew();
        if slot.state == State::Free {
            self.m.free.push(&mut Run(&mut self.slots), index);
        }
        self.m.taken = self.m.taken.saturating_sub(1);
    }

    fn drop_from_queues(&mut self, index: u32) {
        self.unlink(index);
        let members = &mut Run(&mut self.slots);
        match members.0.at(index).queued {
            Queued::No => {}
            Queued::Fresh => self.m.fresh.remove(members, index),
            Queued::Continuing => self.m.continuing.remove(members, index),
        }
    }

    /// Starts the end of a connection: whatever is in flight is joined, then it is closed. An earlier reason stays if
    /// all output was handed over for it.
    fn begin_close(&mut self, index: u32, reason: Reason) {
        let slot = self.slots.at_mut(index);
        match slot.state {
            State::Open | State::Finishing => slot.reason = Some(reason),
            State::Lingering => {}
            State::Free | State::Reserved | State::Closing | State::Listening | State::Retired => return,
        }
        slot.state = State::Closing;
        self.unlink(index);
        self.touch(index);
    }
}
