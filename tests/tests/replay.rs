//! What the program recorded happens again, bit for bit, or the first difference is shown.

use rustix::process::Signal;
use std::fs;
use tests::bounded::Watchdog;
use tests::net::{Client, tcp, unix};
use tests::process::{Folder, Program};
use tests::replay::{Replayed, Tape, replay};
use tidegate::backend::Kind;
use tidegate_core::trace::{Entry, MAGIC, encode};
use tidegate_core::{Directions, Event, Memory};

/// What some clients do with the program, recorded.
fn record(arguments: &[&str], talk: impl FnOnce(&Program, &Folder)) -> Tape {
    let folder = Folder::new("replay");
    let path = folder.path("t");
    let program =
        Program::start(&[&["--connections", "16", "--record", &path], arguments].concat());
    talk(&program, &folder);
    assert_eq!(program.stop().code, Some(0));
    let tape = Tape::read(&[fs::read(&path).expect("a trace")]).expect("entries");
    assert_eq!(tape.flaw, None);
    tape
}

/// An echo in pieces, a FIN, a reset, and bytes that find no reader at once.
fn some_clients(program: &Program, _: &Folder) {
    let mut first = tcp(program.address());
    first.echo(b"hello");
    let mut second = tcp(program.address());
    for _ in 0..50 {
        first.echo(b"again and again");
        second.echo(&[b'x'; 3000]);
    }
    let much = vec![b'y'; 200_000];
    first.echo(&much);
    first.finish();
    assert_eq!(first.rest(), b"");
    drop(second);
    tcp(program.address()).echo(b"bye");
}

fn again(tape: &Tape, scripted: bool) -> Replayed {
    let mut memory = Box::new(Memory::<16, 4096, 16384, u32>::new());
    replay(tape, &mut memory, None, scripted).expect("a replay")
}

fn assert_same(tape: &Tape, scripted: bool, what: &str) {
    let replayed = again(tape, scripted);
    if let Some(diverged) = replayed.diverged {
        panic!("{what}: {diverged}");
    }
    assert_eq!(replayed.stopped, None, "{what}");
    assert_eq!(replayed.entries, tape.entries().len(), "{what}");
}

#[test]
fn a_session_of_every_kind_happens_again() {
    let _bound = Watchdog::new();
    let triggers = ["level", "edge", "oneshot"].map(|trigger| ("epoll", trigger));
    let others = Kind::ALL.map(|kind| (kind.name(), "level"));
    for (backend, trigger) in triggers.into_iter().chain(others) {
        let mode = ["--backend", backend, "--trigger", trigger];
        let tape = record(&[&["--service", "echo"], &mode[..]].concat(), some_clients);
        assert!(tape.entries().len() > 1000, "{mode:?}");
        assert!(tape.is_whole());
        assert_eq!(again(&tape, false).service, Some("echo"));
        assert_same(&tape, false, &format!("{mode:?} by its handler"));
        assert_same(&tape, true, &format!("{mode:?} by its calls"));
    }
}

#[test]
fn where_payload_is_missing_the_calls_stand_in() {
    let _bound = Watchdog::new();
    for payload in ["hash", "0", "7"] {
        let arguments = ["--service", "echo", "--record-payload", payload];
        let tape = record(&arguments, some_clients);
        assert!(!tape.is_whole());
        assert_eq!(again(&tape, false).service, None);
        assert_same(&tape, false, payload);
    }
}

#[test]
fn every_service_and_an_operator_are_in_it() {
    let _bound = Watchdog::new();
    for service in ["print", "discard", "chat"] {
        let tape = record(&["--service", service], |program, _| {
            let mut clients = [(); 3].map(|()| tcp(program.address()));
            for client in &mut clients {
                client.say(b"one\ntwo\nthr");
                client.finish();
            }
            clients
                .into_iter()
                .for_each(|mut client| drop(client.rest()));
        });
        assert_same(&tape, false, service);
        assert_same(&tape, true, service);
    }
    let folder = Folder::new("operator");
    let place = format!("unix:{}", folder.path("c"));
    let arguments = ["--service", "echo", "--control", &place, "--full", "refuse"];
    let tape = record(&arguments, |program, _| {
        let mut client = tcp(program.address());
        client.echo(b"hello");
        for line in [&b"status\n"[..], b"drop 127.0.0.1\n", b"recorder\n"] {
            let mut operator = unix(place.strip_prefix("unix:").expect("a path"));
            operator.say(line);
            operator.finish();
            assert!(!operator.rest().is_empty());
        }
        program.signal(Signal::USR1);
    });
    assert_eq!(tape.notes("beside").collect::<Vec<_>>(), ["1"]);
    assert_same(&tape, false, "with an operator");
}

#[test]
fn the_first_difference_is_shown_with_both_sides() {
    let _bound = Watchdog::new();
    let tape = record(&["--service", "echo"], some_clients);
    let mut entries = tape.entries().to_vec();
    // The first was waited for: without it nothing is received. A hang-up makes both directions ready, whatever else is
    // reported.
    let is_ready = |entry: &Entry<'_>| matches!(entry, Entry::Event { event: Event::Ready { token, closing: false, .. }, .. } if !token.is_listener());
    let at = entries
        .iter()
        .position(is_ready)
        .expect("a readiness event");
    if let Entry::Event {
        event: Event::Ready { directions, .. },
        ..
    } = &mut entries[at]
    {
        *directions = Directions::NONE;
    }
    let diverged = again(&Tape::of(entries), false).diverged;
    let diverged = diverged.expect("a difference");
    assert!(diverged.at > at, "after what led to it: {diverged}");
    let shown = diverged.to_string();
    assert!(
        shown.contains("recorded: ") && shown.contains("replayed: "),
        "{shown}"
    );
    // A byte that was received is not the one that is echoed.
    let mut entries = tape.entries().to_vec();
    let at = (entries.iter())
        .position(|entry| matches!(entry, Entry::Event { kept: b"hello", .. }))
        .expect("what was said");
    if let Entry::Event { kept, .. } = &mut entries[at] {
        *kept = b"hallo";
    }
    let tape = Tape::of(entries);
    let diverged = again(&tape, false).diverged.expect("other bytes");
    assert!(diverged.replayed.contains("Send {"), "{diverged}");
    assert_same(&tape, true, "the calls are what they were");
}

#[test]
fn a_trace_that_is_cut_off_is_used_as_far_as_it_goes() {
    let _bound = Watchdog::new();
    let tape = record(&["--service", "echo"], some_clients);
    let mut file = MAGIC.to_vec();
    let mut space = [0; 8192];
    // One of several bytes is the last.
    let is_call = |entry: &Entry<'_>| matches!(entry, Entry::Call(..));
    let at = tape.entries().iter().rposition(is_call).expect("a call");
    for entry in &tape.entries()[..=at] {
        file.extend_from_slice(encode(entry, usize::MAX, &mut space).expect("capacity"));
    }
    file.pop();
    let cut = Tape::read(&[file.clone()]).expect("most of it");
    assert_eq!(cut.entries(), &tape.entries()[..at]);
    let flaw = cut.flaw.expect("a flaw");
    assert!(flaw.contains("cut off"), "{flaw}");
    let no_trace = Tape::read(&[b"hello".to_vec()]).expect_err("no trace");
    assert!(no_trace.contains("\"hello\""), "{no_trace}");
    let begun = Tape::of(tape.entries()[1..].to_vec());
    let mut memory = Box::new(Memory::<16, 4096, 16384, u32>::new());
    let refused = replay(&begun, &mut memory, None, false);
    assert!(refused.is_err_and(|why| why.contains("beginning is missing")));
}
