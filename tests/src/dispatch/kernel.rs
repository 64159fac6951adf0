//! [`Kernel`]: sockets and peers by their tokens. How a socket behaves is [`SocketState`], the simulated kernel's; here is
//! what a kernel that is lied about needs in addition. Completions may be invented, and are taken as given: so it counts
//! bytes and holds none, and accepts that bytes came that no peer sent.

use super::datagrams::Letters;
use alloc::collections::{BTreeMap, VecDeque};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tidegate_core::{Directions, Event, Fault, Outcome, Token, Trigger};
use tidegate_sim::{Endpoint, Family, Held, Interest, LineState, SocketState, State};

/// Bytes that a socket takes before a send would block. Less than a send window, so that sends are short.
const CAPACITY: usize = 20;
/// Peers that may wait for being accepted.
const BACKLOG: usize = 8;

/// One connection, as the kernel and its peer know it.
#[derive(Debug)]
pub(super) struct Socket {
    /// Names the bytes of this peer.
    pub(super) id: u64,
    pub(super) state: SocketState,
    /// How much of what the peer has sent was received here, since it was opened.
    pub(super) received: u64,
    /// FIN was sent, or is said to have been.
    pub(super) shut: bool,
    /// A hostile completion hid something that edge mode does not report twice.
    pub(super) misled: bool,
}

impl Socket {
    pub(super) fn is_reset(&self) -> bool {
        self.state.end.error.is_some()
    }

    /// The peer's byte at a position.
    pub(super) fn byte(id: u64, position: u64) -> u8 {
        mix(id << 32 | position)
    }
}

/// Distinct for close positions and numbers.
pub(super) fn mix(mut x: u64) -> u8 {
    x = (x ^ (x >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let [byte, ..] = (x ^ (x >> 29))
        .wrapping_mul(0xbf58_476d_1ce4_e5b9)
        .to_be_bytes();
    byte
}

/// The address of a source.
pub(super) fn address(source: u32) -> Option<SocketAddr> {
    match source {
        0 => Some((Ipv4Addr::new(10, 0, 0, 1), 1000).into()),
        1 => Some((Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, 1), 1001).into()),
        2 => Some((Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 9, 0, 0, 2), 1002).into()),
        3 => Some((Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped(), 1003).into()),
        _ => None,
    }
}

/// What counts as one source, by [`address`]; `None`: not counted.
pub(super) fn source_of(address: Option<SocketAddr>) -> Option<u32> {
    address.map(|address| match address.port() {
        1000 | 1003 => 0,
        _ => 1,
    })
}

/// The kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) sockets: BTreeMap<Token, Socket>,
    pub(super) backlogs: BTreeMap<Token, VecDeque<u32>>,
    /// What the descriptors that are watched are ready for.
    pub(super) lines: BTreeMap<Token, LineState>,
    /// The queues of the datagram sockets.
    pub(super) letters: BTreeMap<Token, Letters>,
    registered: BTreeMap<Token, (Directions, Trigger)>,
    connecting: BTreeMap<Token, Connecting>,
    opened: u64,
    attempts: u64,
}

/// A connection that is being made.
#[derive(Debug)]
struct Connecting {
    state: SocketState,
    /// There is no listener.
    refused: bool,
    /// Polls until it shows its result.
    left: u32,
}

impl Kernel {
    pub(super) fn new() -> Self {
        Self {
            sockets: BTreeMap::new(),
            backlogs: BTreeMap::new(),
            lines: BTreeMap::new(),
            letters: BTreeMap::new(),
            registered: BTreeMap::new(),
            connecting: BTreeMap::new(),
            opened: 0,
            attempts: 0,
        }
    }

    pub(super) fn connect(&mut self, listener: usize, source: u32) {
        if let Some(backlog) = self.backlogs.values_mut().nth(listener)
            && backlog.len() < BACKLOG
        {
            backlog.push_back(source);
        }
    }

    pub(super) fn accept(&mut self, listener: Token) -> Outcome {
        match self
            .backlogs
            .get_mut(&listener)
            .and_then(VecDeque::pop_front)
        {
            Some(source) => Outcome::Accepted(address(source)),
            None => Outcome::Drained(0),
        }
    }

    /// A connection is there, whatever the source of that claim.
    pub(super) fn open(&mut self, token: Token) {
        self.opened += 1;
        let connecting = self.connecting.remove(&token);
        let socket = Socket {
            id: self.opened,
            state: SocketState {
                interest: connecting.and_then(|connecting| connecting.state.interest),
                ..SocketState::new(Endpoint::connected(Family::Tcp), CAPACITY)
            },
            received: 0,
            shut: false,
            misled: false,
        };
        self.sockets.insert(token, socket);
    }

    pub(super) fn close(&mut self, token: Token) {
        assert!(
            !self.registered.contains_key(&token),
            "closed while registered: {token:?}"
        );
        self.sockets.remove(&token);
        self.connecting.remove(&token);
        self.backlogs.remove(&token);
        self.lines.remove(&token);
        self.letters.remove(&token);
    }

    /// An attempt to connect: at once, later, refused later, or resource exhaustion, round robin. `None`: a completion
    /// waits.
    pub(super) fn attempt(&mut self, token: Token, completion: bool) -> Option<Outcome> {
        if !self.connecting.contains_key(&token) {
            self.attempts += 1;
            let refused = match self.attempts % 4 {
                0 => return Some(Outcome::Complete(0)),
                1 => return Some(Outcome::Failed(Fault::Exhausted(11))),
                rest => rest == 2,
            };
            self.connecting.insert(token, Connecting::new(refused));
        }
        let connecting = self.connecting.get_mut(&token)?;
        connecting.comes_nearer(u32::from(completion));
        // What is returned may be another completion.
        let mut state = connecting.state;
        Some(state.connected()).filter(|outcome| !completion || *outcome != Outcome::Drained(0))
    }

    /// Takes account of its completion, made up or not.
    pub(super) fn attempted(&mut self, token: Token, outcome: Outcome) {
        match outcome {
            Outcome::Complete(_) => self.open(token),
            Outcome::Drained(_) => {
                let connecting = Connecting::new(false);
                let connecting = self.connecting.entry(token).or_insert(connecting);
                // If that is not so, the edge was spurious, and another comes.
                if let Some(interest) = &mut connecting.state.interest {
                    interest.queued = true;
                }
            }
            Outcome::Accepted(_) | Outcome::Datagram { .. } | Outcome::Failed(_) => {}
        }
    }

    /// All that is being connected shows what became of it.
    pub(super) fn connects_come_to_an_end(&mut self) {
        for connecting in self.connecting.values_mut() {
            connecting.comes_nearer(u32::MAX);
        }
    }

    /// A receive of up to `len` bytes. A completion driver never reports that it drained, and waits if there is
    /// nothing.
    pub(super) fn receive(&self, token: Token, len: u32, completion: bool) -> Option<Outcome> {
        let mut state = self.sockets.get(&token)?.state;
        completed(state.receive(len), completion)
    }

    /// A send of `len` bytes.
    pub(super) fn send(&self, token: Token, len: u32, completion: bool) -> Option<Outcome> {
        let mut state = self.sockets.get(&token)?.state;
        completed(state.send(len), completion)
    }

    /// Takes account of a completion, made up or not.
    pub(super) fn answered(&mut self, token: Token, receive: bool, outcome: Outcome, edge: bool) {
        let Some(socket) = self.sockets.get_mut(&token) else {
            return;
        };
        let (n, short) = match outcome {
            Outcome::Complete(n) => (n, false),
            Outcome::Drained(n) => (n, true),
            Outcome::Accepted(_) | Outcome::Datagram { .. } | Outcome::Failed(_) => return,
        };
        let end = &mut socket.state.end;
        if receive {
            socket.received += u64::from(n);
            end.unread = end.unread.saturating_sub(n as usize);
            if n == 0 && !short && socket.state.is_open() {
                socket.state.end.end();
            }
            // The EOF after a short read is reported by an edge of its own, unless that was reported already: then as
            // `closing`.
            let end = &socket.state.end;
            let hidden = end.unread > 0 || (n == 0 && end.ended) || end.error.is_some();
            socket.misled |= edge && short && hidden;
        } else {
            end.charged += n as usize;
            end.no_space |= n == 0 || short;
        }
    }

    /// Changes what is registered; `was` must be what is.
    pub(super) fn arm(&mut self, token: Token, was: Directions, now: Directions, trigger: Trigger) {
        let held = self
            .registered
            .get(&token)
            .map_or(Directions::NONE, |(held, _)| *held);
        assert_eq!(held, was, "Arm names what is registered: {token:?}");
        assert!(
            !(was | now).is_empty(),
            "Arm of nothing to nothing: {token:?}"
        );
        self.registered.remove(&token);
        if !now.is_empty() {
            self.registered.insert(token, (now, trigger));
        }
        self.arm_file(token, now, trigger);
    }

    pub(super) fn forget(&mut self, token: Token) {
        self.registered.remove(&token);
        self.arm_file(token, Directions::NONE, Trigger::Level);
    }

    /// Changes the registration of what is behind a token. (Of a listener only the directions are known.)
    fn arm_file(&mut self, token: Token, now: Directions, trigger: Trigger) {
        if let Some(state) = self.state_mut(token) {
            state.arm(now, trigger);
        } else if let Some(letters) = self.letters.get_mut(&token) {
            letters.state.arm(now, trigger);
        } else if let Some(line) = self.lines.get_mut(&token) {
            line.arm(now, trigger);
        }
    }

    /// The stream behind a token.
    fn state_mut(&mut self, token: Token) -> Option<&mut SocketState> {
        let socket = self.sockets.get_mut(&token);
        let connecting = self.connecting.get_mut(&token);
        socket
            .map(|socket| &mut socket.state)
            .or(connecting.map(|connecting| &mut connecting.state))
    }

    /// A new readiness set.
    pub(super) fn rebuild(&mut self, armed: &[(Token, Directions, Trigger)]) {
        let held: Vec<_> = self
            .registered
            .iter()
            .map(|(token, (now, how))| (*token, *now, *how))
            .collect();
        let mut armed = armed.to_vec();
        armed.sort_by_key(|(token, ..)| *token);
        assert_eq!(held, armed, "what is armed is what is registered");
        for (token, now, trigger) in held {
            self.arm_file(token, Directions::NONE, trigger);
            self.arm_file(token, now, trigger);
        }
    }

    /// What is held of each source that is registered, for the laws; `possible`: what can be done is checked, too.
    pub(super) fn held(&self, possible: bool) -> Vec<Held> {
        let held = |(&token, &(registered, trigger)): (&Token, &(Directions, Trigger))| {
            if let Some(letters) = self.letters.get(&token).filter(|_| possible) {
                return Held::of_datagrams(token, &letters.state);
            }
            if let Some(line) = self.lines.get(&token).filter(|_| possible) {
                return Held::of_line(token, line);
            }
            let socket = self.sockets.get(&token).filter(|socket| !socket.misled);
            let unknown = Held {
                token,
                mask: Some(Interest::mask_of(registered, trigger)),
                possible: Directions::NONE,
                failed: false,
                reports: true,
            };
            let Some(socket) = socket.filter(|_| possible) else {
                return unknown;
            };
            // A send is said to have found no space, and there is: no edge will come.
            let SocketState { end, buffer, .. } = socket.state;
            let lied = end.no_space && end.is_writable(buffer, 0);
            let held = Held::of(token, &socket.state);
            Held {
                possible: held.possible - Directions::WRITE.when(lied),
                // A false hang-up and a false result of the query may hide it.
                failed: false,
                ..held
            }
        };
        self.registered.iter().map(held).collect()
    }

    /// What a wait reports, at most `most` of it.
    pub(super) fn wait(&mut self, most: usize) -> Vec<Event> {
        let mut events = Vec::new();
        for (&token, &(registered, _)) in &self.registered {
            if events.len() == most {
                break;
            }
            if let Some(connecting) = self.connecting.get_mut(&token) {
                connecting.comes_nearer(1);
                events.extend(connecting.state.report(token));
                continue;
            }
            if let Some(socket) = self.sockets.get_mut(&token) {
                events.extend(socket.state.report(token));
                continue;
            }
            if let Some(letters) = self.letters.get_mut(&token) {
                events.extend(letters.state.report(token));
                continue;
            }
            if let Some(line) = self.lines.get_mut(&token) {
                events.extend(line.report(token));
                continue;
            }
            let backlog = self.backlogs.get(&token);
            let waiting = backlog.is_some_and(|backlog| !backlog.is_empty());
            let directions = Directions::READ.when(waiting) & registered;
            if !directions.is_empty() {
                events.push(Event::Ready {
                    token,
                    directions,
                    closing: false,
                });
            }
        }
        events
    }
}

/// A completion driver never reports that it drained, and waits if nothing moves: `None`.
pub(super) fn completed(outcome: Outcome, completion: bool) -> Option<Outcome> {
    match outcome {
        Outcome::Drained(0) if completion => None,
        Outcome::Drained(n) if completion => Some(Outcome::Complete(n)),
        Outcome::Complete(_)
        | Outcome::Drained(_)
        | Outcome::Accepted(_)
        | Outcome::Datagram { .. }
        | Outcome::Failed(_) => Some(outcome),
    }
}

impl Connecting {
    const fn new(refused: bool) -> Self {
        let mut end = Endpoint::new(Family::Tcp);
        end.state = State::Connecting;
        Self {
            state: SocketState::new(end, CAPACITY),
            refused,
            left: 2,
        }
    }

    /// So many polls have passed; after the last one it shows its result.
    fn comes_nearer(&mut self, polls: u32) {
        self.left = self.left.saturating_sub(polls);
        if self.left == 0 && self.state.end.state == State::Connecting {
            if self.refused {
                self.state.reset();
            } else {
                self.state.establish();
            }
        }
    }
}

/// What peers do.
impl Kernel {
    /// The peer of the `nth` connection sends.
    pub(super) fn peer(&mut self, nth: usize) -> Option<&mut Socket> {
        let count = self.sockets.len();
        if count == 0 {
            return None;
        }
        self.sockets.values_mut().nth(nth % count)
    }
}
