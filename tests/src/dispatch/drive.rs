//! [`Drive`]: a driver. It polls the kernel, performs actions, at once or later, and shows the model all of it.

use super::app::Shared;
use super::input::{Plan, moved};
use super::kernel::{Kernel, Socket};
use super::model::Model;
use super::world::World;
use alloc::rc::Rc;
use core::cell::{RefCell, RefMut};
use std::collections::HashMap;
use tidegate_core::{
    Action, Directions, Dispatcher, Event, Fault, Info, Instant, Op, Outcome, Span, Stats, Token,
    Trigger,
};
use tidegate_sim::Fairness;

/// Outputs of an iteration: at most 64 operations of 256 bytes before the kernel is polled again, one service beyond,
/// and a few calls for each of 3 connections and 16 listeners; events that come in between may add their services.
const OUTPUTS: u32 = 1000;

/// The last inputs are printed when a law is broken.
struct Recorded<'d, 'a, W: World>(&'d mut Drive<'a, W>);

impl<W: World> Drop for Recorded<'_, '_, W> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let inputs = self.0.core().last_inputs();
            inputs.for_each(|kept| eprintln!("recorder: {kept}"));
        }
    }
}

/// A driver of one world.
pub(super) struct Drive<'a, W> {
    pub(super) world: W,
    pub(super) shared: Rc<RefCell<Shared<'a>>>,
    pub(super) kernel: Kernel,
    pub(super) plan: Plan,
    /// Issued and not completed, oldest first.
    pub(super) pending: Vec<Action>,
    /// `Cancel` came for these: what is pending completes soon.
    pub(super) cancelled: Vec<Token>,
    pub(super) now: Instant,
    /// Where the bytes lie that are being sent.
    places: HashMap<Token, usize>,
    /// Outputs since the iteration began.
    pub(super) outputs: u32,
    /// Prints what goes in and comes out: `FUZZ_TRACE` is set.
    pub(super) trace: bool,
    fairness: Fairness,
}

impl<'a, W: World> Drive<'a, W> {
    pub(super) fn new(world: W, shared: Rc<RefCell<Shared<'a>>>, plan: Plan) -> Self {
        let mut drive = Self {
            world,
            shared,
            kernel: Kernel::new(),
            pending: Vec::new(),
            cancelled: Vec::new(),
            now: Instant::ZERO,
            places: HashMap::new(),
            outputs: 0,
            fairness: Fairness::default(),
            trace: std::env::var_os("FUZZ_TRACE").is_some(),
            plan,
        };
        if drive.trace {
            eprintln!("{:?}", drive.plan);
        }
        for left in (0..drive.plan.listeners).rev() {
            let token = drive.world.listen(drive.plan.per_source);
            let reserved = if left == 0 { drive.plan.reserved } else { 0 };
            drive.world.reserve_slots(token, reserved);
            (drive.world).set_priority(token, left == 0 && drive.plan.priority);
            let at_most = drive.plan.at_most.filter(|_| left == 0);
            (drive.world).limit_connections(token, at_most.unwrap_or(u32::MAX));
            let listener = super::model::Listener {
                reserved,
                at_most,
                ..super::model::Listener::default()
            };
            drive.model().listeners.insert(token, listener);
            drive.kernel.backlogs.entry(token).or_default();
        }
        drive
    }

    pub(super) fn run(mut self) {
        let Recorded(drive) = &mut Recorded(&mut self);
        let mut steps = 0;
        while !drive.shared.borrow().input.is_empty() && steps < 600 {
            steps += 1;
            drive.step();
            drive.check();
        }
        drive.close();
    }

    pub(super) fn model(&self) -> RefMut<'_, Model> {
        RefMut::map(self.shared.borrow_mut(), |shared| &mut shared.model)
    }

    pub(super) fn core(&self) -> &Dispatcher<'_> {
        self.world.core()
    }

    pub(super) fn check(&mut self) {
        self.model().check(self.core());
        self.is_fair();
    }

    fn is_fair(&mut self) {
        if let Err(broken) = self.fairness.observe(self.world.core()) {
            panic!("{broken}");
        }
    }
}

/// Time, events and iterations.
impl<W: World> Drive<'_, W> {
    /// An event goes in, with the time.
    pub(super) fn event(&mut self, event: Event) {
        let mut model = self.model();
        model.now = model.now.max(self.now);
        drop(model);
        if self.trace {
            eprintln!("{:>12} in  {event:?}", self.now.as_nanos());
        }
        self.world.event(self.now, event);
        self.model().resumed = false;
    }

    pub(super) fn report(&mut self, event: Event) {
        if let Event::Ready {
            token,
            directions,
            closing,
        } = event
        {
            self.model().reports(token, directions, closing);
            self.model().reports_watch(token, directions, closing);
        }
        self.event(event);
        self.model().watch_was_told();
        self.check();
    }

    /// Polls the kernel, and passes its events to the machine.
    pub(super) fn wait(&mut self, most: usize) -> usize {
        let events = self.kernel.wait(most);
        for event in &events {
            self.report(*event);
        }
        events.len()
    }

    pub(super) fn stop_by(&mut self, by: Instant) {
        if self.trace {
            eprintln!("             stop by {}", by.as_nanos());
        }
        self.model().stops(by);
        self.world.stop(by);
    }

    pub(super) fn begin_turn(&mut self) {
        let mut model = self.model();
        model.now = model.now.max(self.now);
        model.begins_turn();
        drop(model);
        if self.trace {
            eprintln!("{:>12} in  iteration", self.now.as_nanos());
        }
        self.world.timeout(self.now);
        self.model().resumed = false;
        self.model().no_timer_is_left(self.core());
        self.outputs = 0;
        self.check();
    }

    /// Performs all outputs, until the machine has no more.
    pub(super) fn drain(&mut self) {
        while self.pull(self.plan.completions) {}
    }

    /// Performs the next output; whether there was one.
    pub(super) fn pull(&mut self, later: bool) -> bool {
        let Some(action) = self.poll() else {
            return false;
        };
        self.carry(action, later);
        self.check();
        true
    }

    /// The next output, shown to the model and to the kernel.
    pub(super) fn poll(&mut self) -> Option<Action> {
        let Some(action) = self.world.output() else {
            self.is_fair();
            self.ends_turn();
            return None;
        };
        if self.trace {
            eprintln!("{:>12} out {action:?}", self.now.as_nanos());
        }
        self.outputs += 1;
        assert!(
            self.outputs < OUTPUTS,
            "an iteration without an end: {action:?}"
        );
        self.model().output(action);
        match action {
            Action::Arm {
                token,
                was,
                now,
                trigger,
            } => self.kernel.arm(token, was, now, trigger),
            Action::Rebuild => {
                let armed: Vec<_> = self.core().armed().collect();
                self.kernel.rebuild(&armed);
            }
            Action::Cancel { token } => self.cancelled.push(token),
            Action::Recv { token, into } => self.fill(token, into),
            Action::Send { token, from } => self.compare(token, from),
            Action::ReceiveFrom { token } => self.write_datagram(token),
            Action::SendTo { token } => self.read_datagram(token),
            Action::Accept { .. }
            | Action::Refuse { .. }
            | Action::Connect { .. }
            | Action::Shutdown { .. }
            | Action::Unsent { .. }
            | Action::Close { .. } => {}
        }
        Some(action)
    }

    fn ends_turn(&mut self) {
        if self.core().has_work() {
            return;
        }
        let held = self.kernel.held(!self.plan.completions);
        if let Err(broken) = tidegate_sim::check_laws(self.core(), true, held.iter().copied()) {
            panic!("{broken}");
        }
        self.model().quiet(self.core());
        self.model().datagrams_are_armed(self.core());
    }

    /// A kernel may write into the span as soon as it has it; the completion says how much of that counts.
    fn fill(&mut self, token: Token, into: Span) {
        let (id, received) = (
            self.model().get(token).id,
            self.kernel.sockets[&token].received,
        );
        let space = self.world.receive_into(token, into);
        assert_eq!(space.len(), into.len as usize, "{token:?} {into:?}");
        for (byte, position) in space.iter_mut().zip(received..) {
            *byte = Socket::byte(id, position);
        }
    }

    /// What is to be sent is what was queued, and lies where it lay.
    fn compare(&mut self, token: Token, from: Span) {
        let place = self.world.send_from(token, from).as_ptr().addr();
        let before = *self.places.entry(token).or_insert(place);
        assert_eq!(place, before, "moved while it is sent: {token:?} {from:?}");
        let mut model = self.model();
        let queued = &model.get(token).pending()[..from.len as usize];
        assert_eq!(
            self.world.send_from(token, from),
            queued,
            "{token:?} {from:?}"
        );
    }
}

/// Carrying out.
impl<W: World> Drive<'_, W> {
    pub(super) fn carry(&mut self, action: Action, later: bool) {
        if asked(action).is_none() {
            return;
        }
        match if later { None } else { self.honest(action) } {
            Some(outcome) => self.answer(action, outcome),
            None => self.pending.push(action),
        }
    }

    /// The result in this kernel; `None`: it completes later.
    pub(super) fn honest(&mut self, action: Action) -> Option<Outcome> {
        let (token, _) = asked(action)?;
        let waits = |of: Token| self.plan.completions && !self.cancelled.contains(&of);
        match action {
            Action::Accept { listener, .. } | Action::Refuse { listener } => {
                let waiting = self
                    .kernel
                    .backlogs
                    .get(&listener)
                    .is_some_and(|backlog| !backlog.is_empty());
                if !waiting && waits(listener) {
                    return None;
                }
                let outcome = self.kernel.accept(listener);
                let refused = matches!(
                    (action, outcome),
                    (Action::Refuse { .. }, Outcome::Accepted(_))
                );
                Some(if refused {
                    Outcome::Complete(0)
                } else {
                    outcome
                })
            }
            Action::Connect { .. } => {
                let completion = waits(token);
                self.kernel.attempt(token, completion)
            }
            Action::Recv { into, .. } => {
                let completion = waits(token);
                self.kernel.receive(token, into.len, completion)
            }
            Action::Send { from, .. } => {
                let completion = waits(token);
                self.kernel.send(token, from.len, completion)
            }
            Action::Unsent { .. } => {
                let mut state = self.kernel.sockets[&token].state;
                Some(state.unsent())
            }
            Action::ReceiveFrom { token } => {
                let completion = waits(token);
                let letters = self.kernel.letters.get_mut(&token);
                letters.and_then(|letters| letters.receive(completion))
            }
            Action::SendTo { token } => {
                let completion = waits(token);
                let letters = self.kernel.letters.get_mut(&token);
                letters.and_then(|letters| letters.send(completion))
            }
            Action::Shutdown { .. } => Some(self.model().get(token).shut_down()),
            Action::Close { .. } => Some(Outcome::Complete(0)),
            Action::Arm { .. } | Action::Cancel { .. } | Action::Rebuild => None,
        }
    }

    /// A completion goes in, made up or not.
    pub(super) fn answer(&mut self, action: Action, outcome: Outcome) {
        let Some((token, op)) = asked(action) else {
            return;
        };
        let edge = self.plan.config.trigger == Trigger::Edge;
        match action {
            Action::Accept { .. } if matches!(outcome, Outcome::Accepted(_)) => {
                self.kernel.open(token);
                let id = self.kernel.sockets[&token].id;
                self.model().get(token).id = id;
            }
            Action::Connect { .. } => {
                self.kernel.attempted(token, outcome);
                if let Some(socket) = self.kernel.sockets.get(&token) {
                    let id = socket.id;
                    self.model().get(token).id = id;
                }
            }
            Action::Recv { into: span, .. } if possible(outcome, span) => {
                self.kernel.answered(token, true, outcome, edge);
            }
            Action::Send { from, .. } => {
                self.compare(token, from);
                self.places.remove(&token);
                if possible(outcome, from) {
                    self.kernel.answered(token, false, outcome, edge);
                }
            }
            Action::Shutdown { .. } => {
                if let Some(socket) = self.kernel.sockets.get_mut(&token) {
                    socket.shut = true;
                    if let Outcome::Complete(_) = outcome {
                        let _done = socket.state.shut_down();
                    }
                }
            }
            Action::Close { .. } => self.kernel.close(token),
            Action::Accept { .. }
            | Action::Recv { .. }
            | Action::Refuse { .. }
            | Action::Unsent { .. }
            | Action::ReceiveFrom { .. }
            | Action::SendTo { .. }
            | Action::Arm { .. }
            | Action::Cancel { .. }
            | Action::Rebuild => {}
        }
        let mut model = self.model();
        model.now = model.now.max(self.now);
        model.answers(token, op, outcome);
        drop(model);
        self.event(Event::Done { token, op, outcome });
        self.model().answered(self.core());
        self.model().datagrams_were_told();
        self.check();
    }

    /// Arming fails, after the fact.
    pub(super) fn arm_fails(&mut self, token: Token, fault: Fault) {
        self.kernel.forget(token);
        let ends = token.is_listener() && self.model().listeners[&token].failed;
        let pauses = self.core().stats().shortages;
        self.model().arm_failed(token, fault);
        self.model().watch_fails(token, fault);
        let outcome = Outcome::Failed(fault);
        self.event(Event::Done {
            token,
            op: Op::Arm,
            outcome,
        });
        self.model().watch_was_told();
        let paused = self.core().stats().shortages > pauses;
        assert!(
            !(ends && paused),
            "{token:?} ends, and another listener pauses"
        );
    }

    /// An event that must change nothing but the two counters.
    pub(super) fn nothing_comes_of(&mut self, event: Event) {
        self.now = self.now.min(self.core().now());
        let before = self.snapshot();
        self.event(event);
        let after = self.snapshot();
        assert_eq!(before.1 + 1, after.1, "counted once: {event:?}");
        assert_eq!(before.0, after.0, "{event:?}");
    }

    #[expect(clippy::type_complexity, reason = "compared and nothing else")]
    fn snapshot(
        &self,
    ) -> (
        (
            Option<Instant>,
            Instant,
            bool,
            Vec<(Token, Directions, Trigger)>,
            Vec<(Token, Span, Span, Option<Info>)>,
            Stats,
        ),
        u64,
    ) {
        let core = self.core();
        let mut stats = core.stats().clone();
        let dropped = core::mem::take(&mut stats.stale) + core::mem::take(&mut stats.unasked);
        let connections = (core.connections())
            .map(|token| {
                (
                    token,
                    core.unconsumed(token),
                    core.spare_capacity(token),
                    core.info(token),
                )
            })
            .collect();
        let armed = core.armed().collect();
        (
            (
                core.poll_timeout(),
                core.now(),
                core.has_work(),
                armed,
                connections,
                stats,
            ),
            dropped,
        )
    }

    pub(super) fn forward(&mut self, nanos: u64, back: bool) {
        self.now = moved(self.now, nanos, back);
    }
}

fn possible(outcome: Outcome, span: Span) -> bool {
    match outcome {
        Outcome::Complete(n) | Outcome::Drained(n) => n <= span.len,
        Outcome::Accepted(_) | Outcome::Datagram { .. } | Outcome::Failed(_) => false,
    }
}

/// The token and operation of the completion of an action; `None` if it has none.
pub(super) fn asked(action: Action) -> Option<(Token, Op)> {
    match action {
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
