//! A thousand connections at once each get their own bytes back.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, pattern, tcp};
use tests::process::Program;

const CONNECTIONS: usize = 1000;

#[test]
fn a_thousand_at_once() {
    let _bound = Watchdog::new();
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("RLIMIT_NOFILE");
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
