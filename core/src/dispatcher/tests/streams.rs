//! Non-socket streams: one direction or both, and no half-close.

use super::*;
use crate::destination::Destination;
use crate::ignored::Ignored;
use crate::slot::State;

impl Bench {
    /// A stream that goes these ways, opened at once.
    fn stream(&mut self, directions: Directions) -> Token {
        let to = Destination::Stream {
            number: 5,
            directions,
        };
        let token = self.machine.connect(to, None).expect("a place");
        assert_eq!(self.machine.destination(token), Some(to));
        let actions = self.run_with(|action| match action {
            Action::Connect { .. } => Some(END),
            _ => None,
        });
        assert_eq!(kinds(&actions)[0], "connect");
        let receives = kinds(&actions).contains(&"recv");
        assert_eq!(receives, directions.contains(READ), "{directions:?}");
        assert!(self.notices.contains(&Notice::Opened(token)));
        token
    }

    /// Iterations in which `Shutdown` completes so.
    fn shut(&mut self, outcome: Outcome) -> Vec<Action> {
        self.run_with(|action| match action {
            Action::Shutdown { .. } => Some(outcome),
            _ => None,
        })
    }
}

#[test]
fn one_that_only_sends_is_never_received_from_and_closes_when_all_is_sent() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.stream(WRITE);
        bench.report(token, Directions::BOTH, true);
        assert!(!kinds(&bench.run()).contains(&"recv"), "{trigger:?}");
        bench.machine.commit(token, 3);
        bench.machine.finish(token);
        let actions = bench.script(token, &[], &[Outcome::Complete(3)]);
        assert!(kinds(&actions).contains(&"send"));
        assert!(!kinds(&actions).contains(&"shutdown"), "{actions:?}");
        assert_eq!(bench.closed(token), Some(Reason::Finished));
    }
}

#[test]
fn of_one_that_only_sends_our_end_is_the_end() {
    let mut bench = Bench::level();
    let token = bench.stream(WRITE);
    bench.machine.shut_down(token);
    bench.shut(BLOCKED);
    assert_eq!(bench.closed(token), Some(Reason::Finished));
}

#[test]
fn one_that_only_receives_has_no_capacity_and_ends_with_its_peer() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.stream(READ);
        assert_eq!(
            bench.machine.spare_capacity(token).len,
            0,
            "nothing can be sent"
        );
        bench.hears(token, 4);
        bench.ready(token, READ);
        bench.script(token, &[END], &[]);
        assert!(bench.notices.contains(&Notice::Ended(token)));
        assert_eq!(bench.closed(token), None, "there is something to consume");
        bench.machine.consume(token, 4);
        bench.run();
        assert_eq!(bench.closed(token), Some(Reason::PeerFinished));
    }
}

#[test]
fn one_that_only_receives_is_closed_as_soon_as_it_is_finished() {
    let mut bench = Bench::level();
    let token = bench.stream(READ);
    bench.hears(token, 4);
    bench.machine.finish(token);
    let actions = bench.run();
    assert_eq!(kinds(&actions), ["del", "close"]);
    assert_eq!(bench.closed(token), Some(Reason::Finished));
}

#[test]
fn where_no_end_can_be_sent_nothing_is_waited_for_but_what_is_on_its_way() {
    for (outcome, lingers) in [(BLOCKED, false), (END, true)] {
        let mut bench = Bench::level();
        let token = bench.stream(Directions::BOTH);
        bench.machine.finish(token);
        let actions = bench.shut(outcome);
        assert!(kinds(&actions).contains(&"shutdown"));
        let expected = (!lingers).then_some(Reason::Finished);
        assert_eq!(bench.closed(token), expected, "{outcome:?}");
        if lingers {
            assert_eq!(bench.slot(token).state(), State::Lingering);
            bench.later(Duration::from_secs(3));
            bench.run();
            assert!(bench.closed(token).is_some(), "it has its time, no more");
        }
    }
}

#[test]
fn without_an_end_of_its_own_it_goes_on_to_receive() {
    let mut bench = Bench::level();
    let token = bench.stream(Directions::BOTH);
    bench.machine.shut_down(token);
    bench.shut(BLOCKED);
    assert_eq!(bench.slot(token).state(), State::HalfClosed);
    bench.hears(token, 4);
    bench.machine.consume(token, 4);
    bench.ready(token, READ);
    bench.script(token, &[END], &[]);
    assert_eq!(bench.closed(token), Some(Reason::PeerFinished));
}

#[test]
fn what_a_driver_ignores_is_known_of_the_device_and_of_nothing_else() {
    let ignored = Ignored::PARITY | Ignored::RS485;
    let answer = Outcome::Complete(ignored.bits() | 1 << 31);
    let device = Destination::Stream {
        number: 5,
        directions: Directions::BOTH,
    };
    let far = Destination::Inet((Ipv4Addr::LOCALHOST, 80).into());
    for (to, expected) in [(device, ignored), (far, Ignored::NONE)] {
        let mut bench = Bench::level();
        let token = bench.machine.connect(to, None).expect("a place");
        bench.run_with(|action| match action {
            Action::Connect { .. } => Some(answer),
            _ => None,
        });
        let info = bench.machine.info(token).expect("it is open");
        assert_eq!(info.ignored, expected, "{to:?}");
        assert_eq!(bench.machine.destination(token), Some(to));
    }
}

/// Nothing can be sent any more.
const HUNG_UP: Outcome = Outcome::Failed(Fault::Refused(32));

/// A device that is gone both ways, and an application that does not finish it.
#[test]
fn what_can_neither_receive_nor_send_is_closed_whatever_the_application_does() {
    for trigger in TRIGGERS {
        for left in [0, 4] {
            let mut bench = Bench::new::<4>(&Config {
                trigger,
                idle: None,
                half_closed: None,
                request: None,
                ..Config::default()
            });
            let token = bench.stream(Directions::BOTH);
            if left > 0 {
                bench.hears(token, left);
            }
            bench.ready(token, READ);
            let mut receives = [END].into_iter();
            let actions = bench.run_with(|action| match action {
                Action::Recv { .. } => receives.next(),
                Action::Unsent { .. } => Some(HUNG_UP),
                _ => None,
            });
            assert!(bench.notices.contains(&Notice::Ended(token)));
            let asked = kinds(&actions).into_iter().filter(|kind| *kind == "unsent");
            assert_eq!(asked.count(), 1, "{trigger:?}: once");
            if left > 0 {
                assert_eq!(bench.closed(token), None, "there is something to consume");
                assert_eq!(
                    bench.machine.spare_capacity(token).len,
                    0,
                    "nothing can be sent"
                );
                bench.machine.consume(token, left);
                bench.run();
            }
            assert_eq!(
                bench.closed(token),
                Some(Reason::PeerFinished),
                "{trigger:?}"
            );
        }
    }
}

#[test]
fn one_whose_peer_has_only_sent_fin_goes_on_and_one_that_has_failed_is_closed() {
    let unknown = Outcome::Failed(Fault::Unknown(25));
    for (outcome, closes) in [
        (END, None),
        (unknown, None),
        (FAILED, Some(Reason::Failed(RESET))),
    ] {
        for trigger in TRIGGERS {
            let mut bench = Bench::with(trigger);
            let token = bench.rest();
            bench.hears(token, 4);
            bench.machine.consume(token, 4);
            bench.ready(token, READ);
            let mut receives = [END].into_iter();
            bench.run_with(|action| match action {
                Action::Recv { .. } => receives.next(),
                Action::Unsent { .. } => Some(outcome),
                _ => None,
            });
            assert_eq!(bench.closed(token), closes, "{trigger:?} {outcome:?}");
            if closes.is_none() {
                bench.machine.commit(token, 3);
                let actions = bench.script(token, &[], &[Outcome::Complete(3)]);
                assert!(kinds(&actions).contains(&"send"), "{trigger:?}");
            }
        }
    }
}
