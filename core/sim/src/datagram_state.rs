//! [`DatagramState`]: one datagram socket and its registration, as a small value.

use crate::driver;
use crate::flags::EpollFlags;
use crate::kernel::{DatagramEndpoint, Interest};
use tidegate_core::errno;
use tidegate_core::{Directions, Event, Outcome, Token, Trigger};

/// One datagram socket and its registration in one epoll set, without the datagrams: what
/// [`SocketState`](crate::SocketState) is for a stream.
///
/// The rules are those of the [`Kernel`](crate::Kernel), which has the same two values in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DatagramState {
    /// The socket.
    pub end: DatagramEndpoint,
    /// Its registration, if there is one.
    pub interest: Option<Interest>,
    /// Datagrams that wait to be received (`SO_RCVBUF`); more are lost.
    pub queue: usize,
    /// Datagrams on their way out (`SO_SNDBUF`); a send beyond would block.
    pub buffer: usize,
}

impl DatagramState {
    /// One that is not registered, with nothing in its buffers.
    #[must_use]
    pub const fn new(queue: usize, buffer: usize) -> Self {
        Self {
            end: DatagramEndpoint {
                received: 0,
                leaving: 0,
                error: None,
            },
            interest: None,
            queue,
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

    /// What could be done now: a stored error can be received.
    #[must_use]
    pub fn possible(&self) -> Directions {
        let failed = Directions::BOTH.when(self.end.error.is_some());
        driver::directions(self.end.poll(self.buffer)) | failed
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

    /// Receives one: the first that came and was not received.
    ///
    /// # Errors
    ///
    /// The outcome of a receive that got none.
    pub fn receive(&mut self) -> Result<(), Outcome> {
        self.end.recv().map_err(errno::datagram)
    }

    /// Sends one of `len` bytes.
    pub fn send(&mut self, len: u32) -> Outcome {
        match self.end.send(self.buffer) {
            Ok(()) => Outcome::Complete(len),
            Err(errno) => errno::send_datagram(errno, false),
        }
    }
}

/// What the network does.
impl DatagramState {
    /// A datagram comes; returns whether it fits.
    pub fn arrive(&mut self) -> bool {
        let fits = self.end.arrive(self.queue);
        if fits {
            self.wake(DatagramEndpoint::INPUT);
        }
        fits
    }

    /// An ICMP error: there is no listener where one was sent.
    pub fn refuse(&mut self) {
        self.end.refuse();
        self.wake(DatagramEndpoint::ERROR);
    }

    /// It takes all that was sent.
    pub fn take(&mut self) {
        if self.end.leave() {
            self.wake(DatagramEndpoint::SPACE);
        }
    }

    fn wake(&mut self, what: EpollFlags) {
        if let Some(interest) = &mut self.interest {
            interest.queued |= interest.is_woken_by(what);
        }
    }
}
