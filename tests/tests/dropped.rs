//! A server that is dropped, in whatever state, leaves no descriptor open and each peer with EOF.

use core::mem::ManuallyDrop;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicUsize, Ordering};
use rustix::fd::{AsFd, FromRawFd, OwnedFd};
use rustix::net::{SocketFlags, SocketType};
use rustix::process::getpid;
use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::panic::catch_unwind;
use std::sync::Mutex;
use tests::bounded::Watchdog;
use tests::modes::{MODES, Mode};
use tests::net::{Client, descriptors, tcp};
use tests::server::{anywhere, serve, turn_until};
use tidegate::backend::{AnyBackend, Entries, Epoll, Kind};
use tidegate::{
    Config, Conn, DatagramMemory, Datagrams, Destination, Directions, Error, Handler, Memory,
    Server,
};

/// Descriptors are counted for the process as a whole.
static ALONE: Mutex<()> = Mutex::new(());

/// More than one call of the kernel completes.
const CLIENTS: usize = 100;

/// Echoes, pauses a client that sends `p`, and panics at `!`.
struct Moody;

/// States that there are.
static STATES: AtomicUsize = AtomicUsize::new(0);

/// What a connection has may be a resource, too.
struct Counted;

impl Default for Counted {
    fn default() -> Self {
        STATES.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        STATES.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Handler for Moody {
    type State = Counted;

    fn readable(&mut self, conn: &mut Conn<'_>, _: &mut Counted) {
        let data = conn.data();
        let (n, first) = (data.len(), data.first().copied());
        assert_ne!(first, Some(b'!'), "as it was told to");
        if conn.send(data).is_ok() {
            conn.consume(n);
        }
        if first == Some(b'p') {
            conn.pause();
        }
    }
}

type Table = Memory<128, 64, 256, Counted>;
type Room = Entries<256, 64>;
type AnyServer<'m> = Server<'m, Moody, AnyBackend<'m>>;

fn server<'m>(mode: Mode, memory: &'m mut Table, entries: &'m mut Room) -> AnyServer<'m> {
    let backend = AnyBackend::new(mode.backend, entries).or_else(|error| {
        assert_eq!(mode.backend, Kind::Uring, "{error}");
        eprintln!("not tested here: {error}; epoll stands in, as in the program");
        Epoll::new().map(AnyBackend::Epoll)
    });
    let config = Config {
        trigger: mode.trigger,
        ..Config::default()
    };
    Server::with_backend(memory, &config, Moody, backend.expect("a backend")).expect("a server")
}

/// Clients that were served, some of them paused, and the other ends of all else that a server can have.
struct Others {
    clients: Vec<TcpStream>,
    outbound: TcpStream,
    pipe: std::io::PipeReader,
    /// What belongs to the test.
    own: Vec<OwnedFd>,
}

impl Others {
    fn of(server: &mut AnyServer<'_>) -> Self {
        let (_, address) = server.listen(&anywhere()).expect("listening");
        let address = address.expect("an address");
        let clients = serve(server, || {
            let mut clients: Vec<_> = (0..CLIENTS).map(|_| tcp(address)).collect();
            for (n, client) in clients.iter_mut().enumerate() {
                client.echo(if n % 3 == 0 { b"pause" } else { b"hello" });
            }
            clients
        });
        let there = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let to = there.local_addr().expect("an address");
        server.connect(Destination::Inet(to)).expect("a slot");
        turn_until(server, "it connects", |stats| stats.connected == 1);
        let (outbound, _) = there.accept().expect("a connection");
        let (pipe, to) = std::io::pipe().expect("a pipe");
        server.attach(OwnedFd::from(to), 1).expect("a stream");
        let watched = std::io::pipe().expect("a pipe");
        server.watch(&watched.0, Directions::READ).expect("a watch");
        let any = "127.0.0.1:0".parse().expect("an address");
        let datagrams = Datagrams {
            receive: 64,
            send: 64,
            ..Datagrams::on(tidegate::Address::Inet(any))
        };
        server.datagrams(&datagrams).expect("datagrams");
        server
            .turn(Some(core::time::Duration::ZERO))
            .expect("a wait");
        let own = vec![there.into(), watched.0.into(), watched.1.into()];
        Self {
            clients,
            outbound,
            pipe,
            own,
        }
    }

    /// Each has its EOF at once; then they go, too.
    fn hear_the_end(self, mode: Mode) {
        let Self {
            clients,
            outbound,
            mut pipe,
            own,
        } = self;
        for mut peer in clients.into_iter().chain([outbound]) {
            peer.set_nonblocking(true).expect("set");
            match peer.read(&mut [0]) {
                Ok(0) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                other => panic!("{mode}: {other:?}"),
            }
        }
        assert_eq!(pipe.read(&mut [0]).expect("an end"), 0, "{mode}");
        assert_eq!(STATES.load(Ordering::Relaxed), 0, "{mode}: states are left");
        drop(own);
    }
}

fn open() -> usize {
    descriptors(getpid()).len()
}

#[test]
fn everything_is_closed_and_the_memory_serves_again() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    for mode in MODES {
        let mut memory = Box::new(Table::new());
        let mut entries = Box::new(Room::new());
        let mut windows = Box::new(DatagramMemory::<64, 64>::new());
        let before = open();
        for _ in 0..3 {
            let mut server = server(mode, &mut memory, &mut entries);
            server.set_datagram_memory(&mut windows);
            let others = Others::of(&mut server);
            drop(server);
            others.hear_the_end(mode);
            assert_eq!(open(), before, "{mode}");
        }
    }
}

#[test]
fn so_it_is_after_a_panic_of_the_handler() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    for mode in MODES {
        let mut memory = Box::new(Table::new());
        let mut entries = Box::new(Room::new());
        let mut windows = Box::new(DatagramMemory::<64, 64>::new());
        let before = open();
        for _ in 0..2 {
            let mut server = server(mode, &mut memory, &mut entries);
            server.set_datagram_memory(&mut windows);
            let mut others = Others::of(&mut server);
            others.clients[1].say(b"!");
            let panicked = catch_unwind(AssertUnwindSafe(move || {
                loop {
                    server.turn(None).expect("a wait");
                }
            }));
            assert!(panicked.is_err());
            others.hear_the_end(mode);
            assert_eq!(open(), before, "{mode}");
        }
    }
}

/// Replaces the epoll set or the ring by a descriptor that cannot be waited for.
fn break_backend() -> bool {
    let is_set = |number: &i32| {
        let link = fs::read_link(format!("/proc/self/fd/{number}"));
        link.is_ok_and(|link| {
            let link = link.to_string_lossy();
            link.contains("[eventpoll]") || link.contains("[io_uring]")
        })
    };
    let null = fs::File::open("/dev/null").expect("a device");
    let sets: Vec<_> = (descriptors(getpid()).into_iter().filter(is_set)).collect();
    for number in &sets {
        // SAFETY: the number stays the backend's, and is returned to it open.
        let mut set = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(*number) });
        rustix::io::dup2(null.as_fd(), &mut set).expect("replaced");
    }
    !sets.is_empty()
}

#[test]
fn so_it_is_when_waiting_fails() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    for mode in MODES {
        if !matches!(mode.backend, Kind::Epoll) {
            // The others have nothing that can be broken from outside; of a ring what is mapped would live on.
            continue;
        }
        let mut memory = Box::new(Table::new());
        let mut entries = Box::new(Room::new());
        let mut windows = Box::new(DatagramMemory::<64, 64>::new());
        let before = open();
        let mut server = server(mode, &mut memory, &mut entries);
        server.set_datagram_memory(&mut windows);
        let others = Others::of(&mut server);
        assert!(break_backend());
        let failed: Result<(), Error> = server.run();
        assert!(failed.is_err(), "{mode}");
        drop(server);
        others.hear_the_end(mode);
        assert_eq!(open(), before, "{mode}");
    }
}

/// A server that was never turned has what it was given only.
#[test]
fn what_was_only_opened_is_closed() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    let before = open();
    for mode in MODES {
        let mut memory = Box::new(Table::new());
        let mut entries = Box::new(Room::new());
        let mut server = server(mode, &mut memory, &mut entries);
        server.listen(&anywhere()).expect("listening");
        let family = rustix::net::AddressFamily::INET;
        let kind = SocketType::STREAM;
        let bound = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None);
        let refused = server.adopt(bound.expect("a socket"), &anywhere());
        assert!(refused.is_err(), "it does not listen");
        drop(server);
        assert_eq!(open(), before, "{mode}");
    }
}
