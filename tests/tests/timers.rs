//! Timers on a real clock: none is early, none is lost, with work and without, on every backend.

use core::net::SocketAddr;
use core::time::Duration;
use static_cell::ConstStaticCell;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client as _, tcp};
use tests::server::{Echo, memory, server};
use tidegate_core::{
    Action, Config, Conn, Connections, Directions, Event, Handler, Instant, Memory, Op, Outcome,
    Session, Token,
};

const BEAT: Duration = Duration::from_millis(3);
const GAP: Duration = Duration::from_millis(20);

/// Replies to what came before a gap, with its length: framing by silence, as Modbus RTU has it. Counts the ticks.
#[derive(Default)]
struct Gaps {
    started: Option<Instant>,
    beats: u64,
    heard: Instant,
    once: u32,
}

impl Handler for Gaps {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        self.heard = conn.now();
        conn.set_timer(GAP);
    }

    fn timer(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        assert!(conn.now().since(self.heard) >= GAP, "early");
        let len = u8::try_from(conn.data().len()).expect("short");
        conn.consume(len.into());
        conn.send(&[len]).expect("capacity");
    }

    fn tick(&mut self, all: &mut Connections<'_>, timer: u32, periods: u64) {
        let since = all.now().since(self.started.expect("begun"));
        if timer == 1 {
            assert!(since >= BEAT * 7, "early");
            self.once += 1;
            return;
        }
        self.beats += periods;
        let passed = since.as_nanos() / BEAT.as_nanos();
        assert_eq!(u128::from(self.beats), passed, "each beat once, none early");
    }
}

#[test]
fn a_gap_ends_a_frame_and_ticks_are_counted() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut server, address) =
            server::<4, 64, 64, _>(mode, memory(), &Config::default(), Gaps::default());
        let mut all = server.connections();
        let now = all.now();
        all.set_interval(0, BEAT).expect("a timer");
        all.set_timer(1, BEAT * 7).expect("a timer");
        server.session_mut().handler_mut().started = Some(now);
        let handle = server.stop_handle().expect("a handle");
        let client = std::thread::spawn(move || {
            let mut client = tcp(address);
            for frame in [&b"one"[..], b"two and a half"] {
                client.write_all(frame).expect("sent");
                let mut answer = [0];
                client.read_exact(&mut answer).expect("an answer");
                assert_eq!(usize::from(answer[0]), frame.len());
            }
            client.finish();
            assert_eq!(client.rest(), b"");
            handle.stop();
        });
        server.run().expect("a wait");
        client.join().expect("a client");
        let gaps = server.session().handler();
        assert!(gaps.beats >= 12, "{mode}: {} beats in two gaps", gaps.beats);
        assert_eq!(gaps.once, 1, "{mode}");
    }
}

/// Connections of which each has its timer on pages of others: 24 bytes each, on 6 pages.
const MANY: usize = 1024;

type Untouched = Memory<MANY, 16, 16>;

/// How many pages of memory are there.
fn pages_of(memory: core::ops::Range<usize>) -> usize {
    let size = rustix::param::page_size();
    let pages = memory.start / size..memory.end.div_ceil(size);
    let mut words = vec![0; pages.len() * 8];
    let map = File::open("/proc/self/pagemap").expect("Linux has it");
    let at = u64::try_from(pages.start * 8).expect("an offset");
    map.read_exact_at(&mut words, at).expect("read");
    // Present, or swapped out: the two upper bits of a little-endian word, `Documentation/admin-guide/mm/pagemap.rst`.
    let (words, _) = words.as_chunks::<8>();
    let there = words
        .iter()
        .filter(|word| u64::from_ne_bytes(**word) >> 62 != 0);
    there.count()
}

/// Accepts a connection, and has it echo a byte.
fn connect(session: &mut Session<'_, Echo>, listener: Token, now: Instant) -> Token {
    let ready = |token| Event::Ready {
        token,
        directions: Directions::READ,
        closing: false,
    };
    session.handle_timeout(now);
    session.handle_event(now, ready(listener));
    let mut accepted = None;
    while let Some(action) = session.poll_output(None) {
        let (token, op, outcome) = match action {
            Action::Accept { token, .. } if accepted.is_none() => {
                accepted = Some(token);
                let peer = SocketAddr::from(([127, 0, 0, 1], 9));
                (token, Op::Accept, Outcome::Accepted(Some(peer)))
            }
            Action::Accept { token, .. } => (token, Op::Accept, Outcome::Drained(0)),
            Action::Recv { token, into } => {
                session.receive_into(token, into)[0] = 7;
                (token, Op::Recv, Outcome::Drained(1))
            }
            Action::Send { token, from } => (token, Op::Send, Outcome::Complete(from.len)),
            Action::Arm { .. } => continue,
            Action::Refuse { .. }
            | Action::Connect { .. }
            | Action::Shutdown { .. }
            | Action::Unsent { .. }
            | Action::ReceiveFrom { .. }
            | Action::SendTo { .. }
            | Action::Cancel { .. }
            | Action::Close { .. }
            | Action::Rebuild => panic!("{action:?}"),
        };
        session.handle_event(now, Event::Done { token, op, outcome });
    }
    accepted.expect("accepted")
}

#[test]
fn no_page_is_touched_by_a_connection_that_sets_none() {
    static MEMORY: ConstStaticCell<Untouched> = ConstStaticCell::new(Memory::new());
    let memory = MEMORY.take();
    let start = core::ptr::from_mut(memory).addr();
    let whole = || pages_of(start..start + Untouched::SIZE);
    let timers = MANY * Untouched::TIMER / rustix::param::page_size();
    let mut session = Session::new(memory, &Config::default(), Echo).expect("sound");
    let listener = session.listen(None).expect("a slot");
    let now = Instant::from_nanos(5);
    let tokens: Vec<Token> = (0..MANY)
        .map(|_| connect(&mut session, listener, now))
        .collect();
    // Free ones are not among them.
    let mut all = session.connections(now);
    for timer in 0..16 {
        all.set_interval(timer, BEAT).expect("a timer");
    }
    let before = whole();
    let mut all = session.connections(now);
    for token in &tokens {
        all.set_timer_of(*token, GAP);
    }
    let grown = whole() - before;
    // Both ends of them share a page with something else.
    assert!(
        (timers - 1..=timers + 1).contains(&grown),
        "{grown} pages more, not {timers}"
    );
    assert!(session.poll_timeout().is_some());
}
