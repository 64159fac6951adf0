//! [`Serial`]: how a serial line is opened and set; [`Lines`]: those that are registered; [`Line`]: one that is open.

mod calls;
mod line;
mod settings;

pub use line::{Counts, Line, Modem};

use crate::errno;
use crate::error::Error;
use crate::socket::count;
use crate::stream::Stream;
use tidegate_core::heapless::{CString, VecView};
use tidegate_core::{Destination, Directions, Fault, Ignored, Outcome, Unavailable};

/// Bytes of the longest path, without the NUL at its end.
const PATH_MAX: usize = 127;

/// A serial line: a terminal device, and how it is to be set. It is opened without becoming the controlling terminal, raw
/// (nothing is interpreted, `cfmakeraw(3)`), and without regard to the modem's lines (`CLOCAL`, `termios(3)`). All of its
/// settings are set, so that nothing of a former program stays, a break or RS-485 neither.
///
/// A driver may take less than was requested. A speed within 3 % is taken (UARTs divide a clock); one that is farther
/// off fails with `ERANGE`. Whatever else it does not take is a warning:
/// [`Info::ignored`](tidegate_core::Info::ignored) names it, and so does the log.
///
/// What closes it is the end of the device: a USB adapter that is pulled, the other end of a pseudo-terminal that is closed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Serial<'a> {
    /// The device, at most 127 bytes. A name under `/dev/serial/by-id` stays the same when an adapter is plugged in
    /// again.
    pub path: &'a str,
    /// Bits per second, both ways; any number. Default 9,600.
    pub speed: u32,
    /// Data bits of a character. Default 8.
    pub bits: Bits,
    /// The bit that checks them. Default none.
    pub parity: Parity,
    /// Two stop bits instead of one; with five data bits most UARTs make it one and a half. Default one.
    pub two_stop_bits: bool,
    /// How either side holds the other back. Default not at all.
    pub flow: Flow,
    /// No other open until it is closed (`TIOCEXCL`, `ioctl_tty(2)`), except by privileged programs. On by default.
    pub exclusive: bool,
    /// DTR once it is open, on or off; `None`, the default: as the driver has it, which is on. Opening raises it in any
    /// case, so that off begins with a short pulse.
    pub dtr: Option<bool>,
    /// RTS, likewise. With [`Flow::Hardware`] and RS-485 it is the driver's: leave it `None`.
    pub rts: Option<bool>,
    /// DTR and RTS drop when it is closed (`HUPCL`). On by default, as the kernel has it; off, they stay as they are, so
    /// that a board that resets by DTR is not reset.
    pub hang_up: bool,
    /// RS-485: the direction control of the bus driver. Default `None`: not an RS-485 line.
    pub rs485: Option<Rs485>,
}

impl<'a> Serial<'a> {
    /// The line at `path` with the defaults: 9,600 bits per second, 8N1, no flow control.
    #[must_use]
    pub const fn at(path: &'a str) -> Self {
        Self {
            path,
            speed: 9600,
            bits: Bits::Eight,
            parity: Parity::None,
            two_stop_bits: false,
            flow: Flow::None,
            exclusive: true,
            dtr: None,
            rts: None,
            hang_up: true,
            rs485: None,
        }
    }
}

/// Bits of a character.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[expect(missing_docs, reason = "each is the number of that name")]
pub enum Bits {
    Five,
    Six,
    Seven,
    #[default]
    Eight,
}

/// The bit that checks a character. An error is not reported: the character comes as a NUL (`IGNPAR` and `PARMRK` are
/// off, `termios(3)`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Parity {
    /// There is none.
    #[default]
    None,
    /// The number of ones is even.
    Even,
    /// The number of ones is odd.
    Odd,
    /// The bit is always one (`CMSPAR`).
    Mark,
    /// The bit is always zero (`CMSPAR`).
    Space,
}

/// Flow control.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Flow {
    /// None: a receiver that is too slow loses bytes.
    #[default]
    None,
    /// By two wires (`CRTSCTS`).
    Hardware,
    /// By two characters, XON and XOFF, which then cannot be data.
    Software,
}

/// RS-485: several devices on one pair of wires, of which one drives it at a time (`TIOCSRS485`,
/// Documentation/driver-api/serial/serial-rs485.rst).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rs485 {
    /// RTS, which switches the driver of the wires on, is on while it sends. On by default.
    pub rts_on_send: bool,
    /// RTS is on after it has sent. Off by default.
    pub rts_after_send: bool,
    /// What it sends is received, too. Off by default.
    pub receive_while_sending: bool,
    /// From RTS to the first bit, in milliseconds. Default 0.
    pub delay_before_ms: u32,
    /// From the last bit to RTS, in milliseconds. Default 0.
    pub delay_after_ms: u32,
}

impl Default for Rs485 {
    fn default() -> Self {
        Self {
            rts_on_send: true,
            rts_after_send: false,
            receive_while_sending: false,
            delay_before_ms: 0,
            delay_after_ms: 0,
        }
    }
}

/// A line that is registered.
#[derive(Debug)]
pub(crate) struct Registered {
    path: CString<{ PATH_MAX + 1 }>,
    serial: Serial<'static>,
    /// By pointer: a program that registers none is not linked with it.
    open: fn(&Self) -> Result<(Stream, Ignored), Outcome>,
}

/// The serial lines of a server, by their numbers.
#[derive(Debug)]
pub(crate) struct Lines<'m>(&'m mut VecView<Registered>);

impl<'m> Lines<'m> {
    pub(crate) const fn new(lines: &'m mut VecView<Registered>) -> Self {
        Self(lines)
    }

    pub(crate) fn add(&mut self, serial: &Serial<'_>) -> Result<Destination, Error> {
        if serial.speed == 0 {
            return Err(Error::Speed { asked: 0, made: 0 });
        }
        let bytes = serial.path.as_bytes();
        if bytes.is_empty() || bytes.contains(&0) {
            return Err(Error::Path { max: PATH_MAX });
        }
        let mut path = CString::new();
        path.extend_from_bytes(bytes)
            .map_err(|_| Error::Path { max: PATH_MAX })?;
        let number = count(self.0.len());
        let serial = Serial {
            path: "",
            ..*serial
        };
        let open = Registered::open;
        let line = Registered { path, serial, open };
        let capacity = count(self.0.capacity());
        let full = Unavailable::Lines { capacity };
        self.0.push(line).map_err(|_| full)?;
        let directions = Directions::BOTH;
        Ok(Destination::Stream { number, directions })
    }

    /// The line of this number, opened and set, and what its driver did not take of the settings.
    pub(crate) fn open(&self, number: u32) -> Result<(Stream, Ignored), Outcome> {
        let line = self.0.get(number as usize).ok_or(NO_LINE)?;
        (line.open)(line)
    }
}

/// Nothing is registered under that number (`EINVAL`).
const NO_LINE: Outcome = Outcome::Failed(Fault::Invalid(22));

impl Registered {
    fn open(&self) -> Result<(Stream, Ignored), Outcome> {
        let opened = line::open(&self.path, &self.serial);
        let (line, ignored) = opened.map_err(errno::open)?;
        Ok((Stream::terminal(line), ignored))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::heapless;

    #[test]
    fn what_cannot_be_a_line_is_refused() {
        let mut lines = heapless::Vec::<_, 4>::new();
        let mut lines = Lines::new(&mut lines);
        let long = "x".repeat(128);
        for path in ["", "a\0b", &long] {
            assert_eq!(
                lines.add(&Serial::at(path)),
                Err(Error::Path { max: PATH_MAX })
            );
        }
        let still = Serial {
            speed: 0,
            ..Serial::at("/dev/ttyS0")
        };
        assert_eq!(lines.add(&still), Err(Error::Speed { asked: 0, made: 0 }));
        for number in 0..4 {
            let to = lines.add(&Serial::at(&long[..127]));
            let directions = Directions::BOTH;
            assert_eq!(to, Ok(Destination::Stream { number, directions }));
        }
        assert_eq!(
            lines.add(&Serial::at("x")),
            Err(Error::Unavailable(Unavailable::Lines { capacity: 4 }))
        );
    }

    #[test]
    fn what_is_no_line_does_not_open() {
        let mut lines = heapless::Vec::<_, 4>::new();
        let mut lines = Lines::new(&mut lines);
        for (number, path, expected) in [
            (0, "/nonexistent/tty", Fault::Refused(2)),
            (1, "/dev/null", Fault::Invalid(25)),
            (2, "/", Fault::Invalid(21)),
        ] {
            lines.add(&Serial::at(path)).expect("a line");
            match lines.open(number) {
                Err(Outcome::Failed(fault)) => assert_eq!(fault, expected, "{path}"),
                other => panic!("{path}: {other:?}"),
            }
        }
        let unknown = lines.open(3).map(|_| ());
        let invalid = Outcome::Failed(Fault::Invalid(22));
        assert_eq!(unknown, Err(invalid));
    }
}
