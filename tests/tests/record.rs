//! What is recorded stays within its bounds, and delays no connection: what does not fit is missing, and counted.

use rustix::fs::{CWD, Mode};
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use tests::bounded::{Watchdog, until};
use tests::net::{Client, tcp};
use tests::process::{Folder, Program, example, program, run};
use tests::replay::{Tape, replay};
use tests::strace::{Strace, thread_named};
use tidegate_core::Memory;
use tidegate_core::trace::Entry;

#[test]
fn a_full_file_is_replaced_by_the_next() {
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
fn a_file_that_takes_nothing_delays_nothing() {
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

/// Sets how large a file the program may make.
fn limit(program: &Program, bytes: Option<u64>) {
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Some(program.pid()), Resource::Fsize, limit).expect("a limit");
}

/// Whether these bytes are in the file.
fn holds(path: &str, bytes: &[u8]) -> bool {
    let file = fs::read(path).unwrap_or_default();
    file.windows(bytes.len()).any(|part| part == bytes)
}

#[test]
#[ignore = "needs strace"]
fn it_records_again_when_there_is_space_again() {
    let _bound = Watchdog::new();
    let folder = Folder::new("record-full");
    let path = folder.path("t");
    let program = Program::traceable(&["--service", "echo", "--record", &path]);
    let mut client = tcp(program.address());
    client.echo(b"before");
    until("it is written", || holds(&path, b"before"));
    let writer = thread_named(program.pid(), "trace");
    for (n, again) in [&b"again"[..], b"once more"].into_iter().enumerate() {
        // The first write of an entry, and the next tries.
        let full = ["inject=write:error=ENOSPC"];
        let strace = Strace::attach(writer, &full, folder.path("log").into());
        until("it has noticed", || {
            client.echo(b"missing");
            let said = program.errors();
            said.matches("nothing is recorded until there is space again")
                .count()
                > n
        });
        until("it has tried again", || {
            client.echo(b"missing");
            strace.injected().len() > 2
        });
        drop(strace.detach());
        until("it records again", || {
            client.echo(again);
            holds(&path, again)
        });
        assert!(!holds(&path, b"missing"));
    }
    drop(client);
    let ended = program.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let tape = Tape::read(&[fs::read(&path).expect("a file")]).expect("a trace");
    assert_eq!(tape.flaw, None, "whole entries only");
    let lost = |entry: &Entry<'_>| {
        if let Entry::Lost(n) = entry {
            Some(*n)
        } else {
            None
        }
    };
    let lost: Vec<u64> = tape.entries().iter().filter_map(lost).collect();
    assert!(lost.len() >= 2, "{lost:?}");
    let all: u64 = lost.iter().sum();
    let said = format!("--record: {all} entries found no room and are missing");
    assert!(ended.errors.contains(&said), "{lost:?} {}", ended.errors);
}

#[test]
fn half_an_entry_is_taken_back() {
    let _bound = Watchdog::new();
    let folder = Folder::new("record-half");
    let path = folder.path("t");
    let program = Program::start(&["--service", "echo", "--record", &path]);
    let mut client = tcp(program.address());
    client.echo(b"before");
    until("it is written", || holds(&path, b"before"));
    let size = fs::metadata(&path).expect("a file").len();
    for more in 1..40 {
        limit(&program, Some(size + more));
        client.echo(&[b'x'; 64]);
    }
    limit(&program, Some(0));
    until("it has noticed", || {
        client.echo(b"missing");
        program.errors().contains("nothing is recorded until")
    });
    limit(&program, None);
    until("it records again", || {
        client.echo(b"again");
        holds(&path, b"again")
    });
    drop(client);
    assert_eq!(program.stop().code, Some(0));
    let files = [format!("{path}.1"), path].into_iter();
    let files: Vec<_> = files.filter_map(|path| fs::read(path).ok()).collect();
    assert_eq!(Tape::read(&files).expect("a trace").flaw, None);
}

#[test]
fn a_file_that_may_not_grow_is_full() {
    let _bound = Watchdog::new();
    let folder = Folder::new("record-fsize");
    let path = folder.path("t");
    let program = Program::start(&["--service", "echo", "--record", &path]);
    limit(&program, Some(100_000));
    let mut client = tcp(program.address());
    until("the next file has begun", || {
        client.echo(&[b'x'; 16 * 1024]);
        fs::exists(format!("{path}.1")).expect("an answer")
    });
    until("something is in it", || {
        client.echo(b"the end of it");
        holds(&path, b"the end of it")
    });
    drop(client);
    let ended = program.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let files = [format!("{path}.1"), path].map(|path| fs::read(path).expect("a file"));
    for file in &files {
        assert!(file.len() <= 100_000, "{}", file.len());
    }
    let read = |files: &[_]| Tape::read(files).expect("a trace").flaw;
    assert_eq!(read(&files), None);
    let alone = read(&files[..1]).expect("there is no end in the first");
    assert!(
        alone.contains("the end of the recording is missing"),
        "{alone}"
    );
}

/// A program whose standard output is a file, and the port that it listens on.
fn into_file(program: &Path, path: &str) -> (Child, u16) {
    let mut command = Command::new(program);
    command
        .args(["--listen", "127.0.0.1:0"])
        .stderr(Stdio::piped());
    let out = fs::File::create(path).expect("a file");
    let child = command.stdout(out).spawn().expect("the program");
    let mut port = 0;
    until("it listens", || {
        let said = fs::read_to_string(path).expect("lines");
        let at = said.strip_prefix("listening on 127.0.0.1:");
        let number = at.and_then(|rest| rest.lines().next()?.parse().ok());
        port = number.unwrap_or(0);
        port > 0 && said.ends_with('\n')
    });
    (child, port)
}

/// Ends it; returns its standard error.
fn ends_in_order(child: Child) -> String {
    rustix::process::kill_process(Pid::from_child(&child), Signal::TERM).expect("a signal");
    let ended = child.wait_with_output().expect("its end");
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

#[test]
fn an_output_that_may_not_grow_loses_lines_and_ends_nothing() {
    let _bound = Watchdog::new();
    let folder = Folder::new("output-fsize");
    let path = folder.path("out");
    let (child, port) = into_file(program(), &path);
    let limit = Rlimit {
        current: Some(2000),
        maximum: None,
    };
    prlimit(Some(Pid::from_child(&child)), Resource::Fsize, limit).expect("a limit");
    for _ in 0..100 {
        drop(tcp(([127, 0, 0, 1], port).into()));
    }
    let mut client = tcp(([127, 0, 0, 1], port).into());
    client.say(b"still here");
    client.finish();
    assert_eq!(client.rest(), b"");
    let said = ends_in_order(child);
    assert!(said.contains("did not take everything"), "{said}");
    assert!(fs::metadata(&path).expect("a file").len() <= 2000);
}

#[test]
fn examples_survive_an_output_that_may_not_grow() {
    let _bound = Watchdog::new();
    let folder = Folder::new("examples-fsize");
    for name in ["http_status", "modbus_tcp", "resp_kv", "control_socket"] {
        let path = folder.path(name);
        let (child, _) = into_file(&example(name), &path);
        let size = fs::metadata(&path).expect("a file").len();
        let limit = Rlimit {
            current: Some(size + 5),
            maximum: None,
        };
        prlimit(Some(Pid::from_child(&child)), Resource::Fsize, limit).expect("a limit");
        ends_in_order(child);
        let size = fs::metadata(&path).expect("a file").len() - size;
        assert!(size <= 5, "{name}: {size}");
    }
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
            "--record t works with one thread",
        ),
        (
            &["--record", "t", "--record-payload", "some"],
            2,
            "must be whole, hash or a number of bytes",
        ),
        (
            &["--record", "t", "--record-size", "0"],
            2,
            "must be a number from 1",
        ),
        (
            &["--record-payload", "hash"],
            2,
            "--record-payload: nothing is recorded; ask for --record FILE",
        ),
        (
            &["--record-size", "3"],
            2,
            "--record-size: nothing is recorded; ask for --record FILE",
        ),
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
fn a_pipe_without_a_reader_is_refused_and_a_device_stays_what_it_is() {
    let _bound = Watchdog::new();
    let folder = Folder::new("record-pipe");
    let path = folder.path("t");
    rustix::fs::mkfifoat(CWD, path.as_str(), Mode::RUSR | Mode::WUSR).expect("a pipe");
    let ended = run(&["--record", &path]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.errors.contains("it is a pipe without a reader"),
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
