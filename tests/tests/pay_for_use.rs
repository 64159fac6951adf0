//! What a server has is what its types say: the capacities of its memory, and the limits that its handler knows.

use core::net::SocketAddr;
use rustix::pipe::pipe;
use std::thread;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, tcp};
use tests::server::{anywhere, memory, turn_until};
use tidegate::backend::{AnyBackend, Entries, Kind};
use tidegate::{
    Address, Config, Conn, Error, Handler, Listen, Memory, PerSource, Serial, Server, Unavailable,
};

/// Two listeners, no free timer, three streams, one serial line, two destinations, one sender.
type Few = Memory<4, 64, 64, (), 2, 0, 3, 1, 2, 1>;

struct Echo<const LIMITS: bool>;

impl<const LIMITS: bool> Handler for Echo<LIMITS> {
    type State = ();
    const LIMITS_SOURCES: bool = LIMITS;

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let n = conn.data().len().min(conn.capacity());
        if conn.send(&conn.data()[..n]).is_ok() {
            conn.consume(n);
        }
    }
}

#[test]
fn there_is_as_much_as_the_memory_says() {
    let _bound = Watchdog::new();
    for kind in Kind::ALL {
        let mut memory = Few::new();
        let mut entries = Entries::<{ Few::ENTRIES }, 64>::new();
        let backend = match AnyBackend::new(kind, &mut entries) {
            Ok(backend) => backend,
            Err(error) => {
                assert_eq!(kind, Kind::Uring, "{error}");
                eprintln!("not tested here: {error}");
                continue;
            }
        };
        let made = Server::with_backend(&mut memory, &Config::default(), Echo::<true>, backend);
        let mut server = made.expect("a server");
        let addresses: [SocketAddr; 2] = [(); 2].map(|()| {
            let (_, address) = server.listen(&anywhere()).expect("a slot");
            address.expect("an address")
        });
        assert!(server.listen(&anywhere()).is_err(), "{kind:?}");
        assert!(
            server
                .connections()
                .set_timer(0, Default::default())
                .is_err()
        );
        for path in ["/run/a", "/run/b"] {
            server.destination(path).expect("an entry");
        }
        let full = Err(Error::Unavailable(Unavailable::Destinations {
            capacity: 2,
        }));
        assert_eq!(server.destination_at(&Address::Unix("/run/c")), full);
        server.serial(&Serial::at("/dev/a")).expect("an entry");
        let full = Err(Error::Unavailable(Unavailable::Lines { capacity: 1 }));
        assert_eq!(server.serial(&Serial::at("/dev/b")), full);
        let pipes = [(); 3].map(|()| pipe().expect("a pipe"));
        let ends = pipes.map(|(from, to)| {
            server.attach(from, 0).expect("a slot");
            to
        });
        let (from, _to) = pipe().expect("a pipe");
        assert_eq!(
            server.attach(from, 0),
            Err(Error::Unavailable(Unavailable::Streams { capacity: 3 }))
        );
        // Every entry of the backend is in use: listeners, what stops it, streams and the last connection.
        for (number, address) in (1..).zip(addresses) {
            let talk = thread::spawn(move || {
                let mut client = tcp(address);
                client.echo(b"hello");
                client.finish();
                client.rest()
            });
            turn_until(&mut server, "it is gone", |stats| {
                stats.accepted == number && stats.open == 3
            });
            assert_eq!(talk.join().expect("served"), b"", "{kind:?}");
        }
        drop(ends);
        turn_until(&mut server, "all are gone", |stats| stats.open == 0);
    }
}

fn second_is_served<const LIMITS: bool>(listen: &Listen<'_>) {
    for mode in MODES {
        let mut server =
            tests::server::deaf::<4, 64, 64, _>(mode, memory(), &Config::default(), Echo::<LIMITS>);
        let (_, address) = server.listen(listen).expect("listening");
        let address = address.expect("an address");
        let _first = tcp(address);
        let _second = tcp(address);
        turn_until(&mut server, "both are accepted or refused", |stats| {
            stats.accepted + stats.refused() == 2
        });
        assert_eq!(server.stats().refused() == 0, !LIMITS, "{mode}");
    }
}

#[test]
fn a_handler_that_knows_no_limits_of_sources_takes_all() {
    let _bound = Watchdog::new();
    let listen = Listen {
        per_source: PerSource::AtMost(1),
        ..anywhere()
    };
    second_is_served::<true>(&listen);
    second_is_served::<false>(&listen);
}

/// The README says how large memories are, to a thousandth.
#[test]
#[cfg_attr(
    not(target_pointer_width = "64"),
    ignore = "the README's figures are those of 64 bits"
)]
fn the_readme_says_how_much_memory_it_is() {
    let readme = include_str!("../../README.md");
    let row = |connections: usize| {
        let begins = format!("| {} |", grouped(connections));
        let rows = readme.lines();
        let row = rows.filter_map(|row| row.strip_prefix(&begins)).next();
        let cells = row.unwrap_or_else(|| panic!("no row {begins}")).split('|');
        let sizes = cells.filter_map(|cell| cell.trim().strip_suffix(" B"));
        sizes
            .map(|size| size.replace(',', "").parse().expect("bytes"))
            .collect::<Vec<usize>>()
    };
    for (connections, sizes) in [
        (
            64,
            [
                Memory::<64, 1024, 4096>::SIZE,
                Memory::<64, 4096, 16384>::SIZE,
            ],
        ),
        (
            1024,
            [
                Memory::<1024, 1024, 4096>::SIZE,
                Memory::<1024, 4096, 16384>::SIZE,
            ],
        ),
        (
            10_000,
            [
                Memory::<10_000, 1024, 4096>::SIZE,
                Memory::<10_000, 4096, 16384>::SIZE,
            ],
        ),
    ] {
        let said = row(connections);
        assert_eq!(said.len(), sizes.len());
        for (said, size) in said.into_iter().zip(sizes) {
            let right = said.abs_diff(size) <= size / 1000;
            assert!(
                right,
                "{} of {connections}, not {}",
                grouped(size),
                grouped(said)
            );
        }
    }
    let others = Memory::<1, 1, 1>::SIZE - Memory::<1, 1, 1, (), 1, 0, 0, 0, 0, 0>::SIZE;
    assert!(others <= 6 * 1024, "all else takes {others}");
    let server = size_of::<Server<'_, Echo<true>>>();
    assert!(server < 4 * 1024, "a server takes {server}");
}

/// With commas between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
