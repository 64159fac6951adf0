//! A bridge between TCP and a serial line, as ser2net is one. `cargo run -p linux --example serial_bridge -- --help`
//!
//! What there is to learn:
//!
//! - A serial line is a connection like any other: it is connected to, opened, readable, closed. Only what to connect to is
//!   made in another way ([`Server::serial`]).
//! - One client at a time. A line has one wire for each way: what two clients say would mix on it, and an answer would be
//!   for neither. Who comes when somebody is there is turned away at once, rather than left to wait for nobody knows what.
//! - A client is there only while the line is. Were it kept waiting for a line that is gone, what it said would come out of
//!   the line when that is back, minutes later, at a machine. So the end of the line is the client's end, too.
//! - Nothing is buffered beyond the two windows. What one side cannot take stays in the window of the other, which is
//!   paused: a client is held back by TCP then, a line by its flow control, if it has any.
//! - A line that is gone (an adapter that was pulled out) is opened anew, with waits that double, and that chance makes
//!   unequal ([`Backoff`]).

mod common;

use common::{Common, Failure};
use core::fmt::Display;
use core::hash::BuildHasher;
use core::time::Duration;
use lexopt::ValueExt;
use static_cell::ConstStaticCell;
use std::hash::RandomState;
use std::io::Write;
use tidegate::{
    Backoff, Bits, Config, Conn, Connections, Destination, Flow, FullTable, Handler, Memory,
    Parity, PerSource, Reason, Serial, Server, Token,
};

const HELP: &str = "\
Usage: serial_bridge --device PATH [OPTION]...
Passes bytes on between a serial line and one TCP client at a time, in memory of a fixed size. The line is opened again when
it comes back. No encryption: for this machine, or a trusted network.

  --device PATH   the line: /dev/ttyS0, /dev/serial/by-id/...
  --speed N       bits per second [9600]
  --format TEXT   bits, parity (N, E, O) and stop bits of a character [8N1]
  --flow WHAT     flow control: none, hardware (RTS/CTS) or software (XON/XOFF) [none]
  --listen ADDR   IP:PORT, [IPV6]:PORT, unix:/path or unix:@name; may be given several times [127.0.0.1:8080]
{common}

Try it: socat PTY,link=/tmp/line,raw,echo=0 - & serial_bridge --device /tmp/line & nc 127.0.0.1 8080
";

/// The timer that opens the line again.
const AGAIN: u32 = 0;

struct Bridge {
    device: Destination,
    path: String,
    line: Option<Token>,
    client: Option<Token>,
    backoff: Backoff,
}

impl Handler for Bridge {
    type State = ();

    fn opened(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let token = conn.token();
        if conn.info().outbound {
            self.line = Some(token);
            self.backoff.reset();
            self.say(&"open");
        } else if self.line.is_none() || self.client.is_some() {
            conn.abort();
        } else {
            self.client = Some(token);
        }
    }

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        match self.other(conn) {
            Some(to) => pass_on(conn, to),
            // The line speaks, and nobody is there.
            None => conn.consume(conn.data().len()),
        }
    }

    /// There is room again: the other one has something left for us.
    fn writable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let to = conn.token();
        if let Some(other) = self.other(conn) {
            conn.lend(other, |from| pass_on(from, to));
        }
    }

    fn closed(&mut self, conn: &mut Conn<'_>, (): &mut (), reason: Reason) {
        if conn.info().outbound {
            self.line = None;
            if let Some(client) = self.client {
                conn.lend(client, |client| client.finish());
            }
            self.say(&format_args!("closed: {reason}"));
            self.try_again(conn.all());
        } else if self.client == Some(conn.token()) {
            self.client = None;
            if let Some(line) = self.line {
                // It may have been held back for the client.
                conn.lend(line, |line| {
                    line.consume(line.data().len());
                    line.resume();
                });
            }
        }
    }

    fn tick(&mut self, all: &mut Connections<'_>, _: u32, _: u64) {
        // All places are taken by those who are being turned away.
        if let Err(error) = all.connect(self.device) {
            self.say(&error);
            self.try_again(all);
        }
    }
}

impl Bridge {
    /// Who is at the other side.
    fn other(&self, conn: &Conn<'_>) -> Option<Token> {
        if self.line == Some(conn.token()) {
            self.client
        } else {
            self.line
        }
    }

    fn try_again(&mut self, all: &mut Connections<'_>) {
        // Keys that are new each time, from the system: as random as this needs to be.
        let wait = self.backoff.next(RandomState::new().hash_one(()));
        let _ = all.set_timer(AGAIN, wait); // there are more than one
    }

    fn say(&self, what: &dyn Display) {
        // If nobody hears it, the bridge goes on all the same.
        let _ = writeln!(std::io::stdout(), "{}: {what}", self.path);
    }
}

/// Passes on what was received to `to`, as far as there is room. The rest stays where it is, and no more is received,
/// until `to` tells that there is room.
fn pass_on(from: &mut Conn<'_>, to: Token) {
    let data = from.data();
    let sent = from.lend(to, |to| {
        let n = data.len().min(to.room());
        let sent = to.send(&data[..n]).map_or(0, |()| n);
        to.want_room(data.len() - sent);
        sent
    });
    from.consume(sent.unwrap_or(0));
    if from.data().is_empty() {
        from.resume();
    } else {
        from.pause();
    }
}

// The line, a client, and a few who are being turned away, with 4 KiB to receive and 16 KiB to send each.
type BridgeMemory = Memory<8, 4096, 16_384>;
const _: () = assert!(BridgeMemory::SIZE <= 192 * 1024);
static MEMORY: ConstStaticCell<BridgeMemory> = ConstStaticCell::new(BridgeMemory::new());

fn main() -> Result<(), Failure> {
    // Both may be silent for long. Whether a client is still there is asked by keepalives.
    let config = Config {
        first_byte: None,
        idle: None,
        // Who is silent listens to the line; who has ended does not need its slot.
        full: FullTable::EvictHalfClosed,
        ..Config::default()
    };
    let common = Common {
        per_source: PerSource::Unlimited,
        ..Common::new("127.0.0.1:8080", config)
    };
    let (mut device, mut line) = (None, Serial::at(""));
    let common = common::arguments(HELP, common, |name, arguments| {
        match name {
            "device" => device = Some(arguments.value()?.string()?),
            "speed" => line.speed = arguments.value()?.parse()?,
            "format" => arguments
                .value()?
                .parse_with(|text| format(&mut line, text))?,
            "flow" => line.flow = arguments.value()?.parse_with(flow)?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    let path = device.ok_or("--device is missing; --help lists the options")?;
    line.path = &path;
    let bridge = Bridge {
        device: Destination::Registered(u32::MAX), // until it is known
        path: path.clone(),
        line: None,
        client: None,
        backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
    };
    let mut server = Server::new(MEMORY.take(), &common.config, bridge)?;
    let device = server
        .serial(&line)
        .map_err(|why| format!("{path}: {why}"))?;
    server.session_mut().handler_mut().device = device;
    server.connect(device)?;
    common::serve(&mut server, &common)
}

/// Takes `8N1` apart.
fn format(line: &mut Serial<'_>, text: &str) -> Result<(), &'static str> {
    let mut letters = text.chars();
    line.bits = match letters.next() {
        Some('5') => Bits::Five,
        Some('6') => Bits::Six,
        Some('7') => Bits::Seven,
        Some('8') => Bits::Eight,
        _ => return Err("it begins with the number of bits, 5 to 8"),
    };
    line.parity = match letters.next() {
        Some('N' | 'n') => Parity::None,
        Some('E' | 'e') => Parity::Even,
        Some('O' | 'o') => Parity::Odd,
        _ => return Err("the parity is N, E or O"),
    };
    line.two_stop_bits = match letters.as_str() {
        "1" => false,
        "2" => true,
        _ => return Err("it ends with the number of stop bits, 1 or 2"),
    };
    Ok(())
}

fn flow(text: &str) -> Result<Flow, &'static str> {
    match text {
        "none" => Ok(Flow::None),
        "hardware" => Ok(Flow::Hardware),
        "software" => Ok(Flow::Software),
        _ => Err("it is none, hardware or software"),
    }
}
