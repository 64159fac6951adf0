//! [`Kernel`]: descriptors, files behind them, and the calls. What each call does is in the files of its subject.

mod connecting;
mod datagram;
mod datagram_endpoint;
mod endpoint;
mod epoll;
mod interest;
mod multishot;
mod set;
mod slab;
mod socket;
mod stream;
#[cfg(test)]
mod tests;

pub use connecting::Route;
pub use datagram::{Letter, Received, asked};
pub use datagram_endpoint::DatagramEndpoint;
pub use endpoint::{Endpoint, State};
pub use epoll::Report;
pub use interest::Interest;

use super::faults::{Call, Fault, Faults};
use super::flags::EpollFlags;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use datagram::Post;
use set::Set;
use slab::Slab;
use socket::Socket;
use tidegate_core::errno::Errno;

/// A descriptor: the lowest number that was free when it was made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fd(pub u32);

/// Sizes of a [`Kernel`].
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many descriptors there may be.
    pub descriptors: u32,
    /// What the unread writes of one Unix socket may cost (`SO_SNDBUF`).
    pub unix_buffer: usize,
    /// What a write of `n + 1` bytes costs on a Unix stream, by `n`. Longer ones cost as the last, and a byte for each
    /// byte more. Linux counts the memory of a buffer (its `truesize`), which depends on the build.
    pub unix_charge: Vec<usize>,
    /// Bytes that lie between a TCP writer and its reader, in both buffers.
    pub tcp_buffer: usize,
    /// Of these, bytes that the reader's side holds, and so acknowledges.
    pub tcp_window: usize,
    /// Whether a multishot receive of `io_uring(7)` merges the wake-ups of bytes and of a reset behind them into one attempt
    /// also if they come while it waits, as Linux does before commit a68ed2df (2026). If both are there when it is submitted,
    /// it always does.
    pub merged_wake_ups: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            descriptors: 1024,
            unix_buffer: 64 * 1024,
            unix_charge: Vec::from([768]),
            tcp_buffer: 64 * 1024,
            tcp_window: 32 * 1024,
            merged_wake_ups: true,
        }
    }
}

impl Limits {
    /// What may lie between a writer of this family and its reader.
    pub(super) const fn buffer(&self, family: Family) -> usize {
        match family {
            Family::Unix => self.unix_buffer,
            Family::Tcp | Family::Terminal => self.tcp_buffer,
        }
    }
}

/// The kinds of streams.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// Unix streams: each write is kept apart and frees its buffer when it has been read whole.
    Unix,
    /// TCP: bytes are bytes; FIN, resets, an urgent mark.
    Tcp,
    /// Pseudo-terminals in raw mode, which are non-socket streams: no EOF but the hang-up, after which everything fails
    /// with `EIO` (`pty(7)`). Listening is plugging a device in, connecting is opening it, accepting returns that it
    /// was. Not compared with Linux by `differ`: there, bytes take their time in between.
    Terminal,
}

/// How a descriptor is shut down.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shutdown {
    /// `SHUT_RD`.
    Read,
    /// `SHUT_WR`.
    Write,
    /// `SHUT_RDWR`.
    Both,
}

/// A simulated kernel: descriptors, streams, listeners and epoll sets, held against Linux by the program `differ`.
///
/// It is a value: it blocks nowhere, has no clock and no thread, and the same calls return the same results. Nothing is
/// delayed: what one end sends the other can read at once.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The file of each descriptor.
    descriptors: Slab<u32>,
    files: Slab<File>,
    limits: Limits,
    /// Addresses without responses.
    routes: Vec<(IpAddr, Route)>,
    /// TCP has used up its memory.
    short: bool,
    /// What goes wrong.
    pub faults: Faults,
}

/// What descriptors refer to (an open file description).
#[derive(Clone, Debug)]
struct File {
    /// Descriptors; 0 while it waits to be accepted.
    references: u32,
    /// Items in epoll sets: the file of the set, and the descriptor that was registered. In this order, but exclusive
    /// ones in front and in the opposite order: the last is notified first.
    watchers: Vec<(u32, u32)>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Socket(Socket),
    Listener(Listener),
    Post(Post),
    Set(Set),
}

#[derive(Clone, Debug)]
struct Listener {
    family: Family,
    port: u16,
    backlog: usize,
    /// Connections to accept.
    queue: VecDeque<u32>,
    /// TCP connects that found the queue full.
    knocking: VecDeque<u32>,
    /// It was shut down.
    stopped: bool,
}

impl Kernel {
    /// A kernel without descriptors.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            descriptors: Slab::new(),
            files: Slab::new(),
            limits,
            routes: Vec::new(),
            short: false,
            faults: Faults::none(),
        }
    }

    /// The open descriptors, lowest first.
    pub fn descriptors(&self) -> impl Iterator<Item = Fd> + '_ {
        self.descriptors.numbers().map(Fd)
    }

    /// Its sizes.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Its sizes, to change for calls to come.
    pub const fn limits_mut(&mut self) -> &mut Limits {
        &mut self.limits
    }

    /// A pair of connected Unix streams.
    ///
    /// # Errors
    ///
    /// `MFILE`.
    pub fn pair(&mut self) -> Result<(Fd, Fd), Errno> {
        let taken = u32::try_from(self.descriptors.len()).unwrap_or(u32::MAX);
        if taken.saturating_add(2) > self.limits.descriptors {
            return Err(Errno::MFILE);
        }
        let one = self.file(Kind::Socket(Socket::connected(Family::Unix, None, 0)));
        let other = self.file(Kind::Socket(Socket::connected(Family::Unix, None, one)));
        if let Some(socket) = self.socket_mut(one) {
            socket.peer = Some(other);
        }
        Ok((self.describe(one)?, self.describe(other)?))
    }

    /// Another descriptor of the same file.
    ///
    /// # Errors
    ///
    /// `BADF`, `MFILE`.
    pub fn dup(&mut self, fd: Fd) -> Result<Fd, Errno> {
        let file = self.file_of(fd)?;
        self.describe(file)
    }

    /// Closes a descriptor. With the last one of a file, its items leave their epoll sets and the peer is notified:
    /// FIN, or a reset if there was unread input.
    ///
    /// # Errors
    ///
    /// `BADF`. An injected error closes all the same, as on Linux.
    pub fn close(&mut self, fd: Fd) -> Result<(), Errno> {
        let file = self.file_of(fd)?;
        let fault = self.fault(Call::Close, file);
        self.descriptors.remove(fd.0);
        self.release(file);
        match fault {
            Some(Fault::Errno(errno)) => Err(errno),
            Some(Fault::Short(_)) | None => Ok(()),
        }
    }

    /// The readiness of a descriptor now, as `poll(2)` reports it.
    ///
    /// # Errors
    ///
    /// `BADF`.
    pub fn poll(&mut self, fd: Fd) -> Result<EpollFlags, Errno> {
        let file = self.file_of(fd)?;
        Ok(self.poll_file(file))
    }
}

/// Descriptors and files.
impl Kernel {
    fn file(&mut self, kind: Kind) -> u32 {
        self.files.insert(File {
            references: 0,
            watchers: Vec::new(),
            kind,
        })
    }

    fn has_descriptor(&self) -> Result<(), Errno> {
        if self.descriptors.len() < self.limits.descriptors as usize {
            Ok(())
        } else {
            Err(Errno::MFILE)
        }
    }

    /// The lowest free descriptor for a file.
    fn describe(&mut self, file: u32) -> Result<Fd, Errno> {
        self.has_descriptor()?;
        if let Some(file) = self.files.get_mut(file) {
            file.references += 1;
        }
        Ok(Fd(self.descriptors.insert(file)))
    }

    fn file_of(&self, fd: Fd) -> Result<u32, Errno> {
        self.descriptors.get(fd.0).copied().ok_or(Errno::BADF)
    }

    fn socket(&self, file: u32) -> Option<&Socket> {
        match &self.files.get(file)?.kind {
            Kind::Socket(socket) => Some(socket),
            Kind::Listener(_) | Kind::Post(_) | Kind::Set(_) => None,
        }
    }

    fn socket_mut(&mut self, file: u32) -> Option<&mut Socket> {
        match &mut self.files.get_mut(file)?.kind {
            Kind::Socket(socket) => Some(socket),
            Kind::Listener(_) | Kind::Post(_) | Kind::Set(_) => None,
        }
    }

    fn listener_mut(&mut self, file: u32) -> Option<&mut Listener> {
        match &mut self.files.get_mut(file)?.kind {
            Kind::Listener(listener) => Some(listener),
            Kind::Socket(_) | Kind::Post(_) | Kind::Set(_) => None,
        }
    }

    fn set_mut(&mut self, file: u32) -> Option<&mut Set> {
        match &mut self.files.get_mut(file)?.kind {
            Kind::Set(set) => Some(set),
            Kind::Socket(_) | Kind::Listener(_) | Kind::Post(_) => None,
        }
    }

    fn poll_file(&mut self, file: u32) -> EpollFlags {
        let bits = self.state_of(file);
        let limits = &self.limits;
        if let Some(Kind::Socket(socket)) = self.files.get_mut(file).map(|file| &mut file.kind) {
            return socket.poll(limits);
        }
        bits
    }

    /// What a poll would find, which it does not learn.
    fn state_of(&self, file: u32) -> EpollFlags {
        match self.files.get(file).map(|file| &file.kind) {
            Some(Kind::Socket(socket)) => {
                let mut end = socket.end;
                end.poll(self.limits.buffer(end.family))
            }
            Some(Kind::Listener(listener)) => {
                EpollFlags::IN.when(!listener.queue.is_empty())
                    | EpollFlags::HUP.when(listener.stopped)
            }
            Some(Kind::Post(post)) => post.poll(),
            Some(Kind::Set(_)) | None => EpollFlags::NONE,
        }
    }

    /// One descriptor fewer; the last one takes the file with it.
    fn release(&mut self, at: u32) {
        let Some(file) = self.files.get_mut(at) else {
            return;
        };
        file.references = file.references.saturating_sub(1);
        if file.references > 0 {
            return;
        }
        let watchers = self
            .files
            .get_mut(at)
            .map(|file| core::mem::take(&mut file.watchers));
        for (set, fd) in watchers.into_iter().flatten() {
            if let Some(set) = self.set_mut(set) {
                set.remove((fd, at));
            }
        }
        match self.files.remove(at).map(|file| file.kind) {
            Some(Kind::Socket(socket)) => self.hang_up(at, socket),
            Some(Kind::Listener(listener)) => self.stop_listening(listener),
            Some(Kind::Set(set)) => {
                for (_, file) in set.items.into_keys() {
                    if let Some(file) = self.files.get_mut(file) {
                        file.watchers.retain(|(set, _)| *set != at);
                    }
                }
            }
            Some(Kind::Post(_)) | None => {}
        }
    }

    /// The fault of this call on a file, if there is one.
    fn fault(&mut self, call: Call, at: u32) -> Option<Fault> {
        let peer = self.socket(at).and_then(|socket| socket.address);
        self.faults.next(call, peer)
    }

    /// The error that was put into this call on a file.
    fn failing(&mut self, call: Call, at: u32) -> Result<(), Errno> {
        match self.fault(call, at) {
            Some(Fault::Errno(errno)) => Err(errno),
            Some(Fault::Short(_)) | None => Ok(()),
        }
    }
}

/// A peer that named no address of its own.
const ANYBODY: SocketAddr = SocketAddr::new(
    core::net::IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1)),
    1024,
);
