//! Ten thousand connections in a row leave no descriptor and no memory behind.

use tests::bounded::{Watchdog, until};
use tests::net::{Client, descriptors, pattern, resident, tcp};
use tests::process::Program;

/// Until every page that will ever be used has been.
const WARM_UP: u64 = 1000;
const CONNECTIONS: u64 = 10_000;

/// A leak of 14 bytes for each connection would be more.
const BOUND: u64 = 128 * 1024;

#[test]
fn nothing_is_left() {
    let _bound = Watchdog::new();
    let mut program = Program::start(&["--service", "echo"]);
    let address = program.address();
    let serve = |from: u64, to: u64| {
        for n in from..to {
            let mut client = tcp(address);
            client.echo(&pattern(n, 100));
        }
    };
    let idle = descriptors(program.pid());
    serve(0, WARM_UP);
    program.statistics_when("closed_peer_finished", WARM_UP);
    let before = resident(program.pid());
    serve(WARM_UP, WARM_UP + CONNECTIONS);
    let statistics = program.statistics_when("closed_peer_finished", WARM_UP + CONNECTIONS);
    until("every descriptor is closed", || {
        descriptors(program.pid()) == idle
    });
    let after = resident(program.pid());
    assert!(
        after <= before + BOUND,
        "{before} bytes resident before, {after} after"
    );
    let of = |name: &str| statistics[name];
    assert_eq!([of("open"), of("accepted")], [0, WARM_UP + CONNECTIONS]);
    assert_eq!(
        [of("stale"), of("unasked"), of("repairs"), of("rebuilds")],
        [0; 4]
    );
    assert_eq!(program.stop().code, Some(0));
}
