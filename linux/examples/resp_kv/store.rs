//! The keys, their values and when they expire, in memory of a fixed size.

use core::fmt;
use heapless::Vec;
use heapless::index_map::FnvIndexMap;
use tidegate::Instant;

/// An empty store for one test, in memory of its own: it is larger than a test's stack.
#[cfg(test)]
macro_rules! fresh_store {
    () => {{
        static STORE: static_cell::ConstStaticCell<crate::store::Store> =
            static_cell::ConstStaticCell::new(crate::store::Store::new());
        STORE.take()
    }};
}
#[cfg(test)]
pub(crate) use fresh_store;

/// Keys, bytes of one, and bytes of its value, at most.
pub(crate) const KEYS: usize = 1024;
pub(crate) const KEY: usize = 64;
pub(crate) const VALUE: usize = 512;

/// A value.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) value: Vec<u8, VALUE>,
    /// When it is gone: [`Instant::NEVER`] if it stays.
    pub(crate) expires: Instant,
}

/// Why something is not stored. All is as it was before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StoreError {
    /// The key has so many bytes.
    Key(usize),
    /// The value has so many bytes, or would have.
    Value(usize),
    /// There are as many keys as there can be.
    Full,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(bytes) => write!(f, "ERR key of {bytes} bytes: at most {KEY} are kept"),
            Self::Value(bytes) => write!(
                f,
                "ERR string exceeds maximum allowed size: {bytes} bytes, at most {VALUE} are kept"
            ),
            Self::Full => write!(
                f,
                "OOM command not allowed: all {KEYS} keys are in use; DEL some"
            ),
        }
    }
}

/// All of them. An expired key does not exist for any command; [`sweep`](Self::sweep) frees its memory.
pub(crate) struct Store {
    items: FnvIndexMap<Vec<u8, KEY>, Item, KEYS>,
    /// No key expires before; `None` if none expires. (Not `NEVER`: an empty store is all zeros, so it takes no space in
    /// the program's file.)
    next: Option<Instant>,
}

impl Store {
    pub(crate) const fn new() -> Self {
        Self {
            items: FnvIndexMap::new(),
            next: None,
        }
    }

    /// No key expires before this; [`Instant::NEVER`] if none expires.
    pub(crate) fn next_expiry(&self) -> Instant {
        self.next.unwrap_or(Instant::NEVER)
    }

    /// How many keys use memory.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many of them expire some day.
    pub(crate) fn expiring(&self) -> usize {
        let expires = |item: &&Item| item.expires != Instant::NEVER;
        self.items.values().filter(expires).count()
    }

    pub(crate) fn get(&self, key: &[u8], now: Instant) -> Option<&Item> {
        self.items.get(key).filter(|item| item.expires > now)
    }

    /// Stores a value that expires at `expires`, whatever was there.
    pub(crate) fn set(
        &mut self,
        key: &[u8],
        value: &[u8],
        expires: Instant,
        now: Instant,
    ) -> Result<(), StoreError> {
        let value = Vec::from_slice(value).map_err(|_| StoreError::Value(value.len()))?;
        let item = Item { value, expires };
        match self.items.get_mut(key) {
            Some(known) => *known = item,
            None => {
                let key = Vec::from_slice(key).map_err(|_| StoreError::Key(key.len()))?;
                if self.items.is_full() {
                    self.sweep(now);
                }
                self.items.insert(key, item).map_err(|_| StoreError::Full)?;
            }
        }
        self.next = Some(self.next_expiry().min(expires));
        Ok(())
    }

    /// Whether all of these pairs can be stored.
    pub(crate) fn check<'a>(
        &mut self,
        pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
        now: Instant,
    ) -> Result<(), StoreError> {
        for (key, value) in pairs.clone() {
            if key.len() > KEY {
                return Err(StoreError::Key(key.len()));
            }
            if value.len() > VALUE {
                return Err(StoreError::Value(value.len()));
            }
        }
        if !self.has_space_for(pairs.clone()) {
            self.sweep(now);
            if !self.has_space_for(pairs) {
                return Err(StoreError::Full);
            }
        }
        Ok(())
    }

    fn has_space_for<'a>(&self, pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> bool {
        let fresh = pairs.clone().enumerate().filter(|(index, (key, _))| {
            let again = pairs.clone().take(*index).any(|(before, _)| before == *key);
            !again && !self.items.contains_key(*key)
        });
        fresh.count() <= KEYS - self.items.len()
    }

    /// Changes when a key expires. Whether it is there.
    pub(crate) fn expire(&mut self, key: &[u8], at: Instant, now: Instant) -> bool {
        let item = self.items.get_mut(key).filter(|item| item.expires > now);
        let Some(item) = item else { return false };
        item.expires = at;
        self.next = Some(self.next_expiry().min(at));
        true
    }

    /// Removes a key. Whether it was there.
    pub(crate) fn remove(&mut self, key: &[u8], now: Instant) -> bool {
        let removed = self.items.remove(key);
        removed.is_some_and(|item| item.expires > now)
    }

    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.next = None;
    }

    /// Frees the memory of expired keys. Work: each key.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.items.retain(|_, item| item.expires > now);
        let expiries = self.items.values().map(|item| item.expires);
        self.next = expiries.min();
    }

    /// Keys at these entries, from the highest down: a scan from [`len`](Self::len) to 0 returns each key that stays,
    /// because a removal moves another key, if at all, to an entry that was scanned already or will be.
    pub(crate) fn keys(
        &self,
        below: usize,
        now: Instant,
    ) -> impl Iterator<Item = (usize, &[u8])> + '_ {
        (0..below.min(self.len())).rev().filter_map(move |index| {
            let (key, item) = self.items.get_index(index)?;
            (item.expires > now).then_some((index, key.as_slice()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_nanos(1_000);
    const LATER: Instant = Instant::from_nanos(2_000);

    #[test]
    fn a_key_is_gone_at_its_time_and_its_memory_is_used_again() {
        let store = fresh_store!();
        for n in 0..KEYS {
            let expires = if n == 7 { LATER } else { Instant::NEVER };
            let key = format!("key{n}");
            store
                .set(key.as_bytes(), b"v", expires, NOW)
                .expect("space");
        }
        let full = Err(StoreError::Full);
        assert_eq!(store.next_expiry(), LATER);
        assert_eq!(store.set(b"more", b"v", Instant::NEVER, NOW), full);
        assert_eq!(
            store.check([(&b"more"[..], &b"v"[..])].into_iter(), NOW),
            full
        );
        assert!(store.get(b"key7", NOW).is_some());
        assert!(store.get(b"key7", LATER).is_none(), "no sweep is needed");
        assert!(!store.expire(b"key7", Instant::NEVER, LATER));
        assert_eq!(store.keys(KEYS, LATER).count(), KEYS - 1);
        let pair = [(&b"more"[..], &b"v"[..]); 2];
        assert_eq!(store.check(pair.into_iter(), LATER), Ok(()));
        assert_eq!(store.set(b"more", b"v", Instant::NEVER, LATER), Ok(()));
        assert_eq!((store.len(), store.next_expiry()), (KEYS, Instant::NEVER));
        assert_eq!(
            store.set(b"key1", b"w", Instant::NEVER, LATER),
            Ok(()),
            "not a new one"
        );
    }

    #[test]
    fn what_is_too_long_changes_nothing() {
        let store = fresh_store!();
        store.set(b"k", b"v", LATER, NOW).expect("space");
        let long = [b'x'; VALUE + 1];
        let never = Instant::NEVER;
        assert_eq!(
            store.set(b"k", &long, never, NOW),
            Err(StoreError::Value(513))
        );
        assert_eq!(
            store.set(&long[..65], b"", never, NOW),
            Err(StoreError::Key(65))
        );
        assert_eq!(store.set(&long[..64], &long[..512], never, NOW), Ok(()));
        assert_eq!(store.get(b"k", NOW).map(|item| item.expires), Some(LATER));
    }

    #[test]
    fn a_scan_downwards_returns_every_key_that_stays() {
        let store = fresh_store!();
        for n in 0..100 {
            store.set(&[n], b"", Instant::NEVER, NOW).expect("space");
        }
        let (mut below, mut seen) = (store.len(), [false; 100]);
        while below > 0 {
            let step: Box<[_]> = store
                .keys(below, NOW)
                .take(7)
                .map(|(index, key)| (index, key[0]))
                .collect();
            for (index, key) in step {
                below = index;
                seen[usize::from(key)] = true;
            }
            // Every third is removed meanwhile, seen or not.
            let gone = u8::try_from(below).expect("short") / 2 * 3 % 100;
            store.remove(&[gone / 3 * 3], NOW);
        }
        for (n, seen) in (0..).zip(seen) {
            assert!(seen || store.get(&[n], NOW).is_none(), "{n}");
        }
    }
}
