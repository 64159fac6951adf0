//! [`Pulse`]: what a loop shows to the outside from time to time, and until when it may sleep because of that.

use super::counters;
use super::manager::Manager;
use super::reserved::AnyServer;
use super::signals;
use core::time::Duration;
use std::time::Instant;
use tidegate::{Backoff, Round};

/// Counts are sent once per this time at most.
const STATUS_PERIOD: Duration = Duration::from_secs(1);

/// The pauses between tries to notify a manager of readiness.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Of one thread.
#[derive(Debug)]
pub(crate) struct Pulse<'m> {
    thread: u32,
    manager: Option<&'m Manager>,
    /// In all threads.
    connections: u32,
    /// Since it last showed that it lives, and when it shall do so again.
    round: Round,
    show: Option<Instant>,
    /// The counts that were sent last, and when; whether there are newer ones.
    sent: Counts,
    sent_at: Instant,
    news: bool,
    /// A manager that could not be notified of readiness: when to retry. In the first thread only.
    retry: Option<Instant>,
    backoff: Backoff,
    /// How many reloads were requested so far.
    reloads: u32,
}

/// The counts whose changes are sent; bytes always are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Counts {
    open: u32,
    accepted: u64,
    refused: u64,
    repairs: u64,
    undelivered: Option<u64>,
    stopping: bool,
}

impl Counts {
    fn of(server: &AnyServer) -> Self {
        let stats = server.stats();
        Self {
            open: stats.open,
            accepted: stats.accepted,
            refused: stats.refused(),
            repairs: server.repairs(),
            undelivered: server.session().handler().service.undelivered(),
            stopping: signals::stop_wanted(),
        }
    }
}

impl<'m> Pulse<'m> {
    /// The pulse of a thread that begins to serve.
    pub(crate) fn new(
        thread: u32,
        server: &AnyServer,
        manager: Option<&'m Manager>,
        connections: u32,
    ) -> Self {
        let now = Instant::now();
        counters::keep(thread, server);
        Self {
            thread,
            manager,
            connections,
            round: server.session().machine().round(),
            show: manager.and_then(Manager::watchdog).map(|_| now),
            sent: Counts::of(server),
            sent_at: now,
            news: false,
            retry: manager
                .filter(|manager| thread == 0 && !manager.knows())
                .map(|_| now),
            backoff: Backoff::new(SHORTEST, LONGEST),
            reloads: 0,
        }
    }

    /// The longest that the loop may sleep.
    pub(crate) fn longest(&self) -> Option<Duration> {
        let status = self.news.then(|| self.sent_at + STATUS_PERIOD);
        let next = [self.show, status, self.retry]
            .into_iter()
            .flatten()
            .min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// After each iteration.
    pub(crate) fn iterated(&mut self, server: &AnyServer) {
        let now = Instant::now();
        self.show_alive(server, now);
        self.reload(now);
        let counts = Counts::of(server);
        self.news = counts != self.sent;
        let stopping = counts.stopping && !self.sent.stopping;
        if self.news && (stopping || now >= self.sent_at + STATUS_PERIOD) {
            (self.sent, self.sent_at, self.news) = (counts, now, false);
            counters::keep(self.thread, server);
            if let Some(manager) = self.manager {
                manager.status(&counters::total(), self.connections, counts.stopping);
            }
        }
    }

    /// Retries the readiness message; if it was sent, reports that SIGHUP was handled.
    fn reload(&mut self, now: Instant) {
        let Some(manager) = self.manager.filter(|_| self.thread == 0) else {
            return;
        };
        let reloads = signals::reloads();
        let asked = core::mem::replace(&mut self.reloads, reloads) != reloads;
        match self.retry {
            Some(due) if asked || now >= due => {
                let sent = manager.try_again(&counters::total(), self.connections);
                self.retry = sent.is_err().then(|| now + self.backoff.next(0));
            }
            None if asked => manager.reloaded(),
            Some(_) | None => {}
        }
    }

    /// Reports that this thread is alive, when it is due, if all sources that waited at the last time have been
    /// serviced.
    fn show_alive(&mut self, server: &AnyServer, now: Instant) {
        let machine = server.session().machine();
        let (Some(manager), Some(show)) = (self.manager, self.show) else {
            return;
        };
        if now >= show && machine.is_round_over(self.round) {
            manager.lives(self.thread, counters::running());
            self.round = machine.round();
            self.show = manager.watchdog().map(|interval| now + interval);
        }
    }
}
