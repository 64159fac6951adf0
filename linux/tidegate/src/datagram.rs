//! [`Datagrams`]: a datagram socket, UDP or Unix; and the calls on it.

use crate::address::{self, Address};
use crate::errno;
use crate::error::Error;
use crate::inherit;
use crate::listen;
use crate::local;
use crate::socket_file::{OwnFile, SocketFile};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno, FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketAddrUnix, SocketFlags,
    SocketType, sockopt,
};
use tidegate_core::heapless::VecView;
use tidegate_core::{Local, Outcome, Peer};

/// A datagram socket, UDP or Unix.
#[derive(Clone, Debug)]
pub struct Datagrams<'a> {
    /// Where it receives. Port 0 lets the kernel choose one. An IPv6 address takes IPv6 alone (`IPV6_V6ONLY`).
    pub address: Address<'a>,
    /// The only peer: datagrams from others are dropped, and network errors of a datagram that was sent to it are
    /// reported (`connect(2)`, `udp(7)`). Without a peer, the default, Linux reports none.
    pub peer: Option<Address<'a>>,
    /// Bytes of the window that a datagram is received into; what is longer is cut. Default 2,048.
    pub receive: u32,
    /// Bytes of the longest datagram that is sent. Default 512.
    pub send: u32,
    /// What the kernel may hold of datagrams that came (`SO_RCVBUF`; it doubles the value, and each counts for more
    /// than its bytes). What does not fit is dropped: over UDP without notice, a Unix sender waits. `None` leaves it to
    /// the kernel (`/proc/sys/net/core/rmem_default`), which is the default.
    pub receive_buffer: Option<u32>,
    /// The same for those on their way out (`SO_SNDBUF`).
    pub send_buffer: Option<u32>,
    /// It may send to broadcast addresses (`SO_BROADCAST`). Off by default.
    pub broadcast: bool,
    /// Learn with each datagram which address of this machine it was sent to (`IP_PKTINFO`, `IPV6_RECVPKTINFO`), so
    /// that a reply leaves from that address, and how many were dropped (`SO_RXQ_OVFL`). Without it a socket at
    /// `0.0.0.0` or `[::]` replies from the address that the routes choose, which a connected client or a firewall does
    /// not take. On by default; Unix sockets have neither.
    pub local: bool,
    /// Multicast groups that it joins. None by default; see [`Server::join`](crate::Server::join), too.
    pub groups: &'a [Group],
    /// The index of the network interface that datagrams to groups leave by (`IP_MULTICAST_IF`, `IPV6_MULTICAST_IF`). `None`,
    /// the default, leaves it to the routes.
    pub multicast_interface: Option<u32>,
    /// How many networks away a datagram to a group may go (`IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`). `None`, the default, is
    /// the kernel's: 1, so that it stays on the link.
    pub multicast_ttl: Option<u8>,
    /// Whether datagrams to groups reach members on this machine, too (`IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`). On by
    /// default.
    pub multicast_loop: bool,
    /// How many networks away any other datagram may go (`IP_TTL`, `IPV6_UNICAST_HOPS`), 1 to 255. `None`, the default, is the
    /// kernel's: 64.
    pub ttl: Option<u8>,
    /// How the file of a Unix socket is made, and what becomes of one that is there.
    pub file: SocketFile,
    /// Bind to an internet address even if this machine does not have it: see [`Listen::freebind`](crate::Listen::freebind).
    /// Off by default.
    pub freebind: bool,
}

impl<'a> Datagrams<'a> {
    /// A socket at `address` with the defaults.
    #[must_use]
    pub const fn on(address: Address<'a>) -> Self {
        Self {
            address,
            peer: None,
            receive: 2048,
            send: 512,
            receive_buffer: None,
            send_buffer: None,
            broadcast: false,
            local: true,
            groups: &[],
            multicast_interface: None,
            multicast_ttl: None,
            multicast_loop: true,
            ttl: None,
            file: SocketFile::DEFAULT,
            freebind: false,
        }
    }

    /// Opens and binds.
    pub(crate) fn open(&self) -> Result<(OwnedFd, Option<OwnFile>), Error> {
        let family = self.address.family();
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(family, SocketType::DGRAM, flags, None);
        let socket = socket.map_err(Error::of_open("socket"))?;
        if family == AddressFamily::INET6 {
            sockopt::set_ipv6_v6only(&socket, true).map_err(Error::of_open("IPV6_V6ONLY"))?;
        }
        if self.freebind {
            listen::set_freebind(&socket, family)?;
        }
        self.set(&socket)?;
        let file = listen::bind(&socket, SocketType::DGRAM, &self.address, &self.file)?;
        if let Some(peer) = &self.peer
            && let Err(errno) = address::connect(&socket, peer)
        {
            file.inspect(|file| file.remove(&socket));
            return Err(Error::open("connect", errno));
        }
        Ok((socket, file))
    }

    /// Sets the options that apply to a socket opened elsewhere, too.
    pub(crate) fn set(&self, socket: &OwnedFd) -> Result<(), Error> {
        if let Some(bytes) = self.receive_buffer {
            sockopt::set_socket_recv_buffer_size(socket, bytes as usize)
                .map_err(Error::of_open("SO_RCVBUF"))?;
        }
        if let Some(bytes) = self.send_buffer {
            sockopt::set_socket_send_buffer_size(socket, bytes as usize)
                .map_err(Error::of_open("SO_SNDBUF"))?;
        }
        if self.broadcast {
            sockopt::set_socket_broadcast(socket, true).map_err(Error::of_open("SO_BROADCAST"))?;
        }
        match sockopt::socket_domain(socket).map_err(Error::of_open("SO_DOMAIN"))? {
            AddressFamily::INET => self.set_v4(socket)?,
            AddressFamily::INET6 => self.set_v6(socket)?,
            _ => return Ok(()),
        }
        for group in self.groups {
            group
                .join(socket)
                .map_err(Error::of_open("ADD_MEMBERSHIP"))?;
        }
        Ok(())
    }

    fn set_v4(&self, socket: &OwnedFd) -> Result<(), Error> {
        if self.local {
            local::ask(socket, AddressFamily::INET)
                .map_err(|(of, errno)| Error::of_open(of)(errno))?;
        }
        if let Some(index) = self.multicast_interface {
            let any = Ipv4Addr::UNSPECIFIED;
            sockopt::set_ip_multicast_if_with_ifindex(socket, &any, &any, index)
                .map_err(Error::of_open("IP_MULTICAST_IF"))?;
        }
        if let Some(ttl) = self.multicast_ttl {
            sockopt::set_ip_multicast_ttl(socket, ttl.into())
                .map_err(Error::of_open("IP_MULTICAST_TTL"))?;
        }
        if let Some(ttl) = self.ttl {
            sockopt::set_ip_ttl(socket, ttl.into()).map_err(Error::of_open("IP_TTL"))?;
        }
        sockopt::set_ip_multicast_loop(socket, self.multicast_loop)
            .map_err(Error::of_open("IP_MULTICAST_LOOP"))
    }

    fn set_v6(&self, socket: &OwnedFd) -> Result<(), Error> {
        if self.local {
            local::ask(socket, AddressFamily::INET6)
                .map_err(|(of, errno)| Error::of_open(of)(errno))?;
        }
        if let Some(index) = self.multicast_interface {
            sockopt::set_ipv6_multicast_if(socket, index)
                .map_err(Error::of_open("IPV6_MULTICAST_IF"))?;
        }
        if let Some(ttl) = self.multicast_ttl {
            sockopt::set_ipv6_multicast_hops(socket, ttl.into())
                .map_err(Error::of_open("IPV6_MULTICAST_HOPS"))?;
        }
        if self.ttl.is_some() {
            sockopt::set_ipv6_unicast_hops(socket, self.ttl)
                .map_err(Error::of_open("IPV6_UNICAST_HOPS"))?;
        }
        sockopt::set_ipv6_multicast_loop(socket, self.multicast_loop)
            .map_err(Error::of_open("IPV6_MULTICAST_LOOP"))
    }

    /// Checks that `socket` is one of datagrams, and makes it non-blocking and close-on-exec.
    pub(crate) fn prepare(&self, socket: &OwnedFd) -> Result<(), Error> {
        match sockopt::socket_type(socket) {
            Ok(SocketType::DGRAM) => {}
            Ok(_) | Err(Errno::NOTSOCK) => return Err(Error::NotDatagrams),
            Err(errno) => return Err(Error::of_open("SO_TYPE")(errno)),
        }
        ioctl_fionbio(socket, true).map_err(Error::of_open("FIONBIO"))?;
        fcntl_setfd(socket, FdFlags::CLOEXEC).map_err(Error::of_open("FD_CLOEXEC"))?;
        let family = sockopt::socket_domain(socket).map_err(Error::of_open("SO_DOMAIN"))?;
        let reset = inherit::reset_datagrams(socket, family);
        reset.map_err(|(option, errno)| Error::of_open(option)(errno))?;
        self.set(socket)
    }
}

/// A multicast group at a network interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Group {
    /// Its address: `224.0.0.0/4` or `ff00::/8`, of the family of the socket.
    pub address: IpAddr,
    /// The index of the interface; 0 leaves the choice to the routes.
    pub interface: u32,
}

impl Group {
    pub(crate) fn join(&self, socket: impl AsFd) -> Result<(), Errno> {
        match self.address {
            IpAddr::V4(group) => sockopt::set_ip_add_membership_with_ifindex(
                socket,
                &group,
                &Ipv4Addr::UNSPECIFIED,
                self.interface,
            ),
            IpAddr::V6(group) => sockopt::set_ipv6_add_membership(socket, &group, self.interface),
        }
    }

    pub(crate) fn leave(&self, socket: impl AsFd) -> Result<(), Errno> {
        match self.address {
            IpAddr::V4(group) => sockopt::set_ip_drop_membership_with_ifindex(
                socket,
                &group,
                &Ipv4Addr::UNSPECIFIED,
                self.interface,
            ),
            IpAddr::V6(group) => sockopt::set_ipv6_drop_membership(socket, &group, self.interface),
        }
    }
}

/// The names of the Unix senders that came last.
#[derive(Debug)]
pub(crate) struct Senders<'m> {
    names: &'m mut VecView<SocketAddrUnix>,
    /// How many came, modulo 2³². The last has this number.
    came: u32,
    /// Where the name of the next is kept.
    next: usize,
}

impl<'m> Senders<'m> {
    pub(crate) const fn new(names: &'m mut VecView<SocketAddrUnix>) -> Self {
        Self {
            names,
            came: 0,
            next: 0,
        }
    }

    /// Receives one datagram of a socket of the internet and its whole length, with the local address where it came.
    pub(crate) fn receive_local(&mut self, socket: BorrowedFd<'_>, into: &mut [u8]) -> Outcome {
        match local::receive(socket, into) {
            Ok(received) => Outcome::Datagram {
                len: u32::try_from(received.len).unwrap_or(u32::MAX),
                from: received.from.and_then(|from| self.peer(from)),
                local: received.local,
                lost: received.lost,
            },
            Err(errno) => errno::datagram(errno),
        }
    }

    /// Receives one datagram and its whole length (`MSG_TRUNC`, `recv(2)`).
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>, into: &mut [u8]) -> Outcome {
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        match net::recvfrom(socket, into, flags) {
            Ok((_, len, from)) => Outcome::Datagram {
                len: u32::try_from(len).unwrap_or(u32::MAX),
                from: from.and_then(|from| self.peer(from)),
                local: None,
                lost: 0,
            },
            Err(errno) => errno::datagram(errno),
        }
    }

    /// The name of a sender, if it has one.
    fn peer(&mut self, from: SocketAddrAny) -> Option<Peer> {
        if let Ok(address) = SocketAddr::try_from(from.clone()) {
            return Some(Peer::Inet(address));
        }
        let name = SocketAddrUnix::try_from(from).ok()?;
        if name.path_bytes().is_none() && name.abstract_name().is_none() {
            return None;
        }
        match self.names.get_mut(self.next) {
            Some(old) => *old = name,
            // Without any capacity it cannot be replied to.
            None => self.names.push(name).ok()?,
        }
        self.came = self.came.wrapping_add(1);
        self.next = (self.next + 1) % self.names.capacity();
        Some(Peer::Unix(self.came))
    }

    /// Sends one datagram; `registered` are the paths of destinations.
    pub(crate) fn send(
        &self,
        socket: BorrowedFd<'_>,
        (to, local): (Peer, Option<Local>),
        bytes: &[u8],
        registered: &[SocketAddrUnix],
    ) -> Outcome {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let unix = match to {
            Peer::Inet(address) => {
                let sent = match local {
                    Some(local) => local::send(socket, address, local, bytes),
                    None => net::sendto(socket, bytes, flags, &address),
                };
                return outcome(sent, false);
            }
            Peer::Unix(number) => {
                let kept = self.names.capacity();
                let newer = self.came.wrapping_sub(number) as usize;
                let at = (newer < kept).then(|| (self.next + kept - 1 - newer) % kept);
                at.and_then(|at| self.names.get(at))
            }
            Peer::Registered(number) => registered.get(number as usize),
            Peer::Stream(_) => None,
        };
        match unix {
            Some(name) => outcome(net::sendto(socket, bytes, flags, name), true),
            // Too many others have sent since, or it was never registered, or it is not an address.
            None => errno::send_datagram(Errno::DESTADDRREQ, true),
        }
    }
}

/// Whether a datagram socket is UDP, not Unix.
pub(crate) fn is_internet(socket: &OwnedFd) -> bool {
    sockopt::socket_domain(socket).is_ok_and(|family| family != AddressFamily::UNIX)
}

fn outcome(sent: io::Result<usize>, unix: bool) -> Outcome {
    match sent {
        Ok(n) => Outcome::Complete(u32::try_from(n).unwrap_or(u32::MAX)),
        Err(errno) => errno::send_datagram(errno, unix),
    }
}
