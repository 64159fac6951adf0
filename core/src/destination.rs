//! [`Destination`]: where an outbound connection goes.

use crate::directions::Directions;
use crate::event::Peer;
use core::net::SocketAddr;

/// Where to connect to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Destination {
    /// TCP to this address. The flow label of an IPv6 address is not kept.
    Inet(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] SocketAddr),
    /// What was registered with the driver under this number: something whose name does not fit in here, such as the
    /// path of a Unix socket.
    Registered(u32),
    /// A stream that is no socket: a serial line, a pipe. The driver opens it, or was given it.
    ///
    /// It has no end of its own to send. One that cannot receive counts as one whose peer has finished: nothing is received,
    /// nothing is told of that, and it is closed when it is finished. One that cannot send counts as one whose end we have
    /// sent ([`Conn::shut_down`](crate::Conn::shut_down)): it ends with its peer.
    Stream {
        /// What its driver and its application know it by: [`Peer::Stream`].
        number: u32,
        /// What it can do: a pipe does one of both.
        directions: Directions,
    },
}

impl Destination {
    /// Who is at the other end then.
    #[must_use]
    pub const fn peer(self) -> Peer {
        match self {
            Self::Inet(address) => Peer::Inet(address),
            Self::Registered(number) => Peer::Registered(number),
            Self::Stream { number, .. } => Peer::Stream(number),
        }
    }
}
