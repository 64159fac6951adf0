//! [`Driver`]: a session's actions carried out on the simulated kernel, at once or later.

use super::broken::Broken;
use super::outcome;
use crate::directions::{Directions, Trigger};
use crate::event::{Event, Op, Outcome};
use crate::output::{Action, Span};
use crate::session::{Handler, Session};
use crate::sim::errno::Errno;
use crate::sim::faults::Call;
use crate::sim::flags::EpollFlags;
use crate::sim::kernel::{Fd, Kernel, Shutdown};
use crate::sim::random::Random;
use crate::time::Instant;
use crate::token::Token;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write;

/// Which kind of kernel interface a session is run on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Interface {
    /// epoll: the kernel tells what is ready, and every call is answered at once.
    Readiness(Trigger),
    /// io_uring: nothing is told, and calls are answered when they have something to answer, in any order.
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

/// Reports that one wait asks for: few, so that some are left for the next.
const BATCH: usize = 3;
#[derive(Debug)]
pub(super) struct Driver {
    interface: Interface,
    set: Fd,
    /// The descriptors of connections and listeners.
    sockets: BTreeMap<Token, Fd>,
    /// Issued and not answered.
    pending: Vec<Pending>,
    /// A hash of all that was carried out, and what came of it.
    pub(super) digest: Digest,
    /// Whether false and stale reports are told now and then.
    noise: bool,
    /// What is told falsely now, and for how many more turns.
    lie: Option<(Token, u32)>,
    /// Every connection that there ever was.
    known: Vec<Token>,
    /// Stale reports that were told.
    pub(super) stale: u64,
    /// The last wait was interrupted, so there may be reports.
    interrupted: bool,
    /// Turns in a row with a report and nothing that came of it.
    vain: u32,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    action: Action,
    cancelled: bool,
    /// Where the bytes of a send lay when it was issued.
    place: usize,
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
            pending: Vec::new(),
            digest: Digest(0xcbf2_9ce4_8422_2325),
            noise,
            lie: None,
            known: Vec::new(),
            stale: 0,
            interrupted: false,
            vain: 0,
        })
    }

    pub(super) fn adopt(&mut self, token: Token, listener: Fd) {
        self.sockets.insert(token, listener);
    }

    /// Descriptors that it holds, its own set among them.
    pub(super) fn holds(&self) -> usize {
        self.sockets.len() + 1
    }

    /// One round of the loop; tells whether it did anything. `acted`: peers did something since the last;
    /// `all`: nothing else moves, so every completion is tried.
    pub(super) fn turn<H: Handler>(
        &mut self,
        session: &mut Session<'_, H>,
        kernel: &mut Kernel,
        random: &mut Random,
        now: Instant,
        (acted, all): (bool, bool),
    ) -> Result<bool, Broken> {
        let told = match self.interface {
            Interface::Readiness(_) => {
                self.mislead(session, random, now);
                self.report(session, kernel, now)?
            }
            Interface::Completion => self.complete(session, kernel, random, now, all)?,
        };
        session.handle_timeout(now);
        let mut actions = 0u32;
        while let Some(action) = session.poll_output() {
            actions += 1;
            self.perform(session, kernel, now, action)?;
        }
        // What peers do may be told in vain, while nobody wants it; what nobody has done, once.
        self.vain = if told > 0 && actions == 0 && !acted {
            self.vain + 1
        } else {
            0
        };
        if self.vain > 1 && matches!(self.interface, Interface::Readiness(_)) {
            return Err(Broken::new(format!(
                "{} turns with reports and no progress",
                self.vain
            )));
        }
        let interrupted = core::mem::take(&mut self.interrupted);
        Ok(interrupted || told > 0 || actions > 0 || session.machine().has_work())
    }

    /// The readiness world: tells what the kernel reports.
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
        let closing = EpollFlags::RDHUP | EpollFlags::HUP | EpollFlags::ERR | EpollFlags::PRI;
        for report in &reports {
            let flags = report.flags;
            let input = flags.intersects(EpollFlags::IN | EpollFlags::PRI);
            let event = Event::Ready {
                token: Token::from_bits(report.data),
                directions: Directions::READ.when(input)
                    | Directions::WRITE.when(flags.contains(EpollFlags::OUT)),
                closing: flags.intersects(closing),
            };
            session.handle_event(now, event);
        }
        Ok(reports.len())
    }

    /// A report that is not true, of a connection that lives or of one that is gone; often some turns in a row, as a
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
        session.handle_event(now, event);
    }

    /// The completion world: answers some of what is pending, in any order.
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
            let outcome = self.carry_out(session, kernel, next)?;
            // It is not over, unless it has to be.
            if outcome == Outcome::Drained(0) && !next.cancelled {
                self.pending.push(next);
                continue;
            }
            // Completions tell no readiness: so much was moved.
            let outcome = match outcome {
                Outcome::Drained(n) if n > 0 => Outcome::Complete(n),
                Outcome::Drained(_)
                | Outcome::Complete(_)
                | Outcome::Accepted(_)
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
    ) -> Result<(), Broken> {
        let completes = self.interface == Interface::Completion;
        match action {
            Action::Arm {
                token, now: asked, ..
            } if completes => {
                // Whatever it waits for, it may try: the answer comes when there is one.
                self.ready(session, now, token, asked);
                Ok(())
            }
            Action::Arm {
                token,
                was,
                now: asked,
                trigger,
            } => {
                let armed = self.arm(kernel, token, was, asked, trigger);
                match armed {
                    Ok(()) => Ok(()),
                    Err(errno) if Call::EpollAdd.fatal().contains(&errno) => {
                        let outcome = outcome::of(Call::EpollAdd, errno);
                        self.answer(session, now, action, outcome)
                    }
                    Err(errno) => Err(Broken::new(format!("{action:?}: {errno}"))),
                }
            }
            Action::Cancel { token } => {
                for pending in &mut self.pending {
                    pending.cancelled |= names(pending.action, token);
                }
                Ok(())
            }
            Action::Rebuild if self.stale > 0 => self.rebuild(session, kernel),
            Action::Rebuild => Err(Broken::new(format!("{action:?} without a stale report"))),
            Action::Accept { .. }
            | Action::Refuse { .. }
            | Action::Recv { .. }
            | Action::Send { .. }
            | Action::Shutdown { .. }
            | Action::Unsent { .. }
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
                    return Ok(());
                }
                let outcome = self.carry_out(session, kernel, pending)?;
                self.answer(session, now, action, outcome)
            }
        }
    }

    /// Makes the call.
    fn carry_out<H: Handler>(
        &mut self,
        session: &mut Session<'_, H>,
        kernel: &mut Kernel,
        pending: Pending,
    ) -> Result<Outcome, Broken> {
        let action = pending.action;
        let outcome = match action {
            Action::Accept { listener, token } => {
                let accepted = kernel.accept(self.socket(listener)?);
                accepted
                    .map_err(|errno| outcome::of(Call::Accept, errno))
                    .map(|(fd, peer)| {
                        self.sockets.insert(token, fd);
                        self.known.push(token);
                        Outcome::Accepted(peer)
                    })
            }
            Action::Refuse { listener } => {
                let accepted = kernel.accept(self.socket(listener)?);
                accepted
                    .map_err(|errno| outcome::of(Call::Accept, errno))
                    .map(|(fd, _)| {
                        let _ = kernel.reset_on_close(fd);
                        let _ = kernel.close(fd);
                        Outcome::Complete(0)
                    })
            }
            Action::Recv { token, into } => {
                return self.receive(session, kernel, token, into);
            }
            Action::Send { token, from } => {
                return self.send(session, kernel, token, from, pending.place);
            }
            Action::Shutdown { token } => {
                let done = kernel.shutdown(self.socket(token)?, Shutdown::Write);
                done.map_err(|errno| outcome::of(Call::Shutdown, errno))
                    .map(|()| Outcome::Complete(0))
            }
            Action::Unsent { token } => {
                let unsent = kernel.unsent(self.socket(token)?);
                unsent
                    .map_err(|errno| outcome::of(Call::Unsent, errno))
                    .map(|n| Outcome::Complete(u32::try_from(n).unwrap_or(u32::MAX)))
            }
            Action::Close { token, reset } => {
                let socket = self.socket(token)?;
                if kernel.registered(self.set).any(|(fd, ..)| fd == socket) {
                    return Err(Broken::new(format!("{action:?} while it is registered")));
                }
                self.sockets.remove(&token);
                if reset {
                    // A listener has no such option.
                    let _ = kernel.reset_on_close(socket);
                }
                // Closed is closed, whatever it says.
                let _ = kernel.close(socket);
                Ok(Outcome::Complete(0))
            }
            Action::Arm { .. } | Action::Cancel { .. } | Action::Rebuild => {
                return Err(Broken::new(format!("{action:?} has no answer")));
            }
        };
        Ok(outcome.unwrap_or_else(|outcome| outcome))
    }

    fn receive<H: Handler>(
        &self,
        session: &mut Session<'_, H>,
        kernel: &mut Kernel,
        token: Token,
        into: Span,
    ) -> Result<Outcome, Broken> {
        let mut bytes = vec![0; into.len as usize];
        let n = match kernel.recv(self.socket(token)?, &mut bytes) {
            Ok(n) => n,
            Err(errno) => return Ok(outcome::of(Call::Recv, errno)),
        };
        let space = session.receive_into(token, into);
        if space.len() != bytes.len() || bytes.is_empty() {
            return Err(Broken::new(format!("{token:?} has no place for {into:?}")));
        }
        let (to, from) = (space.iter_mut(), bytes.iter().take(n));
        to.zip(from).for_each(|(to, from)| *to = *from);
        Ok(outcome::moved(n, bytes.len(), n > 0))
    }

    fn send<H: Handler>(
        &self,
        session: &Session<'_, H>,
        kernel: &mut Kernel,
        token: Token,
        from: Span,
        place: usize,
    ) -> Result<Outcome, Broken> {
        let bytes = session.send_from(token, from);
        if bytes.as_ptr().addr() != place || bytes.len() != from.len as usize || bytes.is_empty() {
            return Err(Broken::new(format!(
                "{token:?}: the bytes of {from:?} moved"
            )));
        }
        Ok(match kernel.send(self.socket(token)?, bytes) {
            Ok(n) => outcome::moved(n, bytes.len(), true),
            Err(errno) => outcome::of(Call::Send, errno),
        })
    }

    fn answer<H: Handler>(
        &mut self,
        session: &mut Session<'_, H>,
        now: Instant,
        action: Action,
        outcome: Outcome,
    ) -> Result<(), Broken> {
        let _ = write!(self.digest, "{action:?}{outcome:?}");
        let (token, op) = match action {
            Action::Accept { token, .. } => (token, Op::Accept),
            Action::Refuse { listener } => (listener, Op::Refuse),
            Action::Recv { token, .. } => (token, Op::Recv),
            Action::Send { token, .. } => (token, Op::Send),
            Action::Arm { token, .. } => (token, Op::Arm),
            Action::Shutdown { token } => (token, Op::Shutdown),
            Action::Unsent { token } => (token, Op::Unsent),
            Action::Close { token, .. } => (token, Op::Close),
            Action::Cancel { .. } | Action::Rebuild => {
                return Err(Broken::new(format!("{action:?} has no answer")));
            }
        };
        session.handle_event(now, Event::Done { token, op, outcome });
        // A listener counts as not ready after each accept; here it may always be tried.
        if self.interface == Interface::Completion
            && let Action::Accept { listener, .. } | Action::Refuse { listener } = action
            && self.sockets.contains_key(&listener)
        {
            self.ready(session, now, listener, Directions::READ);
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

    /// As the Linux driver does, but that nothing needs to be mended here.
    fn arm(
        &self,
        kernel: &mut Kernel,
        token: Token,
        was: Directions,
        now: Directions,
        trigger: Trigger,
    ) -> Result<(), Errno> {
        let fd = self.sockets.get(&token).copied().ok_or(Errno::BADF)?;
        let (mask, data) = (interest(now, trigger), token.to_bits());
        if now.is_empty() {
            kernel.epoll_delete(self.set, fd)
        } else if was.is_empty() {
            kernel.epoll_add(self.set, fd, mask, data)
        } else {
            kernel.epoll_modify(self.set, fd, mask, data)
        }
    }

    /// A new set with everything that is armed. Its calls do not fail: that is the affair of others.
    fn rebuild<H: Handler>(
        &mut self,
        session: &Session<'_, H>,
        kernel: &mut Kernel,
    ) -> Result<(), Broken> {
        let faults = core::mem::take(&mut kernel.faults);
        let fail = |errno| Broken::new(format!("no new set: {errno}"));
        kernel.close(self.set).map_err(fail)?;
        self.set = kernel.epoll_create().map_err(fail)?;
        for (token, armed, trigger) in session.armed() {
            self.arm(kernel, token, Directions::NONE, armed, trigger)
                .map_err(fail)?;
        }
        kernel.faults = faults;
        Ok(())
    }

    /// Whether the kernel's set holds what the session believes, and nothing else.
    pub(super) fn is_registered<H: Handler>(
        &self,
        session: &Session<'_, H>,
        kernel: &Kernel,
    ) -> bool {
        if self.interface == Interface::Completion {
            return true;
        }
        let believed = session.armed().map(|(token, armed, trigger)| {
            let fd = self.sockets.get(&token).copied();
            (fd, interest(armed, trigger), token.to_bits())
        });
        let mut believed: Vec<_> = believed.collect();
        let held = kernel.registered(self.set);
        let mut held: Vec<_> = held
            .map(|(fd, mask, data)| (Some(fd), mask, data))
            .collect();
        let order = |(fd, mask, data): &(Option<Fd>, EpollFlags, u64)| (*fd, mask.bits(), *data);
        believed.sort_by_key(order);
        held.sort_by_key(order);
        believed == held
    }

    fn socket(&self, token: Token) -> Result<Fd, Broken> {
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
        | Action::Arm { token, .. }
        | Action::Shutdown { token }
        | Action::Unsent { token }
        | Action::Cancel { token }
        | Action::Close { token, .. } => token == of,
        Action::Rebuild => false,
    }
}

/// What to ask the kernel for, as the Linux driver does.
fn interest(directions: Directions, trigger: Trigger) -> EpollFlags {
    let read = (EpollFlags::IN | EpollFlags::RDHUP).when(directions.contains(Directions::READ));
    let flags = read | EpollFlags::OUT.when(directions.contains(Directions::WRITE));
    match trigger {
        Trigger::Level => flags,
        Trigger::Edge => flags | EpollFlags::ET | EpollFlags::RDHUP | EpollFlags::PRI,
        Trigger::Oneshot => flags | EpollFlags::ONESHOT,
    }
}

/// A hash of text (FNV-1a), for telling two runs apart.
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
