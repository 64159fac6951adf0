//! A server is stopped from any thread: in an orderly way the first time, at once the second; a wake-up only wakes it.

use std::sync::mpsc::channel;
use std::thread;
use tests::bounded::{SOON, Watchdog, until};
use tests::modes::{MODES, SLEEPING};
use tests::net::{Client, tcp};
use tests::server::{Echo, Running, memory, server};
use tidegate::{Config, Reason};

fn patient() -> Config {
    Config {
        linger: None,
        drain: SOON * 10,
        ..Config::default()
    }
}

#[test]
fn in_an_orderly_way_then_at_once() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let mut running = Running::start::<4, 1024, 4096>(mode, memory(), &patient(), Echo);
        let mut client = tcp(running.address());
        client.echo(b"hello");
        running.handle().stop();
        assert_eq!(client.rest(), b"");
        assert!(
            !running.thread().expect("a thread").is_finished(),
            "it waits for our end"
        );
        running.handle().stop();
        let stats = running.wait();
        assert_eq!(stats.closed_by(Reason::Stopping), 1, "{mode}");
        assert!(std::net::TcpStream::connect(client.peer_addr().expect("an address")).is_err());
    }
}

#[test]
fn twice_together_is_at_once() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut server, address) = server::<4, 1024, 4096, _>(mode, memory(), &patient(), Echo);
        let _stays = tcp(address);
        server.turn(Some(SOON)).expect("a wait");
        let handle = server.stop_handle().expect("a handle");
        thread::spawn(move || {
            for _ in 0..10 {
                handle.wake();
            }
            handle.stop();
            handle.wake();
            handle.stop();
        });
        server.run().expect("a wait");
        assert!(server.is_stopped());
        assert_eq!(server.stats().open, 0);
    }
}

#[test]
fn the_server_may_stop_itself() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = Running::start::<4, 1024, 4096>(mode, memory(), &patient(), Echo);
        let mut client = tcp(running.address());
        client.echo(b"hello");
        running.ask(tidegate::Server::stop);
        assert_eq!(client.rest(), b"");
        drop(client);
        let mut running = running;
        let stats = running.wait();
        assert_eq!(stats.closed_total(), 1);
    }
}

#[test]
fn every_wake_up_ends_a_wait() {
    let _bound = Watchdog::new();
    // One that never waits has no wait to end.
    for mode in SLEEPING {
        let (tell, told) = channel();
        let (turned, turns) = channel();
        let thread = thread::spawn(move || {
            let (mut server, _) =
                server::<4, 1024, 4096, _>(mode, memory(), &Config::default(), Echo);
            tell.send(server.stop_handle().expect("a handle"))
                .expect("heard");
            while !server.is_stopped() {
                server.turn(None).expect("a wait");
                turned.send(()).expect("heard");
            }
        });
        let handle = told.recv_timeout(SOON).expect("a handle");
        for _ in 0..1000 {
            while turns.try_recv().is_ok() {}
            handle.wake();
            turns.recv_timeout(SOON).expect("a turn");
        }
        handle.stop();
        until("it has stopped", || thread.is_finished());
    }
}

#[test]
fn eight_threads_at_once() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let mut running = Running::start::<4, 1024, 4096>(mode, memory(), &patient(), Echo);
        let mut client = tcp(running.address());
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..10_000).for_each(|_| running.handle().wake()));
            }
            for _ in 0..100 {
                client.echo(b"hello");
            }
        });
        drop(client);
        running.handle().stop();
        assert_eq!(running.wait().bytes_in, 500);
    }
}
