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
    pub(crate) const OPENED: Self = Self(1 << 3);
    /// A byte has been received; or none is expected first, because we connected.
    pub(crate) const SPOKEN: Self = Self(1 << 4);
    /// The last readiness event had a direction that is not wanted.
    pub(crate) const UNWANTED: Self = Self(1 << 5);
    /// An operation failed for resource exhaustion, or moved nothing although the kernel had notified readiness twice;
    /// its direction rests until the deadline passes.
    pub(crate) const CONGESTED: Self = Self(1 << 6);
    /// Something was received since the deadline was last settled.
    pub(crate) const HEARD: Self = Self(1 << 7);
    /// The kernel or the peer has taken output since the deadline was last settled.
    pub(crate) const TAKEN: Self = Self(1 << 8);
    /// The application consumed something since the deadline was last settled.
    pub(crate) const CONSUMED: Self = Self(1 << 9);
    /// Reading goes on while the application waits for send capacity.
    pub(crate) const KEEP_READING: Self = Self(1 << 10);
    /// `Unsent` is to be issued.
    pub(crate) const PROBE: Self = Self(1 << 11);
    /// The `Unsent` that is in flight, or else is to be issued, queries how much the peer has not acknowledged, because
    /// output has stalled, and not whether both sides have ended.
    pub(crate) const STALLS: Self = Self(1 << 12);
    /// A hang-up or an error may have been reported that no transfer has returned.
    pub(crate) const SUSPECT: Self = Self(1 << 13);
    /// The query whether it has failed is in flight, or was negative; then nothing more can be learned from a hang-up by
    /// level.
    pub(crate) const CHECKED: Self = Self(1 << 14);
    /// `Close` is to reset.
    pub(crate) const RESET: Self = Self(1 << 15);

    /// All that concerns `Unsent`.
    pub(super) const QUESTIONS: Self = Self::PROBE
        .or(Self::STALLS)
        .or(Self::SUSPECT)
        .or(Self::CHECKED);

    /// What keeps an open connection from receiving or sending.
    pub(super) const HOLDS: Self = Self::ENDED.or(Self::PAUSED).or(Self::CONGESTED);

    /// What happened since the deadline was last settled.
    pub(crate) const ACTIVITY: Self = Self::HEARD.or(Self::TAKEN).or(Self::CONSUMED);

    /// These alone, whatever happened since the deadline was last settled.
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
