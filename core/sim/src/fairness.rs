//! [`Fairness`]: no source that waits is overtaken for longer than the machine promises.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use tidegate_core::inspect::RUN_QUEUES;
use tidegate_core::{Dispatcher, Token};

/// Indices in [`RUN_QUEUES`].
const FIRST: usize = 0;
const FRESH: usize = 1;
const CONTINUING: usize = 2;

/// Watches who is serviced before whom: the law behind the bound of
/// [`Dispatcher::poll_output`](tidegate_core::Dispatcher::poll_output), counted in services.
///
/// - Within a queue the order is that in which they came.
/// - Of the fresh, one that waits is passed by one of the other kind, with priority or without, at most once before one of its
///   own is serviced.
/// - One that is continuing is passed by at most
///   [`fresh_in_a_row`](tidegate_core::Config::fresh_in_a_row) fresh ones before one of its own is serviced, from the first
///   iteration on that began with it.
#[derive(Clone, Debug, Default)]
pub struct Fairness {
    /// Those that wait.
    waits: Vec<Wait>,
    /// [`Dispatcher::services`] when it was called last.
    services: [u32; 3],
}

/// A source that waits.
#[derive(Clone, Copy, Debug)]
struct Wait {
    token: Token,
    queue: usize,
    /// How many of its queue are in front of it.
    ahead: u32,
    /// How many of others have passed it since one of its own queue was serviced.
    passed: u32,
    /// The iteration in which it was queued.
    iteration: u32,
}

impl Fairness {
    /// Looks at the queues: to be called after each call into the machine.
    ///
    /// # Errors
    ///
    /// The source that waits too long, in words.
    pub fn observe(&mut self, machine: &Dispatcher<'_>) -> Result<(), String> {
        let services = machine.services();
        let mut since = [0; 3];
        for (at, since) in since.iter_mut().enumerate() {
            *since = services[at].wrapping_sub(self.services[at]);
        }
        let mut ahead = [0; 3];
        let mut waits = Vec::with_capacity(self.waits.len());
        for (token, queue) in machine.waiting() {
            let before = ahead[queue];
            ahead[queue] += 1;
            let mut known = self.waits.iter();
            let known = known.find(|wait| wait.token == token && wait.queue == queue);
            // It may have been serviced itself, and be queued anew.
            let wait = match known.filter(|wait| since[queue] <= wait.ahead) {
                Some(wait) => wait.goes_on(before, since, machine)?,
                None => Wait {
                    token,
                    queue,
                    ahead: before,
                    passed: 0,
                    iteration: machine.iterations(),
                },
            };
            waits.push(wait);
        }
        (self.waits, self.services) = (waits, services);
        Ok(())
    }
}

impl Wait {
    /// The same source later, with so many `ahead` of it, after so many services of each queue.
    fn goes_on(
        self,
        ahead: u32,
        since: [u32; 3],
        machine: &Dispatcher<'_>,
    ) -> Result<Self, String> {
        let Self { token, queue, .. } = self;
        if ahead + since[queue] > self.ahead {
            let (name, now) = (RUN_QUEUES[queue], ahead + since[queue]);
            let before = self.ahead;
            return Err(format!(
                "{token:?} is overtaken among the {name}: {before} were ahead of it, {now} are now"
            ));
        }
        let (others, most) = match queue {
            FIRST => (since[FRESH], 1),
            FRESH => (since[FIRST], 1),
            _ => (since[FIRST] + since[FRESH], machine.fresh_in_a_row()),
        };
        let counts = queue != CONTINUING || self.iteration != machine.iterations();
        let passed = match since[queue] {
            0 if counts => self.passed + others,
            _ => 0,
        };
        if passed > most {
            let name = RUN_QUEUES[queue];
            return Err(format!(
                "{token:?} of the {name} was passed by {passed} of others, {most} may"
            ));
        }
        Ok(Self {
            ahead,
            passed,
            ..self
        })
    }
}
