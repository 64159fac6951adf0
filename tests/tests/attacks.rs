//! Whatever attackers do, a well-behaved client with another source address is served, memory and descriptors stay as
//! they are, and nothing is printed raw.
//!
//! The figures are the binary's: `cargo run --release -p tests --bin attack`.

use core::time::Duration;
use std::thread;
use tests::attack::{ATTACKS, Length};
use tests::bounded::{Watchdog, until};
use tests::modes::SLEEPING;
use tests::net::{Client, tcp, wake_ups};
use tests::process::Program;

/// One test for each attack, so that they run side by side and a failure has its name.
macro_rules! attacks {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                let _bound = Watchdog::new();
                let attack = ATTACKS.iter().find(|attack| attack.name == $name);
                let attack = attack.expect("an attack");
                // What the kernel forgets it forgets seldom.
                let visits = if $name == "reset-behind-bytes" { 400 } else { 40 };
                let report = attack.play(Length::Visits(visits));
                assert_eq!(attack.judge(&report), Ok(()));
            }
        )*

        #[test]
        fn no_attack_is_forgotten() {
            let tested = [$($name),*];
            assert!(ATTACKS.iter().map(|attack| attack.name).eq(tested));
        }
    };
}

attacks! {
    none: "none",
    slow_loris: "slow-loris",
    slow_loris_many: "slow-loris-many",
    silent_many: "silent-many",
    never_reading: "never-reading",
    connect_flood: "connect-flood",
    connect_flood_many: "connect-flood-many",
    reset_flood: "reset-flood",
    half_close: "half-close",
    endless_lines: "endless-lines",
    escapes: "escapes",
    port_scan: "port-scan",
    one_byte: "one-byte",
    reset_behind_bytes: "reset-behind-bytes",
}

#[test]
#[ignore = "takes ten seconds"]
fn nothing_wakes_an_idle_server() {
    let _bound = Watchdog::new();
    let mut servers = SLEEPING.map(|mode| {
        let mut program = Program::start(&mode.with(&["--service", "echo"]));
        let mut clients: Vec<_> = (0..100).map(|_| tcp(program.address())).collect();
        clients.iter_mut().for_each(|client| client.echo(b"hello"));
        assert_eq!(program.statistics()["open"], 100);
        (program, clients)
    });
    // The last line has been written, and its writer waits for the next.
    thread::sleep(Duration::from_millis(200));
    let count = |(program, _): &(Program, _)| wake_ups(program.pid());
    let before: Vec<_> = servers.iter().map(count).collect();
    thread::sleep(Duration::from_secs(10));
    let after: Vec<_> = servers.iter().map(count).collect();
    assert_eq!(before, after);
    for (server, before) in servers.iter_mut().zip(before) {
        server.1.iter_mut().for_each(|client| client.echo(b"hello"));
        until("it is counted when it sleeps again", || {
            count(server) > before
        });
    }
}
