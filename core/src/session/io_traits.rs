//! The traits of the crate [`embedded_io`] for a [`Conn`], so that crates of the embedded world run on it.
//!
//! A handler never waits. So where those traits say "blocks", there is an error, [`SendError::Empty`] or
//! [`SendError::Full`], and the handler is to return: it is called again when there is more data, or capacity. Code that
//! cannot stop in the middle gets a whole message ([`framing`](crate::framing)) and capacity for its reply
//! ([`Conn::reserve`]), and never meets it.

use super::{Conn, SendError};
use embedded_io::{BufRead, Error, ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};

impl Error for SendError {
    /// `Full` and `Empty`, where a blocking stream would wait, have no kind of their own there: they are `Other`, a failure that
    /// ends what was begun. `Interrupted` would be tried again at once, without end, by everything in `std`
    /// (`std::io::Read::read_until`) and much that is like it.
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Full { .. } | Self::TooLong { .. } | Self::Empty => ErrorKind::Other,
            Self::Closed => ErrorKind::NotConnected,
        }
    }
}

impl ErrorType for Conn<'_> {
    type Error = SendError;
}

/// Reads and consumes. EOF calls [`ended`](crate::Handler::ended), and is never `Ok(0)`.
impl Read for Conn<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, SendError> {
        let data = self.fill_buf()?;
        let n = data.len().min(buf.len());
        super::bytes::copy(buf, data);
        Conn::consume(self, n);
        Ok(n)
    }
}

impl BufRead for Conn<'_> {
    fn fill_buf(&mut self) -> Result<&[u8], SendError> {
        match self.data() {
            [] => Err(SendError::Empty),
            data => Ok(data),
        }
    }

    fn consume(&mut self, amt: usize) {
        Conn::consume(self, amt);
    }
}

impl ReadReady for Conn<'_> {
    fn read_ready(&mut self) -> Result<bool, SendError> {
        Ok(!self.data().is_empty())
    }
}

/// Queues as much as there is capacity for. What is queued is sent when the service ends, so `flush` does nothing.
impl Write for Conn<'_> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, SendError> {
        if buf.is_empty() {
            return Ok(0);
        }
        // Less than all only if there is some capacity; otherwise `Full` requests the notice.
        let n = buf.len().min(self.capacity().max(1));
        self.send(buf.get(..n).unwrap_or(buf)).map(|()| n)
    }

    fn flush(&mut self) -> Result<(), SendError> {
        Ok(())
    }
}

impl WriteReady for Conn<'_> {
    fn write_ready(&mut self) -> Result<bool, SendError> {
        Ok(self.capacity() > 0)
    }
}
