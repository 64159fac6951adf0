//! Datagram sockets in a session: their windows, the notices, and what waits to be sent.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test is about some actions and leaves the others alone"
)]

use crate::config::Config;
use crate::dispatcher::laws;
use crate::event::{Event, Fault, Local, Op, Outcome, Peer};
use crate::output::Action;
use crate::readiness::Directions;
use crate::session::{Connections, Datagram, DatagramMemory, Handler, Memory, SendError, Session};
use crate::time::Instant;
use crate::token::Token;
use crate::unavailable::Unavailable;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::ToString;
use alloc::vec::Vec;

const NOW: Instant = Instant::from_nanos(1_000_000_000);

/// Replies to what has a sender, and records everything.
#[derive(Default)]
struct App {
    heard: Vec<(Vec<u8>, usize, Option<Peer>)>,
    failed: Vec<Fault>,
    rooms: usize,
    locals: Vec<Option<Local>>,
    /// The receiver, instead of the sender.
    forwards: Option<Peer>,
    /// More replies than one.
    twice: bool,
}

impl Handler for App {
    type State = ();

    fn datagram(&mut self, all: &mut Connections<'_>, socket: Token, datagram: Datagram<'_>) {
        let Datagram {
            data, len, from, ..
        } = datagram;
        self.locals.push(datagram.local);
        assert_eq!(datagram.is_truncated(), data.len() < len);
        self.heard.push((data.to_vec(), len, from));
        let Some(to) = self.forwards.or(from) else {
            return;
        };
        assert_eq!(all.send_datagram(socket, to, data), Ok(()));
        if self.twice {
            let full = Err(SendError::Full { capacity: 0 });
            assert_eq!(all.send_datagram(socket, to, data), full);
        }
    }

    fn datagram_writable(&mut self, all: &mut Connections<'_>, socket: Token) {
        self.rooms += 1;
        let sent = all.send_datagram(socket, Peer::Registered(0), b"more");
        assert_eq!(sent, Ok(()));
    }

    fn datagram_failed(&mut self, _: &mut Connections<'_>, _: Token, fault: Fault) {
        self.failed.push(fault);
    }
}

/// A session with a kernel that has these datagrams for every socket, and takes what is sent as `takes` says.
struct Bench {
    session: Session<'static, App>,
    coming: VecDeque<(&'static [u8], Option<Peer>)>,
    takes: Outcome,
    sent: Vec<(Vec<u8>, Peer)>,
    /// Where what comes is sent to, and where what was sent left from.
    local: Option<Local>,
    sources: Vec<Option<Local>>,
}

impl Bench {
    fn new<const RX: usize, const TX: usize>() -> Self {
        let memory = Box::leak(Box::new(Memory::<1, 8, 8>::new()));
        let config = Config::default();
        let session = Session::new(memory, &config, App::default()).expect("a sound config");
        let mut bench = Self {
            session,
            coming: VecDeque::new(),
            takes: Outcome::Complete(0),
            sent: Vec::new(),
            local: None,
            sources: Vec::new(),
        };
        let windows = Box::leak(Box::new(DatagramMemory::<RX, TX>::new()));
        bench.session.set_datagram_memory(windows);
        bench
    }

    fn reports(&mut self, token: Token, directions: Directions) {
        let event = Event::Ready {
            token,
            directions,
            closing: false,
        };
        self.session.handle_event(NOW, event);
        self.run();
    }

    fn comes(&mut self, token: Token, bytes: &'static [u8], from: Option<Peer>) {
        self.coming.push_back((bytes, from));
        self.reports(token, Directions::READ);
    }

    fn run(&mut self) {
        for _ in 0..100 {
            self.session.handle_timeout(NOW);
            while let Some(action) = self.session.poll_output(None) {
                let (token, op, outcome) = match action {
                    Action::ReceiveFrom { token } => (token, Op::ReceiveFrom, self.receive(token)),
                    Action::SendTo { token } => (token, Op::SendTo, self.send(token)),
                    Action::Close { token, .. } => (token, Op::Close, Outcome::Complete(0)),
                    _ => continue,
                };
                let event = Event::Done { token, op, outcome };
                self.session.handle_event(NOW, event);
                laws::assert_laws(self.session.machine());
            }
            if !self.session.machine().has_work() {
                return;
            }
        }
        panic!("work without end");
    }

    fn receive(&mut self, token: Token) -> Outcome {
        let Some((bytes, from)) = self.coming.pop_front() else {
            return Outcome::Drained(0);
        };
        let into = self.session.datagram_into(token);
        let n = bytes.len().min(into.len());
        into[..n].copy_from_slice(&bytes[..n]);
        let len = u32::try_from(bytes.len()).expect("small");
        Outcome::Datagram {
            len,
            from,
            local: self.local,
            lost: 0,
        }
    }

    fn send(&mut self, token: Token) -> Outcome {
        let (to, local, bytes) = self.session.datagram_from(token).expect("one waits");
        self.sources.push(local);
        if let Outcome::Complete(_) = self.takes {
            self.sent.push((bytes.to_vec(), to));
        }
        self.takes
    }

    fn app(&self) -> &App {
        self.session.handler()
    }
}

#[test]
fn each_has_windows_of_its_own_and_what_does_not_fit_is_reported() {
    let mut bench = Bench::new::<7, 7>();
    let small = bench.session.add_datagrams(3, 3).expect("a place");
    let large = bench.session.add_datagrams(4, 4).expect("a place");
    let from = Some(Peer::Unix(7));
    bench.comes(small, b"abcd", from);
    bench.comes(large, b"wxyz", None);
    bench.comes(small, b"", from);
    let heard = &bench.app().heard;
    assert_eq!(heard[0], (b"abc".to_vec(), 4, from), "the end is lost");
    assert_eq!(heard[1], (b"wxyz".to_vec(), 4, None));
    assert_eq!(heard[2], (b"".to_vec(), 0, from), "no end");
    let to = Peer::Unix(7);
    assert_eq!(bench.sent, [(b"abc".to_vec(), to), (b"".to_vec(), to)]);
}

#[test]
fn windows_run_out_and_those_of_closed_sockets_are_reused() {
    let mut bench = Bench::new::<6, 6>();
    let first = bench.session.add_datagrams(4, 2).expect("a place");
    for (receive, send) in [(3, 1), (1, 5)] {
        let none = bench.session.add_datagrams(receive, send);
        assert_eq!(none, Err(Unavailable::DatagramMemory), "{receive} {send}");
    }
    let mut all = bench.session.connections(NOW);
    all.close_datagrams(first);
    let gone = all.send_datagram(first, Peer::Unix(1), b"");
    assert_eq!(gone, Err(SendError::Closed));
    bench.run();
    assert_eq!(
        bench.session.datagram_into(first).len(),
        4,
        "until the next has them"
    );
    let next = bench.session.add_datagrams(3, 2).expect("a place");
    assert!(bench.session.datagram_into(first).is_empty());
    assert_eq!(bench.session.datagram_into(next).len(), 4);
    bench.session.add_datagrams(2, 4).expect("the rest");
    let full = bench.session.add_datagrams(0, 0);
    assert_eq!(full.map(|_| ()), Ok(()), "one that never has anything");
    let text = Unavailable::DatagramMemory.to_string();
    assert!(text.contains("larger DatagramMemory"), "{text}");
}

#[test]
fn without_memory_there_are_none() {
    let memory = Box::leak(Box::new(Memory::<1, 8, 8>::new()));
    let mut session =
        Session::new(memory, &Config::default(), App::default()).expect("a sound config");
    assert_eq!(
        session.add_datagrams(0, 0),
        Err(Unavailable::DatagramMemory)
    );
    let nobody = Token::from_bits(0);
    assert!(session.datagram_into(nobody).is_empty());
    assert_eq!(session.datagram_from(nobody), None);
}

#[test]
fn one_waits_for_the_kernel_and_the_next_is_notified_of_capacity() {
    let mut bench = Bench::new::<8, 8>();
    let token = bench.session.add_datagrams(8, 8).expect("a place");
    bench.takes = Outcome::Drained(0);
    bench.session.handler_mut().twice = true;
    bench.comes(token, b"ask", Some(Peer::Unix(1)));
    bench.comes(token, b"later", None);
    assert_eq!(bench.app().heard.len(), 1, "nothing is received meanwhile");
    let mut all = bench.session.connections(NOW);
    let long = all.send_datagram(token, Peer::Unix(1), &[0; 9]);
    assert_eq!(long, Err(SendError::TooLong { window: 8 }));
    let (to, _, bytes) = bench.session.datagram_from(token).expect("it waits");
    assert_eq!((to, bytes), (Peer::Unix(1), &b"ask"[..]), "as it was");
    bench.takes = Outcome::Complete(0);
    bench.reports(token, Directions::WRITE);
    assert_eq!(bench.app().rooms, 1);
    let more = (b"more".to_vec(), Peer::Registered(0));
    assert_eq!(bench.sent, [(b"ask".to_vec(), Peer::Unix(1)), more]);
    bench.reports(token, Directions::READ);
    assert_eq!(bench.app().heard.len(), 2);
}

#[test]
fn failures_are_notified_and_waiters_are_notified_of_capacity_then_too() {
    let mut bench = Bench::new::<8, 8>();
    let token = bench.session.add_datagrams(8, 8).expect("a place");
    let fault = Fault::Exhausted(105);
    bench.takes = Outcome::Drained(0);
    bench.session.handler_mut().twice = true;
    bench.comes(token, b"ask", Some(Peer::Unix(1)));
    bench.takes = Outcome::Failed(fault);
    bench.reports(token, Directions::WRITE);
    // The reply, and what was sent when there was capacity.
    assert_eq!(bench.app().failed, [fault, fault]);
    assert_eq!(bench.app().rooms, 1);
    assert_eq!(bench.sent, []);
}

const ASKED: Local = Local {
    address: core::net::IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 2)),
    interface: 3,
};

#[test]
fn a_reply_leaves_from_the_address_of_the_request() {
    let mut bench = Bench::new::<8, 8>();
    let token = bench.session.add_datagrams(8, 8).expect("a place");
    let other = bench.session.add_datagrams(0, 0).expect("a place");
    for local in [Some(ASKED), None, Some(ASKED)] {
        bench.local = local;
        bench.comes(token, b"ask", Some(Peer::Unix(1)));
        assert_eq!(bench.app().locals.last(), Some(&local));
        // Whatever the interface: the routes know it better.
        let source = local.map(|local| Local {
            interface: 0,
            ..local
        });
        assert_eq!(bench.sources.last(), Some(&source));
    }
    // What is sent later, to another receiver, or from elsewhere, has the address that is named, or none.
    let mut all = bench.session.connections(NOW);
    assert_eq!(all.send_datagram(token, Peer::Unix(1), b"late"), Ok(()));
    bench.run();
    assert_eq!(bench.sources.last(), Some(&None));
    let mut all = bench.session.connections(NOW);
    let sent = all.send_datagram_from(token, ASKED, Peer::Unix(1), b"late");
    assert_eq!(sent, Ok(()));
    let sent = all.send_datagram_from(other, ASKED, Peer::Unix(1), b"");
    assert_eq!(sent, Ok(()));
    bench.run();
    assert_eq!(bench.sources[bench.sources.len() - 2..], [Some(ASKED); 2]);
    // One that is notified of a datagram and sends to others does not send in the name of that address.
    bench.local = Some(ASKED);
    bench.session.handler_mut().forwards = Some(Peer::Unix(9));
    bench.comes(token, b"pass", Some(Peer::Unix(1)));
    assert_eq!(bench.sent.last(), Some(&(b"pass".to_vec(), Peer::Unix(9))));
    assert_eq!(bench.sources.last(), Some(&None));
}
