//! How many connections a source has, and a block of sources: what an address counts as.

use super::Dispatcher;
use super::counts::{Counts, Key};
use crate::config::Sources;
use crate::on_demand::on_demand;
use crate::slot::Flags;
use core::net::{IpAddr, SocketAddr};

on_demand! { Dispatcher[m.sources_of];
    /// Whether the source of this record, or its block, has as many connections as it may have. Logs it.
    pub(super) fn source_is_full[&mut](index: u32, limit: Option<u32>) -> bool = is_crowded;
    /// Counts a connection that was accepted.
    pub(super) fn remember_source[&mut](index: u32) = add_source;
    /// Counts it no longer.
    pub(super) fn forget_source[&mut](index: u32) = remove_source;
}

/// Nothing is counted before there is a limit.
impl Dispatcher<'_> {
    /// The connections of each source are counted from now on: those that are there already, too.
    pub(super) fn count_sources(&mut self) {
        if self.m.sources_of.replace(&FUNCTIONS).is_some() {
            return;
        }
        for index in 0..self.slots.used() {
            if self.slots.at(index).flags.has(Flags::OPENED) {
                self.add_source(index);
            }
        }
    }

    /// Whether connections of each source are counted.
    #[cfg(any(test, feature = "inspect"))]
    pub(super) fn counts_sources(&self) -> bool {
        self.m.sources_of.is_some()
    }
}

impl Dispatcher<'_> {
    fn is_crowded(&mut self, index: u32, limit: Option<u32>) -> bool {
        let [source, block] = self.keys(index);
        let reaches = |words: &[u64], key: Option<Key>, limit: Option<u32>| {
            let (key, limit) = (key?, limit?);
            (Counts(words).get(key) >= limit).then_some(limit)
        };
        let block_limit = self.m.sources.block.map(|block| block.connections);
        let of_source = reaches(self.sources, source, limit);
        let of_block = reaches(self.blocks, block, block_limit);
        let (what, limit) = match (of_source, of_block) {
            (Some(limit), _) => ("source", limit),
            (None, Some(limit)) => ("block of sources", limit),
            (None, None) => return false,
        };
        if let Some(more) = self.m.source_warning.due(self.m.now) {
            warn!(
                "a {} has its {} connections: refused ({} more times since the last such line)",
                what, limit, more
            );
        }
        true
    }

    fn add_source(&mut self, index: u32) {
        self.count(index, |counts, key| counts.add(key));
    }

    fn remove_source(&mut self, index: u32) {
        self.count(index, |counts, key| counts.remove(key));
    }

    fn count(&mut self, index: u32, change: fn(&mut Counts<&mut [u64]>, Key)) {
        let keys = self.keys(index);
        let words = [&mut *self.sources, &mut *self.blocks];
        for (words, key) in words.into_iter().zip(keys) {
            if let Some(key) = key {
                change(&mut Counts(words), key);
            }
        }
    }

    /// The source of a connection and its block, where it has them.
    pub(super) fn keys(&self, index: u32) -> [Option<Key>; 2] {
        let (sources, seed) = (&self.m.sources, self.m.hash_seed);
        let Some(address) = self.records.at(index).source() else {
            return [None; 2];
        };
        let block = sources.block.and_then(|_| block_of(address, sources, seed));
        [Some(source_of(address, sources, seed)), block]
    }
}

/// What an address counts as: the first bits of it, as many as its kind has, and the scope of a link-local one.
pub(super) fn source_of(address: SocketAddr, sources: &Sources, seed: u64) -> Key {
    let scope = match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(v6) => v6.scope_id(),
    };
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => key(seed, V4, 0, first(v4.to_bits().into(), 32, sources.ipv4)),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            key(seed, V6, scope, first(v6.to_bits(), 128, sources.local))
        }
        IpAddr::V6(v6) if v6.is_unique_local() => {
            key(seed, V6, 0, first(v6.to_bits(), 128, sources.local))
        }
        IpAddr::V6(v6) => key(seed, V6, 0, first(v6.to_bits(), 128, sources.ipv6)),
    }
}

/// The block of an address, if it is of one.
pub(super) fn block_of(address: SocketAddr, sources: &Sources, seed: u64) -> Option<Key> {
    let prefix = sources.block?.prefix;
    match address.ip().to_canonical() {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6)
            if v6.is_unicast_link_local() || v6.is_unique_local() || v6.is_loopback() =>
        {
            None
        }
        IpAddr::V6(v6) => Some(key(seed, BLOCK, 0, first(v6.to_bits(), 128, prefix))),
    }
}

/// What a key is of.
const V4: u32 = 4;
const V6: u32 = 6;
const BLOCK: u32 = 7;

/// The first bits of an address of so many.
fn first(bits: u128, of: u32, prefix: u8) -> u128 {
    let dropped = of.saturating_sub(prefix.into());
    let kept = bits.checked_shr(dropped).unwrap_or(0);
    kept.checked_shl(dropped).unwrap_or(0)
}

fn key(seed: u64, kind: u32, scope: u32, bits: u128) -> Key {
    let high = u64::try_from(bits >> 64).unwrap_or(u64::MAX);
    let low = u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(u64::MAX);
    let tag = u64::from(scope) << 32 | u64::from(kind);
    Key::of(mix(mix(mix(seed ^ high) ^ low) ^ tag))
}

/// The finalizer of SplitMix64: a bijection, in which each bit of the input changes about half of the output's.
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Block;

    fn source(text: &str, sources: &Sources) -> Key {
        source_of(text.parse().expect("an address"), sources, 7)
    }

    fn block(text: &str, sources: &Sources) -> Option<Key> {
        block_of(text.parse().expect("an address"), sources, 7)
    }

    /// Which of these are one source, and which are two.
    #[test]
    fn a_source_is_an_ipv4_address_a_global_network_or_a_local_ipv6_address() {
        let of = |text| source(text, &Sources::DEFAULT);
        for (one, other, same) in [
            ("10.0.0.1:1", "10.0.0.1:2", true),
            ("10.0.0.1:1", "10.0.0.2:1", false),
            ("10.0.0.1:1", "[::ffff:10.0.0.1]:1", true),
            ("10.0.0.1:1", "[::10.0.0.1]:1", false),
            ("10.0.0.1:1", "[0:0:a00:1::1]:1", false),
            ("[2001:db8::1]:1", "[2001:db8::2]:1", true),
            ("[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false),
            ("[fe80::1%2]:1", "[fe80::2%2]:1", false),
            ("[fe80::1%2]:1", "[fe80::1%2]:2", true),
            ("[fe80::1%2]:1", "[fe80::1%3]:1", false),
            ("[febf::1%2]:1", "[febf::2%2]:1", false),
            ("[fec0::1]:1", "[fec0::2]:1", true),
            ("[fc00::1]:1", "[fc00::2]:1", false),
            ("[fdff:1::1]:1", "[fdff:1::2]:1", false),
            ("[fd00::1]:1", "[fd00::1]:9", true),
            ("[fbff::1]:1", "[fbff::2]:1", true),
            ("[::1]:1", "[::1]:2", true),
        ] {
            assert_eq!(of(one) == of(other), same, "{one} and {other}");
        }
    }

    #[test]
    fn each_prefix_can_be_set() {
        let sources = Sources {
            ipv4: 24,
            ipv6: 48,
            local: 64,
            block: None,
        };
        for (one, other, same) in [
            ("10.0.0.1:1", "10.0.0.2:1", true),
            ("10.0.0.1:1", "10.0.1.1:1", false),
            ("[2001:db8::1]:1", "[2001:db8:0:1::1]:1", true),
            ("[2001:db8::1]:1", "[2001:db8:1::1]:1", false),
            ("[fd00::1]:1", "[fd00::2]:1", true),
            ("[fe80::1%1]:1", "[fe80::2%2]:1", false),
        ] {
            let same_here = source(one, &sources) == source(other, &sources);
            assert_eq!(same_here, same, "{one} and {other}");
        }
        let all = Sources {
            ipv4: 0,
            ipv6: 0,
            local: 0,
            block: None,
        };
        assert_eq!(source("1.2.3.4:1", &all), source("200.0.0.1:1", &all));
        assert_eq!(source("[2001::1]:1", &all), source("[3000::1]:1", &all));
        assert_ne!(source("1.2.3.4:1", &all), source("[2001::1]:1", &all));
    }

    #[test]
    fn a_block_is_of_global_ipv6_addresses() {
        let of = |prefix| Sources {
            block: Some(Block {
                prefix,
                connections: 1,
            }),
            ..Sources::DEFAULT
        };
        let (one, next) = ("[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1");
        assert!(block(one, &of(56)).is_some());
        assert_eq!(block(one, &of(56)), block(next, &of(56)));
        assert_ne!(block(one, &of(64)), block(next, &of(64)));
        assert_ne!(
            block("[2001:db8:0:1ff::1]:1", &of(56)),
            block("[2001:db8:0:200::1]:1", &of(56))
        );
        for local in ["10.0.0.1:1", "[fe80::1%1]:1", "[fd00::1]:1", "[::1]:1"] {
            assert_eq!(block(local, &of(56)), None, "{local}");
        }
        assert_eq!(block(one, &Sources::DEFAULT), None);
    }
}
