//! A status page, and files of a folder, over HTTP/1.1. `cargo run -p linux --example http_status -- --help`
//!
//! Three things make small web servers fall over, and none of them needs a thread here:
//!
//! - A client that sends its request a byte at a time. The head of a request ([`Head`]) must have come whole within ten
//!   seconds and 2,000 bytes; until then it waits in the window of its connection, where it is nobody else's business.
//! - A client that asks for a large file and does not read. A file is read as the client takes it: only into the free part
//!   of the send window ([`Conn::reserve`]). If there is none, `writable` goes on when there is.
//! - A client that asks again before it has its answer. What it asked waits in the receive window until the answer before
//!   it is on its way.

#[path = "../common/mod.rs"]
mod common;

use common::{Common, Failure};
use core::fmt::Write as _;
use core::str;
use core::time::Duration;
use heapless::String;
use httparse::{EMPTY_HEADER, Request, Status};
use rustix::fs::{CWD, Mode, OFlags, openat};
use static_cell::ConstStaticCell;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use tidegate::framing::{Decoded, Decoder, Delimiter, Framed, OnError, Scan};
use tidegate::{Config, Conn, Handler, Instant, Memory, Server};

const HELP: &str = "\
Usage: http_status [OPTION]...
A status page at /, and the files of a folder, over HTTP/1.1: GET and HEAD, 256 connections, in memory of a fixed size.
No encryption: for this machine, a trusted network, or behind a proxy.

  --listen ADDR    IP:PORT, [IPV6]:PORT, unix:/path or unix:@name; may be given several times [127.0.0.1:8080]
  --root DIR       serve the files in it, too, but no links; names have letters, digits, and . _ - (not in front) [none]
{common}

Try it: curl -i http://127.0.0.1:8080/
";

/// Bytes of the longest head of a request, of the longest head of an answer with a page, and of a file at a time.
const HEAD: usize = 2000;
const ANSWER: usize = 1024;
const CHUNK: usize = 16 * 1024;

type HttpMemory = Memory<256, 2048, CHUNK, State>;

// All there ever is, but for the descriptors of the files that are being sent.
const _: () = assert!(HttpMemory::SIZE <= 4_800_000);
static MEMORY: ConstStaticCell<HttpMemory> = ConstStaticCell::new(HttpMemory::new());

fn main() -> Result<(), Failure> {
    let config = Config {
        first_byte: Some(Duration::from_secs(10)),
        request: Some(Duration::from_secs(10)),
        write_stall: Some(Duration::from_secs(10)),
        idle: Some(Duration::from_secs(30)),
        ..Config::default()
    };
    let mut root = None;
    let common = Common::new("127.0.0.1:8080", config);
    let common = common::arguments(HELP, common, |name, parser| {
        let known = name == "root";
        if known {
            root = Some(PathBuf::from(parser.value()?));
        }
        Ok(known)
    });
    let folder = |path: PathBuf| {
        let opened = openat(CWD, &path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty());
        opened.map_err(|why| format!("--root {}: {why}", path.display()))
    };
    let root = root.map(folder).transpose()?;
    let site = Site {
        heads: Framed::new(Head, OnError::Close),
        root,
        requests: 0,
        errors: 0,
    };
    let mut server = Server::new(MEMORY.take(), &common.config, site)?;
    common::serve(&mut server, &common)
}

struct Site {
    heads: Framed<Head>,
    root: Option<OwnedFd>,
    requests: u64,
    errors: u64,
}

/// What a connection is at.
#[derive(Default)]
struct State {
    scan: Scan,
    /// The rest of this file belongs to the present answer: so many bytes.
    file: Option<(File, u64)>,
    /// The present answer is the last.
    last: bool,
}

impl Handler for Site {
    type State = State;

    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        while send_file(conn, state) {
            if state.last {
                return conn.finish();
            }
            if conn.reserve(ANSWER).is_err() {
                return; // `writable` comes when there is room
            }
            match self.heads.try_next(conn, &mut state.scan) {
                None => return,
                Some(Ok(head)) => self.answer(conn, state, head),
                Some(Err(_)) => self.refuse(conn, state, "431 Request Header Fields Too Large"),
            }
        }
    }
}

impl Site {
    fn answer(&mut self, conn: &mut Conn<'_>, state: &mut State, head: &[u8]) {
        let mut headers = [EMPTY_HEADER; 32];
        let mut request = Request::new(&mut headers);
        if !matches!(request.parse(head), Ok(Status::Complete(_))) {
            return self.refuse(conn, state, "400 Bad Request");
        }
        let header = |name: &str| {
            let mut found = request
                .headers
                .iter()
                .filter(|h| h.name.eq_ignore_ascii_case(name));
            found.next().map(|header| header.value)
        };
        let wishes = |what: &[u8]| {
            header("connection").is_some_and(|value| value.eq_ignore_ascii_case(what))
        };
        let old = request.version == Some(0);
        state.last = if old {
            !wishes(b"keep-alive")
        } else {
            wishes(b"close")
        };
        // A body would be taken for the next request (RFC 9112, section 11.2).
        let body = header("transfer-encoding").is_some()
            || header("content-length").is_some_and(|length| length != b"0");
        if body || (!old && header("host").is_none()) {
            return self.refuse(conn, state, "400 Bad Request");
        }
        let (method, path) = (request.method.unwrap_or(""), request.path.unwrap_or(""));
        let with_body = match method {
            "GET" => true,
            "HEAD" => false,
            _ => return self.refuse(conn, state, "405 Method Not Allowed"),
        };
        if path == "/" {
            self.requests += 1;
            let page = self.page(conn);
            let body = if with_body { page.as_bytes() } else { b"" };
            return send_head(conn, state, "200 OK", "text/html", page.len() as u64, body);
        }
        match self.open(path) {
            Some((file, len)) => {
                self.requests += 1;
                send_head(conn, state, "200 OK", kind(path), len, b"");
                state.file = with_body.then_some((file, len));
            }
            None => self.tell(conn, state, "404 Not Found", with_body),
        }
    }

    /// The file of a path, and its length. Only plain names, and no links: nothing leads out of the folder.
    fn open(&self, path: &str) -> Option<(File, u64)> {
        let root = self.root.as_ref()?;
        let mut found: Option<OwnedFd> = None;
        let mut names = path.strip_prefix('/')?.split('/').peekable();
        while let Some(name) = names.next() {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
                return None;
            }
            let how = match names.peek() {
                Some(_) => OFlags::PATH | OFlags::DIRECTORY,
                None => OFlags::RDONLY | OFlags::NONBLOCK, // a pipe would be waited for
            };
            let how = how | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let folder = found.as_ref().unwrap_or(root);
            found = Some(openat(folder, name, how, Mode::empty()).ok()?);
        }
        let file = File::from(found?);
        let about = file.metadata().ok()?;
        about.is_file().then_some((file, about.len()))
    }

    fn page(&self, conn: &Conn<'_>) -> String<512> {
        let mut page = String::new();
        let up = conn.now().as_nanos() / 1_000_000_000;
        let _ = write!(
            page,
            "<!doctype html><title>status</title><h1>All is well</h1>\n<table>\n\
             <tr><td>requests<td>{}\n<tr><td>errors<td>{}\n<tr><td>connections<td>{}\n\
             <tr><td>machine up<td>{up} s\n<tr><td>memory<td>{} bytes\n</table>\n",
            self.requests,
            self.errors,
            conn.connections().count(),
            HttpMemory::SIZE,
        );
        page
    }

    /// Says what was wrong; nothing more is understood on this connection.
    fn refuse(&mut self, conn: &mut Conn<'_>, state: &mut State, status: &str) {
        state.last = true;
        self.tell(conn, state, status, true);
    }

    fn tell(&mut self, conn: &mut Conn<'_>, state: &State, status: &str, with_body: bool) {
        self.errors += 1;
        let body = if with_body { status.as_bytes() } else { b"" };
        send_head(conn, state, status, "text/plain", status.len() as u64, body);
    }
}

/// Queues the head of an answer whose body has `len` bytes, and as much of it as is at hand. There is room.
fn send_head(conn: &mut Conn<'_>, state: &State, status: &str, kind: &str, len: u64, body: &[u8]) {
    let keep = if state.last { "close" } else { "keep-alive" };
    let space = conn.space();
    let room = space.len();
    let mut out = &mut space[..];
    let written = write!(
        out,
        "HTTP/1.1 {status}\r\nServer: tidegate\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
         Connection: {keep}\r\n\r\n"
    );
    if written.and_then(|()| out.write_all(body)).is_ok() {
        let left = out.len();
        conn.commit(room - left);
    }
}

/// Queues as much of the file as there is room for; answers whether that is all.
fn send_file(conn: &mut Conn<'_>, state: &mut State) -> bool {
    while let Some((file, rest)) = &mut state.file {
        let want = usize::try_from(*rest).map_or(CHUNK, |rest| rest.min(CHUNK));
        if want == 0 {
            state.file = None;
            return true;
        }
        let Ok(space) = conn.reserve(want) else {
            return false;
        };
        match file.read(space) {
            Ok(n) if n > 0 => {
                conn.commit(n);
                *rest -= n as u64;
            }
            // It has become shorter than it was said to be: the client must see that.
            Ok(_) | Err(_) => {
                state.file = None;
                conn.abort();
                return false;
            }
        }
    }
    true
}

fn kind(path: &str) -> &'static str {
    let extension = Path::new(path).extension();
    match extension
        .and_then(|extension| extension.to_str())
        .unwrap_or("")
    {
        "html" => "text/html",
        "css" => "text/css",
        "js" => "text/javascript",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "txt" => "text/plain",
        _ => "application/octet-stream",
    }
}

/// The head of a request, with the empty line that ends it, because the parser wants to see that (RFC 9112, section 2.1).
struct Head;

impl Decoder for Head {
    type Progress = Scan;

    fn decode(&self, scan: &mut Scan, data: &[u8], now: Instant) -> Decoded {
        match Delimiter::new(b"\r\n\r\n", HEAD).decode(scan, data, now) {
            Decoded::Message { frame, .. } => Decoded::Message {
                message: 0..frame,
                frame,
            },
            other @ (Decoded::Error { .. } | Decoded::Skipped(_) | Decoded::Incomplete) => other,
        }
    }
}
