//! [`Transfers`], and the express lane through a session: a report that is served on the spot.
//!
//! Elsewhere what to do and what came of it are values. Here the driver is called instead, so that the whole visit is one
//! piece of code in which the compiler sees where the bytes are: half the instructions of a message.

use super::bytes::Store;
use super::{Handler, Session};
use crate::directions::Directions;
use crate::event::{Event, Op, Outcome, Transfer};
use crate::output::{Notice, Span};
use crate::time::Instant;
use crate::token::Token;
use crate::trace::{Bytes, Entry};

/// Transfers that are answered at once, carried out for a session: see [`Session::handle_ready`].
pub trait Transfers {
    /// What [`Action::Recv`](crate::Action::Recv) asks for: receives into these bytes.
    fn receive(&mut self, token: Token, into: &mut [u8]) -> Transfer;

    /// What [`Action::Send`](crate::Action::Send) asks for: sends these bytes.
    fn send(&mut self, token: Token, from: &[u8]) -> Transfer;
}

/// For drivers whose transfers are answered at once.
impl<H: Handler> Session<'_, H> {
    /// Takes a report in, as [`handle_event`](Self::handle_event) does; and if the source would be served next anyway, it
    /// is served on the spot: received, told, and what the handler answers is sent. For drivers whose transfers are
    /// answered at once. At most one receive and one send; at most two calls of the handler.
    #[inline(always)]
    pub fn handle_ready(
        &mut self,
        now: Instant,
        token: Token,
        directions: Directions,
        closing: bool,
        transfers: &mut impl Transfers,
    ) {
        if self.machine.is_told() {
            self.report(now, token, directions, closing);
        }
        let into = match closing {
            false => self.machine.express(now, token, directions),
            true => None,
        };
        let Some(into) = into else {
            let event = Event::Ready {
                token,
                directions,
                closing,
            };
            return self.handle_event(now, event);
        };
        let index = token.slot();
        self.claim(index);
        let asked = into.len;
        let transfer = transfers.receive(token, self.received.get_mut(index, into));
        self.machine.tell(|| Entry::Received {
            transfer,
            bytes: Bytes::Whole(came(&self.received, index, into, transfer)),
        });
        let received = match transfer {
            Ok(n) if n > 0 && n < asked => n,
            other => {
                let outcome = Outcome::of_receive(other, asked);
                self.machine.express_receives(index);
                return self.take_answer(now, token, Op::Recv, outcome);
            }
        };
        self.machine.express_received(index, received);
        let data = Span {
            at: 0,
            len: received,
        };
        self.machine.tell(|| Entry::Told(Notice::Readable(token)));
        let visit = self.call(token, None, data, |handler, conn, state| {
            handler.readable(conn, state);
        });
        let left = visit.map_or(0, |(_, left)| left);
        let Some(from) = self.machine.express_answer(index, left) else {
            self.machine.record_served(index, received, 0);
            return self.put_in_order(index, received, left);
        };
        let transfer = transfers.send(token, self.sending.get(index, from));
        self.machine.tell(|| Entry::Sent(transfer));
        match transfer {
            Ok(n) if n == from.len => {
                self.machine.express_answered(index, n);
                self.machine.record_served(index, received, n);
                self.received.release(index);
                self.sending.release(index);
            }
            other => {
                let outcome = Outcome::of_send(other, from.len);
                self.machine.record_served(index, received, 0);
                self.take_answer(now, token, Op::Send, outcome);
            }
        }
    }

    #[cold]
    fn report(&mut self, now: Instant, token: Token, directions: Directions, closing: bool) {
        self.machine.advance_clock(now);
        self.machine.tell(|| Entry::Report {
            token,
            directions,
            closing,
        });
    }

    /// What did not go the express way.
    #[inline(never)]
    fn take_answer(&mut self, now: Instant, token: Token, op: Op, outcome: Outcome) {
        self.handle_event(now, Event::Done { token, op, outcome });
    }
}

/// What a receive into this span has brought.
#[cold]
fn came<'s>(received: &'s Store<'_>, index: u32, into: Span, transfer: Transfer) -> &'s [u8] {
    let len = transfer.unwrap_or(0).min(into.len);
    received.get(index, Span { at: into.at, len })
}
