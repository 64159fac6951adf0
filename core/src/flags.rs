//! [`Flags`]: facts about a source, a bit each.

/// Facts about a source, each true exactly when its sentence is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flags(u16);

impl Flags {
    pub(crate) const NONE: Self = Self(0);
    /// FIN, a hang-up, an error or an urgent mark has been reported since it was opened.
    pub(crate) const CLOSING: Self = Self(1);
    /// FIN has been received; while lingering, also that it is no longer awaited.
    pub(crate) const ENDED: Self = Self(1 << 1);
    /// The application wants no more bytes for now.
    pub(crate) const PAUSED: Self = Self(1 << 2);
    /// `Opened` was notified, so `Closed` must follow. It must follow, too, for an outbound connection that was never
    /// opened.
    pub(crate) const TOLD: Self = Self(1 << 3);
    /// Of a source that is not a connection: nor is it a listener. The same bit: neither kind has an `Opened`.
    pub(crate) const WATCHED: Self = Self::TOLD;
    /// A byte has been received; or none is expected first, because we connected.
    pub(crate) const SPOKEN: Self = Self(1 << 4);
    /// Of a source that is not a connection: a datagram socket. The same bit, which no other such source has.
    pub(crate) const DATAGRAMS: Self = Self::SPOKEN;
    /// The last readiness event had a direction that is not wanted.
    pub(crate) const UNWANTED: Self = Self(1 << 5);
    /// An operation failed for resource exhaustion, or moved nothing although the kernel had notified readiness twice;
    /// its direction rests until the deadline passes.
    pub(crate) const CONGESTED: Self = Self(1 << 6);
    /// Something was received since the deadline was last settled.
    pub(crate) const HEARD: Self = Self(1 << 7);
    /// The kernel or the peer has taken output since the deadline was last settled.
    pub(crate) const TAKEN: Self = Self(1 << 8);
    /// Of a datagram socket: a datagram waits to be sent. The same bit, which no other such source has.
    pub(crate) const LOADED: Self = Self::TAKEN;
    /// The application consumed something since the deadline was last settled.
    pub(crate) const CONSUMED: Self = Self(1 << 9);
    /// `Unsent` is to be issued.
    pub(crate) const PROBE: Self = Self(1 << 10);
    /// An operation that is not a transfer (`Connect`, `Unsent`, `Shutdown`, `Refuse`) is in flight.
    pub(crate) const CALLED: Self = Self(1 << 11);
    /// FIN has been sent, or is being sent.
    pub(crate) const SHUT: Self = Self(1 << 12);
    /// `Cancel` has been issued.
    pub(crate) const CANCELLED: Self = Self(1 << 13);
    /// `Close` has been issued.
    pub(crate) const CLOSED: Self = Self(1 << 14);
    /// Of a connection that is not being closed: a hang-up or an error may have been reported that no transfer has
    /// returned. The same bit, which only one that is being closed has.
    pub(crate) const SUSPECT: Self = Self::CANCELLED;
    /// Of a connection that is not being closed: the query whether it has failed is in flight, or was negative; then
    /// nothing more can be learned from a hang-up by level. The same bit as for `Close`, and that of one that is being
    /// closed the query while `CALLED`.
    pub(crate) const CHECKED: Self = Self::CLOSED;
    /// `Close` is to reset.
    pub(crate) const RESET: Self = Self(1 << 15);
    /// Of a connection that is not being closed: the `Unsent` that is in flight, or else is to be issued, queries how
    /// much the peer has not acknowledged, because output has stalled, and not whether both sides have ended. The same
    /// bit, which only one that is being closed has.
    pub(crate) const STALLS: Self = Self::RESET;

    /// What happened since the deadline was last settled.
    pub(crate) const ACTIVITY: Self = Self::HEARD.or(Self::TAKEN).or(Self::CONSUMED);

    /// These alone, whatever happened since the deadline was last settled.
    #[inline]
    pub(crate) const fn are_but_for_activity(self, flags: Self) -> bool {
        self.0 & !Self::ACTIVITY.0 == flags.0
    }

    pub(crate) const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) const fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }

    pub(crate) const fn clear(&mut self, flag: Self) {
        self.0 &= !flag.0;
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// As bits, for images and tests.
#[cfg(any(test, feature = "inspect"))]
impl Flags {
    pub(crate) const fn of(bits: u16) -> Self {
        Self(bits)
    }
}

#[cfg(feature = "inspect")]
impl Flags {
    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}
