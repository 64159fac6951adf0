//! The notices of a handler, and what it may do when.

use super::*;
use crate::ignored::Ignored;

#[test]
fn data_comes_in_order_and_consuming_drops_its_front() {
    let mut world = World::new::<1>(App {
        readable: |app, conn, _| {
            app.note(core::str::from_utf8(conn.data()).expect("ASCII"));
            conn.consume(2);
            app.note(core::str::from_utf8(conn.data()).expect("ASCII"));
        },
        ..App::echo()
    });
    let a = world.connect();
    world.says(a, b"abcd");
    world.says(a, b"ef");
    let log = ["opened", "readable", "abcd", "cd", "readable", "cdef", "ef"];
    assert_eq!(world.app().log, log);
    world.with(a, |_, conn, _| {
        conn.consume(usize::MAX);
        assert!(conn.data().is_empty());
    });
}

#[test]
fn send_takes_all_or_nothing() {
    let mut world = World::new::<1>(App::echo());
    let a = world.connect();
    world.fars[a].takes = 0;
    world.with(a, |_, conn, _| {
        assert_eq!(conn.capacity(), TX);
        let window = TX;
        assert_eq!(conn.send(&[0; TX + 1]), Err(SendError::TooLong { window }));
        assert_eq!(conn.send(&[1; TX - 2]), Ok(()));
        assert_eq!(conn.send(b"abc"), Err(SendError::Full { capacity: 2 }));
        assert_eq!(conn.send(b"ab"), Ok(()));
        assert_eq!((conn.capacity(), conn.send(b"")), (0, Ok(())));
        conn.finish();
        assert_eq!(conn.send(b"x"), Err(SendError::Closed));
        assert_eq!(conn.capacity(), 0);
    });
    world.run();
    world.takes(a, usize::MAX);
    let mut expected = alloc::vec![1; TX - 2];
    expected.extend(b"ab");
    assert_eq!(world.fars[a].heard, expected);
    assert!(world.fars[a].got_end);
}

#[test]
fn writable_comes_once_after_full_when_it_fits() {
    let mut world = World::new::<1>(App {
        writable: |_, _, _| {},
        ..App::echo()
    });
    let a = world.connect();
    world.fars[a].takes = 0;
    world.with(a, |_, conn, _| {
        conn.send(&[1; TX]).expect("capacity");
        assert_eq!(conn.send(&[2; 20]), Err(SendError::Full { capacity: 0 }));
    });
    world.run();
    for (taken, told) in [(19, 0), (1, 1), (5, 1), (100, 1)] {
        world.takes(a, taken);
        assert_eq!(world.app().count("writable"), told, "{taken}");
    }
}

#[test]
fn nothing_is_received_while_the_handler_waits_for_capacity() {
    let mut world = World::new::<1>(App::echo());
    let a = world.connect();
    world.fars[a].takes = 0;
    world.with(a, |_, conn, _| {
        conn.send(&[1; TX]).expect("capacity");
        conn.send(b"x").expect_err("full");
    });
    world.says(a, b"abc");
    assert_eq!(
        (world.app().count("readable"), world.fars[a].says.len()),
        (0, 3)
    );
    world.takes(a, usize::MAX);
    assert_eq!(world.fars[a].heard[TX..], *b"abc");
}

/// The echo of the documentation never sees a `Full`: it checks the capacity first.
#[test]
fn an_echo_loses_nothing_to_a_peer_that_reads_late_and_has_finished() {
    let all: Vec<u8> = (0..=255).collect();
    for step in [1, 3, 7, 16, 40, 1000] {
        let mut world = World::new::<1>(App::echo());
        let a = world.connect();
        world.fars[a].takes = 0;
        world.says(a, &all);
        world.finishes(a);
        assert_eq!(
            world.app().count("ended"),
            0,
            "the end comes after the data"
        );
        while !world.fars[a].gone {
            world.takes(a, step);
        }
        assert_eq!(world.fars[a].heard, all, "{step}");
        assert_eq!(world.app().infos[0].1, Reason::PeerFinished);
    }
}

#[test]
fn space_is_filled_in_place_and_committed() {
    let mut world = World::new::<2>(App::echo());
    let (a, b) = (world.connect(), world.connect());
    let other = world.token(b);
    world.with(a, |_, conn, _| {
        conn.commit(5);
        assert_eq!(conn.capacity(), TX, "nothing was lent, nothing is queued");
        assert_eq!(conn.spare_capacity().len(), TX);
        conn.spare_capacity()[..3].copy_from_slice(b"abc");
        conn.commit(3);
        conn.commit(3);
        assert_eq!(conn.capacity(), TX - 3);
        conn.spare_capacity()[..3].copy_from_slice(b"def");
        conn.send_to(other, b"other").expect("capacity");
        conn.commit(3);
        conn.spare_capacity()[..3].copy_from_slice(b"zzz");
        conn.send(b"ghi").expect("capacity");
        conn.commit(3);
    });
    world.run();
    assert_eq!(world.fars[a].heard, b"abcdefghi");
    assert_eq!(world.fars[b].heard, b"other");
    world.with(a, |_, conn, _| {
        conn.spare_capacity()[..5].copy_from_slice(b"first");
        assert_eq!(conn.send_others(b"all"), 0);
        conn.commit(5);
    });
    world.run();
    assert_eq!(world.fars[a].heard[9..], *b"first");
    assert_eq!(world.fars[b].heard[5..], *b"all");
}

#[test]
fn a_pause_holds_data_and_a_resume_notifies_it() {
    let mut world = World::new::<1>(App {
        readable: |_, _, _| {},
        ..App::echo()
    });
    let a = world.connect();
    world.says(a, b"ab");
    world.with(a, |_, conn, _| conn.pause());
    world.says(a, b"cd");
    assert_eq!(world.app().count("readable"), 1);
    world.later(Duration::from_secs(60));
    assert!(!world.fars[a].gone, "the time for a request does not run");
    world.with(a, |app, conn, _| {
        assert_eq!(conn.data(), b"ab");
        conn.resume();
        assert_eq!(app.count("readable"), 1, "not before this visit ends");
    });
    assert_eq!(world.app().count("readable"), 2);
    world.run();
    assert_eq!(
        world.app().count("readable"),
        3,
        "and what had come meanwhile"
    );
    world.with(a, |_, conn, _| assert_eq!(conn.data(), b"abcd"));
}

#[test]
fn a_resume_that_is_undone_notifies_nothing() {
    let acts: [fn(&mut Conn<'_>); 4] = [
        |conn| conn.pause(),
        |conn| conn.finish(),
        |conn| conn.abort(),
        |conn| conn.consume(2),
    ];
    for act in acts {
        let mut world = World::new::<1>(App::deaf());
        let a = world.connect();
        world.says(a, b"ab");
        world.with(a, |_, conn, _| {
            conn.resume();
            act(conn);
        });
        assert_eq!(world.app().count("readable"), 1);
        world.run();
    }
}

#[test]
fn a_message_longer_than_the_window_ends_the_connection() {
    let mut world = World::new::<1>(App::deaf());
    let a = world.connect();
    world.says(a, &[7; RX - 1]);
    assert!(!world.fars[a].gone);
    world.says(a, &[7; 5]);
    assert_eq!(world.app().infos[0].1, Reason::TooLong);
}

#[test]
fn what_is_reserved_is_filled_in_and_committed_whole() {
    let mut world = World::new::<1>(App {
        writable: |_, _, _| {},
        ..App::echo()
    });
    let a = world.connect();
    world.fars[a].takes = 0;
    world.with(a, |_, conn, _| {
        let window = TX;
        let no = conn.reserve(TX + 1).map(|space| space.len());
        assert_eq!(no, Err(SendError::TooLong { window }));
        let space = conn.reserve(TX).expect("an empty window");
        assert_eq!(space.len(), TX);
        space[..3].copy_from_slice(b"abc");
        conn.commit(3);
        assert_eq!(conn.capacity(), TX - 3);
        let full = conn.reserve(TX - 2).map(|space| space.len());
        assert_eq!(full, Err(SendError::Full { capacity: TX - 3 }));
    });
    world.run();
    assert_eq!(world.app().count("writable"), 0);
    world.takes(a, 1);
    assert_eq!(world.app().count("writable"), 1, "now it would fit");
    world.with(a, |_, conn, _| {
        conn.reserve(TX - 2)
            .expect("capacity behind what is queued")
            .fill(b'd');
        conn.commit(usize::MAX);
        assert_eq!(conn.capacity(), 0, "no more than was reserved");
        conn.finish();
        let closed = conn.reserve(0).map(|space| space.len());
        assert_eq!(closed, Err(SendError::Closed));
    });
    world.takes(a, usize::MAX);
    let mut expected = b"abc".to_vec();
    expected.extend([b'd'; TX - 2]);
    assert_eq!(world.fars[a].heard, expected);
}

#[test]
fn an_application_may_find_a_message_too_long() {
    let mut world = World::new::<1>(App {
        readable: |_, conn, _| {
            conn.send(b"no").expect("capacity");
            conn.too_long();
            conn.finish();
        },
        ..App::echo()
    });
    let a = world.connect();
    world.says(a, b"xx");
    assert_eq!(world.fars[a].heard, b"no");
    assert!(world.fars[a].got_end && !world.fars[a].gone, "it lingers");
    world.finishes(a);
    assert_eq!(world.app().infos[0].1, Reason::TooLong);
}

#[test]
fn finishing_sends_what_is_queued_and_an_abort_does_not() {
    let mut world = World::new::<2>(App::echo());
    let (a, b) = (world.connect(), world.connect());
    for who in [a, b] {
        world.fars[who].takes = 0;
        world.says(who, b"abc");
    }
    world.with(a, |_, conn, _| conn.finish());
    world.with(b, |_, conn, _| conn.abort());
    world.takes(a, 100);
    world.takes(b, 100);
    assert_eq!(
        (&*world.fars[a].heard, world.fars[a].got_end),
        (&b"abc"[..], true)
    );
    assert_eq!(
        (&*world.fars[b].heard, world.fars[b].got_end),
        (&b""[..], false)
    );
    world.finishes(a);
    let reasons: Vec<Reason> = world
        .app()
        .infos
        .iter()
        .map(|(_, reason)| *reason)
        .collect();
    assert_eq!(reasons, [Reason::Aborted, Reason::Finished]);
}

#[test]
fn bytes_for_others_reach_them_and_not_oneself() {
    let mut world = World::new::<3>(App {
        readable: |app, conn, missed| {
            *missed += conn.send_others(conn.data());
            conn.consume(usize::MAX);
            app.other = Some(conn.token());
        },
        ..App::echo()
    });
    let [a, b, c] = [0; 3].map(|_| world.connect());
    world.says(a, b"hello");
    assert_eq!(world.fars[a].heard, b"");
    assert_eq!(world.fars[b].heard, b"hello");
    assert_eq!(world.fars[c].heard, b"hello");
    world.fars[c].takes = 0;
    world.says(a, &[1; RX]);
    world.says(a, &[2; RX]);
    world.says(a, &[3; 1]);
    world.with(a, |_, _, missed| {
        assert_eq!(*missed, 1, "it fits on one of two")
    });
    assert_eq!(world.fars[b].heard.len(), 5 + 2 * RX + 1);
    world.takes(c, 100);
    assert_eq!(world.fars[c].heard.len(), 5 + 2 * RX, "all or nothing");
    assert_eq!(world.app().count("writable"), 0, "nobody is told");
    let (own, gone) = (world.token(a), world.token(c));
    world.with(c, |_, conn, _| conn.abort());
    world.run();
    world.with(a, |_, conn, _| {
        assert_eq!(conn.send_to(gone, b"x"), Err(SendError::Closed));
        assert_eq!(conn.send_to(own, b"me"), Ok(()));
        assert_eq!(conn.connections().count(), 2);
    });
    world.run();
    assert_eq!(world.fars[a].heard, b"me");
}

/// Each has a receive window to forward, and the send buffer of the receiver takes two of them: it is sent from in between.
#[test]
fn a_peer_that_takes_all_misses_nothing_of_what_many_say_at_once() {
    let mut world = World::new::<7>(App {
        readable: |_, conn, missed| {
            *missed += conn.send_others_where(conn.data(), |info| info.bytes_in == 0);
            conn.consume(usize::MAX);
        },
        ..App::echo()
    });
    let hears = world.connect();
    let say = [0; 6].map(|_| world.connect());
    for who in say {
        world.fars[who].says = alloc::vec![1; RX];
        let token = world.token(who);
        world.ready(token, Directions::READ);
    }
    world.run();
    assert_eq!(world.fars[hears].heard.len(), say.len() * RX);
}

#[test]
fn a_connection_is_lent_by_its_token_until_it_is_closed() {
    let mut world = World::new::<1>(App::echo());
    let a = world.connect();
    let said = world.with(a, |_, conn, _| conn.send(b"out of turn").is_ok());
    assert_eq!(said, Some(true));
    world.run();
    assert_eq!(world.fars[a].heard, b"out of turn");
    world.with(a, |_, conn, _| conn.abort());
    world.run();
    assert_eq!(world.with(a, |_, _, _| ()), None);
    let b = world.connect();
    assert_eq!(world.token(a).index(), world.token(b).index());
    assert_eq!(
        world.with(a, |_, _, _| ()),
        None,
        "an old token names nobody"
    );
}

#[test]
fn the_state_of_a_connection_is_new_and_its_own() {
    let mut world = World::new::<2>(App {
        readable: |_, conn, lines| {
            *lines += 1;
            conn.consume(usize::MAX);
        },
        ..App::echo()
    });
    let (a, b) = (world.connect(), world.connect());
    world.says(a, b"x");
    world.says(a, b"x");
    world.says(b, b"x");
    assert_eq!(world.with(a, |_, _, lines| *lines), Some(2));
    assert_eq!(world.with(b, |_, _, lines| *lines), Some(1));
    world.with(a, |_, conn, _| conn.abort());
    world.run();
    let c = world.connect();
    assert_eq!(world.token(c).index(), world.token(a).index());
    assert_eq!(world.with(c, |_, _, lines| *lines), Some(0));
}

#[test]
fn closed_has_a_final_snapshot_and_nothing_can_be_sent_to_it() {
    let mut world = World::new::<2>(App {
        closed: |app, conn, _| {
            assert!(conn.data().is_empty());
            assert_eq!(conn.send(b"x"), Err(SendError::Closed));
            assert_eq!(conn.send_to(conn.token(), b"x"), Err(SendError::Closed));
            assert_eq!((conn.capacity(), conn.spare_capacity().len()), (0, 0));
            conn.commit(3);
            conn.consume(3);
            conn.pause();
            conn.resume();
            conn.finish();
            conn.abort();
            assert_eq!(conn.connections().count(), 1);
            if let Some(other) = app.other {
                conn.send_to(other, b"gone").expect("capacity");
            }
        },
        ..App::echo()
    });
    let (a, b) = (world.connect(), world.connect());
    world.app().other = Some(world.token(b));
    let opened_at = world.now;
    world.says(a, b"abc");
    world.later(Duration::from_secs(1));
    world.finishes(a);
    let expected = Info {
        peer: Peer::Inet(address(a + 1)),
        listener: 0,
        outbound: false,
        origin: None,
        opened_at,
        bytes_in: 3,
        bytes_out: 3,
        ignored: Ignored::NONE,
    };
    assert_eq!(world.app().infos, [(expected, Reason::PeerFinished)]);
    world.run();
    assert_eq!(world.fars[b].heard, b"gone");
}

#[test]
fn a_handler_may_do_anything_in_any_call() {
    let acts: [Call; 8] = [
        |_, conn, _| conn.finish(),
        |_, conn, _| conn.abort(),
        |_, conn, _| conn.pause(),
        |_, conn, _| conn.resume(),
        |_, conn, _| {
            let _ = conn.send(&[1; TX]);
        },
        |_, conn, _| {
            conn.send_others(&[2; TX]);
        },
        |_, conn, _| conn.consume(usize::MAX),
        |app, conn, _| {
            conn.spare_capacity().fill(3);
            let _ = app.other.map(|other| conn.send_to(other, b"xyz"));
            conn.commit(usize::MAX);
            conn.resume();
            conn.finish();
            conn.abort();
        },
    ];
    for (number, act) in acts.into_iter().enumerate() {
        for call in 0..5 {
            let mut app = App::echo();
            match call {
                0 => app.opened = act,
                1 => app.readable = act,
                2 => app.writable = act,
                3 => app.ended = act,
                _ => app.closed = act,
            }
            let mut world = World::with_config::<2>(
                app,
                &Config {
                    full: FullTable::Evict,
                    ..Config::default()
                },
            );
            let (a, b) = (world.connect(), world.connect());
            world.app().other = Some(world.token(b));
            for who in [a, b] {
                world.fars[who].takes = 3;
                world.says(who, &[9; RX + 3]);
                world.takes(who, 3);
                world.finishes(who);
            }
            let by = world.now.plus(Duration::from_secs(5));
            world.session.stop(by);
            world.later(Duration::from_secs(6));
            assert!(world.session.is_stopped(), "act {number} in call {call}");
            let (opened, closed) = (world.app().count("opened"), world.app().count("closed"));
            assert_eq!((opened, closed), (2, 2), "act {number} in call {call}");
        }
    }
}

#[test]
fn one_that_has_consumed_everything_receives_more_though_there_is_no_capacity_to_reply() {
    let mut world = World::new::<1>(App {
        readable: |_, conn, _| conn.consume(conn.data().len()),
        ..App::echo()
    });
    let a = world.connect();
    world.fars[a].takes = 0;
    world.with(a, |_, conn, _| conn.send(&[b'x'; TX]).expect("capacity"));
    world.run();
    world.says(a, b"one");
    world.says(a, b"two");
    assert_eq!(world.app().count("readable"), 2);
}

/// A wait during which nothing is received is replaced, between iterations, by one during which bytes are: what has come
/// meanwhile is received now, and not when the wait is over.
#[test]
fn waiting_with_reading_kept_up_replaces_a_wait_that_suspends_it() {
    for trigger in [Trigger::Level, Trigger::Edge, Trigger::Oneshot] {
        let app = App {
            readable: |_, conn, _| {
                conn.consume(conn.data().len());
                let _ = conn.send(&[7; TX]);
            },
            ..App::echo()
        };
        let config = Config {
            trigger,
            ..Config::default()
        };
        let mut world = World::with_config::<2>(app, &config);
        let a = world.connect();
        world.fars[a].takes = 0;
        for bytes in [b"queued", b"waits!", b"unread"] {
            world.says(a, bytes);
        }
        assert_eq!(world.app().count("readable"), 2, "{trigger:?}: suspended");
        world.with(a, |_, conn, _| conn.want_capacity(TX));
        world.run();
        assert_eq!(world.app().count("readable"), 3, "{trigger:?}");
    }
}

/// A driver that completes later, so that a receive is in flight while a connection is borrowed.
#[test]
fn what_is_consumed_by_one_that_begins_to_linger_is_dropped_once() {
    let memory = Box::leak(Box::new(Memory::<1, RX, TX, u32>::new()));
    let mut session = Session::new(memory, &Config::default(), App::deaf()).expect("sound");
    let listener = session.listen(None).expect("a slot");
    let now = Instant::from_nanos(1 << 40);
    let event = |session: &mut Session<'_, App>, token, op, outcome| {
        session.handle_event(now, Event::Done { token, op, outcome });
    };
    session.handle_event(
        now,
        Event::Ready {
            token: listener,
            directions: Directions::READ,
            closing: false,
        },
    );
    session.handle_timeout(now);
    let mut who = None;
    let mut received = 0;
    while let Some(action) = session.poll_output(None) {
        match action {
            Action::Accept { token, .. } => {
                who = Some(token);
                event(&mut session, token, Op::Accept, Outcome::Accepted(None));
            }
            Action::Recv { token, .. } if received == 0 => {
                received = 3;
                event(&mut session, token, Op::Recv, Outcome::Complete(3));
                session.with(token, |_, conn, _| conn.shut_down());
            }
            Action::Shutdown { token } => {
                event(&mut session, token, Op::Shutdown, Outcome::Complete(0));
            }
            // The second receive stays in flight.
            Action::Recv { .. } | Action::Arm { .. } => {}
            Action::Refuse { .. }
            | Action::Connect { .. }
            | Action::Send { .. }
            | Action::Unsent { .. }
            | Action::ReceiveFrom { .. }
            | Action::SendTo { .. }
            | Action::Cancel { .. }
            | Action::Close { .. }
            | Action::Rebuild => unreachable!("{action:?}"),
        }
    }
    let token = who.expect("accepted");
    session.with(token, |_, conn, _| {
        assert_eq!(conn.data().len(), 3);
        conn.finish();
        conn.consume(3);
    });
    laws::assert_laws(session.machine());
}
