//! A server serves from within another loop: its descriptor is readable when it has something to do. Only epoll and
//! io_uring have one descriptor for all of them.

use core::net::SocketAddr;
use core::time::Duration;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::io::{Errno, retry_on_intr};
use rustix::time::{ClockId, clock_gettime};
use std::sync::mpsc::channel;
use std::thread;
use tests::bounded::{SOON, Watchdog};
use tests::modes::{EPOLL, Mode};
use tests::net::{Client, pattern, tcp};
use tests::server::{Echo, anywhere, memory};
use tidegate::backend::{Backend, Epoll, Uring};
use tidegate::{Class, Config, Handler, Reason, Server, Trigger};

type EchoOver<B> = Server<'static, Echo, B>;

/// An echo over this backend, and where it listens.
fn over<B: Backend>(backend: B, config: &Config) -> (EchoOver<B>, SocketAddr) {
    let memory = memory::<4, 1024, 4096, ()>();
    let mut server = Server::with_backend(memory, config, Echo, backend).expect("a server");
    let (_, address) = server.listen(&anywhere()).expect("listening");
    (server, address.expect("an address"))
}

fn epoll_set() -> Epoll {
    Epoll::new().expect("an epoll set")
}

/// A ring, where the kernel has one for us.
fn ring() -> Option<Uring> {
    let ring = Uring::new(64);
    if let Err(error) = &ring {
        eprintln!("not tested here: {error}");
    }
    ring.ok()
}

fn with(trigger: Trigger) -> Config {
    Config {
        trigger,
        ..Config::default()
    }
}

/// How long the outer loop may sleep: until the server's next deadline.
fn patience<H: Handler, B: Backend>(server: &Server<'_, H, B>) -> Timespec {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).expect("after the start");
    let now = Duration::new(seconds, u32::try_from(now.tv_nsec).expect("below a second"));
    let left = server.next().map_or(SOON, |due| {
        Duration::from_nanos(due.as_nanos()).saturating_sub(now)
    });
    // Rounded up: `poll` and `epoll_wait` count milliseconds.
    let millis = left.min(SOON).as_nanos().div_ceil(1_000_000);
    let millis = u64::try_from(millis).expect("ten seconds");
    Timespec::try_from(Duration::from_millis(millis)).expect("ten seconds")
}

/// Talks on three connections, round robin.
fn talk(address: SocketAddr) {
    let mut clients = [(); 3].map(|()| tcp(address));
    for round in 0..100 {
        for (n, client) in (0..).zip(&mut clients) {
            client.echo(&pattern(round * 3 + n, 3000));
        }
    }
    for client in &mut clients {
        client.finish();
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn in_poll() {
    let _bound = Watchdog::new();
    for Mode { trigger, .. } in EPOLL {
        serves_in_poll(over(epoll_set(), &with(trigger)));
    }
    if let Some(ring) = ring() {
        serves_in_poll(over(ring, &Config::default()));
    }
}

/// A wait that io_uring has ended early, in this thread, is as good as one without events.
fn interrupted_or<T>(waited: Result<T, Errno>) {
    if let Err(errno) = waited {
        assert_eq!(errno, Errno::INTR);
    }
}

fn serves_in_poll<B: Backend + AsFd>((mut server, address): (EchoOver<B>, SocketAddr)) {
    let talks = thread::spawn(move || talk(address));
    while server.stats().closed_by(Reason::PeerFinished) < 3 {
        let mut fds = [PollFd::new(&server, PollFlags::IN)];
        interrupted_or(poll(&mut fds, Some(&patience(&server))));
        server.turn(Some(Duration::ZERO)).expect("a turn");
    }
    talks.join().expect("every answer");
}

#[test]
fn in_epoll_beside_something_else() {
    let _bound = Watchdog::new();
    for edge in [EventFlags::empty(), EventFlags::ET] {
        for Mode { trigger, .. } in EPOLL {
            serves_in_epoll(over(epoll_set(), &with(trigger)), edge);
        }
        if let Some(ring) = ring() {
            serves_in_epoll(over(ring, &Config::default()), edge);
        }
    }
}

fn serves_in_epoll<B: Backend + AsFd>(
    (mut server, address): (EchoOver<B>, SocketAddr),
    edge: EventFlags,
) {
    let (other, other_end) = std::io::pipe().expect("a pipe");
    let outer = epoll::create(CreateFlags::CLOEXEC).expect("an epoll set");
    epoll::add(
        &outer,
        server.as_fd(),
        EventData::new_u64(1),
        EventFlags::IN | edge,
    )
    .expect("added");
    epoll::add(&outer, &other, EventData::new_u64(2), EventFlags::IN).expect("added");
    let talks = thread::spawn(move || {
        talk(address);
        drop(other_end);
    });
    let mut over = false;
    let mut events = Vec::with_capacity(8);
    // What is queued before the first report: the listener is not registered yet.
    server.turn(Some(Duration::ZERO)).expect("a turn");
    while !over {
        let patience = patience(&server);
        interrupted_or(epoll::wait(
            &outer,
            rustix::buffer::spare_capacity(&mut events),
            Some(&patience),
        ));
        over = events.drain(..).any(|event| event.data.u64() == 2);
        // In edge mode one iteration for each event would not do: an iteration's work is bounded.
        loop {
            server.turn(Some(Duration::ZERO)).expect("a turn");
            if edge.is_empty() || !is_readable(&server) {
                break;
            }
        }
    }
    talks.join().expect("every answer");
    assert_eq!(server.stats().accepted, 3);
}

fn is_readable<H: Handler, B: Backend + AsFd>(server: &Server<'_, H, B>) -> bool {
    let mut fds = [PollFd::new(server, PollFlags::IN)];
    let none = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    retry_on_intr(|| poll(&mut fds, Some(&none))).expect("poll") > 0
}

#[test]
fn it_returns_when_it_is_due() {
    let _bound = Watchdog::new();
    let config = |trigger| Config {
        first_byte: Some(Duration::from_millis(80)),
        ..with(trigger)
    };
    for Mode { trigger, .. } in EPOLL {
        is_due_in_time(over(epoll_set(), &config(trigger)));
    }
    if let Some(ring) = ring() {
        is_due_in_time(over(ring, &config(Trigger::Level)));
    }
}

fn is_due_in_time<B: Backend + AsFd>((mut server, address): (EchoOver<B>, SocketAddr)) {
    let mut silent = tcp(address);
    let (tell, told) = channel();
    thread::spawn(move || tell.send(silent.is_reset()));
    let mut turns = 0;
    while server.stats().closed_total() == 0 {
        let mut fds = [PollFd::new(&server, PollFlags::IN)];
        interrupted_or(poll(&mut fds, Some(&patience(&server))));
        server.turn(Some(Duration::ZERO)).expect("a turn");
        turns += 1;
        assert!(
            turns < 30,
            "an outer loop that sleeps until it is due does not spin"
        );
    }
    assert_eq!(
        server.stats().closed_by(Reason::Deadline(Class::FirstByte)),
        1
    );
    told.recv_timeout(SOON).expect("an end");
}
