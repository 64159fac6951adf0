//! [`Listen`]: where to listen, and what every connection accepted there inherits.

use crate::address::Address;
use crate::error::Error;
use crate::inherit::Failed;
use crate::socket_file::{OwnFile, SocketFile};
use core::time::Duration;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

/// How the kernel finds out that an idle peer is gone (`tcp(7)`, `TCP_KEEPIDLE` and following).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keepalive {
    /// Idle time before the first probe, in whole seconds.
    pub idle: Duration,
    /// Between probes, in whole seconds.
    pub interval: Duration,
    /// Probes without a response, after which the connection is reset.
    pub count: u32,
}

impl Keepalive {
    /// After 30 s, every 10 s, 3 times.
    pub(crate) const DEFAULT: Self = Self {
        idle: Duration::from_secs(30),
        interval: Duration::from_secs(10),
        count: 3,
    };

    fn set(&self, socket: &OwnedFd) -> Result<(), Failed> {
        sockopt::set_socket_keepalive(socket, true).map_err(of("SO_KEEPALIVE"))?;
        sockopt::set_tcp_keepidle(socket, self.idle).map_err(of("TCP_KEEPIDLE"))?;
        sockopt::set_tcp_keepintvl(socket, self.interval).map_err(of("TCP_KEEPINTVL"))?;
        sockopt::set_tcp_keepcnt(socket, self.count).map_err(of("TCP_KEEPCNT"))
    }
}

/// What every connection has, accepted or made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    pub(crate) nodelay: bool,
    pub(crate) keepalive: Option<Keepalive>,
    pub(crate) user_timeout: Option<Duration>,
    pub(crate) receive_buffer: Option<u32>,
    pub(crate) send_buffer: Option<u32>,
}

impl Tuning {
    pub(crate) fn set(&self, socket: &OwnedFd, family: AddressFamily) -> Result<(), Failed> {
        if let Some(bytes) = self.receive_buffer {
            sockopt::set_socket_recv_buffer_size(socket, bytes as usize)
                .map_err(of("SO_RCVBUF"))?;
        }
        if let Some(bytes) = self.send_buffer {
            sockopt::set_socket_send_buffer_size(socket, bytes as usize)
                .map_err(of("SO_SNDBUF"))?;
        }
        if family == AddressFamily::UNIX {
            return Ok(());
        }
        sockopt::set_tcp_nodelay(socket, self.nodelay).map_err(of("TCP_NODELAY"))?;
        if let Some(keepalive) = self.keepalive {
            keepalive.set(socket)?;
        }
        if let Some(timeout) = self.user_timeout {
            sockopt::set_tcp_user_timeout(socket, millis(timeout))
                .map_err(of("TCP_USER_TIMEOUT"))?;
        }
        Ok(())
    }
}

fn of(option: &'static str) -> impl Fn(Errno) -> Failed {
    move |errno| (option, errno)
}

/// A listener. Everything here is set once on the listening socket; accepted sockets inherit it from there (`tcp(7)`),
/// so that a connection costs no call for it.
#[derive(Clone, Debug)]
pub struct Listen<'a> {
    /// Where.
    pub address: Address<'a>,
    /// Connections that the kernel may queue, at most `/proc/sys/net/core/somaxconn`. Default 1,024.
    pub backlog: i32,
    /// Send small segments at once (`TCP_NODELAY`). On by default.
    pub nodelay: bool,
    /// Probe idle peers. Default 30 s, every 10 s, 3 times.
    pub keepalive: Option<Keepalive>,
    /// How long sent data may stay unacknowledged, or the peer's window closed, before the kernel resets the connection
    /// (`TCP_USER_TIMEOUT`, `tcp(7)`, RFC 5482). Default `None`: never. It ends peers that live, too: a slow reader's
    /// responses to window probes do not count for the kernel. So it is never shorter than [`Config::write_stall`], the
    /// server raises it to that, and not set at all if that is off. It overrides the count of keepalive probes.
    ///
    /// [`Config::write_stall`]: tidegate_core::Config::write_stall
    pub user_timeout: Option<Duration>,
    /// What the kernel may hold of received bytes for each connection (`SO_RCVBUF`; it doubles the value for its own
    /// needs). `None` leaves it to the kernel's tuning, up to several MiB. Default 64 KiB.
    pub receive_buffer: Option<u32>,
    /// The same for sent bytes (`SO_SNDBUF`). Default 64 KiB.
    pub send_buffer: Option<u32>,
    /// Let other sockets of the same user listen at the same address (`SO_REUSEPORT`, `socket(7)`): the kernel deals new
    /// connections out to them, and connections once dealt to one that closes are reset. For several servers in several
    /// threads; each of them sets it, the first one, too. Not for Unix sockets. Off by default.
    pub reuse_port: bool,
    /// The most connections from one source ([`Config::sources`](tidegate_core::Config::sources) defines a source). By
    /// default a quarter of the table, at least 2: **8 from one address in a table of 32**. A client beyond it receives
    /// the [`refusal`](Self::refusal), or a reset if there is none. On a listener that only this machine can reach
    /// there is no limit by default, so the limit is not seen on loopback: to see it there, set [`PerSource::AtMost`].
    pub per_source: PerSource,
    /// The most connections of this listener at a time; `None`, the default: as many as there are slots. With that many
    /// the table is full for it, and [`Config::full`](tidegate_core::Config::full) decides. For a listener that is not
    /// part of the service, such as that of metrics, so that its clients leave the service its slots.
    pub at_most: Option<u32>,
    /// What is sent to a connection before it is closed because its source has as many as it may have
    /// ([`per_source`](Self::per_source)), or because the table is full, under
    /// [`FullTable::Refuse`](tidegate_core::FullTable::Refuse): an error in the protocol of the service, at most a few hundred
    /// bytes (what the empty send buffer of a new socket does not take is dropped). Its end is orderly then; without a message,
    /// the default, it is a reset.
    pub refusal: &'static [u8],
    /// Slots of the table that only its connections may take, so that it responds when all others are taken; 0 by
    /// default. For a control socket, one or two.
    pub reserved: u32,
    /// It and its connections are served before others that are ready: see
    /// [`Dispatcher::set_priority`](tidegate_core::Dispatcher::set_priority). For a control socket; off by default.
    pub priority: bool,
    /// How the file of a Unix socket is made, and what becomes of one that is there.
    pub file: SocketFile,
    /// Bind to an internet address even if this machine does not have it (`IP_FREEBIND`, `IPV6_FREEBIND`, `ip(7)`): it
    /// listens as soon as the address is there, and still after it was gone for a while. A mistyped address is never
    /// reported then. Off by default; [`Retry`](crate::Retry) is the other way.
    pub freebind: bool,
}

/// How many connections one source may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PerSource {
    /// A quarter of the table, or of [`Listen::at_most`], at least 2; no limit where only this machine can connect.
    #[default]
    Auto,
    /// No limit.
    Unlimited,
    /// So many.
    AtMost(u32),
}

impl<'a> Listen<'a> {
    /// A listener at `address` with the defaults.
    #[must_use]
    pub const fn on(address: Address<'a>) -> Self {
        Self {
            address,
            backlog: 1024,
            nodelay: true,
            keepalive: Some(Keepalive::DEFAULT),
            user_timeout: None,
            receive_buffer: Some(BUFFER),
            send_buffer: Some(BUFFER),
            reuse_port: false,
            per_source: PerSource::Auto,
            at_most: None,
            refusal: b"",
            reserved: 0,
            priority: false,
            file: SocketFile::DEFAULT,
            freebind: false,
        }
    }

    /// The limit for one source in a table of `connections`.
    #[must_use]
    pub fn limit(&self, connections: u32) -> Option<u32> {
        match self.per_source {
            PerSource::Auto => {
                let all = connections.min(self.at_most.unwrap_or(connections));
                (!self.address.is_local()).then_some((all / 4).max(2))
            }
            PerSource::Unlimited => None,
            PerSource::AtMost(limit) => Some(limit),
        }
    }

    /// The same with a user timeout that goes together with the server's write stall: see [`user_timeout`].
    pub(crate) fn beside(&self, write_stall: Option<Duration>) -> Self {
        Self {
            user_timeout: user_timeout(self.user_timeout, write_stall),
            ..self.clone()
        }
    }

    /// Opens, binds and listens.
    pub(crate) fn open(&self) -> Result<(OwnedFd, Option<OwnFile>), Error> {
        let family = self.address.family();
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(family, SocketType::STREAM, flags, None)
            .map_err(|errno| Error::open("socket", errno))?;
        self.set_to_bind(&socket, family)?;
        self.set_to_inherit(&socket, family)?;
        let file = bind(&socket, SocketType::STREAM, &self.address, &self.file)?;
        match net::listen(&socket, self.backlog) {
            Ok(()) => Ok((socket, file)),
            Err(errno) => {
                file.inspect(|file| file.remove(&socket));
                Err(Error::open("listen", errno))
            }
        }
    }

    /// What has a meaning before the socket is bound.
    fn set_to_bind(&self, socket: &OwnedFd, family: AddressFamily) -> Result<(), Error> {
        if family == AddressFamily::UNIX {
            return Ok(());
        }
        if family == AddressFamily::INET6 {
            sockopt::set_ipv6_v6only(socket, true).map_err(Error::of_open("IPV6_V6ONLY"))?;
        }
        sockopt::set_socket_reuseaddr(socket, true).map_err(Error::of_open("SO_REUSEADDR"))?;
        if self.freebind {
            set_freebind(socket, family)?;
        }
        if self.reuse_port {
            sockopt::set_socket_reuseport(socket, true).map_err(Error::of_open("SO_REUSEPORT"))?;
        }
        Ok(())
    }

    /// What every connection that is accepted there inherits.
    pub(crate) fn set_to_inherit(
        &self,
        socket: &OwnedFd,
        family: AddressFamily,
    ) -> Result<(), Error> {
        let tuning = Tuning {
            nodelay: self.nodelay,
            keepalive: self.keepalive,
            user_timeout: self.user_timeout,
            receive_buffer: self.receive_buffer,
            send_buffer: self.send_buffer,
        };
        let set = tuning.set(socket, family);
        set.map_err(|(option, errno)| Error::open(option, errno))
    }
}

/// The requested user timeout, raised to the write stall: within that the machine decides whether a peer lives, and
/// knows more than the kernel. None if output may stall for ever.
pub(crate) fn user_timeout(
    asked: Option<Duration>,
    write_stall: Option<Duration>,
) -> Option<Duration> {
    asked
        .zip(write_stall)
        .map(|(asked, stall)| asked.max(stall))
}

/// In the unit of `TCP_USER_TIMEOUT`: at least one, as 0 is none. The kernel counts in an `int`.
fn millis(timeout: Duration) -> u32 {
    let most = i32::MAX.unsigned_abs();
    u32::try_from(timeout.as_millis()).map_or(most, |millis| millis.clamp(1, most))
}

/// Lets a socket of the internet be bound to an address that this machine does not have.
pub(crate) fn set_freebind(socket: &OwnedFd, family: AddressFamily) -> Result<(), Error> {
    match family {
        AddressFamily::INET6 => {
            sockopt::set_ipv6_freebind(socket, true).map_err(Error::of_open("IPV6_FREEBIND"))
        }
        AddressFamily::INET => {
            sockopt::set_ip_freebind(socket, true).map_err(Error::of_open("IP_FREEBIND"))
        }
        _ => Ok(()),
    }
}

/// Binds `socket` to `address`; returns which file is ours now, if it is a Unix socket that has one.
pub(crate) fn bind(
    socket: &OwnedFd,
    kind: SocketType,
    address: &Address<'_>,
    file: &SocketFile,
) -> Result<Option<OwnFile>, Error> {
    match (address, address.unix()) {
        (Address::Inet(address), _) => {
            net::bind(socket, address).map_err(Error::of_open("bind"))?;
            Ok(None)
        }
        (_, Some(name)) => file.bind(socket, kind, &name.map_err(Error::of_open("bind"))?),
        (Address::Unix(_) | Address::Abstract(_), None) => Ok(None),
    }
}

/// The default of both buffers.
const BUFFER: u32 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Address<'_> {
        Address::parse(text).expect("an address")
    }

    #[test]
    fn no_user_timeout_ends_a_peer_before_its_output_has_stalled() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (asked, stall, given) in [
            (None, None, None),
            (None, seconds(30), None),
            (seconds(20), None, None),
            (seconds(20), seconds(30), seconds(30)),
            (seconds(40), seconds(30), seconds(40)),
        ] {
            assert_eq!(user_timeout(asked, stall), given, "{asked:?} {stall:?}");
        }
        assert_eq!(Listen::on(at("unix:/x")).user_timeout, None);
        for (nanos, counted) in [
            (1, 1),
            (1_500_000_000, 1500),
            (u64::MAX, i32::MAX.unsigned_abs()),
        ] {
            assert_eq!(millis(Duration::from_nanos(nanos)), counted);
        }
    }

    #[test]
    fn a_source_is_limited_where_strangers_can_connect() {
        for (text, limit) in [
            ("127.0.0.1:80", None),
            ("127.9.9.9:80", None),
            ("[::1]:80", None),
            ("unix:/x", None),
            ("0.0.0.0:80", Some(25)),
            ("[::]:80", Some(25)),
            ("192.168.1.1:80", Some(25)),
        ] {
            assert_eq!(Listen::on(at(text)).limit(100), limit, "{text}");
        }
        assert_eq!(
            Listen::on(at("0.0.0.0:80")).limit(3),
            Some(2),
            "at least two"
        );
        let most = Listen {
            at_most: Some(16),
            ..Listen::on(at("0.0.0.0:80"))
        };
        assert_eq!(most.limit(100), Some(4), "a quarter of what it may have");
        let explicit = Listen {
            per_source: PerSource::AtMost(1),
            ..Listen::on(at("127.0.0.1:80"))
        };
        assert_eq!(explicit.limit(100), Some(1));
    }
}
