//! Descriptors of the application's own: a GPIO line, inotify, a foreign library's, an event counter. They are watched
//! for readiness, like the listeners, in the second table, and the application reads them itself.

use super::Dispatcher;
use crate::event::Fault;
use crate::on_demand::on_demand;
use crate::output::Notice;
use crate::readiness::Directions;
use crate::slot::{Flags, State};
use crate::source::Kind;
use crate::token::Token;
use crate::unavailable::Unavailable;

on_demand! { Dispatcher[m.watched];
    /// A readiness event.
    pub(super) fn watched[&mut](token: Token, directions: Directions, closing: bool) -> Option<Notice> = is_ready;
    /// The kernel would not register it.
    pub(super) fn watch_failed[&mut](index: u32, fault: Fault) -> Option<Notice> = is_not_armed;
}

/// Watching is always by level: each poll of the kernel reports again what the application left.
///
/// The event itself returns the notice, so one that the application ignores costs one call for each poll, and delays no
/// source; the kernel is polled after each iteration, however many of them are ready.
impl Dispatcher<'_> {
    /// Watches a descriptor for these directions; [`Notice::Watched`] reports them. The driver, which has the
    /// descriptor, is asked to arm it in the next iteration. A stop does not end it.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Sources`] when all slots for sources are taken, by listeners too.
    pub fn watch(&mut self, directions: Directions) -> Result<Token, Unavailable> {
        let index = self.take_place(Kind::Watch(directions & Directions::BOTH))?;
        self.m.watched = Some(&FUNCTIONS);
        self.touch(index);
        Ok(self.token(index))
    }

    /// Changes the interest; with none, it has no events at all, not even a hang-up. A token that does not name a
    /// watched descriptor changes nothing.
    pub fn watch_for(&mut self, token: Token, directions: Directions) {
        if let Some((index, source)) = self.find_source(token, State::Watching) {
            source.kind = Kind::Watch(directions & Directions::BOTH);
            self.touch(index);
        }
    }

    /// Ends it: no more notices, and the driver closes the descriptor. A token that does not name a watched descriptor
    /// changes nothing.
    pub fn unwatch(&mut self, token: Token) {
        if let Some((index, source)) = self.find_source(token, State::Watching) {
            source.slot.close_source();
            self.touch(index);
        }
    }

    /// The descriptors that are watched.
    pub fn watched_tokens(&self) -> impl Iterator<Item = Token> + '_ {
        self.places()
            .filter(|index| self.slots.at(*index).state() == State::Watching)
            .map(|index| self.token(index))
    }

    /// A hang-up or an error makes every direction ready, so that the application's own call decides.
    fn is_ready(&mut self, token: Token, directions: Directions, closing: bool) -> Option<Notice> {
        let index = token.slot();
        let source = self.slots.source_mut(index)?;
        let wanted = source.wanted(false);
        let reported = if closing {
            Directions::BOTH
        } else {
            directions
        };
        let told = reported & wanted;
        if !wanted.contains(directions) || told.is_empty() {
            source.slot.flags.set(Flags::UNWANTED);
            self.touch(index);
        }
        (!told.is_empty()).then_some(Notice::Watched(token, Ok(told)))
    }

    /// There would never be an event of it.
    fn is_not_armed(&mut self, index: u32, fault: Fault) -> Option<Notice> {
        let token = self.token(index);
        self.slots.at_mut(index).close_source();
        self.touch(index);
        Some(Notice::Watched(token, Err(fault)))
    }
}
