//! [`EpollFlags`]: the bits of `epoll_ctl(2)` and `epoll_wait(2)`.

use core::fmt;
use core::ops::{BitAnd, BitOr, BitOrAssign, Sub};

/// A set of epoll's bits, with the values they have on Linux. `|` is union, `&` intersection, `-` difference.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EpollFlags(u32);

impl EpollFlags {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// There are bytes, EOF or a connection to take.
    pub const IN: Self = Self(0x001);
    /// An urgent mark is ahead.
    pub const PRI: Self = Self(0x002);
    /// Writable.
    pub const OUT: Self = Self(0x004);
    /// An error is kept; reported unasked.
    pub const ERR: Self = Self(0x008);
    /// Both directions are shut; reported unasked.
    pub const HUP: Self = Self(0x010);
    /// The peer has shut its sending side, or we our receiving side.
    pub const RDHUP: Self = Self(0x2000);
    /// Interest only: of several sets that wait, wake one (`EPOLLEXCLUSIVE`). It is set at registration, with `IN`,
    /// `OUT`, `ERR`, `HUP`, `WAKEUP` and `ET` only, and cannot be modified.
    pub const EXCLUSIVE: Self = Self(1 << 28);
    /// Interest only: keep the system awake meanwhile (`EPOLLWAKEUP`); nothing here sleeps.
    pub const WAKEUP: Self = Self(1 << 29);
    /// Interest only: report once, then fall silent.
    pub const ONESHOT: Self = Self(1 << 30);
    /// Interest only: report changes.
    pub const ET: Self = Self(1 << 31);

    const NAMES: [(Self, &'static str); 10] = [
        (Self::IN, "IN"),
        (Self::PRI, "PRI"),
        (Self::OUT, "OUT"),
        (Self::ERR, "ERR"),
        (Self::HUP, "HUP"),
        (Self::RDHUP, "RDHUP"),
        (Self::EXCLUSIVE, "EXCLUSIVE"),
        (Self::WAKEUP, "WAKEUP"),
        (Self::ONESHOT, "ONESHOT"),
        (Self::ET, "ET"),
    ];

    /// The set with these bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every bit of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is in this set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// `self`, or nothing unless `condition`.
    #[must_use]
    pub const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }
}

impl BitOr for EpollFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for EpollFlags {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl BitAnd for EpollFlags {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for EpollFlags {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Debug for EpollFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = *self;
        let mut separator = "";
        for (flag, name) in Self::NAMES {
            if rest.contains(flag) {
                rest = rest - flag;
                write!(f, "{separator}{name}")?;
                separator = "|";
            }
        }
        if !rest.is_empty() || separator.is_empty() {
            write!(f, "{separator}{:#x}", rest.0)?;
        }
        Ok(())
    }
}
