//! [`Uses`]: what of the machine its owner may need, as types: what it does not need is neither linked nor run.

/// What may be needed. What each is, and what is lost without it, the constants of the same names of
/// [`Handler`](crate::Handler) say.
pub(crate) trait Uses {
    const LIMITS_SOURCES: bool = true;
    const RECORDS: bool = true;
    const SHARES_DESCRIPTORS: bool = true;
    const PATIENT: bool = true;
}

/// For a machine without a handler: everything.
pub(crate) struct Everything;

impl Uses for Everything {}
