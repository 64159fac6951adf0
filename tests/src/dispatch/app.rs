//! [`App`]: the application of both worlds, which does what the input says, from inside its calls and between
//! iterations.

use super::datagrams::Heard;
use super::input::{Input, RX, TX, WINDOWS};
use super::kernel::{Socket, mix};
use super::model::{Call, Model};
use alloc::rc::Rc;
use core::cell::RefCell;
use core::time::Duration;
use tidegate_core::{
    Conn, Connections, Datagram, Destination, Directions, Fault, Handler, Reason, SendError, Token,
    Unavailable,
};

/// What the application, the driver and the checker have in common.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) input: Input<'a>,
    pub(super) model: Model,
    /// The application behaves: it consumes all, resumes, and finishes after the peer.
    pub(super) tame: bool,
    /// Bytes queued so far, all connections together: the next byte is made of it, so that no two sends are alike.
    sent: u64,
    pub(super) trace: bool,
}

impl<'a> Shared<'a> {
    pub(super) fn new(input: Input<'a>, model: Model) -> Self {
        Self {
            input,
            model,
            tame: false,
            sent: 0,
            trace: std::env::var_os("FUZZ_TRACE").is_some(),
        }
    }
}

/// A connection as an application sees it, whichever world it is in.
pub(super) trait Face {
    fn token(&self) -> Token;
    fn data(&self) -> Vec<u8>;
    fn consume(&mut self, n: usize);
    fn capacity(&self) -> usize;
    fn send(&mut self, bytes: &[u8]) -> Result<(), SendError>;
    /// Writes `bytes` into the spare capacity, commits `n`, and returns how many bytes fit.
    fn commit(&mut self, bytes: &[u8], n: usize) -> usize;
    fn finish(&mut self);
    fn too_long(&mut self);
    fn abort(&mut self);
    fn pause(&mut self);
    fn resume(&mut self);
    fn send_to(&mut self, token: Token, bytes: &[u8]) -> Result<(), SendError>;
    /// `None`: no such call exists.
    fn send_others(&mut self, bytes: &[u8]) -> Option<u32>;
    /// Whether it is full, so that `Writable` will come; without a session no such call exists.
    fn reserve(&mut self, n: u32) -> bool;
    fn want_capacity(&mut self, n: u32);
    fn set_timer(&mut self, after: Duration);
    fn cancel_timer(&mut self);
    fn shut_down(&mut self);
    fn connect(&mut self, to: Destination) -> Result<Token, Unavailable>;
    /// Calls `visit` with another connection during this service, if such a call exists.
    fn with(&mut self, token: Token, visit: &mut dyn FnMut(&mut dyn Face));
    /// Whether there is no session around it: spare capacity lies behind what is queued, and capacity must be
    /// requested.
    fn is_bare(&self) -> bool;
}

impl Face for Conn<'_> {
    fn token(&self) -> Token {
        self.token()
    }
    fn data(&self) -> Vec<u8> {
        self.data().to_vec()
    }
    fn consume(&mut self, n: usize) {
        self.consume(n);
    }
    fn capacity(&self) -> usize {
        self.capacity()
    }
    fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.send(bytes)
    }
    fn commit(&mut self, bytes: &[u8], n: usize) -> usize {
        // Two ways to the same bytes.
        let capacity = self.capacity();
        let space = match n % 2 {
            0 => self.spare_capacity(),
            _ => self.reserve(capacity).unwrap_or(&mut []),
        };
        let len = space.len();
        space.copy_from_slice(&bytes[..len]);
        self.commit(n);
        len
    }
    fn finish(&mut self) {
        self.finish();
    }
    fn too_long(&mut self) {
        self.too_long();
    }
    fn abort(&mut self) {
        self.abort();
    }
    fn pause(&mut self) {
        self.pause();
    }
    fn resume(&mut self) {
        self.resume();
    }
    fn send_to(&mut self, token: Token, bytes: &[u8]) -> Result<(), SendError> {
        self.send_to(token, bytes)
    }
    fn send_others(&mut self, bytes: &[u8]) -> Option<u32> {
        Some(self.send_others(bytes))
    }
    fn reserve(&mut self, n: u32) -> bool {
        matches!(self.reserve(n as usize), Err(SendError::Full { .. }))
    }
    fn want_capacity(&mut self, n: u32) {
        self.want_capacity(n as usize);
    }
    fn set_timer(&mut self, after: Duration) {
        self.set_timer(after);
    }
    fn cancel_timer(&mut self) {
        self.cancel_timer();
    }
    fn shut_down(&mut self) {
        self.shut_down();
    }
    fn connect(&mut self, to: Destination) -> Result<Token, Unavailable> {
        self.connect(to)
    }
    fn with(&mut self, token: Token, visit: &mut dyn FnMut(&mut dyn Face)) {
        self.with(token, |other| visit(other));
    }
    fn is_bare(&self) -> bool {
        false
    }
}

/// The application.
#[derive(Clone, Debug)]
pub(super) struct App<'a>(pub(super) Rc<RefCell<Shared<'a>>>);

impl App<'_> {
    /// It is notified about a connection, or calls it between iterations (`None`).
    pub(super) fn visit(&self, call: Option<Call>, face: &mut dyn Face) {
        let shared = &mut *self.0.borrow_mut();
        let token = face.token();
        let gone = matches!(call, Some(Call::Closed(_)));
        if let Some(call) = call {
            shared.model.told(token, call);
        }
        if gone {
            assert!(face.data().is_empty(), "data of a connection that is gone");
        } else {
            shared.check(face);
        }
        if shared.trace {
            eprintln!("             app {token:?} {call:?}");
        }
        if shared.tame {
            if !gone {
                shared.behave(call, face);
            }
            return;
        }
        for _ in 0..shared.input.below(4) {
            shared.act(face, gone);
        }
    }
}

impl Shared<'_> {
    /// The data are what the peer sent, from the first byte that was not consumed.
    fn check(&mut self, face: &dyn Face) {
        let connection = self.model.get(face.token());
        let data = face.data();
        if data.is_empty() && connection.shut {
            return;
        }
        let id = connection.id;
        let expected =
            (connection.consumed..connection.got).map(|position| Socket::byte(id, position));
        assert!(
            data.iter().copied().eq(expected),
            "data of {:?}: {data:?}",
            face.token()
        );
        let capacity = face.capacity();
        let predicted = connection.capacity();
        assert!(
            capacity == 0 || capacity == predicted || (face.is_bare() && capacity < predicted),
            "capacity {capacity}, not {predicted}"
        );
    }

    fn behave(&mut self, call: Option<Call>, face: &mut dyn Face) {
        let n = face.data().len();
        let now = self.model.now;
        face.consume(n);
        let connection = self.model.get(face.token());
        connection.consumes(n as u64, now);
        if call.is_none() && connection.paused {
            connection.paused = false;
            face.resume();
        }
        if call == Some(Call::Ended) || connection.ended {
            connection.finishes(now);
            face.finish();
        }
    }

    pub(super) fn bytes(&mut self, n: usize) -> Vec<u8> {
        let from = self.sent;
        self.sent += n as u64;
        (from..self.sent).map(mix).collect()
    }

    /// One call of the application.
    fn act(&mut self, face: &mut dyn Face, gone: bool) {
        let token = face.token();
        let now = self.model.now;
        let choice = match self.input.byte() {
            timer @ 228..=239 => return self.act_on_timer(face, gone, timer),
            byte @ 240.. => u32::from(byte),
            byte => u32::from(byte) % 12,
        };
        if self.trace {
            eprintln!(
                "             app {token:?} call {choice}, {} unread",
                face.data().len()
            );
        }
        match choice {
            choice @ (0 | 1 | 11) => {
                let have = face.data().len();
                let n = if choice == 1 {
                    self.input.index(RX + 2)
                } else {
                    have
                };
                face.consume(n);
                let left = face.data().len();
                assert_eq!(left, have.saturating_sub(n), "consumed");
                if !gone {
                    self.model.get(token).consumes(have.min(n) as u64, now);
                }
            }
            2 => self.send(face, gone),
            3 => {
                let bytes = self.bytes(TX);
                let n = self.input.index(TX + 2);
                let space = face.commit(&bytes, n);
                assert!(!gone || space == 0, "space of a connection that is gone");
                self.model.get(token).queues(&bytes[..n.min(space)], now);
            }
            4 => {
                face.finish();
                let connection = self.model.get(token);
                connection.finishes(now);
                connection.wants = 0;
            }
            5 => {
                face.abort();
                self.model.get(token).aborted = true;
            }
            6 => {
                face.pause();
                self.model.get(token).paused = true;
            }
            7 => {
                face.resume();
                self.model.get(token).paused = false;
                self.model.resumed = true;
            }
            8 => self.send_to(face),
            9 => self.send_others(face),
            240..=247 => self.connect(face),
            248..=251 => {
                face.shut_down();
                let connection = self.model.get(token);
                if connection.is_live() && !connection.finished {
                    connection.half = true;
                    connection.wants = 0;
                }
            }
            252.. => self.with(face),
            _ => self.wait_for_capacity(face, gone),
        }
    }

    /// In a session, a small number is capacity that is reserved, a larger one capacity that is only waited for.
    fn wait_for_capacity(&mut self, face: &mut dyn Face, gone: bool) {
        let (token, now) = (face.token(), self.model.now);
        let byte = self.input.byte();
        let n = match byte {
            u8::MAX => {
                face.too_long();
                let connection = self.model.get(token);
                connection.too_long |= !connection.finished;
                connection.finishes(now);
                connection.wants = 0;
                return;
            }
            n if face.is_bare() => n,
            n @ ..64 => {
                if face.reserve(n.into()) {
                    self.model.get(token).wants = n.into();
                }
                return;
            }
            n => n - 64,
        };
        face.want_capacity(n.into());
        if !gone {
            let connection = self.model.get(token);
            let n = u32::from(n).min(WINDOWS.send);
            if n as usize > connection.capacity() && connection.can_send() {
                connection.wants = n;
            }
        }
    }

    fn send(&mut self, face: &mut dyn Face, gone: bool) {
        let n = self.input.index(TX + 2);
        let bytes = self.bytes(n);
        let now = self.model.now;
        let answer = face.send(&bytes);
        let connection = self.model.get(face.token());
        let capacity = connection.capacity();
        match answer {
            Ok(()) => {
                assert!(
                    !gone && connection.can_send() && !connection.aborted,
                    "sent after its end"
                );
                assert!(n <= capacity, "{n} bytes into {capacity}");
                connection.queues(&bytes, now);
            }
            Err(SendError::Full { capacity: told }) => {
                if !face.is_bare() {
                    assert!(
                        told < n && told == capacity,
                        "capacity {told}, not {capacity}"
                    );
                    connection.wants = u32::try_from(n).unwrap_or(u32::MAX);
                }
            }
            Err(SendError::TooLong { window }) => assert!(n > window && window == TX),
            Err(SendError::Closed) => {}
            Err(other) => panic!("{other:?}"),
        }
    }

    /// To any connection that was ever known.
    fn send_to(&mut self, face: &mut dyn Face) {
        let which = self.input.byte();
        let bytes = self.bytes(usize::from(which >> 4));
        let Some(token) = self.model.order.get(usize::from(which & 15)).copied() else {
            return;
        };
        let now = self.model.now;
        let answer = face.send_to(token, &bytes);
        let connection = self.model.get(token);
        if answer.is_ok() {
            assert!(connection.can_send(), "sent to {token:?}");
            assert!(bytes.len() <= connection.capacity());
            connection.queues(&bytes, now);
        }
    }

    fn connect(&mut self, face: &mut dyn Face) {
        let to = self.model.destination(self.input.byte());
        let answer = face.connect(to);
        self.model.connects(to, Some(face.token()), answer);
    }

    /// Calls a connection that was ever known, and does something there.
    fn with(&mut self, face: &mut dyn Face) {
        let which = usize::from(self.input.byte() & 15);
        let Some(token) = self.model.order.get(which).copied() else {
            return;
        };
        face.with(token, &mut |other| {
            assert!(self.model.get(token).is_known(), "lent: {token:?}");
            self.act(other, false);
        });
    }

    fn send_others(&mut self, face: &mut dyn Face) {
        let n = self.input.index(TX + 2);
        let bytes = self.bytes(n);
        let now = self.model.now;
        let own = face.token();
        let others: Vec<Token> = (self.model.live())
            .filter(|(token, connection)| *token != own && connection.is_live())
            .map(|(token, _)| token)
            .collect();
        // Nothing can be sent to one that is not open, and nothing always to one that is.
        let open: Vec<Token> = others
            .into_iter()
            .filter(|token| face.send_to(*token, &[]).is_ok())
            .collect();
        let Some(missed) = face.send_others(&bytes) else {
            return;
        };
        let mut full = 0;
        for token in open {
            let connection = self.model.get(token);
            if n <= connection.capacity() {
                connection.queues(&bytes, now);
            } else {
                full += 1;
            }
        }
        assert_eq!(missed, full, "others that were full");
    }
}

impl Handler for App<'_> {
    type State = u64;

    fn opened(&mut self, conn: &mut Conn<'_>, state: &mut u64) {
        assert_eq!(*state, 0, "the state of another");
        *state = conn.token().to_bits();
        self.visit(Some(Call::Opened), conn);
    }

    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut u64) {
        assert_eq!(*state, conn.token().to_bits());
        self.visit(Some(Call::Readable), conn);
    }

    fn writable(&mut self, conn: &mut Conn<'_>, state: &mut u64) {
        assert_eq!(*state, conn.token().to_bits());
        self.visit(Some(Call::Writable), conn);
    }

    fn ended(&mut self, conn: &mut Conn<'_>, state: &mut u64) {
        assert_eq!(*state, conn.token().to_bits());
        self.visit(Some(Call::Ended), conn);
    }

    fn timer(&mut self, conn: &mut Conn<'_>, state: &mut u64) {
        assert_eq!(*state, conn.token().to_bits());
        self.visit(Some(Call::Timer), conn);
    }

    fn tick(&mut self, all: &mut Connections<'_>, timer: u32, periods: u64) {
        self.ticked(all, timer, periods);
    }

    fn ready(&mut self, all: &mut Connections<'_>, token: Token, directions: Directions) {
        self.watched(all, token, Ok(directions));
    }

    fn unwatched(&mut self, all: &mut Connections<'_>, token: Token, fault: Fault) {
        self.watched(all, token, Err(fault));
    }

    fn datagram(&mut self, all: &mut Connections<'_>, token: Token, datagram: Datagram<'_>) {
        let Datagram {
            data, len, from, ..
        } = datagram;
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        assert_eq!(data.len() < len as usize, datagram.is_truncated());
        self.hears(all, token, Heard::Came(len, from), data);
    }

    fn datagram_writable(&mut self, all: &mut Connections<'_>, token: Token) {
        self.hears(all, token, Heard::Capacity, &[]);
    }

    fn datagram_failed(&mut self, all: &mut Connections<'_>, token: Token, fault: Fault) {
        self.hears(all, token, Heard::Failed(fault), &[]);
    }

    fn closed(&mut self, conn: &mut Conn<'_>, state: &mut u64, reason: Reason) {
        let opened = self.0.borrow_mut().model.get(conn.token()).opened;
        let expected = if opened { conn.token().to_bits() } else { 0 };
        assert_eq!(*state, expected);
        self.visit(Some(Call::Closed(reason)), conn);
    }
}
