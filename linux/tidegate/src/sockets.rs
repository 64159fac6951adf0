//! [`Sockets`]: the descriptors of a server, by their tokens.

use crate::socket::{self, count};
use crate::socket_file::OwnFile;
use crate::stream::Stream;
use core::net::SocketAddr;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use tidegate_core::heapless::VecView;
use tidegate_core::{Fault, Outcome, Token, Unavailable};

/// The descriptors, each owned here alone and closed once.
#[derive(Debug)]
pub(crate) struct Sockets<'m> {
    /// By the index of the token.
    connections: &'m mut VecView<Option<OwnedFd>>,
    /// Listeners, watched descriptors and datagram sockets, by the index of the token.
    sources: &'m mut VecView<Option<Source>>,
    /// Connections over non-socket streams: they have no descriptor among the others, so that a socket's descriptor
    /// needs no check of its kind.
    streams: &'m mut VecView<(Token, Stream)>,
}

/// A listener, a watched descriptor or a datagram socket.
#[derive(Debug)]
pub(crate) struct Source {
    descriptor: OwnedFd,
    /// The file that was made for it.
    file: Option<OwnFile>,
    role: Role,
}

/// What a source is there for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Listener {
        /// What it sends to connections that it refuses.
        refusal: &'static [u8],
    },
    Watched,
    Datagrams {
        /// They are UDP, not Unix.
        internet: bool,
    },
}

impl Source {
    pub(crate) const fn new(descriptor: OwnedFd, file: Option<OwnFile>, role: Role) -> Self {
        Self {
            descriptor,
            file,
            role,
        }
    }

    /// Its descriptor, to be closed. Its file is removed first: while it is open the file cannot be mistaken for another.
    fn into_closing(self) -> OwnedFd {
        if let Some(file) = self.file {
            file.remove(&self.descriptor);
        }
        self.descriptor
    }
}

impl<'m> Sockets<'m> {
    /// Borrows the tables.
    pub(crate) const fn new(
        connections: &'m mut VecView<Option<OwnedFd>>,
        sources: &'m mut VecView<Option<Source>>,
        streams: &'m mut VecView<(Token, Stream)>,
    ) -> Self {
        Self {
            connections,
            sources,
            streams,
        }
    }

    #[inline]
    pub(crate) fn connection(&self, token: Token) -> Option<BorrowedFd<'_>> {
        let kept = self.connections.get(token.index() as usize)?;
        kept.as_ref().map(OwnedFd::as_fd)
    }

    /// The descriptor of a socket or of what is watched; a non-socket stream has none here.
    #[inline(never)]
    pub(crate) fn get(&self, token: Token) -> Option<BorrowedFd<'_>> {
        if token.is_listener() {
            Some(self.source(token)?.descriptor.as_fd())
        } else {
            self.connection(token)
        }
    }

    fn source(&self, token: Token) -> Option<&Source> {
        self.sources.get(token.index() as usize)?.as_ref()
    }

    /// What a listener sends to connections that it refuses.
    pub(crate) fn refusal(&self, listener: u32) -> &'static [u8] {
        match self.sources.get(listener as usize).and_then(Option::as_ref) {
            Some(Source {
                role: Role::Listener { refusal },
                ..
            }) => refusal,
            Some(_) | None => b"",
        }
    }

    /// Whether a datagram socket is of the internet.
    pub(crate) fn is_internet(&self, token: Token) -> bool {
        let role = self.source(token).map(|source| source.role);
        matches!(role, Some(Role::Datagrams { internet: true }))
    }

    /// The stream of this token, if it is a non-socket stream.
    #[cold]
    pub(crate) fn stream(&self, token: Token) -> Option<&Stream> {
        let (_, stream) = self.streams.iter().find(|(of, _)| *of == token)?;
        Some(stream)
    }

    /// Checks that another stream can be kept.
    pub(crate) fn has_slot_for_stream(&self) -> Result<(), Unavailable> {
        let capacity = count(self.streams.capacity());
        let full = Unavailable::Streams { capacity };
        (!self.streams.is_full()).then_some(()).ok_or(full)
    }

    /// Keeps a stream for its token.
    pub(crate) fn put_stream(&mut self, token: Token, stream: Stream) -> Result<(), Outcome> {
        self.streams.push((token, stream)).map_err(|_| NO_SLOT)
    }

    #[inline(never)]
    pub(crate) fn take(&mut self, token: Token) -> Option<OwnedFd> {
        let index = token.index() as usize;
        if token.is_listener() {
            Some(self.sources.get_mut(index)?.take()?.into_closing())
        } else {
            self.connections.get_mut(index)?.take()
        }
    }

    /// The same for a non-socket stream.
    pub(crate) fn take_stream(&mut self, token: Token) -> Option<OwnedFd> {
        let at = self.streams.iter().position(|(of, _)| *of == token)?;
        let (_, stream) = self.streams.swap_remove(at);
        Some(stream.into_closing())
    }

    /// Keeps what was accepted for `token`.
    #[inline(never)]
    pub(crate) fn keep(
        &mut self,
        token: Token,
        socket: OwnedFd,
        peer: Option<SocketAddr>,
    ) -> Outcome {
        match self.put(token, socket) {
            Ok(()) => Outcome::Accepted(peer),
            Err(outcome) => outcome,
        }
    }

    /// Stores a descriptor in the slot of its token.
    pub(crate) fn put(&mut self, token: Token, socket: OwnedFd) -> Result<(), Outcome> {
        if token.is_listener() {
            self.put_source(token, Source::new(socket, None, Role::Watched))
        } else {
            put(self.connections, token, socket)
        }
    }

    /// The same with what else is kept of a listener or a datagram socket.
    pub(crate) fn put_source(&mut self, token: Token, source: Source) -> Result<(), Outcome> {
        put(self.sources, token, source)
    }

    /// Closes every descriptor, those of listeners first, whose files are removed. Their memory is empty then.
    pub(crate) fn close_all(&mut self) {
        for source in self.sources.iter_mut().filter_map(Option::take) {
            let _ = socket::close(source.into_closing(), false);
        }
        for socket in self.connections.iter_mut().filter_map(Option::take) {
            let _ = socket::close(socket, false);
        }
        while let Some((_, stream)) = self.streams.pop() {
            let _ = socket::close(stream.into_closing(), false);
        }
    }
}

/// Slots come into use in order.
fn put<T>(list: &mut VecView<Option<T>>, token: Token, kept: T) -> Result<(), Outcome> {
    let index = token.index() as usize;
    while list.len() <= index {
        list.push(None).map_err(|_| NO_SOCKET)?;
    }
    if let Some(slot) = list.get_mut(index) {
        *slot = Some(kept);
    }
    Ok(())
}

/// What cannot be: an action for a token without a descriptor.
pub(crate) const NO_SOCKET: Outcome = Outcome::Failed(NO_FAULT);
/// All slots for streams are taken, for now (`ENOSPC`).
const NO_SLOT: Outcome = Outcome::Failed(Fault::Exhausted(28));
pub(crate) const NO_FAULT: Fault = Fault::Invalid(0);
