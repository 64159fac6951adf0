//! [`Meddler`]: a handler that makes every call that there is, now and then.

use core::time::Duration;
use tests::{App, State};
use tidegate_core::{
    Conn, Connections, Datagram, Destination, Directions, Fault, Handler, Peer, Reason, Token,
};
use tidegate_sim::{Random, World};

/// Bytes of a receive window, that of a datagram socket too.
pub(crate) const RX: usize = 32;
/// Bytes of a send window.
pub(crate) const TX: usize = 80;

/// The fuzz target's, and what that does not do.
pub(crate) struct Meddler {
    app: App,
    random: Random,
    /// Those that sent datagrams, and where to.
    letters: Vec<(Token, Peer)>,
    watched: Vec<Token>,
}

impl Meddler {
    pub(crate) const fn new(app: App, seed: u64) -> Self {
        Self {
            app,
            random: Random::new(seed),
            letters: Vec::new(),
            watched: Vec::new(),
        }
    }

    /// Mostly nothing: a connection that is served should live for some time.
    pub(crate) fn meddle(&mut self, conn: &mut Conn<'_>) {
        let n = self.random.length(90) as usize;
        match self.random.below(60) {
            0 => conn.too_long(),
            1..=3 => {
                if let Ok(space) = conn.reserve(n) {
                    space.fill(1);
                    conn.commit(n / 2);
                }
            }
            4..=6 => {
                let n = conn.spare_capacity().len().min(n);
                conn.spare_capacity().fill(2);
                // Returned by a send, to any connection.
                let others = others(conn);
                let to = self.random.pick(&others).copied();
                let to = to.unwrap_or(conn.token());
                let _ = conn.all().send_to(to, b"in between");
                conn.commit(n);
            }
            7..=9 => {
                let others = others(conn);
                let Some(other) = self.random.pick(&others).copied() else {
                    return;
                };
                let own = conn.token();
                let visit = |other: &mut Conn<'_>| {
                    other.consume(n / 4);
                    other.resume();
                    other.with(own, |own| own.send(b"from beyond").is_ok());
                    self.at_large(other.all());
                };
                conn.with(other, visit);
            }
            10..=11 => {
                conn.pause();
                conn.resume();
            }
            12..=15 => conn.set_timer(Duration::from_millis(n as u64)),
            16..=30 => self.at_large(conn.all()),
            _ => {}
        }
    }

    /// What is about no connection in particular.
    fn at_large(&mut self, all: &mut Connections<'_>) {
        let tokens: Vec<_> = all.tokens().collect();
        let any = self.random.pick(&tokens).copied();
        let length = Duration::from_millis(u64::from(self.random.below(2000)));
        let timer = self.random.below(18);
        match (self.random.below(16), any) {
            (0, Some(any)) => all.finish(any),
            (1, Some(any)) => all.abort(any),
            (2, Some(any)) => all.set_timer_of(any, length),
            (3, Some(any)) => all.cancel_timer_of(any),
            (4, _) => {
                let _ = all.set_timer(timer, length);
            }
            (5, _) => {
                let _ = all.set_interval(timer, length + Duration::from_millis(100));
            }
            (6, _) => all.cancel_timer(timer),
            (7..=8, _) => {
                let _ = all.connect(self.somewhere());
            }
            (9..=10, _) => {
                if let Some(watched) = self.random.pick(&self.watched) {
                    all.watch_for(*watched, Directions::BOTH);
                }
            }
            (11..=13, _) => {
                let n = self.random.length(90) as usize;
                if let Some((socket, to)) = self.random.pick(&self.letters) {
                    let _ = all.send_datagram(*socket, *to, &[5; 90][..n]);
                }
            }
            _ => {
                all.send_all(b"to all");
            }
        }
    }

    fn somewhere(&mut self) -> Destination {
        let number = self.random.below(9);
        let nowhere = [
            World::<App>::UNANSWERED,
            World::<App>::UNREACHABLE,
            World::<App>::ABSENT,
        ];
        match self.random.below(4) {
            0 => Destination::Inet(World::<App>::ECHO),
            3 => {
                let to = self.random.pick(&nowhere).copied();
                Destination::Inet(to.unwrap_or(World::<App>::ECHO))
            }
            1 => Destination::Registered(number),
            _ => Destination::Stream {
                number,
                directions: Directions::BOTH,
            },
        }
    }
}

fn others(conn: &Conn<'_>) -> Vec<Token> {
    conn.connections()
        .filter(|other| *other != conn.token())
        .collect()
}

impl Handler for Meddler {
    type State = State;

    fn opened(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        self.app.opened(conn, state);
        self.meddle(conn);
    }

    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        self.app.readable(conn, state);
        self.meddle(conn);
    }

    fn writable(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        self.app.writable(conn, state);
        self.meddle(conn);
    }

    fn ended(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        self.app.ended(conn, state);
        self.meddle(conn);
    }

    fn timer(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        self.app.timer(conn, state);
        self.meddle(conn);
    }

    fn closed(&mut self, conn: &mut Conn<'_>, state: &mut State, reason: Reason) {
        self.app.closed(conn, state, reason);
        self.meddle(conn);
    }

    fn tick(&mut self, all: &mut Connections<'_>, _: u32, _: u64) {
        self.at_large(all);
    }

    fn ready(&mut self, all: &mut Connections<'_>, token: Token, _: Directions) {
        self.watched.push(token);
        if self.random.one_in(40) {
            all.unwatch(token);
        } else {
            all.watch_for(token, Directions::NONE);
        }
    }

    fn unwatched(&mut self, all: &mut Connections<'_>, _: Token, _: Fault) {
        self.at_large(all);
    }

    fn datagram(&mut self, all: &mut Connections<'_>, socket: Token, datagram: Datagram<'_>) {
        let from = datagram.from.expect("a sender");
        self.letters.push((socket, from));
        let _ = all.send_datagram(socket, from, datagram.data);
        if self.random.one_in(60) {
            all.close_datagrams(socket);
        }
    }

    fn datagram_writable(&mut self, all: &mut Connections<'_>, _: Token) {
        self.at_large(all);
    }

    fn datagram_failed(&mut self, all: &mut Connections<'_>, _: Token, _: Fault) {
        self.at_large(all);
    }
}
