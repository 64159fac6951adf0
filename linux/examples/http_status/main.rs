//! A status page, and files of a folder, over HTTP/1.1. `cargo run -p linux --example http_status -- --help`
//!
//! The protocol is in the library ([`tidegate::http`]); this is what a server does with it. Four things make small web
//! servers fall over, and none of them needs a thread here:
//!
//! - A client that sends its request a byte at a time. The head must have come whole within ten seconds and 8 KB; until
//!   then it waits in the receive window of its connection.
//! - A client that requests a large file and does not read. A file is read as the client takes it: only into the free
//!   part of the send window ([`Conn::reserve`]). If there is none, `writable` goes on when there is.
//! - A client that sends another request before it has its response. Its requests wait in the receive window until the
//!   previous response is queued.
//! - A client that sends megabytes that are not wanted. The response is queued at once, and the upload read and
//!   discarded, within bounds: a connection that is closed with unread input is reset, and the reset destroys the
//!   response.

#[path = "../common/mod.rs"]
mod common;
mod files;

use common::{Common, Failure};
use core::fmt::Write;
use core::time::Duration;
use files::{Found, Root};
use heapless::String;
use static_cell::ConstStaticCell;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::SystemTime;
use tidegate::http::{
    Body, Condition, ContentRange, Fields, Head, MAX_HEAD, Method, Part, Refusal, Representation,
    Response, Status,
};
use tidegate::{Config, Conn, FullTable, Handler, Memory, Server};

const HELP: &str = "\
Usage: http_status [OPTION]...
A status page at /, and the files of a folder, over HTTP/1.1: GET, HEAD and OPTIONS, ranges and conditions, 256 connections,
in memory of a fixed size. No encryption: for this machine, a trusted network, or behind a proxy.

  --listen ADDR    IP:PORT, [IPV6]:PORT, unix:/path or unix:@name; may be given several times [127.0.0.1:8080]
  --root DIR       serve the files in it, too, but no links, folders, devices or names that begin with a dot [none]
{common}

A client above the limit of its address, or with --full refuse of the table, gets 503 Service Unavailable.

Try it: curl -i http://127.0.0.1:8080/
";

/// Bytes of the longest head of a response, and of the longest page, together; and of a file at a time.
const RESPONSE: usize = 1536;
const CHUNK: usize = 16 * 1024;

/// Bytes of an upload that are read on and discarded, and for how long.
const DISCARDED: u64 = 16 * 1024 * 1024;
const DISCARDING: Duration = Duration::from_secs(60);

/// Seconds after which to try again, when something here was short.
const RETRY_AFTER: u32 = 1;

/// What a refused client is sent.
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nServer: tidegate\r\nContent-Length: 0\r\nRetry-After: 1\r\n\
Connection: close\r\n\r\n";

const ALLOW: &str = "GET, HEAD, OPTIONS";

type HttpMemory = Memory<256, MAX_HEAD, CHUNK, State>;

// All there ever is, but for the descriptors of the files that are being sent.
const _: () = assert!(HttpMemory::SIZE <= 6_400_000);
static MEMORY: ConstStaticCell<HttpMemory> = ConstStaticCell::new(HttpMemory::new());

fn main() -> Result<(), Failure> {
    let config = Config {
        // A pool of clients that keep their connections would lock others out.
        full: FullTable::Evict,
        first_byte: Some(Duration::from_secs(10)),
        request: Some(Duration::from_secs(10)),
        write_stall: Some(Duration::from_secs(10)),
        idle: Some(Duration::from_secs(30)),
        // For a client that is still sending after its last response was queued, as long as data arrives.
        half_closed: Some(Duration::from_secs(10)),
        linger_bytes: 16 * 1024 * 1024,
        ..Config::default()
    };
    let mut root = None;
    // Files go far and fast: the kernel tunes its buffers by the path.
    let common = Common {
        refusal: UNAVAILABLE,
        receive_buffer: None,
        send_buffer: None,
        ..Common::new("127.0.0.1:8080", config)
    };
    let common = common::arguments(HELP, common, |name, parser| {
        let known = name == "root";
        if known {
            root = Some(PathBuf::from(parser.value()?));
        }
        Ok(known)
    });
    let folder = |path: PathBuf| {
        Root::open(&path).map_err(|why| format!("--root {}: {why}", path.display()))
    };
    let site = Site {
        root: root.map(folder).transpose()?,
        requests: 0,
        errors: 0,
    };
    let mut server = Server::new(MEMORY.take(), &common.config, site)?;
    common::serve(&mut server, &common)
}

struct Site {
    root: Option<Root>,
    requests: u64,
    errors: u64,
}

/// What a connection is at.
#[derive(Default)]
struct State {
    /// So many bytes at the front of the data are part of a head, its request line included, and end within no line.
    seen: usize,
    /// The unread rest of the body of the request that was answered last, and how much of it has arrived.
    body: Option<(Body, u64)>,
    /// The rest of this file belongs to the present response: so many bytes.
    file: Option<(File, u64)>,
    /// The present response is the last.
    last: bool,
    /// What follows the present request has no end that is known: what comes is discarded once the response is queued.
    unframed: bool,
    /// The client has sent its last byte.
    ended: bool,
}

impl Handler for Site {
    type State = State;

    fn readable(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        while discard_body(conn, state) && send_file(conn, state) {
            if state.unframed {
                discard_rest(conn, state, 0);
                continue;
            }
            if state.last {
                return conn.finish();
            }
            if conn.reserve(RESPONSE).is_err() {
                return; // `writable` comes when there is send capacity
            }
            if !self.next_request(conn, state) {
                if state.ended {
                    conn.finish();
                }
                return;
            }
        }
    }

    /// A client that has sent FIN may still want its responses: `printf ... | nc -N`.
    fn ended(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        state.ended = true;
        self.readable(conn, state);
    }

    /// The time to discard a body is over.
    fn timer(&mut self, conn: &mut Conn<'_>, state: &mut State) {
        give_up(conn, state);
    }
}

impl Site {
    /// Responds to the request at the front of the data; returns whether there was one.
    fn next_request(&mut self, conn: &mut Conn<'_>, state: &mut State) -> bool {
        let data = conn.data();
        // A head in pieces is parsed again only when another line is complete: a byte at a time costs no more.
        let new = data.get(state.seen..).unwrap_or(data);
        if state.seen > 0 && data.len() < MAX_HEAD && !new.contains(&b'\n') {
            return false;
        }
        let mut fields = Fields::new();
        match Head::parse(data, &mut fields) {
            Ok(None) => {
                state.seen = if data.contains(&b'\n') { data.len() } else { 0 };
                return false;
            }
            Ok(Some(head)) => {
                state.seen = 0;
                conn.consume(head.len());
                self.respond(conn, state, &head);
            }
            Err(refusal) => self.refuse(conn, state, &refusal),
        }
        true
    }

    fn respond(&mut self, conn: &mut Conn<'_>, state: &mut State, head: &Head<'_, '_>) {
        let is_too_large = head.body().remaining().is_some_and(|n| n > DISCARDED);
        // If the client waits for `100 Continue`, the body may come or not: what follows could be either.
        let is_last = !head.keep_alive() || conn.is_stopping();
        state.last = is_last || is_too_large || head.expects_continue();
        state.unframed = head.expects_continue();
        // Chunks that are none may be there already.
        if !state.unframed && head.body().discard(conn.data()).is_err() {
            (state.last, state.unframed) = (true, true);
            return self.fail(conn, state, head, Status::BadRequest);
        }
        if !head.body().is_empty() && !state.unframed {
            state.body = Some((head.body(), 0));
            conn.set_timer(DISCARDING);
        }
        match head.method() {
            Method::Get | Method::Head | Method::Options if is_too_large => {
                self.fail(conn, state, head, Status::ContentTooLarge);
            }
            Method::Get | Method::Head => self.serve(conn, state, head),
            Method::Options => {
                self.requests += 1;
                send(
                    conn,
                    &response(state, Status::NoContent, SystemTime::now()),
                    b"",
                );
            }
            Method::Post
            | Method::Put
            | Method::Delete
            | Method::Patch
            | Method::Trace
            | Method::Connect => self.fail(conn, state, head, Status::MethodNotAllowed),
            Method::Other => self.fail(conn, state, head, Status::NotImplemented),
        }
        // The last response ends here, whatever is still to come from the client.
        if state.last && state.body.is_some() && state.file.is_none() {
            conn.shut_down();
        }
    }

    /// GET and HEAD.
    fn serve(&mut self, conn: &mut Conn<'_>, state: &mut State, head: &Head<'_, '_>) {
        let now = SystemTime::now();
        let mut buffer = [0; MAX_HEAD];
        let found = match head.path(&mut buffer) {
            Ok(b"/") => return self.serve_page(conn, state, head, now),
            Ok(path) => match &self.root {
                Some(root) => root.find(path, now),
                None => Err(Status::NotFound),
            },
            Err(error) => Err(error.status),
        };
        match found {
            Ok(found) => self.serve_file(conn, state, head, now, found),
            Err(status) => self.fail(conn, state, head, status),
        }
    }

    fn serve_page(
        &mut self,
        conn: &mut Conn<'_>,
        state: &mut State,
        head: &Head<'_, '_>,
        now: SystemTime,
    ) {
        self.requests += 1;
        let page = self.page(conn);
        let length = page.len() as u64;
        if Representation::of_page(length).condition(head) == Condition::Failed {
            return self.fail(conn, state, head, Status::PreconditionFailed);
        }
        let response = Response {
            content_type: Some("text/html; charset=utf-8"),
            content_length: Some(length),
            cache_control: Some("no-store"),
            ..response(state, Status::Ok, now)
        };
        send(conn, &response, content(head.method(), page.as_bytes()));
    }

    fn serve_file(
        &mut self,
        conn: &mut Conn<'_>,
        state: &mut State,
        head: &Head<'_, '_>,
        now: SystemTime,
        found: Found,
    ) {
        let Found {
            file,
            content_type,
            representation,
        } = found;
        let whole = Response {
            content_type: Some(content_type),
            content_length: Some(representation.length()),
            representation: Some(&representation),
            ..response(state, Status::Ok, now)
        };
        match representation.condition(head) {
            Condition::Failed => {
                return self.fail(conn, state, head, Status::PreconditionFailed);
            }
            Condition::NotModified => {
                self.requests += 1;
                let response = Response {
                    status: Status::NotModified,
                    content_type: None,
                    ..whole
                };
                return send(conn, &response, b"");
            }
            Condition::Met => {}
        }
        let (response, length) = match representation.part(head) {
            Part::Whole => (whole, representation.length()),
            Part::Range { first, last } => {
                if let Err(errno) = rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(first)) {
                    return self.fail(conn, state, head, Status::of_file_error(errno));
                }
                let length = last - first + 1;
                let part = Response {
                    status: Status::PartialContent,
                    content_length: Some(length),
                    content_range: Some(ContentRange::Part {
                        first,
                        last,
                        length: representation.length(),
                    }),
                    ..whole
                };
                (part, length)
            }
            Part::Unsatisfiable => {
                let length = representation.length();
                let range = ContentRange::Unsatisfied { length };
                return self.fail_with(
                    conn,
                    head.method(),
                    &Response {
                        content_range: Some(range),
                        ..response(state, Status::RangeNotSatisfiable, now)
                    },
                );
            }
        };
        self.requests += 1;
        send(conn, &response, b"");
        if head.method() == Method::Get {
            state.file = Some((file, length));
        }
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

    /// Responds with an error that leaves the connection as it is.
    fn fail(&mut self, conn: &mut Conn<'_>, state: &State, head: &Head<'_, '_>, status: Status) {
        let response = response(state, status, SystemTime::now());
        self.fail_with(conn, head.method(), &response);
    }

    fn fail_with(&mut self, conn: &mut Conn<'_>, method: Method, response: &Response<'_>) {
        self.errors += 1;
        let mut text = String::<64>::new();
        let _ = write!(text, "{}", response.status);
        let response = Response {
            content_type: Some("text/plain; charset=utf-8"),
            content_length: Some(text.len() as u64),
            ..*response
        };
        send(conn, &response, content(method, text.as_bytes()));
    }

    /// Responds with what is wrong with a head. Where the next begins is not known: this response is the last.
    fn refuse(&mut self, conn: &mut Conn<'_>, state: &mut State, refusal: &Refusal) {
        self.errors += 1;
        (state.last, state.unframed) = (true, true);
        let mut text = String::<256>::new();
        let _ = write!(text, "{refusal}");
        let response = Response {
            content_type: Some("text/plain; charset=utf-8"),
            content_length: Some(text.len() as u64),
            ..response(state, refusal.status, SystemTime::now())
        };
        let text = if refusal.of_head { "" } else { &text };
        send(conn, &response, text.as_bytes());
    }
}

/// What every response of this server has, and its status wants.
fn response(state: &State, status: Status, now: SystemTime) -> Response<'static> {
    let lists_methods = matches!(status, Status::NoContent | Status::MethodNotAllowed);
    Response {
        server: Some("tidegate"),
        allow: lists_methods.then_some(ALLOW),
        retry_after: (status == Status::ServiceUnavailable).then_some(RETRY_AFTER),
        keep_alive: !state.last,
        ..Response::new(status, now)
    }
}

/// HEAD gets none.
fn content(method: Method, content: &[u8]) -> &[u8] {
    if method == Method::Head { b"" } else { content }
}

/// Queues the head of a response, and as much of its content as is at hand. The caller has checked the capacity.
fn send(conn: &mut Conn<'_>, response: &Response<'_>, content: &[u8]) {
    let space = conn.spare_capacity();
    let Some(n) = response.write(space) else {
        return conn.abort();
    };
    let Some(rest) = space.get_mut(n..n + content.len()) else {
        return conn.abort();
    };
    rest.copy_from_slice(content);
    conn.commit(n + content.len());
}

/// Discards what has arrived of the body of the request that was answered last. Returns whether that was all.
fn discard_body(conn: &mut Conn<'_>, state: &mut State) -> bool {
    let Some((body, discarded)) = &mut state.body else {
        return true;
    };
    let Ok(found) = body.discard(conn.data()) else {
        if state.file.is_some() {
            // The response goes on, and is the last.
            (state.last, state.unframed) = (true, true);
            state.body = None;
            conn.cancel_timer();
            return true;
        }
        let discarded = *discarded;
        discard_rest(conn, state, discarded);
        return discard_body(conn, state);
    };
    conn.consume(found.consumed);
    *discarded += found.consumed as u64;
    let is_over = *discarded > DISCARDED;
    if found.complete {
        state.body = None;
        conn.cancel_timer();
    } else if is_over || state.ended {
        give_up(conn, state);
    }
    found.complete
}

/// Ends our side behind the last response, and discards whatever still comes, within the bounds of a body of which so much
/// has been discarded.
fn discard_rest(conn: &mut Conn<'_>, state: &mut State, discarded: u64) {
    (state.last, state.unframed) = (true, false);
    state.body = Some((Body::UNBOUNDED, discarded));
    conn.shut_down();
    conn.set_timer(DISCARDING);
}

/// The rest of the body is not waited for: lingering discards what still comes.
fn give_up(conn: &mut Conn<'_>, state: &mut State) {
    state.body = None;
    match state.file.take() {
        None => conn.finish(),
        // Its head contains the length: the client must see that the content is shorter.
        Some(_) => conn.abort(),
    }
}

/// Queues as much of the file as the send capacity allows. Returns whether that is all.
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
            // It has become shorter than its head promised: the client must see that.
            Ok(_) | Err(_) => {
                state.file = None;
                conn.abort();
                return false;
            }
        }
    }
    true
}
