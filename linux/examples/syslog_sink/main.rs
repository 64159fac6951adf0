//! A sink for syslog messages, which keeps the last of them. `cargo run -p linux --example syslog_sink -- --help`
//!
//! A datagram is a message: whole, or truncated at the window, which the handler sees. There is no connection, so
//! nothing to accept, and no table to fill. An empty datagram is not EOF, and a network error is not one either. A
//! server in C that reads datagrams until `EAGAIN` has no time for anything else while they come fast; here a few are
//! received, and then other sources are serviced.
//!
//! At each UDP port that listens, messages come over TCP, too; `framing.rs` finds their ends in the stream.
//!
//! The messages are kept as lines in a ring of a fixed size: when it is full, the oldest go, and are counted. A
//! connection to `--show` is sent all of them. A reader that is slower than the messages misses some: it gets a line
//! with the number of bytes lost, and nothing waits for it.

#[path = "../common/mod.rs"]
mod common;

mod framing;

use common::{Common, Failure};
use core::fmt::{self, Write};
use core::mem;
use core::sync::atomic::{AtomicU32, Ordering};
use framing::{HEAD, MESSAGE, Messages, Progress};
use heapless::Deque;
use lexopt::ValueExt;
use static_cell::ConstStaticCell;
use tidegate::framing::Framed;
use tidegate::{
    Address, Config, Conn, Connections, Datagram, DatagramMemory, Datagrams, Escaped, FullTable,
    Handler, Memory, Peer, Server, Token,
};

const HELP: &str = "\
Usage: syslog_sink [OPTION]...
Receives syslog messages (RFC 3164, RFC 5424) and keeps the last 256 KiB of them in memory of a fixed size. Of a message
the first 8 KiB are kept. There are 16 connections, for senders and readers.

  --listen ADDR    where messages come: IP:PORT, [IPV6]:PORT for UDP and TCP, or unix:/path for datagrams; up to 4
                   times [127.0.0.1:5514]
  --tcp on|off     whether they come over TCP, too: counted or as lines (RFC 6587) [on]
  --show ADDR      where a connection is sent what is kept, over TCP or unix:/path [127.0.0.1:5515]
{common}

Try it: logger --server 127.0.0.1 --port 5514 --tcp --octet-count hello; nc 127.0.0.1 5515
";

/// Sockets for datagrams.
const SOCKETS: usize = 4;

type Windows = DatagramMemory<{ SOCKETS * MESSAGE }, 0, SOCKETS>;
// It has no free timers, streams, serial lines, destinations and Unix senders.
type SinkMemory = Memory<16, RECEIVE, 4096, State, 16, 0, 0, 0, 0, 0>;

/// What a connection can receive: a message with its length in front, or a line that is known to be too long.
const RECEIVE: usize = MESSAGE + 64;
const _: () = assert!(MESSAGE + HEAD < RECEIVE && MESSAGE + 2 < RECEIVE);

// All there ever is: 215 KiB for connections, 35 KiB to receive datagrams into, 256 KiB of messages.
const _: () = assert!(SinkMemory::SIZE <= 215 * 1024 && Windows::SIZE <= 35 * 1024);
const _: () = assert!(size_of::<Ring>() <= 257 * 1024);
static MEMORY: ConstStaticCell<SinkMemory> = ConstStaticCell::new(SinkMemory::new());
static WINDOWS: ConstStaticCell<Windows> = ConstStaticCell::new(Windows::new());
static RING: ConstStaticCell<Ring> = ConstStaticCell::new(Ring::new());

/// Bits of the listeners whose connections send messages; the connections of others read.
static SENDERS: AtomicU32 = AtomicU32::new(0);

fn main() -> Result<(), Failure> {
    let mut show = Vec::new();
    let mut tcp = true;
    let config = Config {
        // An idle reader, or the sender that has been silent longest, is evicted for the next one.
        full: FullTable::Evict,
        // A silent sender is well. One that is gone is found by keepalive.
        first_byte: None,
        idle: None,
        ..Config::default()
    };
    let common = Common::new("127.0.0.1:5514", config);
    let mut common = common::arguments(HELP, common, |name, parser| {
        match name {
            "show" => show.push(parser.value()?.string()?),
            "tcp" => tcp = parser.value()?.parse_with(on_or_off)?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    if show.is_empty() {
        show.push("127.0.0.1:5515".to_owned());
    }
    // Messages come there; the other options are of connections.
    let socket = Datagrams {
        receive: u32::try_from(MESSAGE)?,
        send: 0,
        receive_buffer: Some(1024 * 1024), // a burst waits there, up to what the system allows
        ..Datagrams::on(Address::Unix(""))
    };
    let listen = mem::replace(&mut common.listen, show).into_iter();
    common.datagrams = listen.map(|text| (text, socket.clone())).collect();
    common.streams = tcp.then_some(&SENDERS);
    let sink = Sink {
        ring: RING.take(),
        framed: Framed::new(Messages),
        received: 0,
        cut: 0,
    };
    let mut server = Server::new(MEMORY.take(), &common.config, sink)?;
    server.set_datagram_memory(WINDOWS.take());
    let served = common::serve(&mut server, &common);
    let sink = server.session().handler();
    common::say(format_args!(
        "{} messages, {} cut, {} no longer kept",
        sink.received, sink.cut, sink.ring.dropped
    ));
    served
}

/// What `--tcp` is set to.
fn on_or_off(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off"),
    }
}

struct Sink {
    ring: &'static mut Ring,
    framed: Framed<Messages>,
    /// Messages, and of them those that were longer than can be kept.
    received: u64,
    cut: u64,
}

/// What a connection is for.
enum State {
    Looks(Reader),
    Sends(Progress),
}

impl Default for State {
    fn default() -> Self {
        Self::Looks(Reader::default())
    }
}

/// A reader's position, and where it ends: later messages are not for it. Bytes since the start.
#[derive(Default)]
struct Reader {
    next: u64,
    end: u64,
}

impl Handler for Sink {
    type State = State;

    fn datagram(&mut self, _: &mut Connections<'_>, _: Token, datagram: Datagram<'_>) {
        let length = u64::try_from(datagram.len).unwrap_or(u64::MAX);
        let cut = datagram.is_truncated().then_some(Some(length));
        self.note(datagram.data, datagram.from, cut);
    }

    fn opened(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        if SENDERS.load(Ordering::Relaxed) & 1 << conn.listener() != 0 {
            *state = State::Sends(Progress::default());
            return;
        }
        let mut reader = Reader {
            next: self.ring.start,
            end: self.ring.end(),
        };
        self.show(conn, &mut reader);
        *state = State::Looks(reader);
    }

    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        match state {
            State::Sends(progress) => {
                while let Some(message) = self.framed.next(conn, progress) {
                    self.note(message, Some(conn.peer()), progress.cut);
                }
            }
            // Its data is ignored.
            State::Looks(_) => conn.consume(usize::MAX),
        }
    }

    fn writable(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        match state {
            State::Sends(_) => self.readable(conn, state),
            State::Looks(reader) => self.show(conn, reader),
        }
    }

    fn ended(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        match state {
            State::Sends(_) => {
                // The last line may have no end.
                self.readable(conn, state);
                conn.finish();
            }
            // It is shown the rest, and finished then.
            State::Looks(reader) if reader.next < reader.end => {}
            State::Looks(_) => conn.finish(),
        }
    }
}

impl Sink {
    fn note(&mut self, message: &[u8], from: Option<Peer>, cut: Option<Option<u64>>) {
        self.received += 1;
        self.cut += u64::from(cut.is_some());
        // The ring takes whatever is written.
        let _ = self.ring.note(message, from, cut);
    }

    /// Sends as much as the send capacity allows; the rest in `writable`.
    fn show(&self, conn: &mut Conn<'_>, reader: &mut Reader) {
        if reader.next < self.ring.start {
            let lost = self.ring.start.min(reader.end) - reader.next;
            let notice = format_args!("[{lost} bytes went before they were read]\n");
            let mut line = heapless::String::<64>::new();
            if line.write_fmt(notice).is_ok() && conn.send(line.as_bytes()).is_err() {
                return; // called again when there is send capacity
            }
            reader.next += lost;
        }
        if reader.next < reader.end {
            let n = self
                .ring
                .copy(reader.next, reader.end, conn.spare_capacity());
            conn.commit(n);
            reader.next += n as u64;
        }
        match reader.next < reader.end {
            true => conn.want_capacity(1024),
            false => conn.finish(),
        }
    }
}

/// The last lines that were written: the oldest are dropped when it is full.
struct Ring {
    bytes: Deque<u8, { 256 * 1024 }>,
    /// Bytes that have gone, and lines.
    start: u64,
    dropped: u64,
}

impl Ring {
    const fn new() -> Self {
        Self {
            bytes: Deque::new(),
            start: 0,
            dropped: 0,
        }
    }

    const fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// A line for a message: severity, sender, text. No byte of it can end the line or command a terminal. `cut`: its
    /// length, if it is known, where not all of it is here.
    fn note(
        &mut self,
        message: &[u8],
        from: Option<Peer>,
        cut: Option<Option<u64>>,
    ) -> fmt::Result {
        let (facility, severity, text) = priority(message);
        write!(self, "{facility}.{severity} ")?;
        match from {
            Some(Peer::Inet(address)) => write!(self, "{} ", address.ip())?,
            Some(Peer::Unix(_) | Peer::Registered(_) | Peer::Stream(_)) | None => {
                self.write_str("unix ")?
            }
        }
        for part in text.chunks(Escaped::SHOWN) {
            write!(self, "{}", Escaped(part))?;
        }
        match cut {
            None => {}
            Some(Some(bytes)) => write!(self, " [cut, it had {bytes} bytes]")?,
            Some(None) => self.write_str(" [cut, it was longer]")?,
        }
        self.write_char('\n')
    }

    /// Drops the oldest line.
    fn forget(&mut self) {
        while let Some(byte) = self.bytes.pop_front() {
            self.start += 1;
            if byte == b'\n' {
                self.dropped += 1;
                return;
            }
        }
    }

    /// Copies bytes from `next` on, none beyond `end`; returns how many.
    fn copy(&self, next: u64, end: u64, space: &mut [u8]) -> usize {
        let skip = usize::try_from(next - self.start).unwrap_or(usize::MAX);
        let most = usize::try_from(end - next).unwrap_or(usize::MAX);
        let bytes = self.bytes.iter().skip(skip).take(most);
        let copied = space.iter_mut().zip(bytes).map(|(to, from)| *to = *from);
        copied.count()
    }
}

impl Write for Ring {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.bytes.is_full() {
                self.forget();
            }
            self.bytes.push_back(byte).map_err(|_| fmt::Error)?;
        }
        Ok(())
    }
}

/// Takes `<PRI>` from the front of a message (RFC 5424, section 6.2.1). Without one it is a notice of a user (RFC 3164,
/// section 4.3.3). The line feed at its end is dropped.
fn priority(message: &[u8]) -> (&'static str, &'static str, &[u8]) {
    const FACILITIES: [&str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron",
        "authpriv", "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2",
        "local3", "local4", "local5", "local6", "local7",
    ];
    const SEVERITIES: [&str; 8] = [
        "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
    ];
    let message = message.trim_ascii_end();
    let message = message.strip_suffix(b"\0").unwrap_or(message);
    let found = message.strip_prefix(b"<").and_then(|rest| {
        let digits = rest.iter().position(|byte| *byte == b'>')?;
        let number = core::str::from_utf8(&rest[..digits]).ok()?;
        let sound = digits <= 3 && number.bytes().all(|byte| byte.is_ascii_digit());
        let number: usize = number.parse().ok().filter(|_| sound)?;
        (number < 192).then_some((number, &rest[digits + 1..]))
    });
    let (number, text) = found.unwrap_or((13, message));
    (FACILITIES[number / 8], SEVERITIES[number % 8], text)
}
