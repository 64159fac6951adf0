//! Sending, receiving (of a terminal: writing, reading), shutting down, and what a close does to the other end.

use super::endpoint::{Endpoint, State};
use super::{Call, Errno, Family, Fault, Fd, Kernel, Kind, Shutdown, Socket};
use crate::flags::EpollFlags;

impl Kernel {
    /// Receives; 0 bytes are EOF. With an empty buffer nothing is received: 0 if bytes are queued, which stay, and
    /// otherwise what any receive returns. Of a terminal it is always 0, as of `read(2)`.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`, `AGAIN`, `NOTCONN`, `INVAL`; the stored error of the socket (`CONNRESET`, …), once; `IO` of a
    /// terminal that was hung up, each time; injected ones.
    pub fn recv(&mut self, fd: Fd, into: &mut [u8]) -> Result<usize, Errno> {
        let at = self.stream(fd)?;
        let most = self.most(at, Call::Recv, into.len(), Endpoint::INPUT)?;
        let socket = self.socket_mut(at).ok_or(Errno::NOTCONN)?;
        let moved = socket.end.recv(most)?;
        if moved > 0 {
            let freed = socket.take(into.get_mut(..moved).unwrap_or_default());
            let writer = socket.peer;
            self.free_capacity(writer, freed);
        }
        Ok(moved)
    }

    /// Sends as much as fits.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`, `AGAIN`, `NOTCONN`, `PIPE`; the stored error of the socket, once; `IO` of a terminal that was
    /// hung up; injected ones.
    pub fn send(&mut self, fd: Fd, bytes: &[u8]) -> Result<usize, Errno> {
        let at = self.stream(fd)?;
        let most = self.most(at, Call::Send, bytes.len(), EpollFlags::OUT)?;
        let bytes = bytes.get(..most).unwrap_or_default();
        match self.socket(at).map(|socket| socket.end.family) {
            Some(Family::Unix) => self.send_unix(at, bytes),
            Some(Family::Tcp | Family::Terminal) => self.send_charged(at, bytes),
            None => Err(Errno::NOTCONN),
        }
    }

    /// Sends one urgent byte (`MSG_OOB`): the receiver sees a mark where it was, and not the byte, unless another urgent
    /// byte overtakes it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); `OPNOTSUPP` on a Unix stream, whose urgent bytes are another matter.
    pub fn send_urgent(&mut self, fd: Fd, byte: u8) -> Result<(), Errno> {
        let at = self.stream(fd)?;
        if self.socket(at).map(|socket| socket.end.family) != Some(Family::Tcp) {
            return Err(Errno::OPNOTSUPP);
        }
        let peer = self.peer(at);
        self.send_charged(at, &[])?;
        if let Some(peer) = peer
            && let Some(socket) = self.socket_mut(peer)
        {
            socket.mark(byte);
            self.wake(peer, Endpoint::INPUT);
        }
        Ok(())
    }

    /// Shuts one or both directions down.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK` (of a terminal, too); `NOTCONN` for TCP that is not connected, or no longer; injected ones.
    pub fn shutdown(&mut self, fd: Fd, how: Shutdown) -> Result<(), Errno> {
        let at = self.file_of(fd)?;
        self.failing(Call::Shutdown, at)?;
        if let Some(listener) = self.listener_mut(at) {
            listener.stopped |= how != Shutdown::Write;
            self.wake(at, Endpoint::STATE);
            return Ok(());
        }
        let socket = self.socket_mut(at).ok_or(Errno::NOTSOCK)?;
        if socket.end.family == Family::Terminal {
            return Err(Errno::NOTSOCK);
        }
        let done = socket.end.shut_down(how);
        let (family, peer) = (socket.end.family, socket.peer);
        match family {
            Family::Unix => {
                self.wake(at, Endpoint::STATE);
                if let Some(peer) = peer
                    && let Some(socket) = self.socket_mut(peer)
                {
                    socket.end.receive_shut |= how != Shutdown::Read;
                    socket.end.send_shut |= how != Shutdown::Write;
                    self.wake(peer, Endpoint::STATE);
                }
            }
            Family::Tcp | Family::Terminal => {
                if done == Ok(true)
                    && let Some(peer) = peer
                    && let Some(socket) = self.socket_mut(peer)
                {
                    socket.end.end();
                    self.wake(peer, Endpoint::STATE);
                }
                self.wake(at, Endpoint::STATE);
            }
        }
        done.map(|_| ())
    }

    /// Takes the stored error of a socket (`SO_ERROR`), which clears it.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`.
    pub fn take_error(&mut self, fd: Fd) -> Result<Option<Errno>, Errno> {
        let at = self.file_of(fd)?;
        if let Some(Kind::Set(_)) = self.files.get(at).map(|file| &file.kind) {
            return Err(Errno::NOTSOCK);
        }
        Ok(self
            .socket_mut(at)
            .and_then(|socket| socket.end.error.take()))
    }

    /// Makes the last close reset the connection (`SO_LINGER` of zero seconds), of TCP.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`.
    pub fn reset_on_close(&mut self, fd: Fd) -> Result<(), Errno> {
        let at = self.stream(fd)?;
        if let Some(socket) = self.socket_mut(at) {
            socket.resets = socket.end.family == Family::Tcp;
        }
        Ok(())
    }

    /// Whether TCP has used up its memory (`tcp_mem` in tcp(7), or the limit of a control group): each send would
    /// block, and sockets are polled as writable all the same, because their own buffers have capacity.
    pub const fn set_short_of_memory(&mut self, short: bool) {
        self.short = short;
    }

    /// How much of what was sent waits in the kernel (`SIOCOUTQ`): of TCP the bytes that the other side has not
    /// acknowledged, of Unix streams what its unread writes cost.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`; injected ones.
    pub fn unsent(&mut self, fd: Fd) -> Result<usize, Errno> {
        let at = self.stream(fd)?;
        self.failing(Call::Unsent, at)?;
        let window = self.limits.tcp_window;
        let socket = self.socket(at).ok_or(Errno::NOTSOCK)?;
        Ok(match socket.end.family {
            Family::Unix | Family::Terminal => socket.end.charged,
            Family::Tcp => socket.end.charged.saturating_sub(window),
        })
    }

    /// Whether the peer is known to live (`TCP_INFO`): it acknowledges, or responds to the probes of its closed window.
    /// On this machine it does.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`.
    pub fn answers(&self, fd: Fd) -> Result<bool, Errno> {
        let at = self.stream(fd)?;
        let family = self.socket(at).ok_or(Errno::NOTSOCK)?.end.family;
        let silent = self.peer(at).and_then(|peer| self.socket(peer));
        Ok(family != Family::Tcp || !silent.is_some_and(|peer| peer.silent))
    }

    /// The machine of this end of a TCP connection is gone from now on, without notice.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`.
    pub fn vanish(&mut self, fd: Fd) -> Result<(), Errno> {
        let at = self.stream(fd)?;
        self.socket_mut(at).ok_or(Errno::NOTSOCK)?.silent = true;
        Ok(())
    }

    /// Bytes that wait to be received, up to the urgent mark (`SIOCINQ`).
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`.
    pub fn unread(&self, fd: Fd) -> Result<usize, Errno> {
        let at = self.stream(fd)?;
        Ok(self.socket(at).map_or(0, |socket| socket.end.readable()))
    }
}

impl Kernel {
    /// Whether the other end has an urgent byte before it that it has not passed.
    pub(crate) fn has_urgent(&self, fd: Fd) -> bool {
        let peer = self.stream(fd).ok().and_then(|at| self.peer(at));
        let socket = peer.and_then(|peer| self.socket(peer));
        socket.is_some_and(|socket| socket.end.urgent.is_some())
    }

    /// The kind of a stream; of anything else, TCP.
    pub(crate) fn family(&self, fd: Fd) -> Family {
        let socket = self.stream(fd).ok().and_then(|at| self.socket(at));
        socket.map_or(Family::Tcp, |socket| socket.end.family)
    }

    /// Whether it is a terminal that was opened.
    pub(crate) fn is_terminal(&self, fd: Fd) -> bool {
        self.family(fd) == Family::Terminal
    }

    /// The socket or listener behind a descriptor.
    pub(super) fn stream(&self, fd: Fd) -> Result<u32, Errno> {
        let at = self.file_of(fd)?;
        match self.files.get(at).map(|file| &file.kind) {
            Some(Kind::Post(_) | Kind::Set(_)) | None => Err(Errno::NOTSOCK),
            Some(Kind::Socket(_) | Kind::Listener(_)) => Ok(at),
        }
    }

    fn peer(&self, at: u32) -> Option<u32> {
        self.socket(at)?.peer
    }

    /// How many bytes this transfer may move. After a fault that is reported as would-block or as a short count, the
    /// waiters are woken: what is there counts as having come just afterwards.
    fn most(&mut self, at: u32, call: Call, len: usize, key: EpollFlags) -> Result<usize, Errno> {
        match self.fault(call, at) {
            None => Ok(len),
            Some(Fault::Errno(errno)) => {
                if errno == Errno::AGAIN {
                    self.wake(at, key);
                }
                Err(errno)
            }
            Some(Fault::Short(most)) => {
                self.wake(at, key);
                Ok(len.min(most.max(1) as usize))
            }
        }
    }

    fn send_unix(&mut self, at: u32, bytes: &[u8]) -> Result<usize, Errno> {
        let buffer = self.limits.unix_buffer;
        // `unix_stream_sendmsg`: two buffers at least fit.
        let longest = (buffer / 2).saturating_sub(64).max(1);
        let mut sent = 0;
        loop {
            let socket = self.socket_mut(at).ok_or(Errno::NOTSOCK)?;
            if socket.end.state == State::Fresh {
                return Err(Errno::NOTCONN);
            }
            if socket.end.send_shut {
                return Err(Errno::PIPE);
            }
            let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) else {
                return Ok(sent);
            };
            if socket.end.charged >= buffer {
                return if sent > 0 {
                    Ok(sent)
                } else {
                    Err(Errno::AGAIN)
                };
            }
            let Some(peer) = socket.peer else {
                return Err(Errno::PIPE);
            };
            let chunk = rest.get(..longest.min(rest.len())).unwrap_or(rest);
            let charge = charge(&self.limits.unix_charge, chunk.len());
            if let Some(socket) = self.socket_mut(at) {
                socket.end.charged += charge;
            }
            if let Some(peer) = self.socket_mut(peer) {
                peer.put(chunk, charge);
            }
            self.wake(peer, Endpoint::INPUT);
            sent += chunk.len();
        }
    }

    /// TCP and terminals, which are charged by the byte.
    fn send_charged(&mut self, at: u32, bytes: &[u8]) -> Result<usize, Errno> {
        let socket = self.socket(at).ok_or(Errno::NOTSOCK)?;
        let family = socket.end.family;
        let buffer = match self.short && family == Family::Tcp {
            true => 0,
            false => self.limits.buffer(family),
        };
        let socket = self.socket_mut(at).ok_or(Errno::NOTSOCK)?;
        let taken = socket.end.send(bytes.len(), buffer)?;
        let Some(peer) = socket.peer else {
            // The peer is gone: the response is a reset.
            self.reset(at);
            return Ok(taken);
        };
        let deaf = self.socket(peer).is_some_and(|peer| {
            family == Family::Tcp && peer.end.receive_shut && peer.end.send_shut
        });
        if deaf {
            self.reset(peer);
            self.reset(at);
            return Ok(taken);
        }
        if taken > 0
            && let Some(peer) = self.socket_mut(peer)
        {
            peer.put(bytes.get(..taken).unwrap_or(bytes), 0);
        }
        if taken > 0 {
            self.wake(peer, Endpoint::INPUT);
        }
        Ok(taken)
    }

    /// A reader has freed so much of what a writer had been charged.
    fn free_capacity(&mut self, writer: Option<u32>, freed: usize) {
        let Some(writer) = writer else {
            return;
        };
        let Some(Kind::Socket(socket)) = self.files.get_mut(writer).map(|file| &mut file.kind)
        else {
            return;
        };
        let buffer = self.limits.buffer(socket.end.family);
        if socket.end.acknowledge(freed, buffer) {
            self.wake(writer, Endpoint::SPACE);
        }
    }

    /// TCP: a reset comes in.
    pub(super) fn reset(&mut self, at: u32) {
        let Some(socket) = self.socket_mut(at) else {
            return;
        };
        if socket.end.reset() {
            socket.peer = None;
            self.wake(at, Endpoint::STATE);
        }
    }

    /// The last descriptor of a socket is gone; `at` was its file.
    pub(super) fn hang_up(&mut self, at: u32, socket: Socket) {
        if let Some(listener) = socket.knocks_at.and_then(|at| self.listener_mut(at)) {
            listener.knocking.retain(|knocking| *knocking != at);
        }
        let Some(peer) = socket.peer else {
            return;
        };
        let unread = socket.end.unread > 0 || socket.end.urgent.is_some();
        match socket.end.family {
            Family::Unix => {
                let reset = unread || socket.resets;
                if let Some(other) = self.socket_mut(peer) {
                    other.end.receive_shut = true;
                    other.end.send_shut = true;
                    other.peer = None;
                    if reset {
                        other.end.error = Some(Errno::CONNRESET);
                    }
                }
                self.wake(peer, Endpoint::STATE);
                if unread {
                    let freed = socket.queue.iter().map(|chunk| chunk.charge).sum();
                    self.free_capacity(Some(peer), freed);
                }
            }
            // What was written can still be read.
            Family::Terminal => {
                if let Some(other) = self.socket_mut(peer) {
                    other.peer = None;
                    other.end.charged = 0;
                    other.end.state = State::Closed;
                }
                self.wake(peer, Endpoint::STATE);
            }
            Family::Tcp if socket.end.state == State::Closed => {
                if let Some(other) = self.socket_mut(peer) {
                    other.peer = None;
                }
            }
            Family::Tcp if unread || socket.resets => self.reset(peer),
            Family::Tcp => {
                if let Some(other) = self.socket_mut(peer) {
                    other.peer = None;
                    if !socket.end.send_shut {
                        other.end.end();
                    }
                }
                if !socket.end.send_shut {
                    self.wake(peer, Endpoint::STATE);
                }
            }
        }
    }
}

/// What a write of so many bytes costs.
fn charge(table: &[usize], len: usize) -> usize {
    let last = table.len().saturating_sub(1);
    let at = len.saturating_sub(1);
    let base = table.get(at.min(last)).copied().unwrap_or(0);
    base.saturating_add(at.saturating_sub(last))
}
