//! Eviction: which connection is closed for another.

use super::Dispatcher;
use crate::config::{Class, FullTable};
use crate::slot::{Queued, State};
use crate::token::LISTENER_BIT;

/// Connections examined to find one that is idle.
const LOOKS: usize = 16;

impl Dispatcher<'_> {
    /// The connection that is to be closed for another: first an accepted one on which FIN was sent and not received,
    /// then, by the policy, the one that has been half-closed or idle longest; a connection that has received nothing
    /// yet counts as idle. One that is queued is not idle any more, though its deadline is not updated; past [`LOOKS`]
    /// of those none is searched for. What is reserved from the requesting listener stays; for a listener at its limit,
    /// only its own connections are closed.
    pub(super) fn victim(&self, listener: u32) -> Option<u32> {
        let ended = |index: u32| {
            let accepted = !self.records.at(index).is_outbound();
            accepted
                && matches!(
                    self.slots.at(index).state(),
                    State::HalfClosing | State::HalfClosed
                )
        };
        if let Some((_, index)) = self.longest_half_closed(listener, ended) {
            return Some(index);
        }
        let any = |_: u32| true;
        let half_closed = self.longest_half_closed(listener, any);
        let longest = match self.m.admission.full() {
            FullTable::Wait | FullTable::Refuse => None,
            FullTable::EvictHalfClosed => half_closed,
            FullTable::Evict => {
                let first_byte = self.longest(Class::FirstByte, listener, any);
                let idle = self.longest(Class::Idle, listener, any);
                [half_closed, first_byte, idle].into_iter().flatten().min()
            }
        };
        longest.map(|(_, index)| index)
    }

    /// Of the half-closed, the connection of this kind that has been without progress longest, and since when. A peer
    /// that has not sent is in the class of that, half-closed or not.
    fn longest_half_closed(
        &self,
        listener: u32,
        is_of_kind: impl Fn(u32) -> bool,
    ) -> Option<(u64, u32)> {
        let unspoken = |index| self.slots.at(index).is_half_closed() && is_of_kind(index);
        let half_closed = self.longest(Class::HalfClosed, listener, &is_of_kind);
        let unspoken = self.longest(Class::FirstByte, listener, unspoken);
        [half_closed, unspoken].into_iter().flatten().min()
    }

    /// Of a class, the connection of this kind that has been in it longest without progress, and since when.
    fn longest(
        &self,
        class: Class,
        listener: u32,
        is_of_kind: impl Fn(u32) -> bool,
    ) -> Option<(u64, u32)> {
        let own_only = self.has_its_most(listener);
        let longest = self.m.deadlines.longest(&self.slots, class);
        longest.take(LOOKS).find(|&(_, index)| {
            let slot = self.slots.at(index);
            let rests = slot.queued == Queued::No && !self.m.schedule.is_serving(index);
            let of = LISTENER_BIT | u32::from(self.records.at(index).listener);
            let may_go = !self.is_reserved_from(index, listener) && (!own_only || of == listener);
            rests && may_go && is_of_kind(index)
        })
    }
}
