//! [`Broken`]: a promise that was not kept.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use tidegate_core::trace::RecordedInput;

/// Something happened that must not: a law of the crate broken, or no end where there has to be one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    what: String,
    seed: u64,
    round: u64,
    /// What went in last, by the flight recorder.
    inputs: Vec<RecordedInput>,
}

impl Broken {
    pub(super) fn new(what: String) -> Self {
        Self {
            what,
            seed: 0,
            round: 0,
            inputs: Vec::new(),
        }
    }

    /// Where, and after what: the same seed leads there again.
    pub(super) fn at(
        self,
        seed: u64,
        round: u64,
        inputs: impl Iterator<Item = RecordedInput>,
    ) -> Self {
        Self {
            seed,
            round,
            inputs: inputs.collect(),
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
            inputs,
        } = self;
        write!(f, "seed {seed}, round {round}: {what}")?;
        if !inputs.is_empty() {
            f.write_str("\nthe last that went in:")?;
        }
        inputs.iter().try_for_each(|kept| write!(f, "\n  {kept}"))
    }
}

impl core::error::Error for Broken {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use tidegate_core::trace::Input;
    use tidegate_core::{Instant, Token};

    #[test]
    fn what_went_in_last_is_recorded() {
        let broken = Broken::new("a law".into());
        let kept = |nanos, input| RecordedInput {
            at: Instant::from_nanos(nanos),
            token: Token::NONE,
            input,
        };
        let inputs = [kept(1, Input::Pause), kept(2, Input::Stop)];
        let told = broken.at(3, 4, inputs.into_iter()).to_string();
        let inputs = "\n  0.000000001 - Pause\n  0.000000002 - Stop";
        assert_eq!(
            told,
            alloc::format!("seed 3, round 4: a law\nthe last that went in:{inputs}")
        );
    }
}
