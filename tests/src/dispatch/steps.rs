//! What one step is: one byte, modulo the number of choices, and its arguments of one byte each.

use super::connection::{Connection, Stage};
use super::drive::{Drive, asked};
use super::input::WINDOWS;
use super::model::Model;
use super::world::World;
use tidegate_core::{Action, Directions, Event, Op, Outcome, Span, Token};

impl<W: World> Drive<'_, W> {
    fn byte(&self) -> u8 {
        self.shared.borrow_mut().input.byte()
    }

    fn below(&self, n: u32) -> u32 {
        self.shared.borrow_mut().input.below(n)
    }

    fn index(&self, len: usize) -> usize {
        self.shared.borrow_mut().input.index(len)
    }

    /// One step of the input.
    pub(super) fn step(&mut self) {
        match self.byte() {
            254.. => self.act_on_watches(),
            252.. => self.act_on_free_timers(),
            248.. => self.act_on_datagrams(),
            byte => self.step_of(byte % 18),
        }
    }

    fn step_of(&mut self, what: u8) {
        match what {
            0 => self.turn(),
            1 => {
                self.pull(false);
            }
            2 => {
                self.pull(true);
            }
            3 => {
                self.wait(8);
            }
            4 | 5 => self.peer(),
            6 => self.begin_turn(),
            7 => {
                let nanos = u64::from(self.byte()) * self.plan.unit;
                self.forward(nanos, false);
            }
            8 => {
                let nanos = u64::from(self.byte()) * self.plan.unit * 16;
                self.forward(nanos, true);
            }
            9 => self.jump(),
            10 => self.answer_one(true),
            11 => self.answer_one(false),
            12 => self.hostile_pull(),
            13 => self.hostile_done(),
            14 => self.hostile_ready(),
            15 | 16 => self.application(),
            _ => self.rare(),
        }
    }

    /// A regular iteration.
    fn turn(&mut self) {
        self.wait(8);
        self.begin_turn();
        self.drain();
    }

    fn peer(&mut self) {
        let (what, amount) = (self.below(8), self.byte());
        let nth = usize::from(amount >> 5);
        let some = u32::from(amount & 31);
        if what < 2 {
            let source = u32::from(amount) % super::input::SOURCES;
            return self.kernel.connect(usize::from(amount >> 7), source);
        }
        let Some(socket) = self.kernel.peer(nth) else {
            return;
        };
        match what {
            2..=4 => socket.state.arrive(some),
            5 => socket.state.read(some),
            6 => {
                socket.state.arrive(some);
                socket.state.end();
            }
            _ => socket.state.reset(),
        }
    }

    /// To the time at which the machine wants to be called.
    fn jump(&mut self) {
        if let Some(due) = self.core().poll_timeout() {
            self.now = self.now.max(due);
        }
        self.begin_turn();
        self.drain();
    }

    fn answer_one(&mut self, honest: bool) {
        if self.pending.is_empty() {
            return;
        }
        let action = self.pending.remove(self.index(self.pending.len()));
        let outcome = if honest {
            self.honest(action)
        } else {
            Some(self.invent(action))
        };
        match outcome {
            Some(outcome) => self.answer(action, outcome),
            None => self.pending.push(action),
        }
    }

    /// Any completion; for a transfer, around its length.
    fn invent(&self, action: Action) -> Outcome {
        let len = match action {
            Action::Recv { into, .. } => into.len,
            Action::Send { from, .. } => from.len,
            Action::Unsent { .. } => 20,
            Action::ReceiveFrom { .. } | Action::SendTo { .. } => {
                return self.shared.borrow_mut().input.datagram();
            }
            Action::Accept { .. }
            | Action::Refuse { .. }
            | Action::Connect { .. }
            | Action::Arm { .. }
            | Action::Shutdown { .. }
            | Action::Cancel { .. }
            | Action::Close { .. }
            | Action::Rebuild => 1,
        };
        self.shared.borrow_mut().input.outcome(len)
    }

    /// Performs the next output in any way.
    fn hostile_pull(&mut self) {
        let Some(action) = self.poll() else { return };
        if let Action::Arm { token, now, .. } = action {
            if !now.is_empty() && self.byte() & 1 == 1 {
                let fault = self.shared.borrow_mut().input.fault(28);
                self.arm_fails(token, fault);
            }
        } else if asked(action).is_some() {
            let outcome = self.invent(action);
            self.answer(action, outcome);
        }
    }

    /// A completion of anything, requested or not; twice, if it was.
    fn hostile_done(&mut self) {
        let token = self.any_token();
        let which = self.byte();
        let ops = [
            Op::Recv,
            Op::Send,
            Op::Accept,
            Op::Refuse,
            Op::Shutdown,
            Op::Unsent,
            Op::Close,
            Op::Cancel,
            Op::Arm,
        ];
        let op = if which >= 240 {
            Op::Connect
        } else if which >= 228 {
            [Op::ReceiveFrom, Op::SendTo][usize::from(which & 1)]
        } else {
            ops[usize::from(which) % ops.len()]
        };
        let outcome = self.shared.borrow_mut().input.outcome(8);
        let found = self
            .pending
            .iter()
            .position(|action| asked(*action) == Some((token, op)));
        if let Some(position) = found {
            let action = self.pending.remove(position);
            let outcome = self.invent(action);
            self.answer(action, outcome);
        }
        let failed = matches!(outcome, Outcome::Failed(_));
        let event = Event::Done { token, op, outcome };
        match op {
            // A failure of what needs no completion is a completion, for a source that lives.
            Op::Cancel if failed && self.is_live(token) => self.event(event),
            Op::Arm if failed && self.may_be_armed(token) => {
                if let (Outcome::Failed(fault), true) = (outcome, self.is_armed(token)) {
                    self.arm_fails(token, fault);
                }
            }
            Op::Accept
            | Op::Refuse
            | Op::Connect
            | Op::Recv
            | Op::Send
            | Op::Arm
            | Op::Shutdown
            | Op::Unsent
            | Op::ReceiveFrom
            | Op::SendTo
            | Op::Cancel
            | Op::Close => self.nothing_comes_of(event),
        }
    }

    fn is_live(&self, token: Token) -> bool {
        let model = self.model();
        let listens = model
            .listeners
            .get(&token)
            .is_some_and(|listener| !listener.gone);
        listens || model.live().any(|(live, _)| live == token)
    }

    /// Whether arming it may have failed: what is reserved was never armed.
    fn may_be_armed(&self, token: Token) -> bool {
        let reserved = |model: &Model| {
            let connection = model.connections.get(&token);
            connection.is_some_and(|connection| connection.stage == Stage::Reserved)
        };
        self.is_live(token) && !reserved(&self.model())
    }

    fn is_armed(&self, token: Token) -> bool {
        self.core().armed().any(|(armed, ..)| armed == token)
    }

    fn hostile_ready(&mut self) {
        let token = self.any_token();
        let what = self.byte();
        let directions =
            Directions::READ.when(what & 1 == 1) | Directions::WRITE.when(what & 2 == 2);
        let event = Event::Ready {
            token,
            directions,
            closing: what & 4 == 4,
        };
        if self.is_live(token) {
            self.report(event);
        } else {
            self.nothing_comes_of(event);
        }
    }

    /// A token of the present, of the past, or of nothing.
    fn any_token(&self) -> Token {
        let which = self.byte();
        let model = self.model();
        let nth = usize::from(which >> 2);
        let connections = model.order.iter().rev().copied();
        let live: Vec<Token> = model.live().map(|(token, _)| token).collect();
        let found = match which & 3 {
            0 => live.iter().copied().cycle().nth(nth),
            1 => connections.cycle().nth(nth),
            2 => {
                let mut listeners: Vec<Token> = model.listeners.keys().copied().collect();
                listeners.sort_unstable();
                listeners.get(nth % listeners.len()).copied()
            }
            _ => None,
        };
        let invented = [
            0,
            1,
            1 << 32,
            (1 << 32) | 3,
            (1 << 32) | (1 << 31) | 5,
            u64::MAX,
            7 << 32,
            u64::MAX << 32,
        ];
        found.unwrap_or(Token::from_bits(invented[nth % invented.len()]))
    }

    /// The application runs between iterations.
    fn application(&mut self) {
        let token = self.any_token();
        self.visit(token);
    }

    pub(super) fn visit(&mut self, token: Token) {
        let told = self
            .model()
            .connections
            .get(&token)
            .is_some_and(Connection::is_known);
        let visited = self.world.visit(token);
        assert_eq!(visited, told, "lent: {token:?}");
        self.model().resumed = false;
        if !told {
            assert_eq!(self.core().info(token), None, "known: {token:?}");
            assert_eq!(
                self.core().unconsumed(token).len + self.core().spare_capacity(token).len,
                0,
                "{token:?}"
            );
        }
    }

    fn rare(&mut self) {
        let what = self.byte();
        match what % 4 {
            _ if what >= 240 => self.connect(),
            0 => {
                let by = super::input::moved(self.now, u64::from(what) * self.plan.unit * 8, false);
                self.stop_by(by);
            }
            1 => {
                // The same stale event, iteration after iteration.
                for _ in 0..9 {
                    self.nothing_comes_of(Event::Ready {
                        token: Token::from_bits(u64::from(what) << 40),
                        directions: Directions::BOTH,
                        closing: false,
                    });
                    self.begin_turn();
                }
            }
            2 => self.forward(u64::from(what) * 1_000_000_000, false),
            _ => self.look_at_bytes(),
        }
    }

    /// A connection without an originating one is requested.
    fn connect(&mut self) {
        let number = self.byte();
        let to = self.model().destination(number);
        let answer = self.world.connect(to);
        self.model().connects(to, None, answer);
    }

    /// A driver may read bytes without an action.
    fn look_at_bytes(&mut self) {
        let token = self.any_token();
        let flying = self
            .pending
            .iter()
            .any(|action| asked(*action) == Some((token, Op::Recv)));
        if token.index() as usize >= super::input::N || flying {
            return;
        }
        let at = self.below(WINDOWS.receive);
        let span = Span {
            at,
            len: WINDOWS.receive - at,
        };
        let len = self.world.receive_into(token, span).len();
        assert!(len == 0 || len == span.len as usize);
        let span = Span {
            at,
            len: WINDOWS.send - at,
        };
        let len = self.world.send_from(token, span).len();
        assert!(len == 0 || len == span.len as usize);
    }
}
