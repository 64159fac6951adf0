//! [`Echo`]: a server to connect to, which sends back what comes.

use crate::kernel::{Family, Fd, Kernel};
use crate::random::Random;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use tidegate_core::errno::Errno;

/// Bytes that one connection buffers at most before it reads no more.
const HELD: usize = 300;

/// Listens by TCP and by Unix, has a serial line plugged in, and sends back on each connection what came there; after the
/// end its own. Of a line there is none, so it is pulled out now and then.
#[derive(Debug)]
pub(super) struct Echo {
    listeners: [Fd; 3],
    guests: Vec<Guest>,
}

#[derive(Debug)]
struct Guest {
    socket: Option<Fd>,
    /// All that was sent back, and what still is to be.
    sent: Vec<u8>,
    held: Vec<u8>,
    ended: bool,
}

impl Echo {
    /// Where it is.
    pub(super) const ADDRESS: SocketAddr =
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), Self::PORT);
    /// Its port, and its number among what is registered.
    pub(super) const PORT: u16 = 7;

    pub(super) fn new(kernel: &mut Kernel) -> Result<Self, Errno> {
        Ok(Self {
            listeners: [
                kernel.listen(Family::Tcp, Self::PORT, 1)?,
                kernel.listen(Family::Unix, Self::PORT, 0)?,
                kernel.listen(Family::Terminal, Self::PORT, 1)?,
            ],
            guests: Vec::new(),
        })
    }

    /// Descriptors that it holds.
    pub(super) fn holds(&self) -> usize {
        self.listeners.len() + self.guests()
    }

    /// Connections that it holds.
    pub(super) fn guests(&self) -> usize {
        let open = |guest: &&Guest| guest.socket.is_some();
        self.guests.iter().filter(open).count()
    }

    /// Whether some connection was sent what begins with these bytes, from the one at `at` on.
    pub(super) fn has_sent(&self, at: usize, bytes: &[u8]) -> bool {
        let begins =
            |guest: &Guest| (guest.sent.get(at..)).is_some_and(|sent| sent.starts_with(bytes));
        bytes.is_empty() || self.guests.iter().any(begins)
    }

    /// Does what it can, or some of it unless `all`; returns whether it did anything.
    pub(super) fn act(&mut self, kernel: &mut Kernel, random: &mut Random, all: bool) -> bool {
        let mut acted = false;
        for listener in self.listeners {
            if (all || random.one_in(2))
                && let Ok((socket, _)) = kernel.accept(listener)
            {
                acted = true;
                self.guests.push(Guest {
                    socket: Some(socket),
                    sent: Vec::new(),
                    held: Vec::new(),
                    ended: false,
                });
            }
        }
        for guest in &mut self.guests {
            if all || random.one_in(2) {
                guest.may_be_pulled(kernel, random);
                acted |= guest.act(kernel);
            }
        }
        acted
    }
}

impl Guest {
    fn may_be_pulled(&mut self, kernel: &mut Kernel, random: &mut Random) {
        if let Some(socket) = self.socket
            && kernel.is_terminal(socket)
            && random.one_in(30)
        {
            self.ended = true;
            self.held.clear();
        }
    }

    fn act(&mut self, kernel: &mut Kernel) -> bool {
        let Some(socket) = self.socket else {
            return false;
        };
        let read = self.read(kernel, socket);
        let sent = self.send(kernel, socket);
        let failed = [read, sent].contains(&Err(()));
        if failed || (self.ended && self.held.is_empty()) {
            self.socket = None;
            // Closed is closed.
            let _ = kernel.close(socket);
            return true;
        }
        read == Ok(true) || sent == Ok(true)
    }

    fn read(&mut self, kernel: &mut Kernel, socket: Fd) -> Result<bool, ()> {
        let mut bytes = [0; HELD];
        let free = HELD.saturating_sub(self.held.len());
        if free == 0 || self.ended {
            return Ok(false);
        }
        match kernel.recv(socket, bytes.get_mut(..free).unwrap_or_default()) {
            Ok(0) => self.ended = true,
            Ok(n) => self.held.extend(bytes.iter().take(n)),
            Err(Errno::AGAIN) => return Ok(false),
            Err(_) => return Err(()),
        }
        Ok(true)
    }

    fn send(&mut self, kernel: &mut Kernel, socket: Fd) -> Result<bool, ()> {
        if self.held.is_empty() {
            return Ok(false);
        }
        match kernel.send(socket, &self.held) {
            Ok(n) => self.sent.extend(self.held.drain(..n)),
            Err(Errno::AGAIN) => return Ok(false),
            Err(_) => return Err(()),
        }
        Ok(true)
    }
}
