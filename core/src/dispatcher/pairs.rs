//! Pairs at a stop: an accepted connection, and the last one that was made for it. A request by way of a relay gets its
//! reply by way of it, so neither is ended as idle while the first exchange is in progress.

use super::Dispatcher;
use crate::slot::State;
use crate::token::Token;

impl Dispatcher<'_> {
    /// Whether a stop lets a connection be made for this one: it may have come when the stop had begun.
    pub(super) fn may_connect_for(&self, origin: Token) -> bool {
        let origin = self.connection(origin);
        !self.m.stopping.is_over() && origin.is_some_and(|origin| self.is_unanswered(origin))
    }

    /// `made` was made for `origin`. Several may be: the last one counts.
    pub(super) fn pair(&mut self, origin: Token, made: Token) {
        if let Some(origin) = self.connection(origin)
            && !self.records.at(origin).is_outbound()
        {
            self.records.at_mut(origin).set_other(Some(made));
        }
    }

    pub(super) fn forget_answered(&mut self) {
        for index in 0..self.slots.used() {
            let record = self.records.at(index);
            if !record.is_outbound() && record.other().is_some() && !self.is_unanswered(index) {
                self.records.at_mut(index).set_other(None);
            }
        }
    }

    /// Whether it was accepted, and its first exchange has not begun, or is under way: it is [speaking](Self::is_speaking), or it is
    /// fresh and nothing was sent to it yet.
    fn is_unanswered(&self, index: u32) -> bool {
        let record = self.records.at(index);
        self.slots.at(index).hears()
            && !record.is_outbound()
            && (self.is_speaking(index) || self.is_fresh(index) && record.bytes_out == 0)
    }

    /// The other of its pair, while both go on.
    fn other_of(&self, index: u32) -> Option<u32> {
        let record = self.records.at(index);
        let other = self.connection(record.other()?)?;
        let (of_other, state) = (self.records.at(other), self.slots.at(other).state());
        let mutual = of_other.other() == Some(self.token(index));
        let differ = of_other.is_outbound() != record.is_outbound();
        (mutual && differ && (state.hears() || state == State::Connecting)).then_some(other)
    }

    pub(super) fn has_other(&self, index: u32) -> bool {
        self.other_of(index).is_some()
    }

    pub(super) fn wake_other(&mut self, index: u32) {
        if self.is_stopping()
            && let Some(other) = self.other_of(index)
        {
            self.touch(other);
        }
    }
}
