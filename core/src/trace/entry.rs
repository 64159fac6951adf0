//! [`Entry`]: one thing that went into a session, or came out of it. [`Detail`]: what belongs to a call.

use super::input::Input;
use crate::config::{Config, Windows};
use crate::destination::Destination;
use crate::event::{Event, Local, Peer};
use crate::output::{Action, Notice};
use crate::token::Token;

/// One thing that went into a session, or came out of it, in the order in which it did.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Entry<'a> {
    /// The first of every trace: what the session was made with.
    Start {
        /// Its configuration, with the number of connections.
        config: Config,
        /// The sizes of the windows.
        windows: Windows,
        /// Slots for listeners, watched descriptors and datagram sockets together.
        sources: u32,
        /// Free timers.
        timers: u32,
    },
    /// The clock went on by so many nanoseconds: what follows came then.
    Time(u64),
    /// In: the driver passed an event, with the bytes that were received.
    Event {
        /// The event.
        event: Event,
        /// The bytes, or the first of them: as many as the recording keeps.
        kept: &'a [u8],
        /// How many followed that are not kept.
        cut: u32,
        /// The [`hash`] of those.
        hash: u32,
    },
    /// In: an iteration began, [`Session::handle_timeout`](crate::Session::handle_timeout).
    Iteration,
    /// Out: what was to be done next; `None`: nothing more in this iteration.
    Output(Option<Action>),
    /// Out: the application was notified. Its calls follow, up to [`Entry::Returned`].
    Notified(Notice),
    /// Out: `readable` was called for what had been left, after [`Input::Resume`]. The same follows.
    Again,
    /// The handler came back, with so many bytes left of what it was shown.
    Returned(u32),
    /// In: the application did something, in a call of its handler or between iterations.
    Call(Token, Input, Detail),
    /// A note of the recording program.
    Note(&'a str),
    /// So many entries are missing here: they did not fit. Nothing after it can be replayed.
    Lost(u64),
    /// The last: the recording was ended. Where it is not there, more was to come: the trace was cut off.
    End,
}

/// A number for some bytes, the same on every machine: FNV-1a of 32 bits. To see that two runs differ; no secret.
#[must_use]
pub fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

impl<'a> Entry<'a> {
    /// An event with all the bytes that were received.
    #[must_use]
    pub const fn event(event: Event, received: &'a [u8]) -> Self {
        Self::Event {
            event,
            kept: received,
            cut: 0,
            hash: 0,
        }
    }
}

/// What of a call does not fit an [`Input`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Detail {
    /// Nothing.
    None,
    /// The [`hash`] of the bytes that were sent.
    Hash(u32),
    /// The value of the [`Input`]: a time in nanoseconds, or a length.
    Number(u64),
    /// Where to connect to, and for which connection.
    To(Option<Token>, Destination),
    /// The source and the receiver of a datagram that was sent, and the [`hash`] of its bytes.
    Datagram(Option<Local>, Peer, u32),
}
