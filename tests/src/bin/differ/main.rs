//! Compares the simulated kernel with the real one. `--help` lists the options.

extern crate alloc;

mod matrix;
mod wrong;

use core::fmt;
use core::str::FromStr;
use lexopt::{Arg, Parser};
use std::process::ExitCode;
use tests::differ::{Differ, without_gaps};
use tidegate_sim::Kernel;

const HELP: &str = "\
Makes the same random calls on the simulated kernel and on this one, and compares every result, those of io_uring's
operations among them. Where io_uring is refused, a line reports it, and what needs it is left out.

Usage: differ [OPTIONS]

  --operations N  how many calls (default 1000000)
  --seed N        which ones (default 1)
  --divergences N at how many sessions that diverge to stop (default 10)
  --matrix        holds 22 deliberately wrong models against this kernel, each until it diverges; they are built from a
                  copy of the sources (the last line is `caught: N of 22`; of 20 without io_uring)
  --help          this text

The last line is `divergences: 0`, and the exit code 0, if there are none. Of each session that diverges, the
shortest list of calls found that shows it is printed.
";

#[derive(Clone, Copy)]
struct Options {
    operations: u64,
    seed: u64,
    divergences: usize,
}

enum Command {
    Compare(Options),
    Matrix(Options),
    Help,
}

fn main() -> ExitCode {
    match arguments(Parser::from_env()) {
        Ok(Command::Help) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Command::Compare(options)) => report(compare(options)),
        Ok(Command::Matrix(options)) => report(matrix(options)),
        Err(wrong) => {
            eprintln!("differ: {wrong}; --help lists the options");
            ExitCode::from(2)
        }
    }
}

fn report(result: rustix::io::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("differ: {error}");
        ExitCode::FAILURE
    })
}

fn arguments(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = Options {
        operations: 1_000_000,
        seed: 1,
        divergences: 10,
    };
    let mut matrix = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("operations") => options.operations = number(&mut parser, "--operations")?,
            Arg::Long("seed") => options.seed = number(&mut parser, "--seed")?,
            Arg::Long("divergences") => options.divergences = number(&mut parser, "--divergences")?,
            Arg::Long("matrix") => matrix = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short(_) | Arg::Long(_) | Arg::Value(_) => return Err(argument.unexpected()),
        }
    }
    Ok(if matrix {
        Command::Matrix(options)
    } else {
        Command::Compare(options)
    })
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
    let tell = |divergence: &_| println!("{divergence}");
    let mut of_histories = 0;
    let histories = differ.histories(options.divergences, |divergence| {
        of_histories += 1;
        println!("{divergence}");
    })?;
    say_if_refused(&differ);
    println!("histories of io_uring: {histories}");
    let most = options.divergences.saturating_sub(of_histories);
    let (made, divergences) = differ.run(options.seed, options.operations, most, tell)?;
    let divergences = divergences + of_histories;
    println!("operations: {made}");
    println!("divergences: {divergences}");
    Ok(if divergences == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn say_if_refused(differ: &Differ) {
    if let Some(errno) = differ.refused() {
        println!("not compared: operations of io_uring, which is refused here ({errno})");
    }
}

/// Each wrong kernel, and after how many operations this one shows that it is.
fn matrix(options: Options) -> rustix::io::Result<ExitCode> {
    let differ = Differ::new(Kernel::new)?;
    say_if_refused(&differ);
    Ok(match matrix::run(options, differ.refused().is_none()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(wrong) => {
            eprintln!("differ: {wrong}");
            ExitCode::FAILURE
        }
    })
}
