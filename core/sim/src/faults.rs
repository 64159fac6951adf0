//! [`Faults`]: what goes wrong, and at which call.

use super::documented::documented;
use super::random::Random;
use alloc::vec::Vec;
use core::net::SocketAddr;
use tidegate_core::errno::Errno;

/// A call of the kernel at which a fault may be put.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "each is the system call of that name")]
pub enum Call {
    Accept,
    Recv,
    Send,
    Shutdown,
    Unsent,
    Close,
    /// `epoll_ctl(EPOLL_CTL_ADD)`.
    EpollAdd,
    /// `epoll_ctl(EPOLL_CTL_MOD)`.
    EpollModify,
    /// `epoll_ctl(EPOLL_CTL_DEL)`.
    EpollDelete,
    EpollWait,
    /// `connect(2)`, and asking what has become of it.
    Connect,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Accept,
        Self::Recv,
        Self::Send,
        Self::Shutdown,
        Self::Unsent,
        Self::Close,
        Self::EpollAdd,
        Self::EpollModify,
        Self::EpollDelete,
        Self::EpollWait,
        Self::Connect,
    ];

    /// Errors after which the same call, made later, can succeed: interruptions, false would-block, resource
    /// exhaustion, and on accept the death of the connection that was next.
    #[must_use]
    pub const fn passing(self) -> &'static [Errno] {
        match self {
            Self::Accept => &[
                Errno::INTR,
                Errno::AGAIN,
                Errno::CONNABORTED,
                Errno::PROTO,
                Errno::PERM,
                Errno::TIMEDOUT,
                Errno::NETDOWN,
                Errno::NOPROTOOPT,
                Errno::HOSTDOWN,
                Errno::NONET,
                Errno::HOSTUNREACH,
                Errno::OPNOTSUPP,
                Errno::NETUNREACH,
                Errno::NOSR,
                Errno::SOCKTNOSUPPORT,
                Errno::PROTONOSUPPORT,
                Errno::MFILE,
                Errno::NFILE,
                Errno::NOBUFS,
                Errno::NOMEM,
            ],
            Self::Recv => &[Errno::INTR, Errno::AGAIN, Errno::NOMEM],
            Self::Send => &[Errno::INTR, Errno::AGAIN, Errno::NOBUFS, Errno::NOMEM],
            Self::Shutdown
            | Self::Unsent
            | Self::EpollAdd
            | Self::EpollModify
            | Self::EpollDelete => &[],
            Self::Close => &[Errno::INTR, Errno::IO, Errno::NOSPC, Errno::DQUOT],
            Self::EpollWait => &[Errno::INTR],
            // Resource exhaustion can pass only until the connect is in progress.
            Self::Connect => &[Errno::INTR],
        }
    }

    /// Errors that the connection need not survive.
    #[must_use]
    pub const fn fatal(self) -> &'static [Errno] {
        match self {
            Self::Recv | Self::Send => &[
                Errno::CONNRESET,
                Errno::TIMEDOUT,
                Errno::HOSTUNREACH,
                Errno::PIPE,
                Errno::INVAL,
            ],
            Self::Shutdown => &[Errno::NOTCONN],
            Self::Unsent => &[Errno::INVAL],
            Self::EpollAdd => &[Errno::NOMEM, Errno::NOSPC, Errno::EXIST],
            Self::EpollModify => &[Errno::NOENT],
            Self::EpollDelete => &[Errno::NOENT, Errno::BADF],
            Self::Connect => &[
                Errno::AGAIN,
                Errno::NOBUFS,
                Errno::CONNREFUSED,
                Errno::TIMEDOUT,
                Errno::NETUNREACH,
                Errno::HOSTUNREACH,
                Errno::ADDRNOTAVAIL,
                Errno::INVAL,
            ],
            Self::Accept | Self::Close | Self::EpollWait => &[],
        }
    }

    /// Every error that the man page of the call lists, for `Unsent` that of `ioctl(2)`, also those that only a broken
    /// program causes; for receiving and sending also those that `tcp(7)` and `ip(7)` add.
    #[must_use]
    pub const fn documented(self) -> &'static [Errno] {
        documented(self)
    }
}

/// Something that goes wrong at one call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// The call does nothing and fails with this; a `Close` closes all the same. After `AGAIN` the kernel wakes the
    /// waiters for the direction, as if what was there had come an instant later.
    Errno(Errno),
    /// A transfer moves this many bytes at most, at least one; what is left counts as having come an instant later.
    Short(u32),
}

/// A fault that was put in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// The number of the call, counted from 0.
    pub number: u64,
    /// The call.
    pub call: Call,
    /// The injected fault.
    pub fault: Fault,
    /// The peer of the socket it was about; none if that is a listener or a set.
    pub peer: Option<SocketAddr>,
}

impl Taken {
    /// It, to be put there again: for [`Faults::each`].
    #[must_use]
    pub const fn named(&self) -> (u64, Call, Fault) {
        (self.number, self.call, self.fault)
    }
}

/// Which calls go wrong, and how: none, some that are named, or a random few that follow from a seed.
#[derive(Clone, Debug)]
pub struct Faults {
    plan: Plan,
    /// Calls made so far.
    calls: u64,
    taken: Vec<Taken>,
    noted: Option<Vec<Call>>,
}

#[derive(Clone, Debug)]
enum Plan {
    None,
    Each(Vec<(u64, Call, Fault)>),
    Swarm {
        seed: u64,
        one_in: u32,
        fatal: bool,
        random: Random,
        kinds: Vec<(Call, Fault)>,
    },
}

impl Faults {
    /// Nothing goes wrong.
    #[must_use]
    pub const fn none() -> Self {
        Self::new(Plan::None)
    }

    /// Only this call goes wrong, if call `number`, counted from 0, is one.
    #[must_use]
    pub fn at(number: u64, call: Call, fault: Fault) -> Self {
        Self::each(Vec::from([(number, call, fault)]))
    }

    /// Only these calls go wrong, by their numbers, counted from 0; a number that is another kind of call does not.
    #[must_use]
    pub const fn each(faults: Vec<(u64, Call, Fault)>) -> Self {
        Self::new(Plan::Each(faults))
    }

    /// About one in `one_in` of the calls goes wrong. Which kinds of faults there are is drawn first, so that different
    /// seeds try different mixtures (swarm testing): each passing error, each fatal one if `fatal`, and short transfers
    /// are in with a chance of a half.
    #[must_use]
    pub fn swarm(seed: u64, one_in: u32, fatal: bool) -> Self {
        let with_fatal = fatal;
        let mut random = Random::new(seed);
        let mut kinds = Vec::new();
        for call in Call::ALL {
            let passing = call.passing().iter();
            let fatal = call.fatal().iter().filter(|_| fatal);
            for &errno in passing.chain(fatal) {
                if random.one_in(2) {
                    kinds.push((call, Fault::Errno(errno)));
                }
            }
        }
        for call in [Call::Recv, Call::Send] {
            for most in [1, 2, 100] {
                if random.one_in(2) {
                    kinds.push((call, Fault::Short(most)));
                }
            }
        }
        Self::new(Plan::Swarm {
            seed,
            one_in,
            fatal: with_fatal,
            random,
            kinds,
        })
    }

    const fn new(plan: Plan) -> Self {
        Self {
            plan,
            calls: 0,
            taken: Vec::new(),
            noted: None,
        }
    }

    /// Calls made so far.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// Faults put in so far, in order.
    #[must_use]
    pub fn taken(&self) -> &[Taken] {
        &self.taken
    }

    /// The faults that are put at named calls.
    pub(super) fn named(&self) -> &[(u64, Call, Fault)] {
        match &self.plan {
            Plan::Each(faults) => faults,
            Plan::None | Plan::Swarm { .. } => &[],
        }
    }

    pub(super) const fn named_mut(&mut self) -> Option<&mut Vec<(u64, Call, Fault)>> {
        match &mut self.plan {
            Plan::Each(faults) => Some(faults),
            Plan::None | Plan::Swarm { .. } => None,
        }
    }

    /// What a random few follow from: the arguments of [`swarm`](Self::swarm).
    pub(super) const fn drawn(&self) -> Option<(u64, u32, bool)> {
        match self.plan {
            Plan::Swarm {
                seed,
                one_in,
                fatal,
                ..
            } => Some((seed, one_in, fatal)),
            Plan::None | Plan::Each(_) => None,
        }
    }

    /// The same, and from now on it is noted which call each number is.
    #[must_use]
    pub fn noting(mut self) -> Self {
        self.noted = Some(Vec::new());
        self
    }

    /// The calls that were noted, by their numbers.
    #[must_use]
    pub fn noted(&self) -> &[Call] {
        self.noted.as_deref().unwrap_or_default()
    }

    /// Nothing goes wrong from now on; what was counted stays.
    pub fn stop(&mut self) {
        self.plan = Plan::None;
    }

    /// The fault of the call that is being made, on a socket of this peer.
    pub(super) fn next(&mut self, call: Call, peer: Option<SocketAddr>) -> Option<Fault> {
        let number = self.calls;
        self.calls = number.saturating_add(1);
        if let Some(noted) = &mut self.noted {
            noted.push(call);
        }
        let fault = self.plan.fault(number, call)?;
        self.taken.push(Taken {
            number,
            call,
            fault,
            peer,
        });
        Some(fault)
    }
}

impl Plan {
    fn fault(&mut self, number: u64, call: Call) -> Option<Fault> {
        match self {
            Self::None => None,
            Self::Each(faults) => {
                let mut faults = faults.iter();
                let found = faults.find(|(at, of, _)| (*at, *of) == (number, call));
                found.map(|(.., fault)| *fault)
            }
            Self::Swarm {
                one_in,
                random,
                kinds,
                ..
            } => {
                if !random.one_in(*one_in) {
                    return None;
                }
                let number = kinds.iter().filter(|(at, _)| *at == call).count();
                let number = random.below(u32::try_from(number).unwrap_or(u32::MAX)) as usize;
                let mut of_call = kinds.iter().filter(|(at, _)| *at == call);
                of_call.nth(number).map(|(_, fault)| *fault)
            }
        }
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_which_faults_there_are_and_when() {
        let run = |seed| {
            let mut faults = Faults::swarm(seed, 3, true);
            let calls = Call::ALL.iter().cycle().take(400);
            calls
                .map(|&call| faults.next(call, None))
                .collect::<Vec<_>>()
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
        assert!(run(5).iter().any(Option::is_some));
    }

    #[test]
    fn one_fault_is_put_at_one_call_and_stopped_faults_at_none() {
        let fault = Fault::Errno(Errno::INTR);
        let mut faults = Faults::each(Vec::from([(2, Call::Recv, fault), (3, Call::Send, fault)]));
        let taken = [(); 4].map(|()| faults.next(Call::Recv, None));
        assert_eq!(taken, [None, None, Some(fault), None]);
        assert_eq!((faults.calls(), faults.taken().len()), (4, 1));
        assert_eq!(faults.taken()[0].number, 2);
        let mut faults = Faults::swarm(1, 1, true);
        faults.stop();
        assert_eq!(faults.next(Call::Recv, None), None);
    }
}
