//! The actions that are calls, made on the simulated kernel.

use super::broken::Broken;
use super::driver::{Driver, Interface, Pending};
use crate::driver;
use crate::kernel::{Family, Fd, Kernel, Shutdown};
use alloc::format;
use alloc::vec;
use tidegate_core::Destination;
use tidegate_core::Token;
use tidegate_core::errno::{self, Errno};
use tidegate_core::{Action, Span};
use tidegate_core::{Handler, Session};
use tidegate_core::{Outcome, Peer};

impl Driver {
    /// Makes the call.
    pub(super) fn carry_out<H: Handler>(
        &mut self,
        session: &mut Session<'_, H>,
        kernel: &mut Kernel,
        pending: Pending,
    ) -> Result<Outcome, Broken> {
        let action = pending.action;
        let outcome = match action {
            Action::Accept { listener, token } => {
                let accepted = kernel.accept(self.socket(listener)?);
                accepted.map_err(errno::accept).map(|(fd, peer)| {
                    self.sockets.insert(token, fd);
                    self.known.push(token);
                    Outcome::Accepted(peer)
                })
            }
            Action::Refuse { listener } => {
                let accepted = kernel.accept(self.socket(listener)?);
                accepted.map_err(errno::accept).map(|(fd, _)| {
                    let _ = kernel.reset_on_close(fd);
                    let _ = kernel.close(fd);
                    Outcome::Complete(0)
                })
            }
            Action::Connect { token } => return self.connect(session, kernel, token),
            Action::Recv { token, into } => {
                let received = self.receive(session, kernel, token, into);
                if pending.cancelled {
                    let _ = kernel.cancel_multishot(self.socket(token)?);
                }
                return received;
            }
            Action::Send { token, from } => {
                return self.send(session, kernel, token, from, pending.place);
            }
            Action::Shutdown { token } if kernel.is_terminal(self.socket(token)?) => {
                let unsent = kernel.unsent(self.socket(token)?);
                Ok(match unsent {
                    Ok(0) | Err(_) => Outcome::Drained(0),
                    Ok(_) => Outcome::Complete(0),
                })
            }
            Action::Shutdown { token } => {
                let done = kernel.shutdown(self.socket(token)?, Shutdown::Write);
                done.map_err(errno::transfer).map(|()| Outcome::Complete(0))
            }
            Action::Unsent { token } => {
                let socket = self.socket(token)?;
                if let Ok(Some(errno)) = kernel.take_error(socket) {
                    return Ok(driver::failed(kernel.family(socket), errno));
                }
                let (unsent, answers) = (kernel.unsent(socket), kernel.answers(socket));
                unsent
                    .map_err(|errno| driver::failed(kernel.family(socket), errno))
                    .map(|n| {
                        let n = u32::try_from(n).unwrap_or(u32::MAX);
                        match answers {
                            Ok(true) => Outcome::Drained(n),
                            Ok(false) | Err(_) => Outcome::Complete(n),
                        }
                    })
            }
            // A connect that failed has left none.
            Action::Close { token, .. } if !self.sockets.contains_key(&token) => {
                Ok(Outcome::Complete(0))
            }
            Action::Close { token, reset } => {
                let socket = self.socket(token)?;
                let astray = self.astray.remove(&token);
                if !astray && kernel.registered(self.set).any(|(fd, ..)| fd == socket) {
                    return Err(Broken::new(format!("{action:?} while it is registered")));
                }
                self.sockets.remove(&token);
                if reset {
                    // A listener has no such option.
                    let _ = kernel.reset_on_close(socket);
                }
                // Closed is closed, whatever it returns.
                let _ = kernel.close(socket);
                Ok(Outcome::Complete(0))
            }
            Action::ReceiveFrom { token } => {
                let into = session.datagram_into(token);
                let received = kernel.recvfrom(self.socket(token)?, into);
                received
                    .map_err(errno::datagram)
                    .map(|received| Outcome::Datagram {
                        len: u32::try_from(received.len).unwrap_or(u32::MAX),
                        from: Some(Peer::Inet(received.from)),
                        local: Some(received.local),
                        lost: received.lost,
                    })
            }
            Action::SendTo { token } => {
                let Some((Peer::Inet(to), local, bytes)) = session.datagram_from(token) else {
                    return Err(Broken::new(format!("{action:?}: nothing waits")));
                };
                let sent = kernel.sendto(self.socket(token)?, to, local, bytes);
                sent.map_err(|errno| errno::send_datagram(errno, false))
                    .map(|n| Outcome::Complete(u32::try_from(n).unwrap_or(u32::MAX)))
            }
            Action::Arm { .. } | Action::Cancel { .. } | Action::Rebuild => {
                return Err(Broken::new(format!("{action:?} has no completion")));
            }
        };
        Ok(outcome.unwrap_or_else(|outcome| outcome))
    }

    /// As the Linux driver does: begins, or checks the result.
    fn connect<H: Handler>(
        &mut self,
        session: &Session<'_, H>,
        kernel: &mut Kernel,
        token: Token,
    ) -> Result<Outcome, Broken> {
        if let Some(socket) = self.sockets.get(&token) {
            let done = kernel.take_connected(*socket);
            return Ok(done.map_or_else(errno::connect, |()| Outcome::Complete(0)));
        }
        let Some(to) = session.destination(token) else {
            return Err(Broken::new(format!("{token:?} is connected to nowhere")));
        };
        let family = match to {
            Destination::Inet(_) => Family::Tcp,
            Destination::Registered(_) => Family::Unix,
            Destination::Stream { .. } => Family::Terminal,
        };
        let fault_of = match family {
            Family::Terminal => errno::open,
            Family::Tcp | Family::Unix => errno::connect,
        };
        let socket = match kernel.socket_from(family, None) {
            Ok(socket) => socket,
            Err(errno) => return Ok(fault_of(errno)),
        };
        let connected = match to {
            Destination::Inet(address) => kernel.connect_to(socket, address),
            Destination::Registered(number) | Destination::Stream { number, .. } => {
                kernel.connect(socket, u16::try_from(number).unwrap_or(u16::MAX))
            }
        };
        let outcome = match connected {
            Ok(()) => Outcome::Complete(0),
            Err(errno) => fault_of(errno),
        };
        if let Outcome::Failed(_) = outcome {
            let faults = core::mem::take(&mut kernel.faults);
            let _ = kernel.close(socket);
            kernel.faults = faults;
        } else {
            self.sockets.insert(token, socket);
            self.known.push(token);
        }
        Ok(outcome)
    }

    fn receive<H: Handler>(
        &self,
        session: &mut Session<'_, H>,
        kernel: &mut Kernel,
        token: Token,
        into: Span,
    ) -> Result<Outcome, Broken> {
        let mut bytes = vec![0; into.len as usize];
        let socket = self.socket(token)?;
        // io_uring receives by multishot receives, until the poll for the end has completed.
        let completes = self.interface == Interface::Completion && !kernel.is_terminal(socket);
        let hung_up = completes && self.watches_hang_up && kernel.has_hung_up(socket) == Ok(true);
        let received = match (completes, hung_up) {
            (false, _) => read(kernel, socket, &mut bytes),
            (true, false) => kernel.recv_multishot(socket, &mut bytes),
            (true, true) => kernel.recv_once(socket, &mut bytes),
        };
        let n = match received {
            Ok(n) => n,
            Err(errno) => return Ok(driver::failed(kernel.family(socket), errno)),
        };
        let space = session.receive_into(token, into);
        if space.len() != bytes.len() || bytes.is_empty() {
            return Err(Broken::new(format!(
                "{token:?} has no capacity for {into:?}"
            )));
        }
        let (to, from) = (space.iter_mut(), bytes.iter().take(n));
        to.zip(from).for_each(|(to, from)| *to = *from);
        Ok(driver::moved(n, bytes.len(), n > 0))
    }

    fn send<H: Handler>(
        &self,
        session: &Session<'_, H>,
        kernel: &mut Kernel,
        token: Token,
        from: Span,
        place: usize,
    ) -> Result<Outcome, Broken> {
        let bytes = session.send_from(token, from);
        if bytes.as_ptr().addr() != place || bytes.len() != from.len as usize || bytes.is_empty() {
            return Err(Broken::new(format!(
                "{token:?}: the bytes of {from:?} moved"
            )));
        }
        let socket = self.socket(token)?;
        Ok(match kernel.send(socket, bytes) {
            Ok(n) => driver::moved(n, bytes.len(), true),
            Err(errno) => driver::failed(kernel.family(socket), errno),
        })
    }
}

/// Receives. What is read of a terminal that was hung up is its end.
pub(super) fn read(kernel: &mut Kernel, fd: Fd, into: &mut [u8]) -> Result<usize, Errno> {
    match kernel.recv(fd, into) {
        Err(Errno::IO) if kernel.is_terminal(fd) => Ok(0),
        received => received,
    }
}
