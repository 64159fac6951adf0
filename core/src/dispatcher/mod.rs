//! [`Dispatcher`]: the four verbs.
//!
//! It is composed of parts that own their fields: the [schedule](crate::schedule), the [admission](crate::admission), the
//! [deadlines](crate::deadlines), the [timers](crate::timers), a stop and stale events (here), over [slots](crate::slot),
//! [sources](crate::source) and records in the [table](crate::table). What is here connects them:
//!
//! | file | what it does |
//! |---|---|
//! | `turn` | takes readiness events in, ends a service, frees a slot |
//! | `serve` | derives the next output of a source |
//! | `answer` | takes completions in, one for each output |
//! | `listener`, `policy`, `evict`, `preferred` | accept; what a full table does; which connection goes; who comes first |
//! | `connect`, `pairs` | outbound connections, and the ones that they were made for |
//! | `watch`, `datagram` | descriptors of the application's own, datagram sockets |
//! | `deadline`, `patience`, `timer` | which deadline a state has; waits for memory and queries; the application's timers |
//! | `filled` | sends from buffers that other handlers have filled, before all else |
//! | `per_source`, `counts` | how many connections a source address has |
//! | `stop`, `stale` | the orderly end; events of what is gone |
//! | `calls` | the application's side |
//! | `laws`, `inspect`, `traced` | for tests, the explorer and replays |
//!
//! What not every program needs is linked on demand: `connect` with `pairs`, `watch`, `datagram`, `patience`, `filled`, `preferred`,
//! `per_source`, `stop`, `stale` and the timers each declare in one place (`on_demand!`) what the others call of them.

pub(crate) mod answer;
pub(crate) mod calls;
pub(crate) mod connect;
mod counts;
mod datagram;
mod deadline;
mod evict;
mod filled;
#[cfg(feature = "inspect")]
pub mod inspect;
#[cfg(any(test, feature = "inspect"))]
pub(crate) mod laws;
mod listener;
mod pairs;
mod patience;
mod per_source;
mod policy;
mod preferred;
mod serve;
mod stale;
mod stop;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod timer;
#[cfg(feature = "trace")]
mod traced;
mod turn;
mod watch;

use crate::admission::Admission;
use crate::config::{Config, ConfigError, Sources, Windows};
use crate::deadlines::Deadlines;
use crate::event::{Completion, Event, Op, Outcome};
use crate::log::Limited;
use crate::output::{Action, Notice};
use crate::readiness::{Directions, Trigger};
use crate::schedule::{Round, Schedule, units};
use crate::stats::{Stats, bump};
use crate::table::{Records, Slots};
use crate::time::Instant;
use crate::timers::Timers;
use crate::token::Token;
use crate::trace::{Detail, Entry, Input, RecordedInput, Recorder, hash};
use crate::unavailable::count;
use crate::uses::{Everything, Uses};
use answer::Moved;
use policy::Policy;
use stale::Staleness;
use stop::Stopping;
pub(crate) use table::Parts;
pub use table::Table;

/// What the machine knows beside its slots.
// In this order, what each message needs first: it lies on a few lines of the cache, and an access is a short
// instruction, as it is up to 127 bytes from the beginning.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Machine {
    now: Instant,
    windows: Windows,
    trigger: Trigger,
    issued: Issued,
    staleness: Staleness,
    stopping: Stopping,
    admission: Admission,
    schedule: Schedule,
    deadlines: Deadlines,
    /// In units of [`OPERATION_MIN`].
    linger: u16,
    /// The functions for datagram sockets, from the first of them on.
    datagrams: Option<&'static datagram::Functions>,
    /// The same of connections in trouble, unless they end.
    patience: Option<&'static patience::Functions>,
    /// The same of handlers that send to other connections.
    filled: Option<&'static filled::Functions>,
    /// The same of listeners that are preferred.
    preferred: Option<&'static preferred::Functions>,
    /// The same of sources that are limited.
    sources_of: Option<&'static per_source::Functions>,
    /// What a full table does for a connection that waits.
    policy: Option<&'static Policy>,
    /// The same of watched descriptors.
    watched: Option<&'static watch::Functions>,
    /// The same of connections that are made.
    outbound: Option<&'static connect::Functions>,
    hash_seed: u64,
    sources: Sources,
    /// Unix peers so far, to number them.
    unix_peers: u32,

    stats: Stats,
    full_warning: Limited,
    most_warning: Limited,
    source_warning: Limited,
    shortage_warning: Limited,
    long_warning: Limited,
}

/// The operation that was issued to the driver last, until it completes or the next is pulled.
#[derive(Clone, Copy, Debug)]
struct Issued {
    /// [`Token::NONE`]: there is none.
    token: Token,
    op: Op,
}

impl Issued {
    const NOTHING: Self = Self {
        token: Token::NONE,
        op: Op::Cancel,
    };
}

impl Machine {
    /// Whether a new readiness set is to be requested, or a filled connection to be sent from.
    const fn is_urgent(&self) -> bool {
        self.staleness.rebuilds() | self.schedule.has_filled()
    }

    fn new(config: &Config, connections: u32, windows: Windows) -> Self {
        Self {
            windows,
            trigger: config.trigger,
            linger: u16::try_from(units(config.linger_bytes)).unwrap_or(u16::MAX),
            hash_seed: config.hash_seed,
            sources: config.sources,
            now: Instant::ZERO,
            deadlines: Deadlines::new(config),
            schedule: Schedule::new(config, windows),
            issued: Issued::NOTHING,
            datagrams: None,
            staleness: Staleness::NONE,
            stopping: Stopping::NO,
            admission: Admission::new(config, connections),
            patience: None,
            filled: None,
            preferred: None,
            sources_of: None,
            policy: Policy::of(config.full),
            watched: None,
            outbound: None,
            unix_peers: 0,
            stats: Stats::default(),
            full_warning: Limited::NEW,
            most_warning: Limited::NEW,
            source_warning: Limited::NEW,
            shortage_warning: Limited::NEW,
            long_warning: Limited::NEW,
        }
    }
}

/// The machine: what happened goes in as a value, what to do comes out as a value.
///
/// It works on a borrowed [`Table`], so there is one copy of its code whatever `N` is. Any order of calls is legal; the
/// loop of the [crate documentation](crate) is the one that makes sense.
#[derive(Debug)]
pub struct Dispatcher<'t> {
    // First, so that it is reached by the shortest instructions.
    m: &'t mut Machine,
    pub(crate) slots: Slots<'t>,
    pub(crate) records: Records<'t>,
    sources: &'t mut [u64],
    blocks: &'t mut [u64],
    timers: Timers<'t>,
    recorder: &'t mut Recorder,
}

impl<'t> Dispatcher<'t> {
    /// A machine over `table`, which forgets what it held.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the value that cannot work, and what would.
    pub fn new<const N: usize, const SOURCES: usize, const TIMERS: usize>(
        table: &'t mut Table<N, SOURCES, TIMERS>,
        config: &Config,
        windows: Windows,
    ) -> Result<Self, ConfigError> {
        Self::of::<Everything>(table.lend(), config, windows)
    }

    /// The same without what a handler does not need.
    pub(crate) fn of<U: Uses>(
        parts: Parts<'t>,
        config: &Config,
        windows: Windows,
    ) -> Result<Self, ConfigError> {
        let slots = count(parts.slots.connections.len());
        config.check(slots, windows)?;
        let connections = config.connections.unwrap_or(slots);
        let machine = Machine::new(config, connections, windows);
        let mut made = Self {
            slots: parts.slots,
            records: parts.records,
            sources: parts.sources,
            blocks: parts.blocks,
            timers: parts.timers,
            recorder: parts.recorder,
            m: parts.machine.write(machine),
        };
        if U::LIMITS_SOURCES && config.sources.block.is_some() {
            made.count_sources();
        }
        if U::RECORDS {
            made.recorder.switch_on();
        }
        if U::PATIENT {
            made.be_patient();
        }
        if U::SHARES_DESCRIPTORS {
            made.watch_staleness();
        }
        Ok(made)
    }

    /// The same machine, borrowed for a shorter time.
    pub(crate) fn reborrow(&mut self) -> Dispatcher<'_> {
        Dispatcher {
            slots: self.slots.reborrow(),
            records: self.records.reborrow(),
            sources: self.sources,
            blocks: self.blocks,
            timers: self.timers.reborrow(),
            recorder: self.recorder,
            m: self.m,
        }
    }

    /// The tap for what goes in: kept by the flight recorder, and recorded in the full trace, if there is one. Out of line,
    /// as little of it as there can be in the loop.
    #[inline(never)]
    pub(crate) fn record(&mut self, token: Token, input: Input, detail: Detail) {
        self.recorder.push_if_on(self.m.now, token, input);
        self.trace(|| Entry::Call(token, input, detail));
    }

    /// The same for the flight recorder alone.
    pub(crate) fn keep<U: Uses>(&mut self, token: Token, input: Input) {
        if U::RECORDS {
            self.recorder.push(self.m.now, token, input);
        }
    }

    /// The same where it is not known whether the recorder is on.
    pub(crate) fn keep_if_on(&mut self, token: Token, input: Input) {
        self.recorder.push_if_on(self.m.now, token, input);
    }

    /// The same for the full trace alone, and what comes out: a replay compares it.
    pub(crate) fn trace<'a>(&mut self, entry: impl FnOnce() -> Entry<'a>) {
        self.recorder.trace(entry);
    }

    /// The hash of what was sent, for the full trace; 0 if there is none.
    pub(crate) fn traced_hash(&self, bytes: &[u8]) -> u32 {
        if self.is_traced() { hash(bytes) } else { 0 }
    }

    /// Whether there is a full trace.
    pub(crate) fn is_traced(&self) -> bool {
        self.recorder.is_traced()
    }
}

/// The four verbs. What goes in never fails: a wrong event is dropped and counted in [`Stats`].
impl Dispatcher<'_> {
    /// Takes in what happened. Bounded work: at most the table's listeners are touched, and an accept
    /// reads the counters of its source and its block, which costs the same whatever their limits are.
    pub fn handle_event(&mut self, now: Instant, event: Event) -> Option<Notice> {
        self.take_in::<Everything>(now, event)
    }

    /// The same for a handler that may need less.
    pub(crate) fn take_in<U: Uses>(&mut self, now: Instant, event: Event) -> Option<Notice> {
        match event {
            Event::Ready {
                token,
                directions,
                closing,
            } => self.take_ready::<U>(now, token, directions, closing),
            Event::Done { token, op, outcome } => {
                self.advance_clock(now);
                self.keep::<U>(token, Input::done(op, &outcome));
                self.done(token, op, outcome)
            }
        }
    }

    /// A readiness event.
    #[inline]
    pub(crate) fn take_ready<U: Uses>(
        &mut self,
        now: Instant,
        token: Token,
        directions: Directions,
        closing: bool,
    ) -> Option<Notice> {
        self.advance_clock(now);
        let input = Input::Ready {
            directions,
            closing,
        };
        self.keep::<U>(token, input);
        if token.is_listener() {
            return self.source_ready(token, directions, closing);
        }
        self.ready(token, directions, closing);
        None
    }

    /// The completion of what is no transfer.
    pub(crate) fn take_call<U: Uses>(
        &mut self,
        now: Instant,
        token: Token,
        op: Op,
        outcome: &Outcome,
    ) -> Option<Notice> {
        self.advance_clock(now);
        self.keep::<U>(token, Input::done(op, outcome));
        self.called(token, op, outcome)
    }

    /// Begins an iteration, unless one is in progress: takes the time in, acts on deadlines that have passed, at most
    /// 64 of them, and lets [`poll_timer`](Self::poll_timer) and [`poll_output`](Self::poll_output) return values
    /// again.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance_clock(now);
        self.m.schedule.begin();
        let waiting = self.m.schedule.waiting();
        self.m.stats.worst_queue = self.m.stats.worst_queue.max(waiting);
        self.timers.begin_iteration();
        self.watch_stale();
        self.expire();
    }

    /// What to do next, or `None`: it is time to poll the kernel, for [`poll_timeout`](Self::poll_timeout) at most.
    ///
    /// A source that was just reported is serviced within `(Q + Q / K + 2) × V` outputs, where `Q` is the number of
    /// such sources ahead of it, at most `N + 16`, `K` is [`Config::fresh_in_a_row`] and `V = 2 × quantum / 256 + 4`
    /// bounds the outputs of one service. Where a listener has [priority](Self::set_priority) it is twice that, `Q`
    /// being the number of those ahead of it that have priority as it has, or have none as it has none. One that has
    /// used up its quantum is serviced within `(C + 1) × (K + 1) × V` outputs of the iterations that follow, where `C`
    /// is the number of such sources ahead of it. An iteration ends after [`Config::iteration_bytes`] bytes, or when each source
    /// that was queued at its beginning, and each that became ready in it, has been serviced once. Where handlers fill
    /// the send buffers of other connections, one send of each such connection comes in between. Work: one service of
    /// each queued source.
    #[inline]
    pub fn poll_output(&mut self) -> Option<Action> {
        if self.m.is_urgent()
            && let Some(action) = self.next_urgent()
        {
            return Some(action);
        }
        loop {
            let Some(index) = self.m.schedule.next(&mut self.slots) else {
                self.end_iteration();
                return None;
            };
            if let Some(action) = self.next_output(index) {
                // A copy, so that the action itself can stay in registers.
                trace!("{:?}", { action });
                return Some(action);
            }
        }
    }

    /// What comes before all sources.
    #[cold]
    fn next_urgent(&mut self) -> Option<Action> {
        self.m.issued = Issued::NOTHING;
        self.next_rebuild().or_else(|| self.next_of_filled())
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

/// Queries for a driver or an application.
impl Dispatcher<'_> {
    /// The operation that [`poll_output`](Self::poll_output) has returned last: of which source, and which. If it has returned none,
    /// [`Token::NONE`] and no transfer.
    pub(crate) const fn issued(&self) -> (Token, Op) {
        let Issued { token, op } = self.m.issued;
        (token, op)
    }

    /// The transfer that was issued last completes inline.
    #[inline]
    pub(crate) fn complete_transfer<U: Uses>(
        &mut self,
        token: Token,
        op: Op,
        completion: Completion,
    ) -> Moved {
        self.keep::<U>(token, Input::done(op, &completion.into()));
        if op == Op::Recv {
            self.received(token, completion)
        } else {
            self.sent(token, completion)
        }
    }

    /// A completion of nothing.
    pub(crate) fn count_unasked(&mut self) {
        bump(&mut self.m.stats.unasked);
    }

    /// Whether sources are queued, or deadlines that have passed are to be judged, so that the next poll must not
    /// sleep.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.has_outputs() || self.m.deadlines.has_late() || self.m.stopping.is_ending()
    }

    /// Whether something waits that [`poll_output`](Self::poll_output) acts on.
    fn has_outputs(&self) -> bool {
        self.m.schedule.has_work() || self.m.staleness.rebuilds()
    }

    /// Begins a round: of all the sources that are queued now.
    #[must_use]
    pub fn round(&self) -> Round {
        self.m.schedule.round()
    }

    /// Whether each source that was queued when this round began has been serviced since, or has gone. Call it at least
    /// once in 2³¹ services. However many sources become ready meanwhile, it becomes true, as each queue is serviced in
    /// order.
    #[must_use]
    pub fn is_round_over(&self, round: Round) -> bool {
        self.m.schedule.is_round_over(round)
    }

    /// The latest time that was set.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.m.now
    }

    /// The flight recorder: what went in last, [`RECORDED`](crate::trace::RECORDED) inputs at most, the oldest first.
    pub fn last_inputs(&self) -> impl Iterator<Item = RecordedInput> + '_ {
        self.recorder.inputs()
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
        (0..self.slots.used())
            .chain(self.places())
            .map(|index| (self.token(index), self.slots.at(index)))
            .map(|(token, slot)| (token, slot.readiness.registered()))
            .filter(|(_, registered)| !registered.is_empty())
            .map(|(token, registered)| (token, registered, self.trigger_of(token.slot())))
    }

    /// The live connections, of which the application was notified and `Closed` was not; those that it requested, too,
    /// opened or not.
    pub fn connections(&self) -> impl Iterator<Item = Token> + '_ {
        (0..self.slots.used())
            .filter(|index| self.is_known(*index))
            .map(|index| self.token(index))
    }
}
