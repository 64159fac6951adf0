//! [`Broken`]: a promise that was not kept.

use alloc::string::String;
use core::fmt;

/// Something happened that must not: a law of the crate broken, or no end where there has to be one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    what: String,
    seed: u64,
    round: u64,
}

impl Broken {
    pub(super) const fn new(what: String) -> Self {
        Self {
            what,
            seed: 0,
            round: 0,
        }
    }

    /// Where: the same seed leads there again.
    pub(super) fn at(self, seed: u64, round: u64) -> Self {
        Self {
            seed,
            round,
            ..self
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, seed, round } = self;
        write!(f, "seed {seed}, round {round}: {what}")
    }
}

impl core::error::Error for Broken {}
