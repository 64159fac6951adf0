//! Addresses without responses.

use super::*;
use core::net::Ipv4Addr;

const TO: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), 80);

/// As Linux 6.18 has it in a network namespace without a route: the socket can try again, and keeps no error.
#[test]
fn without_a_route_a_connect_fails_at_once_and_leaves_its_socket_as_it_was() {
    let (mut kernel, _, _, _) = tcp();
    kernel.set_route(TO.ip(), Some(Route::Missing));
    let socket = kernel.socket_from(Family::Tcp, None).unwrap();
    let fresh = kernel.poll(socket);
    for _ in 0..2 {
        assert_eq!(kernel.connect_to(socket, TO), Err(Errno::NETUNREACH));
        assert_eq!(kernel.take_error(socket), Ok(None));
        assert_eq!(kernel.poll(socket), fresh);
    }
    // A connect that fails at once waits for nothing that a signal could interrupt.
    kernel.faults = Faults::at(0, Call::Connect, Fault::Errno(Errno::INTR));
    assert_eq!(kernel.connect_to(socket, TO), Err(Errno::NETUNREACH));
    assert_eq!(kernel.faults.taken().len(), 1);
    kernel.set_route(TO.ip(), None);
    assert_eq!(kernel.connect_to(socket, TO), Err(Errno::INPROGRESS));
    assert_eq!(kernel.take_connected(socket), Ok(()), "the listener at 80");
}

#[test]
fn a_connect_whose_packets_are_lost_goes_on_and_reports_nothing() {
    let (mut kernel, set, _, _) = tcp();
    kernel.set_route(TO.ip(), Some(Route::Lost));
    let socket = kernel.socket_from(Family::Tcp, None).unwrap();
    assert_eq!(kernel.connect_to(socket, TO), Err(Errno::INPROGRESS));
    let all = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::PRI;
    kernel.epoll_add(set, socket, all, 1).unwrap();
    // It has begun, whatever becomes of the route.
    for route in [Some(Route::Lost), Some(Route::Missing), None] {
        kernel.set_route(TO.ip(), route);
        assert_eq!(kernel.all(set), []);
        assert_eq!(kernel.take_connected(socket), Err(Errno::INPROGRESS));
        assert_eq!(kernel.connect_to(socket, TO), Err(Errno::ALREADY));
        assert_eq!(kernel.send(socket, b"x"), Err(Errno::AGAIN));
        assert_eq!(kernel.received(socket, 9), Err(Errno::AGAIN));
    }
    kernel.close(socket).unwrap();
    assert_eq!(kernel.all(set), []);
    // A Unix stream takes no such way.
    kernel.set_route(TO.ip(), Some(Route::Lost));
    let socket = kernel.socket_from(Family::Unix, None).unwrap();
    assert_eq!(kernel.connect_to(socket, TO), Err(Errno::CONNREFUSED));
}

#[test]
fn a_connect_to_a_host_that_is_not_there_fails_when_it_is_given_up() {
    let (mut kernel, set, _, _) = tcp();
    kernel.set_route(TO.ip(), Some(Route::Unresolved));
    let sockets = [(); 2].map(|()| kernel.socket_from(Family::Tcp, None).unwrap());
    assert!(!kernel.resolves(TO.ip()));
    for (socket, data) in sockets.into_iter().zip(1..) {
        assert_eq!(kernel.connect_to(socket, TO), Err(Errno::INPROGRESS));
        kernel.epoll_add(set, socket, Flags::OUT, data).unwrap();
    }
    assert_eq!(kernel.all(set), []);
    assert!(kernel.resolves(TO.ip()));
    kernel.give_up(TO.ip());
    let flags = Flags::OUT | Flags::ERR | Flags::HUP;
    assert_eq!(kernel.all(set), [(1, flags), (2, flags)]);
    for socket in sockets {
        assert_eq!(kernel.take_connected(socket), Err(Errno::HOSTUNREACH));
    }
    assert!(!kernel.resolves(TO.ip()));
    kernel.give_up(TO.ip());
    assert_eq!(
        kernel
            .poll(sockets[0])
            .map(|state| state.contains(Flags::ERR)),
        Ok(false)
    );
}
