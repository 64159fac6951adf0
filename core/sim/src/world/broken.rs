//! [`Broken`]: a promise that was not kept.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use tidegate_core::trace::Mark;

/// Something happened that must not: a law of the crate broken, or no end where there has to be one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    what: String,
    seed: u64,
    round: u64,
    /// What went in last, by the flight recorder.
    marks: Vec<Mark>,
}

impl Broken {
    pub(super) fn new(what: String) -> Self {
        Self {
            what,
            seed: 0,
            round: 0,
            marks: Vec::new(),
        }
    }

    /// Where, and after what: the same seed leads there again.
    pub(super) fn at(self, seed: u64, round: u64, marks: impl Iterator<Item = Mark>) -> Self {
        Self {
            seed,
            round,
            marks: marks.collect(),
            ..self
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            seed,
            round,
            marks,
        } = self;
        write!(f, "seed {seed}, round {round}: {what}")?;
        if !marks.is_empty() {
            f.write_str("\nthe last that went in:")?;
        }
        marks.iter().try_for_each(|mark| write!(f, "\n  {mark}"))
    }
}

impl core::error::Error for Broken {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use tidegate_core::trace::Entry;

    #[test]
    fn what_went_in_last_is_told() {
        let broken = Broken::new("a law".into());
        let marks = [1, 2].map(|nanos| Mark::of(&Entry::Time(nanos)));
        let told = broken.at(3, 4, marks.into_iter()).to_string();
        let marks = "\n  +0.000000001 s\n  +0.000000002 s";
        assert_eq!(
            told,
            alloc::format!("seed 3, round 4: a law\nthe last that went in:{marks}")
        );
    }
}
