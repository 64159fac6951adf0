//! Outbound connections: opened or failed, notified once; and the half that stays open when FIN is sent.

use super::*;
use crate::config::{Class, FullTable};
use crate::destination::Destination;
use crate::slot::State;
use crate::unavailable::Unavailable;

const TO: Destination = Destination::Registered(3);
const REFUSED: Fault = Fault::Refused(111);

impl Bench {
    fn connect(&mut self) -> Token {
        self.machine.connect(TO, None).expect("a place")
    }

    /// Iterations in which every attempt to connect completes with the next of these, and then with would-block.
    fn attempts(&mut self, outcomes: &[Outcome]) -> Vec<Action> {
        let mut outcomes = outcomes.iter().copied();
        self.run_with(|action| match action {
            Action::Connect { .. } => outcomes.next(),
            _ => None,
        })
    }

    /// The notices about it, by name.
    fn told(&self, token: Token) -> Vec<&'static str> {
        let told = self.notices.iter().filter_map(|notice| match *notice {
            Notice::Opened(of) if of == token => Some("opened"),
            Notice::Closed(of, _) if of == token => Some("closed"),
            _ => None,
        });
        told.collect()
    }
}

#[test]
fn it_opens_at_once_or_later_with_the_same_notices() {
    for trigger in TRIGGERS {
        for later in [false, true] {
            let mut bench = Bench::with(trigger);
            let token = bench.connect();
            assert_eq!(bench.machine.destination(token), Some(TO));
            assert_eq!(
                bench.machine.spare_capacity(token).len,
                0,
                "nothing can be sent yet"
            );
            if later {
                let actions = bench.attempts(&[BLOCKED]);
                assert_eq!(kinds(&actions), ["connect", "add"], "{trigger:?}");
                assert!(bench.slot(token).readiness.armed().contains(WRITE));
                bench.ready(token, WRITE);
            }
            let actions = bench.attempts(&[END]);
            assert_eq!(kinds(&actions)[..2], ["connect", "recv"], "{trigger:?}");
            assert_eq!(bench.told(token), ["opened"]);
            let stats = bench.machine.stats();
            assert_eq!((stats.connected, stats.accepted, stats.open), (1, 0, 1));
            bench.hears(token, 5);
            bench.machine.consume(token, 5);
            bench.machine.finish(token);
            bench.run();
            bench.ready(token, READ);
            bench.script(token, &[END], &[]);
            assert_eq!(bench.closed(token), Some(Reason::Finished));
            assert_eq!(bench.told(token), ["opened", "closed"]);
        }
    }
}

#[test]
fn it_fails_at_once_or_later_and_is_notified_once() {
    for trigger in TRIGGERS {
        for later in [false, true] {
            let mut bench = Bench::with(trigger);
            let token = bench.connect();
            if later {
                bench.attempts(&[BLOCKED]);
                bench.report(token, Directions::BOTH, true);
            }
            let actions = bench.attempts(&[Outcome::Failed(REFUSED)]);
            let expected: &[&str] = match later {
                true => &["connect", "del", "close"],
                false => &["connect", "close"],
            };
            assert_eq!(kinds(&actions), expected, "{trigger:?}");
            assert_eq!(bench.closed(token), Some(Reason::Failed(REFUSED)));
            assert_eq!(bench.told(token), ["closed"], "never opened");
            let stats = bench.machine.stats();
            assert_eq!((stats.connect_failures, stats.open), (1, 0));
            assert_eq!(stats.closed_total(), 0, "it was never open");
        }
    }
}

#[test]
fn a_false_report_changes_nothing_and_a_second_makes_it_rest() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.connect();
        bench.attempts(&[BLOCKED]);
        for number in 0..4 {
            bench.report(token, Directions::BOTH, true);
            bench.attempts(&[BLOCKED]);
            assert_eq!(bench.slot(token).state(), State::Connecting);
            let rests = number > 0 && trigger != Trigger::Edge;
            let armed = bench.slot(token).readiness.armed().contains(WRITE);
            assert_eq!(armed, !rests, "{trigger:?}, {number}");
            if rests {
                bench.later(Duration::from_millis(20));
                let kind = match trigger {
                    Trigger::Oneshot => "mod",
                    Trigger::Level | Trigger::Edge => "add",
                };
                assert_eq!(kinds(&bench.run()), [kind], "{trigger:?}, {number}");
            }
        }
        assert_eq!(bench.told(token), [""; 0]);
    }
}

#[test]
fn resource_exhaustion_is_retried_until_the_time_is_over() {
    let config = Config {
        connect: Some(Duration::from_millis(50)),
        ..Config::default()
    };
    let mut bench = Bench::new::<4>(&config);
    let token = bench.connect();
    let mut attempts = 0;
    for _ in 0..10 {
        attempts += kinds(&bench.attempts(&[NO_MEMORY; 2]))
            .iter()
            .filter(|kind| **kind == "connect")
            .count();
        bench.later(Duration::from_millis(20));
    }
    assert_eq!(attempts, 3, "at 0, 20 and 40 ms");
    assert_eq!(bench.closed(token), Some(Reason::Deadline(Class::Connect)));
    // It works the second time.
    let token = bench.connect();
    bench.attempts(&[NO_MEMORY]);
    bench.later(Duration::from_millis(20));
    bench.attempts(&[END]);
    assert_eq!(bench.told(token), ["opened"]);
}

#[test]
fn what_the_kernel_was_at_is_not_tried_again() {
    let mut bench = Bench::level();
    let token = bench.connect();
    bench.attempts(&[BLOCKED]);
    bench.ready(token, WRITE);
    bench.attempts(&[NO_MEMORY]);
    assert_eq!(bench.closed(token), Some(Reason::Failed(SHORTAGE)));
}

#[test]
fn an_interruption_is_tried_again_at_once_and_not_for_ever() {
    let mut bench = Bench::level();
    let token = bench.connect();
    let interrupted = Outcome::Failed(Fault::Interrupted(4));
    let actions = bench.one_turn(|action| match action {
        Action::Connect { .. } => Some(interrupted),
        _ => None,
    });
    assert!(actions.len() <= 17, "{} attempts in a turn", actions.len());
    bench.attempts(&[interrupted, END]);
    assert_eq!(bench.told(token), ["opened"]);
}

#[test]
fn it_is_not_connected_in_time() {
    for trigger in TRIGGERS {
        let config = Config {
            trigger,
            connect: Some(Duration::from_secs(3)),
            ..Config::default()
        };
        let mut bench = Bench::new::<4>(&config);
        let token = bench.connect();
        bench.attempts(&[BLOCKED]);
        bench.later(Duration::from_millis(2999));
        bench.run();
        assert_eq!(bench.told(token), [""; 0], "never early");
        bench.later(Duration::from_millis(1));
        assert_eq!(kinds(&bench.run()), ["connect", "del", "close"]);
        assert_eq!(bench.closed(token), Some(Reason::Deadline(Class::Connect)));
    }
    let config = Config {
        connect: None,
        ..Config::default()
    };
    let mut bench = Bench::new::<4>(&config);
    let token = bench.connect();
    bench.attempts(&[BLOCKED]);
    bench.later(Duration::from_secs(1 << 20));
    bench.run();
    assert_eq!(bench.told(token), [""; 0], "switched off");
}

#[test]
fn what_came_in_time_counts() {
    let mut bench = Bench::level();
    let token = bench.connect();
    bench.attempts(&[BLOCKED]);
    bench.now = bench.now.plus(Duration::from_secs(60));
    bench.ready(token, WRITE);
    bench.attempts(&[END]);
    assert_eq!(bench.told(token), ["opened"]);
}

#[test]
fn a_full_table_and_a_stopping_server_connect_none() {
    for full in [FullTable::Wait, FullTable::Refuse, FullTable::Evict] {
        let config = Config {
            full,
            ..Config::default()
        };
        let mut bench = Bench::new::<2>(&config);
        let (accepted, outbound) = (bench.spoken(), bench.connect());
        let refused = Unavailable::Connections { capacity: 2 };
        assert_eq!(bench.machine.connect(TO, None), Err(refused));
        bench.run();
        assert_eq!(bench.machine.connect(TO, None), Err(refused));
        assert_eq!(
            bench.told(accepted),
            ["opened"],
            "{full:?}: nobody is evicted for it"
        );
        bench.machine.abort(accepted);
        bench.run();
        let another = bench.connect();
        bench.machine.stop(bench.now.plus(Duration::from_secs(9)));
        assert_eq!(bench.machine.connect(TO, None), Err(Unavailable::Stopping));
        bench.run();
        for token in [outbound, another] {
            assert_eq!(bench.closed(token), Some(Reason::Stopping));
            assert_eq!(bench.told(token), ["closed"]);
        }
        assert!(bench.machine.is_stopped());
    }
}

#[test]
fn it_can_be_given_up_before_it_is_connected() {
    for abort in [false, true] {
        for later in [false, true] {
            let mut bench = Bench::level();
            let token = bench.connect();
            if later {
                bench.attempts(&[BLOCKED]);
            }
            if abort {
                bench.machine.abort(token);
            } else {
                bench.machine.finish(token);
            }
            bench.run();
            let reason = if abort {
                Reason::Aborted
            } else {
                Reason::Finished
            };
            assert_eq!(bench.closed(token), Some(reason));
            assert_eq!(bench.told(token), ["closed"]);
        }
    }
}

#[test]
fn what_is_in_flight_is_joined() {
    for outcome in [END, BLOCKED, Outcome::Failed(REFUSED)] {
        let mut bench = Bench::level();
        let token = bench.connect();
        assert_eq!(kinds(&bench.outputs()), ["connect"]);
        bench.machine.abort(token);
        assert_eq!(kinds(&bench.outputs()), ["cancel"]);
        assert_eq!(bench.outputs(), []);
        for wrong in [Op::Send, Op::Recv, Op::Unsent, Op::Shutdown] {
            bench.done(token, wrong, END);
        }
        assert_eq!(bench.machine.stats().unasked, 4);
        assert_eq!(bench.done(token, Op::Connect, outcome), None);
        assert_eq!(kinds(&bench.run()), ["reset"]);
        assert_eq!(bench.told(token), ["closed"]);
    }
}

#[test]
fn one_that_connects_again_at_once_waits_for_the_others_each_time() {
    let mut bench = Bench::level();
    let other = bench.rest();
    bench.connect();
    bench.ready(other, READ);
    let mut served = 0;
    let mut connects = 0;
    bench.turn();
    while let Some(action) = bench.poll() {
        let outcome = match action {
            Action::Connect { .. } => Outcome::Failed(REFUSED),
            Action::Recv { token, .. } if token == other => {
                served += 1;
                BLOCKED
            }
            _ => quiet(&action),
        };
        if let Some((token, op)) = asks(&action) {
            let notice = bench.done(token, op, outcome);
            if let Some(Notice::Closed(..)) = notice {
                bench.connect();
                connects += 1;
            }
        }
    }
    assert_eq!(served, 1);
    assert!((2..=64).contains(&connects), "{connects} in a turn");
}

#[test]
fn an_outbound_connection_counts_for_no_source_and_needs_no_first_byte() {
    let config = Config {
        first_byte: Some(Duration::from_secs(1)),
        ..Config::default()
    };
    let mut bench = Bench::limited::<4>(&config, Some(1));
    let address = bench.address();
    let to = Destination::Inet(address);
    let token = bench.machine.connect(to, None).expect("a place");
    bench.attempts(&[END]);
    let info = bench.machine.info(token).expect("live");
    assert!(info.outbound && info.peer == to.peer());
    bench.later(Duration::from_secs(2));
    bench.run();
    assert_eq!(bench.told(token), ["opened"], "we speak first");
    let accepted = bench.open_from(Some(address));
    assert!(!bench.machine.info(accepted).expect("live").outbound);
}

#[test]
fn a_half_that_is_shut_down_sends_the_rest_and_receives_on() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.spoken();
        bench.stalled(token, 100);
        bench.machine.shut_down(token);
        assert_eq!(
            bench.machine.spare_capacity(token).len,
            0,
            "nothing more can be sent"
        );
        bench.hears(token, 7);
        bench.machine.consume(token, 7);
        bench.ready(token, WRITE);
        let actions = bench.run();
        assert_eq!(kinds(&actions)[..2], ["send", "shutdown"], "{trigger:?}");
        assert_eq!(bench.slot(token).state(), State::HalfClosed);
        bench.hears(token, 9);
        assert_eq!(bench.machine.unconsumed(token).len, 9);
        bench.machine.consume(token, 9);
        bench.report(token, READ, true);
        bench.script(token, &[END], &[]);
        assert!(bench.notices.contains(&Notice::Ended(token)));
        assert_eq!(bench.closed(token), Some(Reason::PeerFinished));
    }
}

#[test]
fn a_half_that_is_finished_before_the_peer_lingers() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    bench.machine.shut_down(token);
    assert_eq!(kinds(&bench.run()), ["shutdown"]);
    bench.machine.finish(token);
    bench.run();
    assert_eq!(bench.slot(token).state(), State::Lingering);
    bench.later(Duration::from_secs(2));
    bench.run();
    assert_eq!(bench.closed(token), Some(Reason::Finished));
}

#[test]
fn an_end_that_cannot_be_sent_ends_all() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    bench.machine.shut_down(token);
    bench.run_with(|action| match action {
        Action::Shutdown { .. } => Some(FAILED),
        _ => None,
    });
    assert_eq!(bench.closed(token), Some(Reason::Failed(RESET)));
}

#[test]
fn what_stalls_right_after_the_opening_has_its_time() {
    let mut bench = Bench::level();
    let token = bench.connect();
    bench.run_with(|action| match action {
        Action::Connect { .. } => Some(END),
        Action::Recv { .. } => Some(NO_MEMORY),
        _ => None,
    });
    bench.later(Duration::from_millis(20));
    bench.attempts(&[]);
    assert_eq!(bench.told(token), ["opened"]);
}

#[test]
fn a_half_is_half_closed_and_stalls_and_stops_as_a_whole() {
    let mut bench = Bench::level();
    let token = bench.spoken();
    bench.machine.shut_down(token);
    bench.run();
    bench.later(Duration::from_secs(700));
    bench.run();
    let too_long = Reason::Deadline(Class::HalfClosed);
    assert_eq!(bench.closed(token), Some(too_long));
    let token = bench.spoken();
    bench.machine.shut_down(token);
    bench.run();
    bench.machine.stop(bench.now.plus(Duration::from_secs(9)));
    bench.run();
    bench.later(Duration::from_secs(9));
    bench.run();
    assert_eq!(bench.closed(token), Some(Reason::Stopping));
}

#[test]
fn it_has_a_timer_once_it_is_opened() {
    let mut bench = Bench::new::<2>(&Config::default());
    let token = bench.connect();
    bench.machine.set_timer(token, Duration::from_millis(1));
    assert_eq!(bench.machine.timer(token), None, "not yet");
    bench.attempts(&[END]);
    bench.machine.set_timer(token, Duration::from_millis(1));
    let due = bench.machine.now().plus(Duration::from_millis(1));
    assert_eq!(bench.machine.timer(token), Some(due));
    bench.machine.shut_down(token);
    bench.run();
    assert_eq!(bench.machine.timer(token), Some(due), "half of it is open");
    bench.machine.abort(token);
    bench.run();
    assert_eq!(bench.told(token), ["opened", "closed"]);
    assert_eq!(bench.machine.timer(token), None);
}
