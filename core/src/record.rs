//! [`Record`]: what the machine seldom needs to know of a connection, in one cache line of its own.

use crate::destination::Destination;
use crate::event::Peer;
use crate::ignored::Ignored;
use crate::queue::{Link, NONE};
use crate::readiness::Directions;
use crate::time::Instant;
use crate::token::Token;
use core::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// A connection, as far as only its opening, its closing and its application need it.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Record {
    pub(crate) opened_at: Instant,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// Of an outbound connection, the token of the connection for which it was made, if there was one; of an accepted one,
    /// that of the last connection that was made for it.
    other: Link,
    /// When output last made progress, in milliseconds modulo 2³².
    pub(crate) stalled_at: u32,
    /// Bytes the peer had acknowledged at the last query, modulo 2³².
    pub(crate) acknowledged: u32,
    /// Of an IPv6 address; of a non-socket stream, the bits of [`Ignored`].
    scope: u32,
    /// IPv4 in the first four bytes; of a peer without an address, its number.
    address: [u8; 16],
    /// Of a non-socket stream, the bits of its directions.
    port: u16,
    family: Family,
    /// Index of the listener that accepted it; [`OUTBOUND`]: none did.
    pub(crate) listener: u8,
}

/// No listener has this index.
pub(crate) const OUTBOUND: u8 = u8::MAX;

const _: () = assert!(size_of::<Record>() == 64, "a record is one cache line");

#[derive(Clone, Copy, Debug)]
enum Family {
    V4,
    V6,
    Unix,
    Registered,
    Stream,
}

impl Record {
    /// What lies in a table before its records are used for the first time, which writes [`NEW`](Self::NEW): zeros.
    pub(crate) const UNUSED: Self = Self {
        other: Link { prev: 0, next: 0 },
        family: Family::V4,
        ..Self::NEW
    };

    pub(crate) const NEW: Self = Self {
        opened_at: Instant::ZERO,
        bytes_in: 0,
        bytes_out: 0,
        other: Link::NONE,
        stalled_at: 0,
        acknowledged: 0,
        scope: 0,
        address: [0; 16],
        port: 0,
        family: Family::Unix,
        listener: 0,
    };

    /// A connection that was opened `now`.
    pub(crate) fn open(peer: Peer, listener: u8, now: Instant) -> Self {
        let mut record = Self {
            opened_at: now,
            stalled_at: now.wrapping_millis(),
            listener,
            ..Self::NEW
        };
        match peer {
            Peer::Unix(number) => record.put_four(number.to_ne_bytes()),
            Peer::Registered(number) => {
                record.family = Family::Registered;
                record.put_four(number.to_ne_bytes());
            }
            Peer::Stream(number) => {
                record.family = Family::Stream;
                record.put_four(number.to_ne_bytes());
            }
            Peer::Inet(address) => {
                record.port = address.port();
                match address {
                    SocketAddr::V4(v4) => {
                        record.family = Family::V4;
                        record.put_four(v4.ip().octets());
                    }
                    SocketAddr::V6(v6) => {
                        record.family = Family::V6;
                        record.address = v6.ip().octets();
                        record.scope = v6.scope_id();
                    }
                }
            }
        }
        record
    }

    /// An outbound connection that is to be made, for another one or for none. It is opened at no time yet.
    pub(crate) fn connecting(to: Destination, origin: Option<Token>) -> Self {
        let mut record = Self::open(to.peer(), OUTBOUND, Instant::NEVER);
        if let Destination::Stream { directions, .. } = to {
            record.port = u16::try_from(directions.bits()).unwrap_or(0);
        }
        record.set_other(origin);
        record
    }

    /// Whether we connected it.
    pub(crate) const fn is_outbound(&self) -> bool {
        self.listener == OUTBOUND
    }

    /// The connection for which it was made.
    pub(crate) const fn origin(&self) -> Option<Token> {
        if self.is_outbound() {
            self.other()
        } else {
            None
        }
    }

    /// The connection for which it was made, or the last one that was made for it.
    pub(crate) const fn other(&self) -> Option<Token> {
        let Link { prev, next } = self.other;
        if prev == NONE {
            None
        } else {
            Some(Token::new(prev, next))
        }
    }

    pub(crate) fn set_other(&mut self, other: Option<Token>) {
        self.other = other.map_or(Link::NONE, |other| Link {
            prev: other.slot(),
            next: other.generation(),
        });
    }

    /// Where it was to be connected to.
    pub(crate) fn destination(&self) -> Option<Destination> {
        match self.peer() {
            Peer::Inet(address) if self.is_outbound() => Some(Destination::Inet(address)),
            Peer::Registered(number) if self.is_outbound() => Some(Destination::Registered(number)),
            Peer::Stream(number) if self.is_outbound() => Some(Destination::Stream {
                number,
                directions: self.directions(),
            }),
            Peer::Inet(_) | Peer::Unix(_) | Peer::Registered(_) | Peer::Stream(_) => None,
        }
    }

    /// What it can do: both, unless it is a non-socket stream.
    pub(crate) const fn directions(&self) -> Directions {
        match self.family {
            Family::Stream => Directions::of_bits(self.port as u32),
            Family::V4 | Family::V6 | Family::Unix | Family::Registered => Directions::BOTH,
        }
    }

    /// Of a device that was opened, the settings that its driver did not take.
    pub(crate) const fn ignored(&self) -> Ignored {
        match self.family {
            Family::Stream => Ignored::of_bits(self.scope),
            Family::V4 | Family::V6 | Family::Unix | Family::Registered => Ignored::NONE,
        }
    }

    /// Keeps them, if it is a non-socket stream.
    pub(crate) const fn set_ignored(&mut self, ignored: Ignored) {
        if matches!(self.family, Family::Stream) {
            self.scope = ignored.bits();
        }
    }

    fn put_four(&mut self, [a, b, c, d]: [u8; 4]) {
        self.address = [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    }

    const fn four(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.address;
        [a, b, c, d]
    }

    /// The peer's address.
    pub(crate) fn peer(&self) -> Peer {
        match self.family {
            Family::Unix => Peer::Unix(u32::from_ne_bytes(self.four())),
            Family::Registered => Peer::Registered(u32::from_ne_bytes(self.four())),
            Family::Stream => Peer::Stream(u32::from_ne_bytes(self.four())),
            Family::V4 => Peer::Inet(SocketAddrV4::new(self.four().into(), self.port).into()),
            Family::V6 => {
                let ip = Ipv6Addr::from(self.address);
                Peer::Inet(SocketAddrV6::new(ip, self.port, 0, self.scope).into())
            }
        }
    }

    /// Whether a short transfer ends what is there: true of TCP, not of Unix streams (they end one at each passed
    /// descriptor) and terminals (at each line, and wherever their buffers end), nor of what a program registered.
    pub(crate) const fn is_tcp(&self) -> bool {
        matches!(self.family, Family::V4 | Family::V6)
    }

    /// The source address under whose limit it counts: none for Unix peers and outbound connections.
    pub(crate) fn source(&self) -> Option<SocketAddr> {
        match self.peer() {
            Peer::Unix(_) | Peer::Registered(_) | Peer::Stream(_) => None,
            Peer::Inet(_) if self.is_outbound() => None,
            Peer::Inet(address) => Some(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_its_peer() {
        for text in ["127.0.0.1:51234", "[::1]:8080", "[fe80::1%7]:1"] {
            let peer = Peer::Inet(text.parse().expect("an address"));
            assert_eq!(Record::open(peer, 3, Instant::ZERO).peer(), peer);
        }
        for peer in [
            Peer::Unix(0xdead_beef),
            Peer::Registered(u32::MAX),
            Peer::Stream(1 << 31),
        ] {
            assert_eq!(Record::open(peer, 3, Instant::ZERO).peer(), peer);
        }
    }

    #[test]
    fn peers_without_an_address_are_no_source() {
        for peer in [Peer::Unix(1), Peer::Registered(1), Peer::Stream(1)] {
            assert_eq!(Record::open(peer, 0, Instant::ZERO).source(), None);
        }
        let address = "[fe80::1%7]:1".parse().expect("an address");
        let record = Record::open(Peer::Inet(address), 0, Instant::ZERO);
        assert_eq!(record.source(), Some(address));
    }

    #[test]
    fn an_outbound_connection_knows_its_origin_and_counts_for_no_source() {
        let to = Destination::Inet("10.0.0.1:1".parse().expect("an address"));
        let stream = |directions| Destination::Stream {
            number: 7,
            directions,
        };
        for to in [
            to,
            Destination::Registered(7),
            stream(Directions::READ),
            stream(Directions::BOTH),
        ] {
            for origin in [None, Some(Token::new(0, 1)), Some(Token::new(5, u32::MAX))] {
                let record = Record::connecting(to, origin);
                assert_eq!(record.origin(), origin);
                assert_eq!(record.destination(), Some(to));
                assert_eq!(record.source(), None);
            }
        }
        let accepted = Record::open(to.peer(), 3, Instant::ZERO);
        assert_eq!((accepted.origin(), accepted.destination()), (None, None));
    }
}
