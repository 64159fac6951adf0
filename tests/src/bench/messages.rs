//! CPU of a message and its latency, beside the peers.

use super::contenders::{Contender, Kind};
use super::measure::{Bench, Part, Samples, each, is_noisy, spread};
use super::pictures::{Labels, Series, dots};
use super::statistics::Spread;
use super::tables::{figure, ratio, table};
use crate::load::Traffic;

const fn echo(connections: u32, active: u32, in_flight: u32, size: u32) -> Traffic {
    Traffic::Echo {
        connections,
        active,
        in_flight,
        size,
    }
}

/// The scenarios: a short name, what it is, and what the clients do.
const SCENARIOS: [(&str, &str, Traffic); 7] = [
    ("S1", "1 connection, ping-pong", echo(1, 1, 1, 64)),
    ("S2", "64 connections", echo(64, 64, 1, 64)),
    ("S3", "1,000 connections", echo(1000, 1000, 1, 64)),
    (
        "S4",
        "64 connections, 16 messages in flight on each",
        echo(64, 64, 16, 64),
    ),
    (
        "S5",
        "10,000 connections, of which 64 active",
        echo(10_000, 64, 1, 64),
    ),
    (
        "S6",
        "64 connections, messages of 16 KiB",
        echo(64, 64, 1, 16 * 1024),
    ),
    (
        "S7",
        "churn: connect, one message, close; 32 at once",
        Traffic::Churn {
            clients: 32,
            size: 64,
        },
    ),
];

/// Who takes part: not the models of the text that another picture is about.
fn takes_part(contender: &Contender) -> bool {
    match contender.kind {
        Kind::Ours { epoll } => epoll || contender.name.ends_with("uring"),
        Kind::Peer => true,
        Kind::Blocking => false,
    }
}

/// Measures it.
///
/// # Errors
///
/// If nothing could be.
pub fn messages(bench: &mut Bench) -> Result<Part, String> {
    let mut who = bench.some(takes_part);
    let base = who.first().cloned().ok_or("nobody takes part")?;
    who.push(base.again());
    let [rounds, ..] = bench.effort.rounds;
    bench.begin("messages", SCENARIOS.len() * rounds * who.len());
    let results = SCENARIOS.map(|(_, _, traffic)| bench.rounds(&who, rounds, traffic));
    let legend: String = SCENARIOS
        .iter()
        .map(|(name, what, _)| format!("- {name}: {what}\n"))
        .collect();
    let seconds = bench.effort.window.as_secs_f64();
    let of = |number: usize, cell: &dyn Fn(&Samples, &Samples) -> String| {
        let mut row = vec![who[number].name.clone()];
        row.extend(results.iter().map(|all| {
            let mark = if is_noisy(&all[number]) { " ~" } else { "" };
            format!("{}{mark}", cell(&all[number], &all[0]))
        }));
        row
    };
    let matrix = |cell: &dyn Fn(&Samples, &Samples) -> String| {
        let rows: Vec<_> = (0..who.len()).map(|number| of(number, cell)).collect();
        let names = SCENARIOS.map(|(name, ..)| name);
        table(&[&["server"], &names[..]].concat(), &rows)
    };
    let markdown = format!(
        "{legend}\nMessages are of 64 bytes unless said. {rounds} rounds of {seconds} s each. `~`: in most rounds, others worked on \
         the machine.\n\nThe server's CPU for each message, beside that of the {} in the same round: median (least–greatest).\n\n\
         {}\nThe same in microseconds, medians.\n\n{}\nThe latency that 1 message in 100 exceeds, in microseconds, medians. What is \
         not limited by the load's own core shows here.\n\n{}\nMessages a second, in thousands, medians.\n\n{}",
        base.name,
        matrix(&|own, base| ratio(Spread::of_ratios(
            &each(own, |s| s.cpu),
            &each(base, |s| s.cpu)
        ))),
        matrix(&|own, _| figure(spread(own, |s| s.cpu))),
        matrix(&|own, _| figure(spread(own, |s| s.p99))),
        matrix(&|own, _| figure(spread(own, |s| s.rate / 1000.0))),
    );
    let categories = SCENARIOS.map(|(name, ..)| name.to_owned());
    let series =
        |value: &dyn Fn(&Samples, &Samples) -> Option<Spread>| -> Vec<Series<Option<Spread>>> {
            let values = |number: usize| {
                results
                    .iter()
                    .map(|all| value(&all[number], &all[0]))
                    .collect()
            };
            let numbered = who.iter().enumerate();
            numbered
                .map(|(number, one)| (one.name.clone(), values(number)))
                .collect()
        };
    let cpu = dots(
        &Labels {
            title: &format!(
                "CPU for each message, as a multiple of the {} in the same round",
                base.name
            ),
            x: "scenario",
            y: "times the base (less is better)",
        },
        &categories,
        &series(&|own, base| Spread::of_ratios(&each(own, |s| s.cpu), &each(base, |s| s.cpu))),
    )?;
    let p99 = dots(
        &Labels {
            title: "The latency that 1 message in 100 exceeds",
            x: "scenario",
            y: "µs (less is better)",
        },
        &categories,
        &series(&|own, _| spread(own, |s| s.p99)),
    )?;
    Ok(Part {
        name: "messages",
        markdown,
        pictures: vec![("messages-cpu.svg", cpu), ("messages-p99.svg", p99)],
    })
}
