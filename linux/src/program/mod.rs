//! The program from its arguments to its exit code.

mod arguments;
#[cfg(not(debug_assertions))]
mod backtrace;
mod commands;
mod control;
mod counters;
mod descriptors;
mod endpoints;
mod handlers;
mod heads;
mod help;
mod inherited;
mod lines;
mod listening;
mod logging;
mod manager;
mod memory_table;
mod metrics;
mod page;
mod privileges;
mod pulse;
mod recorder;
mod recording;
mod report;
mod reserved;
mod ring;
mod services;
mod serving;
mod signals;
mod syslog;
mod values;

use arguments::Command;
use core::fmt;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Runs the program; returns its exit code.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match arguments::parse(arguments).and_then(obey) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            lines::LOG.push(format!("tidegate: {failure}\n").as_bytes());
            lines::end();
            failure.code()
        }
    }
}

fn obey(command: Command) -> Result<(), Failure> {
    match command {
        Command::Help => say(&help::text()),
        Command::Version => say(&format!("tidegate {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Memory(options) => say(&memory_table::text(&options)?),
        Command::Serve(options) => return serving::serve(&options),
    }
    Ok(())
}

/// Writes a reply to standard output. An error is ignored: there is nowhere to report it.
fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes());
    let _ = output.flush();
}

/// Why the program gives up: one line, with the value and what would be right.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// The command line is wrong for this program, on any machine. Exit code 2.
    Usage(String),
    /// The system does not let it. Exit code 1.
    System(String),
}

impl Failure {
    fn code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::System(_) => ExitCode::from(1),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::System(text) => f.write_str(text),
        }
    }
}
