//! tidegate on Linux: epoll in, system calls out, and nothing else.
//!
//! This library brings the clock, the sockets and the readiness set to the pure machine of [`tidegate_core`], which
//! contains every rule. A [`Server`] holds a [`Session`] in a [`Memory`] whose size is known when the program is
//! compiled, and calls your [`Handler`].
//!
//! ```no_run
//! use static_cell::ConstStaticCell;
//! use tidegate::{Config, Conn, Handler, Listen, Memory, Server};
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
//! server.listen(&Listen::on("127.0.0.1:9000".try_into()?))?;
//! server.run()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Beside connections
//!
//! - Timers: each connection has one ([`Conn::set_timer`]), and there are 16 free ones by default ([`Memory`]),
//!   one-shot or periodic ([`Server::connections`], [`Connections::set_interval`]). None is early, none is lost, and
//!   there are no ticks.
//! - Any descriptor that can be waited for ([`Server::watch`]): a GPIO line, inotify, a foreign library's.
//! - Other threads and signal handlers ([`Waker`], [`Mailbox`]), and children that end ([`Child`]): descriptors, too.
//! - Serial lines ([`Server::serial`]), and pipes and terminals that are open already ([`Server::attach`]): connections like
//!   any other, to a handler.
//! - A listener that must respond when the table is full has reserved slots ([`Listen::reserved`]), and is serviced
//!   before others that are ready ([`Listen::priority`]).
//!
//! Ticks of a periodic timer, and values from a thread:
//!
//! ```
//! use core::time::Duration;
//! use tidegate::{Config, Connections, Directions, Handler, Mailbox, Memory, Server, Token};
//!
//! const BEAT: u32 = 0; // the number of a free timer
//!
//! struct Meter<'a> {
//!     readings: &'a Mailbox<u32, 8>,
//!     last: u32,
//!     beats: u64,
//! }
//!
//! impl Handler for Meter<'_> {
//!     type State = ();
//!     fn ready(&mut self, all: &mut Connections<'_>, _: Token, _: Directions) {
//!         self.readings.take(|reading| self.last = reading);
//!         all.send_all(&self.last.to_be_bytes());
//!     }
//!     fn tick(&mut self, _: &mut Connections<'_>, _: u32, periods: u64) {
//!         self.beats += periods;
//!     }
//! }
//!
//! let readings = Mailbox::new()?;
//! let mut memory = Memory::<4, 64, 64>::new();
//! let meter = Meter { readings: &readings, last: 0, beats: 0 };
//! let mut server = Server::new(&mut memory, &Config::default(), meter)?;
//! server.watch(&readings, Directions::READ)?;
//! server.connections().set_interval(BEAT, Duration::from_millis(1))?;
//! std::thread::scope(|threads| {
//!     threads.spawn(|| readings.send(230));
//!     while server.session().handler().last != 230 || server.session().handler().beats < 3 {
//!         server.turn(None)?;
//!     }
//!     Ok::<(), tidegate::Error>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Embedding
//!
//! [`Server::run`] owns its thread. In another loop, wait until the server's descriptor (it is [`AsFd`]) is readable or
//! [`Server::next`] has come, then call [`Server::turn`] with a zero timeout.
//!
//! # Features
//!
//! - `std` (default): [`signals`], and the descriptors of `std` for what is watched, adopted or attached. All else is `no_std`
//!   with or without it.
//! - `http`: requests and responses of HTTP/1.1, for status pages (module `http`). Sets `std`.
//! - `use-libc`: system calls through libc instead of directly.
//! - `libc-auxv`: the auxiliary vector from libc, so that valgrind can run it.
//! - `cobs`: framing with COBS.
//! - `embedded-io`: the traits of that crate for a connection.
//! - `trace`: everything that goes in and comes out, to be recorded and replayed (`Server::record_to`).
//! - `log`, `defmt`: where the core logs to; with both, `defmt`. Without either, the default, it logs nothing.
//!
//! [`AsFd`]: rustix::fd::AsFd
#![no_std]

#[cfg(any(test, feature = "std"))]
extern crate std;

mod address;
mod adopt;
mod alive;
pub mod backend;
mod call;
mod child;
mod clock;
mod connect;
mod datagram;
mod driver;
pub mod errno;
mod error;
#[cfg(feature = "http")]
pub mod http;
mod inherit;
mod listen;
mod local;
mod memory;
mod option;
mod retry;
mod seed;
mod serial;
#[cfg(feature = "std")]
pub mod signals;
mod socket;
mod socket_file;
mod sockets;
mod stop;
mod stream;
mod wake;
mod watch;

pub use address::{Address, AddressError, AddressFault, parse_host};
pub use child::{Child, Exit};
pub use connect::Connect;
pub use datagram::{Datagrams, Group};
pub use driver::{Server, SessionMut};
pub use error::Error;
pub use listen::{Keepalive, Listen, PerSource};
pub use memory::{AnyMemory, Memory};
pub use retry::{Listening, Retry, Source};
pub use rustix::io::Errno;
pub use serial::{Bits, Counts, Flow, Line, Modem, Parity, Rs485, Serial};
pub use socket_file::SocketFile;
pub use stop::StopHandle;
pub use tidegate_core::framing;
pub use tidegate_core::trace;
pub use tidegate_core::{
    Backoff, Block, Class, Config, ConfigError, Conn, Connections, Datagram, DatagramMemory,
    Destination, Directions, Escaped, Fault, FullTable, Handler, Ignored, Info, Instant, Local,
    Notice, Peer, Reason, Round, SendError, Session, Sources, Stats, Token, Trigger, Unavailable,
    Windows,
};
pub use wake::{Mailbox, Waker};
