//! [`Serial`]: how a serial line is opened and set; [`Lines`]: those that are registered.

use crate::errno;
use crate::stream::Stream;
use core::ffi::CStr;
use core::fmt;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, InputModes, OptionalActions, Termios, ioctl_tiocexcl, tcgetattr, tcsetattr,
};
use tidegate_core::heapless::{CString, Vec};
use tidegate_core::{Destination, Directions, FaultKind, Outcome};

/// How many serial lines can be registered.
pub const LINES: usize = 4;

/// Bytes of the longest path, without the NUL at its end.
const PATH_MAX: usize = 127;

/// A serial line: a terminal device, and how it is to be set. It is opened without becoming the controlling terminal, raw
/// (nothing is interpreted, `cfmakeraw(3)`), and without regard to the modem's lines (`CLOCAL`, `termios(3)`).
///
/// What closes it is the end of the device: a USB adapter that is pulled, the other end of a pseudo-terminal that is closed.
#[derive(Clone, Copy, Debug)]
pub struct Serial<'a> {
    /// The device, at most 127 bytes. A name under `/dev/serial/by-id` stays the same when an adapter is plugged in anew.
    pub path: &'a str,
    /// Bits per second, both ways. Default 9,600.
    pub speed: u32,
    /// Bits of a character. Default 8.
    pub bits: Bits,
    /// The bit that checks them. Default none.
    pub parity: Parity,
    /// Two stop bits instead of one. Default one.
    pub two_stop_bits: bool,
    /// How either side holds the other back. Default not at all.
    pub flow: Flow,
    /// Nobody else may open it until it is closed (`TIOCEXCL`, `ioctl_tty(2)`), but for privileged programs. On by default.
    pub exclusive: bool,
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

/// The bit that checks a character. One that is wrong is not told: the character comes as a NUL (`IGNPAR` and `PARMRK` are
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
}

/// How the sender is held back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Flow {
    /// Not at all: who is too slow loses bytes.
    #[default]
    None,
    /// By two wires (`CRTSCTS`).
    Hardware,
    /// By two characters, XON and XOFF, which then cannot be data.
    Software,
}

/// A serial line cannot be registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SerialError {
    /// There are [`LINES`] already.
    Full,
    /// The path is empty, has a NUL in it, or is longer than 127 bytes.
    Path,
    /// The speed is 0, which would hang up.
    Speed,
}

impl fmt::Display for SerialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(f, "{LINES} serial lines are registered already"),
            Self::Path => write!(
                f,
                "the path is not usable; it has 1 to {PATH_MAX} bytes, none of them 0"
            ),
            Self::Speed => {
                f.write_str("a speed of 0 hangs up; write bits per second, such as 9600")
            }
        }
    }
}

impl core::error::Error for SerialError {}

/// A line that is registered.
#[derive(Debug)]
struct Line {
    path: CString<{ PATH_MAX + 1 }>,
    serial: Serial<'static>,
    /// By pointer: a program that registers none is not linked with it.
    open: fn(&Self) -> Result<Stream, Outcome>,
}

/// The serial lines of a server, by their numbers.
#[derive(Debug)]
pub(crate) struct Lines {
    lines: Vec<Line, LINES>,
}

impl Lines {
    pub(crate) const fn new() -> Self {
        Self { lines: Vec::new() }
    }

    pub(crate) fn add(&mut self, serial: &Serial<'_>) -> Result<Destination, SerialError> {
        if serial.speed == 0 {
            return Err(SerialError::Speed);
        }
        let bytes = serial.path.as_bytes();
        if bytes.is_empty() || bytes.contains(&0) {
            return Err(SerialError::Path);
        }
        let mut path = CString::new();
        path.extend_from_bytes(bytes)
            .map_err(|_| SerialError::Path)?;
        let number = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        let serial = Serial {
            path: "",
            ..*serial
        };
        let open = Line::open;
        let line = Line { path, serial, open };
        self.lines.push(line).map_err(|_| SerialError::Full)?;
        let directions = Directions::BOTH;
        Ok(Destination::Stream { number, directions })
    }

    /// The line of this number, opened and set.
    pub(crate) fn open(&self, number: u32) -> Result<Stream, Outcome> {
        let line = self.lines.get(number as usize).ok_or(NO_LINE)?;
        (line.open)(line)
    }
}

/// Nothing is registered under that number (`EINVAL`).
const NO_LINE: Outcome = Outcome::Failed(FaultKind::Invalid.with_code(22));

impl Line {
    fn open(&self) -> Result<Stream, Outcome> {
        let opened = self.serial.open(&self.path);
        opened.map(Stream::terminal).map_err(errno::open)
    }
}

impl Serial<'_> {
    /// Opens it, which does not wait: neither for a carrier nor for the device.
    fn open(&self, path: &CStr) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let line = open(path, flags, Mode::empty())?;
        let mut wanted = tcgetattr(&line)?;
        if self.exclusive {
            ioctl_tiocexcl(&line)?;
        }
        self.set(&mut wanted)?;
        tcsetattr(&line, OptionalActions::Now, &wanted)?;
        // It answers no error if but one of the settings was taken (`termios(3)`).
        let taken = tcgetattr(&line)?;
        let same = frame(&taken) == frame(&wanted) && taken.output_speed() == self.speed;
        if same { Ok(line) } else { Err(Errno::INVAL) }
    }

    /// The settings of this line.
    fn set(&self, termios: &mut Termios) -> Result<(), Errno> {
        use ControlModes as C;
        termios.make_raw();
        termios.set_speed(self.speed)?;
        termios.control_modes -= C::CSIZE | C::PARENB | C::PARODD | C::CSTOPB | C::CRTSCTS;
        termios.control_modes |= C::CREAD | C::CLOCAL;
        termios.control_modes |= match self.bits {
            Bits::Five => C::CS5,
            Bits::Six => C::CS6,
            Bits::Seven => C::CS7,
            Bits::Eight => C::CS8,
        };
        termios.control_modes |= match self.parity {
            Parity::None => C::empty(),
            Parity::Even => C::PARENB,
            Parity::Odd => C::PARENB | C::PARODD,
        };
        termios.input_modes -= InputModes::IXON | InputModes::IXOFF | InputModes::IXANY;
        termios
            .input_modes
            .set(InputModes::INPCK, self.parity != Parity::None);
        termios.control_modes.set(C::CSTOPB, self.two_stop_bits);
        match self.flow {
            Flow::None => {}
            Flow::Hardware => termios.control_modes |= C::CRTSCTS,
            Flow::Software => termios.input_modes |= InputModes::IXON | InputModes::IXOFF,
        }
        Ok(())
    }
}

/// What of the settings both ends must agree on.
fn frame(termios: &Termios) -> ControlModes {
    use ControlModes as C;
    termios.control_modes & (C::CSIZE | C::PARENB | C::PARODD | C::CSTOPB | C::CRTSCTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::termios::SpecialCodeIndex;

    /// The settings of a new terminal with what `serial` says.
    fn set(serial: &Serial<'_>) -> Termios {
        let master = std::fs::File::open("/dev/ptmx").expect("a terminal");
        let mut termios = tcgetattr(&master).expect("settings");
        serial.set(&mut termios).expect("settable");
        termios
    }

    #[test]
    fn every_setting_is_set() {
        use ControlModes as C;
        let plain = set(&Serial::at("x"));
        assert_eq!(frame(&plain), C::CS8);
        assert!(plain.control_modes.contains(C::CREAD | C::CLOCAL));
        assert_eq!((plain.input_speed(), plain.output_speed()), (9600, 9600));
        assert_eq!(plain.special_codes[SpecialCodeIndex::VMIN], 1);
        assert!(
            plain.local_modes.is_empty()
                || !plain
                    .local_modes
                    .contains(rustix::termios::LocalModes::ECHO)
        );
        let odd = set(&Serial {
            speed: 250_000,
            bits: Bits::Seven,
            parity: Parity::Odd,
            two_stop_bits: true,
            flow: Flow::Hardware,
            ..Serial::at("x")
        });
        let expected = C::CS7 | C::PARENB | C::PARODD | C::CSTOPB | C::CRTSCTS;
        assert_eq!(frame(&odd), expected);
        assert_eq!(odd.output_speed(), 250_000, "no speed of the old list");
        assert!(odd.input_modes.contains(InputModes::INPCK));
        let soft = set(&Serial {
            bits: Bits::Five,
            parity: Parity::Even,
            flow: Flow::Software,
            ..Serial::at("x")
        });
        assert_eq!(frame(&soft), C::PARENB | C::CS5);
        let both = InputModes::IXON | InputModes::IXOFF;
        assert!(soft.input_modes.contains(both));
    }

    #[test]
    fn what_cannot_be_a_line_is_refused() {
        let mut lines = Lines::new();
        let long = "x".repeat(128);
        for path in ["", "a\0b", &long] {
            assert_eq!(lines.add(&Serial::at(path)), Err(SerialError::Path));
        }
        let still = Serial {
            speed: 0,
            ..Serial::at("/dev/ttyS0")
        };
        assert_eq!(lines.add(&still), Err(SerialError::Speed));
        for number in 0..4 {
            let to = lines.add(&Serial::at(&long[..127]));
            let directions = Directions::BOTH;
            assert_eq!(to, Ok(Destination::Stream { number, directions }));
        }
        assert_eq!(lines.add(&Serial::at("x")), Err(SerialError::Full));
    }

    #[test]
    fn what_is_no_line_does_not_open() {
        let mut lines = Lines::new();
        for (number, path, kind) in [
            (0, "/nonexistent/tty", FaultKind::Refused),
            (1, "/dev/null", FaultKind::Invalid),
            (2, "/", FaultKind::Invalid),
        ] {
            lines.add(&Serial::at(path)).expect("a line");
            match lines.open(number) {
                Err(Outcome::Failed(fault)) => assert_eq!(fault.kind, kind, "{path}"),
                other => panic!("{path}: {other:?}"),
            }
        }
        let unknown = lines.open(3).map(|_| ());
        let invalid = Outcome::Failed(FaultKind::Invalid.with_code(22));
        assert_eq!(unknown, Err(invalid));
    }
}
