//! What went into the machine and what came out of it, as a list of [`Entry`]s: the flight recorder, and the full trace.
//!
//! Because the machine is pure, what went in is the whole story. There is one tap, in the session: each verb of the
//! driver, each call of the application and each completion passes it as an [`Entry`], so no driver needs to know, and
//! a new event or call is a new entry. From there it goes into
//!
//! - the flight recorder, which is always on: the last [`RECORDED`] [`Input`]s as they are, with their time and their source,
//!   in memory that is part of every [`Table`](crate::Table) and [`Memory`](crate::Memory), without payload. Nothing is
//!   translated, and no text made, before it is read: [`Dispatcher::last_inputs`](crate::Dispatcher::last_inputs),
//!   [`Conn::last_inputs`](crate::Conn::last_inputs).
//! - with the feature `trace`, a function that is given to `Session::record_to`: every entry, with the payload. The
//!   bytes of an entry (`encode`, `decode`) are the same on every machine.
//!
//! To replay a trace, its inputs are given to a session with the same configuration, handler and capacities
//! (`Session::restrict`), whose own entries must be those of the trace, one by one. Where payload was left out, the calls
//! in the trace stand in for the handler.
//!
//! Nothing is decided here, and nothing of it is read by the machine.

mod entry;
#[cfg(feature = "trace")]
mod format;
mod input;
mod recorder;

pub use entry::{Detail, Entry, hash};
#[cfg(feature = "trace")]
pub use format::{DecodeError, MAGIC, decode, encode};
pub use input::{Input, RecordedInput};
pub use recorder::RECORDED;
pub(crate) use recorder::Recorder;
