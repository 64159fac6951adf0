//! [`Sink`]: standard output, and the log on standard error or in the system's log, written by threads of their own. No
//! caller waits for a reader: a line that does not fit is dropped and counted.

use super::Failure;
use super::ring::Ring;
use super::syslog::Syslog;
use core::fmt::{self, Write as _};
use core::time::Duration;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::{io, thread};
use tidegate::Backoff;
use tidegate_core::heapless;

/// Standard output.
pub(crate) static OUTPUT: Sink = Sink::new();

/// The log: standard error, unless [`start`] got another output.
pub(crate) static LOG: Sink = Sink::new();

/// The longest line that [`Sink::line`] takes.
const LINE: usize = 512;

/// Bytes that may wait.
pub(crate) const WAITING: usize = 64 * 1024;

/// Bytes written at once: as many as a pipe takes in one piece (`PIPE_BUF`).
const AT_ONCE: usize = 4096;

/// Waits between tries of an output that is not there.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Lines on their way out.
#[derive(Debug)]
pub(crate) struct Sink {
    state: Mutex<State>,
    /// Notified when there is something to write.
    filled: Condvar,
    /// Notified when everything is written.
    emptied: Condvar,
}

#[derive(Debug)]
struct State {
    ring: Ring<WAITING>,
    writer: Writer,
    flushing: bool,
    /// An output that was not there is to be tried again at once.
    reopen: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Writer {
    /// There is none yet.
    None,
    /// It waits.
    Idle,
    /// It writes, or was woken to write.
    Busy,
}

/// Where the log goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum LogTo {
    Stderr,
    /// The system's log, which listens at this path.
    Syslog(String),
}

/// Starts the writers.
pub(crate) fn start(log_to: &LogTo) -> Result<(), Failure> {
    let no = |error| {
        Failure::System(format!(
            "cannot write to standard output and error: {error}"
        ))
    };
    let copy = |stream: io::Result<_>| stream.map(File::from).map_err(no);
    OUTPUT
        .start(copy(io::stdout().as_fd().try_clone_to_owned())?)
        .map_err(no)?;
    let errors = copy(io::stderr().as_fd().try_clone_to_owned())?;
    let started = match log_to {
        LogTo::Stderr => LOG.start(errors),
        LogTo::Syslog(path) => LOG.start(Syslog::open(path, errors).map_err(no)?),
    };
    started.map_err(no)
}

/// Waits until everything is written, for both streams together at most `longest`.
pub(crate) fn flush(longest: Duration) {
    let until = Instant::now() + longest;
    OUTPUT.flush(until);
    LOG.flush(until);
}

/// Tries again at once what was not there when it was tried last (SIGHUP).
pub(crate) fn reopen() {
    LOG.lock().reopen = true;
    LOG.filled.notify_one();
}

/// Writes what is left at the end of a program that may not have come far enough to have writers.
pub(crate) fn end() {
    LOG.write_here(&mut io::stderr());
    flush(Duration::from_secs(1));
}

impl Sink {
    pub(crate) const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                ring: Ring::new(),
                writer: Writer::None,
                flushing: false,
                reopen: false,
            }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        }
    }

    /// Adds one line, made of `arguments` and a line feed. Allocates nothing; waits only for the copy of 4 KiB of
    /// another caller.
    pub(crate) fn line(&self, arguments: fmt::Arguments<'_>) {
        let mut line = heapless::String::<LINE>::new();
        if writeln!(line, "{arguments}").is_ok() {
            self.push(line.as_bytes());
        } else {
            self.lock().ring.drop_lines(1);
        }
    }

    /// Adds a line that ends in a line feed.
    pub(crate) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        state.ring.push(line);
        if state.writer == Writer::Idle {
            state.writer = Writer::Busy;
            drop(state);
            self.filled.notify_one();
        }
    }

    /// How many lines were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().ring.dropped()
    }

    /// Waits until everything is written, at most until `until`; returns whether it is.
    pub(crate) fn flush(&self, until: Instant) -> bool {
        let mut state = self.lock();
        state.flushing = true;
        // The writer may wait for an output that is not there.
        self.filled.notify_one();
        while state.writer == Writer::Busy || !state.ring.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.writer == Writer::None {
                return false;
            }
            let waited = self.emptied.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// Starts the thread that writes to `out`, and waits until it is ready.
    fn start(&'static self, mut out: impl Output + Send + 'static) -> io::Result<()> {
        let builder = thread::Builder::new()
            .name("lines".into())
            .stack_size(64 * 1024);
        builder.spawn(move || self.write_for_ever(&mut out))?;
        let mut state = self.lock();
        while state.writer == Writer::None {
            state.flushing = true;
            state = self
                .emptied
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.flushing = false;
        Ok(())
    }

    fn write_for_ever(&self, out: &mut impl Output) {
        let mut chunk = [0; AT_ONCE];
        let mut state = self.lock();
        loop {
            while state.ring.is_empty() {
                state.writer = Writer::Idle;
                if state.flushing {
                    self.emptied.notify_all();
                }
                state = self
                    .filled
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            state.writer = Writer::Busy;
            let n = state.ring.take(&mut chunk);
            drop(state);
            let mut rest = write_all(out, &chunk[..n]);
            let mut backoff = Backoff::new(SHORTEST, LONGEST);
            while let Rest::Later(bytes) = rest {
                rest = match self.wait_for_output(backoff.next(0)) {
                    true => write_all(out, bytes),
                    false => {
                        out.give_up(bytes);
                        Rest::Lost(line_feeds(bytes))
                    }
                };
            }
            state = self.lock();
            if let Rest::Lost(lines) = rest {
                state.ring.drop_lines(lines);
            }
        }
    }

    /// Waits until an output that is absent is to be retried; returns `false` if there is no time left for that.
    fn wait_for_output(&self, longest: Duration) -> bool {
        let until = Instant::now() + longest;
        let mut state = self.lock();
        while !state.flushing && !state.reopen {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.filled.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.reopen = false;
        !state.flushing
    }

    /// Writes what is queued, if there is no thread for it.
    fn write_here(&self, out: &mut impl Write) {
        let mut chunk = [0; AT_ONCE];
        let mut state = self.lock();
        while state.writer == Writer::None && !state.ring.is_empty() {
            let n = state.ring.take(&mut chunk);
            // It ends with this.
            let _ = write_all(out, &chunk[..n]);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where lines go.
pub(crate) trait Output: Write {
    /// Drops lines, because the output is absent and there is no time to wait for it.
    fn give_up(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }
}

impl Output for File {}

/// What has become of the bytes that were to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rest<'b> {
    /// So many lines of them were lost, often none.
    Lost(u64),
    /// The output is not there yet: these can be tried again.
    Later(&'b [u8]),
}

/// Writes all of `bytes`. An output that another process made non-blocking is retried periodically; one that is not
/// read, or is full, takes nothing now, and may again later.
fn write_all<'b>(out: &mut impl Write, mut bytes: &'b [u8]) -> Rest<'b> {
    while !bytes.is_empty() {
        let error = match out.write(bytes) {
            Ok(n) if n > 0 => {
                bytes = bytes.get(n..).unwrap_or(&[]);
                continue;
            }
            Ok(_) => break,
            Err(error) => error.kind(),
        };
        if error == ErrorKind::NotConnected {
            return Rest::Later(bytes);
        } else if error == ErrorKind::WouldBlock {
            thread::sleep(Duration::from_millis(10));
        } else if error != ErrorKind::Interrupted {
            break;
        }
    }
    Rest::Lost(line_feeds(bytes))
}

fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    impl Output for io::PipeWriter {}

    fn sink() -> &'static Sink {
        Box::leak(Box::new(Sink::new()))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn what_is_said_is_written_in_order() {
        let (mut read, write) = io::pipe().expect("a pipe");
        let sink = sink();
        sink.push(b"before the writer\n");
        sink.start(write).expect("a thread");
        for n in 0..1000 {
            sink.line(format_args!("line {n}"));
        }
        assert!(sink.flush(soon()));
        let mut bytes = [0; 20_000];
        let n = read.read(&mut bytes).expect("bytes");
        let mut said = bytes[..n].split(|&b| b == b'\n');
        assert_eq!(said.next(), Some(b"before the writer".as_slice()));
        for n in 0..1000 {
            assert_eq!(said.next(), Some(format!("line {n}").as_bytes()));
        }
        assert_eq!(sink.dropped(), 0);
    }

    #[test]
    fn an_output_without_a_reader_delays_nothing() {
        let (read, write) = io::pipe().expect("a pipe");
        let sink = sink();
        sink.start(write).expect("a thread");
        let began = Instant::now();
        for _ in 0..100_000 {
            sink.line(format_args!("{:0400}", 0));
        }
        assert!(began.elapsed() < Duration::from_secs(20));
        assert!(
            sink.dropped() > 99_000,
            "a pipe and a ring hold 400 lines or so"
        );
        assert!(!sink.flush(Instant::now() + Duration::from_millis(20)));
        drop(read);
        assert!(sink.flush(soon()), "a closed pipe takes nothing, at once");
        assert!(sink.dropped() > 99_500);
    }

    #[test]
    fn a_closed_output_drops_and_counts() {
        let (read, write) = io::pipe().expect("a pipe");
        drop(read);
        let sink = sink();
        sink.start(write).expect("a thread");
        sink.push(b"one\n");
        assert!(sink.flush(soon()));
        sink.line(format_args!("two\nthree"));
        assert!(sink.flush(soon()));
        assert_eq!(sink.dropped(), 3);
    }

    #[test]
    fn a_line_too_long_is_dropped() {
        let sink = sink();
        sink.line(format_args!("{:0512}", 0));
        assert_eq!(sink.dropped(), 1);
        assert!(sink.flush(soon()), "nothing waits");
    }
}
