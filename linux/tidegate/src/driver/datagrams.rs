//! Datagram sockets of a server. Code of its own, so that only a program that adds one links it.

use super::Server;
use crate::backend::Backend;
use crate::datagram::{Datagrams, Group, is_internet};
use crate::error::Error;
use crate::socket_file::OwnFile;
use crate::sockets::{NO_SOCKET, Role, Source};
use core::net::SocketAddr;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net;
use tidegate_core::{Action, DatagramMemory, Handler, Outcome, Token};

impl<'m, H: Handler, B: Backend> Server<'m, H, B> {
    /// Borrows the windows of all datagram sockets: the sums of [`Datagrams::receive`] and [`Datagrams::send`]. It is
    /// done once, before the first is added.
    pub fn set_datagram_memory<const RX: usize, const TX: usize, const SOCKETS: usize>(
        &mut self,
        memory: &'m mut DatagramMemory<RX, TX, SOCKETS>,
    ) {
        self.session.set_datagram_memory(memory);
    }

    /// Adds a datagram socket: [`Handler::datagram`] is called for it. Returns its token, and its internet address, if
    /// it has one. A stop does not end it.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn datagrams(
        &mut self,
        options: &Datagrams<'_>,
    ) -> Result<(Token, Option<SocketAddr>), Error> {
        let (socket, file) = options.open()?;
        self.add_datagrams(socket, file, options)
    }

    /// Adds one that was opened and bound elsewhere: by a service manager (`sd_listen_fds(3)`), or a parent process. It
    /// is made non-blocking and close-on-exec; all of `options` but its addresses holds for it.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn adopt_datagrams(
        &mut self,
        socket: OwnedFd,
        options: &Datagrams<'_>,
    ) -> Result<(Token, Option<SocketAddr>), Error> {
        options.prepare(&socket)?;
        self.add_datagrams(socket, None, options)
    }

    fn add_datagrams(
        &mut self,
        socket: OwnedFd,
        file: Option<OwnFile>,
        options: &Datagrams<'_>,
    ) -> Result<(Token, Option<SocketAddr>), Error> {
        let name = net::getsockname(&socket).ok();
        let address = name.and_then(|name| SocketAddr::try_from(name).ok());
        let token = self.session.add_datagrams(options.receive, options.send);
        let token = token.map_err(|error| {
            file.inspect(|file| file.remove(&socket));
            Error::Unavailable(error)
        })?;
        self.on_datagrams = Some(Self::carry_datagram);
        // There is a slot for each that the session has one for.
        let internet = is_internet(&socket);
        let source = Source::new(socket, file, Role::Datagrams { internet });
        let _ = self.sockets.put_source(token, source);
        Ok((token, address))
    }

    /// Joins a multicast group at a datagram socket, at runtime as [`Datagrams::groups`] do from the start. A token that names no
    /// datagram socket of the internet is an error (`EBADF`, `ENOPROTOOPT`).
    ///
    /// # Errors
    ///
    /// `ip(7)`: a network interface that is not there (`ENODEV`), too many groups (`ENOBUFS`), joined already (`EADDRINUSE`).
    pub fn join(&self, socket: Token, group: &Group) -> Result<(), Errno> {
        group.join(self.sockets.get(socket).ok_or(Errno::BADF)?)
    }

    /// Leaves it. A socket leaves all its groups when it is closed.
    ///
    /// # Errors
    ///
    /// `ip(7)`: it was not joined (`EADDRNOTAVAIL`).
    pub fn leave(&self, socket: Token, group: &Group) -> Result<(), Errno> {
        group.leave(self.sockets.get(socket).ok_or(Errno::BADF)?)
    }

    /// Performs an action on a datagram.
    fn carry_datagram(&mut self, action: &Action) -> Outcome {
        match *action {
            Action::ReceiveFrom { token } => self.receive_from(token),
            Action::SendTo { token } => self.send_to(token),
            Action::Accept { .. }
            | Action::Refuse { .. }
            | Action::Connect { .. }
            | Action::Recv { .. }
            | Action::Send { .. }
            | Action::Arm { .. }
            | Action::Shutdown { .. }
            | Action::Unsent { .. }
            | Action::Cancel { .. }
            | Action::Close { .. }
            | Action::Rebuild => NO_SOCKET,
        }
    }

    fn receive_from(&mut self, token: Token) -> Outcome {
        match self.sockets.get(token) {
            Some(socket) => {
                let into = self.session.datagram_into(token);
                let senders = &mut self.registered.senders;
                if self.sockets.is_internet(token) {
                    senders.receive_local(socket, into)
                } else {
                    senders.receive(socket, into)
                }
            }
            None => NO_SOCKET,
        }
    }

    fn send_to(&self, token: Token) -> Outcome {
        let (socket, datagram) = (self.sockets.get(token), self.session.datagram_from(token));
        match (socket, datagram) {
            (Some(socket), Some((to, local, bytes))) => {
                self.registered.send(socket, to, local, bytes)
            }
            _ => NO_SOCKET,
        }
    }
}
