//! A datagram socket: what comes and what the network replies, an application that answers, sends, waits and closes, and the
//! driver's calls on it. It is always reported by level.

use super::Settings;
use super::choices::Choices;
use super::driver::{by_kind, went_wrong};
use super::steps::{Call, Step};
use super::table::What;
use super::world::{Lawful, World};
use tidegate_core::inspect;
use tidegate_core::{Directions, Fault, Notice, Op, Outcome, Token, Trigger};
use tidegate_sim::{DatagramState, Errno, Held, Interest};

/// Bytes of a packed socket.
pub(super) const POST: usize = 2;
/// Datagrams that wait in the kernel.
const QUEUE: usize = 2;
/// Datagrams on their way out.
const BUFFER: usize = 1;

/// A datagram socket as the kernel and the application have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Post {
    pub(super) kernel: DatagramState,
    /// There is a descriptor.
    open: bool,
    /// The application has not closed it, and was not notified that it is broken.
    lives: bool,
    /// One waits to be sent.
    loaded: bool,
    /// The application waits until it is sent.
    waits: bool,
    /// How many more come, if not any number.
    more: u8,
}

/// What the network does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Network {
    /// A datagram comes.
    Delivers,
    /// It has an error for one that was sent.
    Refuses,
    /// It takes what was sent.
    Takes,
}

/// What an application may call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SocketCall {
    Add,
    Send,
    /// A send that finds one waiting.
    WantCapacity,
    Close,
}

impl Post {
    pub(super) const NONE: Self = Self {
        kernel: DatagramState::new(QUEUE, BUFFER),
        open: false,
        lives: false,
        loaded: false,
        waits: false,
        more: 0,
    };
    /// One that was just added.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            open: true,
            lives: true,
            more: settings.few_datagrams.unwrap_or(0),
            ..Self::NONE
        }
    }

    /// What still matters once the machine closes it.
    const fn closing(&self) -> Self {
        Self {
            kernel: DatagramState {
                interest: self.kernel.interest,
                ..Self::NONE.kernel
            },
            open: self.open,
            ..Self::NONE
        }
    }

    /// A wait that reports nothing of it takes it out of the ready list.
    fn wait_without_report(&mut self) {
        if !self.kernel.would_report() {
            let nothing = self.kernel.report(Token::NONE);
            debug_assert_eq!(nothing, None, "{self:?}");
        }
    }

    pub(super) fn pack(&self) -> [u8; POST] {
        let DatagramState { end, interest, .. } = self.kernel;
        let registered = self.kernel.registered();
        let number = |of: usize| u8::try_from(of).expect("few datagrams");
        let facts = [
            self.open,
            self.lives,
            self.loaded,
            self.waits,
            interest.is_some(),
            interest.is_some_and(|interest| interest.queued),
            registered.contains(Directions::READ),
            registered.contains(Directions::WRITE),
        ];
        [
            number(end.received)
                | number(end.leaving) << 2
                | u8::from(end.error.is_some()) << 4
                | self.more << 5,
            (facts.iter().rev()).fold(0, |bits, fact| bits << 1 | u8::from(*fact)),
        ]
    }

    pub(super) fn unpack([kernel, facts]: [u8; POST]) -> Self {
        let fact = |at: u32| facts >> at & 1 != 0;
        let mut post = Self {
            open: fact(0),
            lives: fact(1),
            loaded: fact(2),
            waits: fact(3),
            more: kernel >> 5,
            ..Self::NONE
        };
        post.kernel.end.received = usize::from(kernel & 3);
        post.kernel.end.leaving = usize::from(kernel >> 2 & 3);
        post.kernel.end.error = (kernel >> 4 & 1 != 0).then_some(Errno::CONNREFUSED);
        let registered = Directions::READ.when(fact(6)) | Directions::WRITE.when(fact(7));
        post.kernel.interest = fact(4).then(|| Interest {
            queued: fact(5),
            ..Interest::new(Interest::mask_of(registered, Trigger::Level))
        });
        post
    }
}

/// What happens to it between two calls of the driver.
impl World<'_> {
    /// The steps when all behave.
    pub(super) fn tame_datagrams(&self, add: &mut impl FnMut(Step)) {
        if self.post.kernel.end.leaving > 0 {
            add(Step::Network(Network::Takes));
        }
    }

    pub(super) fn reports_datagrams(&self) -> bool {
        self.post.kernel.would_report()
    }

    /// What the network may do.
    pub(super) fn network(&self, add: &mut impl FnMut(Step)) {
        let Post { kernel, lives, .. } = self.post;
        if !lives {
            return;
        }
        let comes = self.settings.few_datagrams.is_none() || self.post.more > 0;
        if comes && kernel.end.received < QUEUE.min(self.settings.arrive as usize) {
            add(Step::Network(Network::Delivers));
        }
        if kernel.end.error.is_none() && !self.settings.shortages {
            add(Step::Network(Network::Refuses));
        }
        if self.turn && kernel.end.leaving > 0 {
            add(Step::Network(Network::Takes));
        }
    }

    /// What the application may call, and the kernel say of it.
    pub(super) fn wild_datagrams(&self, add: &mut impl FnMut(Step)) {
        let Post {
            lives,
            loaded,
            waits,
            ..
        } = self.post;
        let mut call = |call, possible: bool| {
            if possible {
                add(Step::CallSocket(call));
            }
        };
        // It would take the slot of a listener that is gone.
        let adds = !self.post.open && self.listener.is_open();
        call(SocketCall::Add, adds);
        let lives = lives && self.settings.between;
        call(SocketCall::Send, lives && !loaded);
        call(SocketCall::WantCapacity, lives && loaded && !waits);
        call(SocketCall::Close, lives);
        if lives && self.settings.spurious {
            add(Step::SpuriousDatagrams(Directions::READ, false));
            add(Step::SpuriousDatagrams(Directions::WRITE, false));
            add(Step::SpuriousDatagrams(Directions::NONE, true));
        }
    }

    pub(super) fn network_acts(&mut self, act: Network) {
        match act {
            Network::Delivers => {
                self.say(|| "a datagram comes".to_owned());
                self.post.more = self.post.more.saturating_sub(1);
                self.post.kernel.arrive();
            }
            Network::Refuses => {
                self.say(|| "the network says that a datagram was refused".to_owned());
                self.post.kernel.refuse();
            }
            Network::Takes => {
                self.say(|| "the network takes what was sent".to_owned());
                self.post.kernel.take();
            }
        }
    }

    pub(super) fn call_socket(&mut self, call: SocketCall) -> Lawful {
        self.say(|| format!("the application, at the datagram socket: {call:?}"));
        let token = inspect::datagrams();
        let before = self.core.state(token);
        let what = match call {
            SocketCall::Add => {
                let added = self.core.add_datagrams();
                self.post = Post::new(&self.settings);
                // Its slot may be of a later generation until the next image.
                match added {
                    Ok(added) if added.index() == token.index() => What::AddDatagrams,
                    _ => return Err(format!("{added:?}: its slot is free")),
                }
            }
            SocketCall::Send => {
                self.core.queue_datagram(token);
                self.post.loaded = true;
                What::QueueDatagram
            }
            SocketCall::WantCapacity => {
                self.core.want_datagram_capacity(token);
                self.post.waits = true;
                What::WantDatagramCapacity
            }
            SocketCall::Close => {
                self.core.close_datagrams(token);
                self.post = self.post.closing();
                What::CloseDatagrams
            }
        };
        self.seen.saw(before, what, self.core.state(token));
        Ok(())
    }

    /// Forgets what no longer matters.
    pub(super) fn forget_datagrams(&mut self) {
        if inspect::STATES[self.core.state(inspect::datagrams())] == "Closing" {
            self.post = self.post.closing();
        }
        self.post.wait_without_report();
    }
}

/// The driver.
impl World<'_> {
    fn faults_of_datagrams(&self) -> impl Iterator<Item = Outcome> + use<> {
        let shortage = Outcome::Failed(Fault::Exhausted(0));
        let shortage = self.settings.shortages.then_some(shortage);
        self.faults().chain(shortage)
    }

    pub(super) fn receive_datagram(&mut self, token: Token, choices: &mut Choices) -> Lawful {
        let post = self.post;
        if !self.is_datagrams(token) || !post.lives || post.loaded {
            return Err(format!("{token:?} receives: {post:?}"));
        }
        let came = Outcome::Datagram {
            len: 1,
            from: None,
            local: None,
            lost: 0,
        };
        let (mut after, mut dropped) = (post.kernel, post.kernel);
        let honest = by_kind(after.receive().map_or_else(|outcome| outcome, |()| came));
        let mut outcomes: heapless::Vec<Outcome, 16> = heapless::Vec::new();
        outcomes.extend([honest]);
        // Its checksum is wrong: there was input, and a receive finds none (`udp_recvmsg`).
        let spoils = honest == came && !self.settings.shortages;
        outcomes.extend(spoils.then_some(Outcome::Drained(0)));
        outcomes.extend(self.faults_of_datagrams().filter(|fault| *fault != honest));
        if self.settings.every_fault {
            outcomes.extend([Outcome::Complete(1), Outcome::Accepted(None)]);
        }
        let outcome = self.one_of(&outcomes, choices);
        if outcome == honest {
            self.post.kernel = after;
        } else if outcome == Outcome::Drained(0) {
            let _wrong = dropped.receive();
            self.post.kernel = dropped;
        }
        let what = match outcome {
            Outcome::Datagram { .. } => What::DatagramCame,
            Outcome::Drained(_) => What::WouldBlock,
            Outcome::Complete(_) | Outcome::Accepted(_) | Outcome::Failed(_) => went_wrong(outcome),
        };
        let notice = self.answer(token, Op::ReceiveFrom, outcome, what)?;
        let due = outcome == came || is_failure(outcome);
        self.hears(token, outcome, due, notice)?;
        self.answers_datagram(due, choices)
    }

    pub(super) fn send_datagram(&mut self, token: Token, choices: &mut Choices) -> Lawful {
        let post = self.post;
        if !self.is_datagrams(token) || !post.lives || !post.loaded {
            return Err(format!("{token:?} sends: {post:?}"));
        }
        let mut after = post.kernel;
        let honest = by_kind(after.send(1));
        let mut outcomes: heapless::Vec<Outcome, 16> = heapless::Vec::new();
        outcomes.extend([honest]);
        outcomes.extend(self.faults_of_datagrams().filter(|fault| *fault != honest));
        if self.settings.every_fault {
            outcomes.extend([Outcome::Accepted(None)]);
        }
        let outcome = self.one_of(&outcomes, choices);
        if outcome == honest {
            self.post.kernel = after;
        }
        let what = match outcome {
            Outcome::Complete(_) => What::DatagramSent,
            Outcome::Drained(_) => What::SentNot,
            Outcome::Datagram { .. } | Outcome::Accepted(_) | Outcome::Failed(_) => {
                went_wrong(outcome)
            }
        };
        let notice = self.answer(token, Op::SendTo, outcome, what)?;
        let failure = is_failure(outcome);
        let stays = matches!(what, What::SentNot | What::Interrupted);
        self.post.loaded = stays;
        self.hears(token, outcome, failure || !stays && post.waits, notice)?;
        // A session asks when it is notified after a send, and goes on waiting if another has been sent meanwhile.
        if notice.is_none() {
            return Ok(());
        }
        let asked = self.core.take_datagram_request(token);
        let waited = core::mem::take(&mut self.post.waits);
        if asked != (waited && self.post.lives) {
            return Err(format!("the application waits: {asked}, {:?}", self.post));
        }
        self.answers_datagram(failure, choices)?;
        if !waited || !self.post.lives {
            return Ok(());
        }
        if self.post.loaded {
            return self.call_socket(SocketCall::WantCapacity);
        }
        // Of a failure and of capacity.
        self.answers_datagram(true, choices)
    }

    /// The notice of a completion is the one that is due; a broken socket is over with it.
    fn hears(
        &mut self,
        token: Token,
        outcome: Outcome,
        due: bool,
        notice: Option<Notice>,
    ) -> Lawful {
        if notice != due.then_some(Notice::Datagram(token)) {
            return Err(format!(
                "{outcome:?}, and notified {notice:?}: {:?}",
                self.post
            ));
        }
        if let Outcome::Failed(Fault::Invalid(_)) = outcome {
            self.post = Post {
                waits: self.post.waits,
                ..self.post.closing()
            };
        }
        Ok(())
    }

    /// The application reacts to a notice: it answers, with one or with two, does nothing, closes the socket, or sends to a
    /// connection.
    fn answers_datagram(&mut self, notified: bool, choices: &mut Choices) -> Lawful {
        if !notified {
            return Ok(());
        }
        let mut reactions: heapless::Vec<Reaction, 8> = heapless::Vec::new();
        let Post { lives, loaded, .. } = self.post;
        let sends: &[Reaction] = match lives && !loaded {
            true if self.settings.shortages => &[Reaction::Sends, Reaction::Nothing],
            true => &[Reaction::Sends, Reaction::Nothing, Reaction::SendsTwo],
            false => &[Reaction::Nothing],
        };
        reactions.extend(sends.iter().copied());
        reactions.extend((lives && !self.settings.shortages).then_some(Reaction::Closes));
        for at in self.places() {
            let open = self.sockets[at].told && self.core.spare_capacity(self.token(at)).len > 0;
            reactions.extend(open.then_some(Reaction::SendsTo(at)));
        }
        match choices.pick(&reactions) {
            Reaction::Nothing => Ok(()),
            Reaction::Sends => self.call_socket(SocketCall::Send),
            Reaction::SendsTwo => {
                self.call_socket(SocketCall::Send)?;
                self.call_socket(SocketCall::WantCapacity)
            }
            Reaction::Closes => self.call_socket(SocketCall::Close),
            Reaction::SendsTo(at) => self.call(at, Call::Commit),
        }
    }

    pub(super) fn arm_datagrams(
        &mut self,
        token: Token,
        was: Directions,
        (now, trigger): (Directions, Trigger),
        choices: &mut Choices,
    ) -> Lawful {
        let Post { kernel, open, .. } = self.post;
        let known = open && kernel.registered() == was && trigger == Trigger::Level;
        if !known || (was | now).is_empty() {
            return Err(format!(
                "arms {was:?} to {now:?}, {trigger:?}: {:?}",
                self.post
            ));
        }
        self.post.kernel.arm(now, trigger);
        let faults = [None, Some(Fault::Exhausted(0)), Some(Fault::Invalid(0))];
        let most = match (now.is_empty(), self.settings.shortages) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        match self.one_of(&faults[..most], choices) {
            None => Ok(()),
            Some(fault) => {
                self.post.kernel.interest = None;
                self.silently(token, Op::Arm, Outcome::Failed(fault), What::ArmFailed)
            }
        }
    }

    pub(super) fn close_datagrams(&mut self, token: Token, choices: &mut Choices) -> Lawful {
        let post = core::mem::replace(&mut self.post, Post::NONE);
        if !post.open || post.lives || post.kernel.interest.is_some() {
            return Err(format!("closes {post:?}"));
        }
        let outcome = self.one_of(
            &[Outcome::Complete(0), Outcome::Failed(Fault::Unknown(0))],
            choices,
        );
        self.silently(token, Op::Close, outcome, What::Closed)?;
        match inspect::STATES[self.core.state(token)] {
            "Free" => Ok(()),
            state => Err(format!("{token:?} is not freed: {state}")),
        }
    }

    /// A new readiness set has it as the old one had.
    pub(super) fn rebuild_datagrams(&mut self) {
        let token = inspect::datagrams();
        let held = self.core.armed().find(|(armed, ..)| *armed == token);
        self.post.kernel.interest = None;
        if let Some((_, held, trigger)) = held {
            self.post.kernel.arm(held, trigger);
        }
    }

    pub(super) fn is_datagrams(&self, token: Token) -> bool {
        self.settings.datagrams && token.is_listener() && token.index() == DATAGRAMS
    }
}

/// What must hold of it.
impl World<'_> {
    pub(super) fn held_datagrams(&self) -> Option<Held> {
        let token = inspect::datagrams();
        (self.post.open).then(|| Held::of_datagrams(token, &self.post.kernel))
    }

    /// The machine knows what waits; one that lives waits for something, or for the end of a pause; and at rest nothing is left.
    pub(super) fn serves_datagrams(&self, rests: bool) -> Lawful {
        let Post {
            kernel,
            lives,
            loaded,
            waits,
            ..
        } = self.post;
        let token = inspect::datagrams();
        let capacity = self.core.has_datagram_capacity(token);
        if capacity != lives.then_some(!loaded) {
            return Err(format!("it has capacity: {capacity:?}, {:?}", self.post));
        }
        if !lives {
            return Ok(());
        }
        let idle = !self.turn && !self.core.has_work();
        let deaf = self.core.wanted(token).is_empty() || kernel.interest.is_none();
        if idle && deaf && self.core.poll_timeout().is_none() {
            return Err(format!("the datagram socket is deaf: {:?}", self.post));
        }
        let left = kernel.end != Post::NONE.kernel.end || loaded || waits;
        if rests && left {
            return Err(format!("it rests, and datagrams do not: {:?}", self.post));
        }
        Ok(())
    }
}

/// What an application does when it is notified.
#[derive(Clone, Copy)]
enum Reaction {
    Nothing,
    Sends,
    SendsTwo,
    Closes,
    SendsTo(usize),
}

/// The index of the socket: the listener has the first.
const DATAGRAMS: u32 = 1;

/// Whether a completion is notified as a failure.
fn is_failure(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failed(fault) if !matches!(fault, Fault::Interrupted(_)))
}
