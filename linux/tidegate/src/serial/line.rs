//! [`Line`]: an open serial line, to set and query. What sets it at its opening does so later, too.

use super::calls::{self, Rs485Flags};
use super::settings::{self, WrongSpeed};
use super::{Rs485, Serial};
use crate::error::Error;
use core::ffi::{CStr, c_int};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open as open_file};
use rustix::io::Errno;
use rustix::termios::{
    Action, OptionalActions, QueueSelector, ioctl_tiocexcl, tcflow, tcflush, tcgetattr, tcsetattr,
};
use tidegate_core::Ignored;

/// A serial line that is open, from [`Server::line`](crate::Server::line): its settings, the modem's lines, breaks. No call
/// waits for the line. Where a driver has no such thing (a pseudo-terminal has no modem), a call fails with `ENOTTY`.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    descriptor: BorrowedFd<'a>,
}

/// The modem's lines: true is on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Modem {
    /// Data terminal ready, which we set.
    pub dtr: bool,
    /// Request to send, which we set, unless flow control or RS-485 does.
    pub rts: bool,
    /// Clear to send.
    pub cts: bool,
    /// Data set ready.
    pub dsr: bool,
    /// Ring indicator.
    pub ri: bool,
    /// Carrier detect.
    pub cd: bool,
}

/// What a line has counted since its device is there, modulo 2³² (`TIOCGICOUNT`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Counts {
    /// Characters without their stop bit.
    pub framing: u32,
    /// Characters that came before the last one was fetched.
    pub overrun: u32,
    /// Characters with a wrong parity bit.
    pub parity: u32,
    /// Breaks.
    pub breaks: u32,
    /// Characters dropped because the kernel's buffer was full.
    pub buffer_overrun: u32,
}

impl<'a> Line<'a> {
    pub(crate) const fn of(descriptor: BorrowedFd<'a>) -> Self {
        Self { descriptor }
    }

    /// Sets all of its settings; the path and `exclusive` mean nothing here. Returns what the driver did not take. What is
    /// not sent yet is sent with the new settings.
    ///
    /// # Errors
    ///
    /// [`Error`]; what was set before may be set in part then.
    pub fn set(&self, serial: &Serial<'_>) -> Result<Ignored, Error> {
        set(self.descriptor, serial).map_err(|failed| match failed {
            Unset::Speed(WrongSpeed(made)) => Error::Speed {
                asked: serial.speed,
                made,
            },
            Unset::Call(errno) => Error::of("tcsetattr")(errno),
        })
    }

    /// Begins a break, which lasts until it is ended (`TIOCSBRK`, `TIOCCBRK`): by a timer, for instance.
    ///
    /// # Errors
    ///
    /// The driver has no breaks, or the device is gone.
    pub fn set_break(&self, on: bool) -> Result<(), Error> {
        let call = if on { "TIOCSBRK" } else { "TIOCCBRK" };
        calls::set_break(self.descriptor, on).map_err(Error::of(call))
    }

    /// Switches DTR.
    ///
    /// # Errors
    ///
    /// There is no such wire, or the device is gone.
    pub fn set_dtr(&self, on: bool) -> Result<(), Error> {
        self.set_modem(calls::DTR, on)
    }

    /// Switches RTS.
    ///
    /// # Errors
    ///
    /// There is no such wire, or the device is gone.
    pub fn set_rts(&self, on: bool) -> Result<(), Error> {
        self.set_modem(calls::RTS, on)
    }

    fn set_modem(&self, bits: c_int, on: bool) -> Result<(), Error> {
        let call = if on { "TIOCMBIS" } else { "TIOCMBIC" };
        calls::set_modem(self.descriptor, bits, on).map_err(Error::of(call))
    }

    /// The modem's lines as they are now.
    ///
    /// # Errors
    ///
    /// There are none, or the device is gone.
    pub fn modem(&self) -> Result<Modem, Error> {
        let bits = calls::modem(self.descriptor).map_err(Error::of("TIOCMGET"))?;
        let on = |line: c_int| bits & line != 0;
        Ok(Modem {
            dtr: on(calls::DTR),
            rts: on(calls::RTS),
            cts: on(calls::CTS),
            dsr: on(calls::DSR),
            ri: on(calls::RI),
            cd: on(calls::CD),
        })
    }

    /// What it has counted.
    ///
    /// # Errors
    ///
    /// The driver does not count, or the device is gone.
    pub fn counts(&self) -> Result<Counts, Error> {
        let counters = calls::counters(self.descriptor).map_err(Error::of("TIOCGICOUNT"))?;
        Ok(Counts {
            framing: counters.frame.cast_unsigned(),
            overrun: counters.overrun.cast_unsigned(),
            parity: counters.parity.cast_unsigned(),
            breaks: counters.breaks.cast_unsigned(),
            buffer_overrun: counters.buffer_overrun.cast_unsigned(),
        })
    }

    /// Bytes that were written and are not on the line yet (`TIOCOUTQ`); a driver may leave out those in its device.
    ///
    /// # Errors
    ///
    /// The device is gone.
    pub fn unsent(&self) -> Result<u32, Error> {
        calls::unsent(self.descriptor).map_err(Error::of("TIOCOUTQ"))
    }

    /// Discards what the kernel has received and not returned yet (`input`), and what it was given and has not sent
    /// (`output`). What lies in the buffers of the connection stays.
    ///
    /// # Errors
    ///
    /// The device is gone.
    pub fn purge(&self, input: bool, output: bool) -> Result<(), Error> {
        let queues = match (input, output) {
            (true, true) => QueueSelector::IOFlush,
            (true, false) => QueueSelector::IFlush,
            (false, true) => QueueSelector::OFlush,
            (false, false) => return Ok(()),
        };
        tcflush(self.descriptor, queues).map_err(Error::of("tcflush"))
    }
}

/// Why a line was not set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unset {
    Speed(WrongSpeed),
    Call(Errno),
}

/// Opens a line and sets it, which does not wait: neither for a carrier nor for the device. Returns what its driver did not
/// take, too. A speed that it cannot make is `ERANGE`.
pub(super) fn open(path: &CStr, serial: &Serial<'_>) -> Result<(OwnedFd, Ignored), Errno> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let line = open_file(path, flags, Mode::empty())?;
    if tcgetattr(&line)?.line_discipline != 0 {
        calls::set_terminal_discipline(line.as_fd())?;
    }
    if serial.exclusive {
        ioctl_tiocexcl(&line)?;
    }
    // A break, and output that was stopped, outlive a program while others have the line open. Where there is neither, no
    // more is to be done.
    let _ = calls::set_break(line.as_fd(), false);
    let _ = tcflow(&line, Action::OOn);
    match set(line.as_fd(), serial) {
        Ok(ignored) => Ok((line, ignored)),
        Err(Unset::Speed(WrongSpeed(_))) => Err(Errno::RANGE),
        Err(Unset::Call(errno)) => Err(errno),
    }
}

/// Sets all of a line's settings.
fn set(line: BorrowedFd<'_>, serial: &Serial<'_>) -> Result<Ignored, Unset> {
    let mut wanted = tcgetattr(line).map_err(Unset::Call)?;
    settings::set(serial, &mut wanted).map_err(Unset::Call)?;
    tcsetattr(line, OptionalActions::Now, &wanted).map_err(Unset::Call)?;
    let taken = tcgetattr(line).map_err(Unset::Call)?;
    let mut ignored = settings::compare(&wanted, &taken).map_err(Unset::Speed)?;
    if !set_rs485(line, serial.rs485) {
        ignored |= Ignored::RS485;
    }
    for (wish, bits, setting) in [
        (serial.dtr, calls::DTR, Ignored::DTR),
        (serial.rts, calls::RTS, Ignored::RTS),
    ] {
        if let Some(on) = wish
            && calls::set_modem(line, bits, on).is_err()
        {
            ignored |= setting;
        }
    }
    Ok(ignored)
}

/// Switches RS-485 on or off. Returns whether the driver has taken it as requested.
fn set_rs485(line: BorrowedFd<'_>, wanted: Option<Rs485>) -> bool {
    let Some(wanted) = wanted else {
        // Only what a former program has switched on is switched off.
        return match calls::rs485(line) {
            Ok(left) if left.flags & calls::ENABLED != 0 => {
                calls::set_rs485(line, Rs485Flags::default()).is_ok()
            }
            Ok(_) | Err(_) => true,
        };
    };
    let flags = flags_of(wanted);
    calls::set_rs485(line, flags).is_ok() && calls::rs485(line) == Ok(flags)
}

fn flags_of(wanted: Rs485) -> Rs485Flags {
    let mut flags = calls::ENABLED;
    for (wish, flag) in [
        (wanted.rts_on_send, calls::RTS_ON_SEND),
        (wanted.rts_after_send, calls::RTS_AFTER_SEND),
        (wanted.receive_while_sending, calls::RX_DURING_TX),
    ] {
        if wish {
            flags |= flag;
        }
    }
    Rs485Flags::new(flags, wanted.delay_before_ms, wanted.delay_after_ms)
}

#[cfg(test)]
mod tests {
    extern crate alloc;

    use super::*;
    use alloc::string::ToString;

    #[test]
    fn rs485_is_what_the_kernel_calls_so() {
        let plain = flags_of(Rs485::default());
        assert_eq!(plain, Rs485Flags::new(0b11, 0, 0));
        let all = Rs485 {
            rts_on_send: false,
            rts_after_send: true,
            receive_while_sending: true,
            delay_before_ms: 1,
            delay_after_ms: 2,
        };
        assert_eq!(flags_of(all), Rs485Flags::new(0b1_0101, 1, 2));
    }

    #[test]
    fn errors_say_what_is_made_of_a_speed() {
        let error = Error::Speed {
            asked: 115_200,
            made: 9_600,
        };
        let said = error.to_string();
        assert!(said.contains("115200") && said.contains("9600"), "{said}");
    }
}
