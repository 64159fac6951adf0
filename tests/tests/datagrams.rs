//! Datagrams, UDP and Unix, on every backend.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use rustix::fd::OwnedFd;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::thread;
use tests::bounded::{SOON, Watchdog};
use tests::modes::{MODES, Mode};
use tests::net::{Client as _, tcp};
use tests::process::Folder;
use tests::server::{AnyServer, deaf, memory, server, turn_until};
use tidegate::{
    Address, Config, Conn, Connections, Datagram, DatagramMemory, Datagrams, Error, Fault, Handler,
    Local, Peer, SendError, Token, Unavailable,
};

/// Notes what comes, and sends it back if it is to.
#[derive(Default)]
struct Post {
    silent: bool,
    heard: Vec<(Vec<u8>, usize, Option<Peer>)>,
    failed: Vec<Fault>,
    locals: Vec<Option<Local>>,
    rooms: u32,
}

impl Handler for Post {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let data = conn.data();
        if conn.send(data).is_ok() {
            conn.consume(data.len());
        }
    }

    fn datagram(&mut self, all: &mut Connections<'_>, socket: Token, datagram: Datagram<'_>) {
        let Datagram {
            data,
            len,
            from,
            local,
        } = datagram;
        self.locals.push(local);
        if self.heard.len() < 100 {
            self.heard.push((data.to_vec(), len, from));
        }
        if let Some(to) = from.filter(|_| !self.silent) {
            assert_eq!(all.send_datagram(socket, to, data), Ok(()));
        }
    }

    fn datagram_writable(&mut self, _: &mut Connections<'_>, _: Token) {
        self.rooms += 1;
    }

    fn datagram_failed(&mut self, _: &mut Connections<'_>, _: Token, fault: Fault) {
        self.failed.push(fault);
    }
}

type Windows = DatagramMemory<{ 16 * 1024 }, { 4 * 1024 }>;

fn lend(server: &mut AnyServer<Post>) {
    server.set_datagram_memory(Box::leak(Box::new(Windows::new())));
}

/// A server that listens, too, and has memory for datagrams.
fn post(mode: Mode) -> (AnyServer<Post>, SocketAddr) {
    let (mut server, address) =
        server::<1, 64, 64, _>(mode, memory(), &Config::default(), Post::default());
    lend(&mut server);
    (server, address)
}

fn add(server: &mut AnyServer<Post>, options: &Datagrams<'_>) -> (Token, SocketAddr) {
    let (token, address) = server.datagrams(options).expect("a socket");
    (token, address.expect("an address"))
}

const V4: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn on_v4() -> Datagrams<'static> {
    Datagrams::on(Address::Inet(V4))
}

/// A client, every wait of which is bounded.
fn udp(at: SocketAddr, to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(at).expect("a port");
    socket.connect(to).expect("a peer");
    socket.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
    socket
}

fn until_in(server: &mut AnyServer<Post>, n: u64) {
    turn_until(server, "datagrams", |stats| stats.datagrams_in >= n);
}

fn unix(at: Option<&str>) -> UnixDatagram {
    let socket = match at {
        Some(path) => UnixDatagram::bind(path),
        None => UnixDatagram::unbound(),
    };
    let socket = socket.expect("a socket");
    socket.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
    socket
}

#[test]
fn over_ipv4_and_ipv6_a_reply_goes_to_the_sender() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut server, _) = post(mode);
        let mut total = 0;
        for at in [V4, SocketAddr::from((Ipv6Addr::LOCALHOST, 0))] {
            if UdpSocket::bind(at).is_err() {
                eprintln!("not tested here: there is no {at}");
                continue;
            }
            let (_, address) = add(&mut server, &Datagrams::on(Address::Inet(at)));
            for _ in 0..3 {
                let client = udp(at, address);
                // None of them is the end of anything.
                for bytes in [&b"one"[..], b"", b"two"] {
                    client.send(bytes).expect("sent");
                    total += 1;
                    until_in(&mut server, total);
                    let mut answer = [0; 8];
                    let n = client.recv(&mut answer).expect("an answer");
                    assert_eq!(&answer[..n], bytes, "{mode}");
                    let from = client.local_addr().expect("a name");
                    let heard = server.session().handler().heard.last();
                    let expected = (bytes.to_vec(), bytes.len(), Some(Peer::Inet(from)));
                    assert_eq!(heard, Some(&expected), "{mode}");
                }
            }
        }
        assert_eq!(server.stats().datagrams_out, total, "{mode}");
        assert_eq!(server.session().handler().failed, [], "{mode}");
    }
}

#[test]
fn unix_senders_are_replied_to_by_their_name_if_they_have_one() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let folder = Folder::new("names");
        let (mut server, _) = post(mode);
        let path = folder.path("post");
        let added = server.datagrams(&Datagrams::on(Address::Unix(&path)));
        assert_eq!(added.expect("a socket").1, None, "none on the internet");
        let name = format!("tidegate-{mode}-{}", std::process::id());
        let name = UnixAddress::from_abstract_name(name).expect("a name");
        let hidden = UnixDatagram::bind_addr(&name).expect("a socket");
        hidden.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
        let clients = [
            (unix(Some(&folder.path("me"))), Some(Peer::Unix(1))),
            (hidden, Some(Peer::Unix(2))),
            (unix(None), None),
        ];
        for (n, (client, from)) in (1..).zip(&clients) {
            client.send_to(b"hello", &path).expect("sent");
            until_in(&mut server, n);
            let heard = server.session().handler().heard.last();
            assert_eq!(heard, Some(&(b"hello".to_vec(), 5, *from)), "{mode}");
            if from.is_some() {
                let mut answer = [0; 8];
                assert_eq!(client.recv(&mut answer).expect("an answer"), 5);
            }
        }
    }
}

#[test]
fn of_unix_senders_the_last_few_are_known() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let folder = Folder::new("few");
        let (mut server, _) = post(mode);
        server.session_mut().handler_mut().silent = true;
        let path = folder.path("post");
        let added = server.datagrams(&Datagrams::on(Address::Unix(&path)));
        let (token, _) = added.expect("a socket");
        // One more than a memory has the names of, unless it says otherwise.
        let clients: Vec<_> = (0..=4)
            .map(|n| unix(Some(&folder.path(&n.to_string()))))
            .collect();
        for (n, client) in (1..).zip(&clients) {
            client.send_to(b"", &path).expect("sent");
            until_in(&mut server, n);
        }
        let last = u32::try_from(clients.len()).expect("few");
        for number in 1..=last {
            let mut all = server.connections();
            let sent = all.send_datagram(token, Peer::Unix(number), b"you");
            assert_eq!(sent, Ok(()));
            server.turn(Some(Duration::ZERO)).expect("a wait");
        }
        let failed = &server.session().handler().failed;
        assert_eq!(failed[..], [Fault::Reset(89)], "{mode}: the first");
        let mut answer = [0; 8];
        for client in &clients[1..] {
            assert_eq!(client.recv(&mut answer).expect("an answer"), 3);
        }
    }
}

#[test]
fn what_is_longer_than_the_window_is_truncated_and_reported() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut server, _) = post(mode);
        let options = Datagrams {
            receive: 8,
            send: 8,
            ..on_v4()
        };
        let (token, address) = add(&mut server, &options);
        let client = udp(V4, address);
        for (n, bytes) in [&[1; 7][..], &[2; 8], &[3; 9], &[4; 5000]]
            .into_iter()
            .enumerate()
        {
            client.send(bytes).expect("sent");
            until_in(&mut server, n as u64 + 1);
            let heard = server.session().handler().heard.last().expect("one");
            let kept = &bytes[..bytes.len().min(8)];
            assert_eq!((&heard.0[..], heard.1), (kept, bytes.len()), "{mode}");
        }
        let from = Peer::Inet(client.local_addr().expect("a name"));
        let long = server.connections().send_datagram(token, from, &[0; 9]);
        assert_eq!(long, Err(SendError::TooLong { window: 8 }));
    }
}

#[test]
fn a_network_error_is_reported_and_ends_nothing() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut server, _) = post(mode);
        let peer = UdpSocket::bind(V4).expect("a port");
        let there = peer.local_addr().expect("a name");
        drop(peer);
        let options = Datagrams {
            peer: Some(Address::Inet(there)),
            ..on_v4()
        };
        let (token, here) = add(&mut server, &options);
        for n in 1..4 {
            let mut all = server.connections();
            assert_eq!(
                all.send_datagram(token, Peer::Inet(there), b"knock"),
                Ok(())
            );
            turn_until(&mut server, "refused", |stats| stats.datagram_faults >= n);
        }
        let refused = Fault::Refused(111);
        assert_eq!(server.session().handler().failed, [refused; 3], "{mode}");
        // Another client comes, and is served.
        let client = udp(there, here);
        client.send(b"here").expect("sent");
        until_in(&mut server, 1);
        let mut answer = [0; 8];
        assert_eq!(client.recv(&mut answer).expect("an answer"), 4, "{mode}");
    }
}

#[test]
fn a_flood_is_received_in_batches_and_others_are_served() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut server, tcp_address) = post(mode);
        server.session_mut().handler_mut().silent = true;
        let (_, address) = add(&mut server, &on_v4());
        thread::scope(|scope| {
            let client = scope.spawn(move || {
                let mut client = tcp(tcp_address);
                for _ in 0..100 {
                    client.echo(b"served");
                }
                client.finish();
                assert_eq!(client.rest(), b"");
            });
            let flood = udp(V4, address);
            scope.spawn(move || {
                // A full queue drops them: that is what datagrams are like.
                for _ in 0..20_000 {
                    flood.send(&[7; 10]).expect("sent");
                }
            });
            // The flood may begin after the client has ended.
            while !client.is_finished() || server.stats().datagrams_in == 0 {
                let before = server.stats().datagrams_in;
                server.turn(Some(Duration::from_millis(1))).expect("a wait");
                let batch = server.stats().datagrams_in - before;
                assert!(batch <= 64, "{mode}: {batch} in a turn");
            }
        });
        assert!(server.stats().datagrams_in > 0, "{mode}");
    }
}

#[test]
fn a_full_table_does_not_stop_datagrams() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut server, tcp_address) = post(mode);
        let (_, address) = add(&mut server, &on_v4());
        let _clients = [tcp(tcp_address), tcp(tcp_address)];
        turn_until(&mut server, "one", |stats| stats.open == 1);
        let client = udp(V4, address);
        for n in 1..5 {
            client.send(b"still").expect("sent");
            until_in(&mut server, n);
            let mut answer = [0; 8];
            assert_eq!(client.recv(&mut answer).expect("an answer"), 5, "{mode}");
        }
        assert_eq!(server.stats().open, 1, "{mode}");
    }
}

#[test]
fn a_unix_receiver_that_does_not_read_is_resource_exhaustion_and_no_spin() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let folder = Folder::new("deaf");
        let (mut server, _) = post(mode);
        let path = folder.path("deaf");
        let client = unix(Some(&path));
        let to = server.destination(&path).expect("a path").peer();
        let options = Datagrams::on(Address::Inet(V4));
        let (token, _) = add(&mut server, &options);
        // The wrong family, first.
        assert_eq!(server.connections().send_datagram(token, to, b"x"), Ok(()));
        turn_until(&mut server, "failed", |stats| stats.datagram_faults == 1);
        let here = folder.path("post");
        let added = server.datagrams(&Datagrams::on(Address::Unix(&here)));
        let (token, _) = added.expect("a socket");
        let mut sent = 0;
        while server.stats().datagram_faults == 1 {
            sent += 1;
            assert!(sent < 100_000, "{mode}: it never gets full");
            assert_eq!(server.connections().send_datagram(token, to, b"x"), Ok(()));
            server.turn(Some(Duration::ZERO)).expect("a wait");
        }
        let failed = server.session().handler().failed.last().copied();
        assert_eq!(failed, Some(Fault::Exhausted(11)), "{mode}");
        assert!(!server.session().machine().has_work(), "{mode}: it spins");
        assert_eq!(client.recv(&mut [0; 8]).expect("one"), 1);
        assert_eq!(server.connections().send_datagram(token, to, b"x"), Ok(()));
        turn_until(&mut server, "room", |stats| stats.datagrams_out == sent);
    }
}

#[test]
fn one_can_be_closed_and_a_stop_waits_for_none() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let mut server = deaf::<1, 64, 64, _>(mode, memory(), &Config::default(), Post::default());
        lend(&mut server);
        let (first, _) = add(&mut server, &on_v4());
        let (second, address) = add(&mut server, &on_v4());
        server.turn(Some(Duration::ZERO)).expect("a wait");
        server.connections().close_datagrams(first);
        server.turn(Some(Duration::ZERO)).expect("a wait");
        let armed: Vec<_> = server.session().armed().map(|(token, ..)| token).collect();
        assert_eq!(armed, [second], "{mode}");
        let gone = server
            .connections()
            .send_datagram(first, Peer::Unix(1), b"");
        assert_eq!(gone, Err(SendError::Closed), "{mode}");
        server.stop();
        server.run().expect("it ends");
        let client = udp(V4, address);
        client.send(b"late").expect("sent");
        until_in(&mut server, 1);
    }
}

#[test]
fn one_bound_elsewhere_is_served_and_no_other_kind() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut server, _) = post(mode);
        let name = format!("tidegate-adopted-{mode}-{}", std::process::id());
        let name = UnixAddress::from_abstract_name(name).expect("a name");
        let socket = UnixDatagram::bind_addr(&name).expect("a socket");
        let options = on_v4();
        let adopted = server.adopt_datagrams(OwnedFd::from(socket), &options);
        assert_eq!(adopted.expect("a socket").1, None);
        let client = unix(None);
        client.send_to_addr(b"hidden", &name).expect("sent");
        until_in(&mut server, 1);
        let stream = TcpListener::bind(V4).expect("a port");
        let refused = server.adopt_datagrams(OwnedFd::from(stream), &options);
        assert_eq!(refused, Err(Error::NotDatagrams), "{mode}");
        let (pipe, _to) = rustix::pipe::pipe().expect("a pipe");
        let refused = server.adopt_datagrams(pipe, &options);
        assert_eq!(refused, Err(Error::NotDatagrams), "{mode}");
    }
}

#[test]
fn what_cannot_be_opened_is_reported_with_its_reason() {
    let _bound = Watchdog::new();
    let (mut server, _) = post(MODES[0]);
    let (_, taken) = add(&mut server, &on_v4());
    let error = server.datagrams(&Datagrams::on(Address::Inet(taken)));
    let error = error.expect_err("taken").to_string();
    assert!(error.contains("address in use"), "{error}");
    let large = Datagrams {
        receive: 16 * 1024,
        ..on_v4()
    };
    let full = Error::Unavailable(Unavailable::DatagramMemory);
    assert_eq!(server.datagrams(&large), Err(full));
    assert!(full.to_string().contains("DatagramMemory"), "{full}");
    assert!(Error::NotDatagrams.to_string().contains("SOCK_DGRAM"));
}

/// What the simulated kernel says of a datagram socket is what Linux says: of one to which a datagram and an ICMP error have come,
/// in every order of receives and sends.
#[test]
fn the_model_of_a_datagram_socket_is_the_kernels() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use tidegate_sim::{DatagramEndpoint, Errno};
    let _bound = Watchdog::new();
    let bits = |socket: &UdpSocket, asked: PollFlags, wait: i64| {
        let mut fds = [PollFd::new(socket, asked)];
        let wait = Timespec {
            tv_sec: wait,
            tv_nsec: 0,
        };
        poll(&mut fds, Some(&wait)).expect("poll");
        fds[0].revents()
    };
    for story in 0..16 {
        let (came, sends) = (story & 1 == 1, story >> 1);
        let peer = UdpSocket::bind(V4).expect("a port");
        let socket = udp(V4, peer.local_addr().expect("bound"));
        socket.set_nonblocking(true).expect("O_NONBLOCK");
        let mut model = DatagramEndpoint::default();
        let here = socket.local_addr().expect("bound");
        if came {
            peer.send_to(b"x", here).expect("sent");
            assert_eq!(bits(&socket, PollFlags::IN, 5), PollFlags::IN);
            model.arrive(1);
        }
        // Nobody is there any more for what is sent.
        drop(peer);
        socket.send(b"y").expect("sent");
        assert_eq!(bits(&socket, PollFlags::empty(), 5), PollFlags::ERR);
        model.refuse();
        let agree = |model: &DatagramEndpoint, call: i32| {
            let all = PollFlags::IN | PollFlags::OUT;
            let said = u32::from(bits(&socket, all, 0).bits());
            assert_eq!(said, model.poll(9).bits(), "{story:04b}, call {call}");
        };
        agree(&model, 0);
        for call in 0..3 {
            let (real, modelled) = if sends >> call & 1 == 1 && model.error.is_some() {
                let sent = socket.send(b"z").map(|_| ());
                (sent, model.send(9))
            } else {
                (socket.recv(&mut [0; 9]).map(|_| ()), model.recv())
            };
            let real = real.map_err(|error| error.raw_os_error());
            let number = |errno: Errno| Some(i32::from(errno.code()));
            assert_eq!(real, modelled.map_err(number), "{story:04b}, call {call}");
            agree(&model, call);
        }
    }
}
