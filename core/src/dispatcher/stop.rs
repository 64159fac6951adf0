//! The orderly end: what has come is received and replied to, then everything is finished, and closed at the time.

use super::Dispatcher;
use crate::on_demand::on_demand;
use crate::output::Reason;
use crate::readiness::Directions;
use crate::schedule::Round;
use crate::slot::State;
use crate::time::Instant;

on_demand! { Dispatcher[m.stopping.functions];
    /// When the time to stop is over, if that is to come.
    pub(super) fn stop_due[&]() -> Option<Instant> = stops_at;
    /// Acts on it when it is.
    pub(super) fn check_stop[&mut]() = end_in_time;
    /// Finishes a connection that has been read and has its replies, if a stop was requested.
    pub(super) fn finishes_to_stop[&mut](index: u32) -> bool = finish_to_stop;
    /// Gives up a connection that is not connected yet, if a stop was requested and does not spare it.
    pub(super) fn give_up_to_stop[&mut](index: u32) = give_up_unless_spared;
}

/// A stop, from its request on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopping {
    functions: Option<&'static Functions>,
    /// No connection is accepted once the queues of the listeners are empty; at this time all that is left is closed.
    at: Option<Instant>,
    /// That time has come: the sources that wait for a last service.
    round: Option<Round>,
    /// And they have had it.
    over: bool,
}

impl Stopping {
    pub(super) const NO: Self = Self {
        functions: None,
        at: None,
        round: None,
        over: false,
    };

    pub(super) const fn is_requested(&self) -> bool {
        self.at.is_some()
    }

    /// Whether the time has come, and what waited has not been serviced.
    pub(super) const fn is_ending(&self) -> bool {
        self.round.is_some() && !self.over
    }

    /// Whether nothing is left open.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// When the time has come, if that is ahead.
    const fn due(&self) -> Option<Instant> {
        if self.over { None } else { self.at }
    }

    /// It is requested, for this time or an earlier one.
    fn request(&mut self, by: Instant) {
        self.at = Some(self.at.map_or(by, |earlier| earlier.min(by)));
        self.functions = Some(&FUNCTIONS);
    }
}

/// For images.
#[cfg(feature = "inspect")]
impl Dispatcher<'_> {
    /// Whether a stop was requested; when its time comes; the fresh and the continuing sources that wait for their last
    /// service, once it has come; and whether they have had it, after which nothing else matters.
    pub(super) fn stop_parts(&self) -> (bool, Option<Instant>, Option<(u32, u32)>, bool) {
        let stopping = self.m.stopping;
        let due = stopping.due();
        let waiting = stopping.round.filter(|_| !stopping.over);
        let waiting = waiting.map(|round| self.m.schedule.left_of_round(round));
        (stopping.is_requested(), due, waiting, stopping.over)
    }

    pub(super) fn put_stop(
        &mut self,
        due: Option<Instant>,
        waiting: Option<(u32, u32)>,
        over: bool,
    ) {
        self.m.stopping = Stopping::NO;
        if let Some(due) = due {
            self.m.stopping.request(due);
            self.m.stopping.round = waiting.map(|waiting| self.m.schedule.round_of(waiting));
            self.m.stopping.over = over;
        }
    }
}

impl Dispatcher<'_> {
    /// Stops: the listeners' queues are emptied and they are closed, every connection is read until nothing more has
    /// arrived, gets its replies and is finished. One that was made a moment ago and has sent nothing is not idle, and
    /// neither is one in the middle of a message: they are left open, to send it and get the reply, within `by` and the
    /// deadlines that they have. If another connection was made for such a one, or for one that was opened less than 10
    /// s ago and had no reply yet, both are left open until either ends: the reply comes by way of the other. What is
    /// not connected yet is given up otherwise; what is left at `by` is closed as it is. Repeated, the earlier time
    /// counts. Work: every connection is touched.
    pub fn stop(&mut self, by: Instant) {
        if !self.is_stopping() {
            info!("stopping: {} connections open", self.m.stats.open);
        }
        self.m.stopping.request(by);
        self.keep_unanswered_pairs();
        for index in (0..self.slots.used()).chain(self.places()) {
            let slot = self.slots.at_mut(index);
            match slot.state() {
                State::Open | State::HalfClosing | State::HalfClosed | State::Listening => {
                    slot.readiness.set_ready(Directions::BOTH);
                }
                State::Connecting => {}
                State::Free
                | State::Reserved
                | State::Finishing
                | State::Lingering
                | State::Closing
                | State::Cancelling
                | State::Watching
                | State::Datagrams
                | State::Retired => continue,
            }
            self.touch(index);
        }
    }

    /// Whether [`stop`](Self::stop) was called.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.m.stopping.is_requested()
    }

    /// Whether [`stop`](Self::stop) was called and nothing is left to do.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.is_stopping() && self.m.admission.is_empty() && self.m.admission.listening() == 0
    }

    fn stops_at(&self) -> Option<Instant> {
        let ahead = |by: &Instant| *by < Instant::NEVER && !self.is_stopped();
        self.m.stopping.due().filter(ahead)
    }

    fn end_in_time(&mut self) {
        let due = self.m.stopping.due();
        if due.is_some_and(|by| by <= self.m.now) {
            self.end_stop();
        }
    }

    fn give_up_unless_spared(&mut self, index: u32) {
        if !self.is_spared(index) {
            self.begin_close(index, Reason::Stopping);
        }
    }

    fn finish_to_stop(&mut self, index: u32) -> bool {
        let finishes = self.slots.at(index).has_heard_all()
            && !self.is_speaking(index)
            && !self.is_spared(index);
        if finishes {
            self.finish_for(index, Reason::Stopping);
            self.finish_early(index);
        }
        finishes
    }

    /// The time to stop is over. What has come by then is received and replied to first: each connection is serviced
    /// once more, and then what is left is closed.
    fn end_stop(&mut self) {
        match self.m.stopping.round {
            None => {
                let windows = self.m.windows;
                for index in 0..self.slots.used() {
                    let slot = self.slots.at_mut(index);
                    if slot.hears() {
                        let reads = slot.wanted(windows) & Directions::READ;
                        slot.readiness.set_ready(reads);
                        self.touch(index);
                    }
                }
                self.m.stopping.round = Some(self.round());
            }
            Some(round) if self.is_round_over(round) => self.close_all(),
            Some(_) => {}
        }
    }

    fn close_all(&mut self) {
        for index in 0..self.slots.used() {
            self.begin_close(index, Reason::Stopping);
        }
        for index in self.places() {
            let slot = self.slots.at_mut(index);
            if slot.state() == State::Listening {
                slot.close_source();
                self.touch(index);
            }
        }
        // Connections with operations in flight end when those complete; an accept that still succeeds is closed at
        // once.
        self.m.stopping.over = true;
    }
}
