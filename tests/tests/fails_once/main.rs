//! Whatever any one call of a session returns, and whatever any two do, no other connection is affected: each call of a
//! scenario fails once, in simulation, with every error that its man page lists.
//!
//! `PAIRS=100000 cargo test --release -p tests --test fails_once` tries so many pairs of faults on each interface.

mod scenario;

use scenario::{Fate, Outcome, SPEAKER, run};
use tidegate_core::{Class, Fault as Cause, Peer, Reason, Trigger};
use tidegate_sim::{Call, Errno, Fault, Faults, Interface, Random, Taken};

/// Pairs of faults on each interface, unless `PAIRS` in the environment is set.
const PAIRS: u64 = 400;
/// Second faults that are tried with a first one.
const SECONDS: u64 = 8;

/// What a fault may hurt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Victim {
    Nobody,
    /// The connection that the call was for.
    Own(Peer),
    /// The listener ends, and with it the connections that it has not accepted.
    Waiting,
}

/// What a fault may hurt. With another one near it, the repair of a registration may fail.
fn victim(taken: &Taken, alone: bool) -> Victim {
    let own = taken
        .peer
        .map_or(Victim::Nobody, |peer| Victim::Own(Peer::Inet(peer)));
    let Fault::Errno(errno) = taken.fault else {
        return Victim::Nobody;
    };
    match taken.call {
        Call::Accept if taken.call.passing().contains(&errno) => Victim::Nobody,
        Call::Accept => Victim::Waiting,
        Call::Recv | Call::Send if taken.call.passing().contains(&errno) => Victim::Nobody,
        Call::Recv | Call::Send | Call::Shutdown | Call::Unsent => own,
        Call::EpollModify if errno == Errno::NOENT && alone => Victim::Nobody,
        Call::EpollDelete if matches!(errno, Errno::NOENT | Errno::BADF) => Victim::Nobody,
        Call::EpollAdd if errno == Errno::EXIST && alone => Victim::Nobody,
        Call::EpollAdd | Call::EpollModify | Call::EpollDelete => own,
        // The scenario has no outbound connection.
        Call::Close | Call::EpollWait | Call::Connect => Victim::Nobody,
    }
}

/// All that can go wrong at a call.
fn faults(call: Call) -> Vec<Fault> {
    let mut faults: Vec<_> = call
        .documented()
        .iter()
        .copied()
        .map(Fault::Errno)
        .collect();
    if matches!(call, Call::Recv | Call::Send) {
        faults.extend([1, 2, 100].map(Fault::Short));
    }
    faults
}

/// Runs with these faults and compares with the run without any.
fn check(interface: Interface, plain: &Outcome, faults: &[(u64, Call, Fault)]) -> Outcome {
    let what = format!("{interface:?}, {faults:?}");
    let outcome = run(interface, Faults::each(faults.to_vec()))
        .unwrap_or_else(|broken| panic!("{what}: {broken}"));
    let taken = &outcome.taken;
    let alone = taken.len() == 1;
    let victims = taken.iter().map(|taken| victim(taken, alone));
    let victims: Vec<_> = victims.collect();
    let is_victim = |(peer, fate): &(Peer, Fate)| {
        let waits = fate.told.is_none() && victims.contains(&Victim::Waiting);
        waits || victims.contains(&Victim::Own(*peer))
    };
    let silenced = is_victim(&outcome.fates[SPEAKER]);
    for (entry, (_, usual)) in outcome.fates.iter().zip(&plain.fates) {
        let (peer, fate) = entry;
        let closed = fate
            .told
            .as_ref()
            .is_none_or(|(_, reason)| reason.is_some());
        assert!(closed, "{what}: {peer} was opened and not closed");
        let agrees = |usual: &Fate| {
            if is_victim(entry) {
                usual.received.starts_with(&fate.received)
            } else {
                fate == usual
            }
        };
        let same = agrees(usual) || silenced && agrees(&usual.without_what_is_said());
        let (fate, usual) = (|| fate.tell(), || usual.tell());
        assert!(
            same,
            "{what}: {taken:?} made {peer}\n{}\nnot\n{}",
            fate(),
            usual()
        );
    }
    outcome
}

/// What the scenario is meant to be.
#[test]
fn all_kinds_of_calls_and_of_ends_are_in_the_scenario() {
    for interface in Interface::ALL {
        let plain = run(interface, Faults::none()).expect("all is well");
        // A receive that waits there is one call, not one at each poll.
        let least = match interface {
            Interface::Completion => 150,
            Interface::Readiness(_) => 200,
        };
        assert!(plain.calls.len() > least, "{}", plain.calls.len());
        // With completions nothing is registered, and what never ends by itself is closed without FIN.
        let absent: &[Call] = match interface {
            Interface::Completion => &[
                Call::Shutdown,
                Call::EpollAdd,
                Call::EpollModify,
                Call::EpollDelete,
                Call::EpollWait,
            ],
            Interface::Readiness(Trigger::Edge) => &[Call::EpollModify],
            Interface::Readiness(Trigger::Level | Trigger::Oneshot) => &[],
        };
        for call in Call::ALL.into_iter().filter(|call| *call != Call::Connect) {
            let made = plain.calls.contains(&call);
            assert_ne!(made, absent.contains(&call), "{interface:?} {call:?}");
        }
        let reasons = plain.fates.iter().map(|(_, fate)| fate.told.as_ref()?.1);
        let reasons: Vec<_> = reasons.collect();
        assert_eq!(
            reasons,
            [
                Some(Reason::Stopping),
                Some(Reason::PeerFinished),
                Some(Reason::PeerFinished),
                Some(Reason::Deadline(Class::FirstByte)),
                Some(Reason::Failed(Cause::Reset(104))),
                Some(Reason::Stopping),
                Some(Reason::PeerFinished),
                Some(Reason::PeerFinished),
                Some(Reason::PeerFinished),
            ]
        );
        let received = plain.fates.iter().map(|(_, fate)| fate.received.len());
        let received: Vec<_> = received.collect();
        assert_eq!(received, [49, 5010, 0, 10, 0, 5021, 16, 18, 12]);
    }
}

#[test]
fn each_call_fails_once_in_level_mode() {
    each(Interface::Readiness(Trigger::Level));
}

#[test]
fn each_call_fails_once_in_edge_mode() {
    each(Interface::Readiness(Trigger::Edge));
}

#[test]
fn each_call_fails_once_in_oneshot_mode() {
    each(Interface::Readiness(Trigger::Oneshot));
}

#[test]
fn each_call_fails_once_where_completions_come_later() {
    each(Interface::Completion);
}

#[test]
fn any_two_calls_fail_in_level_mode() {
    pairs(Interface::Readiness(Trigger::Level));
}

#[test]
fn any_two_calls_fail_in_edge_mode() {
    pairs(Interface::Readiness(Trigger::Edge));
}

#[test]
fn any_two_calls_fail_in_oneshot_mode() {
    pairs(Interface::Readiness(Trigger::Oneshot));
}

#[test]
fn any_two_calls_fail_where_completions_come_later() {
    pairs(Interface::Completion);
}

fn each(interface: Interface) {
    let plain = run(interface, Faults::none()).expect("all is well");
    let mut runs = 0u64;
    for (number, &call) in (0..).zip(&plain.calls) {
        for fault in faults(call) {
            check(interface, &plain, &[(number, call, fault)]);
            runs += 1;
        }
    }
    println!("{interface:?}: {} calls, {runs} runs", plain.calls.len());
}

/// A first fault, and after it, among the calls that are then made, some others, one at a time.
fn pairs(interface: Interface) {
    let pairs = std::env::var("PAIRS").ok();
    let pairs = pairs.and_then(|pairs| pairs.parse().ok()).unwrap_or(PAIRS);
    let plain = run(interface, Faults::none()).expect("all is well");
    let mut random = Random::new(1);
    for _ in 0..pairs / SECONDS {
        let first = any(&mut random, 0, &plain.calls);
        let calls = check(interface, &plain, &[first]).calls;
        let after = usize::try_from(first.0).expect("a few hundred") + 1;
        for _ in 0..SECONDS {
            if after < calls.len() {
                let second = any(&mut random, after, &calls);
                check(interface, &plain, &[first, second]);
            }
        }
    }
    println!("{interface:?}: {pairs} pairs");
}

/// Any fault of any call from this number on.
fn any(random: &mut Random, from: usize, calls: &[Call]) -> (u64, Call, Fault) {
    let count = u32::try_from(calls.len() - from).expect("a few hundred");
    let number = from + random.below(count) as usize;
    let faults = faults(calls[number]);
    let fault = random.pick(&faults).expect("each can fail");
    (number as u64, calls[number], *fault)
}
