//! [`Connect`]: options of every outbound connection; [`Registered`]: the destinations that have a name.

use crate::address::{Address, UNIX_MAX};
use crate::datagram::Senders;
use crate::errno;
use crate::error::Error;
use crate::listen::{Keepalive, Tuning, user_timeout};
use crate::socket::count;
use core::net::SocketAddr;
use core::time::Duration;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use tidegate_core::heapless::VecView;
use tidegate_core::{Destination, Fault, Local, Outcome, Peer, Unavailable};

/// Options of every outbound connection, as those of a [`Listen`](crate::Listen) are of every accepted one. A connection
/// that is wanted costs a call for each.
#[derive(Clone, Copy, Debug)]
pub struct Connect {
    /// Send small segments at once (`TCP_NODELAY`). On by default.
    pub nodelay: bool,
    /// Probe idle peers. Default 30 s, every 10 s, 3 times.
    pub keepalive: Option<Keepalive>,
    /// How long sent data may stay unacknowledged (`TCP_USER_TIMEOUT`). Default `None`: never; and never shorter than the
    /// write stall. See [`Listen::user_timeout`](crate::Listen::user_timeout).
    pub user_timeout: Option<Duration>,
    /// What the kernel may hold of received bytes for each connection (`SO_RCVBUF`). Default 64 KiB.
    pub receive_buffer: Option<u32>,
    /// The same for sent bytes (`SO_SNDBUF`). Default 64 KiB.
    pub send_buffer: Option<u32>,
}

impl Connect {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        nodelay: true,
        keepalive: Some(Keepalive::DEFAULT),
        user_timeout: None,
        receive_buffer: Some(64 * 1024),
        send_buffer: Some(64 * 1024),
    };

    /// As [`Listen::beside`](crate::Listen).
    pub(crate) fn beside(self, write_stall: Option<Duration>) -> Self {
        Self {
            user_timeout: user_timeout(self.user_timeout, write_stall),
            ..self
        }
    }

    fn set(&self, socket: &OwnedFd, family: AddressFamily) -> Result<(), Errno> {
        let tuning = Tuning {
            nodelay: self.nodelay,
            keepalive: self.keepalive,
            user_timeout: self.user_timeout,
            receive_buffer: self.receive_buffer,
            send_buffer: self.send_buffer,
        };
        tuning.set(socket, family).map_err(|(_, errno)| errno)
    }
}

impl Default for Connect {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Where outbound connections go, and what they are like.
#[derive(Debug)]
pub(crate) struct Registered<'m> {
    pub(crate) options: Connect,
    paths: &'m mut VecView<SocketAddrUnix>,
    /// Senders of datagrams that can be replied to.
    pub(crate) senders: Senders<'m>,
}

impl<'m> Registered<'m> {
    pub(crate) const fn new(
        paths: &'m mut VecView<SocketAddrUnix>,
        senders: &'m mut VecView<SocketAddrUnix>,
    ) -> Self {
        Self {
            options: Connect::DEFAULT,
            paths,
            senders: Senders::new(senders),
        }
    }

    pub(crate) fn add(&mut self, address: &Address<'_>) -> Result<Destination, Error> {
        let name = match address {
            Address::Inet(address) => return Ok(Destination::Inet(*address)),
            Address::Unix(name) | Address::Abstract(name) => name,
        };
        // The empty name would be chosen by the kernel, and one that fills all 108 bytes has no end.
        if name.is_empty() || name.len() > UNIX_MAX {
            return Err(Error::Path { max: UNIX_MAX });
        }
        let address = address.unix().and_then(Result::ok);
        let address = address.ok_or(Error::Path { max: UNIX_MAX })?;
        let number = count(self.paths.len());
        let capacity = count(self.paths.capacity());
        let full = Unavailable::Destinations { capacity };
        self.paths.push(address).map_err(|_| full)?;
        Ok(Destination::Registered(number))
    }

    /// Sends a datagram to the address that `to` names.
    pub(crate) fn send(
        &self,
        socket: BorrowedFd<'_>,
        to: Peer,
        local: Option<Local>,
        bytes: &[u8],
    ) -> Outcome {
        self.senders.send(socket, (to, local), bytes, self.paths)
    }

    /// A socket of this kind that is connected, or being connected; the outcome tells which.
    pub(crate) fn begin(&self, to: Destination) -> Result<(OwnedFd, Outcome), Outcome> {
        let family = match to {
            Destination::Inet(SocketAddr::V4(_)) => AddressFamily::INET,
            Destination::Inet(SocketAddr::V6(_)) => AddressFamily::INET6,
            Destination::Registered(_) | Destination::Stream { .. } => AddressFamily::UNIX,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(family, SocketType::STREAM, flags, None);
        let socket = socket.map_err(errno::connect)?;
        self.options.set(&socket, family).map_err(errno::connect)?;
        let done = match to {
            Destination::Inet(address) => net::connect(&socket, &address),
            Destination::Registered(number) => match self.paths.get(number as usize) {
                Some(path) => net::connect(&socket, path),
                None => Err(Errno::INVAL),
            },
            // Those are opened, not connected.
            Destination::Stream { .. } => Err(Errno::INVAL),
        };
        match done.map_err(errno::connect) {
            Ok(()) => {
                let outcome = not_itself(&socket);
                Ok((socket, outcome))
            }
            Err(goes_on @ Outcome::Drained(_)) => Ok((socket, goes_on)),
            Err(failed) => Err(failed),
        }
    }
}

/// What has become of a connection that was being made. The socket's error is read here and nowhere else: that clears it.
pub(crate) fn finish(socket: BorrowedFd<'_>) -> Outcome {
    match sockopt::socket_error(socket) {
        Ok(Ok(())) => not_itself(socket),
        Ok(Err(errno)) | Err(errno) => errno::connect(errno),
    }
}

/// Checks that the peer is not the socket itself: on a port that the kernel chose, a socket can connect to itself when
/// there is no listener (simultaneous open, RFC 9293, section 3.5). Without a peer it is not connected yet.
fn not_itself(socket: impl rustix::fd::AsFd) -> Outcome {
    let (own, peer) = (net::getsockname(&socket), net::getpeername(&socket));
    match (own, peer) {
        (Ok(own), Ok(Some(peer))) if own == peer && own.address_family() != AddressFamily::UNIX => {
            Outcome::Failed(ITSELF)
        }
        (Ok(_), Ok(_)) => Outcome::Complete(0),
        (_, Err(Errno::NOTCONN)) => Outcome::Drained(0),
        (Err(errno), _) | (_, Err(errno)) => errno::connect(errno),
    }
}

/// There is no other peer.
const ITSELF: Fault = Fault::Refused(111);

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use rustix::net::{bind, connect, getsockname};
    use tidegate_core::heapless;

    fn tcp() -> OwnedFd {
        let flags = SocketFlags::CLOEXEC;
        net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).expect("a socket")
    }

    #[test]
    fn a_socket_that_reached_itself_is_refused() {
        let socket = tcp();
        bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let own = getsockname(&socket).expect("an address");
        connect(&socket, &own).expect("itself");
        assert_eq!(finish(socket.as_fd()), Outcome::Failed(ITSELF));
    }

    #[test]
    fn a_false_report_finds_it_still_connecting() {
        assert_eq!(finish(tcp().as_fd()), Outcome::Drained(0));
    }

    #[test]
    fn an_error_is_read_once() {
        // A port that no other process can get in the meantime, without a listener.
        let deaf = tcp();
        bind(&deaf, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let to = SocketAddr::try_from(getsockname(&deaf).expect("an address")).expect("inet");
        let (mut paths, mut senders) = (heapless::Vec::<_, 1>::new(), heapless::Vec::<_, 1>::new());
        let registered = Registered::new(&mut paths, &mut senders);
        let refused = Outcome::Failed(Fault::Refused(111));
        // On loopback the result is there at once, returned by the call itself or kept by the socket.
        match registered.begin(Destination::Inet(to)) {
            Err(outcome) => assert_eq!(outcome, refused),
            Ok((socket, outcome)) => {
                assert_eq!(outcome, Outcome::Drained(0));
                assert_eq!(finish(socket.as_fd()), refused);
            }
        }
    }

    #[test]
    fn a_path_that_cannot_be_is_refused_and_there_is_an_end_of_them() {
        let (mut paths, mut senders) = (heapless::Vec::<_, 2>::new(), heapless::Vec::<_, 1>::new());
        let mut registered = Registered::new(&mut paths, &mut senders);
        let long = "x".repeat(108);
        for path in ["", "a\0b", &long] {
            assert_eq!(
                registered.add(&Address::Unix(path)),
                Err(Error::Path { max: UNIX_MAX })
            );
        }
        for number in 0..2 {
            let to = registered.add(&Address::Unix("/run/x.sock"));
            assert_eq!(to, Ok(Destination::Registered(number)));
        }
        assert_eq!(
            registered.add(&Address::Unix("/run/x.sock")),
            Err(Error::Unavailable(Unavailable::Destinations {
                capacity: 2
            }))
        );
        let unknown = Destination::Registered(4);
        let invalid = Outcome::Failed(Fault::Invalid(22));
        assert_eq!(registered.begin(unknown).map(|_| ()), Err(invalid));
    }
}
