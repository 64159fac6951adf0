//! Socket options that rustix has no function for.

use crate::call;
use core::ffi::c_int;
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;

/// An option: its level and its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    level: c_int,
    name: c_int,
}

/// An option whose value is one `int`, 0 being off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Number(Name);

/// `setsockopt` with a value of any form.
///
/// # Errors
///
/// `setsockopt(2)`, section "ERRORS".
///
/// # Safety
///
/// `value` must be as the option has it; if that holds a pointer, what the kernel does with it must be sound.
pub(crate) unsafe fn set_raw(socket: impl AsFd, name: Name, value: &[u8]) -> Result<(), Errno> {
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads `value.len()` bytes of `value` during the call; the rest is the caller's promise.
    unsafe { call::set_option(socket, (name.level, name.name), value) }
}

/// `getsockopt` into `into`; returns how many bytes of it were written.
///
/// # Errors
///
/// `getsockopt(2)`, section "ERRORS".
///
/// # Safety
///
/// The option must be one that only writes its value into the buffer.
#[cfg(test)]
pub(crate) unsafe fn get_raw(
    socket: impl AsFd,
    name: Name,
    into: &mut [u8],
) -> Result<usize, Errno> {
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most `into.len()` bytes to `into` during the call; the rest is the caller's promise.
    unsafe { call::get_option(socket, (name.level, name.name), into) }
}

impl Number {
    /// The fewest bytes that make a socket readable (`socket(7)`).
    pub(crate) const RCVLOWAT: Self = Self::socket(RCVLOWAT);
    /// Sends only to hosts on the same link (`socket(7)`).
    pub(crate) const DONTROUTE: Self = Self::socket(DONTROUTE);
    /// Microseconds of busy polling (`socket(7)`).
    pub(crate) const BUSY_POLL: Self = Self::socket(46);
    /// Time stamps, those of what is sent in the error queue (`Documentation/networking/timestamping.rst`).
    pub(crate) const TIMESTAMPING: Self = Self::socket(37);
    /// The most bytes of a segment (`tcp(7)`); 0: the path's.
    pub(crate) const MAXSEG: Self = Self::tcp(2);
    /// Seconds in `FIN_WAIT2` (`tcp(7)`); 0: the system's.
    pub(crate) const LINGER2: Self = Self::tcp(8);
    /// Seconds for which a connection without bytes is not accepted (`tcp(7)`).
    pub(crate) const DEFER_ACCEPT: Self = Self::tcp(9);
    /// The most bytes of the receive window (`tcp(7)`).
    pub(crate) const WINDOW_CLAMP: Self = Self::tcp(10);
    /// Bytes not sent below which a socket is writable (`tcp(7)`); 0: the system's.
    pub(crate) const NOTSENT_LOWAT: Self = Self::tcp(25);
    /// Reports with each datagram how many were dropped at the socket (`socket(7)`).
    pub(crate) const RXQ_OVFL: Self = Self::socket(RXQ_OVFL);
    /// The level and type of that control message.
    pub(crate) const RXQ_OVFL_KIND: (c_int, c_int) = (SOL_SOCKET, RXQ_OVFL);
    /// Reports with each datagram where it was received, over IPv4 (`ip(7)`).
    pub(crate) const PKTINFO: Self = Self::of(0, 8);
    /// The same over IPv6 (`ipv6(7)`).
    pub(crate) const RECVPKTINFO6: Self = Self::of(41, 49);
    /// Errors in a queue of their own, over IPv4 (`ip(7)`).
    pub(crate) const RECVERR: Self = Self::of(0, 11);
    /// The same over IPv6 (`ipv6(7)`).
    pub(crate) const RECVERR6: Self = Self::of(41, 25);
    /// Gathers what is sent into one datagram (`udp(7)`).
    pub(crate) const UDP_CORK: Self = Self::of(17, 1);
    /// Cuts what is sent into datagrams of this size (`udp(7)`).
    pub(crate) const UDP_SEGMENT: Self = Self::of(17, 103);
    /// Receives several datagrams as one (`udp(7)`).
    pub(crate) const UDP_GRO: Self = Self::of(17, 104);

    const fn of(level: c_int, name: c_int) -> Self {
        Self(Name { level, name })
    }

    const fn socket(name: c_int) -> Self {
        Self::of(SOL_SOCKET, name)
    }

    const fn tcp(name: c_int) -> Self {
        Self::of(6, name)
    }

    /// Sets it.
    ///
    /// # Errors
    ///
    /// `setsockopt(2)`, section "ERRORS".
    pub(crate) fn set(self, socket: impl AsFd, value: c_int) -> Result<(), Errno> {
        // SAFETY: each of them is one `int`, which the constructors guarantee.
        unsafe { set_raw(socket, self.0, &value.to_ne_bytes()) }
    }

    #[cfg(test)]
    pub(crate) fn get(self, socket: impl AsFd) -> Result<c_int, Errno> {
        let mut value = [0; size_of::<c_int>()];
        // SAFETY: as above.
        unsafe { get_raw(socket, self.0, &mut value) }?;
        Ok(c_int::from_ne_bytes(value))
    }
}

#[cfg(any(target_arch = "sparc", target_arch = "sparc64"))]
const RXQ_OVFL: c_int = 0x24;
#[cfg(not(any(target_arch = "sparc", target_arch = "sparc64")))]
const RXQ_OVFL: c_int = 40;

/// Numbers that differ between architectures (`asm/socket.h`).
#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
mod number {
    use core::ffi::c_int;
    pub(super) const SOL_SOCKET: c_int = 0xffff;
    pub(super) const DONTROUTE: c_int = 0x10;
    pub(super) const RCVLOWAT: c_int = 0x1004;
}
#[cfg(any(target_arch = "sparc", target_arch = "sparc64"))]
mod number {
    use core::ffi::c_int;
    pub(super) const SOL_SOCKET: c_int = 0xffff;
    pub(super) const DONTROUTE: c_int = 0x10;
    pub(super) const RCVLOWAT: c_int = 0x800;
}
#[cfg(any(target_arch = "powerpc", target_arch = "powerpc64"))]
mod number {
    use core::ffi::c_int;
    pub(super) const SOL_SOCKET: c_int = 1;
    pub(super) const DONTROUTE: c_int = 5;
    pub(super) const RCVLOWAT: c_int = 16;
}
#[cfg(not(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "sparc",
    target_arch = "sparc64",
    target_arch = "powerpc",
    target_arch = "powerpc64"
)))]
mod number {
    use core::ffi::c_int;
    pub(super) const SOL_SOCKET: c_int = 1;
    pub(super) const DONTROUTE: c_int = 5;
    pub(super) const RCVLOWAT: c_int = 18;
}
use number::{DONTROUTE, RCVLOWAT, SOL_SOCKET};

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn what_is_set_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        assert_eq!(Number::RCVLOWAT.get(&listener), Ok(1));
        assert_eq!(Number::RCVLOWAT.set(&listener, 77), Ok(()));
        assert_eq!(Number::RCVLOWAT.get(&listener), Ok(77));
        assert_eq!(Number::DONTROUTE.set(&listener, 1), Ok(()));
        assert_eq!(Number::DONTROUTE.get(&listener), Ok(1));
    }

    #[test]
    fn an_error_is_returned() {
        let file = std::fs::File::open("/dev/null").expect("a file");
        assert_eq!(Number::RCVLOWAT.set(&file, 1), Err(Errno::NOTSOCK));
        assert_eq!(Number::RCVLOWAT.get(&file), Err(Errno::NOTSOCK));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        assert_eq!(
            Number::of(6, 9999).set(&listener, 1),
            Err(Errno::NOPROTOOPT)
        );
    }
}
