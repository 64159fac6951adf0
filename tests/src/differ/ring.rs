//! Operations of `io_uring(7)`, as the library's backend submits them: what the simulated kernel makes of them, which of
//! them a session draws, and the histories that every comparison begins with.

use super::operation::{self, Answer, LISTENER, Operation};
use tidegate::backend::bare;
use tidegate_sim::{EpollFlags, Errno, Family, Fd, Kernel, Random, Shutdown};

/// Where the ring is among the descriptors of a session, in front of all that it makes.
pub(super) const RING: Fd = Fd(3);

/// What is submitted. One of each may be in flight for a descriptor; a poll for the end is of either kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Submission {
    /// A multishot receive.
    Receive,
    /// A receive that completes once.
    ReceiveOnce,
    /// A poll for the end.
    HangUp,
    /// The same, without asking for FIN, which Linux notifies all the same.
    Reset,
    /// A poll for free send capacity.
    Writable,
    /// A send of so many bytes.
    Send(usize),
    /// The cancellation of one of the others.
    Cancel(bare::Operation),
}

impl Submission {
    /// What its completion is named by.
    pub(super) const fn operation(self) -> bare::Operation {
        match self {
            Self::Receive | Self::ReceiveOnce => bare::Operation::Receive,
            Self::HangUp | Self::Reset => bare::Operation::HangUp,
            Self::Writable => bare::Operation::Writable,
            Self::Send(_) => bare::Operation::Send,
            Self::Cancel(_) => bare::Operation::Cancel,
        }
    }

    /// What a poll waits for, and can complete with.
    const fn events(self) -> Option<EpollFlags> {
        match self {
            Self::HangUp | Self::Reset => Some(EpollFlags::from_bits(0x2018)),
            Self::Writable => Some(EpollFlags::from_bits(0x201c)),
            Self::Receive | Self::ReceiveOnce | Self::Send(_) | Self::Cancel(_) => None,
        }
    }
}

/// What was in flight for a descriptor that is closed is cancelled in this order.
pub(super) const CANCELLED: [bare::Operation; 3] = [
    bare::Operation::Receive,
    bare::Operation::Writable,
    bare::Operation::HangUp,
];

/// A completion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Completion {
    /// For which descriptor.
    pub fd: Fd,
    /// Of what.
    pub operation: bare::Operation,
    /// The result of the call: a length, or the events of a poll.
    pub result: Result<u32, Errno>,
    /// What was received.
    pub bytes: Vec<u8>,
    /// Whether more completions follow.
    pub goes_on: bool,
}

/// Completions of different operations come in any order, those of one in theirs.
pub(super) fn sorted(mut completions: Vec<Completion>) -> Answer {
    completions.sort_by_key(|completion| (completion.fd, completion.operation));
    Answer::Completions(completions)
}

/// The simulated ring: what was gathered, and what is in flight.
#[derive(Clone, Default, Debug)]
pub(super) struct Ring {
    gathered: Vec<(Fd, Submission)>,
    /// In the order in which they were added to the wait queues of their sockets.
    flight: Vec<Flight>,
    /// Wake-ups so far.
    wake_ups: u64,
    completed: Vec<Completion>,
}

/// An operation in flight.
#[derive(Clone, Copy, Debug)]
struct Flight {
    fd: Fd,
    submission: Submission,
    /// It found something when it was submitted and is in progress: nothing cancels it.
    runs: bool,
    /// It completes as cancelled. Until then it can be cancelled again.
    cancelled: bool,
    /// The number of the wake-up that has queued it; `None`: none has.
    woken: Option<u64>,
}

impl Flight {
    /// Queues it, unless it is queued.
    fn wake(&mut self, wake_ups: &mut u64) {
        if self.woken.is_none() {
            *wake_ups += 1;
            self.woken = Some(*wake_ups);
        }
    }

    /// What wakes it.
    fn events(&self) -> EpollFlags {
        let receives = EpollFlags::from_bits(0x201b); // IN, PRI, ERR, HUP, RDHUP
        self.submission.events().unwrap_or(receives)
    }

    fn is(&self, fd: Fd, operation: bare::Operation) -> bool {
        self.fd == fd && self.submission.operation() == operation
    }
}

impl Ring {
    /// Whether an operation of this name was gathered or is in flight.
    fn has(&self, fd: Fd, operation: bare::Operation) -> bool {
        let mut gathered = self.gathered.iter();
        self.flight.iter().any(|flight| flight.is(fd, operation))
            || gathered.any(|(of, submission)| *of == fd && submission.operation() == operation)
    }

    /// Whether a session may make this call: as the backend does, it submits nothing twice, and closes with
    /// [`Operation::Leave`] what has something in flight.
    pub(super) fn allows(&self, operation: Operation, kernel: &mut Kernel) -> bool {
        let is_stream = |fd: Fd| fd > RING && kernel.unread(fd).is_ok();
        match operation {
            Operation::Submit(fd, submission) => {
                let again = matches!(submission, Submission::Send(_) | Submission::Cancel(_));
                is_stream(fd) && (again || !self.has(fd, submission.operation()))
            }
            Operation::Leave(fd) => is_stream(fd),
            Operation::Close(fd) => {
                let of = |other: &Fd| *other == fd;
                let mut gathered = self.gathered.iter();
                !gathered.any(|(fd, _)| of(fd)) && !self.flight.iter().any(|flight| of(&flight.fd))
            }
            Operation::Pair
            | Operation::Connect
            | Operation::Accept
            | Operation::Dup(_)
            | Operation::Add(..)
            | Operation::Modify(..)
            | Operation::Delete(..)
            | Operation::Wait(..)
            | Operation::Send(..)
            | Operation::SendUrgent(_)
            | Operation::Recv(..)
            | Operation::Shutdown(..)
            | Operation::TakeError(_)
            | Operation::Unsent(_)
            | Operation::ResetOnClose(_)
            | Operation::Complete => true,
        }
    }

    pub(super) fn gather(&mut self, fd: Fd, submission: Submission) {
        self.gathered.push((fd, submission));
    }

    /// Submits what was gathered, in order, and serves what is in flight, in the order in which it was woken. What completes
    /// once and was woken in vain is added to its wait queue again.
    pub(super) fn complete(&mut self, kernel: &mut Kernel) -> Vec<Completion> {
        for (fd, submission) in core::mem::take(&mut self.gathered) {
            self.submit(kernel, fd, submission);
            self.wake(kernel);
        }
        let mut order: Vec<Flight> = self.flight.clone();
        order.sort_by_key(|flight| flight.woken.unwrap_or(u64::MAX));
        for flight in order {
            let Flight { fd, submission, .. } = flight;
            let waits = !flight.cancelled && self.serve(kernel, fd, submission);
            if flight.cancelled {
                // A poll's end leaves a receive what has woken it.
                if submission == Submission::Receive {
                    kernel.cancel_multishot(fd).expect("a stream");
                }
                self.completion(fd, submission, Err(CANCELED), &[], false);
            }
            let keeps = flight.woken.is_none() || submission == Submission::Receive;
            let mut others = self.flight.iter();
            let at = others.position(|other| other.is(fd, submission.operation()));
            if let Some(at) = at.filter(|_| !waits || !keeps) {
                self.flight.remove(at);
            }
            if waits && !keeps {
                self.flight.push(flight);
            }
        }
        for flight in &mut self.flight {
            (flight.runs, flight.woken) = (false, None);
        }
        core::mem::take(&mut self.completed)
    }

    /// A call was made: queues what it has woken, the last that was submitted first, as each is added at the head of its
    /// socket's wait queue (`add_wait_queue`). Whether a poll for the end still finds an error depends on whether it or a
    /// receive is served first, which takes the error.
    pub(super) fn wake(&mut self, kernel: &mut Kernel) {
        for flight in self.flight.iter_mut().rev() {
            let state = kernel.poll(flight.fd).unwrap_or_default();
            if state.intersects(flight.events()) {
                flight.wake(&mut self.wake_ups);
            }
        }
    }

    /// The state of a socket has changed, be it in vain: all that waits for it is woken.
    pub(super) fn wake_all(&mut self, fd: Fd) {
        let of = self
            .flight
            .iter_mut()
            .rev()
            .filter(|flight| flight.fd == fd);
        of.for_each(|flight| flight.wake(&mut self.wake_ups));
    }

    fn submit(&mut self, kernel: &mut Kernel, fd: Fd, submission: Submission) {
        let state = kernel.poll(fd).unwrap_or_default();
        let mut flight = Flight {
            fd,
            submission,
            runs: false,
            cancelled: false,
            woken: None,
        };
        match submission {
            Submission::Receive => {
                kernel.begin_multishot(fd).expect("a stream");
                self.flight.push(flight);
            }
            Submission::ReceiveOnce => {
                flight.runs = state.intersects(flight.events());
                self.flight.push(flight);
            }
            Submission::HangUp | Submission::Reset | Submission::Writable => {
                if self.serve(kernel, fd, submission) {
                    self.flight.push(flight);
                }
            }
            Submission::Send(len) => {
                let sent = kernel.send(fd, operation::pattern(fd, len)).map(length);
                self.completion(fd, submission, sent, &[], false);
            }
            Submission::Cancel(operation) => {
                let mut flight = self.flight.iter_mut();
                let found = flight.find(|flight| flight.is(fd, operation) && !flight.runs);
                let result = found.map(|flight| flight.cancelled = true);
                let result = result.map(|()| 0).ok_or(NOENT);
                self.completion(fd, submission, result, &[], false);
            }
        }
    }

    /// Serves one operation; returns whether it is in flight still.
    fn serve(&mut self, kernel: &mut Kernel, fd: Fd, submission: Submission) -> bool {
        if let Some(events) = submission.events() {
            let ends = submission != Submission::Writable;
            let state = kernel.poll(fd).unwrap_or_default();
            // What the completion world queries, and what the poll itself returns.
            let ready = if ends {
                kernel.has_hung_up(fd) == Ok(true)
            } else {
                state.intersects(events)
            };
            if ready {
                let events = state.bits() & events.bits();
                self.completion(fd, submission, Ok(events), &[], false);
            }
            return !ready;
        }
        let mut bytes = [0; 4096];
        loop {
            let multishot = submission == Submission::Receive;
            let received = if multishot {
                kernel.recv_multishot(fd, &mut bytes)
            } else {
                kernel.recv_once(fd, &mut bytes)
            };
            if received == Err(Errno::AGAIN) {
                return true;
            }
            let n = received.unwrap_or(0);
            let goes_on = multishot && n > 0;
            let bytes = bytes.get(..n).unwrap_or_default();
            self.completion(fd, submission, received.map(length), bytes, goes_on);
            if !goes_on {
                return false;
            }
        }
    }

    fn completion(
        &mut self,
        fd: Fd,
        submission: Submission,
        result: Result<u32, Errno>,
        bytes: &[u8],
        goes_on: bool,
    ) {
        self.completed.push(Completion {
            fd,
            operation: submission.operation(),
            result,
            bytes: bytes.to_vec(),
            goes_on,
        });
    }
}

/// `ENOENT`, `ECANCELED` (`errno(3)`), as on every architecture that these tests run on.
const NOENT: Errno = Errno::new(2);
const CANCELED: Errno = Errno::new(125);

fn length(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The next operation of a session with a ring, one that it allows.
pub(super) fn draw(random: &mut Random, kernel: &mut Kernel, ring: &Ring) -> Operation {
    loop {
        let operation = draw_any(random, kernel);
        if ring.allows(operation, kernel) {
            return operation;
        }
    }
}

fn draw_any(random: &mut Random, kernel: &mut Kernel) -> Operation {
    let open: Vec<Fd> = kernel.descriptors().filter(|fd| *fd > RING).collect();
    let Some(&fd) = random.pick(&open) else {
        return operation::new_socket(random, Family::Tcp);
    };
    if random.one_in(2) && kernel.poll(LISTENER) == Ok(EpollFlags::IN) {
        return Operation::Accept;
    }
    let length = |random: &mut Random| random.length(600) as usize;
    match random.below(100) {
        0..=5 if open.len() < operation::CROWD => operation::new_socket(random, Family::Tcp),
        0..=6 => Operation::Leave(fd),
        7..=9 => Operation::Close(fd),
        10..=15 => Operation::ResetOnClose(fd),
        16..=30 => Operation::Send(fd, length(random)),
        31..=34 => Operation::Recv(fd, length(random)),
        35..=36 => {
            let all = [
                Shutdown::Write,
                Shutdown::Write,
                Shutdown::Read,
                Shutdown::Both,
            ];
            Operation::Shutdown(fd, random.pick(&all).copied().unwrap_or(Shutdown::Write))
        }
        37 => Operation::TakeError(fd),
        38..=48 => Operation::Submit(fd, Submission::Receive),
        49..=56 => Operation::Submit(fd, Submission::ReceiveOnce),
        57..=62 => Operation::Submit(fd, Submission::HangUp),
        63..=64 => Operation::Submit(fd, Submission::Reset),
        65..=66 => Operation::Submit(fd, Submission::Writable),
        67..=70 => Operation::Submit(fd, Submission::Send(length(random))),
        71..=76 => {
            let what = random.pick(&CANCELLED).copied();
            let what = what.unwrap_or(bare::Operation::Receive);
            Operation::Submit(fd, Submission::Cancel(what))
        }
        _ => Operation::Complete,
    }
}

/// The histories that matter most: bytes or none, then FIN or a reset, before or after a receive of either kind was
/// submitted and had waited, with a poll that was cancelled meanwhile or not, and what a second receive and a poll
/// return after it.
pub(super) fn histories() -> Vec<Vec<Operation>> {
    let mut all = Vec::new();
    let (client, server) = (Fd(RING.0 + 1), Fd(RING.0 + 2));
    for receive in [Submission::Receive, Submission::ReceiveOnce] {
        for second in [Submission::Receive, Submission::ReceiveOnce] {
            for bits in 0..16 {
                let (waits, bytes, reset) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
                let polled = bits & 8 != 0;
                let mut history = vec![Operation::Connect, Operation::Accept];
                let begin = Operation::Submit(server, receive);
                if waits {
                    history.extend([begin, Operation::Complete]);
                }
                if polled {
                    history.extend([
                        Operation::Submit(server, Submission::HangUp),
                        Operation::Complete,
                        Operation::Submit(server, Submission::Cancel(bare::Operation::HangUp)),
                        Operation::Complete,
                    ]);
                }
                if bytes {
                    history.push(Operation::Send(client, 5));
                }
                if reset {
                    history.push(Operation::ResetOnClose(client));
                }
                history.push(Operation::Close(client));
                if !waits {
                    history.push(begin);
                }
                history.extend([
                    Operation::Complete,
                    Operation::Submit(server, Submission::HangUp),
                    Operation::Complete,
                    Operation::Submit(server, Submission::Cancel(bare::Operation::Receive)),
                    Operation::Complete,
                    Operation::Submit(server, second),
                    Operation::Complete,
                    Operation::Leave(server),
                ]);
                all.push(history);
            }
        }
    }
    all.extend(orders(client, server));
    all
}

/// A reset that finds a receive and a poll in flight, submitted in either order: which takes the error. Before it, bytes that
/// wake the receive alone, a call that wakes both in vain, or nothing.
fn orders(client: Fd, server: Fd) -> impl Iterator<Item = Vec<Operation>> {
    let receives = [Submission::Receive, Submission::ReceiveOnce];
    receives.into_iter().flat_map(move |receive| {
        (0..8).map(move |bits| {
            let (polls_first, bytes, vain) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
            let mut submitted = [receive, Submission::HangUp];
            if polls_first {
                submitted.reverse();
            }
            let submitted = submitted.map(|submission| Operation::Submit(server, submission));
            let mut history = vec![Operation::Connect, Operation::Accept];
            history.extend(submitted);
            history.push(Operation::Complete);
            if vain {
                history.extend([
                    Operation::Shutdown(server, Shutdown::Write),
                    Operation::Complete,
                ]);
            }
            if bytes {
                history.push(Operation::Send(client, 5));
            }
            history.extend([
                Operation::ResetOnClose(client),
                Operation::Close(client),
                Operation::Complete,
                Operation::Leave(server),
            ]);
            history
        })
    })
}
