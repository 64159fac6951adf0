//! What the program recorded on another machine happens again on this one, whatever its width and byte order.

use std::fs;
use std::path::Path;
use tests::replay::{Explainer, Tape, replay, replay_seen, to_corpus, to_test};
use tidegate_core::{Dispatcher, Memory};

/// Traces of the program, each with its minimum number of entries and the service whose handler is called.
const TRACES: [(&str, usize, Option<&str>); 3] = [
    ("echo.trace", 200, Some("echo")),
    ("echo-edge.trace", 200, None),
    ("chat.trace", 200, Some("chat")),
];

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
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("traces")
        .join(name);
    Tape::read(&[fs::read(path).expect(name)]).expect(name)
}

#[test]
fn each_step_is_told_in_words() {
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
        "     0  a session of 8 connections, windows of 4096 and 16384 bytes, Level\n",
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
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/sim/echo-trace");
    assert_eq!(
        fs::read(corpus).ok(),
        Some(to_corpus(&tape("echo.trace"))),
        "it is in the corpus"
    );
}
