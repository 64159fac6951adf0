//! The application's timers.

pub(crate) mod heap;
