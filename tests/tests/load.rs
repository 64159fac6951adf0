//! The load generator finds no fault with a good server, and finds out one that changes, loses or keeps back bytes.

use core::net::{SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use tests::bounded::Watchdog;
use tests::load::{Plan, Report, Traffic, run};
use tests::process::{Ended, Folder, Program, run_with, runnable};

/// What a test's load lasts; nothing depends on how much is done in it.
const SHORT: Duration = Duration::from_millis(300);

fn v4(address: SocketAddr) -> SocketAddrV4 {
    match address {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(_) => panic!("an IPv4 address was asked for"),
    }
}

fn plan(address: SocketAddr, traffic: Traffic) -> Plan {
    Plan {
        address: v4(address),
        traffic,
        warm_up: Duration::ZERO,
        window: SHORT,
        server: None,
        sources: 3,
    }
}

fn load(address: SocketAddr, traffic: Traffic) -> Report {
    run(&plan(address, traffic), &mut |_| {}).expect("connections")
}

const fn echo(connections: u32, active: u32, in_flight: u32, size: u32) -> Traffic {
    Traffic::Echo {
        connections,
        active,
        in_flight,
        size,
    }
}

#[test]
fn our_server_gives_back_every_byte() {
    let _bound = Watchdog::new();
    for trigger in ["level", "edge", "oneshot"] {
        let mut program = Program::start(&["--service", "echo", "--trigger", trigger]);
        let mut all = 0;
        for (traffic, active) in [
            (echo(1, 1, 1, 1), 1),
            (echo(300, 7, 1, 64), 7),
            (echo(16, 16, 16, 100), 16),
            (echo(8, 8, 2, 16_384), 8),
        ] {
            let report = load(program.address(), traffic);
            assert_eq!(report.judge(), Ok(()), "{trigger}: {traffic:?}");
            assert_eq!(report.answered, active, "{trigger}: {traffic:?}");
            let (median, longest) = (report.micros(0.5), report.micros(1.0));
            assert!(
                0.0 < median && median <= longest,
                "{trigger}: {median} {longest}"
            );
            all += report.messages;
        }
        assert!(all > 0);
        let (clients, size) = (8, 64);
        let report = load(program.address(), Traffic::Churn { clients, size });
        assert_eq!(report.judge(), Ok(()), "{trigger}: churn");
        let accepted = program.statistics()["accepted"];
        assert!(accepted >= report.messages + 325, "{trigger}: {accepted}");
        let (bulk, in_flight, size) = (4, 4, 16_384);
        let traffic = Traffic::Fair {
            bulk,
            in_flight,
            size,
        };
        let report = load(program.address(), traffic);
        assert_eq!(report.judge(), Ok(()), "{trigger}: fair");
        assert!(report.bulk_rate.is_some_and(|rate| rate > 0.0), "{trigger}");
    }
}

/// An echo server of one connection at a time that `spoils` what it read before it sends it; gone with the process.
fn spoiler(spoil: impl Fn(u64, &mut Vec<u8>) + Send + 'static) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = socket.local_addr().expect("an address");
    thread::spawn(move || {
        let mut pieces = 0;
        for stream in socket.incoming() {
            let mut stream: TcpStream = stream.expect("a connection");
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                let mut piece = buffer[..n].to_vec();
                spoil(pieces, &mut piece);
                pieces += 1;
                if stream.write_all(&piece).is_err() {
                    break;
                }
            }
        }
    });
    address
}

#[test]
fn one_changed_byte_is_found() {
    let _bound = Watchdog::new();
    let once = |n, piece: &mut Vec<u8>| piece[5] ^= u8::from(n == 3);
    let report = load(spoiler(once), echo(1, 1, 1, 64));
    assert_eq!(report.wrong, 1);
    assert!(report.judge().is_err_and(|why| why.contains("1 bytes")));
    let once = |n, piece: &mut Vec<u8>| piece[5] ^= u8::from(n == 3);
    let (clients, size) = (1, 64);
    let report = load(spoiler(once), Traffic::Churn { clients, size });
    assert_eq!(report.wrong, 1, "churn");
}

#[test]
fn swapped_and_repeated_bytes_are_found() {
    let _bound = Watchdog::new();
    let swap = |_, piece: &mut Vec<u8>| piece.reverse();
    assert!(load(spoiler(swap), echo(1, 1, 1, 64)).wrong > 0);
    // Each byte is right, but there is one too many: what follows is out of step.
    let repeat = |n, piece: &mut Vec<u8>| {
        if n == 1 {
            piece.push(piece[63]);
        }
    };
    assert!(load(spoiler(repeat), echo(1, 1, 1, 64)).wrong > 0);
}

#[test]
fn silence_and_an_end_are_found() {
    let _bound = Watchdog::new();
    let silence = |_, piece: &mut Vec<u8>| piece.clear();
    let report = load(spoiler(silence), echo(1, 1, 1, 64));
    assert!(report.judge().is_err_and(|why| why.contains("no message")));
    // Of two clients a server that serves one at a time replies to one.
    let report = load(spoiler(|_, _| {}), echo(2, 2, 1, 64));
    assert_eq!((report.judge(), report.answered), (Ok(()), 1));
    let socket = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let dead = socket.local_addr().expect("an address");
    thread::spawn(move || socket.accept().map(drop));
    let report = load(dead, echo(1, 1, 1, 64));
    assert_eq!(report.lost, 1);
}

fn command(arguments: &[&str]) -> Ended {
    run_with(
        Command::new(runnable(env!("CARGO_BIN_EXE_load"))).args(arguments),
        b"",
    )
}

#[test]
fn the_program_prints_all_as_text_and_as_json() {
    let _bound = Watchdog::new();
    let folder = Folder::new("load");
    let path = folder.path("result.json");
    let server = Program::start(&["--service", "echo"]);
    let to = server.address().to_string();
    let ended = command(&[
        &to,
        "--seconds",
        "0.2",
        "--connections",
        "9",
        "--json",
        &path,
    ]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
    for part in [
        "latency p99.9",
        "server's CPU a message",
        "wrong bytes              0",
    ] {
        assert!(ended.output.contains(part), "{part}: {}", ended.output);
    }
    let text = fs::read_to_string(path).expect("a file");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["traffic"]["connections"], 9);
    assert_eq!(value["answered"], 9);
    assert!(value["rate"].as_f64().is_some_and(|rate| rate > 0.0));
    let cpu = &value["server_cpu_us_per_message"];
    assert!(
        cpu.as_f64().is_some_and(|micros| micros > 0.0),
        "the server was found"
    );
}

#[test]
fn a_picture_is_drawn_or_it_is_said_why_not() {
    let _bound = Watchdog::new();
    let folder = Folder::new("plot");
    let path = folder.path("latency.svg");
    let server = Program::start(&["--service", "echo"]);
    let to = server.address().to_string();
    let ended = command(&[&to, "--seconds", "0.2", "--plot", &path]);
    if cfg!(feature = "bench") {
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        let svg = fs::read_to_string(path).expect("a file");
        assert!(svg.starts_with("<svg") && svg.contains("<circle"));
    } else {
        assert_eq!(ended.code, Some(1));
        assert!(
            ended.errors.contains("--features bench"),
            "{}",
            ended.errors
        );
    }
}

#[test]
fn the_program_fails_when_a_byte_is_wrong_or_there_is_no_server() {
    let _bound = Watchdog::new();
    let to = spoiler(|_, piece| piece[0] ^= 1).to_string();
    let ended = command(&[&to, "--seconds", "0.2", "--connections", "1"]);
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(ended.errors.contains("came back wrong"), "{}", ended.errors);
    let gone = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let to = gone.local_addr().expect("an address").to_string();
    drop(gone);
    let ended = command(&[&to]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.errors.contains("start an echo server"),
        "{}",
        ended.errors
    );
    let ended = command(&[&to, "--active", "0"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.errors.contains("--active 0"), "{}", ended.errors);
}
