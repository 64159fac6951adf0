//! Every state with every event: the possible outputs, their effects, and that each has an exit.

use super::*;
use crate::config::FullTable;
use crate::slot::State;
use alloc::format;
use alloc::string::String;

/// A state that a source can be in when an event comes.
struct Case {
    name: &'static str,
    reach: fn(&mut Bench) -> Token,
    state: State,
    /// The possible outputs after an event, in a kernel in which nothing happens: some of these, in this order.
    level: &'static str,
    edge: &'static str,
    oneshot: &'static str,
    /// What it may be after that.
    then: &'static [State],
}

use State::{Cancelling, Closing, Finishing, Free, Lingering, Listening, Open, Reserved};

/// One line for each state. No source ignores an event: it leads to an attempt, or level mode disarms the interest.
#[rustfmt::skip]
const CASES: [Case; 20] = [
    case("reserved", reserved, Reserved, ["", "", ""], &[Reserved]),
    case("just accepted", Bench::open, Open, ["recv add", "recv add", "recv add"], &[Open]),
    case("at rest", Bench::rest, Open, ["recv", "recv", "recv mod"], &[Open]),
    case("has spoken", Bench::spoken, Open, ["recv", "recv", "recv mod"], &[Open]),
    case("input left", input_left, Open, ["recv", "recv", "recv mod"], &[Open]),
    case("output waits", output_waits, Open, ["recv send", "recv send", "recv send mod"], &[Open]),
    case("waits for capacity", waits_for_capacity, Open, ["send recv mod", "send recv", "send recv mod"], &[Open]),
    case("receiving", receiving, Open, ["add", "add", "add"], &[Open]),
    case("paused", paused, Open, ["mod", "unsent", "mod"], &[Open]),
    case("peer's end was read", ended, Open, ["mod", "unsent", "unsent mod"], &[Open]),
    case("no memory", congested, Open, ["recv del", "recv", "recv mod"], &[Open]),
    case("output to finish", finishing, Finishing,
         ["send shutdown recv mod", "send shutdown recv", "send shutdown recv mod"], &[Finishing, Lingering]),
    case("shutting down", shutting, Finishing, ["del", "", ""], &[Finishing]),
    case("lingering", lingering, Lingering, ["recv", "recv", "recv mod"], &[Lingering]),
    case("joining", joining, Cancelling, ["", "", ""], &[Cancelling]),
    case("closing", closing, Closing, ["", "", ""], &[Closing]),
    case("gone", gone, Free, ["", "", ""], &[Free]),
    case("listening", listening, Listening, ["accept", "accept", "accept"], &[Listening]),
    case("paused listener", paused_listener, Listening, ["del", "del", "del"], &[Listening]),
    case("full table", full_table, Listening, ["del", "del", "del"], &[Listening]),
];

const fn case(
    name: &'static str,
    reach: fn(&mut Bench) -> Token,
    state: State,
    [level, edge, oneshot]: [&'static str; 3],
    then: &'static [State],
) -> Case {
    Case {
        name,
        reach,
        state,
        level,
        edge,
        oneshot,
        then,
    }
}

impl Case {
    fn bench(&self, trigger: Trigger) -> (Bench, Token) {
        let mut bench = Bench::with(trigger);
        let token = (self.reach)(&mut bench);
        assert_eq!(bench.slot(token).state(), self.state, "{}", self.name);
        (bench, token)
    }

    fn allows(&self, trigger: Trigger, actions: &[Action]) -> bool {
        let allowed = match trigger {
            Trigger::Level => self.level,
            Trigger::Edge => self.edge,
            Trigger::Oneshot => self.oneshot,
        };
        let mut allowed = allowed.split(' ');
        kinds(actions)
            .iter()
            .all(|kind| allowed.any(|next| next == *kind))
    }
}

fn reserved(bench: &mut Bench) -> Token {
    let token = bench.reserve();
    bench.outputs();
    token
}

fn input_left(bench: &mut Bench) -> Token {
    let token = bench.rest();
    bench.hears(token, 10);
    token
}

fn output_waits(bench: &mut Bench) -> Token {
    let token = bench.rest();
    bench.stalled(token, 10);
    token
}

fn waits_for_capacity(bench: &mut Bench) -> Token {
    let token = bench.rest();
    bench.stalled(token, WINDOWS.send);
    bench.machine.want_capacity(token, 1);
    token
}

fn receiving(bench: &mut Bench) -> Token {
    let token = bench.open();
    bench.outputs();
    token
}

fn paused(bench: &mut Bench) -> Token {
    let token = bench.rest();
    bench.machine.pause(token);
    bench.run();
    token
}

fn ended(bench: &mut Bench) -> Token {
    let token = bench.rest();
    bench.ready(token, READ);
    bench.script(token, &[END], &[]);
    token
}

fn congested(bench: &mut Bench) -> Token {
    let token = bench.rest();
    bench.machine.commit(token, 1);
    bench.script(token, &[], &[NO_MEMORY]);
    token
}

fn finishing(bench: &mut Bench) -> Token {
    let token = output_waits(bench);
    bench.machine.finish(token);
    bench.run();
    token
}

fn shutting(bench: &mut Bench) -> Token {
    let token = bench.rest();
    bench.machine.finish(token);
    assert_eq!(kinds(&bench.outputs()), ["shutdown"]);
    token
}

fn lingering(bench: &mut Bench) -> Token {
    let token = bench.rest();
    bench.machine.finish(token);
    bench.run();
    token
}

fn joining(bench: &mut Bench) -> Token {
    let token = receiving(bench);
    bench.machine.abort(token);
    assert_eq!(kinds(&bench.outputs()), ["cancel"]);
    token
}

fn closing(bench: &mut Bench) -> Token {
    let token = bench.rest();
    bench.machine.abort(token);
    assert_eq!(kinds(&bench.outputs()), ["del", "reset"]);
    token
}

fn gone(bench: &mut Bench) -> Token {
    let token = closing(bench);
    bench.done(token, Op::Close, END);
    token
}

fn listening(bench: &mut Bench) -> Token {
    bench.listener
}

fn paused_listener(bench: &mut Bench) -> Token {
    let token = bench.reserve();
    bench.done(token, Op::Accept, NO_MEMORY);
    // Disarmed once; the next event of the old registration may still come.
    bench.run();
    bench.later(Duration::from_millis(100));
    let token = bench.reserve();
    bench.done(token, Op::Accept, BLOCKED);
    bench.run();
    let token = bench.reserve();
    bench.outputs();
    bench.done(token, Op::Accept, NO_MEMORY);
    bench.run();
    bench.listener
}

fn full_table(bench: &mut Bench) -> Token {
    for _ in 0..4 {
        bench.rest();
    }
    bench.listener
}

/// The bits of an event of the kernel, and what a driver makes of them.
fn reports() -> impl Iterator<Item = (Directions, bool)> {
    const IN: u8 = 1;
    const OUT: u8 = 2;
    const RDHUP: u8 = 4;
    const HUP: u8 = 8;
    const ERR: u8 = 16;
    (0..32u8).map(|bits| {
        let directions = READ.when(bits & IN != 0) | WRITE.when(bits & OUT != 0);
        (directions, bits & (RDHUP | HUP | ERR) != 0)
    })
}

fn outcomes() -> Vec<Outcome> {
    let mut outcomes = alloc::vec![
        Outcome::Complete(0),
        Outcome::Complete(1),
        Outcome::Complete(u32::MAX),
        Outcome::Drained(0),
        Outcome::Drained(1),
        Outcome::Drained(u32::MAX),
        Outcome::Accepted(None),
    ];
    outcomes.extend(Fault::ALL.map(|kind| Outcome::Failed(kind(1))));
    outcomes
}

const OPS: [Op; 9] = [
    Op::Accept,
    Op::Refuse,
    Op::Recv,
    Op::Send,
    Op::Arm,
    Op::Shutdown,
    Op::Unsent,
    Op::Cancel,
    Op::Close,
];

/// All state of the machine except its counters.
pub(super) fn snapshot(bench: &Bench) -> String {
    let (machine, m) = (&bench.machine, &*bench.machine.m);
    let tables = (
        &machine.slots,
        &machine.records,
        &machine.sources,
        &machine.blocks,
    );
    let queues = (&m.deadlines, &m.schedule);
    let facts = (&m.admission, m.unix_peers, &m.stopping);
    format!("{tables:?} {queues:?} {facts:?}")
}

/// Whatever is left ends on request, and each connection with an `Opened` gets its `Closed`.
fn comes_to_an_end(mut bench: Bench, context: &str) {
    let by = bench.now;
    bench.machine.stop(by);
    for _ in 0..10 {
        bench.answer_all();
        bench.run();
        bench.later(Duration::from_secs(1));
    }
    assert!(bench.machine.is_stopped(), "no exit: {context}");
    assert!(bench.told.is_empty(), "not closed: {context}");
    assert_eq!(bench.machine.next_deadline(), None);
}

#[test]
fn every_report_in_every_state_leads_to_what_the_table_says() {
    for case in &CASES {
        for trigger in TRIGGERS {
            for (directions, closing) in reports() {
                let (mut bench, token) = case.bench(trigger);
                let context = format!("{}, {trigger:?}, {directions:?}, {closing}", case.name);
                bench.report(token, directions, closing);
                let actions = bench.run();
                assert!(case.allows(trigger, &actions), "{context}: {actions:?}");
                let then = bench.slot(token).state();
                assert!(case.then.contains(&then), "{context}: {then:?}");
                comes_to_an_end(bench, &context);
            }
        }
    }
}

/// A hang-up or an error cannot be masked: in one iteration the source is closed or disarmed, or edge mode has reported
/// it once, or oneshot is silent, and a deadline runs. One that wants nothing is registered for the hang-up alone,
/// which is queried when it is reported again, and disarmed then.
#[test]
fn a_hang_up_never_reports_again_unheard() {
    for case in &CASES {
        for trigger in TRIGGERS {
            for answer in [FAILED, END] {
                let (mut bench, token) = case.bench(trigger);
                let context = format!("{}, {trigger:?}, {answer:?}", case.name);
                bench.report(token, READ | WRITE, true);
                bench.run_with(|action| match action {
                    Action::Recv { .. } => Some(answer),
                    Action::Send { .. } => Some(FAILED),
                    _ => None,
                });
                if bench.slot(token).readiness.armed() == Directions::HANGUP {
                    bench.report(token, Directions::NONE, true);
                    assert_eq!(kinds(&bench.run())[0], "unsent", "{context}");
                }
                let slot = bench.slot(token);
                match slot.state() {
                    Free | Reserved | Closing | Listening => {}
                    _ if !slot.readiness.in_flight().is_empty() => {}
                    _ => {
                        let silent = slot.readiness.registered().is_empty()
                            || bench.machine.trigger() != Trigger::Level;
                        assert!(silent && slot.class.is_some(), "{context}: {slot:?}");
                    }
                }
                comes_to_an_end(bench, &context);
            }
        }
    }
}

#[test]
fn every_completion_in_every_state_is_taken_if_requested_and_counted_if_not() {
    for case in &CASES {
        for op in OPS {
            for outcome in outcomes() {
                let (mut bench, token) = case.bench(Trigger::Level);
                let context = format!("{}, {op:?}, {outcome:?}", case.name);
                let asked = bench.asked.contains(&(token, op));
                let failed = matches!(outcome, Outcome::Failed(_));
                let heard = asked || (failed && matches!(op, Op::Arm | Op::Cancel));
                let before = snapshot(&bench);
                let counted = |bench: &Bench| {
                    let stats = bench.machine.stats();
                    stats.unasked + stats.stale
                };
                let count = counted(&bench);
                bench.done(token, op, outcome);
                if !heard {
                    assert_eq!(snapshot(&bench), before, "{context}");
                    assert_eq!(counted(&bench), count + 1, "{context}");
                }
                bench.run();
                comes_to_an_end(bench, &context);
            }
        }
    }
}

#[test]
fn an_old_token_changes_nothing_whatever_comes_with_it() {
    let states: [fn(&mut Bench) -> Token; 6] = [
        Bench::rest,
        |bench| {
            let token = receiving(bench);
            bench.machine.commit(token, 10);
            assert_eq!(kinds(&bench.outputs()), ["send"], "both are in flight");
            token
        },
        reserved,
        shutting,
        joining,
        closing,
    ];
    for new in states {
        let mut bench = Bench::level();
        let old = gone(&mut bench);
        let new = new(&mut bench);
        assert_eq!(old.index(), new.index(), "the slot is used again");
        let strangers = [
            0,
            u64::MAX,
            new.to_bits() + (1 << 32),
            new.to_bits() + 3,
            1 << 63 | 7,
        ];
        let strangers = strangers.map(Token::from_bits);
        for token in core::iter::once(old).chain(strangers) {
            let before = snapshot(&bench);
            let mut events = 0;
            for (directions, closing) in reports() {
                bench.report(token, directions, closing);
                events += 1;
            }
            for op in OPS {
                for outcome in outcomes() {
                    assert_eq!(bench.done(token, op, outcome), None);
                    events += 1;
                }
            }
            bench.machine.consume(token, 1);
            bench.machine.commit(token, 1);
            bench.machine.want_capacity(token, 1);
            bench.machine.pause(token);
            bench.machine.resume(token);
            bench.machine.finish(token);
            bench.machine.abort(token);
            assert_eq!(snapshot(&bench), before, "{token:?}");
            assert_eq!(bench.machine.info(token), None);
            assert_eq!(bench.machine.spare_capacity(token).len, 0);
            assert_eq!(bench.machine.unconsumed(token).len, 0);
            assert_eq!(bench.machine.stats().stale, events, "each is counted");
            bench.machine.m.stats.stale = 0;
        }
    }
}

#[test]
fn an_event_of_one_source_touches_no_other() {
    for trigger in TRIGGERS {
        let mut bench = Bench::with(trigger);
        let (a, b) = (bench.spoken(), bench.spoken());
        let other = format!("{:?}", bench.slot(b));
        bench.hears(a, 100);
        bench.report(a, READ, true);
        bench.script(a, &[FAILED], &[]);
        assert_eq!(bench.closed(a), Some(Reason::Failed(RESET)));
        // Only its neighbours in the queue of their class have changed.
        let mut slot = bench.slot(b).clone();
        slot.timer = crate::queue::Link::NONE;
        let mut before = other;
        for link in [
            "timer: Link { prev: 0, next: 4294967295 }",
            "timer: Link { prev: 4294967295, next: 0 }",
        ] {
            before = before.replace(link, "timer: Link { prev: 4294967295, next: 4294967295 }");
        }
        assert_eq!(format!("{slot:?}"), before);
    }
}

#[test]
fn a_table_that_is_used_again_forgets_what_it_held() {
    let mut table = Table::<2>::new();
    let config = Config {
        full: FullTable::Refuse,
        ..Config::default()
    };
    for _ in 0..2 {
        let mut machine = Dispatcher::new(&mut table, &config, WINDOWS).expect("sound");
        assert_eq!(machine.poll_output(), None);
        assert_eq!((machine.connections().count(), machine.listening()), (0, 0));
        let listener = machine.listen(None).expect("a place");
        assert!(
            matches!(machine.poll_output(), Some(Action::Arm { token, .. }) if token == listener)
        );
        laws::assert_laws(&machine);
    }
}
