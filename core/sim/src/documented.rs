//! What each call may fail with, by its man page (man-pages 6.9).

use super::faults::Call;
use tidegate_core::errno::Errno;

/// Every error that the man page of the call lists.
pub(super) const fn documented(call: Call) -> &'static [Errno] {
    match call {
        Call::Accept => ACCEPT,
        Call::Recv => RECV,
        Call::Send => SEND,
        Call::Shutdown => SHUTDOWN,
        Call::Unsent => IOCTL,
        Call::Close => CLOSE,
        Call::EpollAdd => EPOLL_ADD,
        Call::EpollModify | Call::EpollDelete => EPOLL_CHANGE,
        Call::EpollWait => EPOLL_WAIT,
        Call::Connect => CONNECT,
    }
}

/// `accept(2)`, with the errors of the network and of protocols that it lists.
const ACCEPT: &[Errno] = &[
    Errno::AGAIN,
    Errno::BADF,
    Errno::CONNABORTED,
    Errno::FAULT,
    Errno::INTR,
    Errno::INVAL,
    Errno::MFILE,
    Errno::NFILE,
    Errno::NOBUFS,
    Errno::NOMEM,
    Errno::NOTSOCK,
    Errno::OPNOTSUPP,
    Errno::PERM,
    Errno::PROTO,
    Errno::NETDOWN,
    Errno::NOPROTOOPT,
    Errno::HOSTDOWN,
    Errno::NONET,
    Errno::HOSTUNREACH,
    Errno::NETUNREACH,
    Errno::NOSR,
    Errno::SOCKTNOSUPPORT,
    Errno::PROTONOSUPPORT,
    Errno::TIMEDOUT,
];

/// `recv(2)`, `tcp(7)`, `ip(7)`.
const RECV: &[Errno] = &[
    Errno::AGAIN,
    Errno::BADF,
    Errno::CONNREFUSED,
    Errno::FAULT,
    Errno::INTR,
    Errno::INVAL,
    Errno::NOMEM,
    Errno::NOTCONN,
    Errno::NOTSOCK,
    Errno::CONNRESET,
    Errno::TIMEDOUT,
    Errno::PIPE,
    Errno::HOSTUNREACH,
    Errno::NETUNREACH,
];

/// `send(2)`, `tcp(7)`, `ip(7)`.
const SEND: &[Errno] = &[
    Errno::ACCES,
    Errno::AGAIN,
    Errno::ALREADY,
    Errno::BADF,
    Errno::CONNRESET,
    Errno::DESTADDRREQ,
    Errno::FAULT,
    Errno::INTR,
    Errno::INVAL,
    Errno::ISCONN,
    Errno::MSGSIZE,
    Errno::NOBUFS,
    Errno::NOMEM,
    Errno::NOTCONN,
    Errno::NOTSOCK,
    Errno::OPNOTSUPP,
    Errno::PIPE,
    Errno::TIMEDOUT,
    Errno::HOSTUNREACH,
    Errno::NETUNREACH,
];

/// `shutdown(2)`.
const SHUTDOWN: &[Errno] = &[Errno::BADF, Errno::INVAL, Errno::NOTCONN, Errno::NOTSOCK];

/// `ioctl(2)`.
const IOCTL: &[Errno] = &[Errno::BADF, Errno::FAULT, Errno::INVAL, Errno::NOTTY];

/// `close(2)`.
const CLOSE: &[Errno] = &[
    Errno::BADF,
    Errno::INTR,
    Errno::IO,
    Errno::NOSPC,
    Errno::DQUOT,
];

/// `epoll_ctl(2)`, which lists the operation of each error.
const EPOLL_ADD: &[Errno] = &[
    Errno::BADF,
    Errno::EXIST,
    Errno::INVAL,
    Errno::LOOP,
    Errno::NOMEM,
    Errno::NOSPC,
    Errno::PERM,
];

/// `epoll_ctl(2)`.
const EPOLL_CHANGE: &[Errno] = &[
    Errno::BADF,
    Errno::INVAL,
    Errno::NOENT,
    Errno::NOMEM,
    Errno::PERM,
];

/// `connect(2)`, `tcp(7)`, `ip(7)`, `unix(7)`.
const CONNECT: &[Errno] = &[
    Errno::ACCES,
    Errno::PERM,
    Errno::ADDRINUSE,
    Errno::ADDRNOTAVAIL,
    Errno::AFNOSUPPORT,
    Errno::AGAIN,
    Errno::ALREADY,
    Errno::BADF,
    Errno::CONNREFUSED,
    Errno::FAULT,
    Errno::INPROGRESS,
    Errno::INTR,
    Errno::ISCONN,
    Errno::NETUNREACH,
    Errno::HOSTUNREACH,
    Errno::NOTSOCK,
    Errno::TIMEDOUT,
    Errno::NOENT,
    Errno::NOBUFS,
    Errno::NOMEM,
];

/// `epoll_wait(2)`.
const EPOLL_WAIT: &[Errno] = &[Errno::BADF, Errno::FAULT, Errno::INTR, Errno::INVAL];
