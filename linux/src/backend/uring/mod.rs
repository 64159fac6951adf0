//! `io_uring(7)`, Linux 6.1 or later: receives and sends that are done when they are reported.
//!
//! - *Receives*: one submission for each connection goes on for as long as the connection wants bytes (multishot). The
//!   kernel receives into [`Buffers`] that all share; an [`Action::Recv`] is answered at once from there. When no buffer
//!   is free the kernel says so, and that receive is made as a call: nobody waits for the buffers of another.
//! - *Sends*: gathered in a turn and handed over, all of them, by the call that begins the next one. None of them waits:
//!   one that would block is answered so, and a poll waits for room.
//! - Listeners are polled, one connection for each report, as with `epoll(7)`.
//!
//! So the kernel has pointers to bytes of the session only while it is inside our own call: none outlives it, whatever
//! becomes of the server.
//!
//! [`Action::Recv`]: tidegate_core::Action::Recv

mod buffers;
mod mapping;
mod place;
mod ring;
mod submission;

use super::{Accepted, Backend, Report, sealed};
use crate::clock;
use crate::errno;
use crate::error::CallError;
use crate::socket;
use crate::stop::Stop;
use buffers::Buffers;
use core::fmt;
use core::time::Duration;
use mapping::Zeroed;
use place::{Place, Watch};
use ring::{Completion, Ring};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use submission::{Kind, Name};
use tidegate_core::{Directions, Event, Instant, LISTENERS, Op, Outcome, Token, Trigger};

/// Submissions that are handed over at once.
const SUBMISSIONS: u32 = 512;

/// Completions that the ring holds; more wait in the kernel's own memory.
const COMPLETIONS: u32 = 2048;

/// Completions taken in one look.
const BATCH: usize = 256;

/// A ring, and what is under way in it.
pub struct Uring {
    /// Closed before the buffers go.
    ring: Ring,
    buffers: Buffers,
    /// By the index of a connection.
    places: Zeroed<Place>,
    /// By the index of a listener.
    listeners: [Place; LISTENERS],
    /// The descriptor that ends a wait from outside.
    stop: Option<RawFd>,
    /// Whether a listener or the stop has reported and is not polled again yet.
    reported: bool,
    /// Whether the stop is polled.
    stop_polled: bool,
}

impl fmt::Debug for Uring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uring")
            .field("ring", &self.ring)
            .finish_non_exhaustive()
    }
}

impl AsFd for Uring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        // So that no submission keeps a socket open after its descriptor is closed. That it fails is no harm: closing
        // the ring ends everything, too, only later.
        let _ = self.ring.cancel_all();
    }
}

impl Uring {
    /// A ring for a server of at most so many connections. It belongs to the thread that makes it.
    ///
    /// # Errors
    ///
    /// The kernel has no io_uring (`ENOSYS`), is older than Linux 6.1 (`EINVAL`), does not allow it here (`EPERM`:
    /// `/proc/sys/kernel/io_uring_disabled`, a seccomp profile), or is short of something (`ENOMEM`, `EMFILE`).
    /// `E2BIG`: more than 2^24 connections.
    pub fn new(connections: u32) -> Result<Self, CallError> {
        let failed = CallError::of("io_uring_setup");
        if connections > Name::PLACES {
            return Err(failed(Errno::TOOBIG));
        }
        let ring = Ring::new(SUBMISSIONS, COMPLETIONS).map_err(&failed)?;
        let mut buffers = Buffers::new().map_err(CallError::of("mmap"))?;
        // SAFETY: they are kept beside the ring, and dropped after it.
        unsafe { buffers.give_to(&ring) }.map_err(CallError::of("io_uring_register"))?;
        Ok(Self {
            ring,
            buffers,
            places: Zeroed::new(connections as usize).map_err(CallError::of("mmap"))?,
            listeners: [Place::default(); LISTENERS],
            stop: None,
            reported: false,
            stop_polled: false,
        })
    }

    /// What came of a submission, for the machine.
    fn event(&mut self, done: Completion) -> Option<Event> {
        let Name { token, kind } = Name::from_bits(done.data)?;
        match kind {
            Kind::Receive => self.received(token, done),
            Kind::Readable => {
                let place = known(&mut self.listeners, token)?;
                place.input = Watch::No;
                self.reported = true;
                (done.answer() != Err(Errno::CANCELED)).then_some(readable(token))
            }
            Kind::Room => self.has_room(token, done),
            Kind::Send => Some(self.sent(token, done)),
            Kind::Cancel => None,
            Kind::Stop => {
                self.stop_polled = false;
                self.reported = true;
                Some(readable(Stop::TOKEN))
            }
        }
    }

    /// Bytes lie in a buffer, or there will be none.
    fn received(&mut self, token: Token, done: Completion) -> Option<Event> {
        let Some(place) = known(&mut self.places, token) else {
            // Of a connection that is closed.
            if let Some(number) = done.buffer() {
                self.buffers.give_back(number);
            }
            return None;
        };
        let answer = done.answer();
        if let Some(number) = done.buffer() {
            (self.buffers).append(&mut place.chain, number, answer.unwrap_or(0));
        }
        if !done.goes_on() {
            place.input = Watch::No;
        }
        match answer {
            Ok(0) => place.ended = true,
            Ok(_) => {}
            // It is wanted again by now. If it cannot be begun, the machine's next attempt will tell.
            Err(Errno::CANCELED)
                if !place.wanted.contains(Directions::READ)
                    || place.chain.is_empty()
                        && place.watch_input(&mut self.ring).is_ok() =>
            {
                return None;
            }
            // The machine's next attempt is a call.
            Err(Errno::CANCELED | Errno::NOBUFS | Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => place.errno = u16::try_from(errno.raw_os_error()).unwrap_or(0),
        }
        Some(readable(token))
    }

    /// There is room to send, or nobody to send to.
    fn has_room(&mut self, token: Token, done: Completion) -> Option<Event> {
        let place = known(&mut self.places, token)?;
        place.room = Watch::No;
        let events = match done.answer() {
            Err(Errno::CANCELED)
                if !place.wanted.contains(Directions::WRITE)
                    || place.watch_room(&mut self.ring).is_ok() =>
            {
                return None;
            }
            Ok(events) => events,
            Err(_) => 0,
        };
        Some(Event::Ready {
            token,
            directions: Directions::WRITE,
            closing: events & submission::CLOSING != 0,
        })
    }

    /// A send is over. If there was no room for all of it and room is awaited, that is watched for.
    fn sent(&mut self, token: Token, done: Completion) -> Event {
        let mut asked = 0;
        let mut watched = Ok(());
        if let Some(place) = known(&mut self.places, token) {
            asked = place.sending;
            let short = match done.answer() {
                Ok(n) => n < asked,
                Err(errno) => errno == Errno::AGAIN,
            };
            if short && place.wanted.contains(Directions::WRITE) {
                watched = place.watch_room(&mut self.ring);
            }
        }
        let outcome = match (done.answer(), watched) {
            (Ok(n), Ok(())) if n < asked => Outcome::Drained(n),
            (Ok(n), _) => Outcome::Complete(n),
            (Err(Errno::AGAIN), Err(errno)) | (Err(errno), _) => errno::transfer(errno),
        };
        let op = Op::Send;
        Event::Done { token, op, outcome }
    }

    /// Polls again what has reported and been looked at.
    fn poll_again(&mut self) {
        self.reported = false;
        if let Some(socket) = self.stop.filter(|_| !self.stop_polled) {
            let (token, kind) = (Token::from_bits(0), Kind::Stop);
            let poll = submission::poll(Name { token, kind }, socket, submission::IN);
            // SAFETY: it points to nothing.
            self.stop_polled = unsafe { self.ring.push(poll) }.is_ok();
            self.reported |= !self.stop_polled;
        }
        for (place, token) in self.listeners.iter_mut().zip(listener_tokens()) {
            if place.wanted.contains(Directions::READ) {
                let token = token(place.generation);
                self.reported |= place.watch_input(&mut self.ring).is_err();
            }
        }
    }
}
