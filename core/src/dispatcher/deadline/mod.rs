//! What the machine makes of deadlines: of which class a connection's is, when activity moves it, and what one that has passed
//! leads to. The queues, and nothing else, are [`Deadlines`](crate::deadlines::Deadlines).

mod expire;
mod unsent;

use super::Dispatcher;
use crate::config::Class;
use crate::deadlines::restarts;
use crate::readiness::Directions;
use crate::record::Record;
use crate::slot::{Flags, Slot, State};
use crate::time::Instant;

impl Slot {
    /// The class of deadline that its state decides; `None`: not a connection, or one whose end only waits for
    /// completions.
    ///
    /// `first_byte`: that class is on. A peer that has not sent is in it whatever is sent to it, so that nothing that
    /// the application sends makes it live longer.
    pub(super) fn deadline_class(&self, first_byte: bool) -> Option<Class> {
        let congested = self.flags.has(Flags::CONGESTED);
        Some(match self.state() {
            State::Connecting
            | State::Open
            | State::HalfClosing
            | State::HalfClosed
            | State::Finishing
            | State::Lingering
                if congested =>
            {
                Class::Congestion
            }
            State::Connecting => Class::Connect,
            State::Open | State::HalfClosing | State::HalfClosed => self.class_of_open(first_byte),
            State::Finishing if !self.tx.is_empty() => Class::WriteStall,
            State::Finishing | State::Lingering => Class::Linger,
            State::Free
            | State::Reserved
            | State::Closing
            | State::Cancelling
            | State::Listening
            | State::Watching
            | State::Datagrams
            | State::Retired => return None,
        })
    }

    /// The same of one that receives or sends.
    fn class_of_open(&self, first_byte: bool) -> Class {
        let spoken = self.flags.has(Flags::SPOKEN);
        if first_byte && !spoken {
            Class::FirstByte
        } else if !self.tx.is_empty() {
            Class::WriteStall
        } else if !spoken && !self.is_half_closed() {
            Class::FirstByte
        } else if !self.rx.is_empty() && !self.flags.has(Flags::PAUSED) {
            Class::Request
        } else if self.is_half_closed() {
            Class::HalfClosed
        } else {
            Class::Idle
        }
    }
}

/// What a connection whose deadline of this class has passed may find when it tries once more.
const fn awaited(class: Class) -> Directions {
    match class {
        Class::FirstByte | Class::Request | Class::Idle | Class::HalfClosed | Class::Linger => {
            Directions::READ
        }
        Class::Connect => Directions::WRITE,
        // For these the kernel is queried, or the operation is retried, before they end anything.
        Class::WriteStall | Class::Congestion => Directions::NONE,
    }
}

/// Milliseconds without progress, modulo 2³².
pub(super) const fn waited(record: &Record, now: Instant) -> u64 {
    now.wrapping_millis().wrapping_sub(record.stalled_at) as u64
}

impl Dispatcher<'_> {
    /// The class of deadline of a source: what its state decides; a stream that has one direction only is not half-closed.
    pub(super) fn class_of(&self, index: u32) -> Option<Class> {
        let class = self
            .slots
            .at(index)
            .deadline_class(self.m.deadlines.is_on(Class::FirstByte));
        if class == Some(Class::HalfClosed)
            && self.records.at(index).directions() != Directions::BOTH
        {
            return Some(Class::Idle);
        }
        class
    }

    /// Gives a connection the deadline of its state.
    pub(super) fn settle(&mut self, index: u32) {
        let now = self.m.now;
        let class = self.class_of(index);
        let slot = self.slots.at_mut(index);
        let flags = slot.flags;
        slot.flags
            .clear(Flags::HEARD.or(Flags::TAKEN).or(Flags::CONSUMED));
        if let Some(class) = class
            && slot.class == Some(class)
        {
            // What moved while another operation waited for memory is progress, though it does not shorten that wait.
            if class == Class::Congestion && flags.has(slot.progress()) {
                self.records.at_mut(index).stalled_at = now.wrapping_millis();
            }
            if !flags.has(restarts(class)) {
                return;
            }
            if !self.m.deadlines.is_recent(class, slot.deadline, now) {
                self.restart(index, class);
            }
            if class == Class::WriteStall {
                self.records.at_mut(index).stalled_at = now.wrapping_millis();
            }
            return;
        }
        self.settle_anew(index, class, flags);
    }

    /// Moves it to another class.
    fn settle_anew(&mut self, index: u32, class: Option<Class>, flags: Flags) {
        let now = self.m.now;
        let stalled_at = if self.m.patience.is_some() {
            self.settle_after_wait(index, class, flags)
        } else {
            self.unlink(index);
            Some(now.wrapping_millis())
        };
        let (Some(stalled_at), Some(class)) = (stalled_at, class) else {
            return;
        };
        self.records.at_mut(index).stalled_at = stalled_at;
        // What nothing restarts is over when its time is over.
        let length = self.m.deadlines.length(class);
        let opened_at = self.records.at(index).opened_at;
        if matches!(class, Class::FirstByte | Class::Connect)
            && now.nanos_since(opened_at) >= length
        {
            return self.expired(index, class);
        }
        self.link(index, class);
    }

    /// Gives it a deadline of this class, that starts now.
    pub(in crate::dispatcher) fn link(&mut self, index: u32, class: Class) {
        let now = self.m.now;
        self.m.deadlines.add(&mut self.slots, index, class, now);
    }

    /// Its deadline starts again.
    #[inline(never)]
    pub(in crate::dispatcher) fn restart(&mut self, index: u32, class: Class) {
        self.unlink(index);
        self.link(index, class);
    }

    /// Removes its deadline.
    pub(super) fn unlink(&mut self, index: u32) {
        self.m.deadlines.remove(&mut self.slots, index);
    }

    /// When the next deadline passes.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let pause = if self.m.admission.has_paused() {
            self.first_pause()
        } else {
            None
        };
        let others = [pause, self.stop_due(), self.timers.next()];
        let next = (others.into_iter()).fold(self.m.deadlines.first(&self.slots), |next, other| {
            other.map_or(next, |other| next.min(other))
        });
        (next < Instant::NEVER).then_some(next)
    }
}
