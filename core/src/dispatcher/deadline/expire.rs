//! Deadlines that have passed: what came in time counts, and then the connection ends, or is queried.

use super::super::Dispatcher;
use super::awaited;
use crate::config::Class;
use crate::deadlines::{LATE, restarts};
use crate::output::Reason;

use crate::slot::Queued;
use crate::time::Instant;

/// Deadlines acted on in one iteration, so that a thousand that pass together do not keep the others waiting.
const EXPIRIES: u32 = 64;

/// A deadline that is noticed later than this after it has passed, in nanoseconds (1 s), proves nothing about a peer:
/// in the gap neither it nor we may have run.
const GAP: u64 = 1_000_000_000;

impl Dispatcher<'_> {
    /// Acts on what has passed.
    pub(in crate::dispatcher) fn expire(&mut self) {
        let now = self.m.now;
        if self.m.deadlines.may_have_passed(now) {
            self.judge_passed(now);
        }
        if self.m.admission.has_paused() {
            self.wake_listeners(now);
        }
        self.check_stop();
    }

    fn judge_passed(&mut self, now: Instant) {
        let mut search = self.m.deadlines.search();
        for _ in 0..EXPIRIES {
            let Some((index, class)) =
                (self.m.deadlines).next_passed(&self.slots, &mut search, now)
            else {
                return;
            };
            self.judge(index, class);
        }
    }

    /// A deadline has passed. What came in time counts, however late this is noticed (the process was stopped, the
    /// machine suspended, a handler long): so the connection first tries what it waits for once more, when it is
    /// serviced, and nothing that was reported and not served is overlooked.
    fn judge(&mut self, index: u32, class: Class) {
        let windows = self.m.windows;
        // What happened in time, and was reported, counts, though it has not been serviced yet.
        let moved = self.slots.at(index).flags.has(restarts(class));
        if moved || self.class_of(index) != Some(class) {
            return self.settle(index);
        }
        let slot = self.slots.at_mut(index);
        let wanted = slot.wanted(windows) & awaited(class);
        if slot.deadline != LATE && !wanted.is_empty() {
            // A try without a notification proves nothing about the kernel's.
            slot.attempts.disclaim(wanted - slot.readiness.ready());
            slot.readiness.set_ready(wanted);
            self.m.deadlines.make_late(&mut self.slots, index);
            return self.touch(index);
        }
        let waits = slot.queued != Queued::No || self.m.schedule.is_serving(index);
        if waits && !(wanted & (slot.readiness.ready() | slot.readiness.in_flight())).is_empty() {
            return;
        }
        let gap = self.m.now.nanos_since(slot.deadline) > GAP && slot.deadline != LATE;
        self.unlink(index);
        match class {
            // How much the peer takes is seen once more when it has had its time.
            Class::WriteStall if gap => self.link(index, class),
            Class::Congestion if gap => self.retry(index),
            Class::FirstByte
            | Class::Request
            | Class::WriteStall
            | Class::Congestion
            | Class::Idle
            | Class::HalfClosed
            | Class::Linger
            | Class::Connect => self.expired(index, class),
        }
    }

    pub(in crate::dispatcher) fn expired(&mut self, index: u32, class: Class) {
        match class {
            Class::FirstByte
            | Class::Request
            | Class::Idle
            | Class::HalfClosed
            | Class::Linger
            | Class::Connect => {
                self.begin_close(index, Reason::Deadline(class));
            }
            Class::WriteStall | Class::Congestion => {
                if !self.is_given_time(index, class) {
                    self.begin_close(index, Reason::Deadline(class));
                }
            }
        }
        self.touch(index);
    }
}
