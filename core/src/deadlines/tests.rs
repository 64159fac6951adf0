use super::*;
use crate::config::FullTable;
use crate::source::Source;
use crate::table::Others;
use alloc::vec::Vec;
use core::time::Duration;

const SLOTS: u32 = 4;

fn config() -> Config {
    Config {
        first_byte: Some(Duration::from_nanos(200)),
        idle: Some(Duration::from_nanos(640)),
        linger: None,
        congestion: Duration::from_nanos(50),
        ..Config::default()
    }
}

/// The deadlines as a list in the order in which they were set, searched.
#[derive(Default)]
struct Model(Vec<(u32, Class, u8, Instant)>);

impl Model {
    fn has(&self, index: u32) -> bool {
        self.0.iter().any(|one| one.0 == index)
    }

    fn remove(&mut self, index: u32) {
        self.0.retain(|one| one.0 != index);
    }

    /// The members of a queue, by when they pass, those that pass together in the order in which they were set.
    fn queue(&self, class: Class, step: u8) -> Vec<(Instant, u32)> {
        let of = |one: &&(u32, Class, u8, Instant)| one.1 == class && one.2 == step;
        let mut members: Vec<_> = (self.0.iter().filter(of))
            .map(|&(index, _, _, due)| (due, index))
            .collect();
        members.sort_by_key(|(due, _)| *due);
        members
    }

    fn passed(&self, now: Instant) -> Vec<(u32, Class)> {
        let mut passed = Vec::new();
        for (class, step) in QUEUES {
            let members = self.queue(class, step).into_iter();
            let due = members.filter(|(due, _)| class != Class::Linger && *due <= now);
            passed.extend(due.map(|(_, index)| (index, class)));
        }
        passed
    }

    fn first(&self) -> Instant {
        let on = self.0.iter().filter(|one| one.1 != Class::Linger);
        on.map(|one| one.3).min().unwrap_or(Instant::NEVER)
    }
}

/// Runs `test` over a table of [`SLOTS`] slots, all used.
fn with_slots(test: impl FnOnce(&mut Slots<'_>, &mut Deadlines, &mut Model)) {
    let mut connections = [const { Slot::UNUSED }; SLOTS as usize];
    let mut others = Others::<heapless::Vec<Source, 1>>::UNUSED;
    let mut slots = Slots {
        connections: &mut connections,
        others: others.begin(),
    };
    while slots.use_another().is_some() {}
    let mut deadlines = Deadlines::new(&config());
    test(&mut slots, &mut deadlines, &mut Model::default());
}

fn compare(slots: &Slots<'_>, deadlines: &Deadlines, model: &Model, now: Instant) {
    deadlines.check(slots, 0..SLOTS).expect("sound");
    assert_eq!(deadlines.first(slots), model.first());
    assert!(deadlines.may_have_passed(now) || model.first() > now);
    let mut search = Passed {
        queue: 0,
        next: None,
    };
    let mut passed = Vec::new();
    while let Some(one) = deadlines.next_passed(slots, &mut search, now) {
        passed.push(one);
    }
    assert_eq!(passed, model.passed(now));
    let late = model.0.iter().any(|one| one.3 == LATE);
    assert_eq!(deadlines.has_late(), late);
    for class in Class::ALL {
        let longest: Vec<u32> = (deadlines.longest(slots, class).map(|one| one.1)).collect();
        let expected: Vec<u32> = (model.queue(class, 0).into_iter().map(|one| one.1)).collect();
        assert_eq!(longest, expected, "{class:?}");
    }
}

/// Every class that differs from the others: one that restarts, one that does not, one that is off, and one with steps.
const CLASSES: [Class; 4] = [
    Class::Idle,
    Class::FirstByte,
    Class::Linger,
    Class::Congestion,
];

#[test]
fn agrees_with_a_list_that_is_searched() {
    let mut random = 11u64;
    let mut next = |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u32::try_from((random >> 33) % below).expect("small")
    };
    for _ in 0..300 {
        with_slots(|slots, deadlines, model| {
            let mut now = Instant::from_nanos(1);
            for _ in 0..60 {
                let index = next(SLOTS.into());
                let class = CLASSES[next(4) as usize];
                match next(8) {
                    0..=2 if !model.has(index) => {
                        if class == Class::Congestion && next(2) == 0 {
                            slots.at_mut(index).attempts.lengthen();
                        }
                        let attempts = slots.at(index).attempts;
                        let step = if class == Class::Congestion {
                            attempts.step()
                        } else {
                            0
                        };
                        let mut due = deadlines.due(class, attempts, now);
                        if next(3) == 0 {
                            due = Instant::from_nanos(due.nanos_since(Instant::from_nanos(30)));
                            due = due.max(now);
                            deadlines.add_until(slots, index, class, due);
                        } else {
                            deadlines.add(slots, index, class, now);
                        }
                        model.0.push((index, class, step, due));
                    }
                    0..=3 => {
                        deadlines.remove(slots, index);
                        model.remove(index);
                    }
                    4 => deadlines.find_first(slots),
                    5 => {
                        // Those that have passed are late, some of them removed instead.
                        let mut search = deadlines.search();
                        let removed = next(SLOTS.into());
                        while let Some((index, _)) = deadlines.next_passed(slots, &mut search, now)
                        {
                            if index == removed || slots.at(index).is_late() {
                                deadlines.remove(slots, index);
                                model.remove(index);
                            } else {
                                deadlines.make_late(slots, index);
                                let mut members = model.0.iter();
                                let at = members.position(|one| one.0 == index);
                                // Late ones stay in the order in which they passed.
                                let one = model.0.remove(at.expect("it is there"));
                                model.0.push((one.0, one.1, one.2, LATE));
                            }
                        }
                    }
                    _ => now = now.plus_nanos(next(150).into()),
                }
                compare(slots, deadlines, model, now);
            }
        });
    }
}

/// Three operations on three slots at each of two times, all of them.
#[test]
fn short_stories_whole() {
    const OPERATIONS: u32 = 3 * 4;
    for story in 0..OPERATIONS.pow(5) {
        with_slots(|slots, deadlines, model| {
            let (mut rest, mut now) = (story, Instant::from_nanos(1));
            for _ in 0..5 {
                let (index, what) = (rest % 3, rest / 3 % 4);
                rest /= OPERATIONS;
                match what {
                    0 if !model.has(index) => {
                        let due = deadlines.due(Class::Idle, Attempts::NONE, now);
                        deadlines.add(slots, index, Class::Idle, now);
                        model.0.push((index, Class::Idle, 0, due));
                    }
                    1 if !model.has(index) => {
                        let due = now.plus_nanos(5);
                        deadlines.add_until(slots, index, Class::Idle, due);
                        model.0.push((index, Class::Idle, 0, due));
                    }
                    0..=2 => {
                        deadlines.remove(slots, index);
                        model.remove(index);
                    }
                    _ => {
                        deadlines.find_first(slots);
                        now = now.plus_nanos(7);
                    }
                }
            }
            compare(slots, deadlines, model, now);
        });
    }
}

#[test]
fn a_deadline_is_moved_once_in_a_granule_and_is_never_early() {
    let deadlines = Deadlines::new(&config());
    let (granule, set) = (10, Instant::from_nanos(1_000));
    let due = deadlines.due(Class::Idle, Attempts::NONE, set);
    assert_eq!(due, set.plus_nanos(640 + granule));
    assert_eq!(deadlines.set_at(Class::Idle, due), set.as_nanos());
    for later in 0..20 {
        let recent = deadlines.is_recent(Class::Idle, due, set.plus_nanos(later));
        assert_eq!(recent, later < granule, "{later}");
        // If it is not moved, it passes no earlier than the length after the activity.
        assert!(!recent || due >= set.plus_nanos(later + 640));
    }
}

#[test]
fn classes_that_evict_are_exact_and_those_that_nothing_restarts_too() {
    let evicting = Config {
        full: FullTable::Evict,
        ..config()
    };
    let deadlines = Deadlines::new(&evicting);
    for class in [Class::Idle, Class::FirstByte] {
        let due = deadlines.due(class, Attempts::NONE, Instant::ZERO);
        assert_eq!(due.as_nanos(), deadlines.length(class));
    }
}

#[test]
fn waits_for_memory_grow_to_a_bound() {
    let deadlines = Deadlines::new(&config());
    let mut attempts = Attempts::NONE;
    let waits = [(); 5].map(|()| {
        let wait = deadlines.due(Class::Congestion, attempts, Instant::ZERO);
        let grows = deadlines.grows(attempts);
        attempts.lengthen();
        (wait.as_nanos(), grows)
    });
    let expected = [
        (50, true),
        (200, true),
        (800, true),
        (1_600, false),
        (1_600, false),
    ];
    assert_eq!(waits, expected);
}

#[test]
fn a_class_that_is_off_is_never_over() {
    let deadlines = Deadlines::new(&config());
    assert!(!deadlines.is_on(Class::Linger));
    assert!(!deadlines.is_longer(u64::MAX, Class::Linger));
    assert!(
        !deadlines.is_longer(1, Class::Idle),
        "known to a millisecond"
    );
    assert!(deadlines.is_longer(2, Class::Idle));
}
