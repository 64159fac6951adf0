//! What processes and the machine have used, as the kernel counts it.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use std::fs;

/// The CPU time of a process, all its threads together, those too that have ended; `None` if it is gone.
///
/// Exact, unlike `/proc/PID/stat`, which counts ticks, and whole, unlike `/proc/PID/schedstat`, which is of one thread.
#[must_use]
pub fn cpu_of(process: Pid) -> Option<Duration> {
    let mut clock = 0;
    // SAFETY: `clock` is written or an error is returned.
    if unsafe { libc::clock_getcpuclockid(process.as_raw_pid(), &raw mut clock) } != 0 {
        return None;
    }
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is written or an error is returned.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return None;
    }
    Some(Duration::new(
        u64::try_from(time.tv_sec).ok()?,
        u32::try_from(time.tv_nsec).ok()?,
    ))
}

/// The CPU time of this process.
#[must_use]
pub fn cpu_of_us() -> Duration {
    cpu_of(rustix::process::getpid()).unwrap_or_default()
}

/// The time that all CPUs together did not idle since boot, in ticks of 10 ms.
#[must_use]
pub fn busy() -> Duration {
    fs::read_to_string("/proc/stat")
        .ok()
        .and_then(|text| busy_in(&text))
        .unwrap_or_default()
}

/// `proc_stat(5)`: user, nice, system, idle, iowait, irq, softirq, …; what is neither idle nor waiting nor stolen.
fn busy_in(text: &str) -> Option<Duration> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().flat_map(str::parse).collect();
    let ticks: u64 = [0, 1, 2, 5, 6].iter().filter_map(|&n| ticks.get(n)).sum();
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_millis(ticks * 1000 / per_second))
}

/// The process that listens there, if it is on this machine and may be inspected.
#[must_use]
pub fn listener(address: SocketAddrV4) -> Option<Pid> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let wanted = format!("socket:[{}]", inode_in(&table, address)?);
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let (Some(number), Ok(files)) = (number, fs::read_dir(entry.path().join("fd"))) else {
            continue;
        };
        let mut links = files.flatten().flat_map(|file| fs::read_link(file.path()));
        if links.any(|link| link.as_os_str() == wanted.as_str()) {
            return Pid::from_raw(number);
        }
    }
    None
}

/// The inode of a listening socket, out of `/proc/net/tcp` (`proc_pid_net(5)`).
fn inode_in(table: &str, address: SocketAddrV4) -> Option<u64> {
    let named = |ip: Ipv4Addr| {
        let word = u32::from_ne_bytes(ip.octets());
        format!("{word:08X}:{:04X}", address.port())
    };
    let (exactly, any) = (named(*address.ip()), named(Ipv4Addr::UNSPECIFIED));
    table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (local, state) = (*words.get(1)?, *words.get(3)?);
        let listens = state == "0A" && (local == exactly || local == any);
        listens.then(|| words.get(9)?.parse().ok())?
    })
}

/// As many descriptors as the hard limit allows.
pub fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where that is refused, the first connection too many will report it.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Gives this thread priority over all ordinary ones of its CPU (`sched(7)`, `SCHED_FIFO`); returns whether that is
/// permitted.
#[must_use]
pub fn go_ahead() -> bool {
    let rank = libc::sched_param { sched_priority: 1 };
    // SAFETY: `rank` is only read.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const rank) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn idle_and_stolen_time_is_not_busy() {
        let text = "cpu  100 20 30 4000 500 6 7 80 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        let tick = 1000 / rustix::param::clock_ticks_per_second();
        let busy = Duration::from_millis(tick * (100 + 20 + 30 + 6 + 7));
        assert_eq!(busy_in(text), Some(busy));
        assert_eq!(busy_in("intr 5"), None);
    }

    #[test]
    fn a_listener_is_found() {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let core::net::SocketAddr::V4(address) = socket.local_addr().expect("an address") else {
            unreachable!("bound to IPv4");
        };
        assert_eq!(listener(address), Some(rustix::process::getpid()));
        drop(socket);
        assert_eq!(listener(address), None);
    }

    #[test]
    fn our_own_clock_is_read() {
        assert!(cpu_of_us() > Duration::ZERO);
        assert!(busy() > Duration::ZERO);
    }
}
