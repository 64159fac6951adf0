//! The commands of the control socket: lines, parsed into [`Command`]s.

use super::arguments::LEVELS;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use log::LevelFilter;
use tidegate::{Address, Escaped, Peer, parse_host};

/// The longest line, its end included.
pub(crate) const LINE: usize = 256;

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    Status,
    Connections,
    Recorder,
    Drop(Target),
    Log(LevelFilter),
    Drain,
}

/// A set of connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// This one's, as it is shown.
    Peer(Peer),
    /// All of this address; of a link-local one at this interface only, if one is named.
    Host(IpAddr, u32),
}

impl Target {
    pub(crate) fn is(&self, peer: Peer) -> bool {
        match (*self, peer) {
            (Self::Peer(Peer::Inet(asked)), Peer::Inet(peer)) => {
                is_host(asked.ip(), scope(asked), peer) && asked.port() == peer.port()
            }
            (Self::Peer(asked), peer) => asked == peer,
            (Self::Host(asked, interface), Peer::Inet(peer)) => is_host(asked, interface, peer),
            (Self::Host(..), Peer::Unix(_) | Peer::Registered(_) | Peer::Stream(_)) => false,
        }
    }
}

/// Whether a peer has this address, at this interface unless that is 0.
fn is_host(asked: IpAddr, interface: u32, peer: SocketAddr) -> bool {
    asked.to_canonical() == peer.ip().to_canonical() && [0, scope(peer)].contains(&interface)
}

/// The interface of a link-local address, 0 of any other.
const fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    }
}

/// What is wrong with a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wrong<'l> {
    Command(&'l [u8]),
    Target(&'l str),
    Level(&'l str),
}

impl fmt::Display for Wrong<'_> {
    /// With what would be right; at most 64 bytes of the line are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(line) => write!(
                f,
                "{}: must be status, connections, recorder, drop ADDR, log LEVEL or drain",
                Escaped(line)
            ),
            Self::Target(text) => write!(
                f,
                "drop {}: must be ADDRESS, ADDRESS:PORT or unix#N, as connections shows",
                Escaped(text.as_bytes())
            ),
            Self::Level(text) => write!(
                f,
                "log {}: must be off, error, warn, info, debug or trace",
                Escaped(text.as_bytes())
            ),
        }
    }
}

impl Command {
    /// Reads a line.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, Wrong<'_>> {
        let unknown = Wrong::Command(line);
        let text = core::str::from_utf8(line).map_err(|_| unknown)?;
        let mut words = text.split_ascii_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("status"), None, None) => Ok(Self::Status),
            (Some("connections"), None, None) => Ok(Self::Connections),
            (Some("recorder"), None, None) => Ok(Self::Recorder),
            (Some("drop"), Some(which), None) => target(which).map(Self::Drop),
            (Some("log"), Some(level), None) => log_level(level).map(Self::Log),
            (Some("drain"), None, None) => Ok(Self::Drain),
            _ => Err(unknown),
        }
    }
}

fn target(text: &str) -> Result<Target, Wrong<'_>> {
    if let Some(number) = text.strip_prefix("unix#")
        && let Ok(number) = number.parse()
    {
        return Ok(Target::Peer(Peer::Unix(number)));
    }
    if let Ok(Address::Inet(address)) = Address::parse(text) {
        return Ok(Target::Peer(Peer::Inet(address)));
    }
    let host = parse_host(text).map(|(ip, interface)| Target::Host(ip, interface));
    host.map_err(|_| Wrong::Target(text))
}

fn log_level(text: &str) -> Result<LevelFilter, Wrong<'_>> {
    let found = LEVELS.iter().find(|(name, _)| *name == text);
    found.map(|(_, level)| *level).ok_or(Wrong::Level(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        let peer = |text: &str| Command::Drop(Target::Peer(Peer::Inet(text.parse().expect(text))));
        let host = |text: &str| Command::Drop(Target::Host(text.parse().expect(text), 0));
        for (line, command) in [
            ("status", Command::Status),
            ("  connections  ", Command::Connections),
            ("recorder", Command::Recorder),
            ("drop 10.0.0.1:80", peer("10.0.0.1:80")),
            ("drop [::1]:80", peer("[::1]:80")),
            ("drop 10.0.0.1", host("10.0.0.1")),
            ("drop ::1", host("::1")),
            ("drop unix#7", Command::Drop(Target::Peer(Peer::Unix(7)))),
            ("log\toff", Command::Log(LevelFilter::Off)),
            ("log trace", Command::Log(LevelFilter::Trace)),
            ("drain", Command::Drain),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn an_error_is_reported_with_the_value() {
        for (line, part) in [
            ("", ": must be status, connections, "),
            ("Status", "Status: must be"),
            ("status now", "status now: must be"),
            ("drop", "drop: must be"),
            ("drop everybody", "drop everybody: must be ADDRESS"),
            ("drop unix#x", "drop unix#x: must be ADDRESS"),
            ("drop 10.0.0.1:99999", "drop 10.0.0.1:99999: must be"),
            ("drop 10.0.0.1 10.0.0.2", "10.0.0.2: must be status"),
            ("log loud", "log loud: must be off"),
            ("log", "log: must be"),
            ("drain now", "drain now: must be"),
            ("\x1b[2J", r"\x1b[2J: must be"),
            ("\u{ff}", r"\xc3\xbf: must be"),
        ] {
            let why = Command::parse(line.as_bytes()).expect_err(line).to_string();
            assert!(why.contains(part), "{line}: {why}");
        }
        let why = Command::parse(b"\xff").expect_err("nonsense").to_string();
        assert!(why.starts_with(r"\xff: "), "{why}");
    }

    #[test]
    fn a_target_is_a_peer_or_all_of_a_host() {
        let inet = |text: &str| Peer::Inet(text.parse().expect(text));
        let is = |target: &str, peer| super::target(target).expect(target).is(peer);
        assert!(is("10.0.0.1", inet("10.0.0.1:80")));
        assert!(is("10.0.0.1", inet("[::ffff:10.0.0.1]:80")));
        assert!(!is("10.0.0.1", inet("10.0.0.2:80")));
        assert!(is("10.0.0.1:80", inet("10.0.0.1:80")));
        assert!(!is("10.0.0.1:80", inet("10.0.0.1:81")));
        assert!(!is("10.0.0.1:80", inet("10.0.0.2:80")));
        // Every machine has an interface lo, and its number is 1.
        for at in [
            "[fe80::1%1]:80",
            "[fe80::1%lo]:80",
            "fe80::1",
            "fe80::1%lo",
            "fe80::1%1",
        ] {
            assert!(is(at, inet("[fe80::1%1]:80")), "{at}");
        }
        for at in ["[fe80::1%lo]:80", "fe80::1%lo"] {
            assert!(!is(at, inet("[fe80::1%2]:80")), "{at}");
        }
        assert!(is("[fe80::1]:80", inet("[fe80::1%2]:80")));
        assert!(is("unix#7", Peer::Unix(7)) && !is("unix#7", Peer::Unix(8)));
        assert!(!is("10.0.0.1", Peer::Unix(7)) && !is("unix#7", inet("10.0.0.1:7")));
    }
}
