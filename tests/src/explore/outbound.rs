//! Connections that the application asks for: the network connects or refuses them, and the driver asks what became of them.

use super::choices::Choices;
use super::driver::{by_kind, place};
use super::socket::Socket;
use super::steps::Call;
use super::table::What;
use super::world::{Lawful, World};
use tidegate_core::inspect::PEER;
use tidegate_core::{Destination, Notice, Op, Outcome, Token};

impl World<'_> {
    /// The application asks for a connection, while a slot is free.
    pub(super) fn asks_for_connection(&mut self) -> Lawful {
        self.say(|| "the application connects".to_owned());
        let before = self.states();
        let token = self.core.connect(Destination::Inet(PEER), None);
        let token = token.map_err(|refused| format!("a slot is free: {refused}"))?;
        let at = place(token);
        if self.sockets[at].told || self.sockets[at].is_open() {
            return Err(format!("{token:?} is not free"));
        }
        self.sockets[at] = Socket {
            told: true,
            ..Socket::NONE
        };
        self.seen
            .saw(before[at], What::Connect, self.core.state(token));
        Ok(())
    }

    /// Begins to connect, or asks what became of it. What fails at its beginning leaves no socket.
    pub(super) fn connect(&mut self, token: Token, choices: &mut Choices) -> Lawful {
        let at = place(token);
        let socket = self.sockets[at];
        if token != self.token(at) || !socket.told || !self.is(at, "Connecting") {
            return Err(format!("{token:?} connects: {socket:?}"));
        }
        let begun = socket.is_open();
        let mut after = if begun {
            socket.kernel
        } else {
            Socket::CONNECTING.kernel
        };
        let honest = by_kind(after.connected());
        let mut outcomes: heapless::Vec<Outcome, 16> = heapless::Vec::new();
        outcomes.extend([honest]);
        outcomes.extend((!begun).then_some(Outcome::Complete(0)));
        outcomes.extend(self.faults().filter(|fault| *fault != honest));
        let outcome = self.one_of(&outcomes, choices);
        let what = match outcome {
            Outcome::Complete(_) => What::Connected,
            Outcome::Drained(_) => What::ConnectGoesOn,
            Outcome::Failed(_) | Outcome::Accepted(_) | Outcome::Datagram { .. } => {
                What::ConnectFailed
            }
        };
        if outcome == honest {
            self.sockets[at].kernel = after;
        } else if what == What::Connected {
            self.sockets[at].kernel = Socket::ACCEPTED.kernel;
        }
        match (what, self.answer(token, Op::Connect, outcome, what)?) {
            (What::Connected, Some(Notice::Opened(opened))) if opened == token => {
                self.reacts(at, choices, &[None, Some(Call::Commit), Some(Call::Pause)])
            }
            (What::Connected, notice) => Err(format!("{token:?} is connected: {notice:?}")),
            (_, None) => Ok(()),
            (_, Some(notice)) => Err(format!("not connected, and notified {notice:?}")),
        }
    }
}
