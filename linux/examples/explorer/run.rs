//! A script from its first step to its end, and the verdict: what was left, and whether anybody would be told of it.

use super::library;
use super::program::Program;
use super::script::{Script, Step, Verb};
use super::system::{Answer, System};
use super::watch::Way;
use super::world::{Left, World};
use core::fmt;
use tidegate_sim::{EpollFlags, Errno, Report};

/// Rounds that a server goes on for while somebody floods.
const ROUNDS: usize = 3;
/// Rounds in a row in which something is told and nothing changes, after which nothing will.
const VAIN: usize = 3;
/// Different things that are said of what a server does, before it is cut short.
const SAID: usize = 12;

/// A script run under one way on one kernel. Two kernels that do the same give the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    pub(crate) rows: Vec<Row>,
    pub(crate) program: End,
    pub(crate) library: End,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) step: String,
    pub(crate) program: Cell,
    pub(crate) library: Cell,
}

/// What a server heard and did in a step, and what it had not taken after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cell {
    pub(crate) said: String,
    pub(crate) left: String,
}

/// How it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct End {
    /// What it heard and did after the last step.
    pub(crate) said: String,
    pub(crate) verdict: Verdict,
    pub(crate) why: String,
}

/// What is to be thought of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Everything was taken.
    Fine,
    /// Something was not, and each wait tells of it.
    Told,
    /// Something was not, and no wait tells of it.
    Loses,
    /// Each wait tells of something, and nothing comes of it.
    Spins,
    /// One client keeps another waiting, for as long as it likes.
    Starves,
    /// It waits in a receive, whatever else there is to do.
    Blocks,
    /// It took one client's bytes for another's.
    Mixes,
    /// An error that it did not expect has ended it.
    Dies,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fine => "fine",
            Self::Told => "told again",
            Self::Loses => "loses",
            Self::Spins => "spins",
            Self::Starves => "starves",
            Self::Blocks => "blocks",
            Self::Mixes => "mixes up",
            Self::Dies => "dies",
        })
    }
}

/// What a server has heard and done in one step.
#[derive(Debug, Default)]
pub(crate) struct Turned {
    said: Vec<String>,
    reports: Vec<EpollFlags>,
}

impl Turned {
    pub(crate) fn say(&mut self, what: String) {
        if !what.is_empty() {
            self.said.push(what);
        }
    }

    /// A look at the kernel told this; `who` names those whom it is about.
    pub(crate) fn told(
        &mut self,
        cost: Option<String>,
        reports: &[Report],
        who: impl Fn(u64) -> String,
    ) {
        let each = reports
            .iter()
            .map(|report| format!("{} {:?}", who(report.data), report.flags));
        let each: Vec<_> = each.collect();
        let told = if each.is_empty() {
            "nothing".to_owned()
        } else {
            each.join(", ")
        };
        self.said.push(match cost {
            Some(cost) => format!("{cost}, told {told}"),
            None => format!("told {told}"),
        });
        self.reports
            .extend(reports.iter().map(|report| report.flags));
    }

    /// All of it; the same thing many times over is said once, with the number, and there is an end to it.
    fn text(&self) -> String {
        let mut text = Vec::new();
        let mut left = self.said.len();
        for same in self.said.chunk_by(|one, other| one == other) {
            match same {
                [one] => text.push(one.clone()),
                [one, ..] if one.contains(';') => {
                    text.push(format!("{} times ({one})", same.len()))
                }
                [one, ..] => text.push(format!("{} times {one}", same.len())),
                [] => {}
            }
            left -= same.len();
            if text.len() == SAID && left > 0 {
                text.push(format!("… and {left} times more like this"));
                break;
            }
        }
        text.join("; ")
    }
}

/// A server that is taken through a script.
pub(crate) trait Player {
    type System: System;

    fn world(&mut self) -> &mut World<Self::System>;

    /// A step of the server.
    fn server(&mut self, verb: Verb, turned: &mut Turned) -> Answer<()>;

    /// A client has done something.
    fn happened(&mut self, turned: &mut Turned) -> Answer<()>;

    /// One round after the end of the script.
    fn go_on(&mut self, turned: &mut Turned) -> Answer<()>;

    /// Whether a round does more than to wait.
    fn acts_by_itself(&self) -> bool;

    /// What went wrong already.
    fn failure(&self) -> Option<Verdict>;
}

/// Runs a script under one way, on kernels that `make` makes.
pub(crate) fn run<S: System>(
    script: &Script,
    way: Way,
    make: impl Fn() -> Answer<S>,
) -> Answer<Outcome> {
    let mut program = Program::new(World::new(make()?, script), script, way)?;
    let (programs, program) = play(&mut program, script)?;
    let world = World::new(make()?, script);
    let (libraries, library) = library::with(world, script, way, |player| play(player, script))?;
    let both = script.steps.iter().zip(programs.into_iter().zip(libraries));
    let row = |(step, (program, library)): (&Step, (Cell, Cell))| Row {
        step: step.to_string(),
        program,
        library,
    };
    Ok(Outcome {
        rows: both.map(row).collect(),
        program,
        library,
    })
}

fn play(player: &mut impl Player, script: &Script) -> Answer<(Vec<Cell>, End)> {
    let mut cells = Vec::new();
    for step in &script.steps {
        let mut turned = Turned::default();
        match *step {
            Step::Client(client, act) => {
                match player.world().act(client, act) {
                    // The server has closed it.
                    Err(errno @ (Errno::CONNRESET | Errno::PIPE | Errno::NOTCONN)) => {
                        turned.say(format!("the client is told {errno}"));
                    }
                    done => done?,
                }
                player.happened(&mut turned)?;
            }
            Step::Server(verb) => player.server(verb, &mut turned)?,
        }
        let left = player.world().left()?;
        cells.push(Cell {
            said: turned.text(),
            left: left.short(script.clients),
        });
    }
    let end = end(player, script)?;
    Ok((cells, end))
}

/// Lets a server go on, with nothing new from the clients but what floods, and then not even that.
fn end(player: &mut impl Player, script: &Script) -> Answer<End> {
    let mut all = Turned::default();
    let mut held_up = Left::default();
    if player.world().has_flood() {
        let before = player.world().left_of_quiet()?;
        for _ in 0..ROUNDS {
            round(player, &mut all)?;
        }
        held_up = player.world().left_of_quiet()?.common(&before);
        player.world().stop_floods();
    }
    let told = go_on(player, &mut all)?;
    let left = player.world().left()?;
    // Whoever is served as soon as the others stop was kept waiting by them.
    let starved = player.acts_by_itself() && held_up.common(&left) != held_up;
    let (nothing, left) = (left.is_empty(), left.short(script.clients));
    let verdict = match player.failure() {
        Some(verdict) => verdict,
        None if starved => Verdict::Starves,
        None => match (nothing, told.is_empty()) {
            (true, true) => Verdict::Fine,
            (false, true) => Verdict::Loses,
            (false, false) if !player.acts_by_itself() => Verdict::Told,
            (true | false, false) => Verdict::Spins,
        },
    };
    let why = match verdict {
        Verdict::Fine => format!(
            "nothing is left; {} bytes were taken",
            player.world().taken()
        ),
        Verdict::Told => format!("left: {left}; each wait tells of it"),
        Verdict::Loses => format!("left: {left}; no wait tells of it"),
        Verdict::Spins => {
            format!("left: {left}; each wait tells {told:?}, and nothing comes of it")
        }
        Verdict::Starves => "one client that goes on sending keeps the others waiting".to_owned(),
        Verdict::Blocks => format!("it waits for one client, whatever the others do; left: {left}"),
        Verdict::Mixes => "bytes of one client were taken for another's".to_owned(),
        Verdict::Dies => format!("one error ends the service for all; left: {left}"),
    };
    let said = all.text();
    Ok(End { said, verdict, why })
}

/// Rounds until one tells nothing, or several in a row have come to nothing; answers what the last one told.
fn go_on(player: &mut impl Player, all: &mut Turned) -> Answer<EpollFlags> {
    let mut vain = 0;
    let mut before = player.world().left()?;
    loop {
        let told = round(player, all)?;
        let left = player.world().left()?;
        vain = if left == before { vain + 1 } else { 0 };
        if told.is_empty() || vain == VAIN {
            return Ok(told);
        }
        before = left;
    }
}

/// One round; answers what it was told.
fn round(player: &mut impl Player, all: &mut Turned) -> Answer<EpollFlags> {
    let mut turned = Turned::default();
    player.go_on(&mut turned)?;
    all.say(turned.text());
    let told = turned.reports.into_iter();
    Ok(told.fold(EpollFlags::NONE, |all, one| all | one))
}
