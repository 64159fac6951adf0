//! SIGTERM, SIGINT and SIGUSR1: taken by a thread of their own, passed on to the loop.

use super::Failure;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use std::sync::mpsc;
use std::{io, thread};
use tidegate::StopHandle;

static STATISTICS: AtomicBool = AtomicBool::new(false);
static STOPS: AtomicU32 = AtomicU32::new(0);

/// Watches for signals from now on. The first wish to stop is one for an orderly end, the second for one at once.
pub(crate) fn watch(handle: StopHandle) -> Result<(), Failure> {
    let no = |error: io::Error| Failure::System(format!("cannot watch for signals: {error}"));
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGUSR1]).map_err(no)?;
    let (tell, started) = mpsc::sync_channel(0);
    let watching = move || {
        let _ = tell.send(());
        for signal in signals.forever() {
            if signal == SIGUSR1 {
                STATISTICS.store(true, Ordering::Release);
                handle.wake();
            } else {
                STOPS.fetch_add(1, Ordering::Relaxed);
                handle.stop();
            }
        }
    };
    let builder = thread::Builder::new()
        .name("signals".into())
        .stack_size(64 * 1024);
    builder.spawn(watching).map_err(no)?;
    // What a thread allocates for itself, it does before this; nothing is allocated later.
    let _ = started.recv();
    Ok(())
}

/// Whether the statistics were asked for since this was asked last.
pub(crate) fn statistics_wanted() -> bool {
    STATISTICS.load(Ordering::Relaxed) && STATISTICS.swap(false, Ordering::Acquire)
}

/// Whether somebody wants it to stop.
pub(crate) fn stop_wanted() -> bool {
    STOPS.load(Ordering::Relaxed) > 0
}

/// Whether somebody was not content with an orderly end.
pub(crate) fn in_a_hurry() -> bool {
    STOPS.load(Ordering::Relaxed) > 1
}
