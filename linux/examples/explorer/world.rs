//! [`World`]: a kernel, the clients of a script, and what of theirs the server has not taken yet. The program and the library
//! have one each, so that neither takes what is the other's.

use super::script::{Act, Script};
use super::system::{SysResult, System};
use alloc::collections::VecDeque;
use tidegate_sim::{EpollFlags, Errno, Fd};

/// Bytes of a receive that are shown; of more only the number.
const SHOWN: usize = 10;

#[derive(Debug)]
pub(crate) struct World<S> {
    pub(crate) system: S,
    clients: Vec<Client>,
    /// Clients waiting to be accepted, by number.
    waiting: VecDeque<usize>,
    taken: usize,
}

#[derive(Clone, Debug, Default)]
struct Client {
    end: Option<Fd>,
    /// The server's descriptor for it, while it is open.
    server: Option<Fd>,
    /// The number that the server had for it last, open or not.
    number: Option<Fd>,
    sent: usize,
    floods: bool,
    /// The server has received FIN, or a reset.
    ended: bool,
}

/// What the server has not taken.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Left(Vec<(Option<usize>, String)>);

impl<S: System> World<S> {
    /// A kernel and the clients of a script, none of them connected.
    pub(crate) fn new(system: S, script: &Script) -> Self {
        Self {
            system,
            clients: vec![Client::default(); script.clients],
            waiting: VecDeque::new(),
            taken: 0,
        }
    }

    /// A client does something.
    pub(crate) fn act(&mut self, number: usize, act: Act) -> SysResult<()> {
        let end = self.client(number)?.end.ok_or(Errno::NOTCONN);
        match act {
            Act::Connect => {
                let end = self.system.connect()?;
                self.client(number)?.end = Some(end);
                self.waiting.push_back(number);
                Ok(())
            }
            Act::Send(bytes) => self.send(number, bytes),
            Act::Flood(bytes) => {
                self.client(number)?.floods = true;
                self.send(number, bytes)
            }
            Act::Finish => self.system.finish(end?),
            Act::Close | Act::Reset => {
                self.client(number)?.end = None;
                self.system.close(end?, act == Act::Reset)
            }
        }
    }

    fn send(&mut self, number: usize, len: usize) -> SysResult<()> {
        let client = self.client(number)?;
        let end = client.end.ok_or(Errno::NOTCONN)?;
        let letters = alphabet(number).iter().cycle();
        let bytes: Vec<u8> = letters.skip(client.sent).take(len).copied().collect();
        client.sent += len;
        let sent = self.system.send(end, &bytes);
        let lost = len - sent.unwrap_or(0);
        self.client(number)?.sent -= lost;
        sent.and(if lost == 0 {
            Ok(())
        } else {
            Err(Errno::NOBUFS)
        })
    }

    /// No client sends again by itself.
    pub(crate) fn stop_floods(&mut self) {
        self.clients
            .iter_mut()
            .for_each(|client| client.floods = false);
    }

    /// Accepts; returns which client it was.
    pub(crate) fn accept(&mut self) -> SysResult<usize> {
        let fd = self.system.accept()?;
        let number = self.waiting.pop_front().ok_or(Errno::AGAIN)?;
        let client = self.client(number)?;
        (client.server, client.number) = (Some(fd), Some(fd));
        Ok(number)
    }

    /// Receives once on a descriptor of the server.
    pub(crate) fn receive(&mut self, fd: Fd, len: usize) -> SysResult<Vec<u8>> {
        let mut bytes = vec![0; len];
        let received = self.system.receive(fd, &mut bytes);
        let Some(number) = self.owner(fd) else {
            return received.map(|_| bytes);
        };
        if received.is_ok_and(|n| n == 0) || received.is_err_and(|errno| errno != Errno::AGAIN) {
            self.client(number)?.ended = true;
        }
        bytes.truncate(received?);
        self.taken += bytes.len();
        if self.client(number)?.floods {
            self.send(number, bytes.len())?;
        }
        Ok(bytes)
    }

    /// Closes a descriptor of the server.
    pub(crate) fn close(&mut self, fd: Fd, reset: bool) -> SysResult<()> {
        if let Some(number) = self.owner(fd) {
            self.client(number)?.server = None;
        }
        self.system.close(fd, reset)
    }

    /// The client of a descriptor of the server now.
    pub(crate) fn owner(&self, fd: Fd) -> Option<usize> {
        let mut servers = self.clients.iter().map(|client| client.server);
        servers.position(|server| server == Some(fd))
    }

    /// The number that the server had for a client last; it may be another's by now.
    pub(crate) fn number(&self, client: usize) -> Option<Fd> {
        self.clients.get(client).and_then(|client| client.number)
    }

    /// Whether these bytes are the first that a client sent.
    pub(crate) fn has_said(&self, number: usize, bytes: &[u8]) -> bool {
        let sent = self.clients.get(number).map_or(0, |client| client.sent);
        let said = alphabet(number).iter().cycle().take(sent);
        bytes.len() <= sent && bytes.iter().zip(said).all(|(one, other)| one == other)
    }

    /// Bytes that the server has received.
    pub(crate) const fn taken(&self) -> usize {
        self.taken
    }

    /// Whether a client floods.
    pub(crate) fn has_flood(&self) -> bool {
        self.clients.iter().any(|client| client.floods)
    }

    /// What is there and was not taken.
    pub(crate) fn left(&mut self) -> SysResult<Left> {
        let mut left = Vec::new();
        for number in 0..self.clients.len() {
            let Some(client) = self.clients.get(number) else {
                continue;
            };
            let (ended, Some(fd)) = (client.ended, client.server) else {
                continue;
            };
            let unread = self.system.unread(fd);
            let ends = EpollFlags::RDHUP | EpollFlags::HUP | EpollFlags::ERR;
            let state = self.system.poll(&[(fd, ends)])?.concat();
            let end = match (ended, state.contains(EpollFlags::ERR)) {
                (true, _) => "",
                (false, true) => "reset",
                (false, false) if state.is_empty() => "",
                (false, false) => "end",
            };
            let what = match (unread, end) {
                (0, "") => continue,
                (0, end) => end.to_owned(),
                (unread, "") => unread.to_string(),
                (unread, end) => format!("{unread}, {end}"),
            };
            left.push((Some(number), what));
        }
        if !self.waiting.is_empty() {
            left.push((None, format!("{} to accept", self.waiting.len())));
        }
        Ok(Left(left))
    }

    /// What is unread of the clients that do not flood.
    pub(crate) fn left_of_quiet(&mut self) -> SysResult<Left> {
        let Left(mut left) = self.left()?;
        let quiet = |who: usize| self.clients.get(who).is_some_and(|client| !client.floods);
        left.retain(|(who, _)| who.is_none_or(quiet));
        Ok(Left(left))
    }

    fn client(&mut self, number: usize) -> SysResult<&mut Client> {
        self.clients.get_mut(number).ok_or(Errno::INVAL)
    }
}

impl Left {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is as it is in another.
    pub(crate) fn common(&self, other: &Self) -> Self {
        let both = self.0.iter().filter(|one| other.0.contains(one));
        Self(both.cloned().collect())
    }

    /// For a column; with the numbers of the clients, if there are several.
    pub(crate) fn short(&self, clients: usize) -> String {
        let one = |(who, what): &(Option<usize>, String)| match who {
            Some(who) if clients > 1 => format!("{}: {what}", who + 1),
            Some(_) | None => what.clone(),
        };
        let each: Vec<_> = self.0.iter().map(one).collect();
        if each.is_empty() {
            "-".to_owned()
        } else {
            each.join("; ")
        }
    }
}

/// Flags of several as one.
trait Concat {
    fn concat(self) -> EpollFlags;
}

impl Concat for Vec<EpollFlags> {
    fn concat(self) -> EpollFlags {
        self.into_iter()
            .fold(EpollFlags::NONE, |all, one| all | one)
    }
}

/// What a client sends: neighbours send different letters.
const fn alphabet(client: usize) -> &'static [u8] {
    match client % 3 {
        0 => b"abcdefghijklmnopqrstuvwxyz",
        1 => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        _ => b"0123456789",
    }
}

/// The result of a receive, for people.
pub(crate) fn shown(received: &SysResult<Vec<u8>>) -> String {
    match received {
        Ok(bytes) if bytes.is_empty() => "end".to_owned(),
        Ok(bytes) if bytes.len() > SHOWN => format!("{} bytes", bytes.len()),
        Ok(bytes) => {
            let text: String = bytes.iter().copied().map(char::from).collect();
            format!("\"{text}\"")
        }
        Err(Errno::AGAIN) => "would block".to_owned(),
        Err(errno) => errno.to_string(),
    }
}
