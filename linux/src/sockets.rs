//! [`Sockets`]: the descriptors of a server, by their tokens.

use crate::backend::Accepted;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use tidegate_core::heapless::{Vec, VecView};
use tidegate_core::{FaultKind, LISTENERS, Outcome, Token};

/// The descriptors, each owned here alone and closed once.
#[derive(Debug)]
pub(crate) struct Sockets<'m> {
    /// By the index of the token.
    connections: &'m mut VecView<Option<OwnedFd>>,
    listeners: Vec<Option<OwnedFd>, LISTENERS>,
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
    pub(crate) fn keep(&mut self, token: Token, accepted: Accepted) -> Outcome {
        match accepted {
            Ok((socket, peer)) => match self.put(token, socket) {
                Ok(()) => Outcome::Accepted(peer),
                Err(outcome) => outcome,
            },
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
pub(crate) const NO_SOCKET: Outcome = Outcome::Failed(FaultKind::Invalid.with_code(0));
