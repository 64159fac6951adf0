//! A TCP relay: for each connection that comes it makes one to another place, and passes on what either sends.
//!
//! `cargo run -p linux --example relay -- --listen 127.0.0.1:8080 --to 127.0.0.1:80`
//!
//! What there is to learn: an outbound connection has a name at once, and its `opened` or `closed` comes later. What one
//! end cannot take is left in the window of the other, which is paused: so its peer is held back, and nothing is buffered
//! beyond the two windows. Each end is passed on by itself (`SHUT_WR`): who has finished can still be answered.

use core::error::Error;
use core::fmt::Display;
use static_cell::ConstStaticCell;
use std::io::Write;
use tidegate::{
    Address, Config, Conn, Destination, Handler, Listen, Memory, Reason, Server, Token,
};

const HELP: &str = "\
Passes connections on to another place, with the end of either side.

Usage: relay --listen ADDR... --to ADDR

  --listen ADDR  where to listen: 127.0.0.1:8080, [::1]:8080, unix:/path; repeatable
  --to ADDR      where to connect to, written in the same way
  --help         this text";

/// Passes on between the two connections of each pair.
struct Relay {
    to: Destination,
}

impl Handler for Relay {
    /// The other connection of the pair.
    type State = Option<Token>;

    fn opened(&mut self, conn: &mut Conn<'_>, other: &mut Self::State) {
        // One that we made: for whom is written on it. Who waits for it may be gone.
        if let Some(origin) = conn.origin() {
            *other = Some(origin);
            let to = conn.token();
            if conn.lend(origin, |from| pass_on(from, to)).is_none() {
                conn.abort();
            }
            return;
        }
        match conn.connect(self.to) {
            Ok(token) => {
                *other = Some(token);
                // Nothing is received, not even an end, before it can be passed on.
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

    /// There is room again: the other one has something left for us.
    fn writable(&mut self, conn: &mut Conn<'_>, other: &mut Self::State) {
        let to = conn.token();
        if let Some(other) = *other {
            conn.lend(other, |from| pass_on(from, to));
        }
    }

    /// One way is at its end; the other way may go on. With both, a connection is finished.
    fn ended(&mut self, conn: &mut Conn<'_>, other: &mut Self::State) {
        let passed = other.and_then(|other| conn.lend(other, |other| other.shut_down()));
        if passed.is_none() {
            conn.finish();
        }
    }

    fn closed(&mut self, conn: &mut Conn<'_>, other: &mut Self::State, reason: Reason) {
        let opened = other.is_some();
        if conn.info().outbound && !opened {
            complain(&format_args!("{}: {reason}", conn.peer()));
        }
        // After an orderly end the other one has its own. Anything else ends both.
        if matches!(reason, Reason::PeerFinished | Reason::Stopping) {
            return;
        }
        if let Some(other) = other.or(conn.origin()) {
            conn.lend(other, |other| other.abort());
        }
    }
}

/// Passes on what was received to `to`, as far as there is room. The rest stays where it is, and no more is received,
/// until `to` tells that there is room.
fn pass_on(from: &mut Conn<'_>, to: Token) {
    let data = from.data();
    let sent = from.lend(to, |to| {
        let n = data.len().min(to.room());
        let sent = to.send(&data[..n]).map_or(0, |()| n);
        to.want_room(data.len() - sent);
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
    // If nobody hears it, the relay goes on all the same.
    let _ = writeln!(std::io::stderr(), "relay: cannot connect: {what}");
}

// 64 connections are 32 pairs, each with 16 KiB to receive and 16 KiB to send on either side: 2 MiB, and no more.
type RelayMemory = Memory<64, 16_384, 16_384, Option<Token>>;
const _: () = assert!(RelayMemory::SIZE <= 2200 * 1024);
static MEMORY: ConstStaticCell<RelayMemory> = ConstStaticCell::new(RelayMemory::new());

fn main() -> Result<(), Box<dyn Error>> {
    let (mut listen, mut to) = (Vec::new(), None);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        use lexopt::prelude::*;
        match argument {
            Long("listen") => listen.push(arguments.value()?.string()?),
            Long("to") => to = Some(arguments.value()?.string()?),
            Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            other @ (Short(_) | Long(_) | Value(_)) => return Err(other.unexpected().into()),
        }
    }
    let to = to.ok_or("--to is missing; see --help")?;
    if listen.is_empty() {
        return Err("--listen is missing; see --help".into());
    }
    // A server may speak first, and a client may be silent for long.
    let config = Config {
        first_byte: None,
        ..Config::default()
    };
    let nowhere = Destination::Registered(u32::MAX);
    let mut server = Server::new(MEMORY.take(), &config, Relay { to: nowhere })?;
    let to = match address(&to)? {
        Address::Inet(address) => Destination::Inet(address),
        Address::Unix(path) => server.destination(path)?,
    };
    server.session_mut().handler_mut().to = to;
    for place in &listen {
        let (_, bound) = server.listen(&Listen::on(address(place)?))?;
        match bound {
            Some(bound) => println!("listening on {bound}"),
            None => println!("listening on {place}"),
        }
    }
    server.run()?;
    Ok(())
}

fn address(text: &str) -> Result<Address<'_>, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Address::Unix(path));
    }
    let address = text.parse().map_err(|_| {
        format!("{text:?} is no address; write 127.0.0.1:8080, [::1]:8080 or unix:/path")
    })?;
    Ok(Address::Inet(address))
}
