//! SIGTERM, SIGINT, SIGUSR1 and SIGUSR2: taken by a thread of their own, passed on to every loop.

use super::reserved::THREADS;
use super::{Failure, counters, recorder};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::{io, thread};
use tidegate::StopHandle;
use tidegate_core::heapless::Vec;

static STOPS: AtomicU32 = AtomicU32::new(0);

/// Where the thread and who starts it meet.
static STARTED: Barrier = Barrier::new(2);

/// The loops.
static LOOPS: Mutex<Vec<StopHandle, THREADS>> = Mutex::new(Vec::new());

/// Watches for signals from now on. The first wish to stop is one for an orderly end, the second for one at once.
pub(crate) fn watch() -> Result<(), Failure> {
    let no = |error: io::Error| Failure::System(format!("cannot watch for signals: {error}"));
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGUSR1, SIGUSR2]).map_err(no)?;
    let watching = move || {
        STARTED.wait();
        for signal in signals.forever() {
            match signal {
                SIGUSR1 => counters::ask(),
                SIGUSR2 => recorder::ask(),
                _ => {
                    want_stop();
                    continue;
                }
            }
            loops().iter().for_each(StopHandle::wake);
        }
    };
    let builder = thread::Builder::new()
        .name("signals".into())
        .stack_size(64 * 1024);
    builder.spawn(watching).map_err(no)?;
    // What a thread allocates for itself, it does before this; nothing is allocated later.
    STARTED.wait();
    Ok(())
}

/// Has a write to a file that is as large as it may be (`RLIMIT_FSIZE`) fail with `EFBIG`; by default SIGXFSZ would kill.
pub(crate) fn survive_full_files() -> Result<(), Failure> {
    let ignored = Arc::new(AtomicBool::new(false));
    let registered = flag::register(SIGXFSZ, ignored);
    registered.map_err(|error| Failure::System(format!("cannot watch for signals: {error}")))?;
    Ok(())
}

/// Passes signals on to this loop, too; those that came already are for it as well.
pub(crate) fn reach(handle: StopHandle) {
    let mut loops = loops();
    for _ in 0..STOPS.load(Ordering::Relaxed).min(2) {
        handle.stop();
    }
    // There is a place for each.
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

/// Whether somebody wants it to stop.
pub(crate) fn stop_wanted() -> bool {
    STOPS.load(Ordering::Relaxed) > 0
}

/// Whether somebody was not content with an orderly end.
pub(crate) fn in_a_hurry() -> bool {
    STOPS.load(Ordering::Relaxed) > 1
}

fn loops() -> MutexGuard<'static, Vec<StopHandle, THREADS>> {
    LOOPS.lock().unwrap_or_else(PoisonError::into_inner)
}
