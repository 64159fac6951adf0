//! Rounds: over once all that were queued at their beginning have been serviced, and not before.

use super::*;
use alloc::vec;

/// Services sources that always have more for one iteration; returns which, in order.
fn turn(bench: &mut Bench) -> Vec<Token> {
    bench.turn();
    let mut served = Vec::new();
    while let Some(action) = bench.poll() {
        let Action::Recv { token, .. } = action else {
            panic!("{action:?}");
        };
        served.push(token);
        bench.done(token, Op::Recv, Outcome::Complete(1024));
        bench.machine.consume(token, 1024);
    }
    served
}

fn endless(fresh_in_a_row: u32) -> (Bench, Vec<Token>) {
    let mut bench = Bench::new::<16>(&Config {
        quantum: 1024,
        iteration_bytes: 2048,
        fresh_in_a_row,
        ..Config::default()
    });
    let tokens = (0..16).map(|_| bench.rest()).collect();
    (bench, tokens)
}

#[test]
fn none_waits_so_it_is_over() {
    let mut bench = Bench::level();
    let round = bench.machine.round();
    assert!(bench.machine.is_round_over(round));
    let token = bench.rest();
    let round = bench.machine.round();
    bench.ready(token, READ);
    let later = bench.machine.round();
    assert!(!bench.machine.is_round_over(later), "one waits now");
    bench.run();
    assert!(bench.machine.is_round_over(round) && bench.machine.is_round_over(later));
}

#[test]
fn all_that_waited_have_been_serviced_however_many_come() {
    for fresh_in_a_row in [1, 2, 8] {
        let (mut bench, tokens) = endless(fresh_in_a_row);
        for token in &tokens {
            bench.ready(*token, READ);
        }
        for lap in 0..50 {
            let waiting: Vec<_> = (tokens.iter().copied())
                .filter(|token| bench.slot(*token).queued != crate::slot::Queued::No)
                .collect();
            let round = bench.machine.round();
            let mut served = vec![];
            for turns in 0.. {
                assert!(turns < 100, "{fresh_in_a_row}, lap {lap}: never over");
                // Some source is always just reported: the queue of those never runs empty.
                for token in &tokens[..8] {
                    bench.ready(*token, READ);
                }
                if bench.machine.is_round_over(round) {
                    break;
                }
                served.extend(turn(&mut bench));
            }
            for token in waiting {
                assert!(served.contains(&token), "{fresh_in_a_row}, lap {lap}");
            }
        }
    }
}

/// Sources with priority pass those that wait, and are not taken for them.
#[test]
fn it_is_not_over_while_those_without_priority_wait() {
    let (mut bench, tokens) = endless(8);
    let (preferred, others) = tokens.split_at(4);
    for token in others {
        bench.ready(*token, READ);
    }
    bench.machine.set_priority(bench.listener, true);
    let round = bench.machine.round();
    let mut served = vec![];
    while !others.iter().all(|token| served.contains(token)) {
        assert!(!bench.machine.is_round_over(round), "after {served:?}");
        for token in preferred {
            bench.ready(*token, READ);
        }
        served.extend(turn(&mut bench));
        assert!(served.len() < 200, "somebody starves");
    }
    assert!(bench.machine.is_round_over(round));
}

#[test]
fn it_is_not_over_while_one_waits() {
    let (mut bench, tokens) = endless(8);
    for token in &tokens {
        bench.ready(*token, READ);
    }
    let round = bench.machine.round();
    let mut served = vec![];
    while !tokens.iter().all(|token| served.contains(token)) {
        assert!(!bench.machine.is_round_over(round), "after {served:?}");
        served.extend(turn(&mut bench));
    }
    assert!(bench.machine.is_round_over(round));
}

#[test]
fn one_that_has_gone_is_not_waited_for() {
    let (mut bench, tokens) = endless(8);
    for token in &tokens {
        bench.ready(*token, READ);
    }
    let round = bench.machine.round();
    for token in &tokens {
        bench.machine.abort(*token);
    }
    bench.run();
    assert!(bench.machine.is_round_over(round));
}
