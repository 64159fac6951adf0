//! Actions become system calls, and their results become completions.

use super::Server;
use crate::backend::{Accepted, Backend};
use crate::clock;
use crate::errno;
use crate::socket;
use crate::sockets::{NO_FAULT, NO_SOCKET};
use rustix::fd::AsFd;
use rustix::io::Errno;
use tidegate_core::{Action, Completion, Directions, Handler, Op, Outcome, Span, Token, Trigger};

impl<H: Handler, B: Backend> Server<'_, H, B> {
    /// Performs an action. Returns the result of a transfer; `None` if that comes later, or came as an event.
    #[inline]
    pub(super) fn perform(&mut self, action: Action) -> Option<Completion> {
        // By value, and written out anew where it is passed on, so that a transfer stays in registers.
        match action {
            Action::Recv { token, into } => match self.receive(token, into) {
                Some(received) => Some(received),
                None => Some(self.of_stream(&Action::Recv { token, into })),
            },
            Action::Send { token, from } => match self.send(token, from) {
                Some(sent) => sent,
                None => Some(self.of_stream(&Action::Send { token, from })),
            },
            Action::Accept { .. }
            | Action::Refuse { .. }
            | Action::Connect { .. }
            | Action::Shutdown { .. }
            | Action::Unsent { .. }
            | Action::Close { .. }
            | Action::Arm { .. }
            | Action::ReceiveFrom { .. }
            | Action::SendTo { .. }
            | Action::Cancel { .. }
            | Action::Rebuild => {
                let call = action;
                self.call(&call);
                None
            }
        }
    }

    /// Performs anything but a transfer.
    #[inline(never)]
    fn call(&mut self, action: &Action) {
        let outcome = match *action {
            Action::Accept { listener, token } => Some(self.accept_as(listener, token)),
            Action::Refuse { listener } => Some(self.refuse_one(listener)),
            Action::Connect { .. } => {
                let connect = self.on_connect;
                Some(connect.map_or(NO_SOCKET, |connect| connect(self, action)))
            }
            Action::Shutdown { token } => self.sockets.get(token).map(socket::shut_down),
            Action::Unsent { token } if H::PATIENT => self.unsent(token),
            Action::Unsent { .. } => return,
            Action::Close { token, reset } => self.close(token, reset),
            Action::Arm {
                token,
                was,
                now,
                trigger,
            } => self.arm(token, was, now, trigger),
            // Only a server with a datagram socket gets these.
            Action::ReceiveFrom { .. } | Action::SendTo { .. } => {
                let carry_out = self.on_datagrams;
                Some(carry_out.map_or(NO_SOCKET, |carry_out| carry_out(self, action)))
            }
            // What is in flight completes by the next wait at the latest.
            Action::Cancel { .. } => return,
            Action::Rebuild if H::SHARES_DESCRIPTORS => return self.rebuild(),
            Action::Rebuild => return,
            // Transfers are performed by the caller.
            Action::Recv { .. } | Action::Send { .. } => return,
        };
        // Without an outcome it is about a non-socket stream.
        let outcome = outcome.unwrap_or_else(|| self.of_stream(action).into());
        // A registration completes only if it fails.
        let registered = matches!(action, Action::Arm { .. }) && outcome == REGISTERED;
        if let Some((token, op)) = action.operation()
            && !registered
        {
            // A connection may have been accepted after this iteration began, and its deadlines are not early: it is opened
            // at the time of its accept.
            let now = match outcome {
                Outcome::Accepted(_) => clock::now(),
                Outcome::Complete(_)
                | Outcome::Drained(_)
                | Outcome::Datagram { .. }
                | Outcome::Failed(_) => self.session.machine().now(),
            };
            self.session.handle_call(now, token, op, &outcome);
        }
    }

    fn accept_as(&mut self, listener: Token, token: Token) -> Outcome {
        match self.accept(listener) {
            Ok((socket, peer)) => self.sockets.keep(token, socket, peer),
            Err(outcome) => outcome,
        }
    }

    fn refuse_one(&mut self, listener: Token) -> Outcome {
        match self.accept(listener) {
            Ok((socket, _)) => (self.refuse)(socket, self.sockets.refusal(listener.index())),
            Err(outcome) => outcome,
        }
    }

    fn unsent(&mut self, token: Token) -> Option<Outcome> {
        let socket = self.sockets.get(token)?;
        let failed = self.backend.failure(token, socket);
        Some(failed.unwrap_or_else(|| socket::stalled(socket, self.write_stall)))
    }

    fn close(&mut self, token: Token, reset: bool) -> Option<Outcome> {
        let refused_by = if reset && H::LIMITS_SOURCES {
            self.session.machine().refused_by(token)
        } else {
            None
        };
        let socket = self.sockets.take(token)?;
        Some(match refused_by {
            // The backend has no registration of it yet.
            Some(listener) => (self.refuse)(socket, self.sockets.refusal(listener)),
            None => self.backend.close(token, socket, reset),
        })
    }

    /// `None` if it is not a socket.
    #[inline]
    fn receive(&mut self, token: Token, into: Span) -> Option<Completion> {
        let socket = self.sockets.connection(token)?;
        let into = self.session.receive_into(token, into);
        Some(self.backend.receive(token, socket, into))
    }

    /// `None` if it is not a socket; without an outcome it completes later.
    #[inline]
    fn send(&mut self, token: Token, from: Span) -> Option<Option<Completion>> {
        let socket = self.sockets.connection(token)?;
        let from = self.session.send_from(token, from);
        // SAFETY: the bytes lie in the memory that this server borrows for `'m`. The borrow ends when the server is
        // dropped, which ends the backend first; if a server is leaked, the kernel never learns of the send. The
        // session cannot be exchanged for another: nothing hands out a `&mut Session`.
        Some(unsafe { self.backend.send(token, socket, from) })
    }

    /// Performs an action on a non-socket stream.
    #[cold]
    #[inline(never)]
    fn of_stream(&mut self, action: &Action) -> Completion {
        match self.on_stream {
            Some(carry_out) => carry_out(self, action),
            None => Completion::failed(NO_FAULT),
        }
    }

    #[inline(never)]
    fn accept(&mut self, listener: Token) -> Accepted {
        let from = self.sockets.get(listener).ok_or(NO_SOCKET)?;
        self.backend.accept(from)
    }

    /// `None` if it is not a socket.
    #[inline(never)]
    fn arm(
        &mut self,
        token: Token,
        was: Directions,
        now: Directions,
        trigger: Trigger,
    ) -> Option<Outcome> {
        let socket = self.sockets.get(token)?;
        // SAFETY: `sockets` owns the descriptor, and gives it away only to `close` of the backend, unless nothing was ever
        // armed on it, or closes it when the backend has ended.
        let armed = unsafe { self.backend.arm(socket, token, was, now, trigger) };
        Some(self.armed(armed))
    }

    /// The result of registering a descriptor. `Ok(true)`: the registration had to be repaired.
    pub(super) fn armed(&mut self, armed: Result<bool, Errno>) -> Outcome {
        match armed {
            Ok(mended) => {
                self.repairs = self.repairs.saturating_add(u64::from(mended));
                REGISTERED
            }
            Err(errno) => errno::arm(errno),
        }
    }

    /// A new readiness set, with what is armed in it. If none can be made, the old one serves on with everything armed
    /// again, and the rebuild is requested again when it is due.
    #[inline(never)]
    fn rebuild(&mut self) {
        let now = self.session.machine().now();
        // SAFETY: the server drops the backend before the stop.
        unsafe { self.backend.renew(self.stop.as_fd()) };
        // Each that cannot be registered is ended by the machine, and so is not in the list again.
        while let Some((token, outcome)) = self.register_all() {
            self.session.handle_call(now, token, Op::Arm, &outcome);
        }
    }

    /// Registers everything that is armed, up to the first that cannot be.
    fn register_all(&mut self) -> Option<(Token, Outcome)> {
        for (token, armed, trigger) in self.session.armed() {
            let stream = || self.sockets.stream(token).map(AsFd::as_fd);
            let Some(descriptor) = self.sockets.get(token).or_else(stream) else {
                continue;
            };
            // A registration that exists already is expected here, and not a repair.
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

/// A registration completes with its readiness event.
const REGISTERED: Outcome = Outcome::Complete(0);
