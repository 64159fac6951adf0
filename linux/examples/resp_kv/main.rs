//! A key-value store of fixed size that redis' clients talk to. `cargo run -p linux --example resp_kv -- --help`
//!
//! With sockets in C, the hard part of such a server is that `read()` returns any piece of the stream: half a command,
//! or three and a half. Here a [`Decoder`] (`protocol.rs`) finds the end of the first command in what has come so far;
//! an incomplete command stays where it is until there is more. Nothing is copied, and no command is parsed twice.
//!
//! The other hard part is a client that sends and does not read. Before a command is taken there must be free capacity
//! for its reply ([`Conn::reserve`]); if there is none, the client is backpressured until it has read.
//!
//! Commands are functions in a table (`commands.rs`). A reply is written to where it will be sent from, in RESP2 or RESP3
//! (`reply.rs`). Keys expire by the library's clock, and one of its timers frees their memory (`store.rs`).

#[path = "../common/mod.rs"]
mod common;

mod client;
mod commands;
mod connection;
mod keys;
mod protocol;
mod reply;
mod service;
mod store;
mod strings;
mod transactions;

use commands::{Call, Then};
use common::{Common, Failure};
use core::time::Duration;
use protocol::{Progress, ProtocolError, Resp, Words};
use reply::Reply;
use service::{CLIENTS, Replies, Service};
use static_cell::ConstStaticCell;
use store::{Store, VALUE};
use tidegate::framing::{Decoded, Decoder};
use tidegate::{Config, Conn, Connections, FullTable, Handler, Instant, Memory, Reason, Server};
use transactions::QUEUE;

const HELP: &str = "\
Usage: resp_kv [OPTION]...
A key-value store in memory of a fixed size: 1024 keys of 64 bytes, values of 512 bytes, commands of 4000 bytes, 64
clients. It speaks RESP2 and RESP3, and knows the commands that redis clients send when they connect, and of redis 7:
GET SET MGET MSET MSETNX GETSET GETDEL GETEX SETNX SETEX PSETEX APPEND STRLEN INCR INCRBY DECR DECRBY DEL UNLINK EXISTS
TOUCH TYPE KEYS SCAN EXPIRE PEXPIRE EXPIREAT PEXPIREAT TTL PTTL EXPIRETIME PEXPIRETIME PERSIST PING ECHO HELLO AUTH CLIENT
SELECT QUIT RESET INFO COMMAND CONFIG DBSIZE FLUSHALL FLUSHDB TIME MULTI EXEC DISCARD WATCH UNWATCH

A client above the limit gets -ERR max number of clients reached, unless --full is another policy; so does one above the
limit of its address, whatever --full is.

  --listen ADDR   IP:PORT, [IPV6]:PORT, unix:/path or unix:@name; may be given several times [127.0.0.1:6379]
{common}

Try it: redis-cli set colour blue, redis-cli get colour, redis-benchmark -t get,set,incr -P 16 -q
";

/// Bytes that can be received before a command is taken, and bytes of replies that can wait to be sent.
const RECEIVE: usize = 4096;
const SEND: usize = 16 * 1024;

/// Bytes of the longest reply of a command that changes something: the value that was there. A longer reply to one that
/// changes nothing waits until everything is sent, and the command is run again.
const REPLY: usize = VALUE + 512;

/// Bytes of the error reply for a reply that is too long. The shortest command has five bytes, so each of the commands
/// that fit the queue can return it.
const TOO_LONG: usize = 80;
const _: () = assert!(QUEUE / 5 * TOO_LONG + 16 <= SEND);

type KvMemory = Memory<CLIENTS, RECEIVE, SEND, Progress>;

// All there ever is: 1.4 MiB for the connections, 0.75 MiB for the data.
const _: () = assert!(KvMemory::SIZE <= 1_400_000 && Service::memory() <= 770_000);
// The error of a command that is too long comes before it has filled the receive window.
const _: () = assert!(protocol::COMMAND + 2 < RECEIVE);
static MEMORY: ConstStaticCell<KvMemory> = ConstStaticCell::new(KvMemory::new());
static STORE: ConstStaticCell<Store> = ConstStaticCell::new(Store::new());
static WORDS: ConstStaticCell<Words> = ConstStaticCell::new(Words::new());

/// The timer of the next key that expires, and how often it is set at most.
const EXPIRY: u32 = 0;
const SWEEP: Duration = Duration::from_millis(100);

fn main() -> Result<(), Failure> {
    let config = Config {
        full: FullTable::Refuse,
        ..Config::default()
    };
    let common = Common {
        refusal: b"-ERR max number of clients reached\r\n",
        ..Common::new("127.0.0.1:6379", config)
    };
    let common = common::arguments(HELP, common, |_, _| Ok(false));
    let handler = Kv {
        words: WORDS.take(),
        service: Service::new(STORE.take()),
        timer: Instant::NEVER,
    };
    let mut server = Server::new(MEMORY.take(), &common.config, handler)?;
    common::serve(&mut server, &common)
}

struct Kv {
    words: &'static mut Words,
    service: Service,
    /// When the timer is due; [`Instant::NEVER`] if it is not set.
    timer: Instant,
}

impl Handler for Kv {
    type State = Progress;

    fn opened(&mut self, conn: &mut Conn<'_>, _: &mut Progress) {
        let (peer, now) = (conn.peer(), conn.now());
        self.service.open(index(conn), peer, now);
    }

    fn readable(&mut self, conn: &mut Conn<'_>, progress: &mut Progress) {
        // However many commands came at once: as long as a reply fits, the next is taken. If none does, `writable` calls
        // this again.
        while conn.reserve(REPLY).is_ok() && self.next(conn, progress) {}
        self.set_timer(conn.all());
    }

    fn closed(&mut self, conn: &mut Conn<'_>, _: &mut Progress, _: Reason) {
        self.service.close(index(conn));
    }

    fn tick(&mut self, connections: &mut Connections<'_>, _: u32, _: u64) {
        self.service.store.sweep(connections.now());
        self.timer = Instant::NEVER;
        self.set_timer(connections);
    }
}

/// Replaces a reply that does not fit.
fn too_long(reply: &mut Reply<'_>) {
    reply.clear();
    reply.error(format_args!(
        "ERR reply too long: at most {SEND} bytes are sent; ask for less at a time"
    ));
}

/// The index of a connection's slot.
fn index(conn: &Conn<'_>) -> usize {
    usize::try_from(conn.token().index()).unwrap_or(usize::MAX)
}

impl Kv {
    /// Takes the next command, if it has come whole and its reply fits, and runs it. Whether there may be another.
    fn next(&mut self, conn: &mut Conn<'_>, progress: &mut Progress) -> bool {
        let data = conn.data();
        let (message, frame) = match Resp.decode(progress, data, conn.now()) {
            Decoded::Incomplete | Decoded::Skipped(_) => return false,
            Decoded::Error { .. } => return self.refuse(conn, progress.error()),
            Decoded::Message { message, frame } => (message, frame),
        };
        let words = match self.words.split(data.get(message).unwrap_or(&[])) {
            Ok(words) => words,
            Err(why) => return self.refuse(conn, why),
        };
        let (client, now, empty) = (index(conn), conn.now(), conn.capacity() == SEND);
        let resp3 = self.service.client(client).resp3;
        let mut call = Call {
            words,
            frame: data.get(..frame).unwrap_or(&[]),
            reply: Reply::new(conn.spare_capacity(), resp3),
            service: &mut self.service,
            client,
            now,
            then: Then::GoOn,
        };
        commands::run(&mut call);
        let exec = call.then == Then::Exec;
        if call.reply.len().is_none() && empty {
            too_long(&mut call.reply);
        }
        let length = call.reply.len().filter(|_| empty || !exec);
        let Some(length) = length else {
            // `writable` is called once all that is queued is sent.
            let _ = conn.reserve(SEND);
            return false;
        };
        let (is_error, then) = (call.reply.is_error(), call.then);
        self.service.commands += u64::from(words.len() > 0);
        self.service.errors += u64::from(is_error);
        let length = if exec {
            self.exec(conn, client)
        } else {
            length
        };
        let sent = self.wants_reply(client).then_some(length);
        conn.commit(sent.unwrap_or(0));
        conn.consume(frame);
        match then {
            Then::GoOn | Then::Exec => true,
            Then::Close => {
                conn.finish();
                false
            }
            Then::Drop => {
                conn.abort();
                false
            }
        }
    }

    /// Runs what a client has queued; everything can be sent that it could be. Returns the length of the reply.
    fn exec(&mut self, conn: &mut Conn<'_>, client: usize) -> usize {
        let now = conn.now();
        let state = self.service.client(client);
        let queue = state.queue.take().unwrap_or_default();
        state.watched = None;
        let space = conn.spare_capacity();
        let mut reply = Reply::new(space, false);
        reply.array(queue.commands);
        let (mut length, mut rest) = (reply.len().unwrap_or(0), &queue.bytes[..]);
        for left in (0..queue.commands).rev() {
            let mut progress = Progress::default();
            let Decoded::Message { message, frame } = Resp.decode(&mut progress, rest, now) else {
                break; // what is queued was found whole
            };
            let Ok(words) = self.words.split(rest.get(message).unwrap_or(&[])) else {
                break;
            };
            // Each of those that follow has capacity for the error that its reply is too long.
            let end = space.len().saturating_sub(left * TOO_LONG);
            let resp3 = self.service.client(client).resp3;
            let mut call = Call {
                words,
                frame: &[],
                reply: Reply::new(space.get_mut(length..end).unwrap_or_default(), resp3),
                service: &mut self.service,
                client,
                now,
                then: Then::GoOn,
            };
            commands::run(&mut call);
            if call.reply.len().is_none() {
                too_long(&mut call.reply);
            }
            length += call.reply.len().unwrap_or(0);
            let is_error = call.reply.is_error();
            self.service.commands += 1;
            self.service.errors += u64::from(is_error);
            rest = rest.get(frame..).unwrap_or(&[]);
        }
        length
    }

    /// Whether a client wants the reply of the command that has just run.
    fn wants_reply(&mut self, client: usize) -> bool {
        let replies = &mut self.service.client(client).replies;
        match *replies {
            Replies::On => true,
            Replies::Off => false,
            Replies::SkipNext => {
                *replies = Replies::Skip;
                false
            }
            Replies::Skip => {
                *replies = Replies::On;
                false
            }
        }
    }

    /// Replies with the protocol error, and closes: the start of the next command cannot be known. Nothing more is
    /// parsed.
    fn refuse(&mut self, conn: &mut Conn<'_>, why: ProtocolError) -> bool {
        self.service.errors += 1;
        let mut reply = Reply::new(conn.spare_capacity(), false);
        reply.error(why);
        let length = reply.len().unwrap_or(0);
        conn.commit(length);
        match why {
            ProtocolError::TooManyArguments | ProtocolError::TooLong | ProtocolError::Inline => {
                conn.too_long();
            }
            ProtocolError::MultibulkLength
            | ProtocolError::BulkLength
            | ProtocolError::MultibulkCount
            | ProtocolError::BulkCount
            | ProtocolError::Expected(_)
            | ProtocolError::Quotes => conn.finish(),
        }
        false
    }

    /// Sets the timer for the next key that expires, unless it is due before.
    fn set_timer(&mut self, connections: &mut Connections<'_>) {
        let (next, now) = (self.service.store.next_expiry(), connections.now());
        if next == Instant::NEVER {
            return;
        }
        let after = next.since(now).max(SWEEP);
        if now.plus(after) < self.timer {
            self.timer = now.plus(after);
            let _ = connections.set_timer(EXPIRY, after); // there is a timer of this number
        }
    }
}
