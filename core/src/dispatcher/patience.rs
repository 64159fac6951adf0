//! Connections in trouble: an operation that failed for resource exhaustion is retried after a while, and a peer that takes nothing, or
//! seems to have hung up, is queried before its connection ends.

use super::Dispatcher;
use super::deadline::waited;
use crate::config::Class;
use crate::event::{Fault, Outcome};
use crate::on_demand::on_demand;
use crate::output::{Action, Reason};
use crate::readiness::{Directions, Trigger};
use crate::slot::{Call, Flags, State};
use crate::time::Instant;
use crate::token::Token;

on_demand! { Dispatcher[m.patience];
    /// Whether it is given time until an operation is retried that failed for resource exhaustion.
    fn is_given_rest[&mut](index: u32, direction: Directions) -> bool = rests;
    /// What failed for resource exhaustion is retried.
    pub(super) fn retry[&mut](index: u32) = try_again;
    /// The query that is due, if there is one.
    pub(super) fn query[&mut](index: u32) -> Option<Action> = next_query;
    /// The completion of a query.
    pub(super) fn queried[&mut](index: u32, outcome: &Outcome) = measured;
    /// Whether it is given time though its write stall, or its wait for memory, is over.
    pub(super) fn is_given_time[&mut](index: u32, class: Class) -> bool = has_waited;
    /// What a wait for memory makes of a change of class. Returns since when nothing has moved, if it is new in its class;
    /// `None` if it has been given what is left of that.
    pub(super) fn settle_after_wait[&mut](index: u32, class: Option<Class>, flags: Flags) -> Option<u32> = settle_class;
}

impl Dispatcher<'_> {
    /// Gives connections in trouble time.
    pub(super) const fn be_patient(&mut self) {
        self.m.patience = Some(&FUNCTIONS);
    }

    /// An operation failed for resource exhaustion: there is no notification when it passes, so it is retried after a
    /// while; or the connection ends.
    pub(super) fn wait_for_memory(&mut self, index: u32, direction: Directions, fault: Fault) {
        self.slots.at_mut(index).attempts.disclaim(direction);
        self.rest(index, direction, fault);
    }

    pub(super) fn rest(&mut self, index: u32, direction: Directions, fault: Fault) {
        if !self.is_given_rest(index, direction) {
            self.begin_close(index, Reason::Failed(fault));
        }
    }

    /// Whether it has hung up, no transfer is due that would return it, and none is to be asked. In edge mode a FIN looks the
    /// same: then it stays.
    pub(super) fn gives_up_suspect(&self, index: u32) -> bool {
        let slot = self.slots.at(index);
        self.m.patience.is_none()
            && self.m.trigger != Trigger::Edge
            && slot.flags.has(Flags::SUSPECT)
            && slot.wanted(self.m.windows).is_empty()
    }

    /// Suspends a direction, and disarms it, until the deadline of the congestion class. If the other rests already,
    /// both do until then, as long as one that has just begun.
    fn rests(&mut self, index: u32, direction: Directions) -> bool {
        if self.slots.at(index).class == Some(Class::Congestion) {
            self.unlink(index);
            self.link(index, Class::Congestion);
        }
        let slot = self.slots.at_mut(index);
        if slot.class.is_none() && slot.attempts.doubted().is_empty() {
            // Its first service, which may come long after it was opened.
            self.records.at_mut(index).stalled_at = self.m.now.wrapping_millis();
        }
        let slot = self.slots.at_mut(index);
        slot.attempts.doubt(direction);
        slot.flags.set(Flags::CONGESTED);
        if slot.readiness.armed().contains(direction) {
            slot.flags.set(Flags::UNWANTED);
        }
        true
    }

    fn next_query(&mut self, index: u32) -> Option<Action> {
        let windows = self.m.windows;
        let slot = self.slots.at_mut(index);
        let token = Token::new(index, slot.generation);
        if slot.flags.has(Flags::PROBE) {
            slot.flags.clear(Flags::PROBE);
            // Output may have made progress in this very service.
            let stalls = slot.flags.has(Flags::STALLS)
                && matches!(slot.class, Some(Class::WriteStall | Class::Congestion))
                && !slot.tx.is_empty()
                && !slot.flags.has(Flags::TAKEN);
            if stalls || slot.may_have_hung_up() {
                slot.flags.clear(Flags::CHECKED);
                slot.call = Some(Call::Unsent);
                if !stalls {
                    slot.flags.clear(Flags::STALLS);
                }
                return Some(Action::Unsent { token });
            }
        }
        slot.flags.clear(Flags::STALLS);
        if slot.hears()
            && slot.flags.has(Flags::SUSPECT)
            && slot.wanted(windows).is_empty()
            && !slot.flags.has(Flags::CONGESTED)
        {
            // No transfer is due that would return it.
            slot.flags.clear(Flags::SUSPECT);
            slot.flags.set(Flags::CHECKED);
            slot.call = Some(Call::Unsent);
            return Some(Action::Unsent { token });
        }
        None
    }

    /// A write stall or a wait for memory is over.
    fn has_waited(&mut self, index: u32, class: Class) -> bool {
        if class == Class::WriteStall {
            self.slots.at_mut(index).ask_about_stall();
            self.link(index, class);
        } else {
            self.tried_again(index);
        }
        true
    }

    /// A wait for memory is over: the operation is retried, unless nothing has moved for as long as output may stall,
    /// or lingering may last, or, with nothing queued, for as long as its class would otherwise let it. For output that
    /// the kernel has, it is queried first whether the peer takes it.
    fn tried_again(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if slot.state() == State::Connecting {
            return self.connect_again(index);
        }
        let lingers = slot.state() == State::Lingering;
        if !lingers && slot.tx.is_empty() {
            // Resource exhaustion is not the peer's fault: its time is that of any other.
            return self.try_again(index);
        }
        let limit = if lingers {
            Class::Linger
        } else {
            Class::WriteStall
        };
        let waited = waited(self.records.at(index), self.m.now);
        if !self.m.deadlines.is_longer(waited, limit) {
            self.try_again(index);
        } else if lingers {
            self.begin_close(index, Reason::Deadline(Class::Congestion));
        } else {
            self.slots.at_mut(index).ask_about_stall();
            self.link(index, Class::Congestion);
        }
    }

    /// What failed for resource exhaustion is retried. Where the kernel had notified readiness it is polled again, but
    /// not in edge mode, where it would not report it.
    fn try_again(&mut self, index: u32) {
        let edge = self.m.trigger == Trigger::Edge;
        let slot = self.slots.at_mut(index);
        slot.flags.clear(Flags::CONGESTED);
        for direction in [Directions::READ, Directions::WRITE] {
            let asked = slot.attempts.is_claimed(direction) && !edge;
            let rested = slot.resting() & direction;
            slot.readiness.set_ready(rested.when(!asked));
        }
        if self.m.deadlines.grows(slot.attempts) {
            slot.attempts.lengthen();
        }
        self.touch(index);
    }

    /// Another attempt to connect, if there is time for it.
    fn connect_again(&mut self, index: u32) {
        let deadlines = &self.m.deadlines;
        let waited = self.m.now.nanos_since(self.records.at(index).opened_at);
        if deadlines.is_on(Class::Connect) && waited >= deadlines.length(Class::Connect) {
            self.begin_close(index, Reason::Deadline(Class::Connect));
        } else {
            self.slots.at_mut(index).flags.clear(Flags::CONGESTED);
        }
    }
}

/// What a wait for memory leaves of the time of a class.
impl Dispatcher<'_> {
    fn settle_class(&mut self, index: u32, class: Option<Class>, flags: Flags) -> Option<u32> {
        let now = self.m.now;
        let slot = self.slots.at(index);
        let (old, moved) = (slot.class, flags.has(slot.progress()));
        // Since when nothing has moved, if that is what the class has counted that it is kept from.
        let since = match old {
            Some(old @ (Class::Request | Class::Idle | Class::HalfClosed))
                if class == Some(Class::Congestion) && !moved && slot.tx.is_empty() =>
            {
                Some(self.m.deadlines.set_at(old, slot.deadline.max(now)))
            }
            Some(_) | None => None,
        };
        let fell_short = !slot.attempts.doubted().is_empty();
        self.unlink(index);
        let class = class?;
        // A wait goes on while the connection only waits for memory: going to and fro does not restart it. How long it
        // has waited for its first byte is known from when it was opened.
        let detour = match old {
            // It has just been tried again; or it is new, however long ago it was opened.
            None => fell_short,
            Some(Class::Congestion) => true,
            Some(Class::WriteStall | Class::Linger | Class::Connect) => class == Class::Congestion,
            Some(Class::FirstByte | Class::Request | Class::Idle | Class::HalfClosed) => false,
        };
        // The query at the end of another class is dropped.
        self.slots.at_mut(index).flags.clear(Flags::STALLS);
        if class == Class::WriteStall {
            // The query while nothing was queued is dropped.
            self.slots.at_mut(index).flags.clear(Flags::PROBE);
        }
        if detour && !moved {
            self.resume_class(index, class);
            return None;
        }
        let since = since.map_or(now, Instant::from_nanos);
        Some(since.wrapping_millis())
    }

    /// Gives a connection that a wait for memory has kept from its class what is left of the time of that, however often
    /// it was kept from it; or the whole time, if it is new in it.
    fn resume_class(&mut self, index: u32, class: Class) {
        let due = self.rest_of_time(index, class);
        if due <= self.m.now {
            return self.expired(index, class);
        }
        if class == Class::Congestion && self.slots.at(index).tx.is_empty() {
            // It waits again: for no longer than the class that it is kept from lets it.
            self.slots.at_mut(index).flags.clear(Flags::CONGESTED);
            let kept_from = self.class_of(index);
            self.slots.at_mut(index).flags.set(Flags::CONGESTED);
            if let Some(class) = kept_from
                && self.rest_of_time(index, class) <= self.m.now
            {
                return self.expired(index, class);
            }
        }
        let slots = &mut self.slots;
        self.m.deadlines.add_until(slots, index, class, due);
    }

    /// When the time of a class is over of which a wait for memory has taken a part.
    fn rest_of_time(&self, index: u32, class: Class) -> Instant {
        let now = self.m.now;
        let attempts = self.slots.at(index).attempts;
        let (length, due) = (
            self.m.deadlines.length(class),
            self.m.deadlines.due(class, attempts, now),
        );
        let record = self.records.at(index);
        let waited = waited(record, now);
        match class {
            Class::FirstByte | Class::Connect => record.opened_at.plus_nanos(length),
            Class::Linger if waited > length.div_ceil(1_000_000) => now,
            // Known to the millisecond, and never early.
            Class::Request | Class::Idle | Class::HalfClosed => {
                let passed = waited.saturating_sub(1).saturating_mul(1_000_000);
                let due = due.nanos_since(Instant::from_nanos(passed));
                Instant::from_nanos(due)
            }
            Class::Linger | Class::WriteStall | Class::Congestion => due,
        }
    }
}
