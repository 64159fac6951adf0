//! [`Session`]: dispatcher, bytes and handler in one, as pure as the dispatcher. A driver pulls only actions from it.

pub(crate) mod bytes;
mod conn;
mod connections;
mod datagram;
mod handler;
#[cfg(feature = "embedded-io")]
mod io_traits;
mod memory;
mod others;
mod send_error;
mod service;
#[cfg(test)]
mod tests;
mod windows;

pub use conn::Conn;
pub use connections::Connections;
pub use datagram::Datagram;
pub use handler::Handler;
pub use memory::{AnyMemory, Memory};
pub use send_error::SendError;
pub use windows::DatagramMemory;

use crate::config::{Config, ConfigError};
use crate::destination::Destination;
use crate::dispatcher::Dispatcher;
use crate::event::{Completion, Event, Fault, Op, Outcome};
use crate::output::{Action, Span};
use crate::readiness::{Directions, Trigger};
use crate::stats::Stats;
use crate::time::Instant;
use crate::token::Token;
use crate::trace::{Detail, Entry, Input};
use crate::unavailable::Unavailable;
use bytes::Store;
use core::fmt;
use heapless::VecView;
use memory::Lent;
use windows::AnyWindows;

/// A [`Dispatcher`], the bytes of its connections, and the [`Handler`].
pub struct Session<'m, H: Handler> {
    machine: Dispatcher<'m>,
    received: Store<'m>,
    sending: Store<'m>,
    states: &'m mut VecView<H::State>,
    /// The windows of datagram sockets, if there are any.
    arrivals: Option<&'m mut AnyWindows>,
    departures: Option<&'m mut AnyWindows>,
    /// Notifies the handler of datagrams; linked only with a program that adds a datagram socket.
    tell_of_datagram: Option<fn(&mut Self, Token, Op, Outcome)>,
    /// The same of watched descriptors.
    tell_of_watched: Option<fn(&mut Self, Token, Watched)>,
    handler: H,
    /// For the first entry of a trace.
    #[cfg(feature = "trace")]
    config: Config,
}

impl<H: Handler> fmt::Debug for Session<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("stats", self.stats())
            .finish_non_exhaustive()
    }
}

/// The notice of a watched descriptor: the directions in which it is ready, or why it is watched no longer.
type Watched = Result<Directions, Fault>;

/// The states of all connections are dropped with the session, not when its memory is used again. No handler method is
/// called.
impl<H: Handler> Drop for Session<'_, H> {
    fn drop(&mut self) {
        self.states.clear();
    }
}

impl<'m, H: Handler> Session<'m, H> {
    /// A session in `memory`, which forgets what it held.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the value that cannot work, and what would.
    pub fn new(
        memory: &'m mut impl AnyMemory<State = H::State>,
        config: &Config,
        handler: H,
    ) -> Result<Self, ConfigError> {
        let Lent {
            windows,
            table,
            received,
            sending,
            states,
        } = memory.lend();
        Ok(Self {
            machine: Dispatcher::of::<H>(table, config, windows)?,
            received,
            sending,
            states,
            arrivals: None,
            departures: None,
            tell_of_datagram: None,
            tell_of_watched: None,
            handler,
            #[cfg(feature = "trace")]
            config: config.clone(),
        })
    }

    /// Adds a listener; see [`Dispatcher::listen`].
    ///
    /// # Errors
    ///
    /// [`Unavailable`].
    pub fn listen(&mut self, per_source: Option<u32>) -> Result<Token, Unavailable> {
        let added = if H::LIMITS_SOURCES {
            self.machine.listen(per_source)
        } else {
            self.machine.listen_to_all()
        };
        let input = Input::Listen {
            limited: per_source.is_some(),
            per_source: per_source.unwrap_or(0),
        };
        self.record(added.unwrap_or(Token::NONE), input);
        added
    }

    /// Reserves slots for the connections of a listener; see [`Dispatcher::reserve_slots`].
    pub fn reserve_slots(&mut self, listener: Token, slots: u32) {
        self.record(listener, Input::ReserveSlots(slots));
        self.machine.reserve_slots(listener, slots);
    }

    /// Limits how many connections a listener has at a time; see [`Dispatcher::limit_connections`].
    pub fn limit_connections(&mut self, listener: Token, connections: u32) {
        self.record(listener, Input::LimitConnections(connections));
        self.machine.limit_connections(listener, connections);
    }

    /// Has a listener and its connections served before others; see [`Dispatcher::set_priority`].
    pub fn set_priority(&mut self, listener: Token, priority: bool) {
        self.record(listener, Input::SetPriority(priority));
        self.machine.set_priority(listener, priority);
    }

    /// Watches a descriptor; see [`Dispatcher::watch`].
    ///
    /// # Errors
    ///
    /// [`Unavailable`].
    pub fn watch(&mut self, directions: Directions) -> Result<Token, Unavailable> {
        let added = self.machine.watch(directions);
        self.tell_of_watched = Some(Self::tell_of_watched);
        self.record(added.unwrap_or(Token::NONE), Input::Watch(directions));
        added
    }

    /// Stops in an orderly way until `by`, then at once; see [`Dispatcher::stop`].
    pub fn stop(&mut self, by: Instant) {
        let by_nanos = Detail::Number(by.as_nanos());
        self.machine.record(Token::NONE, Input::Stop, by_nanos);
        self.machine.stop(by);
    }

    /// Whether it has stopped: see [`Dispatcher::is_stopped`].
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.machine.is_stopped()
    }

    /// The machine, for reading.
    #[must_use]
    pub const fn machine(&self) -> &Dispatcher<'m> {
        &self.machine
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        self.machine.stats()
    }

    /// The handler.
    #[must_use]
    pub const fn handler(&self) -> &H {
        &self.handler
    }

    /// The handler, to change.
    pub const fn handler_mut(&mut self) -> &mut H {
        &mut self.handler
    }

    /// Borrows all connections and the timers between iterations. Timers count from `now`: the last iteration may be
    /// long ago, or there was none yet.
    pub fn connections(&mut self, now: Instant) -> Connections<'_> {
        self.machine.advance_clock(now);
        self.handler_and_connections().1
    }

    /// Borrows a live connection, its state and the handler between iterations; `None` if the token is stale. Its time
    /// is the one that was set last.
    pub fn with<R>(
        &mut self,
        token: Token,
        visit: impl FnOnce(&mut H, &mut Conn<'_>, &mut H::State) -> R,
    ) -> Option<R> {
        let index = self.machine.connection(token)?;
        self.record(token, Input::With);
        self.machine.will_fill();
        self.forget_last(index);
        self.visit(token, visit)
    }

    /// Records everything from now on: see [`trace`](crate::trace). `sink` takes each entry, and must not block. To be called
    /// first, before anything is added: what has happened before is missing in a replay.
    #[cfg(feature = "trace")]
    pub fn record_to(&mut self, sink: &'static mut (dyn FnMut(&Entry<'_>) + Send)) {
        self.machine.trace_to(sink, &self.config);
    }

    /// Has fewer slots for sources that are not connections, and fewer free timers, than its memory, as many as another
    /// session had whose trace begins with these: what was refused there is refused here. To be called first.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: the memory has not so many.
    #[cfg(feature = "trace")]
    pub fn restrict(&mut self, sources: u32, timers: u32) -> Result<(), Unavailable> {
        self.machine.restrict(sources, timers)
    }

    /// Puts a remark into the full trace, if there is one.
    pub fn note(&mut self, text: &str) {
        self.machine.trace(|| Entry::Note(text));
    }

    fn record(&mut self, token: Token, input: Input) {
        self.machine.record(token, input, Detail::None);
    }

    /// Connects to `to`; see [`Conn::connect`], which a handler calls.
    ///
    /// # Errors
    ///
    /// [`Unavailable`].
    pub fn connect(&mut self, to: Destination) -> Result<Token, Unavailable> {
        self.handler_and_connections().1.connect(to)
    }
}

/// The driver's side: the verbs of the dispatcher, and where the bytes are.
impl<H: Handler> Session<'_, H> {
    /// Takes in what happened and notifies the handler: see [`Dispatcher::handle_event`]. At most two calls of the
    /// handler.
    pub fn handle_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Ready {
                token,
                directions,
                closing,
            } => self.handle_ready(now, token, directions, closing),
            Event::Done { token, op, outcome } if !op.is_transfer() => {
                self.handle_call(now, token, op, &outcome);
            }
            Event::Done { .. } => {
                if self.machine.is_traced() {
                    self.trace_event(now, event);
                }
                if let Some(notice) = self.machine.take_in::<H>(now, event) {
                    self.tell(notice, None, None);
                }
            }
        }
    }

    /// Takes in an [`Event::Ready`], as [`handle_event`](Self::handle_event) does, without the room that a completion takes.
    // What is ready is scheduled; only for a watched descriptor the handler is notified now.
    #[inline]
    pub fn handle_ready(
        &mut self,
        now: Instant,
        token: Token,
        directions: Directions,
        closing: bool,
    ) {
        if self.machine.is_traced() {
            let event = Event::Ready {
                token,
                directions,
                closing,
            };
            self.trace_event(now, event);
        }
        let notice = (self.machine).take_ready::<H>(now, token, directions, closing);
        if let Some(notice) = notice {
            self.tell(notice, None, None);
        }
    }

    /// Takes in the completion of an action that is no transfer, as [`handle_event`](Self::handle_event) does; the completion of a
    /// transfer is dropped and counted. For a driver whose transfers all complete inline
    /// ([`poll_output`](Self::poll_output)): it does not link what takes their events.
    pub fn handle_call(&mut self, now: Instant, token: Token, op: Op, outcome: &Outcome) {
        if self.machine.is_traced() {
            let outcome = *outcome;
            self.trace_event(now, Event::Done { token, op, outcome });
        }
        // The slot is freed before the application is notified; the final snapshot is what is known now.
        let info = if op == Op::Close {
            self.last_words(token)
        } else {
            None
        };
        if let Some(notice) = self.machine.take_call::<H>(now, token, op, outcome) {
            self.tell(notice, Some((op, outcome)), info.as_ref());
        }
    }

    /// Begins an iteration; see [`Dispatcher::handle_timeout`]. Fires the timers that are due, at most 64.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.machine.is_traced() {
            self.machine.advance_clock(now);
            self.machine.trace(|| Entry::Iteration);
        }
        self.machine.handle_timeout(now);
        while let Some(notice) = self.machine.poll_timer() {
            self.tell(notice, None, None);
        }
    }

    /// What to do next; see [`Dispatcher::poll_output`]. `completed` is what the action that it returned last has come to, if that
    /// is known already: `None` if there was none, or if it comes later, as an [`Event::Done`].
    #[inline]
    pub fn poll_output(&mut self, completed: Option<Completion>) -> Option<Action> {
        if let Some(completion) = completed {
            self.complete(completion);
        }
        let output = self.machine.poll_output();
        if self.machine.is_traced() {
            self.trace_output(output);
        }
        output
    }

    #[cold]
    #[inline(never)]
    fn trace_output(&mut self, output: Option<Action>) {
        self.machine.trace(move || Entry::Output(output));
    }

    /// When to poll again; see [`Dispatcher::poll_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    /// Where to connect to, for [`Action::Connect`]. `None` if the token is stale.
    #[must_use]
    pub fn destination(&self, token: Token) -> Option<Destination> {
        self.machine.destination(token)
    }

    /// Where to receive into: the bytes of a [`Action::Recv`]. Empty if the token names nothing that receives.
    ///
    /// They stay there until the action completes. Call it once for each action.
    #[inline]
    pub fn receive_into(&mut self, token: Token, into: Span) -> &mut [u8] {
        let index = token.slot();
        let slot = self.machine.slots.at(index);
        if !slot.has_in_flight(token, Directions::READ) {
            return &mut [];
        }
        if slot.rx.is_empty() {
            self.claim(index);
        }
        self.received.get_mut(index, into)
    }

    /// What to send: the bytes of a [`Action::Send`]. Empty if the token names nothing that sends.
    #[must_use]
    pub fn send_from(&self, token: Token, from: Span) -> &[u8] {
        let index = token.slot();
        let slot = self.machine.slots.at(index);
        if slot.has_in_flight(token, Directions::WRITE) {
            self.sending.get(index, from)
        } else {
            &[]
        }
    }

    /// Every source that is registered; see [`Dispatcher::armed`].
    pub fn armed(&self) -> impl Iterator<Item = (Token, Directions, Trigger)> + '_ {
        self.machine.armed()
    }
}
