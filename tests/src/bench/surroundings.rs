//! Where it is measured: a network of our own where we may, which CPUs, and what the machine is.

use core::ffi::c_short;
use rustix::fd::AsFd;
use rustix::ioctl::Setter;
use rustix::net::{AddressFamily, SocketType};
use rustix::thread::{CpuSet, UnshareFlags, sched_getaffinity, sched_setaffinity};
use std::{fs, io};

/// Moves this thread, and the processes that it will start, into a network of its own: loopback only, so that no
/// firewall rule and no foreign packet is measured, Reno for TCP (others pace by timers), and ports for many
/// connections.
///
/// To be called before there are other threads.
///
/// # Errors
///
/// If that is not allowed: the network stays as it is.
pub fn own_network() -> io::Result<()> {
    // SAFETY: descriptors stay shared; nothing but the network namespace of this thread changes.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET)? };
    raise_loopback()?;
    for (name, value) in [
        ("ipv4/tcp_congestion_control", "reno"),
        ("ipv4/ip_local_port_range", "1100 65000"),
        ("ipv4/tcp_max_tw_buckets", "8192"),
        ("core/somaxconn", "4096"),
    ] {
        // Where it is refused, what the machine has will do.
        let _ = fs::write(format!("/proc/sys/net/{name}"), value);
    }
    Ok(())
}

/// `struct ifreq` of `netdevice(7)`, as far as flags go.
#[repr(C)]
struct InterfaceFlags {
    name: [u8; 16],
    flags: c_short,
    padding: [u8; 22],
}

fn raise_loopback() -> io::Result<()> {
    const SIOCSIFFLAGS: rustix::ioctl::Opcode = 0x8914 as rustix::ioctl::Opcode;
    const UP_AND_RUNNING: c_short = 0x1 | 0x40;
    let mut request = InterfaceFlags {
        name: [0; 16],
        flags: UP_AND_RUNNING,
        padding: [0; 22],
    };
    request.name[..2].copy_from_slice(b"lo");
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: the request is a whole `struct ifreq`, which this call only reads.
    unsafe {
        rustix::ioctl::ioctl(
            socket.as_fd(),
            Setter::<SIOCSIFFLAGS, InterfaceFlags>::new(request),
        )?;
    }
    Ok(())
}

/// Two CPUs that we may use, one for the server, one for the load; `None` if there is only one.
#[must_use]
pub fn two_cpus() -> Option<(usize, usize)> {
    let allowed = sched_getaffinity(None).ok()?;
    let mut cpus = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
    Some((cpus.next()?, cpus.next()?))
}

/// Keeps this thread, and what it starts, on one CPU.
///
/// # Errors
///
/// `sched_setaffinity(2)`.
pub fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// The machine in a line: processors, kernel, compiler.
#[must_use]
pub fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model.trim());
    let count = cpus
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let name = rustix::system::uname();
    format!(
        "{count} × {model}, {} {}",
        name.sysname().to_string_lossy(),
        name.release().to_string_lossy()
    )
}

/// The day, as `2026-01-31`, in UTC.
#[must_use]
pub fn today() -> String {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let (year, month, day) = civil(now.tv_sec.div_euclid(86_400));
    format!("{year}-{month:02}-{day:02}")
}

/// The day of the Gregorian calendar that lies so many after 1970-01-01.
fn civil(mut days: i64) -> (i64, usize, i64) {
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let mut year = 1970;
    while days >= 365 + i64::from(leap(year)) {
        days -= 365 + i64::from(leap(year));
        year += 1;
    }
    let february = 28 + i64::from(leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month + 1, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_named() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(59), (1970, 3, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(19_783), (2024, 3, 1));
        assert_eq!(civil(20_453), (2025, 12, 31));
    }

    #[test]
    fn the_machine_is_named() {
        assert!(machine().contains("Linux"), "{}", machine());
    }
}
