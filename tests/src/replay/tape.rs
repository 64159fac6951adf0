//! [`Tape`]: the entries of a trace, and how far a replay has come.

use alloc::sync::Arc;
use core::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tidegate_core::trace::{Detail, Entry, MAGIC, decode};

/// The entries of a trace.
#[derive(Clone, Debug)]
pub struct Tape {
    entries: Vec<Entry<'static>>,
    /// Why it ends where it does, if it does not end as it should.
    pub flaw: Option<String>,
}

impl Tape {
    /// Reads a trace, for the rest of the run of this program. Several files are given as one after the other. It is read up
    /// to the first entry that is damaged or cut off, which is its [`flaw`](Self::flaw).
    ///
    /// # Errors
    ///
    /// It is not a trace of this version, and what it is instead.
    pub fn read(files: &[Vec<u8>]) -> Result<Self, String> {
        let mut tape = Self {
            entries: Vec::new(),
            flaw: None,
        };
        for (number, file) in files.iter().enumerate() {
            let file: &'static [u8] = file.clone().leak();
            if file.is_empty() {
                return Err("a file is empty: nothing was recorded".into());
            }
            let Some(mut rest) = file.strip_prefix(MAGIC) else {
                return Err(not_ours(file));
            };
            let at = |rest: &[u8]| {
                let byte = file.len() - rest.len();
                match files.len() {
                    1 => format!("byte {byte}"),
                    _ => format!("file {}, byte {byte}", number + 1),
                }
            };
            loop {
                match decode(rest) {
                    // What follows EOF, a damaged or a cut-off entry does not follow what is here.
                    Ok(Some((Entry::End, more))) => {
                        let last = more.is_empty() && number + 1 == files.len();
                        tape.flaw = (!last)
                            .then(|| format!("{}: the recording ends, and more follows", at(more)));
                        return Ok(tape);
                    }
                    Ok(Some((entry, more))) => {
                        tape.entries.push(entry);
                        rest = more;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tape.flaw = Some(format!("{}: {error}", at(rest)));
                        return Ok(tape);
                    }
                }
            }
        }
        let last = "the end of the recording is missing: it was cut off, or goes on";
        tape.flaw = Some(last.into());
        Ok(tape)
    }

    /// A tape of these entries.
    #[must_use]
    pub const fn of(entries: Vec<Entry<'static>>) -> Self {
        let flaw = None;
        Self { entries, flaw }
    }

    /// All of them.
    #[must_use]
    pub fn entries(&self) -> &[Entry<'static>] {
        &self.entries
    }

    /// Whether all that was received is in it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_part = |entry: &Entry<'_>| matches!(entry, Entry::Event { cut: 1.., .. });
        !self.entries.iter().any(is_part)
    }

    /// The rest of its notes that begin with this word.
    pub fn notes<'t>(&'t self, word: &'t str) -> impl Iterator<Item = &'static str> + 't {
        self.entries.iter().filter_map(move |entry| {
            let Entry::Note(note) = entry else {
                return None;
            };
            note.strip_prefix(word)?.strip_prefix(' ')
        })
    }
}

/// What a file is that is not a trace of this version.
fn not_ours(file: &[u8]) -> String {
    let (words, version) = MAGIC.split_at(MAGIC.len() - 1);
    let version = tidegate_core::Escaped(version);
    match file.strip_prefix(words) {
        Some([other, ..]) => {
            let other = tidegate_core::Escaped(core::slice::from_ref(other));
            format!(
                "a trace of version {other}, and this program reads version {version}: use the replay that was built with what recorded it"
            )
        }
        Some([]) | None => {
            let begins = tidegate_core::Escaped(&file[..file.len().min(MAGIC.len())]);
            let magic = tidegate_core::Escaped(MAGIC);
            format!("begins with \"{begins}\", a trace of this version with \"{magic}\"")
        }
    }
}

/// Where a replay was another.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// The number of the entry, from 0.
    pub at: usize,
    /// What is in the trace.
    pub recorded: Option<Entry<'static>>,
    /// What came now.
    pub replayed: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            recorded,
            replayed,
        } = self;
        write!(f, "entry {at} differs\n  recorded: ")?;
        match recorded {
            Some(entry) => write!(f, "{entry:?}")?,
            None => f.write_str("nothing more")?,
        }
        write!(f, "\n  replayed: {replayed}")
    }
}

/// How far a replay has come: shared by the driver, the handler and the comparison.
#[derive(Clone, Debug)]
pub(super) struct Reel(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    tape: Vec<Entry<'static>>,
    at: usize,
    diverged: Option<Divergence>,
    /// More came than the trace has here: it was cut off, or entries are missing, in the middle of what an entry leads
    /// to.
    over: bool,
    /// Calls are made instead of by a handler, without the bytes that it sent: those are not compared.
    making_calls: bool,
}

impl Reel {
    pub(super) fn new(tape: &Tape) -> Self {
        Self(Arc::new(Mutex::new(State {
            tape: tape.entries.clone(),
            at: 0,
            diverged: None,
            over: false,
            making_calls: false,
        })))
    }

    /// The next entry, which has not come yet; `None` at the end, and after a divergence.
    pub(super) fn next(&self) -> Option<Entry<'static>> {
        let state = self.lock();
        match state.diverged {
            None => state.tape.get(state.at).cloned(),
            Some(_) => None,
        }
    }

    /// Whether more came than the trace has here.
    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Takes an entry without an effect.
    pub(super) fn skip(&self) {
        self.lock().at += 1;
    }

    /// Makes calls of the trace.
    pub(super) fn make_calls(&self, calls: impl FnOnce()) {
        self.lock().making_calls = true;
        calls();
        self.lock().making_calls = false;
    }

    /// The number of the next.
    pub(super) fn at(&self) -> usize {
        self.lock().at
    }

    pub(super) fn diverged(&self) -> Option<Divergence> {
        self.lock().diverged.clone()
    }

    /// The next entry should not be what it is.
    pub(super) fn diverge(&self, replayed: String) {
        let mut state = self.lock();
        state.diverge(replayed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn diverge(&mut self, replayed: String) {
        let (at, recorded) = (self.at, self.tape.get(self.at).cloned());
        if let None | Some(Entry::Lost(_)) = recorded {
            // There is nothing to be different from.
            self.over = true;
            return;
        }
        self.diverged.get_or_insert(Divergence {
            at,
            recorded,
            replayed,
        });
    }

    /// Notes are made by hand, and not made again.
    fn skip_notes(&mut self) {
        while let Some(Entry::Note(_)) = self.tape.get(self.at) {
            self.at += 1;
        }
    }
}

impl Reel {
    /// What comes now is compared with what came then.
    pub(super) fn take(&self, entry: &Entry<'_>) {
        let mut state = self.lock();
        if state.diverged.is_some() || state.over {
            return;
        }
        state.skip_notes();
        let same = state.tape.get(state.at).is_some_and(|recorded| {
            let alike = without_payload(recorded) == without_payload(entry);
            alike && (state.making_calls || is_same(recorded, entry))
        });
        if same {
            state.at += 1;
        } else {
            state.diverge(format!("{entry:?}"));
        }
    }
}

/// Whether what there is of payload on both sides is the same.
fn is_same(recorded: &Entry<'_>, entry: &Entry<'_>) -> bool {
    matches!(recorded, Entry::Event { cut: 1.., .. }) || recorded == entry
}

/// The same without bytes and what was made of them; how many there were stands elsewhere in it.
fn without_payload<'e>(entry: &Entry<'e>) -> Entry<'e> {
    let mut entry = entry.clone();
    if let Entry::Event { event, .. } = entry {
        return Entry::event(event, &[]);
    } else if let Entry::Call(_, _, Detail::Hash(hash) | Detail::Datagram(_, _, hash)) = &mut entry
    {
        *hash = 0;
    }
    entry
}
