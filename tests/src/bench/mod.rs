//! The bench: our program in its modes and other libraries, under the load generator, in rounds.
//!
//! | module | does |
//! | --- | --- |
//! | `surroundings` | a network of our own, pinning, what the machine is |
//! | `contenders`, `peers` | the contenders, and how they are started |
//! | `statistics` | medians, ranges, ratios inside a round, the order of contenders |
//! | `messages`, `connections`, `memory`, `fairness`, `fan_out`, `events` | what is measured |
//! | `tables`, `pictures` | Markdown and SVG |

mod connections;
mod contenders;
pub mod events;
mod fairness;
mod fan_out;
mod measure;
mod memory;
mod messages;
pub mod peers;
pub mod pictures;
pub mod statistics;
pub mod surroundings;
pub mod tables;

pub use measure::{Bench, Effort, Part};
pub use {
    connections::connections, events::events, fairness::fairness, fan_out::fan_out, memory::memory,
    messages::messages,
};
