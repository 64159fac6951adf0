//! Datagram sockets: what came waits in a queue, and what was sent leaves when the network takes it.

use super::{Call, DatagramEndpoint, Errno, Fault, Fd, Kernel, Kind};
use crate::flags::EpollFlags;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use tidegate_core::Local;

/// Datagrams that wait to be received; more are lost.
const QUEUE: usize = 8;
/// Datagrams on their way out; a send beyond would block.
const BUFFER: usize = 2;

/// A datagram, with its sender or its receiver.
pub type Letter = (SocketAddr, Vec<u8>);

/// A datagram as a receive returns it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Its whole length.
    pub len: usize,
    /// The sender.
    pub from: SocketAddr,
    /// Which address of the machine it was sent to.
    pub local: Local,
    /// How many had been dropped at the socket when it was queued.
    pub lost: u32,
}

/// Which of the machine's addresses a peer sends to. It has four, all at one interface; each peer knows one of them.
#[must_use]
pub fn asked(peer: SocketAddr) -> Local {
    let last = u8::try_from(peer.port() % 4).unwrap_or(0);
    Local {
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)),
        interface: 2,
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Post {
    end: DatagramEndpoint,
    /// Those that wait to be received, each with the number of those that were lost before it.
    came: VecDeque<(Letter, u32)>,
    lost: u32,
    /// Those on their way out.
    leaves: Vec<(Letter, Option<Local>)>,
}

impl Post {
    pub(super) fn poll(&self) -> EpollFlags {
        self.end.poll(BUFFER)
    }
}

impl Kernel {
    /// A datagram socket.
    ///
    /// # Errors
    ///
    /// `MFILE`.
    pub fn datagrams(&mut self) -> Result<Fd, Errno> {
        self.has_descriptor()?;
        let file = self.file(Kind::Post(Post::default()));
        self.describe(file)
    }

    /// A datagram comes from outside; returns whether it fits.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`.
    pub fn arrive(&mut self, fd: Fd, from: SocketAddr, bytes: &[u8]) -> Result<bool, Errno> {
        let (at, post) = self.post(fd)?;
        let fits = post.end.arrive(QUEUE);
        if fits {
            post.came.push_back(((from, bytes.to_vec()), post.lost));
            self.wake(at, DatagramEndpoint::INPUT);
        } else {
            post.lost = post.lost.wrapping_add(1);
        }
        Ok(fits)
    }

    /// An ICMP error: there is no listener where one was sent.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`.
    pub fn refuse_datagram(&mut self, fd: Fd) -> Result<(), Errno> {
        let (at, post) = self.post(fd)?;
        post.end.refuse();
        self.wake(at, DatagramEndpoint::ERROR);
        Ok(())
    }

    /// The network takes what was sent.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`.
    pub fn take_datagrams(&mut self, fd: Fd) -> Result<Vec<(Letter, Option<Local>)>, Errno> {
        let (at, post) = self.post(fd)?;
        let taken = core::mem::take(&mut post.leaves);
        if post.end.leave() {
            self.wake(at, DatagramEndpoint::SPACE);
        }
        Ok(taken)
    }

    /// Receives one datagram: as much of it as fits, and its length, which may be more.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`, `AGAIN`; the stored network error, once; injected ones.
    pub fn recvfrom(&mut self, fd: Fd, into: &mut [u8]) -> Result<Received, Errno> {
        self.datagram_fault(fd, Call::Recv, EpollFlags::IN)?;
        let (_, post) = self.post(fd)?;
        post.end.recv()?;
        let ((from, bytes), lost) = post.came.pop_front().ok_or(Errno::AGAIN)?;
        into.iter_mut()
            .zip(&bytes)
            .for_each(|(to, byte)| *to = *byte);
        Ok(Received {
            len: bytes.len(),
            from,
            local: asked(from),
            lost,
        })
    }

    /// Sends one datagram, from `local` or from whatever address the routes choose.
    ///
    /// # Errors
    ///
    /// `BADF`, `NOTSOCK`, `AGAIN`; the stored network error, once; injected ones.
    pub fn sendto(
        &mut self,
        fd: Fd,
        to: SocketAddr,
        local: Option<Local>,
        bytes: &[u8],
    ) -> Result<usize, Errno> {
        self.datagram_fault(fd, Call::Send, EpollFlags::OUT)?;
        let (_, post) = self.post(fd)?;
        post.end.send(BUFFER)?;
        post.leaves.push(((to, bytes.to_vec()), local));
        Ok(bytes.len())
    }

    /// One is moved whole or not at all, so there is no short one.
    fn datagram_fault(&mut self, fd: Fd, call: Call, key: EpollFlags) -> Result<(), Errno> {
        let (at, _) = self.post(fd)?;
        match self.fault(call, at) {
            Some(Fault::Errno(errno)) => {
                if errno == Errno::AGAIN {
                    self.wake(at, key);
                }
                Err(errno)
            }
            Some(Fault::Short(_)) | None => Ok(()),
        }
    }

    fn post(&mut self, fd: Fd) -> Result<(u32, &mut Post), Errno> {
        let at = self.file_of(fd)?;
        match self.files.get_mut(at).map(|file| &mut file.kind) {
            Some(Kind::Post(post)) => Ok((at, post)),
            Some(Kind::Socket(_) | Kind::Listener(_) | Kind::Set(_)) | None => Err(Errno::NOTSOCK),
        }
    }
}
