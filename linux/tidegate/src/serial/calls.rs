//! The calls of a serial line that rustix has no names for: `ioctl_tty(2)`, `tty_ioctl(4)`.

use crate::socket::SIOCOUTQ;
use core::ffi::c_int;
use rustix::fd::BorrowedFd;
use rustix::io;
use rustix::ioctl::{Getter, NoArg, Opcode, Setter, Updater, ioctl};

/// The numbers, which some machines have of their own (`asm/ioctls.h`).
#[cfg(not(any(
    target_arch = "mips",
    target_arch = "mips32r6",
    target_arch = "mips64",
    target_arch = "mips64r6"
)))]
mod number {
    use super::Opcode;
    pub(super) const TIOCMGET: Opcode = 0x5415;
    pub(super) const TIOCMBIS: Opcode = 0x5416;
    pub(super) const TIOCMBIC: Opcode = 0x5417;
    pub(super) const TIOCSETD: Opcode = 0x5423;
    pub(super) const TIOCSBRK: Opcode = 0x5427;
    pub(super) const TIOCCBRK: Opcode = 0x5428;
    pub(super) const TIOCGRS485: Opcode = 0x542e;
    pub(super) const TIOCSRS485: Opcode = 0x542f;
    pub(super) const TIOCGICOUNT: Opcode = 0x545d;
}
#[cfg(any(
    target_arch = "mips",
    target_arch = "mips32r6",
    target_arch = "mips64",
    target_arch = "mips64r6"
))]
mod number {
    use super::{Opcode, Rs485Flags};
    use rustix::ioctl::opcode;
    pub(super) const TIOCMGET: Opcode = 0x741d;
    pub(super) const TIOCMBIS: Opcode = 0x741b;
    pub(super) const TIOCMBIC: Opcode = 0x741c;
    pub(super) const TIOCSETD: Opcode = 0x7401;
    pub(super) const TIOCSBRK: Opcode = 0x5427;
    pub(super) const TIOCCBRK: Opcode = 0x5428;
    pub(super) const TIOCGRS485: Opcode = opcode::read::<Rs485Flags>(b'T', 0x2e);
    pub(super) const TIOCSRS485: Opcode = opcode::read_write::<Rs485Flags>(b'T', 0x2f);
    pub(super) const TIOCGICOUNT: Opcode = 0x5492;
}

/// The modem's lines, in the bits of `TIOCMGET`.
pub(super) const DTR: c_int = 0x002;
pub(super) const RTS: c_int = 0x004;
pub(super) const CTS: c_int = 0x020;
pub(super) const CD: c_int = 0x040;
pub(super) const RI: c_int = 0x080;
pub(super) const DSR: c_int = 0x100;

/// `struct serial_rs485` (`linux/serial.h`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub(super) struct Rs485Flags {
    pub(super) flags: u32,
    pub(super) delay_before_ms: u32,
    pub(super) delay_after_ms: u32,
    rest: [u32; 5],
}

/// `SER_RS485_…`
pub(super) const ENABLED: u32 = 1;
pub(super) const RTS_ON_SEND: u32 = 1 << 1;
pub(super) const RTS_AFTER_SEND: u32 = 1 << 2;
pub(super) const RX_DURING_TX: u32 = 1 << 4;

impl Rs485Flags {
    pub(super) const fn new(flags: u32, delay_before_ms: u32, delay_after_ms: u32) -> Self {
        let rest = [0; 5];
        Self {
            flags,
            delay_before_ms,
            delay_after_ms,
            rest,
        }
    }
}

/// `struct serial_icounter_struct` (`linux/serial.h`).
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Counters {
    pub(super) cts: c_int,
    pub(super) dsr: c_int,
    pub(super) ri: c_int,
    pub(super) cd: c_int,
    pub(super) received: c_int,
    pub(super) sent: c_int,
    pub(super) frame: c_int,
    pub(super) overrun: c_int,
    pub(super) parity: c_int,
    pub(super) breaks: c_int,
    pub(super) buffer_overrun: c_int,
    rest: [c_int; 9],
}

/// Bytes that are not on the line yet.
pub(super) fn unsent(line: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: TIOCOUTQ, which is the same number, writes one int through its pointer, and nothing else.
    let bytes = unsafe { ioctl(line, Getter::<SIOCOUTQ, c_int>::new()) }?;
    Ok(u32::try_from(bytes).unwrap_or(0))
}

/// The modem's lines that are on.
pub(super) fn modem(line: BorrowedFd<'_>) -> io::Result<c_int> {
    // SAFETY: TIOCMGET writes one int through its pointer, and nothing else.
    unsafe { ioctl(line, Getter::<{ number::TIOCMGET }, c_int>::new()) }
}

/// Switches some of them on or off.
pub(super) fn set_modem(line: BorrowedFd<'_>, bits: c_int, on: bool) -> io::Result<()> {
    if on {
        // SAFETY: TIOCMBIS reads one int through its pointer, and nothing else.
        unsafe { ioctl(line, Setter::<{ number::TIOCMBIS }, c_int>::new(bits)) }
    } else {
        // SAFETY: TIOCMBIC reads one int through its pointer, and nothing else.
        unsafe { ioctl(line, Setter::<{ number::TIOCMBIC }, c_int>::new(bits)) }
    }
}

/// Begins a break, or ends it. Neither waits.
pub(super) fn set_break(line: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    if on {
        // SAFETY: TIOCSBRK has no argument.
        unsafe { ioctl(line, NoArg::<{ number::TIOCSBRK }>::new()) }
    } else {
        // SAFETY: TIOCCBRK has no argument.
        unsafe { ioctl(line, NoArg::<{ number::TIOCCBRK }>::new()) }
    }
}

/// The line discipline of terminals, `N_TTY`, instead of one that a former program has set.
pub(super) fn set_terminal_discipline(line: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TIOCSETD reads one int through its pointer, and nothing else.
    unsafe { ioctl(line, Setter::<{ number::TIOCSETD }, c_int>::new(0)) }
}

pub(super) fn rs485(line: BorrowedFd<'_>) -> io::Result<Rs485Flags> {
    // SAFETY: TIOCGRS485 writes one `struct serial_rs485`, which has this layout and takes any bits, and nothing else.
    unsafe { ioctl(line, Getter::<{ number::TIOCGRS485 }, Rs485Flags>::new()) }
}

pub(super) fn set_rs485(line: BorrowedFd<'_>, flags: Rs485Flags) -> io::Result<()> {
    // The kernel writes what its driver has made of it to the argument: it is read by another call.
    let mut flags = flags;
    // SAFETY: TIOCSRS485 reads one `struct serial_rs485`, which has this layout, and writes one there, which may have any
    // bits; `flags` is ours alone, and lives on.
    unsafe {
        ioctl(
            line,
            Updater::<{ number::TIOCSRS485 }, Rs485Flags>::new(&mut flags),
        )
    }
}

pub(super) fn counters(line: BorrowedFd<'_>) -> io::Result<Counters> {
    // SAFETY: TIOCGICOUNT writes one `struct serial_icounter_struct`, which has this layout and takes any bits, and nothing
    // else.
    unsafe { ioctl(line, Getter::<{ number::TIOCGICOUNT }, Counters>::new()) }
}

const _: () = assert!(size_of::<Rs485Flags>() == 32, "as in linux/serial.h");
const _: () = assert!(size_of::<Counters>() == 80, "as in linux/serial.h");
