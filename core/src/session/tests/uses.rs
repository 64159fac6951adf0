//! What a handler says that it does not need is not there, and all else is.

use super::*;
use crate::config::Class;
use crate::event::Fault;
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
    let inputs = session.machine().last_inputs();
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

/// Echoes, and pauses at a `p`; waits out what goes wrong, or does not.
struct Tried<const PATIENT: bool> {
    closed: Option<Reason>,
}

impl<const PATIENT: bool> Handler for Tried<PATIENT> {
    type State = ();
    const PATIENT: bool = PATIENT;

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        if conn.data() == b"p" {
            conn.pause();
        }
        if conn.send(conn.data()).is_ok() {
            conn.consume(conn.data().len());
        }
    }

    fn closed(&mut self, _: &mut Conn<'_>, (): &mut (), reason: Reason) {
        self.closed = Some(reason);
    }
}

/// What happens to a connection that has sent a byte, to be echoed.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Trouble {
    /// Each receive fails for resource exhaustion.
    NoMemoryToReceive,
    /// Each send does.
    NoMemoryToSend,
    /// The peer takes nothing.
    Stall,
    /// It pauses, and the peer hangs up both ways.
    HangUp,
}

/// Why the connection ended within a minute, if it did, and whether the driver was asked about it.
fn troubled<const PATIENT: bool>(trouble: Trouble, trigger: Trigger) -> (Option<Reason>, bool) {
    const EXHAUSTED: Outcome = Outcome::Failed(Fault::Exhausted(105));
    let mut memory = Memory::<1, 8, 8>::new();
    let config = Config {
        trigger,
        ..Config::default()
    };
    let handler = Tried::<PATIENT> { closed: None };
    let mut session = Session::new(&mut memory, &config, handler).expect("a session");
    let listener = session.listen(None).expect("a slot");
    let mut now = Instant::from_nanos(1 << 40);
    let (mut said, mut hung, mut asked) = (false, false, false);
    let ready = |token, directions, closing| Event::Ready {
        token,
        directions,
        closing,
    };
    session.handle_event(now, ready(listener, Directions::READ, false));
    for _ in 0..120 {
        session.handle_timeout(now);
        while let Some(action) = session.poll_output(None) {
            let outcome = match action {
                Action::Accept { .. } => Outcome::Accepted(None),
                Action::Recv { .. } if trouble == Trouble::NoMemoryToReceive => EXHAUSTED,
                Action::Recv { .. } if said => Outcome::Drained(0),
                Action::Recv { token, into } => {
                    said = true;
                    let byte = if trouble == Trouble::HangUp {
                        b'p'
                    } else {
                        b'x'
                    };
                    session.receive_into(token, into)[0] = byte;
                    Outcome::Drained(1)
                }
                Action::Send { .. } if trouble == Trouble::NoMemoryToSend => EXHAUSTED,
                Action::Send { .. } if trouble == Trouble::Stall => Outcome::Drained(0),
                Action::Send { from, .. } => Outcome::Complete(from.len),
                Action::Unsent { .. } => {
                    asked = true;
                    Outcome::Drained(1)
                }
                Action::Arm { .. } | Action::Cancel { .. } | Action::Rebuild => continue,
                Action::Refuse { .. }
                | Action::Connect { .. }
                | Action::Shutdown { .. }
                | Action::ReceiveFrom { .. }
                | Action::SendTo { .. }
                | Action::Close { .. } => Outcome::Complete(0),
            };
            let (token, op) = action.operation().expect("it completes");
            session.handle_event(now, Event::Done { token, op, outcome });
        }
        let token = session.connections(now).tokens().next();
        if let Some(token) = token
            && trouble == Trouble::HangUp
            && !hung
        {
            hung = true;
            session.handle_event(now, ready(token, Directions::NONE, true));
        }
        now = now.plus(Duration::from_millis(500));
    }
    (session.handler().closed, asked)
}

/// By every trigger: a server with patience has all of them live through a minute, or asks before it gives them up; one without
/// closes each, and asks nothing.
#[test]
fn a_server_without_patience_ends_what_is_in_trouble() {
    let failed = |kind: fn(u16) -> Fault, code| Reason::Failed(kind(code));
    for trigger in [Trigger::Level, Trigger::Edge, Trigger::Oneshot] {
        for (trouble, reason, asks) in [
            (
                Trouble::NoMemoryToReceive,
                failed(Fault::Exhausted, 105),
                false,
            ),
            (Trouble::NoMemoryToSend, failed(Fault::Exhausted, 105), true),
            (Trouble::Stall, Reason::Deadline(Class::WriteStall), true),
            (Trouble::HangUp, failed(Fault::Reset, 0), true),
        ] {
            let (_, asked) = troubled::<true>(trouble, trigger);
            assert_eq!(asked, asks, "{trouble:?} {trigger:?}");
            let stays = trouble == Trouble::HangUp && trigger == Trigger::Edge;
            let reason = (!stays).then_some(reason);
            let told = troubled::<false>(trouble, trigger);
            assert_eq!(told, (reason, false), "{trouble:?} {trigger:?}");
        }
    }
}
