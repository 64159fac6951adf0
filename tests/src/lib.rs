//! The bodies of the fuzz targets and what the tests share. A target is three lines; a test replays its corpus.

extern crate alloc;

pub mod bounded;
mod dispatch;
pub mod net;
pub mod process;
pub mod server;

pub use dispatch::dispatch;
