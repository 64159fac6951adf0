//! The express lane: most reports find a connection that rests, with nothing queued and nothing left over, and nobody
//! ahead of it. Its whole visit (receive, tell, send) then needs no queue and no decision but these.
//!
//! Nothing is decided here that the four verbs would decide otherwise. A visit begins here only if the source would be
//! the next to be picked, and ends here only if it would end with nothing to arm and no deadline to move; wherever it
//! comes to stand outside that, it goes on from there with [`poll_output`](Dispatcher::poll_output).

use super::{Dispatcher, Visit, units};
use crate::config::{Class, OPERATION_MIN};
use crate::directions::{Directions, Trigger};
use crate::flags::Flags;
use crate::output::Span;
use crate::queue::NONE;
use crate::slot::{Cursors, Queued, Slot, State};
use crate::stats::add;
use crate::time::Instant;
use crate::token::Token;

/// What is true of a connection that has nothing to do: it was told of and has spoken, and nothing else.
const RESTING: Flags = Flags::TOLD.or(Flags::SPOKEN);

impl Slot {
    /// Nothing is received, queued, in flight or waited for.
    #[inline(always)]
    fn is_at_rest(&self) -> bool {
        self.state == State::Open
            && self.rx.is_empty()
            && self.tx.is_empty()
            && self.wants == 0
            && self.in_flight.is_empty()
            && self.class == Some(Class::Idle)
    }
}

impl Dispatcher<'_> {
    /// Takes a report in, if what it leads to can begin at once: a receive into the whole window, which is the answer.
    /// The visit is begun then.
    #[inline(always)]
    pub(crate) fn express(
        &mut self,
        now: Instant,
        token: Token,
        directions: Directions,
    ) -> Option<Span> {
        self.begin_turn();
        let trigger = self.m.trigger;
        let slot = self.slots.at_mut(token.slot());
        let rests = slot.generation == token.generation()
            && slot.flags == RESTING
            && slot.is_at_rest()
            && slot.queued == Queued::No
            && slot.armed.contains(Directions::READ)
            && match trigger {
                // Anything else was not wanted, and is withdrawn.
                Trigger::Level => directions == Directions::READ,
                Trigger::Edge => directions.contains(Directions::READ),
                // It has to be armed again.
                Trigger::Oneshot => false,
            };
        let machine = &*self.m;
        let next = machine.visit.index == NONE
            && machine.fresh.is_empty()
            && (machine.turn.fresh < machine.fresh_in_a_row || machine.continuing.is_empty())
            && machine.turn.moved < machine.look
            && !machine.rebuild
            && !machine.starved
            && machine.stop_at.is_none();
        if !rests || !next {
            return None;
        }
        slot.ready |= directions;
        slot.attempts.claim(directions);
        self.advance_clock(now);
        let machine = &mut *self.m;
        machine.turn.served = machine.turn.served.wrapping_add(1);
        machine.turn.fresh = machine.turn.fresh.wrapping_add(1);
        machine.visit = Visit::to(token.slot());
        let whole = Span {
            at: 0,
            len: machine.windows.receive,
        };
        Some(machine.yielding.bounded(whole, 0))
    }

    /// The receive did not bring what most bring: it is in flight, and its answer is taken in like any other.
    #[cold]
    pub(crate) fn express_receives(&mut self, index: u32) {
        self.slots.at_mut(index).in_flight |= Directions::READ;
    }

    /// So many bytes came, and no more are there.
    #[inline(always)]
    pub(crate) fn express_received(&mut self, index: u32, n: u32) {
        let slot = self.slots.at_mut(index);
        slot.rx = Cursors { at: 0, end: n };
        slot.flags.set(Flags::HEARD);
        slot.attempts.moved(Directions::READ);
        let record = self.records.at_mut(index);
        add(&mut record.bytes_in, n);
        // As of any short read: see `received`.
        if self.m.trigger != Trigger::Edge || record.is_tcp() {
            slot.ready -= Directions::READ;
        }
        let machine = &mut *self.m;
        add(&mut machine.stats.bytes_in, n);
        machine.visit.received = units(n);
        machine.turn.moved = machine.turn.moved.wrapping_add(units(n));
    }

    /// The handler has been called, and has consumed all but `left` bytes. If all that there is to do now is a send: its
    /// span. The send is in flight then.
    #[inline(always)]
    pub(crate) fn express_answer(&mut self, index: u32, left: u32) -> Option<Span> {
        let slot = self.slots.at_mut(index);
        let calm = left == 0
            && slot.flags == RESTING.or(Flags::HEARD)
            && slot.state == State::Open
            && slot.ready == Directions::WRITE
            && slot.wants == 0
            && !slot.tx.is_empty()
            && !self.m.visit.yields;
        if !calm {
            return None;
        }
        slot.rx = Cursors::EMPTY;
        slot.flags.set(Flags::CONSUMED);
        slot.in_flight = Directions::WRITE;
        Some(slot.send_span())
    }

    /// All that was received is answered with `sent` bytes, which the kernel has taken. Ends the visit, unless the
    /// deadline is to be moved.
    #[inline(always)]
    pub(crate) fn express_answered(&mut self, index: u32, sent: u32) {
        let machine = &mut *self.m;
        let slot = self.slots.at_mut(index);
        slot.in_flight = Directions::NONE;
        slot.attempts.moved(Directions::WRITE);
        slot.tx = Cursors::EMPTY;
        // An answer: see `spend`.
        machine.turn.moved = machine.turn.moved.wrapping_add(sent / OPERATION_MIN);
        if machine.timers.is_recent(slot.deadline, machine.now) {
            slot.flags = RESTING;
            machine.visit = Visit::NOBODY;
        } else {
            slot.flags.set(Flags::TAKEN);
            machine.visit.sent = units(sent);
        }
        add(&mut self.records.at_mut(index).bytes_out, sent);
        add(&mut machine.stats.bytes_out, sent);
    }
}
