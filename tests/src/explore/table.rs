//! [`Seen`]: which state follows which when what happens.

use alloc::collections::BTreeSet;
use tidegate_core::Trigger;
use tidegate_core::inspect::STATES;

/// The documented table.
const DOCUMENTED: &str = include_str!("states.md");

/// What can happen to a source, as the rows name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum What {
    Served,
    Report,
    Accepted,
    AcceptedNot,
    AcceptInvalid,
    Bytes,
    End,
    WouldBlock,
    Interrupted,
    Shortage,
    Fault,
    Impossible,
    Sent,
    SentNot,
    ArmFailed,
    Shut,
    ShutFailed,
    Unsent,
    UnsentFailed,
    Closed,
    FirstByte,
    Request,
    WriteStall,
    Congestion,
    Idle,
    HalfClosed,
    Linger,
    Consume,
    Commit,
    WantCapacity,
    Finish,
    Abort,
    Pause,
    Resume,
}

impl What {
    const ALL: [(Self, &'static str); 34] = [
        (Self::Served, "service"),
        (Self::Report, "report"),
        (Self::Accepted, "accept: a connection"),
        (Self::AcceptedNot, "accept: none"),
        (Self::AcceptInvalid, "accept: invalid"),
        (Self::Bytes, "receive: bytes"),
        (Self::End, "receive: the end"),
        (Self::WouldBlock, "receive: would block"),
        (Self::Interrupted, "transfer: interrupted"),
        (Self::Shortage, "transfer: shortage"),
        (Self::Fault, "transfer: fault"),
        (Self::Impossible, "transfer: impossible"),
        (Self::Sent, "send: bytes"),
        (Self::SentNot, "send: would block"),
        (Self::ArmFailed, "arm: fault"),
        (Self::Shut, "shutdown: done"),
        (Self::ShutFailed, "shutdown: fault"),
        (Self::Unsent, "unsent: a number"),
        (Self::UnsentFailed, "unsent: fault"),
        (Self::Closed, "close: done, or a fault"),
        (Self::FirstByte, "deadline: first byte"),
        (Self::Request, "deadline: request"),
        (Self::WriteStall, "deadline: write stall"),
        (Self::Congestion, "deadline: congestion"),
        (Self::Idle, "deadline: idle"),
        (Self::HalfClosed, "deadline: half-closed"),
        (Self::Linger, "deadline: linger"),
        (Self::Consume, "consume"),
        (Self::Commit, "commit"),
        (Self::WantCapacity, "want_capacity"),
        (Self::Finish, "finish"),
        (Self::Abort, "abort"),
        (Self::Pause, "pause"),
        (Self::Resume, "resume"),
    ];
}

/// The rows that were seen: a bit for each state that follows, by state and by what happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen([[u16; 34]; STATES.len()]);

impl Default for Seen {
    fn default() -> Self {
        Self([[0; 34]; STATES.len()])
    }
}

impl Seen {
    /// A row.
    pub(super) fn saw(&mut self, before: usize, what: What, after: usize) {
        self.0[before][what as usize] |= 1 << after;
    }

    /// The rows of both.
    pub fn add(&mut self, other: &Self) {
        for (rows, others) in self.0.iter_mut().flatten().zip(other.0.iter().flatten()) {
            *rows |= others;
        }
    }

    /// The rows as the documented table writes them.
    #[must_use]
    pub fn rows(&self) -> BTreeSet<String> {
        let mut rows = BTreeSet::new();
        for (before, by) in self.0.iter().enumerate() {
            for (what, name) in What::ALL {
                for (after, state) in STATES.iter().enumerate() {
                    if by[what as usize] >> after & 1 != 0 {
                        rows.insert(format!("| {} | {name} | {state} |", STATES[before]));
                    }
                }
            }
        }
        rows
    }

    /// The rows that are not documented.
    #[must_use]
    pub fn undocumented(&self) -> Vec<String> {
        let known = documented().concat();
        let known = known.into_iter().collect();
        self.rows().difference(&known).cloned().collect()
    }

    /// The documented rows that were not seen: of the first table if there is one connection, else of the second; of the
    /// third unless events come by edge.
    #[must_use]
    pub fn missing(&self, connections: u32, trigger: Trigger) -> Vec<String> {
        let [alone, several, changed, _] = documented();
        let mut due = if connections == 1 { alone } else { several };
        if connections == 1 && trigger != Trigger::Edge {
            due.extend(changed);
        }
        let seen = self.rows();
        due.retain(|row| !seen.contains(row));
        due
    }
}

/// The rows of the documented tables: what one connection sees under each trigger, what takes several, what edge leaves
/// out, and what takes a larger world.
fn documented() -> [Vec<String>; 4] {
    let rows = |text: &str| {
        let begins = |line: &str| {
            STATES
                .iter()
                .any(|state| line.starts_with(&format!("| {state} ")))
        };
        (text.lines().filter(|line| begins(line)))
            .map(str::to_owned)
            .collect()
    };
    let mut tables = DOCUMENTED.split("\n## ").map(rows);
    core::array::from_fn(|_| tables.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_named_in_order() {
        for (at, (what, _)) in What::ALL.into_iter().enumerate() {
            assert_eq!(what as usize, at);
        }
    }
}
