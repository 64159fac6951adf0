//! What a backend cannot do is refused at the start; a source that does not fit costs no other connection.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::sync::Mutex;
use tests::bounded::Watchdog;
use tests::net::{Client, tcp};
use tests::server::{Echo, anywhere, memory, serve};
use tidegate::backend::{AnyBackend, Backend, Entries, Kind, Poll, Select};
use tidegate::{Config, Error, Memory, Reason, Server, Trigger};
use tidegate_core::Fault;

/// Descriptors are used up: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

type Few<const W: usize> = Entries<{ Memory::<4, 64, 64>::ENTRIES }, W>;

fn few<const W: usize>() -> &'static mut Few<W> {
    Box::leak(Box::new(Few::new()))
}

#[test]
fn a_trigger_that_a_backend_lacks() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    for kind in Kind::ALL {
        for trigger in [Trigger::Level, Trigger::Edge, Trigger::Oneshot] {
            let config = Config {
                trigger,
                ..Config::default()
            };
            let backend = match AnyBackend::new(kind, few::<2>()) {
                Ok(backend) => backend,
                Err(error) => {
                    assert_eq!(kind, Kind::Uring, "{error}");
                    eprintln!("not tested here: {error}");
                    continue;
                }
            };
            let made = Server::with_backend(memory::<4, 64, 64, ()>(), &config, Echo, backend);
            let Err(error) = made else {
                assert!(kind.has(trigger), "{kind:?}, {trigger:?}");
                continue;
            };
            let expected = Error::Trigger {
                backend: kind,
                trigger,
            };
            assert_eq!(error, expected);
            let says = format!("{} cannot report by Trigger::{trigger:?}; use", kind.name());
            assert!(error.to_string().starts_with(&says), "{error}");
        }
    }
}

#[test]
fn too_few_entries_for_the_table() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    let made = |connections| {
        let config = Config {
            connections: Some(connections),
            ..Config::default()
        };
        let poll = Poll::new(few::<0>());
        Server::with_backend(memory::<5, 64, 64, ()>(), &config, Echo, poll).map(drop)
    };
    assert_eq!(made(4), Ok(()));
    let error = Error::Entries {
        capacity: 21,
        needed: 22,
    };
    assert_eq!(made(5), Err(error));
}

/// A word of 64 bits, on most machines: descriptors from 64 on do not fit.
#[test]
fn a_descriptor_too_large_for_the_set() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    let select = Select::new(few::<1>());
    assert_eq!(select.entries(), 21);
    let config = Config::default();
    let mut server =
        Server::with_backend(memory::<4, 64, 64, ()>(), &config, Echo, select).expect("a server");
    let (_, address) = server.listen(&anywhere()).expect("listening");
    let address = address.expect("an address");
    let mut first = tcp(address);
    serve(&mut server, || first.echo(b"fits"));

    let mut many = Vec::new();
    while many.last().is_none_or(|file: &File| file.as_raw_fd() < 64) {
        many.push(File::open("/dev/null").expect("a descriptor"));
    }
    let mut second = tcp(address);
    serve(&mut server, || {
        assert!(!second.read(&mut [0]).is_ok_and(|n| n > 0), "no answer");
        first.echo(b"still served");
    });
    let stats = server.stats();
    assert_eq!((stats.accepted, stats.open), (2, 1));
    let short = Reason::Failed(Fault::Exhausted(0));
    assert_eq!(stats.closed_by(short), 1, "it found no place");

    drop(many);
    let mut third = tcp(address);
    serve(&mut server, || {
        third.echo(b"fits again");
        first.echo(b"still served");
    });
}
