//! [`World`]: the dispatcher, the sockets it works on, and how both are kept as bytes.

use super::Settings;
use super::datagrams::{POST, Post};
use super::socket::{SOCKET, Socket};
use super::table::Seen;
use core::time::Duration;
use tidegate_core::inspect::{self, CONNECTIONS, Image, MACHINE, SOURCE};
use tidegate_core::{
    Config, Directions, Dispatcher, Instant, OPERATION_MIN, Table, Token, Trigger, Windows,
};

/// The length of a class in milliseconds: a granule is ten of them. No wait for memory is longer, so that they are all one.
pub(super) const LENGTH: u64 = 640;
/// Time passes in steps of a length and a granule, after which every deadline of that length is due.
const TICK: u64 = 650_000_000;

/// Bytes of a state for what is there once; a datagram socket has more.
const HEAD: usize = MACHINE + 2 + SOURCE;
/// Bytes of a state for each connection.
pub(super) const EACH: usize = SOURCE + SOCKET;

/// Everything there is.
pub(super) struct World<'t> {
    pub(super) settings: Settings,
    pub(super) core: Dispatcher<'t>,
    pub(super) sockets: [Socket; CONNECTIONS],
    /// The datagram socket.
    pub(super) post: Post,
    /// Peers that wait to be accepted.
    pub(super) backlog: u32,
    /// The listener's descriptor works and is registered. Its own sockets wait in the backlog.
    pub(super) listener: Socket,
    /// When the timer of the first connection is due, if it is set.
    pub(super) timer: Option<Instant>,
    /// When all is to be closed, if the application stops.
    pub(super) stop: Option<Instant>,
    /// An iteration is in progress.
    pub(super) turn: bool,
    /// Something has failed in this step.
    pub(super) failed: bool,
    pub(super) now: Instant,
    pub(super) seen: Seen,
    /// States leave nothing out that has no bearing on what comes next in this world.
    pub(super) keeps_all: bool,
    /// The story in words, if it is wanted.
    pub(super) story: Option<Vec<String>>,
}

/// What is wrong with a state or a step.
pub(super) type Lawful<T = ()> = Result<T, String>;

pub(super) fn table() -> Box<Table<CONNECTIONS>> {
    Box::new(Table::new())
}

fn config(settings: &Settings) -> Config {
    let one = Some(Duration::from_millis(LENGTH));
    let two = Some(Duration::from_millis(2 * LENGTH));
    // Two datagrams for one event are of one iteration. With a connection there is enough to see in one operation.
    let operations = if settings.datagrams && !settings.shortages {
        2
    } else {
        1
    };
    Config {
        connections: Some(settings.connections),
        trigger: settings.trigger,
        full: settings.full,
        quantum: operations * OPERATION_MIN,
        iteration_bytes: operations * OPERATION_MIN,
        fresh_in_a_row: 1,
        first_byte: one,
        request: one,
        // A connection that waits for memory tries again before it gives up.
        write_stall: if settings.long_waits { two } else { one },
        connect: one,
        idle: one,
        half_closed: one,
        linger: if settings.long_waits { two } else { one },
        congestion: Duration::from_millis(LENGTH),
        linger_bytes: 2 * OPERATION_MIN,
        pause_min: Duration::from_millis(LENGTH),
        pause_max: Duration::from_millis(LENGTH),
        accept_failures: 2,
        // How often a listener accepted more is not part of the state.
        accept_burst: 1,
        ..Config::default()
    }
}

impl<'t> World<'t> {
    pub(super) fn new(table: &'t mut Table<CONNECTIONS>, settings: Settings) -> Self {
        let windows = Windows {
            receive: settings.window,
            send: settings.capacity,
        };
        let mut core = Dispatcher::new(table, &config(&settings), windows).expect("a sound config");
        core.listen(None).expect("a slot for a listener");
        if settings.datagrams {
            core.add_datagrams().expect("a slot for a socket");
        }
        Self {
            settings,
            core,
            sockets: [Socket::NONE; CONNECTIONS],
            post: if settings.datagrams {
                Post::new(&settings)
            } else {
                Post::NONE
            },
            backlog: 0,
            listener: Socket::ACCEPTED,
            timer: None,
            stop: None,
            turn: false,
            failed: false,
            now: Instant::ZERO,
            seen: Seen::default(),
            keeps_all: false,
            story: None,
        }
    }

    pub(super) fn say(&mut self, words: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(words());
        }
    }

    /// The slots of connections.
    pub(super) fn places(&self) -> core::ops::Range<usize> {
        0..self.settings.connections as usize
    }

    /// Forgets what no longer matters: the kernel's events for a connection that is being closed change nothing, and
    /// one that has finished is not backpressured by a pause.
    pub(super) fn forget(&mut self) {
        for at in self.places() {
            let state = self.core.state(self.token(at));
            let socket = &mut self.sockets[at];
            match inspect::STATES[state] {
                "Closing" | "Cancelling" => *socket = socket.closing(self.settings.trigger),
                "Finishing" | "Lingering" => socket.paused = false,
                _ => {}
            }
            socket.wait_without_report();
            socket.send_no_more();
        }
        if !self.sockets[0].told || self.is_closing(0) {
            self.timer = None;
        }
        self.forget_datagrams();
    }

    /// Names the connection in a slot.
    pub(super) fn token(&self, at: usize) -> Token {
        self.core.token_of(u32::try_from(at).expect("a slot"))
    }

    pub(super) fn tick(&mut self) {
        self.now = self.now.plus_nanos(TICK);
    }

    /// The first state: every slot has been used, and is free again.
    pub(super) fn first(&self, into: &mut Vec<u8>) {
        self.pack(into);
        into.resize(
            Self::head(&self.settings) + EACH * self.settings.connections as usize,
            0,
        );
    }

    /// Bytes before those of the connections.
    pub(super) const fn head(settings: &Settings) -> usize {
        HEAD + if settings.datagrams { SOURCE + POST } else { 0 }
    }

    /// This state as bytes, the same for all that differ only in the names of connections, or in what does not matter
    /// ([`leave_out`](Self::leave_out)). Returns the order of the connections.
    pub(super) fn pack(&self, into: &mut Vec<u8>) -> [u8; CONNECTIONS] {
        let mut each = self.pack_head(into);
        each.sort_unstable();
        let mut order = [0; CONNECTIONS];
        for ((bytes, place), new) in each.iter().zip(&mut order) {
            into.extend_from_slice(bytes);
            *new = *place;
        }
        order
    }

    /// The same with each connection where it is.
    pub(super) fn pack_in_place(&self, into: &mut Vec<u8>) {
        for (bytes, _) in self.pack_head(into) {
            into.extend_from_slice(&bytes);
        }
    }

    /// What is there once, as bytes; returns those of each connection, and where it is.
    fn pack_head(&self, into: &mut Vec<u8>) -> heapless::Vec<([u8; EACH], u8), CONNECTIONS> {
        let image = self.core.image(self.turn);
        into.clear();
        into.extend_from_slice(&image.machine);
        let facts = u8::from(self.turn) | u8::from(self.listener.is_open()) << 1;
        let registered = u8::from(self.listener.kernel.interest.is_some());
        into.push(facts | registered << 2 | self.pack_timer() << 3 | self.pack_stop() << 5);
        into.push(u8::try_from(self.backlog).expect("a short queue"));
        into.extend_from_slice(&image.listener);
        if let Some(datagrams) = &image.datagrams {
            into.extend_from_slice(datagrams);
            into.extend_from_slice(&self.post.pack());
        }
        let mut each: heapless::Vec<([u8; EACH], u8), CONNECTIONS> = heapless::Vec::new();
        for ((source, socket), place) in image.connections.iter().zip(&self.sockets).zip(0..) {
            let mut bytes = [0; EACH];
            let (mut source, mut socket) = (*source, *socket);
            // The socket has forgotten it, too.
            inspect::forget_armed(&mut source);
            if !self.keeps_all {
                self.leave_out(&mut source, &mut socket);
            }
            bytes[..SOURCE].copy_from_slice(&source);
            bytes[SOURCE..].copy_from_slice(&socket.pack());
            each.push((bytes, place)).expect("as many slots");
        }
        each
    }

    /// The state that these bytes encode.
    pub(super) fn unpack(&mut self, bytes: &[u8]) {
        let mut image = Image::default();
        image.machine.copy_from_slice(&bytes[..MACHINE]);
        let facts = bytes[MACHINE];
        self.turn = facts & 1 != 0;
        self.listener = if facts & 2 == 0 {
            Socket::NONE
        } else {
            Socket::ACCEPTED
        };
        let armed = Directions::READ.when(facts & 4 != 0);
        self.listener.kernel.arm(armed, Trigger::Level);
        self.backlog = bytes[MACHINE + 1].into();
        image.listener.copy_from_slice(&bytes[MACHINE + 2..HEAD]);
        let head = Self::head(&self.settings);
        if let Some((datagrams, post)) = bytes[HEAD..head].split_first_chunk() {
            image.datagrams = Some(*datagrams);
            self.post = Post::unpack(post.try_into().expect("as long"));
        }
        self.sockets = [Socket::NONE; CONNECTIONS];
        for (each, socket) in bytes[head..].chunks_exact(EACH).zip(&mut self.sockets) {
            let (source, kernel) = each.split_at(SOURCE);
            let source = source.try_into().expect("as long");
            image.connections.push(source).expect("as many slots");
            *socket = Socket::unpack(kernel.try_into().expect("as long"), self.settings.trigger);
        }
        self.core.put_back(&image);
        self.now = inspect::NOW;
        self.unpack_timer(facts >> 3 & 3);
        self.unpack_stop(facts >> 5 & 3);
    }
}
