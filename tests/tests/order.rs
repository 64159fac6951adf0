//! FIFO: the source that was ready first is serviced first, and newcomers come in a few at a time.

use core::time::Duration;
use std::os::unix::net::UnixStream;
use tests::bounded::Watchdog;
use tests::modes::{EPOLL, MODES, Mode};
use tests::net::{Client, unix};
use tests::process::Folder;
use tests::server::{AnyServer, deaf, memory, turn_until};
use tidegate::{Address, Config, Conn, Handler, Listen, Peer};

/// Records the order of the senders.
#[derive(Default)]
struct Roll(Vec<Peer>);

impl Handler for Roll {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        self.0.push(conn.peer());
        conn.consume(conn.data().len());
    }
}

/// A server on a Unix socket, where what is sent is there before the call returns, and so many clients.
fn crowd<const N: usize>(mode: Mode, folder: &Folder) -> (AnyServer<Roll>, Vec<UnixStream>) {
    let path = folder.path("place");
    let mut server = deaf(
        mode,
        memory::<N, 64, 64, ()>(),
        &Config::default(),
        Roll::default(),
    );
    server
        .listen(&Listen::on(Address::Unix(&path)))
        .expect("listening");
    let clients = (0..N).map(|_| unix(&path)).collect();
    (server, clients)
}

#[test]
fn the_first_that_was_ready_is_served_first() {
    let _bound = Watchdog::new();
    // The others report in the order of their list: which was ready first is unknown.
    for mode in EPOLL {
        let folder = Folder::new("order");
        let (mut server, mut clients) = crowd::<8>(mode, &folder);
        turn_until(&mut server, "all are there", |stats| stats.accepted == 8);
        for _ in 0..4 {
            // The events of their connecting are forgotten.
            server.turn(Some(Duration::ZERO)).expect("a wait");
        }
        let order = [5, 2, 7, 0, 3, 6, 1, 4];
        for who in order {
            clients[who].say(b"x");
        }
        server.turn(Some(Duration::ZERO)).expect("a wait");
        // Peers are numbered from 1 in the order of their accepts, which is that of their connecting.
        let expected = order.map(|who| Peer::Unix(u32::try_from(who).expect("few") + 1));
        assert_eq!(server.session().handler().0, expected, "{mode}");
    }
}

#[test]
fn a_crowd_comes_in_a_few_at_a_time() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let folder = Folder::new("crowd");
        let (mut server, _clients) = crowd::<40>(mode, &folder);
        // The first iteration registers the listener.
        for _ in 0..2 {
            server.turn(Some(Duration::ZERO)).expect("a wait");
        }
        let accepted = server.stats().accepted;
        assert!((1..=16).contains(&accepted), "{accepted} in one turn");
        turn_until(&mut server, "all are there", |stats| stats.accepted == 40);
        let failures = server.stats().accept_failures;
        assert_eq!(failures, 0, "no accept was tried in vain");
    }
}
