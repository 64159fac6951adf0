//! A load generator for echo servers: one thread over epoll, every byte that comes back is compared.
//!
//! The bench runs it in its own process; `src/bin/load.rs` gives it a command line.

mod churn;
mod echo;
mod fair;
mod options;
mod pattern;
mod report;
pub mod usage;
mod window;

pub use echo::hold;
pub use options::{Options, USAGE, options};
pub use report::Report;

use core::fmt;
use core::net::SocketAddrV4;
use core::time::Duration;
use rustix::process::Pid;
use std::io;

/// What clients do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Traffic {
    /// Closed loops: each active connection has `in_flight` messages of `size` bytes on the way; a message that came
    /// back whole is followed by the next. The latency is that of a message.
    Echo {
        /// Connections that are open.
        connections: u32,
        /// Those of them that talk, spread over all.
        active: u32,
        /// Messages on the way, for each.
        in_flight: u32,
        /// Bytes of a message.
        size: u32,
    },
    /// So many clients at a time, each connects, has one message echoed and closes, then the next does. The latency is
    /// that of the whole exchange.
    Churn {
        /// Clients at a time.
        clients: u32,
        /// Bytes of a message.
        size: u32,
    },
    /// One client with one message of 64 bytes at a time, whose latency is measured, while `bulk` others stream.
    Fair {
        /// Clients that stream.
        bulk: u32,
        /// Messages on the way, for each of those.
        in_flight: u32,
        /// Bytes of a message of those.
        size: u32,
    },
}

/// What to do to which server, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub address: SocketAddrV4,
    /// What clients do.
    pub traffic: Traffic,
    /// Before anything is counted.
    pub warm_up: Duration,
    /// While everything is counted.
    pub window: Duration,
    /// The server's process, to read its CPU clock.
    pub server: Option<Pid>,
    /// How many addresses of the loopback to connect from, 127.0.0.2 and on, at most 250; 0 leaves the choice to the
    /// kernel. An address has about 28,000 ports.
    pub sources: u8,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// So many connections are open.
    Connected(u32),
    /// So much of warm-up and window is over.
    Elapsed(Duration),
}

/// Why there are no results.
#[derive(Debug)]
pub struct LoadError {
    what: &'static str,
    address: SocketAddrV4,
    cause: io::Error,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            address,
            cause,
        } = self;
        let advice = match cause
            .raw_os_error()
            .map(rustix::io::Errno::from_raw_os_error)
        {
            Some(rustix::io::Errno::CONNREFUSED) => "; start an echo server there first",
            Some(rustix::io::Errno::MFILE) => "; raise `ulimit -n`, or open fewer connections",
            Some(rustix::io::Errno::ADDRNOTAVAIL) => "; connect from more addresses: --sources 8",
            _ => "",
        };
        write!(f, "{what} {address}: {cause}{advice}")
    }
}

impl core::error::Error for LoadError {}

impl Plan {
    fn error(&self, what: &'static str) -> impl FnOnce(io::Error) -> LoadError {
        let address = self.address;
        move |cause| LoadError {
            what,
            address,
            cause,
        }
    }
}

/// Runs it, and calls `progress` at most about ten times a second.
///
/// # Errors
///
/// If connections cannot be made. What goes wrong later is counted in the report.
pub fn run(plan: &Plan, progress: &mut dyn FnMut(Progress)) -> Result<Report, LoadError> {
    usage::raise_descriptors();
    match plan.traffic {
        Traffic::Echo { .. } => echo::run(plan, progress),
        Traffic::Churn { clients, size } => churn::run(plan, clients, size, progress),
        Traffic::Fair {
            bulk,
            in_flight,
            size,
        } => {
            let traffic = Traffic::Echo {
                connections: bulk,
                active: bulk,
                in_flight,
                size,
            };
            fair::run(plan, traffic, progress)
        }
    }
}
