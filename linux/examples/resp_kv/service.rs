//! What the commands work on: the store, the clients, and the figures that INFO shows.

use crate::protocol::Words;
use crate::store::Store;
use crate::transactions::Queue;
use core::fmt::{self, Write};
use heapless::String;
use tidegate::{Escaped, Instant, Peer};

/// Clients at the same time.
pub(crate) const CLIENTS: usize = 64;

/// The redis version that commands and errors follow.
pub(crate) const VERSION: &str = "7.0.15";

/// Whether a client wants replies (CLIENT REPLY).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Replies {
    #[default]
    On,
    Off,
    /// Not of this command, and not of the next.
    SkipNext,
    /// Not of this command.
    Skip,
}

/// The connected clients.
#[derive(Default)]
pub(crate) struct Client {
    /// 0 if the slot is free.
    pub(crate) id: i64,
    pub(crate) name: String<64>,
    pub(crate) library: String<32>,
    pub(crate) library_version: String<16>,
    pub(crate) resp3: bool,
    pub(crate) replies: Replies,
    /// Between MULTI and EXEC.
    pub(crate) queue: Option<Queue>,
    /// Of WATCH: how many commands had changed something then.
    pub(crate) watched: Option<u64>,
    peer: Option<Peer>,
    since: Instant,
}

impl Client {
    /// Its line of CLIENT LIST, without its end.
    pub(crate) fn write(&self, now: Instant, to: &mut dyn Write) -> fmt::Result {
        write!(to, "id={} addr=", self.id)?;
        match self.peer {
            Some(peer @ Peer::Inet(_)) => write!(to, "{peer}")?,
            Some(Peer::Unix(number)) => write!(to, "unix{number}:0")?,
            Some(Peer::Registered(_) | Peer::Stream(_)) | None => to.write_str("?:0")?,
        }
        write!(
            to,
            " name={} age={} flags=N db=0 sub=0 psub=0 multi=-1 user=default resp={} lib-name={} lib-ver={}",
            Escaped(self.name.as_bytes()),
            now.since(self.since).as_secs(),
            if self.resp3 { 3 } else { 2 },
            Escaped(self.library.as_bytes()),
            Escaped(self.library_version.as_bytes()),
        )
    }
}

/// All of it.
pub(crate) struct Service {
    pub(crate) store: &'static mut Store,
    /// By the index of their tokens.
    clients: [Client; CLIENTS],
    pub(crate) connected: usize,
    /// How many there have been; the number of the last is its id.
    pub(crate) accepted: i64,
    pub(crate) commands: u64,
    /// Commands that may have changed something.
    pub(crate) writes: u64,
    /// Error replies.
    pub(crate) errors: u64,
    /// The first time that was seen.
    started: Option<Instant>,
}

impl Service {
    pub(crate) fn new(store: &'static mut Store) -> Self {
        Self {
            store,
            clients: core::array::from_fn(|_| Client::default()),
            connected: 0,
            accepted: 0,
            commands: 0,
            writes: 0,
            errors: 0,
            started: None,
        }
    }

    /// Takes a client in.
    pub(crate) fn open(&mut self, index: usize, peer: Peer, now: Instant) {
        self.connected += 1;
        self.accepted += 1;
        *self.client(index) = Client {
            id: self.accepted,
            peer: Some(peer),
            since: now,
            ..Client::default()
        };
    }

    pub(crate) fn close(&mut self, index: usize) {
        let client = core::mem::take(self.client(index));
        self.connected -= usize::from(client.id > 0);
    }

    pub(crate) fn client(&mut self, index: usize) -> &mut Client {
        &mut self.clients[index.min(CLIENTS - 1)]
    }

    pub(crate) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.clients.iter().filter(|client| client.id > 0)
    }

    /// Seconds since the first command.
    pub(crate) fn uptime(&mut self, now: Instant) -> u64 {
        let started = *self.started.get_or_insert(now);
        now.since(started).as_secs()
    }

    /// Bytes of all its memory, but for that of the connections.
    pub(crate) const fn memory() -> usize {
        size_of::<Store>() + size_of::<Words>() + size_of::<Self>()
    }
}
