//! The program `replay`: its arguments and output.

use super::{Explainer, Picture, Replayed, Tape, replay_seen, to_corpus, to_test};
use lexopt::{Arg, Parser, ValueExt};
use static_cell::ConstStaticCell;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use tidegate_core::trace::Entry;
use tidegate_core::{Dispatcher, Memory};

/// Windows as the program has them, and as many sources as there can be.
type Large<const N: usize> = Memory<N, 4096, 16384, u32, 255, 1024>;
static SMALL: ConstStaticCell<Large<1024>> = ConstStaticCell::new(Memory::new());
static LARGE: ConstStaticCell<Large<20_000>> = ConstStaticCell::new(Memory::new());

const HELP: &str = "\
Usage: replay [OPTION]... FILE...
Has happen again what `tidegate --record FILE` recorded, and compares: every action, every notice, every call, bit for bit.
After a rotation give both files, the older first: FILE.1 FILE. Without the beginning, nothing can be replayed.

  --until N     stop before entry N
  --explain     describe each step in words: what came in, which sets changed, what was issued and why
  --calls       take the handler's calls from the trace, as is done where payload was cut or hashed
  --to-test     print a test in which peers do on the simulated kernel what they did, shrunk if it breaks a law there
  --to-corpus OUT  write an input for the fuzz target sim there, in which they do much of it
  --chrome OUT  write a picture of it for chrome://tracing or ui.perfetto.dev there, as JSON
  --page OUT    write a page with the same picture there, for any browser
  --help        print this, and end

Exit code: 0 the same, 1 a difference, 2 not replayed, 3 the same up to where the trace is damaged, cut off, or without some entries.
";

/// What to do.
#[derive(Debug, Default)]
struct Options {
    files: Vec<PathBuf>,
    until: Option<usize>,
    calls: bool,
    explain: bool,
    to_test: bool,
    to_corpus: Option<PathBuf>,
    chrome: Option<PathBuf>,
    page: Option<PathBuf>,
}

/// How a replay ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The same, to the end of the trace or to the requested stop.
    Same,
    /// Something was not as it is recorded.
    Different,
    /// The same as far as the trace goes: it is damaged, cut off, or entries are missing.
    Cut,
}

/// Runs the program; returns its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let run = |options: Option<Options>| options.map_or(Ok(End::Same), |options| run(&options));
    match parse(arguments).and_then(run) {
        Ok(End::Same) => ExitCode::SUCCESS,
        Ok(End::Different) => ExitCode::from(1),
        Ok(End::Cut) => ExitCode::from(3),
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
                say(HELP);
                return Ok(None);
            }
            Arg::Long("until") => {
                let value = parser.value().and_then(|value| value.parse());
                options.until = Some(value.map_err(wrong)?);
            }
            Arg::Long("to-test") => options.to_test = true,
            Arg::Long("to-corpus") => {
                options.to_corpus = Some(parser.value().map_err(wrong)?.into());
            }
            Arg::Long("chrome") => options.chrome = Some(parser.value().map_err(wrong)?.into()),
            Arg::Long("page") => options.page = Some(parser.value().map_err(wrong)?.into()),
            Arg::Long("calls") => options.calls = true,
            Arg::Long("explain") => options.explain = true,
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

/// Makes something else of a trace than a replay, if that is requested; returns whether it is.
fn made_of_it(tape: &Tape, options: &Options) -> Result<bool, String> {
    let picture = || Picture::of(tape);
    write(options.chrome.as_ref(), || picture().chrome().into_bytes())?;
    write(options.page.as_ref(), || picture().page().into_bytes())?;
    let peers_matter = options.to_test || options.to_corpus.is_some();
    if peers_matter && !matches!(tape.entries(), [Entry::Start { .. }, ..]) {
        return Err("its beginning is missing: no test or fuzz input can be made of it".into());
    }
    write(options.to_corpus.as_ref(), || to_corpus(tape))?;
    if options.to_test {
        let (test, shrunk) = to_test(tape);
        say(&test);
        if !shrunk {
            eprintln!(
                "replay: on the simulated kernel it breaks no law: the test is of all that the peers did"
            );
        }
    }
    let written = [&options.chrome, &options.page, &options.to_corpus];
    Ok(options.to_test || written.into_iter().any(Option::is_some))
}

fn write(to: Option<&PathBuf>, bytes: impl FnOnce() -> Vec<u8>) -> Result<(), String> {
    let Some(path) = to else {
        return Ok(());
    };
    fs::write(path, bytes()).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn run(options: &Options) -> Result<End, String> {
    let tape = read(options)?;
    if let Some(flaw) = &tape.flaw {
        eprintln!("replay: the trace ends early: {flaw}");
    }
    let whole = if tape.flaw.is_some() {
        End::Cut
    } else {
        End::Same
    };
    if made_of_it(&tape, options)? {
        return Ok(whole);
    }
    let connections = match tape.entries() {
        [Entry::Start { config, .. }, ..] => config.connections,
        _ => None,
    };
    let (until, calls) = (options.until, options.calls);
    let mut explainer = Explainer::default();
    let mut see = |entries: &[Entry<'static>], machine: &Dispatcher<'_>| {
        if options.explain {
            say(&explainer.step(entries, machine));
        }
    };
    let replayed = if connections.is_some_and(|connections| connections <= 1024) {
        replay_seen(&tape, SMALL.take(), until, calls, &mut see)
    } else {
        replay_seen(&tape, LARGE.take(), until, calls, &mut see)
    }?;
    print(&replayed, &tape);
    Ok(match &replayed {
        replayed if replayed.diverged.is_some() => End::Different,
        replayed if replayed.stopped.is_some() => End::Cut,
        replayed if replayed.entries < tape.entries().len() => End::Same,
        _ => whole,
    })
}

/// An error is ignored: there is nowhere to report it.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn print(replayed: &Replayed, tape: &Tape) {
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
    say(&format!("{entries} of {all} entries the same, {by}\n"));
    if let Some(diverged) = diverged {
        say(&format!("{diverged}\n"));
    }
    if let Some(stopped) = stopped {
        say(&format!("stopped: {stopped}\n"));
    }
}
