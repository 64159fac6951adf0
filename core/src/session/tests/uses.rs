//! What a handler says that it does not need is not there, and all else is.

use super::*;
use crate::trace::Input;

/// Needs all, or as little as can be said.
struct Lean<const ALL: bool>;

impl<const ALL: bool> Handler for Lean<ALL> {
    type State = ();
    const RECORDS: bool = ALL;
    const SHARES_DESCRIPTORS: bool = ALL;
}

/// Twenty iterations with an event of nothing that lives; the inputs that are kept, how many there were, and how many requests for a new readiness
/// set.
fn after_stale_events<const ALL: bool>() -> (Vec<Input>, u64, u64) {
    let mut memory = Memory::<2, 64, 64>::new();
    let made = Session::new(&mut memory, &Config::default(), Lean::<ALL>);
    let mut session = made.expect("a session");
    let now = crate::Instant::ZERO;
    let listener = session.listen(None).expect("a slot");
    for _ in 0..20 {
        session.handle_event(
            now,
            Event::Ready {
                token: Token::from_bits(1 | 9 << 32),
                directions: Directions::READ,
                closing: false,
            },
        );
        session.connections(now).finish(listener);
        session.handle_timeout(now);
        while session.poll_output(None).is_some() {}
    }
    let inputs = session.machine().recorder().inputs();
    let inputs = inputs.map(|kept| kept.input).collect();
    (inputs, session.stats().stale, session.stats().rebuilds)
}

#[test]
fn what_a_handler_does_not_need_is_not_there() {
    let (inputs, stale, rebuilds) = after_stale_events::<true>();
    assert!(
        inputs.contains(&Input::FinishOf) && inputs.len() == 41,
        "{inputs:?}"
    );
    assert_eq!((stale, rebuilds), (20, 2));
    assert_eq!(after_stale_events::<false>(), (Vec::new(), 20, 0));
}

/// What a transfer comes to is no call's: the receive goes on.
#[test]
fn a_transfer_that_completes_as_a_call_is_dropped_and_counted() {
    let mut world = World::new::<2>(App::echo());
    let who = world.connect();
    let (now, token) = (world.session.machine().now(), world.token(who));
    for op in [Op::Recv, Op::Send] {
        let counted = world.session.stats().unasked;
        (world.session).handle_call(now, token, op, &Outcome::Complete(3));
        assert_eq!(world.session.stats().unasked, counted + 1, "{op:?}");
    }
    world.says(who, b"hello");
    assert_eq!(world.fars[who].heard, b"hello");
}
