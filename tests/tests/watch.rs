//! Descriptors that are watched, wake-ups and children, on every backend.

use rustix::fd::{AsFd as _, OwnedFd};
use rustix::pipe::{PipeFlags, pipe_with};
use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;
use tests::bounded::{SOON, Watchdog};
use tests::modes::MODES;
use tests::net::{Client as _, tcp};
use tests::server::{memory, over_epoll, server};
use tidegate::{
    Child, Config, Conn, Connections, Directions, Error, Exit, Handler, Mailbox, Token,
    Unavailable, Waker,
};

/// Records its notices, and does with each what `act` says.
struct Told<F> {
    act: F,
    times: u32,
}

impl<F: FnMut(&mut Connections<'_>, Token, Directions)> Handler for Told<F> {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let data = conn.data();
        if conn.send(data).is_ok() {
            conn.consume(data.len());
        }
    }

    fn ready(&mut self, all: &mut Connections<'_>, token: Token, directions: Directions) {
        self.times += 1;
        (self.act)(all, token, directions);
    }
}

const fn told<F: FnMut(&mut Connections<'_>, Token, Directions)>(act: F) -> Told<F> {
    Told { act, times: 0 }
}

/// Signals the test that all has come: by a timer, which it can see from outside.
fn done(all: &mut Connections<'_>) {
    all.set_timer(0, SOON * 100).expect("a timer");
}

fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).expect("a pipe")
}

#[test]
fn a_pipe_is_reported_until_it_is_read_then_its_eof() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (from, to) = pipe();
        let copy = from.try_clone().expect("a descriptor");
        let mut seen = Vec::new();
        let handler = told(move |all, token, directions| {
            assert_eq!(directions, Directions::READ);
            let mut bytes = [0; 2];
            let n = rustix::io::read(&copy, &mut bytes).expect("it is ready");
            seen.extend_from_slice(&bytes[..n]);
            if n == 0 {
                assert_eq!(seen, b"abcde", "{mode}");
                all.unwatch(token);
            }
        });
        let (mut server, _) = server::<2, 64, 64, _>(mode, memory(), &Config::default(), handler);
        server.watch(&from, Directions::READ).expect("watched");
        drop(from);
        let mut to = File::from(to);
        to.write_all(b"abcde").expect("capacity");
        drop(to);
        // Three times bytes, then the end; then it is gone from the set.
        while server.session().machine().watched_tokens().count() > 0 {
            server.turn(Some(SOON)).expect("a wait");
        }
        assert_eq!(server.session().handler().times, 4, "{mode}");
        let armed: Vec<_> = server.session().armed().collect();
        assert_eq!(armed.len(), 1, "{mode}: the listener alone");
    }
}

#[test]
fn writability_is_reported_as_long_as_it_lasts() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (_from, to) = pipe();
        let copy = to.try_clone().expect("a descriptor");
        let mut times = 0;
        let handler = told(move |all, token, directions| {
            assert_eq!(directions, Directions::WRITE);
            rustix::io::write(&copy, b"!").expect("capacity");
            times += 1;
            if times == 3 {
                all.unwatch(token);
            }
        });
        let (mut server, _) = server::<2, 64, 64, _>(mode, memory(), &Config::default(), handler);
        server.watch(&to, Directions::WRITE).expect("watched");
        while server.session().machine().watched_tokens().count() > 0 {
            server.turn(Some(SOON)).expect("a wait");
        }
        assert_eq!(server.session().handler().times, 3, "{mode}");
    }
}

#[test]
fn one_without_a_reader_delays_no_other() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (from, to) = pipe();
        rustix::io::write(&to, b"!").expect("capacity");
        let handler = told(|_, _, _| {});
        let (mut server, address) =
            server::<2, 64, 64, _>(mode, memory(), &Config::default(), handler);
        server.watch(&from, Directions::READ).expect("watched");
        let handle = server.stop_handle().expect("a handle");
        let client = thread::spawn(move || {
            let mut client = tcp(address);
            for _ in 0..100 {
                client.echo(b"served");
            }
            handle.stop();
            client.finish();
        });
        server.run().expect("a wait");
        client.join().expect("a client");
        assert!(server.session().handler().times > 0, "{mode}");
    }
}

#[test]
fn interest_in_nothing_is_not_notified_of_eof() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (from, to) = pipe();
        let handler = told(|all: &mut Connections<'_>, token, _| {
            all.watch_for(token, Directions::NONE);
        });
        let (mut server, _) = server::<2, 64, 64, _>(mode, memory(), &Config::default(), handler);
        let token = server.watch(&from, Directions::READ).expect("watched");
        drop(to);
        while server.session().handler().times == 0 {
            server.turn(Some(SOON)).expect("a wait");
        }
        for _ in 0..10 {
            server
                .turn(Some(core::time::Duration::ZERO))
                .expect("a wait");
        }
        assert!(server.session().handler().times <= 2, "{mode}: it spins");
        let before = server.session().handler().times;
        server.connections().watch_for(token, Directions::READ);
        while server.session().handler().times == before {
            server.turn(Some(SOON)).expect("a wait");
        }
    }
}

#[test]
fn what_cannot_be_waited_for_is_refused_with_its_reason() {
    let _bound = Watchdog::new();
    let handler = told(|_, _, _| {});
    let (mut server, _) = over_epoll::<2, 64, 64, _>(memory(), &Config::default(), handler);
    for path in ["/proc/self/exe", "/", "/dev/null"] {
        let file = File::open(path).expect("a file");
        let refused = server.watch(&file, Directions::READ);
        assert_eq!(refused, Err(Error::NotPollable), "{path}");
    }
    let text = Error::NotPollable.to_string();
    assert!(text.contains("regular file"), "{text}");
    let (from, _to) = pipe();
    for _ in 1..16 {
        server.watch(&from, Directions::READ).expect("a place");
    }
    let full = server.watch(&from, Directions::READ);
    assert!(
        matches!(
            full,
            Err(Error::Unavailable(Unavailable::Sources { capacity: 16 }))
        ),
        "the listener has one: {full:?}"
    );
    // A slot that is freed is there for the next.
    let first = server.session().machine().watched_tokens().next();
    server.connections().unwatch(first.expect("one of them"));
    server.turn(Some(SOON)).expect("a wait");
    server.watch(&from, Directions::READ).expect("a place");
}

#[test]
fn wake_ups_coalesce_and_none_is_lost() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let waker = Waker::new().expect("a counter");
        let waker = &waker;
        let mut woken = 0;
        let handler = told(move |all, _, _| {
            woken += waker.take();
            if woken == 3000 {
                done(all);
            }
        });
        let (mut server, _) = server::<2, 64, 64, _>(mode, memory(), &Config::default(), handler);
        server.watch(waker, Directions::READ).expect("watched");
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..1000).for_each(|_| waker.wake()));
            }
            while server.session().machine().free_timer(0).is_none() {
                server.turn(Some(SOON)).expect("a wait");
            }
        });
        assert!(server.session().handler().times <= 3000, "{mode}");
        assert_eq!(waker.take(), 0, "{mode}");
    }
}

#[test]
fn a_mailbox_brings_every_value_in_order_and_gives_back_what_does_not_fit() {
    let _bound = Watchdog::new();
    const EACH: u32 = 500;
    for mode in MODES {
        let mailbox = Mailbox::<(usize, u32), 4>::new().expect("a counter");
        let mailbox = &mailbox;
        for value in 0..4 {
            assert_eq!(mailbox.send((0, value)), Ok(()));
        }
        assert_eq!(mailbox.send((0, 4)), Err((0, 4)), "it holds four");
        let mut next = [0; 3];
        let mut came = 0;
        let handler = told(move |all, _, _| {
            mailbox.take(|(sender, value)| {
                assert_eq!(value, next[sender], "in the order of their sender");
                next[sender] += 1;
                came += 1;
            });
            if came == 4 + 2 * EACH {
                done(all);
            }
        });
        let (mut server, _) = server::<2, 64, 64, _>(mode, memory(), &Config::default(), handler);
        server.watch(mailbox, Directions::READ).expect("watched");
        thread::scope(|scope| {
            for sender in [1, 2] {
                scope.spawn(move || {
                    for value in 0..EACH {
                        while mailbox.send((sender, value)).is_err() {
                            thread::yield_now();
                        }
                    }
                });
            }
            while server.session().machine().free_timer(0).is_none() {
                server.turn(Some(SOON)).expect("a wait");
            }
        });
    }
}

#[test]
fn the_end_of_a_child_is_notified_with_its_status() {
    let _bound = Watchdog::new();
    for mode in MODES {
        for (command, exit) in [("exit 7", Exit::Status(7)), ("kill -9 $$", Exit::Signal(9))] {
            let mut shell = Command::new("sh");
            let shell = shell.args(["-c", &format!("read wait; {command}")]);
            let mut process = shell.stdin(Stdio::piped()).spawn().expect("a shell");
            let child = Child::of(process.id()).expect("a child");
            let copy = child.as_fd().try_clone_to_owned().expect("a descriptor");
            assert_eq!(child.exit(), None, "it runs");
            let mut ended = None;
            let handler = told(move |all, token, _| {
                ended = ended.or(child.exit());
                assert_eq!(ended, Some(exit), "{mode}");
                all.unwatch(token);
            });
            let (mut server, _) =
                server::<2, 64, 64, _>(mode, memory(), &Config::default(), handler);
            server.watch(&copy, Directions::READ).expect("watched");
            drop(process.stdin.take());
            while server.session().machine().watched_tokens().count() > 0 {
                server.turn(Some(SOON)).expect("a wait");
            }
            assert_eq!(server.session().handler().times, 1, "{mode}");
            assert!(process.wait().is_err(), "it was waited for");
        }
    }
    assert!(Child::of(0).is_err(), "nobody has that number");
}
