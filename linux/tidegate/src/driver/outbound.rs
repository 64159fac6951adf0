//! Outbound connections. Code of its own, so that only a program that makes one links it.

use super::Server;
use crate::backend::Backend;
use crate::connect;
use crate::sockets::NO_SOCKET;
use tidegate_core::{Action, Destination, Handler, Outcome, Token};

impl<H: Handler, B: Backend> Server<'_, H, B> {
    /// What connects, from the start on, if the handler does.
    pub(super) const fn connects() -> Option<fn(&mut Self, &Action) -> Outcome> {
        if H::CONNECTS {
            Some(Self::carry_connect)
        } else {
            None
        }
    }

    /// Connects from now on.
    pub(super) const fn will_connect(&mut self) {
        self.on_connect = Some(Self::carry_connect);
    }

    /// Connects, or checks the result of a connect.
    fn carry_connect(&mut self, action: &Action) -> Outcome {
        let Action::Connect { token } = *action else {
            return NO_SOCKET;
        };
        if let Some(Destination::Stream { number, .. }) = self.session.destination(token) {
            return self.open_stream(token, number);
        }
        let outcome = match self.sockets.get(token) {
            Some(socket) => connect::finish(socket),
            None => self.begin(token),
        };
        if let (Outcome::Complete(_), Some(socket)) = (outcome, self.sockets.get(token)) {
            return self.backend.connected(socket);
        }
        outcome
    }

    fn begin(&mut self, token: Token) -> Outcome {
        let Some(to) = self.session.destination(token) else {
            return NO_SOCKET;
        };
        match self.registered.begin(to) {
            Ok((socket, outcome)) => match self.sockets.put(token, socket) {
                Ok(()) => outcome,
                Err(failed) => failed,
            },
            Err(failed) => failed,
        }
    }

    /// Opens one, unless it was attached.
    fn open_stream(&mut self, token: Token, number: u32) -> Outcome {
        if self.sockets.stream(token).is_some() {
            return Outcome::Complete(0);
        }
        let opened = self.lines.open(number);
        let kept = opened.and_then(|(stream, ignored)| {
            let kept = self.sockets.put_stream(token, stream);
            kept.map(|()| ignored)
        });
        match kept {
            Ok(ignored) => Outcome::Complete(ignored.bits()),
            Err(failed) => failed,
        }
    }
}
