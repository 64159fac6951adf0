//! Tables: what each part makes of what clients, proxies and attackers send.

mod content;
mod heads;
mod targets;
