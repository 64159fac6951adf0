//! How a stop stands in an image.

use super::numbers::{halves, millis, nanos, pair};
use super::{NOW, STOP};
use crate::dispatcher::Dispatcher;

/// It was requested; its time has come, and what waits has its last service; it has had it.
const REQUESTED: u8 = 1;
const ENDING: u8 = 2;
const OVER: u8 = 4;

impl Dispatcher<'_> {
    /// What was requested, how many sources wait for their last service, and how long until the time for it comes.
    pub(super) fn stop_image(&self) -> [u8; STOP] {
        let (requested, due, waiting, over) = self.stop_parts();
        let facts = (REQUESTED * u8::from(requested))
            | (ENDING * u8::from(waiting.is_some()))
            | (OVER * u8::from(over));
        let (fresh, continuing) = waiting.unwrap_or_default();
        let [low, high] = millis(due.map_or(0, |due| due.nanos_since(self.m.now)));
        [facts, pair(fresh, continuing), low, high]
    }

    pub(super) fn put_stop_image(&mut self, [facts, waiting, low, high]: [u8; STOP]) {
        let has = |fact| facts & fact != 0;
        let due = has(REQUESTED).then(|| NOW.plus_nanos(nanos([low, high])));
        let waiting = has(ENDING).then(|| halves(waiting));
        self.put_stop(due, waiting, has(OVER));
    }
}
