//! [`Set`]: an epoll set: its items, and the one list of those that may be ready.

use crate::flags::EpollFlags;
use crate::variant::Variant;
use alloc::collections::{BTreeMap, VecDeque};

/// What an item is known by: the descriptor and the file it meant when it was registered. Both, so that a descriptor that
/// was closed while a copy of it lives keeps its item, which can then no longer be named.
pub(super) type Key = (u32, u32);

#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) mask: EpollFlags,
    pub(super) data: u64,
    /// In the ready list.
    pub(super) queued: bool,
    /// A one-shot item that was reported, and says nothing until it is modified.
    pub(super) fired: bool,
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
            && !item.queued
        {
            item.queued = true;
            self.ready.push_back(key);
        }
    }

    /// Something has changed about a file: `ep_poll_callback`. `what` is empty if anything may have.
    pub(super) fn wake(&mut self, key: Key, what: EpollFlags, wrong: Option<Variant>) {
        let Some(item) = self.items.get(&key) else {
            return;
        };
        let asked = match wrong {
            Some(Variant::WakeIgnoresInterest) => true,
            Some(Variant::StateChangeIsFiltered) if what.is_empty() => {
                item.mask.intersects(EpollFlags::IN)
            }
            _ => what.is_empty() || item.mask.intersects(what),
        };
        let silent = item.fired && wrong != Some(Variant::OneshotKeepsHangUp);
        if asked && !silent {
            self.queue(key);
        }
    }

    /// Forgets an item, also if it is queued.
    pub(super) fn remove(&mut self, key: Key, leaves_queued: bool) -> Option<Item> {
        let item = self.items.remove(&key)?;
        if item.queued && !leaves_queued {
            self.ready.retain(|other| *other != key);
        }
        Some(item)
    }
}
