//! Completions of actions: one for each, whatever order they come in.

use super::Dispatcher;

use crate::config::Class;
use crate::event::{Completion, Fault, Op, Outcome, TransferResult};
use crate::output::{Notice, Reason};
use crate::readiness::{Directions, Trigger};
use crate::slot::{Call, Cursors, Flags, State};
use crate::stats::{add, bump};
use crate::token::Token;

/// What a transfer has come to, as the session has to know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moved {
    /// What concerns nobody.
    Nothing,
    /// Bytes came.
    Readable,
    /// The end came.
    Ended,
    /// There is the send capacity that was waited for.
    Writable,
    /// Nothing is queued any more, and nobody waited for that.
    Emptied,
}

impl Moved {
    pub(crate) const fn notice(self, token: Token) -> Option<Notice> {
        match self {
            Self::Nothing | Self::Emptied => None,
            Self::Readable => Some(Notice::Readable(token)),
            Self::Ended => Some(Notice::Ended(token)),
            Self::Writable => Some(Notice::Writable(token)),
        }
    }
}

impl Dispatcher<'_> {
    /// A completion that comes as an event: if its token names the operation in flight, it is that of the operation.
    pub(super) fn done(&mut self, token: Token, op: Op, outcome: Outcome) -> Option<Notice> {
        if !op.is_transfer() {
            return self.called(token, op, &outcome);
        }
        let moved = match outcome.completion() {
            _ if token.is_listener() => self.unasked(token, op),
            None => self.impossible_transfer(token, op),
            Some(completion) if op == Op::Recv => self.received(token, completion),
            Some(completion) => self.sent(token, completion),
        };
        moved.notice(token)
    }

    /// The completion of anything but a transfer.
    #[inline(never)]
    pub(crate) fn called(&mut self, token: Token, op: Op, outcome: &Outcome) -> Option<Notice> {
        let index = token.slot();
        let slot = self.slots.at(index);
        let call = slot.call;
        let asked = match op {
            Op::Accept => slot.state() == State::Reserved,
            Op::Refuse => call == Some(Call::Refuse),
            Op::Shutdown => call == Some(Call::Shutdown),
            Op::Connect => call == Some(Call::Connect),
            Op::Unsent => call == Some(Call::Unsent),
            Op::Close => call == Some(Call::Close),
            Op::ReceiveFrom => self.has_datagram_in_flight(index, Directions::READ),
            Op::SendTo => self.has_datagram_in_flight(index, Directions::WRITE),
            // What is not accepted yet was never armed.
            Op::Arm => matches!(outcome, Outcome::Failed(_)) && slot.state() != State::Reserved,
            Op::Cancel => matches!(outcome, Outcome::Failed(_)),
            Op::Recv | Op::Send => false,
        };
        if !asked || !slot.is_named(token) {
            self.unasked(token, op);
            return None;
        }
        match op {
            Op::Accept => return self.accepted(index, outcome),
            Op::Connect => return self.connected(index, *outcome),
            Op::Close => return self.closed(index),
            Op::ReceiveFrom | Op::SendTo => return self.datagram_done(index, op, *outcome),
            Op::Refuse => self.refused(index, outcome),
            Op::Shutdown => self.shut(index, outcome),
            Op::Unsent => self.queried(index, outcome),
            Op::Arm => return self.arm_failed(index, outcome),
            // What could not be cancelled completes in its own time.
            Op::Cancel | Op::Recv | Op::Send => {}
        }
        None
    }

    /// An unrequested completion: its token is stale, or no such operation is in flight.
    fn unasked(&mut self, token: Token, op: Op) -> Moved {
        if self.find(token).is_none() {
            self.stale(token);
        } else {
            debug!("unasked: {:?} {:?}", token, op);
            bump(&mut self.m.stats.unasked);
        }
        Moved::Nothing
    }

    /// A receive of a connection completes, if it is in flight: bytes came, or the end, or neither.
    #[inline]
    pub(crate) fn received(&mut self, token: Token, completion: Completion) -> Moved {
        let index = token.slot();
        let windows = self.m.windows;
        let slot = self.slots.at_mut(index);
        if !slot.has_in_flight(token, Directions::READ) {
            return self.unasked(token, Op::Recv);
        }
        slot.readiness.end(Directions::READ);
        let (n, short) = match completion.result {
            TransferResult::Complete => (completion.n, false),
            TransferResult::Drained => (completion.n, true),
            TransferResult::Failed => {
                return self.faulted(index, Directions::READ, completion.fault());
            }
        };
        let record = self.records.at_mut(index);
        // A short read has drained a TCP socket, unless more than data was reported: then EOF or bytes behind an urgent
        // mark may follow, which edge mode would never report (epoll(7) Q9). Would-block is always true.
        if short
            && (n == 0
                || (!slot.flags.has(Flags::CLOSING)
                    && (self.m.trigger != Trigger::Edge || record.is_tcp())))
        {
            slot.readiness.clear_ready(Directions::READ);
        }
        if n == 0 || !slot.hears() {
            return self.received_else(index, n, short);
        }
        if n > windows.receive.wrapping_sub(slot.rx.end) {
            return self.impossible(index, Op::Recv);
        }
        slot.attempts.moved(Directions::READ);
        slot.rx.end = slot.rx.end.wrapping_add(n);
        slot.flags.set(Flags::SPOKEN.or(Flags::HEARD));
        // What comes while paused is notified when it resumes.
        let paused = slot.flags.has(Flags::PAUSED);
        add(&mut record.bytes_in, n);
        add(&mut self.m.stats.bytes_in, n);
        self.spend(index, Directions::READ, n);
        if paused {
            Moved::Nothing
        } else {
            Moved::Readable
        }
    }

    /// No bytes for the application.
    #[inline(never)]
    fn received_else(&mut self, index: u32, n: u32, short: bool) -> Moved {
        let windows = self.m.windows;
        if n > windows.receive {
            return self.impossible(index, Op::Recv);
        }
        if n > 0 {
            self.slots.at_mut(index).attempts.moved(Directions::READ);
        }
        if n == 0 && short {
            self.moved_nothing(index, Directions::READ);
        }
        let slot = self.slots.at_mut(index);
        let open = slot.hears();
        if n == 0 && !short && slot.keeps_end_waiting() {
            // From now on nothing is received until then.
            slot.want(windows.send, false);
        }
        // The end can be read again, and is when the application has taken what came before it.
        let later = open && (slot.is_held_back() || slot.flags.has(Flags::PAUSED));
        let ended = n == 0 && !short && !later;
        if ended {
            slot.flags.set(Flags::ENDED);
            // It may have hung up both ways, which only a query shows where no send is due.
            if slot.may_have_hung_up() && self.m.patience.is_some() {
                slot.ask_about_end();
            }
        }
        if slot.state() == State::Lingering && n > 0 {
            let units = u16::try_from(super::units(n)).unwrap_or(u16::MAX);
            slot.tally = slot.tally.saturating_add(units);
            if slot.tally >= self.m.linger {
                slot.flags.set(Flags::ENDED);
            }
        }
        self.spend(index, Directions::READ, n);
        if ended && open {
            Moved::Ended
        } else {
            Moved::Nothing
        }
    }

    /// A send of a connection completes, if it is in flight: the kernel took bytes, or none.
    #[inline]
    pub(crate) fn sent(&mut self, token: Token, completion: Completion) -> Moved {
        let index = token.slot();
        let mut slot = self.slots.at_mut(index);
        if !slot.has_in_flight(token, Directions::WRITE) {
            return self.unasked(token, Op::Send);
        }
        slot.readiness.end(Directions::WRITE);
        if slot.attempts.is_flushed() {
            self.note_flushed(index, completion);
            slot = self.slots.at_mut(index);
        }
        let m = &mut *self.m;
        let (n, short) = match completion.result {
            TransferResult::Complete => (completion.n, completion.n == 0),
            TransferResult::Drained => (completion.n, true),
            TransferResult::Failed => {
                return self.faulted(index, Directions::WRITE, completion.fault());
            }
        };
        if n > slot.tx.len() {
            return self.impossible(index, Op::Send);
        }
        // Unlike a short read, a short send proves nothing in edge mode: only a send that would block makes the kernel
        // report writability.
        if short && (n == 0 || m.trigger != Trigger::Edge) {
            slot.readiness.clear_ready(Directions::WRITE);
        }
        if n == 0 {
            return self.sent_nothing(index);
        }
        slot.tx.at = slot.tx.at.wrapping_add(n);
        let emptied = slot.tx.is_empty();
        if emptied {
            slot.tx = Cursors::EMPTY;
        }
        slot.attempts.moved(Directions::WRITE);
        slot.flags.set(Flags::TAKEN);
        slot.forget_question();
        add(&mut self.records.at_mut(index).bytes_out, n);
        add(&mut m.stats.bytes_out, n);
        if !m.schedule.charge(index, Directions::WRITE, n) {
            self.touch_another(index);
        } else if let Some(restarts) = m.end_at_rest(slot) {
            // Nobody waits for capacity then.
            if restarts {
                self.restart(index, Class::Idle);
            }
            return Moved::Emptied;
        }
        if self.fits(index) {
            Moved::Writable
        } else if emptied {
            Moved::Emptied
        } else {
            Moved::Nothing
        }
    }

    /// Whether what waits for send capacity has it now; it waits no longer then.
    fn fits(&mut self, index: u32) -> bool {
        let windows = self.m.windows;
        let slot = self.slots.at_mut(index);
        let fits = slot.has_wanted_capacity(windows);
        if fits {
            slot.stop_waiting();
        }
        fits
    }

    /// The kernel took nothing.
    #[inline(never)]
    fn sent_nothing(&mut self, index: u32) -> Moved {
        let fits = self.fits(index);
        self.moved_nothing(index, Directions::WRITE);
        self.spend(index, Directions::WRITE, 0);
        if fits {
            Moved::Writable
        } else {
            Moved::Nothing
        }
    }

    /// An operation failed: try again, wait for memory, or end the connection.
    #[cold]
    fn faulted(&mut self, index: u32, direction: Directions, fault: Fault) -> Moved {
        self.spend_on_fault(index, direction, fault);
        match fault {
            Fault::Interrupted(_) => {}
            Fault::Exhausted(_) => self.wait_for_memory(index, direction, fault),
            Fault::Reset(_)
            | Fault::Refused(_)
            | Fault::TimedOut(_)
            | Fault::Unreachable(_)
            | Fault::Invalid(_)
            | Fault::Unknown(_) => self.begin_close(index, Reason::Failed(fault)),
        }
        self.touch(index);
        Moved::Nothing
    }

    /// An attempt moved nothing. Where the kernel has notified readiness and means it, that cannot be: no other process
    /// sends or receives there. Linux does it all the same when TCP has used up its memory (`tcp_mem` in tcp(7), or the
    /// limit of a control group): it notifies writability again in each wait, and lets every send block. One such
    /// notification may be spurious, and costs nothing. At the second in a row the direction waits as after `ENOBUFS`.
    ///
    /// In edge mode there is no second one, and none when there is memory again: a send that is refused waits at once.
    /// A receive and a connect wait for the next edge.
    #[inline(never)]
    pub(super) fn moved_nothing(&mut self, index: u32, direction: Directions) {
        let edge = self.m.trigger == Trigger::Edge;
        let slot = self.slots.at_mut(index);
        let waits_for_edge = direction == Directions::READ || slot.state() == State::Connecting;
        let attempts = &mut slot.attempts;
        if !attempts.is_claimed(direction) || (edge && waits_for_edge) {
            return;
        }
        if edge || attempts.doubted().contains(direction) {
            self.rest(index, direction, Fault::Exhausted(0));
        } else {
            attempts.doubt(direction);
        }
    }

    /// A transfer cannot come to what an accept or a datagram does.
    fn impossible_transfer(&mut self, token: Token, op: Op) -> Moved {
        let index = token.slot();
        let direction = if op == Op::Recv {
            Directions::READ
        } else {
            Directions::WRITE
        };
        let slot = self.slots.at_mut(index);
        if !slot.has_in_flight(token, direction) {
            return self.unasked(token, op);
        }
        slot.readiness.end(direction);
        if slot.attempts.is_flushed() {
            self.note_flushed(index, Completion::drained(0));
        }
        self.impossible(index, op)
    }

    /// Sixteen interruptions use a quantum up.
    pub(super) fn spend_on_fault(&mut self, index: u32, direction: Directions, fault: Fault) {
        let cost = if matches!(fault, Fault::Interrupted(_)) {
            self.m.schedule.cost_of_interruption()
        } else {
            0
        };
        self.spend(index, direction, cost);
    }

    /// An impossible completion, for instance of more bytes than were requested: which bytes came is unknown, so the
    /// connection ends.
    pub(super) fn impossible(&mut self, index: u32, op: Op) -> Moved {
        let token = self.token(index);
        error!("impossible answer of the driver: {:?} {:?}", token, op);
        bump(&mut self.m.stats.unasked);
        self.begin_close(index, Reason::Failed(Fault::Invalid(0)));
        self.touch(index);
        Moved::Nothing
    }

    /// FIN is sent: what the peer still sends is discarded.
    fn shut(&mut self, index: u32, outcome: &Outcome) {
        let slot = self.slots.at_mut(index);
        slot.call = None;
        match (slot.state(), *outcome) {
            // The peer would never learn of our FIN.
            (State::HalfClosing, Outcome::Failed(fault)) => {
                self.begin_close(index, Reason::Failed(fault));
            }
            (State::HalfClosing, _) => slot.half_close(),
            // The peer is gone (ENOTCONN), or would not notice EOF: nothing to wait for.
            (State::Finishing, Outcome::Failed(_) | Outcome::Drained(_)) => {
                let reason = slot.reason.unwrap_or(Reason::Finished);
                self.begin_close(index, reason);
            }
            (State::Finishing, _) => slot.linger(),
            // It is being closed.
            (
                State::Free
                | State::Reserved
                | State::Connecting
                | State::Open
                | State::HalfClosed
                | State::Lingering
                | State::Closing
                | State::Cancelling
                | State::Listening
                | State::Watching
                | State::Datagrams
                | State::Retired,
                _,
            ) => {}
        }
        self.touch(index);
    }

    /// It is gone: the last notice of this token.
    fn closed(&mut self, index: u32) -> Option<Notice> {
        if index & crate::token::LISTENER_BIT != 0 {
            self.release(index);
            return None;
        }
        let token = self.token(index);
        let slot = self.slots.at(index);
        let told = slot.flags.has(Flags::OPENED);
        let owed = told || self.records.at(index).is_outbound();
        let reason = slot.reason.unwrap_or(Reason::Finished);
        if reason == Reason::Evicted {
            self.m.admission.set_evicting(false);
        }
        if told {
            self.forget_source(index);
            self.m.stats.open = self.m.stats.open.saturating_sub(1);
            self.m.stats.count_closed(reason);
            debug!("closed: {:?} {:?}", token, reason);
        } else if owed {
            bump(&mut self.m.stats.connect_failures);
            debug!("not connected: {:?} {:?}", token, reason);
        }
        self.release(index);
        self.slot_freed();
        owed.then_some(Notice::Closed(token, reason))
    }

    /// The kernel would not register it (`ENOSPC`, `ENOMEM`): there would never be an event of it, so it ends.
    fn arm_failed(&mut self, index: u32, outcome: &Outcome) -> Option<Notice> {
        let Outcome::Failed(fault) = *outcome else {
            return None;
        };
        let slot = self.slots.at_mut(index);
        slot.readiness.disarm();
        if slot.state() == State::Watching {
            return self.watch_failed(index, fault);
        }
        if matches!(slot.state(), State::Listening | State::Datagrams) {
            self.hold_back(index, fault);
        } else if index & crate::token::LISTENER_BIT == 0 {
            // Accepting more would meet the same: the listener it came from pauses.
            let listener = crate::token::LISTENER_BIT | u32::from(self.records.at(index).listener);
            if matches!(fault, Fault::Exhausted(_))
                && self.slots.at(listener).state() == State::Listening
            {
                self.hold_back(listener, fault);
            }
            self.begin_close(index, Reason::Failed(fault));
        }
        self.touch(index);
        None
    }
}
