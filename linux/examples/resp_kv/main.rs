//! A key-value store of fixed size that redis' clients talk to. `cargo run -p linux --example resp_kv -- --help`
//!
//! With sockets in C, the hard part of such a server is that `read()` returns any piece of the stream: half a command, or
//! three and a half. Here a [`Decoder`] says where the first command ends in what has come so far; what has no end yet
//! stays where it is until there is more. Nothing is copied, and no command is looked at twice.
//!
//! The other hard part is a client that sends and does not read. Before a command is taken there must be room for its
//! answer ([`Conn::reserve`]); if there is none, the client is held back until it has read.

#[path = "../common/mod.rs"]
mod common;

use common::{Common, Failure};
use core::fmt::{self, Write as _};
use core::str;
use heapless::index_map::FnvIndexMap;
use heapless::{String, Vec};
use static_cell::ConstStaticCell;
use std::io::Write as _;
use tidegate::framing::{Decoded, Decoder, FrameError, Framed, Lines, OnError, Scan};
use tidegate::{Config, Conn, Escaped, Handler, Instant, Memory, Server};

const HELP: &str = "\
Usage: resp_kv [OPTION]...
A key-value store in memory of a fixed size: 1024 keys of 64 bytes, values of 512 bytes, 64 connections. It knows
PING, ECHO, GET, SET, DEL, INCR and INFO.

  --listen ADDR   IP:PORT, [IPV6]:PORT, unix:/path or unix:@name; may be given several times [127.0.0.1:6379]
{common}

Try it: redis-cli set colour blue, redis-cli get colour, redis-benchmark -t get,set,incr -P 16 -q
";

const KEYS: usize = 1024;
const KEY: usize = 64;
const VALUE: usize = 512;
/// Bytes of the longest command, and how many arguments it may have.
const COMMAND: usize = 1024;
const ARGUMENTS: usize = 32;
/// Bytes of the longest answer: the argument of ECHO, and its length.
const ANSWER: usize = COMMAND + 32;

type Store = FnvIndexMap<Vec<u8, KEY>, Vec<u8, VALUE>, KEYS>;
type KvMemory = Memory<64, 4096, { 16 * 1024 }, Progress>;

// All there ever is: 1.4 MiB for the connections, 0.6 MiB for the data.
const _: () = assert!(KvMemory::SIZE <= 1_400_000 && size_of::<Store>() <= 640_000);
static MEMORY: ConstStaticCell<KvMemory> = ConstStaticCell::new(KvMemory::new());
static STORE: ConstStaticCell<Store> = ConstStaticCell::new(Store::new());

fn main() -> Result<(), Failure> {
    let common = Common::new("127.0.0.1:6379", Config::default());
    let common = common::arguments(HELP, common, |_, _| Ok(false));
    let handler = Kv {
        commands: Framed::new(Resp, OnError::Close),
        store: STORE.take(),
        count: 0,
        errors: 0,
    };
    let mut server = Server::new(MEMORY.take(), &common.config, handler)?;
    common::serve(&mut server, &common)
}

struct Kv {
    commands: Framed<Resp>,
    store: &'static mut Store,
    count: u64,
    /// Answers that say what was wrong.
    errors: u64,
}

impl Handler for Kv {
    type State = Progress;

    fn readable(&mut self, conn: &mut Conn<'_>, progress: &mut Progress) {
        // However many commands came at once: as long as an answer has room, the next is taken. If none has, `writable`
        // will come here again.
        while conn.reserve(ANSWER).is_ok()
            && let Some(command) = self.commands.try_next(conn, progress)
        {
            let connections = conn.connections().count();
            let space = conn.space();
            let room = space.len();
            let mut out = &mut space[..];
            let answered = match command {
                Ok(command) => self.answer(command, connections, &mut out),
                Err(error) => write!(out, "-ERR Protocol error: {error}\r\n"),
            };
            let left = out.len();
            self.errors += u64::from(left < room && space[0] == b'-');
            conn.commit(room - left);
            match command {
                Err(FrameError::TooLong { .. }) => return conn.too_long(),
                Err(_) => return conn.finish(),
                Ok(_) if answered.is_err() => return conn.abort(), // it was longer than the longest
                Ok(_) => {}
            }
        }
    }
}

impl Kv {
    /// Answers one command. There is room for the longest answer.
    fn answer(
        &mut self,
        command: &[u8],
        connections: usize,
        out: &mut &mut [u8],
    ) -> std::io::Result<()> {
        let arguments = arguments(command);
        let Some((name, arguments)) = arguments.split_first() else {
            return Ok(()); // an empty line
        };
        self.count += 1;
        let mut upper = [0; 8];
        let upper = match upper.get_mut(..name.len()) {
            Some(upper) => {
                upper.copy_from_slice(name);
                upper.make_ascii_uppercase();
                &*upper
            }
            None => b"",
        };
        match (upper, arguments) {
            (b"PING", []) => write!(out, "+PONG\r\n"),
            (b"PING" | b"ECHO", [text]) => bulk(out, text),
            (b"GET", [key]) => match self.store.get(*key) {
                Some(value) => bulk(out, value),
                None => write!(out, "$-1\r\n"),
            },
            (b"SET", [key, value]) => match self.set(key, value) {
                Ok(()) => write!(out, "+OK\r\n"),
                Err(why) => write!(out, "{why}\r\n"),
            },
            (b"DEL", [_, ..]) => {
                let gone = arguments
                    .iter()
                    .filter(|key| self.store.remove(**key).is_some());
                write!(out, ":{}\r\n", gone.count())
            }
            (b"INCR", [key]) => match self.increment(key) {
                Ok(number) => write!(out, ":{number}\r\n"),
                Err(why) => write!(out, "{why}\r\n"),
            },
            (b"INFO", [] | [_]) => bulk(out, self.info(connections).as_bytes()),
            (b"PING" | b"ECHO" | b"GET" | b"SET" | b"DEL" | b"INCR" | b"INFO", _) => {
                write!(
                    out,
                    "-ERR wrong number of arguments for '{}'\r\n",
                    Escaped(name)
                )
            }
            _ => write!(out, "-ERR unknown command '{}'\r\n", Escaped(name)),
        }
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let long = |_| "-ERR a key has at most 64 bytes, a value 512";
        let value = Vec::from_slice(value).map_err(long)?;
        match self.store.get_mut(key) {
            Some(known) => *known = value,
            None => {
                let key = Vec::from_slice(key).map_err(long)?;
                let full = |_| "-OOM all 1024 places are taken; DEL some keys";
                self.store.insert(key, value).map_err(full)?;
            }
        }
        Ok(())
    }

    fn increment(&mut self, key: &[u8]) -> Result<i64, &'static str> {
        let known = self.store.get(key).map_or(&b"0"[..], |value| value);
        let number = str::from_utf8(known)
            .ok()
            .and_then(|text| text.parse().ok());
        let number = number.and_then(|number: i64| number.checked_add(1));
        let number = number.ok_or("-ERR value is not an integer or out of range")?;
        let mut text = String::<20>::new();
        let _ = write!(text, "{number}"); // the longest has 20 bytes
        self.set(key, text.as_bytes())?;
        Ok(number)
    }

    fn info(&self, connections: usize) -> String<256> {
        let mut text = String::new();
        let _: fmt::Result = write!(
            text,
            "# tidegate\r\nkeys:{}\r\nmaxkeys:{KEYS}\r\nconnected_clients:{connections}\r\n\
             total_commands_processed:{}\r\ntotal_error_replies:{}\r\nused_memory:{}\r\n",
            self.store.len(),
            self.count,
            self.errors,
            KvMemory::SIZE + size_of::<Store>(),
        );
        text
    }
}

fn bulk(out: &mut &mut [u8], bytes: &[u8]) -> std::io::Result<()> {
    write!(out, "${}\r\n", bytes.len())?;
    out.write_all(bytes)?;
    out.write_all(b"\r\n")
}

/// Where a command of redis' protocol ends (<https://redis.io/docs/latest/develop/reference/protocol-spec/>):
/// `*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n`, or words in a line. The message is all of it.
struct Resp;

/// How far a command was read. A header that has not come whole is read again, which is at most eight bytes.
#[derive(Default)]
struct Progress {
    /// Where the next argument begins; 0 before the first.
    at: usize,
    /// Arguments still to come.
    arguments: usize,
    line: Scan,
}

impl Decoder for Resp {
    type Progress = Progress;

    fn decode(&self, progress: &mut Progress, data: &[u8], now: Instant) -> Decoded {
        let error = |error| Decoded::Error {
            error,
            frame: data.len(),
        };
        if progress.at == 0 {
            match data.first() {
                None => return Decoded::Incomplete,
                Some(b'*') => match header(data, b'*', ARGUMENTS) {
                    Ok(Some((arguments, at))) => {
                        progress.at = at;
                        progress.arguments = arguments;
                    }
                    Ok(None) => return Decoded::Incomplete,
                    Err(why) => return error(why),
                },
                Some(_) => return Lines::new(COMMAND).decode(&mut progress.line, data, now),
            }
        }
        while progress.arguments > 0 {
            let rest = &data[progress.at..];
            let end = match header(rest, b'$', COMMAND) {
                Ok(Some((length, at))) => progress.at + at + length + 2,
                Ok(None) => return Decoded::Incomplete,
                Err(why) => return error(why),
            };
            if end > COMMAND {
                return error(FrameError::TooLong { max: COMMAND });
            }
            match data.get(end - 2..end) {
                Some(b"\r\n") => progress.at = end,
                Some(_) => return error(FrameError::Malformed),
                None => return Decoded::Incomplete,
            }
            progress.arguments -= 1;
        }
        let frame = core::mem::take(progress).at;
        Decoded::Message {
            message: 0..frame,
            frame,
        }
    }
}

/// The number in a header such as `$12\r\n`, at most `most`, and where it ends; `None` if it has not come whole.
fn header(data: &[u8], kind: u8, most: usize) -> Result<Option<(usize, usize)>, FrameError> {
    let head = &data[..data.len().min(8)];
    let Some(end) = head.iter().position(|&byte| byte == b'\n') else {
        let hopeless = head.len() == 8 || head.first().is_some_and(|&byte| byte != kind);
        return if hopeless {
            Err(FrameError::Malformed)
        } else {
            Ok(None)
        };
    };
    let digits = head[..end]
        .strip_prefix(&[kind])
        .and_then(|rest| rest.strip_suffix(b"\r"));
    let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_digit));
    let number = digits.and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
    match number.ok_or(FrameError::Malformed)? {
        number if number <= most => Ok(Some((number, end + 1))),
        _ => Err(FrameError::TooLong { max: most }),
    }
}

/// The arguments of a command that the decoder has found whole, its name first.
fn arguments(command: &[u8]) -> Vec<&[u8], ARGUMENTS> {
    if command.first() != Some(&b'*') {
        let words = command
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        return words.take(ARGUMENTS).collect();
    }
    let (mut found, mut rest) = (Vec::new(), command);
    if let Ok(Some((_, at))) = header(rest, b'*', ARGUMENTS) {
        rest = &rest[at..];
    }
    while let Ok(Some((length, at))) = header(rest, b'$', COMMAND) {
        let _ = found.push(&rest[at..at + length]); // as many as the decoder allows
        rest = &rest[at + length + 2..];
    }
    found
}
