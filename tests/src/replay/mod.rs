//! Traces of the program ([`tidegate_core::trace`]): read, replayed, explained in words, drawn.
//!
//! A replay gives what went in to a session of the same configuration and handler. That session is recorded, too, and each
//! of its entries must be the next one of the trace: the first that is not ends the replay, and both are shown.

mod command;
mod picture;
mod scene;
mod script;
mod session;
mod tape;
mod words;

pub use command::main;
pub use picture::{Picture, Row, Slice};
pub use scene::{to_corpus, to_test};
pub use session::{Replayed, replay, replay_seen};
pub use tape::{Divergence, Tape};
pub use words::{Explainer, about, words};

/// The program's own services, and what they print to.
#[path = "../../../linux/src/program/services.rs"]
#[expect(dead_code, reason = "the program's file: not all of it is used here")]
mod services;

/// In place of the program's standard output: what a service prints is not part of a trace.
mod lines {
    use core::fmt;

    /// Takes lines, and forgets them.
    #[derive(Debug)]
    pub(super) struct Sink;

    pub(super) static OUTPUT: Sink = Sink;

    impl Sink {
        #[expect(clippy::unused_self, reason = "as the program's")]
        pub(super) fn line(&self, _: fmt::Arguments<'_>) {}
    }
}
