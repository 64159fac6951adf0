//! tidegate on Linux: the only system calls.
#![no_std]
#![cfg_attr(not(test), deny(clippy::std_instead_of_core))]

#[cfg(test)]
extern crate std;

mod backend;
mod clock;
mod driver;
pub mod errno;
mod listen;
mod memory;
mod socket;
mod stop;

pub use driver::{Server, StartError};
pub use listen::{Address, Keepalive, Listen, ListenError, PerSource};
pub use memory::Memory;
pub use rustix::io::Errno;
pub use stop::StopHandle;
pub use tidegate_core::{
    Class, Config, ConfigError, Conn, FullTable, Handler, Info, Instant, Notice, Peer, Reason,
    SendError, Session, Stats, Token, Trigger, Windows,
};
