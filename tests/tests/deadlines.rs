//! A peer that never reads, never writes or falls silent is closed after its deadline, not before, and no other is.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;
use tests::bounded::{SOON, Watchdog};
use tests::modes::MODES;
use tests::net::{Client, pattern, tcp};
use tests::server::{Running, memory};
use tidegate::{Class, Config, Conn, Handler, Reason};

/// Echoes lines; floods a client that begins with `F`; finishes at once with one that begins with `Q`. Records why each
/// connection ended.
struct Lines {
    ends: Sender<(Reason, Duration)>,
}

impl Lines {
    fn new() -> (Self, Receiver<(Reason, Duration)>) {
        let (ends, ended) = channel();
        (Self { ends }, ended)
    }
}

impl Handler for Lines {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let data = conn.data();
        match data.first() {
            Some(b'F') => {
                let n = conn.spare_capacity().len();
                conn.commit(n);
            }
            Some(b'Q') => conn.finish(),
            _ if data.ends_with(b"\n") && conn.send(data).is_ok() => conn.consume(data.len()),
            _ => {}
        }
    }

    fn closed(&mut self, conn: &mut Conn<'_>, (): &mut (), reason: Reason) {
        let _ = self.ends.send((reason, conn.age()));
    }
}

const SHORT: Duration = Duration::from_millis(100);

/// No deadline but those that a test sets.
fn patient() -> Config {
    Config {
        first_byte: None,
        request: None,
        write_stall: None,
        idle: None,
        linger: None,
        ..Config::default()
    }
}

#[test]
fn never_writing() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let config = Config {
            first_byte: Some(SHORT),
            ..patient()
        };
        let (handler, ended) = Lines::new();
        let running = Running::start::<4, 1024, 4096>(mode, memory(), &config, handler);
        let mut speaks = tcp(running.address());
        speaks.echo(b"I do\n");
        let began = Instant::now();
        let mut silent = tcp(running.address());
        silent.is_reset();
        assert!(began.elapsed() >= SHORT, "{mode}: {:?}", began.elapsed());
        let (reason, age) = ended.recv_timeout(SOON).expect("an end");
        assert_eq!(reason, Reason::Deadline(Class::FirstByte));
        assert!(age >= SHORT, "{age:?}");
        speaks.echo(b"and still do\n");
        assert_eq!(running.stats().open, 1);
    }
}

#[test]
fn falling_silent() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let config = Config {
            idle: Some(SHORT),
            ..patient()
        };
        let (handler, ended) = Lines::new();
        let running = Running::start::<4, 1024, 4096>(mode, memory(), &config, handler);
        let mut silent = tcp(running.address());
        let began = Instant::now();
        silent.echo(b"hello\n");
        silent.is_reset();
        assert!(began.elapsed() >= SHORT, "{mode}: {:?}", began.elapsed());
        let (reason, age) = ended.recv_timeout(SOON).expect("an end");
        assert_eq!(reason, Reason::Deadline(Class::Idle));
        assert!(age >= SHORT, "{age:?}");
    }
}

#[test]
fn half_a_request() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let config = Config {
            request: Some(SHORT),
            ..patient()
        };
        let (handler, ended) = Lines::new();
        let running = Running::start::<4, 1024, 4096>(mode, memory(), &config, handler);
        let mut slow = tcp(running.address());
        let mut idle = tcp(running.address());
        idle.echo(b"whole\n");
        slow.echo(b"whole\n");
        let began = Instant::now();
        slow.say(b"hal");
        slow.is_reset();
        assert!(began.elapsed() >= SHORT, "{mode}: {:?}", began.elapsed());
        let (reason, _) = ended.recv_timeout(SOON).expect("an end");
        assert_eq!(reason, Reason::Deadline(Class::Request));
        idle.echo(b"whole again\n");
        assert_eq!(running.stats().open, 1);
    }
}

#[test]
fn never_reading() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let config = Config {
            write_stall: Some(SHORT / 4),
            // Its kernel responds, so it lives, and may take nothing for so long.
            idle: Some(SHORT),
            ..patient()
        };
        let (handler, ended) = Lines::new();
        let running = Running::start::<4, 1024, 65_536>(mode, memory(), &config, handler);
        let mut other = tcp(running.address());
        let began = Instant::now();
        let mut deaf = tcp(running.address());
        deaf.say(b"F");
        let end = loop {
            // No other connection is affected, before, while and after.
            other.echo(b"hello\n");
            if let Ok(end) = ended.try_recv() {
                break end;
            }
            assert!(began.elapsed() < SOON, "{mode}: it never ends");
        };
        other.echo(b"hello\n");
        assert!(began.elapsed() >= SHORT, "{mode}: {:?}", began.elapsed());
        assert_eq!(end.0, Reason::Deadline(Class::Idle));
        assert!(end.1 >= SHORT, "{:?}", end.1);
        assert_eq!(running.stats().open, 1);
    }
}

/// A peer that lives may pause for longer than output may stall, and loses nothing.
#[test]
fn reading_later_is_no_silence() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let config = Config {
            write_stall: Some(Duration::from_millis(1)),
            ..patient()
        };
        let (handler, ended) = Lines::new();
        let running = Running::start::<4, 64, 65_536>(mode, memory(), &config, handler);
        let mut pauses = tcp(running.address());
        pauses.say(b"F");
        // The kernel takes no more, and is queried repeatedly whether it lives.
        assert_eq!(ended.recv_timeout(SHORT * 2).ok(), None, "{mode}");
        for _ in 0..200 {
            pauses.hear(&[0; 10_000]);
        }
        assert_eq!(ended.try_recv().ok(), None, "{mode}: let go while it read");
    }
}

#[test]
fn reading_slowly_is_progress() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let config = Config {
            write_stall: Some(Duration::from_secs(5)),
            ..patient()
        };
        let (handler, ended) = Lines::new();
        let running = Running::start::<4, 64, 65_536>(mode, memory(), &config, handler);
        let mut slow = tcp(running.address());
        slow.say(b"F");
        for _ in 0..200 {
            slow.hear(&[0; 10_000]);
        }
        assert!(ended.try_recv().is_err(), "{mode}: let go while it read");
    }
}

#[test]
fn never_finishing() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let config = Config {
            linger: Some(SHORT),
            ..patient()
        };
        let (handler, ended) = Lines::new();
        let running = Running::start::<4, 1024, 4096>(mode, memory(), &config, handler);
        let mut stays = tcp(running.address());
        let began = Instant::now();
        stays.say(b"Q");
        assert_eq!(stays.rest(), b"");
        let (reason, _) = ended.recv_timeout(SOON).expect("an end");
        assert!(began.elapsed() >= SHORT, "{mode}: {:?}", began.elapsed());
        assert_eq!(
            reason,
            Reason::Finished,
            "all was handed over: the first cause counts"
        );
    }
}

#[test]
fn many_at_once_end_each_for_its_own_reason() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let config = Config {
            // Long enough that a client that sends does so in time.
            first_byte: Some(SHORT * 10),
            idle: Some(SHORT * 2),
            request: Some(SHORT * 3),
            // Of those that live and take nothing, too, it ends with what they may be idle.
            write_stall: Some(SHORT * 4),
            ..patient()
        };
        let (handler, ended) = Lines::new();
        let running = Running::start::<64, 64, 65_536>(mode, memory(), &config, handler);
        let said: [&[u8]; 4] = [b"", b"\n", b"half", b"F"];
        let clients: Vec<_> = (0..64)
            .map(|n| {
                let mut client = tcp(running.address());
                client.say(said[n % 4]);
                client
            })
            .collect();
        let mut reasons: HashMap<_, usize> = HashMap::new();
        for _ in 0..64 {
            let (reason, age) = ended.recv_timeout(SOON).expect("an end");
            let Reason::Deadline(class) = reason else {
                panic!("{reason:?}")
            };
            assert!(
                age >= config.length(class).expect("a deadline"),
                "{class:?} after {age:?}"
            );
            *reasons.entry(class).or_default() += 1;
        }
        for (class, count) in [
            (Class::FirstByte, 16),
            (Class::Idle, 32),
            (Class::Request, 16),
        ] {
            assert_eq!(reasons.get(&class), Some(&count), "{class:?}");
        }
        drop(clients);
        let mut client = tcp(running.address());
        client.echo(&[&pattern(1, 40)[..], b"\n"].concat());
    }
}
