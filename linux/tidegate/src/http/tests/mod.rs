//! Tables: what each part makes of what clients, proxies and attackers send.

extern crate alloc;

mod content;
mod heads;
mod targets;
