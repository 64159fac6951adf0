//! What is recorded stays within its bounds, and holds nobody up: what finds no room is missing, and counted.

use rustix::fs::{CWD, Mode};
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::thread;
use tests::bounded::Watchdog;
use tests::net::{Client, tcp};
use tests::process::{Folder, Program, run};
use tests::replay::{Tape, replay};
use tidegate_core::Memory;
use tidegate_core::trace::Entry;

#[test]
fn a_full_file_makes_place_for_the_next() {
    let _bound = Watchdog::new();
    let folder = Folder::new("record");
    let path = folder.path("t");
    let arguments = ["--service", "echo", "--record", &path, "--record-size", "1"];
    let program = Program::start(&arguments);
    let mut client = tcp(program.address());
    for _ in 0..40 {
        client.echo(&[b'x'; 64 * 1024]);
    }
    drop(client);
    assert_eq!(program.stop().code, Some(0));
    let files = [format!("{path}.1"), path].map(|path| {
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "there is payload in it");
        fs::read(path).expect("a file")
    });
    let size: usize = files.iter().map(Vec::len).sum();
    assert!((400_000..=1024 * 1024 + 32).contains(&size), "{size}");
    let tape = Tape::read(&files).expect("two traces");
    assert_eq!(tape.flaw, None, "whole entries in each");
    let mut memory = Box::new(Memory::<4, 4096, 16384, u32>::new());
    let refused = replay(&tape, &mut memory, None, false).expect_err("no beginning");
    assert!(refused.contains("its beginning is missing"), "{refused}");
}

#[test]
fn a_file_that_takes_nothing_holds_nobody_up() {
    let _bound = Watchdog::new();
    let folder = Folder::new("record-slow");
    let path = folder.path("t");
    rustix::fs::mkfifoat(CWD, path.as_str(), Mode::RUSR | Mode::WUSR).expect("a pipe");
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let reader = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(&path);
    let mut reader = reader.expect("a reader that does not read");
    let arguments = ["--service", "echo", "--connections", "4", "--record", &path];
    let program = Program::start(&arguments);
    let mut client = tcp(program.address());
    // Three times what the ring and the pipe hold.
    for _ in 0..50 {
        client.echo(&[b'x'; 64 * 1024]);
    }
    drop(client);
    // Now it reads, to the end.
    let reading = thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return bytes,
                Ok(n) => bytes.extend_from_slice(&piece[..n]),
                Err(_) => thread::yield_now(),
            }
        }
    });
    let ended = program.stop();
    assert_eq!(ended.code, Some(0));
    assert!(
        ended
            .errors
            .contains("entries found no room and are missing"),
        "{}",
        ended.errors
    );
    let tape = Tape::read(&[reading.join().expect("all of it")]).expect("a trace");
    let lost = tape
        .entries()
        .iter()
        .position(|entry| matches!(entry, Entry::Lost(_)));
    let lost = lost.expect("it is told where something is missing");
    let mut memory = Box::new(Memory::<4, 4096, 16384, u32>::new());
    let replayed = replay(&tape, &mut memory, None, false).expect("up to there");
    assert!(replayed.diverged.is_none(), "{:?}", replayed.diverged);
    assert_eq!(replayed.entries, lost);
    assert!(
        replayed
            .stopped
            .is_some_and(|why| why.contains("missing here"))
    );
}

#[test]
fn what_cannot_be_recorded_is_said() {
    let _bound = Watchdog::new();
    for (arguments, code, says) in [
        (
            &["--record", "/nonexistent/t"][..],
            1,
            "cannot record to /nonexistent/t: ",
        ),
        (
            &["--record", "t", "--threads", "2"],
            2,
            "--record t knows one thread",
        ),
        (
            &["--record-payload", "some"],
            2,
            "must be whole, hash or a number of bytes",
        ),
        (&["--record-size", "0"], 2, "must be a number from 1"),
    ] {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}");
        assert!(
            ended.errors.contains(says),
            "{arguments:?}: {}",
            ended.errors
        );
    }
}

#[test]
fn a_trace_of_before_is_set_aside_and_one_of_another_process_is_left_alone() {
    let _bound = Watchdog::new();
    let folder = Folder::new("record-again");
    let path = folder.path("t");
    let arguments = ["--service", "echo", "--record", &path];
    let first = Program::start(&arguments);
    tcp(first.address()).echo(b"the first");
    let ended = run(&arguments);
    assert_eq!(ended.code, Some(1));
    let why = format!("cannot record to {path}: another process is recording there");
    assert!(ended.errors.contains(&why), "{}", ended.errors);
    assert_eq!(first.stop().code, Some(0));
    let second = Program::start(&arguments);
    tcp(second.address()).echo(b"the second");
    assert_eq!(second.stop().code, Some(0));
    for (path, said) in [(format!("{path}.1"), "the first"), (path, "the second")] {
        let trace = fs::read(path).expect("a file");
        let mut places = trace.windows(said.len());
        assert!(places.any(|part| part == said.as_bytes()), "{said}");
    }
}

#[test]
fn a_pipe_that_nobody_reads_is_refused_and_a_device_stays_what_it_is() {
    let _bound = Watchdog::new();
    let folder = Folder::new("record-pipe");
    let path = folder.path("t");
    rustix::fs::mkfifoat(CWD, path.as_str(), Mode::RUSR | Mode::WUSR).expect("a pipe");
    let ended = run(&["--record", &path]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.errors.contains("it is a pipe that nobody reads"),
        "{}",
        ended.errors
    );
    // A link, so that the device is out of reach if it were taken for a file.
    let link = folder.path("null");
    std::os::unix::fs::symlink("/dev/null", &link).expect("a link");
    let arguments = ["--service", "echo", "--record", &link, "--record-size", "1"];
    let program = Program::start(&arguments);
    let mut client = tcp(program.address());
    for _ in 0..40 {
        client.echo(&[b'x'; 64 * 1024]);
    }
    drop(client);
    assert_eq!(program.stop().code, Some(0));
    assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
    assert!(!fs::exists(format!("{link}.1")).expect("an answer"));
}
