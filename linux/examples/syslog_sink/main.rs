//! A sink for syslog messages, which keeps the last of them. `cargo run -p linux --example syslog_sink -- --help`
//!
//! A datagram is a message: whole, or cut where the window ends, which is told. There is no connection, so nothing to
//! accept, and nobody can fill a table; an empty one is no end, and an error of the network is none either. A server in C
//! that reads them until `EAGAIN` has no time for anything else while they come fast; here a few are received, and then
//! whoever else waits has a turn.
//!
//! The messages are kept as lines in a ring of a fixed size: when it is full, the oldest go, and are counted. Whoever
//! connects to `--show` is told all of them. A reader that is slower than the messages come finds that some have gone
//! before it came to them: it is told how many bytes, and nobody waits for it.

#[path = "../common/mod.rs"]
mod common;

use common::{Common, Failure};
use core::fmt::{self, Write};
use core::mem;
use heapless::Deque;
use lexopt::ValueExt;
use static_cell::ConstStaticCell;
use tidegate::{
    Address, Config, Conn, Connections, Datagram, DatagramMemory, Datagrams, Escaped, FullTable,
    Handler, Memory, Peer, Server, Token,
};

const HELP: &str = "\
Usage: syslog_sink [OPTION]...
Receives syslog messages (RFC 3164, RFC 5424) and keeps the last 256 KiB of them in memory of a fixed size.

  --listen ADDR    where messages come: a UDP port IP:PORT, [IPV6]:PORT, or a socket of datagrams unix:/path; up to 4
                   times [127.0.0.1:5514]
  --show ADDR      where whoever connects is told what is kept, over TCP or unix:/path [127.0.0.1:5515]
{common}

Try it: logger --server 127.0.0.1 --port 5514 --udp hello; nc 127.0.0.1 5515
";

/// Sockets for messages, and bytes of the longest: RFC 5424, section 6.1, asks for 2,048 at least.
const SOCKETS: u32 = 4;
const MESSAGE: u32 = 8 * 1024;

type Windows = DatagramMemory<{ (SOCKETS * MESSAGE) as usize }, 0>;
type SinkMemory = Memory<8, 64, 4096, Reader>;

// All there ever is: 45 KiB for those who look, 33 KiB to receive into, 256 KiB of messages.
const _: () = assert!(SinkMemory::SIZE <= 45 * 1024 && Windows::SIZE <= 34 * 1024);
const _: () = assert!(size_of::<Ring>() <= 257 * 1024);
static MEMORY: ConstStaticCell<SinkMemory> = ConstStaticCell::new(SinkMemory::new());
static WINDOWS: ConstStaticCell<Windows> = ConstStaticCell::new(Windows::new());
static RING: ConstStaticCell<Ring> = ConstStaticCell::new(Ring::new());

fn main() -> Result<(), Failure> {
    let mut show = Vec::new();
    // Who looks and leaves the connection open makes room for the next one.
    let config = Config {
        full: FullTable::Evict,
        ..Config::default()
    };
    let common = Common::new("127.0.0.1:5514", config);
    let mut common = common::arguments(HELP, common, |name, parser| {
        let known = name == "show";
        if known {
            show.push(parser.value()?.string()?);
        }
        Ok(known)
    });
    if show.is_empty() {
        show.push("127.0.0.1:5515".to_owned());
    }
    // Datagrams come there; the other options are of those who look.
    let socket = Datagrams {
        receive: MESSAGE,
        send: 0,
        receive_buffer: Some(1024 * 1024), // a burst waits there, up to what the system allows
        ..Datagrams::on(Address::Unix(""))
    };
    let listen = mem::replace(&mut common.listen, show).into_iter();
    common.datagrams = listen.map(|text| (text, socket.clone())).collect();
    let sink = Sink {
        ring: RING.take(),
        cut: 0,
    };
    let mut server = Server::new(MEMORY.take(), &common.config, sink)?;
    server.lend_datagrams(WINDOWS.take());
    let served = common::serve(&mut server, &common);
    let Sink { ring, cut } = server.session().handler();
    println!(
        "{} messages, {cut} cut, {} no longer kept",
        server.stats().datagrams_in,
        ring.dropped
    );
    served
}

struct Sink {
    ring: &'static mut Ring,
    /// Messages that were longer than the window.
    cut: u64,
}

/// Where one who looks has got to, and where it ends: what comes later is not for it. Bytes since the start.
#[derive(Default)]
struct Reader {
    next: u64,
    end: u64,
}

impl Handler for Sink {
    type State = Reader;

    fn datagram(&mut self, _: &mut Connections<'_>, _: Token, datagram: Datagram<'_>) {
        self.cut += u64::from(datagram.is_truncated());
        // The ring takes whatever is written.
        let _ = self.ring.note(&datagram);
    }

    fn opened(&mut self, conn: &mut Conn<'_>, reader: &mut Reader) {
        (reader.next, reader.end) = (self.ring.start, self.ring.end());
        self.writable(conn, reader);
    }

    /// As much as there is room for; the rest when there is room again.
    fn writable(&mut self, conn: &mut Conn<'_>, reader: &mut Reader) {
        if reader.next < self.ring.start {
            let lost = self.ring.start.min(reader.end) - reader.next;
            let told = format_args!("[{lost} bytes went before they were read]\n");
            let mut line = heapless::String::<64>::new();
            if line.write_fmt(told).is_ok() && conn.send(line.as_bytes()).is_err() {
                return; // called again when there is room
            }
            reader.next += lost;
        }
        if reader.next < reader.end {
            let n = self.ring.copy(reader.next, reader.end, conn.space());
            conn.commit(n);
            reader.next += n as u64;
        }
        match reader.next < reader.end {
            true => conn.want_room(1024),
            false => conn.finish(),
        }
    }
}

/// The last lines that were written: the oldest go when there is no room.
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

    /// A line for a message: how important, from whom, what. No byte of it can end the line or command a terminal.
    fn note(&mut self, datagram: &Datagram<'_>) -> fmt::Result {
        let (facility, severity, text) = priority(datagram.data);
        write!(self, "{facility}.{severity} ")?;
        match datagram.from {
            Some(Peer::Inet(address)) => write!(self, "{} ", address.ip())?,
            Some(Peer::Unix(_) | Peer::Registered(_) | Peer::Stream(_)) | None => {
                self.write_str("unix ")?
            }
        }
        for part in text.chunks(Escaped::SHOWN) {
            write!(self, "{}", Escaped(part))?;
        }
        if datagram.is_truncated() {
            write!(self, " [cut, it had {} bytes]", datagram.len)?;
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

    /// Copies bytes from `next` on, none beyond `end`, and tells how many.
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
/// section 4.3.3). What ends the line is no part of it.
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
