//! What a server is given to serve: listeners, connections that it makes, streams and descriptors.

use super::Server;
use crate::address::Address;
use crate::adopt;
use crate::backend::Backend;
use crate::connect::Connect;
use crate::error::Error;
use crate::listen::Listen;
use crate::serial::{Line, Serial};
use crate::socket;
use crate::socket_file::OwnFile;
use crate::sockets::{Role, Source};
use crate::stream::Stream;
use crate::watch;
use core::net::SocketAddr;
use rustix::fd::{AsFd, OwnedFd};
use rustix::net;
#[cfg(doc)]
use tidegate_core::{Config, Connections, Session};
use tidegate_core::{Destination, Directions, Handler, Token, Unavailable};

impl<H: Handler, B: Backend> Server<'_, H, B> {
    /// Adds a listener; returns its token, whose [`index`](Token::index) handlers get, and its address.
    ///
    /// # Errors
    ///
    /// [`Error::Open`] names the call that failed, and the error.
    pub fn listen(&mut self, listen: &Listen<'_>) -> Result<(Token, Option<SocketAddr>), Error> {
        let listen = &listen.beside(self.write_stall);
        let (socket, file) = listen.open()?;
        let address = net::getsockname(&socket)
            .ok()
            .and_then(|address| SocketAddr::try_from(address).ok());
        Ok((self.add_listener(socket, file, listen)?, address))
    }

    /// Adds a listener that was opened and bound elsewhere: by a service manager (`sd_listen_fds(3)`), or a parent
    /// process. It is made non-blocking and close-on-exec; all of `listen` but its address, `backlog` and `reuse_port`
    /// holds for it. Returns what [`listen`](Self::listen) does.
    ///
    /// # Errors
    ///
    /// [`Error`] reports what it is instead of a listening socket.
    pub fn adopt(
        &mut self,
        socket: OwnedFd,
        listen: &Listen<'_>,
    ) -> Result<(Token, Option<SocketAddr>), Error> {
        let listen = listen.beside(self.write_stall);
        let (listen, address) = adopt::prepare(&socket, &listen)?;
        Ok((self.add_listener(socket, None, &listen)?, address))
    }

    /// The limit of one source that a listener has in this server: see [`Listen::per_source`].
    #[must_use]
    pub fn limit(&self, listen: &Listen<'_>) -> Option<u32> {
        listen.limit(self.connections)
    }

    fn add_listener(
        &mut self,
        socket: OwnedFd,
        file: Option<OwnFile>,
        listen: &Listen<'_>,
    ) -> Result<Token, Error> {
        let limit = self.limit(listen);
        let token = self.session.listen(limit).inspect_err(|_| {
            file.inspect(|file| file.remove(&socket));
        })?;
        let refusal = listen.refusal;
        let source = Source::new(socket, file, Role::Listener { refusal });
        // There is a slot for each that the session has one for.
        let _ = self.sockets.put_source(token, source);
        if !listen.refusal.is_empty() {
            self.refuse = socket::refuse;
        }
        if let Some(most) = listen.at_most {
            self.session.limit_connections(token, most);
        }
        if listen.reserved > 0 {
            self.session.reserve_slots(token, listen.reserved);
        }
        if listen.priority {
            self.session.set_priority(token, true);
        }
        Ok(token)
    }

    /// Watches a descriptor of yours for readiness, by level: [`Handler::ready`] is called for it. What is watched is a
    /// duplicate, so yours stays yours, to be read, written and closed when you like; it ends with
    /// [`Connections::unwatch`]. It should be non-blocking. A stop does not end it.
    ///
    /// # Errors
    ///
    /// [`Error`], for regular files and directories too: they cannot be waited for.
    pub fn watch(&mut self, descriptor: impl AsFd, directions: Directions) -> Result<Token, Error> {
        let copy = watch::duplicate(descriptor.as_fd())?;
        let token = self.session.watch(directions)?;
        // There is a slot for each that the session has one for.
        let _ = self.sockets.put(token, copy);
        Ok(token)
    }

    /// Connects to `to` without an originating connection; see [`Session::connect`]. A handler does so with
    /// [`Conn::connect`](tidegate_core::Conn::connect).
    ///
    /// # Errors
    ///
    /// [`Unavailable`].
    pub fn connect(&mut self, to: Destination) -> Result<Token, Unavailable> {
        self.will_connect();
        self.session.connect(to)
    }

    /// Registers the path of a Unix stream socket, at most 107 bytes, for connections to it.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn destination(&mut self, path: &str) -> Result<Destination, Error> {
        self.registered.add(&Address::Unix(path))
    }

    /// The destination that an address is: an internet address itself, a Unix socket registered as by
    /// [`destination`](Self::destination).
    ///
    /// # Errors
    ///
    /// [`Error`], never for an internet address.
    pub fn destination_at(&mut self, address: &Address<'_>) -> Result<Destination, Error> {
        self.registered.add(address)
    }

    /// Registers a serial line. Each connect opens it again, from [`connect`](Self::connect) or from a handler; the
    /// handler is notified of the result as for any connection. Its [`Peer`](tidegate_core::Peer) is a `Stream` with
    /// the number that it has among the lines.
    ///
    /// A line is often silent for long: [`Config::idle`] would close it.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn serial(&mut self, serial: &Serial<'_>) -> Result<Destination, Error> {
        self.on_stream = Some(Self::complete_stream);
        self.lines.add(serial)
    }

    /// The serial line of this connection, to set and read while it is open: between two calls of [`turn`](Self::turn).
    /// A terminal that was attached is one, too. `None` if it is not a terminal, or not open.
    #[must_use]
    pub fn line(&self, token: Token) -> Option<Line<'_>> {
        let stream = self.sockets.stream(token)?;
        stream.is_terminal().then(|| Line::of(stream.as_fd()))
    }

    /// Makes a connection of an open non-socket stream: an end of a pipe, a terminal. The handler gets
    /// [`opened`](Handler::opened) in the next iteration, and knows it by `number`, its [`Peer`](tidegate_core::Peer).
    /// It is made non-blocking and close-on-exec.
    ///
    /// - An end of a pipe has one direction: see [`Destination::Stream`]. A write to a pipe without a reader raises
    ///   SIGPIPE, which only the program can ignore; those that begin in Rust's `main` do.
    /// - Non-blocking is a flag of the open file description, not of the descriptor (`open(2)`), so every process that
    ///   shares it is affected, a child or a shell: pass one of your own.
    /// - A terminal is taken with the settings it has; [`serial`](Self::serial) sets them.
    /// - A bidirectional stream has no half-close: [`finish`](tidegate_core::Conn::finish) closes it, and output that
    ///   the line has not taken by then has [`Config::linger`] for it.
    ///
    /// # Errors
    ///
    /// [`Error`]; the descriptor is closed then, unless it is a standard stream.
    pub fn attach(&mut self, descriptor: impl Into<OwnedFd>, number: u32) -> Result<Token, Error> {
        let (stream, directions) = Stream::of(descriptor.into())?;
        self.sockets.has_slot_for_stream()?;
        self.will_connect();
        self.on_stream = Some(Self::complete_stream);
        let to = Destination::Stream { number, directions };
        let token = self.session.connect(to)?;
        // It has a slot.
        let _ = self.sockets.put_stream(token, stream);
        Ok(token)
    }

    /// Sets what outbound connections are like from now on.
    pub fn set_connect(&mut self, options: Connect) {
        self.registered.options = options.beside(self.write_stall);
    }
}
