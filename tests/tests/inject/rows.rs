//! The scenarios: call × error or short count × when.

use By::{Asking, Crowding, ListenerLost, NotReading, ProgramLost, Stopping};
use Fate::{Behind, Lost, Served, Without};
use When::{Always, Nth, Times};

/// The wait, by the name that the architecture has for it.
pub(crate) const WAIT: &str = "?epoll_wait,?epoll_pwait,?epoll_pwait2";

/// The wait of `--backend poll`, and what every backend but epoll falls back on.
pub(crate) const POLL: &str = "?poll,?ppoll,?ppoll_time64";

/// The wait of `--backend select`.
pub(crate) const SELECT: &str = "?select,?_newselect,?pselect6,?pselect6_time64";

/// The wait of `--backend uring`, which submits, too.
pub(crate) const ENTER: &str = "io_uring_enter";

/// When the fault strikes, counted from the moment that it is possible.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// The n-th call alone.
    Nth(usize),
    /// The first so many, one after the other.
    Times(usize),
    /// Every call until strace is gone.
    Always,
}

/// What becomes of the client that the fault strikes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It gets its bytes.
    Served,
    /// It gets its bytes behind these.
    Behind(Vec<u8>),
    /// It gets all its bytes except so many of the first: strace reported that they were sent.
    Without(usize),
    /// It loses its connection.
    Lost,
}

/// What leads to the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    /// Clients that connect, send something, receive it and close.
    Talking,
    /// One client more than the table has slots.
    Crowding,
    /// A client that never reads its replies.
    NotReading,
    /// Asking for the statistics.
    Asking,
    /// An orderly stop while clients are connected.
    Stopping,
    /// Talking, but the listener does not survive.
    ListenerLost,
    /// Talking, but the program does not survive.
    ProgramLost,
}

/// A scenario for each of the faults in `does`: an errno, or another result in the terms of strace.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) call: &'static str,
    pub(crate) does: &'static [&'static str],
    pub(crate) when: When,
    pub(crate) by: By,
    pub(crate) fate: Fate,
    /// Options of the program, in addition to `--service echo`.
    pub(crate) arguments: &'static [&'static str],
    /// A part of the call that is struck: makes sure that it is the intended one.
    pub(crate) says: &'static str,
}

impl Row {
    fn by(self, by: By) -> Self {
        Self { by, ..self }
    }

    fn with(self, arguments: &'static [&'static str]) -> Self {
        Self { arguments, ..self }
    }

    fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    pub(crate) fn name(&self, does: &str) -> String {
        let Self {
            call,
            when,
            by,
            arguments,
            ..
        } = self;
        format!("{call} {does} {when:?} {by:?} {}", arguments.join(" "))
    }

    /// The fault in the terms of strace.
    pub(crate) fn inject(&self, does: &str) -> String {
        let what = if does.starts_with('E') {
            format!("error={does}")
        } else {
            does.to_owned()
        };
        let when = match self.when {
            When::Nth(n) => n.to_string(),
            When::Times(n) => format!("1..{n}"),
            When::Always => "1+".to_owned(),
        };
        format!("inject={}:{what}:when={when}", self.call)
    }

    /// How often it strikes, at least.
    pub(crate) fn strikes(&self) -> usize {
        match self.when {
            When::Nth(_) | When::Always => 1,
            When::Times(n) => n,
        }
    }
}

/// Errors of the network of a new connection, which must not end the listener (`accept(2)`, "Error handling"); of the
/// connection; of the caller.
const STRAY: &[&str] = &[
    "EAGAIN",
    "EINTR",
    "ECONNABORTED",
    "EPERM",
    "EPROTO",
    "ENETDOWN",
    "ENOPROTOOPT",
    "EHOSTDOWN",
    "ENONET",
    "EHOSTUNREACH",
    "EOPNOTSUPP",
    "ENETUNREACH",
    "ENOSR",
    "ESOCKTNOSUPPORT",
    "EPROTONOSUPPORT",
    "ETIMEDOUT",
];
const SHORT_OF_MEMORY: &[&str] = &["ENOMEM", "ENOBUFS"];
const SHORTAGES: &[&str] = &["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];
const INVALID: &[&str] = &["EBADF", "EFAULT", "EINVAL", "ENOTSOCK"];
/// What ends a connection.
const BROKEN: &[&str] = &[
    "ECONNRESET",
    "EPIPE",
    "ENOTCONN",
    "ETIMEDOUT",
    "EHOSTUNREACH",
    "ENETUNREACH",
    "ENETDOWN",
    "EIO",
    "EBADF",
    "EFAULT",
    "EINVAL",
    "ENOTSOCK",
];

/// What passes: a signal, resource exhaustion, and completions that the kernel had no memory for (`io_uring_enter(2)`).
const ENTERING: &[&str] = &["EINTR", "ETIME", "EBUSY", "EAGAIN", "ENOMEM", "EBADR"];

/// All of them.
pub(crate) fn rows() -> Vec<Row> {
    [
        accepting(),
        transferring(),
        registering(),
        waiting(),
        others(),
    ]
    .concat()
}

const fn row(call: &'static str, does: &'static [&'static str], when: When, fate: Fate) -> Row {
    Row {
        call,
        does,
        when,
        fate,
        by: By::Talking,
        arguments: &[],
        says: "",
    }
}

const WAIT_IF_FULL: &[&str] = &["--connections", "3", "--full", "wait"];
const REFUSE_IF_FULL: &[&str] = &["--connections", "3", "--full", "refuse"];
/// A short stall, and buffers that are soon full.
const SHORT_STALL: &[&str] = &[
    "--write-stall",
    "100ms",
    "--receive-buffer",
    "65536",
    "--send-buffer",
    "65536",
];
const ONESHOT: &[&str] = &["--trigger", "oneshot"];
const EDGE: &[&str] = &["--trigger", "edge"];
const BY_POLL: &[&str] = &["--backend", "poll"];
const BY_URING: &[&str] = &["--backend", "uring"];
const BY_SELECT: &[&str] = &["--backend", "select"];

fn accepting() -> Vec<Row> {
    vec![
        row("accept4", STRAY, Nth(1), Served),
        row("accept4", STRAY, Always, Served),
        row("accept4", SHORTAGES, Nth(2), Served),
        row("accept4", SHORTAGES, Always, Served),
        row("accept4", INVALID, Nth(1), Lost).by(ListenerLost),
    ]
}

fn transferring() -> Vec<Row> {
    vec![
        row("recvfrom", &["EAGAIN", "EINTR"], Nth(1), Served),
        row("recvfrom", &["EINTR"], Times(20), Served),
        // Each in a row after the second is followed by a longer rest, up to 640 ms.
        row("recvfrom", &["EAGAIN"], Times(10), Served),
        row("recvfrom", SHORT_OF_MEMORY, Nth(1), Served),
        row("recvfrom", SHORT_OF_MEMORY, Always, Served),
        row("recvfrom", BROKEN, Nth(1), Lost),
        row("recvfrom", &["ECONNRESET", "EIO"], Times(3), Lost),
        row("recvfrom", &["ECONNRESET", "EIO"], Always, Lost),
        row("recvfrom", &["retval=0"], Nth(1), Lost),
        row(
            "recvfrom",
            &["retval=1:poke_exit=@arg2=58"],
            Nth(1),
            Behind(b"X".to_vec()),
        ),
        row(
            "recvfrom",
            &["retval=2:poke_exit=@arg2=5859"],
            Times(3),
            Behind(b"XYXYXY".to_vec()),
        ),
        row("sendto", &["EAGAIN", "EINTR"], Nth(1), Served),
        row("sendto", &["EINTR"], Times(20), Served),
        // Each in a row after the second is followed by a longer rest, up to 640 ms.
        row("sendto", &["EAGAIN"], Times(10), Served),
        row("sendto", SHORT_OF_MEMORY, Nth(1), Served),
        row("sendto", SHORT_OF_MEMORY, Always, Served),
        row("sendto", BROKEN, Nth(1), Lost),
        row(
            "sendto",
            &["EACCES", "EMSGSIZE", "EOPNOTSUPP"],
            Nth(2),
            Lost,
        ),
        row("sendto", &["EPIPE", "ECONNRESET"], Times(3), Lost),
        row("sendto", &["EPIPE", "ECONNRESET"], Always, Lost),
        row("sendto", &["retval=1"], Nth(1), Without(1)),
        row("sendto", &["retval=99"], Nth(1), Without(99)),
        row("sendto", &["retval=1"], Times(5), Without(5)),
        row("sendto", &["retval=1"], Times(5), Without(5)).with(EDGE),
        row("sendto", &["retval=1"], Times(5), Without(5)).with(ONESHOT),
    ]
}

fn registering() -> Vec<Row> {
    let unregistered = &["ENOMEM", "ENOSPC", "EBADF", "EINVAL", "ELOOP", "EPERM"];
    vec![
        row("epoll_ctl", unregistered, Nth(1), Lost).says("EPOLL_CTL_ADD"),
        row("epoll_ctl", unregistered, Nth(1), Lost)
            .says("EPOLL_CTL_ADD")
            .with(EDGE),
        row("epoll_ctl", &["ENOMEM", "ENOSPC"], Always, Lost).says("EPOLL_CTL_ADD"),
        row("epoll_ctl", &["ENOMEM", "EINVAL", "EBADF"], Nth(2), Lost)
            .says("EPOLL_CTL_MOD")
            .with(ONESHOT),
        row("epoll_ctl", &["ENOENT"], Nth(2), Lost)
            .says("EPOLL_CTL_MOD")
            .with(ONESHOT),
        row(
            "epoll_ctl",
            &["ENOENT", "EBADF", "EINVAL", "ENOMEM"],
            Nth(2),
            Served,
        )
        .says("EPOLL_CTL_DEL"),
        // The listener, when a slot is free again.
        row("epoll_ctl", &["ENOMEM", "ENOSPC"], Nth(4), Served)
            .says("EPOLL_CTL_ADD")
            .by(Crowding)
            .with(WAIT_IF_FULL),
        // It cannot be changed either: strace lies.
        row("epoll_ctl", &["EEXIST"], Nth(1), Lost).says("EPOLL_CTL_ADD"),
        row("epoll_ctl", &["ENOENT"], Nth(1), Served).says("EPOLL_CTL_ADD"),
    ]
}

fn waiting() -> Vec<Row> {
    let polling: &[&str] = &["EINTR", "retval=0", "ENOMEM", "EINVAL"];
    let selecting: &[&str] = &["EINTR", "retval=0", "ENOMEM", "EBADF"];
    vec![
        row(WAIT, &["EINTR", "retval=0"], Nth(1), Served),
        row(WAIT, &["EINTR", "retval=0"], Nth(3), Served),
        row(WAIT, &["EINTR", "retval=0"], Times(50), Served),
        row(WAIT, &["EBADF", "EFAULT", "EINVAL"], Nth(2), Lost).by(ProgramLost),
        row(POLL, polling, Nth(1), Served).with(BY_POLL),
        row(POLL, polling, Nth(3), Served).with(BY_POLL),
        row(POLL, polling, Times(50), Served).with(BY_POLL),
        row(POLL, &["EFAULT"], Nth(2), Lost)
            .by(ProgramLost)
            .with(BY_POLL),
        row(SELECT, selecting, Nth(1), Served).with(BY_SELECT),
        row(SELECT, selecting, Nth(3), Served).with(BY_SELECT),
        row(SELECT, selecting, Times(50), Served).with(BY_SELECT),
        row(ENTER, ENTERING, Nth(1), Served).with(BY_URING),
        row(ENTER, ENTERING, Nth(3), Served).with(BY_URING),
        row(ENTER, ENTERING, Times(20), Served).with(BY_URING),
        row(ENTER, &["EAGAIN", "ENOMEM", "EBADR"], Always, Served).with(BY_URING),
        row(ENTER, &["EFAULT", "EINVAL"], Nth(2), Lost)
            .by(ProgramLost)
            .with(BY_URING),
        row(SELECT, &["EFAULT", "EINVAL"], Nth(2), Lost)
            .by(ProgramLost)
            .with(BY_SELECT),
    ]
}

fn others() -> Vec<Row> {
    vec![
        row("read", &["EINTR", "EAGAIN"], Nth(1), Served).by(Asking),
        row("read", &["EINTR", "EAGAIN"], Times(5), Served).by(Asking),
        row(
            "close",
            &["EINTR", "EIO", "ENOSPC", "EDQUOT", "EBADF"],
            Nth(1),
            Served,
        ),
        row("close", &["EINTR", "EIO"], Times(3), Served),
        row(
            "shutdown",
            &["ENOTCONN", "EINVAL", "EBADF", "ENOTSOCK", "ENOBUFS"],
            Nth(1),
            Served,
        )
        .by(Stopping),
        row("shutdown", &["ENOTCONN", "ENOBUFS"], Always, Served).by(Stopping),
        row(
            "setsockopt",
            &["ENOPROTOOPT", "EINVAL", "ENOMEM"],
            Nth(1),
            Lost,
        )
        .by(Crowding)
        .with(REFUSE_IF_FULL),
        row(
            "setsockopt",
            &["ENOPROTOOPT", "EINVAL", "ENOMEM"],
            Always,
            Lost,
        )
        .by(Crowding)
        .with(REFUSE_IF_FULL),
        row(
            "ioctl",
            &["ENOTTY", "EINVAL", "EFAULT", "EBADF"],
            Nth(1),
            Lost,
        )
        .by(NotReading)
        .with(SHORT_STALL),
        row("write", &["EINTR", "EAGAIN"], Times(20), Served).by(Asking),
        row("write", &["EAGAIN"], Always, Served).by(Asking),
        row(
            "write",
            &["EPIPE", "EIO", "ENOSPC", "EBADF", "EFBIG"],
            Nth(1),
            Served,
        )
        .by(Asking),
        row(
            "write",
            &["EPIPE", "EIO", "ENOSPC", "EBADF", "EFBIG"],
            Always,
            Served,
        )
        .by(Asking),
        row("write", &["retval=0", "retval=1"], Times(3), Served).by(Asking),
    ]
}
