//! Measures our program and others. Built for release.

use lexopt::Arg::{Long, Short, Value};
use lexopt::ValueExt;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};
use tests::bench::{Bench, Effort, Part, connections, events, fairness, fan_out, memory, messages};
use tests::bench::{peers, surroundings, tables};

const USAGE: &str = "\
Usage: bench [--quick] [--only PART] [--write]
Measures our program beside other libraries, and prints tables.

  --quick       see only that everything works: some seconds for each part
  --only PART   messages, connections, memory, fairness, fan-out or events [all]
  --write       put tables into docs/benchmarks.md and pictures into docs/
  --help        print this

It takes at most twelve minutes on two CPUs that have nothing else to do. Run it as root: it then has a network of its own.
A C compiler, libevent, libuv and valgrind are used if they are installed:
  apt-get install gcc libc6-dev libevent-dev libuv1-dev valgrind
";

type Measure = fn(&mut Bench) -> Result<Part, String>;

const PARTS: [(&str, Measure); 6] = [
    ("messages", messages),
    ("connections", connections),
    ("memory", memory),
    ("fairness", fairness),
    ("fan-out", fan_out),
    ("events", events),
];

struct Options {
    quick: bool,
    only: Option<String>,
    write: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let done = match words[..] {
        // What it starts itself as.
        [_, "peer", name] => peers::serve(name).map_err(|error| error.to_string()),
        [_, "timed", slots, active, messages] => alone(slots, active, messages, true),
        [_, "counted", slots, active, messages] => alone(slots, active, messages, false),
        _ => match options(arguments) {
            Ok(Some(options)) => bench(&options),
            Ok(None) => {
                print!("{USAGE}");
                Ok(())
            }
            Err(error) => {
                eprintln!("bench: {error}\n\n{USAGE}");
                return ExitCode::from(2);
            }
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: Vec<OsString>) -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        quick: false,
        only: None,
        write: false,
    };
    let mut arguments = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("quick") => options.quick = true,
            Long("write") => options.write = true,
            Long("only") => {
                let name = arguments.value()?.string()?;
                if PARTS.iter().all(|(part, _)| *part != name) {
                    return Err(format!("no part is called {name:?}").into());
                }
                options.only = Some(name);
            }
            Long("help") => return Ok(None),
            Short(_) | Long(_) | Value(_) => return Err(argument.unexpected()),
        }
    }
    if options.quick && options.write {
        return Err("--quick measures nothing that is worth to --write".into());
    }
    Ok(Some(options))
}

fn alone(slots: &str, active: &str, messages: &str, clock: bool) -> Result<(), String> {
    let number = |text: &str| {
        text.parse()
            .map_err(|_| format!("{text}: must be a number"))
    };
    let (slots, active) = (number(slots)?, number(active)?);
    tests::bench::events::alone(slots, active, number(messages)?.into(), clock)
}

fn bench(options: &Options) -> Result<(), String> {
    if cfg!(debug_assertions) {
        return Err("this is not built for release: cargo run --release -p tests --features bench --bin bench".into());
    }
    let effort = if options.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    };
    let network = match surroundings::own_network() {
        Ok(()) => "a network of its own",
        Err(error) => {
            eprintln!("no network of its own ({error}): run it as root");
            "the network of the machine"
        }
    };
    let mut bench = Bench::new(effort);
    for why in &bench.left_out {
        eprintln!("left out: {why}");
    }
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    for (name, measure) in PARTS.iter().filter(|(name, _)| wanted(name)) {
        let part = measure(&mut bench).map_err(|why| format!("{name}: {why}"))?;
        println!("## {name}\n\n{}", part.markdown);
        if options.write {
            write(&part)?;
        }
    }
    bench.end();
    let about = about(&bench, network);
    println!("{about}");
    if options.write {
        tables::replace_in(&root().join("docs/benchmarks.md"), "about", &about)?;
    }
    for complaint in &bench.complaints {
        eprintln!("not measured: {complaint}");
    }
    if bench.failures.is_empty() {
        return Ok(());
    }
    Err(bench.failures.join("\n"))
}

/// Where and when.
fn about(bench: &Bench, network: &str) -> String {
    let (loads, noisy) = bench.loads;
    let left_out = match &bench.left_out[..] {
        [] => String::new(),
        some => format!(" Left out: {}.", some.join("; ")),
    };
    format!(
        "{}, {}, {network}. In {noisy} of {loads} loads others worked on the machine for more than 15 % of a CPU.{left_out}\n",
        surroundings::today(),
        surroundings::machine(),
    )
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

fn write(part: &Part) -> Result<(), String> {
    tables::replace_in(
        &root().join("docs/benchmarks.md"),
        part.name,
        &part.markdown,
    )?;
    let folder = root().join("docs");
    let written = fs::create_dir_all(&folder).and_then(|()| {
        part.pictures
            .iter()
            .try_for_each(|(name, svg)| fs::write(folder.join(name), svg))
    });
    written.map_err(|error| format!("{}: {error}", folder.display()))
}
