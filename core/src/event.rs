//! What goes in: [`Event`], [`Outcome`], [`Fault`], [`Peer`].

use crate::readiness::Directions;
use crate::token::Token;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

/// Something that happened, passed to the machine by its driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Event {
    /// A readiness event: the kernel reports that an operation on a source may succeed. It is a hint: the system call
    /// that follows decides.
    Ready {
        /// The source.
        token: Token,
        /// What was reported possible.
        directions: Directions,
        /// The end, a hang-up, an error or an urgent mark was reported (`RDHUP`, `HUP`, `ERR`, `PRI`). None of them is
        /// acted on by itself: both directions count as ready and a short read no longer counts as the last one.
        closing: bool,
    },
    /// An action was performed, or was not.
    Done {
        /// The token that the action named; for [`Op::Accept`] that of the reserved connection.
        token: Token,
        /// Which action.
        op: Op,
        /// The outcome.
        outcome: Outcome,
    },
}

/// The kind of an [`Action`](crate::Action), which names the operation of a completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[expect(missing_docs, reason = "each is the action of the same name")]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Op {
    Accept,
    Refuse,
    Connect,
    Recv,
    Send,
    Arm,
    Shutdown,
    Unsent,
    ReceiveFrom,
    SendTo,
    Cancel,
    Close,
}

impl Op {
    /// Whether it moves the bytes of a connection.
    pub(crate) const fn is_transfer(self) -> bool {
        match self {
            Self::Recv | Self::Send => true,
            Self::Accept
            | Self::Refuse
            | Self::Connect
            | Self::Arm
            | Self::Shutdown
            | Self::Unsent
            | Self::ReceiveFrom
            | Self::SendTo
            | Self::Cancel
            | Self::Close => false,
        }
    }
}

/// The outcome of an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Outcome {
    /// Done. `Recv`, `Send`: so many bytes moved, and there may be more; `Recv` of 0 is EOF. `Unsent`: so many bytes
    /// wait in the kernel. `Connect`: it is connected; of a device, the bits of what its driver ignored of the settings
    /// ([`Ignored`](crate::Ignored)). Elsewhere the number means nothing.
    Complete(u32),
    /// So many bytes moved, fewer than requested: another try now would probably block. 0: this try would have blocked;
    /// `Connect`: it is in progress. `Unsent`: so many bytes wait in the kernel, of a peer that lives. `Shutdown`:
    /// there is no half-close, and nothing to wait for.
    Drained(u32),
    /// `Accept` only: a connection from this address, `None` if its family gives peers no address (Unix).
    Accepted(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] Option<SocketAddr>),
    /// `ReceiveFrom` only: a datagram, of any length, 0 included.
    Datagram {
        /// Its length in bytes. If that is more than the capacity, the rest is lost (`MSG_TRUNC`).
        len: u32,
        /// The sender; `None` if it has no name (an unbound Unix socket).
        from: Option<Peer>,
        /// Which address of this machine it was sent to; `None` if the driver does not know.
        local: Option<Local>,
        /// Datagrams that the kernel has dropped at this socket so far because its buffer was full, modulo 2³²
        /// (`SO_RXQ_OVFL`).
        lost: u32,
    },
    /// Not done, and why.
    Failed(Fault),
}

/// The result of a transfer that completed inline: an [`Outcome`] without an address, in two registers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    pub(crate) result: TransferResult,
    /// Bytes; of a failure, the fault as a word.
    pub(crate) n: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransferResult {
    Complete,
    Drained,
    Failed,
}

impl Completion {
    /// [`Outcome::Complete`].
    #[must_use]
    pub const fn complete(n: u32) -> Self {
        let result = TransferResult::Complete;
        Self { result, n }
    }

    /// [`Outcome::Drained`].
    #[must_use]
    pub const fn drained(n: u32) -> Self {
        let result = TransferResult::Drained;
        Self { result, n }
    }

    /// [`Outcome::Failed`].
    #[must_use]
    pub const fn failed(fault: Fault) -> Self {
        let (result, n) = (TransferResult::Failed, fault.to_word());
        Self { result, n }
    }

    /// What a receive that requested so many bytes has come to. Fewer have drained the source; none are EOF.
    ///
    /// `transfer` is the bytes moved, or why none were; `None`: it would have blocked.
    #[must_use]
    pub fn of_receive(transfer: Result<u32, Option<Fault>>, requested: u32) -> Self {
        Self::of(transfer, |n| n > 0 && n < requested)
    }

    /// The same of a send of so many bytes. Fewer have filled the send buffer of the kernel.
    #[must_use]
    pub fn of_send(transfer: Result<u32, Option<Fault>>, requested: u32) -> Self {
        Self::of(transfer, |n| n < requested)
    }

    fn of(transfer: Result<u32, Option<Fault>>, is_short: impl FnOnce(u32) -> bool) -> Self {
        match transfer {
            Ok(n) if is_short(n) => Self::drained(n),
            Ok(n) => Self::complete(n),
            Err(None) => Self::drained(0),
            Err(Some(fault)) => Self::failed(fault),
        }
    }

    /// Of a failure.
    pub(crate) const fn fault(self) -> Fault {
        Fault::of_word(self.n)
    }
}

impl fmt::Debug for Completion {
    /// As the [`Outcome`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.result {
            TransferResult::Complete => f.debug_tuple("Complete").field(&self.n).finish(),
            TransferResult::Drained => f.debug_tuple("Drained").field(&self.n).finish(),
            TransferResult::Failed => f.debug_tuple("Failed").field(&self.fault()).finish(),
        }
    }
}

impl From<Completion> for Outcome {
    fn from(completion: Completion) -> Self {
        match completion.result {
            TransferResult::Complete => Self::Complete(completion.n),
            TransferResult::Drained => Self::Drained(completion.n),
            TransferResult::Failed => Self::Failed(completion.fault()),
        }
    }
}

impl Outcome {
    /// It without an address; `None` if it has one.
    #[must_use]
    pub const fn completion(self) -> Option<Completion> {
        match self {
            Self::Complete(n) => Some(Completion::complete(n)),
            Self::Drained(n) => Some(Completion::drained(n)),
            Self::Failed(fault) => Some(Completion::failed(fault)),
            Self::Accepted(_) | Self::Datagram { .. } => None,
        }
    }
}

/// Why an action failed, by what the machine has to know. A driver maps each error number to one of them by a total
/// function ([`errno`](crate::errno)).
///
/// Each has the system's own number (`errno(3)`), 0 if there is none. It is only shown, never decided on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Fault {
    /// Interrupted before anything happened: try again (`EINTR`).
    Interrupted(u16),
    /// The peer reset the connection or is gone (`ECONNRESET`, `EPIPE`, …); on accept: it died in the queue.
    Reset(u16),
    /// There is no listener (`ECONNREFUSED`, a Unix path that does not exist).
    Refused(u16),
    /// The peer did not respond in the time the kernel allows (`ETIMEDOUT`).
    TimedOut(u16),
    /// The network lost it (`EHOSTUNREACH`, `ENETDOWN`, …); on accept: that connection died, the next may live.
    Unreachable(u16),
    /// Resource exhaustion, for now (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`, `ENOSPC`).
    Exhausted(u16),
    /// The source itself is invalid: a bug of the driver, or it was closed elsewhere (`EBADF`, `EINVAL`, `ENOTSOCK`).
    Invalid(u16),
    /// An unexpected error. On accept it is resource exhaustion; elsewhere it ends the connection.
    Unknown(u16),
}

const _: () = assert!(
    size_of::<Completion>() == 8,
    "it is handed over in a register"
);

impl Fault {
    /// One of each kind, for tests.
    #[cfg(test)]
    pub(crate) const ALL: [fn(u16) -> Self; 8] = [
        Self::Interrupted,
        Self::Reset,
        Self::Refused,
        Self::TimedOut,
        Self::Unreachable,
        Self::Exhausted,
        Self::Invalid,
        Self::Unknown,
    ];

    /// The system's number for it, 0 if there is none.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Interrupted(code)
            | Self::Reset(code)
            | Self::Refused(code)
            | Self::TimedOut(code)
            | Self::Unreachable(code)
            | Self::Exhausted(code)
            | Self::Invalid(code)
            | Self::Unknown(code) => code,
        }
    }

    /// It in a word, as long as a number of bytes.
    const fn to_word(self) -> u32 {
        let kind = match self {
            Self::Interrupted(_) => 0,
            Self::Reset(_) => 1,
            Self::Refused(_) => 2,
            Self::TimedOut(_) => 3,
            Self::Unreachable(_) => 4,
            Self::Exhausted(_) => 5,
            Self::Invalid(_) => 6,
            Self::Unknown(_) => 7,
        };
        (self.code() as u32) << 16 | kind
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the halves of the word are what is wanted"
    )]
    const fn of_word(word: u32) -> Self {
        let code = (word >> 16) as u16;
        match word as u16 {
            0 => Self::Interrupted(code),
            1 => Self::Reset(code),
            2 => Self::Refused(code),
            3 => Self::TimedOut(code),
            4 => Self::Unreachable(code),
            5 => Self::Exhausted(code),
            6 => Self::Invalid(code),
            _ => Self::Unknown(code),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupted(_) => "interrupted",
            Self::Reset(_) => "connection reset by peer",
            Self::Refused(_) => "connection refused",
            Self::TimedOut(_) => "peer does not answer",
            Self::Unreachable(_) => "network unreachable",
            Self::Exhausted(_) => "system short of resources",
            Self::Invalid(_) => "descriptor not usable",
            Self::Unknown(_) => "unforeseen error",
        })?;
        match self.code() {
            0 => Ok(()),
            code => write!(f, " (errno {code})"),
        }
    }
}

/// Where on this machine a datagram was received (`IP_PKTINFO`, `ip(7)`; `IPV6_PKTINFO`, RFC 3542), or is to be sent from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub struct Local {
    /// The address: received, the destination of the datagram; of one to a group or a broadcast address, one of the
    /// interface. To send, the address that the receiver sees.
    #[cfg_attr(feature = "defmt", defmt(Debug2Format))]
    pub address: IpAddr,
    /// The index of the network interface. To send: 0 leaves it to the routes.
    pub interface: u32,
}

impl Local {
    /// The source of a reply: the same address. The routes decide the interface: with two ways to the same network the
    /// reply need not leave where the request came in.
    #[must_use]
    pub const fn for_reply(self) -> Self {
        Self {
            interface: 0,
            ..self
        }
    }
}

/// The address of a peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Peer {
    /// A TCP peer, by its address and port. The flow label of an IPv6 address is not kept.
    Inet(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] SocketAddr),
    /// A Unix peer, by a serial number: such peers have no name as a rule, and the 108 bytes of one are not kept. Of the
    /// senders of datagrams that have a name, the driver keeps the last few.
    Unix(u32),
    /// Where we connected to, by the number under which it was registered: [`Destination::Registered`].
    ///
    /// [`Destination::Registered`]: crate::Destination::Registered
    Registered(u32),
    /// A non-socket stream, by the number that it was given: [`Destination::Stream`].
    ///
    /// [`Destination::Stream`]: crate::Destination::Stream
    Stream(u32),
}

impl fmt::Display for Peer {
    /// `127.0.0.1:51234`, `[::1]:51234`, `unix#3`, `destination#0`, `stream#0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => write!(f, "{address}"),
            Self::Unix(number) => write!(f, "unix#{number}"),
            Self::Registered(number) => write!(f, "destination#{number}"),
            Self::Stream(number) => write!(f, "stream#{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_the_same_after_it_was_a_word() {
        for kind in Fault::ALL {
            for code in [0, 1, 104, u16::MAX] {
                let fault = kind(code);
                assert_eq!(Completion::failed(fault).fault(), fault);
                assert_eq!(fault.code(), code);
            }
        }
    }
}
