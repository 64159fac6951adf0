//! [`Slab`]: values by a number, the lowest free number first.

use alloc::vec::Vec;

#[derive(Clone, Debug)]
pub(super) struct Slab<T>(Vec<Option<T>>);

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Puts a value at the lowest free number, and returns that.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        let free = self.0.iter().position(Option::is_none);
        let at = free.unwrap_or(self.0.len());
        match self.0.get_mut(at) {
            Some(place) => *place = Some(value),
            None => self.0.push(Some(value)),
        }
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, at: u32) -> Option<&T> {
        self.0.get(at as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.0.get_mut(at as usize)?.as_mut()
    }

    pub(super) fn remove(&mut self, at: u32) -> Option<T> {
        self.0.get_mut(at as usize)?.take()
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().flatten().count()
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..)
            .zip(&self.0)
            .filter(|(_, value)| value.is_some())
            .map(|(at, _)| at)
    }
}
