//! The possible next steps, and their effects: the peers, the kernel's events, time, the application between
//! iterations.

use super::choices::Choices;
use super::datagrams::{Network, SocketCall};
use super::table::What;
use super::world::{Lawful, World};
use tidegate_core::inspect::{self, CONNECTIONS};
use tidegate_core::{Class, Directions, Event, Token};
use tidegate_sim::State;

/// A step between two calls of the driver.
#[derive(Clone, Copy)]
pub(super) enum Step {
    PeerReads(usize),
    PeerSends(usize),
    PeerFinishes(usize),
    PeerResets(usize),
    /// The network connects what is being connected; a reset refuses it.
    PeerAccepts(usize),
    /// The application asks for a connection.
    AsksForConnection,
    Connects,
    /// Something that the network does at the datagram socket.
    Network(Network),
    /// What a wait reports.
    Report(usize),
    ReportListener,
    ReportDatagrams,
    /// An event that the kernel has no reason for.
    Spurious(usize, Directions, bool),
    SpuriousListener,
    SpuriousDatagrams(Directions, bool),
    /// An iteration begins.
    Turn,
    /// A wait, which may have lasted, and an iteration in one.
    Round(bool),
    /// The driver takes the next output.
    Output,
    Time,
    /// Stale events, iteration after iteration, until the set is rebuilt.
    Stale,
    Call(usize, Call),
    CallSocket(SocketCall),
    /// The application stops; `true`: at once.
    Stop(bool),
}

/// What an application may call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    Commit,
    Consume(u32),
    /// Takes all and sends what fits.
    Echo,
    WantCapacity,
    SetTimer,
    CancelTimer,
    Pause,
    Resume,
    Finish,
    Abort,
}

type Steps = heapless::Vec<Step, 128>;

impl World<'_> {
    /// Takes the next step by the choices. Returns which of the steps comes if all behave, and which if only the driver
    /// acts; `None`: then it rests.
    pub(super) fn step(&mut self, choices: &mut Choices) -> Lawful<[Option<usize>; 2]> {
        self.failed = false;
        let mut steps = Steps::new();
        self.tame(&mut steps);
        let tame = (!steps.is_empty()).then_some(0);
        let calm = steps.iter().position(|step| {
            let driven = [
                Step::Report(0),
                Step::ReportListener,
                Step::ReportDatagrams,
                Step::Turn,
                Step::Output,
            ];
            let kinds = driven.map(|step| core::mem::discriminant(&step));
            kinds.contains(&core::mem::discriminant(step)) || matches!(step, Step::Round(false))
        });
        self.wild(&mut steps);
        if !steps.is_empty() {
            let step = choices.pick(&steps);
            self.take(step, choices)?;
        }
        self.forget();
        Ok([tame, calm])
    }

    /// The steps when all behave; of these the first is taken.
    fn tame(&self, steps: &mut Steps) {
        let mut add = |step| {
            steps
                .push(step)
                .unwrap_or_else(|_| panic!("too many steps"))
        };
        if self.turn {
            return add(Step::Output);
        }
        for (at, socket) in self.sockets.iter().enumerate() {
            if socket.kernel.end.state == State::Connecting {
                add(Step::PeerAccepts(at));
            }
            if socket.kernel.end.charged > 0 {
                add(Step::PeerReads(at));
            }
            if socket.shut && socket.kernel.is_open() {
                add(Step::PeerFinishes(at));
            }
        }
        self.tame_datagrams(&mut add);
        for at in self.places() {
            if let Some(call) = self.owes(at) {
                add(Step::Call(at, call));
            }
        }
        let due = (self.core.poll_timeout()).is_some_and(|due| due <= self.now);
        let later = !due && self.core.poll_timeout().is_some();
        if self.settings.rounds {
            if due || !self.reports().is_empty() {
                add(Step::Round(false));
            } else if later {
                add(Step::Round(true));
            }
            return;
        }
        // What is reported by level is reported again until it is served.
        let serves = due && self.core.has_work();
        if serves {
            add(Step::Turn);
        }
        self.reports().into_iter().for_each(&mut add);
        if due && !serves {
            add(Step::Turn);
        } else if later {
            add(Step::Time);
        }
    }

    /// What a wait would report.
    fn reports(&self) -> heapless::Vec<Step, 16> {
        let due = |at: &usize| self.sockets[*at].kernel.would_report();
        let mut reports: heapless::Vec<Step, 16> =
            self.places().filter(due).map(Step::Report).collect();
        if self.listener.kernel.interest.is_some() && self.backlog > 0 {
            reports
                .push(Step::ReportListener)
                .unwrap_or_else(|_| panic!("few reports"));
        }
        reports.extend(self.reports_datagrams().then_some(Step::ReportDatagrams));
        reports
    }

    /// A wait, which reports what there is in any order, and an iteration.
    fn round(&mut self, later: bool, choices: &mut Choices) -> Lawful {
        if later {
            self.time_passes();
        }
        let mut reports = self.reports();
        while !reports.is_empty() {
            let next = choices.choose(reports.len());
            let report = reports.remove(next);
            self.take(report, choices)?;
        }
        self.begin_turn(choices)?;
        while self.turn {
            self.output(choices)?;
        }
        Ok(())
    }

    /// What a well-behaved application does about this connection: takes what came, and finishes after the end.
    fn owes(&self, at: usize) -> Option<Call> {
        let socket = &self.sockets[at];
        let over = socket.asked_to_finish || socket.aborted || self.is_closing(at);
        if !socket.told || over {
            return None;
        }
        let unread = self.core.unconsumed(self.token(at)).len;
        if socket.paused {
            Some(Call::Resume)
        } else if unread > 0 {
            Some(Call::Consume(unread))
        } else if socket.ended {
            Some(Call::Finish)
        } else {
            None
        }
    }

    /// What else may happen. What the tame steps have already is left out where it is the same.
    fn wild(&self, steps: &mut Steps) {
        let mut add = |step| {
            steps
                .push(step)
                .unwrap_or_else(|_| panic!("too many steps"))
        };
        if self.turn {
            // Peers are as fast as we are; an act on a connection that is not serviced now has the same effect before
            // the iteration, or after it.
            if !self.settings.racing {
                return;
            }
            self.network(&mut add);
            let visited = self.core.serviced().map(|token| token.index() as usize);
            if let Some(at) = visited.filter(|at| self.sockets[*at].is_open()) {
                self.peer(at, true, &mut add);
            }
            return;
        }
        let full = self
            .sockets
            .iter()
            .filter(|socket| socket.is_open())
            .count();
        let crowd = self.settings.crowd || full < self.settings.connections as usize;
        if self.backlog < self.settings.backlog && crowd {
            add(Step::Connects);
        }
        if self.settings.outbound && self.places().any(|at| self.is(at, "Free")) {
            add(Step::AsksForConnection);
        }
        if self.settings.stop && !self.has_to_stop() {
            if self.stop.is_none() {
                add(Step::Stop(false));
            }
            add(Step::Stop(true));
        }
        let due = |at| {
            self.core
                .deadline(self.token(at))
                .is_some_and(|(_, due)| due <= self.now)
        };
        if self.settings.rounds {
            let timed = |at| self.core.deadline(self.token(at)).is_some();
            if self.places().any(timed) && (self.core.has_work() || !self.reports().is_empty()) {
                add(Step::Round(true));
            }
        } else if self.core.has_work() && !self.places().any(due) {
            add(Step::Time);
        }
        if self.core.has_work() && !self.settings.hasty {
            return;
        }
        for at in self.places() {
            if self.is_closing(at) {
                // The kernel's events for it, and the application's calls, change nothing.
                continue;
            }
            self.peer(at, false, &mut add);
            self.calls(at, &mut add);
            if self.sockets[at].is_open() && self.settings.spurious {
                add(Step::Spurious(at, Directions::READ, false));
                add(Step::Spurious(at, Directions::WRITE, false));
                add(Step::Spurious(at, Directions::NONE, true));
            }
        }
        if self.settings.datagrams {
            self.network(&mut add);
            self.wild_datagrams(&mut add);
        }
        if self.settings.spurious && self.settings.backlog > 0 && self.listener.is_open() {
            add(Step::SpuriousListener);
        }
        if self.settings.stale && !self.core.has_work() {
            add(Step::Stale);
        }
    }

    pub(super) fn is_closing(&self, at: usize) -> bool {
        self.is(at, "Closing") || self.is(at, "Cancelling")
    }

    pub(super) fn is(&self, at: usize, state: &str) -> bool {
        inspect::STATES[self.core.state(self.token(at))] == state
    }

    fn peer(&self, at: usize, reads: bool, add: &mut impl FnMut(Step)) {
        let socket = &self.sockets[at];
        if reads && socket.kernel.end.charged > 0 {
            add(Step::PeerReads(at));
        }
        if socket.kernel.is_open() {
            if socket.kernel.end.unread < self.settings.arrive as usize {
                add(Step::PeerSends(at));
            }
            if !socket.shut || reads {
                add(Step::PeerFinishes(at));
            }
        }
        if socket.can_be_reset() {
            add(Step::PeerResets(at));
        }
    }

    /// Whether the send buffer is full, and the application does not wait for capacity yet.
    pub(super) fn wants_capacity(&self, at: usize) -> bool {
        let waits = self.sockets[at].waits_for_capacity;
        self.is(at, "Open") && !waits && self.core.spare_capacity(self.token(at)).len == 0
    }

    fn calls(&self, at: usize, add: &mut impl FnMut(Step)) {
        let socket = &self.sockets[at];
        if !socket.told {
            return;
        }
        let over = socket.asked_to_finish || socket.aborted;
        if self.settings.aborts && !socket.aborted {
            add(Step::Call(at, Call::Abort));
        }
        let connects = self.is(at, "Connecting");
        if connects && !over {
            add(Step::Call(at, Call::Finish));
        }
        if !self.settings.between || connects || over && !self.settings.rude {
            return;
        }
        let token = self.token(at);
        let owes = self.owes(at);
        if self.core.spare_capacity(token).len > 0 {
            add(Step::Call(at, Call::Commit));
        } else if self.wants_capacity(at) {
            add(Step::Call(at, Call::WantCapacity));
        }
        let unread = self.core.unconsumed(token).len;
        if unread > 1 {
            add(Step::Call(at, Call::Consume(1)));
        }
        if unread > 0 && owes != Some(Call::Consume(unread)) {
            add(Step::Call(at, Call::Consume(unread)));
        }
        if !socket.paused {
            add(Step::Call(at, Call::Pause));
        }
        if owes != Some(Call::Finish) {
            add(Step::Call(at, Call::Finish));
        }
    }

    fn take(&mut self, step: Step, choices: &mut Choices) -> Lawful {
        match step {
            Step::Output => return self.output(choices),
            Step::Report(at) => {
                let token = self.token(at);
                let event = self.sockets[at].kernel.report(token);
                return self
                    .event(event.expect("offered"), What::Report)
                    .map(|_| ());
            }
            Step::ReportListener | Step::SpuriousListener => {
                return self.report(inspect::listener(), Directions::READ, false);
            }
            Step::ReportDatagrams => {
                let event = self.post.kernel.report(inspect::datagrams());
                return self
                    .event(event.expect("offered"), What::Report)
                    .map(|_| ());
            }
            Step::SpuriousDatagrams(directions, closing) => {
                return self.report(inspect::datagrams(), directions, closing);
            }
            Step::Network(act) => self.network_acts(act),
            Step::CallSocket(call) => return self.call_socket(call),
            Step::Spurious(at, directions, closing) => {
                self.sockets[at].misled |= closing;
                return self.report(self.token(at), directions, closing);
            }
            Step::Round(later) => return self.round(later, choices),
            Step::Turn => return self.begin_turn(choices),
            Step::Stale => return self.stale_reports(choices),
            Step::Call(at, call) => return self.call(at, call),
            Step::Time => self.time_passes(),
            Step::Stop(at_once) => self.stops(at_once),
            Step::Connects => {
                self.say(|| "a peer connects".to_owned());
                self.backlog += 1;
            }
            Step::AsksForConnection => return self.asks_for_connection(),
            Step::PeerAccepts(at) => {
                self.say(|| format!("#{at} is connected"));
                self.sockets[at].kernel.establish();
            }
            Step::PeerReads(at) => {
                self.say(|| format!("the peer of #{at} reads"));
                self.sockets[at].kernel.read(u32::MAX);
            }
            Step::PeerSends(at) => {
                self.say(|| format!("the peer of #{at} sends a byte"));
                self.sockets[at].kernel.arrive(1);
            }
            Step::PeerFinishes(at) => {
                self.say(|| format!("the peer of #{at} finishes"));
                self.sockets[at].kernel.end();
            }
            Step::PeerResets(at) => {
                self.say(|| format!("the peer of #{at} resets"));
                self.sockets[at].kernel.reset();
            }
        }
        Ok(())
    }

    fn time_passes(&mut self) {
        self.say(|| "time passes".to_owned());
        self.tick();
        // Any event sets the time; a stale one does nothing else.
        self.core.handle_event(self.now, stale_report());
    }

    fn report(&mut self, token: Token, directions: Directions, closing: bool) -> Lawful {
        self.event(
            Event::Ready {
                token,
                directions,
                closing,
            },
            What::Report,
        )
        .map(|_| ())
    }

    /// Time is set, deadlines are acted on, and timers fire.
    fn begin_turn(&mut self, choices: &mut Choices) -> Lawful {
        self.say(|| "an iteration begins".to_owned());
        let mut deadlines = [None; CONNECTIONS];
        for at in self.places() {
            deadlines[at] = self.core.deadline(self.token(at));
        }
        let before = self.states();
        self.core.handle_timeout(self.now);
        self.turn = true;
        if self.has_to_stop() {
            // Whatever else is due.
            self.saw_stop(before, What::StopDeadline);
            return self.timers_due(choices);
        }
        let after = self.states();
        for (at, deadline) in deadlines.into_iter().enumerate() {
            let due = deadline.filter(|(_, by)| *by <= self.now);
            if let Some((class, _)) = due {
                self.seen.saw(before[at], expires(class), after[at]);
            } else if before[at] != after[at] {
                return Err(format!("#{at} changes without a deadline"));
            }
        }
        self.timers_due(choices)
    }

    /// The same stale event in as many iterations as it takes.
    fn stale_reports(&mut self, choices: &mut Choices) -> Lawful {
        self.say(|| "stale reports do not end".to_owned());
        for _ in 0..16 {
            self.core.handle_event(self.now, stale_report());
            self.begin_turn(choices)?;
            if self.core.has_work() {
                return Ok(());
            }
        }
        Err("stale reports for ever, and no new set is asked for".to_owned())
    }

    pub(super) fn call(&mut self, at: usize, call: Call) -> Lawful {
        if call == Call::Echo {
            self.call(at, Call::Consume(self.settings.window))?;
            return self.call(at, Call::Commit);
        }
        self.say(|| format!("the application of #{at}: {call:?}"));
        let token = self.token(at);
        let before = self.core.state(token);
        let socket = &mut self.sockets[at];
        // A call after `finish` is not in the table.
        let rude = socket.aborted || socket.asked_to_finish && call != Call::Abort;
        let what = match call {
            Call::Commit => {
                let capacity = self.core.spare_capacity(token).len;
                self.core.commit(token, capacity);
                What::Commit
            }
            Call::Consume(n) => {
                self.core.consume(token, n);
                // The caller moves the bytes.
                let _moved = self.core.compact(token);
                What::Consume
            }
            Call::Echo => unreachable!("two calls"),
            Call::SetTimer | Call::CancelTimer => {
                if call == Call::SetTimer {
                    self.set_timer();
                } else {
                    self.cancel_timer();
                }
                return if self.core.state(token) == before {
                    Ok(())
                } else {
                    Err(format!("{call:?} changes the state of #{at}"))
                };
            }
            Call::WantCapacity => {
                self.core.want_capacity(token, self.settings.capacity);
                socket.waits_for_capacity = true;
                What::WantCapacity
            }
            Call::Pause => {
                self.core.pause(token);
                socket.paused = true;
                What::Pause
            }
            Call::Resume => {
                self.core.resume(token);
                socket.paused = false;
                What::Resume
            }
            Call::Finish => {
                self.core.finish(token);
                socket.asked_to_finish = true;
                socket.waits_for_capacity = false;
                What::Finish
            }
            Call::Abort => {
                self.core.abort(token);
                socket.aborted = true;
                What::Abort
            }
        };
        if !rude {
            self.seen.saw(before, what, self.core.state(token));
        }
        Ok(())
    }

    /// What the states of the connections are, and last the listener's and the datagram socket's.
    pub(super) fn states(&self) -> [usize; CONNECTIONS + 2] {
        let mut states = [0; CONNECTIONS + 2];
        for at in self.places() {
            states[at] = self.core.state(self.token(at));
        }
        states[CONNECTIONS] = self.core.state(inspect::listener());
        states[CONNECTIONS + 1] = self.core.state(inspect::datagrams());
        states
    }
}

/// About the connection that was in the first slot before.
fn stale_report() -> Event {
    Event::Ready {
        token: Token::from_bits((u64::from(inspect::GENERATION) - 1) << 32),
        directions: Directions::BOTH,
        closing: true,
    }
}

fn expires(class: Class) -> What {
    match class {
        Class::FirstByte => What::FirstByte,
        Class::Request => What::Request,
        Class::WriteStall => What::WriteStall,
        Class::Congestion => What::Congestion,
        Class::Idle => What::Idle,
        Class::Linger => What::Linger,
        Class::HalfClosed => What::HalfClosed,
        Class::Connect => What::ConnectDeadline,
    }
}
