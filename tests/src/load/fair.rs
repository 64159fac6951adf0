//! A small client while others stream.

use super::{LoadError, Plan, Progress, Report, Traffic, echo, usage};
use std::thread;

/// What the small client does.
const SMALL: Traffic = Traffic::Echo {
    connections: 1,
    active: 1,
    in_flight: 1,
    size: 64,
};

/// The small client has a thread of its own that goes ahead of the others, where we may: its latency is then the
/// server's doing, not ours.
pub(super) fn run(
    plan: &Plan,
    bulk: Traffic,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, LoadError> {
    let of = |traffic| Plan {
        traffic,
        ..plan.clone()
    };
    let (small, bulk) = (of(SMALL), of(bulk));
    let (ahead, small, bulk) = thread::scope(|scope| {
        let small = scope.spawn(|| {
            let ahead = usage::go_ahead();
            (ahead, echo::run(&small, &mut |_| {}))
        });
        let bulk = echo::run(&bulk, progress);
        let (ahead, small) = small.join().expect("a client that does not panic");
        (ahead, small, bulk)
    });
    let (small, bulk) = (small?, bulk?);
    Ok(Report {
        traffic: plan.traffic,
        wrong: small.wrong + bulk.wrong,
        lost: small.lost + bulk.lost,
        answered: small.answered + bulk.answered,
        bulk_rate: Some(bulk.rate()),
        ahead: Some(ahead),
        ..small
    })
}
