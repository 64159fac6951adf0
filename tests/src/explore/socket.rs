//! [`Socket`]: one connection as the kernel, its peer and the application have it.

use tidegate_core::{Directions, Token, Trigger};
use tidegate_sim::{Endpoint, Errno, Family, Held, Interest, SocketState, State};

/// Bytes of a packed socket: states are kept tens of millions of times.
pub(super) const SOCKET: usize = 3;
/// Bytes of ours that may wait for the peer to read them.
const UNREAD: usize = 1;

/// A connection from outside the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Socket {
    /// As the simulated kernel has it; not connected: there is none.
    pub(super) kernel: SocketState,
    /// FIN was sent.
    pub(super) shut: bool,
    /// It was falsely reported to have hung up: a machine that finds nothing wrong may ignore it from then on, and the
    /// true one with it.
    pub(super) misled: bool,

    /// The notices of the application, and what it requested.
    pub(super) told: bool,
    pub(super) ended: bool,
    pub(super) paused: bool,
    pub(super) asked_to_finish: bool,
    pub(super) aborted: bool,
    pub(super) waits_for_capacity: bool,
}

impl Socket {
    pub(super) const NONE: Self = Self {
        kernel: SocketState::new(Endpoint::new(Family::Tcp), UNREAD),
        shut: false,
        misled: false,
        told: false,
        ended: false,
        paused: false,
        asked_to_finish: false,
        aborted: false,
        waits_for_capacity: false,
    };
    pub(super) const ACCEPTED: Self = Self {
        kernel: SocketState::new(Endpoint::connected(Family::Tcp), UNREAD),
        ..Self::NONE
    };

    /// What is held of it, for the laws.
    pub(super) fn held(&self, token: Token) -> Held {
        let held = Held::of(token, &self.kernel);
        Held {
            failed: held.failed && !self.misled,
            ..held
        }
    }

    /// Its connect is in progress.
    pub(super) const CONNECTING: Self = {
        let mut socket = Self::NONE;
        socket.kernel.end.state = State::Connecting;
        socket
    };

    /// Accepted, or begun to connect, and not closed.
    pub(super) fn is_open(&self) -> bool {
        self.kernel.end.state != State::Fresh
    }

    /// Whether there is a connection that the peer can reset.
    pub(super) fn can_be_reset(&self) -> bool {
        self.is_open() && self.kernel.end.state != State::Closed
    }

    /// What still matters once the machine closes it: whether it is registered, and what it owes the application.
    pub(super) fn closing(&self, trigger: Trigger) -> Self {
        let interest = self.kernel.interest.map(|_| Interest {
            // Something may always come.
            queued: true,
            ..Interest::new(Interest::mask_of(Directions::BOTH, trigger))
        });
        let rest = if self.is_open() {
            Self::ACCEPTED.kernel
        } else {
            Self::NONE.kernel
        };
        Self {
            kernel: SocketState { interest, ..rest },
            told: self.told,
            ended: self.ended,
            asked_to_finish: self.asked_to_finish,
            aborted: self.aborted,
            ..Self::NONE
        }
    }

    /// A wait that reports nothing of it takes it out of the ready list.
    pub(super) fn wait_without_report(&mut self) {
        if !self.kernel.would_report() {
            let nothing = self.kernel.report(Token::NONE);
            debug_assert_eq!(nothing, None, "{self:?}");
        }
    }

    /// Where nothing can be sent any more, and nothing of it is left to be read, no free capacity is notified.
    pub(super) fn send_no_more(&mut self) {
        let end = &mut self.kernel.end;
        end.no_space &= end.state != State::Closed || end.charged > 0;
    }

    /// That free capacity is to be notified does not matter where nothing is registered for it: to be reported it must be registered
    /// first, or anew, and then it is polled. For that, FIN must not have been sent: and a machine that has sent FIN has nothing to
    /// send, and registers for no more than before, unless its set is rebuilt.
    pub(super) fn forget_no_space(&mut self) {
        let interest = self.kernel.interest.as_ref();
        self.kernel.end.no_space &=
            interest.is_some_and(|interest| interest.is_woken_by(Endpoint::SPACE));
    }

    /// In which directions an attempt does something, or fails, from now on until it does.
    pub(super) fn moves(&self) -> Directions {
        let SocketState { end, buffer, .. } = self.kernel;
        if matches!(end.state, State::Fresh | State::Connecting) {
            return Directions::NONE;
        }
        Directions::READ.when(end.unread > 0 || end.receive_shut)
            | Directions::WRITE.when(end.charged < buffer || end.send_shut)
    }

    /// Registered as it is, for these directions, as if it always had been.
    pub(super) fn register(&mut self, directions: Directions, trigger: Trigger) {
        if let Some(interest) = &mut self.kernel.interest {
            interest.mask = Interest::new(Interest::mask_of(directions, trigger)).mask;
        }
    }

    pub(super) fn pack(&self) -> [u8; SOCKET] {
        let bits =
            |flags: &[bool]| (flags.iter().rev()).fold(0, |bits, flag| bits << 1 | u8::from(*flag));
        let SocketState { end, interest, .. } = self.kernel;
        let registered = self.kernel.registered();
        let is = |of: fn(&Interest) -> bool| interest.as_ref().is_some_and(of);
        let number = |of: usize| u8::try_from(of).expect("few bytes");
        let state = position(&STATES, &end.state);
        let error = position(&ERRORS, &end.error);
        [
            number(end.unread) << 6
                | u8::from(self.misled) << 5
                | number(end.charged) << 4
                | error << 2
                | state,
            bits(&[
                end.receive_shut,
                end.send_shut,
                end.ended,
                end.no_space,
                is(|interest| interest.queued),
                is(|interest| interest.fired),
                registered.contains(Directions::READ),
                registered.contains(Directions::WRITE),
            ]),
            bits(&[
                self.told,
                self.ended,
                self.paused,
                self.asked_to_finish,
                self.aborted,
                self.waits_for_capacity,
                self.shut,
                interest.is_some(),
            ]),
        ]
    }

    pub(super) fn unpack([bytes, kernel, app]: [u8; SOCKET], trigger: Trigger) -> Self {
        let bit = |of: u8, at: u32| of >> at & 1 != 0;
        let directions =
            Directions::READ.when(bit(kernel, 6)) | Directions::WRITE.when(bit(kernel, 7));
        let interest = bit(app, 7).then(|| Interest {
            queued: bit(kernel, 4),
            fired: bit(kernel, 5),
            ..Interest::new(Interest::mask_of(directions, trigger))
        });
        let end = Endpoint {
            state: STATES[usize::from(bytes & 3)],
            error: ERRORS[usize::from(bytes >> 2 & 3)],
            charged: usize::from(bytes >> 4 & 1),
            unread: usize::from(bytes >> 6),
            receive_shut: bit(kernel, 0),
            send_shut: bit(kernel, 1),
            ended: bit(kernel, 2),
            no_space: bit(kernel, 3),
            ..Self::NONE.kernel.end
        };
        Self {
            kernel: SocketState {
                end,
                interest,
                ..Self::NONE.kernel
            },
            told: bit(app, 0),
            ended: bit(app, 1),
            paused: bit(app, 2),
            asked_to_finish: bit(app, 3),
            aborted: bit(app, 4),
            waits_for_capacity: bit(app, 5),
            shut: bit(app, 6),
            misled: bit(bytes, 5),
        }
    }
}

const STATES: [State; 4] = [
    State::Fresh,
    State::Connecting,
    State::Established,
    State::Closed,
];
const ERRORS: [Option<Errno>; 4] = [
    None,
    Some(Errno::CONNRESET),
    Some(Errno::PIPE),
    Some(Errno::CONNREFUSED),
];

fn position<T: PartialEq>(all: &[T; 4], of: &T) -> u8 {
    let at = all.iter().position(|other| other == of);
    u8::try_from(at.expect("one of them")).expect("below 4")
}
