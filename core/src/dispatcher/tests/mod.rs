//! A bench for the machine: a table, a clock, a listener, and a kernel that does what a test prescribes, and nothing by
//! itself: a script of outcomes, not a model. What must always hold is checked after every step.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test is about some actions and leaves the others alone"
)]

mod accepting;
mod closing;
mod connecting;
mod datagrams;
mod deadlines;
mod fairness;
mod full;
mod gaps;
mod held_up;
mod limits;
mod resets;
mod rounds;
mod stalls;
mod states;
mod stopping;
mod streams;
mod transfer;

use super::{Dispatcher, laws};
use crate::config::{Config, Windows};
use crate::dispatcher::Table;
use crate::event::{Event, Fault, Op, Outcome};
use crate::output::{Action, Notice, Reason};
use crate::readiness::{Directions, Trigger};
use crate::slot::{Queued, Slot};
use crate::time::Instant;
use crate::token::Token;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

const READ: Directions = Directions::READ;
const WRITE: Directions = Directions::WRITE;
const TRIGGERS: [Trigger; 3] = [Trigger::Level, Trigger::Edge, Trigger::Oneshot];

const WINDOWS: Windows = Windows {
    receive: 1024,
    send: 4096,
};

/// A try that would have blocked.
const BLOCKED: Outcome = Outcome::Drained(0);
/// EOF; of what moves no bytes: done.
const END: Outcome = Outcome::Complete(0);
const RESET: Fault = Fault::Reset(104);
const SHORTAGE: Fault = Fault::Exhausted(105);
const FAILED: Outcome = Outcome::Failed(RESET);
const NO_MEMORY: Outcome = Outcome::Failed(SHORTAGE);

/// More outputs than any test here has a reason for.
const OUTPUTS: usize = 10_000;

struct Bench {
    machine: Dispatcher<'static>,
    listener: Token,
    now: Instant,
    /// Every notice, in order.
    notices: Vec<Notice>,
    /// Notified and not closed.
    told: Vec<Token>,
    /// Issued and not completed.
    asked: Vec<(Token, Op)>,
    peers: u16,
}

impl Bench {
    /// A machine with `N` slots and one listener, which is armed.
    fn new<const N: usize>(config: &Config) -> Self {
        Self::limited::<N>(config, None)
    }

    /// The same with a limit for each source.
    fn limited<const N: usize>(config: &Config, per_source: Option<u32>) -> Self {
        let table = Box::leak(Box::new(Table::<N>::default()));
        let mut machine = Dispatcher::new(table, config, WINDOWS).expect("a sound configuration");
        let listener = machine.listen(per_source).expect("a place");
        let mut bench = Self {
            machine,
            listener,
            now: Instant::from_nanos(1_000_000_000_000),
            notices: Vec::new(),
            told: Vec::new(),
            asked: Vec::new(),
            peers: 0,
        };
        bench.run();
        bench
    }

    /// Four slots, and all else by default.
    fn with(trigger: Trigger) -> Self {
        Self::new::<4>(&Config {
            trigger,
            ..Config::default()
        })
    }

    fn level() -> Self {
        Self::with(Trigger::Level)
    }
}

/// The four verbs.
impl Bench {
    fn event(&mut self, event: Event) -> Option<Notice> {
        let notice = self.machine.handle_event(self.now, event);
        if let Some(notice) = notice {
            self.hear(notice);
        }
        laws::assert_laws(&self.machine);
        notice
    }

    /// Law 4: one `Opened`, one `Closed`, nothing after it.
    fn hear(&mut self, notice: Notice) {
        let token = match notice {
            Notice::Opened(token)
            | Notice::Readable(token)
            | Notice::Writable(token)
            | Notice::Ended(token)
            | Notice::Closed(token, _) => token,
            Notice::Datagram(_) => return self.notices.push(notice),
            Notice::Watched(..) | Notice::Timer(_) | Notice::Tick { .. } => {
                panic!("{notice:?}: nothing is watched here, and no event is a timer")
            }
        };
        let known = self.told.iter().position(|told| *told == token);
        match (notice, known) {
            (Notice::Opened(_), None) => self.told.push(token),
            (Notice::Closed(..), Some(at)) => {
                self.told.swap_remove(at);
            }
            // An outbound connection that was never opened.
            (Notice::Closed(..), None) => {}
            (_, known) => assert!(known.is_some(), "{notice:?} of one that is not open"),
        }
        self.notices.push(notice);
    }

    fn report(&mut self, token: Token, directions: Directions, closing: bool) {
        let notice = self.event(Event::Ready {
            token,
            directions,
            closing,
        });
        assert_eq!(notice, None, "a report tells the application nothing");
    }

    fn ready(&mut self, token: Token, directions: Directions) {
        self.report(token, directions, false);
    }

    fn done(&mut self, token: Token, op: Op, outcome: Outcome) -> Option<Notice> {
        if let Some(at) = self.asked.iter().position(|asked| *asked == (token, op)) {
            self.asked.swap_remove(at);
        }
        self.event(Event::Done { token, op, outcome })
    }

    fn turn(&mut self) {
        self.machine.handle_timeout(self.now);
        laws::assert_laws(&self.machine);
    }

    /// The clock moves on, and an iteration begins.
    fn later(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        self.turn();
    }

    fn poll(&mut self) -> Option<Action> {
        let action = self.machine.poll_output();
        laws::assert_laws(&self.machine);
        if let Some(asked) = action.as_ref().and_then(asks) {
            // Laws 1 and 3.
            assert!(!self.asked.contains(&asked), "{asked:?} asked twice");
            self.asked.push(asked);
        }
        action
    }
}

/// Whole iterations.
impl Bench {
    /// The outputs of an iteration in which nothing completes.
    fn outputs(&mut self) -> Vec<Action> {
        self.turn();
        let mut all = Vec::new();
        while let Some(action) = self.poll() {
            all.push(action);
            assert!(all.len() < OUTPUTS, "outputs without end");
        }
        all
    }

    /// Iterations with a kernel in which nothing happens, until there is nothing left to do.
    fn run(&mut self) -> Vec<Action> {
        self.run_with(|_| None)
    }

    /// The same with a kernel that does what `answer` returns, and nothing where that is `None`.
    fn run_with(&mut self, mut answer: impl FnMut(&Action) -> Option<Outcome>) -> Vec<Action> {
        let mut all = Vec::new();
        for _ in 0..OUTPUTS {
            all.extend(self.one_turn(&mut answer));
            if !self.machine.has_work() {
                return all;
            }
        }
        panic!("work without end");
    }

    fn one_turn(&mut self, mut answer: impl FnMut(&Action) -> Option<Outcome>) -> Vec<Action> {
        let mut all = Vec::new();
        self.turn();
        while let Some(action) = self.poll() {
            all.push(action);
            if let Some((token, op)) = asks(&action) {
                let outcome = answer(&action).unwrap_or_else(|| quiet(&action));
                self.done(token, op, outcome);
            }
            assert!(all.len() < OUTPUTS, "outputs without end");
        }
        all
    }

    /// The same in a kernel where every receive of this connection completes with the next of `outcomes`, and then
    /// would block; and so its sends with `sends`, after which they are taken whole.
    fn script(&mut self, token: Token, receives: &[Outcome], sends: &[Outcome]) -> Vec<Action> {
        let (mut receives, mut sends) = (receives.iter().copied(), sends.iter().copied());
        self.run_with(|action| match action {
            Action::Recv { token: of, .. } if *of == token => receives.next(),
            Action::Send { token: of, .. } if *of == token => sends.next(),
            _ => None,
        })
    }

    /// Completes what is in flight as a kernel in which nothing happens.
    fn answer_all(&mut self) {
        while let Some((token, op)) = self.asked.pop() {
            let outcome = match op {
                Op::Accept | Op::Connect | Op::Recv | Op::Send | Op::ReceiveFrom => BLOCKED,
                _ => END,
            };
            self.done(token, op, outcome);
        }
    }
}

/// Connections in the states that tests begin with.
impl Bench {
    /// Another address each time.
    fn address(&mut self) -> SocketAddr {
        self.peers += 1;
        let [high, low] = self.peers.to_be_bytes();
        SocketAddr::new(Ipv4Addr::new(10, 0, high, low).into(), 50_000)
    }

    /// Just accepted: nothing has been tried yet.
    fn open(&mut self) -> Token {
        let address = self.address();
        self.open_from(Some(address))
    }

    fn open_from(&mut self, address: Option<SocketAddr>) -> Token {
        let token = self.reserve();
        let notice = self.done(token, Op::Accept, Outcome::Accepted(address));
        assert_eq!(notice, Some(Notice::Opened(token)));
        token
    }

    /// An accept is in flight for this token.
    fn reserve(&mut self) -> Token {
        self.try_reserve(self.listener).expect("an accept")
    }

    fn try_reserve(&mut self, from: Token) -> Option<Token> {
        self.ready(from, READ);
        self.turn();
        while let Some(action) = self.poll() {
            match action {
                Action::Accept { listener, token } if listener == from => return Some(token),
                _ => {
                    if let Some((token, op)) = asks(&action) {
                        self.done(token, op, quiet(&action));
                    }
                }
            }
        }
        None
    }

    /// Accepted, and its first receive would have blocked.
    fn rest(&mut self) -> Token {
        let token = self.open();
        self.run();
        token
    }

    /// Has sent a byte, which was consumed.
    fn spoken(&mut self) -> Token {
        let token = self.rest();
        self.hears(token, 1);
        self.machine.consume(token, 1);
        self.run();
        token
    }

    /// `n` bytes arrive and lie in the window.
    fn hears(&mut self, token: Token, n: u32) {
        self.ready(token, READ);
        let outcome = Outcome::Drained(n);
        self.script(token, &[outcome], &[]);
        assert_eq!(self.notices.last(), Some(&Notice::Readable(token)));
    }

    /// `n` bytes wait for a peer that does not read.
    fn stalled(&mut self, token: Token, n: u32) {
        self.machine.commit(token, n);
        self.script(token, &[], &[BLOCKED]);
    }

    fn slot(&self, token: Token) -> &Slot {
        self.machine.slots.at(token.slot())
    }

    fn closed(&self, token: Token) -> Option<Reason> {
        self.notices.iter().find_map(|notice| match notice {
            Notice::Closed(of, reason) if *of == token => Some(*reason),
            _ => None,
        })
    }
}

/// What has to complete, and by which completion.
fn asks(action: &Action) -> Option<(Token, Op)> {
    match *action {
        Action::Accept { token, .. } => Some((token, Op::Accept)),
        Action::Refuse { listener } => Some((listener, Op::Refuse)),
        Action::Connect { token } => Some((token, Op::Connect)),
        Action::Recv { token, .. } => Some((token, Op::Recv)),
        Action::Send { token, .. } => Some((token, Op::Send)),
        Action::Shutdown { token } => Some((token, Op::Shutdown)),
        Action::Unsent { token } => Some((token, Op::Unsent)),
        Action::ReceiveFrom { token } => Some((token, Op::ReceiveFrom)),
        Action::SendTo { token } => Some((token, Op::SendTo)),
        Action::Close { token, .. } => Some((token, Op::Close)),
        Action::Arm { .. } | Action::Cancel { .. } | Action::Rebuild => None,
    }
}

/// The completion of a kernel in which nothing happens: no connection comes, nothing is there to receive, all can be
/// sent.
fn quiet(action: &Action) -> Outcome {
    match action {
        Action::Accept { .. }
        | Action::Connect { .. }
        | Action::Recv { .. }
        | Action::ReceiveFrom { .. } => BLOCKED,
        Action::Send { from, .. } => Outcome::Complete(from.len),
        _ => END,
    }
}

/// The name of an action, for tables.
fn kind(action: &Action) -> &'static str {
    match action {
        Action::Accept { .. } => "accept",
        Action::Refuse { .. } => "refuse",
        Action::Connect { .. } => "connect",
        Action::Recv { .. } => "recv",
        Action::Send { .. } => "send",
        Action::Arm { was, now, .. } => match (was.is_empty(), now.is_empty()) {
            (true, _) => "add",
            (false, false) => "mod",
            (false, true) => "del",
        },
        Action::Shutdown { .. } => "shutdown",
        Action::Unsent { .. } => "unsent",
        Action::ReceiveFrom { .. } => "receive from",
        Action::SendTo { .. } => "send to",
        Action::Cancel { .. } => "cancel",
        Action::Close { reset: false, .. } => "close",
        Action::Close { reset: true, .. } => "reset",
        Action::Rebuild => "rebuild",
    }
}

fn kinds(actions: &[Action]) -> Vec<&'static str> {
    actions.iter().map(kind).collect()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, n: u32) -> u32 {
        u32::try_from(self.next() % u64::from(n)).expect("below a u32")
    }
}
