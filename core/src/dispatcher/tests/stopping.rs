//! A stop and those who are about to speak: a connection to which nothing was said yet is not idle.

use super::*;
use crate::config::Class;
use alloc::format;

const SECOND: Duration = Duration::from_secs(1);
const BY: Duration = Duration::from_secs(10);

/// A connection that was just accepted when a stop comes, and what the stop leaves of it.
fn stopped(trigger: Trigger, first_byte: Option<Duration>, age: Duration) -> (Bench, Token) {
    let mut bench = Bench::new::<4>(&Config {
        trigger,
        first_byte,
        ..Config::default()
    });
    let token = bench.rest();
    bench.later(age);
    bench.run();
    bench.machine.stop(bench.now.plus(BY));
    bench.run();
    (bench, token)
}

#[test]
fn whoever_has_just_connected_speaks_and_is_answered() {
    for trigger in TRIGGERS {
        for (first_byte, age) in [(Some(60), 0), (Some(60), 59), (None, 0), (None, 9)] {
            let context = format!("{trigger:?}, {first_byte:?}, {age}");
            let first_byte = first_byte.map(Duration::from_secs);
            let (mut bench, token) = stopped(trigger, first_byte, age * SECOND);
            assert_eq!(bench.closed(token), None, "{context}");
            bench.hears(token, 5);
            bench.machine.consume(token, 5);
            bench.machine.commit(token, 7);
            let actions = bench.run();
            let sent = kinds(&actions);
            assert!(
                sent.contains(&"send") && sent.contains(&"shutdown"),
                "{context}: {sent:?}"
            );
            bench.ready(token, READ);
            bench.script(token, &[END], &[]);
            assert_eq!(bench.closed(token), Some(Reason::Stopping), "{context}");
            assert!(bench.machine.is_stopped(), "{context}");
        }
    }
}

#[test]
fn whoever_waits_to_be_accepted_when_the_stop_comes_speaks_and_is_answered() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        bench.machine.stop(bench.now.plus(BY));
        let mut waiting = 2;
        bench.run_with(|action| match action {
            Action::Accept { .. } if waiting > 0 => {
                waiting -= 1;
                Some(Outcome::Accepted(None))
            }
            _ => None,
        });
        assert_eq!((bench.machine.listening(), bench.told.len()), (0, 2));
        for token in bench.told.clone() {
            bench.hears(token, 5);
            bench.machine.consume(token, 5);
            bench.run();
            bench.ready(token, READ);
            bench.script(token, &[END], &[]);
            assert_eq!(bench.closed(token), Some(Reason::Stopping));
        }
        assert!(bench.machine.is_stopped());
    }
}

#[test]
fn whoever_is_in_the_middle_of_a_message_says_the_rest() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let (whole, half) = (bench.spoken(), bench.spoken());
        bench.hears(half, 5);
        bench.machine.stop(bench.now.plus(BY));
        bench.run();
        assert!(
            bench.slot(whole).flags.has(crate::flags::Flags::SHUT),
            "it is idle"
        );
        assert!(
            !bench.slot(half).flags.has(crate::flags::Flags::SHUT),
            "it is not"
        );
        bench.hears(half, 5);
        bench.machine.consume(half, 10);
        bench.run();
        for token in [half, whole] {
            bench.ready(token, READ);
            bench.script(token, &[END], &[]);
            assert_eq!(bench.closed(token), Some(Reason::Stopping));
        }
    }
}

#[test]
fn whoever_says_nothing_has_the_time_of_the_stop_and_that_for_a_first_byte() {
    let (mut bench, token) = stopped(Trigger::Level, Some(60 * SECOND), Duration::ZERO);
    bench.later(BY - Duration::from_nanos(1));
    bench.run();
    assert_eq!(bench.closed(token), None);
    bench.later(Duration::from_nanos(1));
    bench.run();
    assert_eq!(bench.closed(token), Some(Reason::Stopping));
    let (mut bench, token) = stopped(Trigger::Level, Some(5 * SECOND), 3 * SECOND);
    bench.later(2 * SECOND);
    bench.run();
    assert_eq!(
        bench.closed(token),
        Some(Reason::Deadline(Class::FirstByte))
    );
}

/// Where no first byte is expected, peers that only listen are usual: they do not hold a stop up.
#[test]
fn whoever_only_listens_is_finished_at_once() {
    for trigger in TRIGGERS {
        let (bench, token) = stopped(trigger, None, 11 * SECOND);
        assert!(bench.slot(token).flags.has(crate::flags::Flags::SHUT));
    }
    // The peer's end was read: it will say nothing.
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.ready(token, READ);
    bench.script(token, &[END], &[]);
    bench.machine.stop(bench.now.plus(BY));
    bench.run();
    assert_eq!(bench.closed(token), Some(Reason::Stopping));
}
