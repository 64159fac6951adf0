//! [`SocketState`]: one socket and its registration, as a small value.

use crate::driver;
use crate::flags::EpollFlags;
use crate::kernel::{Endpoint, Interest, Shutdown, State};
use tidegate_core::errno;
use tidegate_core::{Directions, Event, Outcome, Token, Trigger};

/// One stream socket and its registration in one epoll set, without bytes: for tests that keep many states of a
/// connection, compare them, or go back to one.
///
/// The rules are those of the [`Kernel`](crate::Kernel), which has the same two values in it: what `poll(2)` says and
/// calls return is the [`Endpoint`]'s, what is reported the [`Interest`]'s. Calls return what a driver makes of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SocketState {
    /// The socket.
    pub end: Endpoint,
    /// Its registration, if there is one.
    pub interest: Option<Interest>,
    /// Bytes that lie between it and its reader (`SO_SNDBUF`).
    pub buffer: usize,
}

impl SocketState {
    /// One that is not registered.
    #[must_use]
    pub const fn new(end: Endpoint, buffer: usize) -> Self {
        Self {
            end,
            interest: None,
            buffer,
        }
    }

    /// Registers, modifies or withdraws the registration, as a driver does for
    /// [`Action::Arm`](tidegate_core::Action::Arm).
    pub fn arm(&mut self, now: Directions, trigger: Trigger) {
        let bits = self.end.poll(self.buffer);
        self.interest = Interest::armed(self.interest, now, trigger, bits);
    }

    /// The directions that are registered.
    #[must_use]
    pub fn registered(&self) -> Directions {
        self.interest
            .map_or(Directions::NONE, |interest| interest.directions())
    }

    /// What could be done now.
    #[must_use]
    pub fn possible(&self) -> Directions {
        let mut end = self.end;
        driver::directions(end.poll(self.buffer))
    }

    /// What a wait reports of it, if anything.
    pub fn report(&mut self, token: Token) -> Option<Event> {
        driver::report(&mut self.interest, token, || self.end.poll(self.buffer))
    }

    /// Whether a wait would report something of it.
    #[must_use]
    pub fn would_report(&self) -> bool {
        let mut later = *self;
        later.report(Token::NONE).is_some()
    }

    /// Receives up to `len` bytes.
    pub fn receive(&mut self, len: u32) -> Outcome {
        let len = len as usize;
        match self.end.recv(len) {
            Ok(n) => driver::moved(n, len, n > 0),
            Err(errno) => driver::failed(self.end.family, errno),
        }
    }

    /// Sends up to `len` bytes. Not for Unix streams.
    pub fn send(&mut self, len: u32) -> Outcome {
        let len = len as usize;
        match self.end.send(len, self.buffer) {
            Ok(n) => driver::moved(n, len, true),
            Err(errno) => driver::failed(self.end.family, errno),
        }
    }

    /// Sends FIN.
    pub fn shut_down(&mut self) -> Outcome {
        let done = self.end.shut_down(Shutdown::Write);
        self.wake(Endpoint::STATE);
        match done {
            Ok(_) => Outcome::Complete(0),
            Err(errno) => driver::failed(self.end.family, errno),
        }
    }

    /// Whether it has failed, and if not, how much of what was sent waits.
    pub fn unsent(&mut self) -> Outcome {
        match self.end.error.take() {
            Some(errno) => driver::failed(self.end.family, errno),
            None => Outcome::Complete(u32::try_from(self.end.charged).unwrap_or(u32::MAX)),
        }
    }

    /// The result of its connect.
    pub fn connected(&mut self) -> Outcome {
        match self.end.take_connected() {
            Ok(()) => Outcome::Complete(0),
            Err(errno) => errno::connect(errno),
        }
    }
}

/// What comes in from the network.
impl SocketState {
    /// Whether the peer can still send bytes and FIN.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.end.state == State::Established && !self.end.ended
    }

    /// Its connect succeeds.
    pub fn establish(&mut self) {
        self.end.state = State::Established;
        self.wake(Endpoint::STATE);
    }

    /// Bytes of the peer.
    pub fn arrive(&mut self, len: u32) {
        if self.is_open() && len > 0 {
            self.end.arrive(len as usize);
            self.wake(Endpoint::INPUT);
        }
    }

    /// The peer's FIN.
    pub fn end(&mut self) {
        if self.is_open() {
            self.end.end();
            self.wake(Endpoint::STATE);
        }
    }

    /// A reset; while it is connecting, a refusal.
    pub fn reset(&mut self) {
        if self.end.reset() {
            self.wake(Endpoint::STATE);
        }
    }

    /// The peer reads up to `len` bytes.
    pub fn read(&mut self, len: u32) {
        let freed = self.end.charged.min(len as usize);
        if self.end.acknowledge(freed, self.buffer) {
            self.wake(Endpoint::SPACE);
        }
    }

    fn wake(&mut self, what: EpollFlags) {
        if let Some(interest) = &mut self.interest {
            interest.queued |= interest.is_woken_by(what);
        }
    }
}
