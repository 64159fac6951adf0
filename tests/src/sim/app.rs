//! [`App`]: handlers of several manners.

use core::net::SocketAddr;
use core::time::Duration;
use tidegate_core::{Conn, Connections, Datagram, Destination, Directions, Handler, Reason, Token};
use tidegate_sim::{Random, World};

/// What a handler is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// Sends back what comes, and finishes after the peer.
    Echo,
    /// Sends what comes to all others.
    Chat,
    /// Replies to each byte with so many.
    Long(u32),
    /// Does this and that, by a seed.
    Whim(u64),
    /// The same, and connects, and meddles with others.
    Wild(u64),
    /// Connects to the echo for each accepted connection, and forwards what either sends.
    Relay,
}

/// A handler of some manner.
#[derive(Clone, Debug)]
pub struct App {
    manner: Manner,
    random: Random,
    /// The connects to [`NOWHERE`], and what ended them.
    pub(super) nowhere: Vec<(Token, SocketAddr, Option<Reason>)>,
}

/// Bytes still to be sent, and whether the peer has finished.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    left: u32,
    ended: bool,
    /// The other connection of the pair.
    other: Option<Token>,
}

/// Where the echo is: by TCP, by Unix, and by a serial line, also one that is used one way only.
const ECHO: [Destination; 5] = [
    Destination::Inet(World::<App>::ECHO),
    Destination::Registered(7),
    line(Directions::BOTH),
    line(Directions::READ),
    line(Directions::WRITE),
];

/// Where no connect succeeds.
pub(super) const NOWHERE: [SocketAddr; 3] = [
    World::<App>::UNANSWERED,
    World::<App>::UNREACHABLE,
    World::<App>::ABSENT,
];

const fn line(directions: Directions) -> Destination {
    Destination::Stream {
        number: 7,
        directions,
    }
}

impl App {
    /// One of this manner.
    #[must_use]
    pub const fn new(manner: Manner) -> Self {
        let seed = match manner {
            Manner::Whim(seed) | Manner::Wild(seed) => seed,
            Manner::Echo | Manner::Chat | Manner::Long(_) | Manner::Relay => 0,
        };
        Self {
            manner,
            random: Random::new(seed),
            nowhere: Vec::new(),
        }
    }

    /// Connects to an address that never succeeds.
    fn connect_nowhere(&mut self, conn: &mut Conn<'_>) -> Option<Token> {
        let to = *self.random.pick(&NOWHERE)?;
        let token = conn.connect(Destination::Inet(to)).ok()?;
        self.nowhere.push((token, to, None));
        Some(token)
    }

    fn act(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        match self.manner {
            Manner::Echo => {
                let data = conn.data();
                let n = data.len().min(conn.capacity());
                if conn.send(&data[..n]).is_ok() {
                    conn.consume(n);
                }
            }
            Manner::Chat => {
                conn.send_others(conn.data());
                conn.consume(conn.data().len());
            }
            Manner::Long(each) => {
                if !pour(conn, state) {
                    return;
                }
                while !conn.data().is_empty() {
                    state.left = each;
                    conn.consume(1);
                    if !pour(conn, state) {
                        return;
                    }
                }
            }
            Manner::Whim(_) | Manner::Wild(_) => self.whim(conn),
            Manner::Relay => {
                if let Some(other) = state.other {
                    pump(conn, other);
                }
                return;
            }
        }
        if state.ended
            && conn.data().is_empty()
            && !matches!(self.manner, Manner::Whim(_) | Manner::Wild(_))
        {
            conn.finish();
        }
    }

    fn whim(&mut self, conn: &mut Conn<'_>) {
        for _ in 0..self.random.below(4) {
            let choice = self.random.below(40);
            match choice {
                36.. if matches!(self.manner, Manner::Wild(_)) => self.meddle(conn, choice),
                0 => conn.finish(),
                1 => conn.abort(),
                2..=4 => conn.pause(),
                5..=9 => conn.resume(),
                10..=19 => {
                    let bytes = [7; 90];
                    let n = self.random.length(90) as usize;
                    let _ = conn.send(&bytes[..n]);
                }
                20 => {
                    conn.send_others(b"to the others");
                }
                21 => {
                    let others: Vec<_> = conn.connections().collect();
                    if let Some(other) = self.random.pick(&others) {
                        let _ = conn.send_to(*other, b"to one");
                        if self.random.below(8) == 0 {
                            let abroad = *other != conn.token();
                            assert_eq!(conn.abort_other(*other), abroad, "{other:?}");
                        }
                    }
                }
                22..=24 => {
                    let space = conn.spare_capacity();
                    let n = space.len() / 2;
                    space.fill(9);
                    conn.commit(n);
                }
                25 => {
                    let length = Duration::from_millis(u64::from(self.random.below(3_000)));
                    conn.set_timer(length);
                    let _ = conn.all().set_timer(self.random.below(16), length);
                }
                26 => conn.cancel_timer(),
                _ => conn.consume(self.random.length(64) as usize),
            }
        }
    }
}

impl App {
    fn meddle(&mut self, conn: &mut Conn<'_>, choice: u32) {
        let others: Vec<_> = conn.connections().collect();
        let other = self.random.pick(&others).copied();
        match choice {
            36 if self.random.one_in(2) => {
                self.connect_nowhere(conn);
            }
            36 => {
                let nowhere = Destination::Registered(self.random.below(9));
                let to = self.random.pick(&ECHO).copied();
                let to = if self.random.one_in(4) {
                    nowhere
                } else {
                    to.unwrap_or(nowhere)
                };
                let _ = conn.connect(to);
            }
            37 => conn.shut_down(),
            38 => conn.want_capacity(self.random.length(90) as usize),
            _ => {
                let n = self.random.length(40) as usize;
                let visit = |other: &mut Conn<'_>| match n % 4 {
                    0 => other.abort(),
                    1 => other.resume(),
                    2 => drop(other.send(&[3; 40][..n.min(40)])),
                    _ => other.consume(n),
                };
                let _ = other.and_then(|other| conn.with(other, visit));
            }
        }
    }
}

/// Forwards what was received to `to`, as far as its send capacity goes, and keeps the rest until there is more.
fn pump(from: &mut Conn<'_>, to: Token) {
    let data = from.data();
    let sent = from.with(to, |to| {
        let n = data.len().min(to.capacity());
        let sent = to.send(&data[..n]).map_or(0, |()| n);
        to.want_capacity(data.len() - sent);
        sent
    });
    from.consume(sent.unwrap_or(0));
    if from.data().is_empty() {
        from.resume();
    } else {
        from.pause();
    }
}

/// Sends the rest of a reply; returns whether all of it was taken.
fn pour(conn: &mut Conn<'_>, state: &mut State) -> bool {
    while state.left > 0 {
        let bytes = [b'.'; 50];
        let n = state.left.min(50);
        if conn.send(&bytes[..n as usize]).is_err() {
            return false;
        }
        state.left -= n;
    }
    true
}

impl Handler for App {
    type State = State;

    fn datagram(&mut self, all: &mut Connections<'_>, socket: Token, datagram: Datagram<'_>) {
        if let Some(to) = datagram.from {
            // Nothing is received while one waits, so there is capacity.
            let sent = all.send_datagram(socket, to, datagram.data);
            assert_eq!(sent, Ok(()), "an answer");
        }
    }
    fn opened(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        let own = conn.token();
        let nowhere = self.nowhere.iter().find(|(token, ..)| *token == own);
        assert_eq!(nowhere, None, "opened");
        if self.manner != Manner::Relay {
            return;
        }
        if let Some(origin) = conn.origin() {
            state.other = Some(origin);
            let to = conn.token();
            if conn.with(origin, |from| pump(from, to)).is_none() {
                conn.abort();
            }
            return;
        }
        let to = ECHO[self.random.below(2) as usize];
        // By the time: this handler has no seed.
        let connected = if Random::new(conn.now().as_nanos()).one_in(4) {
            self.connect_nowhere(conn)
        } else {
            conn.connect(to).ok()
        };
        match connected {
            Some(token) => {
                state.other = Some(token);
                conn.pause();
            }
            None => conn.abort(),
        }
    }
    fn closed(&mut self, conn: &mut Conn<'_>, state: &mut State, reason: Reason) {
        let own = conn.token();
        if let Some((.., ended)) = self.nowhere.iter_mut().find(|(token, ..)| *token == own) {
            assert_eq!(ended.replace(reason), None, "closed twice");
        }
        let other = state.other.or(conn.origin());
        if let (Manner::Relay, Some(other)) = (self.manner, other)
            && reason != Reason::PeerFinished
        {
            conn.with(other, |other| other.abort());
        }
    }
    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        self.act(conn, state);
    }
    fn writable(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        let to = conn.token();
        if let (Manner::Relay, Some(from)) = (self.manner, state.other) {
            conn.with(from, |from| pump(from, to));
            return;
        }
        self.act(conn, state);
    }
    fn timer(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        self.act(conn, state);
    }
    fn tick(&mut self, all: &mut Connections<'_>, _: u32, periods: u64) {
        assert_eq!(periods, 1, "of one that comes once");
        all.send_all(b"tick");
    }
    fn ended(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        if let (Manner::Relay, Some(other)) = (self.manner, state.other) {
            conn.with(other, |other| other.shut_down());
            return;
        }
        state.ended = true;
        self.act(conn, state);
    }
}
