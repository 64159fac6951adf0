//! The laws: what may be notified about a completion, and what holds between two calls.

use super::connection::{Stage, Times};
use super::input::{RX, TX, nanos_of};
use super::kernel::source_of;
use super::model::{Call, Expected, Kind, Model};
use tidegate_core::{
    Class, Directions, Dispatcher, Fault, FullTable, OPERATION_MIN, Op, Outcome, Reason, Token,
    Trigger,
};

/// Events.
impl Model {
    /// An event goes in.
    pub(super) fn reports(&mut self, token: Token, directions: Directions, closing: bool) {
        let oneshot = self.config.trigger == Trigger::Oneshot;
        if let Some(connection) = self.connections.get_mut(&token)
            && connection.stage != Stage::Gone
        {
            connection.disturbed = true;
            connection.hung_up |= closing;
            connection.rest.reported(directions);
            if oneshot {
                connection.source.armed = Directions::NONE;
            }
        }
    }

    /// Arming failed.
    pub(super) fn arm_failed(&mut self, token: Token, fault: Fault) {
        let (source, _) = self.source(token);
        source.registered = Directions::NONE;
        source.armed = Directions::NONE;
        self.datagrams_pause(token);
        if let Some(connection) = self.connections.get_mut(&token) {
            connection.faults.push(fault);
        }
    }

    /// The completion of an action goes in: what may be notified?
    pub(super) fn answers(&mut self, token: Token, op: Op, outcome: Outcome) {
        self.expected = Expected {
            token: Some(token),
            ..Expected::default()
        };
        match op {
            Op::Accept => self.accepted(token, outcome),
            Op::Refuse => {
                self.tried(token, outcome);
                if let Outcome::Complete(_) | Outcome::Accepted(_) = outcome {
                    self.counted.refused_full += 1;
                }
            }
            Op::Connect => self.attempted(token, outcome),
            Op::Recv => self.received(token, outcome),
            Op::Send => self.sent(token, outcome),
            Op::ReceiveFrom => self.datagram_comes(token, outcome),
            Op::SendTo => self.datagram_goes(token, outcome),
            Op::Shutdown | Op::Unsent => {
                let connection = self.get(token);
                connection.call = None;
                let measured = op == Op::Unsent && !connection.checks;
                connection.lives = measured && matches!(outcome, Outcome::Drained(_));
                connection.checks = false;
                connection.not_shut |= op == Op::Shutdown && outcome != Outcome::Complete(0);
                if let Outcome::Failed(fault) = outcome
                    && (op == Op::Unsent || connection.half)
                {
                    connection.faults.push(fault);
                }
            }
            Op::Close if token.is_listener() => {
                self.listeners
                    .get_mut(&token)
                    .expect("a known listener")
                    .gone = true;
            }
            Op::Close => {
                if self.get(token).is_known() {
                    self.expected.may.push(Kind::Closed);
                    self.expected.must = Some(Kind::Closed);
                }
                self.get(token).stage = Stage::Gone;
                self.end_pauses();
            }
            Op::Arm | Op::Cancel => {}
        }
    }

    fn accepted(&mut self, token: Token, outcome: Outcome) {
        let listener = self.get(token).listener;
        self.tried(listener, outcome);
        let Outcome::Accepted(address) = outcome else {
            self.get(token).stage = Stage::Gone;
            return;
        };
        let source = source_of(address);
        let same = self.live().filter(|(_, other)| {
            other.stage == Stage::Told && source.is_some() && source_of(other.address) == source
        });
        let has = u32::try_from(same.count()).unwrap_or(u32::MAX);
        let refused = source.is_some() && self.per_source.is_some_and(|limit| has >= limit);
        let now = self.now;
        let connection = self.get(token);
        connection.address = address;
        connection.opened_at = now;
        connection.times = Times {
            heard: now,
            progress: now,
            consumed: now,
            spoken: false,
        };
        connection.settled = connection.times;
        if refused {
            connection.stage = Stage::Refused;
            self.counted.refused_source += 1;
        } else {
            connection.stage = Stage::Told;
            connection.opened = true;
            self.counted.accepted += 1;
            self.expected.may.push(Kind::Opened);
            self.expected.must = Some(Kind::Opened);
        }
    }

    fn received(&mut self, token: Token, outcome: Outcome) {
        let (now, edge) = (self.now, self.config.trigger == Trigger::Edge);
        let connection = self.get(token);
        let span = connection.receiving.take().expect("asked");
        match outcome {
            Outcome::Complete(n) | Outcome::Drained(n) if n > span.len => {
                connection.faults.push(IMPOSSIBLE)
            }
            Outcome::Complete(n) | Outcome::Drained(n) => {
                let short = matches!(outcome, Outcome::Drained(_));
                connection.disturbed |= short;
                if n > 0 {
                    connection.rest.moves(Directions::READ);
                } else if short && !edge {
                    connection.rest.moves_nothing(Directions::READ, now, false);
                }
                if n > 0 {
                    connection.times.heard = now;
                    connection.times.spoken = true;
                    if connection.shut {
                        connection.discarded += n.div_ceil(OPERATION_MIN);
                    }
                    if connection.unread() == 0 {
                        connection.times.consumed = now;
                    }
                    self.expected.bytes = u64::from(n);
                    self.expected.may.push(Kind::Readable);
                } else if !short {
                    connection.ended |= connection.finished;
                    self.expected.may.push(Kind::Ended);
                }
            }
            Outcome::Accepted(_) | Outcome::Datagram { .. } => connection.faults.push(IMPOSSIBLE),
            Outcome::Failed(fault) => connection.failed(fault, Directions::READ, now),
        }
    }

    fn sent(&mut self, token: Token, outcome: Outcome) {
        let (now, edge) = (self.now, self.config.trigger == Trigger::Edge);
        let connection = self.get(token);
        let span = connection.sending.take().expect("asked");
        match outcome {
            Outcome::Complete(n) | Outcome::Drained(n) if n > span.len => {
                connection.faults.push(IMPOSSIBLE)
            }
            Outcome::Complete(n) | Outcome::Drained(n) => {
                connection.disturbed |= matches!(outcome, Outcome::Drained(_)) || n == 0;
                connection.taken += n as usize;
                if n > 0 {
                    connection.rest.moves(Directions::WRITE);
                    connection.times.progress = now;
                    connection.times.heard = now;
                } else {
                    connection.rest.moves_nothing(Directions::WRITE, now, edge);
                }
                self.expected.may.push(Kind::Writable);
            }
            Outcome::Accepted(_) | Outcome::Datagram { .. } => connection.faults.push(IMPOSSIBLE),
            Outcome::Failed(fault) => connection.failed(fault, Directions::WRITE, now),
        }
    }
}

/// Notices.
impl Model {
    /// The application is notified.
    pub(super) fn told(&mut self, token: Token, call: Call) {
        let kind = match call {
            Call::Timer => return self.timer_is_told(token),
            Call::Opened => Kind::Opened,
            Call::Readable => Kind::Readable,
            Call::Writable => Kind::Writable,
            Call::Ended => Kind::Ended,
            Call::Closed(_) => Kind::Closed,
        };
        // What `resume` calls for, at the end of the service.
        if kind == Kind::Readable && core::mem::take(&mut self.resumed) {
            return;
        }
        assert_eq!(self.expected.token, Some(token), "{call:?} about another");
        assert!(
            self.expected.may.contains(&kind),
            "{call:?} out of the blue: {token:?}"
        );
        assert!(
            !self.expected.told.contains(&kind),
            "{call:?} twice: {token:?}"
        );
        self.expected.told.push(kind);
        let bytes = core::mem::take(&mut self.expected.bytes);
        let connection = self.get(token);
        connection.got += bytes;
        connection.was_full |= connection.unread() == RX as u64;
        match call {
            Call::Opened if connection.stage == Stage::Connecting => {
                connection.stage = Stage::Told;
                connection.opened = true;
                connection.settled = connection.times;
                self.counted.connected += 1;
            }
            Call::Opened => {}
            Call::Readable => assert!(!connection.paused, "notified while paused: {token:?}"),
            Call::Writable => {
                let fits = TX - connection.pending().len() >= connection.wants as usize;
                assert!(fits, "notified before it fits: {token:?}");
                connection.wants = 0;
            }
            Call::Ended => {
                assert!(!connection.ended, "two ends: {token:?}");
                connection.ended = true;
            }
            Call::Closed(reason) => {
                self.closed(token, reason);
            }
            Call::Timer => {}
        }
    }

    fn closed(&mut self, token: Token, reason: Reason) {
        if self.connections[&token].opened {
            self.counted.closed[reason.kind()] += 1;
        } else {
            self.counted.connect_failures += 1;
        }
        let (now, config) = (self.now, &self.config);
        let timed_out = self.stop_at.is_some_and(|by| by <= now);
        let connection = &self.connections[&token];
        let sent = connection.pending().is_empty();
        // The query said that it receives no more.
        let refused = |fault: &Fault| matches!(fault, Fault::Refused(_));
        let hung_up = connection.faults.iter().any(refused);
        match reason {
            Reason::PeerFinished => {
                let ours = connection.finished || connection.half || hung_up;
                assert!(
                    ours && connection.ended && connection.receives(),
                    "{token:?}"
                );
                assert!(sent || hung_up, "{token:?}");
            }
            Reason::Finished => {
                // Where nothing comes back, FIN sent is all of it.
                let half = connection.half || hung_up;
                let ours = connection.finished || (half && !connection.receives());
                assert!(sent && ours, "{token:?}");
                let lingered = connection.has_lingered(config.linger_bytes)
                    || nanos_of(config.linger) > 0
                        && now.nanos_since(connection.finished_at) >= nanos_of(config.linger)
                    || !matches!(config.full, FullTable::Wait | FullTable::Refuse)
                    || connection.aborted
                    || timed_out;
                assert!(lingered, "what the peer still sends resets it: {token:?}");
            }
            Reason::Stopping => assert!(self.stop_at.is_some() && (sent || timed_out), "{token:?}"),
            Reason::Aborted => assert!(connection.aborted),
            Reason::Evicted => match config.full {
                FullTable::Evict => {}
                FullTable::EvictHalfClosed => {
                    assert!(connection.is_half_closed(), "{token:?}");
                }
                FullTable::Wait | FullTable::Refuse => panic!("{token:?}: none is evicted"),
            },
            Reason::TooLong => {
                let said = sent && connection.too_long;
                assert!(connection.was_full || said, "{token:?}");
            }
            Reason::Failed(fault) => assert!(connection.faults.contains(&fault), "{fault:?}"),
            Reason::Deadline(class) => {
                let length = nanos_of(config.length(class));
                assert!(length > 0, "{class:?} is off");
                let since = match class {
                    Class::FirstByte => {
                        assert!(!connection.settled.spoken, "it has sent: {token:?}");
                        connection.opened_at
                    }
                    Class::Connect => {
                        assert!(!connection.opened, "it is connected: {token:?}");
                        connection.opened_at
                    }
                    Class::Request => connection.settled.consumed,
                    Class::WriteStall => connection.probed,
                    Class::Congestion => connection.opened_at,
                    Class::Idle if connection.lives => connection.probed,
                    Class::Idle => connection.settled.heard,
                    Class::HalfClosed => {
                        let half_closed = connection.is_half_closed();
                        assert!(half_closed, "both sides go on: {token:?}");
                        connection.settled.heard
                    }
                    Class::Linger => match self.stopped_at {
                        Some(stopped) if !connection.finished => stopped,
                        Some(stopped) => connection.finished_at.min(stopped),
                        None => connection.finished_at,
                    },
                };
                let after = now.nanos_since(since);
                assert!(
                    after >= length,
                    "{class:?} after {after} of {length}: {token:?}"
                );
            }
        }
    }
}

pub(super) const IMPOSSIBLE: Fault = Fault::Invalid(0);

/// What holds between two calls.
impl Model {
    /// After an event: the notices were the ones required.
    pub(super) fn answered(&mut self, core: &Dispatcher<'_>) {
        let expected = core::mem::take(&mut self.expected);
        if let Some(must) = expected.must {
            assert!(
                expected.told.contains(&must),
                "{must:?} was not notified: {:?}",
                expected.token
            );
        }
        let Some(token) = expected.token else { return };
        let Some(connection) = self.connections.get_mut(&token) else {
            return;
        };
        if connection.stage != Stage::Told {
            return;
        }
        // Bytes without a notice: taken while paused, or discarded because it is no longer open.
        let len = u64::from(core.unconsumed(token).len);
        if expected.bytes > 0 && len == connection.unread() + expected.bytes {
            assert!(connection.paused, "bytes without a notice: {token:?}");
            connection.got += expected.bytes;
            connection.was_full |= connection.unread() == RX as u64;
        }
        let fits = connection.wants > 0
            && connection.pending().is_empty()
            && core.spare_capacity(token).len > 0;
        assert!(!fits, "there is capacity, and no notice came: {token:?}");
    }

    /// After every step.
    pub(super) fn check(&mut self, core: &Dispatcher<'_>) {
        assert_eq!(core.now(), self.now, "the clock");
        let mut armed: Vec<_> = core.armed().map(|(token, now, _)| (token, now)).collect();
        let mut open: Vec<_> = core.connections().collect();
        for (token, connection) in &self.connections {
            let held = connection.source.registered;
            let position = armed.iter().position(|entry| *entry == (*token, held));
            assert_eq!(position.is_some(), !held.is_empty(), "armed: {token:?}");
            position.map(|position| armed.swap_remove(position));
            let position = open.iter().position(|entry| entry == token);
            assert_eq!(
                position.is_some(),
                connection.is_known(),
                "connections: {token:?}"
            );
            position.map(|position| open.swap_remove(position));
        }
        for (token, listener) in &self.listeners {
            let held = listener.source.registered;
            let position = armed.iter().position(|entry| *entry == (*token, held));
            assert_eq!(position.is_some(), !held.is_empty(), "armed: {token:?}");
            position.map(|position| armed.swap_remove(position));
        }
        assert!(armed.is_empty() && open.is_empty(), "{armed:?} {open:?}");
        let mut told = 0;
        for (token, connection) in self.live().filter(|(_, connection)| connection.is_live()) {
            told += 1;
            let info = core.info(token).expect("a live connection");
            assert_eq!(info.bytes_in, connection.got, "bytes in: {token:?}");
            assert_eq!(
                info.bytes_out, connection.taken as u64,
                "bytes out: {token:?}"
            );
            assert_eq!(info.outbound, connection.to.is_some(), "{token:?}");
            match connection.to {
                Some(to) => assert_eq!(info.peer, to.peer(), "{token:?}"),
                None => assert_eq!(info.listener, connection.listener.index(), "{token:?}"),
            }
            assert_eq!(info.opened_at, connection.opened_at, "{token:?}");
            let unread = u64::from(core.unconsumed(token).len);
            let dropped = unread == 0 && connection.shut;
            assert!(
                dropped || unread == connection.unread(),
                "unread: {token:?}"
            );
            if let (Some(into), false) = (connection.receiving, connection.shut) {
                let held = core.unconsumed(token);
                assert!(
                    held.len == 0 || held.at + held.len <= into.at,
                    "{held:?} {into:?}"
                );
            }
            if let Some(from) = connection.sending {
                let space = core.spare_capacity(token);
                assert!(
                    space.len == 0 || from.at + from.len <= space.at,
                    "{space:?} {from:?}"
                );
            }
        }
        self.check_stats(core, told);
        if core.has_work() {
            assert_eq!(core.poll_timeout(), Some(core.now()), "work is due now");
        }
    }

    fn check_stats(&self, core: &Dispatcher<'_>, told: u32) {
        let stats = core.stats();
        assert_eq!(stats.open, told, "open");
        assert!(stats.peak >= told && stats.peak <= self.limit, "peak");
        assert_eq!(stats.accepted, self.counted.accepted, "accepted");
        assert_eq!(
            stats.accepted + stats.connected,
            u64::from(stats.open) + stats.closed_total(),
            "accepted + connected = open + closed"
        );
        assert_eq!(stats.closed, self.counted.closed, "closed by reason");
        assert_eq!(stats.connected, self.counted.connected, "connected");
        assert_eq!(
            stats.connect_failures, self.counted.connect_failures,
            "not connected"
        );
        assert_eq!(
            stats.refused_full, self.counted.refused_full,
            "refused, full"
        );
        assert_eq!(
            stats.refused_source, self.counted.refused_source,
            "refused, source"
        );
        let got: u64 = self
            .connections
            .values()
            .map(|connection| connection.got)
            .sum();
        let taken: usize = self
            .connections
            .values()
            .map(|connection| connection.taken)
            .sum();
        assert_eq!(stats.bytes_in, got, "bytes in");
        assert_eq!(stats.bytes_out, taken as u64, "bytes out");
    }

    /// An iteration begins: notices before it count for the deadlines that it acts on, unless an end that was decided
    /// before may not have shown yet.
    pub(super) fn begins_turn(&mut self) {
        if core::mem::take(&mut self.shown) {
            self.settle();
        }
        self.timers.begin_turn();
    }

    fn settle(&mut self) {
        for connection in self.connections.values_mut() {
            // What comes while its end is joined no longer counts.
            if !connection.source.cancelled && !connection.source.closing {
                connection.settled = connection.times;
            }
        }
    }

    /// When no source is queued: whatever a connection could do is in flight or armed, or waits for a deadline.
    pub(super) fn quiet(&mut self, core: &Dispatcher<'_>) {
        self.settle();
        self.shown = true;
        for connection in self.connections.values_mut() {
            // Until then an end for taking nothing may have been decided.
            let ending = connection.source.cancelled || connection.source.closing;
            connection.lives &= ending || !connection.pending().is_empty();
        }
        self.timers_are_set(core);
        self.watches_are_armed();
        for (token, connection) in self.live() {
            let source = &connection.source;
            let ending = source.cancelled || source.closing;
            if connection.stage == Stage::Refused {
                assert!(source.closing, "{token:?} is not closed");
            }
            if connection.stage == Stage::Connecting && !ending {
                let waits = source.armed.contains(Directions::WRITE) || connection.is_congested();
                assert!(waits || connection.in_flight(), "forgotten: {token:?}");
            }
            if connection.stage != Stage::Told || ending {
                continue;
            }
            // A bare window is not moved: it has capacity again once all of it is consumed.
            let held = core.unconsumed(token);
            let used = if self.bare {
                u64::from(held.at + held.len)
            } else {
                connection.unread()
            };
            let hears = self.stop_at.is_none()
                && used < RX as u64
                && !connection.paused
                && !connection.ended
                && connection.pending().is_empty()
                && !connection.finished;
            let receives =
                connection.receiving.is_some() || source.armed.contains(Directions::READ);
            assert!(
                !hears || receives || connection.is_congested(),
                "deaf: {token:?}"
            );
            let sends = connection.sending.is_some() || source.armed.contains(Directions::WRITE);
            let queued = !connection.pending().is_empty();
            assert!(
                !queued || sends || connection.is_congested(),
                "mute: {token:?}"
            );
            let ends = connection.finished || connection.half;
            let waits = ends && !queued && !connection.shut && !connection.is_congested();
            assert!(!waits || connection.in_flight(), "does not end: {token:?}");
            if let Some(longest) = self.longest {
                let due = core.poll_timeout().expect("a connection has a deadline");
                assert!(
                    due.nanos_since(core.now()) <= longest + longest / 64,
                    "{due:?} is far"
                );
            }
        }
    }
}
