//! [`Interest`]: one registration in an epoll set, as a small value: when it is in the ready list, and what it reports.

use crate::flags::EpollFlags;

/// Bits that are always part of the interest.
pub(super) const UNASKED: EpollFlags = EpollFlags::from_bits(0x18);

/// One registration in an epoll set, but for its place in the ready list, which is the set's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Interest {
    /// What it is interested in, and how.
    pub mask: EpollFlags,
    /// In the ready list.
    pub queued: bool,
    /// A one-shot registration that has reported, and is silent until it is modified.
    pub fired: bool,
}

impl Interest {
    /// `EPOLL_CTL_ADD`.
    #[must_use]
    pub fn new(mask: EpollFlags) -> Self {
        Self {
            mask: mask | UNASKED,
            queued: false,
            fired: false,
        }
    }

    /// `EPOLL_CTL_MOD`, which arms a one-shot registration again.
    pub fn modify(&mut self, mask: EpollFlags) {
        self.mask = mask | UNASKED;
        self.fired = false;
    }

    /// What was registered.
    #[must_use]
    pub fn asked(&self) -> EpollFlags {
        self.mask - UNASKED
    }

    /// Whether something that has happened brings it into the ready list: `ep_poll_callback`. `what` is empty if anything
    /// may have changed.
    #[must_use]
    pub fn is_woken_by(&self, what: EpollFlags) -> bool {
        let asked = what.is_empty() || self.mask.intersects(what);
        asked && !self.fired
    }

    /// Whether its file is ready for it: when it is registered or modified, it is queued then.
    #[must_use]
    pub fn is_ready(&self, bits: EpollFlags) -> bool {
        !self.fired && self.mask.intersects(bits)
    }

    /// A wait takes it out of the ready list, and finds its file to be so. Returns what it reports; nothing, if it is
    /// empty. Afterwards [`queued`](Self::queued) says whether it goes back into the list: level-triggered registrations do.
    pub fn report(&mut self, bits: EpollFlags) -> EpollFlags {
        self.queued = false;
        let mask = self.mask.when(!self.fired);
        let flags = bits & mask;
        if flags.is_empty() {
            return flags;
        }
        if mask.contains(EpollFlags::ONESHOT) {
            self.fired = true;
        } else {
            self.queued = !mask.contains(EpollFlags::ET);
        }
        flags
    }
}
