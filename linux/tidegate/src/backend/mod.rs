//! Where readiness events and completions come from: a [`Backend`] registers descriptors under tokens, waits, and
//! returns what happened as events. It decides nothing: the same machine, handler and driver run over each.

mod any;
mod entries;
mod epoll;
mod poll;
mod select;
mod spin;
mod uring;

pub use any::AnyBackend;
pub use entries::Entries;
pub use epoll::Epoll;
pub use poll::Poll;
pub use select::Select;
pub use spin::Spin;
pub use uring::Uring;
#[cfg(feature = "bare-ring")]
#[doc(hidden)]
pub use uring::bare;

use crate::error::Error;
use crate::socket;
use crate::stop::Stop;
use core::fmt;
use core::net::SocketAddr;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use tidegate_core::{Completion, Directions, Event, Instant, Outcome, Token, Trigger};

/// The kinds of backend.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Kind {
    /// `epoll(7)`: the kernel keeps the list and reports what is ready. Every trigger.
    #[default]
    Epoll,
    /// `poll(2)`: the list is passed at each wait.
    Poll,
    /// `select(2)`: as sets of bits.
    Select,
    /// No waiting: every source is polled by itself, round and round.
    Spin,
    /// `io_uring(7)`: the kernel performs the operations, and returns their completions.
    Uring,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Epoll,
        Self::Poll,
        Self::Select,
        Self::Spin,
        Self::Uring,
    ];

    /// What it is called, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Epoll => "epoll",
            Self::Poll => "poll",
            Self::Select => "select",
            Self::Spin => "spin",
            Self::Uring => "uring",
        }
    }

    /// Whether it can report by this trigger.
    #[must_use]
    pub const fn has(self, trigger: Trigger) -> bool {
        match self {
            Self::Epoll => true,
            // In edge mode unwanted bytes would be lost to the program, and io_uring would never stop to receive.
            Self::Poll | Self::Select | Self::Spin | Self::Uring => {
                matches!(trigger, Trigger::Level)
            }
        }
    }
}

/// A connection with its address, or why there is none.
pub type Accepted = Result<(OwnedFd, Option<SocketAddr>), Outcome>;

/// A readiness event: the source, the directions, and whether an end, a hang-up, an error or an urgent mark was reported.
pub type Ready = (Token, Directions, bool);

/// A way of asking the kernel. There are readiness backends, which report what may be tried, and completion backends,
/// which report what is done; both kinds are this one trait.
///
/// The calls on a socket that a backend may make in its own way have a default, which makes them at once. A completion
/// backend begins a send instead and returns `None`: the outcome then comes in a later event, exactly once, as
/// [`Event::Done`] of the same token. The bytes stay where they are until then.
///
/// Backends keep the numbers of descriptors and the addresses of bytes from one call to the next. So the calls that
/// pass those are unsafe, and [`Server`](crate::Server) keeps the promises: it owns the descriptors, and borrows the
/// memory.
///
/// It is sealed: the kernel has few ways, and all of them are in this module.
pub trait Backend: fmt::Debug + sealed::Sealed {
    /// Which one it is.
    fn kind(&self) -> Kind;

    /// The most sources that can be registered at a time.
    fn entries(&self) -> usize {
        usize::MAX
    }

    /// How many listeners, watched descriptors and datagram sockets there can be: before anything is registered.
    fn expect(&mut self, _sources: usize) {}

    /// Registers what shall end a wait from outside: readable, level, under [`Token`] `u64::MAX`, for good.
    ///
    /// # Errors
    ///
    /// The call that failed.
    ///
    /// # Safety
    ///
    /// As [`arm`](Self::arm).
    unsafe fn watch(&mut self, stop: BorrowedFd<'_>) -> Result<(), Error> {
        let (was, now) = (Directions::NONE, Directions::READ);
        // SAFETY: the caller's promise.
        let watched = unsafe { self.arm(stop, Stop::TOKEN, was, now, Trigger::Level) };
        watched.map(drop).map_err(Error::of(self.arm_call()))
    }

    /// The call that registers, for people.
    fn arm_call(&self) -> &'static str {
        self.kind().name()
    }

    /// Registers, changes or removes a source: `was` and `now` alone decide which. If the registration is not as `was`
    /// says, it is made as `now` says, and the result is true: it was repaired.
    ///
    /// # Errors
    ///
    /// The system's, for `errno::arm`: this source cannot be registered.
    ///
    /// # Safety
    ///
    /// The descriptor stays open until it is removed by a call with `now` empty, or given to [`close`](Self::close), or
    /// until [`end`](Self::end) was called or the backend is dropped: what is registered is its number, and the next
    /// wait would poll whatever has that number by then.
    unsafe fn arm(
        &mut self,
        socket: BorrowedFd<'_>,
        token: Token,
        was: Directions,
        now: Directions,
        trigger: Trigger,
    ) -> Result<bool, Errno>;

    /// The same for a non-socket stream. Whatever a backend does with sockets, this one is polled for readiness.
    ///
    /// # Errors
    ///
    /// As [`arm`](Self::arm).
    ///
    /// # Safety
    ///
    /// As [`arm`](Self::arm).
    unsafe fn arm_stream(
        &mut self,
        stream: BorrowedFd<'_>,
        token: Token,
        was: Directions,
        now: Directions,
        trigger: Trigger,
    ) -> Result<bool, Errno> {
        // SAFETY: the caller's promise.
        unsafe { self.arm(stream, token, was, now, trigger) }
    }

    /// Forgets every registration but the one of `stop`, even those that cannot be removed any more. If the system
    /// refuses, everything stays as it is.
    ///
    /// # Safety
    ///
    /// As [`arm`](Self::arm), of `stop`.
    unsafe fn renew(&mut self, stop: BorrowedFd<'_>);

    /// Ends whatever is registered or in flight, and waits until it has ended: nothing holds a descriptor any more, and the
    /// kernel has no pointer to memory of the session. For the end of a server; nothing is registered after it.
    fn end(&mut self) {}

    /// Waits until something happens or it is `until`; a signal does not shorten the wait. Returns the number of
    /// entries to read with [`report`](Self::report).
    ///
    /// `busy`: work is queued, and each poll reports all that is ready.
    ///
    /// # Errors
    ///
    /// The call that failed: the process or the kernel is broken.
    fn wait(&mut self, until: Option<Instant>, busy: bool) -> Result<usize, Error>;

    /// Whether something was begun of which the kernel learns only by the next [`wait`](Self::wait): then that is due now.
    #[inline]
    fn is_due(&self) -> bool {
        false
    }

    /// What this entry of the last wait reports as ready, where that is known without a system call, and by itself: it is
    /// what comes most, and small.
    #[inline]
    fn ready(&mut self, _index: usize) -> Option<Ready> {
        None
    }

    /// The event of this entry of the last wait, if it has one and nothing is [`ready`](Self::ready); call it once for each.
    fn report(&mut self, index: usize) -> Option<Event>;

    /// Receives into `into`, which is not empty.
    #[inline]
    fn receive(&mut self, _token: Token, socket: BorrowedFd<'_>, into: &mut [u8]) -> Completion {
        socket::complete_receive(socket, into)
    }

    /// Sends `from`.
    ///
    /// # Safety
    ///
    /// If it returns `None`, the memory of `from` stays allocated until the send's completion is reported, or until
    /// [`end`](Self::end) was called or the backend is dropped: the kernel reads it during a later call of ours.
    #[inline]
    unsafe fn send(
        &mut self,
        _token: Token,
        socket: BorrowedFd<'_>,
        from: &[u8],
    ) -> Option<Completion> {
        Some(socket::complete_send(socket, from))
    }

    /// Why a connection has failed, if it has.
    fn failure(&mut self, _token: Token, socket: BorrowedFd<'_>) -> Option<Outcome> {
        socket::failure(socket)
    }

    /// Takes one connection.
    #[inline]
    fn accept(&mut self, from: BorrowedFd<'_>) -> Accepted {
        socket::accept(from)
    }

    /// Is notified that a socket is connected now: before, it could not block. Returns the outcome.
    #[inline]
    fn connected(&mut self, _socket: BorrowedFd<'_>) -> Outcome {
        Outcome::Complete(0)
    }

    /// Closes, with a reset if requested. Whatever was registered has been removed, and what was in flight completed.
    #[inline]
    fn close(&mut self, _token: Token, socket: OwnedFd, reset: bool) -> Outcome {
        socket::close(socket, reset)
    }
}

mod sealed {
    /// Cannot be named outside this crate.
    pub trait Sealed {}
}
