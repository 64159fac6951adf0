//! [`Input`]: the fuzzer's bytes as choices. [`Plan`]: what is decided before the first step.

use arbitrary::Unstructured;
use core::time::Duration;
use tidegate_core::{Class, Config, Fault, FullTable, Instant, Memory, Outcome, Trigger, Windows};

/// Slots of the table. Three are enough for "one of another", and small enough that a full table is common.
pub(super) const N: usize = 3;
/// Bytes of a receive window.
pub(super) const RX: usize = 16;
/// Bytes of a send window.
pub(super) const TX: usize = 24;

/// Both, as the machine gets them.
pub(super) const WINDOWS: Windows = Memory::<N, RX, TX>::WINDOWS;

/// The source addresses of peers; the second and third are of one network, the last has none.
pub(super) const SOURCES: u32 = 5;

/// Bytes taken one at a time from the front; 0 once they are used up. Every choice is one byte, so that a mutation of
/// the fuzzer changes one decision and leaves the rest as it is.
#[derive(Debug)]
pub(super) struct Input<'a>(Unstructured<'a>);

impl<'a> Input<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self(Unstructured::new(data))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// A number below `n`, which is at least 1.
    pub(super) fn below(&mut self, n: u32) -> u32 {
        u32::from(self.byte()) % n
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()]
    }

    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::from(self.byte()) % len
    }

    pub(super) fn fault(&mut self, code: u16) -> Fault {
        let kinds: [fn(u16) -> Fault; 8] = [
            Fault::Interrupted,
            Fault::Reset,
            Fault::Exhausted,
            Fault::TimedOut,
            Fault::Unreachable,
            Fault::Invalid,
            Fault::Unknown,
            Fault::Refused,
        ];
        self.pick(&kinds)(code)
    }

    /// Any outcome for an operation over `len` bytes, possible or not. What lies between the requested length and what
    /// was queued since is left out: the machine cannot know that it is too much.
    pub(super) fn outcome(&mut self, len: u32) -> Outcome {
        let choice = self.below(9);
        let amount = self.byte();
        let some = u32::from(amount) % len.max(1);
        match choice {
            0 => Outcome::Complete(len),
            1 => Outcome::Complete(some),
            2 => Outcome::Complete(0),
            3 => Outcome::Drained(some),
            4 => Outcome::Drained(0),
            5 => {
                let beyond = [u32::MAX, 1 << 31, 256, 25];
                Outcome::Complete(beyond[usize::from(amount) % beyond.len()])
            }
            6 if amount >= 250 => Outcome::Datagram {
                len,
                from: None,
                local: None,
                lost: len,
            },
            6 => Outcome::Accepted(super::kernel::address(u32::from(amount) % SOURCES)),
            _ => Outcome::Failed(self.fault(u16::from(amount))),
        }
    }
}

impl Input<'_> {
    /// Any outcome for a datagram that is received or sent.
    pub(super) fn datagram(&mut self) -> Outcome {
        let (choice, amount) = (self.below(8), self.byte());
        let len = [0, 1, 4, 5, 300, u32::MAX][usize::from(amount) % 6];
        match choice {
            0 | 1 => Outcome::Datagram {
                len,
                from: (amount & 1 == 1).then_some(tidegate_core::Peer::Unix(len)),
                local: (amount & 2 == 2).then_some(tidegate_core::Local {
                    address: core::net::Ipv4Addr::from(len).into(),
                    interface: len,
                }),
                lost: len,
            },
            2 => Outcome::Complete(len),
            3 => Outcome::Drained(len),
            4 => Outcome::Accepted(None),
            _ => Outcome::Failed(self.fault(u16::from(amount))),
        }
    }
}

/// What is decided before the first step: nine bytes.
///
/// | byte | decides |
/// |---|---|
/// | 0 | bit 0 session or dispatcher; 1 completions come later (completion driver) or at once; 2–3 trigger; 4–5 full table; 6 peers never finish; 7 two listeners |
/// | 1 | low half: connections used; high half: limit of a source, and the time to connect |
/// | 2 | quantum, poll interval, fresh in a row; bit 6: the last listener has priority |
/// | 3–7 | deadlines: first byte, request, write stall, idle, linger; bits 0–2 off or length, the unit is in byte 8; bits 6–7 of byte 3: slots reserved for the last listener; of byte 4: how many connections it may have; bits 3–5 of byte 6: half-closed |
/// | 8 | unit of time (ns, ms); bytes while lingering; accept failures; pauses; congestion |
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) session: bool,
    pub(super) completions: bool,
    pub(super) mute: bool,
    pub(super) listeners: usize,
    pub(super) per_source: Option<u32>,
    pub(super) reserved: u32,
    pub(super) at_most: Option<u32>,
    pub(super) priority: bool,
    pub(super) limit: u32,
    /// Steps of the clock are multiples of it.
    pub(super) unit: u64,
    pub(super) config: Config,
}

impl Plan {
    pub(super) fn decode(input: &mut Input<'_>) -> Self {
        let (what, table, share) = (input.byte(), input.byte(), input.byte());
        let times = [(); 5].map(|()| input.byte());
        let rest = input.byte();
        let unit = if rest & 1 == 0 { 1 } else { 1_000_000 };
        let connect = length(table >> 5, unit);
        let [first_byte, request, write_stall, idle, linger] = times.map(|byte| length(byte, unit));
        let half_closed = length(times[3] >> 3, unit);
        let limit = 1 + u32::from(table & 15) % 3;
        let of = |value: u8, shift: u32, list: [u32; 4]| list[usize::from(value >> shift) & 3];
        let config = Config {
            connections: Some(limit),
            trigger: match what >> 2 & 3 {
                1 => Trigger::Edge,
                2 => Trigger::Oneshot,
                _ => Trigger::Level,
            },
            full: match what >> 4 & 3 {
                1 => FullTable::Refuse,
                2 => FullTable::Evict,
                3 => FullTable::EvictHalfClosed,
                _ => FullTable::Wait,
            },
            quantum: of(share, 0, [16 * 1024, 1, 257, 512]),
            iteration_bytes: of(share, 2, [16 * 1024, 1, 257, 1024]),
            fresh_in_a_row: of(share, 4, [8, 1, 2, 3]),
            connect,
            first_byte,
            request,
            write_stall,
            idle,
            half_closed,
            linger,
            congestion: Duration::from_nanos(20 * unit),
            linger_bytes: of(rest, 1, [64 * 1024, 0, 256, 512]),
            pause_min: Duration::from_nanos(10 * unit),
            pause_max: Duration::from_nanos(40 * unit),
            accept_failures: if rest & 8 == 0 { 16 } else { 2 },
            accept_burst: if rest & 8 == 0 { 4 } else { 1 },
            hash_seed: u64::from(rest >> 4),
            ..Config::default()
        };
        Self {
            session: what & 1 == 0,
            completions: what & 2 != 0,
            mute: what & 64 != 0,
            listeners: if what & 128 == 0 { 1 } else { 2 },
            per_source: [None, Some(1), Some(2), None][usize::from(table >> 4) & 3],
            reserved: u32::from(times[0] >> 6),
            at_most: [None, Some(0), Some(1), Some(2)][usize::from(times[1] >> 6)],
            priority: share & 64 != 0,
            limit,
            unit,
            config,
        }
    }

    /// The longest deadline, `None` if one is switched off.
    pub(super) fn longest(&self) -> Option<u64> {
        let lengths = Class::ALL
            .into_iter()
            .map(|class| self.config.length(class));
        let nanos = lengths.map(|length| length.map(|length| nanos_of(Some(length))));
        nanos.collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}

fn length(byte: u8, unit: u64) -> Option<Duration> {
    let of = [0, 1, 64, 100, 640, 1000, 6400, 1_000_000];
    let nanos = of[usize::from(byte) & 7] * unit;
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}

/// A length in nanoseconds, 0 if it is off.
pub(super) fn nanos_of(length: Option<Duration>) -> u64 {
    length.map_or(0, |length| {
        u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// `now` and so many nanoseconds more or fewer.
pub(super) fn moved(now: Instant, nanos: u64, back: bool) -> Instant {
    let now = now.as_nanos();
    Instant::from_nanos(if back {
        now.saturating_sub(nanos)
    } else {
        now.saturating_add(nanos)
    })
}
