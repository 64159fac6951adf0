//! Timers on a real clock: none is early, none is lost, with work and without, on every backend.

use core::time::Duration;
use std::io::{Read as _, Write as _};
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client as _, tcp};
use tests::server::{memory, server};
use tidegate::{Config, Conn, Connections, Handler, Instant};

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
        conn.send(&[len]).expect("room");
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
