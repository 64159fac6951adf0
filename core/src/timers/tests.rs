use super::*;
use alloc::vec::Vec;

/// A timer that is set: when it is due, how many were set before, which, its period.
type Set = (Instant, u64, Whose, u64);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Whose {
    Connection(u32),
    Free(u32),
}

use Whose::{Connection, Free as Alone};

/// The timers, and as they should be: a sorted list.
struct Both<'t> {
    timers: Timers<'t>,
    list: Vec<Set>,
    now: Instant,
    order: u64,
    before: u64,
    left: u32,
}

#[derive(Clone, Copy)]
enum What {
    Set(Whose, u64),
    Interval(u32, u64),
    Cancel(Whose),
    Pass(u64),
    Begin,
    Fire,
}

impl<'t> Both<'t> {
    fn new<const TIMERS: usize>(
        free: &'t mut FreeTimers<TIMERS>,
        connections: &'t mut [Timer],
    ) -> Self {
        Self {
            timers: Timers::new(free, connections),
            list: Vec::new(),
            now: Instant::ZERO,
            order: 0,
            before: 0,
            left: FIRED,
        }
    }

    fn listed(&mut self, whose: Whose, at: Instant, period: u64) {
        self.list.retain(|set| set.2 != whose);
        self.order += 1;
        self.list.push((at, self.order, whose, period));
        self.list.sort_unstable();
    }

    fn act(&mut self, what: What) {
        match what {
            What::Set(Connection(index), after) => {
                let at = self.now.plus_nanos(after);
                self.timers.set(index, at);
                self.listed(Connection(index), at, 0);
            }
            What::Set(Alone(timer), after) => self.set_free(timer, after, 0),
            What::Interval(timer, period) => self.set_free(timer, period, period),
            What::Cancel(whose) => {
                match whose {
                    Connection(index) => self.timers.cancel(index),
                    Alone(timer) => self.timers.cancel_free(timer),
                }
                self.list.retain(|set| set.2 != whose);
            }
            What::Pass(nanos) => self.now = self.now.plus_nanos(nanos),
            What::Begin => {
                self.timers.begin_iteration();
                (self.before, self.left) = (self.order, FIRED);
            }
            What::Fire => while self.fire() {},
        }
        self.check();
    }

    fn set_free(&mut self, timer: u32, after: u64, period: u64) {
        let at = self.now.plus_nanos(after);
        let capacity = count(self.timers.known.free.len());
        let set = self.timers.set_free(timer, at, period);
        if timer < capacity {
            assert_eq!(set, Ok(()));
            self.listed(Alone(timer), at, period);
        } else {
            assert_eq!(set, Err(Unavailable::Timer { timer, capacity }));
        }
    }

    /// Whether one fired: the first of the list, if it is due, unless it was set in this iteration.
    fn fire(&mut self) -> bool {
        let fired = self.timers.poll(self.now);
        let first = self.list.first().copied();
        let first = first.filter(|set| set.0 <= self.now && set.1 <= self.before && self.left > 0);
        let expected = first.map(|(at, _, whose, period)| {
            self.list.remove(0);
            self.left -= 1;
            match whose {
                Connection(index) => Fired::Connection(index),
                Alone(timer) => {
                    let more = self.now.nanos_since(at).checked_div(period);
                    let periods = more.map_or(1, |more| more + 1);
                    if period > 0 {
                        self.listed(whose, at.plus_nanos(periods * period), period);
                    }
                    Fired::Free { timer, periods }
                }
            }
        });
        assert_eq!(fired, expected);
        fired.is_some()
    }

    fn check(&self) {
        assert!(self.timers.is_sound(), "{:?}", self.timers);
        assert_eq!(self.timers.next(), self.list.first().map(|set| set.0));
        let due = |whose| self.list.iter().find(|set| set.2 == whose).map(|set| set.0);
        for index in 0..count(self.timers.connections.len()) {
            assert_eq!(self.timers.due(index), due(Connection(index)));
        }
        for timer in 0..count(self.timers.known.free.len() + 2) {
            assert_eq!(self.timers.free_due(timer), due(Alone(timer)));
        }
    }
}

/// Two of connections and two free ones: every short story of setting, cancelling, and passing time.
#[test]
fn agree_with_a_sorted_list_in_every_short_story() {
    const WHAT: [What; 10] = [
        What::Set(Connection(0), 3),
        What::Set(Connection(1), 3),
        What::Set(Alone(0), 2),
        What::Interval(1, 2),
        What::Cancel(Connection(0)),
        What::Cancel(Connection(1)),
        What::Cancel(Alone(0)),
        What::Pass(5),
        What::Begin,
        What::Fire,
    ];
    for story in 0..WHAT.len().pow(5) {
        let (mut free, mut connections) = (FreeTimers::<2>::NONE, [Timer::NONE; 2]);
        let mut both = Both::new(&mut free, &mut connections);
        for step in 0..5 {
            both.act(WHAT[story / WHAT.len().pow(step) % WHAT.len()]);
        }
    }
}

fn agree_in_long_stories<const TIMERS: usize>() {
    let mut random = 7u64;
    let mut next = |below: usize| {
        random = (random.wrapping_mul(6_364_136_223_846_793_005)).wrapping_add(1);
        u32::try_from((random >> 33) % below as u64).expect("small")
    };
    for entries in TIMERS.max(1)..=40 {
        let count = entries - TIMERS;
        let (mut free, mut connections) = (FreeTimers::<TIMERS>::NONE, [Timer::NONE; 40]);
        // The second time in used memory.
        for _ in 0..2 {
            let mut both = Both::new(&mut free, &mut connections[..count]);
            both.check();
            for _ in 0..400 {
                let whose = match next(entries + 1) {
                    index if (index as usize) < count => Connection(index),
                    _ => Alone(next(TIMERS + 1)),
                };
                let length = next(20).into();
                both.act(match (next(10), whose) {
                    (0..4, _) => What::Set(whose, length),
                    (4, Alone(timer)) => What::Interval(timer, length.max(1)),
                    (4 | 5, _) => What::Cancel(whose),
                    (6, _) => What::Pass(length),
                    (7, _) => What::Begin,
                    _ => What::Fire,
                });
            }
        }
    }
}

#[test]
fn agree_with_a_sorted_list_in_tables_of_every_size() {
    agree_in_long_stories::<0>();
    agree_in_long_stories::<1>();
    agree_in_long_stories::<2>();
    agree_in_long_stories::<7>();
    agree_in_long_stories::<40>();
}

#[test]
fn those_due_together_fire_in_the_order_in_which_they_were_set() {
    let (mut free, mut connections) = (FreeTimers::<4>::NONE, [Timer::NONE; 4]);
    let mut timers = Timers::new(&mut free, &mut connections);
    let now = Instant::from_nanos(5);
    let order = [3, 0, 7, 1, 6, 2, 5, 4];
    for number in order {
        match number {
            4.. => timers.set(number - 4, now),
            _ => timers.set_free(number, now, 0).expect("a timer"),
        }
    }
    timers.begin_iteration();
    let fired = core::iter::from_fn(|| timers.poll(now));
    let fired = fired.map(|fired| match fired {
        Fired::Connection(index) => index + 4,
        Fired::Free { timer, .. } => timer,
    });
    assert_eq!(fired.collect::<Vec<_>>(), order);
}

#[test]
fn at_most_so_many_fire_in_an_iteration() {
    let (mut free, mut connections) = (FreeTimers::<0>::NONE, [Timer::NONE; FIRED as usize + 1]);
    let mut both = Both::new(&mut free, &mut connections);
    for index in 0..=FIRED {
        both.act(What::Set(Connection(index), 0));
    }
    for expected in [1, 0, 0] {
        both.act(What::Begin);
        both.act(What::Fire);
        assert_eq!(both.list.len(), expected);
    }
}

/// All zeros is what a page is that was never touched.
#[test]
fn free_ones_touch_no_entry_of_a_connection() {
    let (mut free, mut connections) = (FreeTimers::<16>::NONE, [Timer::NONE; 40]);
    for _ in 0..2 {
        let mut both = Both::new(&mut free, &mut connections);
        for timer in 0..16 {
            both.act(What::Set(Alone(timer), 3));
            both.act(What::Cancel(Connection(timer)));
            both.act(What::Interval(15 - timer, 2));
        }
        for what in [What::Pass(10), What::Begin, What::Fire] {
            both.act(what);
        }
        assert!(both.timers.connections.iter().all(Timer::is_untouched));
    }
}
