//! The flight recorder has what went in, and in which order.

use super::*;
use alloc::string::ToString;

/// Each input without its time.
fn lines(world: &World) -> Vec<String> {
    let line = |kept: crate::trace::RecordedInput| kept.to_string();
    let without_time = |line: String| line.split_once(' ').map(|(_, rest)| rest.to_string());
    (world.session.machine())
        .last_inputs()
        .map(line)
        .filter_map(without_time)
        .collect()
}

#[test]
fn a_life_is_notified() {
    let mut app = App::echo();
    app.timer = |_, conn, _| conn.shut_down();
    let mut world = World::new::<2>(app);
    let who = world.connect();
    world.says(who, b"hello");
    let after = Duration::from_millis(3);
    world.with(who, |_, conn, _| conn.set_timer(after));
    world.later(after);
    world.finishes(who);
    let told = [
        "listener 0 Listen { limited: false, per_source: 0 }",
        "listener 0 Ready { directions: R, closing: false }",
        "#0 Accept: a peer",
        "#0 Handled { consumed: 0, queued: 0 }",
        "#0 Recv: would block",
        "#0 Ready { directions: R, closing: false }",
        "#0 Recv: 5, then would block",
        "#0 Handled { consumed: 5, queued: 5 }",
        "#0 Send: 5",
        "#0 With",
        "#0 SetTimer { micros: 3000 }",
        "#0 Handled { consumed: 0, queued: 0 }",
        "#0 Due",
        "#0 ShutDown",
        "#0 Handled { consumed: 0, queued: 0 }",
        "#0 Shutdown: 0",
        "#0 Ready { directions: R, closing: true }",
        "#0 Recv: 0",
        "#0 Finish",
        "#0 Handled { consumed: 0, queued: 0 }",
        "#0 Close: 0",
    ];
    assert_eq!(lines(&world), told);
    // The clock of these tests begins somewhere.
    let begun = crate::Instant::from_nanos(1 << 40);
    let times: Vec<_> = (world.session.machine().last_inputs())
        .map(|kept| kept.at.nanos_since(begun))
        .collect();
    let later = 3_000_000;
    assert_eq!(times[..12], [0; 12]);
    assert_eq!(times[12..], [later; 9]);
}

#[test]
fn only_the_last_are_kept() {
    let mut world = World::new::<2>(App::echo());
    let who = world.connect();
    for _ in 0..100 {
        world.says(who, b"hello");
    }
    let lines = lines(&world);
    assert_eq!(lines.len(), crate::trace::RECORDED);
    assert_eq!(lines.last().map(String::as_str), Some("#0 Send: 5"));
}
