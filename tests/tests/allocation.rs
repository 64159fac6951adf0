//! Nothing is allocated after the start.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use rustix::process::Signal;
use std::alloc::System;
use std::os::unix::net::UnixDatagram;
use std::thread;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, pattern, tcp, unix};
use tests::process::{Folder, Program};
use tests::server::{Echo, memory, server};
use tidegate::Config;

/// Counts the allocations of the present thread.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ASKED.with(|asked| asked.set(asked.get() + 1));
}

// SAFETY: everything is forwarded to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn by_the_library() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (tell, told) = std::sync::mpsc::channel();
        let serves = thread::spawn(move || {
            let (mut server, address) =
                server::<64, 1024, 4096, _>(mode, memory(), &Config::default(), Echo);
            let stop = server.stop_handle().expect("a handle");
            tell.send((address, stop)).expect("heard");
            let before = ASKED.get();
            server.run().expect("a wait");
            let asked = ASKED.get() - before;
            assert_eq!(server.stats().accepted, 200);
            // It does count.
            drop(core::hint::black_box(Box::new(1)));
            assert_eq!(ASKED.get(), before + asked + 2);
            asked
        });
        let (address, stop) = told.recv().expect("a server");
        let mut kept = Vec::new();
        for n in 0..200 {
            let mut client = tcp(address);
            client.echo(&pattern(n, 100));
            match n % 4 {
                0 => tests::net::reset(client),
                1 => client.echo(&pattern(n, 20_000)),
                2 => {
                    client.finish();
                    assert_eq!(client.rest(), b"");
                }
                _ => kept.push(client),
            }
        }
        stop.stop();
        drop(kept);
        assert_eq!(serves.join().expect("no panic"), 0, "{mode}");
    }
}

#[test]
#[ignore = "needs strace"]
fn by_the_program() {
    let _bound = Watchdog::new();
    let folder = Folder::new("allocation");
    for (service, threads) in [
        ("echo", "1"),
        ("print", "1"),
        ("chat", "1"),
        ("discard", "1"),
        ("echo", "2"),
    ] {
        let trace = folder.path(&format!("{service}{threads}"));
        let calls = "trace=brk,mmap,munmap,mremap,accept4";
        let arguments = [
            "--service",
            service,
            "--linger",
            "100ms",
            "--threads",
            threads,
        ];
        let mut program = Program::traced(&["-e", calls], trace.as_ref(), &arguments);
        let mut kept = Vec::new();
        for n in 0..200 {
            let mut client = tcp(program.address());
            client.say(&pattern(n, 1000));
            kept.push(client);
            if n % 20 == 19 {
                program.signal(Signal::USR1);
                kept.clear();
            }
        }
        program.statistics_when("accepted", 200);
        let calls = program.calls(trace.as_ref());
        let is_accept = |call: &str| call.starts_with("accept4(");
        let first = calls
            .iter()
            .position(|(_, call)| is_accept(call))
            .expect("an accept");
        let calls = &calls[first..];
        // The last things that a thread does give its memory back; others may go on.
        let is_last = |at: usize| {
            let (thread, mut rest) = (calls[at].0, calls[at..].iter());
            rest.all(|(other, call)| *other != thread || call.starts_with("munmap("))
        };
        let asked: Vec<_> = (0..calls.len())
            .filter(|at| !is_accept(&calls[*at].1) && !is_last(*at))
            .map(|at| &calls[at])
            .collect();
        assert!(asked.is_empty(), "{service}: {asked:#?}");
    }
}

#[test]
#[ignore = "needs strace"]
fn by_operators_of_the_program() {
    let _bound = Watchdog::new();
    let folder = Folder::new("looked-after");
    let [trace, log, control, metrics] = ["t", "l", "c", "m"].map(|name| folder.path(name));
    let _log = UnixDatagram::bind(&log).expect("bound");
    let log_to = format!("syslog:{log}");
    let control_at = format!("unix:{control}");
    let metrics_at = format!("unix:{metrics}");
    let calls = "trace=brk,mmap,munmap,mremap,accept4";
    let own = ["--log-to", &log_to, "--log", "trace", "--service", "echo"];
    let places = ["--control", &control_at, "--metrics", &metrics_at];
    let arguments = [&own[..], &places].concat();
    let program = Program::traced(&["-e", calls], trace.as_ref(), &arguments);
    for n in 0..100 {
        tcp(program.address()).echo(&pattern(n, 1000));
        let mut asking = unix(&metrics);
        asking.say(b"GET /metrics HTTP/1.0\r\n\r\n");
        assert!(asking.rest().starts_with(b"HTTP/1.1 200 OK\r\n"));
        let mut operator = unix(&control);
        operator.say(b"status\nconnections\nlog debug\ndrop 127.0.0.1\nnonsense\n");
        operator.finish();
        assert!(operator.rest().ends_with(b"or drain\n"));
    }
    let calls = program.calls(trace.as_ref());
    let is_accept = |call: &str| call.starts_with("accept4(");
    let first = calls.iter().position(|(_, call)| is_accept(call));
    let calls = &calls[first.expect("an accept")..];
    // The last things that are done give memory back.
    let asked = calls
        .iter()
        .filter(|(_, call)| !is_accept(call) && !call.starts_with("munmap("));
    let asked: Vec<_> = asked.collect();
    assert!(asked.is_empty(), "{asked:#?}");
}
