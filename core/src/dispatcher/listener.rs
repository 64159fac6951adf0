//! Listeners: a slot is reserved before anything is accepted, so a completed accept never meets a full table.

use super::Dispatcher;
use crate::config::FullTable;
use crate::event::{Fault, Outcome, Peer};
use crate::output::{Action, Notice, Reason};
use crate::readiness::Directions;
use crate::record::Record;
use crate::slot::{Flags, State};
use crate::source::{Kind, Listener, Source};
use crate::stats::bump;
use crate::time::Instant;
use crate::token::{LISTENER_BIT, Token};
use crate::unavailable::Unavailable;

impl Dispatcher<'_> {
    /// Adds a listener, from each of whose sources at most `per_source` connections are taken (`None`: no limit).
    /// [`Config::sources`](crate::Config::sources) defines a source. Unix peers have none.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Sources`] when all slots for sources are taken.
    pub fn listen(&mut self, per_source: Option<u32>) -> Result<Token, Unavailable> {
        if per_source.is_some() {
            self.count_sources();
        }
        self.add_listener(Listener::new(per_source))
    }

    /// The same without a limit, and without what counts the sources.
    pub(crate) fn listen_to_all(&mut self) -> Result<Token, Unavailable> {
        self.add_listener(Listener::new(None))
    }

    fn add_listener(&mut self, listener: Listener) -> Result<Token, Unavailable> {
        let index = self.take_place(Kind::Listener(listener))?;
        let slot = self.slots.at_mut(index);
        self.m.admission.add_listener();
        // One that comes too late ends as the others did.
        if self.m.stopping.is_requested() {
            slot.readiness.set_ready(Directions::READ);
        }
        if self.m.stopping.is_over() {
            slot.close_source();
        }
        self.touch(index);
        Ok(self.token(index))
    }

    /// The live source of this kind that a token names.
    pub(super) fn find_source(&mut self, token: Token, state: State) -> Option<(u32, &mut Source)> {
        let index = self.find(token)?;
        let source = self.slots.source_mut(index)?;
        (source.slot.state() == state).then_some((index, source))
    }

    /// Takes a free slot of the second table.
    pub(super) fn take_place(&mut self, kind: Kind) -> Result<u32, Unavailable> {
        let used = self.places();
        let free = (used.clone()).find(|index| self.slots.at(*index).state() == State::Free);
        let new = Source::new(kind, self.m.admission.first_pause());
        let index = match free {
            Some(index) => index,
            None => {
                self.slots.others.add(new.clone())?;
                used.end
            }
        };
        if let Some(source) = self.slots.source_mut(index) {
            (source.kind, source.pace) = (kind, new.pace);
            source.slot.take(match kind {
                Kind::Listener(_) => State::Listening,
                Kind::Watch(_) => State::Watching,
                Kind::Datagrams(_) => State::Datagrams,
            });
        }
        Ok(index)
    }

    /// How many listeners are not closed.
    #[must_use]
    pub fn listening(&self) -> u32 {
        self.m.admission.listening()
    }

    /// Whether a listener that is ready may take a connection, or apply the policy when there is no slot.
    pub(super) fn admits(&self, index: u32) -> bool {
        if self.is_paused(index) {
            return false;
        }
        self.has_free(index) || (self.m.policy).is_some_and(|policy| (policy.admits)(self, index))
    }

    /// Whether a slot is free for a connection of this listener, or, if it is none, for one that we make; retired ones are
    /// not.
    pub(super) fn has_free(&self, index: u32) -> bool {
        !self.has_its_most(index)
            && (self.m.admission).has_free(&self.slots, self.withheld_from(index))
    }

    /// What a listener has to do.
    pub(super) fn accept(&mut self, index: u32) -> Option<Action> {
        let admits = self.admits(index);
        let slot = self.slots.at(index);
        // As long as its queue is empty, and it is armed, the kernel reports the next connection.
        let waits = slot.readiness.is_ready(Directions::READ)
            || slot.flags.has(Flags::UNWANTED)
            || !slot.readiness.armed().contains(Directions::READ);
        if !admits && waits && !self.is_paused(index) {
            self.m.admission.starve();
            self.warn_full(index);
        }
        let issue = (self.slots.at(index).readiness).issue(self.wanted_by(index, admits));
        if issue.is_empty() || !self.m.schedule.may_receive() {
            return None;
        }
        let listener = self.token(index);
        if let Some(connection) = self.reserve(index) {
            (self.slots.at_mut(index).readiness).begin(Directions::READ);
            let token = self.token(connection);
            return Some(Action::Accept { listener, token });
        }
        self.warn_full(index);
        (self.m.policy?.make_room)(self, index)
    }

    fn warn_full(&mut self, index: u32) {
        let most = self.has_its_most(index);
        let limited = if most {
            &mut self.m.most_warning
        } else {
            &mut self.m.full_warning
        };
        let Some(more) = limited.due(self.m.now) else {
            return;
        };
        let what = match self.m.admission.full() {
            FullTable::Wait => "newcomers wait",
            FullTable::Refuse => "newcomers are refused",
            FullTable::Evict => "the one half-closed or idle longest goes, if there is one",
            FullTable::EvictHalfClosed => "the one half-closed longest goes, if there is one",
        };
        if most {
            let place = index & !LISTENER_BIT;
            let listener = self.slots.source(index).and_then(Source::listener);
            let n = listener.map_or(0, |listener| listener.at_most);
            warn!(
                "listener {} has its {} connections, {} ({} more times since the last such line)",
                place, n, what, more
            );
        } else {
            let n = self.m.admission.capacity();
            warn!(
                "table full: {} connections, {} ({} more times since the last such line)",
                n, what, more
            );
        }
    }

    /// Takes a free slot for a connection from this listener.
    fn reserve(&mut self, listener: u32) -> Option<u32> {
        if !self.has_free(listener) {
            return None;
        }
        let index = self.take_slot(State::Reserved)?;
        let place = listener & !LISTENER_BIT;
        self.records.at_mut(index).listener = u8::try_from(place).unwrap_or(0);
        if let Some(source) = self.slots.source_mut(listener) {
            source.held = source.held.saturating_add(1);
        }
        Some(index)
    }

    /// Takes a free slot, if there is one.
    pub(super) fn take_slot(&mut self, state: State) -> Option<u32> {
        let (slots, records) = (&mut self.slots, &mut self.records);
        self.m.admission.take(slots, records, state)
    }

    /// The completion of `Accept`, on the slot that was reserved.
    pub(super) fn accepted(&mut self, index: u32, outcome: &Outcome) -> Option<Notice> {
        let place = self.records.at(index).listener;
        let listener = LISTENER_BIT | u32::from(place);
        let address = match *outcome {
            Outcome::Accepted(address) => address,
            Outcome::Complete(_) | Outcome::Datagram { .. } => {
                bump(&mut self.m.stats.unasked);
                self.give_back(index);
                self.tried(listener, &Outcome::Drained(0));
                return None;
            }
            Outcome::Drained(_) | Outcome::Failed(_) => {
                self.give_back(index);
                self.tried(listener, outcome);
                return None;
            }
        };
        self.tried(listener, outcome);
        let peer = match address {
            Some(address) => Peer::Inet(address),
            None => {
                self.m.unix_peers = self.m.unix_peers.wrapping_add(1);
                Peer::Unix(self.m.unix_peers)
            }
        };
        *self.records.at_mut(index) = Record::open(peer, place, self.m.now);
        let accepted_by = self.slots.source(listener).and_then(Source::listener);
        let limit = accepted_by.and_then(|listener| listener.per_source);
        if self.source_is_full(index, limit) {
            bump(&mut self.m.stats.refused_source);
            self.slots.at_mut(index).reject();
            self.touch(index);
            return None;
        }
        self.remember_source(index);
        let slot = self.slots.at_mut(index);
        slot.accept();
        let token = Token::new(index, slot.generation);
        bump(&mut self.m.stats.accepted);
        self.m.stats.open = self.m.stats.open.saturating_add(1);
        self.m.stats.peak = self.m.stats.peak.max(self.m.stats.open);
        debug!("opened: {:?}", token);
        self.touch(index);
        if self.m.stopping.is_over() {
            self.begin_close(index, Reason::Stopping);
        }
        Some(Notice::Opened(token))
    }

    /// What an accept shows about its listener. One accept for each event, as a rule: the next poll reports again if
    /// there is more. While stopping, the queue is emptied in one go.
    pub(super) fn tried(&mut self, index: u32, outcome: &Outcome) {
        let stopping = self.is_stopping();
        let iteration = self.m.schedule.iterations();
        // Also if the table became full in the middle of a burst.
        let has_free = self.has_free(index);
        let most = self.m.admission.burst(has_free);
        let Some(Source { slot, pace, .. }) = self.slots.source_mut(index) else {
            return;
        };
        if !slot.readiness.is_in_flight(Directions::READ) {
            return;
        }
        slot.readiness.end(Directions::READ);
        let mut fault = None;
        match *outcome {
            Outcome::Accepted(_) | Outcome::Complete(_) | Outcome::Datagram { .. } => {
                let mut another = stopping;
                pace.succeed(self.m.admission.first_pause());
                if let Outcome::Accepted(_) = *outcome {
                    another |= pace.another(iteration, most) && has_free;
                }
                slot.readiness.clear_ready(Directions::READ.when(!another));
            }
            Outcome::Drained(_) => {
                slot.readiness.clear_ready(Directions::READ);
                // A speculative one is not a failure.
                pace.try_in_vain(iteration);
            }
            Outcome::Failed(failed) => {
                pace.fail();
                match failed {
                    Fault::Interrupted(_) => {}
                    Fault::Reset(_)
                    | Fault::Refused(_)
                    | Fault::TimedOut(_)
                    | Fault::Unreachable(_) => {
                        slot.readiness.clear_ready(Directions::READ.when(!stopping));
                    }
                    Fault::Exhausted(_) | Fault::Unknown(_) => fault = Some(failed),
                    // It had ended before, and this was in flight.
                    Fault::Invalid(_) if slot.state() != State::Listening => {}
                    Fault::Invalid(_) => {
                        error!(
                            "listener {} failed: errno {}",
                            index & !LISTENER_BIT,
                            failed.code()
                        );
                        bump(&mut self.m.stats.listeners_failed);
                        slot.close_source();
                    }
                }
            }
        }
        if pace.has_failed() {
            bump(&mut self.m.stats.accept_failures);
        }
        self.pause_after(index, self.m.admission.failures(), fault);
        let slot = self.slots.at_mut(index);
        if stopping && !slot.readiness.is_ready(Directions::READ) {
            slot.close_source();
        }
        self.spend(index, Directions::READ, 0);
        self.touch(index);
    }

    /// A pause follows resource exhaustion, and `most` attempts in a row without success, and then each one more, until one
    /// succeeds: the kernel's notifications are spurious.
    pub(super) fn pause_after(&mut self, index: u32, most: u16, fault: Option<Fault>) {
        let source = self.slots.source(index);
        let hopeless = source.is_some_and(|source| {
            source.pace.is_hopeless(most) && !source.slot.state().is_closing()
        });
        if let Some(fault) = fault.or(hopeless.then_some(Fault::Unknown(0))) {
            self.hold_back(index, fault);
        }
        if hopeless && let Some(source) = self.slots.source_mut(index) {
            source.pace.stay_hopeless(most);
        }
    }

    /// Suspends a listener, or a datagram socket, for a while: twice as long each time, or until a slot is freed.
    pub(super) fn hold_back(&mut self, index: u32, fault: Fault) {
        let Some(Source { pace, .. }) = self.slots.source_mut(index) else {
            return;
        };
        let admission = &mut self.m.admission;
        if pace.rest(self.m.now, |pause| admission.next_pause(pause)) {
            admission.pause_one();
        }
        bump(&mut self.m.stats.shortages);
        if let Some(more) = self.m.shortage_warning.due(self.m.now) {
            warn!(
                "a listener pauses: errno {} ({} more times since the last such line)",
                fault.code(),
                more
            );
        }
        self.touch(index);
    }

    /// A slot that was reserved is free again: a listener that found none is scheduled. No descriptor came free with
    /// it, so pauses go on.
    fn give_back(&mut self, index: u32) {
        self.release(index);
        self.wake_starved();
    }

    /// Schedules listeners that found no slot.
    pub(super) fn wake_starved(&mut self) {
        if self.m.admission.feed() {
            self.wake_listeners(Instant::ZERO);
        }
    }

    /// A descriptor and a slot are free again: those that waited for them try at once.
    pub(super) fn slot_freed(&mut self) {
        if self.m.admission.feed() || self.m.admission.has_paused() {
            self.wake_listeners(Instant::NEVER);
        }
    }

    /// Ends the pauses that are due `by` this time, and schedules every listener that is not paused.
    pub(super) fn wake_listeners(&mut self, by: Instant) {
        for index in self.places() {
            let Some(Source { slot, pace, .. }) = self.slots.source_mut(index) else {
                continue;
            };
            // Datagrams need no slot: only a pause keeps them waiting.
            let waits = slot.state() == State::Datagrams && pace.is_paused();
            if slot.state() != State::Listening && !waits {
                continue;
            }
            if pace.resume(by) {
                self.m.admission.resume_one();
            } else if pace.is_paused() {
                continue;
            }
            self.touch(index);
        }
    }

    /// Whether a listener, or a datagram socket, pauses.
    pub(super) fn is_paused(&self, index: u32) -> bool {
        (self.slots.source(index)).is_some_and(|source| source.pace.is_paused())
    }

    /// The end of the pause that ends first.
    pub(super) fn first_pause(&self) -> Option<Instant> {
        (self.slots.others.list.iter())
            .filter(|source| matches!(source.slot.state(), State::Listening | State::Datagrams))
            .filter_map(|source| source.pace.paused_until())
            .min()
    }

    /// The indices of all slots for listeners that were ever used.
    pub(super) fn places(&self) -> core::ops::Range<u32> {
        let used = u32::try_from(self.slots.others.list.len()).unwrap_or(0);
        LISTENER_BIT..LISTENER_BIT | used
    }
}
