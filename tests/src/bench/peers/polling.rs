//! polling: level-triggered, one receive and one send for each event.

use super::{After, BUFFER, Rest};
use core::num::NonZeroUsize;
use polling::{Event, Events, PollMode, Poller};
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};

const LISTENER: usize = usize::MAX - 1;

struct Connection {
    stream: TcpStream,
    rest: Rest,
}

pub(super) fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let poller = Poller::new()?;
    // SAFETY: the listener lives as long as the poller.
    unsafe { poller.add_with_mode(&listener, Event::readable(LISTENER), PollMode::Level)? };
    let mut events = Events::with_capacity(NonZeroUsize::new(256).expect("not 0"));
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free = Vec::new();
    let mut buffer = [0; BUFFER];
    loop {
        events.clear();
        match poller.wait(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            Ok(_) | Err(_) => {}
        }
        for event in events.iter() {
            if event.key == LISTENER {
                accept(&listener, &poller, &mut connections, &mut free)?;
                continue;
            }
            let index = event.key;
            let Some(Some(Connection { stream, rest })) = connections.get_mut(index) else {
                continue;
            };
            let wrote = !rest.is_empty();
            let after = if wrote {
                rest.send(stream)
            } else {
                rest.echo(stream, &mut buffer)
            };
            let writes = after == After::WaitsToWrite;
            if after == After::IsOver {
                poller.delete(&*stream)?;
                connections[index] = None;
                free.push(index);
            } else if writes != wrote {
                let event = Event::new(index, !writes, writes);
                poller.modify_with_mode(&*stream, event, PollMode::Level)?;
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    poller: &Poller,
    connections: &mut Vec<Option<Connection>>,
    free: &mut Vec<usize>,
) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let index = free.pop().unwrap_or(connections.len());
        if index == connections.len() {
            connections.push(None);
        }
        // SAFETY: it is deleted before it is dropped.
        unsafe { poller.add_with_mode(&stream, Event::readable(index), PollMode::Level)? };
        let rest = Rest::default();
        connections[index] = Some(Connection { stream, rest });
    }
}
