//! Where to listen, as people write it: what the library reads ([`Address::parse`]), and host names.

use super::Failure;
use super::reserved::LISTENERS;
use core::fmt;
use core::net::SocketAddr;
use std::net::ToSocketAddrs;
use tidegate::{Address, AddressFault};

/// One `--listen`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Endpoint {
    /// A name or an address, without brackets, and a port.
    Host(String, u16),
    /// A path.
    Unix(String),
    /// A name in the abstract namespace.
    Abstract(String),
}

/// One listener to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Where,
    /// As [`Address::parse`] reads it.
    pub(crate) text: String,
    /// Its name has other addresses, so this one may be missing on this machine.
    pub(crate) one_of_several: bool,
}

/// Where a listener is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Where {
    Inet(SocketAddr),
    Unix(String),
    Abstract(String),
    /// At an interface that is not there yet.
    Later(String),
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", Address::Unix(path)),
            Self::Abstract(name) => write!(f, "{}", Address::Abstract(name)),
            Self::Later(text) => f.write_str(text),
        }
    }
}

impl Where {
    fn is_any_port(&self) -> bool {
        matches!(self, Self::Inet(address) if address.port() == 0)
    }
}

impl Endpoint {
    /// Parses one; the error names what would be right. Names of hosts and of interfaces are resolved by [`targets`].
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match Address::parse(text) {
            Ok(Address::Unix(path)) => Ok(Self::Unix(path.into())),
            Ok(Address::Abstract(name)) => Ok(Self::Abstract(name.into())),
            Ok(Address::Inet(address)) => Ok(Self::Host(host_of(text), address.port())),
            Err(error) => match (error.fault(), port_of(text)) {
                // A name, or an interface that may come later.
                (AddressFault::Host | AddressFault::NoInterface, Some(port)) => {
                    Ok(Self::Host(host_of(text), port))
                }
                (AddressFault::NoPort, _) => Err(
                    "has no port; it must be HOST:PORT, [IPV6]:PORT, unix:/path or unix:@name"
                        .into(),
                ),
                (fault, _) => Err(fault.to_string()),
            },
        }
    }

    fn resolve(&self) -> Result<Vec<Where>, Failure> {
        let (host, port) = match self {
            Self::Unix(path) => return Ok(vec![Where::Unix(path.clone())]),
            Self::Abstract(name) => return Ok(vec![Where::Abstract(name.clone())]),
            Self::Host(host, port) => (host, *port),
        };
        if host.contains(['%', ':']) {
            return match Address::parse(&self.to_string()) {
                Ok(Address::Inet(address)) => Ok(vec![Where::Inet(address)]),
                Ok(Address::Unix(_) | Address::Abstract(_)) => Ok(Vec::new()),
                Err(error) if error.fault() == AddressFault::NoInterface => {
                    Ok(vec![Where::Later(self.to_string())])
                }
                Err(error) => Err(Failure::System(format!(
                    "cannot listen on {self}: {}",
                    error.fault()
                ))),
            };
        }
        match (host.as_str(), port).to_socket_addrs() {
            Ok(addresses) => Ok(addresses.map(Where::Inet).collect()),
            Err(error) => Err(Failure::System(format!(
                "cannot listen on {self}: {host} is neither an address nor a known name ({error}); write an address"
            ))),
        }
    }
}

/// What stands before the port, without brackets.
fn host_of(text: &str) -> String {
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).into()
}

fn port_of(text: &str) -> Option<u16> {
    text.rsplit_once(':')?.1.parse().ok()
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Abstract(name) => write!(f, "unix:@{name}"),
        }
    }
}

/// Every requested listener, in order, none twice.
pub(crate) fn targets(endpoints: &[Endpoint]) -> Result<Vec<Target>, Failure> {
    let mut targets: Vec<Target> = Vec::new();
    for endpoint in endpoints {
        let found = endpoint.resolve()?;
        let one_of_several = found.len() > 1;
        let first = targets.len();
        for endpoint in found {
            // Any free port, requested twice, is two ports.
            let others = if endpoint.is_any_port() {
                &targets[first..]
            } else {
                &targets[..]
            };
            if others.iter().all(|target| target.endpoint != endpoint) {
                targets.push(Target {
                    text: endpoint.to_string(),
                    endpoint,
                    one_of_several,
                });
            }
        }
    }
    if targets.len() > LISTENERS {
        let n = targets.len();
        return Err(Failure::System(format!(
            "{n} addresses to listen on; the limit is {LISTENERS}: ask for fewer, or for 0.0.0.0 or [::]"
        )));
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Result<Endpoint, String> {
        Ok(Endpoint::Host(name.into(), port))
    }

    #[test]
    fn endpoints_are_parsed_and_shown() {
        assert_eq!(Endpoint::parse("127.0.0.1:8080"), host("127.0.0.1", 8080));
        assert_eq!(Endpoint::parse("localhost:0"), host("localhost", 0));
        assert_eq!(Endpoint::parse("[::1]:65535"), host("::1", 65535));
        assert_eq!(
            Endpoint::parse("unix:/a:b"),
            Ok(Endpoint::Unix("/a:b".into()))
        );
        assert_eq!(
            Endpoint::parse("unix:@a"),
            Ok(Endpoint::Abstract("a".into()))
        );
        assert_eq!(Endpoint::parse("[fe80::1%lo]:80"), host("fe80::1%lo", 80));
        assert_eq!(
            Endpoint::parse("[fe80::1%gone0]:80"),
            host("fe80::1%gone0", 80)
        );
        for text in [
            "127.0.0.1:8080",
            "localhost:0",
            "[::1]:65535",
            "[fe80::1%lo]:80",
            "unix:/a:b",
            "unix:@a",
        ] {
            assert_eq!(
                Endpoint::parse(text).map(|endpoint| endpoint.to_string()),
                Ok(text.into())
            );
        }
        let longest = format!("unix:/{}", "x".repeat(106));
        assert!(Endpoint::parse(&longest).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = format!("unix:/{}", "x".repeat(107));
        for (text, says) in [
            ("", "has no port; it must be HOST:PORT"),
            ("8080", "has no port"),
            ("localhost", "has no port"),
            (":8080", "no host"),
            ("[]:8080", "no host"),
            ("::1:8080", "brackets"),
            ("[::1:8080", "brackets"),
            ("[::1]", "no port"),
            ("localhost:", "port from 0 to 65535"),
            ("localhost:65536", "port from 0 to 65535"),
            ("localhost:+80", "port from 0 to 65535"),
            ("localhost:http", "port from 0 to 65535"),
            ("unix:", "no path"),
            (&long, "at most 107 bytes"),
        ] {
            let why = Endpoint::parse(text).expect_err(text);
            assert!(why.contains(says), "{text}: {why}");
        }
    }

    #[test]
    fn an_interface_is_resolved_when_it_is_needed() {
        let endpoint = Endpoint::parse("[fe80::1%lo]:80").expect("an endpoint");
        let found = targets(&[endpoint]).expect("a target");
        let address = "[fe80::1%1]:80".parse().expect("an address");
        assert_eq!(found[0].endpoint, Where::Inet(address));
        let text = "[fe80::1%gone0]:80";
        let missing = Endpoint::parse(text).expect("an endpoint");
        let found = targets(&[missing]).expect("a target");
        assert_eq!(found[0].endpoint, Where::Later(text.into()));
        assert_eq!(found[0].text, text);
    }

    #[test]
    fn no_address_is_listened_at_twice_and_there_is_a_limit() {
        let endpoint = |text: &str| Endpoint::parse(text).expect(text);
        let twice = [
            endpoint("127.0.0.1:80"),
            endpoint("unix:/x"),
            endpoint("127.0.0.1:80"),
            endpoint("unix:/x"),
        ];
        let found = targets(&twice).expect("two targets");
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|target| !target.one_of_several));
        let any = [endpoint("127.0.0.1:0"), endpoint("127.0.0.1:0")];
        assert_eq!(
            targets(&any).map(|found| found.len()),
            Ok(2),
            "two free ports"
        );
        let many: Vec<_> = (0..17)
            .map(|n| endpoint(&format!("127.0.0.1:{n}")))
            .collect();
        assert!(
            matches!(targets(&many), Err(Failure::System(why)) if why.starts_with("17 addresses"))
        );
        assert_eq!(targets(&many[..16]).map(|found| found.len()), Ok(16));
    }
}
