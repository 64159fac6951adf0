//! mio: edge-triggered, each event followed to the end, as its documentation requires.

use super::{After, BUFFER, Rest};
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::io::{self, ErrorKind};

const LISTENER: Token = Token(usize::MAX);

struct Connection {
    stream: TcpStream,
    rest: Rest,
}

pub(super) fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(256);
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free = Vec::new();
    let mut buffer = [0; BUFFER];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut connections, &mut free)?;
                continue;
            }
            let index = event.token().0;
            let Some(Some(connection)) = connections.get_mut(index) else {
                continue;
            };
            if follow(connection, event, &mut buffer) == After::IsOver {
                poll.registry().deregister(&mut connection.stream)?;
                connections[index] = None;
                free.push(index);
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    connections: &mut Vec<Option<Connection>>,
    free: &mut Vec<usize>,
) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        let index = free.pop().unwrap_or(connections.len());
        if index == connections.len() {
            connections.push(None);
        }
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(index), both)?;
        let rest = Rest::default();
        connections[index] = Some(Connection { stream, rest });
    }
}

/// Until it would block, in either direction.
fn follow(connection: &mut Connection, event: &Event, buffer: &mut [u8; BUFFER]) -> After {
    let Connection { stream, rest } = connection;
    // Registered for both, and new: only that it may be written to.
    if rest.is_empty() && !event.is_readable() && !event.is_error() {
        return After::Waits;
    }
    let mut after = After::GoesOn;
    if !rest.is_empty() {
        after = rest.send(stream);
    }
    while after == After::GoesOn {
        after = rest.echo(stream, buffer);
    }
    after
}
