//! What peers did in a trace, for the simulated kernel: as a test, shrunk if it breaks a law there, and as an input of
//! the fuzz target `sim`. What the real kernel did in addition is not in it: for that there is the replay.

use super::tape::Tape;
use crate::sim::{App, Manner, State};
use alloc::collections::BTreeMap;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;
use tidegate_core::trace::Entry;
use tidegate_core::{Event, Fault, Memory, Op, Outcome, Token, Trigger};
use tidegate_sim::{Faults, Interface, Scene, Script, Setup};

/// Slots of the table of a test.
const N: usize = 16;
/// Peers of a fuzz input at most, and steps of each.
const PEERS: usize = 6;
const STEPS: usize = 11;
/// Bytes of a receive window at most.
const LONGEST: u32 = 1 << 20;

/// What one peer did.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Wait(Duration),
    Send(Vec<u8>),
    Finish,
    Reset,
}

/// What the peers of a trace did, in the order in which they were accepted.
#[derive(Debug)]
struct Peers {
    steps: Vec<Vec<Step>>,
    trigger: Trigger,
    manner: Manner,
}

impl Peers {
    fn of(tape: &Tape) -> Self {
        let mut peers = Self {
            steps: Vec::new(),
            trigger: Trigger::Level,
            manner: Manner::Echo,
        };
        if tape.notes("service").any(|service| service == "chat") {
            peers.manner = Manner::Chat;
        }
        // Each connection's index in the list, and when it did something last.
        let mut known = BTreeMap::<Token, (usize, u64)>::new();
        let (mut now, mut began) = (0, false);
        for entry in tape.entries() {
            if let Entry::Start { config, .. } = entry {
                peers.trigger = config.trigger;
            } else if let Entry::Time(passed) = entry {
                // A damaged trace may hold any time, and any length.
                now = u64::saturating_add(now, if began { *passed } else { 0 });
                began = true;
            }
            if let Entry::Event {
                event:
                    Event::Done {
                        token,
                        op: Op::Accept,
                        outcome: Outcome::Accepted(_),
                    },
                ..
            } = entry
            {
                known.insert(*token, (peers.steps.len(), 0));
                peers.steps.push(Vec::new());
            }
            let Some((token, step)) = step(entry) else {
                continue;
            };
            if let Some((index, last)) = known.get_mut(&token) {
                let millis = (now - *last) / 1_000_000;
                let steps = &mut peers.steps[*index];
                if millis > 0 {
                    steps.push(Step::Wait(Duration::from_millis(millis)));
                }
                steps.push(step);
                *last = now;
            }
        }
        peers
    }

    fn scene(&self) -> Scene {
        let setup = Setup {
            interface: Interface::Readiness(self.trigger),
            ..Setup::default()
        };
        let scripts = self.steps.iter().map(|steps| {
            let then = |script: Script, step: &Step| match step {
                Step::Wait(length) => script.wait(*length),
                Step::Send(bytes) => script.send(bytes),
                Step::Finish => script.finish(),
                Step::Reset => script.reset(),
            };
            steps.iter().fold(Script::new(), then)
        });
        let scripts = scripts.collect();
        Scene { setup, scripts }
    }
}

/// The step of a peer that an entry implies.
fn step(entry: &Entry<'_>) -> Option<(Token, Step)> {
    let Entry::Event {
        event: Event::Done { token, op, outcome },
        kept,
        ..
    } = entry
    else {
        return None;
    };
    match (*op == Op::Recv, *outcome) {
        (true, Outcome::Complete(0)) => Some((*token, Step::Finish)),
        (true, Outcome::Complete(n) | Outcome::Drained(n @ 1..)) => {
            Some((*token, Step::Send(all(kept, n))))
        }
        (_, Outcome::Failed(Fault::Reset(_))) => Some((*token, Step::Reset)),
        (
            true,
            Outcome::Drained(0)
            | Outcome::Accepted(_)
            | Outcome::Datagram { .. }
            | Outcome::Failed(_),
        ) => None,
        (false, _) => None,
    }
}

/// So many bytes, those that are known first.
fn all(known: &[u8], n: u32) -> Vec<u8> {
    let mut all = known.to_vec();
    all.resize(n.min(LONGEST) as usize, 0);
    all
}

/// A test in which peers do what they did in the trace; whether it breaks a law, and so was shrunk.
#[must_use]
pub fn to_test(tape: &Tape) -> (String, bool) {
    let peers = Peers::of(tape);
    let fails = |scene: &Scene| {
        let mut memory = Box::new(Memory::<N, 4096, 16384, State>::new());
        let mut world = scene.world(&mut memory, App::new(peers.manner)).ok()?;
        let settled = catch_unwind(AssertUnwindSafe(|| world.settle()));
        let fine = matches!(settled, Ok(Ok(_)));
        (!fine).then(|| world.kernel().faults.clone())
    };
    let scene = peers.scene();
    let broken: Option<Faults> = fails(&scene);
    let scene = match broken {
        Some(_) => scene.shrink(fails),
        None => scene,
    };
    let memory = format!("Memory::<{N}, 4096, 16384, tests::State>::new()");
    let handler = format!("tests::App::new(tests::Manner::{:?})", peers.manner);
    (scene.as_test(&memory, &handler), broken.is_some())
}

/// An input of the fuzz target `sim` in which peers do much of what they did: the first six, their first eleven steps,
/// pieces of up to 336 bytes, each of one byte only.
#[must_use]
pub fn to_corpus(tape: &Tape) -> Vec<u8> {
    let peers = Peers::of(tape);
    let trigger = Interface::Readiness(peers.trigger);
    let interface = Interface::ALL.iter().position(|known| *known == trigger);
    let small = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
    let manner = u8::from(matches!(peers.manner, Manner::Chat));
    // See `Case::decode`: four connections, a backlog, a large buffer, no fault; all else is the default.
    let mut input = vec![manner, 1, small(interface.unwrap_or(0)), 3 | 1 << 5];
    input.extend([0; 8]);
    input.extend([3, 0, 0]);
    let steps: Vec<_> = peers.steps.iter().take(PEERS).collect();
    input.push(small(steps.len().saturating_sub(1)));
    for steps in steps {
        let steps = &steps[..steps.len().min(STEPS)];
        input.push(small(steps.len()));
        for step in steps {
            match step {
                Step::Wait(length) => match u8::try_from(length.as_millis()) {
                    Ok(millis) => input.extend([3, millis]),
                    Err(_) => input.extend([4, u8::try_from(length.as_secs()).unwrap_or(u8::MAX)]),
                },
                Step::Send(bytes) => {
                    let length = match bytes.len() {
                        short @ 0..50 => short,
                        long => (199 + long.div_ceil(6)).min(255),
                    };
                    input.extend([10, bytes.first().copied().unwrap_or(0), small(length)]);
                }
                Step::Finish => input.push(7),
                Step::Reset => input.push(8),
            }
        }
    }
    input
}
