//! What a listener and its connections may have before others: slots that are reserved for them, and priority.

use super::Dispatcher;
use crate::on_demand::on_demand;
use crate::slot::State;
use crate::source::{Listener, Source};
use crate::token::{LISTENER_BIT, Token};

on_demand! { Dispatcher[m.preferred];
    /// Schedules a source before others, if it has priority.
    pub(super) fn touch_first[&mut](index: u32) -> bool = touch_preferred;
    /// A listener that is released has nothing before others any more.
    pub(super) fn prefer_no_more[&mut](index: u32) = lose_preference;
    /// How many free slots are not for this listener.
    pub(super) fn withheld_from[&](index: u32) -> u32 = withheld;
    /// Whether this listener has as many connections as it may have. For it the table is full then.
    pub(super) fn has_its_most[&](index: u32) -> bool = is_at_its_limit;
}

impl Dispatcher<'_> {
    fn touch_preferred(&mut self, index: u32) -> bool {
        let first = self.goes_first(index);
        if first {
            self.m.schedule.touch_first(&mut self.slots, index);
        }
        first
    }

    fn lose_preference(&mut self, index: u32) {
        self.change_reserved(index, 0);
        self.change_priority(index, false);
    }
}

/// Listeners that must respond at the limit.
impl Dispatcher<'_> {
    /// Reserves slots for the connections of this listener: the others find the table full when no more than these are
    /// free, and do not evict their owners. So an operator can connect when all else is taken. If more are reserved
    /// than there are, the other listeners get none. A token that does not name a listener changes nothing.
    pub fn reserve_slots(&mut self, listener: Token, slots: u32) {
        if let Some((index, _)) = self.find_source(listener, State::Listening) {
            self.change_reserved(index, slots);
        }
    }

    /// Has this listener take at most so many connections at a time, `u32::MAX`: as many as there are slots. With that
    /// many the table is full for it, and [`Config::full`](crate::Config::full) decides; if that is to evict, one of
    /// its own connections. So the clients of a listener that is not part of the service do not take the service's
    /// slots. A token that does not name a listener changes nothing. Work: each listener.
    pub fn limit_connections(&mut self, listener: Token, connections: u32) {
        if let Some((_, source)) = self.find_source(listener, State::Listening)
            && let Some(listener) = source.listener_mut()
        {
            listener.at_most = connections;
            self.m.preferred = Some(&FUNCTIONS);
            self.wake_starved();
        }
    }

    /// Another listener may be let on by it.
    fn change_reserved(&mut self, index: u32, slots: u32) {
        if let Some(listener) = self.listener_mut(index)
            && listener.reserved != slots
        {
            let before = core::mem::replace(&mut listener.reserved, slots);
            self.m.preferred = Some(&FUNCTIONS);
            self.m.admission.change_reserved(before, slots);
            self.wake_starved();
        }
    }

    /// Has this listener and its connections serviced before others that are ready, so that an operator gets a reply
    /// however busy the others are. Of two that are serviced in a row, one is another while any waits: the others wait
    /// at most twice as long for it. One of them that has used up its quantum goes on behind the others, as all do. A
    /// token that does not name a listener changes nothing.
    pub fn set_priority(&mut self, listener: Token, priority: bool) {
        if let Some((index, _)) = self.find_source(listener, State::Listening) {
            self.change_priority(index, priority);
        }
    }

    /// A source that is queued already stays where it is.
    fn change_priority(&mut self, index: u32, priority: bool) {
        if let Some(listener) = self.listener_mut(index)
            && listener.priority != priority
        {
            listener.priority = priority;
            self.m.preferred = Some(&FUNCTIONS);
            self.m.admission.change_priority(priority);
        }
    }

    /// Whether a listener that has priority accepted it, or it is one.
    fn goes_first(&self, index: u32) -> bool {
        let index = if index & LISTENER_BIT == 0 {
            LISTENER_BIT | u32::from(self.records.at(index).listener)
        } else {
            index
        };
        let listener = self.slots.source(index).and_then(Source::listener);
        listener.is_some_and(|listener| listener.priority)
    }

    fn is_at_its_limit(&self, index: u32) -> bool {
        (self.slots.source(index)).is_some_and(|source| {
            let listener = source.listener();
            listener.is_some_and(|listener| source.held >= listener.at_most)
        })
    }

    /// Work: each listener, if any slot is reserved.
    fn withheld(&self, index: u32) -> u32 {
        if !self.m.admission.has_reserved() {
            return 0;
        }
        let others = (LISTENER_BIT..u32::MAX).zip(self.slots.others.list.iter());
        others
            .filter(|(other, _)| *other != index)
            .map(|(_, other)| reserved(other).saturating_sub(other.held))
            .fold(0, u32::saturating_add)
    }

    /// Whether a connection has a reserved slot that this listener must leave to it.
    pub(super) fn is_reserved_from(&self, connection: u32, listener: u32) -> bool {
        let of = LISTENER_BIT | u32::from(self.records.at(connection).listener);
        self.m.admission.has_reserved()
            && of != listener
            && (self.slots.source(of)).is_some_and(|of| of.held <= reserved(of))
    }

    fn listener_mut(&mut self, index: u32) -> Option<&mut Listener> {
        self.slots.source_mut(index)?.listener_mut()
    }
}

/// How many slots are reserved for a source.
fn reserved(source: &Source) -> u32 {
    source.listener().map_or(0, |listener| listener.reserved)
}
