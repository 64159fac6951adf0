//! Whatever a system call returns, no other connection is affected, nothing spins, and service resumes when the fault
//! ends.
//!
//! One scenario for each error of a call's man page (section ERRORS) and each short count, once, later, several times
//! or for as long as the fault lasts. The clock is read without a system call (`vdso(7)`): it cannot be made to fail.

extern crate alloc;

mod rows;
mod scene;
mod start;

use rows::{Row, rows};
use scene::scene;
use tests::bounded::Watchdog;

/// Runs every scenario of these calls.
fn of(calls: &[&str]) {
    let rows = rows();
    let mut count = 0;
    for row in rows.iter().filter(|row| calls.contains(&row.call)) {
        for does in row.does {
            let _bound = Watchdog::new();
            println!("{}", row.name(does));
            scene(row, does);
            count += 1;
        }
    }
    println!("{count} scenarios");
    assert!(count > 0, "no scenario for {calls:?}");
}

#[test]
#[ignore = "needs strace"]
fn accepting() {
    of(&["accept4"]);
}

#[test]
#[ignore = "needs strace"]
fn receiving() {
    of(&["recvfrom"]);
}

#[test]
#[ignore = "needs strace"]
fn sending() {
    of(&["sendto"]);
}

#[test]
#[ignore = "needs strace"]
fn registering() {
    of(&["epoll_ctl"]);
}

#[test]
#[ignore = "needs strace"]
fn waiting() {
    of(&[rows::WAIT, rows::POLL, rows::SELECT, "read"]);
}

#[test]
#[ignore = "needs strace"]
fn waiting_by_io_uring() {
    of(&[rows::ENTER]);
}

#[test]
#[ignore = "needs strace"]
fn ending() {
    of(&["close", "shutdown", "setsockopt", "ioctl"]);
}

#[test]
#[ignore = "needs strace"]
fn starting() {
    start::all();
}

#[test]
#[ignore = "needs strace"]
fn printing() {
    of(&["write"]);
}

/// Every row belongs to one of the tests above.
#[test]
fn no_row_is_forgotten() {
    let tested = [
        "accept4",
        "recvfrom",
        "sendto",
        "epoll_ctl",
        rows::WAIT,
        rows::POLL,
        rows::SELECT,
        rows::ENTER,
        "read",
        "close",
        "shutdown",
        "setsockopt",
        "ioctl",
        "write",
    ];
    let rows = rows();
    let forgotten: Vec<&Row> = rows.iter().filter(|r| !tested.contains(&r.call)).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}
