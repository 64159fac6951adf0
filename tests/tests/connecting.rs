//! Outbound connections: opened or closed, notified once, in every mode; and the two sides of a relay.

use core::net::SocketAddr;
use core::time::Duration;
use rustix::fd::OwnedFd;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with,
};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, pattern, tcp};
use tests::process::Folder;
use tests::server::{AnyServer, deaf, memory, serve, turn_until};
use tidegate::{Class, Config, Conn, Destination, Fault, Handler, Reason, Token};

/// Sends a message when it is connected, records what it receives and its notices.
#[derive(Default)]
struct Caller {
    told: Vec<(Token, Option<Reason>)>,
    heard: Vec<u8>,
}

impl Handler for Caller {
    type State = ();

    fn opened(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        self.told.push((conn.token(), None));
        conn.send(b"hello").expect("capacity");
    }

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        self.heard.extend(conn.data());
        conn.consume(conn.data().len());
    }

    fn closed(&mut self, conn: &mut Conn<'_>, (): &mut (), reason: Reason) {
        assert!(conn.info().outbound);
        self.told.push((conn.token(), Some(reason)));
    }
}

fn caller(mode: tests::modes::Mode, config: &Config) -> AnyServer<Caller> {
    deaf::<4, 1024, 1024, _>(mode, memory(), config, Caller::default())
}

/// Every notice: the kinds of reasons, `None` for an opening.
fn told(server: &AnyServer<Caller>) -> Vec<Option<Reason>> {
    let told = server.session().handler().told.iter();
    told.map(|(_, reason)| *reason).collect()
}

fn ended(server: &mut AnyServer<Caller>, n: u64) {
    turn_until(server, "they have come to an end", |stats| {
        stats.closed_total() + stats.connect_failures >= n
    });
}

#[test]
fn every_listener_is_reached() {
    let _bound = Watchdog::new();
    let folder = Folder::new("connecting");
    for mode in MODES {
        let path = folder.path(&format!("{mode}"));
        let unix = UnixListener::bind(&path).expect("a listener");
        let inet = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut server = caller(mode, &Config::default());
        let by_path = server.destination(&path).expect("a path");
        let by_address = Destination::Inet(inet.local_addr().expect("an address"));
        for (to, far) in [(by_path, 0), (by_address, 1)] {
            let token = server.connect(to).expect("a place");
            let accept = || -> Box<dyn Client + Send> {
                match far {
                    0 => Box::new(unix.accept().expect("it connects").0),
                    _ => Box::new(inet.accept().expect("it connects").0),
                }
            };
            serve(&mut server, || {
                let mut far = accept();
                far.hear(b"hello");
                far.say(b"good-bye");
                far.finish();
                assert_eq!(far.rest(), b"");
            });
            ended(&mut server, 1 + far);
            let told: Vec<_> = server.session_mut().handler_mut().told.drain(..).collect();
            let expected = [(token, None), (token, Some(Reason::PeerFinished))];
            assert_eq!(told, expected, "{mode} {to:?}");
            let heard = core::mem::take(&mut server.session_mut().handler_mut().heard);
            assert_eq!(heard, b"good-bye", "{mode}");
        }
        assert_eq!(server.stats().connected, 2, "{mode}");
        assert_eq!(server.repairs(), 0, "{mode}");
    }
}

/// A destination without a listener, as long as the socket is kept.
fn nowhere() -> (OwnedFd, Destination) {
    let (family, flags) = (AddressFamily::INET, SocketFlags::empty());
    let socket = socket_with(family, SocketType::STREAM, flags, None).expect("a socket");
    bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let address = getsockname(&socket).expect("an address");
    let address = SocketAddr::try_from(address).expect("an internet address");
    (socket, Destination::Inet(address))
}

#[test]
fn a_refusal_is_reported_once() {
    let _bound = Watchdog::new();
    let folder = Folder::new("refused");
    for mode in MODES {
        let mut server = caller(mode, &Config::default());
        let no_path = server.destination(&folder.path("nobody")).expect("a path");
        let unregistered = Destination::Registered(9);
        let (_deaf, nobody) = nowhere();
        for (n, to) in [nobody, no_path, unregistered].into_iter().enumerate() {
            server.connect(to).expect("a place");
            ended(&mut server, 1 + n as u64);
        }
        let reasons = told(&server);
        assert!(
            matches!(
                reasons[..],
                [
                    Some(Reason::Failed(Fault::Refused(_))),
                    Some(Reason::Failed(Fault::Refused(_))),
                    Some(Reason::Failed(Fault::Invalid(_)))
                ]
            ),
            "{mode}: {reasons:?}"
        );
        assert_eq!(server.stats().connect_failures, 3);
        assert_eq!(server.stats().open, 0);
        assert_eq!(server.repairs(), 0, "{mode}");
    }
}

#[test]
fn a_full_queue_of_a_unix_listener_is_waited_for() {
    let _bound = Watchdog::new();
    let folder = Folder::new("full");
    for mode in MODES {
        let path = folder.path(&format!("{mode}"));
        let unix = UnixListener::bind(&path).expect("a listener");
        listen(&unix, 0).expect("a queue of one");
        let mut waiting = std::os::unix::net::UnixStream::connect(&path).expect("the one");
        let mut server = caller(mode, &Config::default());
        let to = server.destination(&path).expect("a path");
        server.connect(to).expect("a place");
        for _ in 0..20 {
            server.turn(Some(Duration::from_millis(5))).expect("a wait");
        }
        assert_eq!(told(&server), [], "{mode}: the queue is full");
        let (mut first, _) = unix.accept().expect("the one");
        waiting.say(b"x");
        first.hear(b"x");
        serve(&mut server, || {
            let (mut far, _) = unix.accept().expect("it connects");
            far.hear(b"hello");
        });
        assert_eq!(server.stats().connected, 1, "{mode}");
    }
}

#[test]
fn a_peer_that_does_not_respond_is_given_up() {
    let _bound = Watchdog::new();
    // A queue that is full: a later connect gets no response.
    let inet = TcpListener::bind("127.0.0.1:0").expect("a listener");
    listen(&inet, 0).expect("a queue of one");
    let address: SocketAddr = inet.local_addr().expect("an address");
    let fillers: Vec<_> = (0..3)
        .map(|_| {
            let (family, flags) = (AddressFamily::INET, SocketFlags::NONBLOCK);
            let socket = socket_with(family, SocketType::STREAM, flags, None).expect("a socket");
            let _ = connect(&socket, &address);
            socket
        })
        .collect();
    for mode in MODES {
        let config = Config {
            connect: Some(Duration::from_millis(100)),
            ..Config::default()
        };
        let mut server = caller(mode, &config);
        server.connect(Destination::Inet(address)).expect("a place");
        ended(&mut server, 1);
        let reason = Reason::Deadline(Class::Connect);
        assert_eq!(told(&server), [Some(reason)], "{mode}");
    }
    drop(fillers);
}

/// Sends what comes back in capitals once the peer has finished.
struct AfterTheEnd;

impl Handler for AfterTheEnd {
    type State = ();

    fn readable(&mut self, _: &mut Conn<'_>, (): &mut ()) {}

    fn ended(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let answer = conn.data().to_ascii_uppercase();
        conn.send(&answer).expect("capacity");
        conn.finish();
    }
}

/// Sends a message, then FIN, and keeps what comes after it.
#[derive(Default)]
struct Half {
    heard: Vec<u8>,
}

impl Handler for Half {
    type State = ();

    fn opened(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        conn.send(&pattern(3, 900)).expect("capacity");
        conn.shut_down();
        assert!(conn.send(b"x").is_err(), "nothing behind our end");
    }

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        self.heard.extend(conn.data());
        conn.consume(conn.data().len());
    }
}

#[test]
fn a_half_that_is_shut_down_still_gets_its_reply() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = tests::server::Running::start::<4, 1024, 1024>(
            mode,
            memory(),
            &Config::default(),
            AfterTheEnd,
        );
        let mut server =
            deaf::<4, 1024, 1024, _>(mode, memory(), &Config::default(), Half::default());
        let to = Destination::Inet(running.address());
        server.connect(to).expect("a place");
        let what = format!("{mode}: it is answered");
        turn_until(&mut server, &what, |stats| stats.closed_total() == 1);
        let expected = pattern(3, 900).to_ascii_uppercase();
        assert!(server.session().handler().heard == expected, "{mode}");
        assert_eq!(server.stats().closed_by(Reason::PeerFinished), 1, "{mode}");
        // And a client of ours that does it, for comparison.
        let mut client = tcp(running.address());
        client.say(b"abc");
        client.finish();
        assert_eq!(client.rest(), b"ABC");
        running.stop();
    }
}

/// Connects for each connection that sends something, though `CONNECTS` is false.
struct Liar {
    to: Destination,
    told: Option<Reason>,
}

impl Handler for Liar {
    type State = ();
    const CONNECTS: bool = false;

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        conn.consume(conn.data().len());
        conn.connect(self.to).expect("a place");
    }

    fn closed(&mut self, conn: &mut Conn<'_>, (): &mut (), reason: Reason) {
        if conn.info().outbound {
            self.told = Some(reason);
        }
    }
}

#[test]
fn a_handler_without_destination_gets_a_failure() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let inet = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let to = Destination::Inet(inet.local_addr().expect("an address"));
        let liar = Liar { to, told: None };
        let (mut server, address) =
            tests::server::server::<4, 1024, 1024, _>(mode, memory(), &Config::default(), liar);
        let mut client = tcp(address);
        client.say(b"x");
        turn_until(&mut server, "it has failed", |stats| {
            stats.connect_failures == 1
        });
        match server.session().handler().told {
            Some(Reason::Failed(Fault::Invalid(_))) => {}
            told => panic!("{mode}: {told:?}"),
        }
        // The server's own are no handler's.
        server.connect(to).expect("a place");
        turn_until(&mut server, "it is connected", |stats| stats.connected == 1);
        inet.accept().expect("it connects");
    }
}
