//! Datagrams with the local address that they were sent to, or are to be sent from, and with the count of those that the kernel
//! dropped: `recvmsg(2)` and `sendmsg(2)` with ancillary data (`cmsg(3)`), which rustix takes apart for other kinds only.

use crate::call;
use crate::option::Number;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ptr;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{self, AddressFamily, RecvAncillaryBuffer, RecvFlags, SocketAddrAny};
use tidegate_core::Local;

/// Levels and types of the ancillary data, the same on every architecture (`ip(7)`, `ipv6(7)`).
const IPPROTO_IP: c_int = 0;
const IP_PKTINFO: c_int = 8;
const IPPROTO_IPV6: c_int = 41;
const IPV6_PKTINFO: c_int = 50;

/// A header of ancillary data: its length in the width of the machine, level and type.
const HEADER: usize = size_of::<usize>() + 2 * size_of::<c_int>();

/// Bytes of ancillary data that are taken: an `in6_pktinfo` and a counter, each with its header, and as much again.
const CONTROL: usize = 128;

/// Ancillary data, aligned as its headers want it.
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; CONTROL]);

/// Asks the kernel for the local address of each datagram, and for the number dropped before it. A socket without
/// `SO_RXQ_OVFL` counts none: that is no reason to receive nothing.
pub(crate) fn ask(socket: impl AsFd, family: AddressFamily) -> Result<(), (&'static str, Errno)> {
    let failed = |option| move |errno| (option, errno);
    match family {
        AddressFamily::INET => Number::PKTINFO
            .set(&socket, 1)
            .map_err(failed("IP_PKTINFO"))?,
        AddressFamily::INET6 => Number::RECVPKTINFO6
            .set(&socket, 1)
            .map_err(failed("IPV6_RECVPKTINFO"))?,
        _ => return Ok(()),
    }
    match Number::RXQ_OVFL.set(&socket, 1) {
        Ok(()) | Err(Errno::NOPROTOOPT) => Ok(()),
        Err(errno) => Err(("SO_RXQ_OVFL", errno)),
    }
}

/// What came.
#[derive(Debug)]
pub(crate) struct Received {
    /// Its whole length.
    pub(crate) len: usize,
    pub(crate) from: Option<SocketAddrAny>,
    pub(crate) local: Option<Local>,
    /// How many were dropped at this socket so far; 0 also if the kernel does not report it.
    pub(crate) lost: u32,
}

/// Receives one datagram. Not for Unix sockets: descriptors that are passed there would be taken.
pub(crate) fn receive(socket: BorrowedFd<'_>, into: &mut [u8]) -> Result<Received, Errno> {
    let mut bytes = Control([MaybeUninit::new(0); CONTROL]);
    let mut control = RecvAncillaryBuffer::new(&mut bytes.0);
    let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    let received = net::recvmsg(socket, &mut [IoSliceMut::new(into)], &mut control, flags)?;
    let (len, from) = (received.bytes, received.address);
    drop(control);
    // SAFETY: every byte was set above, and the kernel writes nothing but bytes.
    let bytes: [u8; CONTROL] = bytes.0.map(|byte| unsafe { byte.assume_init() });
    let (local, lost) = read(&bytes);
    Ok(Received {
        len,
        from,
        local,
        lost,
    })
}

/// Takes ancillary data apart; zeros follow its end.
fn read(mut control: &[u8]) -> (Option<Local>, u32) {
    let (mut local, mut lost) = (None, 0);
    while let Some((len, rest)) = control.split_first_chunk() {
        let len = usize::from_ne_bytes(*len);
        let Some(data) = control.get(HEADER..len) else {
            break;
        };
        let level = number(rest, 0);
        let kind = number(rest, size_of::<c_int>());
        match (level, kind) {
            (IPPROTO_IP, IP_PKTINFO) => local = local.or(read_v4(data)),
            (IPPROTO_IPV6, IPV6_PKTINFO) => local = local.or(read_v6(data)),
            Number::RXQ_OVFL_KIND => lost = number(data, 0).cast_unsigned(),
            _ => {}
        }
        control = control
            .get(len.next_multiple_of(size_of::<usize>())..)
            .unwrap_or_default();
    }
    (local, lost)
}

fn number(bytes: &[u8], at: usize) -> c_int {
    let found = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    found.map_or(0, |bytes| c_int::from_ne_bytes(*bytes))
}

/// `struct in_pktinfo`: the interface, the address to reply from, and that of the header.
fn read_v4(data: &[u8]) -> Option<Local> {
    let address: [u8; 4] = *data.get(4..)?.first_chunk()?;
    Some(Local {
        address: IpAddr::V4(Ipv4Addr::from(address)),
        interface: number(data, 0).cast_unsigned(),
    })
}

/// `struct in6_pktinfo`: the address of the header, and the interface. Nothing is sent from the address of a group.
fn read_v6(data: &[u8]) -> Option<Local> {
    let address = Ipv6Addr::from(*data.first_chunk::<16>()?);
    let own = match address.is_multicast() {
        true => Ipv6Addr::UNSPECIFIED,
        false => address,
    };
    Some(Local {
        address: IpAddr::V6(own),
        interface: number(data, 16).cast_unsigned(),
    })
}

/// Sends one datagram from a local address, without a signal and without waiting.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    to: SocketAddr,
    local: Local,
    bytes: &[u8],
) -> Result<usize, Errno> {
    let (name, name_len) = name_of(to);
    let (control, control_len) = control_of(local);
    send_with(
        socket.as_raw_fd(),
        name.get(..name_len).unwrap_or_default(),
        control.0.get(..control_len).unwrap_or_default(),
        bytes,
    )
}

/// A `sockaddr_in` or a `sockaddr_in6`, and its length.
fn name_of(to: SocketAddr) -> ([u8; 28], usize) {
    let mut name = Bytes::<28>::new();
    match to {
        SocketAddr::V4(to) => {
            name.push(&AddressFamily::INET.as_raw().to_ne_bytes());
            name.push(&to.port().to_be_bytes());
            name.push(&to.ip().octets());
            name.push(&[0; 8]);
        }
        SocketAddr::V6(to) => {
            name.push(&AddressFamily::INET6.as_raw().to_ne_bytes());
            name.push(&to.port().to_be_bytes());
            name.push(&to.flowinfo().to_ne_bytes());
            name.push(&to.ip().octets());
            name.push(&to.scope_id().to_ne_bytes());
        }
    }
    (name.bytes, name.len)
}

#[repr(C, align(8))]
struct Sent([u8; 40]);

/// The ancillary data that names a local address, and its length.
fn control_of(local: Local) -> (Sent, usize) {
    let mut control = Bytes::<40>::new();
    let interface = local.interface.to_ne_bytes();
    let mut begin = |level: c_int, kind: c_int, len: usize| {
        control.push(&(HEADER + len).to_ne_bytes());
        control.push(&level.to_ne_bytes());
        control.push(&kind.to_ne_bytes());
    };
    match local.address {
        IpAddr::V4(address) => {
            begin(IPPROTO_IP, IP_PKTINFO, 12);
            control.push(&interface);
            control.push(&address.octets());
            control.push(&[0; 4]);
        }
        IpAddr::V6(address) => {
            begin(IPPROTO_IPV6, IPV6_PKTINFO, 20);
            control.push(&address.octets());
            control.push(&interface);
        }
    }
    let len = control.len.next_multiple_of(size_of::<usize>());
    (Sent(control.bytes), len)
}

/// Bytes that are put together; there is space for all of them.
struct Bytes<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Bytes<N> {
    const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    fn push(&mut self, more: &[u8]) {
        let into = self.bytes.iter_mut().skip(self.len);
        into.zip(more).for_each(|(to, byte)| *to = *byte);
        self.len += more.len();
    }
}

/// `MSG_DONTWAIT | MSG_NOSIGNAL`, on every architecture.
const FLAGS: c_int = 0x4040;

/// `struct iovec`.
#[repr(C)]
struct Piece {
    base: *const c_void,
    len: usize,
}

/// `struct msghdr`, as the kernel has it.
#[repr(C)]
struct Message {
    name: *const c_void,
    name_len: u32,
    pieces: *const Piece,
    count: usize,
    control: *const c_void,
    control_len: usize,
    flags: c_int,
}

/// Sends `bytes` to the address `name` with the ancillary data `control`, whose form is the caller's.
fn send_with(socket: c_int, name: &[u8], control: &[u8], bytes: &[u8]) -> Result<usize, Errno> {
    let piece = Piece {
        base: bytes.as_ptr().cast(),
        len: bytes.len(),
    };
    let message = Message {
        name: name.as_ptr().cast(),
        name_len: u32::try_from(name.len()).unwrap_or(0),
        pieces: ptr::from_ref(&piece),
        count: 1,
        control: control.as_ptr().cast(),
        control_len: control.len(),
        flags: 0,
    };
    // SAFETY: the kernel reads the message and what it points to during the call, each of the given length, and writes
    // nothing. Ancillary data of an unknown form is an error.
    unsafe { call::send_message(socket, ptr::from_ref(&message).cast(), FLAGS) }
}

#[cfg(test)]
mod tests {
    extern crate alloc;
    use super::*;

    fn header(len: usize, level: c_int, kind: c_int) -> alloc::vec::Vec<u8> {
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes
    }

    #[test]
    fn what_is_sent_is_read_the_same() {
        for address in ["10.0.0.7", "fe80::7", "::ffff:10.0.0.7"] {
            let local = Local {
                address: address.parse().expect("an address"),
                interface: 3,
            };
            let (control, len) = control_of(local);
            assert!(len <= control.0.len());
            let (read, lost) = read(&control.0[..len]);
            assert_eq!((read, lost), (Some(local), 0));
        }
    }

    #[test]
    fn nonsense_is_nothing() {
        for len in [0, 1, HEADER - 1, HEADER, HEADER + 1, 1000, usize::MAX] {
            for (level, kind) in [(0, 8), (41, 50), (1, 40), (7, 7)] {
                for more in [0, 3, 30] {
                    let mut bytes = header(len, level, kind);
                    bytes.extend(core::iter::repeat_n(0, more));
                    let _ = read(&bytes);
                    let _ = read(&bytes[..bytes.len() / 2]);
                }
            }
        }
        // One that is not known does not hide the next.
        let mut bytes = header(HEADER + 4, 1, 29);
        bytes.resize((HEADER + 4).next_multiple_of(size_of::<usize>()), 0);
        bytes.extend(header(HEADER + 4, 1, 40));
        bytes.extend(77u32.to_ne_bytes());
        assert_eq!(read(&bytes), (None, 77));
    }
}
