//! Hosts and ports, as `Host` and a target in absolute form have them.

use core::net::Ipv6Addr;

/// Whether these bytes are `uri-host [":" port]` of an `http` URI: not empty, without user information, and one, not a list
/// (RFC 9110, sections 4.2 and 7.2; RFC 3986, section 3.2.2).
pub(super) fn is_valid(authority: &[u8]) -> bool {
    if let Some(literal) = authority.strip_prefix(b"[") {
        let Some(end) = literal.iter().position(|&byte| byte == b']') else {
            return false;
        };
        let (address, port) = literal.split_at(end);
        let address = core::str::from_utf8(address).map(str::parse::<Ipv6Addr>);
        return matches!(address, Ok(Ok(_))) && is_port(&port[1..]);
    }
    let colon = authority.iter().position(|&byte| byte == b':');
    let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
    !host.is_empty() && is_name(host) && is_port(port)
}

/// Whether a valid authority names a port, as the target of CONNECT must (RFC 9110, section 9.3.6).
pub(super) fn names_port(authority: &[u8]) -> bool {
    let colon = authority.iter().rposition(|&byte| byte == b':');
    let digits = colon.and_then(|colon| authority.get(colon + 1..));
    digits.and_then(super::fields::number).is_some()
}

/// `reg-name`, or an IPv4 address, which looks like one. A comma would be allowed, but it is what a proxy leaves that
/// has joined two values.
fn is_name(host: &[u8]) -> bool {
    let mut rest = host;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match byte {
            b'%' => match after {
                [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    after
                }
                _ => return false,
            },
            _ if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte) => after,
            _ => return false,
        };
    }
    true
}

/// Nothing, or a colon and a port, which may be empty.
fn is_port(text: &[u8]) -> bool {
    match text.split_first() {
        None => true,
        Some((b':', digits)) => {
            digits.is_empty() || super::fields::number(digits).is_some_and(|port| port <= 65_535)
        }
        Some(_) => false,
    }
}
