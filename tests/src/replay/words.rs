//! Entries in words: what came in, what was asked and why, and which sets changed.

use alloc::collections::BTreeMap;
use core::fmt::Write;
use tidegate_core::inspect::STATES;
use tidegate_core::trace::{Bytes, Call, Entry, Mark};
use tidegate_core::{
    Action, Alarm, Dispatcher, Escaped, Event, Instant, Notice, Op, Outcome, Token,
};

/// The name: `#3` is the connection in slot 3 for the first time, `#3.2` for the second.
#[must_use]
pub fn name(token: Token) -> String {
    let (index, generation) = (token.index(), token.generation());
    let kind = if token.is_listener() {
        "listener "
    } else {
        "#"
    };
    match generation {
        1 => format!("{kind}{index}"),
        _ => format!("{kind}{index}.{generation}"),
    }
}

/// The source that an entry is about.
#[must_use]
pub fn about(entry: &Entry<'_>) -> Option<Token> {
    match entry {
        Entry::Report { token, .. }
        | Entry::Event(Event::Ready { token, .. } | Event::Done { token, .. }, _)
        | Entry::Visited { token, .. }
        | Entry::Told(
            Notice::Opened(token)
            | Notice::Readable(token)
            | Notice::Writable(token)
            | Notice::Ended(token)
            | Notice::Closed(token, _)
            | Notice::Watched(token, _)
            | Notice::Datagram(token),
        )
        | Entry::Alarm(Alarm::Connection(token)) => Some(*token),
        Entry::Reserve { listener, .. }
        | Entry::Priority { listener, .. }
        | Entry::Limit { listener, .. } => Some(*listener),
        Entry::Listen { token, .. }
        | Entry::Watch { token, .. }
        | Entry::Datagrams { token, .. } => *token,
        Entry::Output(action) => action.and_then(aim),
        Entry::Call(call) => target(*call),
        Entry::Start { .. }
        | Entry::Time(_)
        | Entry::Received { .. }
        | Entry::Sent(_)
        | Entry::Turn
        | Entry::Stop(_)
        | Entry::Alarm(Alarm::Free { .. })
        | Entry::Again
        | Entry::Returned(_)
        | Entry::Note(_)
        | Entry::Lost(_) => None,
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

fn target(call: Call) -> Option<Token> {
    match call {
        Call::Send { token, .. }
        | Call::Space(token)
        | Call::Reserve { token, .. }
        | Call::Commit { token, .. }
        | Call::SendTo { token, .. }
        | Call::WantRoom { token, .. }
        | Call::ShutDown(token)
        | Call::Finish(token)
        | Call::FinishOf(token)
        | Call::TooLong(token)
        | Call::Abort(token)
        | Call::AbortOf(token)
        | Call::Pause(token)
        | Call::Resume(token)
        | Call::SetTimer { token, .. }
        | Call::CancelTimer(token)
        | Call::Lend(token)
        | Call::GiveBack { token, .. }
        | Call::WatchFor { token, .. }
        | Call::Unwatch(token)
        | Call::SendDatagram { token, .. }
        | Call::CloseDatagrams(token) => Some(token),
        Call::Connect { token, .. } => token,
        Call::SendOthers { .. }
        | Call::SetFreeTimer { .. }
        | Call::SetInterval { .. }
        | Call::CancelFreeTimer(_) => None,
    }
}

/// A text of the trace, without what a terminal would obey: `{:?}` without its quotes, and all of it.
fn printable(text: &str) -> String {
    text.escape_debug().collect()
}

/// An entry as a line.
#[must_use]
pub fn words(entry: &Entry<'_>) -> String {
    let at = about(entry).map_or_else(String::new, name);
    match entry {
        Entry::Start { config, windows } => format!(
            "a session of {} connections, windows of {} and {} bytes, {:?}",
            config.connections.map_or("all".into(), |n| n.to_string()),
            windows.receive,
            windows.send,
            config.trigger
        ),
        Entry::Report {
            directions,
            closing,
            ..
        } => {
            let closing = if *closing {
                ", and the end or an error"
            } else {
                ""
            };
            format!("{at}: the kernel reports {directions:?}{closing}")
        }
        Entry::Event(Event::Ready { directions, .. }, _) => {
            format!("{at}: ready for {directions:?} is recorded; it is scheduled")
        }
        Entry::Event(Event::Done { op, outcome, .. }, bytes) => {
            format!("{at}: {}{}", answer(*op, *outcome), shown(*bytes))
        }
        Entry::Received { transfer, bytes } => {
            format!("inline: {transfer:?} received{}", shown(*bytes))
        }
        Entry::Sent(transfer) => format!("inline: {transfer:?} sent"),
        Entry::Turn => "an iteration begins".into(),
        Entry::Output(None) => "nothing more to do: the kernel is asked".into(),
        Entry::Output(Some(action)) => format!("{at}: {}", asked(*action)),
        Entry::Stop(by) => format!("stop, by {} ns", by.as_nanos()),
        Entry::Told(notice) => format!("{at}: the handler is notified: {}", told(*notice)),
        Entry::Again => "the handler is notified of what was left".into(),
        Entry::Returned(0) => "the handler returns, nothing left".into(),
        Entry::Returned(left) => format!("the handler returns, {left} bytes left"),
        Entry::Call(call) => call_words(*call, &at),
        Entry::Note(note) => format!("note: {}", printable(note)),
        Entry::Lost(n) => format!("{n} entries are missing"),
        Entry::Time(_)
        | Entry::Listen { .. }
        | Entry::Reserve { .. }
        | Entry::Limit { .. }
        | Entry::Priority { .. }
        | Entry::Watch { .. }
        | Entry::Datagrams { .. }
        | Entry::Alarm(_)
        | Entry::Visited { .. } => Mark::of(entry).to_string(),
    }
}

fn call_words(call: Call, at: &str) -> String {
    match call {
        Call::Send { len, taken, .. } => {
            let fits = if taken { "" } else { ", which does not fit" };
            format!("{at}: sends {len} bytes{fits}")
        }
        Call::Space(_) => format!("{at}: takes all the capacity"),
        Call::Reserve { len, taken, .. } => {
            let fits = if taken { "" } else { ", and there are not" };
            format!("{at}: reserves {len} bytes{fits}")
        }
        Call::Commit { len, .. } => format!("{at}: commits {len} bytes"),
        Call::SendTo { .. }
        | Call::SendOthers { .. }
        | Call::WantRoom { .. }
        | Call::ShutDown(_)
        | Call::Finish(_)
        | Call::FinishOf(_)
        | Call::TooLong(_)
        | Call::Abort(_)
        | Call::AbortOf(_)
        | Call::Pause(_)
        | Call::Resume(_)
        | Call::SetTimer { .. }
        | Call::CancelTimer(_)
        | Call::Connect { .. }
        | Call::Lend(_)
        | Call::GiveBack { .. }
        | Call::SetFreeTimer { .. }
        | Call::SetInterval { .. }
        | Call::CancelFreeTimer(_)
        | Call::WatchFor { .. }
        | Call::Unwatch(_)
        | Call::SendDatagram { .. }
        | Call::CloseDatagrams(_) => Mark::of(&Entry::Call(call)).to_string(),
    }
}

fn shown(bytes: Bytes<'_>) -> String {
    match bytes {
        Bytes::Whole([]) => String::new(),
        Bytes::Whole(all) => format!(": {}", Escaped(&all[..all.len().min(32)])),
        Bytes::Cut(first, _) => format!(": {} …", Escaped(&first[..first.len().min(32)])),
        Bytes::Hashed(_, hash) => format!(": hash {hash:08x}"),
    }
}

fn answer(op: Op, outcome: Outcome) -> String {
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
                name(listener)
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

fn told(notice: Notice) -> String {
    match notice {
        Notice::Opened(_) => "opened".into(),
        Notice::Readable(_) => "readable".into(),
        Notice::Writable(_) => "writable".into(),
        Notice::Ended(_) => "ended".into(),
        Notice::Datagram(_) => "what came of a datagram".into(),
        Notice::Closed(_, reason) => format!("closed, {reason}"),
        Notice::Watched(_, Ok(directions)) => format!("ready for {directions:?}"),
        Notice::Watched(_, Err(fault)) => format!("cannot be watched: {fault}"),
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
                let _ = writeln!(text, "          {}: {before}{view}", name(token));
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
