//! Listening, connecting, accepting.

use super::endpoint::{Endpoint, State};
use super::{ANYBODY, Call, Errno, Family, Fd, Kernel, Kind, Listener, Socket};
use crate::flags::EpollFlags;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// The fate of packets to an address without responses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Route {
    /// They are lost: a TCP connect gets no response. Linux gives it up (`ETIMEDOUT`) when it has sent its SYN often
    /// enough, for two minutes and more (`tcp_syn_retries` in `tcp(7)`); a kernel without a clock never does.
    Lost,
    /// They wait for the hardware address of an absent host: a TCP connect goes on until that is given up, and then
    /// fails (`EHOSTUNREACH`). Linux sends three requests, a second apart (`mcast_solicit` in `arp(7)`); here
    /// [`Kernel::give_up`] ends it.
    Unresolved,
    /// There is none: a TCP connect fails at once (`ENETUNREACH`), and leaves its socket as it was.
    Missing,
}

impl Kernel {
    /// A listener at `port`; of each family there may be one at each. As on Linux, its queue holds one connection more
    /// than `backlog`.
    ///
    /// # Errors
    ///
    /// `MFILE`; `EXIST` (Linux: `EADDRINUSE`) if there is one.
    pub fn listen(&mut self, family: Family, port: u16, backlog: usize) -> Result<Fd, Errno> {
        self.has_descriptor()?;
        if self.listening_at(family, port).is_some() {
            return Err(Errno::EXIST);
        }
        let file = self.file(Kind::Listener(Listener {
            family,
            port,
            backlog,
            queue: VecDeque::new(),
            knocking: VecDeque::new(),
            stopped: false,
        }));
        self.describe(file)
    }

    /// A socket that is not connected; `address` is what its peer will see of a TCP socket.
    ///
    /// # Errors
    ///
    /// `MFILE`.
    pub fn socket_from(
        &mut self,
        family: Family,
        address: Option<SocketAddr>,
    ) -> Result<Fd, Errno> {
        self.has_descriptor()?;
        let address = match family {
            Family::Tcp => Some(address.unwrap_or(ANYBODY)),
            Family::Unix | Family::Terminal => None,
        };
        let file = self.file(Kind::Socket(Socket::new(family, address)));
        self.describe(file)
    }

    /// Connects to the listener at `port`. A Unix stream is connected at once, a device opened. TCP returns
    /// `INPROGRESS`, and is then connected, refused (there is no listener), or waits while the listener's queue is
    /// full.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`, `ISCONN`, `ALREADY`, `INPROGRESS`; of Unix streams `CONNREFUSED`, and `AGAIN` if the queue is
    /// full; of terminals `NOENT`, and `BUSY` if as many as it lets have opened it.
    pub fn connect(&mut self, fd: Fd, port: u16) -> Result<(), Errno> {
        self.connect_by(fd, port, None, None)
    }

    /// The same, to the listener at the port of `to`, unless its address has no responses
    /// ([`set_route`](Self::set_route)).
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); `NETUNREACH`.
    pub fn connect_to(&mut self, fd: Fd, to: SocketAddr) -> Result<(), Errno> {
        let mut routes = self.routes.iter();
        let route = routes.find(|(address, _)| *address == to.ip());
        let route = route.map(|(_, route)| *route);
        self.connect_by(fd, to.port(), Some(to.ip()), route)
    }

    /// What becomes of packets to `address` from now on; `None`: they arrive. Connects that have begun stay as they are.
    pub fn set_route(&mut self, address: IpAddr, route: Option<Route>) {
        self.routes.retain(|(known, _)| *known != address);
        self.routes.extend(route.map(|route| (address, route)));
    }

    /// Whether a connect waits for the hardware address of a host ([`Route::Unresolved`]).
    #[must_use]
    pub fn resolves(&self, address: IpAddr) -> bool {
        let mut files = self.files.numbers();
        files.any(|at| self.is_resolving(at, address))
    }

    /// Gives up resolving the hardware address of a host: all connects that wait for it fail (`HOSTUNREACH`).
    pub fn give_up(&mut self, address: IpAddr) {
        let files = self.files.numbers();
        let waiting: Vec<u32> = files.filter(|&at| self.is_resolving(at, address)).collect();
        for at in waiting {
            self.reset(at);
            if let Some(socket) = self.socket_mut(at) {
                socket.end.error = Some(Errno::HOSTUNREACH);
            }
        }
    }

    fn is_resolving(&self, at: u32, address: IpAddr) -> bool {
        self.socket(at).is_some_and(|socket| {
            socket.end.state == State::Connecting && socket.towards == Some(address)
        })
    }

    fn connect_by(
        &mut self,
        fd: Fd,
        port: u16,
        to: Option<IpAddr>,
        route: Option<Route>,
    ) -> Result<(), Errno> {
        let at = self.file_of(fd)?;
        let interrupted = match self.failing(Call::Connect, at) {
            // It goes on without us.
            Err(Errno::INTR) => true,
            failed => {
                failed?;
                false
            }
        };
        let towards = to.filter(|_| route == Some(Route::Unresolved));
        if let Some(socket) = self.socket_mut(at)
            && socket.end.state == State::Fresh
        {
            socket.towards = towards;
        }
        match self.begin_connect(at, port, route) {
            // There was nothing to wait for.
            Err(Errno::NETUNREACH) => Err(Errno::NETUNREACH),
            _ if interrupted => Err(Errno::INTR),
            done => done,
        }
    }

    /// The result of a connect: its error, which is cleared (`SO_ERROR`), or that it is in progress (`getpeername`
    /// fails).
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`, `INPROGRESS`, and the error of the connect.
    pub fn take_connected(&mut self, fd: Fd) -> Result<(), Errno> {
        let at = self.file_of(fd)?;
        if let Err(errno) = self.failing(Call::Connect, at)
            && errno != Errno::INTR
        {
            return Err(errno);
        }
        let socket = self.socket_mut(at).ok_or(Errno::NOTSOCK)?;
        socket.end.take_connected()
    }

    fn begin_connect(&mut self, at: u32, port: u16, route: Option<Route>) -> Result<(), Errno> {
        let socket = self.socket(at).ok_or(Errno::NOTSOCK)?;
        let family = socket.end.family;
        match socket.end.state {
            State::Fresh => {}
            State::Connecting => return Err(Errno::ALREADY),
            State::Established | State::Closed => return Err(Errno::ISCONN),
        }
        match route.filter(|_| family == Family::Tcp) {
            Some(Route::Missing) => return Err(Errno::NETUNREACH),
            Some(Route::Lost | Route::Unresolved) => {
                self.put_state(at, State::Connecting, None);
                return Err(Errno::INPROGRESS);
            }
            None => {}
        }
        let listener = self.listening_at(family, port);
        let full = listener.is_some_and(|listener| self.is_full(listener));
        match (family, listener) {
            (Family::Unix, None) => Err(Errno::CONNREFUSED),
            (Family::Unix, Some(_)) if full => Err(Errno::AGAIN),
            (Family::Terminal, None) => Err(Errno::NOENT),
            (Family::Terminal, Some(_)) if full => Err(Errno::BUSY),
            (Family::Unix | Family::Terminal, Some(listener)) => {
                self.join(at, listener);
                Ok(())
            }
            (Family::Tcp, None) => {
                self.put_state(at, State::Connecting, None);
                self.reset(at);
                Err(Errno::INPROGRESS)
            }
            (Family::Tcp, Some(listener)) => {
                self.put_state(at, State::Connecting, Some(listener));
                if full {
                    if let Some(listener) = self.listener_mut(listener) {
                        listener.knocking.push_back(at);
                    }
                } else {
                    self.join(at, listener);
                    self.wake(at, Endpoint::STATE);
                }
                Err(Errno::INPROGRESS)
            }
        }
    }

    /// Takes a connection out of a listener's queue, and returns its peer's address if it has one.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`, `INVAL` (no listener, or shut down), `MFILE`, `AGAIN`.
    pub fn accept(&mut self, fd: Fd) -> Result<(Fd, Option<SocketAddr>), Errno> {
        let at = self.file_of(fd)?;
        if let Err(errno) = self.failing(Call::Accept, at) {
            if errno == Errno::AGAIN {
                self.wake(at, EpollFlags::IN);
            }
            return Err(errno);
        }
        self.has_descriptor()?;
        if let Some(Kind::Set(_)) = self.files.get(at).map(|file| &file.kind) {
            return Err(Errno::NOTSOCK);
        }
        let listener = self.listener_mut(at).ok_or(Errno::INVAL)?;
        if listener.stopped {
            return Err(Errno::INVAL);
        }
        let child = listener.queue.pop_front().ok_or(Errno::AGAIN)?;
        // The longest waiting connect takes the slot of the queue (on Linux when it sends another SYN, a second later
        // or more).
        if let Some(next) = listener.knocking.pop_front() {
            self.join(next, at);
            self.wake(next, Endpoint::STATE);
        }
        let peer = self.socket(child).and_then(|socket| socket.address);
        Ok((self.describe(child)?, peer))
    }

    fn listening_at(&self, family: Family, port: u16) -> Option<u32> {
        self.files.numbers().find(|&file| {
            matches!(
                self.files.get(file).map(|file| &file.kind),
                Some(Kind::Listener(listener))
                    if listener.family == family && listener.port == port && !listener.stopped
            )
        })
    }

    fn is_full(&self, listener: u32) -> bool {
        match self.files.get(listener).map(|file| &file.kind) {
            Some(Kind::Listener(listener)) => listener.queue.len() > listener.backlog,
            Some(Kind::Socket(_) | Kind::Post(_) | Kind::Set(_)) | None => true,
        }
    }

    fn put_state(&mut self, at: u32, state: State, knocks_at: Option<u32>) {
        if let Some(socket) = self.socket_mut(at) {
            socket.end.state = state;
            socket.knocks_at = knocks_at;
        }
    }

    /// Makes the other end of a connecting socket and puts it into the listener's queue. The child keeps the address of
    /// its peer: it may be read after that is gone.
    fn join(&mut self, at: u32, listener: u32) {
        let Some(socket) = self.socket(at) else {
            return;
        };
        let child = Socket::connected(socket.end.family, socket.address, at);
        let child = self.file(Kind::Socket(child));
        if let Some(socket) = self.socket_mut(at) {
            socket.peer = Some(child);
        }
        self.put_state(at, State::Established, None);
        if let Some(listener) = self.listener_mut(listener) {
            listener.queue.push_back(child);
        }
        self.wake(listener, Endpoint::INPUT);
    }

    /// The last descriptor of a listener is gone: what it had not accepted is reset.
    pub(super) fn stop_listening(&mut self, listener: Listener) {
        for child in listener.queue {
            let gone = self.files.remove(child).map(|file| file.kind);
            if let Some(Kind::Socket(mut socket)) = gone {
                socket.resets = true;
                self.hang_up(child, socket);
            }
        }
        for knocking in listener.knocking {
            self.reset(knocking);
        }
    }
}
