//! Listening on a socket that was opened elsewhere: by a service manager (`sd_listen_fds(3)`), or a parent process.

use crate::address::Address;
use crate::inherit;
use crate::listen::{Listen, ListenError};
use core::fmt;
use core::net::SocketAddr;
use rustix::fd::OwnedFd;
use rustix::io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::net::{self, AddressFamily, SocketType, sockopt};

/// A descriptor is not a socket that accepts connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AdoptError {
    /// It is not a socket.
    NoSocket,
    /// It is neither of TCP nor a Unix socket.
    Family,
    /// It is a socket of another type: of datagrams, of packets.
    Type,
    /// It is bound, perhaps, or connected, but does not listen.
    NotListening,
    /// `shutdown(2)` was called on it, here or in another process that has it: it never accepts again.
    ShutDown,
    /// It could not be set up, or the table of listeners is full.
    Listen(ListenError),
}

impl fmt::Display for AdoptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSocket => "it is not a socket; pass a stream socket that listens",
            Self::Family => "it is neither a TCP nor a Unix socket; pass one of these",
            Self::Type => "it is not a stream socket; pass one of type SOCK_STREAM (ListenStream=)",
            Self::NotListening => {
                "it does not listen, or was shut down; call listen() on it before (Accept=no)"
            }
            Self::ShutDown => {
                "it was shut down, and never accepts again; pass a new one that listens"
            }
            Self::Listen(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for AdoptError {}

impl From<ListenError> for AdoptError {
    fn from(error: ListenError) -> Self {
        Self::Listen(error)
    }
}

/// Checks that `socket` is a listening stream socket, makes it non-blocking and close-on-exec, resets the inherited
/// options, and applies those that `listen` sets. Returns its address, if it is an internet address, and the settings
/// that depend on it.
pub(crate) fn prepare<'a>(
    socket: &OwnedFd,
    listen: &Listen<'a>,
) -> Result<(Listen<'a>, Option<SocketAddr>), AdoptError> {
    let kind = sockopt::socket_type(socket).map_err(|errno| match errno {
        Errno::NOTSOCK | Errno::BADF => AdoptError::NoSocket,
        errno => failed("SO_TYPE")(errno),
    })?;
    let family = sockopt::socket_domain(socket).map_err(failed("SO_DOMAIN"))?;
    let known = [
        AddressFamily::INET,
        AddressFamily::INET6,
        AddressFamily::UNIX,
    ];
    if !known.contains(&family) {
        return Err(AdoptError::Family);
    }
    if kind != SocketType::STREAM {
        return Err(AdoptError::Type);
    }
    if !sockopt::socket_acceptconn(socket).map_err(failed("SO_ACCEPTCONN"))? {
        return Err(AdoptError::NotListening);
    }
    if inherit::is_shut_down(socket) {
        return Err(AdoptError::ShutDown);
    }
    ioctl_fionbio(socket, true).map_err(failed("FIONBIO"))?;
    fcntl_setfd(socket, FdFlags::CLOEXEC).map_err(failed("FD_CLOEXEC"))?;
    inherit::reset_listener(socket, family).map_err(|(option, errno)| failed(option)(errno))?;
    listen.set_to_inherit(socket, family)?;
    let name = net::getsockname(socket).map_err(failed("getsockname"))?;
    let address = SocketAddr::try_from(name).ok();
    let listen = Listen {
        address: address.map_or(Address::Unix(""), Address::Inet),
        ..listen.clone()
    };
    Ok((listen, address))
}

fn failed(call: &'static str) -> impl Fn(Errno) -> AdoptError {
    move |errno| AdoptError::Listen(ListenError::new(call, errno))
}

#[cfg(test)]
mod tests {
    extern crate alloc;

    use super::*;
    use alloc::string::ToString;
    use rustix::io::fcntl_getfd;
    use rustix::net::SocketFlags;
    use std::net::TcpListener;
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    const ANY: Listen<'_> = Listen::on(Address::Unix(""));

    fn refused(socket: impl Into<OwnedFd>) -> AdoptError {
        match prepare(&socket.into(), &ANY) {
            Ok(found) => panic!("{found:?}"),
            Err(error) => error,
        }
    }

    #[test]
    fn what_does_not_listen_for_streams_is_refused() {
        let file = std::fs::File::open("/dev/null").expect("a file");
        assert_eq!(refused(file), AdoptError::NoSocket);
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        assert_eq!(refused(datagrams), AdoptError::Type);
        let (datagrams, _other) = UnixDatagram::pair().expect("a pair");
        assert_eq!(refused(datagrams), AdoptError::Type);
        let (connected, _other) = UnixStream::pair().expect("a pair");
        assert_eq!(refused(connected), AdoptError::NotListening);
        let flags = SocketFlags::CLOEXEC;
        let raw = |family, kind| net::socket_with(family, kind, flags, None).expect("a socket");
        let unbound = raw(AddressFamily::INET, SocketType::STREAM);
        assert_eq!(refused(unbound), AdoptError::NotListening);
        let packets = raw(AddressFamily::UNIX, SocketType::SEQPACKET);
        assert_eq!(refused(packets), AdoptError::Type);
        let netlink = raw(AddressFamily::NETLINK, SocketType::RAW);
        assert_eq!(refused(netlink), AdoptError::Family);
    }

    #[test]
    fn what_listens_is_made_non_blocking_and_close_on_exec() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().ok();
        let socket = OwnedFd::from(listener);
        fcntl_setfd(&socket, FdFlags::empty()).expect("flags");
        let found = prepare(&socket, &ANY).expect("a listener");
        assert_eq!(found.1, address);
        assert_eq!(found.0.limit(100), None, "it is on the loopback");
        assert_eq!(fcntl_getfd(&socket), Ok(FdFlags::CLOEXEC));
        let refused = net::accept(&socket).expect_err("no connection");
        assert_eq!(refused, Errno::AGAIN, "it does not block");
        assert!(matches!(sockopt::tcp_nodelay(&socket), Ok(true)));
    }

    #[test]
    fn strangers_are_limited_where_they_can_connect() {
        let wide = TcpListener::bind("0.0.0.0:0").expect("a listener");
        let (listen, _) = prepare(&wide.into(), &ANY).expect("a listener");
        assert_eq!(listen.limit(100), Some(25));
        let path = std::env::temp_dir().join(std::format!("adopt-{}", std::process::id()));
        let unix = UnixListener::bind(&path).expect("a listener");
        std::fs::remove_file(&path).expect("removed");
        let (listen, address) = prepare(&unix.into(), &ANY).expect("a listener");
        assert_eq!((listen.limit(100), address), (None, None));
    }

    #[test]
    fn errors_say_what_to_pass() {
        assert!(AdoptError::Type.to_string().contains("SOCK_STREAM"));
        assert!(AdoptError::NotListening.to_string().contains("listen()"));
    }
}
