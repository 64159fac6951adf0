//! What must hold between two calls, seen from inside: for the tests of this crate and for the explorer (feature
//! `inspect`). Bounded work, no allocation.

use super::Dispatcher;
use super::counts::Counts;
use crate::output::Reason;
use crate::queue::NONE;
use crate::readiness::Directions;
use crate::schedule::walk;
use crate::slot::{Flags, Queued, Slot, State};
use crate::source::Source;
use crate::token::LISTENER_BIT;
use core::fmt;

/// What does not hold, and of which source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken {
    /// The sentence that is not true.
    pub law: &'static str,
    /// The index of the source with the bit of the listeners; `u32::MAX`: of none in particular.
    pub source: u32,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source == NONE {
            write!(f, "not true: {}", self.law)
        } else {
            write!(f, "not true of source {:#x}: {}", self.source, self.law)
        }
    }
}

type Held = Result<(), Broken>;

fn hold(condition: bool, law: &'static str, source: u32) -> Held {
    if condition {
        Ok(())
    } else {
        Err(Broken { law, source })
    }
}

impl Dispatcher<'_> {
    /// Whether the queues, the counts and the laws hold.
    ///
    /// # Errors
    ///
    /// The first that does not.
    pub fn check_laws(&self) -> Held {
        run_queues(self)?;
        deadlines(self)?;
        counts(self)?;
        sources(self)?;
        hold(
            self.timers_are_sound(),
            "timers are those of live connections, in order",
            NONE,
        )?;
        for index in all(self) {
            let slot = self.slots.at(index);
            windows(self, slot, index)?;
            if slot.queued == Queued::No && !self.m.schedule.is_serving(index) {
                can_go_on(self, index)?;
                has_its_deadline(self, slot, index)?;
            }
        }
        Ok(())
    }
}

/// The same, for tests.
#[cfg(test)]
pub(crate) fn assert_laws(machine: &Dispatcher<'_>) {
    if let Err(broken) = machine.check_laws() {
        panic!("{broken:?}: {:?}", machine.slots.at(broken.source));
    }
}

fn all(machine: &Dispatcher<'_>) -> impl Iterator<Item = u32> + Clone {
    (0..machine.slots.used()).chain(machine.places())
}

/// Each slot is in at most one run queue, or in the free list, and its flag names it.
fn run_queues(machine: &Dispatcher<'_>) -> Held {
    let (slots, m) = (&machine.slots, &*machine.m);
    let broken = |(law, source)| Broken { law, source };
    (m.schedule.check(slots, all(machine))).map_err(broken)?;
    let free = walk(slots, m.admission.free(), |index, slot| {
        let free = slot.state() == State::Free && slot.queued == Queued::No;
        match free && index & LISTENER_BIT == 0 {
            true => Ok(()),
            false => Err(("the free list holds free slots", index)),
        }
    });
    free.map_err(broken)?;
    let used = (0..slots.used()).map(|index| slots.at(index));
    let unused = used.filter(|slot| slot.state() == State::Free).count();
    hold(
        m.admission.free().len() as usize == unused,
        "every free slot is in the list",
        NONE,
    )
}

/// Each class holds those whose deadline is of it, in the order in which they pass.
fn deadlines(machine: &Dispatcher<'_>) -> Held {
    let sound = machine.m.deadlines.check(&machine.slots, all(machine));
    sound.map_err(|(law, source)| Broken { law, source })
}

fn counts(machine: &Dispatcher<'_>) -> Held {
    let m = &*machine.m;
    let [counted, listeners_counted, pausing, with_priority] = m.admission.counts();
    let used = || (0..machine.slots.used()).map(|index| machine.slots.at(index));
    let gone = |slot: &&Slot| slot.state().is_gone();
    let taken = used().filter(|slot| !gone(slot)).count();
    hold(
        counted as usize == taken && counted <= m.admission.capacity(),
        "free and taken are all",
        NONE,
    )?;
    let open = used().filter(|slot| slot.is_live() && slot.flags.has(Flags::OPENED));
    hold(
        m.stats.open as usize == open.count(),
        "open is counted",
        NONE,
    )?;
    let sources = || machine.slots.others.list.iter();
    let listens = |source: &&Source| source.listener().is_some() && !gone(&&source.slot);
    let listening = sources().filter(listens).count();
    hold(
        listeners_counted as usize == listening,
        "listeners are counted",
        NONE,
    )?;
    let preferred = sources().filter_map(Source::listener);
    let preferred = preferred.filter(|listener| listener.priority);
    hold(
        with_priority as usize == preferred.count(),
        "listeners with priority are counted",
        NONE,
    )?;
    let paused = sources().filter(|source| source.pace.is_paused());
    hold(
        pausing as usize == paused.count(),
        "paused listeners are counted",
        NONE,
    )?;
    for (place, source) in sources().enumerate() {
        let of = |index: &u32| {
            let taken = !gone(&machine.slots.at(*index));
            taken && usize::from(machine.records.at(*index).listener) == place
        };
        let held = (0..machine.slots.used()).filter(of).count();
        hold(
            source.held as usize == held,
            "the slots of each listener are counted",
            NONE,
        )?;
    }
    let evicted = |slot: &Slot| slot.reason == Some(Reason::Evicted);
    hold(
        m.admission.is_evicting() == used().any(evicted),
        "somebody is evicted while the machine says so",
        NONE,
    )
}

/// Where some listener limits them, every connection that has a source is counted for it and for its block, and nothing else
/// is.
fn sources(machine: &Dispatcher<'_>) -> Held {
    let told = |index: &u32| machine.slots.at(*index).flags.has(Flags::OPENED);
    let known = || (0..machine.slots.used()).filter(told);
    for (kind, words) in [&*machine.sources, &*machine.blocks]
        .into_iter()
        .enumerate()
    {
        let key_of = |index: u32| {
            let key = machine.keys(index).get(kind).copied().flatten();
            key.filter(|_| machine.counts_sources())
        };
        let mut keys = 0usize;
        for index in known() {
            let Some(key) = key_of(index) else { continue };
            let of = || known().filter(|other| key_of(*other) == Some(key));
            hold(
                Counts(words).get(key) as usize == of().count(),
                "the connections of a source are counted",
                index,
            )?;
            keys = keys.saturating_add((of().next() == Some(index)).into());
        }
        hold(
            words.iter().filter(|word| **word != 0).count() == keys,
            "nothing but the sources of live connections is counted",
            NONE,
        )?;
    }
    Ok(())
}

fn windows(machine: &Dispatcher<'_>, slot: &Slot, index: u32) -> Held {
    let windows = machine.m.windows;
    let rx = slot.rx.at <= slot.rx.end && slot.rx.end <= windows.receive;
    let tx = slot.tx.at <= slot.tx.end && slot.tx.end <= windows.send;
    hold(rx && tx, "bytes lie inside their window", index)?;
    hold(
        slot.send_wanted > 0 || !slot.flags.has(Flags::KEEP_READING),
        "how reading goes on during a wait is known while there is one",
        index,
    )
}

/// Law 8: what is wanted is queued, armed, or in flight, or waits for a deadline.
fn can_go_on(machine: &Dispatcher<'_>, index: u32) -> Held {
    let (slot, m) = (machine.slots.at(index), &*machine.m);
    let admits = slot.state() == State::Listening && machine.admits(index);
    let wanted = machine.wanted_by(index, admits);
    hold(
        slot.readiness.issue(wanted).is_empty(),
        "what is possible and wanted is queued",
        index,
    )?;
    hold(
        (slot.readiness).covers(slot.readiness.awaited(slot.interest(wanted))),
        "what is awaited is armed",
        index,
    )?;
    let joins = !slot.readiness.in_flight().is_empty() || slot.call.is_some();
    let goes_on = match slot.state() {
        State::Listening if admits => true,
        State::Listening => {
            machine.is_paused(index)
                || m.admission.is_starved()
                || joins
                || !slot.readiness.armed().is_empty()
        }
        State::Finishing => !slot.tx.is_empty() || joins,
        State::HalfClosing => !slot.tx.is_empty() || joins,
        State::HalfClosed => !slot.is_complete(),
        State::Connecting => {
            joins
                || slot.flags.has(Flags::CONGESTED)
                || slot.readiness.armed().contains(Directions::WRITE)
        }
        State::Closing | State::Cancelling => joins,
        State::Lingering => !slot.flags.has(Flags::ENDED),
        State::Datagrams => machine.is_paused(index) || joins || !slot.readiness.armed().is_empty(),
        State::Open | State::Free | State::Reserved | State::Watching | State::Retired => true,
    };
    hold(goes_on, "something will happen to every source", index)
}

/// Law 11: a connection has exactly one deadline, of the class that its state decides. (A class that is switched off
/// keeps its order, too.)
fn has_its_deadline(machine: &Dispatcher<'_>, slot: &Slot, index: u32) -> Held {
    let class = machine.class_of(index);
    hold(
        slot.class == class,
        "the deadline is of the class that the state decides",
        index,
    )
}
