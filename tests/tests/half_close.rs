//! Either side may finish first: the reply still arrives, and both sides are closed.

use std::thread;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, pattern, tcp};
use tests::server::{Echo, Running, memory};
use tidegate::{Config, Conn, Handler, Reason};

/// Replies after EOF, with all that it received.
struct AfterTheEnd;

impl Handler for AfterTheEnd {
    type State = usize;

    fn readable(&mut self, conn: &mut Conn<'_>, count: &mut usize) {
        *count += conn.data().len();
        conn.consume(conn.data().len());
    }

    fn ended(&mut self, conn: &mut Conn<'_>, count: &mut usize) {
        let answer = pattern(*count as u64, 50_000);
        conn.send(&answer).expect("capacity");
        conn.finish();
    }
}

#[test]
fn the_client_first() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running =
            Running::start::<4, 1024, 65_536>(mode, memory(), &Config::default(), AfterTheEnd);
        for size in [0, 1, 1024, 30_000] {
            let mut client = tcp(running.address());
            client.say(&pattern(9, size));
            client.finish();
            assert!(
                client.rest() == pattern(size as u64, 50_000),
                "{mode}, {size} bytes"
            );
        }
        let stats = running.stop();
        assert_eq!(stats.closed_by(Reason::PeerFinished), 4);
    }
}

/// An echo that finishes at the first `q`.
struct UntilQ;

impl Handler for UntilQ {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let data = conn.data();
        let _ = conn.send(data);
        conn.consume(data.len());
        if data.contains(&b'q') {
            let _ = conn.send(b"bye");
            conn.finish();
        }
    }
}

#[test]
fn the_server_first() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = Running::start::<4, 1024, 4096>(mode, memory(), &Config::default(), UntilQ);
        let mut client = tcp(running.address());
        client.echo(b"hello");
        client.say(b"q");
        assert_eq!(client.rest(), b"qbye");
        // The server waits for FIN and takes what is still sent: no reset.
        client.say(&pattern(1, 10_000));
        assert_eq!(running.stats().open, 1, "{mode}");
        client.finish();
        assert_eq!(client.rest(), b"");
        let stats = running.stats_when("it is closed", |stats| stats.open == 0);
        assert_eq!(stats.closed_by(Reason::Finished), 1);
    }
}

#[test]
fn both_while_much_is_on_its_way() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = Running::start::<4, 1024, 4096>(mode, memory(), &Config::default(), Echo);
        let said = pattern(3, 1_000_000);
        let mut client = tcp(running.address());
        let mut says = client.try_clone().expect("a descriptor");
        let hears = thread::spawn(move || client.rest());
        says.say(&said);
        says.finish();
        assert!(hears.join().expect("an end") == said, "{mode}");
        let stats = running.stats_when("it is closed", |stats| stats.open == 0);
        assert_eq!((stats.bytes_in, stats.bytes_out), (1_000_000, 1_000_000));
    }
}
