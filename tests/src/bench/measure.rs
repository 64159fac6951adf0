//! Loads a contender, again and again, in rounds.

use super::contenders::{self, Contender};
use super::statistics::{Spread, order};
use super::surroundings;
use crate::load::{self, Plan, Report, Traffic};
use core::time::Duration;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Instant;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Whether it is only to be seen that everything works.
    pub quick: bool,
    /// Rounds of each scenario, of the sweep, and of fairness.
    pub rounds: [usize; 3],
    /// How long one load counts.
    pub window: Duration,
    /// And how long it runs before.
    pub warm_up: Duration,
    /// After so long in each of those, loads that others disturbed are not done again, and no other round begins.
    pub limits: [Duration; 3],
}

impl Effort {
    /// Everything once, briefly: to see that it works.
    pub const QUICK: Self = Self {
        quick: true,
        rounds: [1, 1, 1],
        window: Duration::from_millis(60),
        warm_up: Duration::from_millis(20),
        limits: [Duration::ZERO; 3],
    };

    /// At most twelve minutes.
    pub const FULL: Self = Self {
        quick: false,
        rounds: [5, 3, 3],
        window: Duration::from_millis(400),
        warm_up: Duration::from_millis(100),
        limits: [
            Duration::from_secs(240),
            Duration::from_secs(120),
            Duration::from_secs(40),
        ],
    };
}

/// The result of one load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Microseconds of the server's CPU for each message.
    pub(super) cpu: f64,
    /// Messages a second; with bulk clients, theirs.
    pub(super) rate: f64,
    /// Microseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Active connections that got a reply.
    pub(super) answered: u32,
    noisy: bool,
}

/// The results of one contender: a sample or nothing for each round.
pub(super) type Samples = Vec<Option<Sample>>;

/// The contenders, and the warnings to print.
#[derive(Debug)]
pub struct Bench {
    pub(super) effort: Effort,
    pub(super) contenders: Vec<Contender>,
    /// Why some do not take part.
    pub left_out: Vec<String>,
    /// What went wrong, of peers.
    pub complaints: Vec<String>,
    /// What went wrong, of our own program.
    pub failures: Vec<String>,
    /// Loads, and those of them during which others worked.
    pub loads: (usize, usize),
    /// Whether the small client of fairness could always go ahead of the others.
    pub(super) ahead: bool,
    cpus: Option<(usize, usize)>,
    /// When no other round of this part shall begin.
    until: Instant,
    bar: ProgressBar,
}

impl Bench {
    /// Builds and tries all contenders, and pins this thread where there are two CPUs.
    #[must_use]
    pub fn new(effort: Effort) -> Self {
        let (contenders, left_out) = contenders::all();
        let cpus = surroundings::two_cpus();
        if let Some((_, ours)) = cpus {
            // Where it is refused, figures are less steady.
            let _ = surroundings::pin(ours);
        }
        let style = ProgressStyle::with_template("{prefix:12} {wide_bar} {pos}/{len} {msg}");
        let bar = ProgressBar::new(0);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self {
            effort,
            contenders,
            left_out,
            complaints: Vec::new(),
            failures: Vec::new(),
            loads: (0, 0),
            ahead: true,
            cpus,
            until: Instant::now(),
            bar,
        }
    }

    /// The CPU of the servers.
    pub(super) fn server_cpu(&self) -> Option<usize> {
        self.cpus.map(|(server, _)| server)
    }

    /// Those that are wanted, the base of all ratios first.
    pub(super) fn some(&self, wanted: impl Fn(&Contender) -> bool) -> Vec<Contender> {
        self.contenders
            .iter()
            .filter(|one| wanted(one))
            .cloned()
            .collect()
    }

    /// A new part begins, which has so much time for rounds.
    pub(super) fn begin(&mut self, part: &'static str, steps: usize, limit: Duration) {
        self.until = Instant::now() + limit;
        self.bar.set_prefix(part);
        self.bar.set_position(0);
        self.bar.set_length(steps as u64);
    }

    pub(super) fn step(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        self.bar.inc(1);
    }

    /// Records a contender's failure.
    pub(super) fn complain(&mut self, of: &Contender, why: &str) {
        let line = format!("{}: {why}", of.name);
        match of.kind {
            contenders::Kind::Ours { .. } => self.failures.push(line),
            // Where it is only to be seen that everything works, all of it must.
            _ if self.effort.quick => self.failures.push(line),
            contenders::Kind::Peer | contenders::Kind::Blocking => self.complaints.push(line),
        }
    }

    /// The tables' note on how they were measured.
    pub(super) fn pace(&self, rounds: usize) -> String {
        let seconds = self.effort.window.as_secs_f64();
        format!(
            "Rounds: at most {rounds}, of {seconds} s each. `~`: in most of them others worked on the machine."
        )
    }

    /// Starts it, loads it, stops it; once more if others disturbed it and there is time.
    fn load(&mut self, contender: &Contender, traffic: Traffic) -> Option<Sample> {
        let mut best = self.load_once(contender, traffic)?;
        if best.is_noisy() && self.has_time() {
            let other = self.load_once(contender, traffic)?;
            if other.foreign < best.foreign {
                best = other;
            }
        }
        self.ahead &= best.ahead != Some(false);
        self.loads.0 += 1;
        self.loads.1 += usize::from(best.is_noisy());
        Some(Sample {
            cpu: best.cpu_per_message()?,
            rate: best.bulk_rate.unwrap_or(best.rate()),
            p50: best.micros(0.5),
            p99: best.micros(0.99),
            answered: best.answered,
            noisy: best.is_noisy(),
        })
    }

    fn load_once(&mut self, contender: &Contender, traffic: Traffic) -> Option<Report> {
        let (process, address) = contender.start(self.server_cpu());
        let core::net::SocketAddr::V4(address) = address else {
            unreachable!("an IPv4 address was asked for");
        };
        let plan = Plan {
            address,
            traffic,
            warm_up: self.effort.warm_up,
            window: self.effort.window,
            server: Some(process.pid()),
            sources: if matches!(traffic, Traffic::Churn { .. }) {
                200
            } else {
                0
            },
        };
        let report = load::run(&plan, &mut |_| {});
        drop(process);
        match report.map_err(|error| error.to_string()) {
            Ok(report) => match report.judge() {
                Ok(()) => Some(report),
                Err(why) => {
                    self.complain(contender, &format!("{traffic:?}: {why}"));
                    None
                }
            },
            Err(why) => {
                self.complain(contender, &format!("{traffic:?}: {why}"));
                None
            }
        }
    }

    /// Each of the loads, which are a contender and its options, round after round; returns samples by load and
    /// contender.
    pub(super) fn rounds(
        &mut self,
        loads: &[(Vec<Contender>, Traffic)],
        rounds: usize,
    ) -> Vec<Vec<Samples>> {
        let mut samples: Vec<Vec<Samples>> = loads
            .iter()
            .map(|(contenders, _)| vec![Vec::new(); contenders.len()])
            .collect();
        for round in 0..rounds {
            if round > 0 && !self.has_time() {
                break;
            }
            for ((contenders, traffic), samples) in loads.iter().zip(&mut samples) {
                for index in order(round, contenders.len()) {
                    samples[index].push(self.load(&contenders[index], *traffic));
                    self.step(&contenders[index].name);
                }
            }
        }
        samples
    }

    fn has_time(&self) -> bool {
        Instant::now() < self.until
    }

    /// No more parts.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// One figure of each round.
pub(super) fn each(samples: &Samples, figure: impl Fn(&Sample) -> f64) -> Vec<Option<f64>> {
    samples
        .iter()
        .map(|sample| sample.as_ref().map(&figure))
        .collect()
}

/// One figure, over the rounds.
pub(super) fn spread(samples: &Samples, figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
    Spread::of(each(samples, figure).into_iter().flatten())
}

/// Whether others worked in most of the rounds.
pub(super) fn is_noisy(samples: &Samples) -> bool {
    let noisy = samples
        .iter()
        .flatten()
        .filter(|sample| sample.noisy)
        .count();
    2 * noisy > samples.len()
}

/// Results of a part.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name: that of its markers.
    pub name: &'static str,
    /// Tables.
    pub markdown: String,
    /// Names and contents of pictures.
    pub pictures: Vec<(&'static str, String)>,
}
