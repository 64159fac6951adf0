//! One scenario: two bystanders are connected, the fault begins, clients are struck, the fault ends, all is well.

use crate::rows::{self, By, Fate, Row, When};
use alloc::collections::BTreeSet;
use core::net::SocketAddr;
use core::time::Duration;
use rustix::process::Signal;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use tests::bounded::until;
use tests::net::{Client, descriptors, pattern, tcp};
use tests::process::{Folder, Program};
use tests::strace::{Call, Strace, thread_named};

/// Calls of one thread while it is watched. What all of it needs is about half of that; a loop that spins makes as many
/// in 20 ms, and a fault that lasts lasts for more than 300.
const CALLS: usize = 800;

/// Rounds until a fault has struck as often as it should.
const ROUNDS: usize = 20;

/// Plays it.
pub(crate) fn scene(row: &Row, does: &str) {
    let folder = Folder::new("inject");
    let arguments = [&["--service", "echo", "--linger", "100ms"], row.arguments].concat();
    let mut scene = Scene::begin(row, does, &arguments, &folder);
    match row.by {
        By::Talking => scene.talk(),
        By::Crowding => scene.crowd(),
        By::NotReading => scene.read_nothing(),
        By::Asking => scene.ask(),
        By::Stopping => return scene.stop(),
        By::ListenerLost => return scene.lose_listener(),
        By::ProgramLost => return scene.lose_program(),
    }
    scene.resume();
}

struct Scene<'r> {
    row: &'r Row,
    program: Program,
    address: SocketAddr,
    bystanders: Vec<TcpStream>,
    /// Before the first connection.
    at_first: Vec<i32>,
    /// When the fault began.
    at_fault: Vec<i32>,
    strace: Option<Strace>,
}

impl<'r> Scene<'r> {
    fn begin(row: &'r Row, does: &str, arguments: &[&str], folder: &Folder) -> Self {
        let program = Program::traceable(arguments);
        let (pid, address) = (program.pid(), program.address());
        let at_first = descriptors(pid);
        let mut bystanders = vec![tcp(address), tcp(address)];
        for bystander in &mut bystanders {
            bystander.echo(b"before");
        }
        let thread = if row.call == "write" {
            thread_named(pid, "lines")
        } else {
            pid
        };
        let at_fault = descriptors(pid);
        let log = folder.path("log").into();
        let strace = Some(Strace::attach(thread, &[&row.inject(does)], log));
        Self {
            row,
            program,
            address,
            bystanders,
            at_first,
            at_fault,
            strace,
        }
    }

    /// Clients come, one after the other, until the fault has struck as often as it should. Those it does not strike
    /// are served.
    fn talk(&mut self) {
        let mut struck = 0;
        for round in 0..ROUNDS {
            let client = tcp(self.address);
            let fate = self.visit(client, &pattern(round as u64, 100));
            let now = self.struck();
            let expected = if now > struck {
                &self.row.fate
            } else {
                &Fate::Served
            };
            assert_eq!(&fate, expected, "round {round}");
            struck = now;
            if struck >= self.row.strikes() {
                return;
            }
        }
        panic!("never struck");
    }

    /// One client sends something, receives it, and is gone; the fault ends in the middle if it would not by itself.
    fn visit(&mut self, mut client: TcpStream, message: &[u8]) -> Fate {
        let fate = match self.row.fate {
            Fate::Served | Fate::Lost => self.talk_in_pieces(&mut client, message),
            Fate::Behind(_) | Fate::Without(_) => talk_at_once(&mut client, message),
        };
        let fate = fate.unwrap_or_else(|error| {
            assert!(is_gone(&error), "hangs: {error}");
            Fate::Lost
        });
        drop(client);
        self.settle();
        fate
    }

    /// Each piece gets its reply before the next, and the last one is followed by FIN.
    fn talk_in_pieces(&mut self, client: &mut TcpStream, message: &[u8]) -> io::Result<Fate> {
        let mut heard = [0; 100];
        for piece in message.chunks(25) {
            client.write_all(piece)?;
            self.last();
            let heard = &mut heard[..piece.len()];
            client.read_exact(heard)?;
            assert_eq!(heard, piece);
        }
        // A close that does not happen ends nothing.
        if self.row.call != "close" {
            client.finish();
            assert_eq!(client.rest(), b"");
        }
        Ok(Fate::Served)
    }

    /// Waits until every connection but the bystanders' is closed.
    fn settle(&self) {
        until("its connection is closed", || {
            let open = descriptors(self.program.pid()).len();
            open == self.at_fault.len() + self.kept()
        });
    }

    /// Descriptors that are not closed because strace injected the result.
    fn kept(&self) -> usize {
        self.strace.as_ref().map_or(0, |strace| {
            strace
                .injected()
                .iter()
                .filter(|call| call.name() == "close")
                .count()
        })
    }

    /// How often the fault has struck.
    fn struck(&self) -> usize {
        let Some(strace) = &self.strace else {
            // It was there until it was taken away.
            return self.row.strikes();
        };
        let injected = strace.injected();
        if let Some(first) = injected.first() {
            assert!(first.says(self.row.says), "another call: {first:?}");
        }
        injected.len()
    }

    /// If the fault does not end by itself: waits for its beginning, talks to the bystanders for a while, and ends it.
    fn last(&mut self) {
        if !matches!(self.row.when, When::Always) || self.strace.is_none() {
            return;
        }
        until("it strikes", || self.struck() > 0);
        let struck = matches!(self.row.call, "recvfrom" | "sendto" | rows::ENTER);
        for n in 0..20 {
            if !struck {
                for bystander in &mut self.bystanders {
                    bystander.echo(&[n; 10]);
                }
            }
            thread::sleep(Duration::from_millis(15));
        }
        self.end_fault();
    }

    /// strace goes; nothing was closed twice, and nothing spun.
    fn end_fault(&mut self) {
        let Some(strace) = self.strace.take() else {
            return;
        };
        let calls = strace.detach();
        assert!(
            calls.len() <= CALLS,
            "{} calls: {:#?}",
            calls.len(),
            &calls[calls.len() - 20..]
        );
        balance(&calls, &self.at_fault);
    }

    /// A table with three slots: the third client has the last one, the fourth is one too many.
    fn crowd(&mut self) {
        let mut third = tcp(self.address);
        third.echo(b"the last place");
        if self.row.fate == Fate::Lost {
            let mut fourth = tcp(self.address);
            let _ = fourth.write_all(b"hello");
            until("it is struck", || self.struck() > 0);
            self.last();
            fourth.is_reset();
            third.echo(b"still mine");
            return;
        }
        let fourth = tcp(self.address);
        let strace = self.strace.as_ref().expect("strace");
        until("the listener is withdrawn", || {
            strace.calls().iter().any(|call| call.says("EPOLL_CTL_DEL"))
        });
        drop(third);
        assert_eq!(self.visit(fourth, &pattern(4, 100)), self.row.fate);
        assert!(self.struck() >= self.row.strikes(), "never struck");
    }

    /// Sends until nothing more is taken, and waits until it is struck.
    fn read_nothing(&mut self) {
        let mut client = tcp(self.address);
        client.set_nonblocking(true).expect("O_NONBLOCK");
        until("it is struck", || {
            let _ = client.write(&[0; 65536]);
            self.struck() > 0
        });
        // Its unsent bytes cannot be measured, so it counts as stalled.
        drop(client);
        self.settle();
    }

    /// Requests the statistics until it has struck often enough.
    fn ask(&mut self) {
        let mut asked = 0;
        // Read once a round: the log may be behind.
        let mut before = self.struck();
        while before < self.row.strikes() {
            self.program.signal(Signal::USR1);
            until("it strikes", || self.struck() > before);
            before = self.struck();
            asked += 1;
            assert!(asked <= ROUNDS, "never struck");
        }
        self.last();
    }

    /// After the fault: the bystanders have their connections, a newcomer gets one, and everything is closed in the end.
    fn resume(mut self) {
        for bystander in &mut self.bystanders {
            bystander.echo(b"after");
        }
        tcp(self.address).echo(b"new");
        self.bystanders.clear();
        let pid = self.program.pid();
        let kept = self.kept();
        until("every connection is closed", || {
            descriptors(pid).len() == self.at_first.len() + kept
        });
        let now: BTreeSet<_> = descriptors(pid).into_iter().collect();
        if kept == 0 {
            assert!(self.at_first.iter().eq(&now), "{:?} {now:?}", self.at_first);
        }
        // Another thread's calls have nothing to do with connections.
        if let Some(strace) = self.strace.as_ref().filter(|_| self.row.call != "write") {
            until("every close is in the log", || {
                balance(&strace.calls(), &self.at_fault) == now
            });
        }
        self.end_fault();
        // What was requested during the fault may come only now.
        until("nothing is open by its own account", || {
            let statistics = self.program.statistics();
            let of = |name: &str| statistics[name];
            assert_eq!([of("listeners_failed"), of("unasked")], [0; 2]);
            of("open") == 0
        });
        end_well(self.program);
    }

    /// An orderly stop: whatever it meets, every client gets EOF, and the program ends as requested.
    fn stop(mut self) {
        self.program.signal(Signal::TERM);
        for bystander in &mut self.bystanders {
            assert_eq!(bystander.rest(), b"");
        }
        let strace = self.strace.take().expect("strace");
        let ended = self.program.end();
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        let calls = strace.detach();
        assert!(calls.iter().any(Call::is_injected), "never struck");
        assert!(calls.len() <= CALLS);
        balance(&calls, &self.at_fault);
    }

    /// Without its only listener it would be unreachable for ever: it ends in an orderly way, and reports that to its
    /// supervisor.
    fn lose_listener(mut self) {
        // The reset comes while connecting or after it.
        if let Ok(mut client) = TcpStream::connect(self.address) {
            let _ = client.read(&mut [0]);
        }
        for bystander in &mut self.bystanders {
            assert_eq!(bystander.rest(), b"");
        }
        self.bystanders.clear();
        let ended = self.program.end();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let last = ended.errors.lines().last();
        assert_eq!(last, Some("tidegate: no listener works any more"));
        let calls = self.strace.expect("strace").detach();
        assert!(calls.iter().any(Call::is_injected), "never struck");
        balance(&calls, &self.at_fault);
    }

    /// Nothing can be served: one line, and an exit code for the supervisor.
    fn lose_program(mut self) {
        until("it ends", || {
            for bystander in &mut self.bystanders {
                let _ = bystander.write_all(b"hello");
            }
            self.program.has_ended()
        });
        let ended = self.program.end();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.errors.lines().count(), 1, "{}", ended.errors);
        let call = match self.row.call {
            rows::POLL => "poll",
            rows::SELECT => "select",
            rows::ENTER => "io_uring_enter",
            _ => "epoll_wait",
        };
        let says = format!("tidegate: cannot go on: {call} failed: errno ");
        assert!(ended.errors.starts_with(&says), "{}", ended.errors);
    }
}

/// Sends everything and FIN, and compares what comes back until EOF.
fn talk_at_once(client: &mut TcpStream, message: &[u8]) -> io::Result<Fate> {
    client.write_all(message)?;
    client.finish();
    let heard = client.rest();
    Ok(match heard.strip_suffix(message) {
        Some(b"") => Fate::Served,
        Some(before) => Fate::Behind(before.to_vec()),
        None => {
            assert!(message.ends_with(&heard), "not in order");
            Fate::Without(message.len() - heard.len())
        }
    })
}

/// Whether the connection is gone.
fn is_gone(error: &io::Error) -> bool {
    let gone = [
        ErrorKind::ConnectionReset,
        ErrorKind::BrokenPipe,
        ErrorKind::UnexpectedEof,
    ];
    gone.contains(&error.kind())
}

/// Follows what was opened and closed: each once. Returns what is open at the end.
fn balance(calls: &[Call], open: &[i32]) -> BTreeSet<i32> {
    let mut open: BTreeSet<i32> = open.iter().copied().collect();
    for call in calls {
        match call.name() {
            "accept4" | "epoll_create1" => {
                if let Some(new) = call.answer() {
                    assert!(open.insert(new), "{call:?}");
                }
            }
            "close" if !call.is_injected() => {
                let number = call.descriptor().expect("a descriptor");
                assert!(open.remove(&number), "closed twice: {call:?}");
                assert!(call.answer().is_some(), "{call:?}");
            }
            _ => {}
        }
    }
    open
}

fn end_well(program: Program) {
    let ended = program.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(!ended.errors.contains("panicked"), "{}", ended.errors);
}
