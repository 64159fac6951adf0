//! Every option works; an error is one line with the value, and an exit code.

use rustix::process::Signal;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use tests::bounded::Watchdog;
use tests::net::{Client, is_refused, tcp};
use tests::process::{Ended, Folder, Program, program, run};

#[test]
fn every_option_is_taken() {
    let _bound = Watchdog::new();
    let folder = Folder::new("options");
    let socket = format!("unix:{}", folder.path("s"));
    let metrics = format!("unix:{}", folder.path("m"));
    let control = format!("unix:{}", folder.path("c"));
    let log = folder.path("log");
    let _log = UnixDatagram::bind(&log).expect("bound");
    let syslog = format!("syslog:{log}");
    let all = [
        ("--service", vec!["echo"]),
        ("--listen", vec![&socket]),
        (
            "--backend",
            vec!["poll", "select", "spin", "uring", "epoll"],
        ),
        ("--trigger", vec!["level", "edge", "oneshot"]),
        ("--spin", vec!["50us", "1ms", "off"]),
        ("--connections", vec!["1", "900"]),
        (
            "--full",
            vec!["refuse", "evict", "evict-half-closed", "wait"],
        ),
        ("--per-source", vec!["1", "off"]),
        ("--source-bits", vec!["0,0,0", "32,64,128"]),
        ("--per-block", vec!["1/48", "off"]),
        ("--half-close", vec!["1s", "off", "30s"]),
        ("--first-byte", vec!["500ms", "off", "30s"]),
        ("--request", vec!["1m", "off", "30s"]),
        ("--idle", vec!["1h", "off", "30s"]),
        ("--write-stall", vec!["2min", "off", "30s"]),
        ("--linger", vec!["1s", "off", "100ms"]),
        ("--drain", vec!["1s", "off", "100ms"]),
        (
            "--log",
            vec!["off", "error", "info", "debug", "trace", "warn"],
        ),
        ("--log-to", vec![&syslog, "stderr"]),
        ("--metrics", vec![&metrics, "127.0.0.1:0"]),
        ("--control", vec![&control]),
    ];
    let mut together = Vec::new();
    for (option, values) in &all {
        for value in values {
            // One by one, joined by `=`, and later all together.
            let joined = format!("{option}={value}");
            let program = Program::start(&["--service=echo", &joined]);
            tcp(program.address()).echo(b"hello");
            assert_eq!(program.stop().code, Some(0), "{joined}");
            together.extend([*option, *value]);
        }
    }
    let program = Program::start(&together);
    tcp(program.address()).echo(b"hello");
    assert_eq!(program.stop().code, Some(0));
}

/// One line on standard error, nothing on standard output.
fn complaint(ended: &Ended, code: i32) -> &str {
    assert_eq!(
        (ended.code, ended.output.as_str()),
        (Some(code), ""),
        "{ended:?}"
    );
    let line = ended.errors.strip_suffix('\n').expect("a line");
    assert!(!line.contains('\n'), "one line: {line:?}");
    assert!(line.starts_with("tidegate: "), "{line:?}");
    line
}

#[test]
fn wrong_usage_is_reported_with_the_value() {
    let _bound = Watchdog::new();
    let long = format!("unix:/{}", "x".repeat(107));
    for (arguments, parts) in [
        (
            &["--service", "telnet"][..],
            &["telnet", "--service", "print", "chat"][..],
        ),
        (&["--service"], &["--service"]),
        (
            &["--backend", "kqueue"],
            &["kqueue", "epoll", "poll", "select", "spin", "uring"],
        ),
        (
            &["--backend", "select", "--trigger", "edge"],
            &["--trigger edge", "select", "level", "--backend epoll"],
        ),
        (&["--spin", "0us"], &["0us", "off"]),
        (
            &["--trigger", "rising"],
            &["rising", "level", "edge", "oneshot"],
        ),
        (
            &["--full", "panic"],
            &["panic", "wait", "refuse", "evict", "evict-half-closed"],
        ),
        (&["--per-block", "64"], &["64", "64/56", "off"]),
        (&["--source-bits", "32,64"], &["32,64", "32,64,128"]),
        (&["--log", "loud"], &["loud", "warn"]),
        (&["--log-to", "syslog:log"], &["syslog:log", "syslog:/path"]),
        (&["--log-to", "file"], &["file", "stderr"]),
        (&["--metrics", "9100"], &["--metrics 9100", "HOST:PORT"]),
        (&["--control", "/run/c"], &["--control /run/c"]),
        (
            &["--control", "127.0.0.1:80"],
            &["127.0.0.1:80", "unix:/path"],
        ),
        (&["--user", ":wheel"], &[":wheel", "USER:GROUP"]),
        (&["--connections", "30000"], &["30000", "20000"]),
        (&["--connections", "0"], &["0", "1 to 20000"]),
        (&["--connections", "-1"], &["-1"]),
        (&["--connections", "many"], &["many"]),
        (&["--per-source", "0"], &["0", "off"]),
        (&["--first-byte", "0s"], &["0s", "off"]),
        (&["--request", "30"], &["30", "30s"]),
        (&["--idle", "soon"], &["soon"]),
        (&["--write-stall", "-1s"], &["-1s"]),
        (&["--linger", ""], &["--linger"]),
        (&["--drain", "1 fortnight"], &["1 fortnight"]),
        (&["--listen", "8080"], &["8080", "HOST:PORT"]),
        (&["--listen", "127.0.0.1:99999"], &["99999", "65535"]),
        (&["--listen", "::1:80"], &["::1:80", "brackets"]),
        (&["--listen", ":80"], &[":80"]),
        (&["--listen", "unix:"], &["unix:"]),
        (&["--listen", &long], &["107"]),
        (&["--backlog", "5"], &["--backlog", "--help"]),
        (&["-x"], &["-x", "--help"]),
        (&["8080"], &["8080", "--help"]),
        (&["--help=me"], &["me"]),
        (&["--service", "telnet\x1b[2J\n"], &["telnet"]),
    ] {
        let ended = run(arguments);
        let line = complaint(&ended, 2);
        for part in parts {
            assert!(line.contains(part), "{part:?} in {line:?}");
        }
        assert!(line.bytes().all(|byte| byte >= b' '), "{line:?}");
    }
}

#[test]
fn what_the_system_refuses_is_reported() {
    let _bound = Watchdog::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("an address").to_string();
    let ended = run(&["--listen", &address]);
    let line = complaint(&ended, 1);
    assert!(line.contains(&address) && line.contains("in use"), "{line}");

    // A network for documentation: no machine has such an address.
    let ended = run(&["--bind", "now", "--listen", "192.0.2.1:0"]);
    let line = complaint(&ended, 1);
    assert!(line.contains("192.0.2.1:0"), "{line}");

    // The name is not resolved anywhere (RFC 6761).
    let ended = run(&["--listen", "nowhere.invalid:80"]);
    let line = complaint(&ended, 1);
    assert!(line.contains("nowhere.invalid"), "{line}");

    let ended = run(&["--user", "nobody-of-this-name"]);
    let line = complaint(&ended, 1);
    assert!(line.contains("nobody-of-this-name"), "{line}");

    let ended = run(&["--listen", "unix:/nowhere/at/all"]);
    let line = complaint(&ended, 1);
    assert!(line.contains("/nowhere/at/all"), "{line}");

    let places: Vec<_> = (0..17)
        .flat_map(|n| ["--listen".to_owned(), format!("unix:/tmp/no-{n}")])
        .collect();
    let places: Vec<_> = places.iter().map(String::as_str).collect();
    let ended = run(&places);
    assert!(complaint(&ended, 1).contains("16"));
}

#[test]
fn a_low_limit_of_descriptors_is_met_at_the_start() {
    let _bound = Watchdog::new();
    let limited = |soft: &str, hard: &str, arguments: &str| {
        let script = format!(
            "ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" --listen 127.0.0.1:0 {arguments}"
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(program());
        command
    };
    let ended = Program::spawn(&mut limited("64", "64", "--connections 100")).end();
    let line = complaint(&ended, 1);
    for part in ["100", "64", "ulimit"] {
        assert!(line.contains(part), "{part:?} in {line:?}");
    }
    // A soft limit is raised, and all of the connections can be had.
    let mut program = Program::spawn(&mut limited(
        "20",
        "200",
        "--service echo --connections 100",
    ));
    program.wait_for("listening on ");
    let mut clients: Vec<_> = (0..100).map(|_| tcp(program.address())).collect();
    for client in &mut clients {
        client.echo(b"hello");
    }
    assert_eq!(program.statistics()["open"], 100);
    assert_eq!(program.statistics()["shortages"], 0);
}

#[test]
#[ignore = "needs setpriv, and root to give up"]
fn a_privileged_port_needs_privileges() {
    let _bound = Watchdog::new();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(program()).args(["--listen", "127.0.0.1:1"]);
    let ended = Program::spawn(&mut command).end();
    let line = complaint(&ended, 1);
    for part in ["127.0.0.1:1", "permission", "1024"] {
        assert!(line.contains(part), "{part:?} in {line:?}");
    }
}

#[test]
fn help_lists_every_option_and_default() {
    let _bound = Watchdog::new();
    for option in ["--help", "-h"] {
        let ended = run(&[option]);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
        for (option, default) in [
            ("--service", "[print]"),
            ("--listen", "[127.0.0.1:8080]"),
            ("--backend", "[epoll]"),
            ("--trigger", "[level]"),
            ("--spin", "[off]"),
            ("--connections", "[1024]"),
            ("--full", "[wait]"),
            ("--per-source", "[off on loopback"),
            ("--source-bits", "[32,64,128]"),
            ("--per-block", "[off]"),
            ("--half-close", "[60s]"),
            ("--first-byte", "[60s]"),
            ("--request", "[30s]"),
            ("--idle", "[10m]"),
            ("--write-stall", "[30s]"),
            ("--linger", "[2s]"),
            ("--drain", "[10s]"),
            ("--log", "[warn]"),
            ("--log-to", "[stderr]"),
            ("--metrics", "[off]"),
            ("--control", "[off]"),
            ("--user", "[off]"),
        ] {
            let text = &ended.output;
            let at = text
                .find(&format!("\n  {option}"))
                .unwrap_or_else(|| panic!("{option} in {text}"));
            let rest = &text[at + 3..];
            let own = &rest[..rest.find("\n  --").unwrap_or(rest.len())];
            assert!(own.contains(default), "{option} {default}: {own}");
        }
        for other in ["--memory", "--version", "--help", "20000"] {
            assert!(ended.output.contains(other), "{other}");
        }
    }
}

#[test]
fn version_and_memory_are_printed() {
    let _bound = Watchdog::new();
    let version = format!("tidegate {}\n", env!("CARGO_PKG_VERSION"));
    for option in ["--version", "-V"] {
        let ended = run(&[option]);
        assert_eq!(
            (ended.code, ended.output, ended.errors.as_str()),
            (Some(0), version.clone(), "")
        );
    }
    let ended = run(&["--connections", "100", "--memory"]);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    for part in ["20000", "100", "409600", "sum"] {
        assert!(ended.output.contains(part), "{part} in {}", ended.output);
    }
}

#[test]
fn one_source_has_its_share() {
    let _bound = Watchdog::new();
    let mut program = Program::start(&[
        "--service",
        "echo",
        "--per-source",
        "2",
        "--connections",
        "10",
    ]);
    let mut two = [(); 2].map(|()| tcp(program.address()));
    for client in &mut two {
        client.echo(b"hello");
    }
    assert!(is_refused(program.address()), "a third of the same source");
    assert_eq!(program.statistics_when("refused_source", 1)["accepted"], 2);
    drop(two);
    program.statistics_when("closed_peer_finished", 2);
    tcp(program.address()).echo(b"hello");
}

#[test]
fn sigusr1_prints_the_statistics() {
    let _bound = Watchdog::new();
    let mut program = Program::start(&["--service", "echo"]);
    let mut client = tcp(program.address());
    client.echo(b"hello");
    let statistics = program.statistics();
    for (name, value) in [
        ("open", 1),
        ("peak", 1),
        ("accepted", 1),
        ("bytes_in", 5),
        ("bytes_out", 5),
    ] {
        assert_eq!(statistics[name], value, "{name}");
    }
    for name in [
        "refused_full",
        "closed_idle",
        "stale",
        "unasked",
        "rebuilds",
        "repairs",
        "lines_dropped",
    ] {
        assert_eq!(statistics[name], 0, "{name}");
    }
    client.echo(b"again");
    program.signal(Signal::USR1);
    assert_eq!(program.statistics()["bytes_in"], 10);
}
