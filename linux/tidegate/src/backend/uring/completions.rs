//! Completions of submissions become events, and what is still wanted is submitted again.

use super::ring::Completion;
use super::slot::Watch;
use super::submission::{self, Name, Request};
use super::{Uring, readable};
use crate::errno;
use crate::stop::Stop;
use rustix::io::Errno;
use tidegate_core::{Directions, Event, Op, Outcome, Token};

impl Uring {
    /// The event of a completion, for the machine.
    pub(super) fn event(&mut self, done: Completion) -> Option<Event> {
        let Name { token, request } = Name::from_bits(done.data)?;
        match request {
            Request::Receive => self.received(token, done),
            Request::Readable => {
                let slot = self.slots.known(token)?;
                slot.input = Watch::No;
                self.reported = true;
                let events = match done.returned() {
                    Err(Errno::CANCELED) => return None,
                    Ok(events) => events,
                    Err(_) => submission::CLOSING,
                };
                Some(Event::Ready {
                    token,
                    directions: Directions::READ,
                    closing: slot.stream && events & submission::CLOSING != 0,
                })
            }
            Request::Writable => self.became_writable(token, done),
            Request::HangUp => self.hung_up(token, done),
            Request::Send => Some(self.sent(token, done)),
            Request::Cancel => None,
            Request::Stop => {
                self.stop_polled = false;
                self.reported = true;
                Some(readable(Stop::TOKEN))
            }
        }
    }

    /// Bytes lie in a buffer, or there will be none.
    fn received(&mut self, token: Token, done: Completion) -> Option<Event> {
        let Some(slot) = self.slots.known(token) else {
            // Of a connection that is closed.
            if let Some(number) = done.buffer() {
                self.buffers.give(number);
            }
            return None;
        };
        let returned = done.returned();
        if let Some(number) = done.buffer() {
            (self.buffers).append(&mut slot.chain, number, returned.unwrap_or(0));
        }
        if !done.goes_on() {
            slot.input = Watch::No;
        }
        match returned {
            Ok(0) => {
                slot.ended = true;
                // A reset may still come. If that cannot be watched, it is found out when something is sent, or by deadline.
                let _ = slot.watch_reset(&mut self.ring);
            }
            Ok(_) => {}
            // It is wanted again by now. If it cannot be begun, the machine's next attempt finds out.
            Err(Errno::CANCELED)
                if !slot.wanted.contains(Directions::READ)
                    || slot.chain.is_empty() && slot.watch_input(&mut self.ring).is_ok() =>
            {
                return None;
            }
            // The machine's next attempt is a call.
            Err(Errno::CANCELED | Errno::NOBUFS | Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => slot.errno = u16::try_from(errno.raw_os_error()).unwrap_or(0),
        }
        Some(readable(token))
    }

    /// The peer's FIN or a reset has arrived. The multishot receive, if there is one, may never complete with it: a
    /// one-shot receive replaces it.
    fn hung_up(&mut self, token: Token, done: Completion) -> Option<Event> {
        let slot = self.slots.known(token)?;
        let was = slot.hang_up;
        if !done.goes_on() {
            slot.hang_up = Watch::No;
        }
        let events = match done.returned() {
            // It has reported a reset, and is begun again for a source that still waits for one: events are by level.
            Err(Errno::CANCELED)
                if was == Watch::Cancelled && slot.watch(&mut self.ring).is_ok() =>
            {
                return None;
            }
            // Of one that lives it was ended because completions are lost.
            Err(Errno::CANCELED) if slot.watch_end(&mut self.ring).is_ok() => return None,
            Ok(events) => events,
            Err(_) => submission::CLOSING,
        };
        slot.fin = true;
        // A receive that is in flight after the first time completes once.
        let left = if core::mem::replace(&mut slot.hung_up, true) {
            Ok(())
        } else {
            slot.leave_input(&mut self.ring)
        };
        let reads = slot.wanted.contains(Directions::READ) && !slot.ended;
        // Of a connection that reads, the receive completes with it.
        if reads && left.is_ok() {
            return None;
        }
        // One that does not is notified of a reset only, which may still come.
        let reset = events & submission::CLOSING != 0;
        if !reads && !reset {
            let watched = if slot.ended {
                slot.watch_reset(&mut self.ring)
            } else {
                slot.watch(&mut self.ring)
            };
            if watched.is_ok() {
                return None;
            }
        }
        if done.goes_on() {
            let _ = slot.leave_hang_up(&mut self.ring);
        }
        Some(Event::Ready {
            token,
            directions: Directions::READ.when(reads),
            closing: true,
        })
    }

    /// The socket is writable, or its peer is gone.
    fn became_writable(&mut self, token: Token, done: Completion) -> Option<Event> {
        self.reported |= token.is_listener();
        let slot = self.slots.known(token)?;
        if !done.goes_on() {
            slot.output = Watch::No;
        }
        self.reported |= slot.stream;
        let events = match done.returned() {
            Err(Errno::CANCELED)
                if !slot.wanted.contains(Directions::WRITE)
                    || slot.watch_output(&mut self.ring).is_ok() =>
            {
                return None;
            }
            // FIN, unasked, and no send capacity: the poll goes on, or a multishot one replaces it.
            Ok(submission::FIN) => {
                slot.fin = true;
                if slot.watch_output(&mut self.ring).is_ok() {
                    return None;
                }
                0
            }
            Ok(events) => events,
            Err(_) => 0,
        };
        // A source that still waits when it has ended is notified again: events are by level.
        if done.goes_on() {
            let _ = slot.leave_output(&mut self.ring);
        }
        Some(Event::Ready {
            token,
            directions: Directions::WRITE,
            closing: events & submission::CLOSING != 0,
        })
    }

    /// A send is over. If not all of it fit and writability is awaited, that is polled for.
    fn sent(&mut self, token: Token, done: Completion) -> Event {
        let mut asked = 0;
        let mut watched = Ok(());
        if let Some(slot) = self.slots.known(token) {
            asked = core::mem::take(&mut slot.sending);
            slot.send_ended = false;
            let short = match done.returned() {
                Ok(n) => n < asked,
                Err(errno) => errno == Errno::AGAIN,
            };
            if short && slot.wanted.contains(Directions::WRITE) {
                watched = slot.watch_output(&mut self.ring);
            }
        }
        let outcome = match (done.returned(), watched) {
            (Ok(n), Ok(())) if n < asked => Outcome::Drained(n),
            (Ok(n), _) => Outcome::Complete(n),
            (Err(Errno::AGAIN), Err(errno)) | (Err(errno), _) => errno::transfer(errno),
        };
        let op = Op::Send;
        Event::Done { token, op, outcome }
    }

    /// Polls again what has been reported and processed.
    pub(super) fn poll_again(&mut self) {
        self.reported = false;
        if let Some(socket) = self.stop.filter(|_| !self.stop_polled) {
            let (token, request) = (Token::from_bits(0), Request::Stop);
            let poll = submission::poll(Name { token, request }, socket, submission::IN);
            // SAFETY: it points to nothing.
            self.stop_polled = unsafe { self.ring.push(poll) }.is_ok();
            self.reported |= !self.stop_polled;
        }
        for slot in self.slots.sources_mut() {
            if slot.wanted.contains(Directions::READ) {
                self.reported |= slot.watch_input(&mut self.ring).is_err();
            }
            if slot.wanted.contains(Directions::WRITE) {
                self.reported |= slot.watch_output(&mut self.ring).is_err();
            }
        }
        for bits in self.streams.iter().take(self.streaming) {
            if let Some(slot) = self.slots.known(Token::from_bits(*bits)) {
                self.reported |= slot.watch(&mut self.ring).is_err();
            }
        }
    }
}
