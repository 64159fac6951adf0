//! [`Entries`]: the list of registrations, for backends whose kernel side keeps no state between two waits.

use crate::stop::Stop;
use core::fmt;
use core::mem::MaybeUninit;
use rustix::event::{FdSetElement, PollFd, PollFlags};
use rustix::fd::{AsRawFd, BorrowedFd, RawFd};
use rustix::io::Errno;
use tidegate_core::heapless::{Vec, VecView};
use tidegate_core::{Directions, Token};

/// Entries for `N` registrations, of 28 bytes each, and two sets of `W` machine words, which only
/// [`Select`](super::Select) needs: a bit for each descriptor that the process may have, so that `W` words serve
/// numbers below `W × usize::BITS`.
///
/// A server needs [`Memory::ENTRIES`](crate::Memory::ENTRIES) entries. Made at compile time it is all zeros, so that a `static`
/// of it lies in `.bss`; nothing is allocated beyond it.
pub struct Entries<const N: usize, const W: usize = 0> {
    registered: Vec<Registered, N>,
    positions: Vec<u32, N>,
    polled: Vec<Polled, N>,
    sets: [Vec<FdSetElement, W>; 2],
}

impl<const N: usize, const W: usize> Entries<N, W> {
    /// Bytes that it takes.
    pub const SIZE: usize = size_of::<Self>();

    /// Bytes of it for each entry.
    pub const ENTRY: usize = size_of::<Registered>() + size_of::<u32>() + size_of::<Polled>();

    /// Without a registration.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            registered: Vec::new(),
            positions: Vec::new(),
            polled: Vec::new(),
            sets: [Vec::new(), Vec::new()],
        }
    }

    pub(super) fn lend(&mut self) -> Slices<'_> {
        let mut list = List {
            registered: self.registered.as_mut_view(),
            positions: self.positions.as_mut_view(),
            sources: 0,
        };
        list.clear();
        let [reads, writes] = &mut self.sets;
        Slices {
            list,
            polled: self.polled.as_mut_view(),
            sets: [reads.as_mut_view(), writes.as_mut_view()],
        }
    }
}

impl<const N: usize, const W: usize> Default for Entries<N, W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize, const W: usize> fmt::Debug for Entries<N, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries")
            .field("registered", &self.registered)
            .finish_non_exhaustive()
    }
}

/// The slices of [`Entries`], whatever their sizes.
pub(super) struct Slices<'m> {
    pub(super) list: List<'m>,
    /// Parallel to the list: the same order.
    pub(super) polled: &'m mut VecView<Polled>,
    /// To read, to write.
    pub(super) sets: [&'m mut VecView<FdSetElement>; 2],
}

/// What `poll(2)` takes of one registration, kept from one wait to the next.
///
/// It does not borrow the descriptor: in the memory of [`Entries`] it outlives descriptor and backend. [`Polled::all`]
/// makes borrows of them, for the time of a wait.
#[repr(transparent)]
pub(super) struct Polled(MaybeUninit<PollFd<'static>>);

impl Polled {
    pub(super) fn new(fd: BorrowedFd<'_>, flags: PollFlags) -> Self {
        let mut kept = MaybeUninit::uninit();
        let at: *mut PollFd<'static> = kept.as_mut_ptr();
        // SAFETY: the types differ in a lifetime only, so size and alignment fit. It is read by `all` and `revents`
        // only.
        unsafe {
            at.cast::<PollFd<'_>>()
                .write(PollFd::from_borrowed_fd(fd, flags))
        };
        Self(kept)
    }

    /// All of them, as `poll(2)` takes them.
    ///
    /// # Safety
    ///
    /// Every descriptor must be open for as long as they are borrowed.
    pub(super) unsafe fn all<'w>(list: &'w mut [Self]) -> &'w mut [PollFd<'w>] {
        let (first, count) = (list.as_mut_ptr(), list.len());
        // SAFETY: each was written as a `PollFd` by `new`, has its size and alignment, and is borrowed alone; the time for
        // which the descriptors are open is the caller's promise.
        unsafe { core::slice::from_raw_parts_mut(first.cast(), count) }
    }

    /// The events of the last wait.
    pub(super) fn revents(&self) -> PollFlags {
        // SAFETY: it was written as a `PollFd` by `new`; its descriptor is not used.
        unsafe { &*core::ptr::from_ref(self).cast::<PollFd<'_>>() }.revents()
    }
}

/// One registration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registered {
    pub(super) token: Token,
    pub(super) fd: RawFd,
    pub(super) directions: Directions,
}

/// The registrations, without gaps, in no order, and where to find each.
#[derive(Debug)]
pub(super) struct List<'m> {
    registered: &'m mut VecView<Registered>,
    /// By the permanent index of a token: its position, or [`NOWHERE`].
    positions: &'m mut VecView<u32>,
    /// How many listeners, watched descriptors and datagram sockets there can be.
    pub(super) sources: usize,
}

const NOWHERE: u32 = u32::MAX;

/// What became of a registration, for the arrays parallel to the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// It was appended.
    Added,
    /// The one at this position is another now.
    Changed(usize),
    /// The last one was moved to this position, over the one that was there.
    Removed(usize),
    /// There was none, and there is none.
    Nothing,
}

impl List<'_> {
    pub(super) fn capacity(&self) -> usize {
        self.registered.capacity()
    }

    pub(super) fn len(&self) -> usize {
        self.registered.len()
    }

    pub(super) fn get(&self, position: usize) -> Option<&Registered> {
        self.registered.get(position)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Registered> {
        self.registered.iter()
    }

    pub(super) fn clear(&mut self) {
        self.registered.clear();
        self.positions.clear();
    }

    /// Registers, changes or removes; returns what became of it, and whether it was not as `was` says.
    ///
    /// # Errors
    ///
    /// No entry is left for the token (`ENOSPC`).
    pub(super) fn set(
        &mut self,
        socket: BorrowedFd<'_>,
        token: Token,
        was: Directions,
        now: Directions,
    ) -> Result<(Change, bool), Errno> {
        let index = self.index_of(token);
        let known = self.position(index);
        let mended = known.is_none() != was.is_empty();
        let fresh = Registered {
            token,
            fd: socket.as_raw_fd(),
            directions: now,
        };
        let change = match known {
            None if now.is_empty() => Change::Nothing,
            None => {
                while self.positions.len() <= index {
                    self.positions.push(NOWHERE).map_err(|_| Errno::NOSPC)?;
                }
                let position = self.registered.len();
                self.registered.push(fresh).map_err(|_| Errno::NOSPC)?;
                self.note(index, position);
                Change::Added
            }
            Some(position) if now.is_empty() => {
                self.registered.swap_remove(position);
                self.note(index, usize::MAX);
                if let Some(moved) = self.registered.get(position) {
                    self.note(self.index_of(moved.token), position);
                }
                Change::Removed(position)
            }
            Some(position) => {
                if let Some(registered) = self.registered.get_mut(position) {
                    *registered = fresh;
                }
                Change::Changed(position)
            }
        };
        Ok((change, mended))
    }

    fn position(&self, index: usize) -> Option<usize> {
        let position = *self.positions.get(index)?;
        (position != NOWHERE).then_some(position as usize)
    }

    fn note(&mut self, index: usize, position: usize) {
        if let Some(noted) = self.positions.get_mut(index) {
            *noted = u32::try_from(position).unwrap_or(NOWHERE);
        }
    }

    /// The permanent index of a token: the stop descriptor, sources, connections.
    const fn index_of(&self, token: Token) -> usize {
        if token.to_bits() == Stop::TOKEN.to_bits() {
            0
        } else if token.is_listener() {
            1 + token.index() as usize
        } else {
            1 + self.sources + token.index() as usize
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fd::AsFd;
    use std::collections::HashMap;

    const NONE: Directions = Directions::NONE;

    const fn connection(index: u32, generation: u32) -> Token {
        Token::from_bits((generation as u64) << 32 | index as u64)
    }

    const fn listener(index: u32) -> Token {
        connection(1 << 31 | index, 1)
    }

    /// Every registration, by its token.
    fn content(list: &List<'_>) -> HashMap<u64, Directions> {
        let all = list.iter().map(|r| (r.token.to_bits(), r.directions));
        let found: HashMap<_, _> = all.collect();
        assert_eq!(found.len(), list.len(), "nothing twice");
        found
    }

    #[test]
    fn whatever_is_registered_in_whatever_order_is_found_again() {
        let fd = eventfd(0, EventfdFlags::CLOEXEC).expect("a descriptor");
        // One to stop, three sources, four connections.
        let mut entries = Entries::<8>::new();
        let mut slices = entries.lend();
        slices.list.sources = 3;
        let tokens = [
            connection(0, 7),
            connection(1, 1),
            connection(2, u32::MAX),
            connection(3, 3),
            listener(0),
            listener(2),
            Stop::TOKEN,
        ];
        let mut model = HashMap::new();
        // Each token is added, changed and removed, first, last and between others.
        let mut number = 1u32;
        for _ in 0..10_000 {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let token = tokens[number as usize / 65_536 % tokens.len()];
            let now = [NONE, Directions::READ, Directions::WRITE, Directions::BOTH]
                [number as usize / 1_048_576 % 4];
            let was = *model.get(&token.to_bits()).unwrap_or(&NONE);
            let change = (slices.list.set(fd.as_fd(), token, was, now)).expect("an entry");
            let expected = (was.is_empty(), now.is_empty());
            assert!(
                matches!(
                    (change, expected),
                    ((Change::Nothing, false), (true, true))
                        | ((Change::Added, false), (true, false))
                        | ((Change::Removed(_), false), (false, true))
                        | ((Change::Changed(_), false), (false, false))
                ),
                "{change:?}"
            );
            if now.is_empty() {
                model.remove(&token.to_bits());
            } else {
                model.insert(token.to_bits(), now);
            }
            assert_eq!(content(&slices.list), model);
        }
    }

    #[test]
    fn a_registration_that_differs_is_repaired_and_reported() {
        let fd = eventfd(0, EventfdFlags::CLOEXEC).expect("a descriptor");
        let mut entries = Entries::<5>::new();
        let list = &mut entries.lend().list;
        let (read, both) = (Directions::READ, Directions::BOTH);
        let mut set =
            |generation, was, now| list.set(fd.as_fd(), connection(0, generation), was, now);
        assert_eq!(set(1, read, both), Ok((Change::Added, true)));
        assert_eq!(set(1, NONE, read), Ok((Change::Changed(0), true)));
        assert_eq!(
            set(2, NONE, read),
            Ok((Change::Changed(0), true)),
            "left over"
        );
        assert_eq!(set(2, read, NONE), Ok((Change::Removed(0), false)));
        assert_eq!(set(2, read, NONE), Ok((Change::Nothing, true)));
    }

    #[test]
    fn without_an_entry_one_source_is_refused_and_the_others_stay() {
        let fd = eventfd(0, EventfdFlags::CLOEXEC).expect("a descriptor");
        let mut entries = Entries::<6>::new();
        let list = &mut entries.lend().list;
        list.sources = 3;
        let mut add = |index| list.set(fd.as_fd(), connection(index, 1), NONE, Directions::READ);
        assert_eq!(add(0), Ok((Change::Added, false)));
        assert_eq!(add(1), Ok((Change::Added, false)));
        assert_eq!(add(2), Err(Errno::NOSPC));
        assert_eq!(add(u32::MAX >> 1), Err(Errno::NOSPC));
        assert_eq!(list.len(), 2);
    }
}
