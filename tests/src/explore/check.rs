//! What must hold in a state: what the dispatcher can check by itself is checked after each step; here is what takes the
//! kernel's eyes.

use super::world::{Lawful, World};
use tidegate_core::inspect;
use tidegate_core::{Class, Directions, Event, Op, Outcome, Token};

impl World<'_> {
    /// What does not hold in this state.
    pub(super) fn check(&mut self, rests: bool) -> Lawful {
        if let Err(broken) = self.core.check_laws() {
            return Err(broken.to_string());
        }
        self.nothing_is_lost()?;
        self.agrees()?;
        if rests {
            let gone = self.sockets.iter().all(|socket| !socket.is_open());
            let served = self.backlog == 0 || !self.listener.is_open();
            if !gone || !served {
                return Err("it rests, and not all is over".to_owned());
            }
        }
        self.stale_changes_nothing()
    }

    /// Law 8, with the kernel's own eyes: if nothing is queued and nothing is to be reported, nothing that is wanted is
    /// possible.
    fn nothing_is_lost(&self) -> Lawful {
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
            let lost = !(wanted & socket.kernel.possible()).is_empty();
            if lost && !socket.kernel.would_report() {
                return Err(format!("#{at}: possible, wanted, and nothing will notify"));
            }
            let Some((class, _)) = self.core.deadline(token) else {
                return Err(format!("#{at}: no deadline"));
            };
            let state = inspect::STATES[self.core.state(token)];
            let goes_on = matches!(state, "Open" | "HalfClosing" | "HalfClosed")
                && class != Class::Congestion;
            let failed = socket.kernel.end.error.is_some();
            if failed && goes_on && !socket.kernel.would_report() {
                return Err(format!("#{at}: a reset that nothing will notify"));
            }
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
        let listener = inspect::listener();
        let admits = self.core.wanted(listener).contains(Directions::READ);
        if admits && self.backlog > 0 && self.listener.kernel.interest.is_none() {
            return Err("a slot is free, a connection waits, and nothing will notify".to_owned());
        }
        Ok(())
    }

    /// The dispatcher believes of the kernel what is true of it.
    fn agrees(&self) -> Lawful {
        let listener = (inspect::listener(), &self.listener);
        let all = self
            .sockets
            .iter()
            .enumerate()
            .map(|(at, socket)| (self.token(at), socket));
        let mut registered = 0;
        for (token, socket) in all.chain([listener]) {
            let held = self.core.armed().find(|(armed, ..)| *armed == token);
            let held = held.map_or(Directions::NONE, |(_, held, _)| held);
            if held != socket.kernel.registered() {
                return Err(format!("{token:?}: {held:?} is said to be registered"));
            }
            registered += usize::from(!held.is_empty());
            let lives = self.core.connections().any(|live| live == token);
            if lives != socket.told {
                return Err(format!("{token:?}: it lives: {lives}"));
            }
        }
        if registered != self.core.armed().count() {
            return Err("something is registered that is not there".to_owned());
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
