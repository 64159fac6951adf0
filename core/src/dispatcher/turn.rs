//! Readiness events in, the end of an iteration and of a service, and slots that come free.

use super::{Dispatcher, Issued};
use crate::output::{Notice, Reason};
use crate::readiness::{Directions, Trigger};
use crate::slot::{Flags, State};
use crate::stats::bump;
use crate::time::Instant;
use crate::token::{LISTENER_BIT, Token};
use crate::trace::Entry;

impl Dispatcher<'_> {
    pub(crate) fn advance_clock(&mut self, now: Instant) {
        if now > self.m.now {
            let passed = now.nanos_since(self.m.now);
            self.m.now = now;
            self.recorder.trace(|| Entry::Time(passed));
        }
    }

    /// The index of a live source, if `token` names one.
    pub(super) fn find(&self, token: Token) -> Option<u32> {
        let index = token.slot();
        self.slots.at(index).is_named(token).then_some(index)
    }

    pub(crate) fn token(&self, index: u32) -> Token {
        Token::new(index, self.slots.at(index).generation)
    }

    /// The trigger of a source: what is not a connection, always level.
    pub(super) const fn trigger_of(&self, index: u32) -> Trigger {
        if index & LISTENER_BIT == 0 {
            self.m.trigger
        } else {
            Trigger::Level
        }
    }

    /// A readiness event of a connection: the sets take it in, and it is scheduled.
    #[inline]
    pub(super) fn ready(&mut self, token: Token, directions: Directions, closing: bool) {
        let index = token.slot();
        let (trigger, windows) = (self.m.trigger, self.m.windows);
        let slot = self.slots.at_mut(index);
        if !slot.is_named(token) {
            return self.stale(token);
        }
        let mut reported = directions & Directions::BOTH;
        if closing {
            reported = Directions::BOTH;
            slot.suspect(trigger);
        }
        slot.readiness.report(reported, trigger);
        slot.attempts.claim(directions);
        if trigger == Trigger::Level && !slot.wanted(windows).contains(reported) {
            slot.flags.set(Flags::UNWANTED);
        }
        if self.m.admission.has_priorities() {
            return self.touch(index);
        }
        if let Some(last) = self.m.schedule.queue(slot, index) {
            self.slots.at_mut(last).run.next = index;
        }
    }

    /// The same of a source that is no connection: always by level.
    #[inline(never)]
    pub(super) fn source_ready(
        &mut self,
        token: Token,
        directions: Directions,
        closing: bool,
    ) -> Option<Notice> {
        let index = token.slot();
        let source = self.slots.source_mut(index);
        let Some(source) = source.filter(|source| source.slot.is_named(token)) else {
            self.stale(token);
            return None;
        };
        if source.slot.state() == State::Watching {
            return self.watched(token, directions, closing);
        }
        let reported = if closing {
            Directions::BOTH
        } else {
            directions & Directions::BOTH
        };
        source.slot.readiness.report(reported, Trigger::Level);
        // What a listener wants is computed when it is serviced.
        let listens = source.slot.state() == State::Listening;
        if listens || !source.wanted(true).contains(reported) {
            source.slot.flags.set(Flags::UNWANTED);
        }
        self.touch(index);
        None
    }

    /// Schedules a source, unless it is being serviced or queued.
    #[inline]
    pub(crate) fn touch(&mut self, index: u32) {
        if !self.m.admission.has_priorities() || !self.touch_first(index) {
            self.m.schedule.touch(&mut self.slots, index);
        }
    }

    /// There is nothing more to do in this iteration.
    pub(super) fn end_iteration(&mut self) {
        self.m.issued = Issued::NOTHING;
        self.m.schedule.end();
        self.m.deadlines.find_first(&self.slots);
    }

    /// Ends a service: what is left to do waits behind the others, and the deadline is that of the new state.
    pub(super) fn leave(&mut self, index: u32) {
        self.m.schedule.end_service();
        let windows = self.m.windows;
        let slot = self.slots.at(index);
        match slot.state() {
            State::Connecting
            | State::Open
            | State::HalfClosing
            | State::HalfClosed
            | State::Finishing
            | State::Lingering => {
                // All that could be done has been done, unless a quantum is used up, or what it is has just changed.
                if !slot.readiness.issue(slot.wanted(windows)).is_empty() {
                    self.m.schedule.touch_last(&mut self.slots, index);
                }
                self.settle(index);
                // A listener may have waited for a connection to be idle.
                if self.m.admission.waits_for_idle() {
                    self.wake_starved();
                }
            }
            State::Listening => {
                // With an accept in flight, its completion schedules it.
                let issue = slot.readiness.issue(Directions::READ);
                if !issue.is_empty() && self.admits(index) {
                    self.m.schedule.touch_last(&mut self.slots, index);
                }
            }
            State::Datagrams => {
                let wanted = self.wanted_by(index, false);
                if !self.slots.at(index).readiness.issue(wanted).is_empty() {
                    self.m.schedule.touch_last(&mut self.slots, index);
                }
            }
            State::Free
            | State::Reserved
            | State::Closing
            | State::Cancelling
            | State::Watching
            | State::Retired => {}
        }
    }

    /// Charges an operation to the iteration's budget and, if `index` is the source being serviced, to its quantum;
    /// otherwise schedules `index`.
    #[inline]
    pub(super) fn spend(&mut self, index: u32, direction: Directions, bytes: u32) {
        if !self.m.schedule.charge(index, direction, bytes) {
            self.touch_another(index);
        }
    }

    /// Whether it is the source that is being serviced, which is what most services find.
    pub(crate) const fn is_serving(&self, index: u32) -> bool {
        self.m.schedule.is_serving(index)
    }

    /// Schedules a source that is not being serviced.
    #[cold]
    pub(crate) fn touch_another(&mut self, index: u32) {
        self.touch(index);
    }

    /// Frees a slot, with its next generation.
    pub(super) fn release(&mut self, index: u32) {
        self.drop_from_queues(index);
        if index & LISTENER_BIT != 0 {
            if let Some(source) = self.slots.source_mut(index) {
                if source.pace.resume(Instant::NEVER) {
                    self.m.admission.resume_one();
                }
                if source.listener().is_some() {
                    self.m.admission.remove_listener();
                }
                source.slot.renew();
            }
            self.count_retired(index);
            self.prefer_no_more(index);
            return;
        }
        let slot = self.slots.at_mut(index);
        slot.renew();
        self.m.admission.release(&mut self.slots, index);
        self.count_retired(index);
        let listener = LISTENER_BIT | u32::from(self.records.at(index).listener);
        if let Some(source) = self.slots.source_mut(listener) {
            source.held = source.held.saturating_sub(1);
        }
    }

    fn count_retired(&mut self, index: u32) {
        if self.slots.at(index).state() == State::Retired {
            bump(&mut self.m.stats.slots_retired);
            warn!("a slot is used up: {:?}", index);
        }
    }

    pub(super) fn drop_from_queues(&mut self, index: u32) {
        self.unlink(index);
        self.m.schedule.remove(&mut self.slots, index);
    }

    /// Starts the end of a connection: whatever is in flight is joined, then it is closed. An earlier reason stays if
    /// all output was sent to the kernel for it.
    pub(super) fn begin_close(&mut self, index: u32, reason: Reason) {
        if !self.slots.at_mut(index).close(reason) {
            return;
        }
        self.unlink(index);
        self.timers.cancel(index);
        self.touch(index);
        self.leave_pair(index);
    }
}
