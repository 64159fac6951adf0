//! [`Input`]: what went in, in 8 bytes. [`RecordedInput`]: that, with its time and its source.

use crate::event::{Fault, Op, Outcome};
use crate::readiness::Directions;
use crate::time::Instant;
use crate::token::Token;
use core::fmt;

/// What went in, without its source and without what does not fit 8 bytes: payload and addresses. Lengths are in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
#[expect(missing_docs, reason = "fields are arguments and results")]
pub enum Input {
    /// [`Event::Ready`](crate::Event::Ready).
    Ready {
        directions: Directions,
        closing: bool,
    },
    /// [`Event::Done`](crate::Event::Done), or the same given to [`Session::poll_output`](crate::Session::poll_output), with
    /// [`Outcome::Complete`]: so many bytes moved. An accept has brought a peer, and a datagram has this length.
    Done { op: Op, n: u32 },
    /// As [`Done`](Self::Done), with [`Outcome::Drained`]: so many bytes moved, and another try would have blocked.
    Drained { op: Op, n: u32 },
    /// As [`Done`](Self::Done), with [`Outcome::Failed`].
    Failed { op: Op, fault: Fault },
    /// A handler has returned: what it consumed (65,535 at most) and queued. In the flight recorder only.
    Handled { consumed: u16, queued: u32 },
    /// [`Notice::Timer`](crate::Notice::Timer), [`Notice::Tick`](crate::Notice::Tick): the timer of a connection, or a free one, was due. In the flight recorder only.
    Due,
    /// [`Session::listen`](crate::Session::listen).
    Listen { limited: bool, per_source: u32 },
    /// [`Session::reserve_slots`](crate::Session::reserve_slots).
    ReserveSlots(u32),
    /// [`Session::limit_connections`](crate::Session::limit_connections).
    LimitConnections(u32),
    /// [`Session::set_priority`](crate::Session::set_priority).
    SetPriority(bool),
    /// [`Session::watch`](crate::Session::watch).
    Watch(Directions),
    /// [`Session::add_datagrams`](crate::Session::add_datagrams); [`Detail::Number`](super::Detail::Number) is the send buffer.
    AddDatagrams { receive: u32 },
    /// [`Session::stop`](crate::Session::stop); [`Detail::Number`](super::Detail::Number) is the time.
    Stop,
    /// [`Conn::send`](crate::Conn::send).
    Send { len: u32, taken: bool },
    /// [`Conn::spare_capacity`](crate::Conn::spare_capacity).
    SpareCapacity,
    /// [`Conn::reserve`](crate::Conn::reserve).
    Reserve { len: u32, taken: bool },
    /// [`Conn::commit`](crate::Conn::commit).
    Commit(u32),
    /// [`Conn::send_to`](crate::Conn::send_to), and what [`Conn::send_others`](crate::Conn::send_others) did for each.
    SendTo { len: u32, taken: bool },
    /// [`Conn::send_others`](crate::Conn::send_others), with how many did not take it (65,535 at most). In the flight recorder only.
    SendOthers { len: u32, missed: u16 },
    /// [`Conn::want_capacity`](crate::Conn::want_capacity).
    WantCapacity(u32),
    /// [`Conn::shut_down`](crate::Conn::shut_down).
    ShutDown,
    /// [`Conn::finish`](crate::Conn::finish).
    Finish,
    /// [`Connections::finish`](crate::Connections::finish).
    FinishOf,
    /// [`Conn::too_long`](crate::Conn::too_long).
    TooLong,
    /// [`Conn::abort`](crate::Conn::abort).
    Abort,
    /// [`Connections::abort`](crate::Connections::abort), [`Conn::abort_other`](crate::Conn::abort_other).
    AbortOf,
    /// [`Conn::pause`](crate::Conn::pause).
    Pause,
    /// [`Conn::resume`](crate::Conn::resume).
    Resume,
    /// [`Connections::set_timer_of`](crate::Connections::set_timer_of). [`Detail::Number`](super::Detail::Number) is exact, here and below.
    SetTimer { micros: u32 },
    /// [`Connections::cancel_timer_of`](crate::Connections::cancel_timer_of).
    CancelTimer,
    /// [`Conn::connect`](crate::Conn::connect), for that connection; without one
    /// [`Connections::connect`](crate::Connections::connect) or [`Session::connect`](crate::Session::connect). Of no token: it was refused.
    Connect,
    /// [`Conn::with`](crate::Conn::with): what follows is done with this one, until it is released. Between iterations
    /// [`Session::with`](crate::Session::with), until [`Entry::Returned`](super::Entry::Returned).
    With,
    /// The end of that, with what was consumed.
    Release(u32),
    /// [`Connections::set_timer`](crate::Connections::set_timer).
    SetFreeTimer { micros: u32 },
    /// [`Connections::set_interval`](crate::Connections::set_interval).
    SetInterval { micros: u32 },
    /// [`Connections::cancel_timer`](crate::Connections::cancel_timer).
    CancelFreeTimer,
    /// [`Connections::watch_for`](crate::Connections::watch_for).
    WatchFor(Directions),
    /// [`Connections::unwatch`](crate::Connections::unwatch).
    Unwatch,
    /// [`Connections::send_datagram`](crate::Connections::send_datagram), and
    /// [`Connections::send_datagram_from`](crate::Connections::send_datagram_from), which names the local address.
    SendDatagram { len: u32, taken: bool },
    /// [`Connections::close_datagrams`](crate::Connections::close_datagrams).
    CloseDatagrams,
}

impl Input {
    /// What of an operation's completion fits. Which kind of success it was goes by the operation: a driver that has mixed them up is
    /// named by the line that the core logs about an impossible completion.
    #[must_use]
    pub const fn done(op: Op, outcome: &Outcome) -> Self {
        match *outcome {
            Outcome::Complete(n) | Outcome::Datagram { len: n, .. } => Self::Done { op, n },
            Outcome::Accepted(_) => Self::Done { op, n: 0 },
            Outcome::Drained(n) => Self::Drained { op, n },
            Outcome::Failed(fault) => Self::Failed { op, fault },
        }
    }
}

impl fmt::Display for Input {
    /// The outcome of an operation in words, `Recv: 64, then would block`; all else is a name and its numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Done { op: Op::Accept, .. } = *self {
            f.write_str("Accept: a peer")
        } else if let Self::Done { op, n } = *self {
            write!(f, "{op:?}: {n}")
        } else if let Self::Drained { op, n: 0 } = *self {
            write!(f, "{op:?}: would block")
        } else if let Self::Drained { op, n } = *self {
            write!(f, "{op:?}: {n}, then would block")
        } else if let Self::Failed { op, fault } = *self {
            write!(f, "{op:?}: {fault}")
        } else {
            fmt::Debug::fmt(self, f)
        }
    }
}

/// An input with its source and its time: what the flight recorder keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordedInput {
    /// When it came, by the clock of the machine, which does not go back.
    pub at: Instant,
    /// The source; [`Token::NONE`] if it is of none.
    pub token: Token,
    /// What it was.
    pub input: Input,
}

impl RecordedInput {
    /// All zeros.
    pub(super) const UNUSED: Self = Self {
        at: Instant::ZERO,
        token: Token::from_bits(0),
        input: Input::Ready {
            directions: Directions::NONE,
            closing: false,
        },
    };
}

const _: () = assert!(size_of::<RecordedInput>() == 24, "one is three words");

impl fmt::Display for RecordedInput {
    /// `12.000345678 #5 Recv: 64`: the time in seconds, the source, the input.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, token, input } = self;
        let nanos = at.as_nanos();
        let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        write!(f, "{seconds}.{nanos:09} {token} {input}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use core::net::{Ipv4Addr, SocketAddr};

    fn line(token: Token, input: Input) -> alloc::string::String {
        let at = Instant::from_nanos(1_000_000_002);
        format!("{}", RecordedInput { at, token, input })
    }

    #[test]
    fn each_is_a_line() {
        let token = Token::from_bits(5 | 9 << 32);
        let (first, listener) = (Token::new(5, 1), Token::from_bits(1 << 31 | 1 << 32));
        let ready = |closing| {
            let directions = Directions::READ;
            Input::Ready {
                directions,
                closing,
            }
        };
        let done = |op, outcome| Input::done(op, &outcome);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        let reset = Fault::Reset(104);
        let (limited, per_source) = (true, 3);
        for (token, input, told) in [
            (
                token,
                ready(false),
                "#5.9 Ready { directions: R, closing: false }",
            ),
            (
                first,
                ready(true),
                "#5 Ready { directions: R, closing: true }",
            ),
            (first, done(Op::Recv, Outcome::Complete(64)), "#5 Recv: 64"),
            (
                first,
                done(Op::Recv, Outcome::Drained(0)),
                "#5 Recv: would block",
            ),
            (
                first,
                done(Op::Send, Outcome::Drained(7)),
                "#5 Send: 7, then would block",
            ),
            (
                first,
                done(Op::Accept, Outcome::Accepted(Some(peer))),
                "#5 Accept: a peer",
            ),
            (
                first,
                done(Op::Close, Outcome::Failed(reset)),
                "#5 Close: connection reset by peer (errno 104)",
            ),
            (
                listener,
                Input::Listen {
                    limited,
                    per_source,
                },
                "listener 0 Listen { limited: true, per_source: 3 }",
            ),
            (Token::NONE, Input::Stop, "- Stop"),
            (
                first,
                Input::Handled {
                    consumed: 5,
                    queued: 70_000,
                },
                "#5 Handled { consumed: 5, queued: 70000 }",
            ),
            (Token::free_timer(3), Input::Due, "timer 3 Due"),
            (
                Token::free_timer(3),
                Input::SetInterval { micros: 1500 },
                "timer 3 SetInterval { micros: 1500 }",
            ),
            (
                first,
                Input::SendTo {
                    len: 9,
                    taken: false,
                },
                "#5 SendTo { len: 9, taken: false }",
            ),
            (first, Input::Finish, "#5 Finish"),
            (
                listener,
                Input::WatchFor(Directions::NONE),
                "listener 0 WatchFor(-)",
            ),
        ] {
            assert_eq!(line(token, input), format!("1.000000002 {told}"));
        }
    }
}
