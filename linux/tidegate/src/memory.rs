//! [`Memory`]: everything a server ever uses, as one value of known size.

use crate::serial;
use crate::sockets::Source;
use crate::stream::Stream;
use core::ops::DerefMut;
use rustix::fd::OwnedFd;
use rustix::net::SocketAddrUnix;
use tidegate_core::heapless::{Vec, VecView};
use tidegate_core::{Token, Windows};

/// Slots for `N` connections, each with a receive window of `RX` bytes, a send window of `TX` bytes and the
/// application's own state `S`, and the descriptors. Nothing is allocated beyond it; what the kernel holds for each
/// socket is bounded by [`Listen`](crate::Listen).
///
/// What else a server can have at a time, with its default: `SOURCES` listeners, watched descriptors and datagram
/// sockets together, 16 (255 at most); `TIMERS` free timers, 16; `STREAMS` non-socket streams, 16; `LINES` serial lines
/// ([`Server::serial`](crate::Server::serial)), 4; `DESTINATIONS` paths of Unix sockets to connect to
/// ([`Server::destination`](crate::Server::destination)), 4; `SENDERS` senders of Unix datagrams that can be replied
/// to, 4.
///
/// Made at compile time it is all zeros, so that a `static` of it lies in `.bss`: what was never used costs no page.
///
/// ```
/// use tidegate::Memory;
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
    const STREAMS: usize = 16,
    const LINES: usize = 4,
    const DESTINATIONS: usize = 4,
    const SENDERS: usize = 4,
> {
    others: Others<SOURCES, STREAMS, LINES, DESTINATIONS, SENDERS>,
    descriptors: Vec<Option<OwnedFd>, N>,
    session: tidegate_core::Memory<N, RX, TX, S, SOURCES, TIMERS>,
}

/// What is not a connection over a socket.
#[derive(Debug)]
struct Others<
    const SOURCES: usize,
    const STREAMS: usize,
    const LINES: usize,
    const DESTINATIONS: usize,
    const SENDERS: usize,
> {
    sources: Vec<Option<Source>, SOURCES>,
    streams: Vec<(Token, Stream), STREAMS>,
    lines: Vec<serial::Registered, LINES>,
    destinations: Vec<SocketAddrUnix, DESTINATIONS>,
    senders: Vec<SocketAddrUnix, SENDERS>,
}

impl<
    const N: usize,
    const RX: usize,
    const TX: usize,
    S,
    const SOURCES: usize,
    const TIMERS: usize,
    const STREAMS: usize,
    const LINES: usize,
    const DESTINATIONS: usize,
    const SENDERS: usize,
> Memory<N, RX, TX, S, SOURCES, TIMERS, STREAMS, LINES, DESTINATIONS, SENDERS>
{
    /// Bytes that it takes: about `N × (RX + TX + 172 + size_of::<S>())`, and one window of each kind.
    pub const SIZE: usize = size_of::<Self>();

    /// Bytes of it for the tables of connections and listeners, and the machine itself.
    pub const TABLE: usize = tidegate_core::Memory::<N, RX, TX, S, SOURCES, TIMERS>::TABLE;

    /// Bytes of it for the two shared scratch buffers.
    pub const SCRATCH: usize = tidegate_core::Memory::<N, RX, TX, S, SOURCES, TIMERS>::SCRATCH;

    /// Bytes of it for the application's states.
    pub const STATES: usize = tidegate_core::Memory::<N, RX, TX, S, SOURCES, TIMERS>::STATES;

    /// Bytes of it for the descriptors.
    pub const DESCRIPTORS: usize = size_of::<Vec<Option<OwnedFd>, N>>();

    /// Bytes of it for the descriptors of listeners and of what is watched, non-socket streams, serial lines, destinations
    /// and senders.
    pub const OTHERS: usize = size_of::<Others<SOURCES, STREAMS, LINES, DESTINATIONS, SENDERS>>();

    /// The entries that [`Entries`](crate::backend::Entries) and [`Uring`](crate::backend::Uring) need for a server in
    /// it: one for each connection, listener, watched descriptor and datagram socket, and one for the stop descriptor.
    pub const ENTRIES: usize = N + SOURCES + 1;

    /// Bytes of it that a connection touches which never had anything left over: its slot in the table, its state, its
    /// descriptor.
    pub const CONNECTION: usize = tidegate_core::Memory::<N, RX, TX, S, SOURCES, TIMERS>::CONNECTION
        + size_of::<Option<OwnedFd>>();

    /// Bytes of it that a connection touches in addition where blocks of addresses are limited
    /// ([`Sources::block`](tidegate_core::Sources::block)).
    pub const BLOCK: usize = tidegate_core::Memory::<N, RX, TX, S, SOURCES, TIMERS>::BLOCK;

    /// Bytes of it that a connection touches in addition when it sets its timer.
    pub const TIMER: usize = tidegate_core::Memory::<N, RX, TX, S, SOURCES, TIMERS>::TIMER;

    /// The sizes of the windows.
    pub const WINDOWS: Windows = tidegate_core::Memory::<N, RX, TX, S, SOURCES, TIMERS>::WINDOWS;

    /// Unused memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            session: tidegate_core::Memory::new(),
            descriptors: Vec::new(),
            others: Others {
                sources: Vec::new(),
                streams: Vec::new(),
                lines: Vec::new(),
                destinations: Vec::new(),
                senders: Vec::new(),
            },
        }
    }
}

/// A page that is only read is none of the process's; of a table without entries nothing is linked.
fn empty<T, const LEN: usize>(list: &mut Vec<T, LEN>) -> &mut VecView<T> {
    if LEN > 0 && !list.is_empty() {
        list.clear();
    }
    list
}

/// A [`Memory`], whatever its sizes and capacities: what a [`Server`](crate::Server) is made in. Nothing else is one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the memory of a server",
    note = "a server is made in a `&mut tidegate::Memory<N, RX, TX, S>`, whose `S` is the handler's `State`"
)]
pub trait AnyMemory {
    /// The application's own state of a connection.
    type State;

    /// That of its session.
    #[doc(hidden)]
    type Session: tidegate_core::AnyMemory<State = Self::State>;

    /// Its parts, for a server; it forgets what they held.
    #[doc(hidden)]
    fn lend(&mut self) -> (&mut Self::Session, Tables<'_>);
}

impl<
    const N: usize,
    const RX: usize,
    const TX: usize,
    S,
    const SOURCES: usize,
    const TIMERS: usize,
    const STREAMS: usize,
    const LINES: usize,
    const DESTINATIONS: usize,
    const SENDERS: usize,
> AnyMemory for Memory<N, RX, TX, S, SOURCES, TIMERS, STREAMS, LINES, DESTINATIONS, SENDERS>
{
    type State = S;

    type Session = tidegate_core::Memory<N, RX, TX, S, SOURCES, TIMERS>;

    fn lend(&mut self) -> (&mut Self::Session, Tables<'_>) {
        let others = &mut self.others;
        let tables = Tables {
            connections: empty(&mut self.descriptors),
            sources: empty(&mut others.sources),
            streams: empty(&mut others.streams),
            lines: empty(&mut others.lines),
            destinations: empty(&mut others.destinations),
            senders: empty(&mut others.senders),
        };
        (&mut self.session, tables)
    }
}

/// One in a `Box`, or whatever else owns it.
impl<P: DerefMut<Target: AnyMemory>> AnyMemory for P {
    type State = <P::Target as AnyMemory>::State;

    type Session = <P::Target as AnyMemory>::Session;

    fn lend(&mut self) -> (&mut Self::Session, Tables<'_>) {
        (**self).lend()
    }
}

/// The tables of a [`Memory`], whatever their sizes.
#[derive(Debug)]
pub struct Tables<'m> {
    pub(crate) connections: &'m mut VecView<Option<OwnedFd>>,
    pub(crate) sources: &'m mut VecView<Option<Source>>,
    pub(crate) streams: &'m mut VecView<(Token, Stream)>,
    pub(crate) lines: &'m mut VecView<serial::Registered>,
    pub(crate) destinations: &'m mut VecView<SocketAddrUnix>,
    pub(crate) senders: &'m mut VecView<SocketAddrUnix>,
}

impl<
    const N: usize,
    const RX: usize,
    const TX: usize,
    S,
    const SOURCES: usize,
    const TIMERS: usize,
    const STREAMS: usize,
    const LINES: usize,
    const DESTINATIONS: usize,
    const SENDERS: usize,
> Default for Memory<N, RX, TX, S, SOURCES, TIMERS, STREAMS, LINES, DESTINATIONS, SENDERS>
{
    fn default() -> Self {
        Self::new()
    }
}
