//! What one handler may know of other connections, and do to them.

use super::*;

#[test]
fn counters_and_others_can_be_read() {
    let mut world = World::new::<3>(App::echo());
    let (a, b) = (world.connect(), world.connect());
    world.says(b, b"hello");
    let other = world.token(b);
    world.with(a, |_, conn, _| {
        assert_eq!((conn.stats().open, conn.stats().bytes_in), (2, 5));
        let info = conn.info_of(other).expect("a connection");
        assert_eq!((info.bytes_in, info.bytes_out), (5, 5));
        assert_eq!(conn.info_of(conn.token()), Some(conn.info()));
        assert_eq!(conn.info_of(Token::new(2, 1)), None);
    });
}

#[test]
fn another_is_aborted_and_notified_itself_is_not() {
    let mut world = World::new::<3>(App::echo());
    let (a, b) = (world.connect(), world.connect());
    let (own, other) = (world.token(a), world.token(b));
    world.with(a, |app, conn, _| {
        assert!(!conn.abort_other(own), "that is abort()");
        assert!(!conn.abort_other(Token::new(2, 1)), "nobody");
        assert!(conn.abort_other(other));
        assert_eq!(app.count("closed"), 0, "in its turn");
    });
    world.run();
    assert!(world.fars[b].gone && !world.fars[a].gone);
    world.with(a, |_, conn, _| {
        assert!(!conn.abort_other(other), "it is gone");
        assert_eq!(conn.info_of(other), None);
    });
    world.says(a, b"still here");
    assert_eq!(world.fars[a].heard, b"still here");
}

#[test]
fn only_those_that_are_meant_are_sent_to() {
    let mut world = World::new::<3>(App::echo());
    let all = [world.connect(), world.connect(), world.connect()];
    world.says(all[1], b"x");
    world.with(all[0], |_, conn, _| {
        assert_eq!(
            conn.send_others_where(b"spoken", |info| info.bytes_in > 0),
            0
        );
        assert_eq!(
            conn.send_others_where(&[0; TX + 1], |info| info.bytes_in == 0),
            1
        );
    });
    world.run();
    assert_eq!(world.fars[all[1]].heard, b"xspoken");
    assert_eq!(world.fars[all[2]].heard, b"");
    assert_eq!(world.fars[all[0]].heard, b"", "never itself");
}
