//! [`AnyBackend`]: one of them, chosen when the program runs.

use super::entries::Entries;
use super::{Accepted, Backend, Epoll, Kind, Poll, Ready, Select, Spin, Uring, sealed};
use crate::error::Error;
use crate::socket;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use tidegate_core::{Completion, Directions, Event, Instant, Outcome, Token, Trigger};

/// Any backend. A program that needs one only should name that one: then the others are not linked.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of it, and nothing is allocated"
)]
#[expect(missing_docs, reason = "each is the backend of the same name")]
pub enum AnyBackend<'m> {
    Epoll(Epoll),
    Poll(Poll<'m>),
    Select(Select<'m>),
    Spin(Spin<'m>),
    Uring(Uring),
}

impl<'m> AnyBackend<'m> {
    /// The backend of this kind for so many sources as `entries` has entries; they are the memory for its list, if it needs one.
    ///
    /// # Errors
    ///
    /// The call that failed.
    pub fn new<const N: usize, const W: usize>(
        kind: Kind,
        entries: &'m mut Entries<N, W>,
    ) -> Result<Self, Error> {
        Ok(match kind {
            Kind::Epoll => Self::Epoll(Epoll::new()?),
            Kind::Poll => Self::Poll(Poll::new(entries)),
            Kind::Select => Self::Select(Select::new(entries)),
            Kind::Spin => Self::Spin(Spin::new(entries)),
            Kind::Uring => Self::Uring(Uring::new(u32::try_from(N).unwrap_or(u32::MAX))?),
        })
    }
}

/// The same for whichever it is.
macro_rules! each {
    ($any:expr, $backend:ident => $call:expr) => {
        match $any {
            AnyBackend::Epoll($backend) => $call,
            AnyBackend::Poll($backend) => $call,
            AnyBackend::Select($backend) => $call,
            AnyBackend::Spin($backend) => $call,
            AnyBackend::Uring($backend) => $call,
        }
    };
}

impl sealed::Sealed for AnyBackend<'_> {}

impl Backend for AnyBackend<'_> {
    fn kind(&self) -> Kind {
        each!(self, backend => backend.kind())
    }

    fn entries(&self) -> usize {
        each!(self, backend => backend.entries())
    }

    fn expect(&mut self, sources: usize) {
        each!(self, backend => backend.expect(sources));
    }

    fn arm_call(&self) -> &'static str {
        each!(self, backend => backend.arm_call())
    }

    unsafe fn arm(
        &mut self,
        socket: BorrowedFd<'_>,
        token: Token,
        was: Directions,
        now: Directions,
        trigger: Trigger,
    ) -> Result<bool, Errno> {
        // SAFETY: the caller's promise.
        each!(self, backend => unsafe { backend.arm(socket, token, was, now, trigger) })
    }

    unsafe fn arm_stream(
        &mut self,
        stream: BorrowedFd<'_>,
        token: Token,
        was: Directions,
        now: Directions,
        trigger: Trigger,
    ) -> Result<bool, Errno> {
        // SAFETY: the caller's promise.
        each!(self, backend => unsafe { backend.arm_stream(stream, token, was, now, trigger) })
    }

    unsafe fn renew(&mut self, stop: BorrowedFd<'_>) {
        // SAFETY: the caller's promise.
        each!(self, backend => unsafe { backend.renew(stop) });
    }

    fn end(&mut self) {
        each!(self, backend => backend.end());
    }

    fn wait(&mut self, until: Option<Instant>, busy: bool) -> Result<usize, Error> {
        each!(self, backend => backend.wait(until, busy))
    }

    #[inline]
    fn ready(&mut self, index: usize) -> Option<Ready> {
        match self {
            Self::Epoll(epoll) => epoll.ready(index),
            Self::Poll(_) | Self::Select(_) | Self::Spin(_) | Self::Uring(_) => None,
        }
    }

    #[inline(never)]
    fn report(&mut self, index: usize) -> Option<Event> {
        each!(self, backend => backend.report(index))
    }

    unsafe fn watch(&mut self, stop: BorrowedFd<'_>) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        each!(self, backend => unsafe { backend.watch(stop) })
    }

    fn is_due(&self) -> bool {
        each!(self, backend => backend.is_due())
    }

    #[inline]
    fn receive(&mut self, token: Token, socket: BorrowedFd<'_>, into: &mut [u8]) -> Completion {
        match self {
            Self::Uring(uring) => uring.receive(token, socket, into),
            // None of them has a receive of its own, nor a send.
            Self::Epoll(_) | Self::Poll(_) | Self::Select(_) | Self::Spin(_) => {
                socket::complete_receive(socket, into)
            }
        }
    }

    fn failure(&mut self, token: Token, socket: BorrowedFd<'_>) -> Option<Outcome> {
        each!(self, backend => backend.failure(token, socket))
    }

    #[inline]
    unsafe fn send(
        &mut self,
        token: Token,
        socket: BorrowedFd<'_>,
        from: &[u8],
    ) -> Option<Completion> {
        match self {
            // SAFETY: the caller's promise.
            Self::Uring(uring) => unsafe { uring.send(token, socket, from) },
            Self::Epoll(_) | Self::Poll(_) | Self::Select(_) | Self::Spin(_) => {
                Some(socket::complete_send(socket, from))
            }
        }
    }

    fn accept(&mut self, from: BorrowedFd<'_>) -> Accepted {
        each!(self, backend => backend.accept(from))
    }

    fn connected(&mut self, socket: BorrowedFd<'_>) -> Outcome {
        each!(self, backend => backend.connected(socket))
    }

    fn close(&mut self, token: Token, socket: OwnedFd, reset: bool) -> Outcome {
        each!(self, backend => backend.close(token, socket, reset))
    }
}
