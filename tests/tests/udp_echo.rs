//! A socket at every address of the machine replies from the one that the request came to, on every backend; and
//! groups, broadcasts and what the kernel drops.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use rustix::net::sockopt;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::net::UdpSocket;
use std::process::Command;
use tests::bounded::{SOON, Watchdog};
use tests::modes::{MODES, Mode};
use tests::namespace::in_namespace;
use tests::process::{Program, example};
use tests::server::{AnyServer, deaf, memory, turn_until};
use tidegate::{
    Address, Config, Connections, Datagram, DatagramMemory, Datagrams, Group, Handler, Local, Token,
};

fn start(arguments: &[&str]) -> (Program, SocketAddr) {
    let mut program = Program::spawn(Command::new(example("udp_echo")).args(arguments));
    program.wait_for("listening on ");
    let address = program.address();
    (program, address)
}

/// A client that takes replies from its destination and no other.
fn connected(own: IpAddr, to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((own, 0)).expect("a port");
    socket.connect(to).expect("a peer");
    socket.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
    socket
}

fn asks(client: &UdpSocket, bytes: &[u8]) {
    client.send(bytes).expect("sent");
    let mut answer = [0; 70_000];
    let n = client
        .recv(&mut answer)
        .expect("an answer from where it was asked");
    assert!(&answer[..n] == bytes, "{n} bytes");
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn it_replies_from_the_address_of_the_request() {
    let _bound = Watchdog::new();
    let (program, address) = start(&["0.0.0.0:0"]);
    for last in [1, 2, 77, 254] {
        let asked = SocketAddr::from(([127, 0, 0, last], address.port()));
        let client = connected(LOOPBACK, asked);
        for bytes in [&b"who"[..], b"", &[7; 9000]] {
            asks(&client, bytes);
        }
    }
    let ended = program.stop();
    assert_eq!(ended.code, Some(0));
    assert!(
        ended
            .output
            .contains("12 datagrams, 12 sent back, 0 not; 0 dropped"),
        "{}",
        ended.output
    );
}

/// The number of the interface d0.
fn index() -> u32 {
    let shown = Command::new("ip")
        .args(["-o", "link", "show", "d0"])
        .output();
    let shown = String::from_utf8(shown.expect("ip").stdout).expect("text");
    let index = shown.split_once(':').map(|(index, _)| index.parse());
    index.expect("an interface").expect("a number")
}

#[test]
#[ignore = "needs root, iproute2"]
fn it_replies_from_the_address_of_the_request_in_both_families() {
    let _bound = Watchdog::new();
    let made = [
        "link add d0 type veth peer name d1",
        "link set d0 up",
        "link set d1 up",
        "address add 10.7.0.1/24 dev d0",
        "address add 10.7.0.2/24 dev d0",
        "-6 address add fd07::1/64 dev d0 nodad",
        "-6 address add fd07::2/64 dev d0 nodad",
        "-6 address add fe80::7/64 dev d0 nodad",
    ];
    in_namespace(&made, || {
        let (_v4, at4) = start(&["0.0.0.0:0"]);
        let (_v6, at6) = start(&["[::]:0"]);
        for asked in ["10.7.0.1", "10.7.0.2", "127.0.0.3"] {
            let asked: IpAddr = asked.parse().expect("an address");
            // From the same address, and from another: both are this machine's.
            for own in ["10.7.0.1", "10.7.0.2"] {
                let own = own.parse().expect("an address");
                asks(&connected(own, (asked, at4.port()).into()), b"v4");
            }
        }
        for asked in ["fd07::1", "fd07::2", "::1"] {
            let asked: IpAddr = asked.parse().expect("an address");
            for own in ["fd07::1", "fd07::2"] {
                let own = own.parse().expect("an address");
                asks(&connected(own, (asked, at6.port()).into()), b"v6");
            }
        }
        let index = index();
        let local = SocketAddrV6::new("fe80::7".parse().expect("an address"), at6.port(), 0, index);
        asks(
            &connected(Ipv6Addr::UNSPECIFIED.into(), local.into()),
            b"link-local",
        );
    });
}

#[test]
fn an_icmp_error_of_a_reply_ends_nothing() {
    let _bound = Watchdog::new();
    let peer = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let own = peer.local_addr().expect("an address");
    let (program, address) = start(&["127.0.0.1:0", &own.to_string()]);
    for _ in 0..3 {
        peer.send_to(b"here", address).expect("sent");
        let mut answer = [0; 8];
        peer.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
        assert_eq!(peer.recv(&mut answer).expect("an answer"), 4);
    }
    // Now its listener is gone: the reply is refused, and that is reported.
    drop(peer);
    let other = UdpSocket::bind(own).expect("the same port");
    other.send_to(b"ask", address).expect("sent");
    drop(other);
    let back = UdpSocket::bind(own).expect("the same port");
    back.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
    back.send_to(b"back", address).expect("sent");
    let mut answer = [0; 8];
    loop {
        let n = back.recv(&mut answer).expect("an answer");
        if &answer[..n] == b"back" {
            break;
        }
    }
    assert_eq!(program.stop().code, Some(0));
}

/// Replies, and records where each was sent to.
#[derive(Default)]
struct Notes {
    locals: Vec<Option<Local>>,
    /// Replies from there, and not from the address of the request.
    from: Option<Local>,
    failed: usize,
}

impl Handler for Notes {
    type State = ();

    fn datagram(&mut self, all: &mut Connections<'_>, socket: Token, datagram: Datagram<'_>) {
        self.locals.push(datagram.local);
        let (Some(to), data) = (datagram.from, datagram.data) else {
            return;
        };
        let sent = match self.from {
            Some(local) => all.send_datagram_from(socket, local, to, data),
            None => all.send_datagram(socket, to, data),
        };
        assert_eq!(sent, Ok(()));
    }

    fn datagram_failed(&mut self, _: &mut Connections<'_>, _: Token, _: tidegate::Fault) {
        self.failed += 1;
    }
}

/// A server in any mode with one socket of this kind.
fn server(mode: Mode, options: &Datagrams<'_>) -> (AnyServer<Notes>, Token, SocketAddr) {
    let mut server = deaf::<1, 64, 64, _>(mode, memory(), &Config::default(), Notes::default());
    server.set_datagram_memory(Box::leak(Box::new(DatagramMemory::<2048, 2048>::new())));
    let (token, address) = server.datagrams(options).expect("a socket");
    (server, token, address.expect("an address"))
}

fn small(address: &str) -> Datagrams<'_> {
    Datagrams {
        receive: 1024,
        send: 1024,
        ..Datagrams::on(Address::parse(address).expect("an address"))
    }
}

fn until_in(server: &mut AnyServer<Notes>, n: u64) {
    turn_until(server, "datagrams", |stats| stats.datagrams_in >= n);
}

#[test]
fn the_local_address_comes_with_each_in_every_mode() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut server, _, address) = server(mode, &small("0.0.0.0:0"));
        for (n, last) in (1..).zip([1, 9]) {
            let asked = SocketAddr::from(([127, 0, 0, last], address.port()));
            let client = connected(LOOPBACK, asked);
            client.send(b"hi").expect("sent");
            until_in(&mut server, n);
            let mut answer = [0; 8];
            assert_eq!(client.recv(&mut answer).expect("an answer"), 2, "{mode}");
            let local = server.session().handler().locals.last().copied();
            // The loopback is the first interface of every machine.
            let expected = Local {
                address: asked.ip(),
                interface: 1,
            };
            assert_eq!(local, Some(Some(expected)), "{mode}");
        }
        // From an address that is named; from one that this machine does not have, nothing.
        let local = |text: &str| Local {
            address: text.parse().expect("an address"),
            interface: 0,
        };
        let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
        client.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
        server.session_mut().handler_mut().from = Some(local("127.0.0.55"));
        client
            .send_to(b"hi", ("127.0.0.1", address.port()))
            .expect("sent");
        until_in(&mut server, 3);
        let (_, from) = client.recv_from(&mut [0; 8]).expect("an answer");
        assert_eq!(from.ip(), IpAddr::from([127, 0, 0, 55]), "{mode}");
        server.session_mut().handler_mut().from = Some(local("192.0.2.1"));
        client
            .send_to(b"hi", ("127.0.0.1", address.port()))
            .expect("sent");
        turn_until(&mut server, "a failure", |stats| stats.datagram_faults > 0);
        assert_eq!(server.session().handler().failed, 1, "{mode}");
    }
}

#[test]
fn without_asking_for_it_there_is_no_local_address() {
    let _bound = Watchdog::new();
    let options = Datagrams {
        local: false,
        ..small("127.0.0.1:0")
    };
    let (mut server, _, address) = server(MODES[0], &options);
    let client = connected(LOOPBACK, address);
    client.send(b"hi").expect("sent");
    until_in(&mut server, 1);
    assert_eq!(server.session().handler().locals, [None]);
    assert_eq!(client.recv(&mut [0; 8]).expect("an answer"), 2);
}

#[test]
fn what_the_kernel_drops_is_counted() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let options = Datagrams {
            receive_buffer: Some(1),
            ..small("127.0.0.1:0")
        };
        let (mut server, _, address) = server(mode, &options);
        let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
        // The smallest buffer holds a few: the others are dropped before the server polls.
        for _ in 0..200 {
            client.send_to(&[1; 500], address).expect("sent");
        }
        until_in(&mut server, 1);
        while server.session().machine().has_work() {
            server
                .turn(Some(core::time::Duration::ZERO))
                .expect("a turn");
        }
        let mut told = 0;
        // The number comes with the next one.
        while server.stats().datagrams_in + server.stats().datagrams_lost < 200 + told {
            client.send_to(b"next", address).expect("sent");
            told += 1;
            let seen = server.stats().datagrams_in;
            until_in(&mut server, seen + 1);
        }
        let stats = server.stats();
        assert!(stats.datagrams_lost > 0, "{mode}");
        assert_eq!(
            stats.datagrams_in + stats.datagrams_lost,
            200 + told,
            "{mode}"
        );
    }
}

/// What this thread sends over loopback is delivered in the order in which it was sent: each processor has a queue.
fn stay_on_one_processor() {
    let allowed = sched_getaffinity(None).expect("its processors");
    let first = (0..CpuSet::MAX_CPU).find(|&cpu| allowed.is_set(cpu));
    let mut one = CpuSet::new();
    one.set(first.expect("a processor"));
    sched_setaffinity(None, &one).expect("one of them");
}

#[test]
#[ignore = "needs root, iproute2"]
fn groups_are_joined_and_left() {
    let _bound = Watchdog::new();
    let made = [
        "link add d0 type veth peer name d1",
        "link set d0 up",
        "link set d1 up",
        "address add 10.7.0.1/24 dev d0",
        "-6 address add fd07::1/64 dev d0 nodad",
        "route add 224.0.0.0/4 dev d0",
    ];
    in_namespace(&made, || {
        let index = index();
        stay_on_one_processor();
        for mode in MODES {
            for (at, group, from) in [
                ("0.0.0.0:0", "239.1.2.3", "10.7.0.1:0"),
                ("[::]:0", "ff02::77", "[fd07::1]:0"),
            ] {
                let group = Group {
                    address: group.parse().expect("an address"),
                    interface: index,
                };
                let groups = [group];
                let options = Datagrams {
                    groups: &groups,
                    ..small(at)
                };
                let (mut server, token, address) = server(mode, &options);
                let client = UdpSocket::bind(from).expect("a port");
                let from_ip = client.local_addr().expect("its address").ip();
                if group.address.is_ipv6() {
                    sockopt::set_ipv6_multicast_if(&client, index).expect("IPV6_MULTICAST_IF");
                }
                let says = |what: &[u8]| {
                    client
                        .send_to(what, (group.address, address.port()))
                        .map(drop)
                };
                says(b"joined").expect("sent");
                until_in(&mut server, 1);
                // The reply comes from an address of this machine.
                client.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
                let (_, who) = client.recv_from(&mut [0; 8]).expect("an answer");
                assert!(
                    !who.ip().is_multicast() && who.port() == address.port(),
                    "{mode}: {who}"
                );
                assert_eq!(server.leave(token, &group), Ok(()), "{mode}");
                assert!(server.leave(token, &group).is_err(), "{mode}: left");
                says(b"nobody").expect("sent");
                // What was sent before it has been delivered, or dropped: a queue in the kernel, of this processor.
                let bystander = UdpSocket::bind((from_ip, 0)).expect("a port");
                bystander.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
                let mark = bystander.local_addr().expect("its address");
                client.send_to(b"mark", mark).expect("sent");
                bystander.recv(&mut [0; 8]).expect("the mark");
                assert_eq!(server.join(token, &group), Ok(()), "{mode}");
                says(b"again").expect("sent");
                until_in(&mut server, 2);
                assert_eq!(
                    server.stats().datagrams_in,
                    2,
                    "{mode}: not while it was left"
                );
            }
        }
    });
}

#[test]
fn how_far_datagrams_go_is_set() {
    let _bound = Watchdog::new();
    let options = Datagrams {
        ttl: Some(7),
        multicast_ttl: Some(9),
        multicast_loop: false,
        broadcast: true,
        ..small("127.0.0.1:0")
    };
    // On a socket that was opened elsewhere it can be read back.
    for (own, v6) in [("127.0.0.1:0", false), ("[::1]:0", true)] {
        let Ok(socket) = UdpSocket::bind(own) else {
            eprintln!("not tested here: there is no {own}");
            continue;
        };
        let kept = socket.try_clone().expect("a copy");
        let mut server =
            deaf::<1, 64, 64, _>(MODES[0], memory(), &Config::default(), Notes::default());
        server.set_datagram_memory(Box::leak(Box::new(DatagramMemory::<2048, 2048>::new())));
        server
            .adopt_datagrams(socket.into(), &options)
            .expect("adopted");
        if v6 {
            assert_eq!(sockopt::ipv6_unicast_hops(&kept), Ok(7));
            assert_eq!(sockopt::ipv6_multicast_hops(&kept), Ok(9));
            assert_eq!(sockopt::ipv6_multicast_loop(&kept), Ok(false));
        } else {
            assert_eq!(sockopt::ip_ttl(&kept), Ok(7));
            assert_eq!(sockopt::ip_multicast_ttl(&kept), Ok(9));
            assert_eq!(sockopt::ip_multicast_loop(&kept), Ok(false));
            assert_eq!(sockopt::socket_broadcast(&kept), Ok(true));
        }
    }
}
