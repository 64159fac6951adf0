//! [`Entry`]: one thing that went into a session, or came out of it. [`Call`]: what the application did.

use crate::destination::Destination;
use crate::directions::Directions;
use crate::event::{Event, Op, Outcome};
use crate::output::Alarm;
use crate::time::Instant;
use crate::token::Token;

/// One thing that went into a session, or came out of it, in the order in which it did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// The clock went on by so many nanoseconds: what follows came then.
    Time(u64),
    /// The driver told what happened.
    Event(Event),
    /// A listener was added.
    Listen {
        /// Its name; `None`: there was no place for it.
        token: Option<Token>,
        /// Connections from one address.
        per_source: Option<u32>,
    },
    /// Slots were reserved for a listener.
    Reserve {
        /// The listener.
        listener: Token,
        /// How many.
        slots: u32,
    },
    /// A descriptor was added, to be watched.
    Watch {
        /// Its name; `None`: there was no place for it.
        token: Option<Token>,
        /// For what.
        directions: Directions,
    },
    /// Everything was to stop by then.
    Stop(Instant),
    /// A timer was told to the application.
    Alarm(Alarm),
    /// A handler was told about a connection, and has returned.
    Visited {
        /// The connection.
        token: Token,
        /// Bytes that it consumed.
        consumed: u32,
        /// Bytes that it queued there.
        queued: u32,
    },
    /// The application did something.
    Call(Call),
}

impl Entry {
    /// An answer, as an entry.
    #[must_use]
    pub const fn done(token: Token, op: Op, outcome: Outcome) -> Self {
        Self::Event(Event::Done { token, op, outcome })
    }
}

/// What an application did, in a visit or between turns. Lengths are in bytes, times in nanoseconds.
///
/// What it sends or consumes on the connection that it was told about is counted by [`Entry::Visited`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the fields are the arguments and the answers")]
pub enum Call {
    /// [`Conn::send_to`](crate::Conn::send_to).
    SendTo { token: Token, len: u32, taken: bool },
    /// [`Conn::send_others`](crate::Conn::send_others), with how many did not take it.
    SendOthers { len: u32, missed: u32 },
    /// [`Conn::want_room`](crate::Conn::want_room).
    WantRoom { token: Token, len: u32 },
    /// [`Conn::shut_down`](crate::Conn::shut_down).
    ShutDown(Token),
    /// [`Conn::finish`](crate::Conn::finish).
    Finish(Token),
    /// [`Conn::too_long`](crate::Conn::too_long).
    TooLong(Token),
    /// [`Conn::abort`](crate::Conn::abort).
    Abort(Token),
    /// [`Conn::pause`](crate::Conn::pause).
    Pause(Token),
    /// [`Conn::resume`](crate::Conn::resume).
    Resume(Token),
    /// [`Conn::set_timer`](crate::Conn::set_timer).
    SetTimer { token: Token, after: u64 },
    /// [`Conn::cancel_timer`](crate::Conn::cancel_timer).
    CancelTimer(Token),
    /// [`Conn::connect`](crate::Conn::connect); `None`: it was refused.
    Connect {
        token: Option<Token>,
        to: Destination,
    },
    /// [`Conn::lend`](crate::Conn::lend): what follows is done with this one, until it is given back.
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
}
