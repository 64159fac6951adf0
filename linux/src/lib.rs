//! tidegate on Linux: epoll in, system calls out, and nothing else.
//!
//! This library brings the clock, the sockets and the readiness set to the pure machine of [`tidegate_core`]; every rule
//! is in there. A [`Server`] holds a [`Session`] in a [`Memory`] whose size is known when the program is compiled, and
//! calls your [`Handler`].
//!
//! ```no_run
//! use static_cell::ConstStaticCell;
//! use tidegate::{Address, Config, Conn, Handler, Listen, Memory, Server};
//!
//! struct Discard;
//!
//! impl Handler for Discard {
//!     type State = ();
//! }
//!
//! static MEMORY: ConstStaticCell<Memory<64, 1024, 4096>> = ConstStaticCell::new(Memory::new());
//!
//! let mut server = Server::new(MEMORY.take(), &Config::default(), Discard)?;
//! server.listen(&Listen::on(Address::Inet("127.0.0.1:9000".parse()?)))?;
//! server.run()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Embedding
//!
//! [`Server::run`] owns its thread. In another loop, wait until the server's descriptor (it is [`AsFd`]) is readable or
//! [`Server::next`] has come, then call [`Server::turn`] with a zero wait.
//!
//! # Features
//!
//! - `std` (default): the program, not this library, which is `no_std` either way.
//! - `use-libc`: system calls through libc instead of directly.
//! - `small`: less code and less stack, for some speed.
//! - `cobs`: framing with COBS.
//! - `embedded-io`: the traits of that crate for a connection.
//! - `log`, `defmt`: where the core logs to.
//!
//! [`AsFd`]: rustix::fd::AsFd
#![no_std]

#[cfg(test)]
extern crate std;

mod adopt;
pub mod backend;
mod child;
mod clock;
mod driver;
pub mod errno;
mod error;
mod listen;
mod memory;
mod socket;
mod sockets;
mod stop;
mod wake;
mod watch;

pub use adopt::AdoptError;
pub use child::{Child, Exit};
pub use driver::Server;
pub use error::{CallError, StartError};
pub use listen::{Address, Keepalive, Listen, ListenError, PerSource};
pub use memory::Memory;
pub use rustix::io::Errno;
pub use stop::StopHandle;
#[cfg(feature = "embedded-io")]
pub use tidegate_core::IoError;
pub use tidegate_core::framing;
pub use tidegate_core::{
    Class, Config, ConfigError, Conn, Connections, Directions, Escaped, Fault, FullTable, Handler,
    Info, Instant, LISTENERS, NoTimer, Notice, Peer, Reason, Round, SendError, Session, Stats,
    TIMERS, Token, Trigger, Windows,
};
pub use wake::{Mailbox, Waker};
pub use watch::WatchError;

/// The code in the README is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
