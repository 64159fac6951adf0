//! Signals, taken by a thread of their own: so that none kills the process that should not. Needs feature `std`.
//!
//! ```no_run
//! # use static_cell::ConstStaticCell;
//! use tidegate::signals::{self, Signal};
//! # use tidegate::{Config, Handler, Memory, Server};
//!
//! # struct Discard;
//! # impl Handler for Discard {
//! #     type State = ();
//! # }
//! # static MEMORY: ConstStaticCell<Memory<64, 1024, 4096>> = ConstStaticCell::new(Memory::new());
//! let mut server = Server::new(MEMORY.take(), &Config::default(), Discard)?;
//! let stop = server.stop_handle()?;
//! signals::watch(move |signal| match signal {
//!     Signal::Stop => stop.stop(),
//!     // Open logs and certificates again: a `Mailbox` or a flag and a `Waker` tell the handler.
//!     Signal::Reload => stop.wake(),
//!     Signal::User1 | Signal::User2 => {}
//! })?;
//! server.run()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

extern crate alloc;

use crate::stop::StopHandle;
use alloc::sync::Arc;
use core::sync::atomic::AtomicBool;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use std::sync::Barrier;
use std::{io, thread};

/// The requested operation. Each of these signals would kill the process, without a drain and with its socket files
/// left behind, if it were not taken (`signal(7)`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM or SIGINT: end. [`StopHandle::stop`](crate::StopHandle::stop) drains at the first and ends at the second.
    Stop,
    /// SIGHUP: reload of a service manager, logrotate, a terminal that was closed. Open again what can be opened again, and go
    /// on.
    Reload,
    /// SIGUSR1: the program's own.
    User1,
    /// SIGUSR2: the program's own.
    User2,
}

/// Stops a server for SIGTERM and SIGINT, and ignores the other signals of [`watch`]: all that a server needs which has
/// nothing to open again.
///
/// # Errors
///
/// As [`watch`].
pub fn stop_on(stop: StopHandle) -> io::Result<()> {
    watch(move |signal| match signal {
        Signal::Stop => stop.stop(),
        Signal::Reload | Signal::User1 | Signal::User2 => {}
    })
}

/// Takes SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 from now on, for the whole process, and calls `act` for each in a thread
/// of its own. Signals of one kind that come together are one. The thread has a stack of 64 KiB; what it allocates for
/// itself is allocated when this returns.
///
/// SIGXFSZ does not kill any more either: a write to a file that is as large as it may be (`RLIMIT_FSIZE`) fails with `EFBIG`.
///
/// Call it as early as possible: a signal before it kills the process. It may be called several times; each returned
/// value receives every signal after its call. A signal between two calls reaches the first one alone: the call that
/// stops the server for SIGTERM has to be made before the server announces that it serves.
///
/// # Errors
///
/// No thread or no descriptor is to be had.
pub fn watch(mut act: impl FnMut(Signal) + Send + 'static) -> io::Result<()> {
    // By default it would kill; what this sets is of no interest.
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2])?;
    let started = Arc::new(Barrier::new(2));
    let here = Arc::clone(&started);
    let watching = move || {
        started.wait();
        drop(started);
        for signal in signals.forever() {
            act(match signal {
                SIGHUP => Signal::Reload,
                SIGUSR1 => Signal::User1,
                SIGUSR2 => Signal::User2,
                _ => Signal::Stop,
            });
        }
    };
    let builder = thread::Builder::new()
        .name("signals".into())
        .stack_size(64 * 1024);
    builder.spawn(watching)?;
    here.wait();
    Ok(())
}
