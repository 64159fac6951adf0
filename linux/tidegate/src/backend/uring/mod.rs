//! `io_uring(7)`, Linux 6.1 or later: receives and sends that are done when they are reported.
//!
//! - *Receives*: one submission for each connection goes on for as long as the connection wants bytes (multishot). As
//!   it can miss a reset, a poll for the end accompanies it; after that has completed, receives are one-shot. The
//!   kernel receives into [`Buffers`] that all share; an [`Action::Recv`] completes at once from there. When no buffer
//!   is free the kernel returns `ENOBUFS`, and that receive is made as a call: no connection waits for the buffers of
//!   another.
//! - *Sends*: gathered in an iteration and submitted, all of them, by the call that begins the next one. None of them
//!   blocks: one that would completes as would-block, and a poll waits for writability.
//! - Listeners, watched descriptors, datagram sockets, and non-socket streams are polled, and each readiness event is
//!   followed by a call, as with `epoll(7)`: serial lines are slow, and pipes and terminals have no multishot receive.
//!
//! So the kernel has pointers to bytes of the session only while it is inside our own call: none outlives it, whatever
//! becomes of the server.
//!
//! [`Action::Recv`]: tidegate_core::Action::Recv

#[cfg(feature = "bare-ring")]
pub mod bare;
mod buffers;
mod completions;
mod lost;
mod mapping;
mod ring;
mod slot;
mod submission;

use super::{Accepted, Backend, Kind, sealed};
use crate::clock;
use crate::errno;
use crate::error::{Error, REGISTER, SETUP};
use crate::socket;
use buffers::Buffers;
use core::cell::OnceCell;
use core::fmt;
use core::time::Duration;
use lost::Lost;
use mapping::Zeroed;
use ring::Ring;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::io_uring::IoringRegisterOp;
use rustix::net::{self, Shutdown, SocketFlags};
use slot::{Slot, Slots, Watch};
use submission::{Name, Request};
use tidegate_core::{Completion, Directions, Event, Instant, Outcome, Token, Trigger};

/// Submissions of one call.
const SUBMISSIONS: u32 = 512;

/// Completions that the ring holds; more wait in the kernel's own memory.
const COMPLETIONS: u32 = 2048;

/// Completions taken in one poll.
const BATCH: u32 = 256;

/// A ring, and what is under way in it.
pub struct Uring {
    /// First, so that it is closed before the buffers are unmapped: fields are dropped in the order of their declaration.
    ring: Ring,
    buffers: Buffers,
    slots: Slots,
    /// The tokens of the connections over non-socket streams: the first so many words.
    streams: Zeroed<u64>,
    streaming: usize,
    /// The descriptor that ends a wait from outside.
    stop: Option<RawFd>,
    /// Whether a listener, a stream or the stop has reported and is not polled again yet.
    reported: bool,
    /// Whether the stop is polled.
    stop_polled: bool,
    /// The next pause for resource exhaustion.
    exhaustion: Duration,
    /// Whether completions are lost.
    lost: Lost,
    /// What another loop waits for, once it was requested.
    counter: OnceCell<Result<OwnedFd, Errno>>,
}

impl fmt::Debug for Uring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uring")
            .field("ring", &self.ring)
            .finish_non_exhaustive()
    }
}

/// For nesting in another loop: an eventfd that the kernel raises when there are completions. It is created on first
/// use, as it costs something for each completion. The ring's own descriptor would not do: completions that are only
/// due do not make it readable.
impl AsFd for Uring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let counter = self.counter.get_or_init(|| {
            // What has happened up to now counts.
            let counter = eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            let fd = counter.as_raw_fd();
            // SAFETY: the number lives until the call returns; the kernel keeps the counter itself.
            unsafe {
                self.ring
                    .register(IoringRegisterOp::RegisterEventfd, &raw const fd, 1)
            }?;
            Ok(counter)
        });
        match counter {
            Ok(counter) => counter.as_fd(),
            Err(_) => self.ring.as_fd(),
        }
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        // A server has done so already; a ring without a server has nothing in flight.
        self.end();
    }
}

impl Uring {
    /// Bytes that it takes for each connection that there may be. In addition it maps some 700 KiB: the receive
    /// buffers, and the two queues.
    pub const CONNECTION: usize = size_of::<Slot>();

    /// A ring with so many slots: a server needs [`Memory::ENTRIES`](crate::Memory::ENTRIES). It belongs to the thread
    /// that makes it.
    ///
    /// # Errors
    ///
    /// The kernel has no io_uring (`ENOSYS`), is older than Linux 6.1 (`EINVAL`), does not allow it here (`EPERM`:
    /// `/proc/sys/kernel/io_uring_disabled`, a seccomp profile), or its resources are exhausted (`ENOMEM`, `EMFILE`).
    /// `E2BIG`: more than 2^24 slots.
    pub fn new(entries: u32) -> Result<Self, Error> {
        let failed = Error::of(SETUP);
        if entries > Name::SLOTS {
            return Err(failed(Errno::TOOBIG));
        }
        let mut ring = Ring::new(SUBMISSIONS, COMPLETIONS).map_err(&failed)?;
        // Refused calls are better met now than later.
        ring.hand_over().map_err(Error::of("io_uring_enter"))?;
        let mut uring = Self {
            ring,
            buffers: Buffers::new().map_err(Error::of("mmap"))?,
            slots: Slots::new(entries as usize).map_err(Error::of("mmap"))?,
            streams: Zeroed::new(entries as usize).map_err(Error::of("mmap"))?,
            streaming: 0,
            stop: None,
            reported: false,
            stop_polled: false,
            exhaustion: Duration::from_millis(1),
            lost: Lost::Nothing,
            counter: OnceCell::new(),
        };
        // SAFETY: they are a field behind that of the ring, so they are dropped after it, now if this fails as ever after.
        let given = unsafe { uring.buffers.give_to(&uring.ring) };
        given.map_err(Error::of(REGISTER))?;
        Ok(uring)
    }
}

/// There is input, or a connection in a listener's queue.
const fn readable(token: Token) -> Event {
    Event::Ready {
        token,
        directions: Directions::READ,
        closing: false,
    }
}

impl sealed::Sealed for Uring {}

impl Backend for Uring {
    fn kind(&self) -> Kind {
        Kind::Uring
    }

    fn entries(&self) -> usize {
        self.slots.list.len()
    }

    fn expect(&mut self, sources: usize) {
        self.slots.sources = sources;
    }

    unsafe fn watch(&mut self, stop: BorrowedFd<'_>) -> Result<(), Error> {
        self.stop = Some(stop.as_raw_fd());
        self.reported = true;
        Ok(())
    }

    unsafe fn arm(
        &mut self,
        socket: BorrowedFd<'_>,
        token: Token,
        _was: Directions,
        now: Directions,
        _trigger: Trigger,
    ) -> Result<bool, Errno> {
        let slot = (self.slots.own(token, socket)).ok_or(Errno::NOSPC)?;
        slot.wanted = now;
        let left = slot.leave(&mut self.ring);
        left.and(slot.watch(&mut self.ring)).map(|()| false)
    }

    unsafe fn arm_stream(
        &mut self,
        stream: BorrowedFd<'_>,
        token: Token,
        was: Directions,
        now: Directions,
        trigger: Trigger,
    ) -> Result<bool, Errno> {
        let slot = (self.slots.own(token, stream)).ok_or(Errno::NOSPC)?;
        if !slot.stream {
            slot.stream = true;
            let free = self.streams.get_mut(self.streaming);
            *free.ok_or(Errno::NOSPC)? = token.to_bits();
            self.streaming += 1;
        }
        // SAFETY: the caller's promise.
        unsafe { self.arm(stream, token, was, now, trigger) }
    }

    /// Every registration can be cancelled by its owner.
    unsafe fn renew(&mut self, _stop: BorrowedFd<'_>) {}

    fn end(&mut self) {
        // The kernel never learns of what was only gathered, sends among it. A failure is harmless: closing the ring
        // ends everything, too, only later.
        let _ = self.ring.cancel_all();
    }

    fn wait(&mut self, until: Option<Instant>, _busy: bool) -> Result<usize, Error> {
        if self.reported {
            self.poll_again();
        }
        if let Some(Ok(counter)) = self.counter.get() {
            // A later increment is for the next poll. An empty counter does no harm.
            let _ = rustix::io::read(counter, &mut [0; 8]);
        }
        loop {
            if let Some(ready) = self.search() {
                return Ok(BATCH.min(ready) as usize);
            }
            let longest = until.map(clock::left);
            match self.ring.wait(longest, BATCH) {
                Ok(ready) => {
                    self.go_on();
                    if ready > 0 || longest == Some(Duration::ZERO) {
                        return Ok(BATCH.min(ready) as usize);
                    }
                }
                Err(errno) if lost::passes(errno) => {
                    if errno == Errno::BADR {
                        self.lost = Lost::Found;
                    }
                    self.pause(until);
                    return Ok(0);
                }
                Err(errno) => return Err(Error::of("io_uring_enter")(errno)),
            }
        }
    }

    fn is_due(&self) -> bool {
        self.ring.has_pending() || self.reported
    }

    fn report(&mut self, _index: usize) -> Option<Event> {
        match self.ring.next() {
            Some(done) => self.event(done),
            None => self.next_lost(),
        }
    }

    #[inline]
    fn receive(&mut self, token: Token, socket: BorrowedFd<'_>, into: &mut [u8]) -> Completion {
        let Some(slot) = self.slots.own(token, socket) else {
            return socket::complete_receive(socket, into);
        };
        if !slot.chain.is_empty() {
            let n = self.buffers.take(&mut slot.chain, into);
            let count = u32::try_from(n).unwrap_or(u32::MAX);
            // What is in flight will report more.
            let drained = slot.chain.is_empty() && slot.input == Watch::Begun;
            return if drained {
                Completion::drained(count)
            } else {
                Completion::complete(count)
            };
        }
        if slot.ended {
            return Completion::complete(0);
        }
        if slot.errno != 0 {
            let errno = Errno::from_raw_os_error(i32::from(slot.errno));
            return errno::completion(errno);
        }
        // Nothing may be received ahead of what is under way.
        if slot.input != Watch::No {
            if slot.hung_up
                && let Err(errno) = slot.leave_input(&mut self.ring)
            {
                return errno::completion(errno);
            }
            return Completion::drained(0);
        }
        let outcome = socket::complete_receive(socket, into);
        if let Outcome::Drained(n) = outcome.into()
            && slot.wanted.contains(Directions::READ)
            && let Err(errno) = slot.watch_input(&mut self.ring)
        {
            return if n > 0 {
                Completion::complete(n)
            } else {
                errno::completion(errno)
            };
        }
        outcome
    }

    fn failure(&mut self, token: Token, socket: BorrowedFd<'_>) -> Option<Outcome> {
        // A receive that was under way has taken the error.
        let errno = self.slots.known(token).map_or(0, |slot| slot.errno);
        if errno != 0 {
            let errno = Errno::from_raw_os_error(i32::from(errno));
            return Some(errno::transfer(errno));
        }
        socket::failure(socket)
    }

    #[inline]
    unsafe fn send(
        &mut self,
        token: Token,
        socket: BorrowedFd<'_>,
        from: &[u8],
    ) -> Option<Completion> {
        let Some(slot) = self.slots.own(token, socket) else {
            return Some(socket::complete_send(socket, from));
        };
        let request = Request::Send;
        let send = submission::send(Name { token, request }, socket, from);
        // SAFETY: the caller guarantees that the memory stays allocated until the send's completion, or until the ring
        // forgets what was only gathered (`cancel_all`, in `end` and when we are dropped). The kernel learns of the
        // bytes, and reads them, only inside `io_uring_enter`: the send does not wait, so it completes in the call that
        // submits it.
        match unsafe { self.ring.push(send) } {
            Ok(()) => {
                slot.sending = u32::try_from(from.len()).unwrap_or(u32::MAX);
                None
            }
            Err(errno) => Some(errno::completion(errno)),
        }
    }

    /// io_uring waits for input of a socket only if the socket may block. No call of ours lets it.
    fn accept(&mut self, from: BorrowedFd<'_>) -> Accepted {
        socket::accept_with(from, SocketFlags::CLOEXEC)
    }

    /// From here on it may block, for the same reason.
    fn connected(&mut self, socket: BorrowedFd<'_>) -> Outcome {
        match rustix::io::ioctl_fionbio(socket, false) {
            Ok(()) => Outcome::Complete(0),
            Err(errno) => errno::transfer(errno),
        }
    }

    fn close(&mut self, token: Token, socket: OwnedFd, reset: bool) -> Outcome {
        if let Some(slot) = self.slots.known(token) {
            self.buffers.drop_chain(&mut slot.chain);
            let input = slot.leave_input(&mut self.ring);
            let output = slot.leave_output(&mut self.ring);
            let hang_up = slot.leave_hang_up(&mut self.ring);
            // What is in flight holds the socket: it is ended now, so that closing closes.
            let left = input.and(output).and(hang_up);
            if slot.is_watched() && left.and(self.ring.hand_over()).is_err() {
                let _ = net::shutdown(&socket, Shutdown::Both);
            }
            if slot.stream {
                let streams = self.streams.iter().take(self.streaming);
                if let Some(at) = streams
                    .clone()
                    .position(|stream| *stream == token.to_bits())
                {
                    self.streaming -= 1;
                    self.streams.swap(at, self.streaming);
                }
            }
            *slot = Slot::default();
        }
        socket::close(socket, reset)
    }
}
