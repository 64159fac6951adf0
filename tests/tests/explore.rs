//! Every order of events that a small world of one connection allows, through the real dispatcher: no law is broken,
//! all comes to rest if all behave, and the states follow each other as documented.

use tests::explore::{Limits, Settings, explore, images_hold_all, leaves_out_nothing_that_matters};
use tidegate_core::Trigger;

/// More than the largest of these worlds has.
const STATES: usize = 800_000;

const LIMITS: Limits = Limits {
    states: STATES,
    memory: 256 << 20,
    threads: 1,
    progress: false,
};

const TRIGGERS: [Trigger; 3] = [Trigger::Level, Trigger::Edge, Trigger::Oneshot];

/// Which rows of the documented table a world shows.
#[derive(PartialEq)]
enum Rows {
    All,
    /// No other, but not all.
    Known,
}

fn closes(trigger: Trigger) {
    closes_of(Settings::small(trigger), Rows::All);
}

fn closes_of(settings: Settings, rows: Rows) {
    let report = explore(settings, LIMITS);
    if let Some(way) = report.broken {
        panic!("{}", way.join("\n"));
    }
    assert!(report.closed, "more than {STATES} states");
    assert_eq!(report.seen.undocumented(), [""; 0], "not documented");
    if rows == Rows::All {
        let missing = report.seen.missing(&settings);
        assert_eq!(missing, [""; 0], "documented and not seen");
    }
    let (waits, _) = report.patience.expect("it closed");
    assert!(waits <= 3, "at rest only after {waits} deadlines");
}

#[test]
fn level_closes() {
    closes(Trigger::Level);
}

#[test]
fn edge_closes() {
    closes(Trigger::Edge);
}

#[test]
fn oneshot_closes() {
    closes(Trigger::Oneshot);
}

/// A timer that is due in the same poll as bytes, as a deadline, as both: it fires, once, in time, before anything else of the
/// iteration; and all comes to rest as without one.
#[test]
fn a_timer_fires_in_time_whatever_comes_with_it() {
    for trigger in TRIGGERS {
        closes_of(Settings::timed(trigger), Rows::Known);
    }
}

/// A connection that the application asked for is connected, refused, too late or given up, and its application is notified of
/// one of that, once; then it is a connection like any other.
#[test]
fn what_is_connected_closes() {
    for trigger in TRIGGERS {
        closes_of(Settings::outbound(trigger), Rows::All);
    }
}

/// Whatever comes to a datagram socket, and whatever its application and the kernel do with it: what waits is received, or its
/// socket rests for a while; what is sent leaves or is given up, and who waits for that is notified, once.
#[test]
fn a_datagram_socket_closes() {
    closes_of(Settings::datagrams(Trigger::Level), Rows::All);
    // A connection's trigger is none of its own.
    for trigger in TRIGGERS {
        let settings = Settings {
            rounds: true,
            spurious: false,
            stale: false,
            every_fault: false,
            ..Settings::datagrams(trigger)
        };
        closes_of(settings, Rows::Known);
    }
}

#[test]
fn images_hold_all_that_matters_of_a_datagram_socket() {
    let tried = images_hold_all(Settings::datagrams(Trigger::Level), LIMITS, 997);
    assert!(tried.unwrap_or_else(|way| panic!("{way}")) > 10_000);
}

/// What a state is compared by leaves out only what has no bearing on what comes next.
#[test]
fn images_hold_all_that_matters() {
    for trigger in TRIGGERS {
        let tried = images_hold_all(Settings::small(trigger), LIMITS, 97);
        assert!(tried.unwrap_or_else(|way| panic!("{trigger:?}: {way}")) > 10_000);
        let tried = images_hold_all(Settings::stopped(trigger), LIMITS, 199);
        assert!(tried.unwrap_or_else(|way| panic!("{trigger:?}: {way}")) > 10_000);
        let tried = images_hold_all(Settings::outbound(trigger), LIMITS, 499);
        assert!(tried.unwrap_or_else(|way| panic!("{trigger:?}: {way}")) > 10_000);
    }
}

/// What a state of these worlds leaves out on top of that has no bearing on what comes next, either: of the world of one connection in
/// every state, of the others in some of those that are reached first.
#[test]
fn what_is_left_out_does_not_matter() {
    for trigger in TRIGGERS {
        let two = Settings::of(2, trigger);
        let one = Settings {
            connections: 1,
            ..two
        };
        let small = Settings::small(trigger);
        let first = Limits {
            states: 10_000,
            ..LIMITS
        };
        let sampled = [
            small,
            two,
            Settings::timed(trigger),
            Settings::stopped(trigger),
            Settings::beside(trigger),
        ];
        let sampled = sampled.map(|settings| (settings, first, 7));
        for (settings, limits, every) in [(one, LIMITS, 1)].into_iter().chain(sampled) {
            let compared = leaves_out_nothing_that_matters(settings, limits, every);
            let compared = compared.unwrap_or_else(|why| panic!("{settings:?}: {why}"));
            assert!(compared > 10_000, "{settings:?}: {compared}");
        }
    }
}

/// An application that stops at any time, by a deadline or at once: what has come is received and answered, all is closed when the
/// time is over, whatever peers and kernel do, and then nothing is called any more.
#[test]
fn a_stop_closes() {
    // By edge nothing is ever half closed.
    closes_of(Settings::stopped(Trigger::Edge), Rows::Known);
    for trigger in [Trigger::Level, Trigger::Oneshot] {
        closes_of(Settings::stopped(trigger), Rows::All);
    }
}

/// A datagram socket beside a connection: both are in one iteration of one operation, and their applications send to each other. By
/// one trigger here; by each, with more datagrams, in the long run.
#[test]
fn a_datagram_socket_beside_a_connection_closes() {
    closes_of(Settings::beside(Trigger::Edge), Rows::Known);
}
