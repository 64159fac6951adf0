//! [`Shrinker`]: leaves out what a failing scene can do without.

use super::Scene;
use super::parts::{CONFIG, LIMITS, Part, SETUP};
use super::peer::Step;
use crate::faults::{Faults, Taken};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

/// Runs after which the smallest so far has to do.
const RUNS: u32 = 20_000;
/// More steps than this are too many: what is left to chance may then fall otherwise.
const MANY: usize = 20;
/// Seeds that are tried then.
const SEEDS: u64 = 100;

pub(super) struct Shrinker<F> {
    /// The smallest that failed.
    best: Scene,
    fails: F,
    runs: u32,
    /// Other seeds may be tried.
    reseeds: bool,
}

impl<F: FnMut(&Scene) -> Option<Faults>> Shrinker<F> {
    pub(super) const fn new(scene: Scene, fails: F) -> Self {
        Self {
            best: scene,
            fails,
            runs: 0,
            reseeds: false,
        }
    }

    /// Until nothing can be left out any more.
    pub(super) fn shrink(mut self) -> Scene {
        // A random few faults are replaced by those that followed.
        let mut goes_on = self.attempt(self.best.clone());
        while goes_on {
            goes_on = self.leave_out(|scene| Some(&mut scene.scripts));
            goes_on |= self.leave_out(|scene| scene.setup.faults.named_mut());
            for number in 0..self.best.scripts.len() {
                goes_on |= self.leave_out(|scene| {
                    let script = scene.scripts.get_mut(number);
                    script.map(|script| &mut script.steps)
                });
                goes_on |= self.simplify_steps(number);
            }
            goes_on |= self.reset(SETUP, |scene| &mut scene.setup);
            goes_on |= self.reset(CONFIG, |scene| &mut scene.setup.config);
            goes_on |= self.reset(LIMITS, |scene| &mut scene.setup.limits);
            if !goes_on && !self.reseeds && self.best.steps() > MANY {
                self.reseeds = true;
                goes_on = true;
            }
        }
        self.best
    }

    /// Takes a candidate if it fails, too.
    fn attempt(&mut self, candidate: Scene) -> bool {
        let seeds = if self.reseeds { SEEDS } else { 0 };
        self.attempt_once(candidate.clone())
            || (0..seeds).any(|seed| {
                let mut candidate = candidate.clone();
                candidate.setup.seed = seed;
                self.attempt_once(candidate)
            })
    }

    fn attempt_once(&mut self, mut candidate: Scene) -> bool {
        if self.runs >= RUNS {
            return false;
        }
        self.runs += 1;
        let Some(faults) = (self.fails)(&candidate) else {
            return false;
        };
        let taken = faults.taken().iter();
        let taken: Vec<_> = taken.map(Taken::named).collect();
        candidate.setup.faults = if taken.is_empty() {
            Faults::none()
        } else {
            Faults::each(taken)
        };
        self.best = candidate;
        true
    }

    /// Leaves out parts of a list: the half of it, a quarter, at last one by one.
    fn leave_out<T>(&mut self, of: impl Fn(&mut Scene) -> Option<&mut Vec<T>>) -> bool {
        let len = |scene: &mut Scene| of(scene).map_or(0, |list| list.len());
        let mut any = false;
        let mut size = len(&mut self.best);
        while size > 0 {
            let mut at = 0;
            while at < len(&mut self.best) {
                let mut candidate = self.best.clone();
                if let Some(list) = of(&mut candidate) {
                    list.drain(at..list.len().min(at + size));
                }
                if self.attempt(candidate) {
                    any = true;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
        any
    }

    /// Makes the steps of a script smaller.
    fn simplify_steps(&mut self, number: usize) -> bool {
        let mut any = false;
        let mut at = 0;
        while let Some(step) = (self.best.scripts.get(number)).and_then(|it| it.steps.get(at)) {
            let taken = smaller(step).into_iter().any(|step| {
                let mut candidate = self.best.clone();
                let script = candidate.scripts.get_mut(number);
                if let Some(place) = script.and_then(|script| script.steps.get_mut(at)) {
                    *place = step;
                }
                self.attempt(candidate)
            });
            any |= taken;
            at += usize::from(!taken);
        }
        any
    }

    /// Resets settings to their defaults.
    fn reset<T: Default>(&mut self, parts: &[Part<T>], of: impl Fn(&mut Scene) -> &mut T) -> bool {
        let default = T::default();
        let mut any = false;
        for part in parts {
            let mut candidate = self.best.clone();
            let changed = of(&mut candidate);
            if (part.code)(changed) != (part.code)(&default) {
                (part.reset)(changed, &default);
                any |= self.attempt(candidate);
            }
        }
        any
    }
}

/// Smaller steps of the same kind, the smallest first.
fn smaller(step: &Step) -> Vec<Step> {
    match step {
        Step::Send(bytes) => {
            let shorter = fewer(bytes.len() as u64);
            let shorter = shorter.flat_map(|len| {
                let len = usize::try_from(len).unwrap_or(0);
                let (front, back) = (bytes.get(..len), bytes.get(bytes.len() - len..));
                [front, back].map(|part| Step::Send(part.unwrap_or_default().to_vec()))
            });
            let plain = vec![b'a'; bytes.len()];
            let plain = (*bytes != plain).then_some(Step::Send(plain));
            shorter.chain(plain).collect()
        }
        Step::Segments(n) => counts(*n, Step::Segments),
        Step::Expect(n) => counts(*n, Step::Expect),
        Step::Wait(length) => {
            let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
            let shorter = fewer(millis).map(Duration::from_millis);
            shorter.map(Step::Wait).collect()
        }
        Step::Urgent(_)
        | Step::Reading(_)
        | Step::Vanish
        | Step::Finish
        | Step::Reset
        | Step::Close => Vec::new(),
    }
}

fn counts(n: usize, step: impl Fn(usize) -> Step) -> Vec<Step> {
    let fewer = fewer(n as u64).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    fewer.map(step).collect()
}

/// Numbers from 1 on below `n`: half of it, three quarters, …, one less.
fn fewer(n: u64) -> impl Iterator<Item = u64> {
    let halves = core::iter::successors(Some(n / 2), |half| Some(half / 2));
    halves
        .take_while(|half| *half > 0)
        .map(move |half| n - half)
}
