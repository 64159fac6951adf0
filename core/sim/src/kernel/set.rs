//! [`Set`]: an epoll set: its items, and the one list of those that may be ready.

use super::interest::Interest;
use crate::flags::EpollFlags;
use alloc::collections::{BTreeMap, VecDeque};

/// What an item is known by: the descriptor and the file it meant when it was registered. Both, so that a descriptor that
/// was closed while a copy of it lives keeps its item, which can then no longer be named.
pub(super) type Key = (u32, u32);

#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) interest: Interest,
    pub(super) data: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    pub(super) items: BTreeMap<Key, Item>,
    pub(super) ready: VecDeque<Key>,
}

impl Set {
    /// Puts an item at the end of the ready list, unless it is there.
    pub(super) fn queue(&mut self, key: Key) {
        if let Some(item) = self.items.get_mut(&key)
            && !item.interest.queued
        {
            item.interest.queued = true;
            self.ready.push_back(key);
        }
    }

    /// Something has changed about a file. `what` is empty if anything may have.
    pub(super) fn wake(&mut self, key: Key, what: EpollFlags) {
        let item = self.items.get(&key);
        if item.is_some_and(|item| item.interest.is_woken_by(what)) {
            self.queue(key);
        }
    }

    /// Forgets an item, also if it is queued.
    pub(super) fn remove(&mut self, key: Key) -> Option<Item> {
        let item = self.items.remove(&key)?;
        if item.interest.queued {
            self.ready.retain(|other| *other != key);
        }
        Some(item)
    }
}
