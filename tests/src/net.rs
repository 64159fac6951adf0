//! Clients, and what `/proc` shows of descriptors.

use crate::bounded::SOON;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;

/// A stream whose every wait is bounded.
pub trait Client: Read + Write {
    /// Ends the sending side.
    fn finish(&self);

    /// Sends all of `bytes`.
    ///
    /// # Panics
    ///
    /// If they cannot be sent soon.
    fn say(&mut self, bytes: &[u8]) {
        self.write_all(bytes).expect("sent");
    }

    /// Receives exactly as many bytes as were expected, and compares.
    ///
    /// # Panics
    ///
    /// If others come, or fewer soon.
    fn hear(&mut self, expected: &[u8]) {
        let mut heard = vec![0; expected.len()];
        self.read_exact(&mut heard).expect("a reply");
        assert!(heard == expected, "another reply than expected");
    }

    /// Sends bytes and receives the same.
    fn echo(&mut self, bytes: &[u8]) {
        self.say(bytes);
        self.hear(bytes);
    }

    /// Receives to the orderly end.
    ///
    /// # Panics
    ///
    /// At a reset, or if the end does not come soon.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.read_to_end(&mut rest).expect("an orderly end");
        rest
    }

    /// Receives to the end, whatever it is; returns whether it was a reset.
    ///
    /// # Panics
    ///
    /// If it does not come soon.
    fn is_reset(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.read_to_end(&mut rest) {
            Ok(_) => false,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
                true
            }
        }
    }
}

impl Client for TcpStream {
    fn finish(&self) {
        self.shutdown(Shutdown::Write).expect("shut down");
    }
}

impl Client for UnixStream {
    fn finish(&self) {
        self.shutdown(Shutdown::Write).expect("shut down");
    }
}

/// Connects over TCP; every wait is bounded, and small segments go at once.
///
/// # Panics
///
/// If it cannot.
#[must_use]
pub fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, SOON).expect("connected");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    stream.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
    stream.set_write_timeout(Some(SOON)).expect("SO_SNDTIMEO");
    stream
}

/// Whether a connection there is reset: during the connect, which may already see it, or after it.
#[must_use]
pub fn is_refused(address: SocketAddr) -> bool {
    match connect_from(Ipv4Addr::LOCALHOST, address) {
        Ok(mut client) => client.is_reset(),
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Connects over TCP from this address of the loopback; every wait is bounded, that for the connection by the kernel's
/// retries.
///
/// # Errors
///
/// Of the calls that it takes.
pub fn connect_from(source: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket_from(source, SocketFlags::CLOEXEC)?;
    rustix::net::connect(&socket, &to)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SOON))?;
    stream.set_write_timeout(Some(SOON))?;
    Ok(stream)
}

/// Begins to connect over TCP from this address of the loopback; the stream never waits.
///
/// # Errors
///
/// Of the calls that it takes.
pub fn begin_from(source: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket_from(source, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
        Err(errno) => Err(errno.into()),
    }
}

fn socket_from(source: Ipv4Addr, flags: SocketFlags) -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    // Connecting chooses that by itself, and its port by both ends.
    if source != Ipv4Addr::LOCALHOST {
        sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &SocketAddr::from((source, 0)))?;
    }
    Ok(socket)
}

/// Connects over a Unix socket; every wait is bounded.
///
/// # Panics
///
/// If it cannot.
#[must_use]
pub fn unix(path: &str) -> UnixStream {
    let stream = UnixStream::connect(path).expect("connected");
    stream.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
    stream.set_write_timeout(Some(SOON)).expect("SO_SNDTIMEO");
    stream
}

/// Has nmap find out what serves at this port of the loopback, with probes for many protocols.
///
/// # Panics
///
/// If it cannot, or takes too long.
pub fn scan(port: &str) {
    let mut nmap = Command::new("nmap");
    nmap.args(["-sV", "--version-intensity", "1", "-Pn", "-n"]);
    nmap.args(["--host-timeout", "45s", "-p", port, "127.0.0.1"]);
    let ended = nmap.output().expect("nmap");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(said.contains("open"), "{said}");
}

/// Closes with a reset instead of FIN.
///
/// # Panics
///
/// If it cannot.
pub fn reset(stream: TcpStream) {
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("SO_LINGER");
    drop(stream);
}

/// Bytes that are not the same anywhere: a fault of order, a loss and a repetition show.
#[must_use]
pub fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

/// The numbers of the descriptors that a process has.
///
/// # Panics
///
/// If it is gone.
#[must_use]
pub fn descriptors(process: Pid) -> Vec<i32> {
    let folder = format!("/proc/{}/fd", process.as_raw_pid());
    let listed = fs::read_dir(&folder).expect("a process");
    let listed: Vec<_> = listed
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    // The list was read through one of our own, which is closed by now.
    let still = listed.iter().filter(|path| fs::read_link(path).is_ok());
    let mut numbers: Vec<i32> = still
        .filter_map(|path| path.file_name()?.to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// A copy of a process's descriptor, as a child or a receiver of it would hold, if it is still there.
#[must_use]
pub fn duplicate(process: Pid, number: i32) -> Option<OwnedFd> {
    let process = pidfd_open(process, PidfdFlags::empty()).expect("a process");
    pidfd_getfd(process, number, PidfdGetfdFlags::empty()).ok()
}

/// The descriptor at the other end of `client`, and a copy of it.
///
/// # Panics
///
/// If there is none soon.
#[must_use]
pub fn server_end(process: Pid, client: &TcpStream) -> (i32, OwnedFd) {
    let ours = client.local_addr().expect("an address");
    let find = || {
        descriptors(process).into_iter().find_map(|number| {
            let copy = duplicate(process, number)?;
            let peer = rustix::net::getpeername(copy.as_fd()).ok()??;
            (SocketAddr::try_from(peer).ok()? == ours).then_some((number, copy))
        })
    };
    let mut found = None;
    crate::bounded::until("the connection is accepted", || {
        found = find();
        found.is_some()
    });
    found.expect("found")
}

/// The flags of a descriptor, `O_CLOEXEC` too, in octal as `/proc/PID/fdinfo` shows them.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn flags(process: Pid, number: i32) -> u32 {
    let path = format!("/proc/{}/fdinfo/{number}", process.as_raw_pid());
    let text = fs::read_to_string(path).expect("a descriptor");
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    u32::from_str_radix(flags.expect("flags").trim(), 8).expect("an octal number")
}

/// Resident bytes of a process, counted page by page (`VmRSS` is only near it).
///
/// # Panics
///
/// If it is gone.
#[must_use]
pub fn resident(process: Pid) -> u64 {
    let path = format!("/proc/{}/smaps_rollup", process.as_raw_pid());
    let text = fs::read_to_string(path).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.expect("a line")
        .trim()
        .parse::<u64>()
        .expect("a number")
        * 1024
}

/// Bytes of private writable memory that a process has mapped, used or not.
///
/// # Panics
///
/// If it is gone.
#[must_use]
pub fn writable_memory(process: Pid) -> u64 {
    let path = format!("/proc/{}/status", process.as_raw_pid());
    let text = fs::read_to_string(path).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.expect("a line")
        .trim()
        .parse::<u64>()
        .expect("a number")
        * 1024
}

/// How often the threads of a process went to sleep so far: one that wakes up does so again.
///
/// # Panics
///
/// If it is gone.
#[must_use]
pub fn wake_ups(process: Pid) -> u64 {
    let folder = format!("/proc/{}/task", process.as_raw_pid());
    let threads = fs::read_dir(folder).expect("a process");
    let switches = threads.map(|thread| {
        let path = thread.expect("a thread").path().join("status");
        let text = fs::read_to_string(path).expect("a thread");
        let mut lines = text.lines();
        let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count
            .expect("a line")
            .trim()
            .parse::<u64>()
            .expect("a number")
    });
    switches.sum()
}
