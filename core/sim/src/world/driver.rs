//! [`Driver`]: performs a session's actions on the simulated kernel, at once or later.

use super::broken::Broken;
use super::watch::Watch;
use crate::fairness::Fairness;
use crate::kernel::{Fd, Kernel};
use crate::random::Random;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use core::fmt::Write;
use tidegate_core::Action;
use tidegate_core::Instant;
use tidegate_core::Token;
use tidegate_core::errno::{self, Errno};
use tidegate_core::{Completion, Event, Outcome};
use tidegate_core::{Directions, Trigger};
use tidegate_core::{Handler, Session};

/// Which kind of kernel interface a session is run on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Interface {
    /// epoll: the kernel reports what is ready, and every call completes at once.
    Readiness(Trigger),
    /// io_uring: no readiness events, and calls complete when they have a result, in any order.
    Completion,
}

impl Interface {
    /// All four.
    pub const ALL: [Self; 4] = [
        Self::Readiness(Trigger::Level),
        Self::Readiness(Trigger::Edge),
        Self::Readiness(Trigger::Oneshot),
        Self::Completion,
    ];
}

/// Events that one wait takes: few, so that some are left for the next.
const BATCH: usize = 3;
/// More actions than any iteration has: its bytes are bounded, and each counts for some.
const TURN: u32 = 100_000;
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) interface: Interface,
    pub(super) set: Fd,
    /// The descriptors of connections and listeners.
    pub(super) sockets: BTreeMap<Token, Fd>,
    /// Whether a poll for the end accompanies multishot receives, as in the library. Only a test removes it.
    pub(super) watches_hang_up: bool,
    /// Issued and not completed.
    pending: Vec<Pending>,
    /// A hash of all that was performed, and its outcomes.
    pub(super) digest: Digest,
    /// Whether false and stale events come now and then.
    noise: bool,
    /// Those that were falsely reported to have hung up: a machine that finds nothing wrong may ignore it from then on,
    /// and the true one with it.
    pub(super) misled: BTreeSet<Token>,
    /// The current false event, and for how many more iterations.
    lie: Option<(Token, u32)>,
    /// Every connection that there ever was.
    pub(super) known: Vec<Token>,
    /// Stale events that were passed.
    pub(super) stale: u64,
    /// The last wait was interrupted, or a fault came in the way of a completion, so there may be something after all.
    interrupted: bool,
    /// Whether the next outcome goes to `poll_output`, and not to `handle_event`: either must do, so they alternate.
    inline: bool,
    /// Iterations in a row with an event and no progress.
    vain: u32,
    fairness: Fairness,
    /// The set is new, and may report more events again.
    pub(super) rebuilt: bool,
    /// Those of which an injected error left open what is registered, until it is known again.
    pub(super) astray: BTreeSet<Token>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) action: Action,
    pub(super) cancelled: bool,
    /// Where the bytes of a send lay when it was issued.
    pub(super) place: usize,
}

impl Driver {
    pub(super) fn new(
        interface: Interface,
        noise: bool,
        kernel: &mut Kernel,
    ) -> Result<Self, Errno> {
        Ok(Self {
            interface,
            set: kernel.epoll_create()?,
            sockets: BTreeMap::new(),
            watches_hang_up: true,
            pending: Vec::new(),
            digest: Digest(0xcbf2_9ce4_8422_2325),
            noise,
            misled: BTreeSet::new(),
            lie: None,
            known: Vec::new(),
            stale: 0,
            interrupted: false,
            inline: false,
            vain: 0,
            fairness: Fairness::default(),
            rebuilt: false,
            astray: BTreeSet::new(),
        })
    }

    pub(super) fn adopt(&mut self, token: Token, listener: Fd) {
        self.sockets.insert(token, listener);
    }

    /// Descriptors that it holds, its own set among them.
    pub(super) fn holds(&self) -> usize {
        self.sockets.len() + 1
    }

    /// One iteration of the loop; returns whether it did anything. `acted`: peers did something since the last; `all`:
    /// nothing else moves, so every completion is tried.
    pub(super) fn turn<H: Handler>(
        &mut self,
        session: &mut Session<'_, Watch<H>>,
        kernel: &mut Kernel,
        random: &mut Random,
        now: Instant,
        (acted, all): (bool, bool),
    ) -> Result<bool, Broken> {
        let anew = core::mem::take(&mut self.rebuilt);
        let notified = session.handler().notified;
        let told = match self.interface {
            Interface::Readiness(_) => {
                self.mislead(session, random, now);
                self.report(session, kernel, now)?
            }
            Interface::Completion => self.complete(session, kernel, random, now, all)?,
        };
        session.handle_timeout(now);
        self.is_fair(session)?;
        let mut actions = 0u32;
        let mut completed = None;
        while let Some(action) = session.poll_output(completed) {
            actions += 1;
            if actions > TURN {
                return Err(Broken::new(format!(
                    "an iteration of {actions} actions has no end"
                )));
            }
            completed = self.perform(session, kernel, now, action)?;
            self.is_fair(session)?;
        }
        self.is_fair(session)?;
        // Events of what peers do may be spurious, while they are not wanted; others, once. A descriptor that the application
        // watches is its own affair: it may request it again in each iteration, and leave it as it is.
        let notified = session.handler().notified > notified;
        let strange = acted || anew || notified || !self.astray.is_empty();
        self.rebuilt |= anew && (told == BATCH || self.interrupted);
        self.vain = if told > 0 && actions == 0 && !strange {
            self.vain + 1
        } else {
            0
        };
        if self.vain > 1 && matches!(self.interface, Interface::Readiness(_)) {
            return Err(Broken::new(format!(
                "{} iterations with events and no progress",
                self.vain
            )));
        }
        let interrupted = core::mem::take(&mut self.interrupted);
        Ok(interrupted || told > 0 || actions > 0 || session.machine().has_work())
    }

    fn is_fair<H: Handler>(&mut self, session: &Session<'_, Watch<H>>) -> Result<(), Broken> {
        let fair = self.fairness.observe(session.machine());
        fair.map_err(Broken::new)
    }

    /// The readiness world: passes the kernel's events to the session.
    fn report<H: Handler>(
        &mut self,
        session: &mut Session<'_, H>,
        kernel: &mut Kernel,
        now: Instant,
    ) -> Result<usize, Broken> {
        let reports = match kernel.epoll_wait(self.set, BATCH) {
            Ok(reports) => reports,
            Err(Errno::INTR) => {
                self.interrupted = true;
                return Ok(0);
            }
            Err(errno) => return Err(Broken::new(format!("epoll_wait: {errno}"))),
        };
        for report in &reports {
            session.handle_event(now, report.event());
        }
        Ok(reports.len())
    }

    /// A false event, of a connection that lives or of one that is gone; often some iterations in a row, as a
    /// registration that outlived its descriptor makes them.
    fn mislead<H: Handler>(
        &mut self,
        session: &mut Session<'_, H>,
        random: &mut Random,
        now: Instant,
    ) {
        if self.noise && random.one_in(16) {
            let about = random.pick(&self.known).copied();
            self.lie = about.map(|token| (token, random.length(16)));
        }
        let Some((token, left)) = self.lie else {
            return;
        };
        self.lie = left.checked_sub(1).map(|left| (token, left));
        self.stale += u64::from(!self.sockets.contains_key(&token));
        let directions = Directions::READ.when(random.one_in(2));
        let event = Event::Ready {
            token,
            directions: directions | Directions::WRITE.when(random.one_in(2)),
            closing: random.one_in(4),
        };
        if matches!(event, Event::Ready { closing: true, .. }) {
            self.misled.insert(token);
        }
        session.handle_event(now, event);
    }

    /// The completion world: completes some of what is pending, in any order.
    fn complete<H: Handler>(
        &mut self,
        session: &mut Session<'_, H>,
        kernel: &mut Kernel,
        random: &mut Random,
        now: Instant,
        all: bool,
    ) -> Result<usize, Broken> {
        let mut left = core::mem::take(&mut self.pending);
        let mut answered = 0;
        while !left.is_empty() {
            let count = u32::try_from(left.len()).unwrap_or(u32::MAX);
            let next = left.swap_remove(random.below(count) as usize);
            if !all && random.one_in(2) {
                self.pending.push(next);
                continue;
            }
            let faults = kernel.faults.taken().len();
            let outcome = self.carry_out(session, kernel, next)?;
            // A fault asked for a retry, so it retries: there may be something to it.
            self.interrupted |= kernel.faults.taken().len() > faults;
            // It is not over, unless it has to be.
            let counts = matches!(next.action, Action::Unsent { .. });
            let over = next.cancelled || counts || matches!(next.action, Action::Shutdown { .. });
            if outcome == Outcome::Drained(0) && !over {
                self.pending.push(next);
                continue;
            }
            // Completions report no readiness: so much was moved.
            let outcome = match outcome {
                Outcome::Drained(n) if n > 0 && !counts => Outcome::Complete(n),
                Outcome::Drained(_)
                | Outcome::Complete(_)
                | Outcome::Accepted(_)
                | Outcome::Datagram { .. }
                | Outcome::Failed(_) => outcome,
            };
            answered += 1;
            self.answer(session, now, next.action, outcome)?;
        }
        Ok(answered)
    }

    fn perform<H: Handler>(
        &mut self,
        session: &mut Session<'_, H>,
        kernel: &mut Kernel,
        now: Instant,
        action: Action,
    ) -> Result<Option<Completion>, Broken> {
        let completes = self.interface == Interface::Completion;
        match action {
            Action::Arm {
                token, now: asked, ..
            } if completes => {
                // Whatever it waits for, it may try: the completion comes when there is a result.
                self.ready(session, now, token, asked);
                Ok(None)
            }
            Action::Arm {
                token,
                was,
                now: asked,
                trigger,
            } => {
                let armed = self.arm(kernel, token, was, asked, trigger);
                match armed {
                    Ok(()) => Ok(None),
                    Err(errno) if self.astray.contains(&token) => {
                        let outcome = errno::arm(errno);
                        self.complete_now(session, now, action, outcome)
                    }
                    Err(errno) => Err(Broken::new(format!("{action:?}: {errno}"))),
                }
            }
            Action::Cancel { token } => {
                for pending in &mut self.pending {
                    pending.cancelled |= names(pending.action, token);
                }
                Ok(None)
            }
            Action::Rebuild if self.stale > 0 => {
                self.rebuild(session, kernel)?;
                Ok(None)
            }
            Action::Rebuild => Err(Broken::new(format!("{action:?} without a stale report"))),
            Action::Accept { .. }
            | Action::Refuse { .. }
            | Action::Connect { .. }
            | Action::Recv { .. }
            | Action::Send { .. }
            | Action::Shutdown { .. }
            | Action::Unsent { .. }
            | Action::ReceiveFrom { .. }
            | Action::SendTo { .. }
            | Action::Close { .. } => {
                let place = if let Action::Send { token, from } = action {
                    session.send_from(token, from).as_ptr().addr()
                } else {
                    0
                };
                let pending = Pending {
                    action,
                    cancelled: false,
                    place,
                };
                if completes {
                    self.pending.push(pending);
                    return Ok(None);
                }
                let outcome = self.carry_out(session, kernel, pending)?;
                self.complete_now(session, now, action, outcome)
            }
        }
    }

    /// An operation of a readiness driver completes: inline, or by an event.
    fn complete_now<H: Handler>(
        &mut self,
        session: &mut Session<'_, H>,
        now: Instant,
        action: Action,
        outcome: Outcome,
    ) -> Result<Option<Completion>, Broken> {
        self.inline = !self.inline;
        if self.inline
            && let Some(completion) = outcome.completion()
        {
            let _ = write!(self.digest, "{action:?}{outcome:?}");
            return Ok(Some(completion));
        }
        self.answer(session, now, action, outcome)?;
        Ok(None)
    }

    fn answer<H: Handler>(
        &mut self,
        session: &mut Session<'_, H>,
        now: Instant,
        action: Action,
        outcome: Outcome,
    ) -> Result<(), Broken> {
        let _ = write!(self.digest, "{action:?}{outcome:?}");
        let Some((token, op)) = action.operation() else {
            return Err(Broken::new(format!("{action:?} has no completion")));
        };
        session.handle_event(now, Event::Done { token, op, outcome });
        // A listener counts as not ready after each accept, a datagram socket after some; here it may always be tried.
        if self.interface == Interface::Completion
            && let Action::Accept {
                listener: token, ..
            }
            | Action::Refuse { listener: token }
            | Action::ReceiveFrom { token } = action
            && self.sockets.contains_key(&token)
        {
            self.ready(session, now, token, Directions::READ);
        }
        Ok(())
    }

    fn ready<H: Handler>(
        &self,
        session: &mut Session<'_, H>,
        now: Instant,
        token: Token,
        directions: Directions,
    ) {
        let closing = false;
        session.handle_event(
            now,
            Event::Ready {
                token,
                directions,
                closing,
            },
        );
    }

    pub(super) fn socket(&self, token: Token) -> Result<Fd, Broken> {
        let socket = self.sockets.get(&token).copied();
        socket.ok_or_else(|| Broken::new(format!("{token:?} has no descriptor")))
    }
}

/// Whether an action is this source's.
fn names(action: Action, of: Token) -> bool {
    match action {
        Action::Accept { listener, token } => listener == of || token == of,
        Action::Refuse { listener } => listener == of,
        Action::Recv { token, .. }
        | Action::Send { token, .. }
        | Action::Connect { token }
        | Action::Arm { token, .. }
        | Action::Shutdown { token }
        | Action::Unsent { token }
        | Action::ReceiveFrom { token }
        | Action::SendTo { token }
        | Action::Cancel { token }
        | Action::Close { token, .. } => token == of,
        Action::Rebuild => false,
    }
}

/// A hash of text (FNV-1a), to distinguish two runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Digest(pub(super) u64);

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}
