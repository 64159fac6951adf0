//! Compares the simulated kernel with the real one. `--help` lists the options.

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
  --matrix        holds 22 deliberately wrong models against this kernel, each until it diverges
                  (needs `--features wrong-kernels`; the last line is `caught: N of 22`; of 20 without io_uring)
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
    };
    let mut matrix = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("operations") => options.operations = number(&mut parser, "--operations")?,
            Arg::Long("seed") => options.seed = number(&mut parser, "--seed")?,
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
    let Options { operations, seed } = options;
    let tell = |divergence: &_| println!("{divergence}");
    let mut of_histories = 0;
    let histories = differ.histories(|divergence| {
        of_histories += 1;
        println!("{divergence}");
    })?;
    say_if_refused(&differ);
    println!("histories of io_uring: {histories}");
    let (made, divergences) = differ.run(seed, operations, ENOUGH, tell)?;
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

/// Each wrong model, and after how many operations this kernel shows that it is.
#[cfg(feature = "wrong-kernels")]
fn matrix(options: Options) -> rustix::io::Result<ExitCode> {
    use core::cell::Cell;
    use tests::differ::Divergence;
    use tidegate_sim::Variant;

    let _plugs = without_gaps()?;
    let mut differ = Differ::new(Kernel::new)?;
    say_if_refused(&differ);
    let (mut caught, mut tried) = (0, 0);
    for variant in Variant::ALL {
        if differ.refused().is_some() && Variant::OF_RING.contains(&variant) {
            println!("{variant:?}: not tried, it needs io_uring");
            continue;
        }
        tried += 1;
        differ.replace(move |limits| Kernel::new(limits).with_variant(variant));
        let shortest = Cell::new(usize::MAX);
        let note = |divergence: &Divergence| {
            shortest.set(shortest.get().min(divergence.operations().len()));
        };
        if Variant::OF_RING.contains(&variant) {
            differ.histories(note)?;
        }
        if shortest.get() < usize::MAX {
            caught += 1;
            let shortest = shortest.get();
            println!("{variant:?}: caught by a history, shown by {shortest}");
            continue;
        }
        let (made, divergences) = differ.run(options.seed, options.operations, 1, note)?;
        let shortest = shortest.get();
        if divergences > 0 {
            caught += 1;
            println!("{variant:?}: caught after {made} operations, shown by {shortest}");
        } else {
            println!("{variant:?}: not caught in {made} operations");
        }
    }
    println!("caught: {caught} of {tried}");
    Ok(if caught == tried {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(not(feature = "wrong-kernels"))]
fn matrix(_: Options) -> rustix::io::Result<ExitCode> {
    eprintln!("differ: --matrix needs a build with `--features wrong-kernels`");
    Ok(ExitCode::from(2))
}
