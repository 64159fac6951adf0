//! Submissions to the kernel, and the word that comes back with their completions.

use super::buffers::GROUP;
use rustix::fd::{AsRawFd, BorrowedFd, RawFd};
use rustix::io_uring::{
    IoringOp, IoringPollFlags, IoringRecvFlags, IoringSqeFlags, RecvFlags, SendFlags,
    addr_or_splice_off_in_union, buf_union, io_uring_ptr, io_uring_sqe, io_uring_user_data,
    ioprio_union, len_union, op_flags_union,
};
use tidegate_core::Token;

/// `POLLIN`, `POLLOUT` (`poll(2)`), the same on every architecture but the last two's companions.
pub(super) const IN: u32 = 0x1;
pub(super) const OUT: u32 = 0x4;
/// `POLLRDHUP`: the peer has sent its FIN, or there was a reset.
#[cfg(not(any(target_arch = "sparc", target_arch = "sparc64")))]
pub(super) const FIN: u32 = 0x2000;
#[cfg(any(target_arch = "sparc", target_arch = "sparc64"))]
pub(super) const FIN: u32 = 0x800;
/// `POLLERR | POLLHUP`, which come unasked.
pub(super) const CLOSING: u32 = 0x8 | 0x10;

/// The operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Request {
    /// A receive that goes on.
    Receive,
    /// A poll of a listener, or of a non-socket stream.
    Readable,
    /// A poll for writability.
    Writable,
    /// A send.
    Send,
    /// The end of another.
    Cancel,
    /// A poll of what ends a wait from outside.
    Stop,
    /// A poll for the end of a connection: FIN, reset or error.
    HangUp,
}

/// Token and request in one word: the request in seven bits of the token's index, which no index uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Name {
    pub(super) token: Token,
    pub(super) request: Request,
}

impl Name {
    /// Indices must be below.
    pub(super) const SLOTS: u32 = 1 << REQUEST;

    #[inline]
    pub(super) const fn to_bits(self) -> u64 {
        self.token.to_bits() | (self.request as u64) << REQUEST
    }

    /// `None` for a word that none of ours is.
    #[inline]
    pub(super) const fn from_bits(bits: u64) -> Option<Self> {
        let request = match (bits & MASK) >> REQUEST {
            0 => Request::Receive,
            1 => Request::Readable,
            2 => Request::Writable,
            3 => Request::Send,
            4 => Request::Cancel,
            5 => Request::Stop,
            6 => Request::HangUp,
            _ => return None,
        };
        let token = Token::from_bits(bits & !MASK);
        Some(Self { token, request })
    }

    fn user_data(self) -> io_uring_user_data {
        io_uring_user_data::from_u64(self.to_bits())
    }
}

/// The position of the request: below the bit that marks listeners.
const REQUEST: u32 = 24;
const MASK: u64 = 0x7f << REQUEST;

/// A receive into provided buffers that goes on until it is cancelled, fails, or finds no buffer (multishot). It waits
/// first: the socket was found empty.
///
/// If bytes and a reset behind them are there when it is submitted, it completes with the bytes, and never with the
/// reset: the one wake-up is used up when the bytes are found. Before Linux commit a68ed2df (2026) that is so also if
/// they come while it waits; of a Unix stream it is so of a plain end, too. So it needs a [`Request::HangUp`] in
/// addition.
pub(super) fn receive(name: Name, socket: RawFd) -> io_uring_sqe {
    receive_with(name, socket, IoringRecvFlags::MULTISHOT)
}

/// The same, completed once. It checks the state of the socket when it is submitted, so it misses nothing.
pub(super) fn receive_once(name: Name, socket: RawFd) -> io_uring_sqe {
    receive_with(name, socket, IoringRecvFlags::empty())
}

fn receive_with(name: Name, socket: RawFd, flags: IoringRecvFlags) -> io_uring_sqe {
    io_uring_sqe {
        opcode: IoringOp::Recv,
        flags: IoringSqeFlags::BUFFER_SELECT,
        ioprio: ioprio_union {
            recv_flags: flags | IoringRecvFlags::POLL_FIRST,
        },
        fd: socket,
        op_flags: op_flags_union {
            recv_flags: RecvFlags::empty(),
        },
        buf: buf_union { buf_group: GROUP },
        user_data: name.user_data(),
        ..io_uring_sqe::default()
    }
}

/// A send that does not wait, and does not signal.
pub(super) fn send(name: Name, socket: BorrowedFd<'_>, from: &[u8]) -> io_uring_sqe {
    io_uring_sqe {
        opcode: IoringOp::Send,
        fd: socket.as_raw_fd(),
        addr_or_splice_off_in: addr_or_splice_off_in_union {
            addr: io_uring_ptr::new(from.as_ptr().cast_mut().cast()),
        },
        len: len_union {
            len: u32::try_from(from.len()).unwrap_or(u32::MAX),
        },
        op_flags: op_flags_union {
            send_flags: SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        },
        user_data: name.user_data(),
        ..io_uring_sqe::default()
    }
}

/// A poll for these events that completes once: at once if one of them is there. POLLERR and POLLHUP are notified unasked; so is
/// POLLRDHUP (unlike with `poll(2)`), so that it does not wait where FIN was received.
pub(super) fn poll(name: Name, socket: RawFd, events: u32) -> io_uring_sqe {
    poll_with(name, socket, events, IoringPollFlags::empty())
}

/// The same, but it goes on (multishot): it completes when it is submitted, if one of the events is there, and then at each
/// wake-up. So it waits where FIN was received.
pub(super) fn poll_on(name: Name, socket: RawFd, events: u32) -> io_uring_sqe {
    poll_with(name, socket, events, IoringPollFlags::ADD_MULTI)
}

fn poll_with(name: Name, socket: RawFd, events: u32, poll_flags: IoringPollFlags) -> io_uring_sqe {
    // Two halves that big-endian kernels take in their historical order (`io_uring_prep_poll_add(3)` does the same).
    let events = if cfg!(target_endian = "big") {
        events.rotate_left(16)
    } else {
        events
    };
    io_uring_sqe {
        opcode: IoringOp::PollAdd,
        fd: socket,
        op_flags: op_flags_union {
            poll32_events: events,
        },
        len: len_union { poll_flags },
        user_data: name.user_data(),
        ..io_uring_sqe::default()
    }
}

/// The end of the submission of this name.
pub(super) fn cancel(name: Name) -> io_uring_sqe {
    let cancel = Name {
        request: Request::Cancel,
        ..name
    };
    io_uring_sqe {
        opcode: IoringOp::AsyncCancel,
        fd: -1,
        addr_or_splice_off_in: addr_or_splice_off_in_union {
            user_data: name.user_data(),
        },
        user_data: cancel.user_data(),
        ..io_uring_sqe::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Request::{Cancel, HangUp, Readable, Receive, Send, Stop, Writable};

    #[test]
    fn a_name_survives_the_kernel_word() {
        let listener = 1 << 31;
        for index in [0, 1, 77, Name::SLOTS - 1, listener, listener | 15] {
            for generation in [0, 1, 5, u64::from(u32::MAX)] {
                let token = Token::from_bits(generation << 32 | index as u64);
                for request in [Receive, Readable, Writable, Send, Cancel, Stop, HangUp] {
                    let name = Name { token, request };
                    assert_eq!(Name::from_bits(name.to_bits()), Some(name));
                }
            }
        }
        assert_eq!(Name::from_bits(u64::MAX), None);
    }
}
