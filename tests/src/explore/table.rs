//! [`Seen`]: which state follows which when what happens.

use super::Settings;
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
    Connect,
    Connected,
    ConnectGoesOn,
    ConnectFailed,
    ConnectDeadline,
    DatagramCame,
    DatagramSent,
    AddDatagrams,
    QueueDatagram,
    WantDatagramCapacity,
    CloseDatagrams,
    Stop,
    StopDeadline,
}

impl What {
    const ALL: [(Self, &'static str); 47] = [
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
        (Self::Connect, "connect"),
        (Self::Connected, "connect: done"),
        (Self::ConnectGoesOn, "connect: in progress"),
        (Self::ConnectFailed, "connect: fault"),
        (Self::ConnectDeadline, "deadline: connect"),
        (Self::DatagramCame, "receive: a datagram"),
        (Self::DatagramSent, "send: a datagram"),
        (Self::AddDatagrams, "add_datagrams"),
        (Self::QueueDatagram, "queue_datagram"),
        (Self::WantDatagramCapacity, "want_datagram_capacity"),
        (Self::CloseDatagrams, "close_datagrams"),
        (Self::Stop, "stop"),
        (Self::StopDeadline, "deadline: stop"),
    ];
}

/// The rows that were seen: a bit for each state that follows, by state and by what happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen([[u16; 47]; STATES.len()]);

impl Default for Seen {
    fn default() -> Self {
        Self([[0; 47]; STATES.len()])
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

    /// The documented rows that were not seen and should have been in a world like that.
    #[must_use]
    pub fn missing(&self, settings: &Settings) -> Vec<String> {
        let [alone, several, not_edge, _, outbound, datagrams, stop] = documented();
        let mut due = match settings.connections {
            _ if settings.datagrams => datagrams,
            _ if settings.outbound => outbound,
            _ if settings.stop => stop,
            1 => alone,
            _ => several,
        };
        let other = settings.outbound || settings.datagrams || settings.stop;
        let small = settings.connections == 1 && !other;
        if small && settings.trigger != Trigger::Edge {
            due.extend(not_edge);
        }
        let seen = self.rows();
        due.retain(|row| !seen.contains(row));
        due
    }
}

/// The rows of the documented tables: what one connection sees under each trigger, what takes several, what edge leaves
/// out, what takes a larger world, what takes connections that the application asks for, what a datagram socket, and what a stop.
fn documented() -> [Vec<String>; 7] {
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
