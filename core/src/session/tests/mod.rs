//! A session against a small world of peers: what each sends, what it reads, and whether it has finished. Not a kernel: no
//! readiness is kept, each test says what is ready. (`tidegate-sim` is built on the crate as others see it; here its types
//! would be those of another one.)

mod asks;
mod capacities;
mod connecting;
mod datagrams;
mod framing;
mod handlers;
mod one_path;
mod order;
mod others;
mod recorder;
mod timers;
mod uses;
mod windows;

use super::*;
use crate::config::FullTable;
use crate::dispatcher::calls::Info;
use crate::dispatcher::laws;
use crate::event::{Op, Outcome, Peer};
use crate::output::Reason;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

const RX: usize = 16;
const TX: usize = 32;

type Call = fn(&mut App, &mut Conn<'_>, &mut u32);

/// A handler of four functions, and its notices.
struct App {
    opened: Call,
    readable: Call,
    writable: Call,
    ended: Call,
    closed: Call,
    timer: Call,
    tick: fn(&mut App, &mut Connections<'_>, u32),
    log: Vec<String>,
    /// The free timers that fired, and how many periods each time.
    ticks: Vec<(u32, u64)>,
    infos: Vec<(Info, Reason)>,
    /// The receiver.
    other: Option<Token>,
}

impl App {
    fn echo() -> Self {
        Self {
            opened: |_, _, _| {},
            readable: |_, conn, _| echo(conn),
            writable: |app, conn, state| (app.readable)(app, conn, state),
            ended: |_, conn, _| conn.finish(),
            closed: |_, _, _| {},
            timer: |_, _, _| {},
            tick: |_, _, _| {},
            log: Vec::new(),
            ticks: Vec::new(),
            infos: Vec::new(),
            other: None,
        }
    }

    /// Uses nothing of what it gets.
    fn deaf() -> Self {
        Self {
            readable: |_, _, _| {},
            ..Self::echo()
        }
    }

    fn note(&mut self, what: &str) {
        self.log.push(what.into());
    }

    fn count(&self, what: &str) -> usize {
        self.log.iter().filter(|said| *said == what).count()
    }
}

fn echo(conn: &mut Conn<'_>) {
    let data = conn.data();
    let n = data.len().min(conn.capacity());
    if conn.send(&data[..n]).is_ok() {
        conn.consume(n);
    }
}

impl Handler for App {
    type State = u32;

    fn opened(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        self.note("opened");
        (self.opened)(self, conn, state);
    }

    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        assert!(!conn.data().is_empty(), "readable without data");
        self.note("readable");
        (self.readable)(self, conn, state);
    }

    fn writable(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        self.note("writable");
        (self.writable)(self, conn, state);
    }

    fn ended(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        self.note("ended");
        (self.ended)(self, conn, state);
    }

    fn timer(&mut self, conn: &mut Conn<'_>, state: &mut u32) {
        self.note("timer");
        (self.timer)(self, conn, state);
    }

    fn tick(&mut self, all: &mut Connections<'_>, timer: u32, periods: u64) {
        self.ticks.push((timer, periods));
        (self.tick)(self, all, timer);
    }

    fn closed(&mut self, conn: &mut Conn<'_>, state: &mut u32, reason: Reason) {
        self.note("closed");
        self.infos.push((conn.info(), reason));
        (self.closed)(self, conn, state);
    }
}

/// The other end of a connection.
#[derive(Default)]
struct Far {
    token: Option<Token>,
    /// What it sent and we have not received.
    says: Vec<u8>,
    finished: bool,
    /// What it got.
    heard: Vec<u8>,
    /// Bytes that it will still take.
    takes: usize,
    /// How much one operation moves at most.
    chunk: usize,
    got_end: bool,
    gone: bool,
}

struct World {
    session: Session<'static, App>,
    listener: Token,
    now: Instant,
    /// Every peer that ever connected, by the index of the slot last.
    fars: Vec<Far>,
    waiting: usize,
    /// The result of connecting.
    connects: Outcome,
}

impl World {
    fn new<const N: usize>(app: App) -> Self {
        Self::with_config::<N>(app, &Config::default())
    }

    fn with_config<const N: usize>(app: App, config: &Config) -> Self {
        let memory = Box::leak(Box::new(Memory::<N, RX, TX, u32>::new()));
        let mut session = Session::new(memory, config, app).expect("a sound configuration");
        let listener = session.listen(None).expect("a place");
        let now = Instant::from_nanos(1 << 40);
        let mut world = Self {
            session,
            listener,
            now,
            fars: Vec::new(),
            waiting: 0,
            connects: Outcome::Complete(0),
        };
        world.run();
        world
    }

    fn app(&mut self) -> &mut App {
        self.session.handler_mut()
    }

    /// A peer connects; the name is an index in `fars`.
    fn connect(&mut self) -> usize {
        self.waiting += 1;
        self.ready(self.listener, Directions::READ);
        self.run();
        assert_eq!(self.waiting, 0, "accepted");
        self.fars.len() - 1
    }

    fn token(&self, who: usize) -> Token {
        self.fars[who].token.expect("accepted")
    }

    fn says(&mut self, who: usize, bytes: &[u8]) {
        self.fars[who].says.extend_from_slice(bytes);
        let token = self.token(who);
        self.ready(token, Directions::READ);
        self.run();
    }

    fn finishes(&mut self, who: usize) {
        self.fars[who].finished = true;
        let token = self.token(who);
        self.event(Event::Ready {
            token,
            directions: Directions::READ,
            closing: true,
        });
        self.run();
    }

    /// It takes so many more bytes.
    fn takes(&mut self, who: usize, n: usize) {
        self.fars[who].takes = self.fars[who].takes.saturating_add(n);
        let token = self.token(who);
        self.ready(token, Directions::WRITE);
        self.run();
    }

    fn with<R>(
        &mut self,
        who: usize,
        visit: impl FnOnce(&mut App, &mut Conn<'_>, &mut u32) -> R,
    ) -> Option<R> {
        let answer = self.session.with(self.token(who), visit);
        laws::assert_laws(self.session.machine());
        answer
    }

    fn ready(&mut self, token: Token, directions: Directions) {
        self.event(Event::Ready {
            token,
            directions,
            closing: false,
        });
    }

    fn event(&mut self, event: Event) {
        self.session.handle_event(self.now, event);
        laws::assert_laws(self.session.machine());
    }

    /// Iterations until there is nothing to do, each action completed at once.
    fn run(&mut self) {
        for _ in 0..1000 {
            self.session.handle_timeout(self.now);
            while let Some(action) = self.session.poll_output(None) {
                if let Some(done) = self.carry_out(action) {
                    self.event(done);
                }
            }
            if self.session.poll_timeout() != Some(self.now) {
                return;
            }
        }
        panic!("work without end");
    }

    fn later(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        self.run();
    }

    /// Performs an action, and passes its completion.
    fn carry_out(&mut self, action: Action) -> Option<Event> {
        let (token, op, outcome) = match action {
            Action::Accept { token, .. } => (token, Op::Accept, self.accept(token)),
            Action::Refuse { listener } => (listener, Op::Refuse, Outcome::Drained(0)),
            Action::Connect { token } => (token, Op::Connect, self.outbound(token)),
            Action::Recv { token, into } => (token, Op::Recv, self.receive(token, into)),
            Action::Send { token, from } => (token, Op::Send, self.send(token, from)),
            Action::Shutdown { token } => {
                self.far(token).got_end = true;
                (token, Op::Shutdown, Outcome::Complete(0))
            }
            Action::Unsent { token } => (token, Op::Unsent, Outcome::Complete(0)),
            Action::Close { token, .. } => {
                // One that was not connected has no other end.
                if let Some(far) = self.fars.iter_mut().find(|far| far.token == Some(token)) {
                    far.gone = true;
                }
                (token, Op::Close, Outcome::Complete(0))
            }
            Action::ReceiveFrom { .. } | Action::SendTo { .. } => panic!("no such sockets here"),
            Action::Arm { .. } | Action::Cancel { .. } | Action::Rebuild => return None,
        };
        Some(Event::Done { token, op, outcome })
    }

    fn far(&mut self, token: Token) -> &mut Far {
        let found = self.fars.iter_mut().find(|far| far.token == Some(token));
        found.expect("one who connected")
    }

    fn accept(&mut self, token: Token) -> Outcome {
        if self.waiting == 0 {
            return Outcome::Drained(0);
        }
        self.waiting -= 1;
        self.fars.push(Far {
            token: Some(token),
            takes: usize::MAX,
            chunk: usize::MAX,
            ..Far::default()
        });
        Outcome::Accepted(Some(address(self.fars.len())))
    }

    fn outbound(&mut self, token: Token) -> Outcome {
        assert!(self.session.destination(token).is_some(), "where to?");
        if let Outcome::Complete(_) = self.connects {
            self.waiting = 1;
            self.accept(token);
        }
        self.connects
    }

    fn receive(&mut self, token: Token, into: Span) -> Outcome {
        let far = self.far(token);
        let n = far.says.len().min(far.chunk).min(into.len as usize);
        let bytes: Vec<u8> = far.says.drain(..n).collect();
        let (finished, more) = (far.finished, !far.says.is_empty());
        let space = self.session.receive_into(token, into);
        assert_eq!(space.len(), into.len as usize, "a span lies in its window");
        space[..n].copy_from_slice(&bytes);
        match u32::try_from(n).expect("small") {
            0 if finished => Outcome::Complete(0),
            n if more || n == into.len => Outcome::Complete(n),
            n => Outcome::Drained(n),
        }
    }

    fn send(&mut self, token: Token, from: Span) -> Outcome {
        let bytes = self.session.send_from(token, from).to_vec();
        assert_eq!(bytes.len(), from.len as usize, "a span lies in its window");
        let far = self.far(token);
        let n = bytes.len().min(far.takes).min(far.chunk);
        far.takes -= n;
        far.heard.extend_from_slice(&bytes[..n]);
        let moved = u32::try_from(n).expect("small");
        if far.takes > 0 {
            Outcome::Complete(moved)
        } else {
            Outcome::Drained(moved)
        }
    }
}

fn address(who: usize) -> SocketAddr {
    let port = u16::try_from(1000 + who).expect("few");
    SocketAddr::from(([10, 0, 0, 1], port))
}
