//! This machine's kernel as a [`System`]: TCP over loopback. After each call it waits, for a bounded time, until what
//! was sent has arrived, so that what a lesson shows does not depend on the speed of the machine.

use super::system::{Change, SysResult, System};
use alloc::collections::{BTreeMap, VecDeque};
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, sockopt,
};
use std::fs::File;
use std::io::{BufRead, BufReader};
use tidegate::backend::{Backend, Entries, Select};
use tidegate::{Directions, Instant, Token, Trigger};
use tidegate_core::Event;
use tidegate_sim::{EpollFlags, Errno, Fd, Report};

/// More connections than a script has.
const BACKLOG: i32 = 16;
/// Events of one wait: more than a script has sources.
const REPORTS: usize = 16;
/// Entries for as many sources and the one that stops, and words of bits for 2,048 descriptors and more.
const ENTRIES: usize = 1 + REPORTS;
const WORDS: usize = 64;
/// What a blocking receive waits: long enough to be called waiting.
const BLOCKS: Duration = Duration::from_millis(20);
/// Number of checks for whether something has arrived, and the pause between them.
const CHECKS: u32 = 50_000;
const APART: Duration = Duration::from_micros(100);

#[derive(Debug)]
pub(crate) struct Real {
    descriptors: BTreeMap<u32, OwnedFd>,
    listener: Fd,
    address: SocketAddr,
    flows: Vec<Flow>,
    /// The flows that wait to be accepted.
    waiting: VecDeque<usize>,
}

/// One connection, from its client to the server.
#[derive(Debug)]
struct Flow {
    client: Fd,
    server: Option<Fd>,
    /// Sent and not received.
    unread: usize,
    /// The client has sent FIN, or a reset.
    over: bool,
    /// The server has closed it, and the client has sent something since, so a reset is due.
    closed: bool,
    reset_due: bool,
}

impl Real {
    pub(crate) fn new() -> SysResult<Self> {
        let socket = stream().map_err(errno)?;
        let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        net::bind(&socket, &any).map_err(errno)?;
        net::listen(&socket, BACKLOG).map_err(errno)?;
        let address = net::getsockname(&socket).map_err(errno)?;
        let mut real = Self {
            descriptors: BTreeMap::new(),
            listener: Fd(0),
            address: SocketAddr::try_from(address).map_err(errno)?,
            flows: Vec::new(),
            waiting: VecDeque::new(),
        };
        real.listener = real.keep(socket);
        Ok(real)
    }

    /// Keeps a descriptor under its number.
    fn keep(&mut self, fd: OwnedFd) -> Fd {
        let number = u32::try_from(fd.as_raw_fd()).unwrap_or(u32::MAX);
        self.descriptors.insert(number, fd);
        Fd(number)
    }

    fn at(&self, fd: Fd) -> SysResult<BorrowedFd<'_>> {
        let kept = self.descriptors.get(&fd.0);
        kept.map(AsFd::as_fd).ok_or(Errno::BADF)
    }

    fn flow(&mut self, client: Fd) -> Option<&mut Flow> {
        self.flows.iter_mut().find(|flow| flow.client == client)
    }

    /// Waits until all that clients have done has come to the server's side.
    fn settle(&self) -> SysResult<()> {
        for _ in 0..CHECKS {
            if self.has_settled()? {
                return Ok(());
            }
            std::thread::sleep(APART);
        }
        Err(Errno::TIMEDOUT)
    }

    fn has_settled(&self) -> SysResult<bool> {
        let waiting = self.waiting.len();
        if waiting > 0 && queued(self.address.port()).is_some_and(|queued| queued < waiting) {
            return Ok(false);
        }
        let ends = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        for flow in &self.flows {
            if let Some(server) = flow.server {
                let server = self.at(server)?;
                let unread = io::ioctl_fionread(server).map_err(errno)?;
                let over = flow.over && !ask(server, ends)?.intersects(ends);
                if unread != flow.unread as u64 || over {
                    return Ok(false);
                }
            }
            // Its number is unknown once it is closed.
            if let Ok(client) = self.at(flow.client)
                && flow.closed
            {
                let awaited = if flow.reset_due { PollFlags::HUP } else { ends };
                if !ask(client, ends)?.intersects(awaited) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// No connection is left in TIME_WAIT behind: there would be more than the system has ports.
impl Drop for Real {
    fn drop(&mut self) {
        for fd in self.descriptors.values() {
            // Epoll sets have no such option.
            let _ = sockopt::set_socket_linger(fd, Some(Duration::ZERO));
        }
    }
}

impl System for Real {
    fn listener(&self) -> Fd {
        self.listener
    }

    fn connect(&mut self) -> SysResult<Fd> {
        let socket = stream().map_err(errno)?;
        match net::connect(&socket, &self.address) {
            Ok(()) | Err(io::Errno::INPROGRESS) => {}
            Err(failed) => return Err(errno(failed)),
        }
        for _ in 0..CHECKS {
            if ask(socket.as_fd(), PollFlags::OUT)?.contains(PollFlags::OUT) {
                break;
            }
            std::thread::sleep(APART);
        }
        if let Err(failed) = sockopt::socket_error(&socket).map_err(errno)? {
            return Err(errno(failed));
        }
        let client = self.keep(socket);
        self.waiting.push_back(self.flows.len());
        self.flows.push(Flow {
            client,
            server: None,
            unread: 0,
            over: false,
            closed: false,
            reset_due: false,
        });
        self.settle()?;
        Ok(client)
    }

    fn accept(&mut self) -> SysResult<Fd> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::accept_with(self.at(self.listener)?, flags).map_err(errno)?;
        let server = self.keep(socket);
        let flow = self
            .waiting
            .pop_front()
            .and_then(|at| self.flows.get_mut(at));
        if let Some(flow) = flow {
            flow.server = Some(server);
        }
        self.settle()?;
        Ok(server)
    }

    fn send(&mut self, fd: Fd, bytes: &[u8]) -> SysResult<usize> {
        let sent = net::send(self.at(fd)?, bytes, SendFlags::NOSIGNAL).map_err(errno)?;
        if let Some(flow) = self.flow(fd) {
            flow.unread += sent;
            flow.reset_due |= flow.closed;
        }
        self.settle()?;
        Ok(sent)
    }

    fn receive(&mut self, fd: Fd, into: &mut [u8]) -> SysResult<usize> {
        let (n, _) = net::recv(self.at(fd)?, into, RecvFlags::empty()).map_err(errno)?;
        let flow = self.flows.iter_mut().find(|flow| flow.server == Some(fd));
        if let Some(flow) = flow {
            flow.unread = flow.unread.saturating_sub(n);
        }
        Ok(n)
    }

    fn make_blocking(&mut self, fd: Fd) -> SysResult<()> {
        let socket = self.at(fd)?;
        io::ioctl_fionbio(socket, false).map_err(errno)?;
        let limit = sockopt::Timeout::Recv;
        sockopt::set_socket_timeout(socket, limit, Some(BLOCKS)).map_err(errno)
    }

    fn finish(&mut self, fd: Fd) -> SysResult<()> {
        net::shutdown(self.at(fd)?, Shutdown::Write).map_err(errno)?;
        if let Some(flow) = self.flow(fd) {
            flow.over = true;
        }
        self.settle()
    }

    fn close(&mut self, fd: Fd, reset: bool) -> SysResult<()> {
        if reset {
            sockopt::set_socket_linger(self.at(fd)?, Some(Duration::ZERO)).map_err(errno)?;
        }
        self.descriptors.remove(&fd.0).ok_or(Errno::BADF)?;
        for flow in &mut self.flows {
            if flow.server == Some(fd) {
                flow.server = None;
                flow.closed = true;
            }
            if flow.client == fd {
                flow.over = true;
                // The number may be another's from now on.
                flow.client = Fd(u32::MAX);
            }
        }
        self.settle()
    }

    fn epoll(&mut self) -> SysResult<Fd> {
        let set = epoll::create(CreateFlags::CLOEXEC).map_err(errno)?;
        Ok(self.keep(set))
    }

    fn change(&mut self, set: Fd, fd: Fd, change: Change) -> SysResult<()> {
        let (set, fd) = (self.at(set)?, self.at(fd)?);
        let flags = |mask: EpollFlags| EventFlags::from_bits_retain(mask.bits());
        let done = match change {
            Change::Add(mask, data) => epoll::add(set, fd, EventData::new_u64(data), flags(mask)),
            Change::Modify(mask, data) => {
                epoll::modify(set, fd, EventData::new_u64(data), flags(mask))
            }
            Change::Delete => epoll::delete(set, fd),
        };
        done.map_err(errno)
    }

    fn wait(&mut self, set: Fd) -> SysResult<Vec<Report>> {
        let nothing = epoll::Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        };
        let mut events = [nothing; REPORTS];
        let now = Timespec::default();
        let count = epoll::wait(self.at(set)?, &mut events[..], Some(&now)).map_err(errno)?;
        let report = |event: &epoll::Event| Report {
            flags: EpollFlags::from_bits({ event.flags }.bits()),
            data: { event.data }.u64(),
        };
        Ok(events.iter().take(count).map(report).collect())
    }

    fn poll(&mut self, list: &[(Fd, EpollFlags)]) -> SysResult<Vec<EpollFlags>> {
        let mut polled = Vec::new();
        for &(fd, mask) in list {
            let bits = PollFlags::from_bits_retain(bits(mask));
            polled.push(PollFd::from_borrowed_fd(self.at(fd)?, bits));
        }
        poll(&mut polled, Some(&Timespec::default())).map_err(errno)?;
        Ok(polled.iter().map(|one| flags(one.revents())).collect())
    }

    fn select(&mut self, list: &[(Fd, EpollFlags)]) -> SysResult<Vec<EpollFlags>> {
        let mut entries = Entries::<ENTRIES, WORDS>::new();
        let mut select = Select::new(&mut entries);
        for (number, &(fd, mask)) in list.iter().enumerate() {
            let wanted = Directions::READ.when(mask.contains(EpollFlags::IN))
                | Directions::WRITE.when(mask.contains(EpollFlags::OUT));
            let token = Token::from_bits(number as u64);
            let (fd, none) = (self.at(fd)?, Directions::NONE);
            // SAFETY: the descriptors are borrowed from `self`, which closes none before `select` is dropped below.
            let added = unsafe { select.arm(fd, token, none, wanted, Trigger::Level) };
            added.map_err(errno)?;
        }
        let mut found = vec![EpollFlags::NONE; list.len()];
        // It fails only for resource exhaustion.
        let reports = select.wait(Some(Instant::ZERO), false);
        for index in 0..reports.map_err(|_| Errno::NOMEM)? {
            let Some(Event::Ready {
                token, directions, ..
            }) = select.report(index)
            else {
                continue;
            };
            let index = usize::try_from(token.to_bits()).unwrap_or(usize::MAX);
            if let Some(found) = found.get_mut(index) {
                *found = EpollFlags::IN.when(directions.contains(Directions::READ))
                    | EpollFlags::OUT.when(directions.contains(Directions::WRITE));
            }
        }
        Ok(found)
    }

    fn unread(&mut self, fd: Fd) -> usize {
        let unread = self.at(fd).ok().and_then(|fd| io::ioctl_fionread(fd).ok());
        unread.and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
    }
}

/// A TCP socket that sends at once whatever it is given.
fn stream() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    Ok(socket)
}

fn ask(fd: BorrowedFd<'_>, what: PollFlags) -> SysResult<PollFlags> {
    let mut polled = [PollFd::from_borrowed_fd(fd, what)];
    poll(&mut polled, Some(&Timespec::default())).map_err(errno)?;
    Ok(polled
        .iter()
        .fold(PollFlags::empty(), |all, one| all | one.revents()))
}

/// Connections in the accept queue of the listener at a port: `/proc/net/tcp` has the count in the column of unread
/// bytes (`proc(5)`). `None` if it cannot be read.
fn queued(port: u16) -> Option<usize> {
    /// A listener's state, as that file has it.
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    let list = BufReader::new(File::open("/proc/net/tcp").ok()?);
    // Listeners come first, and the rest may be long.
    list.lines().map_while(Result::ok).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
        let queues = fields.next()?;
        if !local.ends_with(&suffix) || state != LISTEN {
            return None;
        }
        let (_, waiting) = queues.split_once(':')?;
        usize::from_str_radix(waiting, 16).ok()
    })
}

/// The bits of `poll(2)`, which are those of `epoll_ctl(2)`, in 16 of them.
fn bits<T: TryFrom<u32> + Default>(mask: EpollFlags) -> T {
    T::try_from(mask.bits() & 0x7fff).unwrap_or_default()
}

fn flags(found: PollFlags) -> EpollFlags {
    EpollFlags::from_bits(u32::try_from(i64::from(found.bits())).unwrap_or(0))
}

fn errno(errno: io::Errno) -> Errno {
    Errno::new(u16::try_from(errno.raw_os_error()).unwrap_or(0))
}
