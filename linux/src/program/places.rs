//! Where to listen, as people write it: `HOST:PORT`, `[::1]:8080`, `unix:/path`.

use super::Failure;
use core::fmt;
use core::net::SocketAddr;
use std::net::ToSocketAddrs;
use tidegate::{Address, LISTENERS};

/// The longest path of a Unix socket (`unix(7)`: `sun_path` without its zero).
const PATH_MAX: usize = 107;

/// One `--listen`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// A name or an address, without brackets, and a port.
    Host(String, u16),
    /// A path.
    Unix(String),
}

/// One listener to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) place: Where,
    /// Its name has other addresses, so this one may be missing on this machine.
    pub(crate) one_of_several: bool,
}

/// Where a listener is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Where {
    Inet(SocketAddr),
    Unix(String),
}

impl Where {
    pub(crate) fn address(&self) -> Address<'_> {
        match self {
            Self::Inet(address) => Address::Inet(*address),
            Self::Unix(path) => Address::Unix(path),
        }
    }

    fn is_any_port(&self) -> bool {
        matches!(self, Self::Inet(address) if address.port() == 0)
    }
}

impl Place {
    /// Reads one; the error says what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.len() {
                0 => Err("has no path; write unix:/run/name.sock".into()),
                1..=PATH_MAX => Ok(Self::Unix(path.into())),
                n => Err(format!(
                    "has a path of {n} bytes; a socket's has at most {PATH_MAX}"
                )),
            };
        }
        let expected = "has no port; it must be HOST:PORT, [IPV6]:PORT or unix:/path";
        let (host, port) = text.rsplit_once(':').ok_or(expected)?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(host) => host,
            None if host.contains([':', '[', ']']) => {
                return Err("must have its IPv6 address in brackets: [::1]:8080".into());
            }
            None => host,
        };
        if host.is_empty() {
            return Err(
                "has no host; write 127.0.0.1:PORT, or 0.0.0.0:PORT for every interface".into(),
            );
        }
        match port.parse() {
            Ok(number) if port.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(Self::Host(host.into(), number))
            }
            _ => Err("must end in a port from 0 to 65535 (0: any that is free)".into()),
        }
    }

    fn resolve(&self) -> Result<Vec<Where>, Failure> {
        let (host, port) = match self {
            Self::Unix(path) => return Ok(vec![Where::Unix(path.clone())]),
            Self::Host(host, port) => (host, *port),
        };
        match (host.as_str(), port).to_socket_addrs() {
            Ok(addresses) => Ok(addresses.map(Where::Inet).collect()),
            Err(error) => Err(Failure::System(format!(
                "cannot listen on {self}: {host} is no address and no name known here ({error}); write an address"
            ))),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// Every listener that was asked for, in order, none twice.
pub(crate) fn targets(places: &[Place]) -> Result<Vec<Target>, Failure> {
    let mut targets: Vec<Target> = Vec::new();
    for place in places {
        let found = place.resolve()?;
        let one_of_several = found.len() > 1;
        let first = targets.len();
        for place in found {
            // Any free port, asked for twice, is two ports.
            let others = if place.is_any_port() {
                &targets[first..]
            } else {
                &targets[..]
            };
            if others.iter().all(|target| target.place != place) {
                targets.push(Target {
                    place,
                    one_of_several,
                });
            }
        }
    }
    if targets.len() > LISTENERS {
        let n = targets.len();
        return Err(Failure::System(format!(
            "{n} addresses to listen on; there are places for {LISTENERS}: ask for fewer, or for 0.0.0.0 or [::]"
        )));
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Result<Place, String> {
        Ok(Place::Host(name.into(), port))
    }

    #[test]
    fn places_are_read_and_shown() {
        assert_eq!(Place::parse("127.0.0.1:8080"), host("127.0.0.1", 8080));
        assert_eq!(Place::parse("localhost:0"), host("localhost", 0));
        assert_eq!(Place::parse("[::1]:65535"), host("::1", 65535));
        assert_eq!(Place::parse("unix:/a:b"), Ok(Place::Unix("/a:b".into())));
        for text in ["127.0.0.1:8080", "localhost:0", "[::1]:65535", "unix:/a:b"] {
            assert_eq!(
                Place::parse(text).map(|place| place.to_string()),
                Ok(text.into())
            );
        }
        let longest = format!("unix:/{}", "x".repeat(PATH_MAX - 1));
        assert!(Place::parse(&longest).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = format!("unix:/{}", "x".repeat(PATH_MAX));
        for (text, says) in [
            ("", "has no port; it must be HOST:PORT"),
            ("8080", "has no port"),
            ("localhost", "has no port"),
            (":8080", "no host"),
            ("[]:8080", "no host"),
            ("::1:8080", "brackets"),
            ("[::1:8080", "brackets"),
            ("[::1]", "brackets"),
            ("localhost:", "port from 0 to 65535"),
            ("localhost:65536", "port from 0 to 65535"),
            ("localhost:+80", "port from 0 to 65535"),
            ("localhost:http", "port from 0 to 65535"),
            ("unix:", "no path"),
            (&long, "path of 108 bytes"),
        ] {
            let why = Place::parse(text).expect_err(text);
            assert!(why.contains(says), "{text}: {why}");
        }
    }

    #[test]
    fn nobody_listens_twice_and_only_so_many_do() {
        let place = |text: &str| Place::parse(text).expect(text);
        let twice = [
            place("127.0.0.1:80"),
            place("unix:/x"),
            place("127.0.0.1:80"),
            place("unix:/x"),
        ];
        let found = targets(&twice).expect("two targets");
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|target| !target.one_of_several));
        let any = [place("127.0.0.1:0"), place("127.0.0.1:0")];
        assert_eq!(
            targets(&any).map(|found| found.len()),
            Ok(2),
            "two free ports"
        );
        let many: Vec<_> = (0..17).map(|n| place(&format!("127.0.0.1:{n}"))).collect();
        assert!(
            matches!(targets(&many), Err(Failure::System(why)) if why.starts_with("17 addresses"))
        );
        assert_eq!(targets(&many[..16]).map(|found| found.len()), Ok(16));
    }
}
