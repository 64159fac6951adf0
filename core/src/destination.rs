//! [`Destination`]: where an outbound connection goes.

use crate::event::Peer;
use core::net::SocketAddr;

/// Where to connect to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Destination {
    /// TCP to this address. The flow label of an IPv6 address is not kept.
    Inet(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] SocketAddr),
    /// What was registered with the driver under this number: something whose name does not fit in here, such as the
    /// path of a Unix socket.
    Registered(u32),
}

impl Destination {
    /// Who is at the other end then.
    #[must_use]
    pub const fn peer(self) -> Peer {
        match self {
            Self::Inet(address) => Peer::Inet(address),
            Self::Registered(number) => Peer::Registered(number),
        }
    }
}
