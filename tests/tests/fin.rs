//! Bytes that come together with FIN get all their replies before EOF.

use rustix::net::SendFlags;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, pattern, tcp};
use tests::server::{Echo, Running, memory, server};
use tidegate::Config;

/// The last bytes and the end in one segment: MSG_MORE holds the bytes back until the end pushes them.
fn say_and_finish(client: &mut std::net::TcpStream, bytes: &[u8]) {
    let mut left = bytes;
    while !left.is_empty() {
        let n = rustix::net::send(&*client, left, SendFlags::MORE).expect("sent");
        left = &left[n..];
    }
    client.finish();
}

#[test]
fn on_a_new_connection() {
    let _bound = Watchdog::new();
    for mode in MODES {
        for size in [1, 5, 256, 1023, 1024, 1025, 3000, 60_000] {
            // All of it is there before the server polls for the first time.
            let (mut server, address) =
                server::<4, 1024, 4096, _>(mode, memory(), &Config::default(), Echo);
            let mut client = tcp(address);
            let said = pattern(size as u64, size);
            say_and_finish(&mut client, &said);
            let hears = std::thread::spawn(move || client.rest());
            while server.stats().closed_total() == 0 {
                server.turn(None).expect("a wait");
            }
            assert!(
                hears.join().expect("an end") == said,
                "{mode}, {size} bytes"
            );
            assert_eq!(server.stats().closed_by(tidegate::Reason::PeerFinished), 1);
        }
    }
}

#[test]
fn on_one_that_has_waited() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = Running::start::<4, 1024, 4096>(mode, memory(), &Config::default(), Echo);
        for size in [1, 5, 256, 1023, 1024, 1025, 3000, 60_000] {
            let mut client = tcp(running.address());
            client.echo(b"waits");
            let said = pattern(size as u64, size);
            say_and_finish(&mut client, &said);
            assert!(client.rest() == said, "{mode}, {size} bytes");
        }
        let stats = running.stop();
        assert_eq!(stats.closed_by(tidegate::Reason::PeerFinished), 8);
    }
}
