//! The target of a request: its forms, and the path in it.

use super::Status;
use super::authority;
use super::head::{Method, Refusal};
use percent_encoding::percent_decode;

/// A target, taken apart (RFC 9112, section 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target<'d> {
    /// Origin form, or absolute form, of which the scheme and the authority are set aside.
    Resource {
        /// As it came, with its escapes; begins with `/`.
        path: &'d [u8],
        query: Option<&'d [u8]>,
    },
    /// `*`: the server itself, for OPTIONS.
    Server,
    /// An authority, for CONNECT.
    Authority,
}

impl<'d> Target<'d> {
    /// Takes the target of a request of this method apart. It is not empty and has no whitespace.
    pub(super) fn parse(method: Method, target: &'d [u8]) -> Result<Self, Refusal> {
        let bad = |why| Err(Refusal::new(Status::BadRequest, why));
        if target.contains(&b'#') {
            return bad("a fragment in the target");
        }
        match (target, method) {
            (b"*", Method::Options) => Ok(Self::Server),
            (_, Method::Connect)
                if authority::is_valid(target) && authority::names_port(target) =>
            {
                Ok(Self::Authority)
            }
            (_, Method::Connect) => bad("the target of CONNECT must be host and port"),
            ([b'/', ..], _) => Ok(Self::resource(target)),
            _ => {
                let Some(rest) = after_scheme(target) else {
                    return bad("the target must begin with / or http://");
                };
                let ends = |&byte: &u8| matches!(byte, b'/' | b'?');
                let end = rest.iter().position(ends).unwrap_or(rest.len());
                let (host, rest) = rest.split_at(end);
                if !authority::is_valid(host) {
                    return bad("the target's host is not valid");
                }
                match rest {
                    // RFC 9112, section 3.2.4.
                    [] if method == Method::Options => Ok(Self::Server),
                    [b'/', ..] => Ok(Self::resource(rest)),
                    query => Ok(Self::Resource {
                        path: b"/",
                        query: query.get(1..),
                    }),
                }
            }
        }
    }

    fn resource(target: &'d [u8]) -> Self {
        match target.iter().position(|&byte| byte == b'?') {
            None => Self::Resource {
                path: target,
                query: None,
            },
            Some(at) => {
                let (path, query) = target.split_at(at);
                Self::Resource {
                    path,
                    query: query.get(1..),
                }
            }
        }
    }
}

/// What follows `http://` or `https://`: a proxy that ends TLS may leave the latter.
fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    let schemes: [&[u8]; 2] = [b"http://", b"https://"];
    schemes.iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// Writes the normalized form of `path` to `buffer`: escapes decoded, once, each within its segment; `.` and `..` applied,
/// escaped or not, never above the root (RFC 3986, sections 5.2.4 and 6.2.2). Empty segments stay: they name nothing.
pub(super) fn normalize<'b>(path: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8], Refusal> {
    let mut len = 0; // what is in the buffer: nothing, or segments with a slash in front of each
    let segments = path.strip_prefix(b"/").unwrap_or(path);
    let mut segments = segments.split(|&byte| byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let start = len;
        put(buffer, &mut len, b'/')?;
        decode(segment, buffer, &mut len)?;
        match buffer.get(start + 1..len) {
            Some(b".") if is_last => len = start + 1,
            Some(b".") => len = start,
            Some(b"..") => {
                let kept = buffer.get(..start).unwrap_or(&[]);
                len = kept.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                if is_last {
                    put(buffer, &mut len, b'/')?;
                }
            }
            _ => {}
        }
    }
    buffer.get(..len).ok_or(Refusal::PATH_TOO_LONG)
}

/// Appends a decoded segment.
fn decode(segment: &[u8], buffer: &mut [u8], len: &mut usize) -> Result<(), Refusal> {
    // The crate leaves a bad escape as it is.
    let mut escapes = segment.split(|&byte| byte == b'%').skip(1);
    let good = |digits: &[u8]| {
        digits
            .iter()
            .take(2)
            .filter(|b| b.is_ascii_hexdigit())
            .count()
            == 2
    };
    if !escapes.all(good) {
        return Err(Refusal::ESCAPE);
    }
    for byte in percent_decode(segment) {
        match byte {
            0 => return Err(Refusal::NUL),
            b'/' => return Err(Refusal::SLASH),
            _ => put(buffer, len, byte)?,
        }
    }
    Ok(())
}

fn put(buffer: &mut [u8], len: &mut usize, byte: u8) -> Result<(), Refusal> {
    *buffer.get_mut(*len).ok_or(Refusal::PATH_TOO_LONG)? = byte;
    *len += 1;
    Ok(())
}
