//! Builds the simulated kernel once more, in a copy of the sources in which every rule that a wrong kernel changes
//! checks which one it is; then runs it as each of them, and as none.
//!
//! Once, not once for each: a build takes a minute, and this runs in CI. So a change is an expression and not any text.

use super::Options;
use super::wrong::{ADDED, CHOICE, Change, KERNELS};
use ::tests::copied;
use alloc::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The verdict on a wrong kernel.
enum Verdict {
    Agrees,
    /// After so many operations; `None`: a history shows it.
    Diverges(Option<u64>),
}

/// Runs each; `ring`: io_uring is to be had here. Whether all of them were caught.
pub(crate) fn run(options: Options, ring: bool) -> Result<bool, String> {
    let place = copied::root().join("target/wrong-kernels");
    let program = build(&place)?;
    match judge(&program, None, options)? {
        Verdict::Agrees => {}
        Verdict::Diverges(_) => return Err("the right kernel diverges, too".into()),
    }
    let (mut caught, mut tried) = (0, 0);
    for (number, kernel) in KERNELS.iter().enumerate() {
        let name = kernel.name;
        if kernel.of_ring && !ring {
            println!("{name}: not tried, it needs io_uring");
            continue;
        }
        tried += 1;
        let told = match judge(&program, Some(number), options)? {
            Verdict::Agrees => format!("not caught in {} operations", options.operations),
            Verdict::Diverges(after) => {
                caught += 1;
                let after = after.map(|after| format!("after {after} operations"));
                format!("caught {}", after.unwrap_or_else(|| "by a history".into()))
            }
        };
        println!("{name}: {told}");
    }
    println!("caught: {caught} of {tried}");
    Ok(caught == tried)
}

/// The program as it is, over a kernel that can be any of them.
fn build(place: &Path) -> Result<PathBuf, String> {
    let sources = place.join("sources");
    let failed = |error| format!("{}: {error}", sources.display());
    copied::sources(&sources).map_err(failed)?;
    let simulator = sources.join("core/sim/src");
    for (file, text) in patched()? {
        copied::write(&simulator.join(file), text.as_bytes()).map_err(failed)?;
    }
    copied::write(&simulator.join("wrong.rs"), CHOICE.as_bytes()).map_err(failed)?;
    let target = place.join("target");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "-p", "tests"]);
    cargo.args(["--bin", "differ", "--no-default-features"]);
    cargo.args(["--features", "kernel"]);
    let built = (cargo.current_dir(&sources).env("CARGO_TARGET_DIR", &target)).output();
    let built = built.map_err(|error| format!("cargo: {error}"))?;
    if built.status.success() {
        return Ok(target.join("debug/differ"));
    }
    let said = String::from_utf8_lossy(&built.stderr);
    Err(format!("it does not compile:\n{said}"))
}

/// Each file of the simulator that is another one, by its path below `core/sim/src`.
fn patched() -> Result<BTreeMap<String, String>, String> {
    // Where an expression begins and ends, and what it is in which kernels.
    let mut places = BTreeMap::<_, Vec<_>>::new();
    let mut texts = BTreeMap::new();
    for (number, kernel) in KERNELS.iter().enumerate() {
        for change in kernel.changes {
            let file = format!("kernel/{}", change.file);
            let text = text_of(&mut texts, &file)?;
            let begin = find(text, change)
                .ok_or_else(|| format!("{}: {}", kernel.name, outdated(&file, change.around)))?;
            let place = (file, begin, begin + change.right.len());
            places.entry(place).or_default().push((number, change));
        }
    }
    // From the last, so that what is before it stays where it is.
    for ((file, begin, end), changes) in places.into_iter().rev() {
        let text = text_of(&mut texts, &file)?;
        let mut expression = String::from("(");
        for (number, change) in &changes {
            let wrong = change.wrong;
            expression += &format!("if crate::wrong::is({number}) {{ {wrong} }} else ");
        }
        let right = text.get(begin..end).unwrap_or_default();
        expression += &format!("{{ {right} }})");
        text.replace_range(begin..end, &expression);
    }
    for (file, behind, added) in ADDED {
        let text = text_of(&mut texts, file)?;
        if text.matches(behind).count() != 1 {
            return Err(outdated(file, behind));
        }
        *text = text.replacen(behind, &format!("{behind}{added}"), 1);
    }
    Ok(texts)
}

fn text_of<'a>(
    texts: &'a mut BTreeMap<String, String>,
    file: &str,
) -> Result<&'a mut String, String> {
    if !texts.contains_key(file) {
        let path = copied::root().join("core/sim/src").join(file);
        let text = fs::read_to_string(&path);
        let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
        texts.insert(file.to_owned(), text);
    }
    Ok(texts.entry(file.to_owned()).or_default())
}

/// Where the expression of a change begins.
fn find(text: &str, change: &Change) -> Option<usize> {
    let once = |text: &str, part: &str| (text.matches(part).count() == 1).then(|| text.find(part));
    let around = once(text, change.around)??;
    Some(around + once(change.around, change.right)??)
}

fn outdated(file: &str, text: &str) -> String {
    format!(
        "this does not stand once in {file}, so the simulator has changed; mend the list: {text}"
    )
}

/// Runs the program over one of them, or over the right one.
fn judge(program: &Path, number: Option<usize>, options: Options) -> Result<Verdict, String> {
    let mut differ = Command::new(program);
    if let Some(number) = number {
        differ.env("WRONG_KERNEL", number.to_string());
    }
    let Options {
        operations, seed, ..
    } = options;
    differ.args(["--divergences", "1", "--seed", &seed.to_string()]);
    differ.args(["--operations", &operations.to_string()]);
    let output = differ.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let last = |word: &str| said.lines().rev().find_map(|line| line.strip_prefix(word));
    let made = last("operations: ").and_then(|made| made.parse().ok());
    match (output.status.code(), made) {
        (Some(0), Some(_)) => Ok(Verdict::Agrees),
        (Some(1), Some(0)) => Ok(Verdict::Diverges(None)),
        (Some(1), Some(made)) => Ok(Verdict::Diverges(Some(made))),
        _ => Err(format!(
            "{}: {}",
            program.display(),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The build and the runs are a test of their own, which is ignored by default.
    #[test]
    fn each_wrong_kernel_changes_what_the_simulator_says() {
        let files = patched().unwrap();
        for (number, kernel) in KERNELS.iter().enumerate() {
            let asks = format!("crate::wrong::is({number})");
            let count = |text: &String| text.matches(&asks).count();
            let asked: usize = files.values().map(count).sum();
            assert_eq!(asked, kernel.changes.len(), "{}", kernel.name);
        }
    }
}
