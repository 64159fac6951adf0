//! Placeholder
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

#[cfg(test)]
extern crate std;

mod config;
mod directions;
mod dispatcher;
mod event;
mod log;
mod output;
mod queue;
mod slot;
mod stats;
mod table;
mod time;
mod token;

pub use config::{Class, Config, ConfigError, FullTable, LISTENERS, OPERATION_MIN, Windows};
pub use directions::{Directions, Trigger, awaited, issue};
pub use dispatcher::listener::ListenersFull;
pub use dispatcher::{Dispatcher, calls::Info};
pub use event::{Event, Fault, FaultKind, Op, Outcome, Peer};
pub use output::{Action, Notice, Reason, Span};
pub use stats::Stats;
pub use table::Table;
pub use time::Instant;
pub use token::Token;
mod session;
pub use session::{Conn, Handler, Memory, SendError, Session};

/// For drivers: the fixed-capacity vectors that the tables are made of, to keep descriptors in beside them.
pub use heapless;
