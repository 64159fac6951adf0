//! Outbound connections, as the checker sees them: requested by the application, tried by the driver, notified once.

use super::connection::{Connection, Stage, Times};
use super::input::nanos_of;
use super::laws::IMPOSSIBLE;
use super::model::{Kind, Model};
use super::rest::Rest;
use tidegate_core::{
    Destination, Directions, Fault, Instant, Op, Outcome, Token, Trigger, Unavailable,
};

/// No listener: that of outbound connections.
const NOBODY: Token = Token::from_bits(u64::MAX);

impl Connection {
    /// What it can do.
    pub(super) fn directions(&self) -> Directions {
        match self.to {
            Some(Destination::Stream { directions, .. }) => directions,
            Some(Destination::Inet(_) | Destination::Registered(_)) | None => Directions::BOTH,
        }
    }

    pub(super) fn receives(&self) -> bool {
        self.directions().contains(Directions::READ)
    }

    /// Whether one side has ended. Of a stream that has one direction there is one side only.
    pub(super) fn is_half_closed(&self) -> bool {
        self.directions() == Directions::BOTH && (self.ended || self.half)
    }

    /// The completion of a sound driver for `Shutdown`: a non-socket stream has no half-close, and sometimes output on
    /// its way.
    pub(super) fn shut_down(&self) -> Outcome {
        match self.to {
            Some(Destination::Stream { number, .. }) if number & 4 == 0 => Outcome::Drained(0),
            Some(_) | None => Outcome::Complete(0),
        }
    }
}

impl Model {
    /// The application requested an outbound connection.
    pub(super) fn connects(
        &mut self,
        to: Destination,
        origin: Option<Token>,
        answer: Result<Token, Unavailable>,
    ) {
        let token = match answer {
            Ok(token) => token,
            Err(Unavailable::Stopping) => return assert!(self.has_stopped()),
            Err(Unavailable::Connections { capacity }) => {
                let free = self.limit.saturating_sub(self.taken());
                assert!(free <= self.withheld_from(NOBODY), "a slot was free");
                assert_eq!(capacity, self.limit);
                return;
            }
            Err(other) => panic!("{other:?}"),
        };
        let may = !self.has_stopped() || origin.is_some();
        assert!(may, "connects for none while stopping");
        let mut connection = Connection::new(NOBODY);
        connection.stage = Stage::Connecting;
        connection.to = Some(to);
        connection.opened_at = Instant::NEVER;
        self.take_place(token, connection);
    }

    /// One of several destinations; from 128 on, non-socket streams, of one direction, both, or none.
    pub(super) fn destination(&self, number: u8) -> Destination {
        if number >= 128 {
            let way = |bit: u8, way: Directions| way.when(number & bit != 0);
            return Destination::Stream {
                number: number.into(),
                directions: way(1, Directions::READ) | way(2, Directions::WRITE),
            };
        }
        match super::kernel::address(u32::from(number) % super::input::SOURCES) {
            Some(address) => Destination::Inet(address),
            None => Destination::Registered(number.into()),
        }
    }

    pub(super) fn attempts(&mut self, token: Token) {
        let (now, length) = (self.now, nanos_of(Some(self.config.congestion)));
        let connection = self.get(token);
        assert_eq!(connection.stage, Stage::Connecting, "{token:?}");
        assert!(
            !connection.source.closing && !connection.source.cancelled,
            "{token:?} is closing"
        );
        assert!(connection.call.is_none(), "two calls: {token:?}");
        connection.call = Some(Op::Connect);
        connection.opened_at = connection.opened_at.min(now);
        connection.congested = false;
        connection.rest.tries(token, Directions::WRITE, now, length);
    }

    pub(super) fn attempted(&mut self, token: Token, outcome: Outcome) {
        let (now, stopping) = (self.now, self.has_stopped());
        let unhurried = self.config.connect.is_none() && !stopping;
        let edge = self.config.trigger == Trigger::Edge;
        let connection = self.get(token);
        connection.call = None;
        let ends = connection.finished || connection.aborted || connection.source.cancelled;
        match outcome {
            Outcome::Complete(_) => {
                // An EOF that was there from the beginning is not notified.
                connection.ended |= !connection.receives();
                let sends = connection.directions().contains(Directions::WRITE);
                connection.half |= !sends;
                connection.shut |= !sends;
                connection.times = Times {
                    heard: now,
                    progress: now,
                    consumed: now,
                    spoken: true,
                };
                connection.rest = Rest::default();
                if !ends {
                    self.expected.may.push(Kind::Opened);
                    let sound = self.get(token).faults.is_empty();
                    self.expected.must = (unhurried && sound).then_some(Kind::Opened);
                }
            }
            Outcome::Drained(_) => {
                connection.disturbed = true;
                if !edge {
                    connection.rest.moves_nothing(Directions::WRITE, now, false);
                }
            }
            Outcome::Accepted(_) | Outcome::Datagram { .. } => connection.faults.push(IMPOSSIBLE),
            Outcome::Failed(Fault::Interrupted(_)) => {}
            Outcome::Failed(fault)
                if matches!(fault, Fault::Exhausted(_))
                    && connection.source.registered.is_empty() =>
            {
                connection.congested = true;
            }
            Outcome::Failed(fault) => connection.faults.push(fault),
        }
    }
}
