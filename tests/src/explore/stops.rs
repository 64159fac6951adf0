//! The orderly end: the application stops, with a deadline, and may bring that forward. It is a step between iterations, whatever
//! is queued, and the world goes on as before: peers come, send and reset, and the application reacts.

use super::table::What;
use super::world::{LENGTH, Lawful, World};
use core::time::Duration;
use tidegate_core::inspect::{CONNECTIONS, STATES};

impl World<'_> {
    /// The deadline of a stop: not requested, passed, or still to come: a number below 3.
    pub(super) fn pack_stop(&self) -> u8 {
        match self.stop {
            None => 0,
            Some(by) if by <= self.now => 1,
            Some(_) => 2,
        }
    }

    pub(super) fn unpack_stop(&mut self, packed: u8) {
        self.stop = match packed {
            0 => None,
            1 => Some(self.now),
            _ => Some(self.now.plus(Duration::from_millis(LENGTH))),
        };
    }

    /// The application stops, and gives what is open so much time: a length, or none.
    pub(super) fn stops(&mut self, at_once: bool) {
        self.say(|| {
            format!(
                "the application stops{}",
                if at_once { " at once" } else { "" }
            )
        });
        let before = self.states();
        let length = Duration::from_millis(if at_once { 0 } else { LENGTH });
        let by = self.now.plus(length);
        self.core.stop(by);
        self.stop = Some(self.stop.map_or(by, |earlier| earlier.min(by)));
        self.saw_stop(before, What::Stop);
    }

    /// What a stop, or the end of its time, makes of what is open.
    pub(super) fn saw_stop(&mut self, before: [usize; CONNECTIONS + 2], what: What) {
        for (before, after) in before.into_iter().zip(self.states()) {
            if !matches!(STATES[before], "Free" | "Closing" | "Cancelling") {
                self.seen.saw(before, what, after);
            }
        }
    }

    /// Whether its time has come.
    pub(super) fn has_to_stop(&self) -> bool {
        self.stop.is_some_and(|by| by <= self.now)
    }

    /// A machine that was stopped knows it, and asks to be called in time; once its time has come it does not rest before all
    /// is closed. Then nothing is registered, nothing is waited for, and nobody is called.
    pub(super) fn comes_to_its_end(&self) -> Lawful {
        let Some(by) = self.stop else {
            return if self.core.is_stopping() {
                Err("it stops, and was not asked to".to_owned())
            } else {
                Ok(())
            };
        };
        let called = self.core.poll_timeout();
        if !self.core.is_stopped() {
            if !self.core.is_stopping() || called.is_none_or(|called| called > by.max(self.now)) {
                return Err(format!("it stops by {by:?}, called at {called:?}"));
            }
            if self.has_to_stop() && !self.turn && !self.core.has_work() && called != Some(self.now)
            {
                return Err("the time to stop is over, and not all is closed".to_owned());
            }
            return Ok(());
        }
        let open = self
            .sockets
            .iter()
            .any(|socket| socket.is_open() || socket.told);
        if open || self.listener.is_open() {
            return Err("it has stopped, and something is open".to_owned());
        }
        // Its last round may still be over at the next call.
        if !self.turn && !self.core.has_work() && called.is_some() {
            return Err(format!("it has stopped, and is to be called at {called:?}"));
        }
        Ok(())
    }
}
