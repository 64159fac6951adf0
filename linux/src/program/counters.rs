//! The counters of all threads, gathered where one of them can print them. Each thread publishes its own on request,
//! and when it ends.

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

/// The last counters of each thread, by its number.
static PUBLISHED: Mutex<Vec<Counters, THREADS>> = Mutex::new(Vec::new());

/// The threads that run, a bit each.
static RUNNING: AtomicU32 = AtomicU32::new(0);

/// The threads whose counters were requested and are not published yet.
static ASKED: AtomicU32 = AtomicU32::new(0);

/// There will be so many threads.
pub(crate) fn expect(threads: u32) {
    let mut published = published();
    // There is an entry for each.
    let _ = published.resize_default(threads as usize);
    RUNNING.store((1 << threads) - 1, Ordering::Release);
}

/// Requests the counters of every running thread; each shall be woken then.
pub(crate) fn ask() {
    ASKED.fetch_or(RUNNING.load(Ordering::Acquire), Ordering::Release);
}

/// Whether this thread's counters were requested.
pub(crate) fn is_asked(thread: u32) -> bool {
    ASKED.load(Ordering::Relaxed) & (1 << thread) != 0
}

/// Publishes the counters of this thread. The last one prints the total.
pub(crate) fn publish(thread: u32, server: &AnyServer, up: Duration) {
    let mut published = published();
    if let Some(entry) = published.get_mut(thread as usize) {
        *entry = Counters::of(server);
    }
    let bit = 1 << thread;
    if ASKED.fetch_and(!bit, Ordering::AcqRel) == bit {
        report::statistics(&OUTPUT, &published, &sum(&published), up);
    }
}

/// Stores this thread's counters where others can read them.
pub(crate) fn keep(thread: u32, server: &AnyServer) {
    if let Some(entry) = published().get_mut(thread as usize) {
        *entry = Counters::of(server);
    }
}

/// The threads that run, a bit each.
pub(crate) fn running() -> u32 {
    RUNNING.load(Ordering::Acquire)
}

/// Publishes them for the last time.
pub(crate) fn end(thread: u32, server: &AnyServer, up: Duration) {
    RUNNING.fetch_and(!(1 << thread), Ordering::AcqRel);
    publish(thread, server, up);
}

/// What all have counted, with the current counters of the first thread, which calls this.
pub(crate) fn with_own(stats: &Stats) -> Counters {
    let published = published();
    let (own, others) = published.split_at(published.len().min(1));
    let own = Counters {
        stats: stats.clone(),
        ..own.first().cloned().unwrap_or_default()
    };
    own.with(&sum(others))
}

/// The sum of what all have published.
pub(crate) fn total() -> Counters {
    sum(&published())
}

fn sum(published: &[Counters]) -> Counters {
    published
        .iter()
        .fold(Counters::default(), |sum, one| sum.with(one))
}

fn published() -> MutexGuard<'static, Vec<Counters, THREADS>> {
    PUBLISHED.lock().unwrap_or_else(PoisonError::into_inner)
}
