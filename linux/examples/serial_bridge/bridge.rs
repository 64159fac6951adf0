//! The handler: which connections are paired, and until when. What is to be done to the line itself is a
//! [`Job`](super::work::Job).

use super::port::Port;
use super::work::{Job, Work};
use alloc::collections::VecDeque;
use core::fmt::Display;
use core::hash::BuildHasher;
use core::time::Duration;
use std::hash::RandomState;
use std::io::Write;
use tidegate::{Backoff, Conn, Connections, Destination, Fault, Handler, Reason, Serial, Token};

/// The timer that opens the line again.
const AGAIN: u32 = 0;
/// The timer that ends a break.
const UNBREAK: u32 = 1;
/// The timer that polls the modem lines, for a client that asked to be notified of changes.
const POLL: u32 = 2;

/// How often that is: what changes for a shorter time is not seen.
const POLL_EVERY: Duration = Duration::from_millis(200);

/// The timer that discards what a client that was cut off has left in the kernel.
const STALE: u32 = 3;

/// How long that is given to get on the line: if the line is held, it must not come out of it minutes later.
const STALE_AFTER: Duration = Duration::from_secs(5);

/// The default length of a break from a telnet client.
const BREAK: Duration = Duration::from_millis(250);

/// Free send capacity of a telnet client before its input is parsed: enough for the reply to one command.
pub(crate) const REPLY_MAX: usize = 64;

/// The command line's rules for clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// A new client replaces the old one.
    pub(crate) take_over: bool,
    /// How long both may be silent after a client's EOF; `None`: no limit.
    pub(crate) half_close: Option<Duration>,
    /// A break of this length is sent when a client comes.
    pub(crate) break_for: Option<Duration>,
}

/// The client that is served.
struct Client {
    token: Token,
    /// It uses telnet: RFC 2217.
    port: Option<Port>,
    /// It has sent EOF.
    ended: bool,
}

/// Passes bytes on between the line and its client.
pub(crate) struct Bridge {
    pub(crate) device: Destination,
    path: String,
    rules: Rules,
    /// The listeners, by index, whose clients use telnet.
    pub(crate) telnet: Vec<u32>,
    pub(crate) line: Option<Token>,
    client: Option<Client>,
    backoff: Backoff,
    /// How the command line wants the line to be set, and how it is set now.
    wanted: Serial<'static>,
    pub(crate) set: Serial<'static>,
    /// What is to be done to the line, in order.
    pub(crate) jobs: VecDeque<Job>,
}

impl Bridge {
    pub(crate) fn new(path: &str, wanted: Serial<'static>, rules: Rules) -> Self {
        Self {
            device: Destination::Registered(u32::MAX), // until it is known
            path: path.to_owned(),
            rules,
            telnet: Vec::new(),
            line: None,
            client: None,
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
            wanted,
            set: wanted,
            jobs: VecDeque::new(),
        }
    }
}

impl Handler for Bridge {
    type State = ();

    fn opened(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let token = conn.token();
        let info = conn.info();
        if info.outbound {
            self.line = Some(token);
            self.set = self.wanted;
            self.jobs.clear();
            self.backoff.reset();
            self.say(&"open");
            for name in info.ignored.names() {
                self.say(&format_args!(
                    "warning: the driver ignores this setting: {name}"
                ));
            }
        } else if self.line.is_some() && self.makes_way(conn) {
            self.serve(conn);
        } else {
            conn.abort();
        }
    }

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        self.hear(conn);
    }

    /// There is send capacity again: the other side has data left for this one, and a client may have been suspended
    /// for its reply.
    fn writable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        if let Some(other) = self.other(conn) {
            conn.with(other, |from| self.hear(from));
        }
        if self.is_client(conn) {
            self.hear(conn);
        }
    }

    /// The device's reply to a client that has sent EOF is still to come.
    fn ended(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        match &mut self.client {
            Some(client) if client.token == conn.token() => {
                client.ended = true;
                if let Some(silence) = self.rules.half_close {
                    conn.set_timer(silence);
                }
            }
            _ => conn.finish(),
        }
    }

    /// Both have been silent since the client's EOF; unless the line is backpressured, or the client.
    fn timer(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let line = self
            .line
            .and_then(|line| conn.with(line, |line| is_busy(line)));
        match self.rules.half_close {
            Some(silence) if is_busy(conn) || line == Some(true) => conn.set_timer(silence),
            // A slow line takes minutes to send what the kernel has queued: that is checked first.
            Some(_) => self.jobs.push_back(Job::new(Work::Rest)),
            None => conn.finish(),
        }
    }

    fn closed(&mut self, conn: &mut Conn<'_>, (): &mut (), reason: Reason) {
        if conn.info().outbound {
            self.line = None;
            if let Some(client) = &self.client {
                conn.with(client.token, |client| client.finish());
            }
            self.say(&format_args!("closed: {reason}{}", hint(reason)));
            self.try_again(conn.all());
        } else if self.is_client(conn) {
            if !matches!(reason, Reason::PeerFinished | Reason::Finished) {
                let _ = conn.all().set_timer(STALE, STALE_AFTER); // there are more than four
            }
            self.let_go(conn);
        }
    }

    fn tick(&mut self, all: &mut Connections<'_>, timer: u32, _: u64) {
        match timer {
            UNBREAK => self.jobs.push_back(Job::new(Work::Break(false))),
            POLL => self.jobs.push_back(Job::new(Work::Poll { now: false })),
            STALE if self.client.is_some() => {}
            STALE => self.jobs.push_back(Job::new(Work::PurgeStale)),
            // All slots are taken by connections that are being refused.
            _ => {
                if let Err(error) = all.connect(self.device) {
                    self.say(&error);
                    self.try_again(all);
                }
            }
        }
    }
}

/// The client that is served.
impl Bridge {
    fn is_client(&self, conn: &Conn<'_>) -> bool {
        let client = self.client.as_ref();
        client.is_some_and(|client| client.token == conn.token())
    }

    /// The other side of the pair, if this is the line or its client.
    fn other(&self, conn: &Conn<'_>) -> Option<Token> {
        if self.line == Some(conn.token()) {
            self.client.as_ref().map(|client| client.token)
        } else if self.is_client(conn) {
            self.line
        } else {
            None
        }
    }

    /// Whether there is no client, or the present one yields to this one: because it is to be taken over, or it has
    /// sent EOF, all its data is on the line, and only a reply could still come.
    fn makes_way(&mut self, conn: &mut Conn<'_>) -> bool {
        let Some(old) = &self.client else { return true };
        let (token, ended) = (old.token, old.ended);
        let busy = |of| conn.with(of, |conn| is_busy(conn)) == Some(true);
        let waits = ended && ![Some(token), self.line].into_iter().flatten().any(busy);
        if !waits && !self.rules.take_over {
            return false;
        }
        conn.with(token, |old| {
            if waits {
                old.finish();
            } else {
                old.abort();
            }
        });
        self.let_go(conn);
        if !waits {
            // It is cut off: its data that is not on the line yet must not mix with the new client's.
            let purge = Work::Purge {
                input: false,
                output: true,
            };
            self.jobs.push_back(Job::new(purge));
        }
        true
    }

    fn serve(&mut self, conn: &mut Conn<'_>) {
        let token = conn.token();
        let telnet = self.telnet.contains(&conn.listener());
        let port = telnet.then(|| Port::new(&self.set));
        if port.is_some() {
            // The window is new, and much larger.
            let _ = conn.send(&super::telnet::Options::OFFER);
            let _ = conn.all().set_interval(POLL, POLL_EVERY); // there are more than three
        }
        self.client = Some(Client {
            token,
            port,
            ended: false,
        });
        if let Some(length) = self.rules.break_for {
            self.send_break(conn.all(), length);
        }
    }

    /// The client is gone, or another one is served.
    fn let_go(&mut self, conn: &mut Conn<'_>) {
        let port = self.client.take().and_then(|client| client.port);
        conn.all().cancel_timer(POLL);
        self.jobs
            .retain(|job| matches!(job.work, Work::Break(false)));
        if let Some(port) = port {
            // The next one finds the line as the command line has it.
            let wires = port.restore(&self.wanted);
            let all = wires.into_iter().flatten().chain([Work::Set(self.wanted)]);
            self.jobs.extend(all.map(Job::new));
        }
        if let Some(line) = self.line {
            // It may have been backpressured by the client.
            conn.with(line, |line| {
                line.consume(line.data().len());
                line.resume();
            });
        }
    }

    fn try_again(&mut self, all: &mut Connections<'_>) {
        // Keys that are new each time, from the system: as random as this needs to be.
        let wait = self.backoff.next(RandomState::new().hash_one(()));
        let _ = all.set_timer(AGAIN, wait); // there are more than one
    }

    pub(crate) fn say(&self, what: &dyn Display) {
        // If stdout is closed, the bridge goes on.
        let _ = writeln!(std::io::stdout(), "{}: {what}", self.path);
    }
}

/// Bytes.
impl Bridge {
    /// Forwards what was received, as far as there is send capacity. The rest stays in the window, and receiving is
    /// suspended until there is capacity.
    fn hear(&mut self, from: &mut Conn<'_>) {
        let Some(to) = self.other(from) else {
            // Data from the line without a client, or from a client that is being refused.
            from.consume(from.data().len());
            return from.resume();
        };
        let before = from.data().len();
        let comes_from_line = self.line == Some(from.token());
        if !comes_from_line && self.is_clearing() {
            // It goes on when that is done.
            return from.pause();
        }
        let client = self.client.as_mut();
        let port = client.and_then(|client| client.port.as_mut());
        match port {
            None => pass_on(from, to),
            Some(port) if comes_from_line => port.say(from, to),
            Some(_) => self.obey(from, to),
        }
        // Data after the client's EOF postpones the end of both.
        if before > from.data().len()
            && let Some(client) = &self.client
            && client.ended
            && let Some(silence) = self.rules.half_close
        {
            let token = client.token;
            from.all().set_timer_of(token, silence);
        }
    }

    /// Forwards a telnet client's data to the line, and executes its commands: each command when the data before it is
    /// forwarded, and nothing after it before it is done.
    fn obey(&mut self, from: &mut Conn<'_>, line: Token) {
        loop {
            let client = self.client.as_mut();
            let Some(port) = client.and_then(|client| client.port.as_mut()) else {
                return;
            };
            if from.data().is_empty() && !port.waits {
                return from.resume();
            }
            let capacity = from.with(line, |line| line.capacity()).unwrap_or(0);
            if port.waits || capacity == 0 || from.capacity() < REPLY_MAX {
                if capacity == 0 {
                    from.with(line, |line| line.want_capacity(1));
                }
                from.want_capacity(REPLY_MAX);
                return from.pause();
            }
            let (now, data) = (self.set, from.data());
            let (n, heard) = port.hear(data, capacity, &now);
            from.consume(n);
            match heard {
                super::port::Heard::Data(bytes) => {
                    from.with(line, |line| line.send(bytes));
                }
                super::port::Heard::Say(bytes) => {
                    // The capacity was reserved above.
                    let _ = from.send(&bytes);
                }
                super::port::Heard::Do(job) => {
                    port.waits = true;
                    self.jobs.push_back(job);
                }
                super::port::Heard::Break => {
                    let length = self.rules.break_for.unwrap_or(BREAK);
                    self.send_break(from.all(), length);
                }
                super::port::Heard::Resume => {
                    from.with(line, |line| self.hear(line));
                }
                super::port::Heard::Nothing => {}
            }
        }
    }

    /// Whether the line is still to be cleared of the last client: the next one's data comes after that.
    pub(crate) fn is_clearing(&self) -> bool {
        self.jobs.iter().any(Job::clears)
    }

    /// The line is cleared.
    pub(crate) fn go_on(&mut self, conn: &mut Conn<'_>) {
        self.hear(conn);
    }

    fn send_break(&mut self, all: &mut Connections<'_>, length: Duration) {
        self.jobs.push_back(Job::new(Work::Break(true)));
        let _ = all.set_timer(UNBREAK, length); // there are more than two
    }

    /// A job is done: the client gets its reply, and its input is parsed on.
    pub(crate) fn reply(&mut self, conn: &mut Conn<'_>, bytes: &[u8], waited: bool) {
        let client = self.client.as_mut();
        if let Some(port) = client.and_then(|client| client.port.as_mut()) {
            // A reply that is waited for has its capacity: nothing else takes the last `REPLY_MAX` bytes.
            if waited || conn.capacity() >= bytes.len() + REPLY_MAX {
                let _ = conn.send(bytes);
            }
            if waited {
                port.waits = false;
                self.hear(conn);
            }
        }
    }

    /// The kernel has sent all of the client's data, or has not yet: then it is checked again later.
    pub(crate) fn rest(&mut self, conn: &mut Conn<'_>, unsent: bool) {
        match self.rules.half_close {
            Some(silence) if unsent => conn.set_timer(silence),
            Some(_) | None => conn.finish(),
        }
    }

    /// The client that is served.
    pub(crate) fn client(&self) -> Option<Token> {
        self.client.as_ref().map(|client| client.token)
    }

    /// The client, if it has sent EOF.
    pub(crate) fn ended_client(&self) -> Option<Token> {
        let client = self.client.as_ref()?;
        client.ended.then_some(client.token)
    }

    /// The client and its port, if it uses telnet.
    pub(crate) fn port(&mut self) -> Option<(Token, &mut Port)> {
        let client = self.client.as_mut()?;
        Some((client.token, client.port.as_mut()?))
    }
}

/// Whether it has data that is not forwarded yet, or something to send.
fn is_busy(conn: &Conn<'_>) -> bool {
    !conn.data().is_empty() || conn.capacity() < super::SEND
}

/// A remedy for a line that cannot be opened, where the error number alone does not suggest it.
fn hint(reason: Reason) -> &'static str {
    // ERANGE and ENOTTY.
    let [speed, device] = [34, 25].map(|code| Reason::Failed(Fault::Invalid(code)));
    if reason == speed {
        ": the driver's speed is more than 3 % off; choose a --speed that it has"
    } else if reason == device {
        ": no serial line; choose another --device"
    } else {
        ""
    }
}

/// Forwards what was received to `to`, as far as its send capacity goes. The rest stays in the window, and receiving is
/// suspended until `to` is writable.
fn pass_on(from: &mut Conn<'_>, to: Token) {
    let data = from.data();
    let sent = from.with(to, |to| {
        let n = data.len().min(to.capacity());
        let sent = to.send(&data[..n]).map_or(0, |()| n);
        to.want_capacity(data.len() - sent);
        sent
    });
    from.consume(sent.unwrap_or(0));
    if from.data().is_empty() {
        from.resume();
    } else {
        from.pause();
    }
}
