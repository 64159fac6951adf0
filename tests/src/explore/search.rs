//! [`explore`]: breadth first through all states, by several threads. Each keeps the states whose hash is its own,
//! takes every step from them, and passes what it finds to the thread that keeps it.

use super::choices::Choices;
use super::states::{Id, States, hash};
use super::table::Seen;
use super::world::{self, EACH, World};
use super::{Limits, Report, Settings};
use std::thread;
use tidegate_core::Table;
use tidegate_core::inspect::{self, CONNECTIONS};

/// States from which a thread takes every step before what was found is passed on.
const BATCH: usize = 8192;

/// Goes through the states of a world until there is no new one, or a limit is met, or something is broken.
///
/// # Panics
///
/// If the settings are for a larger world than an image can hold.
#[must_use]
pub fn explore(settings: Settings, limits: Limits) -> Report {
    let mut tables: Vec<_> = (0..limits.threads.max(1)).map(|_| world::table()).collect();
    let mut search = Search::new(&mut tables, settings);
    let mut wrong = search.run(limits).err();
    let mut patience = None;
    if search.closed && wrong.is_none() {
        // Law 9: reports that change nothing come to an end.
        match search.patience(1).and_then(|_| search.patience(0)) {
            Ok(found) => patience = Some(found),
            Err(spins) => wrong = Some(spins),
        }
    }
    let mut seen = Seen::default();
    (search.workers.iter()).for_each(|worker| seen.add(&worker.world.seen));
    Report {
        states: search.len(),
        transitions: search.workers.iter().map(|worker| worker.transitions).sum(),
        depth: search.depth,
        memory: search.memory(),
        closed: search.closed,
        seen,
        patience,
        broken: wrong.map(|wrong| search.story(&wrong)),
    }
}

/// Whether what an image leaves out has no bearing on what comes next: from each `every`th state, two steps in a row
/// lead to the same whether the machine was restored between them or not. For one connection: of several, an image may
/// change the names. Returns how many such pairs were tried.
///
/// # Errors
///
/// The way to where it matters, in words.
pub fn images_hold_all(settings: Settings, limits: Limits, every: usize) -> Result<u64, String> {
    assert_eq!(settings.connections, 1, "names would change");
    let mut tables = [world::table()];
    let mut search = Search::new(&mut tables, settings);
    if let Err(wrong) = search.run(limits) {
        return Err(search.story(&wrong).join("\n"));
    }
    let Worker { world, states, .. } = &mut search.workers[0];
    let (mut kept, mut straight, mut back) = (Vec::new(), Vec::new(), Vec::new());
    let mut bytes = Vec::new();
    let mut tried = 0;
    for place in (0..states.len()).step_by(every) {
        states.read(place, &mut bytes);
        let mut first = Choices::FIRST;
        loop {
            let mut second = Choices::FIRST;
            loop {
                world.unpack(&bytes);
                world.step(&mut first.again())?;
                world.pack(&mut kept);
                world.step(&mut second.again())?;
                world.pack(&mut straight);
                world.unpack(&kept);
                world.step(&mut second)?;
                world.pack(&mut back);
                tried += 1;
                if straight != back {
                    let steps = (first.packed(), second.packed());
                    return Err(format!(
                        "state {place}, steps {steps:?}:\n{bytes:?}\n{kept:?}\n{straight:?}\n{back:?}"
                    ));
                }
                if !second.advance() {
                    break;
                }
            }
            world.unpack(&bytes);
            world.step(&mut first)?;
            if !first.advance() {
                break;
            }
        }
    }
    Ok(tried)
}

/// Whether what a state leaves out for the sake of its world has no bearing on what comes next: from each `every`th state of the
/// space in which nothing is left out, every step is also open without it, and leads to the same, and the same laws hold. If each is
/// tried, the two spaces are bisimilar. Returns how many steps were compared.
///
/// # Errors
///
/// What matters, or what is broken, in words.
pub fn leaves_out_nothing_that_matters(
    settings: Settings,
    limits: Limits,
    every: usize,
) -> Result<u64, String> {
    let mut tables = [world::table()];
    let mut search = Search::new(&mut tables, settings);
    search.workers[0].world.keeps_all = true;
    if let Err(wrong) = search.run(limits) {
        return Err(search.story(&wrong).join("\n"));
    }
    let Worker { world, states, .. } = &mut search.workers[0];
    let [mut whole, mut less, mut from_whole, mut from_less] = [const { Vec::new() }; 4];
    let mut compared = 0;
    for place in (0..states.len()).step_by(every) {
        states.read(place, &mut whole);
        world.unpack(&whole);
        world.keeps_all = false;
        world.pack_in_place(&mut less);
        for rests in [false, true] {
            let mut broken = [None, None];
            for (state, broken) in [&whole, &less].iter().zip(&mut broken) {
                world.unpack(state);
                let laws = world.core.check_laws().map_err(|broken| broken.to_string());
                *broken = laws.and_then(|()| world.check(rests)).err();
            }
            if broken[0].is_some() != broken[1].is_some() {
                return Err(format!("state {place}, {broken:?}:\n{whole:?}\n{less:?}"));
            }
        }
        let (mut choices, mut also) = (Choices::FIRST, Choices::FIRST);
        loop {
            world.unpack(&whole);
            let ways = world.step(&mut choices)?;
            world.pack(&mut from_whole);
            world.unpack(&less);
            let others = world.step(&mut also)?;
            world.pack(&mut from_less);
            compared += 1;
            let taken = (choices.packed(), also.packed());
            if ways != others || taken.0 != taken.1 || from_whole != from_less {
                return Err(format!(
                    "state {place}, {taken:?}:\n{whole:?}\n{less:?}\n{from_whole:?}\n{from_less:?}"
                ));
            }
            let more = choices.advance();
            if more != also.advance() {
                return Err(format!(
                    "state {place}: more steps from one of them\n{whole:?}"
                ));
            }
            if !more {
                break;
            }
        }
    }
    Ok(compared)
}

/// A state that must not be, or a step that must not be taken from it.
struct Wrong {
    state: Id,
    step: Option<u64>,
    what: String,
}

/// States that were reached, for the thread that keeps them.
#[derive(Default)]
struct Found {
    bytes: Vec<u8>,
    steps: Vec<Reached>,
}

struct Reached {
    end: usize,
    from: Id,
    /// All behaved; only the driver acted.
    ways: [bool; 2],
}

/// One thread's part.
struct Worker<'t> {
    world: World<'t>,
    states: States,
    /// The first state from which no step was taken.
    next: usize,
    /// The end of those that are as far from the beginning.
    level: usize,
    transitions: u64,
    keepers: usize,
    me: usize,
}

impl Worker<'_> {
    /// Takes every step from some states. What was found, by keeper.
    fn expand(&mut self) -> Result<Vec<Found>, Wrong> {
        let mut found: Vec<Found> = (0..self.keepers).map(|_| Found::default()).collect();
        let until = self.level.min(self.next + BATCH);
        let (mut bytes, mut packed) = (Vec::new(), Vec::new());
        while self.next < until {
            let state = Id::new(self.next, self.me, self.keepers);
            let mut choices = Choices::FIRST;
            self.states.read(self.next, &mut bytes);
            loop {
                self.world.unpack(&bytes);
                let taken = self.step(&mut choices);
                let step = choices.packed();
                let wrong = |what| Wrong {
                    state,
                    step: Some(step),
                    what,
                };
                let ways = taken.map_err(wrong)?;
                self.world.pack(&mut packed);
                self.transitions += 1;
                let first = choices.behaves(0);
                let to = &mut found[keeper(&packed, self.keepers)];
                to.bytes.extend_from_slice(&packed);
                to.steps.push(Reached {
                    end: to.bytes.len(),
                    from: state,
                    ways: ways.map(|way| way.is_some_and(|way| choices.behaves(way))),
                });
                if first {
                    let rests = ways[0].is_none();
                    self.world.unpack(&bytes);
                    let wrong = |what| Wrong {
                        state,
                        step: None,
                        what,
                    };
                    self.world.check(rests).map_err(wrong)?;
                }
                if !choices.advance() {
                    break;
                }
            }
            self.next += 1;
        }
        Ok(found)
    }

    /// A step, after which the laws hold.
    fn step(&mut self, choices: &mut Choices) -> Result<[Option<usize>; 2], String> {
        let ways = self.world.step(choices)?;
        let laws = self.world.core.check_laws();
        laws.map_err(|broken| broken.to_string())?;
        Ok(ways)
    }

    /// Keeps what others and itself have found; returns where the two ways lead.
    fn keep<'a>(&mut self, found: impl Iterator<Item = &'a Found>) -> Vec<(Id, usize, Id)> {
        let mut ways = Vec::new();
        for found in found {
            let mut begin = 0;
            for reached in &found.steps {
                let bytes = &found.bytes[begin..reached.end];
                begin = reached.end;
                let place = self.states.add(bytes, reached.from);
                let to = Id::new(place, self.me, self.keepers);
                let taken = (0..2).filter(|way| reached.ways[*way]);
                ways.extend(taken.map(|way| (reached.from, way, to)));
            }
        }
        ways
    }
}

fn keeper(bytes: &[u8], keepers: usize) -> usize {
    // The index of a keeper's own states uses the other bits.
    usize::try_from(hash(bytes) >> 32).unwrap_or(0) % keepers
}

struct Search<'t> {
    workers: Vec<Worker<'t>>,
    depth: usize,
    closed: bool,
}

impl<'t> Search<'t> {
    fn new(tables: &'t mut [Box<Table<CONNECTIONS>>], settings: Settings) -> Self {
        let keepers = tables.len();
        let worker = |(me, table): (usize, &'t mut Box<Table<CONNECTIONS>>)| Worker {
            world: World::new(table, settings),
            states: States::new(World::head(&settings), EACH, settings.connections as usize),
            next: 0,
            level: 0,
            transitions: 0,
            keepers,
            me,
        };
        let mut workers: Vec<_> = tables.iter_mut().enumerate().map(worker).collect();
        let mut first = Vec::new();
        workers[0].world.first(&mut first);
        workers[keeper(&first, keepers)]
            .states
            .add(&first, Id::NONE);
        Self {
            workers,
            depth: 0,
            closed: false,
        }
    }

    fn len(&self) -> usize {
        self.workers.iter().map(|worker| worker.states.len()).sum()
    }

    fn memory(&self) -> usize {
        (self.workers.iter())
            .map(|worker| worker.states.memory())
            .sum()
    }

    fn run(&mut self, limits: Limits) -> Result<(), Wrong> {
        loop {
            self.workers
                .iter_mut()
                .for_each(|worker| worker.level = worker.states.len());
            if self
                .workers
                .iter()
                .all(|worker| worker.next == worker.level)
            {
                self.closed = true;
                return Ok(());
            }
            while self.workers.iter().any(|worker| worker.next < worker.level) {
                if self.len() >= limits.states || self.memory() >= limits.memory {
                    return Ok(());
                }
                self.batch()?;
            }
            self.depth += 1;
            if limits.progress {
                let (states, memory) = (self.len(), self.memory() >> 20);
                eprintln!("depth {}: {states} states, {memory} MiB", self.depth);
            }
        }
    }

    /// All threads take steps, then all keep what was found.
    fn batch(&mut self) -> Result<(), Wrong> {
        let found: Result<Vec<_>, Wrong> = thread::scope(|scope| {
            let threads: Vec<_> = (self.workers.iter_mut())
                .map(|worker| scope.spawn(|| worker.expand()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("a worker"))
                .collect()
        });
        let found = &found?;
        let ways: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (self.workers.iter_mut())
                .map(|worker| {
                    scope.spawn(|| {
                        let me = worker.me;
                        worker.keep(found.iter().map(|found| &found[me]))
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("a worker"))
                .collect()
        });
        let keepers = self.workers.len();
        for (from, way, to) in ways.into_iter().flatten() {
            self.workers[from.keeper(keepers)].states.ways[from.place(keepers)][way] = to;
        }
        Ok(())
    }

    fn states(&self, state: Id) -> (&States, usize) {
        let keepers = self.workers.len();
        (
            &self.workers[state.keeper(keepers)].states,
            state.place(keepers),
        )
    }

    /// Follows one of the two ways from every state to rest: how often time passes at most, and how many steps are taken.
    fn patience(&mut self, way: usize) -> Result<(u32, u32), Wrong> {
        const UNKNOWN: (u32, u32) = (u32::MAX, u32::MAX);
        const ON_THE_WAY: (u32, u32) = (u32::MAX, 0);
        let keepers = self.workers.len();
        let sizes: Vec<usize> = self
            .workers
            .iter()
            .map(|worker| worker.states.len())
            .collect();
        let mut known: Vec<_> = sizes.iter().map(|size| vec![UNKNOWN; *size]).collect();
        let mut most = (0, 0);
        let mut behind = Vec::new();
        let all = (0..keepers).flat_map(|me| (0..sizes[me]).map(move |place| (me, place)));
        for (me, place) in all {
            let start = Id::new(place, me, keepers);
            let mut state = start;
            loop {
                let here = &mut known[state.keeper(keepers)][state.place(keepers)];
                let (states, place) = self.states(state);
                let next = states.ways[place][way];
                if *here == ON_THE_WAY {
                    let what = ["all behave", "only the driver acts"][way];
                    let what = format!("{what}, and it goes round for ever");
                    return Err(Wrong {
                        state,
                        step: None,
                        what,
                    });
                }
                if *here == UNKNOWN && next == Id::NONE {
                    *here = (0, 0);
                }
                if *here != UNKNOWN {
                    break;
                }
                *here = ON_THE_WAY;
                behind.push(state);
                state = next;
            }
            let mut far = known[state.keeper(keepers)][state.place(keepers)];
            while let Some(before) = behind.pop() {
                far = (far.0 + u32::from(way == 0 && self.waits(before)), far.1 + 1);
                known[before.keeper(keepers)][before.place(keepers)] = far;
            }
            most = (most.0.max(far.0), most.1.max(far.1));
        }
        Ok(most)
    }

    /// Whether it is time that passes next.
    fn waits(&mut self, state: Id) -> bool {
        let keepers = self.workers.len();
        let Worker { world, states, .. } = &mut self.workers[state.keeper(keepers)];
        let mut bytes = Vec::new();
        states.read(state.place(keepers), &mut bytes);
        world.unpack(&bytes);
        let before = world.now;
        let mut tame = Choices::FIRST;
        let taken = world.step(&mut tame);
        taken.is_ok() && world.now > before
    }

    /// The first step that leads from a state to another.
    fn step_between(&mut self, from: Id, to: Id) -> u64 {
        let [mut before, mut after, mut packed] = [const { Vec::new() }; 3];
        for (state, bytes) in [(from, &mut before), (to, &mut after)] {
            let (states, place) = self.states(state);
            states.read(place, bytes);
        }
        let world = &mut self.workers[0].world;
        let mut choices = Choices::FIRST;
        loop {
            world.unpack(&before);
            if world.step(&mut choices).is_ok() {
                world.pack(&mut packed);
                if packed == after {
                    return choices.packed();
                }
            }
            assert!(choices.advance(), "a step leads from one to the other");
        }
    }

    /// The way to what is wrong, in words.
    fn story(&mut self, wrong: &Wrong) -> Vec<String> {
        let mut way: Vec<_> = wrong
            .step
            .map(|step| (wrong.state, step))
            .into_iter()
            .collect();
        let mut state = wrong.state;
        loop {
            let (states, place) = self.states(state);
            let from = states.from(place);
            if from == Id::NONE {
                break;
            }
            way.push((from, self.step_between(from, state)));
            state = from;
        }
        let mut told = Vec::new();
        let mut names = Names::default();
        for (state, step) in way.into_iter().rev() {
            let (states, place) = self.states(state);
            let mut bytes = Vec::new();
            states.read(place, &mut bytes);
            let world = &mut self.workers[0].world;
            world.unpack(&bytes);
            world.story = Some(Vec::new());
            // A violation in the last one is reported below.
            let _last = world.step(&mut Choices::unpacked(step));
            let story = world.story.take().unwrap_or_default();
            let order = world.pack(&mut Vec::new());
            told.extend(names.put_into(story));
            names.follow(order);
        }
        told.extend(names.put_into(vec![format!("broken: {}", wrong.what)]));
        told
    }
}

/// The names of the slots in a story: each slot keeps its letter though it moves, and its next incarnation within a
/// step has a prime.
struct Names([char; CONNECTIONS]);

impl Default for Names {
    fn default() -> Self {
        let mut letters = 'A'..;
        Self(core::array::from_fn(|_| letters.next().unwrap_or('?')))
    }
}

impl Names {
    fn put_into(&self, story: Vec<String>) -> Vec<String> {
        let named = |mut line: String| {
            for (at, name) in self.0.iter().enumerate() {
                let token =
                    |generation| format!("Token {{ index: {at}, generation: {generation} }}");
                line = line.replace(&format!("#{at}"), &name.to_string());
                line = line.replace(&token(inspect::GENERATION), &name.to_string());
                line = line.replace(&token(inspect::GENERATION + 1), &format!("{name}'"));
            }
            let line = line.replace(&format!("{:?}", inspect::listener()), "listener");
            line.replace(&format!("{:?}", inspect::datagrams()), "datagram socket")
        };
        story.into_iter().map(named).collect()
    }

    fn follow(&mut self, order: [u8; CONNECTIONS]) {
        let before = self.0;
        self.0 = order.map(|place| before[usize::from(place)]);
    }
}
