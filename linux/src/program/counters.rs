//! What the threads have counted, gathered where one of them can print it. Each tells when it is asked, and when it ends.

use super::lines::OUTPUT;
use super::report;
use super::reserved::{AnyServer, THREADS};
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tidegate::Stats;
use tidegate_core::heapless::Vec;

/// What has been counted, by one thread or by all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) stats: Stats,
    pub(crate) repairs: u64,
    /// Of a service that passes lines on.
    pub(crate) undelivered: Option<u64>,
}

impl Counters {
    fn of(server: &AnyServer) -> Self {
        Self {
            stats: server.stats().clone(),
            repairs: server.repairs(),
            undelivered: server.session().handler().service.undelivered(),
        }
    }

    fn with(&self, other: &Self) -> Self {
        Self {
            stats: self.stats.with(&other.stats),
            repairs: self.repairs.saturating_add(other.repairs),
            undelivered: self.undelivered.or(other.undelivered),
        }
    }
}

/// The last that each thread told, by its number.
static TOLD: Mutex<Vec<Counters, THREADS>> = Mutex::new(Vec::new());

/// The threads that run, a bit each.
static RUNNING: AtomicU32 = AtomicU32::new(0);

/// The threads that were asked and have not told.
static ASKED: AtomicU32 = AtomicU32::new(0);

/// There will be so many threads.
pub(crate) fn expect(threads: u32) {
    let mut told = told();
    // There is a place for each.
    let _ = told.resize_default(threads as usize);
    RUNNING.store((1 << threads) - 1, Ordering::Release);
}

/// Asks every thread that runs; each shall be woken then.
pub(crate) fn ask() {
    ASKED.fetch_or(RUNNING.load(Ordering::Acquire), Ordering::Release);
}

/// Whether this thread was asked.
pub(crate) fn is_asked(thread: u32) -> bool {
    ASKED.load(Ordering::Relaxed) & (1 << thread) != 0
}

/// Tells what this thread has counted. The last that was asked prints what all have.
pub(crate) fn tell(thread: u32, server: &AnyServer, up: Duration) {
    let mut told = told();
    if let Some(place) = told.get_mut(thread as usize) {
        *place = Counters::of(server);
    }
    let bit = 1 << thread;
    if ASKED.fetch_and(!bit, Ordering::AcqRel) == bit {
        report::statistics(&OUTPUT, &told, &sum(&told), up);
    }
}

/// Keeps what this thread has counted where others can ask.
pub(crate) fn keep(thread: u32, server: &AnyServer) {
    if let Some(place) = told().get_mut(thread as usize) {
        *place = Counters::of(server);
    }
}

/// The threads that run, a bit each.
pub(crate) fn running() -> u32 {
    RUNNING.load(Ordering::Acquire)
}

/// Tells it for the last time.
pub(crate) fn end(thread: u32, server: &AnyServer, up: Duration) {
    RUNNING.fetch_and(!(1 << thread), Ordering::AcqRel);
    tell(thread, server, up);
}

/// What all have counted, with what the first, which asks, has counted now.
pub(crate) fn with_own(stats: &Stats) -> Counters {
    let told = told();
    let (own, others) = told.split_at(told.len().min(1));
    let own = Counters {
        stats: stats.clone(),
        ..own.first().cloned().unwrap_or_default()
    };
    own.with(&sum(others))
}

/// What all have told.
pub(crate) fn total() -> Counters {
    sum(&told())
}

fn sum(told: &[Counters]) -> Counters {
    told.iter()
        .fold(Counters::default(), |sum, one| sum.with(one))
}

fn told() -> MutexGuard<'static, Vec<Counters, THREADS>> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner)
}
