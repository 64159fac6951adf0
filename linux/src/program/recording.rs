//! `--record`: everything that goes in and comes out, into a file that can be replayed. The loop puts entries into a
//! ring without waiting; a thread writes them. An entry that does not fit the ring, or a disk that is full for a while,
//! is dropped and counted, there and in the file.

use super::Failure;
use super::arguments::number;
use super::ring::Ring;
use core::convert::Infallible;
use core::ops::ControlFlow;
use core::time::Duration;
use rustix::fs::OFlags;
use rustix::io::{Errno, ioctl_fionbio};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;
use tidegate_core::trace::{Entry, MAGIC, encode};

/// Bytes that may be queued: several times those of an iteration.
pub(crate) const WAITING: usize = 1024 * 1024;

/// Bytes of the longest entry: a whole receive window and its header.
const ENTRY: usize = 8192;

/// Bytes written at once.
const AT_ONCE: usize = 64 * 1024;

/// How long to wait for space on the disk at first, doubled up to the second.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What to record, and where to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) path: String,
    /// How many bytes are kept of each piece that is received; a hash of the rest.
    pub(crate) payload: usize,
    /// Bytes of the file, and of the one before it together.
    pub(crate) size: u64,
}

static QUEUE: Queue = Queue {
    state: Mutex::new(State {
        ring: Ring::new(),
        lost: 0,
        unrecorded: 0,
        ends: false,
        stage: Stage::Off,
    }),
    filled: Condvar::new(),
    emptied: Condvar::new(),
};

/// Entries on their way to the file, each behind its header.
#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Debug)]
struct State {
    ring: Ring<WAITING>,
    /// Entries that are not in the file.
    lost: u64,
    /// Those of them that the file does not record yet.
    unrecorded: u64,
    /// Nothing more comes, and the file does not record that yet.
    ends: bool,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Nothing is recorded.
    Off,
    /// The writer waits.
    Idle,
    /// It writes, or was woken to write.
    Busy,
    /// It cannot write now: what comes is counted as lost, and it tries again.
    Full,
    /// It has given up.
    Broken,
}

/// Reads `whole`, `hash` or a number of bytes.
pub(crate) fn payload(text: &str) -> Result<usize, String> {
    match (text, text.parse()) {
        ("whole", _) => Ok(usize::MAX),
        ("hash", _) => Ok(0),
        (_, Ok(n)) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(n),
        _ => Err("must be whole, hash or a number of bytes".into()),
    }
}

/// Begins; returns the recorder for the entries.
pub(crate) fn start(record: &Record) -> Result<Recording, Failure> {
    let no = |error: io::Error| {
        let path = &record.path;
        Failure::System(format!("cannot record to {path}: {error}"))
    };
    let (file, rotates) = begin(&record.path).map_err(no)?;
    let mut writer = Writer {
        file,
        rotates,
        path: record.path.clone(),
        size: record.size / 2,
        written: 0,
    };
    QUEUE.lock().stage = Stage::Busy;
    let builder = thread::Builder::new()
        .name("trace".into())
        .stack_size(256 * 1024);
    let writing = move || {
        let ControlFlow::Break(error) = QUEUE.write_for_ever(&mut writer);
        let path = &writer.path;
        log::warn!("--record {path}: {error}; nothing more is recorded");
    };
    builder.spawn(writing).map_err(no)?;
    Ok(Recording {
        payload: record.payload,
        entry: [0; HEADER + ENTRY],
    })
}

/// How many entries are not in the file; `None`: nothing is recorded.
pub(crate) fn lost() -> Option<u64> {
    let state = QUEUE.lock();
    (state.stage != Stage::Off).then_some(state.lost)
}

/// Ends the recording and waits until everything is written, at most until `until`.
pub(crate) fn finish(until: Instant) {
    let mut state = QUEUE.lock();
    state.ends = true;
    if state.stage == Stage::Idle {
        state.stage = Stage::Busy;
        QUEUE.filled.notify_one();
    }
    while state.stage == Stage::Busy {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let waited = QUEUE.emptied.wait_timeout(state, left);
        (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
    }
}

/// The loop's end of it.
pub(crate) struct Recording {
    payload: usize,
    entry: [u8; HEADER + ENTRY],
}

/// Bytes of the header of an entry in the ring: its length, and the number of missing entries, 0 for a regular entry.
const HEADER: usize = LENGTH + size_of::<u64>();
const LENGTH: usize = size_of::<u32>();

impl Recording {
    /// An entry behind its header.
    fn frame(&mut self, entry: &Entry<'_>) -> &[u8] {
        frame(entry, self.payload, &mut self.entry)
    }
}

/// Writes an entry behind its header. It is empty where it does not fit, which the longest does.
fn frame<'b>(entry: &Entry<'_>, payload: usize, into: &'b mut [u8]) -> &'b [u8] {
    let (header, space) = into.split_at_mut(HEADER);
    let length = encode(entry, payload, space).map_or(0, <[u8]>::len);
    let missing = if let Entry::Lost(missing) = entry {
        *missing
    } else {
        0
    };
    header[..LENGTH].copy_from_slice(&number(length).to_ne_bytes());
    header[LENGTH..].copy_from_slice(&missing.to_ne_bytes());
    &into[..HEADER + length]
}

impl Recording {
    /// Takes an entry, and never blocks for a disk.
    pub(crate) fn take(&mut self, entry: &Entry<'_>) {
        let mut state = QUEUE.lock();
        if state.unrecorded > 0 && matches!(state.stage, Stage::Idle | Stage::Busy) {
            let lost = Entry::Lost(state.unrecorded);
            if state.ring.offer(self.frame(&lost)) {
                state.unrecorded = 0;
            }
        }
        let writes = matches!(state.stage, Stage::Idle | Stage::Busy);
        if state.unrecorded > 0 || !writes || !state.ring.offer(self.frame(entry)) {
            state.lost += 1;
            state.unrecorded += 1;
        } else if state.stage == Stage::Idle {
            state.stage = Stage::Busy;
            drop(state);
            QUEUE.filled.notify_one();
        }
    }
}

impl Queue {
    /// Until something cannot be written, and never can be.
    fn write_for_ever(&self, writer: &mut Writer) -> ControlFlow<io::Error, Infallible> {
        let mut chunk = Chunk::new();
        let mut state = self.lock();
        loop {
            // The count of missing entries is recorded as soon as it fits, even if no entry follows; the end after it.
            while state.ring.is_empty() && !state.record_lost() && !state.record_end() {
                state.stage = Stage::Idle;
                self.emptied.notify_all();
                let waited = self.filled.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
            }
            chunk.clear();
            while chunk.bytes.len() + ENTRY <= AT_ONCE && state.take(&mut chunk) {}
            drop(state);
            let written = writer.write(&chunk.bytes);
            state = self.lock();
            let Err(error) = written else {
                continue;
            };
            state.lose(&mut chunk);
            state.stage = if writer.rotates {
                Stage::Full
            } else {
                Stage::Broken
            };
            self.emptied.notify_all();
            drop(state);
            if !writer.rotates {
                return ControlFlow::Break(error);
            }
            self.wait_for_space(writer, &error);
            state = self.lock();
        }
    }

    /// Tries again until the file takes something: how much is missing.
    fn wait_for_space(&self, writer: &mut Writer, error: &io::Error) {
        let path = writer.path.clone();
        log::warn!("--record {path}: {error}; nothing is recorded until there is space again");
        let mut pause = PAUSE_MIN;
        loop {
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
            let (mut space, missing) = ([0; 16], self.lock().unrecorded);
            // A number fits.
            let lost = encode(&Entry::Lost(missing), usize::MAX, &mut space).unwrap_or(&[]);
            if writer.write(lost).is_ok() {
                let mut state = self.lock();
                // More may be missing by now: the next entry records them.
                state.unrecorded -= missing;
                state.stage = Stage::Busy;
                log::warn!("--record {path}: records again; {missing} entries are missing");
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Puts into the empty ring how many entries are missing; returns whether any are.
    fn record_lost(&mut self) -> bool {
        let mut space = [0; HEADER + 16];
        // A number fits.
        let lost = frame(&Entry::Lost(self.unrecorded), usize::MAX, &mut space);
        let recorded = self.unrecorded > 0 && self.ring.offer(lost);
        if recorded {
            self.unrecorded = 0;
        }
        recorded
    }

    /// Puts the end into the empty ring; returns whether there is one to record.
    fn record_end(&mut self) -> bool {
        let mut space = [0; HEADER + 16];
        core::mem::take(&mut self.ends)
            && self.ring.offer(frame(&Entry::End, usize::MAX, &mut space))
    }

    /// Adds the next entry to `chunk`, if there is one.
    fn take(&mut self, chunk: &mut Chunk) -> bool {
        if self.ring.is_empty() {
            return false;
        }
        let (mut length, mut missing) = ([0; LENGTH], [0; size_of::<u64>()]);
        self.ring.read(&mut length);
        self.ring.read(&mut missing);
        let start = chunk.bytes.len();
        let end = start + u32::from_ne_bytes(length) as usize;
        chunk.bytes.resize(end, 0);
        self.ring.read(&mut chunk.bytes[start..]);
        match u64::from_ne_bytes(missing) {
            0 => chunk.entries += 1,
            missing => chunk.missing += missing,
        }
        true
    }

    /// Counts what was in `chunk`, and what still waits, as lost.
    fn lose(&mut self, chunk: &mut Chunk) {
        loop {
            self.lost += chunk.entries;
            // The entries that it recorded as missing are counted already.
            self.unrecorded += chunk.entries + chunk.missing;
            chunk.clear();
            if !self.take(chunk) {
                return;
            }
        }
    }
}

/// Entries that are written at once.
#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    /// How many, without those that record missing entries.
    entries: u64,
    /// How many are missing before and among them, as recorded.
    missing: u64,
}

impl Chunk {
    fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(AT_ONCE),
            entries: 0,
            missing: 0,
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        (self.entries, self.missing) = (0, 0);
    }
}

/// The file that is written, of two.
#[derive(Debug)]
struct Writer {
    path: String,
    file: File,
    /// It is a file, and no pipe or device.
    rotates: bool,
    /// Bytes after which the next one begins.
    size: u64,
    written: u64,
}

impl Writer {
    /// Writes whole entries. A full file is renamed with `.1` appended, and replaces the previous one of that name.
    fn write(&mut self, entries: &[u8]) -> io::Result<()> {
        if self.rotates && self.written > 0 && self.written + entries.len() as u64 > self.size {
            match set_aside(&self.path) {
                // It was set aside, and what comes after could not be made.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => other?,
            }
            self.file = create(&self.path)?;
            self.written = 0;
        }
        let written = self.file.write_all(entries);
        match written {
            Ok(()) => self.written += entries.len() as u64,
            Err(_) if !self.rotates => {}
            Err(ref error) => {
                // Half an entry would make all that follows unreadable. If it cannot be taken back, the next file begins.
                let good = MAGIC.len() as u64 + self.written;
                let taken_back = self.file.set_len(good).is_ok()
                    && self.file.seek(SeekFrom::Start(good)).is_ok();
                if error.kind() == ErrorKind::FileTooLarge || !taken_back {
                    // RLIMIT_FSIZE is less than the requested size.
                    self.size = self.written;
                }
            }
        }
        written
    }
}

/// What is written first, and whether another file may replace it. An earlier trace, perhaps that of a crash, is kept
/// under another name, unless another process is writing it. A pipe or a device is written to as it is, if it has a
/// reader.
fn begin(path: &str) -> io::Result<(File, bool)> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            let mut options = OpenOptions::new();
            let flags = OFlags::NONBLOCK.bits().cast_signed();
            let opened = options.write(true).custom_flags(flags).open(path);
            let mut file = opened.map_err(|error| match Errno::from_io_error(&error) {
                Some(Errno::NXIO) => io::Error::other("it is a pipe without a reader"),
                _ => error,
            })?;
            // Only the thread that writes waits for it.
            ioctl_fionbio(&file, false)?;
            file.write_all(MAGIC)?;
            return Ok((file, false));
        }
        Ok(_) => {
            if let Err(TryLockError::WouldBlock) = File::open(path)?.try_lock() {
                return Err(io::Error::other("another process is recording there"));
            }
            set_aside(path)?;
        }
        // It is new; or creating it returns the error.
        Err(_) => {}
    }
    Ok((create(path)?, true))
}

fn set_aside(path: &str) -> io::Result<()> {
    fs::rename(path, format!("{path}.1"))
}

/// A new trace, for its owner's eyes alone: there is payload in it. It is locked as long as it is open.
fn create(path: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    // Without locks, no other writer can be detected.
    let _ = file.try_lock();
    if let Err(error) = file.write_all(MAGIC) {
        // It would be taken for a trace.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::{Event, Op, Outcome, Token};

    #[test]
    fn a_payload_is_read() {
        assert_eq!(payload("whole"), Ok(usize::MAX));
        assert_eq!(payload("hash"), Ok(0));
        assert_eq!(payload("16"), Ok(16));
        for bad in ["", "-1", "+1", "half", "99999999999999999999"] {
            assert!(
                payload(bad).is_err_and(|why| why.contains("must be")),
                "{bad}"
            );
        }
    }

    #[test]
    fn what_is_not_written_is_counted_once() {
        // Too large for the stack of a test.
        static STATE: Mutex<State> = Mutex::new(State {
            ring: Ring::new(),
            lost: 5,
            unrecorded: 0,
            ends: false,
            stage: Stage::Busy,
        });
        let mut state = STATE.lock().expect("one test");
        let mut space = [0; HEADER + 64];
        let entries = [
            Entry::Iteration,
            Entry::Lost(5),
            Entry::Note("x"),
            Entry::Output(None),
        ];
        for entry in &entries {
            let framed = frame(entry, usize::MAX, &mut space);
            assert!(state.ring.offer(framed));
        }
        let mut chunk = Chunk::new();
        assert!(state.take(&mut chunk) && state.take(&mut chunk));
        let written: Vec<_> = (entries[..2].iter())
            .flat_map(|entry| frame(entry, usize::MAX, &mut space)[HEADER..].to_vec())
            .collect();
        assert_eq!(chunk.bytes, written, "no header reaches the file");
        // Two entries are in the chunk, two wait in the ring.
        state.lose(&mut chunk);
        assert_eq!((state.lost, state.unrecorded), (8, 8));
        assert!(chunk.bytes.is_empty() && state.ring.is_empty());
    }

    #[test]
    fn the_longest_entry_fits() {
        let window = vec![0xff; super::super::reserved::ServerMemory::WINDOWS.receive as usize];
        let (token, op) = (Token::from_bits(u64::MAX), Op::Recv);
        let outcome = Outcome::Complete(u32::MAX);
        let entry = Entry::event(Event::Done { token, op, outcome }, &window);
        assert!(encode(&entry, usize::MAX, &mut [0; ENTRY]).is_some());
    }
}
