//! Datagrams in a world: a socket of the session's, and the network on its other side.

use super::broken::Broken;
use super::{Handler, World};
use crate::kernel::{Fd, Letter, asked};
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;
use tidegate_core::Token;
use tidegate_core::{DatagramMemory, Unavailable};

/// The network at a datagram socket.
#[derive(Debug)]
pub(super) struct Post {
    token: Token,
    socket: Fd,
    /// Bytes that one is received into.
    window: u32,
    /// All that came and was not lost before the socket, and all that was sent.
    came: Vec<Letter>,
    sent: Vec<Letter>,
    /// The sender whose reply came from another address than its request went to.
    wrong: Option<SocketAddr>,
    /// How many were sent from no address in particular.
    unnamed: usize,
}

/// Datagrams. Each that comes is notified in order, once and with its sender, unless the queue of the socket was full;
/// one that is longer than the window is truncated.
impl<'m, H: Handler> World<'m, H> {
    /// Adds a datagram socket, with these windows. A world has one at most.
    ///
    /// # Errors
    ///
    /// [`Unavailable`].
    ///
    /// # Panics
    ///
    /// The kernel has no descriptor for it.
    pub fn add_datagrams<const RX: usize, const TX: usize>(
        &mut self,
        memory: &'m mut DatagramMemory<RX, TX>,
    ) -> Result<Token, Unavailable> {
        let [receive, send] = [RX, TX].map(|size| u32::try_from(size).unwrap_or(u32::MAX));
        self.session.set_datagram_memory(memory);
        let token = self.session.add_datagrams(receive, send)?;
        let ours = core::mem::replace(&mut self.kernel.limits_mut().descriptors, u32::MAX);
        let socket = self.kernel.datagrams().expect("a descriptor");
        self.kernel.limits_mut().descriptors = ours;
        self.setup.limits.descriptors = self.setup.limits.descriptors.saturating_add(1);
        self.driver.adopt(token, socket);
        self.post = Some(Post {
            token,
            socket,
            window: receive,
            came: Vec::new(),
            sent: Vec::new(),
            wrong: None,
            unnamed: 0,
        });
        self.busy = true;
        Ok(token)
    }

    /// A datagram comes; returns whether it did: it is lost where the queue is full or there is no such socket.
    pub fn send_datagram(&mut self, from: SocketAddr, bytes: &[u8]) -> bool {
        self.busy = true;
        let Some(post) = self.open_post() else {
            return false;
        };
        let socket = post.socket;
        let came = self.kernel.arrive(socket, from, bytes) == Ok(true);
        if let Some(post) = self.post.as_mut().filter(|_| came) {
            post.came.push((from, bytes.to_vec()));
        }
        came
    }

    /// An ICMP error: there is no listener where the session has sent a datagram.
    pub fn refuse_datagram(&mut self) {
        self.busy = true;
        if let Some(post) = self.open_post() {
            let socket = post.socket;
            let _ = self.kernel.refuse_datagram(socket);
        }
    }

    /// What the session has sent, and the receivers.
    #[must_use]
    pub fn datagrams_sent(&self) -> &[Letter] {
        self.post.as_ref().map_or(&[], |post| &post.sent)
    }

    /// How many of these left without a given source address: no reply did that was sent when its request was notified.
    #[must_use]
    pub fn datagrams_unnamed(&self) -> usize {
        self.post.as_ref().map_or(0, |post| post.unnamed)
    }

    /// The socket, unless the session has closed it.
    fn open_post(&self) -> Option<&Post> {
        (self.post.as_ref()).filter(|post| self.driver.socket(post.token).is_ok())
    }

    /// The network takes what was sent, now or later; returns whether it did.
    pub(super) fn post_acts(&mut self, all: bool) -> bool {
        let Some(socket) = self.open_post().map(|post| post.socket) else {
            return false;
        };
        if !all && self.random.one_in(2) {
            return false;
        }
        let taken = self.kernel.take_datagrams(socket).unwrap_or_default();
        let acted = !taken.is_empty();
        if let Some(post) = &mut self.post {
            let wrong = taken.iter().find(|((to, _), local)| {
                local.is_some_and(|local| local != asked(*to).for_reply())
            });
            post.wrong = post.wrong.or(wrong.map(|((to, _), _)| *to));
            let unnamed = taken.iter().filter(|(_, local)| local.is_none());
            post.unnamed += unnamed.count();
            post.sent
                .extend(taken.into_iter().map(|(letter, _)| letter));
        }
        acted
    }

    /// The notices are what came, from the first on. `all`: and nothing is left of it.
    pub(super) fn check_post(&self, all: bool) -> Result<(), Broken> {
        let Some(post) = &self.post else {
            return Ok(());
        };
        if let Some(peer) = post.wrong {
            let why = "got a reply from an address that it did not send to";
            return Err(Broken::new(format!("{peer} {why}")));
        }
        let told = &self.session.handler().letters;
        let matches = |(told, came): (&(usize, Letter), &Letter)| {
            let kept = came.1.len().min(post.window as usize);
            told.0 == came.1.len()
                && told.1.0 == came.0
                && came.1.get(..kept) == Some(told.1.1.as_slice())
        };
        let (n, m) = (told.len(), post.came.len());
        if n > m || !told.iter().zip(&post.came).all(matches) {
            return Err(Broken::new(format!(
                "{n} datagrams were notified, not as {m} came"
            )));
        }
        if all && n < m && self.open_post().is_some() {
            return Err(Broken::new(format!("{n} datagrams of {m} were notified")));
        }
        Ok(())
    }
}
