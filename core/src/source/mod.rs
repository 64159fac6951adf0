//! What is not a connection: [`Source`].

mod burst;
mod listener;

use crate::slot::Slot;
pub(crate) use listener::Listener;

/// A listener, a watched descriptor or a datagram socket.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) slot: Slot,
    pub(crate) listener: Listener,
}
