//! Datagram sockets: what comes and goes, what the application does with them, and what it must be notified of.

use super::app::{App, Shared};
use super::drive::Drive;
use super::kernel::{completed, mix};
use super::model::{Listener, Model};
use super::timers::Free;
use super::world::{SOURCES, World};
use alloc::collections::VecDeque;
use tidegate_core::{Directions, Dispatcher, Fault, Op, Outcome, Peer, SendError, Token};
use tidegate_sim::DatagramState;

/// Bytes of the window that one is received into.
const RX: usize = 4;
/// Bytes of the longest that is sent.
pub(super) const TX: usize = 5;

/// Windows for every socket that there may be at a time.
pub(super) type Windows = tidegate_core::DatagramMemory<{ RX * SOURCES }, { TX * SOURCES }>;

/// A socket, as far as the checker knows.
#[derive(Debug, Default)]
pub(super) struct Socket {
    pub(super) receiving: bool,
    pub(super) sending: bool,
    /// What waits to be sent.
    queued: Option<(Peer, Vec<u8>)>,
    /// The application waits until that is gone.
    wish: bool,
    /// It was closed, or is broken.
    ended: bool,
    /// Something ran short since it was last seen at work.
    pauses: bool,
    /// Attempts in a row without success.
    vain: u16,
}

/// What is notified of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    Came(u32, Option<Peer>),
    Failed(Fault),
    Capacity,
}

/// What the kernel has of a socket. How it behaves is [`DatagramState`], the simulated kernel's.
#[derive(Debug)]
pub(super) struct Letters {
    pub(super) state: DatagramState,
    /// Lengths, and senders, of those that wait to be received.
    coming: VecDeque<(u32, Option<Peer>)>,
}

impl Letters {
    fn new() -> Self {
        Self {
            state: DatagramState::new(usize::MAX, 1),
            coming: VecDeque::new(),
        }
    }

    /// A receive. A completion driver waits if there is nothing.
    pub(super) fn receive(&mut self, completion: bool) -> Option<Outcome> {
        match self.state.receive() {
            Ok(()) => {
                let (len, from) = self.coming.pop_front().expect("it came");
                Some(Outcome::Datagram {
                    len,
                    from,
                    local: None,
                    lost: 0,
                })
            }
            Err(outcome) => completed(outcome, completion),
        }
    }

    /// A send. A completion driver waits for send capacity. The network takes it at once, unless it takes nothing.
    pub(super) fn send(&mut self, completion: bool) -> Option<Outcome> {
        let outcome = self.state.send(1);
        if let Outcome::Complete(_) = outcome {
            self.state.take();
        }
        completed(outcome, completion)
    }

    /// The network takes nothing for now, or does so again.
    fn fill_or_take(&mut self) {
        if self.state.end.leaving > 0 {
            self.state.take();
        } else {
            self.state.end.leaving = self.state.buffer;
        }
    }

    fn arrive(&mut self, len: u32, from: Option<Peer>) {
        if self.state.arrive() {
            self.coming.push_back((len, from));
        }
    }
}

impl Socket {
    /// After so many attempts without success it may pause.
    fn comes_to(&mut self, op: Op, outcome: Outcome, most: u16) {
        self.vain = match (op, outcome) {
            (_, Outcome::Drained(_)) => self.vain.saturating_add(1),
            (Op::Send, Outcome::Complete(_)) | (Op::Recv, Outcome::Datagram { .. }) => 0,
            // An outcome that is impossible for it is not a success.
            _ => self.vain,
        };
        self.pauses |= self.vain >= most;
    }
}

/// Outputs and completions.
impl Model {
    fn datagrams(&mut self, token: Token) -> &mut Socket {
        let listener = self.listeners.get_mut(&token);
        let socket = listener.and_then(|listener| listener.datagrams.as_mut());
        socket.unwrap_or_else(|| panic!("{token:?} is not a datagram socket"))
    }

    pub(super) fn datagram_is_asked_for(&mut self, token: Token) {
        let socket = self.datagrams(token);
        let rests = !socket.receiving && !socket.sending && !socket.ended;
        assert!(rests && socket.queued.is_none(), "{token:?} {socket:?}");
        (socket.receiving, socket.pauses) = (true, false);
    }

    pub(super) fn datagram_is_sent(&mut self, token: Token) {
        let socket = self.datagrams(token);
        let rests = !socket.sending && !socket.ended;
        assert!(rests && socket.queued.is_some(), "{token:?} {socket:?}");
        (socket.sending, socket.pauses) = (true, false);
    }

    pub(super) fn datagram_comes(&mut self, token: Token, outcome: Outcome) {
        let failures = self.config.accept_failures;
        let socket = self.datagrams(token);
        assert!(core::mem::take(&mut socket.receiving), "not asked for");
        if socket.ended {
            return;
        }
        socket.comes_to(Op::Recv, outcome, failures);
        match outcome {
            Outcome::Datagram { len, from, .. } => {
                self.of_datagrams.push_back(Heard::Came(len, from))
            }
            Outcome::Failed(fault) if !matches!(fault, Fault::Interrupted(_)) => {
                socket.ended |= matches!(fault, Fault::Invalid(_));
                let short = matches!(fault, Fault::Exhausted(_) | Fault::Unknown(_));
                socket.pauses |= short;
                self.of_datagrams.push_back(Heard::Failed(fault));
            }
            Outcome::Complete(_)
            | Outcome::Drained(_)
            | Outcome::Accepted(_)
            | Outcome::Failed(_) => {}
        }
    }

    pub(super) fn datagram_goes(&mut self, token: Token, outcome: Outcome) {
        let socket = self.datagrams(token);
        assert!(core::mem::take(&mut socket.sending), "not asked for");
        if socket.ended {
            return;
        }
        // The first finds the buffer full; then there is an event of capacity for each.
        socket.comes_to(Op::Send, outcome, 3);
        match outcome {
            Outcome::Drained(_) => return,
            Outcome::Failed(Fault::Interrupted(_)) => return,
            Outcome::Complete(_)
            | Outcome::Accepted(_)
            | Outcome::Datagram { .. }
            | Outcome::Failed(_) => {}
        }
        socket.queued = None;
        let wish = core::mem::take(&mut socket.wish);
        if let Outcome::Failed(fault) = outcome {
            socket.ended |= matches!(fault, Fault::Invalid(_));
            self.of_datagrams.push_back(Heard::Failed(fault));
        }
        if wish && !self.datagrams(token).ended {
            self.of_datagrams.push_back(Heard::Capacity);
        }
    }

    /// It could not be registered, and is tried again later.
    pub(super) fn datagrams_pause(&mut self, token: Token) {
        let listener = self.listeners.get_mut(&token);
        if let Some(socket) = listener.and_then(|listener| listener.datagrams.as_mut()) {
            socket.pauses = true;
        }
    }

    pub(super) fn datagrams_were_told(&self) {
        assert!(self.of_datagrams.is_empty(), "no notice came");
    }

    /// When no source is queued: it waits for what comes next, unless it is backpressured.
    pub(super) fn datagrams_are_armed(&self, core: &Dispatcher<'_>) {
        for (token, listener) in &self.listeners {
            let Some(socket) = &listener.datagrams else {
                continue;
            };
            if socket.ended {
                let busy = socket.receiving || socket.sending;
                assert!(listener.source.closing || busy, "{token:?} does not end");
                continue;
            }
            let (busy, needs) = if socket.queued.is_some() {
                (socket.sending, Directions::WRITE)
            } else {
                (socket.receiving, Directions::READ)
            };
            let armed = busy || listener.source.armed.contains(needs);
            let waits = socket.pauses && core.poll_timeout().is_some();
            assert!(armed || waits, "deaf: {token:?} {socket:?}");
        }
    }

    fn sockets(&self) -> Vec<Token> {
        let sockets = self.listeners.iter();
        let mut tokens: Vec<Token> = sockets
            .filter(|(_, listener)| listener.datagrams.is_some())
            .map(|(token, _)| *token)
            .collect();
        tokens.sort_unstable();
        tokens
    }
}

/// The application.
impl App<'_> {
    /// It is notified, with the bytes if there are any.
    pub(super) fn hears(&self, free: &mut dyn Free, token: Token, heard: Heard, data: &[u8]) {
        let shared = &mut *self.0.borrow_mut();
        let expected = shared.model.of_datagrams.pop_front();
        assert_eq!(expected, Some(heard), "unexpected notice: {token:?}");
        if let Heard::Came(len, _) = heard {
            let written = (0..).zip(data).all(|(at, byte)| *byte == mix(at));
            assert!(written, "{data:?} of {token:?}");
            assert!(data.is_empty() || data.len() == RX.min(len as usize));
        }
        if !shared.tame {
            let from = match heard {
                Heard::Came(_, from) => from,
                Heard::Failed(_) | Heard::Capacity => None,
            };
            shared.act_on_datagrams(free, token, from);
        }
        // It sent another at once: it waits for that, or for nothing.
        let socket = shared.model.datagrams(token);
        let used = socket.ended || socket.queued.is_some();
        if used && shared.model.of_datagrams.pop_front() == Some(Heard::Capacity) {
            shared.model.datagrams(token).wish = true;
        }
    }
}

impl Shared<'_> {
    fn act_on_datagrams(&mut self, free: &mut dyn Free, token: Token, from: Option<Peer>) {
        let what = self.input.byte();
        if what >= 248 {
            free.close_datagrams(token);
            self.model.datagrams(token).ended = true;
            return;
        }
        for _ in 0..what & 3 {
            let n = usize::from(what >> 2 & 7);
            let bytes = self.bytes(n);
            let to = from.unwrap_or(Peer::Registered(u32::from(what)));
            let answer = free.send_datagram(token, to, &bytes);
            let socket = self.model.datagrams(token);
            match answer {
                _ if socket.ended => assert_eq!(answer, Err(SendError::Closed)),
                Ok(()) => {
                    assert!(socket.queued.is_none() && n <= TX, "{socket:?}");
                    socket.queued = Some((to, bytes));
                }
                Err(SendError::TooLong { window }) => assert!(n > window && window == TX),
                Err(SendError::Full { capacity }) => {
                    assert!(socket.queued.is_some() && capacity == 0, "{socket:?}");
                    socket.wish = true;
                }
                Err(other) => panic!("{other:?}: {token:?} is open: {socket:?}"),
            }
        }
    }
}

/// The kernel and the driver.
impl<W: World> Drive<'_, W> {
    /// A socket is added, a datagram or an error comes, the buffer fills or empties, or the application sends or
    /// closes.
    pub(super) fn act_on_datagrams(&mut self) {
        let (what, which) = {
            let input = &mut self.shared.borrow_mut().input;
            (input.byte(), input.byte())
        };
        let sockets = self.model().sockets();
        let nth = sockets.get(usize::from(which) % sockets.len().max(1));
        let Some(token) = nth.copied().filter(|_| what >= 32) else {
            return self.add_datagrams();
        };
        if what >= 192 {
            let shared = alloc::rc::Rc::clone(&self.shared);
            self.world
                .free(&mut |free| shared.borrow_mut().act_on_datagrams(free, token, None));
            return;
        }
        let Some(letters) = self.kernel.letters.get_mut(&token) else {
            return;
        };
        match what & 3 {
            0 => letters.fill_or_take(),
            1 => letters.state.refuse(),
            _ => {
                let from = [None, Some(Peer::Unix(u32::from(what)))][usize::from(what >> 2 & 1)];
                letters.arrive(u32::from(what >> 3 & 7), from);
            }
        }
    }

    fn add_datagrams(&mut self) {
        let taken = self
            .model()
            .listeners
            .values()
            .filter(|it| !it.gone)
            .count();
        let token = self.world.add_datagrams(RX, TX);
        assert_eq!(token.is_some(), taken < SOURCES, "slots");
        let Some(token) = token else { return };
        let known = Listener {
            datagrams: Some(Socket::default()),
            ..Listener::default()
        };
        let before = self.model().listeners.insert(token, known);
        assert!(before.is_none(), "{token:?} comes again");
        self.kernel.letters.insert(token, Letters::new());
    }

    /// A kernel may write as soon as it is called; and what is to be sent is what was queued.
    pub(super) fn write_datagram(&mut self, token: Token) {
        if let Some(into) = self.world.datagram_into(token) {
            assert_eq!(into.len(), RX, "{token:?}");
            (0..).zip(into).for_each(|(at, byte)| *byte = mix(at));
        }
    }

    pub(super) fn read_datagram(&mut self, token: Token) {
        if let Some(found) = self.world.datagram_from(token) {
            let queued = self.model().datagrams(token).queued.clone();
            assert_eq!(Some(found), queued, "{token:?}");
        }
    }

    /// From now on there is send capacity, and the network has no errors.
    pub(super) fn calm_datagrams(&mut self) {
        for letters in self.kernel.letters.values_mut() {
            letters.state.take();
            letters.state.end.error = None;
        }
    }

    /// Whatever came was fetched, and whatever was queued was sent.
    pub(super) fn no_datagram_was_lost(&self) {
        let model = self.model();
        for (token, letters) in &self.kernel.letters {
            let listener = &model.listeners[token];
            let Some(socket) = &listener.datagrams else {
                continue;
            };
            if !socket.ended {
                assert_eq!(
                    letters.coming,
                    [],
                    "it is not received: {token:?} {socket:?}"
                );
                assert_eq!(socket.queued, None, "it is not sent: {token:?}");
            }
        }
    }

    pub(super) fn close_all_datagrams(&mut self) {
        let sockets = self.model().sockets();
        for token in sockets {
            self.world.free(&mut |free| free.close_datagrams(token));
            self.model().datagrams(token).ended = true;
        }
    }
}
