//! [`Server`]: one round of the loop, and the loop. Actions become system calls, answers become events.

use crate::backend::Epoll;
use crate::clock;
use crate::errno;
use crate::listen::{Listen, ListenError};
use crate::memory::Memory;
use crate::socket;
use crate::stop::{Stop, StopHandle};
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net;
use rustix::rand::{GetRandomFlags, getrandom};
use tidegate_core::heapless::{Vec, VecView};
use tidegate_core::{
    Action, Config, ConfigError, Directions, Event, Fault, FaultKind, Handler, Instant, LISTENERS,
    Op, Outcome, Session, Stats, Token, Transfer, Transfers, Trigger,
};

/// A server: a [`Session`] on real sockets. It belongs to the thread that made it (it is not `Send`); others reach it by
/// its [`StopHandle`].
///
/// The loop must not run in a forked child: the child would share the readiness set with its parent (`epoll(7)`).
pub struct Server<'m, H: Handler> {
    session: Session<'m, H>,
    epoll: Epoll,
    sockets: Sockets<'m>,
    stop: Stop,
    /// Wishes to stop so far.
    stops: u64,
    drain: Duration,
    connections: u32,
}

impl<H: Handler> fmt::Debug for Server<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("epoll", &self.epoll)
            .field("stats", self.stats())
            .finish_non_exhaustive()
    }
}

/// The descriptors, each owned here alone and closed once.
#[derive(Debug)]
struct Sockets<'m> {
    /// By the index of the token.
    connections: &'m mut VecView<Option<OwnedFd>>,
    listeners: Vec<Option<OwnedFd>, LISTENERS>,
}

/// A server could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// A value in the [`Config`] cannot work.
    Config(ConfigError),
    /// A system call failed: the readiness set, the event counter.
    System(CallError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for StartError {}

/// A system call failed that does not fail in a sound process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallError {
    /// Which.
    pub call: &'static str,
    /// The system's error number (`errno(3)`).
    pub errno: Errno,
}

impl CallError {
    fn of(call: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self { call, errno }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = match self.errno {
            Errno::MFILE | Errno::NFILE => ": too many open files; raise the limit (ulimit -n)",
            _ => "",
        };
        write!(
            f,
            "{} failed: errno {}{hint}",
            self.call,
            self.errno.raw_os_error()
        )
    }
}

impl core::error::Error for CallError {}

impl<'m, H: Handler> Server<'m, H> {
    /// A server in `memory`, without a listener yet.
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
        let system = |call| move |errno| StartError::System(CallError { call, errno });
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
        let mut server = Self {
            session,
            epoll: Epoll::new().map_err(system("epoll_create1"))?,
            sockets: Sockets {
                connections,
                listeners: Vec::new(),
            },
            stop: Stop::new().map_err(system("eventfd"))?,
            stops: 0,
            drain: config.drain,
            connections: (config.connections).unwrap_or(u32::try_from(N).unwrap_or(u32::MAX)),
        };
        server.watch_stop().map_err(system("epoll_ctl"))?;
        Ok(server)
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
        let full = ListenError::new("table", Errno::NOSPC);
        let limit = listen.limit(self.connections);
        let token = self.session.listen(limit).map_err(|_| full)?;
        put(&mut self.sockets.listeners, token, socket).map_err(|_| full)?;
        Ok((token, address))
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

    /// One round: waits for something to happen, at most `longest`, and acts on it, for a bounded time. For embedding:
    /// call it whenever the descriptor ([`AsFd`]) is readable or [`next`](Self::next) has come.
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
        let reports = (self.epoll.wait(until, glance)).map_err(CallError::of("epoll_wait"))?;
        let now = clock::now();
        for number in 0..reports {
            match self.epoll.report(number) {
                Some(Event::Ready { token, .. }) if token == Stop::TOKEN => self.take_stops(),
                Some(Event::Ready {
                    token,
                    directions,
                    closing,
                }) => {
                    let sockets = &mut self.sockets;
                    (self.session).handle_ready(now, token, directions, closing, sockets);
                }
                Some(event) => self.session.handle_event(now, event),
                None => break,
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
        self.session.poll_timeout()
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
        self.epoll.repairs
    }
}

/// For nesting in another loop: readable when [`turn`](Server::turn) has something to do. It is another descriptor when
/// [`Stats::rebuilds`] has risen: register it again then.
impl<H: Handler> AsFd for Server<'_, H> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl<H: Handler> Server<'_, H> {
    /// Carries an action out and answers it.
    #[inline(always)]
    fn perform(&mut self, now: Instant, action: Action) {
        match action {
            Action::Recv { token, into } => {
                let asked = into.len;
                let into = self.session.receive_into(token, into);
                let outcome = Outcome::of_receive(self.sockets.receive(token, into), asked);
                self.session
                    .handle_event(now, done(token, Op::Recv, outcome));
            }
            Action::Send { token, from } => {
                let asked = from.len;
                let from = self.session.send_from(token, from);
                let outcome = Outcome::of_send(self.sockets.send(token, from), asked);
                self.session
                    .handle_event(now, done(token, Op::Send, outcome));
            }
            Action::Accept { listener, token } => {
                let outcome = self.sockets.accept(listener, token);
                self.answer(now, token, Op::Accept, outcome);
            }
            Action::Refuse { listener } => {
                let outcome = self.sockets.refuse(listener);
                self.answer(now, listener, Op::Refuse, outcome);
            }
            Action::Shutdown { token } => {
                let outcome = self.sockets.get(token).map_or(NO_SOCKET, socket::shut_down);
                self.answer(now, token, Op::Shutdown, outcome);
            }
            Action::Unsent { token } => {
                let outcome = self.sockets.get(token).map_or(NO_SOCKET, socket::unsent);
                self.answer(now, token, Op::Unsent, outcome);
            }
            Action::Close { token, reset } => {
                let outcome = self.sockets.close(token, reset);
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
            // Every call is answered before the next: nothing is ever in flight.
            Action::Cancel { .. } => {}
            Action::Rebuild => self.rebuild(now),
        }
    }

    /// The answer to anything but a transfer: out of line, so that the loop is the transfers'.
    #[inline(never)]
    fn answer(&mut self, now: Instant, token: Token, op: Op, outcome: Outcome) {
        self.session.handle_event(now, done(token, op, outcome));
    }

    #[inline(never)]
    fn arm(
        &mut self,
        token: Token,
        was: Directions,
        now: Directions,
        trigger: Trigger,
    ) -> Result<(), Outcome> {
        let socket = self.sockets.get(token).ok_or(NO_SOCKET)?;
        (self.epoll.arm(socket, token, was, now, trigger)).map_err(errno::arm)
    }

    /// A new readiness set, with what is armed in it. If there is none to be had, the old one serves on with everything
    /// armed anew, and is found wanting again.
    #[inline(never)]
    fn rebuild(&mut self, now: Instant) {
        let repairs = self.epoll.repairs;
        if let Ok(old) = self.epoll.renew()
            && self.watch_stop().is_err()
        {
            drop(self.epoll.restore(old));
        }
        // Each that cannot be registered is ended by the machine, and so is not in the list again.
        while let Some((token, outcome)) = self.register_all() {
            self.answer(now, token, Op::Arm, outcome);
        }
        // What is there already is no surprise here.
        self.epoll.repairs = repairs;
    }

    /// Registers everything that is armed, up to the first that cannot be.
    fn register_all(&mut self) -> Option<(Token, Outcome)> {
        for (token, armed, trigger) in self.session.armed() {
            let Some(socket) = self.sockets.get(token) else {
                continue;
            };
            let added = (self.epoll).arm(socket, token, Directions::NONE, armed, trigger);
            if let Err(errno) = added {
                return Some((token, errno::arm(errno)));
            }
        }
        None
    }

    fn watch_stop(&mut self) -> Result<(), Errno> {
        let (was, now) = (Directions::NONE, Directions::READ);
        (self.epoll).arm(self.stop.as_fd(), Stop::TOKEN, was, now, Trigger::Level)
    }

    fn take_stops(&mut self) {
        // Two are as good as more.
        for _ in 0..self.stop.take().min(2) {
            self.stop();
        }
    }
}

impl Transfers for Sockets<'_> {
    #[inline(always)]
    fn receive(&mut self, token: Token, into: &mut [u8]) -> Transfer {
        match self.connection(token) {
            Some(socket) => socket::receive(socket, into),
            None => Err(Some(NO_FAULT)),
        }
    }

    #[inline(always)]
    fn send(&mut self, token: Token, from: &[u8]) -> Transfer {
        match self.connection(token) {
            Some(socket) => socket::send(socket, from),
            None => Err(Some(NO_FAULT)),
        }
    }
}

impl Sockets<'_> {
    #[inline]
    fn connection(&self, token: Token) -> Option<BorrowedFd<'_>> {
        let kept = self.connections.get(token.index() as usize)?;
        kept.as_ref().map(OwnedFd::as_fd)
    }

    #[inline(never)]
    fn get(&self, token: Token) -> Option<BorrowedFd<'_>> {
        let list: &VecView<Option<OwnedFd>> = if token.is_listener() {
            &self.listeners
        } else {
            self.connections
        };
        list.get(token.index() as usize)?
            .as_ref()
            .map(OwnedFd::as_fd)
    }

    #[inline(never)]
    fn close(&mut self, token: Token, reset: bool) -> Outcome {
        let list: &mut VecView<Option<OwnedFd>> = if token.is_listener() {
            &mut self.listeners
        } else {
            self.connections
        };
        match list.get_mut(token.index() as usize).and_then(Option::take) {
            Some(socket) => socket::close(socket, reset),
            None => NO_SOCKET,
        }
    }

    #[inline(never)]
    fn accept(&mut self, listener: Token, token: Token) -> Outcome {
        let Some(from) = self.get(listener) else {
            return NO_SOCKET;
        };
        match socket::accept(from) {
            Ok((socket, address)) => match put(self.connections, token, socket) {
                Ok(()) => Outcome::Accepted(address),
                Err(outcome) => outcome,
            },
            Err(outcome) => outcome,
        }
    }

    #[inline(never)]
    fn refuse(&self, listener: Token) -> Outcome {
        match self.get(listener).map(socket::accept) {
            Some(Ok((socket, _))) => socket::close(socket, true),
            Some(Err(outcome)) => outcome,
            None => NO_SOCKET,
        }
    }
}

/// What cannot be: an action for a token without a descriptor.
const NO_FAULT: Fault = FaultKind::Invalid.with_code(0);
const NO_SOCKET: Outcome = Outcome::Failed(NO_FAULT);

/// Keeps a descriptor at the place of its token. Places come into use in order.
fn put(list: &mut VecView<Option<OwnedFd>>, token: Token, socket: OwnedFd) -> Result<(), Outcome> {
    let place = token.index() as usize;
    while list.len() <= place {
        list.push(None).map_err(|_| NO_SOCKET)?;
    }
    if let Some(kept) = list.get_mut(place) {
        *kept = Some(socket);
    }
    Ok(())
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
