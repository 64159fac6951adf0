//! Entries in words: inputs, outputs and their reasons, and which sets changed.

use alloc::collections::BTreeMap;
use core::fmt::Write;
use tidegate_core::inspect::STATES;
use tidegate_core::trace::{Detail, Entry, Input};
use tidegate_core::{Action, Dispatcher, Escaped, Event, Instant, Notice, Op, Outcome, Token};

/// The source that an entry is about.
#[must_use]
pub fn about(entry: &Entry<'_>) -> Option<Token> {
    match entry {
        Entry::Event {
            event: Event::Ready { token, .. } | Event::Done { token, .. },
            ..
        }
        | Entry::Notified(
            Notice::Opened(token)
            | Notice::Readable(token)
            | Notice::Writable(token)
            | Notice::Ended(token)
            | Notice::Closed(token, _)
            | Notice::Watched(token, _)
            | Notice::Datagram(token)
            | Notice::Timer(token),
        ) => Some(*token),
        Entry::Output(action) => action.and_then(aim),
        // Nothing, and a free timer, have none.
        Entry::Call(token, ..) => (token.generation() > 0).then_some(*token),
        Entry::Start { .. }
        | Entry::Time(_)
        | Entry::Iteration
        | Entry::Notified(Notice::Tick { .. })
        | Entry::Again
        | Entry::Returned(_)
        | Entry::Note(_)
        | Entry::Lost(_)
        | Entry::End => None,
    }
}

fn aim(action: Action) -> Option<Token> {
    match action {
        Action::Accept { token, .. }
        | Action::Connect { token }
        | Action::Recv { token, .. }
        | Action::Send { token, .. }
        | Action::Arm { token, .. }
        | Action::Shutdown { token }
        | Action::Unsent { token }
        | Action::Cancel { token }
        | Action::ReceiveFrom { token }
        | Action::SendTo { token }
        | Action::Close { token, .. } => Some(token),
        Action::Refuse { listener } => Some(listener),
        Action::Rebuild => None,
    }
}

/// A text of the trace, without control characters for a terminal: `{:?}` without its quotes, and all of it.
fn printable(text: &str) -> String {
    text.escape_debug().collect()
}

/// An entry as a line.
#[must_use]
pub fn words(entry: &Entry<'_>) -> String {
    let at = about(entry).map_or_else(String::new, |token| token.to_string());
    match entry {
        Entry::Start {
            config,
            windows,
            sources,
            timers,
        } => format!(
            "a session of {} connections, {sources} other sources and {timers} free timers, windows of {} and {} bytes, {:?}",
            config.connections.map_or("all".into(), |n| n.to_string()),
            windows.receive,
            windows.send,
            config.trigger
        ),
        Entry::Event {
            event:
                Event::Ready {
                    directions,
                    closing,
                    ..
                },
            ..
        } => {
            let closing = if *closing {
                ", and the end or an error"
            } else {
                ""
            };
            format!("{at}: the kernel reports {directions:?}{closing}: it is scheduled")
        }
        Entry::Event {
            event: Event::Done { op, outcome, .. },
            kept,
            cut,
            hash,
        } => format!(
            "{at}: {}{}",
            completion(*op, *outcome),
            shown(kept, *cut, *hash)
        ),
        Entry::Iteration => "an iteration begins".into(),
        Entry::Output(None) => "nothing more to do: the kernel is asked".into(),
        Entry::Output(Some(action)) => format!("{at}: {}", asked(*action)),
        Entry::Notified(notice @ Notice::Tick { .. }) => {
            format!("the handler is notified: {}", notified(*notice))
        }
        Entry::Notified(notice) => format!("{at}: the handler is notified: {}", notified(*notice)),
        Entry::Again => "the handler is notified of what was left".into(),
        Entry::Returned(0) => "the handler returns, nothing left".into(),
        Entry::Returned(left) => format!("the handler returns, {left} bytes left"),
        Entry::Call(token, input, detail) => format!("{token}: {}", call(*input, *detail)),
        Entry::Time(nanos) => {
            let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
            format!("+{seconds}.{nanos:09} s")
        }
        Entry::Note(note) => format!("note: {}", printable(note)),
        Entry::Lost(n) => format!("{n} entries are missing"),
        Entry::End => "the end of the recording".into(),
    }
}

/// A call, with what of its detail is for people.
fn call(input: Input, detail: Detail) -> String {
    match detail {
        Detail::To(_, to) => format!("{input} {}", to.peer()),
        Detail::Datagram(_, to, _) => format!("{input} to {to}"),
        Detail::Number(n) => format!("{input} {n}"),
        Detail::None | Detail::Hash(_) => input.to_string(),
    }
}

fn shown(kept: &[u8], cut: u32, hash: u32) -> String {
    let first = Escaped(&kept[..kept.len().min(32)]);
    match (kept, cut) {
        ([], 0) => String::new(),
        (_, 0) => format!(": {first}"),
        ([], _) => format!(": hash {hash:08x}"),
        (_, cut) => format!(": {first} and {cut} more, hash {hash:08x}"),
    }
}

fn completion(op: Op, outcome: Outcome) -> String {
    let ready = "no longer ready";
    match (op, outcome) {
        (Op::Recv, Outcome::Complete(0)) => "recv: the peer has finished".into(),
        (Op::Recv, Outcome::Complete(n)) => format!("recv: {n} bytes, and there may be more"),
        (_, Outcome::Drained(0)) => format!("{op:?} would block: {ready}"),
        (_, Outcome::Drained(n)) => format!("{op:?}: {n} bytes, then it would block: {ready}"),
        (_, Outcome::Complete(n)) => format!("{op:?}: done, {n}"),
        (_, Outcome::Accepted(Some(peer))) => format!("accepted {peer}"),
        (_, Outcome::Accepted(None)) => "accepted a Unix peer".into(),
        (
            _,
            Outcome::Datagram {
                len,
                from: Some(from),
                local: Some(local),
                ..
            },
        ) => format!("{len} bytes from {from} to {}", local.address),
        (
            _,
            Outcome::Datagram {
                len,
                from: Some(from),
                local: None,
                ..
            },
        ) => format!("{len} bytes from {from}"),
        (
            _,
            Outcome::Datagram {
                len, from: None, ..
            },
        ) => format!("{len} bytes without a sender"),
        (_, Outcome::Failed(fault)) => format!("{op:?} failed: {fault}"),
    }
}

/// What is to be done, and why.
fn asked(action: Action) -> String {
    match action {
        Action::Accept { listener, .. } => {
            format!(
                "accept from {}: it is ready, and this slot is free",
                listener
            )
        }
        Action::Refuse { .. } => "accept and reset one: the table is full".into(),
        Action::Connect { .. } => "connect, or check its result".into(),
        Action::Recv { into, .. } => {
            format!(
                "receive up to {} bytes: wanted, ready, none in flight",
                into.len
            )
        }
        Action::Send { from, .. } => {
            format!("send {} bytes: wanted, ready, none in flight", from.len)
        }
        Action::Arm { was, now, .. } if now.is_empty() => {
            format!("remove {was:?} from the kernel's set: it is not wanted")
        }
        Action::Arm {
            was, now, trigger, ..
        } => {
            format!("arm {now:?}, {trigger:?} (armed before: {was:?}): awaited, and not armed")
        }
        Action::ReceiveFrom { .. } => "receive a datagram: wanted, ready, none in flight".into(),
        Action::SendTo { .. } => "send the datagram that waits".into(),
        Action::Shutdown { .. } => "send FIN: all that was queued is sent".into(),
        Action::Unsent { .. } => "ask how much the peer has not acknowledged: it stalls".into(),
        Action::Cancel { .. } => "cancel what is in flight: it closes".into(),
        Action::Close { reset: true, .. } => "close with a reset".into(),
        Action::Close { reset: false, .. } => "close: nothing is left to do".into(),
        Action::Rebuild => "rebuild the kernel's set: stale reports do not end".into(),
    }
}

fn notified(notice: Notice) -> String {
    match notice {
        Notice::Opened(_) => "opened".into(),
        Notice::Readable(_) => "readable".into(),
        Notice::Writable(_) => "writable".into(),
        Notice::Ended(_) => "ended".into(),
        Notice::Datagram(_) => "what came of a datagram".into(),
        Notice::Closed(_, reason) => format!("closed, {reason}"),
        Notice::Watched(_, Ok(directions)) => format!("ready for {directions:?}"),
        Notice::Watched(_, Err(fault)) => format!("cannot be watched: {fault}"),
        Notice::Timer(_) => "its timer is due".into(),
        Notice::Tick { timer, periods } => format!("timer {timer} is due, {periods} periods"),
    }
}

/// Explains a replay step by step.
#[derive(Debug, Default)]
pub struct Explainer {
    number: usize,
    known: BTreeMap<Token, String>,
    now: Instant,
}

impl Explainer {
    /// The lines of a step: its entries, then what changed of the sources that they are about.
    pub fn step(&mut self, entries: &[Entry<'_>], machine: &Dispatcher<'_>) -> String {
        let mut text = String::new();
        let mut sources = Vec::new();
        for entry in entries {
            if let Entry::Time(passed) = entry {
                self.now = self.now.plus_nanos(*passed);
            }
            let _ = writeln!(text, "{:>6}  {}", self.number, words(entry));
            self.number += 1;
            sources.extend(about(entry).filter(|token| !sources.contains(token)));
        }
        for token in sources {
            let view = view(machine, token);
            let before = self.known.insert(token, view.clone());
            if before.as_ref() != Some(&view) {
                let before = before.map_or_else(String::new, |before| format!("{before} → "));
                let _ = writeln!(text, "          {}: {before}{view}", token);
            }
        }
        text
    }
}

/// The state and the sets of a source.
fn view(machine: &Dispatcher<'_>, token: Token) -> String {
    let state = STATES.get(machine.state(token)).unwrap_or(&"Watching");
    let [ready, in_flight, armed] = machine.sets(token);
    let wanted = machine.wanted(token);
    format!("{state} wanted={wanted:?} ready={ready:?} in_flight={in_flight:?} armed={armed:?}")
}
