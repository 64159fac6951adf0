//! Clients that come, have one message echoed, and go.

use super::echo::source;
use super::pattern::{PIECE, Position, Stream};
use super::window::Window;
use super::{LoadError, Plan, Progress, Report};
use crate::net::connect_from;
use core::net::SocketAddr;
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::time::Timespec;
use std::io;
use std::net::TcpStream;
use std::time::Instant;

struct Exchange {
    stream: TcpStream,
    heard: Position,
    left: usize,
    wrong: u64,
    began: Instant,
}

enum Heard {
    Part,
    Whole { wrong: u64 },
    End,
}

impl Exchange {
    fn hear(&mut self, said: &Stream, buffer: &mut [u8]) -> Heard {
        match rustix::net::recv(&self.stream, &mut *buffer, RecvFlags::empty()) {
            Err(Errno::INTR | Errno::AGAIN) => Heard::Part,
            Ok((_, n)) if n > 0 && n <= self.left => {
                self.wrong += said.wrong(self.heard, &buffer[..n]);
                self.heard.advance(n);
                self.left -= n;
                match self.left {
                    0 => Heard::Whole { wrong: self.wrong },
                    _ => Heard::Part,
                }
            }
            Ok(_) | Err(_) => Heard::End,
        }
    }
}

/// The longest wait.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

struct Clients<'p> {
    plan: &'p Plan,
    set: OwnedFd,
    said: Stream,
    size: usize,
    exchanges: u32,
}

impl Clients<'_> {
    /// The next connection, in the entry of an earlier one.
    fn begin(&mut self, index: usize) -> io::Result<Exchange> {
        let number = self.exchanges;
        self.exchanges = self.exchanges.wrapping_add(1);
        let began = Instant::now();
        let from = source(number, self.plan.sources);
        let stream = connect_from(from, SocketAddr::V4(self.plan.address))?;
        let position = Position::of(number);
        let message = self.said.from(position, self.size);
        let sent = rustix::net::send(&stream, message, SendFlags::NOSIGNAL)?;
        // Waiting was allowed; a new connection has send capacity for all of it.
        if sent < self.size {
            return Err(io::ErrorKind::WriteZero.into());
        }
        stream.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&self.set, &stream, data, epoll::EventFlags::IN)?;
        Ok(Exchange {
            stream,
            heard: position,
            left: self.size,
            wrong: 0,
            began,
        })
    }
}

pub(super) fn run(
    plan: &Plan,
    clients: u32,
    size: u32,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, LoadError> {
    let error = || plan.error("connecting to");
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| error()(e.into()))?;
    let mut window = Window::new(plan, progress);
    let mut next = Clients {
        plan,
        set,
        said: Stream::new(),
        size: (size as usize).min(PIECE),
        exchanges: 0,
    };
    let mut exchanges = (0..clients as usize)
        .map(|index| next.begin(index))
        .collect::<io::Result<Vec<_>>>()
        .map_err(error())?;
    let mut reports = Vec::with_capacity(clients as usize);
    let mut buffer = vec![0; PIECE];
    let mut answered = 0_u32;
    while window.is_open(Instant::now()) {
        reports.clear();
        let capacity = rustix::buffer::spare_capacity(&mut reports);
        match epoll::wait(&next.set, capacity, Some(&PAUSE)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(error()(errno.into())),
        }
        for report in &reports {
            let data = report.data;
            let index = usize::try_from(data.u64()).unwrap_or(usize::MAX);
            let Some(exchange) = exchanges.get_mut(index) else {
                continue;
            };
            match exchange.hear(&next.said, &mut buffer) {
                Heard::Part => continue,
                Heard::Whole { wrong } => {
                    window.wrong += wrong;
                    window.count(exchange.began.elapsed());
                    answered = answered.saturating_add(1).min(clients);
                }
                Heard::End => window.lost += 1,
            }
            // That closes the earlier one.
            *exchange = next.begin(index).map_err(error())?;
        }
    }
    Ok(window.close(answered))
}
