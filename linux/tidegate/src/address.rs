//! [`Address`]: where to listen or to connect, and the one reader of how people write it.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use rustix::fd::AsFd;
use rustix::io::{self, Errno};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, netdevice};
use tidegate_core::Escaped;
use tidegate_core::heapless::String;

/// Bytes of the longest path or abstract name of a Unix socket (`unix(7)`: `sun_path` without its zero).
pub(crate) const UNIX_MAX: usize = 107;

/// Bytes of a text that an [`AddressError`] keeps.
const SHOWN: usize = 64;

/// Where to listen, or where to connect to.
///
/// Read from text by [`Address::parse`] or `TryFrom<&str>`, and shown in the same form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Address<'a> {
    /// TCP or UDP over IPv4 or IPv6. Port 0 lets the kernel choose one. An IPv6 address takes IPv6 only
    /// (`IPV6_V6ONLY`): for both, listen on both.
    Inet(SocketAddr),
    /// A Unix socket at this path, at most 107 bytes. For a file that exists already see
    /// [`SocketFile`](crate::SocketFile).
    Unix(&'a str),
    /// A Unix socket of this name in the abstract namespace of Linux (`unix(7)`), at most 107 bytes, without the leading
    /// NUL. It has no file, no mode and no owner: every process of the network namespace can connect.
    Abstract(&'a str),
}

impl<'a> Address<'a> {
    /// Reads `IP:PORT`, `[IPV6]:PORT`, `[IPV6%INTERFACE]:PORT`, `unix:/path` or `unix:@name` (abstract).
    ///
    /// `INTERFACE`, for link-local addresses, is a name as `ip(8)` shows it or an index. A name is resolved
    /// (`SIOCGIFINDEX`, `netdevice(7)`): two system calls and one for a socket, closed at once. Host names are not
    /// resolved.
    ///
    /// # Errors
    ///
    /// [`AddressError`]. After [`AddressFault::NoInterface`] the same text may be read later, once the interface is there.
    pub fn parse(text: &'a str) -> Result<Self, AddressError> {
        Self::read(text).map_err(|fault| AddressError::of(text, fault))
    }

    fn read(text: &'a str) -> Result<Self, AddressFault> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.strip_prefix('@') {
                Some(name) => usable(name).map(Self::Abstract),
                None => usable(path).map(Self::Unix),
            };
        }
        if text.starts_with('[') && text.ends_with(']') {
            return Err(AddressFault::NoPort);
        }
        let (host, port) = text.rsplit_once(':').ok_or(AddressFault::NoPort)?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(host) => host,
            None if host.contains([':', '[', ']']) => return Err(AddressFault::Brackets),
            None => host,
        };
        if host.is_empty() {
            return Err(AddressFault::NoHost);
        }
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits);
        let port = port.ok_or(AddressFault::Port)?;
        let (ip, scope) = host_of(host)?;
        match ip {
            IpAddr::V4(_) if bracketed.is_some() => Err(AddressFault::Host),
            IpAddr::V4(ip) => Ok(Self::Inet(SocketAddr::from((ip, port)))),
            IpAddr::V6(_) if bracketed.is_none() => Err(AddressFault::Brackets),
            IpAddr::V6(ip) => {
                let address = SocketAddrV6::new(ip, port, 0, scope);
                Ok(Self::Inet(SocketAddr::V6(address)))
            }
        }
    }

    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Inet(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) | Self::Abstract(_) => true,
        }
    }

    pub(crate) const fn family(&self) -> AddressFamily {
        match self {
            Self::Inet(SocketAddr::V4(_)) => AddressFamily::INET,
            Self::Inet(SocketAddr::V6(_)) => AddressFamily::INET6,
            Self::Unix(_) | Self::Abstract(_) => AddressFamily::UNIX,
        }
    }

    /// Its name for the kernel, if it is a Unix socket's.
    pub(crate) fn unix(&self) -> Option<io::Result<SocketAddrUnix>> {
        match self {
            Self::Inet(_) => None,
            Self::Unix(path) => Some(SocketAddrUnix::new(*path)),
            Self::Abstract(name) => Some(SocketAddrUnix::new_abstract_name(name.as_bytes())),
        }
    }
}

impl<'a> TryFrom<&'a str> for Address<'a> {
    type Error = AddressError;

    /// As [`Address::parse`].
    fn try_from(text: &'a str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl fmt::Display for Address<'_> {
    /// `127.0.0.1:8080`, `[::1]:8080`, `[fe80::1%2]:8080` (the interface by its index), `unix:/run/x.sock`, `unix:@name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Abstract(name) => write!(f, "unix:@{name}"),
        }
    }
}

/// Connects a socket of the address' family to it.
pub(crate) fn connect(socket: impl AsFd, address: &Address<'_>) -> io::Result<()> {
    match (address, address.unix()) {
        (Address::Inet(address), _) => net::connect(socket, address),
        (_, Some(name)) => net::connect(socket, &name?),
        (Address::Unix(_) | Address::Abstract(_), None) => Err(Errno::INVAL),
    }
}

/// Reads an IP address without a port, with the index of its interface: `10.0.0.1`, `fe80::1%eth0`, `fe80::1%2`. The index is
/// 0 where none is written.
///
/// # Errors
///
/// [`AddressError`].
pub fn parse_host(text: &str) -> Result<(IpAddr, u32), AddressError> {
    host_of(text).map_err(|fault| AddressError::of(text, fault))
}

fn host_of(host: &str) -> Result<(IpAddr, u32), AddressFault> {
    let Some((ip, interface)) = host.split_once('%') else {
        let ip = host.parse().map_err(|_| AddressFault::Host)?;
        return Ok((ip, 0));
    };
    let ip: Ipv6Addr = ip.parse().map_err(|_| AddressFault::Host)?;
    Ok((IpAddr::V6(ip), index_of(interface)?))
}

/// The index of an interface, by its number or its name.
fn index_of(interface: &str) -> Result<u32, AddressFault> {
    if !interface.is_empty() && interface.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = interface.parse().ok().filter(|number| *number > 0);
        return number.ok_or(AddressFault::NoInterface);
    }
    let flags = SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
        .map_err(|errno| AddressFault::System(errno.raw_os_error()))?;
    netdevice::name_to_index(&socket, interface).map_err(|_| AddressFault::NoInterface)
}

/// A path, or a name behind `@`, that the kernel takes.
fn usable(name: &str) -> Result<&str, AddressFault> {
    match name.len() {
        0 => Err(AddressFault::NoPath),
        1..=UNIX_MAX if !name.contains('\0') => Ok(name),
        _ => Err(AddressFault::Path),
    }
}

/// A text is not an address, or names an interface that does not exist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddressError {
    shown: String<SHOWN>,
    fault: AddressFault,
}

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AddressFault {
    /// The port is missing.
    NoPort,
    /// The port is not a number from 0 to 65535.
    Port,
    /// The host before the port is missing.
    NoHost,
    /// The host is not an IP address.
    Host,
    /// An IPv6 address is not in brackets.
    Brackets,
    /// No network interface has this name; it may come later.
    NoInterface,
    /// The path or name after `unix:` is missing.
    NoPath,
    /// A path or name is too long or has a NUL in it.
    Path,
    /// The interface could not be resolved; the system's error number.
    System(i32),
}

impl AddressError {
    fn of(text: &str, fault: AddressFault) -> Self {
        let mut shown = String::new();
        for letter in text.chars() {
            if shown.push(letter).is_err() {
                break;
            }
        }
        Self { shown, fault }
    }

    /// What is wrong, without the text.
    #[must_use]
    pub const fn fault(&self) -> AddressFault {
        self.fault
    }
}

impl fmt::Display for AddressError {
    /// The text, and what would be right.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Escaped(self.shown.as_bytes()), self.fault)
    }
}

impl fmt::Display for AddressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPort => {
                "has no port; it must be IP:PORT, [IPV6]:PORT, unix:/path or unix:@name"
            }
            Self::Port => "must end in a port from 0 to 65535 (0: any that is free)",
            Self::NoHost => {
                "has no host; write 127.0.0.1:PORT, or 0.0.0.0:PORT for every interface"
            }
            Self::Host => {
                "must be IP:PORT, [IPV6]:PORT, [fe80::1%eth0]:PORT, unix:/path or unix:@name"
            }
            Self::Brackets => "must have its IPv6 address in brackets: [::1]:8080",
            Self::NoInterface => "no network interface has this name or number; ip link lists them",
            Self::NoPath => "has no path; write unix:/run/name.sock, or unix:@name",
            Self::Path => {
                "has a path that is too long or has a NUL in it; a socket's has at most 107 bytes"
            }
            Self::System(errno) => {
                return write!(f, "cannot resolve the network interface: errno {errno}");
            }
        })
    }
}

impl core::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    extern crate alloc;

    use super::*;
    use alloc::string::ToString;
    use std::format;

    #[test]
    fn every_form_is_read_and_shown_again() {
        for text in [
            "127.0.0.1:8080",
            "0.0.0.0:0",
            "[::1]:65535",
            "[fe80::1%7]:80",
            "unix:/run/a:b.sock",
            "unix:relative",
            "unix:@name",
            "unix:@a:b@c",
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!(address.to_string(), text);
            assert_eq!(Address::try_from(text), Ok(address));
        }
        assert_eq!(Address::parse("unix:@x"), Ok(Address::Abstract("x")));
        let longest = format!("unix:@{}", "x".repeat(UNIX_MAX));
        assert!(Address::parse(&longest).is_ok());
    }

    #[test]
    fn an_interface_is_known_by_name_and_by_number() {
        // Every network namespace has a loopback, and its index is 1.
        let by_name = Address::parse("[fe80::1%lo]:80");
        assert_eq!(by_name, Address::parse("[fe80::1%1]:80"));
        assert_eq!(
            by_name.map(|it| it.to_string()),
            Ok("[fe80::1%1]:80".into())
        );
        let ip: Ipv6Addr = "fe80::1".parse().expect("an address");
        assert_eq!(parse_host("fe80::1%lo"), Ok((IpAddr::V6(ip), 1)));
        assert_eq!(parse_host("fe80::1"), Ok((IpAddr::V6(ip), 0)));
        for missing in [
            "[fe80::1%nosuchif0]:80",
            "[fe80::1%]:80",
            "[fe80::1%0]:80",
            "[fe80::1%4294967296]:80",
        ] {
            let why = Address::parse(missing).expect_err(missing);
            assert_eq!(why.fault(), AddressFault::NoInterface, "{missing}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_value() {
        let long = format!("unix:/{}", "x".repeat(UNIX_MAX));
        for (text, fault) in [
            ("", AddressFault::NoPort),
            ("8080", AddressFault::NoPort),
            ("[::1]", AddressFault::NoPort),
            (":80", AddressFault::NoHost),
            ("[]:80", AddressFault::NoHost),
            ("localhost:80", AddressFault::Host),
            ("10.0.0.1%lo:80", AddressFault::Host),
            ("[127.0.0.1]:80", AddressFault::Host),
            ("::1:80", AddressFault::Brackets),
            ("[::1:80", AddressFault::Brackets),
            ("fe80::1%lo:80", AddressFault::Brackets),
            ("127.0.0.1:", AddressFault::Port),
            ("127.0.0.1:+80", AddressFault::Port),
            ("127.0.0.1:65536", AddressFault::Port),
            ("unix:", AddressFault::NoPath),
            ("unix:@", AddressFault::NoPath),
            ("unix:/a\0b", AddressFault::Path),
            (&long, AddressFault::Path),
        ] {
            let why = Address::parse(text).expect_err(text);
            assert_eq!(why.fault(), fault, "{text}");
            let shown = why.to_string();
            let part: alloc::string::String = text.chars().take(10).collect();
            let said = Escaped(part.as_bytes()).to_string();
            assert!(shown.starts_with(&said), "{shown}");
        }
        // What would move a cursor does not.
        let why = Address::parse("\x1b[2J")
            .expect_err("no address")
            .to_string();
        assert!(!why.contains('\x1b'), "{why}");
    }
}
