//! [`Pulse`]: what a loop shows to the outside from time to time, and until when it may sleep because of that.

use super::counters;
use super::manager::Manager;
use super::reserved::AnyServer;
use super::signals;
use core::time::Duration;
use std::time::Instant;
use tidegate::{Backoff, Round};

/// Counts are told once in this time at most.
const TELLING: Duration = Duration::from_secs(1);

/// Waits between tries to tell a manager that could not be told.
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
    /// What was told last, and when; whether there is something else to tell.
    told: Counts,
    told_at: Instant,
    news: bool,
    /// A manager that could not be told that we serve: when to try again. In the first thread only.
    retry: Option<Instant>,
    backoff: Backoff,
    /// How often it was asked so far to open everything again.
    reloads: u32,
}

/// The counts that are worth telling when they change; bytes always do.
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
            told: Counts::of(server),
            told_at: now,
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
        let tell = self.news.then(|| self.told_at + TELLING);
        let next = [self.show, tell, self.retry].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// After each turn.
    pub(crate) fn beat(&mut self, server: &AnyServer) {
        let now = Instant::now();
        self.show_life(server, now);
        self.reload(now);
        let counts = Counts::of(server);
        self.news = counts != self.told;
        let stopping = counts.stopping && !self.told.stopping;
        if self.news && (stopping || now >= self.told_at + TELLING) {
            (self.told, self.told_at, self.news) = (counts, now, false);
            counters::keep(self.thread, server);
            if let Some(manager) = self.manager {
                manager.status(&counters::total(), self.connections, counts.stopping);
            }
        }
    }

    /// Tells a manager that could not be told so far that we serve; and one that knows, that SIGHUP was obeyed.
    fn reload(&mut self, now: Instant) {
        let Some(manager) = self.manager.filter(|_| self.thread == 0) else {
            return;
        };
        let reloads = signals::reloads();
        let asked = core::mem::replace(&mut self.reloads, reloads) != reloads;
        match self.retry {
            Some(due) if asked || now >= due => {
                let told = manager.try_again(&counters::total(), self.connections);
                self.retry = told.is_err().then(|| now + self.backoff.next(0));
            }
            None if asked => manager.reloaded(),
            Some(_) | None => {}
        }
    }

    /// Shows that this thread lives, when it is time, if everybody who waited when it last did has been served.
    fn show_life(&mut self, server: &AnyServer, now: Instant) {
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
