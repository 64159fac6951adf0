//! The echo server of the README as a static program without std, libc and allocator: 127.0.0.1:8080, 64 connections.
//!
//! The linker options are in `.cargo/config.toml` beside it, so it is built from its own folder:
//!
//! ```text
//! cd linux/examples/bare && cargo build --release
//! ```
#![no_std]
#![no_main]

mod runtime;

use core::mem::ManuallyDrop;
use core::net::{Ipv4Addr, SocketAddr};
use static_cell::ConstStaticCell;
use tidegate::{Address, Config, Conn, Handler, Listen, Memory, PerSource, Server};

struct Echo;

impl Handler for Echo {
    type State = ();
    /// No code for connections that it would make.
    const CONNECTS: bool = false;
    /// Over the loopback all have one address, and nobody to share the slots with.
    const LIMITS_SOURCES: bool = false;
    /// Nobody asks for its last inputs.
    const RECORDS: bool = false;
    /// Its clients can connect again.
    const PATIENT: bool = false;
    /// It has no children, and passes no descriptor on.
    const SHARES_DESCRIPTORS: bool = false;

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let data = conn.data();
        let n = data.len().min(conn.capacity());
        if conn.send(&data[..n]).is_ok() {
            conn.consume(n);
        }
    }
}

/// For one listener; it has no free timers, streams, serial lines, destinations and Unix senders.
type EchoMemory = Memory<64, 1024, 4096, (), 1, 0, 0, 0, 0, 0>;
static MEMORY: ConstStaticCell<EchoMemory> = ConstStaticCell::new(EchoMemory::new());

/// Serves until an unrecoverable error; returns the exit code.
fn serve() -> u8 {
    // It stays where it is made: moved, it would take up the stack twice. The kernel closes what is open when the program ends.
    let mut made = ManuallyDrop::new(Server::new(MEMORY.take(), &Config::default(), Echo));
    let Ok(server) = &mut *made else {
        return 1;
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
    let listen = Listen {
        per_source: PerSource::Unlimited,
        // A peer on this machine does not vanish without a FIN.
        keepalive: None,
        ..Listen::on(Address::Inet(address))
    };
    if server.listen(&listen).is_err() {
        return 2;
    }
    match server.run() {
        Ok(()) => 0,
        Err(_) => 3,
    }
}
