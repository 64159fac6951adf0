//! The command line.

use super::bridge::Rules;
use super::common::values;
use super::common::{self, Common, Failure};
use core::time::Duration;
use lexopt::{Parser, ValueExt};
use tidegate::{Address, Bits, Config, Flow, FullTable, Parity, PerSource, Rs485, Serial};

const HELP: &str = "\
Usage: serial_bridge --device PATH [OPTION]...
Passes bytes on between a serial line and one TCP client at a time, in memory of a fixed size. The line is opened again when
it comes back. No encryption: for this machine, or a trusted network.

The line:
  --device PATH       /dev/ttyS0, /dev/serial/by-id/...; with /dev/null the options are checked, as with --check
  --speed N           bits per second, any number; the driver may be 3 % off [9600]
  --format TEXT       bits, parity (N, E, O, M for mark, S for space) and stop bits of a character; 1.5 with five bits [8N1]
  --parity WHAT       none, even, odd, mark or space, instead of that of --format [none]
  --flow WHAT         flow control: none, hardware (RTS/CTS) or software (XON/XOFF) [none]
  --dtr on|off        DTR when it is opened [as the driver has it: on]
  --rts on|off        RTS, likewise; not with --flow hardware and --rs485 [as the driver has it: on]
  --hupcl on|off      DTR and RTS drop when it is closed; off: a board that resets by DTR is not reset [on]
  --rs485 LIST|off    RS-485: on; or any of on-send, after-send (when RTS is on), receive (hear what is sent), before=MS and
                      after=MS (delays), with commas; on is on-send [off]
  --break TIME|off    a break of this length when a client comes [off]

Clients:
  --listen ADDR       for bytes: IP:PORT, [IPV6]:PORT, unix:/path or unix:@name; may be given several times
                      [127.0.0.1:8080, unless there is --rfc2217]
  --rfc2217 ADDR      for telnet with a port that the client sets (RFC 2217): pyserial's rfc2217://; likewise [none]
  --take-over         a new client replaces the old one (kickolduser); without it, it is reset [off]
  --check             check the options, print how the line would be set, and end
{common}

After a client has sent EOF (nc -N) both go on until they have been silent for --half-close; one that only waits for a reply
yields to the next client. A setting that the driver does not take is a warning that names it. Only a speed that is farther off keeps a line closed.

Try it: socat PTY,link=/tmp/line,raw,echo=0 - & serial_bridge --device /tmp/line & nc 127.0.0.1 8080
";

/// The options of the command line.
pub(crate) struct Options {
    pub(crate) device: String,
    /// Without its path.
    pub(crate) line: Serial<'static>,
    pub(crate) rules: Rules,
    pub(crate) rfc2217: Vec<String>,
    pub(crate) check: bool,
    pub(crate) common: Common,
}

impl Options {
    pub(crate) fn read() -> Result<Self, Failure> {
        // Both may be silent for long. Keepalive detects whether a client is still there.
        let config = Config {
            first_byte: None,
            idle: None,
            half_closed: Some(Duration::from_secs(5)),
            // A silent client listens to the line; one that has sent EOF does not need its slot.
            full: FullTable::EvictHalfClosed,
            ..Config::default()
        };
        let common = Common {
            per_source: PerSource::Unlimited,
            ..Common::new("127.0.0.1:8080", config)
        };
        let mut given = Given {
            device: None,
            line: Serial::at(""),
            parity: None,
            rules: Rules {
                take_over: false,
                half_close: None,
                break_for: None,
            },
            rfc2217: Vec::new(),
            check: false,
        };
        let mut common = common::arguments(HELP, common, |name, parser| given.set(name, parser));
        let listens = |argument: std::ffi::OsString| {
            let text = argument.to_string_lossy();
            text == "--listen" || text.starts_with("--listen=")
        };
        if !given.rfc2217.is_empty() && !std::env::args_os().any(listens) {
            common.listen.clear();
        }
        // Of the client alone too little is known: its data may still be on the way to the line.
        given.rules.half_close = common.config.half_closed.take();
        let device = given.device;
        let device = device.ok_or("--device is missing; --help lists the options")?;
        Ok(Self {
            check: given.check || device == "/dev/null",
            device,
            line: Serial {
                parity: given.parity.unwrap_or(given.line.parity),
                ..given.line
            },
            rules: given.rules,
            rfc2217: given.rfc2217,
            common,
        })
    }
}

/// The options of this example alone.
struct Given {
    device: Option<String>,
    line: Serial<'static>,
    parity: Option<Parity>,
    rules: Rules,
    rfc2217: Vec<String>,
    check: bool,
}

impl Given {
    /// Reads an option. Returns whether there is one of this name.
    fn set(&mut self, name: &str, parser: &mut Parser) -> Result<bool, lexopt::Error> {
        let (line, rules) = (&mut self.line, &mut self.rules);
        match name {
            "device" => self.device = Some(parser.value()?.string()?),
            "speed" => line.speed = parser.value()?.parse_with(speed)?,
            "format" => parser.value()?.parse_with(|text| format(line, text))?,
            "parity" => self.parity = Some(parser.value()?.parse_with(parity)?),
            "flow" => line.flow = parser.value()?.parse_with(flow)?,
            "dtr" => line.dtr = Some(parser.value()?.parse_with(switch)?),
            "rts" => line.rts = Some(parser.value()?.parse_with(switch)?),
            "hupcl" => line.hang_up = parser.value()?.parse_with(switch)?,
            "rs485" => line.rs485 = parser.value()?.parse_with(rs485)?,
            "break" => rules.break_for = parser.value()?.parse_with(values::duration)?,
            "take-over" => rules.take_over = true,
            "rfc2217" => {
                let address = |text: &str| Address::parse(text).map(|_| text.to_owned());
                self.rfc2217.push(parser.value()?.parse_with(address)?);
            }
            "check" => self.check = true,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn speed(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) => Err("a speed of 0 hangs up; write bits per second, such as 9600".into()),
        Ok(speed) => Ok(speed),
        Err(_) => Err("must be bits per second, such as 9600".into()),
    }
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
        Some('M' | 'm') => Parity::Mark,
        Some('S' | 's') => Parity::Space,
        _ => return Err("the parity is N, E, O, M or S"),
    };
    line.two_stop_bits = match (letters.as_str(), line.bits) {
        ("1", _) => false,
        // One and a half is what UARTs make of two with five bits.
        ("2", _) | ("1.5", Bits::Five) => true,
        _ => return Err("it ends with the number of stop bits, 1 or 2; 1.5 with five bits alone"),
    };
    Ok(())
}

fn parity(text: &str) -> Result<Parity, &'static str> {
    match text {
        "none" => Ok(Parity::None),
        "even" => Ok(Parity::Even),
        "odd" => Ok(Parity::Odd),
        "mark" => Ok(Parity::Mark),
        "space" => Ok(Parity::Space),
        _ => Err("it is none, even, odd, mark or space"),
    }
}

fn flow(text: &str) -> Result<Flow, &'static str> {
    match text {
        "none" => Ok(Flow::None),
        "hardware" => Ok(Flow::Hardware),
        "software" => Ok(Flow::Software),
        _ => Err("it is none, hardware or software"),
    }
}

fn switch(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("it is on or off"),
    }
}

/// The longest delay of RS-485 that the kernel takes, in milliseconds (`RS485_MAX_RTS_DELAY`).
const DELAY_MAX: u32 = 100;

fn rs485(text: &str) -> Result<Option<Rs485>, String> {
    if text == "off" {
        return Ok(None);
    }
    let mut rs485 = Rs485::default();
    let delay = |text: &str| match text.parse() {
        Ok(ms) if ms <= DELAY_MAX => Ok(ms),
        _ => Err(format!("a delay is 0 to {DELAY_MAX} milliseconds")),
    };
    for word in text.split(',') {
        match word.split_once('=') {
            None if word == "on" || word == "on-send" => rs485.rts_on_send = true,
            None if word == "after-send" => {
                (rs485.rts_on_send, rs485.rts_after_send) = (false, true);
            }
            None if word == "receive" => rs485.receive_while_sending = true,
            Some(("before", ms)) => rs485.delay_before_ms = delay(ms)?,
            Some(("after", ms)) => rs485.delay_after_ms = delay(ms)?,
            None | Some(_) => {
                return Err(format!(
                    "{word} is none of on, on-send, after-send, receive, before=MS, after=MS"
                ));
            }
        }
    }
    Ok(Some(rs485))
}

/// How a line would be set, as the options have it.
pub(crate) fn shown(line: &Serial<'_>) -> String {
    let bits = match line.bits {
        Bits::Five => 5,
        Bits::Six => 6,
        Bits::Seven => 7,
        Bits::Eight => 8,
    };
    let parity = match line.parity {
        Parity::None => 'N',
        Parity::Even => 'E',
        Parity::Odd => 'O',
        Parity::Mark => 'M',
        Parity::Space => 'S',
    };
    let stop = match (line.two_stop_bits, line.bits) {
        (false, _) => "1",
        (true, Bits::Five) => "1.5",
        (true, _) => "2",
    };
    let flow = match line.flow {
        Flow::None => "none",
        Flow::Hardware => "hardware",
        Flow::Software => "software",
    };
    let rs485 = if line.rs485.is_some() { "on" } else { "off" };
    format!(
        "--speed {} --format {bits}{parity}{stop} --flow {flow} --rs485 {rs485}",
        line.speed
    )
}
