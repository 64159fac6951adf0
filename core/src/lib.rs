//! A fixed-capacity connection table and a pure event-dispatch state machine, without allocation or system calls.
//!
//! What happened goes in as a value, what to do comes out as a value, and the same input always gives the same output.
//! There is no clock, no socket and no global: a driver brings those (`tidegate` for Linux; yours for anything else).
//!
//! # The one idea
//!
//! Each source (a listener or a connection) has three small sets of [`Directions`]:
//!
//! - `ready`: the kernel reported it, or the connection is new, and no attempt since has shown otherwise;
//! - `in_flight`: an operation was issued to the driver and has not completed;
//! - `armed`: what the kernel has been asked to report.
//!
//! What is `wanted` is never stored. It is derived from the state and the buffers: free receive capacity → READ; bytes
//! to send → WRITE; a free slot in the table → a listener wants READ; not connected yet → WRITE. Then:
//!
//! ```text
//! issue   = wanted ∩ ready − in_flight      hand these operations to the driver
//! awaited = wanted − ready − in_flight      to be armed in the kernel
//! ```
//!
//! An attempt that would block takes its direction out of `ready`, a readiness event puts it back, and arming is needed
//! when `awaited ⊄ armed`. Backpressure, a full table, a paused reader, an empty send queue are all just an empty
//! `wanted`. Level, edge and one-shot differ in what is armed ([`Trigger::rearm`]), and in what a short transfer or a hang-up
//! proves; a completion driver is one for which everything is always ready: nothing is ever awaited, so it never sees an
//! [`Action::Arm`]. Such a driver reports a listener as ready after each accept: the machine issues one accept or a few for
//! each event.
//!
//! # The loop
//!
//! A driver repeats, for ever:
//!
//! 1. Poll the kernel, and sleep until [`poll_timeout`](Dispatcher::poll_timeout) at most: not at all if
//!    that has passed.
//! 2. Pass each readiness event: [`handle_event`](Dispatcher::handle_event) with [`Event::Ready`].
//! 3. Set the time: [`handle_timeout`](Dispatcher::handle_timeout). An iteration begins, and what came in time is
//!    known. If the application uses timers: fetch those that are due, [`poll_timer`](Dispatcher::poll_timer), until it
//!    returns `None`.
//! 4. Until [`poll_output`](Dispatcher::poll_output) returns `None`: perform the [`Action`], and pass its completion:
//!    [`handle_event`](Dispatcher::handle_event) with [`Event::Done`]. That may return a [`Notice`] for the
//!    application.
//!
//! That is all a driver does. A [`Session`] adds the bytes and the application's [`Handler`] to a [`Dispatcher`], equally
//! pure; its driver has the same loop and takes no notices. What an operation that completes at once came to it can pass to the
//! call that returns the next one: [`Session::poll_output`].
//!
//! An application may have timers, of each connection and free ones, and have descriptors of its own watched in
//! addition to the listeners: see [`Connections`]. No timer fires early or is left out, and none fires for a connection
//! that closes.
//!
//! # The laws
//!
//! 1. One [`Action`] that requires a completion, one [`Event::Done`].
//! 2. A [`Span`] that was handed out is not named again, moved or reused before its completion.
//! 3. At most one operation is in flight for each direction of a source.
//! 4. One `Opened` and one `Closed` for each connection that was notified; nothing about a token after its `Closed`. A
//!    connection that is refused, by the table or by the limit of its source, shows only in the [`Stats`]. Of an
//!    outbound connection that failed there is one `Closed` alone.
//! 5. A slot is freed once, after `Close` has completed; its generation rises; an old token changes nothing.
//! 6. Each call does a bounded amount of work, stated where it is more than a few steps; there is no recursion.
//! 7. Any sequence of calls is legal; a wrong one is dropped and counted.
//! 8. No lost wake-up: an operation that is wanted and possible is queued here, armed in the kernel, or waits for a
//!    deadline that is armed.
//! 9. No spin: of a source, at most two events in a row without progress. After the first, which may be spurious, it is
//!    polled again; after the second its direction is disarmed and rests until a deadline, each time longer. Accepts and
//!    datagrams have more attempts: [`Config::accept_failures`].
//! 10. A ready source is served within a number of outputs that [`poll_output`](Dispatcher::poll_output) states.
//! 11. Every connection that is not being closed has exactly one deadline, unless the [`Class`] that its state decides
//!     is switched off, or it is in a run queue and gets one at the end of its service. Every state has an exit.
//! 12. Bytes come in order, none lost, none twice, none of another connection.
//!
//! # Driven by hand
//!
//! ```
//! use core::net::SocketAddr;
//! use tidegate_core::{
//!     Action, Config, Directions, Dispatcher, Event, Instant, Notice, Op, Outcome, Reason, Span, Table, Trigger, Windows,
//! };
//!
//! let mut table = Table::<4>::new();
//! let windows = Windows { receive: 64, send: 64 };
//! let mut machine = Dispatcher::new(&mut table, &Config::default(), windows)?;
//! let listener = machine.listen(None)?;
//! let now = Instant::from_nanos(1);
//! let done = |token, op, outcome| Event::Done { token, op, outcome };
//!
//! // A listener with a free slot behind it wants to read, so it is armed.
//! machine.handle_timeout(now);
//! assert_eq!(
//!     machine.poll_output(),
//!     Some(Action::Arm {
//!         token: listener,
//!         was: Directions::NONE,
//!         now: Directions::READ,
//!         trigger: Trigger::Level,
//!     })
//! );
//! assert_eq!(machine.poll_output(), None);
//!
//! // It is ready. A slot is reserved, then one connection is accepted.
//! let ready = |token| Event::Ready { token, directions: Directions::READ, closing: false };
//! machine.handle_event(now, ready(listener));
//! let Some(Action::Accept { token, .. }) = machine.poll_output() else { panic!() };
//! let peer: SocketAddr = "192.0.2.1:51234".parse()?;
//! let completion = done(token, Op::Accept, Outcome::Accepted(Some(peer)));
//! assert_eq!(machine.handle_event(now, completion), Some(Notice::Opened(token)));
//!
//! // It is new, so it is taken as ready. Five bytes come, fewer than the span holds: the socket is drained.
//! let into = Span { at: 0, len: 64 };
//! assert_eq!(machine.poll_output(), Some(Action::Recv { token, into }));
//! let completion = done(token, Op::Recv, Outcome::Drained(5));
//! assert_eq!(machine.handle_event(now, completion), Some(Notice::Readable(token)));
//!
//! // The application takes the five bytes, and puts as many into the send window.
//! machine.consume(token, 5);
//! machine.commit(token, 5);
//! let from = Span { at: 0, len: 5 };
//! assert_eq!(machine.poll_output(), Some(Action::Send { token, from }));
//! machine.handle_event(now, done(token, Op::Send, Outcome::Complete(5)));
//!
//! // Nothing is left but to wait for more.
//! assert!(matches!(machine.poll_output(), Some(Action::Arm { now: Directions::READ, .. })));
//! assert_eq!(machine.poll_output(), None);
//!
//! // The peer finishes, and so do we: no interest, no descriptor, no slot is left.
//! machine.handle_timeout(now);
//! machine.handle_event(now, Event::Ready { token, directions: Directions::READ, closing: true });
//! assert!(matches!(machine.poll_output(), Some(Action::Recv { .. })));
//! let completion = done(token, Op::Recv, Outcome::Complete(0));
//! assert_eq!(machine.handle_event(now, completion), Some(Notice::Ended(token)));
//! machine.finish(token);
//! assert!(matches!(machine.poll_output(), Some(Action::Arm { now: Directions::NONE, .. })));
//! assert_eq!(machine.poll_output(), Some(Action::Close { token, reset: false }));
//! let completion = done(token, Op::Close, Outcome::Complete(0));
//! let closed = Notice::Closed(token, Reason::PeerFinished);
//! assert_eq!(machine.handle_event(now, completion), Some(closed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Outbound connections
//!
//! [`Conn::connect`] and [`Session::connect`] take a slot of the table and return its [`Token`]. The driver is asked to
//! [connect](Action::Connect), and again when writability is reported: then it reads the socket's error, once. At once
//! or later, the application gets the same notice: `opened`, or `closed` with the reason. Resource exhaustion (no port,
//! no memory, the full queue of a Unix listener) is waited out, up to [`Config::connect`]. How long to wait before
//! another try is the application's decision; [`Backoff`] computes it.
//!
//! Two connections work together with [`Conn::with`], [`Conn::want_capacity`], [`Conn::pause`] and [`Conn::shut_down`]: the
//! example `relay` (`linux/examples`) is a page of it.
//!
//! # Logging
//!
//! With the feature `log` or `defmt` (with both, `defmt` has it): errors when something must be given up, warnings when a
//! limit was met (at most one a second of each kind, with a count), debug for each connection, trace for each output.
//! Bytes from a peer are never logged.
//!
//! # Testing a handler
//!
//! The crate `tidegate-sim` (for `dev-dependencies`: it allocates) has a simulated kernel and, over it, `World`: a session
//! with a handler of your own, with peers that reset, stall and send one byte at a time, calls that fail, and a time that
//! jumps; on level, edge, one-shot and completion interfaces, without a socket and without a sleep.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

#[cfg(test)]
extern crate alloc;
#[cfg(test)]
extern crate std;

// The parts, from the leaves up: a file uses those before it, and a test finds circles.
//
//   time, token, readiness, queue, event, output, errno, stats   the vocabulary
//   slot, record, source, table                                  what is kept of each source, and where
//   schedule, admission, deadlines, timers                       who is next, who gets a slot, what is late, what is due
//   dispatcher                                                   the verbs over these parts
//   session, framing, trace                                      bytes and handlers; messages; what went in
//
// Hints are few, and each was measured by what a message costs (`instructions`, in `tests/src/bin`): `inline` where a function of
// its path is too large to be inlined without; `inline(never)` and `cold` where what is rare would make it so.
#[macro_use]
mod log;
mod admission;
mod backoff;
mod config;
mod deadlines;
mod destination;
mod dispatcher;
pub mod errno;
mod escape;
mod event;
pub mod framing;
mod ignored;
mod on_demand;
mod output;
mod queue;
#[cfg(test)]
mod random;
mod readiness;
mod record;
mod schedule;
mod session;
mod slot;
mod source;
mod spinning;
mod stats;
mod table;
#[cfg(test)]
mod texts;
mod time;
mod timers;
mod token;
pub mod trace;
mod unavailable;
mod uses;

pub use backoff::Backoff;
pub use config::{Block, Class, Config, ConfigError, FullTable, OPERATION_MIN, Sources, Windows};
pub use destination::Destination;
pub use dispatcher::{Dispatcher, Table, calls::Info};
#[cfg(feature = "inspect")]
pub use dispatcher::{inspect, laws::Broken};
pub use escape::Escaped;
pub use event::{Completion, Event, Fault, Local, Op, Outcome, Peer};
/// For drivers: the fixed-capacity vectors that the tables are made of, to keep descriptors in parallel.
pub use heapless;
pub use ignored::Ignored;
pub use output::{Action, Notice, Reason, Span};
pub use readiness::{Directions, Trigger, awaited, issue};
pub use schedule::Round;
pub use session::{
    AnyMemory, Conn, Connections, Datagram, DatagramMemory, Handler, Memory, SendError, Session,
};
pub use spinning::Spinning;
pub use stats::Stats;
pub use time::Instant;
pub use token::Token;
pub use unavailable::Unavailable;
