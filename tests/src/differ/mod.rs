//! The simulated kernel compared with the real one: the same random calls on both, every result and the order of every
//! event compared.
//!
//! Unix pairs first, where everything is determined by the calls; then TCP over the loopback, where after each call both
//! sides are given time to agree on what has arrived. A TCP session stays within what the calls determine: it never
//! fills a buffer or a listener's queue.
//!
//! Some TCP sessions have a ring of `io_uring(7)`: what the library's backend submits is submitted on both sides, and
//! every completion compared. Where io_uring is refused there are none, and [`Differ::refused`] returns why.

mod operation;
mod real;
mod real_ring;
mod ring;
mod simulated;

pub use operation::{Answer, Operation};
pub use real::without_gaps;
pub use ring::{Completion, Submission};

use core::fmt;
use real::Real;
use ring::Ring;
use rustix::io;
use tidegate_sim::{Family, Kernel, Limits, Random};

/// Operations of one session.
const SESSION: u64 = 300;
/// One session in so many is over TCP.
const TCP_IN: u32 = 10;
/// One of the others in so many is over TCP with a ring.
const RING_IN: u32 = 8;
/// How often a failing session is tried again to shorten it.
const TRIES: u32 = 500;
/// Milliseconds that a TCP session is given to agree: ample the first time, few while it is shortened.
const PATIENCE: (u32, u32) = (1000, 100);
/// Send buffers of Unix sessions, in bytes: one that a few writes fill, and one that takes more.
const BUFFERS: [usize; 2] = [1, 20_000];

/// What is needed to run sessions on this machine.
pub struct Differ {
    /// By the buffers they are of.
    limits: Vec<(usize, Limits)>,
    make: Box<dyn Fn(Limits) -> Kernel>,
    /// Why there is no ring.
    refused: Option<io::Errno>,
}

impl fmt::Debug for Differ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Differ").finish_non_exhaustive()
    }
}

/// The shortest list of operations found, whose last one returns different results on the two kernels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// The seed of the session.
    pub seed: u64,
    /// Which sockets.
    pub family: Family,
    /// Whether it has a ring.
    pub ring: bool,
    /// How many operations had agreed before, in this session.
    pub after: u64,
    operations: Vec<Operation>,
    difference: String,
}

impl Divergence {
    /// The list.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            family,
            after,
            ..
        } = self;
        let ring = if self.ring { ", ring" } else { "" };
        writeln!(
            f,
            "session {seed} ({family:?}{ring}) diverges after {after} operations, or after these:"
        )?;
        for operation in &self.operations {
            writeln!(f, "  {operation:?}")?;
        }
        write!(f, "  {}", self.difference)
    }
}

/// What one session is.
struct Session<'a> {
    seed: u64,
    family: Family,
    ring: bool,
    buffer: usize,
    limits: &'a Limits,
    make: &'a dyn Fn(Limits) -> Kernel,
}

impl Differ {
    /// Measures this kernel; `make` makes the simulated one.
    ///
    /// # Errors
    ///
    /// The system does not let us make sockets.
    pub fn new(make: impl Fn(Limits) -> Kernel + 'static) -> io::Result<Self> {
        let refused = real_ring::new().err();
        let merged_wake_ups = refused.is_some() || real_ring::merges_wake_ups()?;
        let measured = |buffer| {
            let limits = Limits {
                merged_wake_ups,
                ..real::measured(buffer)?
            };
            Ok((buffer, limits))
        };
        Ok(Self {
            limits: BUFFERS
                .into_iter()
                .map(measured)
                .collect::<io::Result<_>>()?,
            make: Box::new(make),
            refused,
        })
    }

    /// Why io_uring is refused here, if it is: no operation of it is compared then.
    #[must_use]
    pub const fn refused(&self) -> Option<io::Errno> {
        self.refused
    }

    /// Makes the calls of each history that matters most for io_uring, until `most` have diverged; `tell` is called with
    /// each that has. Returns how many were made: none where io_uring is refused.
    ///
    /// # Errors
    ///
    /// The system does not let us make sockets.
    pub fn histories(&self, most: usize, mut tell: impl FnMut(&Divergence)) -> io::Result<usize> {
        let Some((buffer, limits)) = self.limits.first().filter(|_| self.refused.is_none()) else {
            return Ok(0);
        };
        let session = Session {
            seed: 0,
            family: Family::Tcp,
            ring: true,
            buffer: *buffer,
            limits,
            make: &self.make,
        };
        let (mut made, mut diverged) = (0, 0);
        for history in ring::histories() {
            if diverged >= most {
                break;
            }
            made += 1;
            if let Some((length, difference)) = session.replay(&history, PATIENCE.0)? {
                diverged += 1;
                tell(&session.divergence(history, length, difference)?);
            }
        }
        Ok(made)
    }

    /// Runs sessions until `operations` have agreed, or `most` sessions have not; `tell` is called with what diverged.
    /// Returns how many operations were made, and how many sessions diverged.
    ///
    /// # Errors
    ///
    /// The system does not let us make sockets.
    pub fn run(
        &self,
        seed: u64,
        operations: u64,
        most: usize,
        mut tell: impl FnMut(&Divergence),
    ) -> io::Result<(u64, usize)> {
        let mut random = Random::new(seed);
        let (mut made, mut divergences) = (0, 0);
        while made < operations && divergences < most {
            let session = self.session(random.next_u64());
            let length = SESSION.min(operations - made);
            match session.run(length)? {
                None => made += length,
                Some(divergence) => {
                    made += divergence.after + 1;
                    divergences += 1;
                    tell(&divergence);
                }
            }
        }
        Ok((made, divergences))
    }

    fn session(&self, seed: u64) -> Session<'_> {
        let mut random = Random::new(seed);
        let tcp = random.one_in(TCP_IN);
        let (buffer, limits) = random.pick(&self.limits).expect("measured");
        let ring = !tcp && self.refused.is_none() && random.one_in(RING_IN);
        let family = if tcp || ring {
            Family::Tcp
        } else {
            Family::Unix
        };
        Session {
            seed,
            family,
            ring,
            buffer: *buffer,
            limits,
            make: &self.make,
        }
    }
}

/// Both sides of a session.
struct Sides {
    kernel: Kernel,
    /// Of the simulated kernel.
    ring: Ring,
    real: Real,
}

impl Session<'_> {
    fn run(&self, length: u64) -> io::Result<Option<Divergence>> {
        let mut random = Random::new(self.seed);
        let mut sides = self.begin()?;
        let mut operations = Vec::new();
        for _ in 0..length {
            let operation = if self.ring {
                ring::draw(&mut random, &mut sides.kernel, &sides.ring)
            } else {
                operation::draw(&mut random, &mut sides.kernel, self.family)
            };
            operations.push(operation);
            if let Some(difference) = self.step(&mut sides, operation, PATIENCE.0) {
                drop(sides);
                let length = operations.len();
                return self.divergence(operations, length, difference).map(Some);
            }
        }
        Ok(None)
    }

    /// The report on a list that diverges after `length` operations.
    fn divergence(
        &self,
        mut operations: Vec<Operation>,
        length: usize,
        difference: String,
    ) -> io::Result<Divergence> {
        operations.truncate(length);
        let (operations, difference) = self.shorten(operations, difference)?;
        Ok(Divergence {
            seed: self.seed,
            family: self.family,
            ring: self.ring,
            after: (length as u64).saturating_sub(1),
            operations,
            difference,
        })
    }

    fn begin(&self) -> io::Result<Sides> {
        let kernel = (self.make)(self.limits.clone());
        Ok(Sides {
            real: Real::new(self.family, self.buffer, self.ring)?,
            kernel: simulated::prepared(kernel, self.family, self.ring),
            ring: Ring::default(),
        })
    }

    /// One operation on both, unless a shortened list has made it one that is not allowed; returns the difference.
    fn step(&self, sides: &mut Sides, operation: Operation, patience: u32) -> Option<String> {
        let Sides { kernel, ring, real } = sides;
        if self.ring && !ring.allows(operation, kernel) {
            return None;
        }
        let simulated = simulated::perform(kernel, ring, operation);
        let answer = real.perform(operation);
        if answer != simulated {
            return Some(format!("real {answer:?}, simulated {simulated:?}"));
        }
        if self.family == Family::Tcp {
            return real.settle(kernel, patience);
        }
        None
    }

    /// The first difference that this list leads to, and how much of the list that takes.
    fn replay(
        &self,
        operations: &[Operation],
        patience: u32,
    ) -> io::Result<Option<(usize, String)>> {
        let mut sides = self.begin()?;
        for (number, operation) in operations.iter().enumerate() {
            if let Some(difference) = self.step(&mut sides, *operation, patience) {
                return Ok(Some((number + 1, difference)));
            }
        }
        Ok(None)
    }

    /// Leaves out whatever can be left out, in pieces that grow smaller, with some difference still there at the end.
    fn shorten(
        &self,
        mut operations: Vec<Operation>,
        mut difference: String,
    ) -> io::Result<(Vec<Operation>, String)> {
        let mut piece = operations.len() / 2;
        let mut tries = 0;
        while piece > 0 {
            let mut at = 0;
            let before = operations.len();
            while at < operations.len() && tries < TRIES {
                tries += 1;
                let end = (at + piece).min(operations.len());
                let fewer = [&operations[..at], &operations[end..]].concat();
                match self.replay(&fewer, PATIENCE.1)? {
                    Some((length, found)) => {
                        operations = fewer;
                        operations.truncate(length);
                        difference = found;
                    }
                    None => at = end,
                }
            }
            if operations.len() == before || piece > 1 {
                piece /= 2;
            }
        }
        Ok((operations, difference))
    }
}
