//! Listening on a socket that was opened elsewhere: by a service manager (`sd_listen_fds(3)`), or a parent process.

use crate::address::Address;
use crate::error::Error;
use crate::inherit;
use crate::listen::Listen;
use core::net::SocketAddr;
use rustix::fd::OwnedFd;
use rustix::io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::net::{self, AddressFamily, SocketType, sockopt};

/// Checks that `socket` is a listening stream socket, makes it non-blocking and close-on-exec, resets the inherited
/// options, and applies those that `listen` sets. Returns its address, if it is an internet address, and the settings
/// that depend on it.
pub(crate) fn prepare<'a>(
    socket: &OwnedFd,
    listen: &Listen<'a>,
) -> Result<(Listen<'a>, Option<SocketAddr>), Error> {
    let kind = sockopt::socket_type(socket).map_err(|errno| match errno {
        Errno::NOTSOCK | Errno::BADF => Error::NotSocket,
        errno => Error::of_open("SO_TYPE")(errno),
    })?;
    let family = sockopt::socket_domain(socket).map_err(Error::of_open("SO_DOMAIN"))?;
    let known = [
        AddressFamily::INET,
        AddressFamily::INET6,
        AddressFamily::UNIX,
    ];
    if !known.contains(&family) {
        return Err(Error::Family);
    }
    if kind != SocketType::STREAM {
        return Err(Error::NotStream);
    }
    if !sockopt::socket_acceptconn(socket).map_err(Error::of_open("SO_ACCEPTCONN"))? {
        return Err(Error::NotListening);
    }
    if inherit::is_shut_down(socket) {
        return Err(Error::ShutDown);
    }
    ioctl_fionbio(socket, true).map_err(Error::of_open("FIONBIO"))?;
    fcntl_setfd(socket, FdFlags::CLOEXEC).map_err(Error::of_open("FD_CLOEXEC"))?;
    inherit::reset_listener(socket, family)
        .map_err(|(option, errno)| Error::of_open(option)(errno))?;
    listen.set_to_inherit(socket, family)?;
    let name = net::getsockname(socket).map_err(Error::of_open("getsockname"))?;
    let address = SocketAddr::try_from(name).ok();
    let listen = Listen {
        address: address.map_or(Address::Unix(""), Address::Inet),
        ..listen.clone()
    };
    Ok((listen, address))
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

    fn refused(socket: impl Into<OwnedFd>) -> Error {
        match prepare(&socket.into(), &ANY) {
            Ok(found) => panic!("{found:?}"),
            Err(error) => error,
        }
    }

    #[test]
    fn what_does_not_listen_for_streams_is_refused() {
        let file = std::fs::File::open("/dev/null").expect("a file");
        assert_eq!(refused(file), Error::NotSocket);
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        assert_eq!(refused(datagrams), Error::NotStream);
        let (datagrams, _other) = UnixDatagram::pair().expect("a pair");
        assert_eq!(refused(datagrams), Error::NotStream);
        let (connected, _other) = UnixStream::pair().expect("a pair");
        assert_eq!(refused(connected), Error::NotListening);
        let flags = SocketFlags::CLOEXEC;
        let raw = |family, kind| net::socket_with(family, kind, flags, None).expect("a socket");
        let unbound = raw(AddressFamily::INET, SocketType::STREAM);
        assert_eq!(refused(unbound), Error::NotListening);
        let packets = raw(AddressFamily::UNIX, SocketType::SEQPACKET);
        assert_eq!(refused(packets), Error::NotStream);
        let netlink = raw(AddressFamily::NETLINK, SocketType::RAW);
        assert_eq!(refused(netlink), Error::Family);
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
        assert!(Error::NotStream.to_string().contains("SOCK_STREAM"));
        assert!(Error::NotListening.to_string().contains("listen()"));
    }
}
