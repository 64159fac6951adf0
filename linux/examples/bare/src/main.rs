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

use core::net::{Ipv4Addr, SocketAddr};
use static_cell::ConstStaticCell;
use tidegate::{Address, Config, Conn, Handler, Listen, Memory, Server};

struct Echo;

impl Handler for Echo {
    type State = ();
    /// No code for connections that it would make.
    const CONNECTS: bool = false;

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let data = conn.data();
        let n = data.len().min(conn.room());
        if conn.send(&data[..n]).is_ok() {
            conn.consume(n);
        }
    }
}

static MEMORY: ConstStaticCell<Memory<64, 1024, 4096>> = ConstStaticCell::new(Memory::new());

/// Serves until an unrecoverable error; returns the exit code.
fn serve() -> u8 {
    // It stays where it is made: moved, it would take up the stack twice.
    let mut made = Server::new(MEMORY.take(), &Config::default(), Echo);
    let Ok(server) = &mut made else {
        return 1;
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
    if server.listen(&Listen::on(Address::Inet(address))).is_err() {
        return 2;
    }
    match server.run() {
        Ok(()) => 0,
        Err(_) => 3,
    }
}
