//! [`Head`]: a request line and its fields, taken apart and validated by one function.

use super::Status;
use super::authority;
use super::body::Body;
use super::fields::{Fields, elements, number, values};
use super::target::{Target, normalize};
use core::fmt;
use httparse::Header;

/// Bytes of the longest head, empty lines in front of it and the one that ends it included. Browsers that send the cookies
/// of every service on a host, and proxies, stay below.
pub const MAX_HEAD: usize = 8192;

/// Bytes of the longest target; what RFC 9112, section 3, recommends for the request line.
pub const MAX_TARGET: usize = 8000;

/// The most field lines.
pub const MAX_FIELDS: usize = 100;

/// Bytes of the longest method: twice the longest of IANA's registry.
const MAX_METHOD: usize = 40;

/// A method (RFC 9110, section 9; RFC 5789). Methods are case-sensitive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of the RFCs")]
pub enum Method {
    Get,
    Head,
    Options,
    Post,
    Put,
    Delete,
    Patch,
    Trace,
    Connect,
    /// One that is not known here: the response is [`Status::NotImplemented`].
    Other,
}

impl Method {
    const fn of(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"OPTIONS" => Self::Options,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"PATCH" => Self::Patch,
            b"TRACE" => Self::Trace,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// Why a request is refused: by its head, its path or its body. After one that [`Head::parse`] or [`Body::discard`] returned the
/// connection must end with the response: where the next request would begin is not known.
///
/// What the path and the body can be refused for are constants of it, to be compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The status of the response.
    pub status: Status,
    /// What is wrong, for people. Nothing that the client sent is part of it.
    pub why: &'static str,
    /// Whether the request is a HEAD: the response has no content.
    pub of_head: bool,
}

impl Refusal {
    /// The target is `*` or an authority: it has no path.
    pub const NO_PATH: Self = Self::new(Status::NotFound, "the target has no path");
    /// A `%` without two hexadecimal digits behind it.
    pub const ESCAPE: Self =
        Self::bad("a % in the path must be followed by two hexadecimal digits");
    /// An escaped NUL, which no name has.
    pub const NUL: Self = Self::bad("the path has an escaped NUL");
    /// An escaped `/` within a segment, which no name has; to take it for a separator would name something else.
    pub const SLASH: Self = Self::new(Status::NotFound, "the path has an escaped slash");
    /// The path is longer than the buffer.
    pub const PATH_TOO_LONG: Self = Self::new(Status::NotFound, "the path is too long");
    /// A chunked body that is not one.
    pub const BODY: Self = Self::bad("the chunks of the request's body are malformed");

    pub(super) const fn new(status: Status, why: &'static str) -> Self {
        Self {
            status,
            why,
            of_head: false,
        }
    }

    const fn bad(why: &'static str) -> Self {
        Self::new(Status::BadRequest, why)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.why)
    }
}

impl core::error::Error for Refusal {}

/// The head of a request, whole and valid.
#[derive(Clone, Copy, Debug)]
pub struct Head<'d, 'f> {
    method: Method,
    target: Target<'d>,
    fields: &'f [Header<'d>],
    len: usize,
    body: Body,
    keep_alive: bool,
    expects_continue: bool,
}

impl<'d, 'f> Head<'d, 'f> {
    /// Takes the head at the front of `data` apart; `None` while it is incomplete.
    ///
    /// The result does not depend on where the data was cut, and what can never become a request (a TLS handshake, another
    /// protocol) is refused as soon as that is clear. Line ends may be LF alone; an empty line in front is skipped
    /// (RFC 9112, section 2.2). Minor versions above 1 count as 1 (RFC 9110, section 2.5).
    ///
    /// Work: each byte of the head once, at most [`MAX_HEAD`] and the length of one receive.
    ///
    /// # Errors
    ///
    /// [`Refusal`], with one of the statuses 400, 414, 417, 431, 501 and 505.
    pub fn parse(data: &'d [u8], fields: &'f mut Fields<'d>) -> Result<Option<Self>, Refusal> {
        Self::parse_valid(data, fields).map_err(|refusal| Refusal {
            of_head: without_empty_lines(data).starts_with(b"HEAD "),
            ..refusal
        })
    }

    fn parse_valid(data: &'d [u8], fields: &'f mut Fields<'d>) -> Result<Option<Self>, Refusal> {
        let too_large = Refusal::new(
            Status::RequestHeaderFieldsTooLarge,
            "the head is longer than 8192 bytes",
        );
        let data = data.get(..MAX_HEAD).unwrap_or(data);
        let (line, at) = match RequestLine::parse(data)? {
            Some(found) => found,
            None if data.len() >= MAX_HEAD => return Err(too_large),
            None => return Ok(None),
        };
        let rest = data.get(at..).unwrap_or(&[]);
        let (n, fields) = match httparse::parse_headers(rest, &mut fields.0) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) if data.len() >= MAX_HEAD => return Err(too_large),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(fields_refused(error)),
        };
        let len = at.saturating_add(n);
        let method = Method::of(line.method);
        let target = Target::parse(method, line.target)?;
        check_host(fields, line.minor)?;
        let body = body(fields, line.minor)?;
        let expects_continue = expects_continue(fields, line.minor)? && !body.is_empty();
        let wishes = |what: &str| elements(fields, "connection").any(|it| is(it, what));
        let keep_alive = !wishes("close") && (line.minor > 0 || wishes("keep-alive"));
        Ok(Some(Self {
            method,
            target,
            fields,
            len,
            body,
            keep_alive,
            expects_continue,
        }))
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// Bytes of the head: the body, or the next request, begins behind them.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a head is never empty")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// How long the body behind it is.
    #[must_use]
    pub const fn body(&self) -> Body {
        self.body
    }

    /// Whether the connection persists after the response (RFC 9112, section 9.3).
    #[must_use]
    pub const fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the client may wait for `100 Continue` before it sends the body (RFC 9110, section 10.1.1). A response
    /// without that must end the connection: the body may come or not.
    #[must_use]
    pub const fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// Whether its target is the server itself: `OPTIONS *`.
    #[must_use]
    pub const fn targets_server(&self) -> bool {
        matches!(self.target, Target::Server)
    }

    /// The normalized path of the target, written to `buffer`: decoded, without query and dot segments, beginning with `/`
    /// and never above it. It is never longer than the target. Bytes other than NUL and `/` are as the client meant them:
    /// UTF-8 for most, but not checked.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: [`NO_PATH`](Refusal::NO_PATH), [`ESCAPE`](Refusal::ESCAPE), [`NUL`](Refusal::NUL), [`SLASH`](Refusal::SLASH) or
    /// [`PATH_TOO_LONG`](Refusal::PATH_TOO_LONG). Of these the connection may go on.
    pub fn path<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Refusal> {
        match self.target {
            Target::Resource { path, .. } => normalize(path, buffer),
            Target::Server | Target::Authority => Err(Refusal::NO_PATH),
        }
    }

    /// The query, as it came, without the `?`.
    #[must_use]
    pub const fn query(&self) -> Option<&'d [u8]> {
        match self.target {
            Target::Resource { query, .. } => query,
            Target::Server | Target::Authority => None,
        }
    }

    /// The values of all field lines of this name, in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'d [u8]> + Clone {
        values(self.fields, name)
    }

    /// The value of a field that must stand alone; `None` if it is absent or there are several, which mean nothing then.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'d [u8]> {
        let mut values = self.values(name);
        let first = values.next()?;
        values.next().is_none().then_some(first)
    }

    /// The elements of the list that all field lines of this name make together.
    pub fn elements(&self, name: &str) -> impl Iterator<Item = &'d [u8]> + Clone {
        elements(self.fields, name)
    }
}

/// Whether a token is this one; those of fields are case-insensitive.
fn is(token: &[u8], name: &str) -> bool {
    token.eq_ignore_ascii_case(name.as_bytes())
}

const fn fields_refused(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::new(
            Status::RequestHeaderFieldsTooLarge,
            "more than 100 header fields",
        ),
        httparse::Error::HeaderName => Refusal::bad(
            "the name of a header field is not valid, or whitespace is in front of it or of its colon",
        ),
        httparse::Error::HeaderValue => {
            Refusal::bad("the value of a header field has a control character")
        }
        httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token
        | httparse::Error::Version => Refusal::bad("the header fields are malformed"),
    }
}

/// `method SP target SP version`, in bytes (RFC 9112, section 3). Done here, because `httparse` takes no version but
/// 1.0 and 1.1, does not report a long target, and has no use for the rest.
struct RequestLine<'d> {
    method: &'d [u8],
    target: &'d [u8],
    /// 0, or 1 for all that is higher.
    minor: u8,
}

impl<'d> RequestLine<'d> {
    /// The line, and where the next begins; `None` while it is incomplete.
    fn parse(data: &'d [u8]) -> Result<Option<(Self, usize)>, Refusal> {
        let rest = without_empty_lines(data);
        if rest == b"\r" {
            return Ok(None);
        }
        // Lengths first: what is too long is, whatever follows.
        let end = rest.iter().position(|&byte| !is_token(byte));
        if end.unwrap_or(rest.len()) > MAX_METHOD {
            let why = "no method is as long";
            return Err(Refusal::new(Status::NotImplemented, why));
        }
        let Some((method, after)) = end.map(|end| rest.split_at(end)) else {
            return Ok(None);
        };
        let Some(rest) = after.strip_prefix(b" ").filter(|_| !method.is_empty()) else {
            return Err(Refusal::bad("that is not a request of HTTP/1.1"));
        };
        let end = rest.iter().position(|&byte| byte <= b' ' || byte == 0x7f);
        if end.unwrap_or(rest.len()) > MAX_TARGET {
            let why = "the target is longer than 8000 bytes";
            return Err(Refusal::new(Status::UriTooLong, why));
        }
        let Some((target, after)) = end.map(|end| rest.split_at(end)) else {
            return Ok(None);
        };
        let Some(rest) = after.strip_prefix(b" ").filter(|_| !target.is_empty()) else {
            let why = "the request line must be method, target and version";
            return Err(Refusal::bad(why));
        };
        let (version, after) = rest.split_at(rest.len().min(VERSION.len()));
        let as_it_should = |(&byte, &expected): (&u8, &u8)| match expected {
            b'0' => byte.is_ascii_digit(),
            _ => byte == expected,
        };
        if !version.iter().zip(VERSION).all(as_it_should) {
            return Err(Refusal::bad("the version must be HTTP/1.1 or HTTP/1.0"));
        }
        let &[.., major, _, minor] = version else {
            return Ok(None);
        };
        if version.len() < VERSION.len() {
            return Ok(None);
        }
        if major != b'1' {
            let why = "only HTTP/1.1 and HTTP/1.0 are supported";
            return Err(Refusal::new(Status::HttpVersionNotSupported, why));
        }
        let minor = u8::from(minor != b'0');
        let line = Self {
            method,
            target,
            minor,
        };
        match line_end(after) {
            Some(rest) => Ok(Some((line, data.len() - rest.len()))),
            None if matches!(after, b"" | b"\r") => Ok(None),
            None => Err(Refusal::bad("the request line must end after the version")),
        }
    }
}

/// The shape of a version; 0 stands for a digit.
const VERSION: &[u8] = b"HTTP/0.0";

/// From the first line that is not empty.
fn without_empty_lines(data: &[u8]) -> &[u8] {
    let mut rest = data;
    while let Some(after) = line_end(rest) {
        rest = after;
    }
    rest
}

/// What follows a line end at the front: CRLF, or LF alone.
fn line_end(data: &[u8]) -> Option<&[u8]> {
    match data {
        [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// A character of a token (RFC 9110, section 5.6.2).
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// HTTP/1.1 has exactly one valid host, HTTP/1.0 at most one (RFC 9112, section 3.2), also beside a target in absolute form.
fn check_host(fields: &[Header<'_>], minor: u8) -> Result<(), Refusal> {
    let mut hosts = values(fields, "host");
    match (hosts.next(), hosts.next()) {
        (None, _) if minor == 0 => Ok(()),
        (None, _) => Err(Refusal::bad("HTTP/1.1 must have a Host field")),
        (Some(_), Some(_)) => Err(Refusal::bad("more than one Host field")),
        (Some(host), None) if authority::is_valid(host) => Ok(()),
        (Some(_), None) => Err(Refusal::bad("the Host field is not a valid host")),
    }
}

/// How the body is framed (RFC 9112, section 6.3). What two readers could take for two lengths is refused.
fn body(fields: &[Header<'_>], minor: u8) -> Result<Body, Refusal> {
    let mut lengths = values(fields, "content-length");
    let (length, another) = (lengths.next(), lengths.next());
    if values(fields, "transfer-encoding").next().is_none() {
        let Some(length) = length else {
            return Ok(Body::EMPTY);
        };
        if another.is_some() {
            return Err(Refusal::bad("more than one Content-Length"));
        }
        return match number(length) {
            Some(u64::MAX) | None => Err(Refusal::bad("Content-Length is not a number of bytes")),
            Some(length) => Ok(Body::of_length(length)),
        };
    }
    if length.is_some() {
        return Err(Refusal::bad("both Transfer-Encoding and Content-Length"));
    }
    if minor == 0 {
        return Err(Refusal::bad("Transfer-Encoding in HTTP/1.0"));
    }
    let codings = elements(fields, "transfer-encoding");
    if !codings.clone().last().is_some_and(|it| is(it, "chunked")) {
        return Err(Refusal::bad("the last transfer coding must be chunked"));
    }
    match codings.clone().filter(|it| is(it, "chunked")).count() {
        1 if codings.count() == 1 => Ok(Body::chunked()),
        1 => Err(Refusal::new(
            Status::NotImplemented,
            "no transfer coding but chunked is known here",
        )),
        _ => Err(Refusal::bad("chunked more than once")),
    }
}

/// HTTP/1.0 has no expectations; 1.1 has one (RFC 9110, section 10.1.1).
fn expects_continue(fields: &[Header<'_>], minor: u8) -> Result<bool, Refusal> {
    let mut expectations = elements(fields, "expect");
    if minor == 0 || expectations.clone().next().is_none() {
        return Ok(false);
    }
    if expectations.all(|it| is(it, "100-continue")) {
        return Ok(true);
    }
    let why = "no expectation but 100-continue is known here";
    Err(Refusal::new(Status::ExpectationFailed, why))
}
