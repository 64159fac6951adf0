//! A TCP relay: for each accepted connection it makes an outbound one, and forwards what either peer sends.
//!
//! `cargo run -p linux --example relay -- --listen 127.0.0.1:8080 --to 127.0.0.1:80`
//!
//! What there is to learn: an outbound connection has a name at once, and its `opened` or `closed` comes later. What
//! one connection cannot take is left in the receive window of the other, which is paused: TCP flow control holds its
//! peer, and nothing is buffered beyond the two windows. Each EOF is forwarded by itself (`SHUT_WR`): a client that has
//! sent FIN still gets its reply.

mod common;

use common::{Common, Failure};
use core::fmt::Display;
use lexopt::ValueExt;
use static_cell::ConstStaticCell;
use std::io::Write;
use tidegate::{
    Address, Config, Conn, Connect, Destination, FullTable, Handler, Memory, Reason, Server, Token,
};

const HELP: &str = "\
Usage: relay --to ADDR [OPTION]...
Forwards connections to another address, with the EOF of either side: 32 at a time, in memory of a fixed size.

  --to ADDR        where to connect to: IP:PORT, [IPV6]:PORT, unix:/path or unix:@name
  --listen ADDR    where to listen, written in the same way; may be given several times [127.0.0.1:8080]
{common}

Try it: relay --to 127.0.0.1:80 & curl http://127.0.0.1:8080/
";

/// Forwards between the two connections of each pair.
struct Relay {
    to: Destination,
}

impl Handler for Relay {
    /// The other connection of the pair.
    type State = Option<Token>;

    fn opened(&mut self, conn: &mut Conn<'_>, other: &mut Self::State) {
        // An outbound connection: its origin names the client. The client may be gone.
        if let Some(origin) = conn.origin() {
            *other = Some(origin);
            let to = conn.token();
            if conn.with(origin, |from| pass_on(from, to)).is_none() {
                conn.abort();
            }
            return;
        }
        match conn.connect(self.to) {
            Ok(token) => {
                *other = Some(token);
                // Nothing is received, not even EOF, before it can be forwarded.
                conn.pause();
            }
            Err(error) => {
                complain(&error);
                conn.abort();
            }
        }
    }

    fn readable(&mut self, conn: &mut Conn<'_>, other: &mut Self::State) {
        if let Some(other) = *other {
            pass_on(conn, other);
        }
    }

    /// There is send capacity again: the other connection has data left for this one.
    fn writable(&mut self, conn: &mut Conn<'_>, other: &mut Self::State) {
        let to = conn.token();
        if let Some(other) = *other {
            conn.with(other, |from| pass_on(from, to));
        }
    }

    /// One way is at its end; the other way may go on. With both, a connection is finished.
    fn ended(&mut self, conn: &mut Conn<'_>, other: &mut Self::State) {
        let passed = other.and_then(|other| conn.with(other, |other| other.shut_down()));
        if passed.is_none() {
            conn.finish();
        }
    }

    fn closed(&mut self, conn: &mut Conn<'_>, other: &mut Self::State, reason: Reason) {
        let opened = other.is_some();
        if conn.info().outbound && !opened {
            complain(&format_args!("{}: {reason}", conn.peer()));
        }
        // After an orderly end the other one has its own. At a stop one without the other has none to talk to. Anything else
        // ends both.
        if reason == Reason::PeerFinished {
            return;
        }
        if let Some(other) = other.or(conn.origin()) {
            let finishes = reason == Reason::Stopping;
            conn.with(other, |other| {
                if finishes {
                    other.finish();
                } else {
                    other.abort();
                }
            });
        }
    }
}

/// Forwards what was received to `to`, as far as its send capacity goes. The rest stays in the window, and receiving is
/// suspended until `to` is writable.
fn pass_on(from: &mut Conn<'_>, to: Token) {
    let data = from.data();
    let sent = from.with(to, |to| {
        let n = data.len().min(to.capacity());
        let sent = to.send(&data[..n]).map_or(0, |()| n);
        to.want_capacity(data.len() - sent);
        sent
    });
    from.consume(sent.unwrap_or(0));
    if from.data().is_empty() {
        from.resume();
    } else {
        from.pause();
    }
}

fn complain(what: &dyn Display) {
    // If stderr is closed, the relay goes on.
    let _ = writeln!(std::io::stderr(), "relay: cannot connect: {what}");
}

const PAIRS: u32 = 32;

// 64 connections are 32 pairs, each with 16 KiB to receive and 16 KiB to send on either side; two more are for a pair
// that evicts another, as its second half is closed a moment later than its first: 2.1 MiB, and no more.
type RelayMemory = Memory<66, 16_384, 16_384, Option<Token>>;
const _: () = assert!(RelayMemory::SIZE <= 2200 * 1024);
static MEMORY: ConstStaticCell<RelayMemory> = ConstStaticCell::new(RelayMemory::new());

fn main() -> Result<(), Failure> {
    // A server may send first, and a client may be silent for long. A connection whose other side has sent EOF is
    // evicted for a newcomer; one that is only silent is not.
    let config = Config {
        first_byte: None,
        full: FullTable::EvictHalfClosed,
        ..Config::default()
    };
    let mut to = None;
    // As fast as either path: the kernel tunes its buffers.
    let common = Common {
        receive_buffer: None,
        send_buffer: None,
        ..Common::new("127.0.0.1:8080", config)
    };
    let mut common = common::arguments(HELP, common, |name, parser| {
        let known = name == "to";
        if known {
            to = Some(parser.value()?.string()?);
        }
        Ok(known)
    });
    // Each client needs a second slot, for the connection that is made for it.
    let listeners = u32::try_from(common.listen.len())?;
    common.at_most = Some((PAIRS / listeners).max(1));
    let to = to.ok_or("--to is missing; --help lists the options")?;
    let address = Address::parse(&to).map_err(|why| format!("--to {why}"))?;
    let nowhere = Destination::Registered(u32::MAX);
    let mut server = Server::new(MEMORY.take(), &common.config, Relay { to: nowhere })?;
    server.set_connect(Connect {
        receive_buffer: common.receive_buffer,
        send_buffer: common.send_buffer,
        ..Connect::DEFAULT
    });
    let to = server.destination_at(&address)?;
    server.session_mut().handler_mut().to = to;
    common::serve(&mut server, &common)
}
