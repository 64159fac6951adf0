//! [`Listener`]: what is known of a listener.

/// What its owner has set for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Listener {
    /// The most connections that one source address may have, over all listeners that have such a limit.
    pub(crate) per_source: Option<u32>,
    /// The most connections that it may have at a time.
    pub(crate) at_most: u32,
    /// Slots that only its connections may take.
    pub(crate) reserved: u32,
    /// It and its connections go first.
    pub(crate) priority: bool,
}

impl Listener {
    pub(crate) const fn new(per_source: Option<u32>) -> Self {
        Self {
            per_source,
            at_most: u32::MAX,
            reserved: 0,
            priority: false,
        }
    }
}
