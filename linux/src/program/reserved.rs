//! What is reserved when the program is compiled, and the servers in it: address space for the most connections, pages
//! for those that come.

use super::arguments::Options;
use super::handlers::Handlers;
use super::services::Service;
use static_cell::ConstStaticCell;
use tidegate::backend::{AnyBackend, Entries, Epoll, Kind};
use tidegate::{Error, Memory, Server};

/// The most connections.
pub(crate) const CONNECTIONS: usize = 20_000;

/// The most threads.
pub(crate) const THREADS: usize = 4;

/// The most connections of a thread, if there are several: in all as many as in one.
pub(crate) const SHARE: usize = CONNECTIONS / THREADS;

/// The memory of a thread. The state of a connection is a count of lines, which only the chat uses, or a slot of the
/// table, for the control socket.
/// There are no free timers, streams, serial lines, destinations and Unix senders.
type MemoryFor<const N: usize> = Memory<N, 4096, 16384, u32, LISTENERS, 0, 0, 0, 0, 0>;

/// The most listeners of a thread: sockets that are listened at, those for metrics and control.
pub(crate) const LISTENERS: usize = 16;

pub(crate) type ServerMemory = MemoryFor<CONNECTIONS>;
static MEMORY: ConstStaticCell<ServerMemory> = ConstStaticCell::new(ServerMemory::new());

/// Of each thread but the first.
pub(crate) type ShareMemory = MemoryFor<SHARE>;
static SHARES: [ConstStaticCell<ShareMemory>; THREADS - 1] =
    [const { ConstStaticCell::new(ShareMemory::new()) }; THREADS - 1];

/// Entries for the backends that keep their own list, and bits for as many descriptors as there can be: those open
/// before the program began count, too.
pub(crate) type BackendEntries = Entries<{ ServerMemory::ENTRIES }, DESCRIPTORS>;
static ENTRIES: ConstStaticCell<BackendEntries> = ConstStaticCell::new(BackendEntries::new());

/// Of each thread but the first. Descriptors are numbered for all threads together.
pub(crate) type ShareEntries = Entries<{ ShareMemory::ENTRIES }, DESCRIPTORS>;
static SHARE_ENTRIES: [ConstStaticCell<ShareEntries>; THREADS - 1] =
    [const { ConstStaticCell::new(ShareEntries::new()) }; THREADS - 1];

/// The words that hold a bit for each descriptor.
const DESCRIPTORS: usize = (CONNECTIONS + 1024).div_ceil(usize::BITS as usize);

/// A server of this program, over any backend.
pub(crate) type AnyServer = Server<'static, Handlers, AnyBackend<'static>>;

/// Makes the server of a thread, in the memory that is reserved for it: to be called once for each, from 0.
pub(crate) fn server(thread: u32, options: &Options) -> Result<AnyServer, Error> {
    match thread.checked_sub(1) {
        None => in_memory(options, MEMORY.take(), ENTRIES.take()),
        Some(other) => {
            let other = other as usize;
            in_memory(options, SHARES[other].take(), SHARE_ENTRIES[other].take())
        }
    }
}

fn in_memory<const N: usize, const P: usize>(
    options: &Options,
    memory: &'static mut MemoryFor<N>,
    entries: &'static mut Entries<P, DESCRIPTORS>,
) -> Result<AnyServer, Error> {
    let backend = backend(options.backend, entries)?;
    let handlers = Handlers::new(Service::new(options.service));
    Server::with_backend(memory, &options.config, handlers, backend)
}

/// The selected backend. Where the kernel or a sandbox refuses io_uring it is epoll, with a warning.
fn backend<const P: usize>(
    kind: Kind,
    entries: &'static mut Entries<P, DESCRIPTORS>,
) -> Result<AnyBackend<'static>, Error> {
    match AnyBackend::new(kind, entries) {
        Err(error) if kind == Kind::Uring => {
            log::warn!("--backend uring: {error}; serving by epoll");
            Epoll::new().map(AnyBackend::Epoll)
        }
        backend => backend,
    }
}
