//! Without a free descriptor nothing spins and no connection is lost; when one is free, service goes on.

use core::time::Duration;
use rustix::net::{AddressFamily, SocketType, connect, socket};
use rustix::process::{Pid, Resource, Rlimit, getpid, getrlimit, prlimit, setrlimit};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Instant;
use tests::bounded::{SOON, Watchdog};
use tests::modes::{MODES, SLEEPING};
use tests::net::{Client, descriptors, tcp};
use tests::process::Program;
use tests::server::{Echo, memory, server};
use tidegate::Config;

/// The limit is one for all of the process.
static ALONE: Mutex<()> = Mutex::new(());

/// A soft limit that leaves a process no number for another descriptor: the lowest that is free.
fn no_more(process: Pid) -> Rlimit {
    let taken = descriptors(process);
    Rlimit {
        current: (0..)
            .find(|number| !taken.contains(number))
            .and_then(|free| u64::try_from(free).ok()),
        ..getrlimit(Resource::Nofile)
    }
}

#[test]
fn the_library_pauses() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    let old = getrlimit(Resource::Nofile);
    for mode in MODES {
        let (mut server, address) =
            server::<8, 1024, 4096, _>(mode, memory(), &Config::default(), Echo);
        // The clients have their descriptors before there are no more.
        let open = |_| socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        let sockets: Vec<_> = (0..4).map(open).collect();
        setrlimit(Resource::Nofile, no_more(getpid())).expect("a lower limit");
        let mut clients: Vec<TcpStream> = sockets
            .into_iter()
            .map(|socket| {
                connect(&socket, &address).expect("connected");
                TcpStream::from(socket)
            })
            .collect();
        for client in &mut clients {
            client.say(b"hello");
        }
        // Three pauses of 100, 200 and 400 ms: three failed accepts, and a few polls for each.
        let began = Instant::now();
        let mut turns = 0;
        while server.stats().shortages < 3 {
            server
                .turn(Some(Duration::from_millis(50)))
                .expect("a wait");
            turns += 1;
            assert!(began.elapsed() < SOON);
        }
        let stats = server.stats();
        assert_eq!((stats.accept_failures, stats.accepted), (3, 0), "{mode}");
        assert!(
            began.elapsed() >= Duration::from_millis(300),
            "{:?}",
            began.elapsed()
        );
        let wall = began.elapsed().as_millis() / 50;
        assert!(
            turns <= wall + 20 || !SLEEPING.contains(&mode),
            "{mode}: {turns} turns in {:?}",
            began.elapsed()
        );
        setrlimit(Resource::Nofile, old).expect("the limit as it was");
        while server.stats().bytes_out < 20 {
            server.turn(Some(SOON)).expect("a wait");
            assert!(began.elapsed() < SOON);
        }
        for client in &mut clients {
            client.hear(b"hello");
        }
        assert_eq!((server.stats().accepted, server.stats().unasked), (4, 0));
    }
}

#[test]
fn a_close_ends_the_pause() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    let mut program = Program::start(&["--service", "echo"]);
    let mut first = tcp(program.address());
    first.echo(b"hello");
    let old = prlimit(
        Some(program.pid()),
        Resource::Nofile,
        no_more(program.pid()),
    );
    let old = old.expect("a lower limit");
    let mut waits = [(); 3].map(|()| tcp(program.address()));
    for (n, client) in (0..).zip(&mut waits) {
        client.say(&[n; 9]);
    }
    let statistics = program.statistics_when("shortages", 2);
    assert!(
        statistics["accept_failures"] <= statistics["shortages"] + 1,
        "{statistics:?}"
    );
    assert_eq!(statistics["accepted"], 1);
    first.echo(b"not affected");
    // Each that closes frees a descriptor for the next, long before a pause of a second would end.
    drop(first);
    for (n, mut client) in (0..).zip(waits) {
        client.hear(&[n; 9]);
    }
    let statistics = program.statistics_when("closed_peer_finished", 4);
    assert_eq!(
        (statistics["accepted"], statistics["listeners_failed"]),
        (4, 0)
    );
    // With all of them back, as many as before.
    prlimit(Some(program.pid()), Resource::Nofile, old).expect("the limit as it was");
    let mut clients = [(); 5].map(|()| tcp(program.address()));
    for client in &mut clients {
        client.echo(b"hello");
    }
    drop(clients);
    let ended = program.stop();
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.errors.contains("errno 24"),
        "EMFILE is told: {}",
        ended.errors
    );
    assert!(
        ended.errors.lines().count() < 10,
        "but not for ever: {}",
        ended.errors
    );
}
