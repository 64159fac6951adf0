//! What is recorded of any simulated world, with every kind of call that there is, happens again, bit for bit.

extern crate alloc;

mod meddler;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;
use meddler::{Meddler, RX, TX};
use std::sync::Mutex;
use tests::bounded::Watchdog;
use tests::replay::{Replayed, Tape, replay};
use tests::{App, Case, Manner, State};
use tidegate_core::trace::{Entry, Input, MAGIC, RECORDED, RecordedInput, decode, encode};
use tidegate_core::{
    Action, Config, Conn, Connections, DatagramMemory, Directions, Event, Handler, Memory, Notice,
    Op, Outcome, Session, Stats, Token, Unavailable,
};
use tidegate_sim::{Random, Script, Setup, World};

/// Slots of the table; a case says how many of them are used.
const N: usize = 4;
/// Worlds with a handler of the fuzz target's, and as many with one that makes every call.
const WORLDS: u64 = 1000;

/// A trace as bytes: each entry is the same when it is read back.
#[derive(Clone, Default)]
struct Recording(Arc<Mutex<Vec<u8>>>);

impl Recording {
    fn push(&self, entry: &Entry<'_>) {
        let mut space = [0; 1024];
        let bytes = encode(entry, usize::MAX, &mut space).expect("capacity");
        let read = decode(bytes).expect("an entry").expect("one");
        assert_eq!(read, (entry.clone(), &[][..]), "read back");
        self.0.lock().expect("no panic").extend_from_slice(bytes);
    }
}

impl Recording {
    fn sink(&self) -> &'static mut (dyn FnMut(&Entry<'_>) + Send) {
        let recording = self.clone();
        Box::leak(Box::new(move |entry: &Entry<'_>| recording.take(entry)))
    }

    fn take(&self, entry: &Entry<'_>) {
        self.push(entry);
        // A peer sends something now and then; the program calls between iterations.
        if matches!(entry, Entry::Output(None))
            && self.0.lock().expect("no panic").len().is_multiple_of(7)
        {
            self.push(&Entry::Note("by the way"));
        }
    }
}

/// What is left of a world that was.
struct Past {
    /// If it was recorded.
    tape: Option<Tape>,
    stats: Stats,
    /// What the flight recorder has.
    last: Vec<RecordedInput>,
}

/// A world with this handler, of which `drive` makes what it likes; `recorded`: with a full trace.
fn run<H: Handler<State = State>>(
    recorded: bool,
    case: &Case,
    handler: H,
    drive: impl FnOnce(&mut World<'_, H>, Token) -> Result<(), String>,
) -> Past {
    let recording = Recording::default();
    let sink = recording.sink();
    let mut memory = Box::new(Memory::<N, RX, TX, State>::new());
    let mut windows = Box::new(DatagramMemory::<RX, TX>::new());
    let setup = &case.scene.setup;
    let world = match recorded {
        true => World::recorded(&mut memory, setup, handler, sink),
        false => World::new(&mut memory, setup, handler),
    };
    let mut world = world.expect("a sound config");
    for script in &case.scene.scripts {
        world.add(script.clone());
    }
    let socket = world.add_datagrams(&mut windows).expect("a place");
    if let Err(broken) = drive(&mut world, socket) {
        panic!("{broken}\n{case:?}");
    }
    let (stats, last) = (world.stats().clone(), world.last_inputs().collect());
    let tape = recorded.then(|| tape(&recording));
    Past { tape, stats, last }
}

fn tape(recording: &Recording) -> Tape {
    recording.push(&Entry::End);
    let mut file = MAGIC.to_vec();
    file.append(&mut recording.0.lock().expect("no panic"));
    let tape = Tape::read(&[file]).expect("a trace");
    assert_eq!(tape.flaw, None);
    tape
}

/// It happens again, by the calls in it.
fn assert_same(tape: &Tape, what: &str) {
    let mut memory = Box::new(Memory::<N, RX, TX, u32>::new());
    let replayed = replay(tape, &mut memory, None, true).expect("a replay");
    if let Some(diverged) = replayed.diverged {
        let before = &tape.entries()[diverged.at.saturating_sub(20)..diverged.at];
        panic!("{what}: {diverged}\n{before:#?}");
    }
    assert_eq!(replayed.stopped, None, "{what}");
    assert_eq!(replayed.entries, tape.entries().len(), "{what}");
}

/// Any bytes: the choices that lead on, small ones, are frequent.
fn input(random: &mut Random) -> Vec<u8> {
    let len = 30 + random.below(300);
    let mut byte = || {
        let below = if random.one_in(2) { 18 } else { 256 };
        u8::try_from(random.below(below)).unwrap_or(0)
    };
    (0..len).map(|_| byte()).collect()
}

/// Datagrams come, and network errors, while a world goes on.
fn goes_on<H: Handler<State = State>>(
    world: &mut World<'_, H>,
    rounds: u32,
    mut also: impl FnMut(&mut World<'_, H>),
) -> Result<(), String> {
    for n in 0..rounds {
        if n % 3 == 0 {
            let port = u16::try_from(n % 50).unwrap_or(0);
            let from = SocketAddr::from(([192, 0, 2, 9], port));
            world.send_datagram(from, &vec![7; usize::from(port) % (RX + 8)]);
        }
        if n % 16 == 5 {
            world.refuse_datagram();
        }
        also(world);
        world.step().map_err(|broken| broken.to_string())?;
    }
    Ok(())
}

fn ends<H: Handler<State = State>>(world: &mut World<'_, H>) -> Result<(), String> {
    world.stop(Duration::from_secs(5));
    let stopped = world.run_for(Duration::from_secs(6));
    stopped.map_err(|broken| broken.to_string())?;
    assert!(world.is_stopped());
    Ok(())
}

/// A world of the fuzz target `sim`.
fn plain(seed: u64, recorded: bool) -> Past {
    let mut random = Random::new(seed);
    let mut bytes = input(&mut random);
    // The manners that do most are rare there.
    bytes[0] = [bytes[0], 240, 248][usize::from(bytes[1]) % 3];
    let case = Case::decode(&bytes);
    run(recorded, &case, App::new(case.manner), |world, socket| {
        goes_on(world, 40, |_| ())?;
        world.settle().map_err(|broken| broken.to_string())?;
        world.connections().close_datagrams(socket);
        ends(world)
    })
}

/// The same with every call that there is, also between iterations, and with watched descriptors.
fn meddled(seed: u64, recorded: bool) -> Past {
    let mut random = Random::new(seed);
    let mut case = Case::decode(&input(&mut random));
    if case.manner == Manner::Relay {
        case.manner = Manner::Wild(seed);
    }
    case.scene.setup.echo = true;
    case.scene.setup.reserved = random.below(3);
    let handler = Meddler::new(App::new(case.manner), seed);
    run(recorded, &case, handler, |world, _| {
        let watched = [Directions::READ, Directions::WRITE, Directions::BOTH]
            .map(|directions| world.watch(directions).expect("a place"));
        world
            .connections()
            .set_interval(0, Duration::from_millis(300))
            .expect("a timer");
        goes_on(world, 120, |world| {
            if random.one_in(8) {
                watched.iter().for_each(|token| world.make_readable(*token));
            }
            let living: Vec<_> = world.connections().tokens().collect();
            if let Some(token) = random.pick(&living).filter(|_| random.one_in(4)) {
                world.with(*token, |meddler, conn, _| meddler.meddle(conn));
            }
        })?;
        let gone_on = world.run_for(Duration::from_secs(40));
        gone_on.map_err(|broken| broken.to_string())?;
        ends(world)
    })
}

/// The names of all variants of a type, and that of a value: one that is new, and not here, does not compile.
macro_rules! kinds {
    ($list:ident, $name:ident of $it:ident, $type:ty: $($kind:ident)*) => {
        const $list: &[&str] = &[$(concat!(stringify!($name), " ", stringify!($kind)),)*];

        fn $name(it: &$type) -> &'static str {
            match it {
                $($it::$kind { .. } => concat!(stringify!($name), " ", stringify!($kind)),)*
            }
        }
    };
}

kinds!(ENTRIES, entry of Entry, Entry<'_>:
    Start Time Event Iteration Output Notified Again Returned Call Note Lost End);
kinds!(CALLS, call of Input, Input:
    Ready Done Drained Failed Handled Due Listen ReserveSlots LimitConnections SetPriority Watch AddDatagrams Stop
    Send SpareCapacity Reserve Commit SendTo SendOthers WantCapacity ShutDown Finish FinishOf TooLong Abort AbortOf Pause Resume SetTimer
    CancelTimer Connect With Release SetFreeTimer SetInterval CancelFreeTimer WatchFor Unwatch SendDatagram CloseDatagrams);
kinds!(ACTIONS, action of Action, Action:
    Accept Refuse Connect Recv Send Arm Shutdown Unsent ReceiveFrom SendTo Cancel Close Rebuild);
kinds!(NOTICES, notice of Notice, Notice: Opened Readable Writable Ended Closed Datagram Watched Timer Tick);
kinds!(EVENTS, event of Event, Event: Ready Done);
kinds!(OPS, op of Op, Op: Accept Refuse Connect Recv Send Arm Shutdown Unsent ReceiveFrom SendTo Cancel Close);
kinds!(OUTCOMES, outcome of Outcome, Outcome: Complete Drained Accepted Datagram Failed);

/// What no world can make, and why.
const NEVER: [&str; 10] = [
    // Written by the writer of a file, when its buffer is full.
    "entry Lost",
    // Taken off when the tape is read.
    "entry End",
    // In the flight recorder alone.
    "call Ready",
    "call Done",
    "call Drained",
    "call Failed",
    "call Handled",
    "call Due",
    "call SendOthers",
    // A cancel has no completion: what it ended has.
    "op Cancel",
];

fn see(seen: &mut BTreeSet<&'static str>, it: &Entry<'_>) {
    seen.insert(entry(it));
    match it {
        Entry::Call(_, it, _) => drop(seen.insert(call(it))),
        Entry::Output(Some(it)) => drop(seen.insert(action(it))),
        Entry::Notified(it) => drop(seen.insert(notice(it))),
        Entry::Event { event: it, .. } => {
            seen.insert(event(it));
            if let Event::Done {
                op: of,
                outcome: it,
                ..
            } = it
            {
                seen.extend([op(of), outcome(it)]);
            }
        }
        Entry::Start { .. }
        | Entry::Time(_)
        | Entry::Iteration
        | Entry::Output(None)
        | Entry::Again
        | Entry::Returned(_)
        | Entry::Note(_)
        | Entry::Lost(_)
        | Entry::End => {}
    }
}

#[test]
fn what_happens_in_any_world_happens_again() {
    let _bound = Watchdog::new();
    let mut seen = BTreeSet::new();
    let mut entries = 0;
    for seed in 0..WORLDS {
        for (name, past) in [
            ("plain", plain(seed, true)),
            ("meddled", meddled(seed, true)),
        ] {
            let tape = past.tape.expect("it was recorded");
            assert_same(&tape, &format!("{name}({seed})"));
            tape.entries()
                .iter()
                .for_each(|entry| see(&mut seen, entry));
            entries += tape.entries().len();
        }
    }
    assert!(entries > 100_000, "{entries}");
    let all = [ENTRIES, CALLS, ACTIONS, NOTICES, EVENTS, OPS, OUTCOMES].concat();
    let missing: Vec<_> = all.iter().filter(|kind| !seen.contains(**kind)).collect();
    assert_eq!(missing, NEVER.iter().collect::<Vec<_>>(), "not seen");
}

/// A driver that passes the completion of what it was told last passes an event like any other: a trace changes nothing, and
/// what is recorded is what happens unrecorded.
#[test]
fn what_is_recorded_is_what_happens_without_a_trace() {
    let _bound = Watchdog::new();
    for seed in 0..WORLDS {
        for world in [plain, meddled] {
            let (traced, untraced) = (world(seed, true), world(seed, false));
            assert_eq!(traced.last.len(), RECORDED, "{seed}");
            assert_eq!(traced.last, untraced.last, "{seed}");
            assert_eq!(traced.stats, untraced.stats, "{seed}");
        }
    }
}

/// Sets free timers again and again, whether there are such or not.
struct Ticks;

impl Handler for Ticks {
    type State = u32;

    fn readable(&mut self, conn: &mut Conn<'_>, _: &mut u32) {
        conn.consume(conn.data().len());
    }

    fn tick(&mut self, all: &mut Connections<'_>, timer: u32, _: u64) {
        let next = Duration::from_millis(1);
        assert!(all.set_timer(timer, next).is_ok());
        assert!(all.set_timer(timer + 4, next).is_err());
    }
}

#[test]
fn what_was_refused_is_refused_again_in_a_larger_memory() {
    const SOURCES: usize = 3;
    const TIMERS: usize = 2;
    let _bound = Watchdog::new();
    let recording = Recording::default();
    let sink = recording.sink();
    let mut memory = Memory::<N, RX, TX, u32, SOURCES, TIMERS>::new();
    let world = World::recorded(&mut memory, &Setup::default(), Ticks, sink);
    let mut world = world.expect("a sound config");
    // One listener is there already.
    for number in 1..SOURCES + 3 {
        let added = world.watch(Directions::READ);
        assert_eq!(added.is_ok(), number < SOURCES, "{added:?}");
    }
    for timer in 0..4 {
        let set = world
            .connections()
            .set_interval(timer, Duration::from_millis(7));
        assert_eq!(set.is_ok(), (timer as usize) < TIMERS, "{set:?}");
    }
    world.add(Script::new().send(b"a few bytes"));
    world
        .run_for(Duration::from_secs(1))
        .expect("no law broken");
    let tape = tape(&recording);
    assert!(tape.entries().len() > 1000);

    let same = |replayed: Result<Replayed, String>| {
        let replayed = replayed.expect("a replay");
        assert_eq!(replayed.diverged.map(|diverged| diverged.to_string()), None);
        assert_eq!(replayed.entries, tape.entries().len());
    };
    let mut memory = Memory::<N, RX, TX, u32, SOURCES, TIMERS>::new();
    same(replay(&tape, &mut memory, None, true));
    let mut memory = Box::new(Memory::<{ N + 3 }, RX, TX, u32, 255, 100>::new());
    same(replay(&tape, &mut memory, None, true));

    let refused = |replayed: Result<Replayed, String>, why: &str| {
        let error = replayed.expect_err("refused");
        assert!(error.contains(why), "{error}");
    };
    let mut memory = Memory::<N, RX, TX, u32, 2, TIMERS>::new();
    let why = "it has 3 sources and 2 free timers; in this memory: no slot for another listener, watched descriptor or \
        datagram socket, of 2; raise the SOURCES of the memory";
    refused(replay(&tape, &mut memory, None, true), why);
    let mut memory = Memory::<N, RX, TX, u32, SOURCES, 1>::new();
    let why = "no timer 1; the memory has 1, numbered from 0: raise its TIMERS";
    refused(replay(&tape, &mut memory, None, true), why);
    let mut memory = Memory::<{ N - 1 }, RX, TX, u32, SOURCES, TIMERS>::new();
    refused(
        replay(&tape, &mut memory, None, true),
        "its configuration: ",
    );
}

#[test]
fn a_datagram_socket_that_was_refused_is_refused_again() {
    let recording = Recording::default();
    let mut memory = Memory::<N, RX, TX, u32>::new();
    let session = Session::new(&mut memory, &Config::default(), Ticks);
    let mut session = session.expect("a sound config");
    session.record_to(recording.sink());
    // There are no windows: none were lent.
    assert_eq!(
        session.add_datagrams(1, 1),
        Err(Unavailable::DatagramMemory)
    );
    session.listen(None).expect("a slot");
    assert_same(&tape(&recording), "windows are lent there");
}
