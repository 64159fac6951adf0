//! [`Store`]: the windows of all connections in one direction, and the shared area in front of them.
//!
//! ```text
//!                  ┌────────────┐   what is left of its owner's bytes is written back
//!   shared area    │ owner: 2   │   when another connection takes it
//!                  └─────┬──────┘
//!          same offsets  ▼
//!   windows  │  0  │  1  │  2  │  3  │ …   N × size bytes; one that never held
//!            └─────┴─────┴─────┴─────┘     anything back is never touched
//! ```
//!
//! The shared scratch buffer is a write-back cache of one window: the bytes that are being worked on stay in the cache
//! of the CPU, and a connection that never has anything left over costs no page. Offsets are the same in both, so only
//! this file knows where bytes lie.

use crate::output::Span;

/// No connection has this index.
pub(super) const NOBODY: u32 = u32::MAX;

/// The scratch buffer, and the connection whose bytes it holds. They begin with a cache line: four bytes past one,
/// where every store crosses into the next, copying 16 KiB from one buffer to the other took 6.5 µs instead of 0.3.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Area<B: ?Sized> {
    owner: Owner,
    bytes: B,
}

/// The index of the connection that has the scratch buffer, plus one; 0 if it is free. A cache line for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
struct Owner(u32);

impl Owner {
    const NOBODY: Self = Self::of(NOBODY);

    const fn of(index: u32) -> Self {
        Self(index.wrapping_add(1))
    }
}

impl<const SIZE: usize> Area<[u8; SIZE]> {
    /// All zeros, for `.bss`.
    pub(super) const EMPTY: Self = Self {
        owner: Owner::NOBODY,
        bytes: [0; SIZE],
    };
}

/// The bytes of one direction, borrowed.
#[derive(Debug)]
pub(super) struct Store<'a> {
    size: u32,
    windows: &'a mut [u8],
    area: &'a mut Area<[u8]>,
}

impl<'a> Store<'a> {
    /// `windows` holds one window of `size` bytes for each connection, `area` is one such window.
    pub(super) fn new(size: u32, windows: &'a mut [u8], area: &'a mut Area<[u8]>) -> Self {
        // A page that is only read is none of the process's.
        if area.owner != Owner::NOBODY {
            area.owner = Owner::NOBODY;
        }
        Self {
            size,
            windows,
            area,
        }
    }

    pub(super) fn reborrow(&mut self) -> Store<'_> {
        Store {
            size: self.size,
            windows: self.windows,
            area: self.area,
        }
    }

    /// The owner of the scratch buffer; an index that no connection has, if it is free.
    pub(super) const fn owner(&self) -> u32 {
        self.area.owner.0.wrapping_sub(1)
    }

    /// Assigns the scratch buffer to a connection whose window is empty. `left` is what its owner still needs.
    pub(super) fn take(&mut self, index: u32, left: Span) {
        if left.len > 0 {
            self.write_back(left);
        }
        self.area.owner.0 = index.wrapping_add(1);
    }

    /// Assigns the scratch buffer to a connection whose window is empty, if nobody has it; whether it is its own now.
    pub(super) const fn take_free(&mut self, index: u32) -> bool {
        let owner = self.owner();
        if owner == NOBODY {
            self.area.owner.0 = index.wrapping_add(1);
        }
        owner == NOBODY || owner == index
    }

    /// A connection releases the scratch buffer, if it has it: another may have taken it in the same service, and have
    /// bytes in it.
    pub(super) const fn release(&mut self, index: u32) {
        if self.owner() == index {
            self.area.owner.0 = 0;
        }
    }

    fn write_back(&mut self, left: Span) {
        let range = left.at as usize..left.at.saturating_add(left.len) as usize;
        let window = window(self.size, self.owner()).and_then(|all| self.windows.get_mut(all));
        let to = window.and_then(|window| window.get_mut(range.clone()));
        if let Some((to, from)) = to.zip(self.area.bytes.get(range)) {
            copy(to, from);
        }
    }

    /// The bytes of a span of a connection's window, wherever they lie.
    pub(super) fn get(&self, index: u32, span: Span) -> &[u8] {
        let all = if self.owner() == index {
            Some(&self.area.bytes)
        } else {
            window(self.size, index).and_then(|range| self.windows.get(range))
        };
        let rest = all.and_then(|all| all.get(span.at as usize..));
        (rest.and_then(|rest| rest.get(..span.len as usize))).unwrap_or(&[])
    }

    /// The same, to be written to.
    pub(super) fn get_mut(&mut self, index: u32, span: Span) -> &mut [u8] {
        let rest = self.all_mut(index).get_mut(span.at as usize..);
        (rest.and_then(|rest| rest.get_mut(..span.len as usize))).unwrap_or(&mut [])
    }

    /// Moves a span to the front of its window.
    pub(super) fn move_to_front(&mut self, index: u32, span: Span) {
        let all = self.all_mut(index);
        let (from, to) = (span.at as usize, span.at.saturating_add(span.len) as usize);
        if from <= to && to <= all.len() {
            all.copy_within(from..to, 0);
        }
    }

    fn all_mut(&mut self, index: u32) -> &mut [u8] {
        if self.owner() == index {
            &mut self.area.bytes
        } else {
            window(self.size, index)
                .and_then(|range| self.windows.get_mut(range))
                .unwrap_or(&mut [])
        }
    }
}

/// Copies as much as both have. Their lengths are equal wherever this is used; what cannot be must not panic.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Where the window of a connection lies among all of them.
fn window(size: u32, index: u32) -> Option<core::ops::Range<usize>> {
    let size = size as usize;
    let start = (index as usize).checked_mul(size)?;
    Some(start..start.checked_add(size)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn span(at: u32, len: u32) -> Span {
        Span { at, len }
    }

    #[test]
    fn what_is_left_survives_the_loss_of_the_area() {
        let (mut windows, mut area) = ([0u8; 12], Area::<[u8; 4]>::EMPTY);
        let mut store = Store::new(4, &mut windows, &mut area);
        store.take(1, span(0, 0));
        store.get_mut(1, span(0, 4)).copy_from_slice(b"abcd");
        store.take(2, span(1, 2));
        store.get_mut(2, span(0, 4)).copy_from_slice(b"wxyz");
        assert_eq!(store.get(1, span(1, 2)), b"bc");
        assert_eq!(store.get(2, span(0, 4)), b"wxyz");
        assert_eq!(
            windows, *b"\0\0\0\0\0bc\0\0\0\0\0",
            "only what is left is written"
        );
    }

    #[test]
    fn windows_are_apart_and_nothing_lies_outside() {
        let (mut windows, mut area) = ([0u8; 8], Area::<[u8; 4]>::EMPTY);
        let mut store = Store::new(4, &mut windows, &mut area);
        store.get_mut(0, span(0, 4)).fill(1);
        store.get_mut(1, span(0, 4)).fill(2);
        assert_eq!(store.get(0, span(2, 2)), [1, 1]);
        assert_eq!(store.get(1, span(3, 2)), [], "beyond the window");
        assert_eq!(store.get(2, span(0, 1)), [], "beyond the table");
        assert_eq!(store.get(u32::MAX, span(u32::MAX, 2)), []);
        store.move_to_front(1, span(3, 9));
        store.move_to_front(0, span(u32::MAX, u32::MAX));
        assert_eq!(windows, [1, 1, 1, 1, 2, 2, 2, 2]);
    }
}
