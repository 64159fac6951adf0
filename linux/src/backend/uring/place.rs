//! [`Place`]: what is under way for one source.

use super::buffers::Chain;
use super::mapping::Zeroable;
use super::ring::Ring;
use super::submission::{self, Name, Request};
use rustix::fd::{AsRawFd, BorrowedFd, RawFd};
use rustix::io::Errno;
use tidegate_core::{Directions, Token};

/// A submission that goes on, or waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Watch {
    /// None.
    #[default]
    No,
    /// It will report.
    Begun,
    /// It was told to end, and has not said so yet.
    Cancelled,
}

/// One source. All zeros: nobody.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// The bits of its token; no token is 0.
    token: u64,
    socket: RawFd,
    /// Bytes that were received and not taken.
    pub(super) chain: Chain,
    /// Bytes of the send in flight.
    pub(super) sending: u32,
    /// What the receive failed with; 0: it did not.
    pub(super) errno: u16,
    /// Whether the peer's end was received.
    pub(super) ended: bool,
    /// What is armed.
    pub(super) wanted: Directions,
    /// It is no socket: polled, whatever it is.
    pub(super) stream: bool,
    /// The receive of a connection, the poll of a listener or of a stream that is no socket.
    pub(super) input: Watch,
    /// The poll for room to send.
    pub(super) room: Watch,
}

// SAFETY: numbers, a flag, a set of bits, and enums whose first variant is 0.
unsafe impl Zeroable for Place {}

impl Place {
    pub(super) fn of(token: Token, socket: BorrowedFd<'_>) -> Self {
        Self {
            token: token.to_bits(),
            socket: socket.as_raw_fd(),
            ..Self::default()
        }
    }

    pub(super) fn is_of(&self, token: Token) -> bool {
        self.token == token.to_bits()
    }

    /// Whether anything is under way.
    pub(super) fn is_watched(&self) -> bool {
        self.input != Watch::No || self.room != Watch::No
    }

    /// Begins what reports input, unless it is under way. One that was told to end begins again when it has.
    pub(super) fn watch_input(&mut self, ring: &mut Ring) -> Result<(), Errno> {
        if self.input != Watch::No {
            return Ok(());
        }
        let name = self.input_name();
        let submission = if name.request == Request::Readable {
            submission::poll(name, self.socket, submission::IN)
        } else {
            submission::receive(name, self.socket)
        };
        // SAFETY: it points to nothing; the buffers that it selects live as long as the ring.
        unsafe { ring.push(submission) }?;
        self.input = Watch::Begun;
        Ok(())
    }

    /// Begins what reports room to send, unless it is under way.
    pub(super) fn watch_room(&mut self, ring: &mut Ring) -> Result<(), Errno> {
        if self.room != Watch::No {
            return Ok(());
        }
        let poll = submission::poll(self.name(Request::Room), self.socket, submission::OUT);
        // SAFETY: it points to nothing.
        unsafe { ring.push(poll) }?;
        self.room = Watch::Begun;
        Ok(())
    }

    /// Begins what is armed, unless it is under way.
    pub(super) fn watch(&mut self, ring: &mut Ring) -> Result<(), Errno> {
        let wanted = self.wanted;
        let input = wanted.contains(Directions::READ);
        let input = if input {
            self.watch_input(ring)
        } else {
            Ok(())
        };
        let room = wanted.contains(Directions::WRITE);
        let room = if room { self.watch_room(ring) } else { Ok(()) };
        input.and(room)
    }

    /// Ends what is not armed.
    pub(super) fn leave(&mut self, ring: &mut Ring) -> Result<(), Errno> {
        let wanted = self.wanted;
        let input = wanted.contains(Directions::READ);
        let input = if input {
            Ok(())
        } else {
            self.leave_input(ring)
        };
        let room = wanted.contains(Directions::WRITE);
        let room = if room { Ok(()) } else { self.leave_room(ring) };
        input.and(room)
    }

    /// Ends what reports input.
    pub(super) fn leave_input(&mut self, ring: &mut Ring) -> Result<(), Errno> {
        let name = self.input_name();
        leave(&mut self.input, ring, name)
    }

    /// Ends what reports room.
    pub(super) fn leave_room(&mut self, ring: &mut Ring) -> Result<(), Errno> {
        let name = self.name(Request::Room);
        leave(&mut self.room, ring, name)
    }

    fn input_name(&self) -> Name {
        let polled = self.stream || Token::from_bits(self.token).is_listener();
        self.name(if polled {
            Request::Readable
        } else {
            Request::Receive
        })
    }

    const fn name(&self, request: Request) -> Name {
        let token = Token::from_bits(self.token);
        Name { token, request }
    }
}

fn leave(watch: &mut Watch, ring: &mut Ring, name: Name) -> Result<(), Errno> {
    if *watch == Watch::Begun {
        // SAFETY: it points to nothing.
        unsafe { ring.push(submission::cancel(name)) }?;
        *watch = Watch::Cancelled;
    }
    Ok(())
}
