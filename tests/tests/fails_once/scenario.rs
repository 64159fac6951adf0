//! The reference scenario: nine peers, some two hundred calls, everything that a session does.

use core::time::Duration;
use tidegate_core::{Config, Conn, Handler, Memory, Peer, Reason};
use tidegate_sim::{
    Broken, Call, End, Errno, Fault, Faults, Interface, Limits, PeerId, Script, Setup, Taken, World,
};

/// Slots of the table: fewer than peers, so some wait.
const PLACES: usize = 6;
/// Bytes of the long reply: more than the windows and the kernel hold together.
const LONG: usize = 5000;
/// What the sender sends to the others.
const SAID: &[u8] = b"say hello\n";
/// When the session is stopped.
const STOP: Duration = Duration::from_secs(40);

/// A service of lines. `echo`: the line comes back. `say`: it goes to all others. `long`: a long reply.
struct Service;

#[derive(Debug, Default)]
struct State {
    left: usize,
    ended: bool,
}

impl Service {
    fn serve(conn: &mut Conn<'_>, state: &mut State) {
        loop {
            while state.left > 0 {
                let piece = [b'.'; 250];
                let piece = &piece[..state.left.min(250)];
                if conn.send(piece).is_err() {
                    return;
                }
                state.left -= piece.len();
            }
            let Some(end) = conn.data().iter().position(|&byte| byte == b'\n') else {
                break;
            };
            let line = &conn.data()[..=end];
            match line[0] {
                b'l' => state.left = LONG,
                b's' => assert_eq!(conn.send_others(line), 0, "all have room"),
                _ if conn.send(line).is_err() => return,
                _ => {}
            }
            conn.consume(end + 1);
        }
        if state.ended {
            conn.finish();
        }
    }
}

impl Handler for Service {
    type State = State;
    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        Self::serve(conn, state);
    }
    fn writable(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        Self::serve(conn, state);
    }
    fn ended(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        state.ended = true;
        Self::serve(conn, state);
    }
}

/// What became of a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fate {
    pub(super) sent: Vec<u8>,
    pub(super) received: Vec<u8>,
    pub(super) end: End,
    /// The notice of the handler, if it got one.
    pub(super) told: Option<(Vec<u8>, Option<Reason>)>,
}

impl Fate {
    /// It, without the sender's message.
    pub(super) fn without_what_is_said(&self) -> Self {
        let mut fate = self.clone();
        let mut windows = fate.received.windows(SAID.len());
        if let Some(at) = windows.position(|some| some == SAID) {
            fate.received.drain(at..at + SAID.len());
        }
        fate
    }

    /// It in a line.
    pub(super) fn tell(&self) -> String {
        let Self {
            sent,
            received,
            end,
            told,
        } = self;
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&".".repeat(50), "*");
        let told = told.as_ref().map(|(bytes, reason)| (show(bytes), reason));
        format!(
            "sent {:?}, received {:?}, {end:?}, handler {told:?}",
            show(sent),
            show(received)
        )
    }
}

/// What a run led to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) fates: Vec<(Peer, Fate)>,
    pub(super) taken: Vec<Taken>,
    pub(super) calls: Vec<Call>,
}

/// What each peer does. Times are long enough apart for any back-off after a fault to be over before the next thing
/// that several take part in.
fn scripts() -> Vec<Script> {
    let (ms, s) = (Duration::from_millis, Duration::from_secs);
    let new = Script::new;
    vec![
        // Stays, receives what is said, and gets a reply while the session stops.
        new()
            .send(b"echo one\n")
            .wait(ms(300))
            .send(b"echo two\necho thr")
            .wait(ms(300))
            .send(b"ee\n")
            .wait(s(39) + ms(399))
            .send(b"echo last\n"),
        // Is read slowly, so its acknowledged bytes are queried.
        new()
            .wait(s(6))
            .stall()
            .send(b"long\n")
            .wait(s(13))
            .resume()
            .expect(LONG)
            .finish(),
        // Sends.
        new().wait(s(5)).send(SAID).wait(s(3)).finish(),
        // Never sends: a deadline passes.
        new(),
        new().send(b"echo half a li").wait(s(1)).reset(),
        // Is in the middle of a long reply when the session stops.
        new()
            .send(b"echo early\n")
            .wait(s(30))
            .stall()
            .send(b"long\n")
            .wait(s(11))
            .resume(),
        // Finish first, and get their replies all the same; for them there is no slot at first.
        new().segments(7).send(b"echo a\necho bcd\n").finish(),
        new().send(b"echo with its end\n").finish(),
        new().send_urgent(b'!').send(b"echo urgent\n").finish(),
    ]
}

/// A session with these faults. The caller of a wait that fails gets the error, and waits again.
pub(super) fn run(interface: Interface, faults: Faults) -> Result<Outcome, Broken> {
    let mut memory = Box::new(Memory::<PLACES, 128, 512, State>::new());
    let setup = Setup {
        seed: 7,
        interface,
        config: Config {
            first_byte: Some(Duration::from_secs(20)),
            write_stall: Some(Duration::from_secs(8)),
            ..Config::default()
        },
        limits: Limits {
            tcp_buffer: 2000,
            tcp_window: 1000,
            ..Limits::default()
        },
        faults: faults.noting(),
        ..Setup::default()
    };
    let mut world = World::new(&mut memory, &setup, Service).expect("a sound config");
    let peers: Vec<PeerId> = scripts()
        .into_iter()
        .map(|script| world.add(script))
        .collect();
    let stop = world.now().plus(STOP);
    again(&mut world, |world| {
        let left = stop.as_nanos() - world.now().as_nanos();
        world.run_for(Duration::from_nanos(left))
    })?;
    world.stop(Duration::from_secs(10));
    again(&mut world, World::settle)?;

    assert!(world.is_stopped(), "the session has not stopped");
    // The set is left, and nothing else.
    assert_eq!(
        world.kernel().descriptors().count(),
        1,
        "a descriptor leaks"
    );
    let told = world.told();
    let fates = peers.into_iter().map(|id| {
        let peer = world.peer(id);
        let address = Peer::Inet(peer.address());
        let told = told.iter().filter(|told| told.peer == address);
        let told: Vec<_> = told
            .map(|told| (told.received.clone(), told.closed))
            .collect();
        assert!(told.len() <= 1, "{address} was opened twice");
        let fate = Fate {
            sent: peer.sent().to_vec(),
            received: peer.received().to_vec(),
            end: peer.end(),
            told: told.into_iter().next(),
        };
        (address, fate)
    });
    Ok(Outcome {
        fates: fates.collect(),
        taken: world.kernel().faults.taken().to_vec(),
        calls: world.kernel().faults.noted().to_vec(),
    })
}

/// Runs on; a wait that fails is reported once for each fault that was put into it, and nothing is lost by it.
fn again<'m>(
    world: &mut World<'m, Service>,
    run: impl Fn(&mut World<'m, Service>) -> Result<(), Broken>,
) -> Result<(), Broken> {
    loop {
        let before = waits(world.kernel().faults.taken());
        let Err(broken) = run(world) else {
            return Ok(());
        };
        let after = waits(world.kernel().faults.taken());
        if after == before || !broken.to_string().contains("epoll_wait") {
            return Err(broken);
        }
    }
}

/// How many waits failed so that their caller must get the error.
fn waits(taken: &[Taken]) -> usize {
    let told =
        |taken: &&Taken| taken.call == Call::EpollWait && taken.fault != Fault::Errno(Errno::INTR);
    taken.iter().filter(told).count()
}

/// The sender.
pub(super) const SPEAKER: usize = 2;
