//! [`Library`]: the library's own [`Session`], driven over the same kernels. Nothing here decides anything: readiness
//! events go in, actions come out and become calls, completions go in.
//!
//! So that its steps stand beside those of the program, it polls the kernel where the program waits, and services a
//! source where the program gets to that source, or before it polls again. Beside a program that tries without waiting,
//! it polls where the program tries.

use super::run::{Log, Player, Verdict};
use super::script::{Act, CLIENTS, Script, Verb};
use super::system::{SysResult, System};
use super::watch::{Watch, Way};
use super::world::{World, shown};
use alloc::collections::{BTreeMap, VecDeque};
use core::net::{Ipv4Addr, SocketAddr};
use tidegate::{Config, Conn, Directions, Handler, Instant, Reason, Session, Token, Trigger};
use tidegate_core::errno;
use tidegate_core::{Action, Completion, Event, Fault, Memory, Op, Outcome, Span};
use tidegate_sim::{EpollFlags, Errno, Fd, Report};

/// Time does not pass in a lesson: no deadline does.
const NOW: Instant = Instant::from_nanos(1_000_000_000);
/// Actions of one round: far more than there are.
const ACTIONS: usize = 10_000;
/// Rounds that it takes to connect all clients.
const ROUNDS: usize = 100;
/// Bytes of the receive window, unless the program reads no more than [`SMALL`] at a time: then its buffer is as small.
const WINDOW: usize = 4096;
const SMALL: usize = 5;
/// Nothing is sent.
const SENDING: usize = 64;

/// Makes a library for a script, has it played, and returns the result.
pub(crate) fn with<S: System, R>(
    world: World<S>,
    script: &Script,
    way: Way,
    play: impl FnOnce(&mut Library<'_, S>) -> SysResult<R>,
) -> SysResult<R> {
    if script.piece() == Some(SMALL) {
        let mut memory = Box::new(Memory::<CLIENTS, SMALL, SENDING>::new());
        play(&mut Library::new(world, script, way, &mut memory)?)
    } else {
        let mut memory = Box::new(Memory::<CLIENTS, WINDOW, SENDING>::new());
        play(&mut Library::new(world, script, way, &mut memory)?)
    }
}

/// The handler: takes all that comes, and remembers it.
#[derive(Debug)]
struct Taker {
    clients: BTreeMap<Token, usize>,
    taken: Vec<Vec<u8>>,
    said: Vec<String>,
}

impl Handler for Taker {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let client = self.clients.get(&conn.token());
        if let Some(taken) = client.and_then(|client| self.taken.get_mut(*client)) {
            taken.extend_from_slice(conn.data());
        }
        conn.consume(conn.data().len());
    }

    fn closed(&mut self, conn: &mut Conn<'_>, (): &mut (), reason: Reason) {
        if let Some(client) = self.clients.get(&conn.token()) {
            self.said.push(format!("{} closed: {reason}", client + 1));
        }
    }
}

pub(crate) struct Library<'m, S> {
    session: Session<'m, Taker>,
    world: World<S>,
    watch: Watch,
    sockets: BTreeMap<Token, Fd>,
    /// Reported and not served yet.
    held: VecDeque<Report>,
    /// Something was serviced since the last poll.
    at_work: bool,
    /// The program has waited for readiness. Until it does, the library polls where the program tries.
    waited: bool,
}

impl<'m, S: System> Library<'m, S> {
    /// A session that listens, with every client connected that does not do so in a step.
    fn new<const RX: usize>(
        mut world: World<S>,
        script: &Script,
        way: Way,
        memory: &'m mut Memory<CLIENTS, RX, SENDING>,
    ) -> SysResult<Self> {
        let config = Config {
            trigger: way.trigger(),
            ..Config::default()
        };
        let taker = Taker {
            clients: BTreeMap::new(),
            taken: vec![Vec::new(); script.clients],
            said: Vec::new(),
        };
        let mut session = Session::new(memory, &config, taker).map_err(|_| Errno::INVAL)?;
        let listener = session.listen(None).map_err(|_| Errno::NOSPC)?;
        let mut library = Self {
            session,
            watch: Watch::new(way.of_library(), &mut world.system)?,
            sockets: BTreeMap::from([(listener, world.system.listener())]),
            world,
            held: VecDeque::new(),
            at_work: true,
            waited: false,
        };
        for client in (0..script.clients).filter(|client| !script.connects(*client)) {
            library.world.act(client, Act::Connect)?;
        }
        for _ in 0..ROUNDS {
            let mut log = Log::default();
            library.go_on(&mut log)?;
            if library.held.is_empty() && !library.at_work {
                return Ok(library);
            }
        }
        Err(Errno::TIMEDOUT)
    }

    /// Has all outputs performed.
    fn pump(&mut self, log: &mut Log) -> SysResult<()> {
        self.session.handle_timeout(NOW);
        for _ in 0..ACTIONS {
            let Some(action) = self.session.poll_output(None) else {
                return Ok(());
            };
            self.perform(action, log)?;
            let said = self.session.handler_mut().said.drain(..);
            said.for_each(|said| log.say(said));
        }
        Err(Errno::TIMEDOUT)
    }

    /// Serves what was reported of a source, or of all.
    fn serve(&mut self, only: Option<Subject>, log: &mut Log) -> SysResult<()> {
        for report in core::mem::take(&mut self.held) {
            let token = Token::from_bits(report.data);
            if only.is_some_and(|only| only != self.subject(token)) {
                self.held.push_back(report);
                continue;
            }
            self.at_work = true;
            let flags = report.flags;
            let closing = EpollFlags::RDHUP | EpollFlags::HUP | EpollFlags::ERR | EpollFlags::PRI;
            let input = flags.intersects(EpollFlags::IN | EpollFlags::PRI);
            let stale = self.session.stats().stale;
            let event = Event::Ready {
                token,
                directions: Directions::READ.when(input)
                    | Directions::WRITE.when(flags.contains(EpollFlags::OUT)),
                closing: flags.intersects(closing),
            };
            self.session.handle_event(NOW, event);
            if self.session.stats().stale > stale {
                log.say("a stale report: dropped, and counted".into());
            }
            self.pump(log)?;
        }
        Ok(())
    }

    fn poll(&mut self, log: &mut Log) -> SysResult<()> {
        self.serve(None, log)?;
        self.pump(log)?;
        let reports = self.watch.poll(&mut self.world.system)?;
        let name = |data| match self.subject(Token::from_bits(data)) {
            Subject::Client(client) => (client + 1).to_string(),
            Subject::Listener => "listener".to_owned(),
        };
        log.reported(self.watch.cost(), &reports, name);
        self.held.extend(reports);
        Ok(())
    }

    /// The source that a token names or named.
    fn subject(&self, token: Token) -> Subject {
        let client = self.session.handler().clients.get(&token);
        client.map_or(Subject::Listener, |client| Subject::Client(*client))
    }

    fn name(&self, token: Token) -> String {
        match self.subject(token) {
            Subject::Client(client) => (client + 1).to_string(),
            Subject::Listener => "listener".to_owned(),
        }
    }

    fn socket(&self, token: Token) -> SysResult<Fd> {
        self.sockets.get(&token).copied().ok_or(Errno::BADF)
    }

    fn perform(&mut self, action: Action, log: &mut Log) -> SysResult<()> {
        let (token, op, outcome) = match action {
            Action::Accept { token, .. } => {
                let accepted = self.accept(token);
                let text = match &accepted {
                    Ok(client) => format!("client {}", client + 1),
                    Err(errno) => shown(&Err(*errno)),
                };
                log.say(format!("accept: {text}"));
                // The same address on both kernels; any of TCP will do, where a short receive counts as the last one.
                let address = |client| SocketAddr::from((Ipv4Addr::LOCALHOST, port(client)));
                let outcome = accepted.map(|client| Outcome::Accepted(Some(address(client))));
                (token, Op::Accept, outcome.unwrap_or_else(errno::accept))
            }
            Action::Recv { token, into } => {
                let outcome = self.receive(token, into, log)?;
                (token, Op::Recv, outcome)
            }
            Action::Send { token, from } => {
                let bytes = self.session.send_from(token, from);
                let sent = self.world.system.send(self.socket(token)?, bytes);
                let outcome = sent.map(|n| Completion::of_send(Ok(count(n)), from.len).into());
                (token, Op::Send, outcome.unwrap_or_else(errno::transfer))
            }
            Action::Arm {
                token,
                was,
                now,
                trigger,
            } => {
                if !was.is_empty() && !now.is_empty() {
                    log.say(format!("arm {}", self.name(token)));
                }
                match self.arm(token, now, trigger) {
                    Ok(()) => return Ok(()),
                    Err(errno) => (token, Op::Arm, errno::arm(errno)),
                }
            }
            Action::Shutdown { token } => {
                let done = self.world.system.finish(self.socket(token)?);
                let outcome = done.map(|()| Outcome::Complete(0));
                (token, Op::Shutdown, outcome.unwrap_or_else(errno::transfer))
            }
            Action::Close { token, reset } => {
                let socket = self.socket(token)?;
                self.sockets.remove(&token);
                let done = self.world.close(socket, reset);
                let outcome = done.map(|()| Outcome::Complete(0));
                (token, Op::Close, outcome.unwrap_or_else(errno::transfer))
            }
            // None of this occurs here: there are no outbound connections and no datagrams, time stands still, and the
            // table does not fill. It is completed all the same.
            Action::Refuse { listener } => (listener, Op::Refuse, NOT_HERE),
            Action::Connect { token } => (token, Op::Connect, NOT_HERE),
            Action::ReceiveFrom { token } => (token, Op::ReceiveFrom, NOT_HERE),
            Action::SendTo { token } => (token, Op::SendTo, NOT_HERE),
            Action::Unsent { token } => (token, Op::Unsent, NOT_HERE),
            Action::Cancel { .. } | Action::Rebuild => return Ok(()),
        };
        self.session
            .handle_event(NOW, Event::Done { token, op, outcome });
        Ok(())
    }

    fn receive(&mut self, token: Token, into: Span, log: &mut Log) -> SysResult<Outcome> {
        let received = self.world.receive(self.socket(token)?, into.len as usize);
        log.say(format!("recv {}: {}", into.len, shown(&received)));
        Ok(match received {
            Ok(bytes) => {
                let space = self.session.receive_into(token, into);
                let both = space.iter_mut().zip(&bytes);
                both.for_each(|(to, from)| *to = *from);
                Completion::of_receive(Ok(count(bytes.len())), into.len).into()
            }
            Err(errno) => errno::transfer(errno),
        })
    }

    fn accept(&mut self, token: Token) -> SysResult<usize> {
        let client = self.world.accept()?;
        let socket = self.world.number(client).ok_or(Errno::BADF)?;
        self.sockets.insert(token, socket);
        self.session.handler_mut().clients.insert(token, client);
        Ok(client)
    }

    fn arm(&mut self, token: Token, now: Directions, trigger: Trigger) -> SysResult<()> {
        let socket = self.socket(token)?;
        let system = &mut self.world.system;
        if now.is_empty() {
            return self.watch.take(system, socket);
        }
        self.watch
            .put(system, socket, interest(now, trigger), token.to_bits())
    }
}

/// What a readiness event is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Subject {
    Client(usize),
    Listener,
}

impl<S: System> Player for Library<'_, S> {
    type System = S;

    fn world(&mut self) -> &mut World<S> {
        &mut self.world
    }

    fn server(&mut self, verb: Verb, log: &mut Log) -> SysResult<()> {
        match verb {
            Verb::Wait => {
                self.waited = true;
                self.poll(log)
            }
            Verb::Serve(_) => {
                self.waited = true;
                self.go_on(log)
            }
            Verb::Read { .. } | Verb::Drain { .. } | Verb::Accept if !self.waited => {
                self.go_on(log)
            }
            Verb::Read { from, .. } | Verb::Drain { from, .. } => {
                self.serve(Some(Subject::Client(from)), log)
            }
            Verb::Accept => self.serve(Some(Subject::Listener), log),
            // It sees to that itself.
            Verb::Arm(_) => Ok(()),
            Verb::Close(client) => {
                let mut clients = self.session.handler().clients.iter();
                let token = clients
                    .find(|(_, of)| **of == client)
                    .map(|(token, _)| *token);
                if let Some(token) = token {
                    self.session.connections(NOW).abort(token);
                }
                self.pump(log)
            }
        }
    }

    fn happened(&mut self, _turned: &mut Log) -> SysResult<()> {
        Ok(())
    }

    fn go_on(&mut self, log: &mut Log) -> SysResult<()> {
        self.at_work = self.session.machine().has_work();
        self.poll(log)?;
        self.serve(None, log)
    }

    fn acts_by_itself(&self) -> bool {
        true
    }

    fn failure(&self) -> Option<Verdict> {
        let mut taken = self.session.handler().taken.iter().enumerate();
        let own = taken.all(|(client, bytes)| self.world.has_said(client, bytes));
        (!own).then_some(Verdict::Mixes)
    }
}

/// What is registered for these directions, as the library's driver does for epoll.
fn interest(directions: Directions, trigger: Trigger) -> EpollFlags {
    let read = directions.contains(Directions::READ);
    let flags = (EpollFlags::IN | EpollFlags::RDHUP).when(read)
        | EpollFlags::OUT.when(directions.contains(Directions::WRITE));
    match trigger {
        Trigger::Level => flags,
        Trigger::Edge => flags | EpollFlags::ET | EpollFlags::RDHUP | EpollFlags::PRI,
        Trigger::Oneshot => flags | EpollFlags::ONESHOT,
    }
}

/// A port for each client.
fn port(client: usize) -> u16 {
    u16::try_from(client).unwrap_or(0).saturating_add(1024)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

const NOT_HERE: Outcome = Outcome::Failed(Fault::Invalid(0));
