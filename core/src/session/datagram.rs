//! Datagrams: sockets for them, and [`Datagram`], one that was received.

use super::bytes::{NOBODY, copy};
use super::connections::Connections;
use super::send_error::SendError;
use super::windows::DatagramMemory;
use super::{Handler, Session};
use crate::event::{Local, Op, Outcome, Peer};
use crate::token::Token;
use crate::trace::{Detail, Entry, Input};
use crate::unavailable::{Unavailable, count};

/// A datagram that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram<'a> {
    /// Its bytes, as many as the window of its socket holds; it may have none.
    pub data: &'a [u8],
    /// How many bytes it had.
    pub len: usize,
    /// The sender: a reply goes there ([`Connections::send_datagram`]). `None` if it cannot be replied to, as an
    /// unbound Unix socket.
    pub from: Option<Peer>,
    /// Which address of this machine it was sent to, and at which interface it was received. `None` for Unix sockets, and where
    /// the driver does not know.
    pub local: Option<Local>,
}

impl Datagram<'_> {
    /// Whether the end of it is lost, because it was longer than the window.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.data.len() < self.len
    }
}

/// Datagram sockets.
impl<'m, H: Handler> Session<'m, H> {
    /// Borrows the windows of all datagram sockets, before the first is added. It is done once: another is not used.
    pub fn set_datagram_memory<const RX: usize, const TX: usize, const SOCKETS: usize>(
        &mut self,
        memory: &'m mut DatagramMemory<RX, TX, SOCKETS>,
    ) {
        if self.arrivals.is_none() {
            let (arrivals, departures) = memory.lend();
            (self.arrivals, self.departures) = (Some(arrivals), Some(departures));
        }
    }

    /// Adds a datagram socket of at most `receive` and `send` bytes; see
    /// [`Dispatcher::add_datagrams`](crate::Dispatcher::add_datagrams).
    ///
    /// # Errors
    ///
    /// [`Unavailable::DatagramMemory`] or [`Unavailable::Sources`].
    pub fn add_datagrams(&mut self, receive: u32, send: u32) -> Result<Token, Unavailable> {
        let added = self.find_place(receive, send);
        let token = added.unwrap_or(Token::NONE);
        let input = Input::AddDatagrams { receive };
        (self.machine).record(token, input, Detail::Number(send.into()));
        added
    }

    fn find_place(&mut self, receive: u32, send: u32) -> Result<Token, Unavailable> {
        let (Some(arrivals), Some(departures)) = (&mut self.arrivals, &mut self.departures) else {
            return Err(Unavailable::DatagramMemory);
        };
        let is_gone = |owner| self.machine.is_gone(owner);
        let into = arrivals
            .find(receive, is_gone)
            .ok_or(Unavailable::DatagramMemory)?;
        let from = departures
            .find(send, is_gone)
            .ok_or(Unavailable::DatagramMemory)?;
        let token = self.machine.add_datagrams()?;
        arrivals.give(into, token, receive);
        departures.give(from, token, send);
        self.tell_of_datagram = Some(Self::tell_datagram);
        Ok(token)
    }

    /// Where to receive a datagram, for [`Action::ReceiveFrom`](crate::Action::ReceiveFrom). Empty if the token is
    /// stale.
    pub fn datagram_into(&mut self, token: Token) -> &mut [u8] {
        match &mut self.arrivals {
            Some(arrivals) => arrivals.window_mut(token),
            None => &mut [],
        }
    }

    /// The bytes to send, the receiver, and the source address of this machine if that matters, for
    /// [`Action::SendTo`](crate::Action::SendTo). `None` if nothing is queued.
    #[must_use]
    pub fn datagram_from(&self, token: Token) -> Option<(Peer, Option<Local>, &[u8])> {
        self.departures.as_ref()?.queued(token)
    }

    /// Notifies the handler of a completion.
    fn tell_datagram(&mut self, token: Token, op: Op, outcome: Outcome) {
        let waited = op == Op::SendTo && self.machine.take_datagram_request(token);
        let arrived = match outcome {
            Outcome::Datagram {
                from: Some(from),
                local: Some(local),
                ..
            } => Some((token, from, local.for_reply())),
            Outcome::Datagram { .. }
            | Outcome::Complete(_)
            | Outcome::Drained(_)
            | Outcome::Accepted(_)
            | Outcome::Failed(_) => None,
        };
        let mut all = Connections::of(
            self.machine.reborrow(),
            self.sending.reborrow(),
            self.departures.as_deref_mut(),
            NOBODY,
        );
        match outcome {
            Outcome::Datagram {
                len, from, local, ..
            } if op == Op::ReceiveFrom => {
                let arrivals = self.arrivals.as_deref();
                let data = arrivals.map_or(&[][..], |arrivals| arrivals.window(token, len));
                let len = len as usize;
                let datagram = Datagram {
                    data,
                    len,
                    from,
                    local,
                };
                all.arrived = arrived.as_ref();
                self.handler.datagram(&mut all, token, datagram);
                all.arrived = None;
                all.machine.trace(|| Entry::Returned(0));
            }
            Outcome::Failed(fault) => {
                self.handler.datagram_failed(&mut all, token, fault);
                all.machine.trace(|| Entry::Returned(0));
            }
            Outcome::Datagram { .. }
            | Outcome::Complete(_)
            | Outcome::Drained(_)
            | Outcome::Accepted(_) => {}
        }
        // When it was notified of the failure, the application may have sent the next: then it waits for that.
        match all.machine.has_datagram_capacity(token) {
            Some(true) if waited => {
                self.handler.datagram_writable(&mut all, token);
                all.machine.trace(|| Entry::Returned(0));
            }
            Some(false) if waited => all.machine.want_datagram_capacity(token),
            Some(_) | None => {}
        }
    }
}

/// Datagrams, by the token of their socket. What the token of one that is gone names is nothing, and changes nothing.
impl Connections<'_> {
    /// Sends a datagram to `to`: to the sender of one, to an address, or to a registered destination. It is sent once
    /// this call of the handler has returned, as a rule; if the kernel's buffer is full, it waits for that, and no
    /// other can be sent from there, and none is received. If it fails,
    /// [`Handler::datagram_failed`](crate::Handler::datagram_failed) is called.
    ///
    /// A reply leaves from the address of the request: what [`Handler::datagram`](crate::Handler::datagram) sends to
    /// the sender of its datagram, through the same socket, has [`Datagram::local`] as its source. For a later reply,
    /// keep that and use [`send_datagram_from`](Self::send_datagram_from).
    ///
    /// # Errors
    ///
    /// [`SendError`]: after `Full` (one waits), [`Handler::datagram_writable`](crate::Handler::datagram_writable) is called once it
    /// is gone. `TooLong`: the window of this socket is smaller.
    pub fn send_datagram(
        &mut self,
        socket: Token,
        to: Peer,
        bytes: &[u8],
    ) -> Result<(), SendError> {
        self.send_datagram_by(socket, None, to, bytes)
    }

    /// The same from this address of the machine, if the socket is not bound to one; [`Local::for_reply`] leaves the
    /// choice of the interface to the routes. An address that the machine does not have is notified as a failure.
    ///
    /// # Errors
    ///
    /// As [`send_datagram`](Self::send_datagram).
    pub fn send_datagram_from(
        &mut self,
        socket: Token,
        local: Local,
        to: Peer,
        bytes: &[u8],
    ) -> Result<(), SendError> {
        self.send_datagram_by(socket, Some(local), to, bytes)
    }

    fn send_datagram_by(
        &mut self,
        socket: Token,
        local: Option<Local>,
        to: Peer,
        bytes: &[u8],
    ) -> Result<(), SendError> {
        let asked = self
            .arrived
            .filter(|(at, from, _)| (*at, *from) == (socket, to));
        let source = local.or(asked.map(|(_, _, local)| *local));
        let sent = self.queue_datagram(socket, source, to, bytes);
        let input = Input::SendDatagram {
            len: count(bytes.len()),
            taken: sent.is_ok(),
        };
        let detail = Detail::Datagram(local, to, self.machine.traced_hash(bytes));
        self.machine.record(socket, input, detail);
        sent
    }

    fn queue_datagram(
        &mut self,
        socket: Token,
        local: Option<Local>,
        to: Peer,
        bytes: &[u8],
    ) -> Result<(), SendError> {
        let capacity = self.machine.has_datagram_capacity(socket);
        let (Some(capacity), Some(departures)) = (capacity, &mut self.departures) else {
            return Err(SendError::Closed);
        };
        let window = departures.window_mut(socket);
        if bytes.len() > window.len() {
            let window = window.len();
            return Err(SendError::TooLong { window });
        }
        if !capacity {
            self.machine.want_datagram_capacity(socket);
            return Err(SendError::Full { capacity: 0 });
        }
        copy(window, bytes);
        departures.queue(socket, to, local, count(bytes.len()));
        self.machine.queue_datagram(socket);
        Ok(())
    }

    /// Closes a datagram socket: no more notices of it, and what is queued is dropped.
    pub fn close_datagrams(&mut self, socket: Token) {
        self.record(socket, Input::CloseDatagrams);
        self.machine.close_datagrams(socket);
    }
}
