//! Signals that interrupt every call lose no byte and shorten no wait.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::os::unix::thread::JoinHandleExt;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;
use tests::bounded::{SOON, Watchdog};
use tests::modes::{MODES, SLEEPING};
use tests::net::{Client, pattern, tcp};
use tests::server::{Echo, Running, memory, server};
use tidegate::{Class, Config, Conn, Handler, Reason};

static CAUGHT: AtomicU64 = AtomicU64::new(0);

extern "C" fn catch(_: libc::c_int) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
}

/// SIGALRM does nothing but interrupt: no SA_RESTART.
fn do_nothing_at_alarms() {
    // SAFETY: all zeros is a valid `sigaction`; the handler does nothing but add to an atomic number.
    let set = unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = catch as extern "C" fn(libc::c_int) as usize;
        libc::sigaction(libc::SIGALRM, &action, core::ptr::null_mut())
    };
    assert_eq!(set, 0);
}

/// Ends a storm.
struct Calm<'a>(&'a AtomicBool);

impl Drop for Calm<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Interrupts one thread about every millisecond while `during` runs.
fn storm<T, R>(thread: &thread::JoinHandle<T>, during: impl FnOnce() -> R) -> R {
    do_nothing_at_alarms();
    let caught = CAUGHT.load(Ordering::Relaxed);
    let over = AtomicBool::new(false);
    let thread = thread.as_pthread_t();
    let result = thread::scope(|scope| {
        // Also if `during` panics: the scope waits for the thread that it has.
        let _calm = Calm(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // SAFETY: the thread is joined only after this scope.
                unsafe { libc::pthread_kill(thread, libc::SIGALRM) };
                thread::park_timeout(Duration::from_millis(1));
            }
        });
        during()
    });
    assert!(
        CAUGHT.load(Ordering::Relaxed) > caught + 5,
        "there was a storm"
    );
    result
}

#[test]
fn no_byte_is_lost() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = Running::start::<4, 1024, 4096>(mode, memory(), &Config::default(), Echo);
        let stats = storm(running.thread().expect("a thread"), || {
            let began = Instant::now();
            let mut round = 0;
            while began.elapsed() < Duration::from_millis(300) || round < 20 {
                let mut client = tcp(running.address());
                client.echo(&pattern(round, 20_000));
                client.finish();
                assert_eq!(client.rest(), b"");
                round += 1;
            }
            running.stats_when("all are closed", |stats| stats.open == 0)
        });
        assert_eq!(stats.bytes_in, stats.bytes_out);
        assert_eq!(
            stats.closed_by(Reason::PeerFinished),
            stats.accepted,
            "{mode}"
        );
    }
}

/// Records how old connections became.
struct Ages(std::sync::mpsc::Sender<(Reason, Duration)>);

impl Handler for Ages {
    type State = ();

    fn closed(&mut self, conn: &mut Conn<'_>, (): &mut (), reason: Reason) {
        let _ = self.0.send((reason, conn.age()));
    }
}

#[test]
fn no_deadline_is_early() {
    let _bound = Watchdog::new();
    const LENGTH: Duration = Duration::from_millis(150);
    for mode in MODES {
        let config = Config {
            first_byte: Some(LENGTH),
            ..Config::default()
        };
        let (tell, told) = channel();
        let running = Running::start::<4, 1024, 4096>(mode, memory(), &config, Ages(tell));
        storm(running.thread().expect("a thread"), || {
            let began = Instant::now();
            let mut silent = tcp(running.address());
            silent.is_reset();
            assert!(began.elapsed() >= LENGTH, "{:?}", began.elapsed());
        });
        let (reason, age) = told.recv_timeout(SOON).expect("an end");
        assert_eq!(reason, Reason::Deadline(Class::FirstByte));
        assert!(age >= LENGTH, "{mode}: {age:?}");
    }
}

#[test]
fn no_wait_is_shortened() {
    let _bound = Watchdog::new();
    for mode in SLEEPING {
        let thread = thread::spawn(move || {
            let (mut server, _) =
                server::<4, 1024, 4096, _>(mode, memory(), &Config::default(), Echo);
            // What is queued at first is done at once.
            server.turn(Some(Duration::ZERO)).expect("a wait");
            for micros in [1, 999, 1000, 1001, 20_500, 150_000] {
                let length = Duration::from_micros(micros);
                let began = Instant::now();
                server.turn(Some(length)).expect("a wait");
                assert!(
                    began.elapsed() >= length,
                    "{mode}: {:?} instead of {length:?}",
                    began.elapsed()
                );
            }
        });
        storm(&thread, || {
            tests::bounded::until("the waits are over", || thread.is_finished());
        });
        thread.join().expect("no wait too short");
    }
}
