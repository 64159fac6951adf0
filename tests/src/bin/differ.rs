//! Holds the simulated kernel against the real one. `--help` tells how.

use core::fmt;
use core::str::FromStr;
use lexopt::{Arg, Parser};
use std::process::ExitCode;
use tests::differ::{Differ, without_gaps};
use tidegate_core::sim::Kernel;

const HELP: &str = "\
Makes the same random calls on the simulated kernel and on this one, and compares every answer.

Usage: differ [OPTIONS]

  --operations N  how many calls (default 1000000)
  --seed N        which ones (default 1)
  --help          this text

The last line is `divergences: 0`, and the exit code 0, if there are none. Of sessions that diverge, at most ten, the
shortest list of calls found that shows it is printed.
";

/// Divergences that are enough.
const ENOUGH: usize = 10;

#[derive(Clone, Copy)]
struct Options {
    operations: u64,
    seed: u64,
}

enum Command {
    Compare(Options),
    Help,
}

fn main() -> ExitCode {
    match arguments(Parser::from_env()) {
        Ok(Command::Help) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Command::Compare(options)) => compare(options).unwrap_or_else(|error| {
            eprintln!("differ: {error}");
            ExitCode::FAILURE
        }),
        Err(wrong) => {
            eprintln!("differ: {wrong}; --help tells the options");
            ExitCode::from(2)
        }
    }
}

fn arguments(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = Options {
        operations: 1_000_000,
        seed: 1,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("operations") => options.operations = number(&mut parser, "--operations")?,
            Arg::Long("seed") => options.seed = number(&mut parser, "--seed")?,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short(_) | Arg::Long(_) | Arg::Value(_) => return Err(argument.unexpected()),
        }
    }
    Ok(Command::Compare(options))
}

fn number<T: FromStr<Err: fmt::Display>>(
    parser: &mut Parser,
    name: &str,
) -> Result<T, lexopt::Error> {
    let value = parser.value()?;
    let text = value.to_string_lossy();
    text.parse()
        .map_err(|error| format!("{name} {text}: {error}; a whole number is asked for").into())
}

fn compare(options: Options) -> rustix::io::Result<ExitCode> {
    let _plugs = without_gaps()?;
    let differ = Differ::new(Kernel::new)?;
    let Options { operations, seed } = options;
    let tell = |divergence: &_| println!("{divergence}");
    let (made, divergences) = differ.run(seed, operations, ENOUGH, tell)?;
    println!("operations: {made}");
    println!("divergences: {divergences}");
    Ok(if divergences == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
