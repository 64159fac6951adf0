//! Error numbers to what the core has to know: [`tidegate_core::errno`], with the numbers as rustix has them. The table is
//! there; nothing is decided here.

use rustix::io::Errno;
use tidegate_core::errno::{self, Errno as Number};
use tidegate_core::{Completion, Fault, Outcome};

/// `accept4`: see [`errno::accept`].
#[must_use]
pub const fn accept(errno: Errno) -> Outcome {
    errno::accept(number(errno))
}

/// `recv`, `send` and the like: see [`errno::transfer`].
#[must_use]
pub const fn transfer(errno: Errno) -> Outcome {
    errno::transfer(number(errno))
}

/// The same as what a transfer has come to.
pub(crate) fn completion(errno: Errno) -> Completion {
    // No error number is an address.
    transfer(errno)
        .completion()
        .unwrap_or(Completion::drained(0))
}

/// `read` and `write` of a non-socket stream: see [`errno::stream`].
#[must_use]
pub const fn stream(errno: Errno) -> Outcome {
    errno::stream(number(errno))
}

/// `open` of a serial line: see [`errno::open`].
#[must_use]
pub const fn open(errno: Errno) -> Outcome {
    errno::open(number(errno))
}

/// `connect`: see [`errno::connect`].
#[must_use]
pub const fn connect(errno: Errno) -> Outcome {
    errno::connect(number(errno))
}

/// `recvfrom`: see [`errno::datagram`].
#[must_use]
pub const fn datagram(errno: Errno) -> Outcome {
    errno::datagram(number(errno))
}

/// `sendto`: see [`errno::send_datagram`].
#[must_use]
pub const fn send_datagram(errno: Errno, unix: bool) -> Outcome {
    errno::send_datagram(number(errno), unix)
}

/// `epoll_ctl`: see [`errno::arm`].
#[must_use]
pub const fn arm(errno: Errno) -> Outcome {
    errno::arm(number(errno))
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

/// Error numbers end at 4095, so none is cut.
const fn number(errno: Errno) -> Number {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "1 to 4095"
    )]
    Number::new(errno.raw_os_error() as u16)
}

/// A number that is another on this architecture than the core believes does not compile.
macro_rules! same {
    ($($ours:ident $theirs:ident),*) => {
        const _: () = { $(assert!(
            Number::$ours.code() as i32 == Errno::$theirs.raw_os_error(),
            concat!("tidegate_core::Errno::", stringify!($ours), " is another number on this architecture"),
        );)* };
    };
    ($($same:ident),*) => { same!($($same $same),*); };
}

same!(ACCES ACCESS);
same!(
    PERM,
    NOENT,
    INTR,
    IO,
    NXIO,
    BADF,
    AGAIN,
    NOMEM,
    FAULT,
    BUSY,
    EXIST,
    NODEV,
    NOTDIR,
    ISDIR,
    INVAL,
    NFILE,
    MFILE,
    NOTTY,
    NOSPC,
    PIPE,
    RANGE,
    LOOP,
    NOSR,
    NONET,
    PROTO,
    NOTSOCK,
    DESTADDRREQ,
    MSGSIZE,
    PROTOTYPE,
    NOPROTOOPT,
    PROTONOSUPPORT,
    SOCKTNOSUPPORT,
    OPNOTSUPP,
    AFNOSUPPORT,
    ADDRINUSE,
    ADDRNOTAVAIL,
    NETDOWN,
    NETUNREACH,
    CONNABORTED,
    CONNRESET,
    NOBUFS,
    ISCONN,
    NOTCONN,
    TIMEDOUT,
    CONNREFUSED,
    HOSTDOWN,
    HOSTUNREACH,
    ALREADY,
    INPROGRESS,
    DQUOT
);
