//! [`Sockets`]: the descriptors of a server, by their tokens.

use crate::socket;
use core::net::SocketAddr;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use tidegate_core::heapless::{Vec, VecView};
use tidegate_core::{Fault, FaultKind, LISTENERS, Outcome, Token, Transfer, Transfers};

/// The descriptors, each owned here alone and closed once.
#[derive(Debug)]
pub(crate) struct Sockets<'m> {
    /// By the index of the token.
    connections: &'m mut VecView<Option<OwnedFd>>,
    listeners: Vec<Option<OwnedFd>, LISTENERS>,
}

/// The transfers of a report that is served on the spot.
impl Transfers for Sockets<'_> {
    #[inline(always)]
    fn receive(&mut self, token: Token, into: &mut [u8]) -> Transfer {
        match self.connection(token) {
            Some(socket) => socket::receive(socket, into),
            None => Err(Some(NO_FAULT)),
        }
    }

    #[inline(always)]
    fn send(&mut self, token: Token, from: &[u8]) -> Transfer {
        match self.connection(token) {
            Some(socket) => socket::send(socket, from),
            None => Err(Some(NO_FAULT)),
        }
    }
}

impl<'m> Sockets<'m> {
    /// None yet.
    pub(crate) const fn new(connections: &'m mut VecView<Option<OwnedFd>>) -> Self {
        Self {
            connections,
            listeners: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn connection(&self, token: Token) -> Option<BorrowedFd<'_>> {
        let kept = self.connections.get(token.index() as usize)?;
        kept.as_ref().map(OwnedFd::as_fd)
    }

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

    #[inline(never)]
    pub(crate) fn take(&mut self, token: Token) -> Option<OwnedFd> {
        self.list(token).get_mut(token.index() as usize)?.take()
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

    /// Keeps a descriptor at the place of its token. Places come into use in order.
    pub(crate) fn put(&mut self, token: Token, socket: OwnedFd) -> Result<(), Outcome> {
        let place = token.index() as usize;
        let list = self.list(token);
        while list.len() <= place {
            list.push(None).map_err(|_| NO_SOCKET)?;
        }
        if let Some(kept) = list.get_mut(place) {
            *kept = Some(socket);
        }
        Ok(())
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
const NO_FAULT: Fault = FaultKind::Invalid.with_code(0);
