//! The test of the tests: thirty wrong cores, and which layers of tests find each out.
//!
//! `cargo run --release -p tests --bin wrong-cores [-- --only NAME]… [--layers unit,fuzz,…] [--enough]`. Each wrong core is
//! built in a copy of the sources under `target/wrong-cores` and put before each layer of tests; a test that fails or does not end
//! catches it. One that does not compile is caught by none, and the others are tried all the same. With `--enough` a core is
//! put before no more layers once two have caught it. The last line is `caught: N of 30`: by at least two layers each.

mod cores;

use core::time::Duration;
use cores::{CORES, Wrong};
use lexopt::{Arg, Parser, ValueExt};
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;
use std::{fs, thread};
use tests::copied;

/// Kinds of tests, from the smallest to the largest: rules one by one, the fuzz target's inputs, sessions in simulation,
/// every order of events of a small world, what was recorded replayed, the real kernel.
const LAYERS: [&str; 6] = ["unit", "fuzz", "sim", "explore", "replay", "kernel"];

/// The tests with the real kernel that are about what the core decides.
const KERNEL: [&str; 11] = [
    "deadlines",
    "descriptors",
    "drain",
    "fin",
    "full",
    "half_close",
    "linger",
    "order",
    "reset",
    "session",
    "stale",
];

/// A layer that takes longer than this hangs: the longest takes a minute with the right core.
const PATIENCE: Duration = Duration::from_secs(400);

/// The verdict of a layer on a core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Passed,
    Failed,
    Hung,
    /// It does not compile: the list is out of date.
    Broken,
}

/// What is tried.
struct Options {
    /// The names of the cores; all of them if it is empty.
    only: Vec<String>,
    layers: Vec<&'static str>,
    /// Two layers that catch a core are enough.
    enough: bool,
}

fn main() -> ExitCode {
    let options = match arguments() {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("wrong-cores: {wrong}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("wrong-cores: {error}");
            ExitCode::from(1)
        }
    }
}

fn arguments() -> Result<Options, String> {
    let mut options = Options {
        only: Vec::new(),
        layers: LAYERS.to_vec(),
        enough: false,
    };
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let option = match argument {
            Arg::Long("enough") => {
                options.enough = true;
                continue;
            }
            Arg::Long(option @ ("only" | "layers")) => option,
            Arg::Long(_) | Arg::Short(_) | Arg::Value(_) => {
                return Err(argument.unexpected().to_string());
            }
        };
        let is_only = option == "only";
        let value = parser.value().and_then(|value| value.string());
        let value = value.map_err(|error| error.to_string())?;
        if is_only {
            if !CORES.iter().any(|core| core.name == value) {
                let names: Vec<_> = CORES.iter().map(|core| core.name).collect();
                return Err(format!(
                    "no such core: {value}; there are: {}",
                    names.join(", ")
                ));
            }
            options.only.push(value);
        } else {
            options.layers = (value.split(','))
                .map(|name| {
                    let known = LAYERS.into_iter().find(|layer| *layer == name);
                    let all = LAYERS.join(", ");
                    known.ok_or_else(|| format!("no such layer: {name}; there are: {all}"))
                })
                .collect::<Result<_, _>>()?;
        }
    }
    Ok(options)
}

/// Puts each core before each layer; whether all of them were caught.
fn run(options: &Options) -> Result<bool, String> {
    let Options {
        only,
        layers,
        enough,
    } = options;
    let place = copied::root().join("target/wrong-cores");
    let copy = place.join("sources");
    let cores: Vec<&Wrong> = (CORES.iter())
        .filter(|core| only.is_empty() || only.iter().any(|name| name == core.name))
        .collect();
    copied::sources(&copy).map_err(|error| format!("copying the sources: {error}"))?;
    for layer in layers {
        let right = judge(&copy, &place, layer)?;
        if right != Verdict::Passed {
            return Err(format!("{layer}: the right core does not pass: {right:?}"));
        }
    }
    let names: String = layers.iter().map(|name| format!("{name:<10}")).collect();
    println!("{:<34}{names}", "wrong core");
    let mut caught = 0;
    for core in &cores {
        let undo = apply(&copy, core)?;
        let most = if *enough { 2 } else { layers.len() };
        let verdicts = judged(&copy, &place, layers, most);
        for (path, text) in undo.into_iter().rev() {
            write(&path, &text)?;
        }
        let verdicts = verdicts?;
        let cells: String = verdicts.iter().map(|verdict| cell(*verdict)).collect();
        println!("{:<34}{cells}", core.name);
        caught += usize::from(caught_by(&verdicts) >= 2);
    }
    println!("caught: {caught} of {}", cores.len());
    Ok(caught == cores.len())
}

/// The verdicts of the layers, in order, until so many have caught it.
fn judged(copy: &Path, place: &Path, layers: &[&str], most: usize) -> Result<Vec<Verdict>, String> {
    let mut verdicts = Vec::new();
    for layer in layers {
        if caught_by(&verdicts) >= most {
            break;
        }
        verdicts.push(judge(copy, place, layer)?);
    }
    Ok(verdicts)
}

fn caught_by(verdicts: &[Verdict]) -> usize {
    let catches = |verdict: &&Verdict| matches!(verdict, Verdict::Failed | Verdict::Hung);
    verdicts.iter().filter(catches).count()
}

fn cell(verdict: Verdict) -> String {
    let text = match verdict {
        Verdict::Passed => "-",
        Verdict::Failed => "caught",
        Verdict::Hung => "hung",
        Verdict::Broken => "broken",
    };
    format!("{text:<10}")
}

/// Makes the right core wrong; returns the former text of the changed files.
fn apply(copy: &Path, core: &Wrong) -> Result<Vec<(PathBuf, String)>, String> {
    let mut undo = Vec::new();
    for (file, right, wrong) in core.changes {
        let path = copy.join("core/src").join(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
        if text.matches(right).count() != 1 {
            return Err(format!(
                "{}: this does not occur once in {file}, so the core has changed; mend the list: {right}",
                core.name
            ));
        }
        write(&path, &text.replacen(right, wrong, 1))?;
        undo.push((path, text));
    }
    Ok(undo)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Builds and runs one layer.
fn judge(copy: &Path, place: &Path, layer: &str) -> Result<Verdict, String> {
    let mut build = cargo(copy, place, layer);
    let built = build.arg("--no-run").output();
    let built = built.map_err(|error| format!("cargo: {error}"))?;
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr);
        eprintln!("{layer}: it does not compile:\n{said}");
        return Ok(Verdict::Broken);
    }
    let mut tests = cargo(copy, place, layer);
    // A group of its own, so that what hangs can be killed with all that it started.
    let tests = tests.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = (tests.process_group(0).spawn()).map_err(|error| format!("cargo: {error}"))?;
    let end = Instant::now() + PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(Verdict::Passed),
            Ok(Some(_)) => return Ok(Verdict::Failed),
            Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(50)),
            Ok(None) => {
                kill(&mut child);
                return Ok(Verdict::Hung);
            }
            Err(error) => return Err(format!("waiting for the tests: {error}")),
        }
    }
}

fn kill(child: &mut Child) {
    let group = Pid::from_child(child);
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
}

/// The command that tests a layer, without its last arguments.
fn cargo(copy: &Path, place: &Path, layer: &str) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--quiet"]).current_dir(copy);
    cargo.env("CARGO_TARGET_DIR", place.join("target"));
    match layer {
        "unit" => cargo.args(["-p", "tidegate-core", "--lib"]),
        "sim" => cargo.args(["-p", "tidegate-sim", "--lib"]),
        "fuzz" => cargo.args(["-p", "tests", "--test", "fuzz_replay"]),
        "kernel" => {
            cargo.args(["-p", "tests"]);
            for name in KERNEL {
                cargo.args(["--test", name]);
            }
            &mut cargo
        }
        "replay" => cargo.args(["-p", "tests", "--test", "traces", "--test", "replay_worlds"]),
        other => cargo.args(["-p", "tests", "--test", other]),
    };
    cargo
}
