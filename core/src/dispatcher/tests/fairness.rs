//! Fairness: how long an iteration lasts, which source is serviced next, and how long any waits.

use super::*;
use alloc::collections::VecDeque;
use std::println;

const ENDLESS: Outcome = Outcome::Complete(1024);

/// Completes a receive as if there were always more, and consumes it.
fn swallow(bench: &mut Bench, token: Token) {
    bench.done(token, Op::Recv, ENDLESS);
    bench.machine.consume(token, 1024);
}

/// The tokens that are serviced in an iteration, each once for each service, when all always have more to receive.
fn turn_of_endless(bench: &mut Bench) -> Vec<Token> {
    bench.turn();
    let mut served = Vec::new();
    while let Some(action) = bench.poll() {
        let Action::Recv { token, .. } = action else {
            panic!("{action:?}");
        };
        if served.last() != Some(&token) {
            served.push(token);
        }
        swallow(bench, token);
    }
    served
}

fn many<const N: usize>(config: &Config) -> (Bench, Vec<Token>) {
    let mut bench = Bench::new::<N>(config);
    let tokens = (0..N).map(|_| bench.rest()).collect();
    (bench, tokens)
}

/// The same; the first few came through a listener that has priority.
fn some_first<const N: usize>(config: &Config, preferred: usize) -> (Bench, Vec<Token>) {
    let mut bench = Bench::new::<N>(config);
    let all = bench.listener;
    bench.listener = bench.machine.listen(None).expect("a place");
    bench.machine.set_priority(bench.listener, preferred > 0);
    let mut tokens: Vec<_> = (0..preferred).map(|_| bench.rest()).collect();
    bench.listener = all;
    tokens.extend((preferred..N).map(|_| bench.rest()));
    (bench, tokens)
}

#[test]
fn a_turn_ends_after_so_many_bytes_and_at_least_one_source_is_served() {
    for (quantum, iteration_bytes, served) in [
        (1024, 4096, 4),
        (4096, 4096, 1),
        (16384, 1, 1),
        (256, 8192, 8),
    ] {
        let (mut bench, tokens) = many::<8>(&Config {
            quantum,
            iteration_bytes,
            ..Config::default()
        });
        for token in &tokens {
            bench.ready(*token, READ);
        }
        for _ in 0..8 {
            assert_eq!(
                turn_of_endless(&mut bench).len(),
                served,
                "{quantum}, {iteration_bytes}"
            );
            assert_eq!(
                bench.machine.poll_timeout(),
                Some(bench.now),
                "more is queued"
            );
        }
    }
}

#[test]
fn an_iteration_ends_when_each_was_serviced_once() {
    let (mut bench, tokens) = many::<8>(&Config {
        quantum: 1024,
        iteration_bytes: u32::MAX,
        ..Config::default()
    });
    for token in &tokens {
        bench.ready(*token, READ);
    }
    for _ in 0..3 {
        assert_eq!(turn_of_endless(&mut bench), tokens);
        assert!(bench.machine.has_work());
    }
}

#[test]
fn what_comes_in_a_turn_is_served_in_it() {
    let (mut bench, tokens) = many::<2>(&Config::default());
    bench.ready(tokens[0], READ);
    bench.turn();
    assert!(matches!(bench.poll(), Some(Action::Recv { token, .. }) if token == tokens[0]));
    bench.done(tokens[0], Op::Recv, BLOCKED);
    bench.ready(tokens[1], READ);
    assert!(matches!(bench.poll(), Some(Action::Recv { token, .. }) if token == tokens[1]));
}

#[test]
fn nothing_more_comes_out_until_the_next_turn_begins() {
    let (mut bench, tokens) = many::<2>(&Config {
        iteration_bytes: 1,
        ..Config::default()
    });
    bench.ready(tokens[0], READ);
    bench.ready(tokens[1], READ);
    assert_eq!(turn_of_endless(&mut bench).len(), 1);
    assert_eq!(bench.poll(), None);
    bench.ready(tokens[1], READ);
    assert_eq!(bench.poll(), None);
    bench.turn();
    assert!(bench.poll().is_some());
}

#[test]
fn fresh_goes_before_continuing_and_one_continuing_after_k_fresh() {
    let (mut bench, tokens) = many::<9>(&Config {
        quantum: 1024,
        iteration_bytes: u32::MAX,
        fresh_in_a_row: 3,
        ..Config::default()
    });
    let (old, new) = tokens.split_at(2);
    for token in old {
        bench.ready(*token, READ);
    }
    assert_eq!(turn_of_endless(&mut bench), old, "they go on");
    for token in new {
        bench.ready(*token, READ);
    }
    // The old ones were fresh, too, before they went on.
    let mut expected = new.to_vec();
    expected.insert(1, old[0]);
    expected.insert(5, old[1]);
    assert_eq!(turn_of_endless(&mut bench), expected);
}

#[test]
fn a_small_client_goes_before_the_bulk_of_the_others() {
    let (mut bench, tokens) = many::<8>(&Config::default());
    let (small, bulk) = tokens.split_first().expect("eight");
    for token in bulk {
        bench.ready(*token, READ);
    }
    for _ in 0..20 {
        turn_of_endless(&mut bench);
    }
    for _ in 0..20 {
        bench.ready(*small, READ);
        bench.turn();
        let first = bench.poll();
        assert!(
            matches!(first, Some(Action::Recv { token, .. }) if token == *small),
            "{first:?}"
        );
        bench.done(*small, Op::Recv, Outcome::Drained(10));
        bench.machine.consume(*small, 10);
        while let Some(Action::Recv { token, .. }) = bench.poll() {
            swallow(&mut bench, token);
        }
    }
}

#[test]
fn priority_goes_first_and_alternates_with_the_others() {
    let config = Config {
        iteration_bytes: u32::MAX,
        ..Config::default()
    };
    let (mut bench, tokens) = some_first::<7>(&config, 3);
    let [a, b, c, d, e, f, g] = tokens[..] else {
        panic!("seven");
    };
    for token in [d, e, a, f, b, g, c] {
        bench.ready(token, READ);
    }
    bench.turn();
    let mut served = Vec::new();
    while let Some(Action::Recv { token, .. }) = bench.poll() {
        served.push(token);
        bench.done(token, Op::Recv, Outcome::Drained(1));
        bench.machine.consume(token, 1);
        // One that comes meanwhile does not delay the others.
        if token == c {
            bench.ready(a, READ);
        }
    }
    assert_eq!(served, [a, d, b, e, c, f, a, g]);
}

#[test]
fn a_listener_that_has_priority_accepts_first() {
    let (mut bench, tokens) = some_first::<4>(&Config::default(), 1);
    bench.machine.abort(tokens[3]);
    bench.run();
    let control = Token::new(crate::token::LISTENER_BIT | 1, 1);
    for token in [tokens[1], tokens[2], control] {
        bench.ready(token, READ);
    }
    bench.turn();
    let first = bench.poll();
    assert!(
        matches!(first, Some(Action::Accept { listener, .. }) if listener == control),
        "it was reported last: {first:?}"
    );
}

/// Each iteration is used up by one service, and the source with priority is always ready again.
#[test]
fn those_without_priority_are_served_every_other_time_at_least() {
    for fresh_in_a_row in [1, 2, 8] {
        let config = Config {
            iteration_bytes: 1,
            fresh_in_a_row,
            ..Config::default()
        };
        let (mut bench, tokens) = some_first::<5>(&config, 2);
        let others = &tokens[2..];
        let mut last = true;
        for lap in 0..50 {
            for token in &tokens {
                bench.ready(*token, READ);
            }
            bench.turn();
            let Some(Action::Recv { token, .. }) = bench.poll() else {
                panic!("lap {lap}");
            };
            assert_ne!(others.contains(&token), last, "{fresh_in_a_row}, lap {lap}");
            last = others.contains(&token);
            bench.done(token, Op::Recv, Outcome::Drained(10));
            bench.machine.consume(token, 10);
            assert_eq!(bench.poll(), None);
        }
    }
}

#[test]
fn priority_goes_on_behind_the_others() {
    let config = Config {
        quantum: 1024,
        iteration_bytes: u32::MAX,
        ..Config::default()
    };
    let (mut bench, tokens) = some_first::<3>(&config, 1);
    for token in &tokens {
        bench.ready(*token, READ);
    }
    let [first, a, b] = tokens[..] else {
        panic!("three");
    };
    assert_eq!(turn_of_endless(&mut bench), [first, a, b]);
    bench.turn();
    for outcome in [ENDLESS, BLOCKED, ENDLESS] {
        let Some(Action::Recv { token, .. }) = bench.poll() else {
            panic!("three");
        };
        bench.done(token, Op::Recv, outcome);
        bench.machine.consume(token, 1024);
    }
    assert_eq!(bench.poll(), None);
    bench.ready(first, READ);
    bench.ready(a, READ);
    assert_eq!(
        turn_of_endless(&mut bench),
        [a, first, b],
        "it has its place"
    );
}

#[test]
fn the_longest_queue_is_known() {
    let (mut bench, tokens) = many::<8>(&Config::default());
    assert_eq!(bench.machine.stats().worst_queue, 1);
    for token in &tokens[..5] {
        bench.ready(*token, READ);
        bench.ready(*token, READ);
    }
    bench.run();
    assert_eq!(
        bench.machine.stats().worst_queue,
        5,
        "each stands in it once"
    );
    bench.ready(tokens[0], READ);
    assert_eq!(bench.machine.stats().worst_queue, 5);
}

/// Law 10, with the bound of `Dispatcher::poll_output`, on a load of every kind.
#[test]
fn a_ready_source_is_serviced_within_the_documented_number_of_outputs() {
    for seed in 0..12u64 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let (quantum, k) = (256 << random.below(5), 1 + random.below(8));
        let config = Config {
            quantum,
            iteration_bytes: 256 << random.below(8),
            fresh_in_a_row: k,
            ..Config::default()
        };
        let preferred = if seed % 2 == 0 { 0 } else { 3 };
        let (mut bench, tokens) = some_first::<24>(&config, preferred);
        let visit = 2 * quantum / 256 + 4;
        // The waiting source, since which output it waits, and for how many at most.
        let mut waiting: VecDeque<(Token, u32, u32)> = VecDeque::new();
        let mut outputs = 0;
        for _ in 0..300 {
            for _ in 0..random.below(8) {
                let token = tokens[random.below(24) as usize];
                let [first, others, continuing] = bench.machine.m.schedule.lengths();
                let ahead = match preferred {
                    0 => first + others,
                    _ if tokens[..preferred].contains(&token) => first,
                    _ => others,
                };
                let visits = if bench.slot(token).queued == Queued::Continuing {
                    continuing * (k + 1)
                } else {
                    (ahead + ahead / k + 2) * (1 + u32::from(preferred > 0))
                };
                bench.ready(token, READ);
                if !waiting.iter().any(|(of, ..)| *of == token) {
                    waiting.push_back((token, outputs, visits * visit));
                }
            }
            bench.turn();
            while let Some(action) = bench.poll() {
                outputs += 1;
                let Some((token, op)) = asks(&action) else {
                    continue;
                };
                waiting.retain(|(of, since, bound)| {
                    let waited = outputs - since;
                    assert!(waited <= *bound, "{of:?} waited {waited} of {bound}");
                    *of != token
                });
                match (op, random.below(4)) {
                    (Op::Recv, 0) => {
                        bench.done(token, op, Outcome::Drained(1));
                        bench.machine.consume(token, 1);
                    }
                    (Op::Recv, _) => {
                        swallow(&mut bench, token);
                        bench.machine.commit(token, random.below(600));
                    }
                    (Op::Send, 0) => {
                        bench.done(token, op, Outcome::Complete(1));
                    }
                    _ => {
                        bench.done(token, op, quiet(&action));
                    }
                }
            }
        }
        assert!(outputs > 300, "the load was one");
    }
}

/// What completes in an iteration counts for it. Were that enough to end it, a driver whose completions come then would service
/// none.
#[test]
fn one_is_serviced_though_completions_have_used_the_iteration_up() {
    let (mut bench, tokens) = many::<2>(&Config {
        iteration_bytes: 1,
        ..Config::default()
    });
    bench.ready(tokens[0], READ);
    bench.turn();
    let first = bench.poll();
    assert!(matches!(first, Some(Action::Recv { token, .. }) if token == tokens[0]));
    assert_eq!(bench.poll(), None);
    bench.turn();
    bench.ready(tokens[1], READ);
    bench.done(tokens[0], Op::Recv, Outcome::Drained(1000));
    let next = bench.poll();
    assert!(
        matches!(next, Some(Action::Recv { token, .. }) if token == tokens[1]),
        "{next:?}"
    );
}

#[test]
fn one_that_continues_is_serviced_though_each_poll_is_used_up_by_others() {
    let (mut bench, tokens) = many::<3>(&Config {
        quantum: 1024,
        iteration_bytes: 2048,
        fresh_in_a_row: 8,
        ..Config::default()
    });
    let [bulk, small @ ..] = &tokens[..] else {
        panic!("three");
    };
    bench.ready(*bulk, READ);
    turn_of_endless(&mut bench);
    let mut served = 0;
    for _ in 0..45 {
        for token in small {
            bench.ready(*token, READ);
        }
        bench.turn();
        while let Some(action) = bench.poll() {
            let Action::Recv { token, .. } = action else {
                panic!("{action:?}");
            };
            if token == *bulk {
                served += 1;
                swallow(&mut bench, token);
            } else {
                bench.done(token, Op::Recv, Outcome::Drained(1000));
                bench.machine.consume(token, 1000);
            }
        }
    }
    assert_eq!(served, 90 / 9, "one visit in nine, of two in each turn");
}

/// Law 9: an event is followed by progress, or it does not come again.
#[test]
fn no_event_of_level_mode_is_spurious_twice() {
    for seed in 0..200u64 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut bench = Bench::level();
        let token = bench.rest();
        match random.below(4) {
            0 => bench.machine.pause(token),
            1 => bench.stalled(token, WINDOWS.send),
            2 => bench.hears(token, 1000),
            _ => {}
        }
        if random.below(3) == 0 {
            bench.machine.finish(token);
        }
        bench.run();
        let mut vain = 0;
        for _ in 0..8 {
            // The kernel reports what is registered, and hang-up whatever is, but nothing that is not.
            let slot = bench.slot(token);
            if slot.generation != token.generation() || slot.readiness.registered().is_empty() {
                break;
            }
            let before = (
                slot.rx,
                slot.tx,
                slot.state(),
                slot.readiness.registered(),
                slot.tally,
            );
            bench.report(token, slot.readiness.registered(), true);
            bench.run_with(|action| match action {
                Action::Recv { .. } => Some(Outcome::Drained(1)),
                _ => None,
            });
            let slot = bench.slot(token);
            let after = (
                slot.rx,
                slot.tx,
                slot.state(),
                slot.readiness.registered(),
                slot.tally,
            );
            vain = if before == after { vain + 1 } else { 0 };
            assert!(vain < 2, "{slot:?}");
        }
    }
}

/// A registration that outlived its descriptor reports at every wait and cannot be removed.
#[test]
fn stale_events_in_eight_iterations_in_a_row_request_a_new_readiness_set_once() {
    let mut bench = Bench::with(Trigger::Oneshot);
    let token = bench.rest();
    bench.ready(token, READ);
    bench.outputs();
    let old = Token::from_bits(77 << 32);
    for turn in 1..=8 {
        bench.ready(old, READ);
        let outputs = bench.outputs();
        assert_eq!(outputs.contains(&Action::Rebuild), turn == 8, "turn {turn}");
    }
    assert_eq!(bench.outputs(), [], "once");
    assert_eq!(bench.machine.stats().rebuilds, 1);
    assert_eq!(
        bench.machine.armed().count(),
        2,
        "what the new set is made of"
    );
    for _ in 0..7 {
        bench.ready(old, READ);
        bench.outputs();
    }
    bench.outputs();
    bench.ready(old, READ);
    assert_eq!(bench.outputs(), [], "not in a row");
}
