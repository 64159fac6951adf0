//! What the program recorded on another machine happens again on this one, whatever its width and byte order.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use tests::bounded::Watchdog;
use tests::net::{Client, reset, tcp};
use tests::process::Program;
use tests::replay::{Explainer, Tape, replay, replay_seen, to_corpus, to_test};
use tidegate_core::{Dispatcher, Memory};

/// Traces of the program, each with its minimum number of entries and the service whose handler is called.
const TRACES: [(&str, usize, Option<&str>); 3] = [
    ("echo.trace", 200, Some("echo")),
    ("echo-edge.trace", 200, None),
    ("chat.trace", 200, Some("chat")),
];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("traces")
        .join(name)
}

/// The fuzz input that is made of the first trace.
fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/sim/echo-trace")
}

/// Three clients that alternate, the last first: by then the server has found nothing of the others to receive. Then
/// one sends much, one ends, one resets.
fn some_clients(program: &Program, chat: bool) {
    let mut clients: [TcpStream; 3] = [(); 3].map(|()| tcp(program.address()));
    let says = |clients: &mut [TcpStream; 3], who: usize, what: &[u8]| {
        clients[who].say(what);
        for (number, client) in clients.iter_mut().enumerate() {
            if chat != (number == who) {
                client.hear(what);
            }
        }
    };
    for n in 0..9 {
        for who in [2, 1, 0] {
            says(
                &mut clients,
                who,
                format!("reading {n}: 230.4 V\n").as_bytes(),
            );
        }
    }
    let long = [&[b'x'; 3999], &b"\n"[..]].concat();
    says(&mut clients, 2, &long);
    let [mut first, second, third] = clients;
    first.finish();
    assert_eq!(first.rest(), b"");
    reset(second);
    drop(third);
}

/// After a change of the format: `TRACES=write cargo test -p tests --test traces written`.
#[test]
fn they_are_written_anew_where_that_is_asked_for() {
    if std::env::var("TRACES").as_deref() != Ok("write") {
        return;
    }
    let _bound = Watchdog::new();
    for (name, _, service) in TRACES {
        let path = file(name);
        let place = path.to_str().expect("UTF-8");
        let own: &[&str] = match service {
            Some(service) => &["--service", service],
            None => &[
                "--service",
                "echo",
                "--trigger",
                "edge",
                "--record-payload",
                "hash",
            ],
        };
        let _ = fs::remove_file(&path);
        let program = Program::start(&[&["--connections", "8", "--record", place], own].concat());
        some_clients(&program, service == Some("chat"));
        assert_eq!(program.stop().code, Some(0));
    }
    fs::write(corpus(), to_corpus(&tape("echo.trace"))).expect("a fuzz input");
}

#[test]
fn what_was_recorded_elsewhere_happens_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces");
    let there = fs::read_dir(&folder).expect("a folder").count();
    assert_eq!(there, TRACES.len(), "each is in the list");
    for (name, least, service) in TRACES {
        let bytes = fs::read(folder.join(name)).expect(name);
        let tape = Tape::read(&[bytes]).expect(name);
        assert_eq!(tape.flaw, None, "{name}");
        assert!(tape.entries().len() > least, "{name}");
        for calls in [false, true] {
            let mut memory = Box::new(Memory::<8, 4096, 16384, u32>::new());
            let replayed = replay(&tape, &mut memory, None, calls).expect(name);
            if let Some(diverged) = replayed.diverged {
                panic!("{name}: {diverged}");
            }
            assert_eq!(replayed.entries, tape.entries().len(), "{name}");
            assert_eq!(replayed.service, service.filter(|_| !calls), "{name}");
        }
    }
}

fn tape(name: &str) -> Tape {
    Tape::read(&[fs::read(file(name)).expect(name)]).expect(name)
}

#[test]
fn each_step_is_described_in_words() {
    let tape = tape("echo.trace");
    let (mut explainer, mut text) = (Explainer::default(), String::new());
    let mut memory = Box::new(Memory::<8, 4096, 16384, u32>::new());
    let mut see = |entries: &[_], machine: &Dispatcher<'_>| {
        text += &explainer.step(entries, machine);
    };
    let until = Some(60);
    let replayed = replay_seen(&tape, &mut memory, until, false, &mut see).expect("a replay");
    assert!((60..70).contains(&replayed.entries), "{}", replayed.entries);
    for part in [
        "     0  a session of 8 connections, 16 other sources and 0 free timers, windows of 4096 and 16384 bytes, Level\n",
        "listener 0: arm R, Level (armed before: -): awaited, and not armed\n",
        "#0: accept from listener 0: it is ready, and this slot is free\n",
        "#0: receive up to 4096 bytes: wanted, ready, none in flight\n",
        "#0: Open wanted=R ready=RW in_flight=R armed=- → Open wanted=R ready=W in_flight=- armed=-\n",
        "bytes, then it would block: no longer ready: reading 0: 230.4 V",
        "#0: the handler is notified: readable\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn what_the_peers_did_is_a_test_and_a_fuzz_input() {
    for (name, service, _) in TRACES.map(|(name, _, service)| (name, service, ())) {
        let tape = tape(name);
        let (test, shrunk) = to_test(&tape);
        assert!(!shrunk, "it breaks no law: {test}");
        assert!(test.contains("world.add(sim::Script::new()"), "{test}");
        if service == Some("echo") {
            assert!(
                test.contains("reading 0: 230.4 V") && test.contains(".reset()"),
                "{test}"
            );
        }
        tests::sim(&to_corpus(&tape));
    }
    assert_eq!(
        fs::read(corpus()).ok(),
        Some(to_corpus(&tape("echo.trace"))),
        "it is in the corpus"
    );
}
