//! The comparison of the simulated kernel with the real one finds out each of 22 wrong kernels: twenty where io_uring is
//! refused.

use std::process::Command;
use tests::process::runnable;

#[test]
#[ignore = "builds the sources again: a minute"]
fn each_wrong_kernel_is_caught() {
    let output = Command::new(runnable(env!("CARGO_BIN_EXE_differ")))
        .args(["--matrix", "--operations", "100000"])
        .output()
        .expect("the program runs");
    let said = String::from_utf8(output.stdout).expect("text");
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default();
    let all = ["caught: 22 of 22", "caught: 20 of 20"].contains(&last);
    assert!(output.status.success() && all, "{said}{errors}");
}
