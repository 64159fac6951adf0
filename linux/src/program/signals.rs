//! SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2, forwarded to every loop.

use super::reserved::THREADS;
use super::{Failure, counters, lines, recorder};
use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tidegate::StopHandle;
use tidegate::signals::{Signal, watch as watch_for};
use tidegate_core::heapless::Vec;

static STOPS: AtomicU32 = AtomicU32::new(0);

/// How many reloads were requested.
static RELOADS: AtomicU32 = AtomicU32::new(0);

/// The loops.
static LOOPS: Mutex<Vec<StopHandle, THREADS>> = Mutex::new(Vec::new());

/// Watches for signals from now on. The first wish to stop is one for an orderly end, the second for one at once.
pub(crate) fn watch() -> Result<(), Failure> {
    let watched = watch_for(|signal| {
        match signal {
            Signal::User1 => counters::ask(),
            Signal::User2 => recorder::ask(),
            Signal::Reload => {
                RELOADS.fetch_add(1, Ordering::Release);
                lines::reopen();
            }
            Signal::Stop => return want_stop(),
        }
        wake_all();
    });
    watched.map_err(|error| Failure::System(format!("cannot watch for signals: {error}")))
}

/// How many reloads were requested so far (SIGHUP).
pub(crate) fn reloads() -> u32 {
    RELOADS.load(Ordering::Acquire)
}

/// Passes signals on to this loop, too; those that came already are for it as well.
pub(crate) fn reach(handle: StopHandle) {
    let mut loops = loops();
    for _ in 0..STOPS.load(Ordering::Relaxed).min(2) {
        handle.stop();
    }
    // There is an entry for each.
    let _ = loops.push(handle);
}

/// Does what a signal to stop does.
pub(crate) fn want_stop() {
    let loops = loops();
    STOPS.fetch_add(1, Ordering::Relaxed);
    loops.iter().for_each(StopHandle::stop);
}

/// Stops every loop, as a first signal does.
pub(crate) fn stop_all() {
    loops().iter().for_each(StopHandle::stop);
}

/// Ends the present wait of every loop.
pub(crate) fn wake_all() {
    loops().iter().for_each(StopHandle::wake);
}

/// Whether a stop was requested.
pub(crate) fn stop_wanted() -> bool {
    STOPS.load(Ordering::Relaxed) > 0
}

/// Whether a second signal requested an immediate stop.
pub(crate) fn in_a_hurry() -> bool {
    STOPS.load(Ordering::Relaxed) > 1
}

fn loops() -> MutexGuard<'static, Vec<StopHandle, THREADS>> {
    LOOPS.lock().unwrap_or_else(PoisonError::into_inner)
}
