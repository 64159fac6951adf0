//! Outbound connections as a handler sees them, and two connections in one service.

use super::*;
use crate::config::Class;
use crate::destination::Destination;
use crate::event::Fault;
use crate::session::SendError;

const TO: Destination = Destination::Registered(0);
const REFUSED: Fault = Fault::Refused(111);

/// Forwards what was received to `to`, as far as its send capacity goes, and keeps the rest until there is more.
fn pump(from: &mut Conn<'_>, to: Token) {
    let data = from.data();
    let sent = from.with(to, |to| {
        let n = data.len().min(to.capacity());
        let sent = to.send(&data[..n]).map_or(0, |()| n);
        to.want_capacity(data.len() - sent);
        sent
    });
    from.consume(sent.unwrap_or(0));
    if from.data().is_empty() {
        from.resume();
    } else {
        from.pause();
    }
}

/// Connects for each accepted connection, and forwards both ways.
fn relay() -> App {
    App {
        opened: |app, conn, _| match conn.origin() {
            None => app.other = conn.connect(TO).ok(),
            Some(origin) => {
                let to = conn.token();
                conn.with(origin, |from| pump(from, to));
            }
        },
        readable: |app, conn, _| {
            let to = conn.origin().or(app.other).expect("a pair");
            pump(conn, to);
        },
        writable: |app, conn, _| {
            let from = conn.origin().or(app.other).expect("a pair");
            let to = conn.token();
            conn.with(from, |from| pump(from, to));
        },
        ended: |app, conn, _| {
            let to = conn.origin().or(app.other).expect("a pair");
            conn.with(to, |to| to.shut_down());
        },
        ..App::echo()
    }
}

#[test]
fn what_is_passed_on_is_held_back_by_whom_it_is_passed_on_to() {
    let mut world = World::new::<4>(relay());
    world.connect();
    let (a, b) = (0, 1);
    assert_eq!(world.fars.len(), 2, "connected");
    world.fars[b].takes = 0;
    let sent: Vec<u8> = (0..200).collect();
    world.says(a, &sent);
    assert_eq!(world.fars[b].heard, b"");
    assert_eq!(
        world.fars[a].says.len(),
        200 - RX - TX,
        "no more is received"
    );
    // The other way goes on meanwhile.
    world.says(b, b"the other way");
    assert_eq!(world.fars[a].heard, b"the other way");
    for _ in 0..60 {
        world.takes(b, 5);
    }
    assert_eq!(world.fars[b].heard, sent);
    // Each FIN is forwarded, and the other direction stays open.
    world.finishes(a);
    assert!(world.fars[b].got_end && !world.fars[a].got_end);
    world.says(b, b"more");
    assert_eq!(world.fars[a].heard, b"the other waymore");
    world.finishes(b);
    assert!(world.fars[a].got_end);
    assert_eq!(world.app().count("ended"), 2);
}

#[test]
fn a_failure_is_notified_once_with_a_fresh_state() {
    let mut world = World::new::<2>(App {
        closed: |app, conn, state| {
            assert_eq!(*state == 0, conn.info().outbound, "the state of another");
            assert_eq!(conn.data(), b"");
            assert_eq!(conn.send(b"x"), Err(SendError::Closed));
            if app.infos.len() < 5 {
                app.other = conn.connect(TO).ok();
                // It may have the slot of the one that is gone, which must not be mistaken for it.
                conn.finish();
                conn.abort();
                conn.shut_down();
            }
        },
        opened: |_, _, state| *state = 7,
        ..App::echo()
    });
    world.connects = Outcome::Failed(REFUSED);
    let token = world.session.connect(TO).expect("a place");
    let info = world.session.machine().info(token).expect("known");
    assert!(info.outbound && info.origin.is_none());
    world.run();
    assert_eq!(world.app().log, ["closed"; 5]);
    let infos = world.app().infos.clone();
    for (info, reason) in infos {
        assert_eq!(reason, Reason::Failed(REFUSED));
        assert!(info.outbound);
        assert_eq!(info.peer, Peer::Registered(0));
    }
    // A slot that was used before.
    world.connects = Outcome::Complete(0);
    let used = world.connect();
    world.with(used, |_, conn, _| conn.abort());
    world.app().log.clear();
    world.run();
    world.connects = Outcome::Failed(REFUSED);
    world.session.connect(TO).expect("a place");
    world.run();
    assert_eq!(world.app().log, ["closed", "closed"]);
}

#[test]
fn one_that_is_not_open_can_be_lent_and_given_up() {
    let mut world = World::new::<2>(App::echo());
    world.connects = Outcome::Drained(0);
    let token = world.session.connect(TO).expect("a place");
    world.run();
    let capacity = world.session.with(token, |_, conn, state| {
        assert_eq!(*state, 0);
        *state = 9;
        assert_eq!(conn.send(b"x"), Err(SendError::Closed));
        conn.capacity()
    });
    assert_eq!(capacity, Some(0));
    world.session.with(token, |_, conn, state| {
        assert_eq!(*state, 0, "a state begins when it is opened");
        conn.abort();
    });
    world.run();
    assert_eq!(world.app().log, ["closed"]);
    assert_eq!(world.session.with(token, |_, _, _| ()), None);
    let late = world.session.connect(TO).expect("a place");
    world.run();
    world.later(Duration::from_secs(10));
    let reason = world.app().infos.last().expect("closed").1;
    assert_eq!(reason, Reason::Deadline(Class::Connect));
    assert_eq!(world.session.machine().info(late), None);
}

#[test]
fn a_third_is_not_lent_and_nothing_is_consumed_twice() {
    let mut world = World::new::<4>(App::deaf());
    let (a, b, c) = (world.connect(), world.connect(), world.connect());
    world.says(a, b"abcdef");
    world.says(b, b"123456");
    let (a_token, b_token, c_token) = (world.token(a), world.token(b), world.token(c));
    world.with(a, |_, conn, _| {
        conn.consume(1);
        assert_eq!(conn.with(a_token, |_| ()), None, "itself");
        conn.with(b_token, |other| {
            assert_eq!(other.data(), b"123456");
            other.consume(2);
            assert_eq!(other.with(c_token, |_| ()), None, "a third");
            let back = other.with(a_token, |back| {
                assert_eq!(back.data(), b"");
                back.consume(4);
                back.send(b"back")
            });
            assert_eq!(back, Some(Ok(())));
        });
        assert_eq!(conn.data(), b"bcdef");
        conn.consume(1);
    });
    world.run();
    assert_eq!(world.fars[a].heard, b"back");
    world.with(a, |_, conn, _| assert_eq!(conn.data(), b"cdef"));
    world.with(b, |_, conn, _| assert_eq!(conn.data(), b"3456"));
}
