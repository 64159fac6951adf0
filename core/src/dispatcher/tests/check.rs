//! What must hold after every step.

use crate::config::Class;
use crate::dispatcher::Dispatcher;
use crate::queue::{Link, NONE, Queue};
use crate::slot::{Flags, Queued, Slot, State};
use crate::token::LISTENER_BIT;
use alloc::vec::Vec;

/// Asserts that the queues, the counts and the laws hold.
pub(crate) fn laws(machine: &Dispatcher<'_>) {
    run_queues(machine);
    timers(machine);
    counts(machine);
    chains(machine);
    for index in all(machine) {
        let slot = machine.slots.at(index);
        windows(machine, slot);
        if slot.queued == Queued::No && machine.m.visit.index != index {
            can_go_on(machine, index);
            has_its_deadline(machine, slot);
        }
    }
}

fn all(machine: &Dispatcher<'_>) -> impl Iterator<Item = u32> {
    (0..machine.slots.used()).chain(machine.places())
}

fn count(machine: &Dispatcher<'_>, of: impl Fn(&Slot) -> bool) -> usize {
    all(machine)
        .filter(|index| of(machine.slots.at(*index)))
        .count()
}

/// The members of a queue from its head on, whose links agree.
fn members(machine: &Dispatcher<'_>, queue: &Queue, link: impl Fn(&Slot) -> Link) -> Vec<u32> {
    let mut members = Vec::new();
    let (mut before, mut next) = (NONE, queue.head().unwrap_or(NONE));
    while next != NONE {
        let here = link(machine.slots.at(next));
        assert_eq!(here.prev, before, "links do not agree");
        members.push(next);
        assert!(members.len() <= queue.len() as usize, "longer than it says");
        (before, next) = (next, here.next);
    }
    assert_eq!(members.len(), queue.len() as usize, "shorter than it says");
    members
}

/// Each slot stands in at most one run queue, or in the free list, and its flag says in which.
fn run_queues(machine: &Dispatcher<'_>) {
    let m = &*machine.m;
    for (queue, queued) in [
        (&m.fresh, Queued::Fresh),
        (&m.continuing, Queued::Continuing),
    ] {
        let members = members(machine, queue, |slot| slot.run);
        for index in &members {
            assert_eq!(machine.slots.at(*index).queued, queued);
        }
        assert_eq!(members.len(), count(machine, |slot| slot.queued == queued));
    }
    let free = members(machine, &m.free, |slot| slot.run);
    for index in &free {
        assert_eq!(machine.slots.at(*index).state, State::Free);
        assert_eq!(machine.slots.at(*index).queued, Queued::No);
        assert_eq!(index & LISTENER_BIT, 0);
    }
    let used = machine.slots.used();
    let unused = (0..used).filter(|index| machine.slots.at(*index).state == State::Free);
    assert_eq!(free.len(), unused.count(), "free and not in the list");
}

/// Each class holds those whose deadline is of it, in the order in which they pass.
fn timers(machine: &Dispatcher<'_>) {
    for class in Class::ALL {
        let queue = machine.m.timers.queue(class);
        let members = members(machine, queue, |slot| slot.timer);
        let deadlines = members
            .iter()
            .map(|index| machine.slots.at(*index).deadline);
        assert!(deadlines.is_sorted(), "{class:?} is out of order");
        for index in &members {
            assert_eq!(machine.slots.at(*index).class, Some(class));
        }
        let linked = count(machine, |slot| slot.class == Some(class));
        assert_eq!(members.len(), linked, "{class:?} lost somebody");
    }
}

fn counts(machine: &Dispatcher<'_>) {
    let m = &*machine.m;
    let used = || (0..machine.slots.used()).map(|index| machine.slots.at(index));
    let gone = |slot: &&Slot| matches!(slot.state, State::Free | State::Retired);
    let taken = used().filter(|slot| !gone(slot)).count();
    assert_eq!(m.taken as usize, taken, "free and taken are not all");
    assert!(m.taken <= m.connections);
    let open = used().filter(|slot| slot.is_live() && slot.flags.has(Flags::TOLD));
    assert_eq!(m.stats.open as usize, open.count());
    let places = || machine.slots.others.places.iter();
    let listening = places().filter(|slot| !gone(slot)).count();
    assert_eq!(m.listening as usize, listening);
    let paused = places().filter(|slot| slot.flags.has(Flags::PAUSED));
    assert_eq!(m.paused as usize, paused.count());
    let evicted = |slot: &Slot| slot.reason == Some(crate::Reason::Evicted);
    assert_eq!(m.evicting, used().any(evicted));
}

/// Every connection that has a source address stands in one chain, once.
fn chains(machine: &Dispatcher<'_>) {
    let mut chained = 0;
    for head in machine.chains.iter() {
        let (mut before, mut next) = (NONE, head.wrapping_sub(1));
        while next != NONE {
            let record = machine.records.at(next);
            assert!(machine.slots.at(next).flags.has(Flags::TOLD));
            assert_eq!(record.chain.prev, before);
            chained += 1;
            assert!(chained <= machine.m.connections, "a chain without end");
            (before, next) = (next, record.chain.next);
        }
    }
    let known = (0..machine.slots.used()).filter(|index| {
        machine.slots.at(*index).flags.has(Flags::TOLD)
            && machine.records.at(*index).source().is_some()
    });
    assert_eq!(chained as usize, known.count());
}

fn windows(machine: &Dispatcher<'_>, slot: &Slot) {
    let windows = machine.m.windows;
    assert!(slot.rx.at <= slot.rx.end && slot.rx.end <= windows.receive);
    assert!(slot.tx.at <= slot.tx.end && slot.tx.end <= windows.send);
}

/// Law 8: what is wanted is queued, armed, or in flight, or waits for a deadline.
fn can_go_on(machine: &Dispatcher<'_>, index: u32) {
    let (slot, m) = (machine.slots.at(index), &*machine.m);
    let admits = slot.state == State::Listening && machine.admits(index);
    let wanted = slot.wanted(m.windows, admits);
    assert!(
        slot.issue(wanted).is_empty(),
        "possible and forgotten: {slot:?}"
    );
    let awaited = slot.awaited(wanted);
    assert!(
        slot.armed.contains(awaited),
        "awaited and not armed: {slot:?}"
    );
    let joins = !slot.in_flight.is_empty() || slot.flags.has(Flags::CALLED);
    let goes_on = match slot.state {
        State::Listening if admits => true,
        State::Listening => {
            slot.flags.has(Flags::PAUSED) || m.starved || joins || !slot.armed.is_empty()
        }
        State::Finishing => !slot.tx.is_empty() || joins,
        State::Closing => joins || slot.flags.has(Flags::CLOSED),
        State::Lingering => !slot.flags.has(Flags::ENDED),
        State::Open | State::Free | State::Reserved | State::Retired => true,
    };
    assert!(goes_on, "nothing would ever happen to {slot:?}");
}

/// Law 11: a connection has exactly one deadline, of the class that its state decides. (A class that is switched off
/// keeps its order, too.)
fn has_its_deadline(machine: &Dispatcher<'_>, slot: &Slot) {
    let class = slot.deadline_class(machine.m.timers.expects_first_byte());
    assert_eq!(slot.class, class, "{slot:?}");
}
