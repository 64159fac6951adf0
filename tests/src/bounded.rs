//! Waiting that ends.

use crate::process;
use core::time::Duration;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

/// How long anything may take that should happen at once. A machine under load is slow; nothing here is measured by it.
pub const SOON: Duration = Duration::from_secs(10);

/// Waits until `condition` holds; panics with `what` if it does not soon.
///
/// # Panics
///
/// After [`SOON`].
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < SOON, "not within {SOON:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Ends the whole process if a test hangs where no timeout can reach it. Dropped, it is content.
#[derive(Debug)]
pub struct Watchdog {
    _content: Sender<()>,
}

impl Watchdog {
    /// Watches from now on, for a minute, and another one as long as a program that the test needs is being built.
    #[must_use]
    pub fn new() -> Self {
        let name = thread::current().name().unwrap_or("a test").to_owned();
        let (content, hears) = channel::<()>();
        thread::spawn(move || {
            let minute = Duration::from_secs(60);
            while hears.recv_timeout(minute) == Err(RecvTimeoutError::Timeout) {
                if process::builds() {
                    continue;
                }
                eprintln!("{name} hangs: killed by its watchdog");
                process::kill_all();
                std::process::abort();
            }
        });
        Self { _content: content }
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Self::new()
    }
}
