//! How a handler services a connection: what has come is taken in, the connection and its bytes are borrowed for one call, and
//! its window is put in order afterwards. Every notice goes through here, whatever led to it.

use super::bytes::NOBODY;
use super::conn::Conn;
use super::connections::Connections;
use super::{Handler, Session, Watched};
use crate::dispatcher::answer::Moved;
use crate::dispatcher::calls::Info;
use crate::event::{Completion, Event, Op, Outcome};
use crate::output::{Notice, Span};
use crate::readiness::Directions;
use crate::slot::{ALL_SENT, Cursors, Flags};
use crate::time::Instant;
use crate::token::Token;
use crate::trace::{Entry, Input};

/// The notice of a connection to its handler.
#[derive(Clone, Copy, Debug)]
enum Told {
    Readable,
    Writable,
    Opened,
    Ended,
    Timer,
}

impl<H: Handler> Session<'_, H> {
    /// Takes in what the action that was returned last has come to.
    #[inline]
    pub(super) fn complete(&mut self, completion: Completion) {
        let (token, op) = self.machine.issued();
        if !op.is_transfer() {
            return self.complete_call(token, op, completion);
        }
        if self.machine.is_traced() {
            let outcome = completion.into();
            self.trace_event(self.machine.now(), Event::Done { token, op, outcome });
        }
        match self.machine.complete_transfer::<H>(token, op, completion) {
            Moved::Nothing => {}
            // The send buffer of a connection with nothing queued is another's.
            Moved::Emptied => self.sending.release(token.slot()),
            // What comes most.
            Moved::Readable if !self.machine.is_traced() => self.tell_of(token, Told::Readable),
            moved @ (Moved::Readable | Moved::Ended | Moved::Writable) => self.moved(token, moved),
        }
    }

    #[inline(never)]
    fn moved(&mut self, token: Token, moved: Moved) {
        if self.machine.slots.at(token.slot()).tx.is_empty() {
            self.sending.release(token.slot());
        }
        if let Some(notice) = moved.notice(token) {
            self.tell(notice, None, None);
        }
    }

    /// Anything but a transfer is as frequent as connections are: it has one way in.
    #[inline(never)]
    fn complete_call(&mut self, token: Token, op: Op, completion: Completion) {
        if token == Token::NONE {
            return self.machine.count_unasked();
        }
        self.handle_call(self.machine.now(), token, op, &completion.into());
    }

    /// An event, with what it has brought, before the machine takes it in.
    #[cold]
    pub(super) fn trace_event(&mut self, now: Instant, event: Event) {
        let mut arrived: &[u8] = &[];
        if let Event::Done { token, op, outcome } = event {
            if let (Op::Recv, Outcome::Complete(len) | Outcome::Drained(len)) = (op, outcome)
                && let Some(Span { at, .. }) = self.machine.receiving(token)
            {
                arrived = self.received.get(token.slot(), Span { at, len });
            } else if let Outcome::Datagram { len, .. } = outcome
                && let Some(arrivals) = &self.arrivals
            {
                arrived = arrivals.window(token, len);
            }
        }
        self.machine.advance_clock(now);
        (self.machine).trace(|| Entry::event(event, arrived));
    }

    /// Notifies the handler.
    #[inline(never)]
    pub(super) fn tell(
        &mut self,
        notice: Notice,
        done: Option<(Op, &Outcome)>,
        info: Option<&Info>,
    ) {
        self.machine.trace(|| Entry::Notified(notice));
        match notice {
            Notice::Readable(token) => self.tell_of(token, Told::Readable),
            Notice::Writable(token) => self.tell_of(token, Told::Writable),
            Notice::Opened(token) => {
                self.renew_state(token.index());
                self.tell_of(token, Told::Opened);
            }
            Notice::Ended(token) => self.tell_of(token, Told::Ended),
            Notice::Closed(token, reason) => {
                let data = Span { at: 0, len: 0 };
                self.call(token, info, data, |handler, conn, state| {
                    handler.closed(conn, state, reason);
                });
            }
            Notice::Watched(token, told) => {
                if let Some(tell) = self.tell_of_watched {
                    tell(self, token, told);
                }
            }
            Notice::Datagram(token) => {
                if let (Some((op, outcome)), Some(tell)) = (done, self.tell_of_datagram) {
                    tell(self, token, op, *outcome);
                }
            }
            Notice::Timer(token) => {
                self.machine.keep::<H>(token, Input::Due);
                self.tell_of(token, Told::Timer);
            }
            Notice::Tick { timer, periods } => {
                self.machine.keep::<H>(Token::free_timer(timer), Input::Due);
                let (handler, mut all) = self.handler_and_connections();
                handler.tick(&mut all, timer, periods);
                self.machine.trace(|| Entry::Returned(0));
            }
        }
    }

    /// Has the handler service a connection. There is one copy of it, whatever is notified.
    #[inline(never)]
    fn tell_of(&mut self, token: Token, told: Told) {
        self.visit(token, |handler, conn, state| match told {
            Told::Readable => handler.readable(conn, state),
            Told::Writable => handler.writable(conn, state),
            Told::Opened => handler.opened(conn, state),
            Told::Ended => handler.ended(conn, state),
            Told::Timer => handler.timer(conn, state),
        });
    }

    pub(super) fn tell_of_watched(&mut self, token: Token, told: Watched) {
        let (handler, mut all) = self.handler_and_connections();
        match told {
            Ok(directions) => handler.ready(&mut all, token, directions),
            Err(fault) => handler.unwatched(&mut all, token, fault),
        }
        self.machine.trace(|| Entry::Returned(0));
    }

    pub(super) fn handler_and_connections(&mut self) -> (&mut H, Connections<'_>) {
        let all = Connections::of(
            self.machine.reborrow(),
            self.sending.reborrow(),
            self.departures.as_deref_mut(),
            NOBODY,
        );
        (&mut self.handler, all)
    }

    /// What is known of a connection that is perhaps gone in a moment.
    pub(super) fn last_words(&mut self, token: Token) -> Option<Info> {
        let index = self.machine.connection(token)?;
        self.forget_last(index);
        self.machine.info(token)
    }

    /// A connection has a state of its own from its opening on; before that it is a default one in every service,
    /// whatever the last connection of the slot has left.
    pub(super) fn forget_last(&mut self, index: u32) {
        if !self.machine.was_opened(index) {
            self.renew_state(index);
        }
    }

    /// A default state for the next connection of a slot. Slots are used in order, so there is at most one to add.
    fn renew_state(&mut self, index: u32) {
        match self.states.get_mut(index as usize) {
            Some(state) => *state = H::State::default(),
            None => {
                // A slot that was refused its first connection has no state yet.
                while self.states.len() <= index as usize {
                    if self.states.push(H::State::default()).is_err() {
                        break;
                    }
                }
            }
        }
    }

    /// Assigns the receive scratch buffer to a connection whose window is empty, unless a receive into it is in flight.
    pub(super) fn claim(&mut self, index: u32) {
        if !self.received.take_free(index) {
            self.claim_from(self.received.owner(), index);
        }
    }

    #[inline(never)]
    fn claim_from(&mut self, owner: u32, index: u32) {
        let other = self.machine.slots.at(owner);
        if !other.readiness.is_in_flight(Directions::READ) {
            let Cursors { at, end } = other.rx;
            let len = end.saturating_sub(at);
            self.received.take(index, Span { at, len });
        }
    }

    /// Passes a connection to `call`, then puts its window in order.
    #[inline]
    pub(super) fn visit<R>(
        &mut self,
        token: Token,
        call: impl FnOnce(&mut H, &mut Conn<'_>, &mut H::State) -> R,
    ) -> Option<R> {
        let index = token.index();
        let slot = self.machine.slots.at(index);
        let queued = slot.tx.end.wrapping_sub(slot.tx.at);
        let Cursors { at, end } = slot.rx;
        let len = end.wrapping_sub(at);
        let (answer, left) = self.call(token, None, Span { at, len }, call)?;
        let consumed = len.wrapping_sub(left);
        let slot = self.machine.slots.at_mut(index);
        let more = slot.tx.end.wrapping_sub(slot.tx.at);
        if slot.consume(consumed) {
            self.received.release(index);
        }
        if consumed > 0 && !self.machine.is_serving(index) {
            self.machine.touch_another(index);
        }
        let input = Input::Handled {
            consumed: u16::try_from(consumed).unwrap_or(u16::MAX),
            queued: more.saturating_sub(queued),
        };
        self.machine.keep::<H>(token, input);
        if left > 0 {
            self.keep_left(index);
        }
        Some(answer)
    }

    /// Passes a connection with this data to `call`, and how much of it is left.
    #[inline]
    fn call<R>(
        &mut self,
        token: Token,
        gone: Option<&Info>,
        data: Span,
        call: impl FnOnce(&mut H, &mut Conn<'_>, &mut H::State) -> R,
    ) -> Option<(R, u32)> {
        let index = token.index();
        let state = self.states.get_mut(index as usize)?;
        // Before the views are copied, which then needs no other registers.
        let data = self.received.get(index, data);
        let mut conn = Conn {
            all: Connections::of(
                self.machine.reborrow(),
                self.sending.reborrow(),
                self.departures.as_deref_mut(),
                index,
            ),
            received: &self.received,
            data,
            token,
            info: gone,
            resumed: false,
            borrower: NOBODY,
        };
        let answer = call(&mut self.handler, &mut conn, state);
        conn.trace_return();
        if conn.resumed && !conn.data.is_empty() && gone.is_none() {
            conn.all.machine.trace(|| Entry::Again);
            again(&mut self.handler, &mut conn, state);
            conn.trace_return();
        }
        let left = u32::try_from(conn.data.len()).unwrap_or(u32::MAX);
        Some((answer, left))
    }

    /// Data was left in the window. If the window is full to its end, the data is moved to the front, unless a receive
    /// is in flight. A handler that leaves data while output is queued may lack send capacity, whether it tried to send
    /// or not: it is called again when all of that output has been sent. Without any capacity nothing is received until
    /// then.
    fn keep_left(&mut self, index: u32) {
        let slot = self.machine.slots.at(index);
        if slot.send_wanted == 0 && !slot.flags.has(Flags::PAUSED) && !slot.tx.is_empty() {
            if self.machine.capacity_at(index) == 0 {
                self.machine.want_capacity_at(index, 1, false);
            } else {
                self.machine.want_capacity_at(index, ALL_SENT, true);
            }
        }
        if let Some(span) = self.machine.compact_at(index) {
            self.received.move_to_front(index, span);
        }
    }
}

/// What was left while reading was paused is notified when it is resumed.
#[cold]
fn again<H: Handler>(handler: &mut H, conn: &mut Conn<'_>, state: &mut H::State) {
    handler.readable(conn, state);
}
