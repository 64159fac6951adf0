//! [`Faults`]: what goes wrong, and at which call.

use super::errno::Errno;
use super::random::Random;
use alloc::vec::Vec;

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
    /// `epoll_ctl(EPOLL_CTL_ADD)`: the other operations allocate nothing, and so have nothing to fail for.
    EpollAdd,
    EpollWait,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Accept,
        Self::Recv,
        Self::Send,
        Self::Shutdown,
        Self::Unsent,
        Self::Close,
        Self::EpollAdd,
        Self::EpollWait,
    ];

    /// Errors after which the same call, made later, can succeed: interruptions, false would-block, shortages, and on
    /// accept the death of the connection that was next.
    #[must_use]
    pub const fn passing(self) -> &'static [Errno] {
        match self {
            Self::Accept => &[
                Errno::INTR,
                Errno::AGAIN,
                Errno::CONNABORTED,
                Errno::PROTO,
                Errno::PERM,
                Errno::NETDOWN,
                Errno::HOSTUNREACH,
                Errno::OPNOTSUPP,
                Errno::MFILE,
                Errno::NFILE,
                Errno::NOBUFS,
                Errno::NOMEM,
            ],
            Self::Recv => &[Errno::INTR, Errno::AGAIN, Errno::NOMEM],
            Self::Send => &[Errno::INTR, Errno::AGAIN, Errno::NOBUFS, Errno::NOMEM],
            Self::Shutdown | Self::EpollAdd => &[],
            Self::Unsent => &[Errno::INTR],
            Self::Close => &[Errno::INTR, Errno::IO],
            Self::EpollWait => &[Errno::INTR],
        }
    }

    /// Errors that the connection does not survive.
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
            Self::EpollAdd => &[Errno::NOMEM, Errno::NOSPC],
            Self::Accept | Self::Close | Self::EpollWait => &[],
        }
    }
}

/// Something that goes wrong at one call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// The call does nothing and fails with this; a `Close` closes all the same. After `AGAIN` the kernel wakes who waits
    /// for the direction, as if what was there had come an instant later.
    Errno(Errno),
    /// A transfer moves this many bytes at most, at least one; what is left counts as having come an instant later.
    Short(u32),
}

/// Which calls go wrong, and how: none, one that is named, or a random few that follow from a seed.
#[derive(Clone, Debug)]
pub struct Faults {
    plan: Plan,
    /// Calls made so far.
    calls: u64,
    /// Faults put in so far.
    taken: u64,
}

#[derive(Clone, Debug)]
enum Plan {
    None,
    At(u64, Fault),
    Swarm {
        random: Random,
        one_in: u32,
        kinds: Vec<(Call, Fault)>,
    },
}

impl Faults {
    /// Nothing goes wrong.
    #[must_use]
    pub const fn none() -> Self {
        Self::new(Plan::None)
    }

    /// Only call `number` goes wrong, counted from 0, whichever it is.
    #[must_use]
    pub const fn at(number: u64, fault: Fault) -> Self {
        Self::new(Plan::At(number, fault))
    }

    /// About one in `one_in` of the calls goes wrong. Which kinds of faults there are is drawn first, so that different
    /// seeds try different mixtures (swarm testing): each passing error, each fatal one if `fatal`, and short transfers
    /// are in with a chance of a half.
    #[must_use]
    pub fn swarm(seed: u64, one_in: u32, fatal: bool) -> Self {
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
            random,
            one_in,
            kinds,
        })
    }

    const fn new(plan: Plan) -> Self {
        Self {
            plan,
            calls: 0,
            taken: 0,
        }
    }

    /// Calls made so far.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// Faults put in so far.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// Nothing goes wrong from now on; what was counted stays.
    pub fn stop(&mut self) {
        self.plan = Plan::None;
    }

    /// The fault of the call that is being made.
    pub(super) fn next(&mut self, call: Call) -> Option<Fault> {
        let number = self.calls;
        self.calls = number.saturating_add(1);
        let fault = match &mut self.plan {
            Plan::None => None,
            Plan::At(at, fault) => (*at == number).then_some(*fault),
            Plan::Swarm {
                random,
                one_in,
                kinds,
            } => {
                if !random.one_in(*one_in) {
                    return None;
                }
                let number = kinds.iter().filter(|(at, _)| *at == call).count();
                let number = random.below(u32::try_from(number).unwrap_or(u32::MAX)) as usize;
                let mut of_call = kinds.iter().filter(|(at, _)| *at == call);
                of_call.nth(number).map(|(_, fault)| *fault)
            }
        };
        self.taken = self.taken.saturating_add(u64::from(fault.is_some()));
        fault
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
            calls.map(|&call| faults.next(call)).collect::<Vec<_>>()
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
        assert!(run(5).iter().any(Option::is_some));
    }

    #[test]
    fn one_fault_is_put_at_one_call_and_stopped_faults_at_none() {
        let fault = Fault::Errno(Errno::INTR);
        let mut faults = Faults::at(2, fault);
        let taken = [(); 4].map(|()| faults.next(Call::Recv));
        assert_eq!(taken, [None, None, Some(fault), None]);
        assert_eq!((faults.calls(), faults.taken()), (4, 1));
        let mut faults = Faults::swarm(1, 1, true);
        faults.stop();
        assert_eq!(faults.next(Call::Recv), None);
    }
}
