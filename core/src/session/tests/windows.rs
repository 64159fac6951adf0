//! Where the bytes lie: windows, the shared scratch buffers in front of them, and that no connection sees a byte of
//! another.

use super::*;

/// A handler that consumes only what the first byte of the data says.
fn takes() -> App {
    App {
        readable: |_, conn, _| {
            while let Some(first) = conn.data().first().copied()
                && conn.data().len() > usize::from(first)
            {
                let whole = &conn.data()[1..=usize::from(first)];
                conn.send(whole).expect("capacity");
                conn.consume(1 + usize::from(first));
            }
        },
        ..App::echo()
    }
}

#[test]
fn a_window_that_has_come_to_its_end_is_moved_to_the_front() {
    let mut world = World::new::<1>(takes());
    let a = world.connect();
    // Eleven bytes of a message of twelve behind a whole one of four: the window of sixteen is full.
    world.says(a, &[3, 1, 2, 3, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(world.fars[a].heard, [1, 2, 3]);
    world.with(a, |_, conn, _| assert_eq!(conn.data().len(), 12));
    world.says(a, &[12, 1, 77]);
    assert_eq!(
        world.fars[a].heard[3..],
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 77]
    );
}

#[test]
fn what_is_left_over_survives_the_service_of_others() {
    let mut world = World::new::<3>(takes());
    let all = [0; 3].map(|_| world.connect());
    for round in 0..10u8 {
        for (who, far) in all.into_iter().enumerate() {
            let mark = round * 3 + u8::try_from(who).expect("three");
            // The second half of its last message, and the first half of the next.
            if round > 0 {
                world.says(far, &[mark - 3; 2]);
            }
            world.says(far, &[5, mark, mark, mark]);
        }
    }
    for (who, far) in all.into_iter().enumerate() {
        let marks = (0..9u8).map(|round| round * 3 + u8::try_from(who).expect("three"));
        let expected: Vec<u8> = marks.flat_map(|mark| [mark; 5]).collect();
        assert_eq!(world.fars[far].heard, expected, "{who}");
    }
}

#[test]
fn output_that_is_left_over_survives_the_output_of_others() {
    let mut world = World::new::<3>(App::echo());
    let all = [0; 3].map(|_| world.connect());
    for far in all {
        world.fars[far].takes = 1;
        world.fars[far].chunk = 2;
    }
    for round in 0..10u8 {
        for far in all {
            let who = u8::try_from(far).expect("three");
            world.says(far, &[who * 50 + round, who * 50 + round, who * 50 + round]);
        }
        for far in all {
            world.takes(far, 2);
        }
    }
    for far in all {
        world.takes(far, usize::MAX);
        let who = u8::try_from(far).expect("three");
        let expected: Vec<u8> = (0..10).flat_map(|round| [who * 50 + round; 3]).collect();
        assert_eq!(world.fars[far].heard, expected, "{who}");
    }
}

#[test]
fn output_is_moved_to_the_front_when_its_end_has_no_capacity() {
    let mut world = World::new::<2>(App::echo());
    // With the shared area its own, and lost to another.
    for lost in [false, true] {
        let (a, b) = (world.connect(), world.connect());
        world.fars[a].takes = 0;
        let filling: Vec<u8> = (0..30).collect();
        world.with(a, |_, conn, _| conn.send(&filling).expect("capacity"));
        world.run();
        world.takes(a, 20);
        if lost {
            world.says(b, b"mine now");
        }
        world.with(a, |_, conn, _| {
            assert_eq!(conn.capacity(), 22);
            assert_eq!(conn.send(&[99; 22]), Ok(()));
        });
        world.run();
        world.takes(a, usize::MAX);
        assert_eq!(world.fars[a].heard[..30], filling);
        assert_eq!(world.fars[a].heard[30..], [99; 22]);
        for who in [a, b] {
            world.with(who, |_, conn, _| conn.abort());
        }
        world.run();
    }
}

#[test]
fn a_new_connection_sees_nothing_of_the_one_before() {
    let mut world = World::new::<1>(App {
        readable: |_, _, _| {},
        ..App::echo()
    });
    let a = world.connect();
    world.fars[a].takes = 0;
    world.says(a, b"secret");
    world.with(a, |_, conn, _| {
        conn.send(b"private").expect("capacity");
        conn.abort();
    });
    world.run();
    let b = world.connect();
    world.with(b, |_, conn, _| {
        assert!(conn.data().is_empty());
        assert_eq!(conn.capacity(), TX);
    });
    world.says(b, b"x");
    world.with(b, |_, conn, _| {
        assert_eq!(conn.data(), b"x");
        conn.send(b"y").expect("capacity");
    });
    world.run();
    assert_eq!(world.fars[b].heard, b"y");
}

/// A connection in slot 0 of which a receive and a send are in flight: its token, and their spans.
fn both_in_flight(world: &mut World) -> (Token, Span, Span) {
    let a = world.connect();
    let token = world.token(a);
    world.with(a, |_, conn, _| conn.send(b"abcd").expect("capacity"));
    world.ready(token, Directions::BOTH);
    world.session.handle_timeout(world.now);
    let actions = [(); 2].map(|()| world.session.poll_output(None));
    let [
        Some(Action::Recv { into, .. }),
        Some(Action::Send { from, .. }),
    ] = actions
    else {
        panic!("{actions:?}");
    };
    (token, into, from)
}

#[test]
fn a_span_is_named_while_its_action_is_in_flight() {
    let mut world = World::new::<1>(App::deaf());
    let (token, into, from) = both_in_flight(&mut world);
    assert_eq!(world.session.receive_into(token, into).len(), RX);
    assert_eq!(world.session.send_from(token, from), b"abcd");
    for (op, n) in [(Op::Recv, 1), (Op::Send, from.len)] {
        let outcome = Outcome::Drained(n);
        world.event(Event::Done { token, op, outcome });
    }
    assert!(world.session.receive_into(token, into).is_empty());
    assert!(world.session.send_from(token, from).is_empty());
}

#[test]
fn a_span_of_an_old_token_is_empty() {
    let mut world = World::new::<1>(App::deaf());
    let gone = world.connect();
    let old = world.token(gone);
    world.with(gone, |_, conn, _| conn.abort());
    world.run();
    let (token, into, from) = both_in_flight(&mut world);
    assert_eq!(token.index(), old.index(), "there is one slot");
    for token in [old, Token::from_bits(0), Token::from_bits(u64::MAX)] {
        assert!(world.session.receive_into(token, into).is_empty());
        assert!(world.session.send_from(token, from).is_empty());
    }
}

#[test]
fn a_span_that_lies_outside_of_its_window_is_empty() {
    let mut world = World::new::<1>(App::deaf());
    let (token, into, _) = both_in_flight(&mut world);
    for (at, len) in [
        (into.len, 1),
        (1, into.len),
        (u32::MAX >> 1, 2),
        (0, u32::MAX >> 1),
        (1, u32::MAX),
        (u32::MAX, u32::MAX),
    ] {
        let span = Span { at, len };
        assert!(world.session.receive_into(token, span).is_empty());
        let behind = Span {
            at: at.saturating_add(into.len),
            len,
        };
        assert!(world.session.send_from(token, behind).is_empty());
    }
}

#[test]
fn what_is_being_sent_does_not_move_whatever_is_queued_behind_it() {
    let mut world = World::new::<1>(App::echo());
    let a = world.connect();
    world.fars[a].takes = 2;
    world.with(a, |_, conn, _| conn.send(b"abcdef").expect("capacity"));
    world.run();
    world.fars[a].takes = usize::MAX;
    let token = world.token(a);
    world.ready(token, Directions::WRITE);
    world.session.handle_timeout(world.now);
    let sending = world.session.poll_output(None);
    let Some(Action::Send { token, from }) = sending else {
        panic!("{sending:?}");
    };
    world.with(a, |_, conn, _| {
        assert_eq!(conn.capacity(), TX - 6, "only what lies behind it");
        conn.spare_capacity()[..3].copy_from_slice(b"ghi");
        conn.commit(3);
        conn.send(&[b'z'; TX - 9]).expect("capacity");
        conn.send(b"x").expect_err("full");
    });
    assert_eq!(world.session.send_from(token, from), b"cdef");
    let done = world.carry_out(Action::Send { token, from });
    world.event(done.expect("an answer"));
    world.run();
    assert_eq!(world.fars[a].heard[..9], *b"abcdefghi");
    assert_eq!(world.fars[a].heard.len(), TX);
}

#[test]
fn the_scratch_buffer_is_the_first_ones_until_its_receive_completes() {
    let mut world = World::new::<2>(App::echo());
    let [a, b] = [world.connect(), world.connect()].map(|who| world.token(who));
    for token in [a, b] {
        world.ready(token, Directions::READ);
    }
    world.session.handle_timeout(world.now);
    for (token, byte) in [(a, b'a'), (b, b'b')] {
        let action = world.session.poll_output(None);
        let Some(Action::Recv { token: of, into }) = action else {
            panic!("{action:?}");
        };
        assert_eq!(of, token);
        world.session.receive_into(token, into)[..2].fill(byte);
        assert_eq!(world.session.received.owner(), a.index());
    }
    for (who, token) in [a, b].into_iter().enumerate() {
        let (op, outcome) = (Op::Recv, Outcome::Drained(2));
        world.event(Event::Done { token, op, outcome });
        world.run();
        assert_eq!(world.fars[who].heard, [[b'a'; 2], [b'b'; 2]][who]);
    }
}
