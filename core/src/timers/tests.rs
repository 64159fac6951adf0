use super::*;
use crate::unavailable::Unavailable;
use alloc::vec::Vec;

/// A timer of the list that is searched: whose, when, how many were set before, its period.
type Set = (bool, u32, Instant, u64, u64);

/// Two of connections and two free ones, against a list that is searched: every short story of setting, cancelling,
/// beginning an iteration, and firing.
#[test]
fn agree_with_a_list_that_is_searched() {
    const OPERATIONS: u32 = 9;
    for story in 0..OPERATIONS.pow(5) {
        let mut owned = Timers::<[Free; 2]>::NONE;
        let timers: &mut Timers<[Free]> = &mut owned;
        let (mut lent, mut list) = ([Timer::NONE; 2], Vec::<Set>::new());
        let (mut rest, mut now) = (story, Instant::ZERO);
        let (mut turn, mut before) = (0, 0);
        for _ in 0..5 {
            let what = rest % OPERATIONS;
            rest /= OPERATIONS;
            let timer = what % 2;
            match what {
                0 | 1 => {
                    let at = now.plus_nanos(3);
                    timers.set(&mut lent, timer, at);
                    turn += 1;
                    list.retain(|set| (set.0, set.1) != (false, timer));
                    list.push((false, timer, at, turn, 0));
                }
                2 | 3 => {
                    // One is periodic.
                    let (at, period) = (now.plus_nanos(2), u64::from(timer) * 2);
                    assert_eq!(timers.set_free(timer, at, period), Ok(()));
                    turn += 1;
                    list.retain(|set| (set.0, set.1) != (true, timer));
                    list.push((true, timer, at, turn, period));
                }
                4 | 5 => {
                    timers.cancel(&mut lent, timer);
                    list.retain(|set| (set.0, set.1) != (false, timer));
                }
                6 => {
                    timers.cancel_free(0);
                    list.retain(|set| (set.0, set.1) != (true, 0));
                }
                7 => now = now.plus_nanos(5),
                _ => {
                    timers.begin_iteration();
                    before = turn;
                }
            }
            assert!(timers.is_sound(&lent));
            let first = list.iter().map(|set| set.2).min();
            assert_eq!(timers.next(&lent), first);
            // All that may fire do, in order: those set since the iteration began wait for the next.
            if what < 7 {
                continue;
            }
            loop {
                let due = list.iter().filter(|set| set.2 <= now && set.3 <= before);
                let next = due.min_by_key(|set| (set.2, set.3)).copied();
                let blocked = list.iter().min_by_key(|set| (set.2, set.3)).copied();
                // One that was set in this iteration and is due first waits, and what is behind it.
                let next = next.filter(|_| next == blocked);
                let fired = timers.poll(&mut lent, now);
                let Some((is_free, timer, at, _, period)) = next else {
                    assert_eq!(fired, None);
                    break;
                };
                list.retain(|set| (set.0, set.1) != (is_free, timer));
                let mut periods = 1;
                if let Some(more) = now.nanos_since(at).checked_div(period) {
                    periods += more;
                    turn += 1;
                    list.push((true, timer, at.plus_nanos(periods * period), turn, period));
                }
                let expected = match is_free {
                    true => Fired::Free { timer, periods },
                    false => Fired::Connection(timer),
                };
                assert_eq!(fired, Some(expected));
            }
        }
    }
}

#[test]
fn at_most_so_many_fire_in_an_iteration() {
    let mut owned = Timers::<[Free; 1]>::NONE;
    let timers: &mut Timers<[Free]> = &mut owned;
    let mut lent = [Timer::NONE; FIRED as usize + 1];
    for index in 0..=FIRED {
        timers.set(&mut lent, index, Instant::ZERO);
    }
    for expected in [FIRED, 1, 0] {
        timers.begin_iteration();
        let mut fired = 0;
        while timers.poll(&mut lent, Instant::ZERO).is_some() {
            fired += 1;
        }
        assert_eq!(fired, expected);
    }
    let timers = timers.set_free(1, Instant::ZERO, 0);
    assert_eq!(
        timers,
        Err(Unavailable::Timer {
            timer: 1,
            capacity: 1
        })
    );
}
