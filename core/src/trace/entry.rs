//! [`Entry`]: one thing that went into a session, or came out of it. [`Call`]: what the application did. [`Bytes`]: payload.

use crate::config::{Config, Windows};
use crate::destination::Destination;
use crate::directions::Directions;
use crate::event::{Event, Local, Op, Outcome, Peer, Transfer};
use crate::output::{Action, Alarm, Notice};
use crate::time::Instant;
use crate::token::Token;

/// One thing that went into a session, or came out of it, in the order in which it did.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Entry<'a> {
    /// The first of every trace: what the session was made with.
    Start {
        /// How it is set.
        config: Config,
        /// The sizes of its windows.
        windows: Windows,
    },
    /// The clock went on by so many nanoseconds: what follows came then.
    Time(u64),
    /// In: the driver told of a report by [`Session::handle_ready`](crate::Session::handle_ready). An [`Entry::Event`]
    /// follows, or it was served on the spot: told [`Notice::Readable`] between [`Entry::Received`] and
    /// [`Entry::Sent`].
    Report {
        /// The source.
        token: Token,
        /// What was reported.
        directions: Directions,
        /// The end or an error was.
        closing: bool,
    },
    /// In: what a receive on the spot came to.
    Received {
        /// What the transfer answered.
        transfer: Transfer,
        /// What came.
        #[cfg_attr(feature = "trace", serde(borrow))]
        bytes: Bytes<'a>,
    },
    /// In: what a send on the spot came to.
    Sent(Transfer),
    /// In: the driver told what happened.
    Event(
        Event,
        #[cfg_attr(feature = "trace", serde(borrow))] Bytes<'a>,
    ),
    /// In: a turn began, [`Session::handle_timeout`](crate::Session::handle_timeout).
    Turn,
    /// Out: what was to be done next; `None`: nothing more in this turn.
    Output(Option<Action>),
    /// In: a listener was added.
    Listen {
        /// Its name; `None`: there was no place for it.
        token: Option<Token>,
        /// Connections from one address.
        per_source: Option<u32>,
    },
    /// In: slots were reserved for a listener.
    Reserve {
        /// The listener.
        listener: Token,
        /// How many.
        slots: u32,
    },
    /// In: a listener was given priority over others, or is like them again.
    Priority {
        /// The listener.
        listener: Token,
        /// Whether it goes first.
        priority: bool,
    },
    /// In: a descriptor was added, to be watched.
    Watch {
        /// Its name; `None`: there was no place for it.
        token: Option<Token>,
        /// For what.
        directions: Directions,
    },
    /// In: a socket of datagrams was added.
    Datagrams {
        /// Its name; `None`: there was no place for it.
        token: Option<Token>,
        /// Bytes of its window to receive.
        receive: u32,
        /// Bytes of its window to send.
        send: u32,
    },
    /// In: everything was to stop by then.
    Stop(Instant),
    /// Out: the application was told. Its calls follow, up to [`Entry::Returned`].
    Told(Notice),
    /// Out: a timer was told. The same follows.
    Alarm(Alarm),
    /// Out: `readable` was called for what had been left, after [`Call::Resume`]. The same follows.
    Again,
    /// The handler came back, with so many bytes left of what it was shown.
    Returned(u32),
    /// Out: after all calls of a visit, what it came to.
    Visited {
        /// The connection.
        token: Token,
        /// Bytes that were consumed.
        consumed: u32,
        /// Bytes that were queued there.
        queued: u32,
    },
    /// The application did something: in a visit, or between turns.
    Call(Call),
    /// What whoever records wants to say.
    Note(&'a str),
    /// So many entries are missing here: there was no room for them. Nothing after it can be replayed.
    Lost(u64),
    /// In: the connections of a listener were limited.
    Limit {
        /// The listener.
        listener: Token,
        /// How many it may have at a time.
        connections: u32,
    },
}

impl<'a> Entry<'a> {
    /// The payload of an entry that can have one.
    #[must_use]
    pub const fn bytes(&self) -> Option<Bytes<'a>> {
        if let Self::Received { bytes, .. } | Self::Event(_, bytes) = self {
            Some(*bytes)
        } else {
            None
        }
    }

    /// The same, to be changed.
    pub const fn bytes_mut(&mut self) -> Option<&mut Bytes<'a>> {
        if let Self::Received { bytes, .. } | Self::Event(_, bytes) = self {
            Some(bytes)
        } else {
            None
        }
    }

    /// An answer, as an entry without payload.
    #[must_use]
    pub const fn done(token: Token, op: Op, outcome: Outcome) -> Self {
        Self::Event(Event::Done { token, op, outcome }, Bytes::NONE)
    }
}

/// Bytes that were received, or what is kept of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Bytes<'a> {
    /// All of them.
    Whole(&'a [u8]),
    /// The first of them, of so many.
    Cut(&'a [u8], u32),
    /// How many, and their [`hash`].
    Hashed(u32, u32),
}

impl Bytes<'_> {
    /// None.
    pub const NONE: Self = Bytes::Whole(&[]);
}

/// How much of what is received is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// All of it.
    Whole,
    /// So many bytes of each piece.
    First(u32),
    /// A hash of each piece.
    Hash,
}

impl Payload {
    /// What is kept of these bytes.
    #[must_use]
    pub fn of(self, bytes: Bytes<'_>) -> Bytes<'_> {
        let Bytes::Whole(all) = bytes else {
            return bytes;
        };
        let len = u32::try_from(all.len()).unwrap_or(u32::MAX);
        match self {
            Self::First(n) if n < len => Bytes::Cut(all.get(..n as usize).unwrap_or_default(), len),
            Self::Whole | Self::First(_) => bytes,
            Self::Hash if len == 0 => bytes,
            Self::Hash => Bytes::Hashed(len, hash(all)),
        }
    }
}

/// A number for some bytes, the same on every machine: FNV-1a of 32 bits. To see that two runs differ; no secret.
#[must_use]
pub fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// What an application did, in a visit or between turns. Lengths are in bytes, times in nanoseconds; of bytes that were
/// sent, the [`hash`] is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
#[expect(missing_docs, reason = "the fields are the arguments and the answers")]
pub enum Call {
    /// [`Conn::send`](crate::Conn::send).
    Send {
        token: Token,
        len: u32,
        hash: u32,
        taken: bool,
    },
    /// [`Conn::space`](crate::Conn::space).
    Space(Token),
    /// [`Conn::reserve`](crate::Conn::reserve).
    Reserve { token: Token, len: u32, taken: bool },
    /// [`Conn::commit`](crate::Conn::commit).
    Commit { token: Token, len: u32, hash: u32 },
    /// [`Conn::send_to`](crate::Conn::send_to), and what [`Conn::send_others`](crate::Conn::send_others) did for each.
    SendTo {
        token: Token,
        len: u32,
        hash: u32,
        taken: bool,
    },
    /// [`Conn::send_others`](crate::Conn::send_others), with how many did not take it. In the flight recorder only.
    SendOthers { len: u32, missed: u32 },
    /// [`Conn::want_room`](crate::Conn::want_room).
    WantRoom { token: Token, len: u32 },
    /// [`Conn::shut_down`](crate::Conn::shut_down).
    ShutDown(Token),
    /// [`Conn::finish`](crate::Conn::finish).
    Finish(Token),
    /// [`Connections::finish`](crate::Connections::finish).
    FinishOf(Token),
    /// [`Conn::too_long`](crate::Conn::too_long).
    TooLong(Token),
    /// [`Conn::abort`](crate::Conn::abort).
    Abort(Token),
    /// [`Connections::abort`](crate::Connections::abort), [`Conn::abort_other`](crate::Conn::abort_other).
    AbortOf(Token),
    /// [`Conn::pause`](crate::Conn::pause).
    Pause(Token),
    /// [`Conn::resume`](crate::Conn::resume).
    Resume(Token),
    /// [`Conn::set_timer`](crate::Conn::set_timer).
    SetTimer { token: Token, after: u64 },
    /// [`Conn::cancel_timer`](crate::Conn::cancel_timer).
    CancelTimer(Token),
    /// [`Conn::connect`](crate::Conn::connect), for that connection; without one
    /// [`Connections::connect`](crate::Connections::connect) or [`Session::connect`](crate::Session::connect). No token: it
    /// was refused.
    Connect {
        token: Option<Token>,
        origin: Option<Token>,
        to: Destination,
    },
    /// [`Conn::lend`](crate::Conn::lend): what follows is done with this one, until it is given back. Between turns
    /// [`Session::lend`](crate::Session::lend), until [`Entry::Returned`].
    Lend(Token),
    /// The end of that.
    GiveBack { token: Token, consumed: u32 },
    /// [`Connections::set_timer`](crate::Connections::set_timer).
    SetFreeTimer { timer: u32, after: u64 },
    /// [`Connections::set_interval`](crate::Connections::set_interval).
    SetInterval { timer: u32, period: u64 },
    /// [`Connections::cancel_timer`](crate::Connections::cancel_timer).
    CancelFreeTimer(u32),
    /// [`Connections::watch_for`](crate::Connections::watch_for).
    WatchFor {
        token: Token,
        directions: Directions,
    },
    /// [`Connections::unwatch`](crate::Connections::unwatch).
    Unwatch(Token),
    /// [`Connections::send_datagram`](crate::Connections::send_datagram), and
    /// [`Connections::send_datagram_from`](crate::Connections::send_datagram_from), which names the local address.
    SendDatagram {
        token: Token,
        local: Option<Local>,
        to: Peer,
        len: u32,
        hash: u32,
        taken: bool,
    },
    /// [`Connections::close_datagrams`](crate::Connections::close_datagrams).
    CloseDatagrams(Token),
}
