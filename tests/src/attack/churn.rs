//! Connections in a row.

use crate::bounded::until;
use crate::net::{Client, descriptors, pattern, resident, tcp, writable_memory};
use crate::process::Program;
use core::fmt;
use std::time::Instant;

/// Until every page that will ever be used has been.
const WARM_UP: u64 = 1000;

/// Less would be no leak of a byte for each of a million connections, and more no chance.
const SLACK: u64 = 128 * 1024;

/// What many connections leave behind.
#[derive(Clone, Debug)]
pub struct Churn {
    /// How many.
    pub count: u64,
    /// How many a second.
    pub rate: f64,
    /// Resident bytes before them.
    pub before: u64,
    /// And after.
    pub after: u64,
    /// Bytes of private memory that the process has mapped, before and after.
    pub asked: [u64; 2],
    /// Descriptors, before and after.
    pub descriptors: [usize; 2],
    /// Counted by the program: accepted, and ended by their peers; stale and unasked events, repairs, rebuilds.
    pub counted: [u64; 6],
}

impl Churn {
    /// Connects, echoes and closes `count` times, one after the other.
    ///
    /// # Panics
    ///
    /// If one is not served.
    #[must_use]
    pub fn play(count: u64) -> Self {
        let mut program = Program::start(&["--service", "echo"]);
        let (pid, address) = (program.pid(), program.address());
        let serve = |from: u64, to: u64| {
            for n in from..to {
                tcp(address).echo(&pattern(n, 100));
            }
        };
        let at_first = descriptors(pid).len();
        serve(0, WARM_UP);
        program.statistics_when("closed_peer_finished", WARM_UP);
        let (before, asked) = (resident(pid), writable_memory(pid));
        let began = Instant::now();
        serve(WARM_UP, WARM_UP + count);
        let seconds = began.elapsed().as_secs_f64();
        let statistics = program.statistics_when("closed_peer_finished", WARM_UP + count);
        until("every descriptor is closed", || {
            descriptors(pid).len() == at_first
        });
        let names = [
            "accepted",
            "closed_peer_finished",
            "stale",
            "unasked",
            "repairs",
            "rebuilds",
        ];
        #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
        let rate = count as f64 / seconds;
        Self {
            count,
            rate,
            before,
            after: resident(pid),
            asked: [asked, writable_memory(pid)],
            descriptors: [at_first, descriptors(pid).len()],
            counted: names.map(|name| statistics[name]),
        }
    }

    /// What is wrong, if anything is.
    ///
    /// # Errors
    ///
    /// Returns what is wrong.
    pub fn judge(&self) -> Result<(), String> {
        let all = self.count + WARM_UP;
        let wrong = [
            (self.after > self.before + SLACK, "the memory grows"),
            (self.asked[0] != self.asked[1], "it asked for memory"),
            (
                self.descriptors[0] != self.descriptors[1],
                "descriptors are left",
            ),
            (self.counted != [all, all, 0, 0, 0, 0], "miscounted"),
        ];
        match wrong.iter().find(|(is, _)| *is) {
            Some((_, what)) => Err(format!("{what}: {self:?}")),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Churn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kib = |bytes: u64| bytes / 1024;
        write!(
            f,
            "churn: {} connections, {:.0} a second; resident {} KiB before, {} KiB after; asked for {} KiB before, {} \
             KiB after; {} descriptors before, {} after",
            self.count,
            self.rate,
            kib(self.before),
            kib(self.after),
            kib(self.asked[0]),
            kib(self.asked[1]),
            self.descriptors[0],
            self.descriptors[1],
        )
    }
}
