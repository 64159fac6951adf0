//! A thousand connections at once each get their own bytes back, and nearly as many as the program has slots.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, pattern, tcp};
use tests::process::Program;

const CONNECTIONS: usize = 1000;

#[test]
fn a_thousand_at_once() {
    let _bound = Watchdog::new();
    raise_limit();
    for mode in MODES {
        let mut program = Program::start(&mode.with(&["--service", "echo"]));
        let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| tcp(program.address())).collect();
        for round in 0..3 {
            let message = |n: usize| pattern((round * CONNECTIONS + n) as u64, 100 + n);
            for (n, client) in clients.iter_mut().enumerate() {
                client.say(&message(n));
            }
            for (n, client) in clients.iter_mut().enumerate().rev() {
                client.hear(&message(n));
            }
        }
        let statistics = program.statistics();
        assert_eq!(statistics["open"], CONNECTIONS as u64);
        for client in &mut clients {
            client.finish();
            assert_eq!(client.rest(), b"");
        }
        drop(clients);
        let statistics = program.statistics_when("closed_peer_finished", CONNECTIONS as u64);
        let of = |name: &str| statistics[name];
        assert_eq!([of("open"), of("peak"), of("accepted")], [0, 1000, 1000]);
        assert_eq!(
            [of("stale"), of("unasked"), of("repairs"), of("rebuilds")],
            [0; 4]
        );
        assert_eq!(program.stop().code, Some(0));
    }
}

#[test]
fn nineteen_thousand_at_once() {
    let _bound = Watchdog::new();
    let limit = raise_limit();
    // Of what a process may open, a few are no connections.
    let possible = limit.maximum.map_or(u64::MAX, |most| most - 100);
    let connections = usize::try_from(possible.min(19_000)).expect("19,000 at most");
    let asked = connections.to_string();
    let arguments = ["--service", "echo", "--connections", &asked];
    let mut program = Program::start(&arguments);
    // Never more at once than the listener's queue holds: a client that finds it full believes to be connected, and
    // learns much later that it is not (`listen(2)`, tcp_abort_on_overflow of `tcp(7)`).
    let mut clients = Vec::new();
    for open in (1..=connections).filter(|open| open % CONNECTIONS == 0 || *open == connections) {
        clients.resize_with(open, || tcp(program.address()));
        program.statistics_when("open", open as u64);
    }
    for (n, client) in (0..).zip(&mut clients).step_by(7) {
        client.echo(&pattern(n, 100));
    }
    assert_eq!(program.statistics()["refused_full"], 0);
    drop(clients);
    let statistics = program.statistics_when("closed_peer_finished", connections as u64);
    assert_eq!((statistics["open"], statistics["stale"]), (0, 0));
    assert_eq!(program.stop().code, Some(0));
}

/// Lets this process open what it may.
fn raise_limit() -> Rlimit {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("RLIMIT_NOFILE");
    raised
}
