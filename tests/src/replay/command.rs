//! The program `replay`: its arguments and what it says.

use super::{Replayed, Tape, replay};
use lexopt::{Arg, Parser, ValueExt};
use static_cell::ConstStaticCell;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use tidegate_core::Memory;
use tidegate_core::trace::Entry;

/// As the program has them.
static SMALL: ConstStaticCell<Memory<1024, 4096, 16384, u32>> = ConstStaticCell::new(Memory::new());
static LARGE: ConstStaticCell<Memory<20_000, 4096, 16384, u32>> =
    ConstStaticCell::new(Memory::new());

const HELP: &str = "\
Usage: replay [OPTION]... FILE...
Has happen again what `tidegate --record FILE` recorded, and compares: every action, every notice, every call, bit for bit.
After a rotation give both files, the older first: FILE.1 FILE. Without the beginning, nothing can be replayed.

  --until N     stop before entry N
  --calls       take the handler's calls from the trace, as is done where payload was cut or hashed
  --help        print this, and end

Exit code: 0 the same, 1 a difference, 2 not replayed.
";

/// What to do.
#[derive(Debug, Default)]
struct Options {
    files: Vec<PathBuf>,
    until: Option<usize>,
    calls: bool,
}

/// Runs the program; answers its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match parse(arguments).and_then(|options| options.map_or(Ok(true), |options| run(&options))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("replay: {why}");
            ExitCode::from(2)
        }
    }
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, String> {
    let wrong = |error: lexopt::Error| format!("{error}; --help lists the options");
    let mut parser = Parser::from_iter(arguments);
    let mut options = Options::default();
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => {
                print!("{HELP}");
                return Ok(None);
            }
            Arg::Long("until") => {
                let value = parser.value().and_then(|value| value.parse());
                options.until = Some(value.map_err(wrong)?);
            }
            Arg::Long("calls") => options.calls = true,
            Arg::Value(file) => options.files.push(file.into()),
            Arg::Long(_) | Arg::Short(_) => return Err(wrong(argument.unexpected())),
        }
    }
    match options.files.is_empty() {
        true => Err("no FILE; --help lists the options".into()),
        false => Ok(Some(options)),
    }
}

fn read(options: &Options) -> Result<Tape, String> {
    let read = |path: &PathBuf| {
        fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let files: Result<Vec<_>, _> = options.files.iter().map(read).collect();
    Tape::read(&files?)
}

/// Answers whether it was the same.
fn run(options: &Options) -> Result<bool, String> {
    let tape = read(options)?;
    if let Some(flaw) = &tape.flaw {
        eprintln!("replay: the trace ends early: {flaw}");
    }
    let connections = match tape.entries().first() {
        Some(Entry::Start { config, .. }) => config.connections,
        _ => None,
    };
    let (until, calls) = (options.until, options.calls);
    let replayed = if connections.is_some_and(|connections| connections <= 1024) {
        replay(&tape, SMALL.take(), until, calls)
    } else {
        replay(&tape, LARGE.take(), until, calls)
    }?;
    tell(&replayed, &tape);
    Ok(replayed.diverged.is_none())
}

fn tell(replayed: &Replayed, tape: &Tape) {
    let Replayed {
        entries,
        diverged,
        stopped,
        service,
    } = replayed;
    let by = match service {
        Some(service) => format!("by the handler of {service}"),
        None => "by the calls in the trace".into(),
    };
    let all = tape.entries().len();
    println!("{entries} of {all} entries the same, {by}");
    if let Some(diverged) = diverged {
        println!("{diverged}");
    }
    if let Some(stopped) = stopped {
        println!("stopped: {stopped}");
    }
}
