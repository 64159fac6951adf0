//! Connections over non-socket streams. Code of its own, so that only a program that attaches a stream or registers a
//! serial line links it.

use super::Server;
use crate::backend::Backend;
use crate::sockets::{NO_FAULT, NO_SOCKET};
use crate::stream::Stream;
use rustix::fd::AsFd;
use tidegate_core::{Action, Completion, Directions, Handler, Outcome, Span, Token, Trigger};

impl<H: Handler, B: Backend> Server<'_, H, B> {
    /// Performs an action on a stream, at once.
    pub(super) fn complete_stream(&mut self, action: &Action) -> Completion {
        let outcome = self.carry_stream(action);
        (outcome.completion()).unwrap_or_else(|| Completion::failed(NO_FAULT))
    }

    fn carry_stream(&mut self, action: &Action) -> Outcome {
        let stream = |token| self.sockets.stream(token);
        match *action {
            Action::Recv { token, into } => self.read(token, into),
            Action::Send { token, from } => self.write(token, from),
            Action::Shutdown { token } => stream(token).map_or(NO_SOCKET, Stream::shut_down),
            Action::Unsent { token } => stream(token).map_or(NO_SOCKET, Stream::unsent),
            Action::Arm {
                token,
                was,
                now,
                trigger,
            } => self.arm_stream(token, was, now, trigger),
            Action::Close { token, reset } => match self.sockets.take_stream(token) {
                Some(stream) => self.backend.close(token, stream, reset),
                None => NO_SOCKET,
            },
            Action::Accept { .. }
            | Action::Refuse { .. }
            | Action::Connect { .. }
            | Action::ReceiveFrom { .. }
            | Action::SendTo { .. }
            | Action::Cancel { .. }
            | Action::Rebuild => NO_SOCKET,
        }
    }

    fn read(&mut self, token: Token, into: Span) -> Outcome {
        match self.sockets.stream(token) {
            Some(stream) => {
                let transfer = stream.receive(self.session.receive_into(token, into));
                Completion::of_receive(transfer, into.len).into()
            }
            None => NO_SOCKET,
        }
    }

    fn write(&self, token: Token, from: Span) -> Outcome {
        match self.sockets.stream(token) {
            Some(stream) => {
                let transfer = stream.send(self.session.send_from(token, from));
                Completion::of_send(transfer, from.len).into()
            }
            None => NO_SOCKET,
        }
    }

    fn arm_stream(
        &mut self,
        token: Token,
        was: Directions,
        now: Directions,
        trigger: Trigger,
    ) -> Outcome {
        let Some(stream) = self.sockets.stream(token) else {
            return NO_SOCKET;
        };
        // SAFETY: as in `arm`.
        let armed = unsafe { (self.backend).arm_stream(stream.as_fd(), token, was, now, trigger) };
        self.armed(armed)
    }
}
