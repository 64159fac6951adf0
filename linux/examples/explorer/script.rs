//! [`Script`]: what clients do, and what the program on the server does, step by step.

use core::fmt;
use tidegate_sim::EpollFlags;

/// How scripts are written, for people.
pub(crate) const GRAMMAR: &str = "\
A script is steps between semicolons; `client:`, `client 2:` or `server:` before a step names the actor of it and of those after it.
Clients are connected before the first step, unless their first one is `connect`.

  client: connect          connects, and waits to be accepted
  client: send N           sends N bytes: letters of the alphabet, so that one sees which arrive
  client: flood N          sends N bytes, and as many again whenever the server reads some
  client: finish           sends its end, and could still receive
  client: close | reset    closes, or resets the connection

  server: ask in rdhup out what connections are registered for; `in` if not said; before all other steps of the server
  server: wait             polls the kernel once, without waiting
  server: read N [from K]  receives once, at most N bytes, from client K (1 if not said)
  server: drain [N] [from K]  receives until it would block, N bytes at a time (4096), 16 times at most
  server: accept           accepts one connection, and registers it
  server: arm [K]          registers it again as it is (EPOLL_CTL_MOD)
  server: close [K]        closes it
  server: serve N          one round of the text's program: waits, accepts one client where the listener is reported,
                           receives N bytes once where exactly IN is reported, and passes over anything else
";

/// Steps of a script, at most.
const STEPS: usize = 64;
/// Clients of a script, at most.
pub(crate) const CLIENTS: usize = 9;
/// Bytes of a step, at most.
const BYTES: usize = 4096;

/// Steps, in order, and what connections are registered for.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) ask: EpollFlags,
    pub(crate) clients: usize,
}

/// One step. Clients are counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Client(usize, Act),
    Server(Verb),
}

/// What a client does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    Connect,
    Send(usize),
    Flood(usize),
    Finish,
    Close,
    Reset,
}

/// What the program does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verb {
    Wait,
    Read { bytes: usize, from: usize },
    Drain { bytes: usize, from: usize },
    Accept,
    Arm(usize),
    Close(usize),
    Serve(usize),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Client(client, act) => write!(f, "client {}: {act}", client + 1),
            Self::Server(verb) => write!(f, "server: {verb}"),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Send(bytes) => write!(f, "send {bytes}"),
            Self::Flood(bytes) => write!(f, "flood {bytes}"),
            Self::Finish => f.write_str("finish"),
            Self::Close => f.write_str("close"),
            Self::Reset => f.write_str("reset"),
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait => f.write_str("wait"),
            Self::Read { bytes, from } => write!(f, "read {bytes} from {}", from + 1),
            Self::Drain { bytes, from } => write!(f, "drain {bytes} from {}", from + 1),
            Self::Accept => f.write_str("accept"),
            Self::Arm(client) => write!(f, "arm {}", client + 1),
            Self::Close(client) => write!(f, "close {}", client + 1),
            Self::Serve(bytes) => write!(f, "serve {bytes}"),
        }
    }
}

/// A script that means nothing: what is wrong, where, and what would be right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wrong {
    /// The number of the step, from 1, and its text; 0 is the whole script.
    step: usize,
    text: String,
    why: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.step == 0 {
            return write!(f, "the script: {}", self.why);
        }
        write!(
            f,
            "step {} of the script, `{}`: {}",
            self.step, self.text, self.why
        )
    }
}

impl core::error::Error for Wrong {}

impl Script {
    /// Reads a script.
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        let mut script = Self {
            text: text.trim().to_owned(),
            steps: Vec::new(),
            ask: EpollFlags::IN,
            clients: 0,
        };
        let mut actor = None;
        let mut asks = true;
        let mut numbers = Vec::new();
        let parts = text.split([';', '\n']).map(str::trim);
        for (number, part) in parts.filter(|part| !part.is_empty()).enumerate() {
            let wrong = |why: String| Wrong {
                step: number + 1,
                text: part.to_owned(),
                why,
            };
            let step = match part.split_once(':') {
                Some((who, step)) => {
                    actor = Some(read_actor(who).map_err(wrong)?);
                    step
                }
                None => part,
            };
            let mut words = Words::new(step);
            match actor {
                None => {
                    return Err(wrong(
                        "say who does it: `client: …` or `server: …`".to_owned(),
                    ));
                }
                Some(Some(client)) => {
                    let act = words.act().map_err(wrong)?;
                    script.clients = script.clients.max(client + 1);
                    script.steps.push(Step::Client(client, act));
                }
                Some(None) if words.is_next("ask") => {
                    if !asks {
                        let why = "`ask` comes before all other steps of the server, and once";
                        return Err(wrong(why.to_owned()));
                    }
                    script.ask = words.ask().map_err(wrong)?;
                    asks = false;
                }
                Some(None) => {
                    let verb = words.verb().map_err(wrong)?;
                    script.steps.push(Step::Server(verb));
                    asks = false;
                }
            }
            words.end().map_err(wrong)?;
            numbers.resize(script.steps.len(), number + 1);
            if script.steps.len() > STEPS {
                return Err(wrong(format!("it is too long: {STEPS} steps are taken")));
            }
        }
        script.check(&numbers)?;
        Ok(script)
    }

    /// Whether a client connects by a step of its own.
    pub(crate) fn connects(&self, client: usize) -> bool {
        self.steps.contains(&Step::Client(client, Act::Connect))
    }

    /// Whether the program waits for readiness.
    pub(crate) fn waits(&self) -> bool {
        let asks = |step: &Step| matches!(step, Step::Server(Verb::Wait | Verb::Serve(_)));
        self.steps.iter().any(asks)
    }

    /// How many bytes its last `serve` receives.
    pub(crate) fn serves(&self) -> Option<usize> {
        self.steps.iter().rev().find_map(|step| match *step {
            Step::Server(Verb::Serve(bytes)) => Some(bytes),
            Step::Server(_) | Step::Client(..) => None,
        })
    }

    /// How many bytes the program reads at a time, if it is always the same number.
    pub(crate) fn piece(&self) -> Option<usize> {
        let mut pieces = self.steps.iter().filter_map(|step| match *step {
            Step::Server(
                Verb::Read { bytes, .. } | Verb::Drain { bytes, .. } | Verb::Serve(bytes),
            ) => Some(bytes),
            Step::Server(Verb::Wait | Verb::Accept | Verb::Arm(_) | Verb::Close(_))
            | Step::Client(..) => None,
        });
        let first = pieces.next()?;
        pieces.all(|piece| piece == first).then_some(first)
    }

    /// Whether the script is possible; `numbers` are those of its steps as they were written.
    fn check(&self, numbers: &[usize]) -> Result<(), Wrong> {
        if !self
            .steps
            .iter()
            .any(|step| matches!(step, Step::Client(..)))
        {
            return Err(Wrong {
                step: 0,
                text: String::new(),
                why: "no step does anything to the server; begin with `client: send 6`".to_owned(),
            });
        }
        let mut gone = [false; CLIENTS];
        let mut finished = [false; CLIENTS];
        for (number, step) in self.steps.iter().enumerate() {
            let wrong = |why: String| Wrong {
                step: numbers.get(number).copied().unwrap_or(0),
                text: step.to_string(),
                why,
            };
            match *step {
                Step::Client(client, _) if gone.get(client) == Some(&true) => {
                    let client = client + 1;
                    return Err(wrong(format!("client {client} is gone by then")));
                }
                Step::Client(client, Act::Connect) => {
                    let others = self.steps.get(..number).unwrap_or(&[]);
                    let acted =
                        |step: &Step| matches!(step, Step::Client(who, _) if *who == client);
                    if others.iter().any(acted) {
                        return Err(wrong(format!(
                            "client {} is connected by then; `connect` is its first step",
                            client + 1
                        )));
                    }
                }
                Step::Client(client, act) => {
                    let sends = matches!(act, Act::Send(_) | Act::Flood(_) | Act::Finish);
                    if sends && finished.get(client) == Some(&true) {
                        return Err(wrong(format!("client {} has sent its end", client + 1)));
                    }
                    if let (Act::Finish, Some(finished)) = (act, finished.get_mut(client)) {
                        *finished = true;
                    }
                    if let (Act::Close | Act::Reset, Some(gone)) = (act, gone.get_mut(client)) {
                        *gone = true;
                    }
                }
                Step::Server(
                    Verb::Read { from, .. }
                    | Verb::Drain { from, .. }
                    | Verb::Arm(from)
                    | Verb::Close(from),
                ) if from >= self.clients => {
                    let (client, clients) = (from + 1, self.clients);
                    return Err(wrong(format!(
                        "there is no client {client}: the script has {clients}"
                    )));
                }
                Step::Server(_) => {}
            }
        }
        Ok(())
    }
}

/// `client`, `client 2` (returned as 1) or `server` (returned as `None`).
fn read_actor(text: &str) -> Result<Option<usize>, String> {
    let mut words = Words::new(text);
    let actor = match words.next() {
        Some("server") => None,
        Some("client") => Some(words.client()?),
        _ => {
            let who = text.trim();
            return Err(format!(
                "there is no `{who}`; there are `client`, `client 2` and `server`"
            ));
        }
    };
    words.end()?;
    Ok(actor)
}

/// The words of a step that are not read yet.
struct Words<'a> {
    left: core::iter::Peekable<core::str::SplitWhitespace<'a>>,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        let left = text.split_whitespace().peekable();
        Self { left }
    }

    fn next(&mut self) -> Option<&'a str> {
        self.left.next()
    }

    fn is_next(&mut self, word: &str) -> bool {
        self.left.peek() == Some(&word)
    }

    fn act(&mut self) -> Result<Act, String> {
        Ok(match self.next() {
            Some("connect") => Act::Connect,
            Some("send") => Act::Send(self.bytes()?),
            Some("flood") => Act::Flood(self.bytes()?),
            Some("finish") => Act::Finish,
            Some("close") => Act::Close,
            Some("reset") => Act::Reset,
            other => {
                let other = other.unwrap_or("nothing");
                return Err(format!(
                    "a client knows no `{other}`; it knows connect, send N, flood N, finish, close and reset"
                ));
            }
        })
    }

    fn verb(&mut self) -> Result<Verb, String> {
        Ok(match self.next() {
            Some("wait") => Verb::Wait,
            Some("accept") => Verb::Accept,
            Some("read") => Verb::Read {
                bytes: self.bytes()?,
                from: self.from()?,
            },
            Some("drain") => Verb::Drain {
                bytes: if self.left.peek().is_some_and(|word| *word != "from") {
                    self.bytes()?
                } else {
                    BYTES
                },
                from: self.from()?,
            },
            Some("arm") => Verb::Arm(self.client()?),
            Some("close") => Verb::Close(self.client()?),
            Some("serve") => Verb::Serve(self.bytes()?),
            other => {
                let other = other.unwrap_or("nothing");
                return Err(format!(
                    "the server knows no `{other}`; it knows ask, wait, read N, drain, accept, arm, close and serve N"
                ));
            }
        })
    }

    fn ask(&mut self) -> Result<EpollFlags, String> {
        self.next();
        let mut ask = EpollFlags::NONE;
        while let Some(word) = self.next() {
            ask |= match word {
                "in" => EpollFlags::IN,
                "rdhup" => EpollFlags::RDHUP,
                "out" => EpollFlags::OUT,
                _ => {
                    return Err(format!(
                        "`{word}` cannot be asked for; in, rdhup and out can"
                    ));
                }
            };
        }
        if ask.is_empty() {
            return Err("say what for: in, rdhup, out".to_owned());
        }
        Ok(ask)
    }

    fn bytes(&mut self) -> Result<usize, String> {
        let Some(word) = self.next() else {
            return Err(format!("how many bytes? 1 to {BYTES}"));
        };
        let bytes = word
            .parse()
            .ok()
            .filter(|bytes| (1..=BYTES).contains(bytes));
        bytes.ok_or_else(|| format!("`{word}` is not a number of bytes from 1 to {BYTES}"))
    }

    fn from(&mut self) -> Result<usize, String> {
        if self.is_next("from") {
            self.next();
            if self.left.peek().is_none() {
                return Err(format!("from whom? `from 1` to `from {CLIENTS}`"));
            }
        }
        self.client()
    }

    /// The number of a client, 1 if none is there.
    fn client(&mut self) -> Result<usize, String> {
        let Some(word) = self.next() else {
            return Ok(0);
        };
        let number = word
            .parse()
            .ok()
            .filter(|number| (1..=CLIENTS).contains(number));
        let number = number.ok_or_else(|| format!("`{word}` is not a client from 1 to {CLIENTS}"));
        number.map(|number: usize| number - 1)
    }

    fn end(&mut self) -> Result<(), String> {
        match self.next() {
            Some(word) => Err(format!("`{word}` is too much; separate steps by `;`")),
            None => Ok(()),
        }
    }
}
