//! The orderly end: what has come is received and replied to, then everything is finished, and closed at the time.

use super::Dispatcher;
use crate::output::Reason;
use crate::readiness::Directions;
use crate::slot::State;
use crate::time::Instant;
use defmt_or_log::info;

impl Dispatcher<'_> {
    /// Stops: the listeners' queues are emptied and they are closed, every connection is read until nothing more has
    /// arrived, gets its replies and is finished. One that was made a moment ago and has sent nothing is not idle, and
    /// neither is one in the middle of a message: they are left open, to send it and get the reply, within `by` and the
    /// deadlines that they have. If another connection was made for such a one, or for one that was opened less than 10
    /// s ago and had no reply yet, both are left open until either ends: the reply comes by way of the other. What is
    /// not connected yet is given up otherwise; what is left at `by` is closed as it is. Repeated, the earlier time
    /// counts. Work: every connection is touched.
    pub fn stop(&mut self, by: Instant) {
        if self.m.stop_at.is_none() {
            info!("stopping: {} connections open", self.m.stats.open);
        }
        let by = self.m.stop_at.map_or(by, |earlier| earlier.min(by));
        self.m.stop_at = Some(by);
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
        self.m.stop_at.is_some()
    }

    /// Whether [`stop`](Self::stop) was called and nothing is left to do.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.m.stop_at.is_some() && self.m.taken == 0 && self.m.listening == 0
    }

    /// The time to stop is over. What has come by then is received and replied to first: each connection is serviced
    /// once more, and then what is left is closed.
    pub(super) fn end_stop(&mut self) {
        match self.m.last_round {
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
                self.m.last_round = Some(self.round());
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
        self.m.stop_over = true;
    }
}
