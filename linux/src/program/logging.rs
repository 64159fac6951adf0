//! Log lines, through a sink that never makes the loop wait.

use super::lines::LOG;
use log::{Level, LevelFilter, Log, Metadata, Record};

/// Starts logging. One line each, `tidegate: warn: …`; the log daemon adds the time.
pub(crate) fn start(level: LevelFilter) {
    // The program has no other logger.
    let _ = log::set_logger(&Lines);
    log::set_max_level(level);
}

/// Gives each record to the sink as a line. What is below the level does not come here.
struct Lines;

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        };
        LOG.line(format_args!("tidegate: {level}: {}", record.args()));
    }

    fn flush(&self) {}
}
