//! The bodies of the fuzz targets and what the tests share. A target is three lines; a test replays its corpus.

extern crate alloc;

mod dispatch;

pub use dispatch::dispatch;
