//! [`Kernel`]: sockets, readiness and peers as they behave, as far as the machine can observe.
//!
//! Level: reports as long as the condition lasts. Edge: once for each change, and when registered. Oneshot: once, until
//! modified. An edge of writability comes only after a send that would have blocked (`SOCK_NOSPACE`); the peer's FIN is
//! reported as `closing` to sources armed for input, a reset to each that is registered.
//!
//! It stands apart from the kernel of `tidegate-sim` because completions here may be invented, and are taken as given: it
//! counts bytes and holds none, and accepts that bytes came that no peer sent. A model that is held against Linux cannot.

use super::datagrams::Letters;
use alloc::collections::{BTreeMap, VecDeque};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tidegate_core::{Directions, Event, FaultKind, Outcome, Token, Trigger};

/// Bytes that a socket takes before a send would block. Less than a send window, so that sends are short.
const CAPACITY: u64 = 20;
/// Peers that may wait for being accepted.
const BACKLOG: usize = 8;

/// One connection, as the kernel and its peer know it. Numbers of bytes are since it was opened.
#[derive(Debug, Default)]
pub(super) struct Socket {
    /// Names the bytes of this peer.
    pub(super) id: u64,
    /// What the peer has sent, and what of it was received here.
    pub(super) arrived: u64,
    pub(super) received: u64,
    pub(super) finished: bool,
    pub(super) reset: bool,
    /// What was sent here, and what of it the peer has read.
    pub(super) sent: u64,
    pub(super) read: u64,
    /// FIN was sent.
    pub(super) shut: bool,
    /// A send would have blocked since writability was last reported.
    no_space: bool,
    /// A change that has not been reported.
    changed: bool,
    /// A one-shot interest was reported and not armed again.
    fired: bool,
    /// A hostile completion hid something that edge mode does not report twice.
    pub(super) misled: bool,
}

impl Socket {
    pub(super) fn available(&self) -> u64 {
        self.arrived.saturating_sub(self.received)
    }

    pub(super) fn room(&self) -> u64 {
        CAPACITY.saturating_sub(self.sent - self.read)
    }

    fn state(&self) -> Directions {
        let input = self.available() > 0 || self.finished || self.reset;
        Directions::READ.when(input) | Directions::WRITE.when(self.room() > 0 || self.reset)
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
    pub(super) lines: BTreeMap<Token, Directions>,
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
    /// There is no listener.
    refused: bool,
    /// Polls until it shows its result.
    left: u32,
    /// It was not reported since it showed, or since it was armed.
    changed: bool,
    fired: bool,
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
        let socket = Socket {
            id: self.opened,
            changed: true,
            ..Socket::default()
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
                1 => return Some(Outcome::Failed(FaultKind::Shortage.with_code(11))),
                rest => rest == 2,
            };
            self.connecting.insert(token, Connecting::new(refused));
        }
        let connecting = self.connecting.get_mut(&token)?;
        connecting.left = connecting.left.saturating_sub(u32::from(completion));
        if connecting.left == 0 {
            return Some(if connecting.refused {
                Outcome::Failed(FaultKind::Refused.with_code(111))
            } else {
                Outcome::Complete(0)
            });
        }
        (!completion).then_some(Outcome::Drained(0))
    }

    /// Takes account of its completion, made up or not.
    pub(super) fn attempted(&mut self, token: Token, outcome: Outcome) {
        match outcome {
            Outcome::Complete(_) => {
                self.connecting.remove(&token);
                self.open(token);
            }
            Outcome::Drained(_) => {
                let connecting = Connecting::new(false);
                let connecting = self.connecting.entry(token).or_insert(connecting);
                connecting.changed = true;
            }
            Outcome::Accepted(_) | Outcome::Datagram { .. } | Outcome::Failed(_) => {}
        }
    }

    /// All that is being connected shows what became of it.
    pub(super) fn connects_come_to_an_end(&mut self) {
        for connecting in self.connecting.values_mut() {
            connecting.left = 0;
        }
    }

    /// A receive of up to `len` bytes. A completion driver never reports that it drained, and waits if there is
    /// nothing.
    pub(super) fn receive(&self, token: Token, len: u32, completion: bool) -> Option<Outcome> {
        let socket = self.sockets.get(&token)?;
        if socket.reset {
            return Some(Outcome::Failed(FaultKind::Reset.with_code(104)));
        }
        let n = u32::try_from(socket.available())
            .unwrap_or(u32::MAX)
            .min(len);
        match n {
            0 if socket.finished => Some(Outcome::Complete(0)),
            0 if completion => None,
            n if n == len || completion => Some(Outcome::Complete(n)),
            n => Some(Outcome::Drained(n)),
        }
    }

    /// A send of `len` bytes.
    pub(super) fn send(&mut self, token: Token, len: u32, completion: bool) -> Option<Outcome> {
        let socket = self.sockets.get_mut(&token)?;
        if socket.reset {
            return Some(Outcome::Failed(FaultKind::Reset.with_code(32)));
        }
        let n = u32::try_from(socket.room()).unwrap_or(u32::MAX).min(len);
        match n {
            0 if completion => None,
            0 => {
                socket.no_space = true;
                Some(Outcome::Drained(0))
            }
            n if n == len || completion => Some(Outcome::Complete(n)),
            n => Some(Outcome::Drained(n)),
        }
    }

    /// Takes account of a completion, made up or not.
    pub(super) fn answered(&mut self, token: Token, receive: bool, outcome: Outcome, edge: bool) {
        let Some(socket) = self.sockets.get_mut(&token) else {
            return;
        };
        let (n, short) = match outcome {
            Outcome::Complete(n) => (u64::from(n), false),
            Outcome::Drained(n) => (u64::from(n), true),
            Outcome::Accepted(_) | Outcome::Datagram { .. } | Outcome::Failed(_) => return,
        };
        if receive {
            socket.received += n;
            socket.arrived = socket.arrived.max(socket.received);
            socket.finished |= n == 0 && !short;
            // The EOF after a short read is reported by an edge of its own, unless that was reported already: then as
            // `closing`.
            socket.misled |= edge
                && short
                && (socket.available() > 0 || (n == 0 && socket.finished) || socket.reset);
        } else {
            socket.sent += n;
            socket.no_space |= n == 0;
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
        self.forget(token);
        if !now.is_empty() {
            self.registered.insert(token, (now, trigger));
        }
        if let Some(socket) = self.sockets.get_mut(&token) {
            socket.changed = true;
            socket.fired = false;
        }
        if let Some(connecting) = self.connecting.get_mut(&token) {
            connecting.changed = true;
            connecting.fired = false;
        }
    }

    pub(super) fn forget(&mut self, token: Token) {
        self.registered.remove(&token);
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
        for socket in self.sockets.values_mut() {
            socket.changed = true;
            socket.fired = false;
        }
        for connecting in self.connecting.values_mut() {
            connecting.changed = true;
            connecting.fired = false;
        }
    }

    /// What a wait reports, at most `most` of it.
    pub(super) fn wait(&mut self, most: usize) -> Vec<Event> {
        let mut events = Vec::new();
        for (token, (registered, trigger)) in &self.registered {
            if events.len() == most {
                break;
            }
            let (token, registered) = (*token, *registered);
            if let Some(connecting) = self.connecting.get_mut(&token) {
                if connecting.reports(*trigger) {
                    events.push(Event::Ready {
                        token,
                        directions: registered & Directions::WRITE,
                        closing: connecting.refused,
                    });
                }
                continue;
            }
            let (state, closing, reports) = match self.sockets.get_mut(&token) {
                Some(socket) => {
                    let told =
                        socket.reset || (socket.finished && registered.contains(Directions::READ));
                    let reports = match trigger {
                        Trigger::Level => true,
                        Trigger::Edge => core::mem::take(&mut socket.changed),
                        Trigger::Oneshot => !socket.fired,
                    };
                    (socket.state(), told, reports)
                }
                None if self.lines.contains_key(&token) => (self.lines[&token], false, true),
                None if self.letters.contains_key(&token) => {
                    let letters = &self.letters[&token];
                    (letters.state(), letters.closing(), true)
                }
                None => {
                    let waiting = self
                        .backlogs
                        .get(&token)
                        .is_some_and(|backlog| !backlog.is_empty());
                    (Directions::READ.when(waiting), false, true)
                }
            };
            let directions = state & registered;
            if reports && (closing || !directions.is_empty()) {
                if let Some(socket) = self.sockets.get_mut(&token) {
                    socket.fired = true;
                }
                events.push(Event::Ready {
                    token,
                    directions,
                    closing,
                });
            }
        }
        events
    }
}

impl Connecting {
    const fn new(refused: bool) -> Self {
        Self {
            refused,
            left: 2,
            changed: false,
            fired: false,
        }
    }

    /// Whether this poll reports it.
    fn reports(&mut self, trigger: Trigger) -> bool {
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            return false;
        }
        match trigger {
            Trigger::Level => true,
            Trigger::Edge => core::mem::take(&mut self.changed),
            Trigger::Oneshot => !core::mem::replace(&mut self.fired, true),
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

impl Socket {
    pub(super) fn peer_sends(&mut self, n: u64) {
        if !self.finished && !self.reset {
            self.arrived += n;
            self.changed = true;
        }
    }

    pub(super) fn peer_finishes(&mut self) {
        self.changed |= !self.finished;
        self.finished = true;
    }

    pub(super) fn peer_resets(&mut self) {
        self.changed |= !self.reset;
        self.reset = true;
    }

    pub(super) fn peer_reads(&mut self, n: u64) {
        self.read = self.sent.min(self.read.saturating_add(n));
        if self.no_space && self.room() > 0 {
            self.no_space = false;
            self.changed = true;
        }
    }
}
