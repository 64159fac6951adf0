//! An accepted connection has every option of its listener, and its flags, without a call for them.

use core::time::Duration;
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::net::{self, AddressFamily, SocketType, sockopt};
use rustix::process::getpid;
use std::net::TcpListener;
use tests::bounded::Watchdog;
use tests::modes::Mode;
use tests::net::{Client, descriptors, flags, server_end, tcp};
use tests::process::Program;
use tests::server::{Echo, Running, anywhere, memory};
use tidegate::{Config, Connect, Destination, Keepalive, Listen, Memory, Server};

const O_CLOEXEC: u32 = 0o2_000_000;

#[test]
fn the_defaults() {
    let _bound = Watchdog::new();
    let program = Program::start(&["--service", "echo"]);
    let mut client = tcp(program.address());
    client.echo(b"hello");
    let (number, socket) = server_end(program.pid(), &client);
    assert!(number > 2);
    assert!(
        fcntl_getfl(&socket)
            .expect("flags")
            .contains(OFlags::NONBLOCK)
    );
    assert_ne!(flags(program.pid(), number) & O_CLOEXEC, 0);
    assert!(sockopt::tcp_nodelay(&socket).expect("TCP_NODELAY"));
    assert!(sockopt::socket_keepalive(&socket).expect("SO_KEEPALIVE"));
    assert_eq!(sockopt::tcp_keepidle(&socket), Ok(Duration::from_secs(30)));
    assert_eq!(sockopt::tcp_keepintvl(&socket), Ok(Duration::from_secs(10)));
    assert_eq!(sockopt::tcp_keepcnt(&socket), Ok(3));
    assert_eq!(
        sockopt::tcp_user_timeout(&socket),
        Ok(0),
        "none unless asked for"
    );
    // The kernel tunes the buffers: they are as they were.
    let fresh = net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    assert_eq!(
        sockopt::socket_recv_buffer_size(&socket),
        sockopt::socket_recv_buffer_size(&fresh)
    );
    let [accepted, fresh] = [&socket, &fresh]
        .map(|socket| sockopt::socket_send_buffer_size(socket).expect("SO_SNDBUF"));
    assert!(accepted >= fresh, "{accepted}, {fresh}");
    // Every other descriptor that the program made is closed on exec, too; what it was given is its parent's business.
    let given = |number: &i32| {
        *number <= 2
            || descriptors(getpid()).contains(number) && flags(getpid(), *number) & O_CLOEXEC == 0
    };
    for number in descriptors(program.pid())
        .into_iter()
        .filter(|number| !given(number))
    {
        assert_ne!(flags(program.pid(), number) & O_CLOEXEC, 0, "{number}");
    }
}

#[test]
fn what_was_asked_for() {
    let _bound = Watchdog::new();
    let listen = Listen {
        nodelay: false,
        keepalive: Some(Keepalive {
            idle: Duration::from_secs(7),
            interval: Duration::from_secs(3),
            count: 2,
        }),
        user_timeout: Some(Duration::from_millis(1500)),
        receive_buffer: Some(10_000),
        send_buffer: Some(20_000),
        ..anywhere()
    };
    let running = Running::listen::<4, 1024, 4096>(
        Mode::default(),
        memory(),
        &Config {
            write_stall: Some(Duration::from_secs(1)),
            ..Config::default()
        },
        Echo,
        &listen,
    );
    let mut client = tcp(running.address());
    client.echo(b"hello");
    let (_, socket) = server_end(getpid(), &client);
    assert!(!sockopt::tcp_nodelay(&socket).expect("TCP_NODELAY"));
    assert_eq!(sockopt::tcp_keepidle(&socket), Ok(Duration::from_secs(7)));
    assert_eq!(sockopt::tcp_keepintvl(&socket), Ok(Duration::from_secs(3)));
    assert_eq!(sockopt::tcp_keepcnt(&socket), Ok(2));
    assert_eq!(sockopt::tcp_user_timeout(&socket), Ok(1500));
    assert_eq!(sockopt::socket_recv_buffer_size(&socket), Ok(20_000));
    assert_eq!(sockopt::socket_send_buffer_size(&socket), Ok(40_000));
}

#[test]
fn nothing_at_all() {
    let _bound = Watchdog::new();
    let listen = Listen {
        keepalive: None,
        user_timeout: None,
        receive_buffer: None,
        send_buffer: None,
        ..anywhere()
    };
    let running = Running::listen::<4, 1024, 4096>(
        Mode::default(),
        memory(),
        &Config::default(),
        Echo,
        &listen,
    );
    let mut client = tcp(running.address());
    client.echo(b"hello");
    let (_, socket) = server_end(getpid(), &client);
    assert!(!sockopt::socket_keepalive(&socket).expect("SO_KEEPALIVE"));
    assert_eq!(sockopt::tcp_user_timeout(&socket), Ok(0));
}

/// A user timeout is never below the write stall, and there is none if that is off: accepted, adopted and outbound
/// connections are alike.
#[test]
fn a_user_timeout_is_not_below_the_write_stall() {
    let _bound = Watchdog::new();
    let seconds = |n| Some(Duration::from_secs(n));
    for (asked, write_stall, millis) in [
        (seconds(2), seconds(5), 5000),
        (seconds(7), seconds(5), 7000),
        (seconds(2), None, 0),
        (None, seconds(5), 0),
    ] {
        let case = format!("{asked:?} {write_stall:?}");
        let config = Config {
            write_stall,
            ..Config::default()
        };
        let listen = Listen {
            user_timeout: asked,
            ..anywhere()
        };
        let memory: &'static mut Memory<4, 1024, 4096> = memory();
        let mut server = Server::new(memory, &config, Echo).expect("a server");
        let (_, own) = server.listen(&listen).expect("a listener");
        // What is passed may have one already.
        let passed = TcpListener::bind("127.0.0.1:0").expect("a listener");
        sockopt::set_tcp_user_timeout(&passed, 1000).expect("TCP_USER_TIMEOUT");
        let adopted = passed.local_addr().expect("an address");
        server.adopt(passed.into(), &listen).expect("adopted");
        server.set_connect(Connect {
            user_timeout: asked,
            ..Connect::DEFAULT
        });
        let there = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let to = there.local_addr().expect("an address");
        server.connect(Destination::Inet(to)).expect("begun");
        let clients = [own.expect("an address"), adopted].map(tcp);
        while server.stats().accepted < 2 || server.stats().connected < 1 {
            server.turn(None).expect("a turn");
        }
        for client in &clients {
            let (_, socket) = server_end(getpid(), client);
            let set = sockopt::tcp_user_timeout(&socket);
            assert_eq!(set, Ok(millis), "accepted: {case}");
        }
        let (far, _) = there.accept().expect("a connection");
        let (_, socket) = server_end(getpid(), &far);
        let set = sockopt::tcp_user_timeout(&socket);
        assert_eq!(set, Ok(millis), "outbound: {case}");
    }
}
