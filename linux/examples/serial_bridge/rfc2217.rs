//! The serial port of a telnet client (RFC 2217): commands as values, and replies as bytes. Pure.

use super::telnet::{COM_PORT, IAC, SB, SE};
use tidegate::{Bits, Counts, Flow, Modem, Parity, Serial};

/// A reply has the number of its command plus this.
const REPLY: u8 = 100;
const SIGNATURE: u8 = 0;
const NOTIFY_LINE: u8 = 6;
const NOTIFY_MODEM: u8 = 7;

/// What a client wants of the port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    /// Our signature; the client's own comes as another command, which has no reply.
    Signature {
        asked: bool,
    },
    /// Bits per second; 0 queries.
    Speed(u32),
    /// Data bits; 0 queries.
    Bits(u8),
    Parity(u8),
    Stop(u8),
    Control(u8),
    /// The changes that it wants to be notified of.
    LineMask(u8),
    ModemMask(u8),
    /// Query of the state of the line.
    AskLine,
    AskModem,
    /// It wants no more data for now, or again.
    Suspend,
    Resume,
    Purge(u8),
}

impl Command {
    /// Takes a subnegotiation apart. `None`: it is about something else, or its command is unknown or cut.
    pub(crate) fn of(sub: &[u8]) -> Option<Self> {
        let [COM_PORT, command, value @ ..] = sub else {
            return None;
        };
        let first = value.first().copied();
        Some(match command {
            0 => Self::Signature {
                asked: value.is_empty(),
            },
            1 => {
                let bytes: [u8; 4] = value.get(..4)?.try_into().ok()?;
                Self::Speed(u32::from_be_bytes(bytes))
            }
            2 => Self::Bits(first?),
            3 => Self::Parity(first?),
            4 => Self::Stop(first?),
            5 => Self::Control(first?),
            6 => Self::AskLine,
            7 => Self::AskModem,
            8 => Self::Suspend,
            9 => Self::Resume,
            10 => Self::LineMask(first?),
            11 => Self::ModemMask(first?),
            12 => Self::Purge(first?),
            _ => return None,
        })
    }
}

/// What is to be done for a command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// The reply is known at once.
    Reply(Reply),
    /// The line is to be set; the reply depends on the result.
    Set {
        to: Serial<'static>,
        taken: Reply,
        /// The reply if that fails: the present setting.
        refused: Reply,
    },
    /// A wire is to be switched; the reply comes in any case, as there may be no wire.
    Switch { wire: Wire, on: bool, reply: Reply },
    /// Buffers are to be emptied.
    Purge {
        input: bool,
        output: bool,
        reply: Reply,
    },
    /// A change of the client's notifications.
    Notify(Notify, Option<Reply>),
    /// Nothing is to be done or sent.
    Nothing,
}

/// What a client switches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wire {
    Dtr,
    Rts,
    Break,
}

/// The changes that a client is notified of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Notify {
    LineMask(u8),
    ModemMask(u8),
    LineNow,
    ModemNow,
    Suspend,
    Resume,
}

/// A number and a value of one or four bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    Byte(u8, u8),
    Word(u8, u32),
    /// The signature of this server.
    Signature,
}

impl Reply {
    /// On the wire, with what means something there doubled.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let mut bytes = vec![IAC, SB, COM_PORT];
        let word;
        let byte;
        let (command, value): (u8, &[u8]) = match self {
            Self::Byte(command, value) => {
                byte = [value];
                (command, &byte)
            }
            Self::Word(command, value) => {
                word = value.to_be_bytes();
                (command, &word)
            }
            Self::Signature => (SIGNATURE, b"serial_bridge"),
        };
        bytes.push(command.saturating_add(REPLY));
        for &byte in value {
            bytes.push(byte);
            if byte == IAC {
                bytes.push(IAC);
            }
        }
        bytes.extend([IAC, SE]);
        bytes
    }
}

/// The wires as they were switched last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Switched {
    pub(crate) dtr: bool,
    pub(crate) rts: bool,
    pub(crate) broken: bool,
}

/// The step that `command` requires, of a line that is set to `now`.
pub(crate) fn step(command: Command, now: &Serial<'static>, wires: Switched) -> Step {
    match command {
        Command::Signature { asked: true } => Step::Reply(Reply::Signature),
        Command::Signature { asked: false } => Step::Nothing,
        Command::Speed(0) => Step::Reply(Reply::Word(1, now.speed)),
        Command::Speed(speed) => Step::Set {
            to: Serial { speed, ..*now },
            taken: Reply::Word(1, speed),
            refused: Reply::Word(1, now.speed),
        },
        Command::Bits(value) => {
            let to = bits_of(value).map(|bits| Serial { bits, ..*now });
            set(2, value, to, value_of_bits(now.bits))
        }
        Command::Parity(value) => {
            let to = parity_of(value).map(|parity| Serial { parity, ..*now });
            set(3, value, to, value_of_parity(now.parity))
        }
        Command::Stop(value) => {
            let to = stop_of(value, now.bits).map(|two_stop_bits| Serial {
                two_stop_bits,
                ..*now
            });
            set(4, value, to, value_of_stop(now))
        }
        Command::Control(value) => control(value, now, wires),
        Command::LineMask(mask) => {
            Step::Notify(Notify::LineMask(mask), Some(Reply::Byte(10, mask)))
        }
        Command::ModemMask(mask) => {
            Step::Notify(Notify::ModemMask(mask), Some(Reply::Byte(11, mask)))
        }
        Command::AskLine => Step::Notify(Notify::LineNow, None),
        Command::AskModem => Step::Notify(Notify::ModemNow, None),
        Command::Suspend => Step::Notify(Notify::Suspend, None),
        Command::Resume => Step::Notify(Notify::Resume, None),
        Command::Purge(what @ 1..=3) => Step::Purge {
            input: what & 1 != 0,
            output: what & 2 != 0,
            reply: Reply::Byte(12, what),
        },
        Command::Purge(what) => Step::Reply(Reply::Byte(12, what)),
    }
}

/// Sets the line; `None`: there is no such value, and the reply is the present setting. So it is for 0, a query.
fn set(command: u8, value: u8, to: Option<Serial<'static>>, now: u8) -> Step {
    let refused = Reply::Byte(command, now);
    match to {
        Some(to) => Step::Set {
            to,
            taken: Reply::Byte(command, value),
            refused,
        },
        None => Step::Reply(refused),
    }
}

/// `SET-CONTROL`: flow control both ways (0 to 3) or inbound (13 to 16), which Linux does not set apart; break, DTR, RTS.
fn control(value: u8, now: &Serial<'static>, wires: Switched) -> Step {
    let flow = value_of_flow(now.flow);
    let change = |flow, refused| {
        let to = Serial { flow, ..*now };
        set(5, value, Some(to), refused)
    };
    let switch = |wire, on| Step::Switch {
        wire,
        on,
        reply: Reply::Byte(5, value),
    };
    let state = |on: bool, if_on: u8, if_off: u8| {
        let value = if on { if_on } else { if_off };
        Step::Reply(Reply::Byte(5, value))
    };
    match value {
        1 | 14 => change(Flow::None, flow),
        2 | 15 => change(Flow::Software, flow),
        3 | 16 => change(Flow::Hardware, flow),
        4 => state(wires.broken, 5, 6),
        5 | 6 => switch(Wire::Break, value == 5),
        7 => state(wires.dtr, 8, 9),
        8 | 9 => switch(Wire::Dtr, value == 8),
        10 => state(wires.rts, 11, 12),
        11 | 12 => switch(Wire::Rts, value == 11),
        13 => Step::Reply(Reply::Byte(5, flow.saturating_add(13))),
        // A query, or an unknown flow control (17 to 19): the reply is the present setting.
        _ => Step::Reply(Reply::Byte(5, flow)),
    }
}

const fn bits_of(value: u8) -> Option<Bits> {
    Some(match value {
        5 => Bits::Five,
        6 => Bits::Six,
        7 => Bits::Seven,
        8 => Bits::Eight,
        _ => return None,
    })
}

const fn value_of_bits(bits: Bits) -> u8 {
    match bits {
        Bits::Five => 5,
        Bits::Six => 6,
        Bits::Seven => 7,
        Bits::Eight => 8,
    }
}

const fn parity_of(value: u8) -> Option<Parity> {
    Some(match value {
        1 => Parity::None,
        2 => Parity::Odd,
        3 => Parity::Even,
        4 => Parity::Mark,
        5 => Parity::Space,
        _ => return None,
    })
}

const fn value_of_parity(parity: Parity) -> u8 {
    match parity {
        Parity::None => 1,
        Parity::Odd => 2,
        Parity::Even => 3,
        Parity::Mark => 4,
        Parity::Space => 5,
    }
}

/// One and a half (3) is what UARTs make of two with five data bits.
const fn stop_of(value: u8, bits: Bits) -> Option<bool> {
    match (value, bits) {
        (1, _) => Some(false),
        (2, _) | (3, Bits::Five) => Some(true),
        _ => None,
    }
}

const fn value_of_stop(now: &Serial<'_>) -> u8 {
    match (now.two_stop_bits, now.bits) {
        (false, _) => 1,
        (true, Bits::Five) => 3,
        (true, _) => 2,
    }
}

const fn value_of_flow(flow: Flow) -> u8 {
    match flow {
        Flow::None => 1,
        Flow::Software => 2,
        Flow::Hardware => 3,
    }
}

/// `NOTIFY-MODEMSTATE`: the wires as they are, and which have changed. `None`: none that the client asked for.
pub(crate) fn modem_changed(before: Option<Modem>, now: Modem, mask: u8) -> Option<Reply> {
    let old = before.unwrap_or(now);
    let mut value = modem_value(now);
    for (changed, bit) in [
        (old.cd != now.cd, 8),
        // Its trailing edge.
        (old.ri && !now.ri, 4),
        (old.dsr != now.dsr, 2),
        (old.cts != now.cts, 1),
    ] {
        if changed {
            value |= bit;
        }
    }
    let changes = before.is_none() || (old.ri != now.ri && mask & 64 != 0);
    let wanted = value & 0x0f & mask != 0 || changes;
    (wanted && mask != 0).then_some(Reply::Byte(NOTIFY_MODEM, value & mask))
}

/// The wires as they are.
pub(crate) fn modem_now(now: Modem) -> Reply {
    Reply::Byte(NOTIFY_MODEM, modem_value(now))
}

fn modem_value(now: Modem) -> u8 {
    u8::from(now.cd) << 7 | u8::from(now.ri) << 6 | u8::from(now.dsr) << 5 | u8::from(now.cts) << 4
}

/// `NOTIFY-LINESTATE`: the errors on the line since the last notification. `None`: nothing that the client asked for.
pub(crate) fn line_changed(before: Counts, now: Counts, mask: u8) -> Option<Reply> {
    let value = line_value(before, now) & mask;
    (value != 0).then_some(Reply::Byte(NOTIFY_LINE, value))
}

/// The same on request: whatever there is.
pub(crate) fn line_now(before: Counts, now: Counts) -> Reply {
    Reply::Byte(NOTIFY_LINE, line_value(before, now))
}

fn line_value(before: Counts, now: Counts) -> u8 {
    let overruns = before.overrun != now.overrun || before.buffer_overrun != now.buffer_overrun;
    u8::from(before.breaks != now.breaks) << 4
        | u8::from(before.framing != now.framing) << 3
        | u8::from(before.parity != now.parity) << 2
        | u8::from(overruns) << 1
}
