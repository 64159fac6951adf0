//! What a handler and a driver may query, and the default methods of a handler.

use super::*;
use alloc::format;

#[test]
fn a_connection_knows_its_peer_and_time() {
    let mut world = World::new::<2>(App::echo());
    let a = world.connect();
    world.says(a, b"abc");
    world.later(Duration::from_secs(3));
    let now = world.now;
    let token = world.token(a);
    world.with(a, |_, conn, _| {
        let info = conn.info();
        assert_eq!(conn.peer(), Peer::Inet(address(1)));
        assert_eq!((conn.token(), conn.listener()), (token, 0));
        assert_eq!((conn.age(), conn.now()), (Duration::from_secs(3), now));
        assert_eq!((info.bytes_in, info.bytes_out), (3, 3));
        assert_eq!(info.opened_at.plus(conn.age()), now);
        assert!(conn.connections().eq([token]));
    });
}

#[test]
fn a_session_shows_its_parts() {
    let config = Config {
        trigger: Trigger::Edge,
        ..Config::default()
    };
    let mut world = World::with_config::<2>(App::echo(), &config);
    let a = world.connect();
    let (listener, token) = (world.listener, world.token(a));
    let session = &world.session;
    assert_eq!(session.stats().open, 1);
    assert_eq!(session.handler().count("opened"), 1);
    assert_eq!(session.machine().trigger(), Trigger::Edge);
    assert!(session.armed().eq([
        (token, Directions::BOTH, Trigger::Edge),
        (listener, Directions::READ, Trigger::Level)
    ]));
    assert!(format!("{session:?}").contains("open: 1"), "{session:?}");
}

/// Writes nothing of a handler.
struct Silent;

impl Handler for Silent {
    type State = ();
}

#[test]
fn an_unwritten_handler_discards_and_finishes() {
    let mut world = World::new::<2>(App {
        opened: |_, conn, _| Silent.opened(conn, &mut ()),
        readable: |_, conn, _| Silent.readable(conn, &mut ()),
        writable: |_, conn, _| Silent.writable(conn, &mut ()),
        ended: |_, conn, _| Silent.ended(conn, &mut ()),
        closed: |_, conn, _| Silent.closed(conn, &mut (), Reason::PeerFinished),
        ..App::echo()
    });
    let a = world.connect();
    world.says(a, b"abc");
    world.with(a, |_, conn, _| assert_eq!(conn.data(), b"", "consumed"));
    world.fars[a].takes = 0;
    world.with(a, |_, conn, _| {
        conn.send(&[b'x'; TX]).expect("capacity");
        conn.send(b"y").expect_err("full");
    });
    world.run();
    world.takes(a, TX);
    assert_eq!(world.app().count("writable"), 1);
    world.finishes(a);
    assert_eq!(world.app().infos[0].1, Reason::PeerFinished);
    assert!(world.fars[a].gone);
}

#[test]
fn memory_that_was_used_is_as_good_as_new() {
    let mut memory = Memory::<2, RX, TX, u32>::default();
    let config = Config {
        hash_seed: 7,
        ..Config::default()
    };
    for _ in 0..2 {
        let mut session = Session::new(&mut memory, &config, App::echo()).expect("sound");
        let listener = session.listen(Some(1)).expect("a place");
        let now = Instant::ZERO;
        for outcome in [1, 2].map(|who| Outcome::Accepted(Some(address(who)))) {
            let token = listener;
            let directions = Directions::READ;
            let closing = false;
            session.handle_timeout(now);
            session.handle_event(
                now,
                Event::Ready {
                    token,
                    directions,
                    closing,
                },
            );
            while let Some(action) = session.poll_output(None) {
                if let Action::Accept { token, .. } = action {
                    let op = Op::Accept;
                    session.handle_event(now, Event::Done { token, op, outcome });
                    break;
                }
            }
        }
        // Were the counts of the first use still there, the first connection would be the second of its source.
        let stats = session.stats();
        assert_eq!((stats.accepted, stats.refused_source), (1, 1));
    }
}

#[test]
fn a_connection_costs_what_it_says() {
    // A slot, a record, the count of a source, and the state.
    assert_eq!(Memory::<2, RX, TX, u32>::CONNECTION, 64 + 64 + 8 + 4);
}
