//! [`Watch`]: a handler around the user's, which records its notices and checks their order.

use super::broken::Broken;
use crate::kernel::{Letter, asked};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use tidegate_core::Directions;
use tidegate_core::Reason;
use tidegate_core::Token;
use tidegate_core::{Conn, Connections, Datagram, Handler};
use tidegate_core::{Fault, Peer};

/// The notices of one connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// The connection.
    pub token: Token,
    /// Its peer.
    pub peer: Peer,
    /// Every byte that it was shown, once; up to the first that was taken from it while another connection was serviced
    /// ([`Conn::with`]) and was not shown before.
    pub received: Vec<u8>,
    /// Why it was closed, when it was.
    pub closed: Option<Reason>,
    /// Bytes were taken from it that it was not shown.
    taken: bool,
}

#[derive(Debug)]
pub(super) struct Watch<H> {
    pub(super) handler: H,
    pub(super) told: Vec<Told>,
    /// The datagrams that it was notified of, with their lengths.
    pub(super) letters: Vec<(usize, Letter)>,
    /// Where in the list the open ones are.
    open: BTreeMap<Token, usize>,
    /// Those that were closed and never opened.
    failed: BTreeSet<Token>,
    /// How often it was notified of a descriptor that it watches.
    pub(super) notified: u64,
    pub(super) broken: Option<Broken>,
}

impl<H: Handler> Watch<H> {
    pub(super) const fn new(handler: H) -> Self {
        Self {
            handler,
            told: Vec::new(),
            letters: Vec::new(),
            open: BTreeMap::new(),
            failed: BTreeSet::new(),
            notified: 0,
            broken: None,
        }
    }

    /// One service: what it is shown continues what it was shown, and what it leaves is shown again.
    fn visit(&mut self, conn: &mut Conn<'_>, call: impl FnOnce(&mut H, &mut Conn<'_>)) {
        let before = conn.data();
        let at = self.open.get(&conn.token()).copied();
        match at.and_then(|at| self.told.get_mut(at)) {
            Some(_) if before.is_empty() => {}
            Some(told) => {
                let got = usize::try_from(conn.info().bytes_in).unwrap_or(usize::MAX);
                let consumed = got.saturating_sub(before.len());
                told.taken |= consumed > told.received.len();
                let known = told.received.get(consumed..).unwrap_or_default();
                let (again, new) = before.split_at(known.len().min(before.len()));
                if told.taken || again == known {
                    told.received.extend(new.iter().filter(|_| !told.taken));
                } else {
                    self.broken(format_args!(
                        "{:?}: bytes were shown and changed",
                        conn.token()
                    ));
                }
            }
            None => self.broken(format_args!(
                "{:?} was notified and is not open",
                conn.token()
            )),
        }
        call(&mut self.handler, conn);
    }

    fn broken(&mut self, what: core::fmt::Arguments<'_>) {
        self.broken.get_or_insert(Broken::new(format!("{what}")));
    }
}

impl<H: Handler> Handler for Watch<H> {
    type State = H::State;

    fn opened(&mut self, conn: &mut Conn<'_>, state: &mut Self::State) {
        let token = conn.token();
        if self.told.iter().any(|told| told.token == token) {
            self.broken(format_args!("{token:?} was opened twice"));
        }
        self.open.insert(token, self.told.len());
        self.told.push(Told {
            token,
            peer: conn.peer(),
            received: Vec::new(),
            closed: None,
            taken: false,
        });
        self.visit(conn, |handler, conn| handler.opened(conn, state));
    }

    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut Self::State) {
        self.visit(conn, |handler, conn| handler.readable(conn, state));
    }

    fn writable(&mut self, conn: &mut Conn<'_>, state: &mut Self::State) {
        self.visit(conn, |handler, conn| handler.writable(conn, state));
    }

    fn ended(&mut self, conn: &mut Conn<'_>, state: &mut Self::State) {
        self.visit(conn, |handler, conn| handler.ended(conn, state));
    }

    fn timer(&mut self, conn: &mut Conn<'_>, state: &mut Self::State) {
        self.visit(conn, |handler, conn| handler.timer(conn, state));
    }

    fn tick(&mut self, connections: &mut Connections<'_>, timer: u32, periods: u64) {
        self.handler.tick(connections, timer, periods);
    }

    fn ready(&mut self, connections: &mut Connections<'_>, token: Token, directions: Directions) {
        self.notified += 1;
        self.handler.ready(connections, token, directions);
    }

    fn datagram(&mut self, all: &mut Connections<'_>, socket: Token, datagram: Datagram<'_>) {
        let Datagram {
            data,
            len,
            from,
            local,
        } = datagram;
        match from {
            Some(Peer::Inet(from)) if local != Some(asked(from)) => {
                self.broken = Some(Broken::new(format!("a datagram to {local:?}, from {from}")));
            }
            Some(Peer::Inet(from)) => self.letters.push((len, (from, data.to_vec()))),
            Some(Peer::Unix(_) | Peer::Registered(_) | Peer::Stream(_)) | None => {
                self.broken = Some(Broken::new(format!("a datagram of {from:?}")));
            }
        }
        self.handler.datagram(all, socket, datagram);
    }

    fn datagram_writable(&mut self, all: &mut Connections<'_>, socket: Token) {
        self.handler.datagram_writable(all, socket);
    }

    fn datagram_failed(&mut self, all: &mut Connections<'_>, socket: Token, fault: Fault) {
        self.handler.datagram_failed(all, socket, fault);
    }

    fn unwatched(&mut self, connections: &mut Connections<'_>, token: Token, fault: Fault) {
        self.handler.unwatched(connections, token, fault);
    }

    fn closed(&mut self, conn: &mut Conn<'_>, state: &mut Self::State, reason: Reason) {
        let at = self.open.remove(&conn.token());
        match at.and_then(|at| self.told.get_mut(at)) {
            Some(told) => told.closed = Some(reason),
            None if conn.info().outbound && self.failed.insert(conn.token()) => {}
            None => self.broken(format_args!("{:?} was closed and not open", conn.token())),
        }
        self.handler.closed(conn, state, reason);
    }
}
