//! Datagram sockets.

use super::*;
use crate::event::Peer;
use crate::slot::State;

const REFUSED: Fault = Fault::Refused(111);
const FROM: Option<Peer> = Some(Peer::Unix(1));

const fn datagram(len: u32) -> Outcome {
    after(len, 0)
}

/// One before which so many were dropped, all in all.
const fn after(len: u32, lost: u32) -> Outcome {
    Outcome::Datagram {
        len,
        from: FROM,
        local: None,
        lost,
    }
}

impl Bench {
    /// A datagram socket, which is armed.
    fn socket(&mut self) -> Token {
        let token = self.machine.add_datagrams().expect("a place");
        self.run();
        assert_eq!(self.slot(token).readiness.armed(), READ);
        token
    }

    /// An event, and iterations in which receives complete with the next of `outcomes` and then would block.
    fn receives(&mut self, token: Token, outcomes: &[Outcome]) -> Vec<&'static str> {
        let mut outcomes = outcomes.iter().copied();
        self.ready(token, READ);
        let all = self.run_with(|action| match action {
            Action::ReceiveFrom { .. } => outcomes.next(),
            _ => None,
        });
        kinds(&all)
    }

    fn heard(&self, token: Token) -> usize {
        let of = |notice: &&Notice| **notice == Notice::Datagram(token);
        self.notices.iter().filter(of).count()
    }
}

#[test]
fn what_comes_is_notified_whatever_its_length() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let token = bench.socket();
        for (n, len) in [0, 1, 65_535, u32::MAX].into_iter().enumerate() {
            assert_eq!(bench.receives(token, &[datagram(len)])[0], "receive from");
            assert_eq!(bench.heard(token), n + 1, "{len} bytes");
            assert_eq!(bench.slot(token).readiness.armed(), READ, "it goes on");
        }
        assert_eq!(bench.machine.stats().datagrams_in, 4);
        assert_eq!(
            bench.receives(token, &[]),
            ["receive from"],
            "a false report"
        );
        assert_eq!(bench.heard(token), 4);
    }
}

#[test]
fn one_event_is_good_for_one_and_for_more_only_if_they_come_in_poll_after_poll() {
    let mut bench = Bench::level();
    let token = bench.socket();
    let mut counts = Vec::new();
    for _ in 0..7 {
        bench.ready(token, READ);
        // One iteration for each event: there are always more.
        let all = bench.one_turn(|action| match action {
            Action::ReceiveFrom { .. } => Some(datagram(1)),
            _ => None,
        });
        counts.push(all.len());
    }
    assert_eq!(counts, [1, 2, 4, 8, 16, 16, 16]);
}

#[test]
fn a_batch_ends_with_the_quantum_and_others_are_served_between() {
    let mut bench = Bench::level();
    let (token, conn) = (bench.socket(), bench.spoken());
    let full = |action: &Action| match action {
        Action::ReceiveFrom { .. } => Some(datagram(4096)),
        _ => None,
    };
    for expected in [1, 2, 4, 4] {
        bench.ready(token, READ);
        let all = bench.one_turn(full);
        assert_eq!(all.len(), expected, "16 KiB, then the kernel is asked");
    }
    // It has not done what its last report was good for.
    bench.ready(conn, READ);
    let all = bench.one_turn(full);
    assert_eq!(kinds(&all)[..2], ["recv", "receive from"], "it goes behind");
}

#[test]
fn an_error_is_notified_and_ends_nothing() {
    for kind in [
        Fault::Refused,
        Fault::Reset,
        Fault::Unreachable,
        Fault::TimedOut,
    ] {
        let mut bench = Bench::level();
        let token = bench.socket();
        let failed = Outcome::Failed(kind(1));
        for n in 1..40 {
            bench.report(token, READ, true);
            let all = bench.run_with(|action| match action {
                Action::ReceiveFrom { .. } => Some(failed),
                _ => None,
            });
            assert_eq!(
                kinds(&all),
                ["receive from"],
                "{kind:?}: one for each report"
            );
            assert_eq!(bench.heard(token), n);
            assert_eq!(bench.slot(token).readiness.armed(), READ);
        }
        bench.receives(token, &[datagram(3)]);
        assert_eq!(bench.machine.stats().datagram_faults, 39);
        assert_eq!(bench.machine.stats().datagrams_in, 1);
    }
}

#[test]
fn an_interrupted_call_is_repeated_without_a_notice() {
    let mut bench = Bench::level();
    let token = bench.socket();
    let interrupted = Outcome::Failed(Fault::Interrupted(4));
    let all = bench.receives(token, &[interrupted, interrupted, datagram(1)]);
    assert_eq!(all, ["receive from"; 3]);
    assert_eq!(bench.heard(token), 1);
}

#[test]
fn resource_exhaustion_is_waited_out() {
    for kind in [Fault::Exhausted, Fault::Unknown] {
        let mut bench = Bench::level();
        let token = bench.socket();
        let all = bench.receives(token, &[Outcome::Failed(kind(105))]);
        assert_eq!(all, ["receive from"]);
        assert_eq!(bench.heard(token), 1, "it is told");
        let report = |bench: &mut Bench| {
            bench.ready(token, READ);
            kinds(&bench.run())
        };
        assert_eq!(report(&mut bench), ["del"], "nothing is tried, and no spin");
        let due = bench.machine.poll_timeout().expect("a pause");
        bench.now = due;
        assert_eq!(kinds(&bench.run()), ["receive from", "add"]);
        bench.receives(token, &[datagram(1)]);
        assert_eq!(bench.heard(token), 2);
    }
}

#[test]
fn one_waits_to_be_sent_and_nothing_is_received_meanwhile() {
    let mut bench = Bench::level();
    let token = bench.socket();
    assert_eq!(bench.machine.has_datagram_capacity(token), Some(true));
    bench.machine.queue_datagram(token);
    assert_eq!(bench.machine.has_datagram_capacity(token), Some(false));
    bench.machine.want_datagram_capacity(token);
    let all = bench.run_with(|action| match action {
        Action::SendTo { .. } => Some(BLOCKED),
        _ => None,
    });
    assert_eq!(kinds(&all), ["send to", "mod"]);
    assert_eq!(bench.slot(token).readiness.armed(), WRITE);
    bench.ready(token, WRITE);
    let all = bench.run_with(|action| match action {
        Action::SendTo { .. } => Some(Outcome::Complete(9)),
        _ => None,
    });
    assert_eq!(kinds(&all), ["send to", "mod"]);
    assert_eq!(bench.slot(token).readiness.armed(), READ);
    assert_eq!(bench.heard(token), 1, "who waited is told");
    assert!(bench.machine.take_datagram_request(token));
    assert!(!bench.machine.take_datagram_request(token), "once");
    assert_eq!(bench.machine.has_datagram_capacity(token), Some(true));
    bench.machine.queue_datagram(token);
    assert_eq!(kinds(&bench.run()), ["send to"]);
    assert_eq!(bench.heard(token), 1, "nobody waited");
    assert_eq!(bench.machine.stats().datagrams_out, 2);
}

#[test]
fn what_cannot_be_sent_is_given_up_and_notified() {
    let kinds_of_failure = [
        Fault::Exhausted,
        Fault::Unknown,
        Fault::Refused,
        Fault::Reset,
        Fault::Unreachable,
        Fault::TimedOut,
    ];
    for kind in kinds_of_failure {
        let mut bench = Bench::level();
        let token = bench.socket();
        for n in 1..20 {
            bench.machine.queue_datagram(token);
            let all = bench.run_with(|action| match action {
                Action::SendTo { .. } => Some(Outcome::Failed(kind(1))),
                _ => None,
            });
            assert_eq!(kinds(&all), ["send to"], "{kind:?}");
            assert_eq!(bench.heard(token), n);
            assert_eq!(bench.machine.has_datagram_capacity(token), Some(true));
        }
        bench.receives(token, &[datagram(1)]);
        assert_eq!(bench.heard(token), 20, "it receives on");
    }
}

#[test]
fn what_is_no_socket_any_more_is_closed() {
    for send in [false, true] {
        let mut bench = Bench::level();
        let token = bench.socket();
        let invalid = Outcome::Failed(Fault::Invalid(9));
        let answer = |action: &Action| match action {
            Action::ReceiveFrom { .. } | Action::SendTo { .. } => Some(invalid),
            _ => None,
        };
        if send {
            bench.machine.queue_datagram(token);
        } else {
            bench.ready(token, READ);
        }
        let all = bench.run_with(answer);
        assert_eq!(kinds(&all)[1..], ["del", "close"]);
        assert_eq!(bench.heard(token), 1, "it is told why");
        assert_eq!(bench.machine.has_datagram_capacity(token), None);
    }
}

#[test]
fn closing_joins_what_is_in_flight() {
    let mut bench = Bench::level();
    let token = bench.socket();
    bench.ready(token, READ);
    assert_eq!(kinds(&bench.outputs()), ["receive from"]);
    bench.machine.close_datagrams(token);
    assert_eq!(kinds(&bench.outputs()), ["cancel"]);
    assert_eq!(
        bench.done(token, Op::ReceiveFrom, datagram(1)),
        None,
        "not told"
    );
    assert_eq!(kinds(&bench.outputs()), ["del", "close"]);
    bench.done(token, Op::Close, END);
    assert!(bench.machine.is_gone(token));
    let next = bench.socket();
    assert_eq!(
        next.index(),
        token.index(),
        "the place is there for the next"
    );
    assert_ne!(next, token);
    bench.machine.queue_datagram(token);
    bench.machine.want_datagram_capacity(token);
    bench.machine.close_datagrams(token);
    assert_eq!(bench.run(), [], "the old name changes nothing");
}

#[test]
fn a_full_table_and_a_stop_leave_it_alone() {
    let mut bench = Bench::new::<1>(&Config::default());
    let token = bench.socket();
    bench.spoken();
    bench.ready(bench.listener, READ);
    bench.run();
    bench.receives(token, &[datagram(7)]);
    assert_eq!(bench.heard(token), 1);
    bench.machine.stop(bench.now);
    bench.run();
    assert!(bench.machine.is_stopped(), "nobody waits for it");
    bench.receives(token, &[datagram(7)]);
    assert_eq!(bench.heard(token), 2);
}

#[test]
fn unrequested_or_impossible_completions_change_nothing() {
    let mut bench = Bench::level();
    let (token, conn) = (bench.socket(), bench.spoken());
    let mut unasked = 0;
    for op in [Op::ReceiveFrom, Op::SendTo] {
        for of in [token, conn, bench.listener] {
            for outcome in [datagram(1), BLOCKED, END, Outcome::Failed(REFUSED)] {
                assert_eq!(bench.done(of, op, outcome), None, "{op:?} {of:?}");
                unasked += 1;
                assert_eq!(bench.machine.stats().unasked, unasked);
            }
        }
    }
    for outcome in [END, Outcome::Accepted(None)] {
        bench.receives(token, &[outcome]);
        unasked += 1;
        assert_eq!(bench.machine.stats().unasked, unasked);
    }
    assert_eq!(bench.heard(token), 0);
    for outcome in [datagram(1), Outcome::Accepted(None)] {
        bench.machine.queue_datagram(token);
        bench.machine.want_datagram_capacity(token);
        bench.run_with(|action| matches!(action, Action::SendTo { .. }).then_some(outcome));
        unasked += 1;
        assert_eq!(bench.machine.stats().unasked, unasked);
        assert_eq!(bench.machine.has_datagram_capacity(token), Some(true));
        assert!(
            bench.machine.take_datagram_request(token),
            "who waited is told"
        );
    }
    assert_eq!(bench.slot(token).state(), State::Datagrams);
    assert_eq!(bench.machine.stats().open, 1);
}

#[test]
fn what_is_in_flight_is_not_completed_by_a_transfer() {
    let mut bench = Bench::level();
    let token = bench.socket();
    bench.ready(token, READ);
    assert_eq!(kinds(&bench.outputs()), ["receive from"]);
    bench.machine.queue_datagram(token);
    assert_eq!(kinds(&bench.outputs()), ["send to"]);
    for op in [Op::Recv, Op::Send, Op::Accept, Op::Refuse, Op::Connect] {
        for outcome in [END, BLOCKED, FAILED] {
            let unasked = bench.machine.stats().unasked;
            assert_eq!(bench.done(token, op, outcome), None);
            assert_eq!(bench.machine.stats().unasked, unasked + 1, "{op:?}");
        }
    }
    assert_eq!(bench.slot(token).readiness.in_flight(), Directions::BOTH);
}

#[test]
fn one_that_cannot_be_registered_is_tried_again_later() {
    let mut bench = Bench::level();
    let token = bench.machine.add_datagrams().expect("a place");
    let armed = bench.outputs();
    assert_eq!(kinds(&armed), ["add"]);
    assert_eq!(bench.done(token, Op::Arm, NO_MEMORY), None);
    assert_eq!(bench.run(), []);
    bench.now = bench.machine.poll_timeout().expect("a pause");
    assert_eq!(kinds(&bench.run()), ["add"]);
}

#[test]
fn what_the_kernel_dropped_is_counted_once_for_each_socket() {
    let mut bench = Bench::with(Trigger::Level);
    let first = bench.socket();
    let second = bench.socket();
    // The count of a socket only rises, and begins again after 2³².
    for (token, lost, all) in [
        (first, 0, 0),
        (first, 3, 3),
        (first, 3, 3),
        (second, 10, 13),
        (first, u32::MAX, 13 + u64::from(u32::MAX) - 3),
        (first, 1, 13 + u64::from(u32::MAX) - 1),
    ] {
        bench.receives(token, &[after(1, lost)]);
        assert_eq!(bench.machine.stats().datagrams_lost, all, "{lost}");
    }
}
