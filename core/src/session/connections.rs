//! [`Connections`]: all of them, for what is about none in particular.

use super::bytes::{Store, copy};
use super::send_error::SendError;
use super::windows::AnyWindows;
use crate::destination::Destination;
use crate::dispatcher::Dispatcher;
use crate::dispatcher::calls::Info;
use crate::event::{Local, Peer};
use crate::output::Span;
use crate::readiness::Directions;
use crate::slot::{Cursors, State};
use crate::time::{Instant, nanos_of};
use crate::token::Token;
use crate::trace::{Detail, Entry, Input, hash};
use crate::unavailable::{Unavailable, count};
use core::time::Duration;

/// All connections of a session, each by its token, and the timers: what a handler borrows in calls that are not about
/// a connection, and what every [`Conn`](crate::Conn) lends by [`Conn::all`](crate::Conn::all).
#[derive(Debug)]
pub struct Connections<'a> {
    pub(super) machine: Dispatcher<'a>,
    pub(super) sending: Store<'a>,
    /// Where datagrams wait to be sent.
    pub(super) departures: Option<&'a mut AnyWindows>,
    /// The datagram that the handler is being notified of: its socket, its sender, and where it was received.
    pub(super) arrived: Option<&'a (Token, Peer, Local)>,
    /// The connection that is being serviced; [`NOBODY`](super::bytes::NOBODY) between services.
    pub(super) own: u32,
    /// Bytes of its spare capacity that were borrowed and not committed: until then no other may take the scratch
    /// buffer.
    pub(super) lent: u32,
}

impl<'a> Connections<'a> {
    /// All of them, in the service of the connection of this index; [`NOBODY`](super::bytes::NOBODY): outside any.
    pub(super) fn of(
        machine: Dispatcher<'a>,
        sending: Store<'a>,
        departures: Option<&'a mut AnyWindows>,
        own: u32,
    ) -> Self {
        Self {
            machine,
            sending,
            departures,
            arrived: None,
            own,
            lent: 0,
        }
    }
}

/// Connections, each by its token.
impl Connections<'_> {
    /// Every live connection.
    pub fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        self.machine.connections()
    }

    /// What is known of a connection; `None` if the token names no live one.
    #[must_use]
    pub fn info(&self, token: Token) -> Option<Info> {
        self.machine.info(token)
    }

    /// Queues `bytes` on a connection, or none of them. No handler method is called for that connection; if they do not
    /// fit, there is no notice when they would.
    ///
    /// # Errors
    ///
    /// [`SendError`], `Closed` also if the token names no live connection.
    pub fn send_to(&mut self, token: Token, bytes: &[u8]) -> Result<(), SendError> {
        self.machine.will_fill();
        let sent = match self.machine.connection(token) {
            Some(index) => {
                if index == self.own {
                    self.lent = 0;
                }
                self.send_at(index, bytes, false)
            }
            None => Err(SendError::Closed),
        };
        let input = sent_to(bytes.len(), sent.is_ok());
        let detail = Detail::Hash(self.machine.traced_hash(bytes));
        self.machine.record(token, input, detail);
        sent
    }

    /// Queues `bytes` on every open connection where they fit, except the one that is being serviced, and returns on
    /// how many they did not. Work: each slot of the table that was ever used.
    pub fn send_all(&mut self, bytes: &[u8]) -> u32 {
        self.send_all_where(bytes, |_| true)
    }

    /// Finishes a connection, as [`Conn::finish`](crate::Conn::finish) does.
    pub fn finish(&mut self, token: Token) {
        self.record(token, Input::FinishOf);
        self.machine.finish(token);
    }

    /// Aborts a connection, as [`Conn::abort`](crate::Conn::abort) does.
    pub fn abort(&mut self, token: Token) {
        self.record(token, Input::AbortOf);
        self.machine.abort(token);
    }

    /// Connects to `to` without an originating connection, for instance when it is time to retry; see
    /// [`Conn::connect`](crate::Conn::connect).
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: then there is no notice.
    pub fn connect(&mut self, to: Destination) -> Result<Token, Unavailable> {
        self.connect_for(None, to)
    }

    /// The time of this iteration.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.machine.now()
    }
}

/// Watched descriptors. What the token of one that is gone names is nothing, and changes nothing.
impl Connections<'_> {
    /// Changes the interest in a descriptor; with none, it has no events at all, not even a hang-up.
    pub fn watch_for(&mut self, token: Token, directions: Directions) {
        self.record(token, Input::WatchFor(directions));
        self.machine.watch_for(token, directions);
    }

    /// Stops watching a descriptor: no more events, and the driver closes its own copy.
    pub fn unwatch(&mut self, token: Token) {
        self.record(token, Input::Unwatch);
        self.machine.unwatch(token);
    }
}

/// Timers: see [`Conn::set_timer`](crate::Conn::set_timer) for those of connections. The free ones are numbered from 0,
/// and there are as many as the [`Memory`](crate::Memory) has; what each is for, the application decides. They are counted from [`now`](Self::now),
/// fire by [`Handler::tick`](crate::Handler::tick), and never early.
impl Connections<'_> {
    /// Sets the timer of a connection; a token that names no open one changes nothing.
    pub fn set_timer_of(&mut self, token: Token, after: Duration) {
        self.record_time(token, after, |micros| Input::SetTimer { micros });
        self.machine.set_timer(token, after);
    }

    /// Takes the timer of a connection away, if it is set.
    pub fn cancel_timer_of(&mut self, token: Token) {
        self.record(token, Input::CancelTimer);
        self.machine.cancel_timer(token);
    }

    /// Has `tick` called once, after this time. Replaces what was set under this number.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: the memory has fewer.
    pub fn set_timer(&mut self, timer: u32, after: Duration) -> Result<(), Unavailable> {
        let token = Token::free_timer(timer);
        self.record_time(token, after, |micros| Input::SetFreeTimer { micros });
        self.machine.set_free_timer(timer, after)
    }

    /// Has `tick` called each time that `period` has passed, from now on; no period is lost or drifts, however late the
    /// call is. Replaces what was set under this number. A period of zero counts as 1 ns.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: the memory has fewer.
    pub fn set_interval(&mut self, timer: u32, period: Duration) -> Result<(), Unavailable> {
        let token = Token::free_timer(timer);
        self.record_time(token, period, |micros| Input::SetInterval { micros });
        self.machine.set_interval(timer, period)
    }

    /// Takes a free timer away, if it is set.
    pub fn cancel_timer(&mut self, timer: u32) {
        self.record(Token::free_timer(timer), Input::CancelFreeTimer);
        self.machine.cancel_free_timer(timer);
    }
}

impl Connections<'_> {
    /// To every other open connection that `to` holds for; returns on how many they did not fit.
    pub(super) fn send_all_where(&mut self, bytes: &[u8], to: impl Fn(&Info) -> bool) -> u32 {
        let mut missed = 0u32;
        for index in 0..self.machine.slots.used() {
            let other = index != self.own && self.machine.slots.at(index).state() == State::Open;
            if other
                && to(&Info::of(self.machine.records.at(index)))
                && !self.send_to_another(index, bytes)
            {
                missed = missed.saturating_add(1);
            }
        }
        // For the flight recorder alone.
        let input = Input::SendOthers {
            len: count(bytes.len()),
            missed: u16::try_from(missed).unwrap_or(u16::MAX),
        };
        self.machine.keep_if_on(Token::NONE, input);
        missed
    }

    pub(super) fn record(&mut self, token: Token, input: Input) {
        self.machine.record(token, input, Detail::None);
    }

    /// In microseconds for the flight recorder, an hour or so at most; in nanoseconds for the full trace.
    fn record_time(&mut self, token: Token, time: Duration, input: impl FnOnce(u32) -> Input) {
        let nanos = nanos_of(time);
        let micros = u32::try_from(nanos / 1000).unwrap_or(u32::MAX);
        (self.machine).record(token, input(micros), Detail::Number(nanos));
    }

    /// Connects on behalf of a connection, or of none.
    pub(super) fn connect_for(
        &mut self,
        origin: Option<Token>,
        to: Destination,
    ) -> Result<Token, Unavailable> {
        let wanted = self.machine.connect(to, origin);
        let token = wanted.unwrap_or(Token::NONE);
        self.machine
            .record(token, Input::Connect, Detail::To(origin, to));
        wanted
    }

    /// One of all others, by its index; returns whether it took them.
    fn send_to_another(&mut self, index: u32, bytes: &[u8]) -> bool {
        self.machine.will_fill();
        let taken = self.send_at(index, bytes, false).is_ok();
        let token = self.machine.token(index);
        let input = sent_to(bytes.len(), taken);
        (self.machine).trace(|| Entry::Call(token, input, Detail::Hash(hash(bytes))));
        taken
    }

    /// Queues all of `bytes`, or none. `notify`: if there is not the capacity now, `Writable` comes when there is.
    #[inline]
    pub(super) fn send_at(
        &mut self,
        index: u32,
        bytes: &[u8],
        notify: bool,
    ) -> Result<(), SendError> {
        let len = count(bytes.len());
        let window = self.machine.windows().send;
        let mut slot = self.machine.slots.at_mut(index);
        if slot.state() != State::Open || window.wrapping_sub(slot.tx.end) < len {
            // Not behind what is queued: in front of it, or not at all.
            self.check_capacity(index, bytes.len(), notify)?;
            self.move_to_front(index);
            slot = self.machine.slots.at_mut(index);
        }
        if slot.tx.is_empty() && !self.sending.take_free(index) {
            self.take_area_from_its_owner(index);
            slot = self.machine.slots.at_mut(index);
        }
        let at = slot.tx.end;
        slot.tx.end = at.wrapping_add(len);
        copy(self.sending.get_mut(index, Span { at, len }), bytes);
        let (tx, doubted) = (slot.tx, slot.attempts.doubted());
        self.machine.queued(index, len, tx, doubted);
        Ok(())
    }

    /// Whether so many bytes can be queued; if they only cannot now, and a notice is wanted, `Writable` comes when they
    /// can.
    pub(super) fn check_capacity(
        &mut self,
        index: u32,
        len: usize,
        tell: bool,
    ) -> Result<u32, SendError> {
        let window = self.machine.windows().send;
        let len = count(len);
        let slot = self.machine.slots.at(index);
        if slot.state() != State::Open {
            return Err(SendError::Closed);
        }
        if len > window {
            let window = window as usize;
            return Err(SendError::TooLong { window });
        }
        let capacity = self.machine.capacity_at(index);
        if len > capacity {
            if tell {
                self.machine.want_capacity_at(index, len, false);
            }
            let capacity = capacity as usize;
            return Err(SendError::Full { capacity });
        }
        Ok(len)
    }

    /// Makes spare capacity of at least `len` bytes, or as many as there can be, behind what is queued, and returns
    /// where it lies.
    pub(super) fn make_space(&mut self, index: u32, len: u32) -> Span {
        let windows = self.machine.windows();
        let queued = self.machine.slots.at(index).tx;
        if queued.is_empty() {
            if !self.sending.take_free(index) {
                self.take_area_from_its_owner(index);
            }
        } else if queued.at > 0 && windows.send.saturating_sub(queued.end) < len {
            self.move_to_front(index);
        }
        let slot = self.machine.slots.at(index);
        Span {
            at: slot.tx.end,
            len: slot.capacity(windows, true).min(len),
        }
    }

    /// Moves what is queued to the front of its buffer, unless it is being sent.
    #[inline(never)]
    fn move_to_front(&mut self, index: u32) {
        let slot = self.machine.slots.at_mut(index);
        if !slot.readiness.is_in_flight(Directions::WRITE) && !slot.tx.is_empty() {
            let span = slot.send_span();
            slot.tx = Cursors {
                at: 0,
                end: span.len,
            };
            self.sending.move_to_front(index, span);
        }
    }

    /// Gives the send area to a connection with nothing queued, unless its owner is sending from it or filling it.
    #[inline(never)]
    fn take_area_from_its_owner(&mut self, index: u32) {
        let slot = self.machine.slots.at(self.sending.owner());
        let lent = self.lent > 0 && self.sending.owner() == self.own;
        if !lent && !slot.readiness.is_in_flight(Directions::WRITE) {
            self.sending.take(index, slot.send_span());
        }
    }
}

fn sent_to(len: usize, taken: bool) -> Input {
    let len = count(len);
    Input::SendTo { len, taken }
}
