//! Every limit, with its unit, bound, default and reason. There is no other option, and no hidden one.

use crate::readiness::Trigger;
use core::fmt;
use core::time::Duration;

/// An operation counts for at least this many bytes of the quantum, so that operations of one byte are bounded too.
/// 256 bytes is where the cost of a system call begins to depend on the length.
pub const OPERATION_MIN: u32 = 256;

/// Bytes of the largest window.
const WINDOW_MAX: u32 = u32::MAX >> 1;

/// The deadline of a connection is of exactly one class, which its state decides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Class {
    /// It was accepted and has not sent its first byte, whatever is sent to it; not of connections that we made. For services in which the peer only
    /// listens, switch it off: then what is queued for such a peer counts as for any other.
    FirstByte,
    /// Part of a message lies in the receive window, and nothing is queued to send. Consuming restarts it, more bytes do
    /// not.
    Request,
    /// Output waits for the peer. Bytes that the kernel or the peer takes restart it, and so does a sign of life, within
    /// the length of `Idle`.
    WriteStall,
    /// Resource exhaustion: the operation is retried when it passes. Fixed.
    Congestion,
    /// Nothing is going on. Any byte restarts it.
    Idle,
    /// FIN was sent, and the peer's is awaited. Nothing restarts it; resource exhaustion on the way may double it.
    Linger,
    /// The application requested an outbound connection, and the kernel has not connected it. Nothing restarts it;
    /// resource exhaustion on the way may double it.
    Connect,
    /// One side has sent FIN and the other has not, and nothing is queued: FIN was received and the application has not
    /// replied, or FIN was sent and the peer keeps its side open. Any byte restarts it. Without it such a connection
    /// would hold its slot for as long as an idle one.
    HalfClosed,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::FirstByte,
        Self::Request,
        Self::WriteStall,
        Self::Congestion,
        Self::Idle,
        Self::Linger,
        Self::Connect,
        Self::HalfClosed,
    ];

    /// Its place in [`ALL`](Self::ALL).
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// The text for a log when it has passed.
    pub(crate) const fn expired(self) -> &'static str {
        match self {
            Self::Connect => "not connected in time",
            Self::FirstByte => "no first byte in time",
            Self::Request => "request not complete in time",
            Self::WriteStall => "peer does not read",
            Self::Congestion => "system short of memory for too long",
            Self::Idle => "idle too long",
            Self::HalfClosed => "half-closed too long",
            Self::Linger => "peer did not finish in time",
        }
    }
}

/// What to do when a listener is ready and no slot is free.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum FullTable {
    /// Accept nothing; the kernel queues up to the listener's backlog. Those peers are connected as far as they can
    /// see, and get no response until a slot is free: with a protocol in which the client sends first that looks like a
    /// server that hangs. The default, because it is right where connections are short.
    #[default]
    Wait,
    /// Accept and close, one for each readiness event of the listener: peers learn at once that there is no slot. A
    /// driver may send a final message before it closes; without one the connection is reset.
    Refuse,
    /// Close a connection for the newcomer: first the one whose FIN was sent longest ago and whose peer has not sent
    /// its own ([`Class::HalfClosed`]), then the one that has been idle longest. If there is none, wait.
    Evict,
    /// As [`Evict`](Self::Evict), but only half-closed connections: an idle one is never closed for a newcomer. For
    /// relays and bridges, whose idle connections are in use.
    EvictHalfClosed,
}

impl FullTable {
    /// Whether a connection may be closed for a newcomer.
    pub(crate) const fn evicts(self) -> bool {
        match self {
            Self::Wait | Self::Refuse => false,
            Self::Evict | Self::EvictHalfClosed => true,
        }
    }
}

/// How many leading bits of an address make one source, for the limit of [`Session::listen`](crate::Session::listen).
///
/// IPv4 addresses that are mapped into IPv6 count as IPv4. Link-local addresses are distinguished by their scope, too:
/// `fe80::1%eth0` and `fe80::1%eth1` are two.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub struct Sources {
    /// Of an IPv4 address, 0 to 32. Default 32.
    pub ipv4: u8,
    /// Of an IPv6 address that is not local, 0 to 128. Default 64: what one host has at least (RFC 7421), so that it
    /// cannot pass for many.
    pub ipv6: u8,
    /// Of a link-local (`fe80::/10`, RFC 4291) or unique local (`fc00::/7`, RFC 4193) address, 0 to 128. Default 128: a
    /// network of 64 bits is not a host there but all of them.
    pub local: u8,
    /// A wider limit in addition to that of a source. `None` by default.
    pub block: Option<Block>,
}

/// A limit for all sources in one block of IPv6 addresses, over all listeners: a customer has often a /56 or a /48, which is
/// 256 or 65,536 sources. Local addresses, IPv4 and Unix peers are in no block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub struct Block {
    /// Leading bits of the address, 1 to 64.
    pub prefix: u8,
    /// Connections of one block at a time, at least 1.
    pub connections: u32,
}

impl Sources {
    /// An IPv4 address, a /64 of IPv6, a local IPv6 address; no blocks.
    pub const DEFAULT: Self = Self {
        ipv4: 32,
        ipv6: 64,
        local: 128,
        block: None,
    };
}

impl Default for Sources {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The sizes of one connection's windows, in bytes. [`Memory`](crate::Memory) gives them by its type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub struct Windows {
    /// What can be received before something is consumed: the longest message that the application can be shown whole.
    pub receive: u32,
    /// What can be queued to send. With four receive windows, replies to bulk input need a quarter of the sends.
    pub send: u32,
}

/// Everything that can be set.
///
/// A deadline of `None` is switched off. A length is never undercut; it may be exceeded by a 64th of it, because activity
/// moves a deadline at most once in that time. What came in time counts, however late a deadline is noticed (the process
/// was stopped, the machine suspended): before it ends a connection, what that waits for is tried once more.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// How many of the table's `N` slots to use, at least 1; `None` is all.
    pub connections: Option<u32>,
    /// How connections are reported. Listeners are always level.
    pub trigger: Trigger,
    /// What happens when every slot is taken. Default [`FullTable::Wait`]: newcomers are connected and not served.
    pub full: FullTable,
    /// What counts as one source where a listener limits the connections of each.
    pub sources: Sources,
    /// Bytes that one source may receive, and bytes that it may send, before the next is serviced. Default 16 KiB:
    /// measured, 64 KiB raises the rate of bulk traffic by a few percent and a small client's p99 by a quarter.
    pub quantum: u32,
    /// Bytes moved, all sources together, after which the kernel is polled again. Default 16 KiB.
    pub iteration_bytes: u32,
    /// How many sources that were just reported may go before one that is continuing, at least 1. Default 8.
    pub fresh_in_a_row: u32,
    /// From the wish for an outbound connection to its opening. Default 10 s.
    pub connect: Option<Duration>,
    /// From the accept to the first byte. Default 60 s.
    pub first_byte: Option<Duration>,
    /// From the first byte of a message to its last one consumed. Default 30 s.
    pub request: Option<Duration>,
    /// Without progress of queued output. Default 30 s. At its end the kernel is queried for how much the peer has
    /// acknowledged, and whether it lives. If it has acknowledged more than at the last query, the time runs once more:
    /// a slow link lives, a dead one ends after one to two lengths. A peer that lives but takes nothing (it responds to
    /// the kernel's window probes, or is on this machine) has until nothing has been taken for the length of `idle`,
    /// and ends then with that class. So do non-socket streams: flow control may stop a serial line for minutes.
    pub write_stall: Option<Duration>,
    /// Without any byte in either direction; also for how long a peer that lives may take nothing of what is queued for it.
    /// Default 10 min.
    pub idle: Option<Duration>,
    /// Without any byte in either direction on a half-closed connection while nothing is queued: see
    /// [`Class::HalfClosed`]. Default 60 s, as long as Linux keeps such a socket that no process holds any more
    /// (`tcp_fin_timeout`). An application whose reply to a peer that has already sent FIN takes longer sets it longer.
    pub half_closed: Option<Duration>,
    /// From FIN sent to FIN received. Default 2 s.
    pub linger: Option<Duration>,
    /// How long to suspend an operation that failed for resource exhaustion (`ENOBUFS`), or that moved nothing twice in
    /// a row although the kernel had notified readiness, which is how Linux shows that TCP has used up its memory. As
    /// long as nothing moves the wait grows to 4, 16 and 32 times that. Default 20 ms.
    pub congestion: Duration,
    /// Bytes received and discarded while waiting for the peer's FIN, in multiples of 256, at most 16 MiB; each receive
    /// counts for at least 256. Default 64 KiB.
    pub linger_bytes: u32,
    /// The first pause of a listener after resource exhaustion, doubled to `pause_max` while it lasts. Default 100 ms.
    pub pause_min: Duration,
    /// The longest pause of a listener. Default 1 s.
    pub pause_max: Duration,
    /// Accepts without a success, whatever the reason, that count as resource exhaustion; until one succeeds, each
    /// further one does. The same of receives of a datagram socket. Default 16.
    pub accept_failures: u16,
    /// Connections accepted for one readiness event of a listener, at most. The first event brings one: the next poll
    /// reports again if there are more, so that no accept is tried without a connection. Where polls repeatedly bring
    /// more, it is two, then four, up to this: fewer polls for each connection.
    pub accept_burst: u16,
    /// From the request to stop to the end of all that is left. Default 10 s. In that time a connection that was made a
    /// moment ago and has sent nothing, or is in the middle of a message, may still send, and gets its reply.
    pub drain: Duration,
    /// How long after the last event the kernel is polled without sleeping ([`Spinning`](crate::Spinning)); a driver
    /// does that. Off by default: it keeps a core busy for so long after each event, and pays only on a machine with a
    /// core to spare.
    pub spin: Option<Duration>,
    /// Mixed into the hash of source addresses, so that an attacker cannot choose addresses that collide. A driver with
    /// a source of random numbers sets it at start.
    pub hash_seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections: None,
            trigger: Trigger::Level,
            full: FullTable::Wait,
            sources: Sources::DEFAULT,
            quantum: 16 * 1024,
            iteration_bytes: 16 * 1024,
            fresh_in_a_row: 8,
            connect: Some(Duration::from_secs(10)),
            first_byte: Some(Duration::from_secs(60)),
            request: Some(Duration::from_secs(30)),
            write_stall: Some(Duration::from_secs(30)),
            idle: Some(Duration::from_secs(600)),
            half_closed: Some(Duration::from_secs(60)),
            linger: Some(Duration::from_secs(2)),
            congestion: Duration::from_millis(20),
            linger_bytes: 64 * 1024,
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_secs(1),
            accept_failures: 16,
            accept_burst: 4,
            drain: Duration::from_secs(10),
            spin: None,
            hash_seed: 0,
        }
    }
}

impl Config {
    /// The length of a class, `None` if it is off.
    #[must_use]
    pub const fn length(&self, class: Class) -> Option<Duration> {
        match class {
            Class::Connect => self.connect,
            Class::FirstByte => self.first_byte,
            Class::Request => self.request,
            Class::WriteStall => self.write_stall,
            Class::Congestion => Some(self.congestion),
            Class::Idle => self.idle,
            Class::Linger => self.linger,
            Class::HalfClosed => self.half_closed,
        }
    }

    /// Checks every bound against a table of `slots` slots and the windows.
    pub(crate) fn check(&self, slots: u32, windows: Windows) -> Result<(), ConfigError> {
        if let Some(asked) = self.connections
            && (asked == 0 || asked > slots)
        {
            return Err(ConfigError::Connections { asked, slots });
        }
        let zero = |name, value: u128| {
            if value == 0 {
                Err(ConfigError::Zero(name))
            } else {
                Ok(())
            }
        };
        let bytes = windows.receive.max(windows.send);
        if bytes > WINDOW_MAX {
            return Err(ConfigError::Window { bytes });
        }
        zero("receive window", windows.receive.into())?;
        zero("send window", windows.send.into())?;
        zero("quantum", self.quantum.into())?;
        zero("iteration_bytes", self.iteration_bytes.into())?;
        zero("fresh_in_a_row", self.fresh_in_a_row.into())?;
        zero("congestion", self.congestion.as_nanos())?;
        zero("pause_min", self.pause_min.as_nanos())?;
        if self.pause_max < self.pause_min {
            return Err(ConfigError::PauseMax);
        }
        self.sources.check()?;
        zero("accept_failures", self.accept_failures.into())?;
        zero("accept_burst", self.accept_burst.into())?;
        let some = |name, length: Option<Duration>| {
            length.map_or(Ok(()), |length| zero(name, length.as_nanos()))
        };
        some("connect", self.connect)?;
        some("first_byte", self.first_byte)?;
        some("request", self.request)?;
        some("write_stall", self.write_stall)?;
        some("idle", self.idle)?;
        some("half_closed", self.half_closed)?;
        some("linger", self.linger)?;
        some("spin", self.spin)
    }
}

impl Sources {
    fn check(&self) -> Result<(), ConfigError> {
        let block = self.block.map_or(1, |block| block.prefix);
        let within = |name, bits, least, most| {
            if bits < least || bits > most {
                return Err(ConfigError::Prefix {
                    name,
                    bits,
                    least,
                    most,
                });
            }
            Ok(())
        };
        within("IPv4 source", self.ipv4, 0, 32)?;
        within("IPv6 source", self.ipv6, 0, 128)?;
        within("local IPv6 source", self.local, 0, 128)?;
        within("IPv6 block", block, 1, 64)?;
        match self.block {
            Some(Block { connections: 0, .. }) => Err(ConfigError::Zero("connections of a block")),
            Some(_) | None => Ok(()),
        }
    }
}

/// A [`Config`] that cannot work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// More connections were requested than the table has slots, or none.
    Connections {
        /// The requested value.
        asked: u32,
        /// What the table has.
        slots: u32,
    },
    /// A window of more bytes than positions in it can name.
    Window {
        /// Its size.
        bytes: u32,
    },
    /// A length of a prefix that its addresses do not have.
    Prefix {
        /// The name of the prefix.
        name: &'static str,
        /// The requested value.
        bits: u8,
        /// The shortest that there is.
        least: u8,
        /// The longest.
        most: u8,
    },
    /// A size or length that must not be 0.
    Zero(&'static str),
    /// `pause_max` is shorter than `pause_min`.
    PauseMax,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connections { asked, slots } => write!(
                f,
                "{asked} connections asked for; the table was compiled for 1 to {slots}"
            ),
            Self::Window { bytes } => write!(
                f,
                "a window of {bytes} bytes; at most {WINDOW_MAX} can be used"
            ),
            Self::Prefix {
                name,
                bits,
                least,
                most,
            } => write!(
                f,
                "a prefix of {bits} bits for an {name}; it has {least} to {most}"
            ),
            Self::Zero(name) => write!(f, "{name} is 0; it must be at least 1"),
            Self::PauseMax => {
                f.write_str("pause_max is shorter than pause_min; it must be at least as long")
            }
        }
    }
}

impl core::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows {
        receive: 64,
        send: 64,
    };

    #[test]
    fn the_default_is_sound() {
        assert_eq!(Config::default().check(4, WINDOWS), Ok(()));
        let all = Config {
            connections: Some(4),
            ..Config::default()
        };
        assert_eq!(all.check(4, WINDOWS), Ok(()), "every slot may be used");
    }

    #[test]
    fn a_bad_value_is_named() {
        for asked in [0, 5] {
            let config = Config {
                connections: Some(asked),
                ..Config::default()
            };
            let error = ConfigError::Connections { asked, slots: 4 };
            assert_eq!(config.check(4, WINDOWS), Err(error));
        }
        let windows = Windows {
            receive: 0,
            send: 64,
        };
        assert_eq!(
            Config::default().check(4, windows),
            Err(ConfigError::Zero("receive window"))
        );
        let bytes = 1 << 31;
        for windows in [
            Windows {
                receive: bytes,
                ..WINDOWS
            },
            Windows {
                send: bytes,
                ..WINDOWS
            },
        ] {
            let error = ConfigError::Window { bytes };
            assert_eq!(Config::default().check(4, windows), Err(error));
        }
        let config = Config {
            idle: Some(Duration::ZERO),
            ..Config::default()
        };
        assert_eq!(config.check(4, WINDOWS), Err(ConfigError::Zero("idle")));
        let config = Config {
            pause_max: Duration::from_millis(1),
            ..Config::default()
        };
        assert_eq!(config.check(4, WINDOWS), Err(ConfigError::PauseMax));
    }

    #[test]
    fn classes_are_numbered_in_order() {
        for (index, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class.index(), index);
        }
    }
}
