//! [`LineState`]: one descriptor of which only its readiness is known, and its registration, as a small value.

use crate::driver;
use crate::flags::EpollFlags;
use crate::kernel::Interest;
use tidegate_core::{Directions, Event, Token, Trigger};

/// One descriptor that an application watches, and its registration in one epoll set: ready for whatever it is made ready
/// for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct LineState {
    ready: Directions,
    /// Its registration, if there is one.
    pub interest: Option<Interest>,
}

impl LineState {
    /// What it is ready for.
    #[must_use]
    pub const fn ready(&self) -> Directions {
        self.ready
    }

    /// From now on it is ready for these, and for nothing else.
    pub fn set_ready(&mut self, ready: Directions) {
        self.ready = ready;
        let what = self.poll();
        if let Some(interest) = &mut self.interest {
            interest.queued |= interest.is_ready(what);
        }
    }

    /// Registers, modifies or withdraws the registration, as a driver does for
    /// [`Action::Arm`](tidegate_core::Action::Arm).
    pub fn arm(&mut self, now: Directions, trigger: Trigger) {
        self.interest = Interest::armed(self.interest, now, trigger, self.poll());
    }

    /// What a wait reports of it, if anything.
    pub fn report(&mut self, token: Token) -> Option<Event> {
        let bits = self.poll();
        driver::report(&mut self.interest, token, || bits)
    }

    /// Whether a wait would report something of it.
    #[must_use]
    pub fn would_report(&self) -> bool {
        let mut later = *self;
        later.report(Token::NONE).is_some()
    }

    fn poll(&self) -> EpollFlags {
        EpollFlags::IN.when(self.ready.contains(Directions::READ))
            | EpollFlags::OUT.when(self.ready.contains(Directions::WRITE))
    }
}
