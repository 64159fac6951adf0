//! A Modbus/TCP slave with registers of its own. `cargo run -p linux --example modbus_tcp -- --help`
//!
//! A Modbus master sends a request, and waits for the response; or it sends several at once; or a network cuts one in
//! the middle. A server in C that takes one `read()` for one request works on the bench and fails in the field. Here
//! the length in each request's head marks its end ([`LengthPrefix`]), whatever `read()` returned.
//!
//! A request is executed in `pdu.rs`, which has no knowledge of connections.
//!
//! Masters that are never switched off pile up idle connections. A limit for each source leaves slots for the others,
//! silence for a minute ends a connection, and of a full table the one that is idle longest goes.

#[path = "../common/mod.rs"]
mod common;

mod pdu;

use common::values::number;
use common::{Common, Failure};
use core::time::Duration;
use heapless::Vec;
use lexopt::{Parser, ValueExt};
use pdu::{COILS, DISCRETE_INPUTS, Device, HOLDING_REGISTERS, INPUT_REGISTERS, Object, PDU, Sizes};
use static_cell::ConstStaticCell;
use tidegate::framing::{Framed, LengthPrefix, Progress};
use tidegate::{Config, Conn, FullTable, Handler, Memory, Reason, Server};

const HELP: &str = "\
Usage: modbus_tcp [OPTION]...
A Modbus/TCP slave in memory of a fixed size, for 32 connections. It has the functions 1 to 6, 15, 16, 22, 23 and 43/14
(device identification). Input register 0 counts the requests, 1 the open connections, 2 those that ended because of an
error. It is the only device at its address, so it responds for every unit.

  --listen ADDR            IP:PORT, [IPV6]:PORT, unix:/path or unix:@name; may be given several times [127.0.0.1:1502]
  --coils N                how many there are, at most 2048 [64]
  --discrete-inputs N      the same, at most 2048 [64]
  --input-registers N      the same, at least 3 and at most 256 [64]
  --holding-registers N    the same, at most 1024 [256]
{common}

Try it: mbpoll -m tcp -p 1502 -a 1 -r 1 -c 4 -1 127.0.0.1
";

/// The default numbers of registers.
const SIZES: Sizes = Sizes {
    coils: 64,
    discrete_inputs: 64,
    input_registers: 64,
    holding_registers: 256,
};

/// The device identification.
const OBJECTS: &[Object] = &[
    (0x00, "tidegate"),                         // vendor
    (0x01, "modbus_tcp"),                       // product code
    (0x02, env!("CARGO_PKG_VERSION")),          // revision
    (0x04, "Modbus/TCP slave of fixed memory"), // product
    (0x05, "example"),                          // model
    (0x06, "an example of an event library"),   // application
    (
        0x80,
        "Input register 0 counts the requests, 1 the open connections, 2 the connections that ended because of an error.",
    ),
    (
        0x81,
        "Coils and holding registers can be written; what is written is kept until the program ends.",
    ),
];

/// Bytes of the longest request or response, of the head in front of it, and where its length stands (*MODBUS Messaging on
/// TCP/IP Implementation Guide* 1.0b, section 3.1.3).
const HEAD: usize = 7;
const FRAME: usize = HEAD + PDU;

/// Bytes of the longest request that is read: functions 16 and 23 can name more registers than they may write, up to a
/// byte count of 255. The exception reports it; closing the connection would not.
const REQUEST: usize = HEAD + 10 + 255;
const FRAMES: LengthPrefix = LengthPrefix::u16(REQUEST).offset(4);

// For 4 listeners; it has no free timers, streams, serial lines, destinations and Unix senders.
type ModbusMemory = Memory<32, 512, 2048, Progress, 4, 0, 0, 0, 0, 0>;

// All there ever is: 93 KiB for the connections, 1.5 KiB of them the flight recorder, 7 KiB of registers.
const _: () = assert!(ModbusMemory::SIZE <= 94 * 1024 && size_of::<Device>() <= 7 * 1024);
const _: () = assert!(FRAMES.max_frame() <= 512 && pdu::are_sound(OBJECTS));
static MEMORY: ConstStaticCell<ModbusMemory> = ConstStaticCell::new(ModbusMemory::new());

fn main() -> Result<(), Failure> {
    let config = Config {
        idle: Some(Duration::from_secs(60)),
        request: Some(Duration::from_secs(5)),
        // MODBUS Messaging on TCP/IP Implementation Guide 1.0b, 4.2.1.1: the oldest unused connection is closed.
        full: FullTable::Evict,
        ..Config::default()
    };
    let (common, mut sizes) = (Common::new("127.0.0.1:1502", config), SIZES);
    let common = common::arguments(HELP, common, |name, parser| set(&mut sizes, name, parser));
    let slave = Slave {
        frames: Framed::new(FRAMES),
        device: Device::new(sizes, OBJECTS),
    };
    let mut server = Server::new(MEMORY.take(), &common.config, slave)?;
    common::serve(&mut server, &common)
}

/// Reads an option that sets a number of registers. Returns whether there is one of this name.
fn set(sizes: &mut Sizes, name: &str, parser: &mut Parser) -> Result<bool, lexopt::Error> {
    let (size, least, most) = match name {
        "coils" => (&mut sizes.coils, 1, COILS),
        "discrete-inputs" => (&mut sizes.discrete_inputs, 1, DISCRETE_INPUTS),
        "input-registers" => (&mut sizes.input_registers, 3, INPUT_REGISTERS),
        "holding-registers" => (&mut sizes.holding_registers, 1, HOLDING_REGISTERS),
        _ => return Ok(false),
    };
    let wanted = parser.value()?.parse_with(|text| {
        let number = number(text, u32::try_from(most).unwrap_or(u32::MAX))?;
        match usize::try_from(number) {
            Ok(number) if number >= least => Ok(number),
            Ok(_) | Err(_) => Err(format!("must be at least {least}")),
        }
    })?;
    *size = wanted;
    Ok(true)
}

struct Slave {
    frames: Framed<LengthPrefix>,
    device: Device,
}

impl Handler for Slave {
    type State = Progress;

    fn opened(&mut self, conn: &mut Conn<'_>, _: &mut Progress) {
        self.count_connections(conn);
    }

    fn readable(&mut self, conn: &mut Conn<'_>, progress: &mut Progress) {
        while conn.reserve(FRAME).is_ok()
            && let Some(request) = self.frames.next(conn, progress)
        {
            let [high, low, 0, 0, _, _, unit, request @ ..] = request else {
                return conn.abort(); // this is not Modbus, so nothing that follows will be
            };
            if request.is_empty() {
                return conn.abort();
            }
            let count = &mut self.device.input_registers[0];
            *count = count.wrapping_add(1);
            let response = self.device.respond(request);
            let rest = u16::try_from(response.len() + 1).unwrap_or(u16::MAX);
            let [length_high, length_low] = rest.to_be_bytes();
            let head = [*high, *low, 0, 0, length_high, length_low, *unit];
            let mut frame: Vec<u8, FRAME> = Vec::new();
            let fits = frame.extend_from_slice(&head).is_ok()
                && frame.extend_from_slice(&response).is_ok();
            debug_assert!(fits);
            let _ = conn.send(&frame); // there is capacity for it
        }
    }

    fn closed(&mut self, conn: &mut Conn<'_>, _: &mut Progress, reason: Reason) {
        if reason != Reason::PeerFinished {
            let count = &mut self.device.input_registers[2];
            *count = count.wrapping_add(1);
        }
        self.count_connections(conn);
    }
}

impl Slave {
    fn count_connections(&mut self, conn: &Conn<'_>) {
        let open = conn.connections().count();
        self.device.input_registers[1] = u16::try_from(open).unwrap_or(u16::MAX);
    }
}
