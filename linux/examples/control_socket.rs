//! A control socket: line commands from an operator of a device, and notices to the operators. `cargo run -p linux
//! --example control_socket -- --help`
//!
//! A diagnostic socket must respond when everything is wrong: when the table is full, and when every connection is
//! busy. So connections from a Unix socket have reserved slots ([`Listen::reserved`]) and are serviced first
//! ([`Listen::priority`]). Connections over TCP use the same commands, and wait.
//!
//! In C, a signal handler that does more than set a flag is a bug, and a flag is seen only when `epoll_wait()` comes
//! back. Here a thread waits for signals and wakes the loop through an eventfd ([`Waker`]); the handler is notified as
//! for any other descriptor ([`Server::watch`]), between two sources, where any call is allowed.
//!
//! There is no timer wheel, and no tick to miss: each connection has a timer ([`Conn::set_timer`]), and there are free
//! timers ([`Connections::set_interval`]).

mod common;

use common::{Common, Failure};
use core::fmt::Write;
use core::str;
use core::time::Duration;
use heapless::String;
use lexopt::ValueExt;
use static_cell::ConstStaticCell;
use tidegate::framing::{Framed, Lines, Progress};
use tidegate::signals::{Signal, watch};
use tidegate::{
    Address, Config, Conn, Connections, Directions, FullTable, Handler, Listen, Memory, Retry,
    Server, Token, Waker,
};

const HELP: &str = "\
Usage: control_socket [OPTION]...
A control socket in memory of a fixed size: 16 connections, of which 2 are reserved for each Unix socket. It knows these lines:

  status          what there is
  wait SECONDS    says 'done' after that time, once
  every SECONDS   sends the status to all connections at this interval; 0: never
  quit            ends

SIGHUP sets 'every' back to its initial value, and SIGUSR1 asks for the status. All connections are notified of both.

  --listen ADDR    unix:/path, IP:PORT or [IPV6]:PORT; may be given several times [unix:control.sock]
  --every SECONDS  as above [0]
{common}

Try it: socat READLINE UNIX-CONNECT:control.sock
";

/// Bytes of the longest line, and of the longest reply.
const LINES: Lines = Lines::new(80).last_unterminated();
const REPLY: usize = 160;
/// A day: the longest `wait`.
const LONGEST: u64 = 86_400;
/// The free timer that prints the status.
const STATUS: u32 = 0;

// All there ever is: 47 KiB.
// For 16 listeners and one free timer; it has no streams, serial lines, destinations and Unix senders.
type ControlMemory = Memory<16, 256, 2048, Progress, 16, 1, 0, 0, 0, 0>;
// With the server itself: its descriptors are in the memory.
const _: () = assert!(ControlMemory::SIZE + size_of::<Server<'_, Control>>() <= 52 * 1024);
const _: () = assert!(LINES.max_frame() <= 256);
static MEMORY: ConstStaticCell<ControlMemory> = ConstStaticCell::new(ControlMemory::new());

fn main() -> Result<(), Failure> {
    // A connection that listens for notices may be silent for long. Keepalive detects whether a peer on the internet is
    // still there.
    let config = Config {
        first_byte: None,
        idle: None,
        // An operator's idle session does not lock out the next one.
        full: FullTable::Evict,
        ..Config::default()
    };
    let mut every = 0;
    let mut common = Common::new("unix:control.sock", config);
    common.file.mode = Some(0o600); // permission to connect is permission to stop it
    let mut common = common::arguments(HELP, common, |name, parser| {
        let known = name == "every";
        if known {
            every = parser
                .value()?
                .parse_with(|text| seconds(text.as_bytes()))?;
        }
        Ok(known)
    });
    let signals: &Woken = Box::leak(Box::new(Woken::new()?)); // for as long as the program runs
    let handler = Control {
        lines: Framed::new(LINES).skip_errors(),
        signals,
        every,
        heard: 0,
        unknown: 0,
        reloads: 0,
        missed: 0,
    };
    let mut server = Server::new(MEMORY.take(), &common.config, handler)?;
    server.watch(&signals.reload, Directions::READ)?;
    server.watch(&signals.status, Directions::READ)?;
    repeat(&mut server.connections(), every);
    common::take_signals(&mut server)?; // SIGTERM may come as soon as the address has been printed
    watch(|signal| signals.wake(signal))?;

    // Those by Unix sockets go first; the others are listened to as in every example.
    let (unix, internet): (Vec<_>, Vec<_>) =
        (common.listen.into_iter()).partition(|text| text.starts_with("unix:"));
    common.listen = internet;
    for text in &unix {
        let listener = Listen {
            reserved: 2,
            priority: true,
            ..common.listener(Address::parse(text)?)
        };
        common.listen_at(&mut server, &mut Retry::new(), text, listener)?;
    }
    common::serve(&mut server, &common)
}

/// What wakes the loop for each of the signals. An eventfd counts: none is lost, however late it is read.
struct Woken {
    reload: Waker,
    status: Waker,
}

impl Woken {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            reload: Waker::new()?,
            status: Waker::new()?,
        })
    }

    fn wake(&self, signal: Signal) {
        match signal {
            Signal::Reload => self.reload.wake(),
            Signal::User1 => self.status.wake(),
            Signal::Stop | Signal::User2 => {} // taken by the loop
        }
    }
}

struct Control {
    lines: Framed<Lines>,
    signals: &'static Woken,
    /// As it was in the beginning.
    every: u64,
    heard: u64,
    unknown: u64,
    reloads: u64,
    /// Notices that were dropped because a send buffer was full.
    missed: u64,
}

impl Handler for Control {
    type State = Progress;

    fn readable(&mut self, conn: &mut Conn<'_>, progress: &mut Progress) {
        while conn.reserve(REPLY).is_ok()
            && let Some(line) = self.lines.next(conn, progress)
        {
            let words = line.split(u8::is_ascii_whitespace);
            let mut words = words.filter(|word| !word.is_empty());
            if words.clone().next().is_none() {
                continue;
            }
            self.heard += 1;
            let said = match (words.next(), words.next().map(seconds), words.next()) {
                (Some(b"status"), None, None) => self.status(conn.all()),
                (Some(b"quit"), None, None) => return conn.finish(),
                (Some(b"wait"), Some(Ok(after)), None) => {
                    conn.set_timer(Duration::from_secs(after));
                    continue;
                }
                (Some(b"every"), Some(Ok(period)), None) => {
                    repeat(conn.all(), period);
                    text("ok\n")
                }
                (Some(b"wait" | b"every"), Some(Err(why)), None) => text(why),
                _ => {
                    self.unknown += 1;
                    text("unknown; say status, wait SECONDS, every SECONDS or quit\n")
                }
            };
            let _ = conn.send(said.as_bytes()); // the buffer has capacity
        }
    }

    /// The last line may lack its line feed. Requests from before it are completed, a `wait` too.
    fn ended(&mut self, conn: &mut Conn<'_>, progress: &mut Progress) {
        self.readable(conn, progress);
        conn.finish();
    }

    /// Of a connection, after `wait`.
    fn timer(&mut self, conn: &mut Conn<'_>, _: &mut Progress) {
        if conn.send(b"done\n").is_err() {
            self.missed += 1;
        }
    }

    /// A free timer, not of a connection: set by `every`.
    fn tick(&mut self, all: &mut Connections<'_>, _: u32, _: u64) {
        let said = self.status(all);
        self.notify(all, &said);
    }

    /// A signal came, or several.
    fn ready(&mut self, all: &mut Connections<'_>, _: Token, _: Directions) {
        let (reloads, asked) = (self.signals.reload.take(), self.signals.status.take());
        if reloads > 0 {
            self.reloads += reloads;
            repeat(all, self.every);
            self.notify(all, "notice: reloaded\n");
        }
        if asked > 0 {
            let said = self.status(all);
            self.notify(all, &said);
        }
    }
}

impl Control {
    fn notify(&mut self, all: &mut Connections<'_>, said: &str) {
        self.missed += u64::from(all.send_all(said.as_bytes()));
    }

    fn status(&self, all: &Connections<'_>) -> String<REPLY> {
        let mut said = String::new();
        // The numbers would have to be of twenty digits each not to fit.
        let _ = writeln!(
            said,
            "status: {} connections, {} lines, {} unknown, {} too long, {} reloads, {} notices missed",
            all.tokens().count(),
            self.heard,
            self.unknown,
            self.lines.errors(),
            self.reloads,
            self.missed,
        );
        said
    }
}

/// Sends the status at this interval.
fn repeat(all: &mut Connections<'_>, seconds: u64) {
    match seconds {
        0 => all.cancel_timer(STATUS),
        _ => drop(all.set_interval(STATUS, Duration::from_secs(seconds))), // there are more than one
    }
}

fn seconds(word: &[u8]) -> Result<u64, &'static str> {
    let number = str::from_utf8(word).ok().and_then(|word| word.parse().ok());
    let number = number.filter(|seconds| *seconds <= LONGEST);
    number.ok_or("not a number of seconds; at most 86400\n")
}

fn text(said: &str) -> String<REPLY> {
    said.try_into().unwrap_or_default()
}
