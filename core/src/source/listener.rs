//! [`Listener`]: what is known of a listener.

use super::burst::Burst;

/// The state of a listener in addition to its slot.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    /// The most connections that one source address may have, over all listeners that have such a limit.
    pub(crate) per_source: Option<u32>,
    /// The most connections that it may have at a time.
    pub(crate) at_most: u32,
    /// Slots that only its connections may take.
    pub(crate) reserved: u32,
    /// It and its connections go first.
    pub(crate) priority: bool,
    /// Slots that are taken for its connections, and for those of an earlier listener in its slot.
    pub(crate) held: u32,
    /// How long the next pause lasts, in nanoseconds.
    pub(crate) pause: u64,
    pub(crate) burst: Burst,
}

impl Listener {
    pub(crate) const fn new(pause: u64) -> Self {
        Self {
            per_source: None,
            at_most: u32::MAX,
            reserved: 0,
            priority: false,
            held: 0,
            pause,
            burst: Burst::ONE,
        }
    }
}
