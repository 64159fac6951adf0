//! When things are counted, and what is.

use super::usage::{busy, cpu_of, cpu_of_us};
use super::{Plan, Progress, Report};
use core::time::Duration;
use hdrhistogram::Histogram;
use rustix::process::Pid;
use std::time::Instant;

/// The period of progress reports.
const REPORT_PERIOD: Duration = Duration::from_millis(100);

/// The longest latency that is recorded, in nanoseconds; longer ones count as that.
const MINUTE: u64 = 60_000_000_000;

/// The warm-up, then the window.
pub(super) struct Window<'p> {
    plan: &'p Plan,
    progress: &'p mut dyn FnMut(Progress),
    began: Instant,
    reported: Instant,
    at_start: Option<Reading>,
    latency: Histogram<u64>,
    /// Bytes that came back other than they were sent, ever.
    pub(super) wrong: u64,
    /// Connections that ended or failed without our doing, ever.
    pub(super) lost: u64,
}

/// All clocks at one time.
#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    server: Option<Duration>,
    ours: Duration,
    busy: Duration,
}

impl Reading {
    fn now(server: Option<Pid>) -> Self {
        Self {
            at: Instant::now(),
            server: server.and_then(cpu_of),
            ours: cpu_of_us(),
            busy: busy(),
        }
    }
}

impl<'p> Window<'p> {
    pub(super) fn new(plan: &'p Plan, progress: &'p mut dyn FnMut(Progress)) -> Self {
        let now = Instant::now();
        Self {
            plan,
            progress,
            began: now,
            reported: now,
            at_start: None,
            latency: Histogram::new_with_bounds(1, MINUTE, 3).expect("3 digits of a minute"),
            wrong: 0,
            lost: 0,
        }
    }

    /// Counts a message that took so long.
    pub(super) fn count(&mut self, latency: Duration) {
        if self.at_start.is_some() {
            self.latency
                .saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// Whether it goes on.
    pub(super) fn is_open(&mut self, now: Instant) -> bool {
        let elapsed = now.duration_since(self.began);
        if now.duration_since(self.reported) >= REPORT_PERIOD {
            self.reported = now;
            (self.progress)(Progress::Elapsed(elapsed));
        }
        match self.at_start {
            None if elapsed >= self.plan.warm_up => {
                self.at_start = Some(Reading::now(self.plan.server));
                true
            }
            None => true,
            Some(start) => now.duration_since(start.at) < self.plan.window,
        }
    }

    /// The results; `answered` of the active connections had a reply.
    pub(super) fn close(self, answered: u32) -> Report {
        let end = Reading::now(self.plan.server);
        let start = self.at_start.unwrap_or(end);
        let seconds = end.at.duration_since(start.at).as_secs_f64();
        let used = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64();
        let server = match (start.server, end.server) {
            (Some(from), Some(to)) => Some(used(from, to)),
            _ => None,
        };
        let known = server.unwrap_or(0.0) + used(start.ours, end.ours);
        let foreign = server.map(|_| (used(start.busy, end.busy) - known).max(0.0) / seconds);
        Report {
            traffic: self.plan.traffic,
            messages: self.latency.len(),
            seconds,
            latency: self.latency,
            wrong: self.wrong,
            lost: self.lost,
            answered,
            server_cpu: server,
            our_cpu: used(start.ours, end.ours),
            foreign,
            bulk_rate: None,
            ahead: None,
        }
    }
}
