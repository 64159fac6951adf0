//! [`Server`]: one iteration of the loop, and the loop.

mod datagrams;
mod outbound;
mod perform;
mod session;
mod sources;
mod streams;

pub use session::SessionMut;

use crate::backend::{Backend, Epoll, Ready};
use crate::clock;
use crate::connect::Registered;
use crate::error::Error;
use crate::memory::AnyMemory;
use crate::seed::seed;
use crate::serial::Lines;
use crate::socket;
use crate::sockets::Sockets;
use crate::stop::{Stop, StopHandle};
use core::cell::Cell;
use core::fmt;
use core::time::Duration;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use tidegate_core::{
    Action, Completion, Config, Connections, Event, Handler, Instant, Outcome, Session, Spinning,
    Stats, Trigger,
};

/// A server: a [`Session`] on real sockets. It belongs to the thread that made it (it is not `Send`); others reach it by
/// its [`StopHandle`].
///
/// The loop must not run in a forked child: the child would share the readiness set with its parent (`epoll(7)`).
///
/// Dropped, it closes everything at once; [`stop`](Self::stop) before it for an orderly end. Its memory can then be used
/// for another server. Tokens name sources of one server: those of the last may be equal to some of the next.
pub struct Server<'m, H: Handler, B: Backend = Epoll> {
    session: Session<'m, H>,
    backend: B,
    sockets: Sockets<'m>,
    registered: Registered<'m>,
    lines: Lines<'m>,
    /// The function that performs actions on datagrams, from the first datagram socket on.
    on_datagrams: Option<fn(&mut Self, &Action) -> Outcome>,
    /// Performs connects, if the handler may make some: [`Handler::CONNECTS`].
    on_connect: Option<fn(&mut Self, &Action) -> Outcome>,
    /// Performs actions on non-socket streams; set with the first of them.
    on_stream: Option<fn(&mut Self, &Action) -> Completion>,
    /// What refuses one, with a message from the first on.
    refuse: fn(OwnedFd, &[u8]) -> Outcome,
    stop: Stop,
    /// What takes the wishes to stop of others, from the first handle on: without one it is not linked.
    on_stop: Cell<Option<fn(&mut Self)>>,
    /// Wishes to stop so far.
    stops: u64,
    drain: Duration,
    write_stall: Option<Duration>,
    spinning: Spinning,
    connections: u32,
    /// Registrations that were not as recorded, repaired: a shared descriptor, or a bug.
    repairs: u64,
}

impl<H: Handler, B: Backend> fmt::Debug for Server<'_, H, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("backend", &self.backend)
            .field("stats", self.stats())
            .finish_non_exhaustive()
    }
}

impl<'m, H: Handler> Server<'m, H> {
    /// A server over epoll in `memory`, without a listener yet.
    ///
    /// The seed of the hash of source addresses is taken from the system if `config` has none.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn new(
        memory: &'m mut impl AnyMemory<State = H::State>,
        config: &Config,
        handler: H,
    ) -> Result<Self, Error> {
        let epoll = Epoll::new()?;
        Self::with_backend(memory, config, handler, epoll)
    }
}

impl<'m, H: Handler, B: Backend> Server<'m, H, B> {
    /// As [`new`](Server::new), over any backend.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn with_backend(
        memory: &'m mut impl AnyMemory<State = H::State>,
        config: &Config,
        handler: H,
        mut backend: B,
    ) -> Result<Self, Error> {
        let (memory, tables) = memory.lend();
        // The first reading loads the kernel's vdso, for which rustix may allocate: now, not later.
        let _ = clock::now();
        // Only what counts sources needs one.
        let mut seeded;
        let config = if config.hash_seed == 0 && H::LIMITS_SOURCES {
            seeded = config.clone();
            seeded.hash_seed = seed();
            &seeded
        } else {
            config
        };
        let session = Session::new(memory, config, handler)?;
        let slots = tables.connections.capacity();
        let connections = config
            .connections
            .unwrap_or(u32::try_from(slots).unwrap_or(u32::MAX));
        let sources = tables.sources.capacity();
        check(&backend, config.trigger, connections, sources)?;
        backend.expect(sources);
        let stop = Stop::new().map_err(Error::of("eventfd"));
        let stop = stop?;
        // SAFETY: nothing is between this and the server, in which the backend is a field before the stop, so that it is
        // dropped before it.
        let watched = unsafe { backend.watch(stop.as_fd()) };
        watched?;
        Ok(Self {
            session,
            backend,
            sockets: Sockets::new(tables.connections, tables.sources, tables.streams),
            registered: Registered::new(tables.destinations, tables.senders),
            lines: Lines::new(tables.lines),
            on_datagrams: None,
            on_connect: Self::connects(),
            on_stream: None,
            refuse: |socket, _| socket::close(socket, true),
            stop,
            on_stop: Cell::new(None),
            stops: 0,
            drain: config.drain,
            write_stall: config.write_stall,
            spinning: Spinning::new(config.spin),
            connections,
            repairs: 0,
        })
    }

    /// Something to stop it with, from another thread or a signal handler.
    ///
    /// # Errors
    ///
    /// No descriptor is free (`EMFILE`).
    pub fn stop_handle(&self) -> Result<StopHandle, Error> {
        self.on_stop.set(Some(Self::take_stops));
        self.stop.handle().map_err(Error::of("fcntl"))
    }

    /// Requests a stop, as [`StopHandle::stop`] does.
    pub fn stop(&mut self) {
        self.stops = self.stops.saturating_add(1);
        let now = clock::now();
        let by = if self.stops == 1 {
            now.plus(self.drain)
        } else {
            now
        };
        self.session.stop(by);
    }

    /// Whether it has stopped: no listener and no connection is left.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.session.is_stopped()
    }

    /// Whether a stop was requested.
    #[must_use]
    pub const fn is_stopping(&self) -> bool {
        self.stops > 0
    }

    /// Runs until stopped.
    ///
    /// # Errors
    ///
    /// Waiting failed, which it does only if the process or the kernel is broken.
    pub fn run(&mut self) -> Result<(), Error> {
        while !self.is_stopped() {
            self.turn(None)?;
        }
        Ok(())
    }

    /// One iteration: waits for something to happen, at most `longest`, and acts on it, for a bounded time. It may wait shorter,
    /// and not at all while [`Config::spin`] wants it so. For embedding: call it whenever the descriptor ([`AsFd`]) is
    /// readable or [`next`](Self::next) has come.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    #[inline(never)]
    pub fn turn(&mut self, longest: Option<Duration>) -> Result<(), Error> {
        let machine = self.session.machine();
        let busy = machine.has_work() && machine.trigger() == Trigger::Level;
        let limit = longest.map(|longest| clock::now().plus(longest));
        let until = match (self.session.poll_timeout(), limit) {
            (Some(due), Some(limit)) => Some(due.min(limit)),
            (due, limit) => due.or(limit),
        };
        let until = self.spinning.until(machine.now(), until);
        let events = self.backend.wait(until, busy)?;
        let now = clock::now();
        if events > 0 {
            self.spinning.record_event(now);
        }
        for index in 0..events {
            let Some((token, directions, closing)) = self.ready(now, index) else {
                continue;
            };
            if token != Stop::TOKEN {
                self.session.handle_ready(now, token, directions, closing);
            } else if let Some(take) = self.on_stop.get() {
                take(self);
            }
        }
        // After the events: what came before a deadline counts, even if the loop was delayed.
        self.session.handle_timeout(now);
        let mut completed = None;
        while let Some(action) = self.session.poll_output(completed) {
            completed = self.perform(action);
        }
        Ok(())
    }

    /// When [`turn`](Self::turn) is due even if nothing happens, on `CLOCK_MONOTONIC`; an instant in the past while
    /// work is queued.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        if self.backend.is_due() {
            return Some(Instant::ZERO);
        }
        self.session.poll_timeout()
    }

    /// All connections and the timers, between iterations and before the first: see [`Connections`].
    pub fn connections(&mut self) -> Connections<'_> {
        self.will_connect();
        self.session.connections(clock::now())
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        self.session.stats()
    }

    /// Registrations that were not as recorded and were repaired: 0, unless descriptors are shared with other
    /// processes.
    #[must_use]
    pub const fn repairs(&self) -> u64 {
        self.repairs
    }
}

/// Whether a backend supports what is required.
fn check(
    backend: &impl Backend,
    trigger: Trigger,
    connections: u32,
    sources: usize,
) -> Result<(), Error> {
    let kind = backend.kind();
    if !kind.has(trigger) {
        let backend = kind;
        return Err(Error::Trigger { backend, trigger });
    }
    // And what stops it.
    let needed = (connections as usize).saturating_add(sources + 1);
    let capacity = backend.entries();
    if capacity < needed {
        return Err(Error::Entries { capacity, needed });
    }
    Ok(())
}

/// For nesting in another loop: readable when [`turn`](Server::turn) has something to do. It is another descriptor when
/// [`Stats::rebuilds`] has risen: register it again then.
impl<H: Handler, B: Backend + AsFd> AsFd for Server<'_, H, B> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.backend.as_fd()
    }
}

/// The end of a server, after a stop, without one, after an error of [`turn`](Server::turn), or after a panic of the handler:
/// every descriptor that it opened, accepted or was given is closed, so that every peer gets its FIN (or a reset, if it
/// sent something that was not received). No handler method is called. The memory can be used again.
impl<H: Handler, B: Backend> Drop for Server<'_, H, B> {
    fn drop(&mut self) {
        self.backend.end();
        self.sockets.close_all();
    }
}

impl<H: Handler, B: Backend> Server<'_, H, B> {
    /// What this entry of the last wait reports as ready; a completion is taken in.
    #[inline]
    fn ready(&mut self, now: Instant, index: usize) -> Option<Ready> {
        self.backend
            .ready(index)
            .or_else(|| self.ready_or_done(now, index))
    }

    #[inline(never)]
    fn ready_or_done(&mut self, now: Instant, index: usize) -> Option<Ready> {
        match self.backend.report(index)? {
            Event::Ready {
                token,
                directions,
                closing,
            } => Some((token, directions, closing)),
            done @ Event::Done { .. } => {
                self.session.handle_event(now, done);
                None
            }
        }
    }

    fn take_stops(&mut self) {
        // Two are as good as more.
        for _ in 0..self.stop.take().min(2) {
            self.stop();
        }
    }
}
