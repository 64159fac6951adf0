//! Echo servers over other libraries, as their documentation shows how to write one, and the two blocking ones.
//!
//! Each on a port that the kernel chooses, with 4 KiB at a time, SO_REUSEADDR, TCP_NODELAY and a backlog of 1024; what does
//! not fit is kept, and nothing more is read until it is gone.

mod blocking;
mod mio;
mod polling;
mod tokio;

use crate::load::usage::raise_descriptors;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;

/// A server: it returns only if it cannot go on.
type Serve = fn(TcpListener) -> io::Result<()>;

/// All of them, by the names that tables show.
pub(super) const PEERS: [(&str, Serve); 5] = [
    ("mio", mio::serve),
    ("polling", polling::serve),
    ("tokio", tokio::serve),
    (ONE_AT_A_TIME, blocking::one),
    (THREADS, blocking::threads),
];

/// Blocking calls in one thread.
pub(super) const ONE_AT_A_TIME: &str = "blocking, one client";

/// Blocking calls in many.
pub(super) const THREADS: &str = "blocking, threads";

/// Serves, as the peer of this name.
///
/// # Errors
///
/// If there is none, or it cannot go on.
pub fn serve(name: &str) -> io::Result<()> {
    let mut all = PEERS.iter();
    let Some((_, serve)) = all.find(|peer| peer.0 == name) else {
        return Err(io::Error::other(format!("no peer is called {name:?}")));
    };
    raise_descriptors();
    let listener = listener()?;
    println!("listening on {}", listener.local_addr()?);
    serve(listener)
}

fn listener() -> io::Result<TcpListener> {
    let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    let anywhere = core::net::SocketAddr::from(([127, 0, 0, 1], 0));
    rustix::net::bind(&socket, &anywhere)?;
    rustix::net::listen(&socket, 1024)?;
    Ok(socket.into())
}

const BUFFER: usize = 4096;

/// What became of a connection on which something was tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum After {
    /// All was taken, and there may be more to read.
    GoesOn,
    /// There is nothing to read now.
    Waits,
    /// Something is left to send.
    WaitsToWrite,
    IsOver,
}

/// Bytes that were received and could not be sent yet.
#[derive(Default)]
struct Rest {
    bytes: Vec<u8>,
    at: usize,
}

impl Rest {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Sends what is left.
    fn send(&mut self, to: &mut impl Write) -> After {
        while self.at < self.bytes.len() {
            match to.write(&self.bytes[self.at..]) {
                Ok(n) => self.at += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return After::WaitsToWrite,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return After::IsOver,
            }
        }
        *self = Self::default();
        After::GoesOn
    }

    /// Receives once and sends it back.
    fn echo(&mut self, stream: &mut (impl Read + Write), buffer: &mut [u8; BUFFER]) -> After {
        let n = match stream.read(buffer) {
            Ok(0) => return After::IsOver,
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return After::Waits,
            Err(error) if error.kind() == ErrorKind::Interrupted => return After::GoesOn,
            Err(_) => return After::IsOver,
        };
        let later = [ErrorKind::WouldBlock, ErrorKind::Interrupted];
        let sent = match stream.write(&buffer[..n]) {
            Ok(sent) => sent,
            Err(error) if later.contains(&error.kind()) => 0,
            Err(_) => return After::IsOver,
        };
        if sent < n {
            self.bytes = buffer[sent..n].to_vec();
            self.at = 0;
            return After::WaitsToWrite;
        }
        After::GoesOn
    }
}
