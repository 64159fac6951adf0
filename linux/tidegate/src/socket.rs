//! The calls on connections: accept, receive, send, shut down, measure, close. Each turns an error number into an
//! [`Outcome`] and decides nothing.

use crate::alive::is_alive;
use crate::backend::Accepted;
use crate::errno;
use core::net::SocketAddr;
use core::time::Duration;
use rustix::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, sockopt};
use tidegate_core::{Completion, Fault, Outcome};

/// `SIOCOUTQ`, which is `TIOCOUTQ` on every architecture (`tcp(7)`, `unix(7)`).
#[cfg(not(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "powerpc",
    target_arch = "powerpc64"
)))]
pub(crate) const SIOCOUTQ: rustix::ioctl::Opcode = 0x5411;
#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
pub(crate) const SIOCOUTQ: rustix::ioctl::Opcode = 0x7472;
#[cfg(any(target_arch = "powerpc", target_arch = "powerpc64"))]
pub(crate) const SIOCOUTQ: rustix::ioctl::Opcode = 0x4004_7473;

/// What a transfer came to: bytes moved, or why none were; `None`: it would have blocked.
pub(crate) type Transfer = Result<u32, Option<Fault>>;

/// Takes one connection: non-blocking, closed on exec. Its address comes with it; asking later may come too late.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> Accepted {
    accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)
}

/// The same with other flags.
pub(crate) fn accept_with(listener: BorrowedFd<'_>, flags: SocketFlags) -> Accepted {
    let (socket, address) = net::acceptfrom_with(listener, flags).map_err(errno::accept)?;
    let address = address.and_then(|address| match address.address_family() {
        AddressFamily::INET | AddressFamily::INET6 => SocketAddr::try_from(address).ok(),
        _ => None,
    });
    Ok((socket, address))
}

/// Receives into `into`, which is not empty: an empty receive would look like EOF.
#[inline]
pub(crate) fn receive(socket: BorrowedFd<'_>, into: &mut [u8]) -> Transfer {
    match net::recv(socket, into, RecvFlags::DONTWAIT) {
        Ok((n, _)) => Ok(count(n)),
        Err(errno) => Err(fault(errno)),
    }
}

/// Sends `from`, without a SIGPIPE if the peer is gone.
#[inline]
pub(crate) fn send(socket: BorrowedFd<'_>, from: &[u8]) -> Transfer {
    match net::send(socket, from, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        Ok(n) => Ok(count(n)),
        Err(errno) => Err(fault(errno)),
    }
}

/// The same as an outcome.
#[inline]
pub(crate) fn complete_receive(socket: BorrowedFd<'_>, into: &mut [u8]) -> Completion {
    let asked = count(into.len());
    Completion::of_receive(receive(socket, into), asked)
}

/// The same as an outcome.
#[inline]
pub(crate) fn complete_send(socket: BorrowedFd<'_>, from: &[u8]) -> Completion {
    Completion::of_send(send(socket, from), count(from.len()))
}

/// A length that is at most that of a window, which is below 2³².
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is below that by its sentence"
)]
pub(crate) fn count(n: usize) -> u32 {
    debug_assert!(u32::try_from(n).is_ok(), "longer than any window");
    n as u32
}

#[cold]
fn fault(errno: Errno) -> Option<Fault> {
    errno::fault_of(errno::transfer(errno))
}

/// Sends FIN.
pub(crate) fn shut_down(socket: BorrowedFd<'_>) -> Outcome {
    outcome(net::shutdown(socket, Shutdown::Write))
}

/// Why a connection has failed, if it has (`SO_ERROR`, `socket(7)`, which clears it).
pub(crate) fn failure(socket: BorrowedFd<'_>) -> Option<Outcome> {
    match sockopt::socket_error(socket) {
        Ok(Err(errno)) | Err(errno) => Some(errno::transfer(errno)),
        Ok(Ok(())) => None,
    }
}

/// How many bytes that were sent the peer has not acknowledged, as [`Action::Unsent`](tidegate_core::Action::Unsent) has it.
pub(crate) fn unsent(socket: BorrowedFd<'_>) -> Outcome {
    let queued = queued(socket);
    if queued == Outcome::Complete(0) {
        return can_send(socket);
    }
    queued
}

/// How many bytes wait in the kernel to be sent.
pub(crate) fn queued(to: BorrowedFd<'_>) -> Outcome {
    // SAFETY: SIOCOUTQ writes one int through its pointer, and nothing else (`tcp(7)`).
    let queued = unsafe {
        let getter = rustix::ioctl::Getter::<SIOCOUTQ, core::ffi::c_int>::new();
        rustix::ioctl::ioctl(to, getter)
    };
    match queued {
        Ok(n) => Outcome::Complete(u32::try_from(n).unwrap_or(0)),
        Err(errno) => errno::transfer(errno),
    }
}

/// Whether a socket that has sent everything could send more: a send of nothing fails as one of something does
/// (`tcp_sendmsg`, `unix_stream_sendmsg`). The error of the socket is returned, if it has one. Over TCP it has: a reset
/// after a FIN is `EPIPE` (`tcp_reset`), the only cause of it while FIN is not sent.
fn can_send(socket: BorrowedFd<'_>) -> Outcome {
    match net::send(socket, &[], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Ok(_) => Outcome::Complete(0),
        Err(Errno::PIPE) if sockopt::socket_domain(socket) == Ok(AddressFamily::UNIX) => HUNG_UP,
        // The send buffer is full, but the socket could send.
        Err(Errno::AGAIN) => Outcome::Complete(0),
        Err(errno) => errno::transfer(errno),
    }
}

/// Data that is sent would not arrive any more, though there is no error (`EPIPE`).
pub(crate) const HUNG_UP: Outcome = Outcome::Failed(Fault::Refused(32));

/// Closes a connection that is not taken, with a last message if there is one. Bounded: one send, and at most
/// [`DISCARDS`] receives.
pub(crate) fn refuse(socket: OwnedFd, message: &[u8]) -> Outcome {
    if message.is_empty() {
        return close(socket, true);
    }
    // A new socket has nothing queued: what it does not take of a short message is left out, and a peer that is gone
    // already misses nothing.
    let _ = send(socket.as_fd(), message);
    let _ = net::shutdown(&socket, Shutdown::Write);
    // Closing with data unread resets the connection (RFC 9293, 3.6.1 and RFC 2525, 2.17), and a reset may overtake the
    // message.
    let mut discarded = [0; 512];
    for _ in 0..DISCARDS {
        match receive(socket.as_fd(), &mut discarded) {
            Ok(n) if n > 0 => {}
            Ok(_) | Err(_) => break,
        }
    }
    close(socket, false)
}

/// Receives of 512 bytes that are discarded when a connection is refused: a request of 16 KiB.
const DISCARDS: u32 = 32;

/// The same, and whether the peer is known to live: then it is `Drained`. `stall`: how long output may stall.
pub(crate) fn stalled(socket: BorrowedFd<'_>, stall: Option<Duration>) -> Outcome {
    let unsent = unsent(socket);
    if let Outcome::Complete(n) = unsent
        && is_alive(socket, n, stall)
    {
        return Outcome::Drained(n);
    }
    unsent
}

/// How many of those bytes have never been sent (`SIOCOUTQNSD`, `linux/sockios.h`).
pub(crate) fn not_sent(socket: BorrowedFd<'_>) -> Result<u32, Errno> {
    // SAFETY: SIOCOUTQNSD writes one int through its pointer, and nothing else.
    let not_sent = unsafe {
        let getter = rustix::ioctl::Getter::<0x894b, core::ffi::c_int>::new();
        rustix::ioctl::ioctl(socket, getter)
    };
    not_sent.map(|n| u32::try_from(n).unwrap_or(0))
}

/// Closes, once, whatever it returns: the descriptor is gone even then (`close(2)`, section "Dealing with error
/// returns").
pub(crate) fn close(socket: OwnedFd, reset: bool) -> Outcome {
    if reset {
        // Without this it is an orderly end: less than was wished, and no reason to keep the descriptor.
        let _ = sockopt::set_socket_linger(socket.as_fd(), Some(Duration::ZERO));
    }
    // SAFETY: the descriptor was owned here alone, and is given up with this call.
    let closed = unsafe { rustix::io::try_close(socket.into_raw_fd()) };
    // An error is ignored, and the call is not repeated: the number may be another descriptor's by now.
    let _ = closed;
    Outcome::Complete(0)
}

fn outcome(result: Result<(), Errno>) -> Outcome {
    match result {
        Ok(()) => Outcome::Complete(0),
        Err(errno) => errno::transfer(errno),
    }
}
