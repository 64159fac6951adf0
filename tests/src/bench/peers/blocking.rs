//! The blocking servers of the text: calls that wait.

use super::BUFFER;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Serves a client to its end, then the next.
pub(super) fn one(listener: TcpListener) -> io::Result<()> {
    for stream in listener.incoming() {
        serve(&stream?);
    }
    Ok(())
}

/// Serves each client in a thread of its own, with a stack of 64 KiB.
pub(super) fn threads(listener: TcpListener) -> io::Result<()> {
    for stream in listener.incoming() {
        let stream = stream?;
        let thread = thread::Builder::new().stack_size(64 * 1024);
        thread.spawn(move || serve(&stream))?;
    }
    Ok(())
}

fn serve(mut stream: &TcpStream) {
    let mut buffer = [0; BUFFER];
    let _ = stream.set_nodelay(true);
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}
