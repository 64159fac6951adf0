//! What comes of submissions: completions become events, and what is still wanted is submitted again.

use super::place::Watch;
use super::ring::Completion;
use super::submission::{self, Name, Request};
use super::{Uring, known, readable};
use crate::errno;
use crate::stop::Stop;
use rustix::io::Errno;
use tidegate_core::{Directions, Event, Op, Outcome, Token};

impl Uring {
    /// What came of a submission, for the machine.
    pub(super) fn event(&mut self, done: Completion) -> Option<Event> {
        let Name { token, request } = Name::from_bits(done.data)?;
        match request {
            Request::Receive => self.received(token, done),
            Request::Readable => {
                let place = if token.is_listener() {
                    known(&mut self.listeners, token)?
                } else {
                    known(&mut self.places, token)?
                };
                place.input = Watch::No;
                self.reported = true;
                let events = match done.answer() {
                    Err(Errno::CANCELED) => return None,
                    Ok(events) => events,
                    Err(_) => submission::CLOSING,
                };
                Some(Event::Ready {
                    token,
                    directions: Directions::READ,
                    closing: place.stream && events & submission::CLOSING != 0,
                })
            }
            Request::Room => self.has_room(token, done),
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
        let Some(place) = known(&mut self.places, token) else {
            // Of a connection that is closed.
            if let Some(number) = done.buffer() {
                self.buffers.give(number);
            }
            return None;
        };
        let answer = done.answer();
        if let Some(number) = done.buffer() {
            (self.buffers).append(&mut place.chain, number, answer.unwrap_or(0));
        }
        if !done.goes_on() {
            place.input = Watch::No;
        }
        match answer {
            Ok(0) => {
                place.ended = true;
                // A reset may still come. If that cannot be watched, it is found out when something is sent, or by deadline.
                let _ = place.watch_reset(&mut self.ring);
            }
            Ok(_) => {}
            // It is wanted again by now. If it cannot be begun, the machine's next attempt finds out.
            Err(Errno::CANCELED)
                if !place.wanted.contains(Directions::READ)
                    || place.chain.is_empty() && place.watch_input(&mut self.ring).is_ok() =>
            {
                return None;
            }
            // The machine's next attempt is a call.
            Err(Errno::CANCELED | Errno::NOBUFS | Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => place.errno = u16::try_from(errno.raw_os_error()).unwrap_or(0),
        }
        Some(readable(token))
    }

    /// The peer's FIN or a reset has arrived. The multishot receive, if there is one, may never complete with it: a
    /// one-shot receive replaces it.
    fn hung_up(&mut self, token: Token, done: Completion) -> Option<Event> {
        let place = known(&mut self.places, token)?;
        let was = place.hang_up;
        if !done.goes_on() {
            place.hang_up = Watch::No;
        }
        let events = match done.answer() {
            // It has reported a reset, and is begun again for a source that still waits for one: events are by level.
            Err(Errno::CANCELED)
                if was == Watch::Cancelled && place.watch(&mut self.ring).is_ok() =>
            {
                return None;
            }
            // Of one that lives it was ended because completions are lost.
            Err(Errno::CANCELED) if place.watch_end(&mut self.ring).is_ok() => return None,
            Ok(events) => events,
            Err(_) => submission::CLOSING,
        };
        place.fin = true;
        // A receive that is in flight after the first time completes once.
        let left = if core::mem::replace(&mut place.hung_up, true) {
            Ok(())
        } else {
            place.leave_input(&mut self.ring)
        };
        let reads = place.wanted.contains(Directions::READ) && !place.ended;
        // Of a connection that reads, the receive completes with it.
        if reads && left.is_ok() {
            return None;
        }
        // One that does not is notified of a reset only, which may still come.
        let reset = events & submission::CLOSING != 0;
        if !reads && !reset {
            let watched = if place.ended {
                place.watch_reset(&mut self.ring)
            } else {
                place.watch(&mut self.ring)
            };
            if watched.is_ok() {
                return None;
            }
        }
        if done.goes_on() {
            let _ = place.leave_hang_up(&mut self.ring);
        }
        Some(Event::Ready {
            token,
            directions: Directions::READ.when(reads),
            closing: true,
        })
    }

    /// The socket is writable, or its peer is gone.
    fn has_room(&mut self, token: Token, done: Completion) -> Option<Event> {
        let places = if token.is_listener() {
            self.reported = true;
            &mut self.listeners[..]
        } else {
            &mut self.places
        };
        let place = known(places, token)?;
        if !done.goes_on() {
            place.room = Watch::No;
        }
        self.reported |= place.stream;
        let events = match done.answer() {
            Err(Errno::CANCELED)
                if !place.wanted.contains(Directions::WRITE)
                    || place.watch_room(&mut self.ring).is_ok() =>
            {
                return None;
            }
            // FIN, unasked, and no send capacity: the poll goes on, or a multishot one replaces it.
            Ok(submission::FIN) => {
                place.fin = true;
                if place.watch_room(&mut self.ring).is_ok() {
                    return None;
                }
                0
            }
            Ok(events) => events,
            Err(_) => 0,
        };
        // A source that still waits when it has ended is notified again: events are by level.
        if done.goes_on() {
            let _ = place.leave_room(&mut self.ring);
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
        if let Some(place) = known(&mut self.places, token) {
            asked = core::mem::take(&mut place.sending);
            place.send_ended = false;
            let short = match done.answer() {
                Ok(n) => n < asked,
                Err(errno) => errno == Errno::AGAIN,
            };
            if short && place.wanted.contains(Directions::WRITE) {
                watched = place.watch_room(&mut self.ring);
            }
        }
        let outcome = match (done.answer(), watched) {
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
        for place in &mut self.listeners {
            if place.wanted.contains(Directions::READ) {
                self.reported |= place.watch_input(&mut self.ring).is_err();
            }
            if place.wanted.contains(Directions::WRITE) {
                self.reported |= place.watch_room(&mut self.ring).is_err();
            }
        }
        for token in &self.streams {
            if let Some(place) = known(&mut self.places, *token) {
                self.reported |= place.watch(&mut self.ring).is_err();
            }
        }
    }
}
