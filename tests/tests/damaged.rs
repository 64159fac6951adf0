//! A trace that is damaged, cut off or not the program's is used as far as it goes, and harms no reader.

use std::fs;
use std::path::Path;
use std::process::Command;
use tests::bounded::Watchdog;
use tests::process::{Folder, run_with, runnable};
use tests::replay::{Explainer, Picture, Tape, replay_seen, to_corpus};
use tidegate_core::trace::{Entry, MAGIC, decode, encode};
use tidegate_core::{Dispatcher, Memory};
use tidegate_sim::Random;

fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces");
    fs::read(folder.join(name)).expect(name)
}

/// Everything that is made of a trace but a test: that takes too long for thousands.
fn use_all_of(tape: &Tape) {
    let picture = Picture::of(tape);
    assert!(picture.page().len() > picture.rows.len() && !picture.chrome().is_empty());
    let _ = to_corpus(tape);
    let (mut explainer, mut text) = (Explainer::default(), String::new());
    for calls in [false, true] {
        let mut memory = Box::new(Memory::<8, 4096, 16384, u32>::new());
        let mut see = |entries: &[_], machine: &Dispatcher<'_>| {
            text += &explainer.step(entries, machine);
        };
        // What is not a replay is reported, too.
        let _ = replay_seen(tape, &mut memory, None, calls, &mut see);
    }
    let raw = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(raw), "{text:?}");
}

#[test]
fn any_damage_is_survived() {
    let seeds = std::env::var("DAMAGED").map_or(60, |n| n.parse().expect("a number"));
    for name in ["echo.trace", "echo-edge.trace", "chat.trace"] {
        let good = file(name);
        for seed in 0..seeds {
            let mut random = Random::new(seed);
            let mut bad = good.clone();
            let below = |random: &mut Random, n: usize| {
                random.below(u32::try_from(n).expect("small")) as usize
            };
            for _ in 0..=random.below(4) {
                let at = MAGIC.len() + below(&mut random, bad.len() - MAGIC.len());
                match random.below(4) {
                    0 => bad.truncate(at.max(MAGIC.len() + 1)),
                    1 => bad[at] = u8::try_from(random.below(256)).expect("a byte"),
                    2 => bad[at] ^= 1 << random.below(8),
                    // A number that is as large as can be.
                    _ => drop(bad.splice(at..at, [0xff; 9])),
                }
            }
            if let Ok(tape) = Tape::read(&[bad]) {
                use_all_of(&tape);
            }
        }
    }
}

/// Whatever a disk or a line does to one bit, in values and payload, too: nothing of that entry, or behind it, is taken for what was
/// recorded, and none of it for a difference.
#[test]
fn one_bit_that_is_another_is_reported() {
    let _bound = Watchdog::new();
    let folder = Folder::new("one-bit");
    let path = folder.path("t");
    for name in ["echo.trace", "echo-edge.trace", "chat.trace"] {
        let good = file(name);
        let entries = Tape::read(core::slice::from_ref(&good)).expect("a trace");
        let entries = entries.entries();
        let mut random = Random::new(1);
        for at in MAGIC.len()..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << random.below(8);
            let tape = Tape::read(core::slice::from_ref(&bad)).expect("a trace");
            assert!(tape.flaw.is_some(), "{name}: byte {at}");
            assert!(entries.starts_with(tape.entries()), "{name}: byte {at}");
            if at % (good.len() / 8) == 0 {
                fs::write(&path, &bad).expect("a file");
                let (code, said, errors) = replay(&[&path], &[]);
                assert_eq!(code, Some(3), "{name}, byte {at}: {said} {errors}");
            }
        }
    }
}

#[test]
fn any_time_is_survived() {
    let mut entries = Tape::read(&[file("echo.trace")])
        .expect("a trace")
        .entries()
        .to_vec();
    let is_time = |entry: &&mut Entry<'_>| matches!(entry, Entry::Time(_));
    let times = entries.iter_mut().filter(is_time);
    times.for_each(|entry| *entry = Entry::Time(u64::MAX / 2));
    use_all_of(&Tape::of(entries));
}

/// The program `replay`.
fn replay(files: &[&str], option: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(runnable(env!("CARGO_BIN_EXE_replay")));
    let ended = run_with(command.args(option).args(files), b"");
    (ended.code, ended.output, ended.errors)
}

#[test]
fn a_trace_that_is_cut_off_has_an_exit_code_of_its_own() {
    let _bound = Watchdog::new();
    let folder = Folder::new("damaged");
    let path = folder.path("t");
    let page = folder.path("page");
    for name in ["echo.trace", "echo-edge.trace", "chat.trace"] {
        let whole = file(name);
        fs::write(&path, &whole).expect("a file");
        assert_eq!(replay(&[&path], &[]).0, Some(0), "{name}");
        for left in [40, 20, 10, 5] {
            let cut = whole.len() * left / 41;
            fs::write(&path, &whole[..cut]).expect("a file");
            let (code, said, errors) = replay(&[&path], &[]);
            assert_eq!(code, Some(3), "{name}: {said} {errors}");
            assert!(said.contains(" entries the same, "), "{name}: {said}");
            assert!(!said.contains("differs"), "{name}: {said}");
        }
        // In the middle of an entry, and a further file does not go on from there.
        fs::write(&path, &whole[..whole.len() - 1]).expect("a file");
        assert_eq!(replay(&[&path], &["--until", "5"]).0, Some(0), "{name}");
        let (code, _, errors) = replay(&[&path, &path], &["--page", &page]);
        assert_eq!(code, Some(3), "{name}: {errors}");
        assert!(errors.contains("ends early: file 1, byte "), "{errors}");
    }
}

#[test]
fn a_cut_between_two_entries_is_told_and_so_is_what_follows_the_end() {
    let _bound = Watchdog::new();
    let folder = Folder::new("damaged-between");
    let (path, older) = (folder.path("t"), folder.path("t.1"));
    for name in ["echo.trace", "echo-edge.trace", "chat.trace"] {
        let whole = file(name);
        let all = Tape::read(core::slice::from_ref(&whole)).expect("a trace");
        assert_eq!(all.flaw, None, "{name}");
        let mut rest = &whole[MAGIC.len()..];
        let mut entries = 0;
        while let Some((_, more)) = decode(rest).expect("an entry") {
            let cut = whole.len() - rest.len();
            let tape = Tape::read(&[whole[..cut].to_vec()]).expect("a trace");
            assert_eq!(tape.entries(), &all.entries()[..entries], "{name}: {cut}");
            let flaw = tape.flaw.expect("a flaw");
            assert!(
                flaw.contains("the end of the recording is missing"),
                "{flaw}"
            );
            if entries == all.entries().len() / 2 || more.is_empty() {
                fs::write(&path, &whole[..cut]).expect("a file");
                let (code, said, errors) = replay(&[&path], &[]);
                assert_eq!(code, Some(3), "{name}, {cut} bytes: {said} {errors}");
            }
            (rest, entries) = (more, entries + 1);
        }
        assert_eq!(entries, all.entries().len() + 1, "the end is one");
        // The trace of the run before is no part of this one.
        fs::write(&path, &whole).expect("a file");
        fs::write(&older, &whole).expect("a file");
        let (code, said, errors) = replay(&[&older, &path], &[]);
        assert_eq!(code, Some(3), "{name}: {said} {errors}");
        assert!(
            errors.contains("the recording ends, and more follows"),
            "{errors}"
        );
        assert!(
            said.starts_with(&format!("{0} of {0} ", all.entries().len())),
            "{said}"
        );
    }
}

#[test]
fn a_trace_of_another_version_is_refused_with_a_line_that_says_so() {
    let _bound = Watchdog::new();
    let folder = Folder::new("damaged-version");
    let path = folder.path("t");
    let whole = file("echo.trace");
    for (version, shown) in [(b'4', "4"), (b'6', "6"), (0x1b, "\\x1b")] {
        let mut other = whole.clone();
        other[MAGIC.len() - 1] = version;
        fs::write(&path, &other).expect("a file");
        let (code, said, errors) = replay(&[&path], &["--explain"]);
        assert_eq!((code, said.as_str()), (Some(2), ""), "{errors}");
        let line = format!(
            "replay: a trace of version {shown}, and this program reads version 5: use the replay that was built with what recorded it\n"
        );
        assert_eq!(errors, line);
    }
}

#[test]
fn entries_that_are_missing_have_it_too() {
    let _bound = Watchdog::new();
    let folder = Folder::new("damaged-lost");
    let path = folder.path("t");
    let tape = Tape::read(&[file("echo.trace")]).expect("a trace");
    let mut space = [0; 8192];
    // Anywhere, in the middle of what an entry leads to, too.
    for at in 1..90 {
        let mut bytes = MAGIC.to_vec();
        let mut add = |entry: &Entry<'_>| {
            bytes.extend_from_slice(encode(entry, usize::MAX, &mut space).expect("capacity"));
        };
        tape.entries()[..at].iter().for_each(&mut add);
        add(&Entry::Lost(7));
        tape.entries()[at + 7..].iter().for_each(&mut add);
        let lacking = Tape::read(&[bytes.clone()]).expect("a trace");
        let mut memory = Box::new(Memory::<8, 4096, 16384, u32>::new());
        let replayed = replay_seen(&lacking, &mut memory, None, false, &mut |_, _| {});
        let replayed = replayed.expect("a replay");
        assert!(replayed.diverged.is_none(), "{at}: {replayed:?}");
        assert_eq!(replayed.entries, at);
        if at == 50 {
            fs::write(&path, &bytes).expect("a file");
        }
    }
    let (code, said, _) = replay(&[&path], &[]);
    assert_eq!(code, Some(3));
    assert!(
        said.contains("stopped: 7 entries are missing here"),
        "{said}"
    );
}

#[test]
fn what_a_trace_says_is_made_harmless() {
    let _bound = Watchdog::new();
    let folder = Folder::new("damaged-note");
    let path = folder.path("t");
    let tape = Tape::read(&[file("echo.trace")]).expect("a trace");
    let mut bytes = MAGIC.to_vec();
    let mut space = [0; 8192];
    let note = Entry::Note("service \x1b[2J\r\nfalse\u{9b}2J\u{202e}");
    for entry in tape
        .entries()
        .iter()
        .take(1)
        .chain([&note])
        .chain(&tape.entries()[1..])
    {
        bytes.extend_from_slice(encode(entry, usize::MAX, &mut space).expect("capacity"));
    }
    fs::write(&path, &bytes).expect("a file");
    for option in [&["--explain"][..], &[], &["--calls"]] {
        let (_, said, errors) = replay(&[&path], option);
        let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(
            !said.contains(raw) && !errors.contains(raw),
            "{said:?} {errors:?}"
        );
    }
    let (_, said, _) = replay(&[&path], &["--explain"]);
    assert!(
        said.contains(r"note: service \u{1b}[2J\r\nfalse\u{9b}2J\u{202e}"),
        "{said}"
    );
}
