//! A bridge between TCP and a serial line, as ser2net is one. `cargo run -p linux --example serial_bridge -- --help`
//!
//! What there is to learn:
//!
//! - A serial line is a connection like any other: it is connected to, opened, readable, closed. Only what to connect to is
//!   made in another way ([`Server::serial`]).
//! - One client at a time. A line has one wire for each direction: data of two clients would mix on it, and a reply
//!   would be for neither. A second client is reset at once, or takes over: an option.
//! - A client's EOF is not the end of the device's reply: both may be silent for a while before the client is closed.
//! - A client is there only while the line is. Were it kept waiting for a line that is gone, its data would come out of
//!   the line when that is back, minutes later, at a machine. So the end of the line is the client's end, too.
//! - Nothing is buffered beyond the two windows. What one side cannot take stays in the window of the other, which is
//!   paused: a client is then held by TCP's flow control, a line by its own, if it has any.
//! - A line that is gone (an adapter that was unplugged) is opened again after waits that double, with jitter
//!   ([`Backoff`](tidegate::Backoff)).
//! - A handler has connections, not descriptors. What is to be done to the line itself (its settings, a break) it
//!   queues, and that is done between two iterations of the loop ([`Server::line`]): see `work.rs`.
//! - A protocol of the wire (`telnet.rs`, `rfc2217.rs`) is best kept pure: bytes in, values out, tested byte by byte.

extern crate alloc;

#[path = "../common/mod.rs"]
#[expect(
    dead_code,
    reason = "the loop is ours: `serve` is for those who have none"
)]
mod common;

mod bridge;
mod options;
mod port;
mod rfc2217;
mod telnet;
mod work;

use bridge::Bridge;
use common::Failure;
use options::Options;
use static_cell::ConstStaticCell;
use tidegate::{Address, Memory, Serial, Server};

/// Bytes of a send window.
const SEND: usize = 16_384;

// The line, a client, and a few that are being refused, with 4 KiB to receive and 16 KiB to send each.
type BridgeMemory = Memory<8, 4096, SEND>;
const _: () = assert!(BridgeMemory::SIZE <= 192 * 1024);
static MEMORY: ConstStaticCell<BridgeMemory> = ConstStaticCell::new(BridgeMemory::new());

fn main() -> Result<(), Failure> {
    let options = Options::read()?;
    let (path, common) = (&options.device, &options.common);
    if options.check {
        common::say(format_args!("{path}: {}", options::shown(&options.line)));
        return Ok(());
    }
    let bridge = Bridge::new(path, options.line, options.rules);
    let mut server = Server::new(MEMORY.take(), &common.config, bridge)?;
    common::take_signals(&mut server)?; // before the address is printed
    let line = Serial {
        path,
        ..options.line
    };
    let device = server
        .serial(&line)
        .map_err(|why| format!("{path}: {why}"))?;
    for text in &options.rfc2217 {
        let address = Address::parse(text)?;
        let opened = server.listen(&common.listener(address));
        let (token, chosen) = opened.map_err(|why| format!("cannot listen on {text}: {why}"))?;
        let telnet = &mut server.handler_mut().telnet;
        telnet.push(token.index());
        common::say(format_args!(
            "rfc2217 listening on {}",
            chosen.map_or(address, Address::Inet)
        ));
    }
    server.handler_mut().device = device;
    server.connect(device)?;
    common::serve_by(&mut server, common, work::iterate)
}
