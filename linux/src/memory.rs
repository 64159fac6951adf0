//! [`Memory`]: everything a server ever uses, as one value of known size.

use rustix::fd::OwnedFd;
use tidegate_core::Windows;
use tidegate_core::heapless::{Vec, VecView};

/// Slots for `N` connections, each with a receive window of `RX` bytes, a send window of `TX` bytes and the
/// application's own state `S`, and the descriptors. Nothing is allocated beyond it; what the kernel holds for each
/// socket is bounded by [`Listen`](crate::Listen).
///
/// Made at compile time it is all zeros, so that a `static` of it lies in `.bss`: what was never used costs no page.
///
/// ```
/// use tidegate::Memory;
/// const _: () = assert!(Memory::<32, 1024, 4096>::SIZE <= 256 * 1024);
/// ```
#[derive(Debug)]
pub struct Memory<const N: usize, const RX: usize, const TX: usize, S = ()> {
    session: tidegate_core::Memory<N, RX, TX, S>,
    descriptors: Vec<Option<OwnedFd>, N>,
}

impl<const N: usize, const RX: usize, const TX: usize, S> Memory<N, RX, TX, S> {
    /// Bytes that it takes: about `N × (RX + TX + 164 + size_of::<S>())`, and one window of each kind.
    pub const SIZE: usize = size_of::<Self>();

    /// Bytes of it for the tables of connections and listeners, and the machine itself.
    pub const TABLE: usize = tidegate_core::Memory::<N, RX, TX, S>::TABLE;

    /// Bytes of it for the two shared areas.
    pub const AREAS: usize = tidegate_core::Memory::<N, RX, TX, S>::AREAS;

    /// Bytes of it for the application's states.
    pub const STATES: usize = tidegate_core::Memory::<N, RX, TX, S>::STATES;

    /// Bytes of it for the descriptors.
    pub const DESCRIPTORS: usize = size_of::<Vec<Option<OwnedFd>, N>>();

    /// Bytes of it that a connection touches which never had anything left over: its slot in the table, its state, its
    /// descriptor.
    pub const CONNECTION: usize =
        tidegate_core::Memory::<N, RX, TX, S>::CONNECTION + size_of::<Option<OwnedFd>>();

    /// Bytes of it that a connection touches in addition where blocks of addresses are limited
    /// ([`Sources::block`](tidegate_core::Sources::block)).
    pub const BLOCK: usize = tidegate_core::Memory::<N, RX, TX, S>::BLOCK;

    /// Bytes of it that a connection touches in addition when it sets its timer.
    pub const TIMER: usize = tidegate_core::Memory::<N, RX, TX, S>::TIMER;

    /// The sizes of the windows.
    pub const WINDOWS: Windows = tidegate_core::Memory::<N, RX, TX, S>::WINDOWS;

    /// Unused memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            session: tidegate_core::Memory::new(),
            descriptors: Vec::new(),
        }
    }

    pub(crate) fn lend(
        &mut self,
    ) -> (
        &mut tidegate_core::Memory<N, RX, TX, S>,
        &mut VecView<Option<OwnedFd>>,
    ) {
        // A page that is only read is none of the process's.
        if !self.descriptors.is_empty() {
            self.descriptors.clear();
        }
        (&mut self.session, self.descriptors.as_mut_view())
    }
}

impl<const N: usize, const RX: usize, const TX: usize, S> Default for Memory<N, RX, TX, S> {
    fn default() -> Self {
        Self::new()
    }
}
