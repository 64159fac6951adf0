//! The simulated kernel returns what the real one does: the same calls on both, in a bounded number of random sessions.
//! The program `differ` makes more. One test only: the numbers of new descriptors are compared, so no other test may
//! open any.

use std::process::Command;
use tests::bounded::Watchdog;
use tests::differ::{Differ, without_gaps};
use tests::process::runnable;
use tidegate_sim::{Kernel, Limits};

/// Calls made here.
const OPERATIONS: u64 = 20_000;

/// A kernel in which a socket holds a byte less than it should.
fn wrong(mut limits: Limits) -> Kernel {
    limits.unix_buffer /= 2;
    Kernel::new(limits)
}

#[test]
fn the_simulated_kernel_returns_what_the_real_one_does() {
    let _bound = Watchdog::new();
    let _plugs = without_gaps().expect("descriptors");
    let differ = Differ::new(Kernel::new).expect("sockets");
    let mut told = String::new();
    let (made, divergences) = differ
        .run(1, OPERATIONS, 1, |divergence| told = divergence.to_string())
        .expect("sockets");
    assert_eq!((made, divergences), (OPERATIONS, 0), "{told}");
    let histories = differ.histories(1, |divergence| told = divergence.to_string());
    let histories = histories.expect("sockets");
    assert_eq!(told, "");
    if let Some(errno) = differ.refused() {
        eprintln!("not tested here: io_uring is refused ({errno})");
    } else {
        assert_eq!(histories, 80);
    }

    // And if it did not, that would be found within a few calls.
    let differ = Differ::new(wrong).expect("sockets");
    let (_, divergences) = differ
        .run(1, OPERATIONS, 1, |divergence| told = divergence.to_string())
        .expect("sockets");
    assert_eq!(divergences, 1);
    assert!(told.lines().count() < 12, "{told}");

    options_are_read();
}

fn options_are_read() {
    let run = |arguments: &[&str]| {
        let output = Command::new(runnable(env!("CARGO_BIN_EXE_differ")))
            .args(arguments)
            .output()
            .expect("the program runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let said = text(output.stdout);
        let last = said.lines().last().unwrap_or("").to_owned();
        (output.status.code(), last, text(output.stderr))
    };
    let (code, last, errors) = run(&["--operations", "600", "--seed", "7"]);
    assert_eq!(
        (code, last.as_str(), errors.as_str()),
        (Some(0), "divergences: 0", "")
    );
    for wrong in [
        &["--operations", "many"][..],
        &["--seed"],
        &["--speed", "1"],
        &["x"],
    ] {
        let (code, last, errors) = run(wrong);
        assert_eq!((code, last.as_str()), (Some(2), ""), "{wrong:?}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.starts_with("differ: "), "{errors}");
    }
}
