//! [`World`]: a session over the simulated kernel, with scripted peers, faults and a clock that jumps.

mod broken;
mod calls;
mod driver;
mod echo;
mod network;
mod parts;
mod peer;
mod post;
mod print;
mod registering;
mod scene;
mod shrink;
#[cfg(test)]
mod tests;
mod watch;
mod watching;

pub use broken::Broken;
pub use driver::Interface;
pub use peer::{End, Peer, Script};
pub use scene::Scene;
pub use watch::Told;

use super::faults::Faults;
use super::kernel::{Family, Kernel, Limits};
use super::laws::check_laws;
use super::random::Random;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use driver::Driver;
use echo::Echo;
use post::Post;
use tidegate_core::Instant;
use tidegate_core::Stats;
use tidegate_core::Token;
use tidegate_core::Trigger;
use tidegate_core::trace::RecordedInput;
use tidegate_core::{AnyMemory, Conn, Connections, Handler, Session};
use tidegate_core::{Config, ConfigError};
use watch::Watch;

/// Where the session listens.
const PORT: u16 = 80;
/// What one round takes, so that time passes even while there is work.
const ROUND: Duration = Duration::from_micros(10);
/// Rounds without an end that count as none.
const ROUNDS: u64 = 1_000_000;
/// Virtual time in which everything has to become quiet, beyond the longest deadline.
const SPARE: Duration = Duration::from_secs(600);

/// What a world is like. The same setup, scripts and handler give the same run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Decides what is left to chance: which peers act when, the order of completions, jumps of the clock.
    pub seed: u64,
    /// Which kind of kernel interface. Its trigger replaces that of `config`.
    pub interface: Interface,
    /// The session's.
    pub config: Config,
    /// Connections from one address, for [`Session::listen`].
    pub per_source: Option<u32>,
    /// Whether accepted connections go before outbound ones, for [`Session::set_priority`].
    pub priority: bool,
    /// Slots that are reserved for accepted connections, for [`Session::reserve_slots`].
    pub reserved: u32,
    /// How many of them there may be at a time, for [`Session::limit_connections`].
    pub at_most: Option<u32>,
    /// The kernel's. Its descriptors are the session's alone; the peers have theirs.
    pub limits: Limits,
    /// Connections that the listener holds, and one more; further ones wait outside.
    pub backlog: usize,
    /// What goes wrong in the session's calls. Those of the peers do not.
    pub faults: Faults,
    /// Whether, in a readiness world, false events come now and then, and events of connections that are gone.
    pub noise: bool,
    /// Whether the clock goes back now and then.
    pub clock_jumps: bool,
    /// Whether there is a listener at [`World::ECHO`] and at the registered destination of the same number as its port,
    /// which sends back what comes. A Unix queue there is short. There is no other listener, but the session itself:
    /// other connects are refused, but for those to [`World::UNANSWERED`], [`World::UNREACHABLE`] and
    /// [`World::ABSENT`]. The stream of that number is a serial line to the same, which is unplugged now and then; one
    /// of another number does not exist.
    pub echo: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 1,
            interface: Interface::Readiness(Trigger::Level),
            config: Config::default(),
            per_source: None,
            priority: false,
            reserved: 0,
            at_most: None,
            limits: Limits::default(),
            backlog: 16,
            faults: Faults::none(),
            noise: false,
            clock_jumps: false,
            echo: false,
        }
    }
}

/// A session with your handler on a simulated kernel, and its peers.
///
/// Nothing is real and nothing waits: when no party can act, the clock jumps to the next time at which one can. After
/// every round the laws that can be seen from outside are checked; the first one that is broken ends the run with
/// [`Broken`], which has the seed.
///
/// # Examples
///
/// A protocol of one's own, lines returned in capitals, tried against one-byte segments, a stall, a reset and a full
/// table, on every kind of kernel interface.
///
/// ```
/// use core::time::Duration;
/// use tidegate_sim::{End, Faults, Interface, Script, Setup, World};
/// use tidegate_core::{Config, Conn, Handler, Memory};
///
/// struct Capitals;
///
/// impl Handler for Capitals {
///     type State = ();
///     fn readable(&mut self, conn: &mut Conn<'_>, _: &mut ()) {
///         while let Some(end) = conn.data().iter().position(|&byte| byte == b'\n') {
///             let answer = conn.data()[..=end].to_ascii_uppercase();
///             if conn.send(&answer).is_err() {
///                 return; // no capacity: `writable` will call again
///             }
///             conn.consume(end + 1);
///         }
///     }
/// }
///
/// for interface in Interface::ALL {
///     for seed in 0..20 {
///         let mut memory = Memory::<2, 64, 128>::new(); // two places for four peers
///         let setup = Setup { seed, interface, faults: Faults::swarm(seed, 20, false), ..Setup::default() };
///         let mut world = World::new(&mut memory, &setup, Capitals)?;
///         let lines = b"one\ntwo\n".repeat(100);
///         let one_byte = world.add(Script::new().segments(1).send(&lines).finish());
///         let stalls = world.add(Script::new().stall().send(&lines).wait(Duration::from_secs(9)).resume().finish());
///         let resets = world.add(Script::new().send(b"half a li").reset());
///         let waits = world.add(Script::new().send(b"me too\n").expect(7).finish());
///         world.settle()?; // faults stop, everything ends, every law holds
///
///         assert_eq!(world.peer(one_byte).received(), lines.to_ascii_uppercase());
///         assert_eq!(world.peer(stalls).received(), lines.to_ascii_uppercase());
///         assert_eq!(world.peer(resets).received(), b"");
///         assert_eq!(world.peer(waits).received(), b"ME TOO\n");
///         assert_eq!(world.peer(waits).end(), End::Finished);
///         assert_eq!(world.stats().peak, 2);
///     }
/// }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct World<'m, H: Handler> {
    session: Session<'m, Watch<H>>,
    kernel: Kernel,
    driver: Driver,
    peers: Vec<Peer>,
    echo: Option<Echo>,
    /// The network at a datagram socket.
    post: Option<Post>,
    random: Random,
    setup: Setup,
    now: Instant,
    round: u64,
    /// When the kernel gives up resolving [`World::ABSENT`]; `None`: it does not.
    resolved_by: Option<Instant>,
    /// Its kernel has no memory for TCP.
    short: bool,
    /// Something may be going on.
    busy: bool,
    /// Nothing was done in the last round, so chance leaves no party out in the next.
    all: bool,
    /// How much of the handler's notices has been compared with what was sent.
    compared: Vec<usize>,
}

impl<H: Handler> fmt::Debug for World<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .field("round", &self.round)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Names a peer: returned by [`World::add`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PeerId(usize);

impl<'m, H: Handler> World<'m, H> {
    /// The address of the echo, with [`Setup::echo`].
    pub const ECHO: SocketAddr = Echo::ADDRESS;

    /// A session in `memory` that listens, without peers yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the value that cannot work.
    ///
    /// # Panics
    ///
    /// The kernel is given fewer than two descriptors.
    pub fn new(
        memory: &'m mut impl AnyMemory<State = H::State>,
        setup: &Setup,
        handler: H,
    ) -> Result<Self, ConfigError> {
        Ok(Self::of(session_of(memory, setup, handler)?, setup))
    }

    /// The same, recorded from the beginning: see [`Session::record_to`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the value that cannot work.
    ///
    /// # Panics
    ///
    /// The kernel is given fewer than two descriptors.
    #[cfg(feature = "trace")]
    pub fn recorded(
        memory: &'m mut impl AnyMemory<State = H::State>,
        setup: &Setup,
        handler: H,
        sink: &'static mut (dyn FnMut(&tidegate_core::trace::Entry<'_>) + Send),
    ) -> Result<Self, ConfigError> {
        let mut session = session_of(memory, setup, handler)?;
        session.record_to(sink);
        Ok(Self::of(session, setup))
    }

    fn of(mut session: Session<'m, Watch<H>>, setup: &Setup) -> Self {
        let mut kernel = Kernel::new(setup.limits.clone());
        let driver = Driver::new(setup.interface, setup.noise, &mut kernel);
        let listener = kernel.listen(Family::Tcp, PORT, setup.backlog);
        let (Ok(mut driver), Ok(listener)) = (driver, listener) else {
            panic!("a world needs two descriptors at least");
        };
        if let Ok(token) = session.listen(setup.per_source) {
            session.set_priority(token, setup.priority);
            session.reserve_slots(token, setup.reserved);
            session.limit_connections(token, setup.at_most.unwrap_or(u32::MAX));
            driver.adopt(token, listener);
        }
        let echo = setup.echo.then(|| {
            kernel.limits_mut().descriptors = u32::MAX;
            Echo::new(&mut kernel)
        });
        network::lay_out(&mut kernel);
        kernel.faults = setup.faults.clone();
        Self {
            session,
            kernel,
            driver,
            peers: Vec::new(),
            echo: echo.and_then(Result::ok),
            post: None,
            random: Random::new(setup.seed),
            setup: setup.clone(),
            now: Instant::from_nanos(1_000_000_000),
            round: 0,
            resolved_by: None,
            short: false,
            busy: true,
            all: false,
            compared: Vec::new(),
        }
    }

    /// Adds a peer, which connects in one of the next rounds.
    pub fn add(&mut self, script: Script) -> PeerId {
        self.add_from(script, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))
    }

    /// Adds a peer at an address of its own.
    pub fn add_from(&mut self, script: Script, address: IpAddr) -> PeerId {
        let number = self.peers.len();
        let port = u16::try_from(number)
            .unwrap_or(u16::MAX)
            .saturating_add(1024);
        self.peers
            .push(Peer::new(script, SocketAddr::new(address, port)));
        self.busy = true;
        PeerId(number)
    }

    /// What became of a peer.
    ///
    /// # Panics
    ///
    /// It is of another world.
    #[must_use]
    pub fn peer(&self, id: PeerId) -> &Peer {
        let peer = self.peers.get(id.0);
        peer.expect("a peer of this world")
    }

    /// What became of all peers, in the order of adding.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter()
    }

    /// The notices of the handler, one entry for each connection, in the order of opening.
    #[must_use]
    pub fn told(&self) -> &[Told] {
        &self.session.handler().told
    }

    /// The handler.
    #[must_use]
    pub const fn handler(&self) -> &H {
        &self.session.handler().handler
    }

    /// All connections and the timers, as a program has them between iterations. In a world that settles no interval
    /// may be set.
    pub fn connections(&mut self) -> Connections<'_> {
        self.busy = true;
        self.session.connections(self.now)
    }

    /// Borrows a live connection, its state and the handler between iterations; see [`Session::with`].
    pub fn with<R>(
        &mut self,
        token: Token,
        visit: impl FnOnce(&mut H, &mut Conn<'_>, &mut H::State) -> R,
    ) -> Option<R> {
        self.busy = true;
        let visit = |watch: &mut Watch<H>, conn: &mut Conn<'_>, state: &mut H::State| {
            visit(&mut watch.handler, conn, state)
        };
        self.session.with(token, visit)
    }

    /// The counters of the session.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        self.session.stats()
    }

    /// The flight recorder: the last inputs, the oldest first.
    pub fn last_inputs(&self) -> impl Iterator<Item = RecordedInput> + '_ {
        self.session.machine().last_inputs()
    }

    /// The kernel: its descriptors, and the faults that were put into its calls.
    #[must_use]
    pub const fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The virtual time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// A hash of every action and every completion so far: equal for equal runs.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.driver.digest.0
    }

    /// Whether the session's kernel has used up its memory for TCP from now on, see [`Kernel::set_short_of_memory`]. Peers
    /// have kernels of their own.
    pub fn set_short_of_memory(&mut self, short: bool) {
        self.short = short;
        self.busy = true;
    }

    /// Asks the session to stop within `length`.
    pub fn stop(&mut self, length: Duration) {
        self.session.stop(self.now.plus(length));
        self.busy = true;
    }

    /// Whether the session has stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.session.is_stopped()
    }
}

/// A session of the setup's, with nothing in it yet.
fn session_of<'m, H: Handler>(
    memory: &'m mut impl AnyMemory<State = H::State>,
    setup: &Setup,
    handler: H,
) -> Result<Session<'m, Watch<H>>, ConfigError> {
    let mut config = setup.config.clone();
    if let Interface::Readiness(trigger) = setup.interface {
        config.trigger = trigger;
    }
    Session::new(memory, &config, Watch::new(handler))
}

/// Running.
impl<H: Handler> World<'_, H> {
    /// Runs for so much virtual time, or until nothing will ever happen again.
    ///
    /// # Errors
    ///
    /// [`Broken`].
    pub fn run_for(&mut self, length: Duration) -> Result<(), Broken> {
        let until = self.now.plus(length);
        let last = self.round.saturating_add(ROUNDS);
        while self.now < until {
            self.step()?;
            if self.round > last {
                return Err(self.broken(Broken::new(format!("no end in {ROUNDS} rounds"))));
            }
            if !self.busy {
                match self.next() {
                    Some(next) => self.now = next.min(until).max(self.now),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Faults stop, the peers end their scripts and behave from then on: then everything must come to its end in the time
    /// that the deadlines allow, with no connection and no descriptor left but the listener.
    ///
    /// # Errors
    ///
    /// [`Broken`], also if it does not.
    pub fn settle(&mut self) -> Result<(), Broken> {
        let longest = self.longest();
        self.run_for(longest)?;
        self.kernel.faults.stop();
        self.peers.iter_mut().for_each(Peer::behave);
        self.busy = true;
        self.run_for(longest)?;
        let open = self.session.machine().connections().count();
        let guests = self.echo.as_ref().map_or(0, Echo::guests);
        let sockets = self.peers.iter().filter(|peer| peer.has_socket()).count() + guests;
        if open > 0 || sockets > 0 || self.busy {
            let what =
                format!("not quiet in {longest:?}: {open} connections, {sockets} peers left");
            return Err(self.broken(Broken::new(what)));
        }
        self.check_post(true).map_err(|broken| self.broken(broken))
    }

    /// One round: some peers act, the session has an iteration, the laws are checked.
    ///
    /// # Errors
    ///
    /// [`Broken`].
    pub fn step(&mut self) -> Result<(), Broken> {
        self.round += 1;
        let all = self.all;
        let acted = self.peers_act(all) | self.post_acts(all);
        let mut told = self.now;
        if self.setup.clock_jumps && self.random.one_in(8) {
            let back = self.random.next_u64() % told.as_nanos();
            told = Instant::from_nanos(told.as_nanos() - back);
        }
        let theirs = u32::try_from(self.theirs()).unwrap_or(u32::MAX);
        let ours = self.setup.limits.descriptors;
        let (session, kernel) = (&mut self.session, &mut self.kernel);
        kernel.limits_mut().descriptors = ours.saturating_add(theirs);
        kernel.set_short_of_memory(self.short);
        let turn = self
            .driver
            .turn(session, kernel, &mut self.random, told, (acted, all));
        self.kernel.set_short_of_memory(false);
        let turn = turn.map_err(|broken| self.broken(broken))?;
        self.check().map_err(|broken| self.broken(broken))?;
        // A connect may have begun in this very iteration.
        let active = acted | turn | self.resolves();
        self.busy = active || !all;
        self.all = !active;
        self.now = self.now.plus(ROUND);
        Ok(())
    }

    fn peers_act(&mut self, all: bool) -> bool {
        let faults = core::mem::take(&mut self.kernel.faults);
        self.kernel.limits_mut().descriptors = u32::MAX;
        let mut acted = false;
        for peer in &mut self.peers {
            if all || self.random.one_in(2) {
                acted |= peer.act(&mut self.kernel, PORT, self.now);
            }
        }
        if let Some(echo) = &mut self.echo {
            acted |= echo.act(&mut self.kernel, &mut self.random, all);
        }
        self.kernel.faults = faults;
        acted
    }

    /// Descriptors that are not the session's.
    fn theirs(&self) -> usize {
        let peers = self.peers.iter().filter(|peer| peer.has_socket()).count();
        peers + self.echo.as_ref().map_or(0, Echo::holds)
    }

    /// When something will happen by itself. A wait that ends at this very time, or since the last round began, has yet
    /// to be noticed.
    fn next(&self) -> Option<Instant> {
        let round = u64::try_from(ROUND.as_nanos()).unwrap_or(0);
        let last = Instant::from_nanos(self.now.as_nanos().saturating_sub(round));
        let peers = self.peers.iter();
        let waits = peers.filter_map(|peer| peer.waits_until(last));
        waits
            .chain(self.resolved_by)
            .chain(self.session.poll_timeout())
            .min()
    }

    fn longest(&self) -> Duration {
        let lengths = tidegate_core::Class::ALL.map(|class| self.setup.config.length(class));
        let all: Duration = lengths.into_iter().flatten().sum();
        all.saturating_mul(4).saturating_add(SPARE)
    }

    fn broken(&self, broken: Broken) -> Broken {
        broken.at(self.setup.seed, self.round, self.last_inputs())
    }

    /// The laws: those that the machine can check by itself, and those that can be seen from outside.
    fn check(&mut self) -> Result<(), Broken> {
        if let Some(broken) = self.session.handler_mut().broken.take() {
            return Err(broken);
        }
        let must = |holds: bool, what: fmt::Arguments<'_>| {
            if holds {
                Ok(())
            } else {
                Err(Broken::new(format!("{what}")))
            }
        };
        let held = self.driver.held(&self.session, &self.kernel);
        check_laws(self.session.machine(), true, held.iter().copied()).map_err(Broken::new)?;
        let stats = self.session.stats();
        let (stale, expected) = (stats.stale, self.driver.stale);
        must(
            stale == expected,
            format_args!("{stale} stale events, {expected} expected"),
        )?;
        must(
            stats.unasked == 0,
            format_args!("{} answers unasked", stats.unasked),
        )?;
        let descriptors = self.kernel.descriptors().count();
        let held = self.driver.holds() + self.theirs();
        must(
            descriptors == held,
            format_args!("{descriptors} descriptors, {held} are owned"),
        )?;
        self.check_post(false)?;
        let told = &self.session.handler().told;
        self.compared.resize(told.len(), 0);
        for (told, compared) in told.iter().zip(&mut self.compared) {
            let new = told.received.get(*compared..).unwrap_or_default();
            let sent = self
                .peers
                .iter()
                .find(|peer| tidegate_core::Peer::Inet(peer.address()) == told.peer);
            let same = match (sent, &self.echo) {
                (Some(peer), _) => {
                    (peer.sent().get(*compared..)).is_some_and(|sent| sent.starts_with(new))
                }
                (None, Some(echo)) => echo.has_sent(*compared, new),
                (None, None) => false,
            };
            let token = told.token;
            must(
                same,
                format_args!("{token:?} was told other bytes than its peer sent"),
            )?;
            *compared = told.received.len();
        }
        Ok(())
    }
}
