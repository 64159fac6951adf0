//! Where a command of redis' protocol ends, its words, and what is wrong with what is none.
//!
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>: `*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n`, or an inline
//! command, which is a line of words. Errors have the names that Redis 7 gives them (`networking.c`); the connection is
//! closed after each, because the start of the next command is unknown.

use core::{fmt, str};
use heapless::{String, Vec};
use tidegate::framing::{Decoded, Decoder, FrameError, Lines};
use tidegate::{Escaped, Instant};

/// Bytes of the longest command, all of it counted.
pub(crate) const COMMAND: usize = 4000;

/// The most arguments of an array: the shortest, `$0\r\n\r\n`, has six bytes.
const ARRAY: usize = COMMAND / 6;

/// The most words of an inline command: the shortest has one byte, and a space after it.
const WORDS: usize = COMMAND / 2;

/// Bytes of the longest header, `$12\r\n`: a number of 64 bits fits.
const HEADER: usize = 32;

/// Bytes that are no command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProtocolError {
    /// The header of an array holds no number, or one beyond 2³¹ − 1.
    MultibulkLength,
    /// More arguments than a command has here.
    TooManyArguments,
    /// The header of an argument holds no number or a negative one, or the argument does not end at its length.
    BulkLength,
    /// The argument would make the command longer than it can be here.
    TooLong,
    /// The header of an array has no end.
    MultibulkCount,
    /// The header of an argument has no end.
    BulkCount,
    /// Something else stands where an argument must begin.
    Expected(u8),
    /// An inline command that is too long.
    Inline,
    /// An inline command with unbalanced quotes, or quotes closed within a word.
    Quotes,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ERR Protocol error: ")?;
        match self {
            Self::MultibulkLength => f.write_str("invalid multibulk length"),
            Self::TooManyArguments => {
                write!(
                    f,
                    "invalid multibulk length: at most {ARRAY} arguments are taken"
                )
            }
            Self::BulkLength => f.write_str("invalid bulk length"),
            Self::TooLong => {
                write!(
                    f,
                    "invalid bulk length: at most {COMMAND} bytes of a command are taken"
                )
            }
            Self::MultibulkCount => f.write_str("too big mbulk count string"),
            Self::BulkCount => f.write_str("too big bulk count string"),
            Self::Expected(byte) => write!(f, "expected '$', got '{}'", Escaped(&[*byte])),
            Self::Inline => {
                write!(
                    f,
                    "too big inline request: at most {COMMAND} bytes are taken"
                )
            }
            Self::Quotes => f.write_str("unbalanced quotes in request"),
        }?;
        f.write_str("; closed")
    }
}

/// The framing. The message is all of the command; [`Words::split`] takes it apart.
pub(crate) struct Resp;

/// How far a command was read. A header that has not come whole is read again, which is at most [`HEADER`] bytes.
#[derive(Default)]
pub(crate) struct Progress {
    /// Where the next argument begins; 0 before the first.
    at: usize,
    /// Arguments still to come.
    arguments: usize,
    line: tidegate::framing::Progress,
    /// What was wrong, after an error.
    error: Option<ProtocolError>,
}

impl Progress {
    /// What was wrong with what [`Resp`] could not decode.
    pub(crate) fn error(&self) -> ProtocolError {
        self.error.unwrap_or(ProtocolError::MultibulkLength)
    }

    /// The bytes of the first command; `None` if it has not come whole.
    fn frame(&mut self, data: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if self.at == 0 {
            let (arguments, at) = match Header::read(data) {
                Header::Incomplete => return Ok(None),
                Header::Endless => return Err(ProtocolError::MultibulkCount),
                Header::Whole { number, end } => (number, end),
            };
            let most = i64::from(i32::MAX);
            let arguments = arguments.filter(|arguments| *arguments <= most);
            let arguments = arguments.ok_or(ProtocolError::MultibulkLength)?;
            // `*0` and `*-1` are commands without a word.
            self.arguments = usize::try_from(arguments).unwrap_or(0);
            self.at = at;
            if self.arguments > ARRAY {
                return Err(ProtocolError::TooManyArguments);
            }
        }
        while self.arguments > 0 {
            let rest = data.get(self.at..).unwrap_or(&[]);
            match rest.first() {
                None => return Ok(None),
                Some(b'$') => {}
                Some(other) => return Err(ProtocolError::Expected(*other)),
            }
            let (length, at) = match Header::read(rest) {
                Header::Incomplete => return Ok(None),
                Header::Endless => return Err(ProtocolError::BulkCount),
                Header::Whole { number, end } => (number, end),
            };
            let length = length.and_then(|length| usize::try_from(length).ok());
            let length = length.ok_or(ProtocolError::BulkLength)?;
            let end = self.at.saturating_add(at).saturating_add(length);
            let end = end.saturating_add(2);
            if end > COMMAND {
                return Err(ProtocolError::TooLong);
            }
            match data.get(end - 2..end) {
                Some(b"\r\n") => self.at = end,
                Some(_) => return Err(ProtocolError::BulkLength),
                None => return Ok(None),
            }
            self.arguments -= 1;
        }
        Ok(Some(core::mem::take(self).at))
    }
}

impl Decoder for Resp {
    type Progress = Progress;

    fn decode(&self, progress: &mut Progress, data: &[u8], now: Instant) -> Decoded {
        let found = match data.first() {
            None => return Decoded::Incomplete,
            Some(b'*') => progress.frame(data),
            Some(_) => match Lines::new(COMMAND).decode(&mut progress.line, data, now) {
                Decoded::Error { .. } | Decoded::Skipped(_) => Err(ProtocolError::Inline),
                found @ (Decoded::Message { .. } | Decoded::Incomplete) => return found,
            },
        };
        match found {
            Ok(Some(frame)) => Decoded::Message {
                message: 0..frame,
                frame,
            },
            Ok(None) => Decoded::Incomplete,
            Err(why) => {
                progress.error = Some(why);
                Decoded::Error {
                    error: FrameError::Lost,
                    frame: data.len(),
                }
            }
        }
    }
}

/// A header such as `*2\r\n` or `$12\r\n`.
enum Header {
    Incomplete,
    /// It is longer than any number.
    Endless,
    Whole {
        /// `None` if it is not a number.
        number: Option<i64>,
        /// Where what follows begins.
        end: usize,
    },
}

impl Header {
    fn read(data: &[u8]) -> Self {
        let head = data.get(..HEADER).unwrap_or(data);
        let Some(end) = head.iter().position(|byte| *byte == b'\r') else {
            return match head.len() {
                HEADER => Self::Endless,
                _ => Self::Incomplete,
            };
        };
        match data.get(end + 1) {
            None => Self::Incomplete,
            Some(b'\n') => Self::Whole {
                number: integer(head.get(1..end).unwrap_or(&[])),
                end: end + 2,
            },
            Some(_) => Self::Whole {
                number: None,
                end: end + 2,
            },
        }
    }
}

/// A number as redis takes it: no sign but `-`, no zero in front, no space (`string2ll` in its `util.c`).
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let number = str::from_utf8(text).ok()?.parse().ok()?;
    (decimal(number).as_bytes() == text).then_some(number)
}

/// A number, written.
pub(crate) fn decimal(number: i64) -> String<20> {
    let mut text = String::new();
    let _ = fmt::write(&mut text, format_args!("{number}")); // the longest has 20 bytes
    text
}

/// Where a word lies.
type Span = (u16, u16);
const _: () = assert!(COMMAND < u16::MAX as usize);

/// Memory for the words of one command at a time.
pub(crate) struct Words {
    /// Words of an inline command, without their quotes.
    text: Vec<u8, COMMAND>,
    spans: Vec<Span, WORDS>,
}

impl Words {
    pub(crate) const fn new() -> Self {
        Self {
            text: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// Takes a command that [`Resp`] found whole into its words.
    pub(crate) fn split<'a>(
        &'a mut self,
        command: &'a [u8],
    ) -> Result<Arguments<'a>, ProtocolError> {
        self.spans.clear();
        self.text.clear();
        let text = if command.first() == Some(&b'*') {
            self.array(command);
            command
        } else {
            self.line(command)?;
            &self.text
        };
        Ok(Arguments {
            text,
            spans: &self.spans,
        })
    }

    fn array(&mut self, command: &[u8]) {
        let mut at = match Header::read(command) {
            Header::Whole { end, .. } => end,
            Header::Incomplete | Header::Endless => return,
        };
        while let Some(rest @ [b'$', ..]) = command.get(at..)
            && let Header::Whole { number, end } = Header::read(rest)
        {
            let length = number.and_then(|number| usize::try_from(number).ok());
            let start = at + end;
            let end = start + length.unwrap_or(0);
            self.push(start, end);
            at = end + 2;
        }
    }

    /// As redis' `sdssplitargs`: blanks between words; `"…"` with escapes and `'…'` anywhere in one, and behind the second
    /// quote its end.
    fn line(&mut self, line: &[u8]) -> Result<(), ProtocolError> {
        let mut rest = line.iter().copied().peekable();
        loop {
            while rest.next_if(|byte| is_blank(*byte)).is_some() {}
            if rest.peek().is_none() {
                return Ok(());
            }
            let start = self.text.len();
            while let Some(byte) = rest.next_if(|byte| !is_blank(*byte)) {
                match byte {
                    b'"' | b'\'' => {
                        self.quoted(byte, &mut rest)?;
                        if rest.peek().is_some_and(|next| !is_blank(*next)) {
                            return Err(ProtocolError::Quotes);
                        }
                    }
                    _ => self.keep(byte),
                }
            }
            self.push(start, self.text.len());
        }
    }

    /// What stands between quotes; the second is taken, too.
    fn quoted(
        &mut self,
        quote: u8,
        rest: &mut (impl Iterator<Item = u8> + Clone),
    ) -> Result<(), ProtocolError> {
        loop {
            let byte = rest.next().ok_or(ProtocolError::Quotes)?;
            let kept = match byte {
                _ if byte == quote => return Ok(()),
                b'\\' if quote == b'"' => escaped(rest).ok_or(ProtocolError::Quotes)?,
                // Between single quotes nothing is escaped but they.
                b'\\' if rest.clone().next() == Some(quote) => {
                    rest.next();
                    quote
                }
                _ => byte,
            };
            self.keep(kept);
        }
    }

    fn keep(&mut self, byte: u8) {
        let _ = self.text.push(byte); // no word is longer than it was written
    }

    fn push(&mut self, start: usize, end: usize) {
        let short = |at| u16::try_from(at).unwrap_or(u16::MAX);
        let _ = self.spans.push((short(start), short(end))); // as many as a command can have
    }
}

/// What `isspace` of C takes for a space, and NUL, which ends a word for redis.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r' | 0)
}

/// The byte that stands behind a backslash in double quotes.
fn escaped(rest: &mut (impl Iterator<Item = u8> + Clone)) -> Option<u8> {
    let mut ahead = rest.clone().skip(1);
    let mut digit = || char::from(ahead.next()?).to_digit(16);
    let byte = match rest.next()? {
        b'x' => match digit().zip(digit()) {
            Some((high, low)) => {
                rest.nth(1);
                return u8::try_from(16 * high + low).ok();
            }
            None => b'x',
        },
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    };
    Some(byte)
}

/// The words of a command, its name first.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'a> {
    text: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Arguments<'a> {
    pub(crate) fn len(self) -> usize {
        self.spans.len()
    }

    /// One of them; the name is 0. Nothing if there are fewer.
    pub(crate) fn at(self, index: usize) -> &'a [u8] {
        self.from(index).next().unwrap_or(&[])
    }

    /// All of them from this one on.
    pub(crate) fn from(
        self,
        index: usize,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + Clone + use<'a> {
        let text = self.text;
        let spans = self.spans.get(index..).unwrap_or(&[]);
        spans.iter().map(move |(start, end)| {
            text.get(usize::from(*start)..usize::from(*end))
                .unwrap_or(&[])
        })
    }
}

/// Whether a word is this name, in any case.
pub(crate) fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

/// Whether `text` matches a pattern of `*`, `?`, `[a-z]`, `[^a]` and `\x` (redis' `stringmatchlen`). Work: the product of
/// their lengths.
pub(crate) fn matches(mut pattern: &[u8], mut text: &[u8]) -> bool {
    // What follows the last `*`, and the text that has not been tried with it.
    let mut star = None;
    loop {
        if let Some((b'*', rest)) = pattern.split_first() {
            star = Some((rest, text));
            pattern = rest;
            continue;
        }
        match (text.split_first(), one(pattern, text.first().copied())) {
            (None, _) if pattern.is_empty() => return true,
            (Some((_, left)), Some(rest)) => (pattern, text) = (rest, left),
            _ => match star {
                Some((rest, tried)) if !tried.is_empty() => {
                    let tried = tried.get(1..).unwrap_or(&[]);
                    star = Some((rest, tried));
                    (pattern, text) = (rest, tried);
                }
                Some(_) | None => return false,
            },
        }
    }
}

/// The rest of a pattern whose first element, not `*`, matches `byte`.
fn one(pattern: &[u8], byte: Option<u8>) -> Option<&[u8]> {
    let byte = byte?;
    let (first, rest) = pattern.split_first()?;
    let (found, rest) = match (first, rest) {
        (b'?', _) => (true, rest),
        (b'[', _) => class(rest, byte),
        (b'\\', [plain, rest @ ..]) => (*plain == byte, rest),
        (plain, _) => (*plain == byte, rest),
    };
    found.then_some(rest)
}

/// Whether `byte` is in the class that begins a pattern behind its `[`, and what follows the class.
fn class(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let (not, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut found = false;
    loop {
        rest = match rest {
            [] => return (found != not, rest),
            [b']', rest @ ..] => return (found != not, rest),
            [b'\\', plain, rest @ ..] => {
                found |= *plain == byte;
                rest
            }
            [from, b'-', to, rest @ ..] => {
                found |= (*from.min(to)..=*from.max(to)).contains(&byte);
                rest
            }
            [plain, rest @ ..] => {
                found |= *plain == byte;
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests;
