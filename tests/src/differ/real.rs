//! The real side.

use super::operation::{Answer, BACKLOG, LISTENER, Operation, URGENT, pattern};
use super::real_ring;
use alloc::collections::BTreeMap;
use core::ffi::c_int;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::{self, ioctl_fionread};
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, sockopt,
};
use tidegate::backend::bare::BareRing;
use tidegate_sim::{EpollFlags, Errno, Family, Fd, Kernel, Limits, Report, Shutdown};

/// `SIOCOUTQ` (`unix(7)`), as on every architecture that these tests run on.
const SIOCOUTQ: rustix::ioctl::Opcode = 0x5411;

/// How bytes are sent.
const SEND: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);

/// Descriptors of this process, made so that their numbers lie side by side.
#[derive(Debug)]
pub(super) struct Real {
    /// First, so that nothing is in flight for a descriptor that is closed.
    pub(super) ring: Option<BareRing>,
    descriptors: BTreeMap<u32, OwnedFd>,
    /// The number of the first one.
    base: u32,
    family: Family,
    /// `SO_SNDBUF` of new pairs, as it is set.
    buffer: usize,
    address: Option<SocketAddr>,
}

impl Real {
    /// As a session begins: two sets, for TCP a listener, and a ring if it has one.
    ///
    /// # Errors
    ///
    /// The system does not let us.
    pub(super) fn new(family: Family, buffer: usize, ring: bool) -> io::Result<Self> {
        let mut real = Self {
            ring: None,
            descriptors: BTreeMap::new(),
            base: 0,
            family,
            buffer,
            address: None,
        };
        let first = epoll::create(CreateFlags::CLOEXEC)?;
        real.base = number(&first);
        real.keep(first);
        let second = epoll::create(CreateFlags::CLOEXEC)?;
        real.keep(second);
        if family == Family::Tcp {
            let socket = stream()?;
            let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
            net::bind(&socket, &any)?;
            net::listen(&socket, c_int::try_from(BACKLOG).unwrap_or(c_int::MAX))?;
            real.address = SocketAddr::try_from(net::getsockname(&socket)?).ok();
            real.keep(socket);
        }
        if ring {
            // Its descriptor is the next.
            real.ring = Some(real_ring::new()?);
        }
        Ok(real)
    }

    /// Makes one call.
    pub(super) fn perform(&mut self, operation: Operation) -> Answer {
        self.call(operation).map_err(errno).into()
    }

    /// Waits until every socket is as the simulated kernel has it: what was sent over the loopback has arrived. Returns
    /// what still differs after so many checks, a millisecond apart.
    pub(super) fn settle(&self, kernel: &mut Kernel, looks: u32) -> Option<String> {
        let mut difference = self.difference(kernel);
        for _ in 0..looks {
            difference.as_ref()?;
            std::thread::sleep(Duration::from_millis(1));
            difference = self.difference(kernel);
        }
        difference
    }

    fn difference(&self, kernel: &mut Kernel) -> Option<String> {
        let all = PollFlags::IN | PollFlags::PRI | PollFlags::OUT | PollFlags::RDHUP;
        let sockets = || self.descriptors.range(2..);
        let mut polled: Vec<PollFd<'_>> = sockets().map(|(_, fd)| PollFd::new(fd, all)).collect();
        poll(&mut polled, Some(&Timespec::default())).ok();
        for ((&number, fd), polled) in sockets().zip(&polled) {
            // 16 bits, with a sign where rustix goes through libc.
            let state = u32::try_from(i64::from(polled.revents().bits())).unwrap_or(0);
            let state = EpollFlags::from_bits(state);
            let simulated = kernel.poll(Fd(number)).unwrap_or_default();
            if state != simulated {
                return Some(format!(
                    "poll({number}): real {state:?}, simulated {simulated:?}"
                ));
            }
            // A listener has no bytes (EINVAL).
            if Fd(number) == LISTENER {
                continue;
            }
            let real = ioctl_fionread(fd).ok();
            let simulated = kernel.unread(Fd(number)).ok().map(|n| n as u64);
            if real != simulated {
                return Some(format!(
                    "unread({number}): real {real:?}, simulated {simulated:?}"
                ));
            }
            // What has arrived is acknowledged when there is something to send, or 40 ms later, unless it is requested
            // now. The acknowledgement of a FIN is a change of state, and wakes. What is closed has no peer and waits
            // for nothing.
            if state.contains(EpollFlags::HUP) && net::getpeername(fd).is_err() {
                continue;
            }
            sockopt::set_tcp_quickack(fd, true).ok();
            match unsent(fd.as_fd()) {
                Ok(0) => {}
                other => return Some(format!("unsent({number}): {other:?}")),
            }
        }
        None
    }

    fn call(&mut self, operation: Operation) -> io::Result<Answer> {
        Ok(match operation {
            Operation::Pair => {
                let (one, other) = pair(self.buffer)?;
                Answer::Descriptors(vec![self.keep(one), self.keep(other)])
            }
            Operation::Connect => {
                let socket = stream()?;
                let to = self.address.unwrap_or_else(|| ([0; 4], 0).into());
                let connected = net::connect(&socket, &to).map_err(errno);
                self.prepare_for_ring(&socket)?;
                Answer::Connecting(self.keep(socket), connected.err().unwrap_or(Errno::new(0)))
            }
            Operation::Accept => {
                let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
                let socket = net::accept_with(self.at(LISTENER)?, flags)?;
                self.prepare_for_ring(&socket)?;
                Answer::Descriptors(vec![self.keep(socket)])
            }
            Operation::Dup(fd) => {
                let copy = io::dup(self.at(fd)?)?;
                Answer::Descriptors(vec![self.keep(copy)])
            }
            Operation::Close(fd) => {
                self.release(fd)?;
                Answer::Done
            }
            Operation::Submit(..) | Operation::Complete | Operation::Leave(_) => {
                return self.call_ring(operation);
            }
            Operation::Add(set, fd, mask, data) => {
                let (flags, data) = (flags(mask), EventData::new_u64(data));
                epoll::add(self.at(set)?, self.at(fd)?, data, flags)?;
                Answer::Done
            }
            Operation::Modify(set, fd, mask, data) => {
                let (flags, data) = (flags(mask), EventData::new_u64(data));
                epoll::modify(self.at(set)?, self.at(fd)?, data, flags)?;
                Answer::Done
            }
            Operation::Delete(set, fd) => {
                epoll::delete(self.at(set)?, self.at(fd)?)?;
                Answer::Done
            }
            Operation::Wait(set, most) => Answer::Reports(wait(self.at(set)?, most)?),
            Operation::Send(..)
            | Operation::SendUrgent(_)
            | Operation::Recv(..)
            | Operation::Shutdown(..)
            | Operation::TakeError(_)
            | Operation::Unsent(_)
            | Operation::ResetOnClose(_) => return self.call_socket(operation),
        })
    }

    fn call_socket(&self, operation: Operation) -> io::Result<Answer> {
        Ok(match operation {
            Operation::Send(fd, len) => {
                let bytes = pattern(fd, len);
                Answer::Count(net::send(self.at(fd)?, bytes, SEND)?)
            }
            Operation::SendUrgent(fd) => {
                let flags = SEND | SendFlags::OOB;
                net::send(self.at(fd)?, &[URGENT], flags)?;
                Answer::Done
            }
            Operation::Recv(fd, len) => {
                let mut bytes = vec![0; len];
                let (n, _) = net::recv(self.at(fd)?, &mut bytes[..], RecvFlags::DONTWAIT)?;
                bytes.truncate(n);
                Answer::Bytes(bytes)
            }
            Operation::Shutdown(fd, how) => {
                net::shutdown(
                    self.at(fd)?,
                    match how {
                        Shutdown::Read => net::Shutdown::Read,
                        Shutdown::Write => net::Shutdown::Write,
                        Shutdown::Both => net::Shutdown::Both,
                    },
                )?;
                Answer::Done
            }
            Operation::TakeError(fd) => {
                Answer::Error(sockopt::socket_error(self.at(fd)?)?.err().map(errno))
            }
            Operation::Unsent(fd) => Answer::Count(unsent(self.at(fd)?)?),
            Operation::ResetOnClose(fd) => {
                sockopt::set_socket_linger(self.at(fd)?, Some(Duration::ZERO))?;
                Answer::Done
            }
            Operation::Pair
            | Operation::Connect
            | Operation::Accept
            | Operation::Dup(_)
            | Operation::Close(_)
            | Operation::Add(..)
            | Operation::Modify(..)
            | Operation::Delete(..)
            | Operation::Wait(..)
            | Operation::Submit(..)
            | Operation::Complete
            | Operation::Leave(_) => return Err(io::Errno::NOSYS),
        })
    }

    /// Closes a descriptor.
    pub(super) fn release(&mut self, fd: Fd) -> io::Result<()> {
        let kept = self.descriptors.remove(&fd.0);
        kept.map(drop).ok_or(io::Errno::BADF)
    }

    /// io_uring waits only for what may block. No other call here lets it.
    fn prepare_for_ring(&self, socket: &OwnedFd) -> io::Result<()> {
        match self.ring {
            Some(_) => io::ioctl_fionbio(socket, false),
            None => Ok(()),
        }
    }

    pub(super) fn at(&self, fd: Fd) -> io::Result<BorrowedFd<'_>> {
        let kept = self.descriptors.get(&fd.0);
        Ok(kept.ok_or(io::Errno::BADF)?.as_fd())
    }

    /// Keeps a descriptor under its number in the session.
    fn keep(&mut self, fd: OwnedFd) -> Fd {
        let at = number(&fd).wrapping_sub(self.base);
        self.descriptors.insert(at, fd);
        Fd(at)
    }
}

/// A session leaves no connection in TIME_WAIT behind: there would be more than the system has ports.
impl Drop for Real {
    fn drop(&mut self) {
        if self.family == Family::Tcp {
            for fd in self.descriptors.values() {
                // Epoll sets have no such option.
                let _ = sockopt::set_socket_linger(fd, Some(Duration::ZERO));
            }
        }
    }
}

/// What this kernel charges for writes on a Unix stream with a send buffer of about `buffer` bytes. It counts the
/// memory, which depends on how it was built, so it is measured: each length is written once.
///
/// # Errors
///
/// The system does not let us.
pub(super) fn measured(buffer: usize) -> io::Result<Limits> {
    let (one, other) = pair(buffer)?;
    let unix_buffer = sockopt::socket_send_buffer_size(&one)?;
    let longest = unix_buffer / 2 - 64;
    let mut bytes = vec![0; longest];
    let mut unix_charge = Vec::with_capacity(longest);
    for len in 1..=longest {
        net::send(&one, &bytes[..len], SendFlags::NOSIGNAL)?;
        unix_charge.push(unsent(one.as_fd())?);
        net::recv(&other, &mut bytes[..], RecvFlags::empty())?;
    }
    Ok(Limits {
        unix_buffer,
        unix_charge,
        ..Limits::default()
    })
}

/// Fills the gaps between the descriptors of this process, so that new ones lie side by side.
///
/// # Errors
///
/// The system does not let us.
pub fn without_gaps() -> io::Result<Vec<OwnedFd>> {
    let listed = std::fs::read_dir("/proc/self/fd");
    let highest = listed.into_iter().flatten().filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse::<u32>().ok()
    });
    let highest = highest.max().unwrap_or(0);
    let mut plugs = vec![epoll::create(CreateFlags::CLOEXEC)?];
    while plugs.last().map(number) < Some(highest) {
        plugs.push(epoll::create(CreateFlags::CLOEXEC)?);
    }
    Ok(plugs)
}

fn pair(buffer: usize) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (one, other) = net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    for socket in [&one, &other] {
        sockopt::set_socket_send_buffer_size(socket, buffer)?;
    }
    Ok((one, other))
}

/// A TCP socket that sends at once whatever it is given.
fn stream() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let protocol = Some(ipproto::TCP);
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, protocol)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    Ok(socket)
}

fn unsent(socket: BorrowedFd<'_>) -> io::Result<usize> {
    // SAFETY: SIOCOUTQ writes one int through its pointer, and nothing else (`unix(7)`).
    let unsent = unsafe {
        let getter = rustix::ioctl::Getter::<SIOCOUTQ, c_int>::new();
        rustix::ioctl::ioctl(socket, getter)?
    };
    Ok(usize::try_from(unsent).unwrap_or(0))
}

fn wait(set: BorrowedFd<'_>, most: usize) -> io::Result<Vec<Report>> {
    let nothing = epoll::Event {
        flags: EventFlags::empty(),
        data: EventData::new_u64(0),
    };
    let mut events = [nothing; 8];
    let events = &mut events[..most];
    let count = epoll::wait(set, &mut *events, Some(&Timespec::default()))?;
    Ok(events[..count]
        .iter()
        .map(|event| Report {
            flags: EpollFlags::from_bits({ event.flags }.bits()),
            data: { event.data }.u64(),
        })
        .collect())
}

fn flags(mask: EpollFlags) -> EventFlags {
    EventFlags::from_bits_retain(mask.bits())
}

pub(super) fn errno(errno: io::Errno) -> Errno {
    Errno::new(u16::try_from(errno.raw_os_error()).unwrap_or(0))
}

fn number(fd: &OwnedFd) -> u32 {
    u32::try_from(fd.as_raw_fd()).unwrap_or(0)
}
