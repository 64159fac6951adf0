//! [`World`]: a machine with its application, as a driver sees it: a [`Session`], or a bare [`Dispatcher`] with windows
//! of its own.

use super::app::{App, Face};
use super::datagrams::Heard;
use super::input::{N, RX, TX};
use super::model::Call;
use super::timers::Free;
use core::time::Duration;
use tidegate_core::{
    Action, Destination, Directions, Dispatcher, Event, Instant, Notice, Op, Outcome, Peer,
    SendError, Session, Span, Token, Unavailable,
};

/// Slots for sources that are not connections, and free timers, in each table here.
pub(super) const SOURCES: usize = 16;
pub(super) const TIMERS: usize = 16;

/// What a driver drives.
pub(super) trait World {
    fn core(&self) -> &Dispatcher<'_>;
    fn event(&mut self, now: Instant, event: Event);
    fn timeout(&mut self, now: Instant);
    fn output(&mut self) -> Option<Action>;
    fn listen(&mut self, per_source: Option<u32>) -> Token;
    fn connect(&mut self, to: Destination) -> Result<Token, Unavailable>;
    fn stop(&mut self, by: Instant);
    fn receive_into(&mut self, token: Token, into: Span) -> &mut [u8];
    fn send_from(&self, token: Token, from: Span) -> &[u8];
    fn reserve_slots(&mut self, listener: Token, slots: u32);
    fn limit_connections(&mut self, listener: Token, connections: u32);
    fn set_priority(&mut self, listener: Token, priority: bool);
    /// `None` if the table is full.
    fn watch(&mut self, directions: Directions) -> Option<Token>;
    /// `None` if the table is full.
    fn add_datagrams(&mut self, receive: usize, send: usize) -> Option<Token>;
    /// `None`: it has no windows.
    fn datagram_into(&mut self, token: Token) -> Option<&mut [u8]>;
    fn datagram_from(&self, token: Token) -> Option<(Peer, Vec<u8>)>;
    /// The application calls a connection between iterations; returns whether there is one.
    fn visit(&mut self, token: Token) -> bool;
    /// The application uses the free timers between iterations.
    fn free(&mut self, visit: &mut dyn FnMut(&mut dyn Free));
}

impl<'a> World for Session<'_, App<'a>> {
    fn core(&self) -> &Dispatcher<'_> {
        self.machine()
    }
    fn event(&mut self, now: Instant, event: Event) {
        self.handle_event(now, event);
    }
    fn timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }
    fn output(&mut self) -> Option<Action> {
        self.poll_output(None)
    }
    fn listen(&mut self, per_source: Option<u32>) -> Token {
        self.listen(per_source).expect("two slots")
    }
    fn reserve_slots(&mut self, listener: Token, slots: u32) {
        self.reserve_slots(listener, slots);
    }
    fn limit_connections(&mut self, listener: Token, connections: u32) {
        self.limit_connections(listener, connections);
    }
    fn set_priority(&mut self, listener: Token, priority: bool) {
        self.set_priority(listener, priority);
    }
    fn watch(&mut self, directions: Directions) -> Option<Token> {
        self.watch(directions).ok()
    }
    fn add_datagrams(&mut self, receive: usize, send: usize) -> Option<Token> {
        let sizes = [receive, send].map(|size| u32::try_from(size).unwrap_or(u32::MAX));
        self.add_datagrams(sizes[0], sizes[1]).ok()
    }
    fn datagram_into(&mut self, token: Token) -> Option<&mut [u8]> {
        Some(self.datagram_into(token))
    }
    fn datagram_from(&self, token: Token) -> Option<(Peer, Vec<u8>)> {
        let found = self.datagram_from(token);
        Some(
            found
                .map(|(to, _, bytes)| (to, bytes.to_vec()))
                .expect("one waits"),
        )
    }
    fn connect(&mut self, to: Destination) -> Result<Token, Unavailable> {
        self.connect(to)
    }
    fn stop(&mut self, by: Instant) {
        self.stop(by);
    }
    fn receive_into(&mut self, token: Token, into: Span) -> &mut [u8] {
        self.receive_into(token, into)
    }
    fn send_from(&self, token: Token, from: Span) -> &[u8] {
        self.send_from(token, from)
    }
    fn visit(&mut self, token: Token) -> bool {
        self.with(token, |app, conn, _| app.clone().visit(None, conn))
            .is_some()
    }
    fn free(&mut self, visit: &mut dyn FnMut(&mut dyn Free)) {
        let now = self.machine().now();
        visit(&mut self.connections(now));
    }
}

/// A dispatcher and the windows that its spans lie in.
#[derive(Debug)]
pub(super) struct Bare<'t, 'a> {
    pub(super) core: Dispatcher<'t>,
    pub(super) app: App<'a>,
    pub(super) receive: [[u8; RX]; N],
    pub(super) send: [[u8; TX]; N],
}

impl World for Bare<'_, '_> {
    fn core(&self) -> &Dispatcher<'_> {
        &self.core
    }
    fn event(&mut self, now: Instant, event: Event) {
        let (token, call) = match self.core.handle_event(now, event) {
            None => return,
            Some(Notice::Opened(token)) => (token, Call::Opened),
            Some(Notice::Readable(token)) => (token, Call::Readable),
            Some(Notice::Writable(token)) => (token, Call::Writable),
            Some(Notice::Ended(token)) => (token, Call::Ended),
            Some(Notice::Closed(token, reason)) => (token, Call::Closed(reason)),
            Some(Notice::Watched(token, told)) => {
                let app = self.app.clone();
                return app.watched(&mut self.core, token, told);
            }
            Some(Notice::Timer(_) | Notice::Tick { .. }) => panic!("{event:?} is no timer"),
            Some(Notice::Datagram(token)) => {
                let app = self.app.clone();
                let Event::Done { op, outcome, .. } = event else {
                    panic!("{event:?} brings no datagram");
                };
                let waited = op == Op::SendTo && self.core.take_datagram_request(token);
                if let (Op::ReceiveFrom, Outcome::Datagram { len, from, .. }) = (op, outcome) {
                    app.hears(&mut self.core, token, Heard::Came(len, from), &[]);
                } else if let Outcome::Failed(fault) = outcome {
                    app.hears(&mut self.core, token, Heard::Failed(fault), &[]);
                }
                match self.core.has_datagram_capacity(token) {
                    Some(true) if waited => app.hears(&mut self.core, token, Heard::Capacity, &[]),
                    Some(false) if waited => self.core.want_datagram_capacity(token),
                    Some(_) | None => {}
                }
                return;
            }
        };
        let app = self.app.clone();
        app.visit(Some(call), &mut BareConn { world: self, token });
    }
    fn timeout(&mut self, now: Instant) {
        self.core.handle_timeout(now);
        while let Some(notice) = self.core.poll_timer() {
            let app = self.app.clone();
            if let Notice::Timer(token) = notice {
                app.visit(Some(Call::Timer), &mut BareConn { world: self, token });
            } else if let Notice::Tick { timer, periods } = notice {
                app.ticked(&mut self.core, timer, periods);
            } else {
                panic!("{notice:?} is of no timer");
            }
        }
    }
    fn output(&mut self) -> Option<Action> {
        self.core.poll_output()
    }
    fn listen(&mut self, per_source: Option<u32>) -> Token {
        self.core.listen(per_source).expect("two slots")
    }
    fn reserve_slots(&mut self, listener: Token, slots: u32) {
        self.core.reserve_slots(listener, slots);
    }
    fn limit_connections(&mut self, listener: Token, connections: u32) {
        self.core.limit_connections(listener, connections);
    }
    fn set_priority(&mut self, listener: Token, priority: bool) {
        self.core.set_priority(listener, priority);
    }
    fn watch(&mut self, directions: Directions) -> Option<Token> {
        self.core.watch(directions).ok()
    }
    fn add_datagrams(&mut self, _: usize, _: usize) -> Option<Token> {
        self.core.add_datagrams().ok()
    }
    fn datagram_into(&mut self, _: Token) -> Option<&mut [u8]> {
        None
    }
    fn datagram_from(&self, _: Token) -> Option<(Peer, Vec<u8>)> {
        None
    }
    fn connect(&mut self, to: Destination) -> Result<Token, Unavailable> {
        self.core.connect(to, None)
    }
    fn stop(&mut self, by: Instant) {
        self.core.stop(by);
    }
    fn receive_into(&mut self, token: Token, into: Span) -> &mut [u8] {
        part_mut(&mut self.receive[token.index() as usize], into)
    }
    fn send_from(&self, token: Token, from: Span) -> &[u8] {
        part(&self.send[token.index() as usize], from)
    }
    fn visit(&mut self, token: Token) -> bool {
        if self.core.info(token).is_none() {
            return false;
        }
        let app = self.app.clone();
        app.visit(None, &mut BareConn { world: self, token });
        true
    }
    fn free(&mut self, visit: &mut dyn FnMut(&mut dyn Free)) {
        visit(&mut self.core);
    }
}

fn part(window: &[u8], span: Span) -> &[u8] {
    &window[span.at as usize..][..span.len as usize]
}

fn part_mut(window: &mut [u8], span: Span) -> &mut [u8] {
    &mut window[span.at as usize..][..span.len as usize]
}

/// A connection of a bare dispatcher, by the calls that take its token.
struct BareConn<'w, 't, 'a> {
    world: &'w mut Bare<'t, 'a>,
    token: Token,
}

impl BareConn<'_, '_, '_> {
    fn put(&mut self, token: Token, bytes: &[u8]) -> Result<(), SendError> {
        let space = self.world.core.spare_capacity(token);
        if bytes.len() > TX {
            return Err(SendError::TooLong { window: TX });
        }
        if bytes.len() > space.len as usize || bytes.is_empty() {
            let capacity = space.len as usize;
            return Err(SendError::Full { capacity });
        }
        let window = &mut self.world.send[token.index() as usize];
        window[space.at as usize..][..bytes.len()].copy_from_slice(bytes);
        self.world
            .core
            .commit(token, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        Ok(())
    }
}

impl Face for BareConn<'_, '_, '_> {
    fn token(&self) -> Token {
        self.token
    }
    fn data(&self) -> Vec<u8> {
        let span = self.world.core.unconsumed(self.token);
        part(&self.world.receive[self.token.index() as usize], span).to_vec()
    }
    fn consume(&mut self, n: usize) {
        self.world
            .core
            .consume(self.token, u32::try_from(n).unwrap_or(u32::MAX));
    }
    fn capacity(&self) -> usize {
        self.world.core.spare_capacity(self.token).len as usize
    }
    fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.put(self.token, bytes)
    }
    fn commit(&mut self, bytes: &[u8], n: usize) -> usize {
        let space = self.world.core.spare_capacity(self.token);
        let window = &mut self.world.send[self.token.index() as usize];
        part_mut(window, space).copy_from_slice(&bytes[..space.len as usize]);
        self.world
            .core
            .commit(self.token, u32::try_from(n).unwrap_or(u32::MAX));
        space.len as usize
    }
    fn finish(&mut self) {
        self.world.core.finish(self.token);
    }
    fn too_long(&mut self) {
        self.world.core.too_long(self.token);
    }
    fn abort(&mut self) {
        self.world.core.abort(self.token);
    }
    fn pause(&mut self) {
        self.world.core.pause(self.token);
    }
    fn resume(&mut self) {
        self.world.core.resume(self.token);
    }
    fn send_to(&mut self, token: Token, bytes: &[u8]) -> Result<(), SendError> {
        self.put(token, bytes)
    }
    fn send_others(&mut self, _: &[u8]) -> Option<u32> {
        None
    }
    fn reserve(&mut self, _: u32) -> bool {
        false
    }
    fn want_capacity(&mut self, n: u32) {
        self.world.core.want_capacity(self.token, n);
    }
    fn set_timer(&mut self, after: Duration) {
        self.world.core.set_timer(self.token, after);
    }
    fn cancel_timer(&mut self) {
        self.world.core.cancel_timer(self.token);
    }
    fn shut_down(&mut self) {
        self.world.core.shut_down(self.token);
    }
    fn connect(&mut self, to: Destination) -> Result<Token, Unavailable> {
        self.world.core.connect(to, Some(self.token))
    }
    fn with(&mut self, _: Token, _: &mut dyn FnMut(&mut dyn Face)) {}
    fn is_bare(&self) -> bool {
        true
    }
}
