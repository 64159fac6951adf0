//! The telnet protocol as far as a serial line needs it (RFC 854, 855, 856, 858): what is data, what is a command, and
//! which options are on. Pure, in fixed memory: any piece of input is taken, one byte or many.

/// Interpret as command.
pub(crate) const IAC: u8 = 255;
pub(crate) const DONT: u8 = 254;
pub(crate) const DO: u8 = 253;
pub(crate) const WONT: u8 = 252;
pub(crate) const WILL: u8 = 251;
/// Subnegotiation begins, and ends.
pub(crate) const SB: u8 = 250;
pub(crate) const SE: u8 = 240;
/// Are you there; break.
pub(crate) const AYT: u8 = 246;
pub(crate) const BRK: u8 = 243;

/// Options: eight bits, echo, no go-aheads, and the serial port (RFC 2217).
pub(crate) const BINARY: u8 = 0;
pub(crate) const ECHO: u8 = 1;
pub(crate) const SGA: u8 = 3;
pub(crate) const COM_PORT: u8 = 44;

/// Bytes of the longest subnegotiation that is kept; a longer one is discarded whole.
pub(crate) const LONGEST: usize = 64;

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event<'d, 's> {
    /// Bytes for the line. As many of them as were consumed have been taken.
    Data(&'d [u8]),
    /// `WILL`, `WONT`, `DO` or `DONT`, and the option.
    Option(u8, u8),
    /// Another command.
    Command(u8),
    /// A subnegotiation: its option, and what follows.
    Sub(&'s [u8]),
    /// Nothing yet: the input is at its end.
    Nothing,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Data,
    /// After a CR, without `BINARY`: a NUL behind it marks it as a bare CR.
    Return,
    Command,
    Option(u8),
    Sub,
    SubCommand,
}

/// Takes telnet apart.
#[derive(Clone, Debug)]
pub(crate) struct Parser {
    state: State,
    sub: [u8; LONGEST],
    /// Bytes of the subnegotiation so far; more than [`LONGEST`]: it is discarded.
    len: usize,
}

impl Parser {
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Data,
            sub: [0; LONGEST],
            len: 0,
        }
    }

    /// The next event in `input`, and how many bytes of it are consumed. Data is at most `limit` bytes, not 0. `binary`:
    /// the peer sends eight bits ([`BINARY`]), so that a CR is a byte like any other. Work: the bytes consumed.
    pub(crate) fn next<'d>(
        &mut self,
        input: &'d [u8],
        limit: usize,
        binary: bool,
    ) -> (usize, Event<'d, '_>) {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            at += 1;
            match self.state {
                State::Return if byte == 0 => self.state = State::Data,
                State::Data | State::Return if byte == IAC => self.state = State::Command,
                State::Data | State::Return => {
                    let rest = input.get(at - 1..).unwrap_or(&[]);
                    let data = run(rest, limit, binary);
                    let returns = !binary && data.last() == Some(&b'\r');
                    self.state = if returns { State::Return } else { State::Data };
                    return (at - 1 + data.len(), Event::Data(data));
                }
                State::Command => match byte {
                    IAC => {
                        self.state = State::Data;
                        return (at, Event::Data(&[IAC]));
                    }
                    SB => (self.state, self.len) = (State::Sub, 0),
                    WILL | WONT | DO | DONT => self.state = State::Option(byte),
                    command => {
                        self.state = State::Data;
                        return (at, Event::Command(command));
                    }
                },
                State::Option(verb) => {
                    self.state = State::Data;
                    return (at, Event::Option(verb, byte));
                }
                State::Sub if byte == IAC => self.state = State::SubCommand,
                State::Sub => self.keep(byte),
                State::SubCommand => match byte {
                    IAC => {
                        self.keep(IAC);
                        self.state = State::Sub;
                    }
                    SE => {
                        self.state = State::Data;
                        if self.len <= LONGEST {
                            return (at, Event::Sub(self.sub.get(..self.len).unwrap_or(&[])));
                        }
                    }
                    // Another command cuts it off, and is what it is.
                    _ => {
                        self.state = State::Command;
                        at -= 1;
                    }
                },
            }
        }
        (at, Event::Nothing)
    }

    fn keep(&mut self, byte: u8) {
        if let Some(entry) = self.sub.get_mut(self.len) {
            *entry = byte;
        }
        self.len = self.len.saturating_add(1);
    }
}

/// The data that `input` begins with: up to a command, and up to a CR unless `binary`.
fn run(input: &[u8], limit: usize, binary: bool) -> &[u8] {
    let input = input.get(..limit.max(1)).unwrap_or(input);
    let len = match input
        .iter()
        .position(|&b| b == IAC || (!binary && b == b'\r'))
    {
        Some(at) if input.get(at) == Some(&IAC) => at,
        Some(at) => at + 1,
        None => input.len(),
    };
    input.get(..len).unwrap_or(input)
}

/// Gives `data` to `send`, with each IAC doubled, up to `capacity` bytes. Returns how many bytes of `data` that are.
pub(crate) fn escape(data: &[u8], mut capacity: usize, mut send: impl FnMut(&[u8])) -> usize {
    let mut rest = data;
    while let Some(&first) = rest.first() {
        let taken = if first == IAC {
            if capacity < 2 {
                break;
            }
            send(&[IAC, IAC]);
            capacity -= 2;
            1
        } else {
            let len = rest.iter().position(|&b| b == IAC).unwrap_or(rest.len());
            let piece = rest.get(..len.min(capacity)).unwrap_or(rest);
            if piece.is_empty() {
                break;
            }
            send(piece);
            capacity -= piece.len();
            piece.len()
        };
        rest = rest.get(taken..).unwrap_or(&[]);
    }
    data.len() - rest.len()
}

/// One side of an option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Off,
    /// Requested by us.
    Asked,
    On,
}

/// The options that are on, at our side and at the peer's (RFC 1143, without its queue: an option that was requested
/// once is never withdrawn).
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Our side of each option, by [`index_of`].
    ours: [Side; 4],
    theirs: [Side; 4],
}

/// The index of a known option.
const fn index_of(option: u8) -> Option<usize> {
    match option {
        BINARY => Some(0),
        ECHO => Some(1),
        SGA => Some(2),
        COM_PORT => Some(3),
        _ => None,
    }
}

impl Options {
    /// The first bytes to a client: it types without an echo of its own, eight bits both ways, and uses the port
    /// option.
    pub(crate) const OFFER: [u8; 18] = [
        IAC, WILL, BINARY, IAC, DO, BINARY, IAC, WILL, ECHO, IAC, WILL, SGA, IAC, DO, SGA, IAC, DO,
        COM_PORT,
    ];

    /// As they are after the [`OFFER`](Self::OFFER).
    pub(crate) const fn offered() -> Self {
        Self {
            ours: [Side::Asked, Side::Asked, Side::Asked, Side::Off],
            theirs: [Side::Asked, Side::Off, Side::Asked, Side::Asked],
        }
    }

    /// Whether the peer sends eight bits.
    pub(crate) fn receives_binary(&self) -> bool {
        matches!(self.theirs, [Side::On, ..])
    }

    /// Whether the peer uses the port option.
    pub(crate) fn has_port(&self) -> bool {
        matches!(self.theirs, [.., Side::On]) || matches!(self.ours, [.., Side::On])
    }

    /// Handles the peer's negotiation of an option. Returns the reply, if there is one: never to a reply of ours, so
    /// that it terminates.
    pub(crate) fn hear(&mut self, verb: u8, option: u8) -> Option<[u8; 3]> {
        let asked = matches!(verb, WILL | DO);
        let theirs = matches!(verb, WILL | WONT);
        let (yes, no) = if theirs { (DO, DONT) } else { (WILL, WONT) };
        let sides = if theirs {
            &mut self.theirs
        } else {
            &mut self.ours
        };
        // The peer does not echo what it receives.
        let known = index_of(option).filter(|_| !(theirs && option == ECHO));
        let side = known.and_then(|index| sides.get_mut(index));
        let Some(side) = side else {
            return asked.then_some([IAC, no, option]);
        };
        let before = *side;
        *side = if asked { Side::On } else { Side::Off };
        match (before, asked) {
            (Side::Off, true) => Some([IAC, yes, option]),
            (Side::On, false) => Some([IAC, no, option]),
            (Side::Asked, _) | (Side::On, true) | (Side::Off, false) => None,
        }
    }
}
