//! [`Destination`]: where an outbound connection goes.

use crate::event::Peer;
use crate::readiness::Directions;
use core::net::SocketAddr;

/// Where to connect to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Destination {
    /// TCP to this address. The flow label of an IPv6 address is not kept.
    Inet(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] SocketAddr),
    /// What was registered with the driver under this number: a destination whose name does not fit in here, such as
    /// the path of a Unix socket.
    Registered(u32),
    /// A non-socket stream: a serial line, a pipe. The driver opens it, or was given it.
    ///
    /// Non-socket streams have no half-close. A write-only stream behaves as if the peer had already sent EOF, without
    /// a notice of it: it is closed when it is finished. A read-only stream behaves as if
    /// [`Conn::shut_down`](crate::Conn::shut_down) had been called: it ends with its peer.
    Stream {
        /// What its driver and its application know it by: [`Peer::Stream`].
        number: u32,
        /// What it can do: a pipe does one of both.
        directions: Directions,
    },
}

impl Destination {
    /// The peer of such a connection.
    #[must_use]
    pub const fn peer(self) -> Peer {
        match self {
            Self::Inet(address) => Peer::Inet(address),
            Self::Registered(number) => Peer::Registered(number),
            Self::Stream { number, .. } => Peer::Stream(number),
        }
    }
}
