//! [`Sockets`]: the descriptors of a server, by their tokens.

use crate::socket;
use crate::socket_file::{Files, OwnFile};
use crate::stream::{STREAMS, Stream};
use core::net::SocketAddr;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use tidegate_core::heapless::{Vec, VecView};
use tidegate_core::{Fault, FaultKind, LISTENERS, Outcome, Token};

/// The descriptors, each owned here alone and closed once.
#[derive(Debug)]
pub(crate) struct Sockets<'m> {
    /// By the index of the token.
    connections: &'m mut VecView<Option<OwnedFd>>,
    listeners: Vec<Option<OwnedFd>, LISTENERS>,
    /// Connections over non-socket streams: they have no descriptor among the others, so that a socket's descriptor
    /// needs no check of its kind.
    streams: [Option<(Token, Stream)>; STREAMS],
    /// Socket files that were made.
    files: Files,
}

impl<'m> Sockets<'m> {
    /// None yet.
    pub(crate) const fn new(connections: &'m mut VecView<Option<OwnedFd>>) -> Self {
        Self {
            connections,
            listeners: Vec::new(),
            streams: [const { None }; STREAMS],
            files: Files::new(),
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
        let list: &VecView<Option<OwnedFd>> = if token.is_listener() {
            &self.listeners
        } else {
            self.connections
        };
        list.get(token.index() as usize)?
            .as_ref()
            .map(OwnedFd::as_fd)
    }

    /// The stream of this token, if it is a non-socket stream.
    #[cold]
    pub(crate) fn stream(&self, token: Token) -> Option<&Stream> {
        let mut streams = self.streams.iter().flatten();
        let (_, stream) = streams.find(|(of, _)| *of == token)?;
        Some(stream)
    }

    /// Whether there is a free slot for another stream.
    pub(crate) fn has_slot_for_stream(&self) -> bool {
        self.streams.iter().any(Option::is_none)
    }

    /// Keeps a stream for its token.
    pub(crate) fn put_stream(&mut self, token: Token, stream: Stream) -> Result<(), Outcome> {
        let mut slots = self.streams.iter_mut();
        let free = slots.find(|slot| slot.is_none()).ok_or(NO_SLOT)?;
        *free = Some((token, stream));
        Ok(())
    }

    #[inline(never)]
    pub(crate) fn take(&mut self, token: Token) -> Option<OwnedFd> {
        let kept = self.list(token).get_mut(token.index() as usize);
        let taken = kept.and_then(Option::take);
        if let Some(socket) = taken.as_ref().filter(|_| token.is_listener()) {
            // While it is open its file cannot be mistaken for another.
            self.files.remove(token.index(), socket);
        }
        taken
    }

    /// Has the file of this socket removed when it is closed.
    #[inline]
    pub(crate) fn own_file(&mut self, token: Token, file: Option<OwnFile>) {
        self.files.add(token.index(), file);
    }

    /// The same for a non-socket stream.
    pub(crate) fn take_stream(&mut self, token: Token) -> Option<OwnedFd> {
        let is_of =
            |slot: &&mut Option<(Token, Stream)>| slot.as_ref().is_some_and(|(of, _)| *of == token);
        let (_, stream) = self.streams.iter_mut().find(is_of)?.take()?;
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

    /// Stores a descriptor in the slot of its token. Slots come into use in order.
    pub(crate) fn put(&mut self, token: Token, socket: OwnedFd) -> Result<(), Outcome> {
        let slot = token.index() as usize;
        let list = self.list(token);
        while list.len() <= slot {
            list.push(None).map_err(|_| NO_SOCKET)?;
        }
        if let Some(kept) = list.get_mut(slot) {
            *kept = Some(socket);
        }
        Ok(())
    }

    /// Closes every descriptor, those of listeners first, whose files are removed. Their memory is empty then.
    pub(crate) fn close_all(&mut self) {
        for (slot, socket) in (0..).zip(&mut self.listeners) {
            if let Some(socket) = socket.take() {
                self.files.remove(slot, &socket);
                let _ = socket::close(socket, false);
            }
        }
        for socket in self.connections.iter_mut() {
            if let Some(socket) = socket.take() {
                let _ = socket::close(socket, false);
            }
        }
        for stream in &mut self.streams {
            if let Some((_, stream)) = stream.take() {
                let _ = socket::close(stream.into_closing(), false);
            }
        }
    }

    fn list(&mut self, token: Token) -> &mut VecView<Option<OwnedFd>> {
        if token.is_listener() {
            &mut self.listeners
        } else {
            self.connections
        }
    }
}

/// What cannot be: an action for a token without a descriptor.
pub(crate) const NO_SOCKET: Outcome = Outcome::Failed(NO_FAULT);
/// All slots for streams are taken, for now (`ENOSPC`).
const NO_SLOT: Outcome = Outcome::Failed(FaultKind::Shortage.with_code(28));
const NO_FAULT: Fault = FaultKind::Invalid.with_code(0);
