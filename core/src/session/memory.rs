//! [`Memory`]: all that a session ever uses, as one value of known size.

use super::bytes::{Area, Store};
use crate::config::Windows;
use crate::dispatcher::{Parts, Table};
use core::ops::DerefMut;
use heapless::{Vec, VecView};

/// Slots for `N` connections, each with a receive window of `RX` bytes, a send window of `TX` bytes and the
/// application's own state `S`. Nothing is allocated beyond it.
///
/// In addition to the connections it has slots for `SOURCES` listeners, watched descriptors and datagram sockets
/// together, which never take a connection's slot, and `TIMERS` timers that belong to no connection. There are 16 of
/// each by default.
///
/// Made at compile time it is all zeros, so that a `static` of it lies in `.bss`: what was never used costs no page.
/// `static_cell::ConstStaticCell` gives such a static out safely. Its size can be asserted:
///
/// ```
/// use tidegate_core::Memory;
/// const _: () = assert!(Memory::<32, 1024, 4096>::SIZE <= 256 * 1024);
/// ```
// In this order, so that what is touched at the start lies together, on few pages.
#[derive(Debug)]
#[repr(C)]
pub struct Memory<
    const N: usize,
    const RX: usize,
    const TX: usize,
    S = (),
    const SOURCES: usize = 16,
    const TIMERS: usize = 16,
> {
    states: Vec<S, N>,
    table: Table<N, SOURCES, TIMERS>,
    receive_area: Area<[u8; RX]>,
    send_area: Area<[u8; TX]>,
    received: [[u8; RX]; N],
    sending: [[u8; TX]; N],
}

impl<const N: usize, const RX: usize, const TX: usize, S, const SOURCES: usize, const TIMERS: usize>
    Memory<N, RX, TX, S, SOURCES, TIMERS>
{
    /// Bytes that it takes: about `N × (RX + TX + 168 + size_of::<S>())`, and one window of each kind.
    pub const SIZE: usize = size_of::<Self>();

    /// Bytes of it for the tables of connections and listeners, and the machine itself.
    pub const TABLE: usize = Table::<N, SOURCES, TIMERS>::SIZE;

    /// Bytes of it for the two shared scratch buffers.
    pub const SCRATCH: usize = size_of::<Area<[u8; RX]>>() + size_of::<Area<[u8; TX]>>();

    /// Bytes of it for the application's states.
    pub const STATES: usize = size_of::<Vec<S, N>>();

    /// Bytes of it that a connection touches which never had anything left over: its slot in the table, and its state.
    pub const CONNECTION: usize = Table::<N, SOURCES, TIMERS>::CONNECTION + size_of::<S>();

    /// Bytes of it that a connection touches in addition where blocks of addresses are limited
    /// ([`Sources::block`](crate::Sources::block)).
    pub const BLOCK: usize = Table::<N, SOURCES, TIMERS>::BLOCK;

    /// Bytes of it that a connection touches in addition when it sets its timer.
    pub const TIMER: usize = Table::<N, SOURCES, TIMERS>::TIMER;

    /// The sizes of the windows.
    pub const WINDOWS: Windows = const {
        assert!(RX > 0 && TX > 0, "a window holds at least one byte");
        assert!(
            RX < 1 << 31 && TX < 1 << 31,
            "positions in a window are 31 bits wide"
        );
        #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
        Windows {
            receive: RX as u32,
            send: TX as u32,
        }
    };

    /// Unused memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            table: Table::new(),
            received: [[0; RX]; N],
            sending: [[0; TX]; N],
            receive_area: Area::EMPTY,
            send_area: Area::EMPTY,
            states: Vec::new(),
        }
    }
}

impl<const N: usize, const RX: usize, const TX: usize, S, const SOURCES: usize, const TIMERS: usize>
    Default for Memory<N, RX, TX, S, SOURCES, TIMERS>
{
    fn default() -> Self {
        Self::new()
    }
}

/// A [`Memory`], whatever its sizes: what a [`Session`](crate::Session) is made in. Nothing else is one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the memory of a session",
    note = "a session is made in a `&mut Memory<N, RX, TX, S>`, whose `S` is the handler's `State`"
)]
pub trait AnyMemory {
    /// The application's own state of a connection.
    type State;

    /// Its parts, for a session.
    #[doc(hidden)]
    fn lend(&mut self) -> Lent<'_, Self::State>;
}

impl<const N: usize, const RX: usize, const TX: usize, S, const SOURCES: usize, const TIMERS: usize>
    AnyMemory for Memory<N, RX, TX, S, SOURCES, TIMERS>
{
    type State = S;

    fn lend(&mut self) -> Lent<'_, S> {
        // A page that is only read is none of the process's.
        if !self.states.is_empty() {
            self.states.clear();
        }
        let windows = Self::WINDOWS;
        let (received, sending) = (
            self.received.as_flattened_mut(),
            self.sending.as_flattened_mut(),
        );
        Lent {
            windows,
            table: self.table.lend(),
            received: Store::new(windows.receive, received, &mut self.receive_area),
            sending: Store::new(windows.send, sending, &mut self.send_area),
            states: self.states.as_mut_view(),
        }
    }
}

/// One in a `Box`, or whatever else owns it.
impl<P: DerefMut<Target: AnyMemory>> AnyMemory for P {
    type State = <P::Target as AnyMemory>::State;

    fn lend(&mut self) -> Lent<'_, Self::State> {
        (**self).lend()
    }
}

/// The parts of a [`Memory`].
#[derive(Debug)]
pub struct Lent<'m, S> {
    pub(super) windows: Windows,
    pub(super) table: Parts<'m>,
    pub(super) received: Store<'m>,
    pub(super) sending: Store<'m>,
    pub(super) states: &'m mut VecView<S>,
}
