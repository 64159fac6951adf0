//! [`Handler`]: what a user writes.

use super::conn::Conn;
use super::connections::Connections;
use super::datagram::Datagram;
use crate::event::Fault;
use crate::output::Reason;
use crate::readiness::Directions;
use crate::token::Token;
use crate::uses::Uses;

/// What an application does with its connections. Each method borrows one connection for one service; nothing it does
/// can block, and what it requests happens after it returns.
///
/// # Examples
///
/// An echo server. What does not fit into the send window stays in the receive window, the peer is backpressured, and
/// `writable` (which calls `readable` unless it is overridden) goes on when there is capacity.
///
/// ```
/// use tidegate_core::{Conn, Handler};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     type State = ();
///     fn readable(&mut self, conn: &mut Conn<'_>, _: &mut ()) {
///         let data = conn.data();
///         let n = data.len().min(conn.capacity());
///         if conn.send(&data[..n]).is_ok() { conn.consume(n) }
///     }
/// }
/// ```
///
/// A chat: each line goes to all the others.
///
/// ```
/// use tidegate_core::{Conn, Handler};
///
/// struct Chat { dropped: u32 }
///
/// impl Handler for Chat {
///     type State = u32; // lines received
///     fn readable(&mut self, conn: &mut Conn<'_>, lines: &mut u32) {
///         while let Some(end) = conn.data().iter().position(|&b| b == b'\n') {
///             self.dropped += conn.send_others(&conn.data()[..=end]); // to how many it did not fit
///             *lines += 1;
///             conn.consume(end + 1);
///         }
///     }
/// }
/// ```
pub trait Handler {
    /// The application's own state of one connection, `()` if it needs none. A new default one for each connection.
    type State: Default;

    /// Whether it makes connections itself ([`Conn::connect`], [`Connections::connect`]). `true` by default. A server
    /// whose handler never does may set `false` here, and does not link the code that connects; each connection that it
    /// would make all the same is notified as a failure ([`Fault::Invalid`](crate::Fault::Invalid)).
    const CONNECTS: bool = true;

    /// Whether the connections of each source address may be limited ([`Session::listen`](crate::Session::listen),
    /// [`Config::sources`](crate::Config::sources)). `true` by default. A server that has nobody to share its slots with, over the
    /// loopback or a link between two machines, may set `false` here, and does not link the code that counts: all its
    /// connections are taken, whatever the limits say.
    const LIMITS_SOURCES: bool = true;

    /// Whether the [flight recorder](crate::trace) is on. `true` by default. A server that nobody will ask for its last
    /// inputs may set `false` here, and does not link what keeps them: the recorder stays empty. The full trace has them all
    /// the same.
    const RECORDS: bool = true;

    /// Whether what its descriptors refer to may be open elsewhere too: in a child that was forked, in a process that a
    /// descriptor was passed to, or under a number that the program duplicated. Such a socket stays registered when the server has closed its own, and is
    /// reported at every wait, so a new readiness set is made then ([`Action::Rebuild`](crate::Action::Rebuild)). `true` by default. A program in
    /// which that cannot be may set `false` here, and does not link what makes one: such events are dropped and counted
    /// ([`Stats::stale`](crate::Stats::stale)), but do not end.
    const SHARES_DESCRIPTORS: bool = true;

    /// Whether a connection in trouble is given time. `true` by default. A server whose clients can just as well connect again may
    /// set `false` here, and does not link what waits and asks. Then a connection ends
    ///
    /// - as [failed](Reason::Failed) when an operation fails for [resource exhaustion](crate::Fault::Exhausted), instead of
    ///   being retried after [`Config::congestion`](crate::Config::congestion);
    /// - when its [write stall](crate::Config::write_stall) is over, though its peer may live, and take a little;
    /// - as [reset](crate::Fault::Reset) when it is reported as hung up while the handler wants nothing of it;
    ///   but not in edge mode, where that looks like the end of what the peer sends.
    const PATIENT: bool = true;

    /// A connection was accepted, or one of ours is connected. Does nothing by default.
    fn opened(&mut self, conn: &mut Conn<'_>, state: &mut Self::State) {
        let _ = (conn, state);
    }

    /// Bytes were received: [`Conn::data`] has them, after those that were not consumed before. Called again only after
    /// more bytes, after [`Conn::resume`], and by `writable`. Discards them by default.
    ///
    /// Data may be left: an incomplete message, or one whose reply lacks send capacity, whether that was found by
    /// [`Conn::capacity`] or by a send that returned `Full`. What is left while output is queued is shown again once all
    /// output was sent, and only then is EOF notified. A receive window that is full although the handler was shown all
    /// of it with the whole send window free, waits for no capacity and has not [paused](Conn::pause) can never be
    /// emptied: the connection is closed with [`Reason::TooLong`].
    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut Self::State) {
        let _ = state;
        conn.consume(conn.data().len());
    }

    /// There is send capacity again: called once after a send that returned `Full`, when that would fit; or after a
    /// service that ended with data left while output was queued: with no capacity at all, as soon as there is some,
    /// else when all output was sent. Nothing is received in between, except in the last case. Calls `readable` by
    /// default.
    fn writable(&mut self, conn: &mut Conn<'_>, state: &mut Self::State) {
        self.readable(conn, state);
    }

    /// The peer has sent its last byte. What was not consumed is still in [`Conn::data`]; after the connection is
    /// finished it is dropped. Finishes by default; a handler that has more to send may do that first, or later. One that can
    /// send nothing any more either (a serial line that was unplugged, a Unix peer that has closed) is closed once what came is
    /// consumed, whatever this does.
    fn ended(&mut self, conn: &mut Conn<'_>, state: &mut Self::State) {
        let _ = state;
        conn.finish();
    }

    /// Its timer is due, set by [`Conn::set_timer`] or by a framing that waits for silence. Calls `readable` by default.
    fn timer(&mut self, conn: &mut Conn<'_>, state: &mut Self::State) {
        self.readable(conn, state);
    }

    /// It is gone. `conn` is a final snapshot; nothing can be sent to it, only to others. For an outbound connection
    /// that failed, this is the only notice. Does nothing by default.
    fn closed(&mut self, conn: &mut Conn<'_>, state: &mut Self::State, reason: Reason) {
        let _ = (conn, state, reason);
    }

    /// The free timer of this number is due, set by [`Connections::set_timer`] or [`Connections::set_interval`].
    /// `periods`: how many have passed since it was set or fired last; 1, unless the loop was delayed. Does nothing by
    /// default.
    fn tick(&mut self, connections: &mut Connections<'_>, timer: u32, periods: u64) {
        let _ = (connections, timer, periods);
    }

    /// A watched descriptor is ready in these directions; after a hang-up or an error in all that it is watched for.
    /// Called once for each poll of the kernel, and again for what is left: read it until it would block, or
    /// [`unwatch`](Connections::unwatch) it. Does nothing by default.
    fn ready(&mut self, connections: &mut Connections<'_>, token: Token, directions: Directions) {
        let _ = (connections, token, directions);
    }

    /// A datagram came to this socket. A reply goes to its sender, by [`Connections::send_datagram`]. Drops it by
    /// default.
    fn datagram(
        &mut self,
        connections: &mut Connections<'_>,
        socket: Token,
        datagram: Datagram<'_>,
    ) {
        let _ = (connections, socket, datagram);
    }

    /// The queued datagram that another waited for is gone: called once after a send that returned `Full`. Does nothing
    /// by default.
    fn datagram_writable(&mut self, connections: &mut Connections<'_>, socket: Token) {
        let _ = (connections, socket);
    }

    /// A datagram socket had an error: a network error of an earlier datagram
    /// ([`Fault::Refused`](crate::Fault::Refused): there is no listener), or why the last one is not sent. It
    /// goes on, unless it is [`Invalid`](crate::Fault::Invalid). Does nothing by default.
    fn datagram_failed(&mut self, connections: &mut Connections<'_>, socket: Token, fault: Fault) {
        let _ = (connections, socket, fault);
    }

    /// A watched descriptor could not be registered, and is watched no longer; why. Does nothing by default.
    fn unwatched(&mut self, connections: &mut Connections<'_>, token: Token, fault: Fault) {
        let _ = (connections, token, fault);
    }
}

impl<H: Handler> Uses for H {
    const LIMITS_SOURCES: bool = H::LIMITS_SOURCES;
    const RECORDS: bool = H::RECORDS;
    const SHARES_DESCRIPTORS: bool = H::SHARES_DESCRIPTORS;
    const PATIENT: bool = H::PATIENT;
}
