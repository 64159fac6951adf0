//! What a message costs when ever more connections are open of which 16 talk: the models of the text.

use super::contenders::{Contender, Kind};
use super::measure::{Bench, Effort, Part, Samples, is_noisy, spread};
use super::peers::{ONE_AT_A_TIME, THREADS};
use super::pictures::{Labels, Series, lines};
use super::statistics::Spread;
use super::tables::{figure, table};
use crate::load::Traffic;

/// Connections that talk.
const ACTIVE: u32 = 16;

/// Connections that are open. The last but one is where the models part; the last is as many as 20,000 descriptors
/// allow, and only for the models whose cost does not grow with the open connections.
const OPEN: [u32; 7] = [16, 64, 256, 1024, 4096, 8192, 19_000];

/// Cases that are not measured for every contender: with so many connections, each message of the others costs
/// milliseconds.
fn is_asked(contender: &Contender, open: u32) -> bool {
    let looks_at_all = ["spin", "select", "poll", THREADS];
    open < 19_000
        || !looks_at_all
            .iter()
            .any(|name| contender.name.ends_with(name))
}

/// Measures it.
///
/// # Errors
///
/// If nothing could be.
pub fn connections(bench: &mut Bench) -> Result<Part, String> {
    let takes_part = |one: &Contender| match one.kind {
        Kind::Ours { .. } => true,
        Kind::Blocking => one.name != ONE_AT_A_TIME,
        Kind::Peer => false,
    };
    let contenders = bench.some(takes_part);
    let Effort {
        rounds: [_, rounds, _],
        limits: [_, limit, _],
        quick,
        ..
    } = bench.effort;
    let open: Vec<u32> = if quick {
        vec![OPEN[0], OPEN[3]]
    } else {
        OPEN.into()
    };
    bench.begin("connections", open.len() * rounds * contenders.len(), limit);
    let loads: Vec<_> = open
        .iter()
        .map(|&open| {
            let asked = contenders.iter().filter(|one| is_asked(one, open));
            (asked.cloned().collect(), echo(open))
        })
        .collect();
    let mut results: Vec<Vec<Option<Samples>>> = vec![Vec::new(); contenders.len()];
    for (samples, &open) in bench.rounds(&loads, rounds).into_iter().zip(&open) {
        let mut samples = samples.into_iter();
        for (one, result) in contenders.iter().zip(&mut results) {
            result.push(is_asked(one, open).then(|| samples.next()).flatten());
        }
    }
    let results = Results {
        contenders,
        open,
        results,
    };
    let one = served_one(bench);
    Ok(Part {
        name: "connections",
        markdown: format!(
            "Microseconds of the server's CPU for each message, by the number of open connections, of which {ACTIVE} talk; medians. \
             {}\n\n{}\n{one}",
            bench.pace(rounds),
            results.table()
        ),
        pictures: vec![("connections.svg", results.picture()?)],
    })
}

/// Samples of each contender and number of open connections.
struct Results {
    contenders: Vec<Contender>,
    open: Vec<u32>,
    results: Vec<Vec<Option<Samples>>>,
}

fn cpu(samples: Option<&Samples>) -> Option<Spread> {
    samples.and_then(|all| spread(all, |sample| sample.cpu))
}

impl Results {
    fn table(&self) -> String {
        let named = self.contenders.iter().zip(&self.results);
        let rows: Vec<Vec<String>> = named
            .map(|(one, results)| {
                let cells = results.iter().map(|samples| {
                    let mark = match samples {
                        Some(samples) if is_noisy(samples) => " ~",
                        Some(_) | None => "",
                    };
                    format!("{}{mark}", figure(cpu(samples.as_ref())))
                });
                core::iter::once(one.name.clone()).chain(cells).collect()
            })
            .collect();
        let open: Vec<String> = self.open.iter().map(u32::to_string).collect();
        let open = open.iter().map(String::as_str);
        let head: Vec<&str> = core::iter::once("server").chain(open).collect();
        table(&head, &rows)
    }

    fn picture(&self) -> Result<String, String> {
        let named = self.contenders.iter().zip(&self.results);
        let series: Vec<Series<(f64, Spread)>> = named
            .map(|(one, results)| {
                let points = self.open.iter().zip(results);
                let known =
                    points.filter_map(|(&x, samples)| Some((f64::from(x), cpu(samples.as_ref())?)));
                (one.name.clone(), known.collect())
            })
            .collect();
        let labels = Labels {
            title: &format!("CPU for each message, {ACTIVE} of the connections talking"),
            x: "open connections",
            y: "µs for each message",
        };
        lines(&labels, &series)
    }
}

const fn echo(connections: u32) -> Traffic {
    Traffic::Echo {
        connections,
        active: ACTIVE,
        in_flight: 1,
        size: 64,
    }
}

/// The result for the other clients of the server that serves one at a time.
fn served_one(bench: &mut Bench) -> String {
    let contenders = bench.some(|one| one.name == ONE_AT_A_TIME);
    let samples = bench.rounds(&[(contenders, echo(ACTIVE))], 1);
    let Some(Some(sample)) = samples.iter().flatten().flatten().next() else {
        return String::new();
    };
    format!(
        "The server with blocking calls that takes one client at a time served {} of {ACTIVE}; the others wait until that one \
         leaves. Its message costs {:.2} µs.\n",
        sample.answered, sample.cpu
    )
}
