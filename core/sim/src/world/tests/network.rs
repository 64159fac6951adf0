//! Connects to addresses without responses.

use super::*;
use crate::{Call, Errno};
use tidegate_core::Destination;
use tidegate_core::Fault as Cause;
use tidegate_core::Instant;

/// Records the notices of connects, and when.
#[derive(Default)]
struct Notes(Vec<(Token, Reason, Instant)>);

impl Handler for Notes {
    type State = ();
    fn opened(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        panic!("{:?} was opened", conn.token());
    }
    fn closed(&mut self, conn: &mut Conn<'_>, (): &mut (), reason: Reason) {
        assert!(conn.info().outbound);
        self.0.push((conn.token(), reason, conn.now()));
    }
}

/// The result of a connect to `to`, notified once, `after` the connect or within so many rounds of that, and its slot
/// is free: on each interface, three times in a table of two slots (a pending accept holds one), also if the call is
/// interrupted.
fn ends(to: SocketAddr, expected: Reason, after: Duration, rounds: u32) {
    let interrupted = Faults::at(0, Call::Connect, Fault::Errno(Errno::INTR));
    for interface in Interface::ALL {
        for faults in [Faults::none(), interrupted.clone()] {
            let mut memory = Memory::<2, 64, 64>::new();
            let setup = Setup {
                faults,
                ..setup(1, interface)
            };
            let mut world = World::new(&mut memory, &setup, Notes::default()).unwrap();
            for told in 1..=3 {
                let begun = world.now();
                let to = Destination::Inet(to);
                let token = world.connections().connect(to).expect("a place");
                let before = world.round;
                if let Some(early) = after.checked_sub(Duration::from_millis(1)) {
                    world.run_for(early).unwrap();
                    assert_eq!(world.handler().0.len() + 1, told, "{interface:?}: early");
                }
                world.run_for(Duration::from_secs(60)).unwrap();
                assert!(world.round - before < 30, "{interface:?}: it spins");
                let notes = &world.handler().0;
                assert_eq!(notes.len(), told, "{interface:?}");
                let (closed, reason, when) = notes[told - 1];
                assert_eq!((closed, reason), (token, expected), "{interface:?}");
                let took = when.since(begun);
                let bound = after..=after + rounds * ROUND;
                assert!(bound.contains(&took), "{interface:?}: after {took:?}");
                assert_eq!(world.session.machine().connections().count(), 0);
            }
            assert_eq!(world.told(), []);
            world.settle().unwrap();
        }
    }
}

#[test]
fn an_unanswered_connect_ends_by_its_deadline() {
    let length = Config::default().connect.expect("a deadline");
    let expected = Reason::Deadline(Class::Connect);
    ends(World::<Notes>::UNANSWERED, expected, length, 4);
}

#[test]
fn a_connect_to_an_unreachable_network_fails_at_once() {
    let expected = Reason::Failed(Cause::Unreachable(Errno::NETUNREACH.code()));
    ends(World::<Notes>::UNREACHABLE, expected, Duration::ZERO, 4);
}

#[test]
fn a_connect_to_an_absent_host_fails_when_it_is_given_up() {
    let expected = Reason::Failed(Cause::Unreachable(Errno::HOSTUNREACH.code()));
    // The time runs from the call, which the completion world may make some rounds after it was issued.
    let length = Duration::from_secs(3);
    ends(World::<Notes>::ABSENT, expected, length, 12);
}
