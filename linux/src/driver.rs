//! [`Server`]: one round of the loop, and the loop. Actions become system calls, answers become events.

mod datagrams;

use crate::adopt::{self, AdoptError};
use crate::backend::{Accepted, Backend, Epoll, OTHERS};
use crate::clock;
use crate::connect::{self, Connect, DestinationError, Registered};
use crate::errno;
use crate::error::{CallError, StartError};
use crate::listen::{Listen, ListenError};
use crate::memory::Memory;
use crate::serial::{Lines, Serial, SerialError};
use crate::socket;
use crate::sockets::{NO_SOCKET, Sockets};
use crate::stop::{Stop, StopHandle};
use crate::stream::{AttachError, Stream};
use crate::watch::{self, WatchError};
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net;
use rustix::rand::{GetRandomFlags, getrandom};
use tidegate_core::{
    Action, Config, ConnectError, Connections, Destination, Directions, Event, Handler, Instant,
    Op, Outcome, Session, Span, Spinning, Stats, Token, Trigger,
};

/// A server: a [`Session`] on real sockets. It belongs to the thread that made it (it is not `Send`); others reach it by
/// its [`StopHandle`].
///
/// The loop must not run in a forked child: the child would share the readiness set with its parent (`epoll(7)`).
pub struct Server<'m, H: Handler, B: Backend = Epoll> {
    session: Session<'m, H>,
    backend: B,
    sockets: Sockets<'m>,
    registered: Registered,
    lines: Lines,
    /// What carries out what is about datagrams, from the first socket of them on.
    on_datagrams: Option<fn(&mut Self, Instant, Action)>,
    stop: Stop,
    /// Wishes to stop so far.
    stops: u64,
    drain: Duration,
    spinning: Spinning,
    connections: u32,
    /// Registrations that were not as we believed, mended: somebody shares a descriptor, or a mistake of ours.
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
    /// [`StartError`].
    pub fn new<const N: usize, const RX: usize, const TX: usize>(
        memory: &'m mut Memory<N, RX, TX, H::State>,
        config: &Config,
        handler: H,
    ) -> Result<Self, StartError> {
        let epoll = Epoll::new().map_err(StartError::System)?;
        Self::with_backend(memory, config, handler, epoll)
    }
}

impl<'m, H: Handler, B: Backend> Server<'m, H, B> {
    /// As [`new`](Server::new), over any backend.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub fn with_backend<const N: usize, const RX: usize, const TX: usize>(
        memory: &'m mut Memory<N, RX, TX, H::State>,
        config: &Config,
        handler: H,
        backend: B,
    ) -> Result<Self, StartError> {
        let (memory, connections) = memory.lend();
        // The first reading looks for the kernel's vdso, and allocates for it where rustix may: now, not on the way.
        let _ = clock::now();
        let config = Config {
            hash_seed: match config.hash_seed {
                0 => random(),
                seed => seed,
            },
            ..config.clone()
        };
        let session = Session::new(memory, &config, handler).map_err(StartError::Config)?;
        let stop = Stop::new().map_err(CallError::of("eventfd"));
        let mut server = Self {
            session,
            backend,
            sockets: Sockets::new(connections),
            registered: Registered::new(),
            lines: Lines::new(),
            on_datagrams: None,
            stop: stop.map_err(StartError::System)?,
            stops: 0,
            drain: config.drain,
            spinning: Spinning::new(config.spin),
            connections: (config.connections).unwrap_or(u32::try_from(N).unwrap_or(u32::MAX)),
            repairs: 0,
        };
        server.check(config.trigger)?;
        let watched = server.backend.watch(server.stop.as_fd());
        watched.map_err(StartError::System)?;
        Ok(server)
    }

    /// Whether the backend can do what it will be asked for.
    fn check(&self, trigger: Trigger) -> Result<(), StartError> {
        let backend = self.backend.kind();
        if !backend.has(trigger) {
            return Err(StartError::Trigger { backend, trigger });
        }
        let needed = (self.connections as usize).saturating_add(OTHERS);
        let lent = self.backend.places();
        if lent < needed {
            return Err(StartError::Places { lent, needed });
        }
        Ok(())
    }

    /// Adds a listener; answers its token, whose [`index`](Token::index) handlers are told, and the address it has.
    ///
    /// # Errors
    ///
    /// [`ListenError`] tells which call failed, and why.
    pub fn listen(
        &mut self,
        listen: &Listen<'_>,
    ) -> Result<(Token, Option<SocketAddr>), ListenError> {
        let socket = listen.open()?;
        let address = net::getsockname(&socket)
            .ok()
            .and_then(|address| SocketAddr::try_from(address).ok());
        Ok((self.add_listener(socket, listen)?, address))
    }

    /// Adds a listener that somebody else has opened and bound: a service manager (`sd_listen_fds(3)`), a parent. It is
    /// made non-blocking and close-on-exec; all of `listen` but its address, `backlog` and `reuse_port` holds for it.
    /// Answers as [`listen`](Self::listen) does.
    ///
    /// # Errors
    ///
    /// [`AdoptError`] tells what it is instead of a socket that listens.
    pub fn adopt(
        &mut self,
        socket: OwnedFd,
        listen: &Listen<'_>,
    ) -> Result<(Token, Option<SocketAddr>), AdoptError> {
        let (listen, address) = adopt::prepare(&socket, listen)?;
        Ok((self.add_listener(socket, &listen)?, address))
    }

    fn add_listener(&mut self, socket: OwnedFd, listen: &Listen<'_>) -> Result<Token, ListenError> {
        let full = ListenError::new("table", Errno::NOSPC);
        let limit = listen.limit(self.connections);
        let token = self.session.listen(limit).map_err(|_| full)?;
        self.sockets.put(token, socket).map_err(|_| full)?;
        self.session.reserve_slots(token, listen.reserved);
        self.session.set_priority(token, listen.priority);
        Ok(token)
    }

    /// Watches a descriptor of yours for readiness, by level: [`Handler::ready`] is told. What is watched is a duplicate, so
    /// yours stays yours, to be read, written and closed when you like; it ends with [`Connections::unwatch`]. It should be
    /// non-blocking. A stop does not end it.
    ///
    /// # Errors
    ///
    /// [`WatchError`], for regular files and directories too: they cannot be waited for.
    pub fn watch(
        &mut self,
        descriptor: impl AsFd,
        directions: Directions,
    ) -> Result<Token, WatchError> {
        let copy = watch::duplicate(descriptor.as_fd())?;
        let token = self.session.watch(directions);
        let token = token.map_err(|_| WatchError::Full)?;
        self.sockets
            .put(token, copy)
            .map_err(|_| WatchError::Full)?;
        Ok(token)
    }

    /// Connects to `to` on nobody's behalf; see [`Session::connect`]. A handler does so with
    /// [`Conn::connect`](tidegate_core::Conn::connect).
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub fn connect(&mut self, to: Destination) -> Result<Token, ConnectError> {
        self.session.connect(to)
    }

    /// Registers the path of a Unix stream socket, at most 107 bytes, for connections to it.
    ///
    /// # Errors
    ///
    /// [`DestinationError`].
    pub fn destination(&mut self, path: &str) -> Result<Destination, DestinationError> {
        self.registered.add(path)
    }

    /// Registers a serial line. It is opened when it is connected to, by [`connect`](Self::connect) or by a handler, and each
    /// time anew; opened or not, that is told as of any connection. Its [`Peer`](tidegate_core::Peer) is a `Stream` with the
    /// number that it has among the lines.
    ///
    /// A line is often silent for long: [`Config::idle`] would close it.
    ///
    /// # Errors
    ///
    /// [`SerialError`].
    pub fn serial(&mut self, serial: &Serial<'_>) -> Result<Destination, SerialError> {
        self.lines.add(serial)
    }

    /// Makes a connection of a stream that is open and no socket: an end of a pipe, a terminal. The handler is told
    /// [`opened`](Handler::opened) in the next turn, and knows it by `number`, its [`Peer`](tidegate_core::Peer). It is made
    /// non-blocking and close-on-exec.
    ///
    /// - An end of a pipe goes one way: see [`Destination::Stream`]. What is written to a pipe that nobody reads raises
    ///   SIGPIPE, which only the program can ignore; those that begin in Rust's `main` do.
    /// - Non-blocking is not the descriptor but what it was opened as (`open(2)`), so everybody who has it from the same place
    ///   meets it, a child or a shell: give it one of its own.
    /// - A terminal is taken with the settings it has; [`serial`](Self::serial) sets them.
    /// - There is no end of ours that could be told on a stream of both ways: [`finish`](tidegate_core::Conn::finish) closes
    ///   it, and what the line has not taken by then has [`Config::linger`] for it.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; the descriptor is closed then, unless it is a standard stream.
    pub fn attach(
        &mut self,
        descriptor: impl Into<OwnedFd>,
        number: u32,
    ) -> Result<Token, AttachError> {
        let (stream, directions) = Stream::of(descriptor.into())?;
        if !self.sockets.has_room_for_stream() {
            return Err(AttachError::Full);
        }
        let to = Destination::Stream { number, directions };
        let token = self.session.connect(to).map_err(AttachError::Connect)?;
        let kept = self.sockets.put_stream(token, stream);
        kept.map(|()| token).map_err(|_| AttachError::Full)
    }

    /// Sets what outbound connections are like from now on.
    pub const fn set_connect(&mut self, options: Connect) {
        self.registered.options = options;
    }

    /// Something to stop it with, from another thread or a signal handler.
    ///
    /// # Errors
    ///
    /// No descriptor is free (`EMFILE`).
    pub fn stop_handle(&self) -> Result<StopHandle, CallError> {
        self.stop.handle().map_err(CallError::of("fcntl"))
    }

    /// Asks to stop, as [`StopHandle::stop`] does.
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

    /// Runs until stopped.
    ///
    /// # Errors
    ///
    /// Waiting failed, which it does only if the process or the kernel is broken.
    pub fn run(&mut self) -> Result<(), CallError> {
        while !self.is_stopped() {
            self.turn(None)?;
        }
        Ok(())
    }

    /// One round: waits for something to happen, at most `longest`, and acts on it, for a bounded time. It may wait shorter,
    /// and not at all while [`Config::spin`] wants it so. For embedding: call it whenever the descriptor ([`AsFd`]) is
    /// readable or [`next`](Self::next) has come.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn turn(&mut self, longest: Option<Duration>) -> Result<(), CallError> {
        let machine = self.session.machine();
        let glance = machine.has_work() && machine.trigger() == Trigger::Level;
        let limit = longest.map(|longest| clock::now().plus(longest));
        let until = match (self.session.poll_timeout(), limit) {
            (Some(due), Some(limit)) => Some(due.min(limit)),
            (due, limit) => due.or(limit),
        };
        let until = self.spinning.until(machine.now(), until);
        let places = self.backend.wait(until, glance)?;
        let now = clock::now();
        if places > 0 {
            self.spinning.happened(now);
        }
        for place in 0..places {
            match self.backend.report(place) {
                Some(Event::Ready { token, .. }) if token == Stop::TOKEN => {
                    self.take_stops();
                }
                Some(Event::Ready {
                    token,
                    directions,
                    closing,
                }) if self.backend.answers_at_once() && !cfg!(feature = "small") => {
                    let sockets = &mut self.sockets;
                    (self.session).handle_ready(now, token, directions, closing, sockets);
                }
                Some(ready @ Event::Ready { .. }) => {
                    self.session.handle_event(now, ready);
                }
                Some(Event::Done { token, op, outcome }) => {
                    self.answer(now, token, op, outcome);
                }
                None => {}
            }
        }
        // After the reports: what came before a deadline counts, even if we were held up.
        self.session.handle_timeout(now);
        while let Some(action) = self.session.poll_output() {
            self.perform(now, action);
        }
        Ok(())
    }

    /// When [`turn`](Self::turn) is due even if nothing happens, on `CLOCK_MONOTONIC`; an instant that has passed while
    /// work is queued.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        if self.backend.is_due() {
            return Some(Instant::ZERO);
        }
        self.session.poll_timeout()
    }

    /// All connections and the timers, between turns and before the first: see [`Connections`].
    pub fn connections(&mut self) -> Connections<'_> {
        self.session.connections(clock::now())
    }

    /// The session, to look at: counters, handler, connections.
    #[must_use]
    pub const fn session(&self) -> &Session<'m, H> {
        &self.session
    }

    /// The session, to talk to connections between turns. It belongs to this loop: events are not for it.
    pub const fn session_mut(&mut self) -> &mut Session<'m, H> {
        &mut self.session
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        self.session.stats()
    }

    /// Registrations that were not as we believed and were mended: 0, unless descriptors are shared with others.
    #[must_use]
    pub const fn repairs(&self) -> u64 {
        self.repairs
    }
}

/// For nesting in another loop: readable when [`turn`](Server::turn) has something to do. It is another descriptor when
/// [`Stats::rebuilds`] has risen: register it again then.
impl<H: Handler, B: Backend + AsFd> AsFd for Server<'_, H, B> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.backend.as_fd()
    }
}

impl<H: Handler, B: Backend> Server<'_, H, B> {
    /// Carries an action out and answers it.
    #[inline(always)]
    fn perform(&mut self, now: Instant, action: Action) {
        match action {
            Action::Recv { token, into } => {
                let outcome = match self.sockets.connection(token) {
                    Some(socket) => {
                        let into = self.session.receive_into(token, into);
                        self.backend.receive(token, socket, into)
                    }
                    None => self.read(token, into),
                };
                self.session
                    .handle_event(now, done(token, Op::Recv, outcome));
            }
            Action::Send { token, from } => {
                let outcome = match self.sockets.connection(token) {
                    Some(socket) => {
                        let from = self.session.send_from(token, from);
                        self.backend.send(token, socket, from)
                    }
                    None => Some(self.write(token, from)),
                };
                if let Some(outcome) = outcome {
                    self.session
                        .handle_event(now, done(token, Op::Send, outcome));
                }
            }
            Action::Accept { listener, token } => {
                let outcome = match self.accept(listener) {
                    Ok((socket, peer)) => self.sockets.keep(token, socket, peer),
                    Err(outcome) => outcome,
                };
                self.answer(now, token, Op::Accept, outcome);
            }
            Action::Refuse { listener } => {
                let outcome = match self.accept(listener) {
                    Ok((socket, _)) => socket::close(socket, true),
                    Err(outcome) => outcome,
                };
                self.answer(now, listener, Op::Refuse, outcome);
            }
            Action::Connect { token } => {
                let outcome = self.connect_on(token);
                self.answer(now, token, Op::Connect, outcome);
            }
            Action::Shutdown { token } => {
                let outcome = match self.sockets.get(token) {
                    Some(socket) => socket::shut_down(socket),
                    None => self
                        .sockets
                        .stream(token)
                        .map_or(NO_SOCKET, Stream::shut_down),
                };
                self.answer(now, token, Op::Shutdown, outcome);
            }
            Action::Unsent { token } => {
                let outcome = match self.sockets.get(token) {
                    Some(socket) => socket::unsent(socket),
                    None => self.sockets.stream(token).map_or(NO_SOCKET, Stream::unsent),
                };
                self.answer(now, token, Op::Unsent, outcome);
            }
            Action::Close { token, reset } => {
                let outcome = match self.sockets.take(token) {
                    Some(socket) => self.backend.close(token, socket, reset),
                    None => NO_SOCKET,
                };
                self.answer(now, token, Op::Close, outcome);
            }
            Action::Arm {
                token,
                was,
                now: wanted,
                trigger,
            } => {
                if let Err(outcome) = self.arm(token, was, wanted, trigger) {
                    self.answer(now, token, Op::Arm, outcome);
                }
            }
            // Nobody asks for it who has not added such a socket.
            Action::ReceiveFrom { .. } | Action::SendTo { .. } => {
                if let Some(carry_out) = self.on_datagrams {
                    carry_out(self, now, action);
                }
            }
            // What is in flight is answered by the next wait at the latest.
            Action::Cancel { .. } => {}
            Action::Rebuild => self.rebuild(now),
        }
    }

    /// The answer to anything but a transfer: out of line, so that the loop is the transfers'.
    #[inline(never)]
    fn answer(&mut self, now: Instant, token: Token, op: Op, outcome: Outcome) {
        self.session.handle_event(now, done(token, op, outcome));
    }

    /// Receives from a stream that is no socket.
    #[cold]
    fn read(&mut self, token: Token, into: Span) -> Outcome {
        match self.sockets.stream(token) {
            Some(stream) => {
                let transfer = stream.receive(self.session.receive_into(token, into));
                Outcome::of_receive(transfer, into.len)
            }
            None => NO_SOCKET,
        }
    }

    /// Sends to one.
    #[cold]
    fn write(&self, token: Token, from: Span) -> Outcome {
        match self.sockets.stream(token) {
            Some(stream) => {
                let transfer = stream.send(self.session.send_from(token, from));
                Outcome::of_send(transfer, from.len)
            }
            None => NO_SOCKET,
        }
    }

    /// Opens one, unless it was brought.
    fn open_stream(&mut self, token: Token, number: u32) -> Outcome {
        if self.sockets.stream(token).is_some() {
            return Outcome::Complete(0);
        }
        let opened = self.lines.open(number);
        match opened.and_then(|stream| self.sockets.put_stream(token, stream)) {
            Ok(()) => Outcome::Complete(0),
            Err(failed) => failed,
        }
    }

    /// Connects, or looks what has become of it.
    #[inline(never)]
    fn connect_on(&mut self, token: Token) -> Outcome {
        if let Some(Destination::Stream { number, .. }) = self.session.destination(token) {
            return self.open_stream(token, number);
        }
        let outcome = match self.sockets.get(token) {
            Some(socket) => connect::finish(socket),
            None => match self.session.destination(token) {
                Some(to) => match self.registered.begin(to) {
                    Ok((socket, outcome)) => match self.sockets.put(token, socket) {
                        Ok(()) => outcome,
                        Err(failed) => failed,
                    },
                    Err(failed) => failed,
                },
                None => NO_SOCKET,
            },
        };
        if let (Outcome::Complete(_), Some(socket)) = (outcome, self.sockets.get(token)) {
            return self.backend.connected(socket);
        }
        outcome
    }

    #[inline(never)]
    fn accept(&mut self, listener: Token) -> Accepted {
        let from = self.sockets.get(listener).ok_or(NO_SOCKET)?;
        self.backend.accept(from)
    }

    #[inline(never)]
    fn arm(
        &mut self,
        token: Token,
        was: Directions,
        now: Directions,
        trigger: Trigger,
    ) -> Result<(), Outcome> {
        let armed = match self.sockets.get(token) {
            Some(socket) => self.backend.arm(socket, token, was, now, trigger),
            None => {
                let stream = self.sockets.stream(token).ok_or(NO_SOCKET)?.as_fd();
                self.backend.arm_stream(stream, token, was, now, trigger)
            }
        };
        let mended = armed.map_err(errno::arm)?;
        self.repairs = self.repairs.saturating_add(u64::from(mended));
        Ok(())
    }

    /// A new readiness set, with what is armed in it. If there is none to be had, the old one serves on with everything
    /// armed anew, and is found wanting again.
    #[inline(never)]
    fn rebuild(&mut self, now: Instant) {
        self.backend.renew(self.stop.as_fd());
        // Each that cannot be registered is ended by the machine, and so is not in the list again.
        while let Some((token, outcome)) = self.register_all() {
            self.answer(now, token, Op::Arm, outcome);
        }
    }

    /// Registers everything that is armed, up to the first that cannot be.
    fn register_all(&mut self) -> Option<(Token, Outcome)> {
        for (token, armed, trigger) in self.session.armed() {
            let stream = || self.sockets.stream(token).map(AsFd::as_fd);
            let Some(descriptor) = self.sockets.get(token).or_else(stream) else {
                continue;
            };
            // What is there already is no surprise here, and no repair.
            let added = (self.backend).arm(descriptor, token, Directions::NONE, armed, trigger);
            if let Err(errno) = added {
                return Some((token, errno::arm(errno)));
            }
        }
        None
    }

    fn take_stops(&mut self) {
        // Two are as good as more.
        for _ in 0..self.stop.take().min(2) {
            self.stop();
        }
    }
}

const fn done(token: Token, op: Op, outcome: Outcome) -> Event {
    Event::Done { token, op, outcome }
}

/// A random number that is not 0; a fixed one if the system has none yet, early at boot.
fn random() -> u64 {
    let mut word = [0; 8];
    match getrandom(&mut word, GetRandomFlags::NONBLOCK) {
        Ok(8) => u64::from_ne_bytes(word).max(1),
        Ok(_) | Err(_) => 1,
    }
}
