//! The traits of the crate [`embedded_io`] for a [`Conn`], so that crates of the embedded world run on it.
//!
//! A handler never waits. So where those traits say "blocks", there is an error, [`WouldBlock`](IoError::WouldBlock),
//! and the handler is to return: it is called again when there is more data, or capacity. Code that cannot stop in the
//! middle gets a whole message ([`framing`](crate::framing)) and capacity for its reply ([`Conn::reserve`]), and never
//! meets it.

use super::{Conn, SendError};
use core::fmt;
use embedded_io::{BufRead, Error, ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};

/// Why nothing was read or written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum IoError {
    /// No data is left, or no capacity. Return from the handler; [`readable`](crate::Handler::readable) or
    /// [`writable`](crate::Handler::writable) is called when there is.
    WouldBlock,
    /// The connection is finished, aborted or gone.
    Closed,
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WouldBlock => {
                f.write_str("no data, or no capacity, now; return from the handler")
            }
            Self::Closed => f.write_str("connection closed"),
        }
    }
}

impl core::error::Error for IoError {}

impl Error for IoError {
    /// `WouldBlock` has no kind of its own there: it is `Other`, a failure that ends what was begun. `Interrupted` would be tried
    /// again at once, without end, by everything in `std` (`std::io::Read::read_until`) and much that is like it.
    fn kind(&self) -> ErrorKind {
        match self {
            Self::WouldBlock => ErrorKind::Other,
            Self::Closed => ErrorKind::NotConnected,
        }
    }
}

impl ErrorType for Conn<'_> {
    type Error = IoError;
}

/// Reads and consumes. EOF calls [`ended`](crate::Handler::ended), and is never `Ok(0)`.
impl Read for Conn<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoError> {
        let data = self.fill_buf()?;
        let n = data.len().min(buf.len());
        super::bytes::copy(buf, data);
        Conn::consume(self, n);
        Ok(n)
    }
}

impl BufRead for Conn<'_> {
    fn fill_buf(&mut self) -> Result<&[u8], IoError> {
        match self.data() {
            [] => Err(IoError::WouldBlock),
            data => Ok(data),
        }
    }

    fn consume(&mut self, amt: usize) {
        Conn::consume(self, amt);
    }
}

impl ReadReady for Conn<'_> {
    fn read_ready(&mut self) -> Result<bool, IoError> {
        Ok(!self.data().is_empty())
    }
}

/// Queues as much as there is capacity for. What is queued is sent when the service ends, so `flush` does nothing.
impl Write for Conn<'_> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, IoError> {
        if buf.is_empty() {
            return Ok(0);
        }
        // Less than all only if there is some capacity; otherwise `Full` requests the notice.
        let n = buf.len().min(self.room().max(1));
        match self.send(buf.get(..n).unwrap_or(buf)) {
            Ok(()) => Ok(n),
            Err(SendError::Full { .. } | SendError::TooLong { .. }) => Err(IoError::WouldBlock),
            Err(SendError::Closed) => Err(IoError::Closed),
        }
    }

    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }
}

impl WriteReady for Conn<'_> {
    fn write_ready(&mut self) -> Result<bool, IoError> {
        Ok(self.room() > 0)
    }
}
