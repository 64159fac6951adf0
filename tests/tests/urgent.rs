//! An urgent byte and passed descriptors cut a read short; what lies behind them is not lost.

use core::mem::MaybeUninit;
use core::time::Duration;
use rustix::fd::AsFd;
use rustix::io::IoSlice;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};
use rustix::process::getpid;
use std::sync::Mutex;
use std::time::Instant;
use tests::bounded::{Watchdog, until};
use tests::modes::{MODES, SLEEPING};
use tests::net::{Client, descriptors, tcp, unix};
use tests::process::Folder;
use tests::server::{Echo, deaf, memory, serve, server, turn_until};
use tidegate::{Address, Config, Handler, Listen};

/// Descriptors are counted: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn bytes_around_an_urgent_one() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    for mode in MODES {
        // All of it is there when the server polls for the first time; or it comes to one that waits.
        for waits in [false, true] {
            let (mut server, address) =
                server::<4, 1024, 4096, _>(mode, memory(), &Config::default(), Echo);
            let mut client = tcp(address);
            if waits {
                serve(&mut server, || client.echo(b"-"));
            }
            for round in 0..3 {
                client.say(b"ab");
                send(&client, b"c", SendFlags::OOB).expect("an urgent byte");
                client.say(b"de");
                serve(&mut server, || client.hear(b"abde"));
                serve(&mut server, || client.echo(b"and on"));
                assert_eq!(server.stats().open, 1, "{mode}, {waits}, round {round}");
            }
            // And with the end right behind.
            client.say(b"ab");
            send(&client, b"c", SendFlags::OOB).expect("an urgent byte");
            client.say(b"de");
            client.finish();
            let rest = serve(&mut server, || client.rest());
            assert_eq!(rest, b"abde", "{mode}, {waits}");
            turn_until(&mut server, "it is closed", |stats| stats.open == 0);
        }
    }
}

#[test]
fn an_urgent_byte_alone_does_not_spin() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    for mode in SLEEPING {
        let (mut server, address) =
            server::<4, 1024, 4096, _>(mode, memory(), &Config::default(), Echo);
        let mut client = tcp(address);
        serve(&mut server, || client.echo(b"-"));
        send(&client, b"c", SendFlags::OOB).expect("an urgent byte");
        // Once it was polled nothing is left to do: an iteration sleeps for as long as it may.
        let length = Duration::from_millis(30);
        until("a turn sleeps", || {
            let began = Instant::now();
            server.turn(Some(length)).expect("a wait");
            began.elapsed() >= length
        });
        serve(&mut server, || client.echo(b"behind"));
    }
}

/// Takes everything and sends nothing: a reply that is read would make the kernel report again, and hide a loss.
struct Takes;

impl Handler for Takes {
    type State = ();
}

#[test]
fn bytes_behind_a_passed_descriptor() {
    let _bound = Watchdog::new();
    let _alone = ALONE.lock();
    let folder = Folder::new("passed");
    for mode in MODES {
        let path = folder.path(&format!("{mode}"));
        let memory = memory::<4, 1024, 4096, ()>();
        let mut server = deaf(mode, memory, &Config::default(), Takes);
        let listen = Listen::on(Address::Unix(&path));
        server.listen(&listen).expect("listening");
        let mut client = unix(&path);
        client.say(b"-");
        turn_until(&mut server, "it is served", |stats| stats.bytes_in == 1);
        let before = descriptors(getpid());
        for round in 1..=3 {
            let stdin = std::io::stdin();
            let passed = [stdin.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(control.push(SendAncillaryMessage::ScmRights(&passed)));
            client.say(b"front ");
            let bytes = [IoSlice::new(b"with it ")];
            sendmsg(&client, &bytes, &mut control, SendFlags::empty()).expect("sent");
            client.say(b"behind");
            turn_until(&mut server, "all of it is received", |stats| {
                stats.bytes_in == 1 + round * 20
            });
        }
        until("nobody keeps what was passed", || {
            descriptors(getpid()) == before
        });
        client.finish();
        assert_eq!(serve(&mut server, || client.rest()), b"", "{mode}");
    }
}
