//! A stop and connections that are about to send: one without any exchange yet is not idle.

use super::*;
use crate::config::Class;
use crate::destination::Destination;
use crate::unavailable::Unavailable;
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
fn a_new_connection_sends_and_gets_its_reply() {
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
fn one_in_the_queue_when_the_stop_comes_sends_and_gets_its_reply() {
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
fn one_in_the_middle_of_a_message_sends_the_rest() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let (whole, half) = (bench.spoken(), bench.spoken());
        bench.hears(half, 5);
        bench.machine.stop(bench.now.plus(BY));
        bench.run();
        assert!(bench.slot(whole).has_shut(), "it is idle");
        assert!(!bench.slot(half).has_shut(), "it is not");
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
fn one_that_sends_nothing_has_the_time_of_the_stop_and_that_for_a_first_byte() {
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
fn one_that_only_reads_is_finished_at_once() {
    for trigger in TRIGGERS {
        let (bench, token) = stopped(trigger, None, 11 * SECOND);
        assert!(bench.slot(token).has_shut());
    }
    // EOF was received: it will send nothing.
    let mut bench = Bench::level();
    let token = bench.rest();
    bench.ready(token, READ);
    bench.script(token, &[END], &[]);
    bench.machine.stop(bench.now.plus(BY));
    bench.run();
    assert_eq!(bench.closed(token), Some(Reason::Stopping));
}

const TO: Destination = Destination::Registered(3);

/// An accepted connection and one that was made for it, opened or not.
fn pair(bench: &mut Bench, opened: bool) -> (Token, Token) {
    let client = bench.rest();
    let made = bench.machine.connect(TO, Some(client)).expect("a slot");
    bench.run_with(|action| match action {
        Action::Connect { .. } if opened => Some(Outcome::Complete(0)),
        _ => None,
    });
    (client, made)
}

impl Bench {
    /// What one has sent is forwarded to the other.
    fn passes(&mut self, from: Token, to: Token) {
        self.hears(from, 5);
        self.machine.consume(from, 5);
        self.machine.commit(to, 5);
        let sent = self.run();
        assert!(kinds(&sent).contains(&"send"));
    }

    fn ends(&mut self, token: Token) {
        self.ready(token, READ);
        self.script(token, &[END], &[]);
    }
}

/// A request through a relay gets its reply through it, whenever the stop comes and in however many pieces.
#[test]
fn the_first_exchange_through_a_connection_that_was_made_for_another_goes_on() {
    for trigger in TRIGGERS {
        for first_byte in [None, Some(60 * SECOND)] {
            for (asked_before, aborts) in [(false, false), (false, true), (true, false)] {
                let mut bench = Bench::new::<4>(&Config {
                    trigger,
                    first_byte,
                    ..Config::default()
                });
                let (client, made) = pair(&mut bench, true);
                if asked_before {
                    bench.passes(client, made);
                }
                bench.machine.stop(bench.now.plus(BY));
                bench.run();
                if !asked_before {
                    bench.passes(client, made);
                }
                for _ in 0..3 {
                    bench.passes(made, client);
                }
                for token in [client, made] {
                    assert!(!bench.slot(token).has_shut());
                    assert_eq!(bench.closed(token), None);
                }
                // With the end of one the other is as it would be without.
                if aborts {
                    bench.machine.abort(made);
                } else {
                    bench.machine.finish(made);
                }
                bench.run();
                assert!(bench.slot(client).has_shut());
                if !aborts {
                    bench.ends(made);
                }
                bench.ends(client);
                assert_eq!(bench.closed(client), Some(Reason::Stopping));
                assert!(bench.machine.is_stopped());
            }
        }
    }
}

/// One that is still being connected is waited for, and one is made for a client that waited to be accepted.
#[test]
fn what_is_being_connected_for_a_fresh_connection_is_not_given_up() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let (client, made) = pair(&mut bench, false);
        bench.machine.stop(bench.now.plus(BY));
        let mut waiting = 1;
        bench.run_with(|action| match action {
            Action::Accept { .. } if waiting > 0 => {
                waiting -= 1;
                Some(Outcome::Accepted(None))
            }
            _ => None,
        });
        assert_eq!(bench.closed(made), None);
        let late = *bench.told.last().expect("it was accepted");
        assert_ne!(late, client);
        let for_late = bench.machine.connect(TO, Some(late)).expect("a slot");
        for made in [made, for_late] {
            bench.ready(made, WRITE);
        }
        bench.run_with(|action| match action {
            Action::Connect { .. } => Some(Outcome::Complete(0)),
            _ => None,
        });
        for (client, made) in [(client, made), (late, for_late)] {
            bench.passes(client, made);
            bench.passes(made, client);
            let again = bench.machine.connect(TO, Some(client));
            assert_eq!(again, Err(Unavailable::Stopping), "it was answered");
            bench.ends(client);
            bench.machine.finish(client);
            bench.run();
            assert!(bench.slot(made).has_shut());
            bench.ends(made);
        }
        assert!(bench.machine.is_stopped());
    }
}

/// All others end as if they were none: those with their reply, the old, what was made for none, and what is left at
/// the end.
#[test]
fn a_pair_that_had_its_reply_or_is_old_does_not_delay_a_stop() {
    for trigger in TRIGGERS {
        let mut bench = Bench::new::<8>(&Config {
            trigger,
            first_byte: None,
            ..Config::default()
        });
        let (old, for_old) = pair(&mut bench, true);
        bench.passes(old, for_old);
        bench.later(11 * SECOND);
        bench.run();
        let (answered, for_answered) = pair(&mut bench, true);
        bench.passes(answered, for_answered);
        bench.passes(for_answered, answered);
        let (silent, for_silent) = pair(&mut bench, true);
        bench.machine.stop(bench.now.plus(BY));
        bench.run();
        for token in [old, for_old, answered, for_answered] {
            assert!(bench.slot(token).has_shut());
            bench.ends(token);
            assert_eq!(bench.closed(token), Some(Reason::Stopping));
        }
        bench.later(BY);
        bench.run();
        for token in [silent, for_silent] {
            assert_eq!(bench.closed(token), Some(Reason::Stopping));
        }
        assert!(bench.machine.is_stopped());
    }
}
