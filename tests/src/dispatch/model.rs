//! [`Model`]: what the checker believes, learned only from what went in and came out, and the laws over it.

use super::connection::{Connection, Stage};
use super::datagrams::{Heard, Socket};
use super::input::{Plan, RX, TX, nanos_of};
use super::timers::Timers;
use super::watches::{Told, Watch};
use alloc::collections::VecDeque;
use std::collections::HashMap;
use tidegate_core::{
    Action, Directions, Fault, Instant, Op, Outcome, Reason, Span, Stats, Token, Trigger,
};

/// What is registered of a source, and how its end goes.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) registered: Directions,
    /// What will be reported: what is registered, unless it is a one-shot interest that was reported.
    pub(super) armed: Directions,
    pub(super) cancelled: bool,
    /// `Close` was issued.
    pub(super) closing: bool,
}

/// A listener.
#[derive(Debug, Default)]
pub(super) struct Listener {
    pub(super) source: Source,
    /// An `Accept` or `Refuse` is in flight.
    pub(super) busy: bool,
    pub(super) refusing: bool,
    /// Its descriptor is broken, so it ends.
    pub(super) failed: bool,
    /// An accept failed for resource exhaustion: none is tried until then, or until a connection is closed.
    pub(super) pauses_until: Instant,
    pub(super) gone: bool,
    /// Slots that only its connections may take.
    pub(super) reserved: u32,
    /// The most connections that it may have.
    pub(super) at_most: Option<u32>,
    /// It is not a listener but a watched descriptor.
    pub(super) watch: Option<Watch>,
    /// It is not a listener but a datagram socket.
    pub(super) datagrams: Option<Socket>,
}

/// The notice that an event returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    Opened,
    Readable,
    Writable,
    Ended,
    Closed(Reason),
    /// Its timer is due: no event returns it.
    Timer,
}

/// What may be notified about the event that goes in, and what was.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) token: Option<Token>,
    pub(super) may: Vec<Kind>,
    pub(super) must: Option<Kind>,
    pub(super) told: Vec<Kind>,
    pub(super) bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Opened,
    Readable,
    Writable,
    Ended,
    Closed,
}

/// What the checker believes.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) connections: HashMap<Token, Connection>,
    pub(super) listeners: HashMap<Token, Listener>,
    /// In the order in which they were reserved.
    pub(super) order: Vec<Token>,
    pub(super) now: Instant,
    pub(super) expected: Expected,
    /// `resume` was called in the current service.
    pub(super) resumed: bool,
    pub(super) stop_at: Option<Instant>,
    /// No source was queued since the iteration began: every end that was decided has shown.
    pub(super) shown: bool,
    /// When it was first stopped.
    pub(super) stopped_at: Option<Instant>,
    pub(super) bare: bool,
    pub(super) per_source: Option<u32>,
    pub(super) limit: u32,
    pub(super) longest: Option<u64>,
    /// Lengths of timers are multiples of it.
    pub(super) unit: u64,
    pub(super) config: tidegate_core::Config,
    pub(super) counted: Stats,
    pub(super) timers: Timers,
    /// The required notice of a watched descriptor.
    pub(super) of_watch: Option<Told>,
    /// The required notices of datagram sockets.
    pub(super) of_datagrams: VecDeque<Heard>,
}

impl Model {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            connections: HashMap::new(),
            listeners: HashMap::new(),
            order: Vec::new(),
            now: Instant::ZERO,
            expected: Expected::default(),
            resumed: false,
            stop_at: None,
            shown: false,
            stopped_at: None,
            bare: !plan.session,
            per_source: plan.per_source,
            limit: plan.limit,
            longest: plan.longest(),
            unit: plan.unit,
            config: plan.config.clone(),
            counted: Stats::default(),
            timers: Timers::default(),
            of_watch: None,
            of_datagrams: VecDeque::new(),
        }
    }

    /// The machine is to stop by this time.
    pub(super) fn stops(&mut self, by: Instant) {
        self.stopped_at.get_or_insert(self.now);
        self.stop_at = Some(self.stop_at.map_or(by, |earlier| earlier.min(by)));
        self.end_pauses();
    }

    /// What a listener lacks may be there.
    pub(super) fn end_pauses(&mut self) {
        for listener in self.listeners.values_mut() {
            listener.pauses_until = Instant::ZERO;
        }
    }

    /// An accept has completed, or a refusal. What the system has too little of is not tried for again at once.
    pub(super) fn tried(&mut self, listener: Token, outcome: Outcome) {
        let pause = nanos_of(Some(self.config.pause_min));
        let until = self.now.plus_nanos(pause);
        let listener = self.listeners.get_mut(&listener).expect("a known listener");
        listener.busy = false;
        let Outcome::Failed(fault) = outcome else {
            return;
        };
        match fault {
            Fault::Exhausted(_) | Fault::Unknown(_) => listener.pauses_until = until,
            Fault::Invalid(_) => listener.failed = true,
            Fault::Interrupted(_)
            | Fault::Reset(_)
            | Fault::Refused(_)
            | Fault::TimedOut(_)
            | Fault::Unreachable(_) => {}
        }
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.stop_at.is_some()
    }

    pub(super) fn live(&self) -> impl Iterator<Item = (Token, &Connection)> {
        self.order.iter().filter_map(|token| {
            let connection = &self.connections[token];
            (connection.stage != Stage::Gone).then_some((*token, connection))
        })
    }

    /// A connection that was reserved at some time.
    pub(super) fn get(&mut self, token: Token) -> &mut Connection {
        self.connections
            .get_mut(&token)
            .unwrap_or_else(|| panic!("{token:?} was never reserved"))
    }

    pub(super) fn source(&mut self, token: Token) -> (&mut Source, bool) {
        if token.is_listener() {
            let listener = self.listeners.get_mut(&token).expect("a known listener");
            assert!(!listener.gone, "{token:?} is gone");
            let socket = listener.datagrams.as_ref();
            let flies = socket.is_some_and(|socket| socket.receiving || socket.sending);
            (&mut listener.source, listener.busy || flies)
        } else {
            let connection = self
                .connections
                .get_mut(&token)
                .expect("a known connection");
            assert!(
                connection.is_known() || connection.stage == Stage::Refused,
                "{token:?} is not a connection"
            );
            let busy = connection.in_flight();
            (&mut connection.source, busy)
        }
    }
}

/// Outputs.
impl Model {
    /// Checks what the machine wants done, and believes it is.
    pub(super) fn output(&mut self, action: Action) {
        self.shown = false;
        match action {
            Action::Accept { listener, token } => self.accepts(listener, token),
            Action::Refuse { listener } => {
                assert_eq!(self.config.full, tidegate_core::FullTable::Refuse, "policy");
                let full = self.taken() + self.withheld_from(listener) >= self.limit
                    || self.has_its_most(listener);
                assert!(full, "refused though there is a slot");
                self.take_listener(listener, true);
            }
            Action::Connect { token } => self.attempts(token),
            Action::Recv { token, into } => self.receives(token, into),
            Action::Send { token, from } => self.sends(token, from),
            Action::Arm {
                token,
                was,
                now,
                trigger,
            } => self.arms(token, was, now, trigger),
            Action::Shutdown { token } => self.shuts(token),
            Action::Unsent { token } => self.measures(token),
            Action::ReceiveFrom { token } => self.datagram_is_asked_for(token),
            Action::SendTo { token } => self.datagram_is_sent(token),
            Action::Cancel { token } => self.cancels(token),
            Action::Close { token, reset } => self.closes(token, reset),
            Action::Rebuild => {
                for source in self.sources() {
                    source.armed = source.registered;
                }
            }
        }
    }

    fn receives(&mut self, token: Token, into: Span) {
        let (now, length) = (self.now, nanos_of(Some(self.config.congestion)));
        let connection = self.transfers(token);
        assert!(connection.receiving.is_none(), "two receives: {token:?}");
        assert!(
            into.len > 0 && into.at.saturating_add(into.len) as usize <= RX,
            "{into:?}"
        );
        assert!(!connection.ended, "receive after the end: {token:?}");
        assert!(
            !connection.paused || connection.shut,
            "receive while paused: {token:?}"
        );
        connection.receiving = Some(into);
        connection.rest.tries(token, Directions::READ, now, length);
    }

    fn sends(&mut self, token: Token, from: Span) {
        let (now, length) = (self.now, nanos_of(Some(self.config.congestion)));
        let connection = self.transfers(token);
        assert!(connection.sending.is_none(), "two sends: {token:?}");
        assert!(
            from.len > 0 && from.at.saturating_add(from.len) as usize <= TX,
            "{from:?}"
        );
        assert_eq!(
            from.len as usize,
            connection.pending().len(),
            "all that is queued is sent"
        );
        assert!(!connection.shut, "sends after its end: {token:?}");
        connection.sending = Some(from);
        connection.rest.tries(token, Directions::WRITE, now, length);
    }

    fn shuts(&mut self, token: Token) {
        let connection = self.transfers(token);
        assert!(
            connection.call.is_none() && !connection.shut,
            "one end: {token:?}"
        );
        assert!(
            connection.pending().is_empty(),
            "end before what is queued: {token:?}"
        );
        let asked = connection.finished || connection.half;
        connection.call = Some(Op::Shutdown);
        connection.shut = true;
        assert!(
            asked || self.stop_at.is_some(),
            "an unrequested FIN: {token:?}"
        );
    }

    fn measures(&mut self, token: Token) {
        let length = super::input::nanos_of(self.config.write_stall);
        let now = self.now;
        let connection = self.transfers(token);
        assert!(connection.call.is_none(), "two calls: {token:?}");
        connection.call = Some(Op::Unsent);
        if connection.pending().is_empty() {
            // Not how much: whether it has failed, after the peer's FIN, or a hang-up of one that receives nothing.
            assert!(
                connection.hung_up || connection.ended,
                "no hang-up was reported: {token:?}"
            );
            connection.hung_up = false;
            connection.checks = true;
            return;
        }
        connection.checks = false;
        let since = connection.settled.progress;
        connection.probed = since;
        // A wait for memory may have begun long before there was any output.
        let since = if connection.is_congested() {
            connection.opened_at
        } else {
            since
        };
        assert!(now.nanos_since(since) >= length, "stalled early: {token:?}");
    }

    fn cancels(&mut self, token: Token) {
        let (source, busy) = self.source(token);
        assert!(busy, "nothing to cancel: {token:?}");
        assert!(
            !source.cancelled && !source.closing,
            "cancelled twice: {token:?}"
        );
        source.cancelled = true;
    }

    fn closes(&mut self, token: Token, reset: bool) {
        let (source, busy) = self.source(token);
        assert!(!busy, "closed with something in flight: {token:?}");
        assert!(
            source.registered.is_empty(),
            "closed while armed: {token:?}"
        );
        assert!(!source.closing, "closed twice: {token:?}");
        source.closing = true;
        let asked = (self.connections.get(&token))
            .is_some_and(|connection| connection.aborted || connection.stage == Stage::Refused);
        assert!(!reset || asked, "unrequested reset: {token:?}");
    }

    fn sources(&mut self) -> impl Iterator<Item = &mut Source> {
        let listeners = self
            .listeners
            .values_mut()
            .map(|listener| &mut listener.source);
        listeners.chain(
            self.connections
                .values_mut()
                .map(|connection| &mut connection.source),
        )
    }

    fn held_by(&self, listener: Token) -> u32 {
        let held = self.live().filter(|(_, of)| of.listener == listener);
        u32::try_from(held.count()).unwrap_or(u32::MAX)
    }

    /// Free slots that are not for this listener, nor, if it is none, for a connection that is made.
    pub(super) fn withheld_from(&self, listener: Token) -> u32 {
        let others = self.listeners.iter();
        let others = others.filter(|(other, known)| **other != listener && !known.gone);
        others
            .map(|(other, known)| known.reserved.saturating_sub(self.held_by(*other)))
            .sum()
    }

    /// Whether this listener has as many connections as it may have.
    pub(super) fn has_its_most(&self, listener: Token) -> bool {
        let known = self.listeners.get(&listener);
        let most = known.and_then(|known| known.at_most);
        most.is_some_and(|most| self.held_by(listener) >= most)
    }

    /// Whether this listener must leave a connection the slot that it has.
    pub(super) fn is_reserved_from(&self, connection: &Connection, listener: Token) -> bool {
        let of = connection.listener;
        let reserved =
            |known: &Listener| !known.gone && self.held_by(of) <= known.reserved && of != listener;
        self.listeners.get(&of).is_some_and(reserved)
    }

    pub(super) fn taken(&self) -> u32 {
        u32::try_from(self.live().count()).unwrap_or(u32::MAX)
    }

    fn take_listener(&mut self, token: Token, refusing: bool) {
        let listener = self.listeners.get_mut(&token).expect("a known listener");
        assert!(
            !listener.gone && !listener.source.closing,
            "{token:?} is gone"
        );
        assert!(!listener.busy, "two accepts: {token:?}");
        let paused = listener.pauses_until > self.now;
        assert!(!paused, "an accept while it pauses: {token:?}");
        listener.busy = true;
        listener.refusing = refusing;
    }

    fn accepts(&mut self, listener: Token, token: Token) {
        self.take_listener(listener, false);
        self.take_place(token, Connection::new(listener));
    }

    pub(super) fn take_place(&mut self, token: Token, connection: Connection) {
        assert!(
            !token.is_listener() && token.index() < self.limit,
            "{token:?} is outside the table"
        );
        let taken = self.taken() + self.withheld_from(connection.listener);
        assert!(taken < self.limit, "a slot of a full table");
        let most = self.has_its_most(connection.listener);
        assert!(!most, "more connections than its listener may have");
        assert!(
            self.live().all(|(other, _)| other.index() != token.index()),
            "{token:?}: the slot is taken"
        );
        let before = self.connections.insert(token, connection);
        assert!(before.is_none(), "{token:?} comes again");
        self.order.push(token);
    }

    /// A connection on which something may be done.
    fn transfers(&mut self, token: Token) -> &mut Connection {
        let connection = self.get(token);
        assert!(connection.is_live(), "{token:?} is not open");
        assert!(
            !connection.source.closing && !connection.source.cancelled,
            "{token:?} is closing"
        );
        connection
    }

    fn arms(&mut self, token: Token, was: Directions, now: Directions, trigger: Trigger) {
        let due = if token.is_listener() {
            Trigger::Level
        } else {
            self.config.trigger
        };
        assert_eq!(trigger, due, "{token:?}");
        if let Some(connection) = self.connections.get(&token) {
            // Of one that wants nothing, a hang-up is awaited: of edge mode, which arms both at once.
            let alone = (now & Directions::BOTH).is_empty();
            let leaves = connection.paused || connection.ended || connection.wants > 0;
            let leaves = leaves || connection.unread() > 0;
            let rests = alone || trigger == Trigger::Edge && leaves;
            assert!(
                connection.disturbed || rests,
                "armed though all is ready: {token:?}"
            );
        }
        let (source, busy) = self.source(token);
        assert!(!source.closing, "armed after its close: {token:?}");
        assert!(
            !source.cancelled || (now.is_empty() && !busy),
            "armed while closing: {token:?}"
        );
        assert_eq!(source.registered, was, "{token:?}");
        assert!(
            was != now || trigger == Trigger::Oneshot,
            "armed without need: {token:?}"
        );
        source.registered = now;
        source.armed = now;
    }
}
