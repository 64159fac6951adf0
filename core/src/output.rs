//! What comes out: [`Action`] to the driver; [`Notice`] and [`Reason`] to the application.

use crate::config::Class;
use crate::event::{Fault, Op};
use crate::readiness::{Directions, Trigger};
use crate::token::Token;
use core::fmt;

/// Where bytes lie inside one connection's receive or send window.
///
/// A position rather than a borrow, so that actions are `Copy` and hold no lifetime. It stays valid until the action
/// that carries it completes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub struct Span {
    /// Offset of the first byte from the start of the window, in bytes.
    pub at: u32,
    /// Length in bytes, never 0 in an action.
    pub len: u32,
}

/// Something for the driver to do.
///
/// Each completes by exactly one [`Event::Done`](crate::Event::Done) with the [`Op`](crate::Op) of its name, except
/// `Arm` and `Cancel`, which complete only when they fail, and `Rebuild`, which has no completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "an action that is not performed and completed holds its connection for ever"]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Action {
    /// Accept one connection; `token` is reserved for it, and the completion names it.
    Accept {
        /// Where from.
        listener: Token,
        /// The connection to be.
        token: Token,
    },
    /// Accept one connection and reset it at once; the completion names the listener. It takes no slot.
    Refuse {
        /// Where from.
        listener: Token,
    },
    /// Connect, or go on connecting; [`Session::destination`](crate::Session::destination) returns where to.
    ///
    /// A driver that has no descriptor for it yet makes one, and connects it without waiting. One that has such a
    /// descriptor checks the result, and reads its error (`SO_ERROR`) here alone: reading clears it. `Complete`:
    /// connected. `Drained(0)`: the connect is in progress (`EINPROGRESS`, and after an interruption, too); writability
    /// is reported when it is done. `Failed`: resource exhaustion (`EAGAIN` of a Unix socket counts as such) leaves no
    /// descriptor and is retried after a while; any other error ends the connection.
    ///
    /// A non-socket stream is opened, unless the driver was given it; either is `Complete` at once, with what the
    /// device ignores of its settings ([`Ignored`](crate::Ignored)).
    Connect {
        /// The connection to be.
        token: Token,
    },
    /// Receive into this part of the connection's receive window.
    Recv {
        /// The connection.
        token: Token,
        /// Where to.
        into: Span,
    },
    /// Send this part of the connection's send window.
    Send {
        /// The connection.
        token: Token,
        /// Where from.
        from: Span,
    },
    /// Change what the kernel reports about a source.
    ///
    /// `was` is what the kernel's set holds for it: empty, so it has to be added; `now` is empty: it has to be removed;
    /// otherwise modified, even if both are equal (a one-shot interest that has fired). [`Directions::HANGUP`] is not empty:
    /// the source is registered for neither direction.
    Arm {
        /// The source.
        token: Token,
        /// What is registered, fired or not.
        was: Directions,
        /// What is to be registered.
        now: Directions,
        /// How it shall report.
        trigger: Trigger,
    },
    /// Shut the sending side down (`SHUT_WR`): the peer will read its end.
    ///
    /// Of a stream without half-close (a terminal, a pipe): `Drained` if all output has left, so that it can be closed
    /// at once; `Complete` if closing now could cut it off: then it has the time of lingering.
    Shutdown {
        /// The connection.
        token: Token,
    },
    /// Query how many bytes that were sent the peer has not acknowledged yet (`SIOCOUTQ`): `Complete` of it; `Drained`
    /// of it if the peer is known to live, though it may take nothing: it responds to the kernel, window probes too
    /// (`TCP_INFO`), or it is on this machine.
    ///
    /// It is requested for a stalled connection, and for one whose peer has sent FIN and to which nothing is queued, or
    /// that transfers nothing and of which a hang-up was reported: `Failed` with the error if it has one (`SO_ERROR`),
    /// and with [`Fault::Refused`](Fault::Refused) if nothing can be sent any more though there was
    /// none: a Unix peer that has closed, a terminal without its other end, a device that is gone.
    Unsent {
        /// The connection.
        token: Token,
    },
    /// Receive one datagram into [`Session::datagram_into`](crate::Session::datagram_into); the completion has its
    /// length and sender ([`Outcome::Datagram`](crate::Outcome::Datagram)). `Drained(0)`: there is none. A failure is
    /// an error that the socket had stored (`ECONNREFUSED` after an ICMP message) and ends nothing.
    ReceiveFrom {
        /// The datagram socket.
        token: Token,
    },
    /// Send the queued datagram: [`Session::datagram_from`](crate::Session::datagram_from) returns it. `Complete`: it
    /// was sent. `Drained(0)`: the buffer is full, and writability is reported when it is not; where it is not reported
    /// (the full queue of a Unix receiver, `EAGAIN`), it failed for resource exhaustion. What failed is not sent again.
    SendTo {
        /// The datagram socket.
        token: Token,
    },
    /// Make what is in flight complete soon, done or not. A driver that completes at once never sees it.
    Cancel {
        /// The connection.
        token: Token,
    },
    /// Close the descriptor. Whatever was armed has been removed before.
    Close {
        /// The connection, listener or whatever it is.
        token: Token,
        /// With a reset rather than an orderly end (`SO_LINGER` of zero seconds).
        reset: bool,
    },
    /// Make a new readiness set, register in it what [`Dispatcher::armed`](crate::Dispatcher::armed) lists, and drop
    /// the old one: it reports what can no longer be removed (a registration that outlived its descriptor, `epoll(7)`
    /// Q6). If no new set can be made, register everything again in the old one.
    Rebuild,
}

impl Action {
    /// The operation of the action: the token and the [`Op`] that its completion carries. `None`: it has none
    /// ([`Rebuild`](Self::Rebuild)).
    #[must_use]
    pub const fn operation(&self) -> Option<(Token, Op)> {
        Some(match *self {
            Self::Recv { token, .. } => (token, Op::Recv),
            Self::Send { token, .. } => (token, Op::Send),
            Self::Accept { token, .. } => (token, Op::Accept),
            Self::Refuse { listener } => (listener, Op::Refuse),
            Self::Connect { token } => (token, Op::Connect),
            Self::Arm { token, .. } => (token, Op::Arm),
            Self::Shutdown { token } => (token, Op::Shutdown),
            Self::Unsent { token } => (token, Op::Unsent),
            Self::ReceiveFrom { token } => (token, Op::ReceiveFrom),
            Self::SendTo { token } => (token, Op::SendTo),
            Self::Cancel { token } => (token, Op::Cancel),
            Self::Close { token, .. } => (token, Op::Close),
            Self::Rebuild => return None,
        })
    }
}

/// A notice for the application: what the handling of an event returns, or a timer that is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Notice {
    /// A connection was accepted, or one of ours is connected.
    Opened(Token),
    /// New bytes lie in its receive window.
    Readable(Token),
    /// What did not fit into its send window would fit now.
    Writable(Token),
    /// The peer finished sending; what it sent lies in the receive window. Sending is still possible.
    Ended(Token),
    /// It is gone; nothing follows about this token. An outbound connection that failed was never opened.
    Closed(Token, Reason),
    /// The completion that has just come in is for the application: a datagram; or why none came or one was not sent.
    /// After a send that is done: it waited for that.
    Datagram(Token),
    /// A watched descriptor is ready in these directions; or it cannot be watched any more, and why. Nothing follows then.
    Watched(Token, Result<Directions, Fault>),
    /// The timer of a connection is due. This and the next come of [`Dispatcher::poll_timer`](crate::Dispatcher::poll_timer)
    /// alone.
    Timer(Token),
    /// A free timer is due.
    Tick {
        /// Its number.
        timer: u32,
        /// How many periods have passed since it was set or fired last; 1 if it is one-shot.
        periods: u64,
    },
}

/// Why a connection was closed: the first cause, whatever happened after it. `PeerFinished` and `Finished` mean that every
/// byte that was queued has been handed to the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Reason {
    /// The peer finished, and so did we.
    PeerFinished,
    /// The application finished it.
    Finished,
    /// The application aborted it.
    Aborted,
    /// A deadline passed: the class names it.
    Deadline(Class),
    /// A message was too long: the receive window was full, and the application took none of it with the whole send
    /// window free and waiting for no capacity; or the application reported it.
    TooLong,
    /// It was idle longest when the table was full, and the policy is to evict.
    Evicted,
    /// The server is stopping. What was queued has been handed to the kernel unless the time for it ran out.
    Stopping,
    /// An operation failed.
    Failed(Fault),
}

impl Reason {
    /// How many kinds there are, for a table indexed by [`Reason::kind`].
    pub const KINDS: usize = 16;

    /// The kind as a number below [`Reason::KINDS`]; each class of deadline is a kind.
    #[must_use]
    pub const fn kind(self) -> usize {
        match self {
            Self::PeerFinished => 0,
            Self::Finished => 1,
            Self::Aborted => 2,
            Self::TooLong => 3,
            Self::Evicted => 4,
            Self::Stopping => 5,
            Self::Failed(fault) => match fault {
                Fault::Reset(_) => 6,
                Fault::Interrupted(_)
                | Fault::Refused(_)
                | Fault::TimedOut(_)
                | Fault::Unreachable(_)
                | Fault::Exhausted(_)
                | Fault::Invalid(_)
                | Fault::Unknown(_) => 7,
            },
            Self::Deadline(class) => 8 + class.index(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerFinished => f.write_str("peer finished"),
            Self::Finished => f.write_str("finished"),
            Self::Aborted => f.write_str("aborted"),
            Self::Deadline(class) => f.write_str(class.expired()),
            Self::TooLong => f.write_str("message too long"),
            Self::Evicted => f.write_str("evicted, the table was full"),
            Self::Stopping => f.write_str("server stopping"),
            Self::Failed(fault) => write!(f, "{fault}"),
        }
    }
}
