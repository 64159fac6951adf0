//! Error numbers to what the core has to know: one total function for each kind of call.
//!
//! Each number that Linux documents for a call is named; every other one is `Unknown`, and what that means is the core's
//! decision.

use rustix::io::Errno;
use tidegate_core::{Fault, FaultKind, Outcome};

/// `accept4`: `accept(2)`, section "Error handling": errors of the new connection's network come through here, and must
/// not end the listener.
#[must_use]
pub fn accept(errno: Errno) -> Outcome {
    failed(errno, |errno| match errno {
        Errno::CONNABORTED | Errno::PERM => FaultKind::Reset,
        Errno::TIMEDOUT => FaultKind::TimedOut,
        Errno::PROTO
        | Errno::NETDOWN
        | Errno::NOPROTOOPT
        | Errno::HOSTDOWN
        | Errno::NONET
        | Errno::HOSTUNREACH
        | Errno::OPNOTSUPP
        | Errno::NETUNREACH
        | Errno::NOSR
        | Errno::SOCKTNOSUPPORT
        | Errno::PROTONOSUPPORT => FaultKind::Unreachable,
        other => common(other),
    })
}

/// `recv`, `send`, `shutdown`, and the ioctl that measures: `recv(2)`, `send(2)`, `tcp(7)`, `unix(7)`.
#[must_use]
pub fn transfer(errno: Errno) -> Outcome {
    failed(errno, |errno| match errno {
        Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED | Errno::NOTCONN => FaultKind::Reset,
        Errno::TIMEDOUT => FaultKind::TimedOut,
        Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN | Errno::HOSTDOWN => {
            FaultKind::Unreachable
        }
        other => common(other),
    })
}

/// `read` and `write` of a non-socket stream, and its ioctls: `read(2)`, `write(2)`, `pipe(7)`. A device that is gone
/// is treated as a peer that is gone.
#[must_use]
pub fn stream(errno: Errno) -> Outcome {
    failed(errno, |errno| match errno {
        Errno::PIPE | Errno::IO | Errno::NXIO | Errno::NODEV => FaultKind::Reset,
        other => common(other),
    })
}

/// `open` of a serial line, and setting it: `open(2)`, `termios(3)`. A line that another process holds exclusively
/// (`EBUSY`), that does not exist, or that is not ours yet (`EACCES`, before udev has set its mode) is a refusal; not a
/// serial line (`ENOTTY`), an invalid setting (`EINVAL`) or an unsupported speed (`ERANGE`) is a mistake.
#[must_use]
pub fn open(errno: Errno) -> Outcome {
    failed(errno, |errno| match errno {
        Errno::NOENT
        | Errno::NOTDIR
        | Errno::NXIO
        | Errno::NODEV
        | Errno::IO
        | Errno::BUSY
        | Errno::ACCESS
        | Errno::PERM => FaultKind::Refused,
        Errno::NOTTY | Errno::ISDIR | Errno::RANGE => FaultKind::Invalid,
        other => common(other),
    })
}

/// `connect`, and the error that a socket keeps of it: `connect(2)`, `unix(7)`, `tcp(7)`, `ip(7)`. Interrupted, it goes
/// on in the background. `EAGAIN` does not mean would-block here: the queue of a Unix listener is full, or no port is
/// free.
#[must_use]
pub fn connect(errno: Errno) -> Outcome {
    match errno {
        Errno::INPROGRESS | Errno::ALREADY | Errno::INTR => return Outcome::Drained(0),
        Errno::AGAIN => {
            let code = u16::try_from(errno.raw_os_error()).unwrap_or(0);
            return Outcome::Failed(FaultKind::Shortage.with_code(code));
        }
        _ => {}
    }
    failed(errno, |errno| match errno {
        Errno::CONNREFUSED | Errno::NOENT => FaultKind::Refused,
        Errno::ADDRNOTAVAIL => FaultKind::Shortage,
        Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED => FaultKind::Reset,
        Errno::TIMEDOUT => FaultKind::TimedOut,
        Errno::HOSTUNREACH
        | Errno::NETUNREACH
        | Errno::NETDOWN
        | Errno::HOSTDOWN
        | Errno::ACCESS
        | Errno::PERM => FaultKind::Unreachable,
        other => common(other),
    })
}

/// `recvfrom` on a datagram socket: `recv(2)`, `udp(7)`, `ip(7)`, `unix(7)`. An ICMP error for an earlier datagram
/// comes this way, too, if the socket is connected.
#[must_use]
pub fn datagram(errno: Errno) -> Outcome {
    failed(errno, |errno| match errno {
        Errno::CONNREFUSED | Errno::NOENT => FaultKind::Refused,
        Errno::CONNRESET | Errno::PIPE | Errno::NOTCONN | Errno::DESTADDRREQ => FaultKind::Reset,
        Errno::TIMEDOUT => FaultKind::TimedOut,
        Errno::HOSTUNREACH
        | Errno::NETUNREACH
        | Errno::NETDOWN
        | Errno::HOSTDOWN
        | Errno::PROTO
        | Errno::OPNOTSUPP
        | Errno::NOPROTOOPT
        | Errno::NONET
        | Errno::ADDRNOTAVAIL
        | Errno::AFNOSUPPORT
        | Errno::PROTOTYPE
        | Errno::ISCONN
        | Errno::MSGSIZE
        | Errno::ACCESS
        | Errno::PERM
        // Of an address that cannot be: the socket may be as good as before.
        | Errno::INVAL => FaultKind::Unreachable,
        other => common(other),
    })
}

/// `sendto` on a datagram socket: `send(2)`, `udp(7)`, `ip(7)`, `unix(7)`. A full queue of a Unix receiver is `EAGAIN`,
/// and there is no event when it has capacity again: resource exhaustion, then.
#[must_use]
pub fn send_datagram(errno: Errno, unix: bool) -> Outcome {
    if unix && (errno == Errno::AGAIN || errno == Errno::WOULDBLOCK) {
        let code = u16::try_from(errno.raw_os_error()).unwrap_or(0);
        return Outcome::Failed(FaultKind::Shortage.with_code(code));
    }
    datagram(errno)
}

/// `epoll_ctl`: `epoll_ctl(2)`. `EPERM` is a descriptor that cannot be polled.
#[must_use]
pub fn arm(errno: Errno) -> Outcome {
    failed(errno, |errno| match errno {
        Errno::PERM | Errno::LOOP => FaultKind::Invalid,
        other => common(other),
    })
}

/// What failed, if it did.
pub(crate) const fn fault_of(outcome: Outcome) -> Option<Fault> {
    match outcome {
        Outcome::Failed(fault) => Some(fault),
        Outcome::Complete(_)
        | Outcome::Drained(_)
        | Outcome::Accepted(_)
        | Outcome::Datagram { .. } => None,
    }
}

/// Would-block is not a failure.
fn failed(errno: Errno, kind: impl FnOnce(Errno) -> FaultKind) -> Outcome {
    if errno == Errno::AGAIN || errno == Errno::WOULDBLOCK {
        return Outcome::Drained(0);
    }
    let code = u16::try_from(errno.raw_os_error()).unwrap_or(0);
    Outcome::Failed(Fault {
        kind: kind(errno),
        code,
    })
}

/// What an error number means whatever the call.
fn common(errno: Errno) -> FaultKind {
    match errno {
        Errno::INTR => FaultKind::Interrupted,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::NOSPC => {
            FaultKind::Shortage
        }
        Errno::BADF
        | Errno::INVAL
        | Errno::NOTSOCK
        | Errno::FAULT
        | Errno::NOENT
        | Errno::EXIST => FaultKind::Invalid,
        _ => FaultKind::Unknown,
    }
}

/// Where the numbers are those of most machines (`asm-generic/errno.h`).
#[cfg(all(
    test,
    not(any(
        target_arch = "mips",
        target_arch = "mips32r6",
        target_arch = "mips64",
        target_arch = "mips64r6",
        target_arch = "sparc",
        target_arch = "sparc64"
    ))
))]
mod tests {
    use super::*;
    use FaultKind::{
        Interrupted, Invalid, Refused, Reset, Shortage, TimedOut, Unknown, Unreachable,
    };

    /// Every number that Linux has on most machines, `EPERM` to `EHWPOISON`.
    const ALL: core::ops::RangeInclusive<i32> = 1..=133;

    fn check(function: fn(Errno) -> Outcome, named: &[(FaultKind, &[i32])]) {
        check_of(function, &[11], named);
    }

    /// `drained`: those that are no failure.
    fn check_of(function: fn(Errno) -> Outcome, drained: &[i32], named: &[(FaultKind, &[i32])]) {
        for number in ALL {
            let expected = named.iter().find(|(_, numbers)| numbers.contains(&number));
            let kind = expected.map_or(Unknown, |(kind, _)| *kind);
            let code = u16::try_from(number).expect("a small number");
            let outcome = if drained.contains(&number) {
                Outcome::Drained(0)
            } else {
                Outcome::Failed(kind.with_code(code))
            };
            assert_eq!(
                function(Errno::from_raw_os_error(number)),
                outcome,
                "errno {number}"
            );
        }
    }

    #[test]
    fn every_number_has_its_class_on_accept() {
        check(
            accept,
            &[
                (Interrupted, &[4]),
                (Reset, &[1, 103]),
                (TimedOut, &[110]),
                (
                    Unreachable,
                    &[63, 64, 71, 92, 93, 94, 95, 100, 101, 112, 113],
                ),
                (Shortage, &[12, 23, 24, 28, 105]),
                (Invalid, &[2, 9, 14, 17, 22, 88]),
            ],
        );
    }

    #[test]
    fn every_number_has_its_class_on_a_transfer() {
        check(
            transfer,
            &[
                (Interrupted, &[4]),
                (Reset, &[32, 103, 104, 107]),
                (TimedOut, &[110]),
                (Unreachable, &[100, 101, 112, 113]),
                (Shortage, &[12, 23, 24, 28, 105]),
                (Invalid, &[2, 9, 14, 17, 22, 88]),
            ],
        );
    }

    #[test]
    fn every_number_has_its_class_on_a_stream() {
        check(
            stream,
            &[
                (Interrupted, &[4]),
                (Reset, &[5, 6, 19, 32]),
                (Shortage, &[12, 23, 24, 28, 105]),
                (Invalid, &[2, 9, 14, 17, 22, 88]),
            ],
        );
        check(
            open,
            &[
                (Interrupted, &[4]),
                (Refused, &[1, 2, 5, 6, 13, 16, 19, 20]),
                (Shortage, &[12, 23, 24, 28, 105]),
                (Invalid, &[9, 14, 17, 21, 22, 25, 34, 88]),
            ],
        );
    }

    #[test]
    fn every_number_has_its_class_on_connecting() {
        for number in [4, 114, 115] {
            let goes_on = connect(Errno::from_raw_os_error(number));
            assert_eq!(goes_on, Outcome::Drained(0), "errno {number}");
        }
        check_of(
            connect,
            &[4, 114, 115],
            &[
                (Refused, &[2, 111]),
                (Reset, &[32, 103, 104]),
                (TimedOut, &[110]),
                (Unreachable, &[1, 13, 100, 101, 112, 113]),
                (Shortage, &[11, 12, 23, 24, 28, 99, 105]),
                (Invalid, &[9, 14, 17, 22, 88]),
            ],
        );
    }

    #[test]
    fn every_number_has_its_class_on_a_datagram() {
        let named: &[(FaultKind, &[i32])] = &[
            (Interrupted, &[4]),
            (Refused, &[2, 111]),
            (Reset, &[32, 89, 104, 107]),
            (TimedOut, &[110]),
            (
                Unreachable,
                &[
                    1, 13, 22, 64, 71, 90, 91, 92, 95, 97, 99, 100, 101, 106, 112, 113,
                ],
            ),
            (Shortage, &[12, 23, 24, 28, 105]),
            (Invalid, &[9, 14, 17, 88]),
        ];
        check(datagram, named);
        check(|errno| send_datagram(errno, false), named);
        let full = send_datagram(Errno::AGAIN, true);
        assert_eq!(full, Outcome::Failed(Shortage.with_code(11)));
        assert_eq!(
            send_datagram(Errno::CONNREFUSED, true),
            datagram(Errno::CONNREFUSED)
        );
    }

    #[test]
    fn every_number_has_its_class_on_arming() {
        check(
            arm,
            &[
                (Interrupted, &[4]),
                (Shortage, &[12, 23, 24, 28, 105]),
                (Invalid, &[1, 2, 9, 14, 17, 22, 40, 88]),
            ],
        );
    }
}
