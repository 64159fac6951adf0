//! The deepest path through a static x86-64 program, read off its machine code: `cargo run -p tests --bin stack -- FILE`.
//!
//! `FILE` is the output of `objdump -d --no-show-raw-insn` of a program with symbols. A frame is what a function pushes
//! and subtracts anywhere in its body, so it is never taken for smaller than it is. A cycle of calls is an error: with
//! recursion there is no bound. Calls through a pointer cannot be followed; they are counted, and each is named.
//!
//! The last line is `deepest: N bytes`, the red zone below the last frame included.

extern crate alloc;

use alloc::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::{env, fs};

/// What a leaf may use below its stack pointer (System V ABI, AMD64 supplement, 3.2.2).
const RED_ZONE: u64 = 128;

#[derive(Debug, Default)]
struct Function {
    /// Bytes of its frame, the return address included.
    frame: u64,
    /// What it calls, or jumps to at its end.
    calls: BTreeSet<String>,
    /// Calls through a pointer.
    indirect: u32,
}

fn main() -> ExitCode {
    let Some(file) = env::args().nth(1) else {
        eprintln!("stack: which file? Give the output of objdump -d --no-show-raw-insn");
        return ExitCode::from(2);
    };
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("stack: {file}: {error}");
            return ExitCode::from(1);
        }
    };
    let functions = functions(&text);
    let mut depths = BTreeMap::new();
    for name in functions.keys() {
        if let Err(cycle) = depth(name, &functions, &mut depths, &mut Vec::new()) {
            eprintln!("stack: recursion: {}", cycle.join(" -> "));
            return ExitCode::from(1);
        }
    }
    let Some(deepest) = depths.iter().max_by_key(|(_, depth)| **depth) else {
        eprintln!("stack: {file}: no function found; is it the output of objdump -d?");
        return ExitCode::from(1);
    };
    report(&functions, &depths, deepest.0);
    println!("deepest: {} bytes", deepest.1 + RED_ZONE);
    ExitCode::SUCCESS
}

/// Every function of a listing.
fn functions(listing: &str) -> BTreeMap<String, Function> {
    let mut functions = BTreeMap::<String, Function>::new();
    let mut name = String::new();
    for line in listing.lines() {
        if let Some(found) = line
            .strip_suffix(">:")
            .and_then(|head| head.split_once(" <"))
        {
            name = found.1.to_owned();
            let function = functions.entry(name.clone()).or_default();
            function.frame = 8;
        } else if let Some((_, instruction)) = line.split_once(":\t")
            && let Some(function) = functions.get_mut(&name)
        {
            take(function, &name, instruction.trim());
        }
    }
    functions
}

/// What one instruction means for the stack.
fn take(function: &mut Function, name: &str, instruction: &str) {
    let (operation, operands) = instruction.split_once(' ').unwrap_or((instruction, ""));
    let operands = operands.trim();
    match operation {
        "push" => function.frame += 8,
        "sub" => {
            let size = operands
                .strip_suffix(",%rsp")
                .and_then(|size| size.strip_prefix("$0x"));
            if let Some(size) = size.and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
                function.frame += size;
            }
        }
        "call" if operands.starts_with('*') => function.indirect += 1,
        _ if operation == "call" || operation.starts_with('j') => {
            let target = operands.split_once('<').map_or("", |(_, rest)| rest);
            let target = target.trim_end_matches('>');
            // Within a function a target has an offset, unless it is its very beginning: a loop.
            if !target.is_empty()
                && !target.contains("+0x")
                && (operation == "call" || target != name)
            {
                function.calls.insert(target.to_owned());
            }
        }
        _ => {}
    }
}

/// Bytes below the caller of `name`; or the cycle that it is part of.
fn depth(
    name: &str,
    functions: &BTreeMap<String, Function>,
    depths: &mut BTreeMap<String, u64>,
    path: &mut Vec<String>,
) -> Result<u64, Vec<String>> {
    if let Some(known) = depths.get(name) {
        return Ok(*known);
    }
    if let Some(start) = path.iter().position(|caller| caller == name) {
        let mut cycle = path.split_off(start);
        cycle.push(name.to_owned());
        return Err(cycle);
    }
    let Some(function) = functions.get(name) else {
        return Ok(0);
    };
    path.push(name.to_owned());
    let mut below = 0;
    for callee in &function.calls {
        below = below.max(depth(callee, functions, depths, path)?);
    }
    path.pop();
    depths.insert(name.to_owned(), function.frame + below);
    Ok(function.frame + below)
}

/// The deepest path, and what could not be followed.
fn report(functions: &BTreeMap<String, Function>, depths: &BTreeMap<String, u64>, deepest: &str) {
    let mut name = deepest;
    println!("frame    below  function");
    while let Some(function) = functions.get(name) {
        let below = depths.get(name).map_or(0, |depth| depth - function.frame);
        println!("{:>5} {below:>8}  {name}", function.frame);
        let next = (function.calls.iter()).max_by_key(|callee| depths.get(callee.as_str()));
        match next {
            Some(callee) if below > 0 => name = callee,
            _ => break,
        }
    }
    for (name, function) in functions {
        if function.indirect > 0 {
            println!("{} through a pointer in {name}", function.indirect);
        }
    }
}
