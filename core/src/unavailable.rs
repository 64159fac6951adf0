//! [`Unavailable`]: what could not be begun.

use core::fmt;

/// What was asked for was not begun, and there will be no notice of it: everything of its kind is taken, or the server is
/// stopping. How many there are is the program's choice, by the type of its [`Memory`](crate::Memory).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Unavailable {
    /// Every slot for connections is taken, or reserved for a listener. Outbound connections are in the same table as
    /// accepted ones, and none is evicted for them.
    Connections {
        /// How many there are.
        capacity: u32,
    },
    /// Every slot for a listener, a watched descriptor or a datagram socket is taken.
    Sources {
        /// How many there are.
        capacity: u32,
    },
    /// There is no free timer of this number: they are numbered from 0.
    Timer {
        /// The number.
        timer: u32,
        /// How many there are.
        capacity: u32,
    },
    /// The borrowed [`DatagramMemory`](crate::DatagramMemory) does not have so many bytes left for the windows of a datagram
    /// socket, or there is none.
    DatagramMemory,
    /// Every entry of a driver for a serial line is taken.
    Lines {
        /// How many there are.
        capacity: u32,
    },
    /// Every entry of a driver for a non-socket stream that is open already is taken.
    Streams {
        /// How many there are.
        capacity: u32,
    },
    /// Every entry of a driver for a named destination is taken.
    Destinations {
        /// How many there are.
        capacity: u32,
    },
    /// The server is stopping, and the connection for which an outbound one would be made, if there is one, was opened more
    /// than 10 s ago, or has had its reply.
    Stopping,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connections { capacity } => write!(
                f,
                "all {capacity} slots for connections are taken: try later, or with a larger table"
            ),
            Self::Sources { capacity } => write!(
                f,
                "no slot for another listener, watched descriptor or datagram socket, of {capacity}; raise the SOURCES of the memory"
            ),
            Self::Timer { timer, capacity } => write!(
                f,
                "no timer {timer}; the memory has {capacity}, numbered from 0: raise its TIMERS"
            ),
            Self::DatagramMemory => f.write_str(
                "no memory is left for the windows of another datagram socket: set a larger DatagramMemory first",
            ),
            Self::Lines { capacity } => write!(
                f,
                "{capacity} serial lines are registered already, as many as the memory has; raise its LINES"
            ),
            Self::Streams { capacity } => write!(
                f,
                "{capacity} streams are attached already, as many as the memory has; close one, or raise its STREAMS"
            ),
            Self::Destinations { capacity } => write!(
                f,
                "{capacity} destinations are registered already, as many as the memory has; raise its DESTINATIONS"
            ),
            Self::Stopping => f.write_str("the server is stopping, and connects no more"),
        }
    }
}

impl core::error::Error for Unavailable {}

/// A length as a count, of entries or of bytes: none is 2³² or more.
pub(crate) fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
