//! Actions become system calls, and what these say becomes events.

use super::Server;
use crate::backend::{Accepted, Backend};
use crate::connect;
use crate::errno;
use crate::socket;
use crate::sockets::NO_SOCKET;
use crate::stream::Stream;
use rustix::fd::AsFd;
use tidegate_core::{
    Action, Destination, Directions, Event, Handler, Instant, Op, Outcome, Span, Token, Trigger,
};

impl<H: Handler, B: Backend> Server<'_, H, B> {
    /// Carries an action out and answers it.
    #[inline(always)]
    pub(super) fn perform(&mut self, now: Instant, action: Action) {
        match action {
            Action::Recv { token, into } => {
                let outcome = self.receive(token, into);
                self.session
                    .handle_event(now, done(token, Op::Recv, outcome));
            }
            Action::Send { token, from } => {
                if let Some(outcome) = self.send(token, from) {
                    self.session
                        .handle_event(now, done(token, Op::Send, outcome));
                }
            }
            Action::Accept { listener, token } => {
                let outcome = match self.accept(listener) {
                    Ok((socket, peer)) => self.sockets.keep(token, socket, peer),
                    Err(outcome) => outcome,
                };
                self.answer(now, token, Op::Accept, outcome);
            }
            Action::Refuse { listener } => {
                let outcome = match self.accept(listener) {
                    Ok((socket, _)) => {
                        let refusal = self.refusals.get(listener.index() as usize);
                        socket::refuse(socket, refusal.copied().unwrap_or_default())
                    }
                    Err(outcome) => outcome,
                };
                self.answer(now, listener, Op::Refuse, outcome);
            }
            Action::Connect { token } => {
                let outcome = self.connect_on(token);
                self.answer(now, token, Op::Connect, outcome);
            }
            Action::Shutdown { token } => {
                let outcome = match self.sockets.get(token) {
                    Some(socket) => socket::shut_down(socket),
                    None => (self.sockets.stream(token)).map_or(NO_SOCKET, Stream::shut_down),
                };
                self.answer(now, token, Op::Shutdown, outcome);
            }
            Action::Unsent { token } => {
                let outcome = match self.sockets.get(token) {
                    Some(socket) => {
                        let failed = self.backend.failure(token, socket);
                        failed.unwrap_or_else(|| socket::stalled(socket, self.write_stall))
                    }
                    None => self.sockets.stream(token).map_or(NO_SOCKET, Stream::unsent),
                };
                self.answer(now, token, Op::Unsent, outcome);
            }
            Action::Close { token, reset } => {
                let outcome = match self.sockets.take(token) {
                    Some(socket) => self.backend.close(token, socket, reset),
                    None => NO_SOCKET,
                };
                self.answer(now, token, Op::Close, outcome);
            }
            Action::Arm {
                token,
                was,
                now: wanted,
                trigger,
            } => {
                if let Err(outcome) = self.arm(token, was, wanted, trigger) {
                    self.answer(now, token, Op::Arm, outcome);
                }
            }
            // Nobody asks for it who has not added such a socket.
            Action::ReceiveFrom { .. } | Action::SendTo { .. } => {
                if let Some(carry_out) = self.on_datagrams {
                    carry_out(self, now, action);
                }
            }
            // What is in flight is answered by the next wait at the latest.
            Action::Cancel { .. } => {}
            Action::Rebuild => self.rebuild(now),
        }
    }

    #[inline(always)]
    fn receive(&mut self, token: Token, into: Span) -> Outcome {
        match self.sockets.connection(token) {
            Some(socket) => {
                let into = self.session.receive_into(token, into);
                self.backend.receive(token, socket, into)
            }
            None => self.read(token, into),
        }
    }

    /// `None`: it is answered later.
    #[inline(always)]
    fn send(&mut self, token: Token, from: Span) -> Option<Outcome> {
        match self.sockets.connection(token) {
            Some(socket) => {
                let from = self.session.send_from(token, from);
                // SAFETY: the bytes lie in the memory that was lent to this server for `'m`. It stays lent until the server
                // is dropped, which ends the backend first, and whoever forgets a server never has the kernel learn of
                // the send. The session cannot be exchanged for another: nothing hands out a `&mut Session`.
                unsafe { self.backend.send(token, socket, from) }
            }
            None => Some(self.write(token, from)),
        }
    }

    /// The answer to anything but a transfer: out of line, so that the loop is the transfers'.
    #[inline(never)]
    pub(super) fn answer(&mut self, now: Instant, token: Token, op: Op, outcome: Outcome) {
        self.session.handle_event(now, done(token, op, outcome));
    }

    /// Receives from a stream that is no socket.
    #[cold]
    fn read(&mut self, token: Token, into: Span) -> Outcome {
        match self.sockets.stream(token) {
            Some(stream) => {
                let transfer = stream.receive(self.session.receive_into(token, into));
                Outcome::of_receive(transfer, into.len)
            }
            None => NO_SOCKET,
        }
    }

    /// Sends to one.
    #[cold]
    fn write(&self, token: Token, from: Span) -> Outcome {
        match self.sockets.stream(token) {
            Some(stream) => {
                let transfer = stream.send(self.session.send_from(token, from));
                Outcome::of_send(transfer, from.len)
            }
            None => NO_SOCKET,
        }
    }

    /// Opens one, unless it was brought.
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

    /// Connects, or looks what has become of it.
    #[inline(never)]
    fn connect_on(&mut self, token: Token) -> Outcome {
        if let Some(Destination::Stream { number, .. }) = self.session.destination(token) {
            return self.open_stream(token, number);
        }
        let outcome = match self.sockets.get(token) {
            Some(socket) => connect::finish(socket),
            None => match self.session.destination(token) {
                Some(to) => match self.registered.begin(to) {
                    Ok((socket, outcome)) => match self.sockets.put(token, socket) {
                        Ok(()) => outcome,
                        Err(failed) => failed,
                    },
                    Err(failed) => failed,
                },
                None => NO_SOCKET,
            },
        };
        if let (Outcome::Complete(_), Some(socket)) = (outcome, self.sockets.get(token)) {
            return self.backend.connected(socket);
        }
        outcome
    }

    #[inline(never)]
    fn accept(&mut self, listener: Token) -> Accepted {
        let from = self.sockets.get(listener).ok_or(NO_SOCKET)?;
        self.backend.accept(from)
    }

    #[inline(never)]
    fn arm(
        &mut self,
        token: Token,
        was: Directions,
        now: Directions,
        trigger: Trigger,
    ) -> Result<(), Outcome> {
        let armed = match self.sockets.get(token) {
            // SAFETY: `sockets` owns the descriptor, and gives it away only to `close` of the backend, or closes it when the
            // backend has ended.
            Some(socket) => unsafe { self.backend.arm(socket, token, was, now, trigger) },
            None => {
                let stream = self.sockets.stream(token).ok_or(NO_SOCKET)?.as_fd();
                // SAFETY: as above.
                unsafe { self.backend.arm_stream(stream, token, was, now, trigger) }
            }
        };
        let mended = armed.map_err(errno::arm)?;
        self.repairs = self.repairs.saturating_add(u64::from(mended));
        Ok(())
    }

    /// A new readiness set, with what is armed in it. If there is none to be had, the old one serves on with everything
    /// armed anew, and is found wanting again.
    #[inline(never)]
    fn rebuild(&mut self, now: Instant) {
        // SAFETY: the server drops the backend before the stop.
        unsafe { self.backend.renew(self.stop.as_fd()) };
        // Each that cannot be registered is ended by the machine, and so is not in the list again.
        while let Some((token, outcome)) = self.register_all() {
            self.answer(now, token, Op::Arm, outcome);
        }
    }

    /// Registers everything that is armed, up to the first that cannot be.
    fn register_all(&mut self) -> Option<(Token, Outcome)> {
        for (token, armed, trigger) in self.session.armed() {
            let stream = || self.sockets.stream(token).map(AsFd::as_fd);
            let Some(descriptor) = self.sockets.get(token).or_else(stream) else {
                continue;
            };
            // What is there already is no surprise here, and no repair.
            let (backend, none) = (&mut self.backend, Directions::NONE);
            // SAFETY: as in `arm`.
            let added = unsafe { backend.arm(descriptor, token, none, armed, trigger) };
            if let Err(errno) = added {
                return Some((token, errno::arm(errno)));
            }
        }
        None
    }
}

pub(super) const fn done(token: Token, op: Op, outcome: Outcome) -> Event {
    Event::Done { token, op, outcome }
}
