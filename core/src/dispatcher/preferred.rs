//! What a listener and its connections may have before others: slots that are reserved for them, and priority.

use super::Dispatcher;
use crate::slot::State;
use crate::token::{LISTENER_BIT, Token};

/// Listeners that must be answered at the limit.
impl Dispatcher<'_> {
    /// Reserves slots for the connections of this listener: the others find the table full when no more than these are
    /// free, and do not evict who has one. So who comes to see what is wrong is let in when all else is taken. If more are
    /// reserved than there are, the other listeners get none. A token that names no listener changes nothing.
    pub fn reserve_slots(&mut self, listener: Token, slots: u32) {
        let Some(index) = self.find(listener) else {
            return;
        };
        if self.slots.at(index).state == State::Listening {
            self.change_reserved(index, slots);
        }
    }

    /// Has this listener take at most so many connections at a time, `u32::MAX`: as many as there are slots. With that many
    /// the table is full for it, and [`Config::full`](crate::Config::full) says what happens; if that is to evict, one of
    /// its own connections. So whoever reaches a listener that is no part of the service does not take the service's slots.
    /// A token that names no listener changes nothing. Work: each listener.
    pub fn limit_connections(&mut self, listener: Token, connections: u32) {
        let Some(index) = self.find(listener) else {
            return;
        };
        if self.slots.at(index).state == State::Listening
            && let Some(listener) = self.m.listeners.get_mut((index & !LISTENER_BIT) as usize)
        {
            listener.at_most = connections;
            self.wake_starved();
        }
    }

    /// Another listener may be let on by it.
    pub(super) fn change_reserved(&mut self, index: u32, slots: u32) {
        let listener = self.m.listeners.get_mut((index & !LISTENER_BIT) as usize);
        if let Some(listener) = listener
            && listener.reserved != slots
        {
            let before = core::mem::replace(&mut listener.reserved, slots);
            self.m.reserved = self.m.reserved.saturating_sub(before).saturating_add(slots);
            self.wake_starved();
        }
    }

    /// Has this listener and its connections served before others that are ready, so that who comes to see what is wrong is
    /// answered however busy the others are. Of two that are served in a row, one is another while any waits: the others
    /// wait at most twice as long for it. One of them that has used up its quantum goes on behind the others, as everybody
    /// does. A token that names no listener changes nothing.
    pub fn set_priority(&mut self, listener: Token, priority: bool) {
        let Some(index) = self.find(listener) else {
            return;
        };
        if self.slots.at(index).state == State::Listening {
            self.change_priority(index, priority);
        }
    }

    /// Who waits already stays where it is.
    pub(super) fn change_priority(&mut self, index: u32, priority: bool) {
        let listener = self.m.listeners.get_mut((index & !LISTENER_BIT) as usize);
        if let Some(listener) = listener
            && listener.priority != priority
        {
            listener.priority = priority;
            self.m.priorities = if priority {
                self.m.priorities.saturating_add(1)
            } else {
                self.m.priorities.saturating_sub(1)
            };
        }
    }

    /// Whether a listener that has priority accepted it, or it is one.
    pub(super) fn goes_first(&self, index: u32) -> bool {
        let place = if index & LISTENER_BIT == 0 {
            self.records.at(index).listener.into()
        } else {
            index & !LISTENER_BIT
        };
        let listener = self.m.listeners.get(place as usize);
        listener.is_some_and(|listener| listener.priority)
    }

    /// How many free slots are not for this listener. Work: each listener, if any slot is reserved.
    pub(super) fn withheld_from(&self, index: u32) -> u32 {
        if self.m.reserved == 0 {
            return 0;
        }
        let others = (LISTENER_BIT..u32::MAX).zip(&self.m.listeners);
        others
            .filter(|(other, _)| *other != index)
            .map(|(_, other)| other.reserved.saturating_sub(other.held))
            .fold(0, u32::saturating_add)
    }

    /// Whether a connection has a reserved slot that this listener must leave to it.
    pub(super) fn is_reserved_from(&self, connection: u32, listener: u32) -> bool {
        let place = self.records.at(connection).listener;
        self.m.reserved > 0
            && LISTENER_BIT | u32::from(place) != listener
            && (self.m.listeners.get(usize::from(place))).is_some_and(|of| of.held <= of.reserved)
    }
}
