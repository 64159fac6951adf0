//! A script from its first step to its end, and the verdict: what was left unread, and whether the program would be
//! notified of it.

use super::library;
use super::program::Program;
use super::script::{Script, Step, Verb};
use super::system::{SysResult, System};
use super::watch::Way;
use super::world::{Left, World};
use core::fmt;
use tidegate_sim::{EpollFlags, Errno, Report};

/// Rounds that a server goes on for while a client floods.
const ROUNDS: usize = 3;
/// Rounds in a row with events and no progress, after which there will be none.
const IDLE: usize = 3;
/// Different lines in the log of a server, before it is cut short.
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

/// The log of a server for a step, and what was left unread after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cell {
    pub(crate) said: String,
    pub(crate) left: String,
}

/// How it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct End {
    /// Its log after the last step.
    pub(crate) said: String,
    pub(crate) verdict: Verdict,
    pub(crate) why: String,
}

/// What is to be thought of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Everything was taken.
    Fine,
    /// Data was left, and each wait reports it.
    Reported,
    /// Data was left, and no wait reports it.
    Loses,
    /// Each wait reports something, and no progress follows.
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
            Self::Reported => "reported again",
            Self::Loses => "loses",
            Self::Spins => "spins",
            Self::Starves => "starves",
            Self::Blocks => "blocks",
            Self::Mixes => "mixes up",
            Self::Dies => "dies",
        })
    }
}

/// The log of a server for one step.
#[derive(Debug, Default)]
pub(crate) struct Log {
    said: Vec<String>,
    reports: Vec<EpollFlags>,
}

impl Log {
    pub(crate) fn say(&mut self, what: String) {
        if !what.is_empty() {
            self.said.push(what);
        }
    }

    /// A poll returned this; `name` names the sources.
    pub(crate) fn reported(
        &mut self,
        cost: Option<String>,
        reports: &[Report],
        name: impl Fn(u64) -> String,
    ) {
        let each = reports
            .iter()
            .map(|report| format!("{} {:?}", name(report.data), report.flags));
        let each: Vec<_> = each.collect();
        let reported = if each.is_empty() {
            "nothing".to_owned()
        } else {
            each.join(", ")
        };
        self.said.push(match cost {
            Some(cost) => format!("{cost}, reported {reported}"),
            None => format!("reported {reported}"),
        });
        self.reports
            .extend(reports.iter().map(|report| report.flags));
    }

    /// The whole log; a repeated line is printed once, with its count, and there is a limit.
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
    fn server(&mut self, verb: Verb, log: &mut Log) -> SysResult<()>;

    /// A client has done something.
    fn happened(&mut self, log: &mut Log) -> SysResult<()>;

    /// One round after the end of the script.
    fn go_on(&mut self, log: &mut Log) -> SysResult<()>;

    /// Whether a round does more than to wait.
    fn acts_by_itself(&self) -> bool;

    /// What went wrong already.
    fn failure(&self) -> Option<Verdict>;
}

/// Runs a script under one way, on kernels that `make` makes.
pub(crate) fn run<S: System>(
    script: &Script,
    way: Way,
    make: impl Fn() -> SysResult<S>,
) -> SysResult<Outcome> {
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

fn play(player: &mut impl Player, script: &Script) -> SysResult<(Vec<Cell>, End)> {
    let mut cells = Vec::new();
    for step in &script.steps {
        let mut log = Log::default();
        match *step {
            Step::Client(client, act) => {
                match player.world().act(client, act) {
                    // The server has closed it.
                    Err(errno @ (Errno::CONNRESET | Errno::PIPE | Errno::NOTCONN)) => {
                        log.say(format!("the client gets {errno}"));
                    }
                    done => done?,
                }
                player.happened(&mut log)?;
            }
            Step::Server(verb) => player.server(verb, &mut log)?,
        }
        let left = player.world().left()?;
        cells.push(Cell {
            said: log.text(),
            left: left.short(script.clients),
        });
    }
    let end = end(player, script)?;
    Ok((cells, end))
}

/// Lets a server go on, with nothing new from the clients but what floods, and then not even that.
fn end(player: &mut impl Player, script: &Script) -> SysResult<End> {
    let mut all = Log::default();
    let mut held_up = Left::default();
    if player.world().has_flood() {
        let before = player.world().left_of_quiet()?;
        for _ in 0..ROUNDS {
            round(player, &mut all)?;
        }
        held_up = player.world().left_of_quiet()?.common(&before);
        player.world().stop_floods();
    }
    let reported = go_on(player, &mut all)?;
    let left = player.world().left()?;
    // A client that is served as soon as the others stop was starved by them.
    let starved = player.acts_by_itself() && held_up.common(&left) != held_up;
    let (nothing, left) = (left.is_empty(), left.short(script.clients));
    let verdict = match player.failure() {
        Some(verdict) => verdict,
        None if starved => Verdict::Starves,
        None => match (nothing, reported.is_empty()) {
            (true, true) => Verdict::Fine,
            (false, true) => Verdict::Loses,
            (false, false) if !player.acts_by_itself() => Verdict::Reported,
            (true | false, false) => Verdict::Spins,
        },
    };
    let why = match verdict {
        Verdict::Fine => format!(
            "nothing is left; {} bytes were taken",
            player.world().taken()
        ),
        Verdict::Reported => format!("left: {left}; each wait reports it"),
        Verdict::Loses => format!("left: {left}; no wait reports it"),
        Verdict::Spins => {
            format!("left: {left}; each wait reports {reported:?}, without progress")
        }
        Verdict::Starves => "one client that goes on sending keeps the others waiting".to_owned(),
        Verdict::Blocks => format!("it waits for one client, whatever the others do; left: {left}"),
        Verdict::Mixes => "bytes of one client were taken for another's".to_owned(),
        Verdict::Dies => format!("one error ends the service for all; left: {left}"),
    };
    let said = all.text();
    Ok(End { said, verdict, why })
}

/// Rounds until one has no events, or several in a row make no progress; returns the events of the last one.
fn go_on(player: &mut impl Player, all: &mut Log) -> SysResult<EpollFlags> {
    let mut idle = 0;
    let mut before = player.world().left()?;
    loop {
        let reported = round(player, all)?;
        let left = player.world().left()?;
        idle = if left == before { idle + 1 } else { 0 };
        if reported.is_empty() || idle == IDLE {
            return Ok(reported);
        }
        before = left;
    }
}

/// One round; returns its events.
fn round(player: &mut impl Player, all: &mut Log) -> SysResult<EpollFlags> {
    let mut log = Log::default();
    player.go_on(&mut log)?;
    all.say(log.text());
    let reported = log.reports.into_iter();
    Ok(reported.fold(EpollFlags::NONE, |all, one| all | one))
}
