//! The program does with the system calls that `docs/system-calls.md` lists; any other would kill it.

#![cfg(target_arch = "x86_64")]

use seccompiler::{BpfProgram, apply_filter, compile_from_json};
use serde_json::json;
use std::io;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::Command;
use tests::bounded::{SOON, Watchdog, until};
use tests::listed::system_calls;
use tests::net::{Client, pattern, reset, tcp, unix};
use tests::process::{Ended, Folder, Program, program};
use tidegate::backend::Kind;

fn listed() -> Vec<String> {
    system_calls("")
}

/// Kills the whole process at any call that is not one of these.
fn filter(calls: &[String]) -> BpfProgram {
    let allowed: Vec<_> = calls
        .iter()
        .map(|call| json!({ "syscall": call }))
        .collect();
    let filters = json!({
        "main": { "mismatch_action": "kill_process", "match_action": "allow", "filter": allowed }
    });
    let arch = std::env::consts::ARCH.try_into().expect("a known machine");
    let compiled = compile_from_json(filters.to_string().as_bytes(), arch);
    compiled
        .expect("known calls")
        .remove("main")
        .expect("a filter")
}

/// The program under a filter that allows these calls.
fn confined(calls: &[String], arguments: &[&str]) -> Command {
    let filter = filter(calls);
    let mut command = Command::new(program());
    command.args(arguments);
    // SAFETY: two system calls, between fork and exec.
    unsafe {
        command.pre_exec(move || apply_filter(&filter).map_err(|_| io::ErrorKind::Other.into()));
    }
    command
}

fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Program {
    let mut command = confined(&listed(), arguments);
    let mut program = Program::spawn(command.envs(environment.iter().copied()));
    program.wait_for("listening on ");
    program
}

/// It was stopped on request, not killed.
fn ended_well(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// What clients do: much and little, orderly and not.
fn visit(program: &mut Program) {
    let address = program.address();
    let mut client = tcp(address);
    client.echo(b"hello");
    client.echo(&pattern(1, 300_000));
    client.finish();
    assert_eq!(client.rest(), b"");
    let mut rude = tcp(address);
    rude.echo(b"hello");
    reset(rude);
    let mut silent = tcp(address);
    let _ = silent.is_reset();
    program.statistics_when("closed_first_byte", 1);
    program.statistics_when("accepted", 3);
}

#[test]
fn every_backend_and_trigger_serves() {
    let _bound = Watchdog::new();
    for kind in Kind::ALL {
        for trigger in ["level", "edge", "oneshot"] {
            if trigger != "level" && kind != Kind::Epoll {
                continue;
            }
            let backend = kind.name();
            let common = [
                "--listen",
                "127.0.0.1:0",
                "--service",
                "echo",
                "--log",
                "trace",
            ];
            let own = [
                "--backend",
                backend,
                "--trigger",
                trigger,
                "--first-byte",
                "100ms",
            ];
            let mut program = start(&[&common[..], &own].concat(), &[]);
            visit(&mut program);
            ended_well(&program.stop());
        }
    }
}

#[test]
fn every_service_and_policy_serves() {
    let _bound = Watchdog::new();
    for service in ["print", "discard", "chat"] {
        for full in ["wait", "refuse", "evict"] {
            let common = ["--listen", "127.0.0.1:0", "--connections", "2"];
            let own = ["--service", service, "--full", full, "--idle", "100ms"];
            let mut program = start(&[&common[..], &own].concat(), &[]);
            // Some may be refused, sooner or later.
            let clients = [(); 4].map(|()| TcpStream::connect(program.address()));
            for mut client in clients.into_iter().flatten() {
                client.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
                let _ = client.write(b"hello\n");
                let _ = client.read_to_end(&mut Vec::new());
            }
            program.statistics_when("accepted", 2);
            ended_well(&program.stop());
        }
    }
}

#[test]
fn threads_names_and_spinning_serve() {
    let _bound = Watchdog::new();
    for own in [["--threads", "3"], ["--spin", "50us"], ["--drain", "100ms"]] {
        let common = ["--listen", "localhost:0", "--service", "echo"];
        let limits = ["--first-byte", "100ms"];
        let mut program = start(&[&common[..], &own, &limits].concat(), &[]);
        visit(&mut program);
        let _open = tcp(program.address());
        ended_well(&program.stop());
    }
}

#[test]
fn a_session_is_recorded() {
    let _bound = Watchdog::new();
    let folder = Folder::new("confined-trace");
    let trace = folder.path("t");
    // The second sets the first aside, and both begin another file.
    for _ in 0..2 {
        let common = ["--listen", "127.0.0.1:0", "--service", "echo"];
        let own = ["--record", &trace, "--record-size", "1"];
        let mut program = start(
            &[&common[..], &own, &["--first-byte", "100ms"]].concat(),
            &[],
        );
        let mut client = tcp(program.address());
        for _ in 0..40 {
            client.echo(&[b'x'; 64 * 1024]);
        }
        drop(client);
        visit(&mut program);
        ended_well(&program.stop());
    }
}

#[test]
fn all_that_supervises_the_service_works() {
    let _bound = Watchdog::new();
    for backend in Kind::ALL.map(Kind::name) {
        let folder = Folder::new("confined");
        let [log, notify, control, metrics] = ["l", "n", "c", "m"].map(|name| folder.path(name));
        // A stale one, to be replaced.
        drop(std::os::unix::net::UnixListener::bind(&control).expect("bound"));
        let _log = UnixDatagram::bind(&log).expect("bound");
        let _manager = UnixDatagram::bind(&notify).expect("bound");
        let [log_to, control_at] = [format!("syslog:{log}"), format!("unix:{control}")];
        let metrics_at = format!("unix:{metrics}");
        let places = [
            "--listen",
            "127.0.0.1:0",
            "--control",
            &control_at,
            "--metrics",
            &metrics_at,
        ];
        let own = [
            "--service",
            "echo",
            "--log-to",
            &log_to,
            "--log",
            "debug",
            "--backend",
            backend,
        ];
        let limits = ["--first-byte", "100ms"];
        let environment = [
            ("NOTIFY_SOCKET", notify.as_str()),
            ("WATCHDOG_USEC", "100000"),
        ];
        let mut program = start(&[&places[..], &own, &limits].concat(), &environment);
        visit(&mut program);
        let mut client = tcp(program.address());
        client.echo(b"hello");
        let mut asking = unix(&metrics);
        asking.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(asking.rest().starts_with(b"HTTP/1.1 200 OK\r\n"));
        let mut operator = unix(&control);
        operator.say(b"status\nconnections\nlog trace\ndrop 127.0.0.1\ndrain\n");
        let told = String::from_utf8_lossy(&operator.rest()).into_owned();
        assert!(told.ends_with("ok: 1 dropped\nok: draining\n"), "{told}");
        assert!(client.is_reset());
        ended_well(&program.end());
    }
}

#[test]
fn what_is_asked_or_wrong_is_printed() {
    let _bound = Watchdog::new();
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--memory"], 0),
        (&["--no-such-option"], 2),
        (&["--bind", "now", "--listen", "192.0.2.1:0"], 1),
        (&["--user", "nobody-of-this-name"], 1),
    ] {
        let ended = Program::spawn(&mut confined(&listed(), arguments)).end();
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
    }
}

#[test]
#[ignore = "needs root"]
fn privileges_are_given_up() {
    let _bound = Watchdog::new();
    for own in [["--user", "65534:65534"], ["--user", "nobody"]] {
        let common = [
            "--listen",
            "127.0.0.1:0",
            "--service",
            "echo",
            "--threads",
            "2",
        ];
        let limits = ["--first-byte", "100ms"];
        let mut program = start(&[&common[..], &own, &limits].concat(), &[]);
        visit(&mut program);
        ended_well(&program.stop());
    }
}

/// The filter is there: without one of its calls the program is killed, not given an error.
#[test]
fn a_call_that_is_not_listed_kills() {
    let _bound = Watchdog::new();
    let mut calls = listed();
    calls.retain(|call| call != "accept4");
    let arguments = ["--listen", "127.0.0.1:0", "--service", "echo"];
    let mut program = Program::spawn(&mut confined(&calls, &arguments));
    program.wait_for("listening on ");
    let _client = tcp(program.address());
    until("it is killed", || program.has_ended());
    assert_eq!(program.end().code, None, "by a signal");
}
