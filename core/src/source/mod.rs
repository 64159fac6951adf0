//! What is not a connection: [`Source`].

mod burst;
mod datagrams;
mod listener;

use crate::readiness::Directions;
use crate::slot::{Flags, Slot};
pub(crate) use datagrams::Datagrams;
pub(crate) use listener::Listener;

/// A listener, a watched descriptor or a datagram socket.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) slot: Slot,
    pub(crate) kind: Kind,
    pub(crate) listener: Listener,
}

/// What a source that is no connection is, from its beginning until its slot is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Listener,
    /// A watched descriptor, and the directions that the application is interested in.
    Watch(Directions),
    Datagrams(Datagrams),
}

impl Source {
    pub(crate) const fn new(kind: Kind, listener: Listener) -> Self {
        Self {
            slot: Slot::NEW,
            kind,
            listener,
        }
    }

    /// What a datagram socket knows.
    pub(crate) const fn datagrams_mut(&mut self) -> Option<&mut Datagrams> {
        match &mut self.kind {
            Kind::Datagrams(datagrams) => Some(datagrams),
            Kind::Listener | Kind::Watch(_) => None,
        }
    }

    /// What it could use now. `admits`: a listener may take a connection, or apply the policy instead.
    pub(crate) fn wanted(&self, admits: bool) -> Directions {
        if self.slot.state().is_closing() || self.slot.state().is_gone() {
            return Directions::NONE;
        }
        match self.kind {
            Kind::Listener => Directions::READ.when(admits),
            Kind::Watch(interest) => interest,
            Kind::Datagrams(_) if self.slot.flags.has(Flags::PAUSED) => Directions::NONE,
            // What comes waits in the kernel until the reply to the previous datagram is sent.
            Kind::Datagrams(Datagrams { loaded: true, .. }) => Directions::WRITE,
            Kind::Datagrams(_) => Directions::READ,
        }
    }
}
