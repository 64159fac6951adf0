//! A simulated kernel, for testing what runs on a real one: without a socket, without a clock, without a thread.
//!
//! [`Kernel`] is a model of the calls that a driver makes: streams (TCP and Unix) with half-close, reset, urgent mark
//! and buffers that fill; listeners with a backlog; epoll sets with level, edge and one-shot triggering and one ready
//! list, first in, first out; descriptors that are copied, closed and used again, the lowest first. It is compared with
//! Linux: the program `differ` makes the same random calls on both and compares every result and the order of every
//! event.
//!
//! [`Faults`] makes calls fail: one that is named, or a random few of a mixture that its seed chooses.
//!
//! [`World`] runs a [`Session`](tidegate_core::Session) with a handler of your own over it, with scripted peers, in a
//! time that jumps: start there to test a handler.
//!
//! It allocates: a crate for `dev-dependencies`. It is built on public interfaces of the core, so what holds for a
//! handler here holds under any driver.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod datagram_state;
mod documented;
mod driver;
mod fairness;
mod faults;
mod flags;
mod kernel;
mod laws;
mod line_state;
mod random;
mod socket_state;
mod world;

pub use datagram_state::DatagramState;
pub use fairness::Fairness;
pub use faults::{Call, Fault, Faults, Taken};
pub use flags::EpollFlags;
pub use kernel::{
    DatagramEndpoint, Endpoint, Family, Fd, Interest, Kernel, Letter, Limits, Received, Report,
    Route, Shutdown, State, asked,
};
pub use laws::{Held, check_laws};
pub use line_state::LineState;
pub use random::Random;
pub use socket_state::SocketState;
pub use tidegate_core::errno::Errno;
pub use world::{Broken, End, Interface, Peer, PeerId, Scene, Script, Setup, Told, World};
