//! [`Slot`]: what is in flight for one source.

use super::buffers::Chain;
use super::mapping::{Zeroable, Zeroed};
use super::ring::Ring;
use super::submission::{self, Name, Request};
use rustix::fd::{AsRawFd, BorrowedFd, RawFd};
use rustix::io::Errno;
use tidegate_core::{Directions, Token};

/// A submission that goes on, or waits. One byte; that of `No` is 0, which [`Zeroable`] needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub(super) enum Watch {
    /// None.
    #[default]
    No = 0,
    /// It will complete.
    Begun = 1,
    /// Its cancellation was submitted, and it has not completed yet.
    Cancelled = 2,
    /// It was ended with all others because completions are lost, perhaps its own, too.
    Ended = 3,
}

/// One source. All zeros: free.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    /// The bits of its token; no token is 0.
    token: u64,
    socket: RawFd,
    /// Bytes that were received and not taken.
    pub(super) chain: Chain,
    /// Bytes of the send in flight.
    pub(super) sending: u32,
    /// The completion of that send is perhaps lost.
    pub(super) send_ended: bool,
    /// What the receive failed with; 0: it did not.
    pub(super) errno: u16,
    /// Whether FIN was received.
    pub(super) ended: bool,
    /// What is armed.
    pub(super) wanted: Directions,
    /// It is not a socket: polled, whatever it is.
    pub(super) stream: bool,
    /// The receive of a connection, the poll of a listener or of a non-socket stream.
    pub(super) input: Watch,
    /// The poll for writability.
    pub(super) output: Watch,
    /// The poll for the end of a connection, from the first multishot receive until its completion. It stays while the
    /// connection is paused.
    pub(super) hang_up: Watch,
    /// That poll has completed: the peer's FIN or a reset is there to be received, behind the last bytes. A receive that
    /// goes on may not complete with it, so from now on receives are completed once.
    pub(super) hung_up: bool,
    /// A poll has found the peer's FIN, or a reset. A poll that completes once does not wait any more, as FIN is notified
    /// unasked; from now on they go on.
    pub(super) fin: bool,
}

// SAFETY: integers and booleans, of which 0 is a value; `Chain`, two integers; `Directions`, one integer
// (`repr(transparent)`); and `Watch`, whose representation is `u8` and whose variant `No` is 0. Padding may be anything.
unsafe impl Zeroable for Slot {}

/// The slots: those of listeners, watched descriptors and datagram sockets, then those of connections.
pub(super) struct Slots {
    pub(super) list: Zeroed<Slot>,
    /// How many of the first kind there are.
    pub(super) sources: usize,
}

impl Slots {
    pub(super) fn new(count: usize) -> Result<Self, Errno> {
        let list = Zeroed::new(count)?;
        Ok(Self { list, sources: 0 })
    }

    /// The slot of a token, for this token alone: the state of its last user is dropped.
    pub(super) fn own(&mut self, token: Token, socket: BorrowedFd<'_>) -> Option<&mut Slot> {
        let slot = self.at(token)?;
        if !slot.is_of(token) {
            *slot = Slot::of(token, socket);
        }
        Some(slot)
    }

    /// The slot of a token that came back from the kernel, unless it belongs to another token now.
    pub(super) fn known(&mut self, token: Token) -> Option<&mut Slot> {
        self.at(token).filter(|slot| slot.is_of(token))
    }

    pub(super) fn sources_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.list.iter_mut().take(self.sources)
    }

    fn at(&mut self, token: Token) -> Option<&mut Slot> {
        let index = token.index() as usize;
        if token.is_listener() {
            self.sources_mut().nth(index)
        } else {
            self.list.get_mut(self.sources.checked_add(index)?)
        }
    }
}

impl Slot {
    pub(super) fn of(token: Token, socket: BorrowedFd<'_>) -> Self {
        Self {
            token: token.to_bits(),
            socket: socket.as_raw_fd(),
            ..Self::default()
        }
    }

    pub(super) const fn token(&self) -> Token {
        Token::from_bits(self.token)
    }

    pub(super) fn is_of(&self, token: Token) -> bool {
        self.token == token.to_bits()
    }

    /// Everything in flight was ended; what does not complete is lost.
    pub(super) fn end(&mut self) {
        for watch in [&mut self.input, &mut self.output, &mut self.hang_up] {
            if *watch != Watch::No {
                *watch = Watch::Ended;
            }
        }
        self.send_ended = self.sending > 0;
    }

    /// Whether anything is under way.
    pub(super) fn is_watched(&self) -> bool {
        self.input != Watch::No || self.output != Watch::No || self.hang_up != Watch::No
    }

    /// Begins what reports input, unless it is in flight. One that is being cancelled begins again when it has
    /// completed.
    pub(super) fn watch_input(&mut self, ring: &mut Ring) -> Result<(), Errno> {
        if self.input != Watch::No {
            return Ok(());
        }
        let name = self.input_name();
        let submission = if name.request == Request::Readable {
            submission::poll(name, self.socket, submission::IN)
        } else if self.hung_up {
            submission::receive_once(name, self.socket)
        } else {
            self.watch_hang_up(ring)?;
            submission::receive(name, self.socket)
        };
        // SAFETY: it points to nothing; the buffers that it selects live as long as the ring.
        unsafe { ring.push(submission) }?;
        self.input = Watch::Begun;
        Ok(())
    }

    /// Begins what reports the end of a connection, unless it is in flight or has completed.
    pub(super) fn watch_hang_up(&mut self, ring: &mut Ring) -> Result<(), Errno> {
        if self.hang_up != Watch::No || self.hung_up {
            return Ok(());
        }
        let name = self.name(Request::HangUp);
        // HUP and ERR come unasked.
        let poll = submission::poll(name, self.socket, submission::FIN);
        // SAFETY: it points to nothing.
        unsafe { ring.push(poll) }?;
        self.hang_up = Watch::Begun;
        Ok(())
    }

    /// Begins what reports writability, unless it is in flight.
    pub(super) fn watch_output(&mut self, ring: &mut Ring) -> Result<(), Errno> {
        if self.output != Watch::No {
            return Ok(());
        }
        let (name, socket) = (self.name(Request::Writable), self.socket);
        let poll = if self.fin {
            submission::poll_on(name, socket, submission::OUT)
        } else {
            submission::poll(name, socket, submission::OUT)
        };
        // SAFETY: it points to nothing.
        unsafe { ring.push(poll) }?;
        self.output = Watch::Begun;
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
        let output = wanted.contains(Directions::WRITE);
        let output = if output {
            self.watch_output(ring)
        } else {
            Ok(())
        };
        // One that is registered for neither direction is notified of its end.
        let alone = !wanted.is_empty() && (wanted & Directions::BOTH).is_empty();
        let end = if alone {
            self.watch_reset(ring)
        } else {
            Ok(())
        };
        input.and(output).and(end)
    }

    /// Begins what reports a reset of a connection that receives nothing, unless it is under way: FIN, too, unless that was
    /// reported before. HUP and ERR come unasked.
    pub(super) fn watch_reset(&mut self, ring: &mut Ring) -> Result<(), Errno> {
        if self.hang_up != Watch::No {
            return Ok(());
        }
        let (name, socket) = (self.name(Request::HangUp), self.socket);
        let poll = if self.fin {
            submission::poll_on(name, socket, 0)
        } else {
            submission::poll(name, socket, submission::FIN)
        };
        // SAFETY: it points to nothing.
        unsafe { ring.push(poll) }?;
        self.hang_up = Watch::Begun;
        Ok(())
    }

    /// Begins again the poll for the end of a connection, whose completion is lost.
    pub(super) fn watch_end(&mut self, ring: &mut Ring) -> Result<(), Errno> {
        if self.hung_up {
            self.watch_reset(ring)
        } else {
            self.watch_hang_up(ring)
        }
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
        let output = wanted.contains(Directions::WRITE);
        let output = if output {
            Ok(())
        } else {
            self.leave_output(ring)
        };
        input.and(output)
    }

    /// Ends what reports input.
    pub(super) fn leave_input(&mut self, ring: &mut Ring) -> Result<(), Errno> {
        let name = self.input_name();
        leave(&mut self.input, ring, name)
    }

    /// Cancels what reports writability.
    pub(super) fn leave_output(&mut self, ring: &mut Ring) -> Result<(), Errno> {
        let name = self.name(Request::Writable);
        leave(&mut self.output, ring, name)
    }

    /// Ends what reports the end of a connection.
    pub(super) fn leave_hang_up(&mut self, ring: &mut Ring) -> Result<(), Errno> {
        let name = self.name(Request::HangUp);
        leave(&mut self.hang_up, ring, name)
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
