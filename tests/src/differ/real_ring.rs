//! The ring of the real side: the library's own.

use super::operation::{Answer, Operation, pattern};
use super::real::{Real, errno};
use super::ring::{self, CANCELLED, Completion, Submission};
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io;
use rustix::net::{self, AddressFamily, SendFlags, SocketFlags, SocketType, sockopt};
use tidegate::backend::bare::{self, BareRing};
use tidegate_sim::Fd;

/// How long a reset over the loopback may take.
const PATIENCE: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// A ring.
///
/// # Errors
///
/// The system does not let us.
pub(super) fn new() -> io::Result<BareRing> {
    BareRing::new().map_err(|error| error.errno().unwrap_or(io::Errno::INVAL))
}

impl Real {
    /// Makes one call of a ring.
    pub(super) fn call_ring(&mut self, operation: Operation) -> io::Result<Answer> {
        match operation {
            Operation::Submit(fd, submission) => {
                self.gather(fd, submission)?;
                Ok(Answer::Done)
            }
            Operation::Leave(fd) => {
                for operation in CANCELLED {
                    self.gather(fd, Submission::Cancel(operation))?;
                }
                let completed = self.complete()?;
                self.release(fd)?;
                Ok(ring::sorted(completed))
            }
            Operation::Complete => Ok(ring::sorted(self.complete()?)),
            Operation::Pair
            | Operation::Connect
            | Operation::Accept
            | Operation::Dup(_)
            | Operation::Close(_)
            | Operation::Add(..)
            | Operation::Modify(..)
            | Operation::Delete(..)
            | Operation::Wait(..)
            | Operation::Send(..)
            | Operation::SendUrgent(_)
            | Operation::Recv(..)
            | Operation::Shutdown(..)
            | Operation::TakeError(_)
            | Operation::Unsent(_)
            | Operation::ResetOnClose(_) => Err(io::Errno::NOSYS),
        }
    }

    fn gather(&mut self, fd: Fd, submission: Submission) -> io::Result<()> {
        let mut ring = self.ring.take().ok_or(io::Errno::BADF)?;
        let gathered = self
            .at(fd)
            .and_then(|socket| gather(&mut ring, fd, socket, submission));
        self.ring = Some(ring);
        gathered
    }

    fn complete(&mut self) -> io::Result<Vec<Completion>> {
        complete(self.ring.as_mut().ok_or(io::Errno::BADF)?)
    }
}

fn gather(
    ring: &mut BareRing,
    fd: Fd,
    socket: BorrowedFd<'_>,
    submission: Submission,
) -> io::Result<()> {
    match submission {
        Submission::Receive => ring.receive(fd.0, socket, false),
        Submission::ReceiveOnce => ring.receive(fd.0, socket, true),
        Submission::HangUp => ring.poll(fd.0, socket, bare::Operation::HangUp),
        Submission::Reset => ring.poll(fd.0, socket, bare::Operation::Reset),
        Submission::Writable => ring.poll(fd.0, socket, bare::Operation::Writable),
        Submission::Send(len) => ring.send(fd.0, socket, pattern(fd, len)),
        Submission::Cancel(operation) => ring.cancel(fd.0, operation),
    }
}

fn complete(ring: &mut BareRing) -> io::Result<Vec<Completion>> {
    let mut completed = Vec::new();
    ring.complete(|done, bytes| {
        completed.push(Completion {
            fd: Fd(done.index),
            operation: done.operation,
            result: done.result.map_err(errno),
            bytes: bytes.to_vec(),
            goes_on: done.goes_on,
        });
    })?;
    Ok(completed)
}

/// Whether this kernel merges the wake-ups of bytes and of a reset behind them also for a multishot receive that waited before
/// they came.
///
/// # Errors
///
/// The system does not let us.
pub(super) fn merges_wake_ups() -> io::Result<bool> {
    let mut ring = new()?;
    let flags = SocketFlags::CLOEXEC;
    let socket = || net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
    let (listener, client) = (socket()?, socket()?);
    net::bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    net::listen(&listener, 1)?;
    net::connect(&client, &net::getsockname(&listener)?)?;
    let server = net::accept_with(&listener, flags)?;
    ring.receive(0, server.as_fd(), false)?;
    complete(&mut ring)?;
    net::send(&client, b"x", SendFlags::NOSIGNAL)?;
    sockopt::set_socket_linger(&client, Some(Duration::ZERO))?;
    drop(client);
    // The reset has arrived when it is polled.
    let mut polled = [PollFd::new(&server, PollFlags::RDHUP)];
    poll(&mut polled, Some(&PATIENCE))?;
    Ok(complete(&mut ring)?.len() < 2)
}
