//! [`SendError`]: why bytes were not taken.

use core::fmt;

/// Why bytes were not taken, none of them; or, by the traits of `embedded-io`, why none were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError {
    /// The free send capacity is `capacity` bytes now. [`Handler::writable`](crate::Handler::writable) is called once all
    /// would fit.
    Full {
        /// Bytes that would fit.
        capacity: usize,
    },
    /// More than the send window could ever hold.
    TooLong {
        /// The size of the send window in bytes.
        window: usize,
    },
    /// The connection is finished, aborted or gone, or not opened yet.
    Closed,
    /// Reading through `embedded-io` found no data. Return from the handler:
    /// [`Handler::readable`](crate::Handler::readable) is called when there is more.
    Empty,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { capacity } => write!(
                f,
                "send window full: capacity for {capacity} bytes now; return from the handler, which is called when there is more"
            ),
            Self::TooLong { window } => {
                write!(
                    f,
                    "longer than the send window of {window} bytes; send it in parts"
                )
            }
            Self::Closed => f.write_str("connection closed for sending"),
            Self::Empty => f.write_str("no data now; return from the handler"),
        }
    }
}

impl core::error::Error for SendError {}
