//! CPU of a message and its latency, compared with the peers.

use super::contenders::{Contender, DEFAULT, Kind};
use super::measure::{Bench, Effort, Part, Sample, Samples, each, is_noisy, spread};
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

/// Measures it.
///
/// # Errors
///
/// If nothing could be.
pub fn messages(bench: &mut Bench) -> Result<Part, String> {
    let mut contenders = bench.some(Contender::is_loop);
    let base = contenders.first().cloned().ok_or("there is no contender")?;
    contenders.push(base.again());
    let Effort {
        rounds: [rounds, ..],
        limits: [limit, ..],
        ..
    } = bench.effort;
    bench.begin(
        "messages",
        SCENARIOS.len() * rounds * contenders.len(),
        limit,
    );
    let loads = SCENARIOS.map(|(_, _, traffic)| (contenders.clone(), traffic));
    let samples = bench.rounds(&loads, rounds);
    let results = Results {
        contenders,
        samples,
    };
    Ok(Part {
        name: "messages",
        markdown: results.markdown(&bench.pace(rounds)),
        pictures: vec![
            ("messages-cpu.svg", results.picture_of_cpu()?),
            ("messages-p99.svg", results.picture_of_p99()?),
        ],
    })
}

/// Samples of each scenario and contender; the first contender is the base.
struct Results {
    contenders: Vec<Contender>,
    samples: Vec<Vec<Samples>>,
}

impl Results {
    /// CPU of a message, relative to the base.
    fn ratio(&self, scenario: usize, number: usize) -> Option<Spread> {
        let all = &self.samples[scenario];
        Spread::of_ratios(&each(&all[number], |s| s.cpu), &each(&all[0], |s| s.cpu))
    }

    /// Any other figure.
    fn spread(&self, scenario: usize, number: usize, figure: fn(&Sample) -> f64) -> Option<Spread> {
        spread(&self.samples[scenario][number], figure)
    }

    /// A row for each contender, a column for each scenario.
    fn matrix(&self, cell: impl Fn(usize, usize) -> String) -> String {
        let rows: Vec<Vec<String>> = (0..self.contenders.len())
            .map(|number| {
                let cells = (0..SCENARIOS.len()).map(|scenario| {
                    let noisy = is_noisy(&self.samples[scenario][number]);
                    let mark = if noisy { " ~" } else { "" };
                    format!("{}{mark}", cell(scenario, number))
                });
                let name = self.contenders[number].name.clone();
                core::iter::once(name).chain(cells).collect()
            })
            .collect();
        let names = SCENARIOS.map(|(name, ..)| name);
        table(&[&["server"], &names[..]].concat(), &rows)
    }

    fn markdown(&self, pace: &str) -> String {
        let legend: String = SCENARIOS
            .iter()
            .map(|(name, what, _)| format!("- {name}: {what}\n"))
            .collect();
        let of = |which: fn(&Sample) -> f64| self.matrix(|s, n| figure(self.spread(s, n, which)));
        format!(
            "{legend}\nMessages are of 64 bytes unless said. {pace}\n\nThe server's CPU for each message, beside that of the {} in \
             the same round: median (least–greatest).\n\n{}\n{}\nThe same in microseconds, medians.\n\n{}\nThe latency that 1 \
             message in 100 exceeds, in microseconds, medians.\n\n{}\nMessages a second, in thousands, medians.\n\n{}",
            self.contenders[0].name,
            self.matrix(|s, n| ratio(self.ratio(s, n))),
            self.ahead(),
            of(|sample| sample.cpu),
            of(|sample| sample.p99),
            of(|sample| sample.rate / 1000.0),
        )
    }

    /// Where another contender needs less than our default.
    fn ahead(&self) -> String {
        let Some(ours) = self.contenders.iter().position(|one| one.name == DEFAULT) else {
            return String::new();
        };
        let median = |scenario, number| Some(self.ratio(scenario, number)?.median);
        let lines = SCENARIOS.iter().enumerate().filter_map(|(scenario, of)| {
            let own = median(scenario, ours)?;
            let ahead = self
                .contenders
                .iter()
                .enumerate()
                .filter_map(|(number, one)| {
                    let theirs = median(scenario, number).filter(|&theirs| theirs < own)?;
                    // The last one is the base again.
                    let other = one.kind == Kind::Peer && number + 1 < self.contenders.len();
                    other.then(|| format!("{} {theirs:.2}", one.name))
                });
            let ahead: Vec<String> = ahead.collect();
            let some = !ahead.is_empty();
            some.then(|| format!("- {}: {} (ours {own:.2})\n", of.0, ahead.join(", ")))
        });
        let lines: String = lines.collect();
        if lines.is_empty() {
            return format!("No contender needs less than {DEFAULT} in any scenario.\n");
        }
        format!("Contenders that need less than {DEFAULT}, by the medians:\n\n{lines}")
    }

    fn picture_of_cpu(&self) -> Result<String, String> {
        let base = &self.contenders[0].name;
        let title = format!("CPU for each message, as a multiple of the {base} in the same round");
        let labels = Labels {
            title: &title,
            x: "scenario",
            y: "times the base (less is better)",
        };
        self.picture(&labels, |scenario, number| self.ratio(scenario, number))
    }

    fn picture_of_p99(&self) -> Result<String, String> {
        let labels = Labels {
            title: "The latency that 1 message in 100 exceeds",
            x: "scenario",
            y: "µs (less is better)",
        };
        self.picture(&labels, |scenario, number| {
            self.spread(scenario, number, |sample| sample.p99)
        })
    }

    fn picture(
        &self,
        labels: &Labels<'_>,
        value: impl Fn(usize, usize) -> Option<Spread>,
    ) -> Result<String, String> {
        let names = SCENARIOS.map(|(name, ..)| name.to_owned());
        let numbered = self.contenders.iter().enumerate();
        let series: Vec<Series<Option<Spread>>> = numbered
            .map(|(number, one)| {
                let values = (0..SCENARIOS.len()).map(|scenario| value(scenario, number));
                (one.name.clone(), values.collect())
            })
            .collect();
        dots(labels, &names, &series)
    }
}
