//! Tests of the texts of values.

use crate::unavailable::Unavailable;
use crate::{Class, ConfigError, Directions, Fault, Peer, Reason, SendError};
use alloc::string::ToString;
use core::fmt::Display;
use core::net::SocketAddr;

fn says(value: impl Display, text: &str) {
    assert_eq!(value.to_string(), text);
}

#[test]
fn a_reason() {
    says(Reason::PeerFinished, "peer finished");
    says(Reason::Finished, "finished");
    says(Reason::Aborted, "aborted");
    says(Reason::TooLong, "message too long");
    says(Reason::Evicted, "evicted, the table was full");
    says(Reason::Stopping, "server stopping");
    says(
        Reason::Failed(Fault::Reset(104)),
        "connection reset by peer (errno 104)",
    );
    for (class, text) in [
        (Class::FirstByte, "no first byte in time"),
        (Class::Request, "request not complete in time"),
        (Class::WriteStall, "peer does not read"),
        (Class::Congestion, "system short of memory for too long"),
        (Class::Idle, "idle too long"),
        (Class::Linger, "peer did not finish in time"),
        (Class::Connect, "not connected in time"),
        (Class::HalfClosed, "half-closed too long"),
    ] {
        says(Reason::Deadline(class), text);
    }
}

#[test]
fn every_kind_of_reason_has_a_number_of_its_own() {
    let others = [
        Reason::PeerFinished,
        Reason::Finished,
        Reason::Aborted,
        Reason::TooLong,
        Reason::Evicted,
        Reason::Stopping,
        Reason::Failed(Fault::Reset(104)),
        Reason::Failed(Fault::TimedOut(110)),
    ];
    let classes = Class::ALL.map(Reason::Deadline);
    let kinds = others.into_iter().chain(classes).map(Reason::kind);
    assert!(kinds.eq(0..Reason::KINDS));
}

#[test]
fn a_fault() {
    type Kind = fn(u16) -> Fault;
    let texts: [(Kind, &str); 8] = [
        (Fault::Interrupted, "interrupted"),
        (Fault::Reset, "connection reset by peer"),
        (Fault::Refused, "connection refused"),
        (Fault::TimedOut, "peer does not answer"),
        (Fault::Unreachable, "network unreachable"),
        (Fault::Exhausted, "system short of resources"),
        (Fault::Invalid, "descriptor not usable"),
        (Fault::Unknown, "unforeseen error"),
    ];
    for (kind, text) in texts {
        says(kind(0), text);
        says(kind(7), &alloc::format!("{text} (errno 7)"));
    }
}

#[test]
fn a_peer() {
    says(Peer::Unix(3), "unix#3");
    says(Peer::Registered(0), "destination#0");
    says(Peer::Stream(2), "stream#2");
    let address = SocketAddr::from(([10, 0, 0, 1], 80));
    says(Peer::Inet(address), "10.0.0.1:80");
    let address = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 80));
    says(Peer::Inet(address), "[::1]:80");
}

#[test]
fn an_error() {
    says(
        SendError::Full { capacity: 9 },
        "send window full: capacity for 9 bytes now; return from the handler, which is called when there is more",
    );
    says(
        SendError::TooLong { window: 9 },
        "longer than the send window of 9 bytes; send it in parts",
    );
    says(SendError::Closed, "connection closed for sending");
    says(SendError::Empty, "no data now; return from the handler");
    says(
        Unavailable::Sources { capacity: 4 },
        "no slot for another listener, watched descriptor or datagram socket, of 4; raise the SOURCES of the memory",
    );
    says(
        ConfigError::Connections { asked: 9, slots: 4 },
        "9 connections asked for; the table was compiled for 1 to 4",
    );
    says(
        ConfigError::Zero("quantum"),
        "quantum is 0; it must be at least 1",
    );
    says(
        ConfigError::Window { bytes: 1 << 31 },
        "a window of 2147483648 bytes; at most 2147483647 can be used",
    );
    says(
        Unavailable::Connections { capacity: 4 },
        "all 4 slots for connections are taken: try later, or with a larger table",
    );
    says(
        Unavailable::Stopping,
        "the server is stopping, and connects no more",
    );
    says(
        ConfigError::PauseMax,
        "pause_max is shorter than pause_min; it must be at least as long",
    );
}

#[test]
fn a_set() {
    let mut set = Directions::BOTH;
    set &= Directions::WRITE;
    assert_eq!(set, Directions::WRITE);
    assert_eq!(alloc::format!("{set:?}"), "W");
}
