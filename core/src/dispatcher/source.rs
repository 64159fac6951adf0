//! How many connections a source address has: chains of records with the same hash.

use super::Dispatcher;
use crate::queue::{Link, NONE};

impl Dispatcher<'_> {
    /// Whether the source of this record has `limit` connections already. Looks at no more of its chain than it needs.
    pub(super) fn source_has(&self, index: u32, limit: u32) -> bool {
        let Some(source) = self.records.at(index).source() else {
            return false;
        };
        let mut found = 0u32;
        let mut next = self.chain_head(source);
        // A chain holds each record at most once; the bound is for what cannot be.
        for _ in 0..self.m.connections {
            if found >= limit || next == NONE {
                break;
            }
            let record = self.records.at(next);
            if record.source() == Some(source) {
                found = found.saturating_add(1);
            }
            next = record.chain.next;
        }
        found >= limit
    }

    /// Puts the record at the head of its chain.
    pub(super) fn remember_source(&mut self, index: u32) {
        let Some(source) = self.records.at(index).source() else {
            return;
        };
        let next = self.chain_head(source);
        self.records.at_mut(index).chain = Link { prev: NONE, next };
        if next != NONE {
            self.records.at_mut(next).chain.prev = index;
        }
        self.set_chain_head(source, index);
    }

    /// Takes the record out of its chain.
    pub(super) fn forget_source(&mut self, index: u32) {
        let record = self.records.at_mut(index);
        let Link { prev, next } = core::mem::replace(&mut record.chain, Link::NONE);
        let Some(source) = record.source() else {
            return;
        };
        if prev == NONE {
            self.set_chain_head(source, next);
        } else {
            self.records.at_mut(prev).chain.next = next;
        }
        if next != NONE {
            self.records.at_mut(next).chain.prev = prev;
        }
    }

    fn chain_head(&self, source: u64) -> u32 {
        let stored = self.chains.get(self.bucket(source)).copied();
        stored.unwrap_or(0).wrapping_sub(1)
    }

    fn set_chain_head(&mut self, source: u64, index: u32) {
        let bucket = self.bucket(source);
        if let Some(stored) = self.chains.get_mut(bucket) {
            *stored = index.wrapping_add(1);
        }
    }

    /// The chain of a source: its hash, scaled to the number of chains.
    fn bucket(&self, source: u64) -> usize {
        let hash = mix(source ^ self.m.hash_seed);
        let scaled = (u128::from(hash) * self.chains.len() as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }
}

/// The finalizer of SplitMix64: each bit of the input changes about half of the output's.
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
