//! Pseudo-terminals, as serial lines that need no hardware.

use rustix::fd::OwnedFd;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;

/// The end of a pseudo-terminal that stands for whatever is at the other end of the wire, and the path of the end that is
/// the device. Nothing is interpreted on the way.
///
/// # Panics
///
/// If there is none to be had.
#[must_use]
pub fn terminal() -> (File, String) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let far = openpt(flags).expect("a pseudo-terminal");
    grantpt(&far).expect("its device");
    unlockpt(&far).expect("its device");
    let path = ptsname(&far, Vec::new()).expect("its name");
    let mut settings = tcgetattr(&far).expect("its settings");
    settings.make_raw();
    tcsetattr(&far, OptionalActions::Now, &settings).expect("settable");
    (far.into(), path.into_string().expect("a path"))
}

/// The device, opened as a program does that has nothing to do with the server.
///
/// # Panics
///
/// If it cannot be.
#[must_use]
pub fn device(path: &str) -> OwnedFd {
    let flags = rustix::fs::OFlags::NOCTTY.bits();
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true);
    let file = options.custom_flags(flags.cast_signed()).open(path);
    file.expect("a device").into()
}
