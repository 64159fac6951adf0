//! What must hold in a state: the laws of every kernel, and what only a world that knows its application can check. What the
//! dispatcher can check by itself is checked after each step.

use super::world::{Lawful, World};
use tidegate_core::inspect;
use tidegate_core::{Class, Directions, Event, Op, Outcome, Token};
use tidegate_sim::Held;

impl World<'_> {
    /// What does not hold in this state.
    pub(super) fn check(&mut self, rests: bool) -> Lawful {
        tidegate_sim::check_laws(&self.core, !self.turn, self.held())?;
        self.is_attended()?;
        self.lives()?;
        self.keeps_its_timer()?;
        self.comes_to_its_end()?;
        self.serves_datagrams(rests)?;
        if rests {
            let gone = (self.sockets.iter()).all(|socket| !socket.is_open() && !socket.told);
            let served = self.backlog == 0 || !self.listener.is_open();
            if !gone || !served {
                return Err("it rests, and not all is over".to_owned());
            }
        }
        self.stale_changes_nothing()
    }

    /// What the kernel holds.
    fn held(&self) -> impl Iterator<Item = Held> + Clone + '_ {
        let sockets = self.places().map(|at| (self.token(at), &self.sockets[at]));
        let sockets = sockets.filter(|(_, socket)| socket.is_open());
        let listener = Held {
            possible: Directions::READ.when(self.backlog > 0),
            reports: self.listener.kernel.interest.is_some() && self.backlog > 0,
            ..self.listener.held(inspect::listener())
        };
        sockets
            .map(|(token, socket)| socket.held(token))
            .chain(self.listener.is_open().then_some(listener))
            .chain(self.held_datagrams())
    }

    /// If nothing is queued, each connection has a deadline, and one that the application listens to is received from.
    fn is_attended(&self) -> Lawful {
        if self.turn || self.core.has_work() {
            return Ok(());
        }
        for (at, socket) in self
            .sockets
            .iter()
            .enumerate()
            .filter(|(_, socket)| socket.is_open())
        {
            let token = self.token(at);
            let wanted = self.core.wanted(token);
            let Some((class, _)) = self.core.deadline(token) else {
                return Err(format!("#{at}: no deadline"));
            };
            let held = self.core.unconsumed(token);
            let hears = socket.told
                && !socket.ended
                && !socket.paused
                && !socket.asked_to_finish
                && !socket.aborted
                && !socket.waits_for_capacity
                && held.at + held.len < self.settings.window;
            let open = inspect::STATES[self.core.state(token)] == "Open";
            if open && hears && class != Class::Congestion && !wanted.contains(Directions::READ) {
                return Err(format!("#{at}: deaf"));
            }
        }
        Ok(())
    }

    /// The dispatcher believes to live what the application knows.
    fn lives(&self) -> Lawful {
        for at in self.places() {
            let token = self.token(at);
            let lives = self.core.connections().any(|live| live == token);
            if lives != self.sockets[at].told {
                return Err(format!("{token:?}: it lives: {lives}"));
            }
        }
        Ok(())
    }

    /// Law 5: an event for a stale token changes nothing. Law 7: nor does an unrequested completion.
    fn stale_changes_nothing(&mut self) -> Lawful {
        let before = self.core.image(true);
        for at in 0..self.settings.connections {
            let old = Token::from_bits((u64::from(inspect::GENERATION) - 1) << 32 | u64::from(at));
            self.hostile(old)?;
            for op in OPS {
                let live = Token::from_bits(u64::from(inspect::GENERATION) << 32 | u64::from(at));
                self.done_unasked(live, op)?;
                self.done_unasked(old, op)?;
            }
        }
        if self.settings.datagrams {
            let bits = inspect::datagrams().to_bits();
            self.hostile(Token::from_bits(bits - (1 << 32)))?;
            for op in OPS {
                self.done_unasked(inspect::datagrams(), op)?;
            }
        }
        if self.core.image(true) != before {
            return Err("what is stale changed something".to_owned());
        }
        Ok(())
    }

    fn hostile(&mut self, token: Token) -> Lawful {
        let event = Event::Ready {
            token,
            directions: Directions::BOTH,
            closing: true,
        };
        self.silent(event)
    }

    fn done_unasked(&mut self, token: Token, op: Op) -> Lawful {
        self.silent(Event::Done {
            token,
            op,
            outcome: Outcome::Complete(1),
        })
    }

    fn silent(&mut self, event: Event) -> Lawful {
        match self.core.handle_event(self.now, event) {
            None => Ok(()),
            Some(notice) => Err(format!("{event:?} returns {notice:?}")),
        }
    }
}

/// Operations that are never in flight between two calls of a driver that completes at once.
const OPS: [Op; 10] = [
    Op::Accept,
    Op::Refuse,
    Op::Recv,
    Op::Send,
    Op::Arm,
    Op::Shutdown,
    Op::Unsent,
    Op::ReceiveFrom,
    Op::SendTo,
    Op::Close,
];
