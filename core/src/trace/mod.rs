//! What went into the machine and what came out of it, as a list of [`Entry`]s: the flight recorder.
//!
//! Because the machine is pure, what went in is the whole story. There is one tap, in the session: each verb of the driver,
//! each call of the application and each answer passes it as an [`Entry`], so no driver needs to know, and a new event
//! or call is a new entry. From there it goes into the [`Recorder`], which is always on: the last few entries as
//! [`Mark`]s of 8 bytes, in memory that is part of every [`Table`](crate::Table) and [`Memory`](crate::Memory), without payload; with the
//! feature `small` there is none. What came in by the express
//! lane is one mark for the whole visit.
//!
//! Nothing is decided here, and nothing of it is read by the machine.

mod entry;
mod mark;
mod recorder;

pub use entry::{Call, Entry};
pub use mark::Mark;
pub use recorder::{MARKS, Recorder};
