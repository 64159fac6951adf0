//! The service manager, notified that the program serves, how many connections, that it is alive, and that it stops
//! (`sd_notify(3)`).
//!
//! By hand, as the crate sd-notify opens a socket that may block, and allocates, for each message.

use super::counters::Counters;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use rustix::time::{ClockId, clock_gettime};
use std::env;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread;
use tidegate_core::heapless::String as Text;

/// The longest message.
const MESSAGE: usize = 256;

/// Tries, 10 ms apart, to notify a service manager whose queue is full of readiness: the manager waits for that
/// message, and empties its queue within that time.
const TRIES: u32 = 500;

/// A service manager that expects notifications.
#[derive(Debug)]
pub(crate) struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    watchdog: Option<Duration>,
    /// The threads that have serviced all waiting sources since the last watchdog message, a bit each.
    served: AtomicU32,
    /// Whether the readiness message was sent.
    knows: AtomicBool,
}

impl Manager {
    /// The one that the environment names, if any. An unusable one is a warning, as `sd_notify(3)` recommends: the
    /// server serves all the same.
    pub(crate) fn find() -> Option<Self> {
        let variable = |name| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let name = variable("NOTIFY_SOCKET")?;
        let opened = address(&name).and_then(|address| {
            let socket = UnixDatagram::unbound()
                .and_then(|socket| socket.set_nonblocking(true).and(Ok(socket)));
            Ok((address, socket.map_err(|error| error.to_string())?))
        });
        let (address, socket) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                let name = name.escape_debug();
                log::warn!("NOTIFY_SOCKET {name}: {why}; serving without a service manager");
                return None;
            }
        };
        let (time, pid) = (variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
        let watchdog = interval(time.as_deref(), pid.as_deref(), std::process::id());
        Some(Self {
            socket,
            address,
            watchdog: watchdog.unwrap_or_else(|why| {
                log::warn!("the watchdog: {}; it is not fed", why.escape_debug());
                None
            }),
            served: AtomicU32::new(0),
            knows: AtomicBool::new(false),
        })
    }

    /// How often each thread shall show that it lives.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Sends the readiness message. Only here waiting for queue capacity is worthwhile. If it cannot be sent,
    /// [`try_again`](Self::try_again) may.
    pub(crate) fn ready(&self, counters: &Counters, connections: u32) {
        let mut sent = self.try_again(counters, connections);
        for _ in 1..TRIES {
            match &sent {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(10));
                    sent = self.try_again(counters, connections);
                }
                Ok(()) | Err(_) => break,
            }
        }
        if let Err(error) = sent {
            log::warn!(
                "cannot tell the service manager at {:?} that we serve: {error}; serving all the same, and trying again",
                self.address
            );
        }
    }

    /// Sends the readiness message, without waiting.
    pub(crate) fn try_again(&self, counters: &Counters, connections: u32) -> io::Result<()> {
        let status = Status::of(counters, connections, false);
        self.send(format_args!("READY=1\nSTATUS={status}"))?;
        self.knows.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the readiness message was sent.
    pub(crate) fn knows(&self) -> bool {
        self.knows.load(Ordering::Relaxed)
    }

    /// Reports the end of a reload (SIGHUP, `Type=notify-reload`).
    pub(crate) fn reloaded(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000) + now.tv_nsec / 1000;
        let sent = self.send(format_args!("RELOADING=1\nMONOTONIC_USEC={micros}"));
        // If the start of the reload cannot be sent, its end need not be.
        let _ = sent.and_then(|()| self.send(format_args!("READY=1")));
    }

    /// Sends the counts. If it does not fit now, the next one will hold newer ones.
    pub(crate) fn status(&self, counters: &Counters, connections: u32, stopping: bool) {
        let status = Status::of(counters, connections, stopping);
        let stops = if stopping { "STOPPING=1\n" } else { "" };
        let _ = self.send(format_args!("{stops}STATUS={status}"));
    }

    /// This thread has serviced all sources that waited. Once each of those that run has, the watchdog is fed.
    pub(crate) fn lives(&self, thread: u32, running: u32) {
        let bit = 1 << thread;
        let served = self.served.fetch_or(bit, Ordering::AcqRel) | bit;
        if running & !served == 0 && self.send(format_args!("WATCHDOG=1")).is_ok() {
            self.served.store(0, Ordering::Release);
        }
    }

    fn send(&self, what: fmt::Arguments<'_>) -> io::Result<()> {
        let mut message = Text::<MESSAGE>::new();
        fmt::Write::write_fmt(&mut message, what).map_err(|_| ErrorKind::FileTooLarge)?;
        self.socket
            .send_to_addr(message.as_bytes(), &self.address)?;
        Ok(())
    }
}

/// The address of a service manager's socket: a path, or a name in the abstract space with `@` before it.
fn address(name: &str) -> Result<SocketAddr, String> {
    let found = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None if name.starts_with('/') => SocketAddr::from_pathname(name),
        None => return Err("must be an absolute path, or a name after @".into()),
    };
    found.map_err(|error| error.to_string())
}

/// How often to feed the watchdog: three times in the microseconds that it waits, so that one may be lost. `None`: there
/// is none, or it is another process's.
fn interval(time: Option<&str>, pid: Option<&str>, us: u32) -> Result<Option<Duration>, String> {
    let Some(time) = time else {
        return Ok(None);
    };
    if pid.is_some_and(|pid| pid != us.to_string()) {
        return Ok(None);
    }
    match time.parse() {
        Ok(micros @ 1..) => Ok(Some(Duration::from_micros(micros) / 3)),
        _ => Err(format!(
            "WATCHDOG_USEC {time} must be a number of microseconds above 0"
        )),
    }
}

/// `serving 3 of 1024 connections; 120 accepted, 2 refused`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Status {
    open: u32,
    connections: u32,
    accepted: u64,
    refused: u64,
    stopping: bool,
}

impl Status {
    fn of(counters: &Counters, connections: u32, stopping: bool) -> Self {
        let stats = &counters.stats;
        Self {
            open: stats.open,
            connections,
            accepted: stats.accepted,
            refused: stats.refused(),
            stopping,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let does = if self.stopping { "draining" } else { "serving" };
        write!(
            f,
            "{does} {} of {} connections; {} accepted, {} refused",
            self.open, self.connections, self.accepted, self.refused
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_has_a_path_or_an_abstract_name() {
        let path = address("/run/x").expect("a path");
        assert_eq!(path.as_pathname(), Some(std::path::Path::new("/run/x")));
        let name = address("@x").expect("a name");
        assert_eq!(name.as_abstract_name(), Some(b"x".as_slice()));
        for wrong in ["", "run/x", "vsock:2:1234"] {
            assert!(address(wrong).is_err_and(|why| why.contains("absolute path")));
        }
        assert!(address(&format!("/{}", "x".repeat(200))).is_err());
    }

    #[test]
    fn the_watchdog_is_fed_three_times_in_its_time_if_it_is_ours() {
        let third = Ok(Some(Duration::from_secs(10)));
        assert_eq!(interval(Some("30000000"), None, 7), third);
        assert_eq!(interval(Some("30000000"), Some("7"), 7), third);
        assert_eq!(interval(Some("30000000"), Some("8"), 7), Ok(None));
        assert_eq!(interval(None, Some("7"), 7), Ok(None));
        for wrong in ["", "0", "-1", "30s"] {
            assert!(interval(Some(wrong), None, 7).is_err_and(|why| why.contains(wrong)));
        }
    }

    #[test]
    fn it_is_fed_once_every_thread_that_runs_has_served() {
        let name = format!("tidegate-{}-fed", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let hears = UnixDatagram::bind_addr(&address).expect("bound");
        hears.set_nonblocking(true).expect("non-blocking");
        let manager = Manager {
            socket: UnixDatagram::unbound().expect("a socket"),
            address,
            watchdog: None,
            served: AtomicU32::new(0),
            knows: AtomicBool::new(false),
        };
        let fed = |by, running| {
            manager.lives(by, running);
            let mut message = [0; MESSAGE];
            hears
                .recv(&mut message)
                .is_ok_and(|n| &message[..n] == b"WATCHDOG=1")
        };
        assert!(!fed(0, 0b111));
        assert!(!fed(0, 0b111), "the same again");
        assert!(!fed(2, 0b111));
        assert!(fed(1, 0b111));
        assert!(!fed(1, 0b111), "from the beginning");
        assert!(fed(0, 0b011));
        assert!(!fed(0, 0b101));
        assert!(fed(0, 0b001), "the other has ended");
    }

    #[test]
    fn the_longest_status_fits() {
        let status = Status {
            open: u32::MAX,
            connections: u32::MAX,
            accepted: u64::MAX,
            refused: u64::MAX,
            stopping: true,
        };
        let message = format!("STOPPING=1\nSTATUS={status}");
        assert!(message.len() <= MESSAGE, "{message}");
    }
}
