//! `explore`: drives the real dispatcher through every order of events that a small world allows.

use lexopt::prelude::{Long, Short, Value, ValueExt};
use std::process::ExitCode;
use std::time::Instant;
use tests::explore::{Limits, Settings, explore};
use tidegate_core::{FullTable, Trigger};

const HELP: &str = "\
explore: drives the real dispatcher through every order of events that a small world allows

  --world W         small, timed, outbound, stopped, datagrams or beside: what the tests close; otherwise as --connections says
  --connections N   slots of the table, 1 to 4 [1]
  --trigger T       level, edge or oneshot [level]
  --backlog N       peers that wait to be accepted; 0: nobody comes
  --few-datagrams N come to the datagram socket and no more, 1 to 7 [any number]
  --full P          wait, refuse or evict [wait]
  --with WHAT       adds to the world, --without WHAT takes from it: crowd, spurious, stale, every-fault, probes,
                    long-waits, aborts, between, hasty, rude, racing, unix, timers (of one connection), outbound, datagrams,
                    stop, shortages, rounds
  --states N        gives up at so many states
  --memory MIB      gives up when the states take so much [4096]
  --threads N       [one for each processor]
  --progress        reports each depth to the standard error
  --table           prints the table of states that was seen

Exits with 0 if nothing is broken and no state follows another that is not in the documented table, whether the
space was closed or not.
";

fn main() -> ExitCode {
    match arguments() {
        Ok(Some(asked)) => run(&asked),
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("explore: {error}");
            ExitCode::from(2)
        }
    }
}

struct Asked {
    settings: Settings,
    limits: Limits,
    table: bool,
}

fn arguments() -> Result<Option<Asked>, lexopt::Error> {
    let (mut connections, mut trigger, mut full) = (1, Trigger::Level, FullTable::Wait);
    let mut world: Option<fn(Trigger) -> Settings> = None;
    let (mut switches, mut backlog, mut few_datagrams) = (Vec::new(), None, None);
    let mut table = false;
    let mut limits = Limits {
        states: usize::MAX,
        memory: 4096 << 20,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        progress: false,
    };
    let mut parser = lexopt::Parser::from_env();
    let mut counted = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("connections") => {
                counted = true;
                connections = parser.value()?.parse_with(|text| match text.parse() {
                    Ok(number @ 1..=4) => Ok(number),
                    _ => Err("it must be 1 to 4"),
                })?;
            }
            Long("trigger") => {
                trigger = parser.value()?.parse_with(|text| match text {
                    "level" => Ok(Trigger::Level),
                    "edge" => Ok(Trigger::Edge),
                    "oneshot" => Ok(Trigger::Oneshot),
                    _ => Err("it must be level, edge or oneshot"),
                })?;
            }
            Long("full") => {
                full = parser.value()?.parse_with(|text| match text {
                    "wait" => Ok(FullTable::Wait),
                    "refuse" => Ok(FullTable::Refuse),
                    "evict" => Ok(FullTable::Evict),
                    "evict-half-closed" => Ok(FullTable::EvictHalfClosed),
                    _ => Err("it must be wait, refuse, evict or evict-half-closed"),
                })?;
            }
            Long("with") => switches.push((parser.value()?.string()?, true)),
            Long("without") => switches.push((parser.value()?.string()?, false)),
            Long("backlog") => backlog = Some(parser.value()?.parse()?),
            Long("few-datagrams") => {
                few_datagrams = Some(parser.value()?.parse_with(|text| match text.parse() {
                    Ok(number @ 1..=7) => Ok(number),
                    _ => Err("it must be 1 to 7"),
                })?);
            }
            Long("world") => {
                let named =
                    parser
                        .value()?
                        .parse_with(|text| -> Result<fn(Trigger) -> Settings, _> {
                            match text {
                                "small" => Ok(Settings::small),
                                "timed" => Ok(Settings::timed),
                                "outbound" => Ok(Settings::outbound),
                                "stopped" => Ok(Settings::stopped),
                                "datagrams" => Ok(Settings::datagrams),
                                "beside" => Ok(Settings::beside),
                                _ => Err("there is no such world"),
                            }
                        })?;
                world = Some(named);
            }
            Long("states") => limits.states = parser.value()?.parse()?,
            Long("memory") => limits.memory = parser.value()?.parse::<usize>()? << 20,
            Long("threads") => limits.threads = parser.value()?.parse()?,
            Long("table") => table = true,
            Long("progress") => limits.progress = true,
            Long("help") => return Ok(None),
            Long(_) | Short(_) | Value(_) => return Err(argument.unexpected()),
        }
    }
    if counted && world.is_some() {
        return Err("--world has its number of connections: leave --connections out".into());
    }
    let mut settings = Settings {
        full,
        ..world.map_or_else(
            || Settings::of(connections, trigger),
            |world| world(trigger),
        )
    };
    settings.few_datagrams = few_datagrams.or(settings.few_datagrams);
    settings.backlog = backlog.unwrap_or(settings.backlog);
    for (name, on) in switches {
        if !settings.switch(&name, on) {
            return Err(format!("there is no {name:?} in the world; see --help").into());
        }
    }
    Ok(Some(Asked {
        settings,
        limits,
        table,
    }))
}

fn run(asked: &Asked) -> ExitCode {
    println!("{:?}", asked.settings);
    let began = Instant::now();
    let report = explore(asked.settings, asked.limits);
    if asked.table {
        report.seen.rows().iter().for_each(|row| println!("{row}"));
    }
    report
        .broken
        .iter()
        .flatten()
        .for_each(|line| println!("{line}"));
    let undocumented = report.seen.undocumented();
    let missing = report.seen.missing(&asked.settings);
    println!("rows of the table: {}", report.seen.rows().len());
    undocumented
        .iter()
        .for_each(|row| println!("not documented: {row}"));
    missing.iter().for_each(|row| println!("not seen: {row}"));
    println!("states: {}", report.states);
    println!("transitions: {}", report.transitions);
    println!("depth: {}", report.depth);
    println!("memory: {} MiB", report.memory >> 20);
    println!("seconds: {:.1}", began.elapsed().as_secs_f64());
    if let Some((waits, steps)) = report.patience {
        println!("at rest, if all behave, after: {waits} deadlines, {steps} steps");
    }
    println!("closed: {}", if report.closed { "yes" } else { "no" });
    if report.broken.is_some() || !undocumented.is_empty() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
