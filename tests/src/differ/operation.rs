//! [`Operation`]: one call, made on the simulated and on the real kernel; [`Answer`]: its result.

use super::ring::{Completion, Submission};
use tidegate_sim::{EpollFlags, Errno, Family, Fd, Kernel, Random, Report, Shutdown};

/// Descriptors are numbered from the first one of the session. 0 and 1 are epoll sets; in a TCP session 2 is a listener, and
/// 3 a ring, if it has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// `socketpair`
    Pair,
    /// `socket` and `connect` to the listener
    Connect,
    /// `accept4` from the listener
    Accept,
    /// `dup`
    Dup(Fd),
    /// `close`
    Close(Fd),
    /// `epoll_ctl(EPOLL_CTL_ADD)`
    Add(Fd, Fd, EpollFlags, u64),
    /// `epoll_ctl(EPOLL_CTL_MOD)`
    Modify(Fd, Fd, EpollFlags, u64),
    /// `epoll_ctl(EPOLL_CTL_DEL)`
    Delete(Fd, Fd),
    /// `epoll_wait` for so many
    Wait(Fd, usize),
    /// `send` of so many bytes
    Send(Fd, usize),
    /// `send(MSG_OOB)` of one byte
    SendUrgent(Fd),
    /// `recv` of so many bytes
    Recv(Fd, usize),
    /// `shutdown`
    Shutdown(Fd, Shutdown),
    /// `getsockopt(SO_ERROR)`
    TakeError(Fd),
    /// `ioctl(SIOCOUTQ)`
    Unsent(Fd),
    /// `setsockopt(SO_LINGER)` of zero seconds
    ResetOnClose(Fd),
    /// An operation of `io_uring(7)`, which is gathered.
    Submit(Fd, Submission),
    /// `io_uring_enter`, which does not wait: what was gathered is submitted, and what can complete does.
    Complete,
    /// The cancellation of all that is in flight for a descriptor, `io_uring_enter`, and `close`.
    Leave(Fd),
}

/// The result of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Nothing but success.
    Done,
    /// A new descriptor, or two.
    Descriptors(Vec<Fd>),
    /// A socket, and the result of its `connect`.
    Connecting(Fd, Errno),
    /// So many bytes.
    Count(usize),
    /// These bytes.
    Bytes(Vec<u8>),
    /// The error that was kept.
    Error(Option<Errno>),
    /// What an epoll set reported, in order.
    Reports(Vec<Report>),
    /// What has completed in a ring.
    Completions(Vec<Completion>),
    /// It failed.
    Failed(Errno),
}

impl From<Result<Answer, Errno>> for Answer {
    fn from(result: Result<Answer, Errno>) -> Self {
        result.unwrap_or_else(Answer::Failed)
    }
}

/// The listener of a TCP session.
pub(super) const LISTENER: Fd = Fd(2);
/// The port of the listener in the simulated kernel.
pub(super) const PORT: u16 = 1;
/// Connections that may wait to be accepted: more than a session makes. A real listener that has its fill lets connects
/// knock for a second and more.
pub(super) const BACKLOG: usize = 200;
/// The byte of an urgent send: none of the pattern.
pub(super) const URGENT: u8 = 255;
/// Descriptors that are open at once, about.
pub(super) const CROWD: usize = 16;

/// The bytes that an operation sends: different at each position, so that none can pass for another. 6,000 at most.
#[must_use]
pub(super) fn pattern(fd: Fd, len: usize) -> &'static [u8] {
    let first = (fd.0 as usize * 7 + len % 13) % PERIOD;
    PATTERN.get(first..first + len).unwrap_or_default()
}

const PERIOD: usize = 251;

static PATTERN: [u8; 6500] = {
    let mut pattern = [0; 6500];
    let (mut at, mut byte) = (0, 0u8);
    while at < pattern.len() {
        pattern[at] = byte;
        byte = if byte == 250 { 0 } else { byte + 1 };
        at += 1;
    }
    pattern
};

/// The next operation of a session, one that means something to the kernel as it is now.
pub(super) fn draw(random: &mut Random, kernel: &mut Kernel, family: Family) -> Operation {
    let first = if family == Family::Tcp { 3 } else { 2 };
    let open: Vec<Fd> = kernel.descriptors().filter(|fd| fd.0 >= first).collect();
    let set = Fd(random.below(2));
    let Some(&fd) = random.pick(&open) else {
        return new_socket(random, family);
    };
    // What is not accepted soon acknowledges late, which is to be waited for.
    if family == Family::Tcp && random.one_in(2) && kernel.poll(LISTENER) == Ok(EpollFlags::IN) {
        return Operation::Accept;
    }
    match random.below(100) {
        0..=3 if open.len() < CROWD => new_socket(random, family),
        4..=5 if open.len() < CROWD => Operation::Dup(fd),
        0..=7 => Operation::Close(fd),
        8..=19 => Operation::Add(set, fd, mask(random), random.next_u64()),
        20..=27 => Operation::Modify(set, fd, mask(random), random.next_u64()),
        28..=31 => Operation::Delete(set, fd),
        32..=51 => Operation::Send(fd, transfer(random, family)),
        52..=69 => Operation::Recv(fd, transfer(random, family)),
        70..=72 => Operation::Shutdown(fd, how(random, family)),
        73 => Operation::TakeError(fd),
        74 if family == Family::Tcp => Operation::ResetOnClose(fd),
        75 if family == Family::Tcp => Operation::SendUrgent(fd),
        74 => Operation::Unsent(fd),
        76 => Operation::Recv(fd, 0),
        _ => {
            let most = random.pick(&[1, 2, 8]).copied().unwrap_or(1);
            Operation::Wait(set, most)
        }
    }
}

pub(super) fn new_socket(random: &mut Random, family: Family) -> Operation {
    match family {
        Family::Unix | Family::Terminal => Operation::Pair,
        Family::Tcp if random.one_in(2) => Operation::Connect,
        Family::Tcp => Operation::Accept,
    }
}

fn mask(random: &mut Random) -> EpollFlags {
    let mut mask = EpollFlags::NONE;
    for flag in [EpollFlags::IN, EpollFlags::OUT, EpollFlags::RDHUP] {
        mask |= flag.when(random.one_in(2));
    }
    mask |= EpollFlags::PRI.when(random.one_in(4));
    mask |= EpollFlags::ET.when(random.one_in(2));
    mask |= EpollFlags::ONESHOT.when(random.one_in(4));
    if random.one_in(8) {
        // Mostly with what may be combined with it.
        let whole = random.one_in(4);
        let beside = EpollFlags::IN | EpollFlags::OUT | EpollFlags::ET;
        mask = if whole { mask } else { mask & beside } | EpollFlags::EXCLUSIVE;
    }
    mask
}

/// A length. On a Unix stream the writes of a few operations fill the buffer; what a TCP buffer holds depends on more than
/// the calls, so there they stay small.
fn transfer(random: &mut Random, family: Family) -> usize {
    random.length(if family == Family::Unix { 6000 } else { 300 }) as usize
}

fn how(random: &mut Random, family: Family) -> Shutdown {
    let all = [Shutdown::Write, Shutdown::Read, Shutdown::Both];
    match family {
        Family::Unix | Family::Terminal => random.pick(&all).copied().unwrap_or(Shutdown::Write),
        Family::Tcp => random.pick(&all).copied().unwrap_or(Shutdown::Write),
    }
}
