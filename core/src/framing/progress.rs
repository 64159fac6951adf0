//! [`Progress`]: what is remembered of an incomplete message.

use super::delimiter::Scan;
use super::gap::Gap;
use super::length::Skip;

/// What the decoders of this module remember of an incomplete message: (part of) the state of each connection, in 16
/// bytes. The default is the start of a message.
///
/// It belongs to one decoder: set it to the default before another uses it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Progress(Kept);

const _: () = assert!(size_of::<Progress>() == 16, "as its documentation says");

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Kept {
    #[default]
    Nothing,
    Scan(Scan),
    Skip(Skip),
    Gap(Gap),
}

impl Progress {
    pub(super) fn scan(self) -> Scan {
        match self.0 {
            Kept::Scan(scan) => scan,
            Kept::Nothing | Kept::Skip(_) | Kept::Gap(_) => Scan::default(),
        }
    }

    pub(super) fn skip(self) -> Skip {
        match self.0 {
            Kept::Skip(skip) => skip,
            Kept::Nothing | Kept::Scan(_) | Kept::Gap(_) => Skip::default(),
        }
    }

    pub(super) fn gap(self) -> Gap {
        match self.0 {
            Kept::Gap(gap) => gap,
            Kept::Nothing | Kept::Scan(_) | Kept::Skip(_) => Gap::default(),
        }
    }
}

impl From<Scan> for Progress {
    fn from(scan: Scan) -> Self {
        Self(Kept::Scan(scan))
    }
}

impl From<Skip> for Progress {
    fn from(skip: Skip) -> Self {
        Self(Kept::Skip(skip))
    }
}

impl From<Gap> for Progress {
    fn from(gap: Gap) -> Self {
        Self(Kept::Gap(gap))
    }
}
