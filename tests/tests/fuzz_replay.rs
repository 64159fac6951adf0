//! The fuzz targets on stable: their corpora, and inputs of a generator whose seed is printed when one fails.

use core::panic::AssertUnwindSafe;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

/// Inputs made here for a target. `FUZZ_INPUTS` and `FUZZ_SEED` in the environment replace the number and the first seed.
const INPUTS: u64 = 4000;

/// The body of a fuzz target.
type Target = fn(&[u8]);

#[test]
fn no_sequence_of_calls_breaks_a_law() {
    replay("dispatch", tests::dispatch, INPUTS);
}

#[test]
fn no_word_is_taken_for_a_token_that_it_is_not() {
    replay("token", tests::token, INPUTS);
}

#[test]
fn no_byte_escapes_escaping() {
    replay("escape", tests::escape, INPUTS);
}

#[test]
fn no_cut_changes_a_message() {
    replay("framing", tests::framing, INPUTS);
}

#[test]
fn no_request_has_two_readings() {
    replay("request", tests::request, INPUTS);
}

/// Whole worlds: fewer of them.
#[test]
fn no_world_breaks_a_law_or_has_no_end() {
    replay("sim", tests::sim, INPUTS / 10);
}

/// Those whose handler connects, to destinations that respond and to others: rare among the others.
#[test]
fn no_world_that_connects_breaks_a_law_or_has_no_end() {
    let target = |data: &[u8]| {
        let mut data = data.to_vec();
        if let Some(manner) = data.first_mut() {
            *manner |= 240;
        }
        tests::sim(&data);
    };
    generate(target, INPUTS / 4);
}

fn replay(name: &str, target: Target, inputs: u64) {
    corpus(name, target);
    generate(target, inputs);
}

/// Plays what fuzzing has found worth keeping.
fn corpus(name: &str, target: Target) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(name);
    let files =
        fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut count = 0;
    for file in files {
        let path = file.expect("an entry of the corpus").path();
        let bytes = fs::read(&path).expect("a file of the corpus");
        play(target, &bytes, &path.display().to_string());
        count += 1;
    }
    assert!(count > 0, "the corpus is empty: {}", corpus.display());
}

fn generate(target: Target, inputs: u64) {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse().ok())
    };
    let first: u64 = number("FUZZ_SEED").unwrap_or(1);
    for seed in first..first + number("FUZZ_INPUTS").unwrap_or(inputs) {
        play(
            target,
            &generated(seed),
            &format!("FUZZ_SEED={seed} FUZZ_INPUTS=1"),
        );
    }
}

/// Up to 500 bytes. In every other input small bytes are frequent: they are the choices that lead on.
fn generated(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    let len = 9 + next() % 500;
    (0..len)
        .map(|position| {
            let [byte, choice, ..] = next().to_le_bytes();
            let small = seed.is_multiple_of(2) && position >= 9 && choice < 160;
            if small { byte % 18 } else { byte }
        })
        .collect()
}

/// Plays an input; if it breaks a law, prints which it was.
fn play(target: Target, bytes: &[u8], name: &str) {
    let played = catch_unwind(AssertUnwindSafe(|| target(bytes)));
    if let Err(law) = played {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("{name}\n{hex}");
        std::panic::resume_unwind(law);
    }
}
