//! The driver: the next output is performed and completed at once, honestly or with a fault; then the application
//! chooses its reaction.

use super::choices::Choices;
use super::socket::Socket;
use super::steps::Call;
use super::table::What;
use super::world::{Lawful, World};
use tidegate_core::inspect::{self, PEER};
use tidegate_core::{
    Action, Directions, Event, Fault, Notice, Op, Outcome, Reason, Span, Token, Trigger,
};

/// Every class of failure.
const FAULTS: [Fault; 8] = [
    Fault::Interrupted(0),
    Fault::Reset(0),
    Fault::Exhausted(0),
    Fault::Invalid(0),
    Fault::TimedOut(0),
    Fault::Unreachable(0),
    Fault::Refused(0),
    Fault::Unknown(0),
];
/// How many of them come to something different each.
const DIFFERENT: usize = 4;

impl World<'_> {
    /// Takes the next output and performs it.
    pub(super) fn output(&mut self, choices: &mut Choices) -> Lawful {
        let before = self.states();
        let output = self.core.poll_output();
        let after = self.states();
        for (before, after) in before.into_iter().zip(after) {
            if before != after {
                self.seen.saw(before, What::Served, after);
            }
        }
        let Some(action) = output else {
            self.say(|| "the iteration ends".to_owned());
            self.turn = false;
            return Ok(());
        };
        self.say(|| format!("out: {action:?}"));
        match action {
            Action::Accept { listener, token } => self.accept(listener, token, choices),
            Action::Refuse { listener } => self.refuse(listener, choices),
            Action::Connect { token } => self.connect(token, choices),
            Action::Recv { token, into } => self.receive(token, into, choices),
            Action::Send { token, from } => self.send(token, from, choices),
            Action::Arm {
                token,
                was,
                now,
                trigger,
            } if self.is_datagrams(token) => {
                self.arm_datagrams(token, was, (now, trigger), choices)
            }
            Action::Arm {
                token,
                was,
                now,
                trigger,
            } => self.arm(token, was, (now, trigger), choices),
            Action::Shutdown { token } => self.shutdown(token, choices),
            Action::Unsent { token } => self.unsent(token, choices),
            Action::ReceiveFrom { token } => self.receive_datagram(token, choices),
            Action::SendTo { token } => self.send_datagram(token, choices),
            Action::Cancel { token } => Err(format!("{token:?}: nothing is in flight")),
            Action::Close { token, .. } if self.is_datagrams(token) => {
                self.close_datagrams(token, choices)
            }
            Action::Close { token, .. } => self.close(token, choices),
            Action::Rebuild => self.rebuild(),
        }
    }

    fn accept(&mut self, listener: Token, token: Token, choices: &mut Choices) -> Lawful {
        let (at, taken) = (place(token), self.core.state(token));
        if self.sockets.get(at).is_none_or(|socket| socket.is_open())
            || inspect::STATES[taken] != "Reserved"
            || listener != inspect::listener()
        {
            return Err(format!("{token:?} is not free"));
        }
        let mut outcomes = Outcomes::new();
        if self.backlog > 0 {
            outcomes.add(Outcome::Accepted(Some(PEER)));
            if self.settings.unix {
                outcomes.add(Outcome::Accepted(None));
            }
        } else {
            outcomes.add(Outcome::Drained(0));
        }
        self.faults().for_each(|fault| outcomes.add(fault));
        outcomes.add(Outcome::Complete(1));
        let outcome = self.one_of(&outcomes.0, choices);
        let what = match outcome {
            Outcome::Accepted(_) => What::Accepted,
            Outcome::Failed(Fault::Invalid(_)) => What::AcceptInvalid,
            Outcome::Failed(_)
            | Outcome::Drained(_)
            | Outcome::Complete(_)
            | Outcome::Datagram { .. } => What::AcceptedNot,
        };
        if let Outcome::Accepted(_) = outcome {
            self.backlog -= 1;
            self.sockets[at] = Socket::ACCEPTED;
        } else {
            self.died_in_the_queue(outcome);
        }
        let listened = self.core.state(listener);
        let notice = self.answer(token, Op::Accept, outcome, what)?;
        self.seen.saw(listened, what, self.core.state(listener));
        match (outcome, notice) {
            (Outcome::Accepted(_), Some(Notice::Opened(opened))) if opened == token => {
                self.sockets[at].told = true;
                self.reacts(at, choices, &[None, Some(Call::Commit), Some(Call::Pause)])
            }
            (Outcome::Accepted(_), _) => Err(format!("{token:?} was accepted: {notice:?}")),
            (_, None) => Ok(()),
            (_, Some(notice)) => Err(format!("nothing was accepted: {notice:?}")),
        }
    }

    /// Some failures take a connection off the queue.
    fn died_in_the_queue(&mut self, outcome: Outcome) {
        if let Outcome::Failed(Fault::Reset(_) | Fault::Unreachable(_)) = outcome {
            self.backlog = self.backlog.saturating_sub(1);
        }
    }

    fn refuse(&mut self, listener: Token, choices: &mut Choices) -> Lawful {
        let honest = if self.backlog > 0 {
            Outcome::Complete(0)
        } else {
            Outcome::Drained(0)
        };
        let mut outcomes = Outcomes::new();
        outcomes.add(honest);
        self.faults().for_each(|fault| outcomes.add(fault));
        let outcome = self.one_of(&outcomes.0, choices);
        let what = match outcome {
            Outcome::Failed(Fault::Invalid(_)) => What::AcceptInvalid,
            Outcome::Complete(_) => What::Accepted,
            Outcome::Failed(_)
            | Outcome::Drained(_)
            | Outcome::Accepted(_)
            | Outcome::Datagram { .. } => What::AcceptedNot,
        };
        if outcome == Outcome::Complete(0) {
            self.backlog -= 1;
        }
        self.died_in_the_queue(outcome);
        self.silently(listener, Op::Refuse, outcome, what)
    }

    fn receive(&mut self, token: Token, into: Span, choices: &mut Choices) -> Lawful {
        let socket = self.socket(token)?;
        let held = self.core.unconsumed(token);
        let behind = held.len == 0 || held.at + held.len <= into.at;
        if into.len == 0 || into.at + into.len > self.settings.window || !behind {
            return Err(format!("{into:?} beside {held:?}"));
        }
        if socket.told && !socket.shut && (socket.ended || socket.paused) {
            return Err(format!("receives though {socket:?}"));
        }
        let mut after = socket.kernel;
        let honest = by_kind(after.receive(into.len));
        // What is received can be less than the capacity; more than that is impossible.
        let capacity = self.settings.window - into.at;
        let outcome = self.transfer(honest, capacity, choices);
        let at = place(token);
        if outcome == honest {
            self.sockets[at].kernel = after;
        }
        let what = match outcome {
            Outcome::Complete(0) => What::End,
            Outcome::Drained(0) => What::WouldBlock,
            Outcome::Complete(n) | Outcome::Drained(n) if n <= into.len => What::Bytes,
            Outcome::Complete(_)
            | Outcome::Drained(_)
            | Outcome::Accepted(_)
            | Outcome::Datagram { .. }
            | Outcome::Failed(_) => went_wrong(outcome),
        };
        let socket = self.sockets[at];
        let notice = self.answer(token, Op::Recv, outcome, what)?;
        let open = socket.told && !socket.asked_to_finish && !socket.aborted;
        match notice {
            None => Ok(()),
            Some(Notice::Readable(of)) if of == token && open && !socket.paused => {
                if what != What::Bytes {
                    return Err("readable without bytes".to_owned());
                }
                let calls = [
                    Some(Call::Consume(self.settings.window)),
                    Some(Call::Consume(1)),
                    None,
                    Some(Call::Echo),
                    Some(Call::Pause),
                    Some(Call::Finish),
                    Some(Call::Abort),
                    Some(Call::WantCapacity),
                ];
                // Waiting for capacity concerns no other connection.
                let waits = self.settings.connections == 1 && self.wants_capacity(at);
                let end = if waits { 8 } else { 7 };
                // The third is the same as the first if a window holds one byte.
                let first = if self.settings.window > 1 { 0 } else { 1 };
                self.reacts(at, choices, &calls[first..end])
            }
            Some(Notice::Ended(of)) if of == token && open && !socket.ended => {
                if what != What::End {
                    return Err("ended without an end".to_owned());
                }
                self.sockets[at].ended = true;
                let calls = [
                    Some(Call::Finish),
                    None,
                    Some(Call::Commit),
                    Some(Call::Abort),
                ];
                self.reacts(at, choices, &calls)
            }
            Some(notice) => Err(format!("notified {notice:?}")),
        }
    }

    fn send(&mut self, token: Token, from: Span, choices: &mut Choices) -> Lawful {
        let socket = self.socket(token)?;
        if from.len == 0 || from.at + from.len > self.settings.capacity || socket.shut {
            return Err(format!("sends {from:?}, {socket:?}"));
        }
        let mut after = socket.kernel;
        let honest = by_kind(after.send(from.len));
        let outcome = self.transfer(honest, from.len, choices);
        let at = place(token);
        if outcome == honest {
            self.sockets[at].kernel = after;
        }
        let what = match outcome {
            Outcome::Drained(0) => What::SentNot,
            Outcome::Complete(n) | Outcome::Drained(n) if n <= from.len => What::Sent,
            Outcome::Complete(_)
            | Outcome::Drained(_)
            | Outcome::Accepted(_)
            | Outcome::Datagram { .. }
            | Outcome::Failed(_) => went_wrong(outcome),
        };
        match self.answer(token, Op::Send, outcome, what)? {
            None => Ok(()),
            Some(Notice::Writable(of)) if of == token && self.sockets[at].waits_for_capacity => {
                self.sockets[at].waits_for_capacity = false;
                self.reacts(at, choices, &[None, Some(Call::Commit), Some(Call::Finish)])
            }
            Some(notice) => Err(format!("notified {notice:?}")),
        }
    }

    fn arm(
        &mut self,
        token: Token,
        was: Directions,
        (now, trigger): (Directions, Trigger),
        choices: &mut Choices,
    ) -> Lawful {
        // Of one that is being closed it does not matter what it is registered for.
        let closing = !token.is_listener() && self.is_closing(place(token));
        let socket = self.source(token);
        let registered = socket.kernel.registered();
        let known = registered == was || closing && registered.is_empty() == was.is_empty();
        if !socket.is_open() || !known || (was | now).is_empty() {
            return Err(format!("arms {was:?} to {now:?}: {socket:?}"));
        }
        socket.kernel.arm(now, trigger);
        let faults = [None, Some(Fault::Exhausted(0)), Some(Fault::Invalid(0))];
        // A listener to which nobody comes is no part of the world.
        let alone = token.is_listener() && self.settings.backlog == 0;
        let what = if now.is_empty() || alone || self.settings.shortages {
            &faults[..1]
        } else {
            &faults
        };
        let Some(fault) = self.one_of(what, choices) else {
            return Ok(());
        };
        self.source(token).kernel.interest = None;
        self.silently(token, Op::Arm, Outcome::Failed(fault), What::ArmFailed)
    }

    fn shutdown(&mut self, token: Token, choices: &mut Choices) -> Lawful {
        let socket = self.socket(token)?;
        // A stop finishes what has its reply, and half-closes nothing.
        let to_stop = self.stop.is_some() && self.is(place(token), "Finishing");
        if socket.shut || !(socket.asked_to_finish || to_stop) {
            return Err(format!("an unrequested FIN: {socket:?}"));
        }
        let mut after = socket.kernel;
        let honest = by_kind(after.shut_down());
        let outcomes = [honest, Outcome::Failed(Fault::Reset(0))];
        let most = if self.settings.shortages { 1 } else { 2 };
        let outcome = self.one_of(&outcomes[..most], choices);
        let done = outcome == Outcome::Complete(0);
        let at = place(token);
        if done {
            (self.sockets[at].shut, self.sockets[at].kernel) = (true, after);
        }
        let what = if done { What::Shut } else { What::ShutFailed };
        self.silently(token, Op::Shutdown, outcome, what)
    }

    fn unsent(&mut self, token: Token, choices: &mut Choices) -> Lawful {
        self.socket(token)?;
        let honest = by_kind(self.sockets[place(token)].kernel.unsent());
        if let Outcome::Failed(_) = honest {
            return self.silently(token, Op::Unsent, honest, What::UnsentFailed);
        }
        if self.settings.probes && choices.choose(2) == 0 {
            self.silently(token, Op::Unsent, honest, What::Unsent)
        } else {
            let fault = Outcome::Failed(Fault::Unknown(0));
            self.silently(token, Op::Unsent, fault, What::UnsentFailed)
        }
    }

    fn close(&mut self, token: Token, choices: &mut Choices) -> Lawful {
        let socket = core::mem::replace(self.source(token), Socket::NONE);
        // A connect that failed at once left no socket.
        let was = socket.is_open() || self.settings.outbound && socket.told;
        if !was || socket.kernel.interest.is_some() {
            return Err(format!("closes {socket:?}"));
        }
        let outcome = self.one_of(
            &[Outcome::Complete(0), Outcome::Failed(Fault::Unknown(0))],
            choices,
        );
        let notice = self.answer(token, Op::Close, outcome, What::Closed)?;
        let freed = inspect::STATES[self.core.state(token)] == "Free";
        let next = self.core.token_of(token.index()).generation();
        if !freed || !token.is_listener() && next != token.generation() + 1 {
            return Err(format!("{token:?} is not freed"));
        }
        match notice {
            None if !socket.told => Ok(()),
            Some(Notice::Closed(of, reason)) if of == token && socket.told => {
                let asked = match reason {
                    Reason::PeerFinished => socket.ended && socket.asked_to_finish,
                    Reason::Finished => socket.asked_to_finish,
                    Reason::Aborted => socket.aborted,
                    Reason::Stopping => self.stop.is_some(),
                    Reason::Deadline(_) | Reason::TooLong | Reason::Evicted | Reason::Failed(_) => {
                        true
                    }
                };
                if asked {
                    Ok(())
                } else {
                    Err(format!("closed for {reason:?}: {socket:?}"))
                }
            }
            _ => Err(format!("closed, and notified {notice:?}")),
        }
    }

    fn rebuild(&mut self) -> Lawful {
        self.rebuild_datagrams();
        for at in self.places() {
            let token = self.token(at);
            let held = self.core.armed().find(|(armed, ..)| *armed == token);
            let kernel = &mut self.sockets[at].kernel;
            kernel.interest = None;
            if let Some((_, held, trigger)) = held {
                kernel.arm(held, trigger);
            }
        }
        Ok(())
    }

    pub(super) fn faults(&self) -> impl Iterator<Item = Outcome> + use<> {
        let most = if self.settings.every_fault {
            FAULTS.len()
        } else {
            DIFFERENT
        };
        let most = if self.settings.shortages { 0 } else { most };
        FAULTS.into_iter().take(most).map(Outcome::Failed)
    }

    /// The possible outcomes of a transfer over `len` bytes.
    fn transfer(&mut self, honest: Outcome, len: u32, choices: &mut Choices) -> Outcome {
        let mut outcomes = Outcomes::new();
        outcomes.add(honest);
        for fault in self.faults().filter(|fault| *fault != honest) {
            outcomes.add(fault);
        }
        if self.settings.every_fault {
            outcomes.add(Outcome::Complete(len + 1));
            outcomes.add(Outcome::Accepted(None));
        }
        self.one_of(&outcomes.0, choices)
    }

    /// The outcome of an action: the first is the right one. In a round only one goes wrong.
    pub(super) fn one_of<T: Copy>(&mut self, outcomes: &[T], choices: &mut Choices) -> T {
        let open = if self.failed { 1 } else { outcomes.len() };
        let chosen = choices.choose(open);
        self.failed |= self.settings.rounds && chosen > 0;
        outcomes[chosen]
    }

    /// The application reacts to a notice with one of these calls, or with none; or, with several connections, it sends
    /// to another.
    pub(super) fn reacts(
        &mut self,
        at: usize,
        choices: &mut Choices,
        calls: &[Option<Call>],
    ) -> Lawful {
        let mut all: heapless::Vec<(usize, Option<Call>), 16> =
            calls.iter().map(|call| (at, *call)).collect();
        for other in self.places() {
            if other != at
                && self.sockets[other].told
                && self.core.spare_capacity(self.token(other)).len > 0
            {
                all.push((other, Some(Call::Commit)))
                    .expect("few connections");
            }
        }
        if self.settings.timers {
            let timer = self.timer.map_or(Call::SetTimer, |_| Call::CancelTimer);
            all.push((at, Some(timer))).expect("few calls");
        }
        match choices.pick(&all) {
            (of, Some(call)) => self.call(of, call),
            (_, None) => Ok(()),
        }
    }

    /// A completion goes in; no notice follows.
    pub(super) fn silently(
        &mut self,
        token: Token,
        op: Op,
        outcome: Outcome,
        what: What,
    ) -> Lawful {
        match self.answer(token, op, outcome, what)? {
            None => Ok(()),
            Some(notice) => Err(format!("notified {notice:?}")),
        }
    }

    pub(super) fn answer(
        &mut self,
        token: Token,
        op: Op,
        outcome: Outcome,
        what: What,
    ) -> Lawful<Option<Notice>> {
        self.event(done(token, op, outcome), what)
    }

    /// An event goes in.
    pub(super) fn event(&mut self, event: Event, what: What) -> Lawful<Option<Notice>> {
        self.say(|| format!("in: {event:?}"));
        let token = match event {
            Event::Ready { token, .. } | Event::Done { token, .. } => token,
        };
        let before = self.core.state(token);
        let counted = self.core.stats().stale + self.core.stats().unasked;
        let notice = self.core.handle_event(self.now, event);
        let dropped = self.core.stats().stale + self.core.stats().unasked > counted;
        let impossible = matches!(what, What::Impossible)
            || matches!(
                event,
                Event::Done {
                    op: Op::Accept,
                    outcome: Outcome::Complete(_),
                    ..
                }
            );
        if dropped && !impossible {
            return Err("an event of this connection is dropped".to_owned());
        }
        self.seen.saw(before, what, self.core.state(token));
        if let Some(notice) = notice {
            self.say(|| format!("notified: {notice:?}"));
        }
        Ok(notice)
    }

    fn source(&mut self, token: Token) -> &mut Socket {
        if token.is_listener() {
            &mut self.listener
        } else {
            &mut self.sockets[place(token)]
        }
    }

    fn socket(&self, token: Token) -> Lawful<Socket> {
        let socket = (!token.is_listener())
            .then(|| self.sockets.get(place(token)))
            .flatten();
        match socket {
            Some(socket) if socket.is_open() && token == self.token(place(token)) => Ok(*socket),
            _ => Err(format!("{token:?} is not a connection")),
        }
    }
}

/// The same for every error of a kind.
pub(super) fn by_kind(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed(fault) => {
            let kind = core::mem::discriminant(&fault);
            let same = |other: &Fault| core::mem::discriminant(other) == kind;
            Outcome::Failed(FAULTS.into_iter().find(same).unwrap_or(fault))
        }
        Outcome::Complete(_)
        | Outcome::Drained(_)
        | Outcome::Accepted(_)
        | Outcome::Datagram { .. } => outcome,
    }
}

pub(super) fn place(token: Token) -> usize {
    token.index() as usize
}

fn done(token: Token, op: Op, outcome: Outcome) -> Event {
    Event::Done { token, op, outcome }
}

/// How the table calls a transfer that moved nothing.
pub(super) fn went_wrong(outcome: Outcome) -> What {
    match outcome {
        Outcome::Failed(fault) => match fault {
            Fault::Interrupted(_) => What::Interrupted,
            Fault::Exhausted(_) => What::Shortage,
            Fault::Reset(_)
            | Fault::Refused(_)
            | Fault::TimedOut(_)
            | Fault::Unreachable(_)
            | Fault::Invalid(_)
            | Fault::Unknown(_) => What::Fault,
        },
        Outcome::Complete(_)
        | Outcome::Drained(_)
        | Outcome::Accepted(_)
        | Outcome::Datagram { .. } => What::Impossible,
    }
}

/// The possible outcomes of an action; first the true one.
struct Outcomes(heapless::Vec<Outcome, 16>);

impl Outcomes {
    fn new() -> Self {
        Self(heapless::Vec::new())
    }

    fn add(&mut self, outcome: Outcome) {
        self.0.push(outcome).expect("few outcomes");
    }
}
