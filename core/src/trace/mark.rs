//! [`Mark`]: an entry in 8 bytes.
//!
//! ```text
//! 63      56 55               32 31                               0
//! ┌─────────┬───────────────────┬─────────────────────────────────┐
//! │ kind    │ place             │ value                           │
//! └─────────┴───────────────────┴─────────────────────────────────┘
//! ```
//!
//! The place is the index of the token, its highest bit set for a listener or a watched descriptor; the generation is left
//! out. The value is up to the kind: a length, two of 16 bits, a set, an outcome (two bits for which one, thirty for its
//! number). The time has place and value for nanoseconds. Whatever does not fit is shown as the most that does.

use super::entry::{Call, Entry};
use crate::directions::Directions;
use crate::event::{Event, FaultKind, Op, Outcome};
use crate::output::Alarm;
use crate::token::Token;
use core::fmt;

/// An [`Entry`] in 8 bytes, for the flight recorder: what of it fits. It is shown as a line for people, such as
/// `#5 served: 64 bytes in, 64 out`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark(u64);

/// Names of the kinds, by their number; that of an answer is [`DONE`] and the number of its operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Kind {
    Time = 1,
    Ready,
    Served,
    Visited,
    Listen,
    Reserve,
    Watch,
    Stop,
    Timer,
    Tick,
    SendTo,
    SendOthers,
    WantRoom,
    ShutDown,
    Finish,
    TooLong,
    Abort,
    Pause,
    Resume,
    SetTimer,
    CancelTimer,
    Connect,
    Lend,
    GiveBack,
    SetFreeTimer,
    SetInterval,
    CancelFreeTimer,
    WatchFor,
    Unwatch,
    Priority,
    Datagrams,
    SendDatagram,
    CloseDatagrams,
    Limit,
}

impl Kind {
    const ALL: [Self; 34] = [
        Self::Time,
        Self::Ready,
        Self::Served,
        Self::Visited,
        Self::Listen,
        Self::Reserve,
        Self::Watch,
        Self::Stop,
        Self::Timer,
        Self::Tick,
        Self::SendTo,
        Self::SendOthers,
        Self::WantRoom,
        Self::ShutDown,
        Self::Finish,
        Self::TooLong,
        Self::Abort,
        Self::Pause,
        Self::Resume,
        Self::SetTimer,
        Self::CancelTimer,
        Self::Connect,
        Self::Lend,
        Self::GiveBack,
        Self::SetFreeTimer,
        Self::SetInterval,
        Self::CancelFreeTimer,
        Self::WatchFor,
        Self::Unwatch,
        Self::Priority,
        Self::Datagrams,
        Self::SendDatagram,
        Self::CloseDatagrams,
        Self::Limit,
    ];
}

/// Kinds from here on are answers.
const DONE: u8 = 128;
/// The place of nothing.
const NOWHERE: u32 = (1 << 24) - 1;
/// In a place: it is of the table of listeners.
const LISTENER: u32 = 1 << 23;
/// What is left of a value for the number of an outcome.
const NUMBER: u32 = (1 << 30) - 1;
/// In the value of a report: the end or an error was reported.
const CLOSING: u32 = 4;

impl Mark {
    /// No mark.
    pub const NONE: Self = Self(0);

    /// What of an entry fits; [`Mark::NONE`] of one that is in the full trace only.
    #[must_use]
    pub fn of(entry: &Entry<'_>) -> Self {
        match *entry {
            Entry::Start { .. }
            | Entry::Report { .. }
            | Entry::Received { .. }
            | Entry::Sent(_)
            | Entry::Turn
            | Entry::Output(_)
            | Entry::Told(_)
            | Entry::Again
            | Entry::Returned(_)
            | Entry::Note(_)
            | Entry::Lost(_) => Self::NONE,
            Entry::Time(nanos) => Self::time(nanos),
            Entry::Event(event, _) => Self::of_event(event),
            Entry::Listen { token, per_source } => {
                Self::at(Kind::Listen, token, per_source.unwrap_or(u32::MAX))
            }
            Entry::Limit {
                listener,
                connections,
            } => Self::at(Kind::Limit, Some(listener), connections),
            Entry::Reserve { listener, slots } => Self::at(Kind::Reserve, Some(listener), slots),
            Entry::Priority { listener, priority } => {
                Self::at(Kind::Priority, Some(listener), u32::from(priority))
            }
            Entry::Watch { token, directions } => Self::at(Kind::Watch, token, directions.bits()),
            Entry::Datagrams { token, receive, .. } => Self::at(Kind::Datagrams, token, receive),
            Entry::Stop(_) => Self::at(Kind::Stop, None, 0),
            Entry::Alarm(Alarm::Connection(token)) => Self::at(Kind::Timer, Some(token), 0),
            Entry::Alarm(Alarm::Free { timer, .. }) => Self::at(Kind::Tick, None, timer),
            Entry::Visited {
                token,
                consumed,
                queued,
            } => Self::at(Kind::Visited, Some(token), pair(consumed, queued)),
            Entry::Call(call) => Self::of_call(call),
        }
    }

    /// The clock went on. Two years at most: the first time of a clock may be anything.
    #[inline(always)]
    pub(crate) fn time(nanos: u64) -> Self {
        Self((Kind::Time as u64) << 56 | nanos.min((1 << 56) - 1))
    }

    /// A visit that was served on the spot: a report, what was received and what was sent of it.
    #[inline(always)]
    pub(crate) fn served(index: u32, received: u32, sent: u32) -> Self {
        Self(
            (Kind::Served as u64) << 56
                | u64::from(index & NOWHERE) << 32
                | u64::from(pair(received, sent)),
        )
    }

    fn at(kind: Kind, token: Option<Token>, value: u32) -> Self {
        Self::new(kind as u8, token, value)
    }

    fn new(kind: u8, token: Option<Token>, value: u32) -> Self {
        let place = token.map_or(NOWHERE, |token| {
            let index = token.index().min(LISTENER - 1);
            index | if token.is_listener() { LISTENER } else { 0 }
        });
        Self(u64::from(kind) << 56 | u64::from(place) << 32 | u64::from(value))
    }

    fn of_event(event: Event) -> Self {
        match event {
            Event::Ready {
                token,
                directions,
                closing,
            } => {
                let closing = if closing { CLOSING } else { 0 };
                Self::at(Kind::Ready, Some(token), directions.bits() | closing)
            }
            Event::Done { token, op, outcome } => {
                let (which, number) = match outcome {
                    Outcome::Complete(n) | Outcome::Datagram { len: n, .. } => (0, n.min(NUMBER)),
                    Outcome::Drained(n) => (1, n.min(NUMBER)),
                    Outcome::Accepted(_) => (2, 0),
                    Outcome::Failed(fault) => {
                        (3, fault_number(fault.kind) << 16 | u32::from(fault.code))
                    }
                };
                Self::new(DONE | op_number(op), Some(token), which << 30 | number)
            }
        }
    }

    fn of_call(call: Call) -> Self {
        let of = |kind, token| Self::at(kind, Some(token), 0);
        match call {
            Call::Send { .. } | Call::Space(_) | Call::Reserve { .. } | Call::Commit { .. } => {
                Self::NONE
            }
            Call::SendTo {
                token, len, taken, ..
            } => Self::at(Kind::SendTo, Some(token), sent(len, taken)),
            Call::SendDatagram {
                token, len, taken, ..
            } => Self::at(Kind::SendDatagram, Some(token), sent(len, taken)),
            Call::CloseDatagrams(token) => of(Kind::CloseDatagrams, token),
            Call::SendOthers { len, missed } => Self::at(Kind::SendOthers, None, pair(len, missed)),
            Call::WantRoom { token, len } => Self::at(Kind::WantRoom, Some(token), len),
            Call::ShutDown(token) => of(Kind::ShutDown, token),
            Call::Finish(token) | Call::FinishOf(token) => of(Kind::Finish, token),
            Call::TooLong(token) => of(Kind::TooLong, token),
            Call::Abort(token) | Call::AbortOf(token) => of(Kind::Abort, token),
            Call::Pause(token) => of(Kind::Pause, token),
            Call::Resume(token) => of(Kind::Resume, token),
            Call::SetTimer { token, after } => Self::at(Kind::SetTimer, Some(token), micros(after)),
            Call::CancelTimer(token) => of(Kind::CancelTimer, token),
            Call::Connect { token, .. } => Self::at(Kind::Connect, token, 0),
            Call::Lend(token) => of(Kind::Lend, token),
            Call::GiveBack { token, consumed } => Self::at(Kind::GiveBack, Some(token), consumed),
            Call::SetFreeTimer { timer, after } => free(Kind::SetFreeTimer, timer, after),
            Call::SetInterval { timer, period } => free(Kind::SetInterval, timer, period),
            Call::CancelFreeTimer(timer) => Self::at(Kind::CancelFreeTimer, None, timer),
            Call::WatchFor { token, directions } => {
                Self::at(Kind::WatchFor, Some(token), directions.bits())
            }
            Call::Unwatch(token) => of(Kind::Unwatch, token),
        }
    }

    /// The high byte; the others in the width that they have.
    #[expect(clippy::cast_possible_truncation, reason = "parts of a word")]
    const fn parts(self) -> (u8, u32, u32) {
        let Self(bits) = self;
        (
            (bits >> 56) as u8,
            (bits >> 32) as u32 & NOWHERE,
            bits as u32,
        )
    }
}

/// Two lengths, 65,535 at most.
#[inline(always)]
fn pair(first: u32, second: u32) -> u32 {
    first.min(0xffff) << 16 | second.min(0xffff)
}

/// A length, and whether it was taken.
fn sent(len: u32, taken: bool) -> u32 {
    let taken = if taken { 1 << 31 } else { 0 };
    len.min((1 << 31) - 1) | taken
}

/// A number of nanoseconds as microseconds, an hour or so at most.
fn micros(nanos: u64) -> u32 {
    u32::try_from(nanos / 1000).unwrap_or(u32::MAX)
}

/// A free timer has its number in the place.
fn free(kind: Kind, timer: u32, nanos: u64) -> Mark {
    let place = u64::from(timer.min(NOWHERE)) << 32;
    Mark((kind as u64) << 56 | place | u64::from(micros(nanos)))
}

fn op_number(op: Op) -> u8 {
    match op {
        Op::Accept => 0,
        Op::Refuse => 1,
        Op::Connect => 2,
        Op::Recv => 3,
        Op::Send => 4,
        Op::Arm => 5,
        Op::Shutdown => 6,
        Op::Unsent => 7,
        Op::Cancel => 8,
        Op::Close => 9,
        Op::ReceiveFrom => 10,
        Op::SendTo => 11,
    }
}

/// By number.
const OPS: [&str; 12] = [
    "accept",
    "refuse",
    "connect",
    "recv",
    "send",
    "arm",
    "shutdown",
    "unsent",
    "cancel",
    "close",
    "receive_from",
    "send_to",
];

fn fault_number(kind: FaultKind) -> u32 {
    match kind {
        FaultKind::Interrupted => 0,
        FaultKind::Reset => 1,
        FaultKind::Refused => 2,
        FaultKind::TimedOut => 3,
        FaultKind::Unreachable => 4,
        FaultKind::Shortage => 5,
        FaultKind::Invalid => 6,
        FaultKind::Unknown => 7,
    }
}

/// By number.
const FAULTS: [FaultKind; 8] = [
    FaultKind::Interrupted,
    FaultKind::Reset,
    FaultKind::Refused,
    FaultKind::TimedOut,
    FaultKind::Unreachable,
    FaultKind::Shortage,
    FaultKind::Invalid,
    FaultKind::Unknown,
];

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who, in a line: `#5`, `listener 0`, nothing.
struct Place(u32);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            NOWHERE => f.write_str("-"),
            place if place & LISTENER != 0 => write!(f, "listener {}", place & !LISTENER),
            place => write!(f, "#{place}"),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, place, value) = self.parts();
        if number >= DONE {
            return answer(f, number & !DONE, place, value);
        }
        let Some(kind) = Kind::ALL.iter().find(|kind| **kind as u8 == number) else {
            return f.write_str("nothing");
        };
        let (high, low) = (value >> 16, value & 0xffff);
        let at = Place(place);
        let set = Directions::of_bits(value);
        match kind {
            Kind::Time => {
                let nanos = self.0 & ((1 << 56) - 1);
                let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
                write!(f, "+{seconds}.{nanos:09} s")
            }
            Kind::Ready if value & CLOSING != 0 => write!(f, "{at} ready: {set:?}, closing"),
            Kind::Ready => write!(f, "{at} ready: {set:?}"),
            Kind::Served => write!(f, "{at} served: {high} bytes in, {low} out"),
            Kind::Visited => write!(f, "{at} told: {high} bytes consumed, {low} queued"),
            Kind::Listen if value == u32::MAX => write!(f, "{at} added"),
            Kind::Listen => write!(f, "{at} added, {value} of one address"),
            Kind::Reserve => write!(f, "{at} has {value} places reserved"),
            Kind::Limit => write!(f, "{at} takes at most {value} connections"),
            Kind::Watch => write!(f, "{at} watched: {set:?}"),
            Kind::Stop => f.write_str("stop"),
            Kind::Timer => write!(f, "{at} timer told"),
            Kind::Tick => write!(f, "timer {value} told"),
            Kind::SendTo if value >> 31 == 0 => write!(f, "{at} sent to: {value} bytes, no room"),
            Kind::SendTo => write!(f, "{at} sent to: {} bytes", value & !(1 << 31)),
            Kind::SendOthers => write!(f, "sent to others: {high} bytes, {low} missed"),
            Kind::WantRoom => write!(f, "{at} wants room: {value} bytes"),
            Kind::ShutDown => write!(f, "{at} shut_down"),
            Kind::Finish => write!(f, "{at} finish"),
            Kind::TooLong => write!(f, "{at} too_long"),
            Kind::Abort => write!(f, "{at} abort"),
            Kind::Pause => write!(f, "{at} pause"),
            Kind::Resume => write!(f, "{at} resume"),
            Kind::SetTimer => write!(f, "{at} set_timer: {value} us"),
            Kind::CancelTimer => write!(f, "{at} cancel_timer"),
            Kind::Connect => write!(f, "{at} connect"),
            Kind::Lend => write!(f, "{at} lent"),
            Kind::GiveBack => write!(f, "{at} given back: {value} bytes consumed"),
            Kind::SetFreeTimer => write!(f, "timer {place} set: {value} us"),
            Kind::SetInterval => write!(f, "timer {place} set: each {value} us"),
            Kind::CancelFreeTimer => write!(f, "timer {value} cancelled"),
            Kind::WatchFor => write!(f, "{at} watch_for: {set:?}"),
            Kind::Unwatch => write!(f, "{at} unwatch"),
            Kind::Priority if value == 0 => write!(f, "{at} without priority"),
            Kind::Priority => write!(f, "{at} with priority"),
            Kind::Datagrams => write!(f, "{at} added, for datagrams of {value} bytes"),
            Kind::SendDatagram if value >> 31 == 0 => {
                write!(f, "{at} send_datagram: {value} bytes, no room")
            }
            Kind::SendDatagram => write!(f, "{at} send_datagram: {} bytes", value & !(1 << 31)),
            Kind::CloseDatagrams => write!(f, "{at} close_datagrams"),
        }
    }
}

fn answer(f: &mut fmt::Formatter<'_>, op: u8, place: u32, value: u32) -> fmt::Result {
    let op = OPS.get(usize::from(op)).unwrap_or(&"?");
    let (at, number) = (Place(place), value & NUMBER);
    match value >> 30 {
        0 => write!(f, "{at} {op}: {number}"),
        1 if number == 0 => write!(f, "{at} {op}: would block"),
        1 => write!(f, "{at} {op}: {number}, then would block"),
        2 => write!(f, "{at} {op}: a peer"),
        _ => {
            let kind = FAULTS.get((number >> 16) as usize);
            let kind = kind.copied().unwrap_or(FaultKind::Unknown);
            #[expect(clippy::cast_possible_truncation, reason = "the low half")]
            let fault = kind.with_code(number as u16);
            write!(f, "{at} {op}: {fault}")
        }
    }
}

#[cfg(test)]
mod tests;
