//! [`Admission`]: which slots are free, and which listeners wait for one.
//!
//! Slots come into use in order and are used again as they come free. A listener that finds none is *starved*: it is scheduled when
//! one comes free. One whose accepts fail pauses, twice as long each time.

use crate::config::{Config, FullTable};
use crate::queue::Queue;
use crate::record::Record;
use crate::slot::State;
use crate::table::{Records, Run, Slots};
use crate::time::nanos_of;

/// The free slots, the counts of what holds others, and what limits accepting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admission {
    /// Slots that were used and are free again.
    free: Queue,
    /// Slots that are taken, reserved ones too.
    taken: u32,
    /// The most that may be taken.
    capacity: u32,
    /// Listeners that are not closed.
    listening: u32,
    /// Listeners and datagram sockets that wait for their pause to end.
    paused: u32,
    /// Slots that are reserved for the connections of some listener, all together.
    reserved: u32,
    /// Listeners that have priority.
    priorities: u32,
    /// Some listener would accept if a slot were free.
    starved: bool,
    /// A connection is being closed for another.
    evicting: bool,
    full: FullTable,
    failures: u16,
    burst: u16,
    first_pause: u64,
    longest_pause: u64,
}

impl Admission {
    pub(crate) fn new(config: &Config, capacity: u32) -> Self {
        Self {
            free: Queue::EMPTY,
            taken: 0,
            capacity,
            listening: 0,
            paused: 0,
            reserved: 0,
            priorities: 0,
            starved: false,
            evicting: false,
            full: config.full,
            failures: config.accept_failures,
            burst: config.accept_burst,
            first_pause: nanos_of(config.pause_min),
            longest_pause: nanos_of(config.pause_max),
        }
    }

    /// What happens when the table is full.
    pub(crate) const fn full(&self) -> FullTable {
        self.full
    }
}

/// Slots.
impl Admission {
    /// How many there may be at a time.
    pub(crate) const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Whether none is taken.
    pub(crate) const fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// Whether one is free beside those that are `withheld`; those that are used up are not.
    pub(crate) fn has_free(&self, slots: &Slots<'_>, withheld: u32) -> bool {
        self.capacity.saturating_sub(self.taken) > withheld
            && (!self.free.is_empty() || slots.used() < self.capacity)
    }

    /// Takes a slot for a connection in this state, if there is one.
    pub(crate) fn take(
        &mut self,
        slots: &mut Slots<'_>,
        records: &mut Records<'_>,
        state: State,
    ) -> Option<u32> {
        let index = match self.free.pop(&mut Run(slots)) {
            Some(index) => index,
            None => {
                let index = slots.used();
                if index >= self.capacity {
                    return None;
                }
                *records.list.get_mut(index as usize)? = Record::NEW;
                slots.use_another()?
            }
        };
        slots.at_mut(index).take(state);
        self.taken = self.taken.saturating_add(1);
        debug_assert!(self.taken <= self.capacity, "free and taken are all");
        Some(index)
    }

    /// A slot that was taken is in its next incarnation, or used up.
    pub(crate) fn release(&mut self, slots: &mut Slots<'_>, index: u32) {
        debug_assert!(self.taken > 0 && slots.at(index).state().is_gone());
        if slots.at(index).state() == State::Free {
            self.free.push(&mut Run(slots), index);
        }
        self.taken = self.taken.saturating_sub(1);
    }
}

/// Listeners that find no slot.
impl Admission {
    /// A listener waits for a slot.
    pub(crate) const fn starve(&mut self) {
        self.starved = true;
    }

    #[cfg(any(test, feature = "inspect"))]
    pub(crate) const fn is_starved(&self) -> bool {
        self.starved
    }

    /// All of them try again; whether there were some.
    pub(crate) const fn feed(&mut self) -> bool {
        core::mem::replace(&mut self.starved, false)
    }

    /// Whether a listener waits for a connection to be idle.
    pub(crate) const fn waits_for_idle(&self) -> bool {
        self.starved && self.full.evicts()
    }

    pub(crate) const fn is_evicting(&self) -> bool {
        self.evicting
    }

    /// Whether a connection is being closed for another: one at a time.
    pub(crate) const fn set_evicting(&mut self, evicting: bool) {
        self.evicting = evicting;
    }
}

/// Listeners.
impl Admission {
    pub(crate) const fn listening(&self) -> u32 {
        self.listening
    }

    pub(crate) const fn add_listener(&mut self) {
        self.listening = self.listening.saturating_add(1);
    }

    pub(crate) const fn remove_listener(&mut self) {
        debug_assert!(self.listening > 0, "it was counted");
        self.listening = self.listening.saturating_sub(1);
    }

    pub(crate) const fn has_paused(&self) -> bool {
        self.paused > 0
    }

    pub(crate) const fn pause_one(&mut self) {
        self.paused = self.paused.saturating_add(1);
    }

    pub(crate) const fn resume_one(&mut self) {
        debug_assert!(self.paused > 0, "it was counted");
        self.paused = self.paused.saturating_sub(1);
    }

    /// Failures in a row that count as resource exhaustion.
    pub(crate) const fn failures(&self) -> u16 {
        self.failures
    }

    /// The most accepts for one event. A full table refuses or evicts for an event, not on speculation.
    pub(crate) const fn burst(&self, has_free: bool) -> u16 {
        if has_free { self.burst } else { 1 }
    }

    /// How long the first pause is, in nanoseconds.
    pub(crate) const fn first_pause(&self) -> u64 {
        self.first_pause
    }

    /// How long the pause after one of this length is.
    pub(crate) fn next_pause(&self, pause: u64) -> u64 {
        pause.saturating_mul(2).min(self.longest_pause)
    }
}

/// What a listener and its connections have before others.
impl Admission {
    pub(crate) const fn has_reserved(&self) -> bool {
        self.reserved > 0
    }

    /// A listener has so many slots reserved, and had so many `before`.
    pub(crate) const fn change_reserved(&mut self, before: u32, slots: u32) {
        self.reserved = self.reserved.saturating_sub(before).saturating_add(slots);
    }

    /// Whether some listener has priority.
    pub(crate) const fn has_priorities(&self) -> bool {
        self.priorities > 0
    }

    /// A listener has priority, or has none any more.
    pub(crate) const fn change_priority(&mut self, priority: bool) {
        self.priorities = if priority {
            self.priorities.saturating_add(1)
        } else {
            self.priorities.saturating_sub(1)
        };
    }
}

/// What is counted, for the laws.
#[cfg(any(test, feature = "inspect"))]
impl Admission {
    pub(crate) const fn free(&self) -> &Queue {
        &self.free
    }

    /// Slots that are taken, listeners, those that pause, and those that have priority.
    pub(crate) const fn counts(&self) -> [u32; 4] {
        [self.taken, self.listening, self.paused, self.priorities]
    }
}

/// For images.
#[cfg(feature = "inspect")]
impl Admission {
    /// Nothing is taken, and no listener counted.
    pub(crate) const fn empty(&mut self, starved: bool) {
        (self.free, self.taken) = (Queue::EMPTY, 0);
        (self.listening, self.paused) = (0, 0);
        (self.starved, self.evicting) = (starved, false);
    }

    /// A connection of an image.
    pub(crate) fn put_back(&mut self, slots: &mut Slots<'_>, index: u32) {
        let slot = slots.at(index);
        self.taken += u32::from(!slot.state().is_gone());
        self.evicting |= slot.reason == Some(crate::output::Reason::Evicted);
        if slot.state() == State::Free {
            self.free.push(&mut Run(slots), index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Windows;
    use crate::dispatcher::{Dispatcher, Table};

    #[test]
    fn pauses_double_up_to_the_longest() {
        let admission = Admission::new(&Config::default(), 1);
        let mut pauses = [admission.first_pause(); 8];
        for at in 1..pauses.len() {
            pauses[at] = admission.next_pause(pauses[at - 1]);
        }
        let config = Config::default();
        assert_eq!(u128::from(pauses[0]), config.pause_min.as_nanos());
        assert_eq!(u128::from(pauses[7]), config.pause_max.as_nanos());
        assert!(
            pauses
                .windows(2)
                .all(|pair| pair[1] == (2 * pair[0]).min(pauses[7]))
        );
    }

    /// Of tables of every small size, with a limit below it or not: as many as may be are taken, and each that is released can
    /// be taken again.
    #[test]
    fn free_and_taken_are_all() {
        fn of<const N: usize>() {
            for capacity in 1..=u32::try_from(N).unwrap() {
                let mut table = Table::<N>::new();
                let windows = Windows {
                    receive: 8,
                    send: 8,
                };
                let config = Config::default();
                let mut machine = Dispatcher::new(&mut table, &config, windows).unwrap();
                let (slots, records) = (&mut machine.slots, &mut machine.records);
                let mut admission = Admission::new(&config, capacity);
                for round in 0..3 {
                    for withheld in 0..=capacity {
                        assert_eq!(admission.has_free(slots, withheld), withheld < capacity);
                    }
                    let taken: alloc::vec::Vec<u32> =
                        core::iter::from_fn(|| admission.take(slots, records, State::Reserved))
                            .collect();
                    assert_eq!(taken.len(), capacity as usize, "round {round}");
                    assert!(!admission.has_free(slots, 0) && !admission.is_empty());
                    for index in taken {
                        slots.at_mut(index).renew();
                        admission.release(slots, index);
                    }
                    assert!(admission.is_empty());
                }
            }
        }
        of::<1>();
        of::<2>();
        of::<5>();
    }
}
