//! The flight recorder has what went in, and in which order.

use super::*;
use alloc::string::ToString;

fn lines(world: &World) -> Vec<String> {
    let recorder = world.session.machine().recorder();
    recorder.marks().map(|mark| mark.to_string()).collect()
}

#[test]
fn a_life_is_told() {
    let mut app = App::echo();
    app.timer = |_, conn, _| conn.shut_down();
    let mut world = World::new::<2>(app);
    let who = world.connect();
    world.says(who, b"hello");
    let after = Duration::from_millis(3);
    world.lend(who, |_, conn, _| conn.set_timer(after));
    world.later(after);
    world.finishes(who);
    let told = [
        "listener 0 added",
        // The clock of these tests begins somewhere.
        "+1099.511627776 s",
        "listener 0 ready: R",
        "#0 accept: a peer",
        "#0 told: 0 bytes consumed, 0 queued",
        "#0 recv: would block",
        "#0 ready: R",
        "#0 recv: 5, then would block",
        "#0 told: 5 bytes consumed, 5 queued",
        "#0 send: 5",
        "#0 lent",
        "#0 set_timer: 3000 us",
        "#0 told: 0 bytes consumed, 0 queued",
        "+0.003000000 s",
        "#0 timer told",
        "#0 shut_down",
        "#0 told: 0 bytes consumed, 0 queued",
        "#0 shutdown: 0",
        "#0 ready: R, closing",
        "#0 recv: 0",
        "#0 finish",
        "#0 told: 0 bytes consumed, 0 queued",
        "#0 close: 0",
    ];
    assert_eq!(lines(&world), told);
}

#[test]
fn only_the_last_are_kept() {
    let mut world = World::new::<2>(App::echo());
    let who = world.connect();
    for _ in 0..100 {
        world.says(who, b"hello");
    }
    let lines = lines(&world);
    assert_eq!(lines.len(), crate::trace::MARKS);
    assert_eq!(lines.last().map(String::as_str), Some("#0 send: 5"));
}
