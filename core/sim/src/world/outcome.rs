//! What an answer of the kernel means to the machine, as in the Linux driver.

use crate::errno::Errno;
use crate::faults::Call;
use tidegate_core::{Fault, FaultKind, Outcome};

/// So many bytes moved; `short` if fewer than asked tells something.
pub(super) fn moved(n: usize, asked: usize, short: bool) -> Outcome {
    let count = u32::try_from(n).unwrap_or(u32::MAX);
    if short && n < asked {
        Outcome::Drained(count)
    } else {
        Outcome::Complete(count)
    }
}

/// An error, by its number and the call. Would-block is none.
pub(super) fn of(call: Call, errno: Errno) -> Outcome {
    let connects = call == Call::Connect;
    let again = if connects {
        matches!(errno, Errno::INPROGRESS | Errno::ALREADY | Errno::INTR)
    } else {
        errno == Errno::AGAIN
    };
    if again {
        return Outcome::Drained(0);
    }
    let accepts = call == Call::Accept;
    let arms = matches!(call, Call::EpollAdd | Call::EpollModify | Call::EpollDelete);
    let kind = match errno {
        Errno::INTR => FaultKind::Interrupted,
        Errno::CONNABORTED | Errno::CONNRESET | Errno::PIPE | Errno::NOTCONN => FaultKind::Reset,
        Errno::PERM if accepts => FaultKind::Reset,
        Errno::CONNREFUSED | Errno::NOENT | Errno::BUSY if connects => FaultKind::Refused,
        Errno::IO if matches!(call, Call::Recv | Call::Send) => FaultKind::Reset,
        Errno::ACCES | Errno::PERM if connects => FaultKind::Unreachable,
        Errno::AGAIN | Errno::ADDRNOTAVAIL if connects => FaultKind::Shortage,
        Errno::TIMEDOUT => FaultKind::TimedOut,
        Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN | Errno::HOSTDOWN => {
            FaultKind::Unreachable
        }
        Errno::PROTO
        | Errno::NOPROTOOPT
        | Errno::NONET
        | Errno::OPNOTSUPP
        | Errno::NOSR
        | Errno::SOCKTNOSUPPORT
        | Errno::PROTONOSUPPORT
            if accepts =>
        {
            FaultKind::Unreachable
        }
        Errno::PERM | Errno::LOOP if arms => FaultKind::Invalid,
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
    };
    Outcome::Failed(Fault {
        kind,
        code: errno.code(),
    })
}
