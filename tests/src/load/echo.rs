//! Closed loops over connections that stay.

use super::pattern::{PIECE, Position, Stream};
use super::window::Window;
use super::{LoadError, Plan, Progress, Report, Traffic};
use crate::net::connect_from;
use alloc::collections::VecDeque;
use core::net::{Ipv4Addr, SocketAddr};
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::time::Timespec;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// After so many connections one waits for a reply, so that the server's backlog never fills.
const BREATH: u32 = 128;

/// A message that shows that a connection was accepted.
const TOUCH: usize = 64;

/// How many connections may be lost before the run is given up.
const LOST: u64 = 1000;

/// How many reports are taken at a time.
const BATCH: usize = 256;

/// The longest wait.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// A connection and where in the stream it is.
struct Link {
    stream: TcpStream,
    sent: Position,
    heard: Position,
    /// Bytes that wait to be sent.
    owed: usize,
    /// Bytes of the message that is coming in.
    part: usize,
    /// When the messages on the way were sent, oldest first.
    on_the_way: VecDeque<Instant>,
    answered: bool,
}

impl Link {
    fn open(plan: &Plan, number: u32) -> io::Result<Self> {
        let stream = connect_from(source(number, plan.sources), SocketAddr::V4(plan.address))?;
        Ok(Self {
            stream,
            sent: Position::of(number),
            heard: Position::of(number),
            owed: 0,
            part: 0,
            on_the_way: VecDeque::new(),
            answered: false,
        })
    }

    /// One message and its reply, blocking; returns how many bytes of it were wrong.
    fn touch(&mut self, said: &Stream) -> io::Result<u64> {
        self.stream.write_all(said.from(self.sent, TOUCH))?;
        self.sent.advance(TOUCH);
        let mut heard = [0; TOUCH];
        self.stream.read_exact(&mut heard)?;
        let wrong = said.wrong(self.heard, &heard);
        self.heard.advance(TOUCH);
        Ok(wrong)
    }

    /// Sends what is owed, as far as it goes.
    fn push(&mut self, said: &Stream) -> Result<(), Errno> {
        while self.owed > 0 {
            let piece = said.from(self.sent, self.owed);
            match rustix::net::send(&self.stream, piece, SendFlags::NOSIGNAL) {
                Ok(n) => {
                    self.sent.advance(n);
                    self.owed -= n;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

/// Where the connection with this number comes from.
pub(super) fn source(number: u32, sources: u8) -> Ipv4Addr {
    match number.checked_rem(sources.into()) {
        #[expect(clippy::cast_possible_truncation, reason = "less than `sources`")]
        Some(which) => Ipv4Addr::new(127, 0, 0, 2_u8.saturating_add(which as u8)),
        None => Ipv4Addr::LOCALHOST,
    }
}

/// Opens connections, has one message echoed on each, and keeps them.
///
/// # Errors
///
/// If one cannot be made, or its message comes back changed or not at all.
pub fn hold(plan: &Plan, connections: u32) -> Result<Vec<TcpStream>, LoadError> {
    let said = Stream::new();
    let one = |number| -> io::Result<TcpStream> {
        let mut link = Link::open(plan, number)?;
        match link.touch(&said)? {
            0 => Ok(link.stream),
            wrong => Err(io::Error::other(format!("{wrong} bytes came back wrong"))),
        }
    };
    (0..connections)
        .map(one)
        .collect::<io::Result<_>>()
        .map_err(plan.error("connecting to"))
}

pub(super) fn run(plan: &Plan, progress: &mut dyn FnMut(Progress)) -> Result<Report, LoadError> {
    let Traffic::Echo {
        connections,
        active,
        in_flight,
        size,
    } = plan.traffic
    else {
        unreachable!("called for echoes only");
    };
    let said = Stream::new();
    let mut links = Vec::with_capacity(connections as usize);
    let mut wrong = 0;
    for number in 0..connections {
        let mut link = Link::open(plan, number).map_err(plan.error("connecting to"))?;
        if number % BREATH == BREATH - 1 {
            wrong += link
                .touch(&said)
                .map_err(plan.error("waiting for a reply of"))?;
            progress(Progress::Connected(number + 1));
        }
        links.push(link);
    }
    let mut window = Window::new(plan, progress);
    window.wrong = wrong;
    let mut clients = Clients {
        set: epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|errno| plan.error("epoll for")(errno.into()))?,
        links,
        said,
        size: size as usize,
        window,
        buffer: vec![0; PIECE],
    };
    clients
        .begin(active.min(connections), in_flight)
        .map_err(plan.error("epoll for"))?;
    clients.go_on().map_err(plan.error("waiting for"))?;
    let answered = clients.links.iter().filter(|link| link.answered).count();
    let report = clients
        .window
        .close(u32::try_from(answered).unwrap_or(u32::MAX));
    Ok(report)
}

struct Clients<'p> {
    set: OwnedFd,
    links: Vec<Link>,
    said: Stream,
    size: usize,
    window: Window<'p>,
    buffer: Vec<u8>,
}

impl Clients<'_> {
    /// Watches all, and sends the first messages of the active ones.
    fn begin(&mut self, active: u32, in_flight: u32) -> io::Result<()> {
        use epoll::EventFlags as Flags;
        let flags = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::ET;
        for (number, link) in self.links.iter().enumerate() {
            link.stream.set_nonblocking(true)?;
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&self.set, &link.stream, data, flags)?;
        }
        let step = self.links.len().checked_div(active as usize).unwrap_or(1);
        for link in self.links.iter_mut().step_by(step).take(active as usize) {
            link.on_the_way = vec![Instant::now(); in_flight as usize].into();
            link.owed = in_flight as usize * self.size;
            if link.push(&self.said).is_err() {
                self.window.lost += 1;
            }
        }
        Ok(())
    }

    /// Until the window closes.
    fn go_on(&mut self) -> io::Result<()> {
        let mut reports = Vec::with_capacity(BATCH);
        while self.window.is_open(Instant::now()) && self.window.lost <= LOST {
            reports.clear();
            let capacity = rustix::buffer::spare_capacity(&mut reports);
            match epoll::wait(&self.set, capacity, Some(&PAUSE)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            for report in &reports {
                let (data, flags) = (report.data, report.flags);
                let Ok(number) = usize::try_from(data.u64()) else {
                    continue;
                };
                if self.serve(number, flags).is_err() {
                    self.window.lost += 1;
                    let _ = epoll::delete(&self.set, &self.links[number].stream);
                }
            }
        }
        Ok(())
    }

    /// Takes in what has come, and sends on.
    fn serve(&mut self, number: usize, flags: epoll::EventFlags) -> Result<(), Errno> {
        use epoll::EventFlags as Flags;
        let readable = Flags::IN | Flags::RDHUP | Flags::HUP | Flags::ERR;
        let link = &mut self.links[number];
        while flags.intersects(readable) {
            let received =
                rustix::net::recv(&link.stream, &mut self.buffer[..], RecvFlags::empty());
            let n = match received {
                Ok((_, 0)) => return Err(Errno::CONNRESET),
                Ok((_, n)) => n,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno),
            };
            self.window.wrong += self.said.wrong(link.heard, &self.buffer[..n]);
            link.heard.advance(n);
            link.part += n;
            let now = Instant::now();
            while link.part >= self.size {
                link.part -= self.size;
                let Some(sent) = link.on_the_way.pop_front() else {
                    // More than was ever sent.
                    self.window.wrong += self.size as u64;
                    continue;
                };
                link.answered = true;
                self.window.count(now.duration_since(sent));
                link.on_the_way.push_back(now);
                link.owed += self.size;
            }
            link.push(&self.said)?;
            // Fewer than the buffer holds are all there is; EOF is reported apart.
            if n < self.buffer.len() && !flags.intersects(Flags::RDHUP | Flags::HUP | Flags::ERR) {
                return Ok(());
            }
        }
        link.push(&self.said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_take_turns() {
        let of = |number| source(number, 3).octets()[3];
        assert_eq!([0, 1, 2, 3].map(of), [2, 3, 4, 2]);
        assert_eq!(source(7, 0), Ipv4Addr::LOCALHOST);
        assert_eq!(source(249, 250), Ipv4Addr::new(127, 0, 0, 251));
    }
}
