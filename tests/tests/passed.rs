//! Whatever a service manager has set on the listener that it passes, accepted connections are as if it had set nothing.

use core::ffi::c_int;
use core::net::SocketAddr;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::net::sockopt;
use rustix::process::getpid;
use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixListener;
use tests::bounded::Watchdog;
use tests::modes::{MODES, Mode};
use tests::net::{Client, server_end, tcp};
use tests::server::{AnyServer, Echo, anywhere, deaf, memory, serve, turn_until};
use tidegate::{Config, Conn, DatagramMemory, Datagrams, Error, Handler, Listen};

/// Options that hold one `int`, with a value that a new socket does not have.
const PASSED: &[(&str, c_int, c_int, c_int)] = &[
    ("SO_RCVLOWAT", libc::SOL_SOCKET, libc::SO_RCVLOWAT, 1000),
    ("SO_OOBINLINE", libc::SOL_SOCKET, libc::SO_OOBINLINE, 1),
    ("SO_KEEPALIVE", libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1),
    ("SO_DONTROUTE", libc::SOL_SOCKET, libc::SO_DONTROUTE, 1),
    ("SO_BUSY_POLL", libc::SOL_SOCKET, libc::SO_BUSY_POLL, 50),
    (
        "SO_TIMESTAMPING",
        libc::SOL_SOCKET,
        libc::SO_TIMESTAMPING,
        0x1a,
    ),
    ("IP_RECVERR", libc::IPPROTO_IP, libc::IP_RECVERR, 1),
    ("TCP_CORK", libc::IPPROTO_TCP, libc::TCP_CORK, 1),
    (
        "TCP_DEFER_ACCEPT",
        libc::IPPROTO_TCP,
        libc::TCP_DEFER_ACCEPT,
        5,
    ),
    ("TCP_MAXSEG", libc::IPPROTO_TCP, libc::TCP_MAXSEG, 88),
    (
        "TCP_NOTSENT_LOWAT",
        libc::IPPROTO_TCP,
        libc::TCP_NOTSENT_LOWAT,
        1,
    ),
    ("TCP_LINGER2", libc::IPPROTO_TCP, libc::TCP_LINGER2, 1),
    (
        "TCP_WINDOW_CLAMP",
        libc::IPPROTO_TCP,
        libc::TCP_WINDOW_CLAMP,
        2000,
    ),
    (
        "TCP_USER_TIMEOUT",
        libc::IPPROTO_TCP,
        libc::TCP_USER_TIMEOUT,
        7,
    ),
];

/// Bytes of an `int`.
const LEN: libc::socklen_t = 4;

/// Sets an `int` option; returns whether that is permitted.
fn set(socket: &impl AsRawFd, level: c_int, name: c_int, value: c_int) -> bool {
    let len = LEN;
    // SAFETY: the kernel reads one `int` there.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            len,
        )
    };
    done == 0
}

fn get(socket: &impl AsRawFd, level: c_int, name: c_int) -> c_int {
    let (mut value, mut len): (c_int, _) = (0, LEN);
    // SAFETY: the kernel writes one `int` there, and its length.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw mut value).cast(),
            &raw mut len,
        )
    };
    assert_eq!(done, 0);
    value
}

/// A server that was passed a listener on which `prepare` has set something.
fn passed<H: Handler<State = ()>>(
    mode: Mode,
    handler: H,
    prepare: impl FnOnce(&TcpListener),
) -> (AnyServer<H>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    prepare(&listener);
    let config = Config::default();
    let mut server = deaf::<8, 1024, 65536, _>(mode, memory(), &config, handler);
    let listen = Listen {
        keepalive: None,
        user_timeout: None,
        ..anywhere()
    };
    server.adopt(listener.into(), &listen).expect("a listener");
    (server, address)
}

/// The options of a connection, and what it is like to talk over it.
fn inherited(mode: Mode, prepare: impl FnOnce(&TcpListener)) -> Vec<c_int> {
    let (mut server, address) = passed(mode, Echo, prepare);
    serve(&mut server, || {
        // A client that waits for the first byte is accepted, too.
        let mut client = tcp(address);
        let (_, socket) = server_end(getpid(), &client);
        client.echo(b"x");
        client.echo(&[7; 3000]);
        assert_eq!(sockopt::socket_linger(&socket), Ok(None), "{mode}");
        for direction in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
            assert_eq!(sockopt::socket_timeout(&socket, direction), Ok(None));
        }
        let all = PASSED.iter();
        all.map(|(_, level, name, _)| get(&socket, *level, *name))
            .collect()
    })
}

#[test]
fn connections_are_as_those_of_a_new_listener() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let expected = inherited(mode, |_| {});
        for (option, level, name, value) in PASSED {
            let mut may = true;
            let found = inherited(mode, |listener| may = set(listener, *level, *name, *value));
            if !may {
                eprintln!("not tested here: {option} is not ours to set");
            }
            assert_eq!(found, expected, "{mode}: {option}, of {PASSED:?}");
        }
        let seconds = Some(core::time::Duration::from_secs(20));
        inherited(mode, |listener| {
            sockopt::set_socket_linger(listener, seconds).expect("set");
            listener.set_nonblocking(false).expect("set");
            for direction in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
                sockopt::set_socket_timeout(listener, direction, seconds).expect("set");
            }
        });
    }
}

/// Replies with much and closes: the peer reads nothing.
struct Leaves;

impl Handler for Leaves {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let n = conn.data().len();
        conn.consume(n);
        let _ = conn.send(&[1; 60_000]);
    }
}

/// With the listener's SO_LINGER of 20 s a close would block the loop for as long.
#[test]
fn closing_what_is_not_read_takes_no_time() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut server, address) = passed(mode, Leaves, |listener| {
            let time = core::time::Duration::from_secs(3600);
            sockopt::set_socket_linger(listener, Some(time)).expect("set");
        });
        let mut client = tcp(address);
        sockopt::set_socket_recv_buffer_size(&client, 2048).expect("set");
        client.say(b"x");
        turn_until(&mut server, "it is answered", |stats| stats.bytes_out > 0);
        // By the watchdog: it would take an hour.
        drop(server);
    }
}

#[test]
fn one_that_was_shut_down_is_refused() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let config = Config::default();
        let mut server = deaf::<8, 1024, 4096, _>(mode, memory(), &config, Echo);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).expect("shut down");
        let refused = server.adopt(listener.into(), &anywhere());
        assert_eq!(refused, Err(Error::NotListening), "{mode}");
        let path = std::env::temp_dir().join(format!("passed-{}", std::process::id()));
        let listener = UnixListener::bind(&path).expect("a listener");
        std::fs::remove_file(&path).expect("removed");
        rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).expect("shut down");
        let refused = server.adopt(OwnedFd::from(listener), &anywhere());
        assert_eq!(refused, Err(Error::ShutDown), "{mode}");
        assert!(Error::ShutDown.to_string().contains("shut down"));
    }
}

/// A datagram socket that would gather, cut, merge or keep errors does none of it.
#[test]
fn datagrams_are_as_those_of_a_new_socket() {
    let _bound = Watchdog::new();
    let options = [
        ("UDP_CORK", libc::IPPROTO_UDP, libc::UDP_CORK, 1),
        ("UDP_SEGMENT", libc::IPPROTO_UDP, libc::UDP_SEGMENT, 1),
        ("UDP_GRO", libc::IPPROTO_UDP, libc::UDP_GRO, 1),
        ("IP_RECVERR", libc::IPPROTO_IP, libc::IP_RECVERR, 1),
        ("SO_RCVLOWAT", libc::SOL_SOCKET, libc::SO_RCVLOWAT, 1000),
    ];
    for mode in MODES {
        for (option, level, name, value) in options {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            let copy = socket.try_clone().expect("a copy");
            let expected = get(&socket, level, name);
            assert!(set(&socket, level, name, value), "{option}");
            let config = Config::default();
            let mut server = deaf::<8, 1024, 4096, _>(mode, memory(), &config, Echo);
            let windows = Box::leak(Box::new(DatagramMemory::<2048, 512>::new()));
            server.set_datagram_memory(windows);
            let options = Datagrams::on(tidegate::Address::Inet(([127, 0, 0, 1], 0).into()));
            server
                .adopt_datagrams(socket.into(), &options)
                .expect("taken");
            assert_eq!(get(&copy, level, name), expected, "{mode}: {option}");
        }
    }
}

/// The client's own FIN is not the server's business.
#[test]
fn a_client_that_ends_is_heard() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut server, address) = passed(mode, Echo, |listener| {
            assert!(set(listener, libc::SOL_SOCKET, libc::SO_RCVLOWAT, 1000));
        });
        let heard = serve(&mut server, || {
            let mut client: TcpStream = tcp(address);
            client.say(b"bye");
            client.shutdown(Shutdown::Write).expect("shut down");
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).expect("an orderly end");
            heard
        });
        assert_eq!(heard, b"bye", "{mode}");
    }
}
