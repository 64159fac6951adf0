//! What is not there yet at boot ends nothing: an address to listen at, an interface, the log, the service manager. SIGHUP
//! ends nothing either.

use core::net::SocketAddr;
use rustix::process::Signal;
use std::process::Command;
use tests::bounded::Watchdog;
use tests::namespace::{in_namespace, ip};
use tests::net::{Client, tcp, unix};
use tests::process::{Folder, Program, example, program, run};

/// The program and the examples that listen at an address, each with what else it needs.
const ALL: [(&str, &[&str]); 7] = [
    ("tidegate", &["--service", "echo"]),
    ("http_status", &[]),
    ("resp_kv", &[]),
    ("modbus_tcp", &[]),
    ("control_socket", &[]),
    ("relay", &["--to", "127.0.0.1:9"]),
    ("syslog_sink", &["--show", "127.0.0.1:0"]),
];

fn spawn(name: &str, arguments: &[&[&str]]) -> Program {
    let mut command = match name {
        "tidegate" => Command::new(program()),
        name => Command::new(example(name)),
    };
    Program::spawn(command.args(arguments.concat()))
}

/// An address for documents (RFC 5737): no machine has it.
const NOWHERE: &str = "192.0.2.1:0";

#[test]
fn an_address_that_is_not_there_is_waited_for_or_not() {
    let _bound = Watchdog::new();
    for (name, more) in ALL {
        let mut waits = spawn(name, &[&["--listen", NOWHERE], more]);
        // In addition to one that exists.
        let second = match name {
            "syslog_sink" => "listening on ",
            _ => "listening on 127.0.0.1:",
        };
        let mut both = spawn(
            name,
            &[&["--listen", NOWHERE, "--listen", "127.0.0.1:0"], more],
        );
        both.wait_for(second);
        for program in [&mut waits, &mut both] {
            tests::bounded::until("it is said", || {
                program.errors().contains("192.0.2.1:0 is not there yet")
            });
            assert!(!program.has_ended(), "{name}: {}", program.errors());
        }
        for program in [waits, both] {
            assert_eq!(program.stop().code, Some(0), "{name}");
        }
        let mut free = spawn(name, &[&["--bind", "free", "--listen", NOWHERE], more]);
        free.wait_for("listening on 192.0.2.1:");
        assert_eq!(free.stop().code, Some(0), "{name}");
        let now = spawn(name, &[&["--bind", "now", "--listen", NOWHERE], more]).end();
        assert_eq!(now.code, Some(1), "{name}");
        let said = "cannot listen on 192.0.2.1:0: no interface of this machine";
        assert!(now.errors.contains(said), "{name}: {}", now.errors);
    }
}

#[test]
fn an_interface_that_is_not_there_is_waited_for_or_not() {
    let _bound = Watchdog::new();
    let place = "[fe80::1%nosuchif0]:8080";
    for (name, more) in ALL {
        let mut waits = spawn(name, &[&["--listen", place], more]);
        tests::bounded::until("it is said", || {
            waits
                .errors()
                .contains(&format!("{place} is not there yet"))
        });
        assert!(!waits.has_ended(), "{name}");
        assert_eq!(waits.stop().code, Some(0), "{name}");
        let now = spawn(name, &[&["--bind", "now", "--listen", place], more]).end();
        assert_eq!(now.code, Some(1), "{name}");
        assert!(
            now.errors.contains("no network interface"),
            "{name}: {}",
            now.errors
        );
    }
}

#[test]
#[ignore = "needs root, iproute2"]
fn it_listens_as_soon_as_the_address_is_there() {
    let _bound = Watchdog::new();
    for threads in ["1", "3"] {
        in_namespace(&[], || {
            let mut program = spawn(
                "tidegate",
                &[
                    &[
                        "--service",
                        "echo",
                        "--threads",
                        threads,
                        "--listen",
                        NOWHERE,
                    ],
                    &["--metrics", NOWHERE],
                ],
            );
            tests::bounded::until("it waits for both", || {
                program
                    .errors()
                    .matches("192.0.2.1:0 is not there yet")
                    .count()
                    == 2
            });
            ip("address add 192.0.2.1/24 dev lo");
            // Once with SIGHUP, once without.
            if threads == "1" {
                program.signal(Signal::HUP);
            }
            let address = program.wait_for("listening on 192.0.2.1:");
            let address = address.rsplit(' ').next().expect("an address");
            let address: SocketAddr = address.parse().expect("an address");
            for _ in 0..12 {
                tcp(address).echo(b"hello");
            }
            program.wait_for("metrics on 192.0.2.1:");
            assert_eq!(program.stop().code, Some(0));
        });
    }
}

#[test]
#[ignore = "needs root, iproute2"]
fn every_example_listens_as_soon_as_the_address_is_there() {
    let _bound = Watchdog::new();
    for (name, more) in ALL {
        in_namespace(&[], || {
            let places = [
                "--listen",
                "192.0.2.1:0",
                "--listen",
                "[fe80::1%later]:8080",
            ];
            let mut program = spawn(name, &[&places, more]);
            tests::bounded::until("it waits for both", || {
                program.errors().matches("is not there yet").count() == 2
            });
            ip("address add 192.0.2.1/24 dev lo");
            program.wait_for("listening on 192.0.2.1:");
            ip("link add later type veth peer name other");
            ip("link set later up");
            ip("link set other up");
            ip("-6 address add fe80::1/64 dev later nodad");
            program.wait_for("listening on [fe80::1%");
            assert_eq!(program.stop().code, Some(0), "{name}");
        });
    }
}

#[test]
fn a_free_bind_is_of_listeners_only_that_ask_for_it() {
    let _bound = Watchdog::new();
    let ended = run(&["--bind", "soon"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended
            .errors
            .contains("--bind soon: must be one of wait, free, now"),
        "{}",
        ended.errors
    );
}

#[test]
fn sighup_ends_nothing() {
    let _bound = Watchdog::new();
    for (name, more) in ALL {
        let folder = Folder::new("hup");
        let path = folder.path("s");
        let place = format!("unix:{path}");
        let tcp_place: &[&str] = &["--listen", "127.0.0.1:0"];
        let mut program = spawn(name, &[tcp_place, &["--listen", &place], more]);
        program.wait_for(&format!("listening on {place}"));
        let mut client = (name != "syslog_sink").then(|| unix(&path));
        for signal in [Signal::HUP, Signal::USR1, Signal::USR2, Signal::HUP] {
            program.signal(signal);
        }
        if name == "tidegate" {
            tcp(program.address()).echo(b"hello");
            client.as_mut().expect("connected").echo(b"still here");
            // The signals have been handled: these lines are their effect.
            program.wait_for("stats: log_lines_dropped ");
        }
        assert!(!program.has_ended(), "{name}: {}", program.errors());
        // The end is orderly, so it lived until then. A client that had sent nothing yet would be waited for.
        drop(client);
        assert_eq!(program.stop().code, Some(0), "{name}");
        assert!(std::fs::symlink_metadata(&path).is_err(), "{name}");
    }
}
