//! [`Picture`]: a trace as rows of what was when, a row for each connection; as JSON in the trace event format of Chrome,
//! which Perfetto reads, too, and as a page that needs nothing but a browser.
//!
//! The clock is read once an iteration, so what happens in one iteration is drawn [`STEP`] nanoseconds apart, in its
//! order.

use super::tape::Tape;
use super::words::{about, words};
use alloc::collections::BTreeMap;
use serde_json::{Value, json};
use tidegate_core::trace::{Entry, Input};
use tidegate_core::{Action, Event, Notice, Token};

/// Nanoseconds between what happened at the same time.
const STEP: u64 = 100;

/// A trace as rows.
#[derive(Clone, Debug)]
pub struct Picture {
    /// One for each connection and listener, in the order in which they came.
    pub rows: Vec<Row>,
}

/// What happened to one source.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it was and did, by their beginning.
    pub slices: Vec<Slice>,
}

/// Something that lasted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Its beginning, in nanoseconds from that of the trace.
    pub start: u64,
    /// How long it was.
    pub length: u64,
    /// What kind of thing: `state`, `operation`, `wait`, `call`.
    pub kind: &'static str,
    /// A word for it.
    pub name: &'static str,
    /// A line about it.
    pub about: String,
}

/// A row that is being drawn.
#[derive(Debug, Default)]
struct Drawn {
    name: String,
    slices: Vec<Slice>,
    /// Since when it is what.
    state: Option<(u64, &'static str, String)>,
    /// An operation in flight.
    asked: Option<(u64, &'static str)>,
    /// Since when nothing happened, in this iteration.
    quiet: Option<u64>,
}

impl Picture {
    /// Draws a trace.
    #[must_use]
    pub fn of(tape: &Tape) -> Self {
        let mut order = Vec::new();
        let mut rows = BTreeMap::<Token, Drawn>::new();
        let (mut time, mut began) = (0, false);
        for entry in tape.entries() {
            if let Entry::Time(passed) = entry {
                // The first time is where the clock stood.
                let step = if began { (*passed).max(STEP) } else { 0 };
                // A damaged trace may hold any time.
                time = u64::saturating_add(time, step);
                began = true;
            } else {
                time = time.saturating_add(STEP);
            }
            let Some(token) = about(entry) else {
                continue;
            };
            let row = rows.entry(token).or_insert_with(|| {
                order.push(token);
                Drawn {
                    name: token.to_string(),
                    ..Drawn::default()
                }
            });
            row.draw(time, entry);
        }
        time = time.saturating_add(STEP);
        let rows = order.into_iter().filter_map(|token| rows.remove(&token));
        let rows = rows.map(|row| row.end(time)).collect();
        Self { rows }
    }

    /// As JSON for `chrome://tracing` and `ui.perfetto.dev`: a thread for each row. Times are microseconds there.
    #[must_use]
    pub fn chrome(&self) -> String {
        let mut events = Vec::new();
        for (thread, row) in self.rows.iter().enumerate() {
            let name = json!({ "name": row.name });
            let of =
                json!({ "ph": "M", "pid": 1, "tid": thread, "name": "thread_name", "args": name });
            events.push(of);
            events.extend(row.slices.iter().map(|slice| slice.chrome(thread)));
        }
        json!({ "displayTimeUnit": "ns", "traceEvents": events }).to_string()
    }

    /// As a page by itself.
    #[must_use]
    pub fn page(&self) -> String {
        let rows = self.rows.iter().map(|row| {
            let slices: Vec<Value> = row.slices.iter().map(Slice::listed).collect();
            json!([row.name, slices])
        });
        let rows = Value::Array(rows.collect()).to_string();
        // In a script no text may end it.
        include_str!("page.html").replace("[/*rows*/]", &rows.replace('<', "\\u003c"))
    }
}

impl Slice {
    #[expect(clippy::cast_precision_loss, reason = "a double is what JSON has")]
    fn chrome(&self, thread: usize) -> Value {
        let micros = |nanos: u64| nanos as f64 / 1000.0;
        json!({
            "ph": "X", "pid": 1, "tid": thread, "cat": self.kind, "name": self.name,
            "ts": micros(self.start), "dur": micros(self.length), "args": { "about": self.about },
        })
    }

    fn listed(&self) -> Value {
        json!([self.start, self.length, self.kind, self.name, self.about])
    }
}

impl Drawn {
    fn draw(&mut self, time: u64, entry: &Entry<'_>) {
        if let Some(since) = self.quiet.take()
            && time > since.saturating_add(10 * STEP)
        {
            self.add(since, time, "wait", "waits", words(entry));
        }
        let after = time.saturating_add(STEP);
        self.quiet = Some(after);
        if let Some(state) = becomes(entry) {
            self.enter(time, state, words(entry));
        }
        if let Entry::Output(Some(action)) = entry {
            self.asked = Some((time, operation(*action)));
        } else if let Entry::Event {
            event: Event::Done { .. },
            ..
        } = entry
        {
            let (since, name) = self.asked.take().unwrap_or((time, "answered"));
            self.add(since, after, "operation", name, words(entry));
        } else if let Entry::Event {
            event: Event::Ready { .. },
            ..
        } = entry
        {
            self.add(time, after, "operation", "report", words(entry));
        } else if let Entry::Notified(_) = entry {
            self.add(time, after, "call", "told", words(entry));
        } else if let Entry::Call(..) = entry {
            self.add(time, after, "call", "call", words(entry));
        }
    }

    fn add(&mut self, start: u64, end: u64, kind: &'static str, name: &'static str, about: String) {
        self.slices.push(Slice {
            start,
            length: end.saturating_sub(start),
            kind,
            name,
            about,
        });
    }

    /// It is something else from now on.
    fn enter(&mut self, time: u64, state: &'static str, about: String) {
        if let Some((since, state, about)) = self.state.take() {
            self.add(since, time, "state", state, about);
        }
        if state != "gone" {
            self.state = Some((time, state, about));
        }
    }

    fn end(mut self, time: u64) -> Row {
        self.enter(time, "gone", String::new());
        // What lies around others comes before them.
        let order = |slice: &Slice| (slice.start, core::cmp::Reverse(slice.length));
        self.slices.sort_by_key(order);
        Row {
            name: self.name,
            slices: self.slices,
        }
    }
}

/// What a source is after an entry about it, if that is something else.
fn becomes(entry: &Entry<'_>) -> Option<&'static str> {
    if let Entry::Notified(notice) = entry {
        return match notice {
            Notice::Opened(_) => Some("open"),
            Notice::Ended(_) => Some("peer finished"),
            Notice::Closed(..) => Some("gone"),
            Notice::Readable(_)
            | Notice::Writable(_)
            | Notice::Watched(..)
            | Notice::Timer(_)
            | Notice::Tick { .. }
            | Notice::Datagram(_) => None,
        };
    }
    if let Entry::Output(Some(Action::Close { .. })) = entry {
        return Some("closing");
    }
    let Entry::Call(_, input, _) = entry else {
        return None;
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "most calls change nothing")]
    match input {
        Input::Listen { .. } => Some("listening"),
        Input::AddDatagrams { .. } => Some("datagrams"),
        Input::Watch(_) => Some("watched"),
        Input::Connect => Some("connecting"),
        Input::ShutDown => Some("half closed"),
        Input::Abort | Input::AbortOf => Some("closing"),
        Input::Finish | Input::FinishOf | Input::TooLong => Some("finishing"),
        _ => None,
    }
}

fn operation(action: Action) -> &'static str {
    match action {
        Action::Accept { .. } => "accept",
        Action::Refuse { .. } => "refuse",
        Action::Connect { .. } => "connect",
        Action::Recv { .. } => "recv",
        Action::Send { .. } => "send",
        Action::Arm { .. } => "arm",
        Action::ReceiveFrom { .. } => "receive from",
        Action::SendTo { .. } => "send to",
        Action::Shutdown { .. } => "shutdown",
        Action::Unsent { .. } => "unsent",
        Action::Cancel { .. } => "cancel",
        Action::Close { .. } => "close",
        Action::Rebuild => "rebuild",
    }
}
