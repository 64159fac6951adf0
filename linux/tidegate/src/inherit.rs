//! Options that the opener of a socket may have set, reset to those of a new socket.
//!
//! Accepted sockets inherit nearly every option of their listener (`tcp(7)`, `socket(7)`), so that one call at start does for
//! all of them. What does not touch how the loop reads, writes and closes is left as the operator set it: marks,
//! priorities, filters, the device, TTL and TOS, congestion control, pacing, keys.

use crate::option::Number;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::AddressFamily;
use rustix::net::sockopt::{self, Timeout};

/// The option that could not be set, and why.
pub(crate) type Failed = (&'static str, Errno);

/// The largest window that TCP can have, which is what a new socket is clamped to (RFC 7323, section 2.3).
const WINDOW_MAX: i32 = 65_535 << 14;

/// Puts back what every socket has.
fn reset_any(socket: &OwnedFd, family: AddressFamily) -> Result<(), Failed> {
    // Closing would wait for bytes that the peer has not acknowledged, and the loop with it.
    sockopt::set_socket_linger(socket, None).map_err(|errno| ("SO_LINGER", errno))?;
    // Fewer bytes than that would not be reported.
    Number::RCVLOWAT
        .set(socket, 1)
        .map_err(|errno| ("SO_RCVLOWAT", errno))?;
    // No call of ours waits, but in the kernel's own code one might.
    for direction in [Timeout::Recv, Timeout::Send] {
        sockopt::set_socket_timeout(socket, direction, None)
            .map_err(|errno| ("SO_RCVTIMEO", errno))?;
    }
    if family == AddressFamily::UNIX {
        return Ok(());
    }
    // Replies would reach hosts on the same link only.
    put_back("SO_DONTROUTE", Number::DONTROUTE.set(socket, 0))?;
    // Every receive and every poll would take so many microseconds of the CPU.
    put_back("SO_BUSY_POLL", Number::BUSY_POLL.set(socket, 0))?;
    // What is in the error queue, which none reads, is reported as an error again and again.
    put_back("SO_TIMESTAMPING", Number::TIMESTAMPING.set(socket, 0))?;
    put_back("IP_RECVERR", Number::RECVERR.set(socket, 0))?;
    if family == AddressFamily::INET6 {
        put_back("IPV6_RECVERR", Number::RECVERR6.set(socket, 0))?;
    }
    Ok(())
}

/// Puts back what every connection inherits that is accepted from this listener. What [`Listen`](crate::Listen) has options
/// for is off after it.
pub(crate) fn reset_listener(socket: &OwnedFd, family: AddressFamily) -> Result<(), Failed> {
    reset_any(socket, family)?;
    if family == AddressFamily::UNIX {
        return Ok(());
    }
    // An urgent byte would be one of the stream.
    put_back("SO_OOBINLINE", sockopt::set_socket_oobinline(socket, false))?;
    put_back("SO_KEEPALIVE", sockopt::set_socket_keepalive(socket, false))?;
    put_back("TCP_USER_TIMEOUT", sockopt::set_tcp_user_timeout(socket, 0))?;
    // What is sent would wait for a full segment or 200 ms.
    put_back("TCP_CORK", sockopt::set_tcp_cork(socket, false))?;
    // A peer that waits for our first word would never be accepted.
    put_back("TCP_DEFER_ACCEPT", Number::DEFER_ACCEPT.set(socket, 0))?;
    put_back("TCP_MAXSEG", Number::MAXSEG.set(socket, 0))?;
    put_back(
        "TCP_WINDOW_CLAMP",
        Number::WINDOW_CLAMP.set(socket, WINDOW_MAX),
    )?;
    // With a low mark a socket counts as full that is nearly empty.
    put_back("TCP_NOTSENT_LOWAT", Number::NOTSENT_LOWAT.set(socket, 0))?;
    put_back("TCP_LINGER2", Number::LINGER2.set(socket, 0))
}

/// Puts back what would change the datagrams of this socket.
pub(crate) fn reset_datagrams(socket: &OwnedFd, family: AddressFamily) -> Result<(), Failed> {
    reset_any(socket, family)?;
    if family == AddressFamily::UNIX {
        return Ok(());
    }
    put_back("UDP_CORK", Number::UDP_CORK.set(socket, 0))?;
    put_back("UDP_SEGMENT", Number::UDP_SEGMENT.set(socket, 0))?;
    put_back("UDP_GRO", Number::UDP_GRO.set(socket, 0))
}

/// Whether `shutdown(2)` was called on it: a Unix listener that never accepts, and is always readable.
pub(crate) fn is_shut_down(socket: &OwnedFd) -> bool {
    let mut asked = [PollFd::new(socket, PollFlags::IN | PollFlags::RDHUP)];
    let found = poll(&mut asked, Some(&Timespec::default()));
    let shut = PollFlags::HUP | PollFlags::RDHUP;
    found.is_ok() && asked[0].revents().intersects(shut)
}

/// An option that this kernel or this protocol lacks cannot have been set; one that only root may change is as root
/// wants it.
fn put_back(option: &'static str, done: Result<(), Errno>) -> Result<(), Failed> {
    match done {
        Err(Errno::NOPROTOOPT | Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        done => done.map_err(|errno| (option, errno)),
    }
}
