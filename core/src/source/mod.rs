//! What is not a connection: [`Source`].

mod burst;
mod datagrams;
mod listener;
mod pace;

use crate::readiness::Directions;
use crate::slot::Slot;
pub(crate) use datagrams::Datagrams;
pub(crate) use listener::Listener;
pub(crate) use pace::Pace;

/// A listener, a watched descriptor or a datagram socket.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) slot: Slot,
    pub(crate) kind: Kind,
    pub(crate) pace: Pace,
    /// Slots that are taken for connections of the listener in this slot, and of earlier ones.
    pub(crate) held: u32,
}

/// What a source that is no connection is, from its beginning until its slot is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Listener(Listener),
    /// A watched descriptor, and the directions that the application is interested in.
    Watch(Directions),
    Datagrams(Datagrams),
}

impl Source {
    /// One in a slot that was never used.
    pub(crate) const fn new(kind: Kind, pause: u64) -> Self {
        Self {
            slot: Slot::NEW,
            kind,
            pace: Pace::new(pause),
            held: 0,
        }
    }

    /// What is known of a listener.
    pub(crate) const fn listener(&self) -> Option<&Listener> {
        match &self.kind {
            Kind::Listener(listener) => Some(listener),
            Kind::Watch(_) | Kind::Datagrams(_) => None,
        }
    }

    /// The same, to be changed.
    pub(crate) const fn listener_mut(&mut self) -> Option<&mut Listener> {
        match &mut self.kind {
            Kind::Listener(listener) => Some(listener),
            Kind::Watch(_) | Kind::Datagrams(_) => None,
        }
    }

    /// What a datagram socket knows.
    pub(crate) const fn datagrams_mut(&mut self) -> Option<&mut Datagrams> {
        match &mut self.kind {
            Kind::Datagrams(datagrams) => Some(datagrams),
            Kind::Listener(_) | Kind::Watch(_) => None,
        }
    }

    /// What it could use now. `admits`: a listener may take a connection, or apply the policy instead.
    pub(crate) fn wanted(&self, admits: bool) -> Directions {
        if self.slot.state().is_closing() || self.slot.state().is_gone() {
            return Directions::NONE;
        }
        match self.kind {
            Kind::Listener(_) => Directions::READ.when(admits),
            Kind::Watch(interest) => interest,
            Kind::Datagrams(_) if self.pace.is_paused() => Directions::NONE,
            // What comes waits in the kernel until the reply to the previous datagram is sent.
            Kind::Datagrams(Datagrams { loaded: true, .. }) => Directions::WRITE,
            Kind::Datagrams(_) => Directions::READ,
        }
    }
}
