//! Level, edge and one-shot, to be seen: a script of what clients do and what a program on the server does, run on a
//! simulated kernel and on this machine's, beside the library.
//!
//! ```sh
//! cargo run -p linux --example explorer -- --lesson five-bytes
//! cargo run -p linux --example explorer -- 'client: send 6; server: wait; read 3; wait; wait'
//! ```

extern crate alloc;

mod html;
mod lessons;
mod library;
mod program;
mod real;
mod run;
mod script;
mod simulated;
mod system;
mod text;
mod watch;
mod world;

use core::error::Error;
use core::fmt;
use lessons::{LESSONS, Lesson};
use lexopt::{Arg, Parser, ValueExt};
use real::Real;
use run::Outcome;
use script::Script;
use simulated::Simulated;
use std::io::Write;
use std::process::ExitCode;
use watch::Way;

const HELP: &str = "\
Usage: explorer [OPTIONS] [SCRIPT]...

Shows which readiness events come when, and what is left unread: by a program that does what the script says, and with tidegate.

  SCRIPT             such as 'client: send 6; server: wait; read 3; wait; wait'
  --lesson NAME      a lesson (may be given again); `all` is every one
  --list             the lessons
  --under WAY,...    blocking, non-blocking, select, poll, level, edge, oneshot
                     [default: as the lesson says; level,edge,oneshot for a script]
  --kernel WHICH     simulated, real or both [default: both, shown as one where they agree]
  --html FILE        writes a page that needs nothing else, instead of tables
  --lines            lines of fields, with tabs between them, instead of tables
  --help

";

/// A kernel that scripts are run on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Which {
    Simulated,
    Real,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Simulated => "simulated",
            Self::Real => "real",
        })
    }
}

/// A script, and its result.
pub(crate) struct Shown {
    pub(crate) lesson: Option<&'static Lesson>,
    pub(crate) script: Script,
    pub(crate) runs: Vec<Run>,
}

/// Its result under one way, on each kernel.
pub(crate) struct Run {
    pub(crate) way: Way,
    pub(crate) outcomes: Vec<(Which, Outcome)>,
}

impl Run {
    /// The outcomes, with the kernels that they are of; one, if they are the same.
    pub(crate) fn distinct(&self) -> Vec<(String, &Outcome)> {
        if let [(_, one), _] = self.outcomes.as_slice()
            && self.agrees()
        {
            return vec![("the simulated and the real kernel alike".to_owned(), one)];
        }
        let each = self.outcomes.iter();
        each.map(|(which, outcome)| (format!("the {which} kernel"), outcome))
            .collect()
    }

    /// Whether every kernel did the same.
    fn agrees(&self) -> bool {
        self.outcomes
            .windows(2)
            .all(|pair| matches!(pair, [(_, one), (_, other)] if one == other))
    }
}

/// The options.
struct Options {
    lessons: Vec<&'static Lesson>,
    scripts: Vec<Script>,
    ways: Option<Vec<Way>>,
    kernels: Vec<Which>,
    html: Option<String>,
    lines: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "{error}\n--help shows the options and how scripts are written, --list the lessons"
            );
            return ExitCode::from(2);
        }
    };
    match show(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!(
                "the simulated kernel and the real one differ: please report this, with the output"
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line; `None` if there was only help to print.
fn options() -> Result<Option<Options>, Box<dyn Error>> {
    let mut options = Options {
        lessons: Vec::new(),
        scripts: Vec::new(),
        ways: None,
        kernels: vec![Which::Simulated, Which::Real],
        html: None,
        lines: false,
    };
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => {
                print(&format!("{HELP}{}", script::GRAMMAR))?;
                return Ok(None);
            }
            Arg::Long("list") => {
                let line = |lesson: &Lesson| format!("{:16} {}\n", lesson.name, lesson.title);
                print(&LESSONS.iter().map(line).collect::<String>())?;
                return Ok(None);
            }
            Arg::Long("lesson") => {
                let name = parser.value()?.string()?;
                if name == "all" {
                    options.lessons.extend(LESSONS);
                    continue;
                }
                let lesson = lessons::named(&name);
                options.lessons.push(lesson.ok_or_else(|| {
                    let names: Vec<_> = LESSONS.iter().map(|lesson| lesson.name).collect();
                    format!(
                        "no lesson is called `{name}`; there are {} and all",
                        names.join(", ")
                    )
                })?);
            }
            Arg::Long("under") => options.ways = Some(ways(&parser.value()?.string()?)?),
            Arg::Long("kernel") => {
                options.kernels = match parser.value()?.string()?.as_str() {
                    "both" => vec![Which::Simulated, Which::Real],
                    "simulated" => vec![Which::Simulated],
                    "real" => vec![Which::Real],
                    other => {
                        let why = format!(
                            "no kernel is called `{other}`; there are simulated, real and both"
                        );
                        return Err(why.into());
                    }
                }
            }
            Arg::Long("html") => options.html = Some(parser.value()?.string()?),
            Arg::Long("lines") => options.lines = true,
            Arg::Value(text) => options.scripts.push(Script::parse(&text.string()?)?),
            other @ (Arg::Short(_) | Arg::Long(_)) => return Err(other.unexpected().into()),
        }
    }
    if options.lessons.is_empty() && options.scripts.is_empty() {
        return Err("nothing to show: give a script, or --lesson NAME".into());
    }
    Ok(Some(options))
}

fn ways(text: &str) -> Result<Vec<Way>, String> {
    let one = |name: &str| {
        let way = Way::ALL.into_iter().find(|way| way.name() == name);
        way.ok_or_else(|| {
            let names = Way::ALL.map(Way::name).join(", ");
            format!("there is no way called `{name}`; there are {names}")
        })
    };
    text.split(',').map(one).collect()
}

/// Runs and shows all that was requested; returns whether the kernels agreed.
fn show(options: &Options) -> Result<bool, Box<dyn Error>> {
    let mut shown = Vec::new();
    for lesson in &options.lessons {
        let script = Script::parse(lesson.script)?;
        shown.push(explore(options, Some(lesson), script, lesson.ways)?);
    }
    for script in &options.scripts {
        shown.push(explore(options, None, script.clone(), Way::EPOLL)?);
    }
    if let Some(path) = &options.html {
        let written = std::fs::write(path, html::page(&shown));
        written.map_err(|error| format!("--html {path}: cannot be written: {error}"))?;
    } else {
        let text = if options.lines {
            text::lines
        } else {
            text::tables
        };
        print(&shown.iter().map(text).collect::<String>())?;
    }
    Ok(shown.iter().flat_map(|shown| &shown.runs).all(Run::agrees))
}

fn explore(
    options: &Options,
    lesson: Option<&'static Lesson>,
    script: Script,
    usual: &[Way],
) -> Result<Shown, Box<dyn Error>> {
    let mut runs = Vec::new();
    for &way in options.ways.as_deref().unwrap_or(usual) {
        if way == Way::Blocking && script.waits() {
            return Err("--under blocking: there is no wait then; leave `wait` and `serve` out of the script".into());
        }
        let mut outcomes = Vec::new();
        for &which in &options.kernels {
            let outcome = match which {
                Which::Simulated => run::run(&script, way, Simulated::new),
                Which::Real => run::run(&script, way, Real::new),
            };
            let outcome = outcome.map_err(|errno| {
                format!(
                    "{}, {} on the {which} kernel: {errno}",
                    script.text,
                    way.name()
                )
            })?;
            outcomes.push((which, outcome));
        }
        runs.push(Run { way, outcomes });
    }
    Ok(Shown {
        lesson,
        script,
        runs,
    })
}

/// Prints; a closed pipe is not an error.
fn print(text: &str) -> std::io::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
