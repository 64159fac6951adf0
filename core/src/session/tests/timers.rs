//! Timers: exact, none early, none lost, in order; one for each connection, and free ones.

use super::*;

const NANO: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);

impl World {
    fn all(&mut self) -> Connections<'_> {
        self.session.connections(self.now)
    }
}

/// The notices at the next due time, reached without a detour.
fn to_next(world: &mut World) -> Duration {
    let due = world.session.poll_timeout().expect("something is due");
    let length = due.since(world.now);
    world.now = due;
    world.run();
    length
}

#[test]
fn a_connection_is_notified_at_the_moment_and_once() {
    let mut world = World::new::<2>(App::echo());
    let who = world.connect();
    world.with(who, |_, conn, _| conn.set_timer(SECOND));
    world.later(SECOND - NANO);
    assert_eq!(world.app().count("timer"), 0, "early");
    assert_eq!(
        to_next(&mut world),
        NANO,
        "the loop is called at the moment"
    );
    assert_eq!(world.app().count("timer"), 1);
    world.later(SECOND * 20);
    assert_eq!(world.app().count("timer"), 1, "once");
}

#[test]
fn bytes_do_not_move_it_and_setting_it_again_does() {
    let mut world = World::new::<2>(App::echo());
    let who = world.connect();
    world.with(who, |_, conn, _| conn.set_timer(SECOND));
    world.later(SECOND / 2);
    world.says(who, b"still here");
    let token = world.token(who);
    let due = world.session.machine().timer(token);
    assert_eq!(due, Some(world.now.plus(SECOND / 2)));
    world.with(who, |_, conn, _| conn.set_timer(SECOND));
    world.later(SECOND - NANO);
    assert_eq!(world.app().count("timer"), 0, "it was replaced");
    world.with(who, |_, conn, _| conn.cancel_timer());
    world.later(SECOND);
    assert_eq!(world.app().count("timer"), 0, "it was taken away");
    assert_eq!(world.session.machine().timer(token), None);
}

#[test]
fn it_goes_with_its_connection() {
    let mut world = World::new::<1>(App::echo());
    let who = world.connect();
    world.with(who, |_, conn, _| {
        conn.set_timer(SECOND);
        conn.abort();
        conn.set_timer(SECOND);
    });
    world.run();
    let old = world.token(who);
    assert_eq!(world.app().count("closed"), 1);
    world.all().set_timer_of(old, SECOND);
    let next = world.connect();
    assert_eq!(world.token(next).index(), old.index(), "the same place");
    world.later(SECOND * 2);
    assert_eq!(world.app().count("timer"), 0, "that of another");
}

#[test]
fn a_period_is_neither_lost_nor_moved_by_being_late() {
    let mut world = World::new::<1>(App::echo());
    let start = world.now;
    let mut all = world.all();
    all.set_interval(2, SECOND).expect("a timer");
    all.set_timer(0, SECOND * 3).expect("a timer");
    world.later(SECOND);
    world.later(SECOND * 7 / 2);
    assert_eq!(world.app().ticks, [(2, 1), (2, 3), (0, 1)], "by their dues");
    let due = world.session.machine().free_timer(2);
    assert_eq!(due, Some(start.plus(SECOND * 5)), "the old beat");
    assert_eq!(to_next(&mut world), SECOND / 2);
    world.all().cancel_timer(2);
    assert_eq!(world.session.poll_timeout(), None, "tickless");
    let told: u64 = world.app().ticks.iter().map(|(_, periods)| *periods).sum();
    assert_eq!(told, 1 + 5);
}

#[test]
fn what_is_due_together_comes_in_the_order_in_which_it_was_set() {
    let mut world = World::new::<2>(App::echo());
    let (one, two) = (world.connect(), world.connect());
    world.app().timer = |app, conn, _| app.ticks.push((100 + conn.token().index(), 0));
    let (one, two) = (world.token(one), world.token(two));
    let mut all = world.all();
    all.set_timer(7, SECOND).expect("a timer");
    all.set_timer_of(two, SECOND);
    all.set_timer(3, SECOND).expect("a timer");
    all.set_timer_of(one, SECOND);
    world.later(SECOND);
    assert_eq!(world.app().ticks, [(7, 1), (101, 0), (3, 1), (100, 0)]);
}

#[test]
fn one_iteration_fires_a_bounded_number_and_the_next_the_rest() {
    let mut world = World::new::<100>(App::echo());
    for _ in 0..100 {
        let who = world.connect();
        world.with(who, |_, conn, _| conn.set_timer(SECOND));
    }
    world.now = world.now.plus(SECOND);
    world.session.handle_timeout(world.now);
    assert_eq!(world.app().count("timer"), 64);
    assert!(
        world.session.poll_timeout() <= Some(world.now),
        "no sleep before the rest"
    );
    world.run();
    assert_eq!(world.app().count("timer"), 100);
}

#[test]
fn a_timer_that_is_set_in_its_timer_waits_for_the_next_turn() {
    let mut world = World::new::<1>(App::echo());
    let who = world.connect();
    world.app().timer = |_, conn, _| conn.set_timer(Duration::ZERO);
    world.app().tick = |_, all, timer| {
        all.set_interval(timer, Duration::ZERO).expect("a timer");
    };
    world.with(who, |_, conn, _| {
        conn.set_timer(Duration::ZERO);
        conn.all().set_interval(0, Duration::ZERO).expect("a timer");
    });
    for turn in 1..10 {
        world.now = world.now.plus(NANO);
        world.session.handle_timeout(world.now);
        assert_eq!(world.app().count("timer"), turn, "once in a turn");
        assert_eq!(world.app().ticks.len(), turn, "once in a turn");
    }
}

#[test]
fn a_tick_reaches_every_connection() {
    let mut world = World::new::<4>(App::echo());
    let (one, two, three) = (world.connect(), world.connect(), world.connect());
    world.app().other = Some(world.token(three));
    world.app().tick = |app, all, _| {
        let three = app.other.expect("named");
        assert_eq!(all.send_all(b"beat"), 0);
        assert_eq!(all.send_to(three, b", last"), Ok(()));
        assert_eq!(all.tokens().count(), 3);
        all.finish(three);
        assert_eq!(all.send_to(three, b"!"), Err(SendError::Closed));
    };
    let mut all = world.all();
    all.set_timer(0, SECOND).expect("a timer");
    world.later(SECOND);
    assert_eq!(world.fars[one].heard, b"beat");
    assert_eq!(world.fars[two].heard, b"beat");
    assert_eq!(world.fars[three].heard, b"beat, last");
    assert!(world.fars[three].got_end);
}

#[test]
fn there_are_so_many_free_ones() {
    let mut world = World::new::<1>(App::echo());
    let last = 15;
    let mut all = world.all();
    assert_eq!(all.set_timer(last, SECOND), Ok(()));
    let beyond = all.set_timer(last + 1, SECOND).expect_err("beyond");
    assert_eq!(
        std::format!("{beyond}"),
        "no timer 16; the memory has 16, numbered from 0: raise its TIMERS"
    );
    assert!(all.set_interval(u32::MAX, SECOND).is_err());
    all.cancel_timer(u32::MAX);
}

#[test]
fn it_is_counted_from_the_time_that_is_passed_with_the_borrow() {
    let mut world = World::new::<1>(App::echo());
    // The last iteration was long ago.
    world.now = world.now.plus(SECOND * 100);
    world.all().set_timer(0, SECOND).expect("a timer");
    world.later(SECOND - NANO);
    assert_eq!(world.app().ticks, [], "early");
    world.later(NANO);
    assert_eq!(world.app().ticks, [(0, 1)]);
}

#[test]
fn one_that_never_comes_does_not_wake_the_loop() {
    let mut world = World::new::<1>(App::echo());
    let mut all = world.all();
    all.set_timer(0, Duration::MAX).expect("a timer");
    assert_eq!(world.session.poll_timeout(), None);
}

#[test]
fn a_new_session_in_old_memory_has_no_timer() {
    let mut memory = Memory::<1, RX, TX, u32>::new();
    for _ in 0..2 {
        let mut session =
            Session::new(&mut memory, &Config::default(), App::echo()).expect("sound");
        let listener = session.listen(None).expect("a place");
        let now = Instant::from_nanos(5);
        session.handle_timeout(now);
        while session.poll_output(None).is_some() {}
        session.handle_event(
            now,
            Event::Ready {
                token: listener,
                directions: Directions::READ,
                closing: false,
            },
        );
        let Some(Action::Accept { token, .. }) = session.poll_output(None) else {
            panic!("no accept");
        };
        let outcome = Outcome::Accepted(Some(address(1)));
        session.handle_event(
            now,
            Event::Done {
                token,
                op: Op::Accept,
                outcome,
            },
        );
        assert_eq!(session.machine().timer(token), None);
        let mut all = session.connections(now);
        all.set_timer_of(token, SECOND);
        all.set_timer(0, SECOND).expect("a timer");
        assert_eq!(session.machine().timer(token), Some(now.plus(SECOND)));
        laws::assert_laws(session.machine());
    }
}

#[test]
fn a_timer_takes_24_bytes() {
    type One = Memory<1, RX, TX>;
    assert_eq!(One::TIMER, 24);
    const { assert!(One::CONNECTION + One::TIMER <= 160) };
}
