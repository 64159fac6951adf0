//! Whether the peer of a connection lives, though it takes nothing: checked when output has stalled.
//!
//! With its window closed, a peer acknowledges no data. It responds to the kernel's window probes all the same (RFC
//! 9293, section 3.8.6.1), as long as it lives.

use core::time::Duration;
use rustix::fd::BorrowedFd;
use rustix::net::AddressFamily;
use rustix::net::sockopt;

/// The fields of `struct tcp_info` (`tcp(7)`, `linux/tcp.h`) that show whether the peer responds.
#[derive(Clone, Copy, Debug)]
struct Info {
    /// Window probes since the last acknowledgement (`tcpi_probes`).
    probes: u8,
    /// Segments that are sent and not acknowledged (`tcpi_unacked`).
    unacked: u32,
    /// Milliseconds since the last acknowledgement, of whatever (`tcpi_last_ack_recv`).
    last_ack: u32,
}

/// No response can be expected in less than this: the minimum retransmission timeout (RFC 6298, section 2.4).
const RESPONSE: Duration = Duration::from_secs(1);

impl Info {
    /// Whether the peer lives: it has acknowledged something within the last `stall`, or responded to every probe. One
    /// probe may be in flight: when a window has been closed for long, they are two minutes apart.
    fn is_alive(self, stall: Option<Duration>) -> bool {
        let recent = |stall: Duration| u128::from(self.last_ack) < stall.max(RESPONSE).as_millis();
        self.unacked == 0 && self.probes <= 1 || stall.is_some_and(recent)
    }

    /// From the bytes that the kernel filled in: those of an old one may be fewer.
    #[cfg(any(feature = "std", feature = "use-libc"))]
    fn of(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let four = bytes.get(at..at.checked_add(4)?)?;
            four.try_into().ok().map(u32::from_ne_bytes)
        };
        Some(Self {
            probes: *bytes.get(3)?,
            unacked: word(24)?,
            last_ack: word(56)?,
        })
    }
}

/// Whether the peer is known to live. `unsent`: so many bytes are sent and not acknowledged (`SIOCOUTQ`); `stall`: the
/// length of a write stall.
///
/// A Unix socket's peer is on this machine: it is there until it is closed.
pub(crate) fn is_alive(socket: BorrowedFd<'_>, unsent: u32, stall: Option<Duration>) -> bool {
    match sockopt::socket_domain(socket) {
        Ok(AddressFamily::UNIX) => true,
        Ok(_) => match tcp_info(socket) {
            Some(info) => info.is_alive(stall),
            // All that was sent is acknowledged, so that the peer's window is what holds the rest up. The kernel knows
            // whether the peer still responds: after a number of probes it gives up (`tcp_retries2`, a quarter of an
            // hour).
            None => crate::socket::not_sent(socket).is_ok_and(|not_sent| not_sent == unsent),
        },
        Err(_) => false,
    }
}

/// `getsockopt(TCP_INFO)`, which rustix does not have.
#[cfg(any(feature = "std", feature = "use-libc"))]
fn tcp_info(socket: BorrowedFd<'_>) -> Option<Info> {
    use rustix::fd::AsRawFd;

    const IPPROTO_TCP: i32 = 6;
    const TCP_INFO: i32 = 11;
    let mut bytes = [0u8; 104];
    // SAFETY: it is read only, into the buffer.
    let filled =
        unsafe { crate::call::get_option(socket.as_raw_fd(), (IPPROTO_TCP, TCP_INFO), &mut bytes) };
    Info::of(bytes.get(..filled.ok()?)?)
}

#[cfg(not(any(feature = "std", feature = "use-libc")))]
fn tcp_info(_socket: BorrowedFd<'_>) -> Option<Info> {
    None
}

#[cfg(all(test, any(feature = "std", feature = "use-libc")))]
mod tests {
    extern crate alloc;

    use super::*;
    use rustix::fd::AsFd;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    const STALL: Option<Duration> = Some(Duration::from_secs(30));

    #[test]
    fn a_peer_that_responds_lives() {
        let info = |probes, unacked, last_ack| Info {
            probes,
            unacked,
            last_ack,
        };
        for (info, alive, why) in [
            (
                info(0, 0, 600_000),
                true,
                "the last response is long ago, and none sent since",
            ),
            (info(1, 0, 600_000), true, "one is on its way"),
            (info(2, 0, 29_999), true, "it has responded in this stall"),
            (info(2, 0, 30_000), false, "two had no response"),
            (
                info(0, 3, 29_999),
                true,
                "it acknowledges again what it has no capacity for",
            ),
            (info(0, 3, 30_000), false, "sent and never acknowledged"),
        ] {
            assert_eq!(info.is_alive(STALL), alive, "{why}");
        }
        assert!(info(0, 3, 999).is_alive(Some(Duration::from_millis(1))));
        assert!(!info(2, 0, 0).is_alive(None));
    }

    #[test]
    fn what_an_old_kernel_does_not_report_is_not_known() {
        let bytes: alloc::vec::Vec<u8> = (0..104).collect();
        let info = Info::of(&bytes).expect("all of it");
        let word = |at: u8| u32::from_ne_bytes([at, at + 1, at + 2, at + 3]);
        assert_eq!(
            (info.probes, info.unacked, info.last_ack),
            (3, word(24), word(56))
        );
        assert!(Info::of(&bytes[..59]).is_none());
        assert!(Info::of(&[]).is_none());
    }

    #[test]
    fn the_kernel_reports_a_peer_that_does_not_read() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut ours =
            TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        let (_theirs, _) = listener.accept().expect("accepted");
        ours.set_nonblocking(true).expect("non-blocking");
        while ours.write(&[7; 4096]).is_ok() {}
        let info = tcp_info(ours.as_fd()).expect("TCP_INFO");
        assert!(info.is_alive(STALL), "{info:?}");
        let (one, mut other) = UnixStream::pair().expect("a pair");
        other.set_nonblocking(true).expect("non-blocking");
        while other.write(&[7; 4096]).is_ok() {}
        assert!(is_alive(other.as_fd(), 1, STALL));
        assert!(tcp_info(one.as_fd()).is_none());
    }
}
