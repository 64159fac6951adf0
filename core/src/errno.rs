//! [`Errno`], and what the error numbers of Linux mean to the machine: one total function for each kind of call, for every
//! driver, the simulated one too.
//!
//! Each number that the man page of a call lists has its class; every other one is [`Fault::Unknown`], and the machine
//! decides what that means.

use crate::event::{Fault, Outcome};
use core::fmt;

/// A Linux error number (`errno(3)`) of the architecture that this is compiled for. Any number can be one; those that have
/// a class here, or that a man page of `tidegate-sim` lists, have a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(u16);

/// The number on this architecture: most have the generic one (`asm-generic/errno.h`).
const fn number(generic: u16, mips: u16, sparc: u16) -> u16 {
    if cfg!(any(
        target_arch = "mips",
        target_arch = "mips32r6",
        target_arch = "mips64",
        target_arch = "mips64r6"
    )) {
        mips
    } else if cfg!(any(target_arch = "sparc", target_arch = "sparc64")) {
        sparc
    } else {
        generic
    }
}

macro_rules! errnos {
    ($($name:ident = $code:expr,)*) => {
        #[expect(missing_docs, reason = "each is the number of that name, without its E")]
        impl Errno {
            $(pub const $name: Self = Self($code);)*

            /// Its name without the E, if it has one here.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

errnos! {
    PERM = 1,
    NOENT = 2,
    INTR = 4,
    IO = 5,
    NXIO = 6,
    BADF = 9,
    AGAIN = 11,
    NOMEM = 12,
    ACCES = 13,
    FAULT = 14,
    BUSY = 16,
    EXIST = 17,
    NODEV = 19,
    NOTDIR = 20,
    ISDIR = 21,
    INVAL = 22,
    NFILE = 23,
    MFILE = 24,
    NOTTY = 25,
    NOSPC = 28,
    PIPE = 32,
    RANGE = 34,
    LOOP = number(40, 90, 62),
    NOSR = number(63, 63, 74),
    NONET = number(64, 64, 80),
    PROTO = number(71, 71, 86),
    NOTSOCK = number(88, 95, 38),
    DESTADDRREQ = number(89, 96, 39),
    MSGSIZE = number(90, 97, 40),
    PROTOTYPE = number(91, 98, 41),
    NOPROTOOPT = number(92, 99, 42),
    PROTONOSUPPORT = number(93, 120, 43),
    SOCKTNOSUPPORT = number(94, 121, 44),
    OPNOTSUPP = number(95, 122, 45),
    AFNOSUPPORT = number(97, 124, 47),
    ADDRINUSE = number(98, 125, 48),
    ADDRNOTAVAIL = number(99, 126, 49),
    NETDOWN = number(100, 127, 50),
    NETUNREACH = number(101, 128, 51),
    CONNABORTED = number(103, 130, 53),
    CONNRESET = number(104, 131, 54),
    NOBUFS = number(105, 132, 55),
    ISCONN = number(106, 133, 56),
    NOTCONN = number(107, 134, 57),
    TIMEDOUT = number(110, 145, 60),
    CONNREFUSED = number(111, 146, 61),
    HOSTDOWN = number(112, 147, 64),
    HOSTUNREACH = number(113, 148, 65),
    ALREADY = number(114, 149, 37),
    INPROGRESS = number(115, 150, 36),
    DQUOT = number(122, 1133, 69),
}

impl Errno {
    /// The error with this number.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// Its number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "E{name}"),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// `accept4`: `accept(2)`, section "Error handling": errors of the new connection's network come through here, and must
/// not end the listener.
#[must_use]
pub const fn accept(errno: Errno) -> Outcome {
    of_call(
        errno,
        match errno {
            Errno::CONNABORTED | Errno::PERM => Fault::Reset(errno.0),
            Errno::TIMEDOUT => Fault::TimedOut(errno.0),
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
            | Errno::PROTONOSUPPORT => Fault::Unreachable(errno.0),
            other => common(other),
        },
    )
}

/// `recv`, `send`, `shutdown` of a connection, and the ioctl that measures: `recv(2)`, `send(2)`, `tcp(7)`, `unix(7)`.
#[must_use]
pub const fn transfer(errno: Errno) -> Outcome {
    of_call(
        errno,
        match errno {
            Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED | Errno::NOTCONN => {
                Fault::Reset(errno.0)
            }
            Errno::TIMEDOUT => Fault::TimedOut(errno.0),
            Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN | Errno::HOSTDOWN => {
                Fault::Unreachable(errno.0)
            }
            other => common(other),
        },
    )
}

/// `read` and `write` of a non-socket stream, and its ioctls: `read(2)`, `write(2)`, `pipe(7)`. A device that is gone
/// is treated as a peer that is gone.
#[must_use]
pub const fn stream(errno: Errno) -> Outcome {
    of_call(
        errno,
        match errno {
            Errno::PIPE | Errno::IO | Errno::NXIO | Errno::NODEV => Fault::Reset(errno.0),
            other => common(other),
        },
    )
}

/// `open` of a serial line, and setting it: `open(2)`, `termios(3)`. A line that another process holds exclusively
/// (`EBUSY`), that is being hung up (`EAGAIN`: an open never would block), that does not exist, or that is not ours yet
/// (`EACCES`, before udev has set its mode) is a refusal; not a serial line (`ENOTTY`), an invalid setting (`EINVAL`) or an
/// unsupported speed (`ERANGE`) is a mistake.
#[must_use]
pub const fn open(errno: Errno) -> Outcome {
    Outcome::Failed(match errno {
        Errno::NOENT
        | Errno::NOTDIR
        | Errno::NXIO
        | Errno::NODEV
        | Errno::IO
        | Errno::BUSY
        | Errno::AGAIN
        | Errno::ACCES
        | Errno::PERM => Fault::Refused(errno.0),
        Errno::NOTTY | Errno::ISDIR | Errno::RANGE => Fault::Invalid(errno.0),
        other => common(other),
    })
}

/// `connect`, and the error that a socket keeps of it: `connect(2)`, `unix(7)`, `tcp(7)`, `ip(7)`. Interrupted, it goes on
/// in the background. `EAGAIN` does not mean would-block here: the queue of a Unix listener is full, or no port is free.
#[must_use]
pub const fn connect(errno: Errno) -> Outcome {
    Outcome::Failed(match errno {
        Errno::INPROGRESS | Errno::ALREADY | Errno::INTR => return Outcome::Drained(0),
        Errno::CONNREFUSED | Errno::NOENT => Fault::Refused(errno.0),
        Errno::AGAIN | Errno::ADDRNOTAVAIL => Fault::Exhausted(errno.0),
        Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED => Fault::Reset(errno.0),
        Errno::TIMEDOUT => Fault::TimedOut(errno.0),
        Errno::HOSTUNREACH
        | Errno::NETUNREACH
        | Errno::NETDOWN
        | Errno::HOSTDOWN
        | Errno::ACCES
        | Errno::PERM => Fault::Unreachable(errno.0),
        other => common(other),
    })
}

/// `recvfrom` on a datagram socket: `recv(2)`, `udp(7)`, `ip(7)`, `unix(7)`. An ICMP error for an earlier datagram
/// comes this way, too, if the socket is connected.
#[must_use]
pub const fn datagram(errno: Errno) -> Outcome {
    of_call(
        errno,
        match errno {
        Errno::CONNREFUSED | Errno::NOENT => Fault::Refused(errno.0),
        Errno::CONNRESET | Errno::PIPE | Errno::NOTCONN | Errno::DESTADDRREQ => Fault::Reset(errno.0),
        Errno::TIMEDOUT => Fault::TimedOut(errno.0),
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
        | Errno::ACCES
        | Errno::PERM
        // Of an address that cannot be: the socket may be as good as before.
        | Errno::INVAL => Fault::Unreachable(errno.0),
        other => common(other),
    },
    )
}

/// `sendto` on a datagram socket: `send(2)`, `udp(7)`, `ip(7)`, `unix(7)`. A full queue of a Unix receiver is `EAGAIN`,
/// and there is no event when it has capacity again: resource exhaustion, then.
#[must_use]
pub const fn send_datagram(errno: Errno, unix: bool) -> Outcome {
    match errno {
        Errno::AGAIN if unix => Outcome::Failed(Fault::Exhausted(errno.0)),
        other => datagram(other),
    }
}

/// `epoll_ctl`: `epoll_ctl(2)`. `EPERM` is a descriptor that cannot be polled.
#[must_use]
pub const fn arm(errno: Errno) -> Outcome {
    of_call(
        errno,
        match errno {
            Errno::PERM | Errno::LOOP => Fault::Invalid(errno.0),
            other => common(other),
        },
    )
}

/// Would-block (`EAGAIN`, which is `EWOULDBLOCK` on every Linux) is not a failure.
const fn of_call(errno: Errno, fault: Fault) -> Outcome {
    match errno {
        Errno::AGAIN => Outcome::Drained(0),
        _ => Outcome::Failed(fault),
    }
}

/// What an error number means whatever the call.
const fn common(errno: Errno) -> Fault {
    match errno {
        Errno::INTR => Fault::Interrupted(errno.0),
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::NOSPC => {
            Fault::Exhausted(errno.0)
        }
        Errno::BADF
        | Errno::INVAL
        | Errno::NOTSOCK
        | Errno::FAULT
        | Errno::NOENT
        | Errno::EXIST => Fault::Invalid(errno.0),
        _ => Fault::Unknown(errno.0),
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
    use Fault::{Exhausted, Interrupted, Invalid, Refused, Reset, TimedOut, Unknown, Unreachable};

    type Kind = fn(u16) -> Fault;

    /// Every number that Linux has on most machines, `EPERM` to `EHWPOISON`.
    const ALL: core::ops::RangeInclusive<u16> = 1..=133;

    fn check(function: fn(Errno) -> Outcome, named: &[(Kind, &[u16])]) {
        check_of(function, &[11], named);
    }

    /// `drained`: those that are not failures.
    fn check_of(function: fn(Errno) -> Outcome, drained: &[u16], named: &[(Kind, &[u16])]) {
        for number in ALL {
            let expected = named.iter().find(|(_, numbers)| numbers.contains(&number));
            let kind = expected.map_or(Unknown as Kind, |(kind, _)| *kind);
            let outcome = if drained.contains(&number) {
                Outcome::Drained(0)
            } else {
                Outcome::Failed(kind(number))
            };
            assert_eq!(function(Errno::new(number)), outcome, "errno {number}");
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
                (Exhausted, &[12, 23, 24, 28, 105]),
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
                (Exhausted, &[12, 23, 24, 28, 105]),
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
                (Exhausted, &[12, 23, 24, 28, 105]),
                (Invalid, &[2, 9, 14, 17, 22, 88]),
            ],
        );
        check_of(
            open,
            &[],
            &[
                (Interrupted, &[4]),
                (Refused, &[1, 2, 5, 6, 11, 13, 16, 19, 20]),
                (Exhausted, &[12, 23, 24, 28, 105]),
                (Invalid, &[9, 14, 17, 21, 22, 25, 34, 88]),
            ],
        );
    }

    #[test]
    fn every_number_has_its_class_on_connecting() {
        for number in [4, 114, 115] {
            let goes_on = connect(Errno::new(number));
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
                (Exhausted, &[11, 12, 23, 24, 28, 99, 105]),
                (Invalid, &[9, 14, 17, 22, 88]),
            ],
        );
    }

    #[test]
    fn every_number_has_its_class_on_a_datagram() {
        let named: &[(Kind, &[u16])] = &[
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
            (Exhausted, &[12, 23, 24, 28, 105]),
            (Invalid, &[9, 14, 17, 88]),
        ];
        check(datagram, named);
        check(|errno| send_datagram(errno, false), named);
        let full = send_datagram(Errno::AGAIN, true);
        assert_eq!(full, Outcome::Failed(Exhausted(11)));
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
                (Exhausted, &[12, 23, 24, 28, 105]),
                (Invalid, &[1, 2, 9, 14, 17, 22, 40, 88]),
            ],
        );
    }
}
