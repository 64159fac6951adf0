//! A small client's latency while others stream.

use super::contenders::Contender;
use super::measure::{Bench, Effort, Part, Sample, Samples, each, is_noisy, spread};
use super::pictures::{Labels, Series, rows};
use super::statistics::Spread;
use super::tables::{figure, ratio, table};
use crate::load::Traffic;

/// How many stream.
const BULK: [u32; 2] = [8, 64];

/// Measures it.
///
/// # Errors
///
/// If nothing could be.
pub fn fairness(bench: &mut Bench) -> Result<Part, String> {
    let contenders = bench.some(Contender::is_loop);
    let base = contenders
        .first()
        .ok_or("there is no contender")?
        .name
        .clone();
    let Effort {
        rounds: [.., rounds],
        limits: [.., limit],
        ..
    } = bench.effort;
    bench.begin("fairness", BULK.len() * rounds * contenders.len(), limit);
    let loads = BULK.map(|bulk| {
        let traffic = Traffic::Fair {
            bulk,
            in_flight: 4,
            size: 16 * 1024,
        };
        (contenders.clone(), traffic)
    });
    let results = bench.rounds(&loads, rounds);
    let markdown = format!(
        "One client with one message of 64 bytes at a time, while 8 or 64 others stream messages of 16 KiB, 4 in flight each; the \
         small client {} ahead of the others on their core. {} Ratios to the {base} in the same round, median \
         (least–greatest).\n\n{}",
        if bench.ahead { "goes" } else { "cannot go" },
        bench.pace(rounds),
        markdown(&contenders, &results)
    );
    Ok(Part {
        name: "fairness",
        markdown,
        pictures: vec![("fairness.svg", picture(&contenders, &results)?)],
    })
}

/// Samples of each contender, by how many stream; the first contender is the base.
type Results = [Vec<Samples>];

fn markdown(contenders: &[Contender], results: &Results) -> String {
    let cells = |number: usize| {
        let mut row = vec![contenders[number].name.clone()];
        for all in results {
            let (own, base) = (&all[number], &all[0]);
            let noisy = if is_noisy(own) { " ~" } else { "" };
            let beside = |value: fn(&Sample) -> f64| {
                ratio(Spread::of_ratios(&each(own, value), &each(base, value)))
            };
            row.push(figure(spread(own, |s| s.p50)));
            row.push(format!("{}{noisy}", figure(spread(own, |s| s.p99))));
            row.push(beside(|s| s.p99));
            row.push(figure(spread(own, |s| s.rate / 1000.0)));
            row.push(beside(|s| s.rate));
        }
        row
    };
    let rows: Vec<_> = (0..contenders.len()).map(cells).collect();
    let head = [
        "server",
        "8: p50 µs",
        "p99 µs",
        "p99, ratio",
        "k bulk/s",
        "ratio",
        "64: p50 µs",
        "p99 µs",
        "p99, ratio",
        "k bulk/s",
        "ratio",
    ];
    table(&head, &rows)
}

fn picture(contenders: &[Contender], results: &Results) -> Result<String, String> {
    let series: Vec<Series<Option<Spread>>> = contenders
        .iter()
        .enumerate()
        .map(|(number, one)| {
            let p99 = results.iter().map(|all| spread(&all[number], |s| s.p99));
            (one.name.clone(), p99.collect())
        })
        .collect();
    let labels = Labels {
        title: "A small client's latency while others stream",
        x: "µs that 1 message in 100 exceeds (less is better)",
        y: "",
    };
    rows(&labels, &["8 clients stream", "64 clients stream"], &series)
}
