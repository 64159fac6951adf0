//! A Modbus/TCP slave with registers of its own. `cargo run -p linux --example modbus_tcp -- --help`
//!
//! A Modbus master sends a request, and waits for the answer; or it sends several at once; or a network cuts one in the
//! middle. A server in C that takes one `read()` for one request works on the bench and fails in the field. Here the
//! length in each request's head says where it ends ([`LengthPrefix`]), whatever `read()` brought.
//!
//! The functions and registers are those of the crate `rmodbus`. It believes the lengths within a request, so they are
//! compared before it sees one ([`is_sound`]).
//!
//! Masters that are never switched off pile up connections that they have forgotten. A limit for each source leaves room
//! for the others, and silence for a minute ends a connection.

#[path = "../common/mod.rs"]
mod common;

use common::{Common, Failure};
use core::time::Duration;
use heapless::Vec;
use rmodbus::server::ModbusFrame;
use rmodbus::server::storage::ModbusStorage;
use rmodbus::{ErrorKind, ModbusProto};
use static_cell::ConstStaticCell;
use tidegate::framing::{Framed, LengthPrefix, OnError, Skip, Width};
use tidegate::{Config, Conn, FullTable, Handler, Memory, Reason, Server};

const HELP: &str = "\
Usage: modbus_tcp [OPTION]...
A Modbus/TCP slave in memory of a fixed size: 64 coils, 64 discrete inputs, 64 input registers, 256 holding registers,
32 connections. Input register 0 counts the requests, 1 the open connections, 2 those that ended because of an error.
It is the only device at its address, so it answers for every unit.

  --listen ADDR    IP:PORT, [IPV6]:PORT, unix:/path or unix:@name; may be given several times [127.0.0.1:1502]
{common}

Try it: mbpoll -m tcp -p 1502 -a 1 -r 1 -c 4 -1 127.0.0.1
";

/// Bytes of the longest request or answer, and where its length stands (*MODBUS Messaging on TCP/IP Implementation
/// Guide* 1.0b, section 3.1.3).
const FRAME: usize = 260;
const FRAMES: LengthPrefix = LengthPrefix::new(Width::Two, FRAME).offset(4);

type Registers = ModbusStorage<64, 64, 64, 256>;
type ModbusMemory = Memory<32, 512, 2048, Skip>;

// All there ever is: 92 KiB for the connections, less than 1 KiB of registers.
const _: () = assert!(ModbusMemory::SIZE <= 93 * 1024 && size_of::<Registers>() <= 1024);
const _: () = assert!(FRAMES.max_frame() <= 512);
static MEMORY: ConstStaticCell<ModbusMemory> = ConstStaticCell::new(ModbusMemory::new());

fn main() -> Result<(), Failure> {
    let config = Config {
        idle: Some(Duration::from_secs(60)),
        request: Some(Duration::from_secs(5)),
        // MODBUS Messaging on TCP/IP Implementation Guide 1.0b, 4.2.1.1: the oldest unused connection makes room.
        full: FullTable::Evict,
        ..Config::default()
    };
    let common = Common::new("127.0.0.1:1502", config);
    let common = common::arguments(HELP, common, |_, _| Ok(false));
    let slave = Slave {
        frames: Framed::new(FRAMES, OnError::Close),
        registers: Registers::new(),
    };
    let mut server = Server::new(MEMORY.take(), &common.config, slave)?;
    common::serve(&mut server, &common)
}

struct Slave {
    frames: Framed<LengthPrefix>,
    registers: Registers,
}

impl Handler for Slave {
    type State = Skip;

    fn opened(&mut self, conn: &mut Conn<'_>, _: &mut Skip) {
        self.count_connections(conn);
    }

    fn readable(&mut self, conn: &mut Conn<'_>, skip: &mut Skip) {
        while conn.reserve(FRAME).is_ok()
            && let Some(request) = self.frames.next(conn, skip)
        {
            self.registers.inputs[0] = self.registers.inputs[0].wrapping_add(1);
            let mut answer = Vec::new();
            if self.answer(request, &mut answer).is_err() {
                return conn.abort(); // this is not Modbus, so nothing that follows will be
            }
            let _ = conn.send(&answer); // there is room
        }
    }

    fn closed(&mut self, conn: &mut Conn<'_>, _: &mut Skip, reason: Reason) {
        if reason != Reason::PeerFinished {
            self.registers.inputs[2] = self.registers.inputs[2].wrapping_add(1);
        }
        self.count_connections(conn);
    }
}

impl Slave {
    /// Answers one request: with what was asked for, or with an exception, which says why not.
    fn answer(&mut self, request: &[u8], answer: &mut Vec<u8, FRAME>) -> Result<(), ErrorKind> {
        let [high, low, 0, 0, _, _, unit, function, data @ ..] = request else {
            return Err(ErrorKind::FrameBroken);
        };
        let refuse = |why: u8| [*high, *low, 0, 0, 0, 3, *unit, *function | 0x80, why];
        let frame = ModbusFrame::new(*unit, request, ModbusProto::TcpUdp, answer);
        let mut frame = frame.with_broadcast_units(&[]);
        let why = match is_sound(*function, data) {
            None => 1, // a function that is not known here
            Some(true) if frame.parse().is_ok() => 0,
            Some(_) => 3, // numbers that are out of range or do not agree
        };
        if why > 0 {
            answer.clear();
            return answer
                .extend_from_slice(&refuse(why))
                .map_err(|_| ErrorKind::OOB);
        }
        if frame.processing_required {
            match frame.readonly {
                true => frame.process_read(&self.registers)?,
                false => frame.process_write(&mut self.registers)?,
            }
        }
        frame.finalize_response()
    }

    fn count_connections(&mut self, conn: &Conn<'_>) {
        let open = conn.connections().count();
        self.registers.inputs[1] = u16::try_from(open).unwrap_or(u16::MAX);
    }
}

/// Whether what follows a function agrees with itself; `None` if the function is not known (*MODBUS Application Protocol*
/// 1.1b3, section 6).
fn is_sound(function: u8, data: &[u8]) -> Option<bool> {
    let count = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low]));
    Some(match (function, data) {
        (1..=4, [_, _, high, low]) => count(*high, *low) > 0,
        (5 | 6, [_, _, _, _]) => true,
        (15, [_, _, high, low, bytes, values @ ..]) => {
            let count = count(*high, *low);
            count > 0 && values.len() == usize::from(*bytes) && count.div_ceil(8) == values.len()
        }
        (16, [_, _, high, low, bytes, values @ ..]) => {
            let count = count(*high, *low);
            count > 0 && values.len() == usize::from(*bytes) && 2 * count == values.len()
        }
        (1..=6 | 15 | 16, _) => false,
        _ => return None,
    })
}
