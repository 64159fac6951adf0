//! Log lines to standard error, through a sink that never makes the loop wait.

use super::lines::LOG;
use env_logger::{Builder, Target};
use log::LevelFilter;
use std::io::{self, Write};

/// Starts logging. One line each, `tidegate: warn: …`; whoever keeps the log knows the time.
pub(crate) fn start(level: LevelFilter) {
    let mut builder = Builder::new();
    builder
        .filter_level(level)
        .target(Target::Pipe(Box::new(ToLog)));
    builder.format(|line, record| {
        if record.target() == PRIMER {
            writeln!(line, "{:LONGEST$}", "")?;
            return Err(io::ErrorKind::Other.into());
        }
        let level = match record.level() {
            log::Level::Error => "error",
            log::Level::Warn => "warn",
            log::Level::Info => "info",
            log::Level::Debug => "debug",
            log::Level::Trace => "trace",
        };
        writeln!(line, "tidegate: {level}: {}", record.args())
    });
    // There is no other logger in this program.
    let _ = builder.try_init();
    log::error!(target: PRIMER, "");
}

/// The target of a record that is formatted and not written: a thread's first record makes the buffer for all others,
/// and the loop shall not allocate.
const PRIMER: &str = "primer";

/// Bytes of the longest record of this thread, by a wide margin.
const LONGEST: usize = 1024;

/// Gives each record, which comes in one piece, to the sink.
struct ToLog;

impl Write for ToLog {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        LOG.push(record);
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
