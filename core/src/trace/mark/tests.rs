//! Each kind of mark as a line.

use super::*;
use crate::time::Instant;
use crate::trace::Bytes;
use alloc::format;
use core::net::{Ipv4Addr, SocketAddr};

const CONNECTION: Token = Token::from_bits(5 | 9 << 32);
const LISTENER_0: Token = Token::from_bits(1 << 31 | 1 << 32);

fn shown(entry: &Entry<'_>) -> alloc::string::String {
    format!("{}", Mark::of(entry))
}

#[test]
fn each_is_a_line() {
    let token = CONNECTION;
    let ready = |closing| {
        let directions = Directions::READ;
        let event = Event::Ready {
            token,
            directions,
            closing,
        };
        Entry::Event(event, Bytes::NONE)
    };
    let done = |op, outcome| Entry::done(token, op, outcome);
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
    let reset = FaultKind::Reset.with_code(104);
    let calls = |call| Entry::Call(call);
    let wait = 1_500_000;
    for (entry, line) in [
        (Entry::Time(1_000_000_002), "+1.000000002 s"),
        (ready(false), "#5 ready: R"),
        (ready(true), "#5 ready: R, closing"),
        (done(Op::Recv, Outcome::Complete(64)), "#5 recv: 64"),
        (done(Op::Recv, Outcome::Drained(0)), "#5 recv: would block"),
        (
            done(Op::Send, Outcome::Drained(7)),
            "#5 send: 7, then would block",
        ),
        (
            done(Op::Accept, Outcome::Accepted(Some(peer))),
            "#5 accept: a peer",
        ),
        (
            done(Op::Close, Outcome::Failed(reset)),
            "#5 close: connection reset by peer (errno 104)",
        ),
        (
            Entry::Listen {
                token: Some(LISTENER_0),
                per_source: Some(3),
            },
            "listener 0 added, 3 of one address",
        ),
        (
            Entry::Listen {
                token: None,
                per_source: None,
            },
            "- added",
        ),
        (Entry::Stop(Instant::ZERO), "stop"),
        (
            Entry::Visited {
                token,
                consumed: 5,
                queued: 70_000,
            },
            "#5 told: 5 bytes consumed, 65535 queued",
        ),
        (Entry::Alarm(Alarm::Connection(token)), "#5 timer told"),
        (
            Entry::Alarm(Alarm::Free {
                timer: 3,
                periods: 1,
            }),
            "timer 3 told",
        ),
        (
            calls(Call::SendTo {
                token,
                len: 9,
                hash: 0,
                taken: true,
            }),
            "#5 sent to: 9 bytes",
        ),
        (
            calls(Call::SendTo {
                token,
                len: 9,
                hash: 0,
                taken: false,
            }),
            "#5 sent to: 9 bytes, no room",
        ),
        (
            calls(Call::SendOthers { len: 9, missed: 2 }),
            "sent to others: 9 bytes, 2 missed",
        ),
        (calls(Call::Finish(token)), "#5 finish"),
        (
            calls(Call::SetTimer { token, after: wait }),
            "#5 set_timer: 1500 us",
        ),
        (
            calls(Call::SetInterval {
                timer: 4,
                period: wait,
            }),
            "timer 4 set: each 1500 us",
        ),
        (
            calls(Call::WatchFor {
                token: LISTENER_0,
                directions: Directions::NONE,
            }),
            "listener 0 watch_for: -",
        ),
    ] {
        assert_eq!(shown(&entry), line);
    }
    assert_eq!(
        format!("{}", Mark::served(5, 64, 70_000)),
        "#5 served: 64 bytes in, 65535 out"
    );
    assert_eq!(format!("{}", Mark::NONE), "nothing");
}

#[test]
fn kinds_operations_and_faults_are_numbered_in_order() {
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        assert_eq!(kind as usize, number + 1);
    }
    assert_eq!(Kind::ALL.last(), Some(&Kind::Limit), "all of them");
    for (number, kind) in FAULTS.into_iter().enumerate() {
        assert_eq!(fault_number(kind) as usize, number);
    }
    for op in [Op::Accept, Op::Recv, Op::Close] {
        let name = OPS[usize::from(op_number(op))];
        assert_eq!(format!("{op:?}").to_lowercase(), name);
    }
}
