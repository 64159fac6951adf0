//! The timer of the first connection: set and cancelled by its application, due after a length, in iterations that may
//! have bytes as well. An image has no timers, so it stands in the head of a state and is set again when that is unpacked.

use super::choices::Choices;
use super::steps::Call;
use super::world::{LENGTH, Lawful, World};
use core::time::Duration;
use tidegate_core::{Notice, inspect};

/// What an application does when its timer fires, but setting it again.
const REACTIONS: [Option<Call>; 4] = [
    None,
    Some(Call::Commit),
    Some(Call::Finish),
    Some(Call::Abort),
];

impl World<'_> {
    /// Not set, due, or still to come: a number below 3.
    pub(super) fn pack_timer(&self) -> u8 {
        match self.timer {
            None => 0,
            Some(due) if due <= self.now => 1,
            Some(_) => 2,
        }
    }

    pub(super) fn unpack_timer(&mut self, packed: u8) {
        let after = match packed {
            0 => None,
            1 => Some(Duration::ZERO),
            _ => Some(Duration::from_millis(LENGTH)),
        };
        self.timer = after.map(|after| inspect::NOW.plus(after));
        if let Some(after) = after {
            self.core.set_timer(self.token(0), after);
        }
    }

    pub(super) fn set_timer(&mut self) {
        let length = Duration::from_millis(LENGTH);
        self.core.set_timer(self.token(0), length);
        self.timer = Some(self.core.now().plus(length));
    }

    pub(super) fn cancel_timer(&mut self) {
        self.core.cancel_timer(self.token(0));
        self.timer = None;
    }

    /// The timers that are due fire, before anything else of the iteration: each once, and no other.
    pub(super) fn timers_due(&mut self, choices: &mut Choices) -> Lawful {
        let token = self.token(0);
        let closing = self.is_closing(0) || !self.sockets[0].told;
        let mut due = self.timer.filter(|due| *due <= self.now && !closing);
        while let Some(notice) = self.core.poll_timer() {
            if notice != Notice::Timer(token) || due.take().is_none() {
                return Err(format!("{notice:?} fires, set is {:?}", self.timer));
            }
            self.say(|| format!("the timer of {token:?} fires"));
            self.timer = None;
            let over = self.sockets[0].asked_to_finish || self.sockets[0].aborted;
            let calls = if over { &REACTIONS[..1] } else { &REACTIONS };
            self.reacts(0, choices, calls)?;
        }
        match due {
            Some(due) => Err(format!("due at {due:?}, and it does not fire")),
            None => Ok(()),
        }
    }

    /// The machine has the timer that was set, and asks to be called in time for it.
    pub(super) fn keeps_its_timer(&self) -> Lawful {
        let kept = self.core.timer(self.token(0));
        if kept != self.timer {
            return Err(format!("the timer is {kept:?}, set was {:?}", self.timer));
        }
        let called = self.core.poll_timeout();
        match self.timer {
            Some(due) if called.is_none_or(|called| called > due) => {
                Err(format!("due at {due:?}, called at {called:?}"))
            }
            Some(_) | None => Ok(()),
        }
    }
}
