//! A network of its own for one test: addresses and interfaces that no other test has.

use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::process::Command;
use std::thread;

/// Runs `body` in a thread whose sockets, and whose child processes, are in a new network namespace. There is the loopback,
/// up, and whatever the `ip(8)` commands make. Needs root and iproute2.
///
/// # Panics
///
/// If it cannot be made, and as `body` does.
pub fn in_namespace<R: Send>(commands: &[&str], body: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            // SAFETY: descriptors stay shared; nothing but the network namespace of this thread changes.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("a network of its own: be root");
            ip("link set lo up");
            commands.iter().for_each(|command| ip(command));
            body()
        });
        match inside.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Runs one `ip(8)` command in the namespace of this thread.
///
/// # Panics
///
/// If it fails.
pub fn ip(arguments: &str) {
    let ended = Command::new("ip")
        .args(arguments.split_whitespace())
        .output();
    let ended = ended.expect("ip, of iproute2");
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "ip {arguments}: {errors}");
}
