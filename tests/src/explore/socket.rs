//! [`Socket`]: one connection as the kernel, its peer and the application have it.
//!
//! It stands apart from the kernel of `tidegate-sim` because a state is stored tens of millions of times: a socket, its peer
//! and what the application requested are three bytes, and unread bytes are a number below four.

use tidegate_core::{Directions, Trigger};

/// Bytes of a packed socket.
pub(super) const SOCKET: usize = 3;
/// Bytes of ours that may wait for the peer to read them.
pub(super) const UNREAD: u32 = 1;

/// A connection from outside the machine.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Socket {
    /// Accepted and not closed.
    pub(super) open: bool,
    /// Bytes from the peer that wait to be received.
    pub(super) arrived: u32,
    /// Bytes of ours that the peer has not read.
    pub(super) unread: u32,
    pub(super) finished: bool,
    pub(super) reset: bool,
    /// FIN was sent.
    pub(super) shut: bool,
    /// A send would have blocked since it was last writable.
    pub(super) no_space: bool,
    /// Something has happened since it was reported: an edge.
    pub(super) changed: bool,
    /// A one-shot interest has been reported.
    pub(super) fired: bool,
    pub(super) registered: Directions,

    /// The notices of the application, and what it requested.
    pub(super) told: bool,
    pub(super) ended: bool,
    pub(super) paused: bool,
    pub(super) asked_to_finish: bool,
    pub(super) aborted: bool,
    pub(super) waits_for_room: bool,
}

impl Socket {
    pub(super) const ACCEPTED: Self = Self {
        open: true,
        arrived: 0,
        unread: 0,
        finished: false,
        reset: false,
        shut: false,
        no_space: false,
        changed: false,
        fired: false,
        registered: Directions::NONE,
        told: false,
        ended: false,
        paused: false,
        asked_to_finish: false,
        aborted: false,
        waits_for_room: false,
    };

    /// What could be done now.
    pub(super) fn possible(&self) -> Directions {
        Directions::READ.when(self.arrived > 0 || self.finished || self.reset)
            | Directions::WRITE.when(self.unread < UNREAD || self.reset)
    }

    /// What a wait would report, and whether as the end.
    pub(super) fn report(&self, trigger: Trigger) -> Option<(Directions, bool)> {
        if self.registered.is_empty() {
            return None;
        }
        let due = match trigger {
            Trigger::Level => true,
            Trigger::Edge => self.changed,
            Trigger::Oneshot => !self.fired,
        };
        let closing = self.reset
            || self.finished && (self.shut || self.registered.contains(Directions::READ));
        let directions = self.possible() & self.registered;
        (due && (closing || !directions.is_empty())).then_some((directions, closing))
    }

    /// Whether the peer may still do something.
    pub(super) fn has_peer(&self) -> bool {
        self.open && !self.reset
    }

    /// What still matters once the machine closes it: what is registered, and what it owes the application.
    pub(super) fn closing(&self) -> Self {
        Self {
            open: self.open,
            registered: self.registered,
            told: self.told,
            ended: self.ended,
            asked_to_finish: self.asked_to_finish,
            aborted: self.aborted,
            // Something may always come.
            changed: true,
            ..Self::default()
        }
    }

    pub(super) fn pack(&self) -> [u8; SOCKET] {
        let bits =
            |flags: &[bool]| (flags.iter().rev()).fold(0, |bits, flag| bits << 1 | u8::from(*flag));
        let registered = |direction| self.registered.contains(direction);
        let bytes = u8::try_from(self.arrived << 4 | self.unread).expect("few bytes");
        [
            bytes << 2 | bits(&[registered(Directions::READ), registered(Directions::WRITE)]),
            bits(&[
                self.open,
                self.finished,
                self.reset,
                self.shut,
                self.no_space,
                self.changed,
                self.fired,
                self.registered == Directions::HANGUP,
            ]),
            bits(&[
                self.told,
                self.ended,
                self.paused,
                self.asked_to_finish,
                self.aborted,
                self.waits_for_room,
            ]),
        ]
    }

    pub(super) fn unpack([bytes, kernel, app]: [u8; SOCKET]) -> Self {
        let bit = |of: u8, at: u32| of >> at & 1 != 0;
        Self {
            open: bit(kernel, 0),
            arrived: u32::from(bytes >> 6),
            unread: u32::from(bytes >> 2 & 15),
            finished: bit(kernel, 1),
            reset: bit(kernel, 2),
            shut: bit(kernel, 3),
            no_space: bit(kernel, 4),
            changed: bit(kernel, 5),
            fired: bit(kernel, 6),
            registered: Directions::READ.when(bit(bytes, 0))
                | Directions::WRITE.when(bit(bytes, 1))
                | Directions::HANGUP.when(bit(kernel, 7)),
            told: bit(app, 0),
            ended: bit(app, 1),
            paused: bit(app, 2),
            asked_to_finish: bit(app, 3),
            aborted: bit(app, 4),
            waits_for_room: bit(app, 5),
        }
    }
}
