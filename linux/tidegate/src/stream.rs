//! Non-socket streams: terminals, pipes, and whatever else can be read, written and waited for. Their calls, each
//! turned into an [`Outcome`], and what of them may be attached.

use crate::errno;
use crate::error::Error;
use crate::socket::{self, Transfer, count};
use core::fmt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::io::{self, Errno, FdFlags, fcntl_setfd, ioctl_fionbio, ioctl_fionread};
use rustix::termios::{LocalModes, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr};
use tidegate_core::{Directions, Outcome};

/// A non-socket stream.
#[derive(Debug)]
pub(crate) struct Stream {
    descriptor: OwnedFd,
    /// By reference: a program that has no streams is not linked with their calls.
    device: &'static dyn Device,
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Stream {
    /// Checks a descriptor of the application, and makes it non-blocking and close-on-exec. Also returns its
    /// directions.
    pub(crate) fn of(descriptor: OwnedFd) -> Result<(Self, Directions), Error> {
        let system = |call| move |errno| Error::System { call, errno };
        if descriptor.as_raw_fd() <= 2 {
            // It stays open: were it closed, the next descriptor would get its number, and what is meant for a user.
            core::mem::forget(descriptor);
            return Err(Error::Standard);
        }
        let status = fstat(&descriptor).map_err(system("fstat"))?;
        let file = FileType::from_raw_mode(status.st_mode);
        if file == FileType::Socket {
            return Err(Error::IsSocket);
        }
        let device: &dyn Device = match tcgetattr(&descriptor) {
            Ok(termios) if looks_ended(&termios) => return Err(Error::Polled),
            Ok(_) => &Terminal,
            Err(_) if file == FileType::Fifo => &Pipe,
            Err(_) => &Other,
        };
        if !crate::watch::is_pollable(descriptor.as_fd())? {
            return Err(Error::NotPollable);
        }
        let mode = fcntl_getfl(&descriptor).map_err(system("fcntl"))? & OFlags::RWMODE;
        let directions = match mode {
            OFlags::RDONLY => Directions::READ,
            OFlags::WRONLY => Directions::WRITE,
            _ => Directions::BOTH,
        };
        ioctl_fionbio(&descriptor, true).map_err(system("FIONBIO"))?;
        fcntl_setfd(&descriptor, FdFlags::CLOEXEC).map_err(system("FD_CLOEXEC"))?;
        Ok((Self { descriptor, device }, directions))
    }

    /// A serial line that is opened and set.
    pub(crate) fn terminal(descriptor: OwnedFd) -> Self {
        let device = &Terminal;
        Self { descriptor, device }
    }

    /// Whether it is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.device.is_terminal()
    }

    /// Reads into `into`, which is not empty.
    #[cold]
    pub(crate) fn receive(&self, into: &mut [u8]) -> Transfer {
        self.device.receive(self.as_fd(), into)
    }

    /// Writes `from`.
    #[cold]
    pub(crate) fn send(&self, from: &[u8]) -> Transfer {
        self.device.send(self.as_fd(), from)
    }

    /// What there is instead of shutting the sending side down, as [`Action::Shutdown`] has it.
    ///
    /// [`Action::Shutdown`]: tidegate_core::Action::Shutdown
    pub(crate) fn shut_down(&self) -> Outcome {
        self.device.shut_down(self.as_fd())
    }

    /// How many bytes that were written the line or the reader has not taken. It lives: flow control may hold a line for as
    /// long as it likes. One that has hung up fails.
    pub(crate) fn unsent(&self) -> Outcome {
        if self.device.has_hung_up(self.as_fd()) {
            return socket::HUNG_UP;
        }
        let unsent = self.device.unsent(self.as_fd());
        if let Outcome::Complete(n) = unsent {
            return Outcome::Drained(n);
        }
        unsent
    }

    /// The descriptor, to be closed without a wait.
    pub(crate) fn into_closing(self) -> OwnedFd {
        self.device.before_close(self.as_fd());
        self.descriptor
    }
}

/// What depends on the kind of a stream.
trait Device: fmt::Debug + Sync {
    fn is_terminal(&self) -> bool {
        false
    }

    fn receive(&self, from: BorrowedFd<'_>, into: &mut [u8]) -> Transfer {
        let read = io::read(from, into).map(count);
        read.map_err(|errno| errno::fault_of(errno::stream(errno)))
    }

    fn send(&self, to: BorrowedFd<'_>, from: &[u8]) -> Transfer {
        let written = io::write(to, from).map(count);
        written.map_err(|errno| errno::fault_of(errno::stream(errno)))
    }

    fn unsent(&self, to: BorrowedFd<'_>) -> Outcome {
        socket::queued(to)
    }

    /// Whether nothing is left to be read, and nothing can be written: a terminal without its other end is reported as
    /// `HUP`, one whose device is gone as everything at once (`hung_up_tty_poll`).
    fn has_hung_up(&self, stream: BorrowedFd<'_>) -> bool {
        let found = reported(stream);
        found.contains(PollFlags::HUP)
            && (!found.contains(PollFlags::IN) || found.contains(PollFlags::ERR))
    }

    /// There is no half-close, and nothing that closing could cut off.
    fn shut_down(&self, _to: BorrowedFd<'_>) -> Outcome {
        Outcome::Drained(0)
    }

    fn before_close(&self, _closing: BorrowedFd<'_>) {}
}

/// A serial line, or what stands for one.
#[derive(Debug)]
struct Terminal;

impl Terminal {
    fn has_output(&self, to: BorrowedFd<'_>) -> bool {
        matches!(self.unsent(to), Outcome::Complete(1..))
    }
}

impl Device for Terminal {
    fn is_terminal(&self) -> bool {
        true
    }

    /// A missing other end is EOF (`pty(7)`; a line whose device is gone reads as EOF by itself).
    fn receive(&self, from: BorrowedFd<'_>, into: &mut [u8]) -> Transfer {
        match io::read(from, into) {
            Ok(n) => Ok(count(n)),
            Err(Errno::IO) => Ok(0),
            Err(errno) => Err(errno::fault_of(errno::stream(errno))),
        }
    }

    /// What is not on the line yet is given time to get there.
    fn shut_down(&self, to: BorrowedFd<'_>) -> Outcome {
        if self.has_output(to) {
            Outcome::Complete(0)
        } else {
            Outcome::Drained(0)
        }
    }

    /// Closing a serial line waits until all of its output is on the line, for half a minute if it is not taken
    /// (`closing_wait`, `setserial(8)`), and the loop with it: what is left by now is discarded. Without output nothing
    /// is: flushing a pseudo-terminal would take away what its reader has not read yet.
    fn before_close(&self, closing: BorrowedFd<'_>) {
        if self.has_output(closing) {
            // If it cannot be done, closing may take its time.
            let _ = tcflush(closing, QueueSelector::OFlush);
        }
    }
}

/// An end of a pipe. What is in it stays there for its reader.
#[derive(Debug)]
struct Pipe;

impl Device for Pipe {
    /// The write end without a reader (`pipe(7)`); for the read end, EOF reports all.
    fn has_hung_up(&self, stream: BorrowedFd<'_>) -> bool {
        reported(stream).contains(PollFlags::ERR)
    }

    /// The same number at either end (`pipe(7)`).
    fn unsent(&self, to: BorrowedFd<'_>) -> Outcome {
        match ioctl_fionread(to) {
            Ok(n) => Outcome::Complete(u32::try_from(n).unwrap_or(u32::MAX)),
            Err(errno) => errno::stream(errno),
        }
    }
}

/// Whatever else can be read, written and waited for.
#[derive(Debug)]
struct Other;

impl Device for Other {}

/// What is so of a stream now (`poll(2)`), without a wait.
fn reported(stream: BorrowedFd<'_>) -> PollFlags {
    let mut asked = [PollFd::from_borrowed_fd(stream, PollFlags::IN)];
    match poll(&mut asked, Some(&Timespec::default())) {
        Ok(_) => asked[0].revents(),
        // It is called again, or a transfer returns the error.
        Err(_) => PollFlags::empty(),
    }
}

/// Whether a terminal with these settings reads 0 bytes when there are none.
fn looks_ended(termios: &Termios) -> bool {
    !termios.local_modes.contains(LocalModes::ICANON)
        && termios.special_codes[SpecialCodeIndex::VMIN] == 0
}

#[cfg(test)]
mod tests {
    extern crate alloc;

    use super::*;
    use alloc::string::ToString;
    use std::fs::File;
    use std::os::unix::net::UnixStream;
    use tidegate_core::Unavailable;

    fn refused(descriptor: impl Into<OwnedFd>) -> Error {
        match Stream::of(descriptor.into()) {
            Ok(stream) => panic!("{stream:?}"),
            Err(error) => error,
        }
    }

    #[test]
    fn what_cannot_be_waited_for_is_refused() {
        let file = std::env::current_exe().and_then(File::open);
        assert_eq!(refused(file.expect("a file")), Error::NotPollable);
        let folder = File::open("/").expect("a folder");
        assert_eq!(refused(folder), Error::NotPollable);
        let null = File::open("/dev/null").expect("a device");
        assert_eq!(refused(null), Error::NotPollable);
    }

    #[test]
    fn a_socket_is_refused() {
        let (one, _other) = UnixStream::pair().expect("a pair");
        assert_eq!(refused(one), Error::IsSocket);
    }

    #[test]
    fn a_pipe_goes_one_way_and_does_not_block() {
        let (from, to) = std::io::pipe().expect("a pipe");
        let (from, reads) = Stream::of(from.into()).expect("a stream");
        let (to, writes) = Stream::of(to.into()).expect("a stream");
        assert_eq!((reads, writes), (Directions::READ, Directions::WRITE));
        assert_eq!(from.receive(&mut [0; 8]), Err(None), "it does not block");
        assert_eq!(to.send(b"abc"), Ok(3));
        assert_eq!(to.unsent(), Outcome::Drained(3), "it lives");
        assert_eq!(to.shut_down(), Outcome::Drained(0), "the pipe keeps it");
        assert_eq!(from.receive(&mut [0; 8]), Ok(3));
        drop(to.into_closing());
        assert_eq!(from.receive(&mut [0; 8]), Ok(0), "its end");
    }

    #[test]
    fn errors_say_what_to_do() {
        assert!(Error::Polled.to_string().contains("VMIN"));
        assert!(
            Error::Unavailable(Unavailable::Streams { capacity: 16 })
                .to_string()
                .contains("16")
        );
    }
}
