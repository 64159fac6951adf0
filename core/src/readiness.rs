//! [`Directions`]: the set of READ and WRITE. [`Trigger`]: how the kernel reports. [`Readiness`]: what is known of one source, and the
//! two equations over it.

use core::fmt;
use core::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, Sub, SubAssign};

/// A set of directions: interest, readiness, what is armed and what is in flight are all this one type.
///
/// `|` is union, `&` intersection, `-` difference. In memory it is one byte, and [`NONE`](Self::NONE) is 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
#[repr(transparent)]
pub struct Directions(u8);

impl Directions {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// Receiving; on a listener, accepting.
    pub const READ: Self = Self(1);
    /// Sending.
    pub const WRITE: Self = Self(2);
    /// Both.
    pub const BOTH: Self = Self(3);
    /// Neither, but registered: the kernel reports a hang-up or an error of whatever is registered, and nothing else of this.
    /// In [`Action::Arm`](crate::Action::Arm) only.
    pub const HANGUP: Self = Self(4);

    /// The set of these bits: 1 for READ, 2 for WRITE.
    pub(crate) const fn of_bits(bits: u32) -> Self {
        Self((bits & 3) as u8)
    }

    pub(crate) const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// Its two bits, as they are.
    pub(crate) const fn byte(self) -> u8 {
        self.0
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every direction of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether what is armed makes the kernel report all of `awaited`: a hang-up comes with whatever else is armed.
    pub(crate) const fn covers(self, awaited: Self) -> bool {
        self.contains(Self(awaited.0 & Self::BOTH.0))
            && (awaited.0 & Self::HANGUP.0 == 0 || !self.is_empty())
    }

    /// `self`, or nothing unless `condition`.
    #[must_use]
    pub const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }
}

/// What to hand to the driver now: `wanted ∩ ready − in_flight`.
#[must_use]
pub fn issue(wanted: Directions, ready: Directions, in_flight: Directions) -> Directions {
    (wanted & ready) - in_flight
}

/// What is to be armed in the kernel: `wanted − ready − in_flight`.
#[must_use]
pub fn awaited(wanted: Directions, ready: Directions, in_flight: Directions) -> Directions {
    wanted - ready - in_flight
}

/// How the kernel reports readiness of a source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "trace", derive(serde::Serialize, serde::Deserialize))]
pub enum Trigger {
    /// At every wait, as long as it lasts. Interest that is no longer wanted is disarmed when an event for it comes.
    #[default]
    Level,
    /// Once for each change (`EPOLLET`). Both directions are armed once and stay armed.
    Edge,
    /// Once (`EPOLLONESHOT`); then silence, hang-up and error included, until armed again.
    Oneshot,
}

impl Trigger {
    /// What to arm, if anything has to be: the new interest, or `None` when what is armed will do.
    ///
    /// `wanted` and `awaited` are the sets of the two equations, `armed` is what the kernel will report, and `unwanted`
    /// is set if it reported a direction that is not wanted.
    ///
    /// Level arms all that is wanted, so that a direction which is being worked on needs no second call. Edge arms both
    /// once. Oneshot arms only what is awaited: anything that is ready would fire at once.
    #[must_use]
    pub fn rearm(
        self,
        wanted: Directions,
        awaited: Directions,
        armed: Directions,
        unwanted: bool,
    ) -> Option<Directions> {
        let missing = !armed.covers(awaited);
        match self {
            Self::Level if missing || (unwanted && !wanted.contains(armed)) => Some(wanted),
            Self::Edge if missing => Some(Directions::BOTH),
            Self::Oneshot if missing => Some(awaited),
            Self::Level | Self::Edge | Self::Oneshot => None,
        }
    }
}

/// What is known of one source, and what its driver and the kernel have been asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Readiness {
    /// The kernel reported it, or the source is new, and no attempt since has shown otherwise.
    ready: Directions,
    /// Issued to the driver and not completed.
    in_flight: Directions,
    /// The bits of what the kernel's set holds, reported or not, and [`SPENT`](Self::SPENT).
    kernel: u8,
}

impl Readiness {
    /// It is registered as one-shot, and was reported since: the kernel is silent about it.
    const SPENT: u8 = 8;

    pub(crate) const NONE: Self = Self {
        ready: Directions::NONE,
        in_flight: Directions::NONE,
        kernel: 0,
    };

    /// `wanted ∩ ready − in_flight`
    pub(crate) fn issue(self, wanted: Directions) -> Directions {
        issue(wanted, self.ready, self.in_flight)
    }

    /// `wanted − ready − in_flight`
    pub(crate) fn awaited(self, wanted: Directions) -> Directions {
        awaited(wanted, self.ready, self.in_flight)
    }

    pub(crate) const fn ready(self) -> Directions {
        self.ready
    }

    pub(crate) const fn in_flight(self) -> Directions {
        self.in_flight
    }

    pub(crate) const fn is_ready(self, direction: Directions) -> bool {
        self.ready.contains(direction)
    }

    pub(crate) const fn is_in_flight(self, direction: Directions) -> bool {
        self.in_flight.contains(direction)
    }

    /// What the kernel's set holds.
    pub(crate) const fn registered(self) -> Directions {
        Directions(self.kernel & !Self::SPENT)
    }

    /// What the kernel will report.
    pub(crate) const fn armed(self) -> Directions {
        if self.kernel & Self::SPENT == 0 {
            self.registered()
        } else {
            Directions::NONE
        }
    }

    /// Whether nothing is in flight, nothing is there to be received, and the kernel reports what comes.
    pub(crate) const fn only_awaits_bytes(self) -> bool {
        const READ: u8 = Directions::READ.0;
        self.in_flight.is_empty()
            && self.ready.0 & READ == 0
            && self.kernel & (READ | Self::SPENT) == READ
    }

    /// An attempt is worth making.
    pub(crate) fn set_ready(&mut self, directions: Directions) {
        self.ready |= directions;
    }

    /// An attempt would block.
    pub(crate) fn clear_ready(&mut self, directions: Directions) {
        self.ready -= directions;
    }

    /// The kernel has reported these directions.
    pub(crate) fn report(&mut self, directions: Directions, trigger: Trigger) {
        self.ready |= directions;
        if trigger == Trigger::Oneshot {
            self.kernel |= Self::SPENT;
        }
    }

    /// An operation is issued.
    pub(crate) fn begin(&mut self, direction: Directions) {
        debug_assert!(
            (self.in_flight & direction).is_empty(),
            "one operation at a time in each direction"
        );
        self.in_flight |= direction;
    }

    /// It has completed.
    pub(crate) fn end(&mut self, direction: Directions) {
        debug_assert!(self.in_flight.contains(direction), "it was issued");
        self.in_flight -= direction;
    }

    /// Whether the kernel reports all of `awaited`: a hang-up comes with whatever else is armed.
    #[cfg(any(test, feature = "inspect"))]
    pub(crate) fn covers(self, awaited: Directions) -> bool {
        self.armed().covers(awaited)
    }

    /// What is to be registered for what is `wanted`, if anything has to be: what was, and what is now; see
    /// [`Trigger::rearm`].
    pub(crate) fn rearm(
        &mut self,
        trigger: Trigger,
        wanted: Directions,
        unwanted: bool,
    ) -> Option<(Directions, Directions)> {
        let now = trigger.rearm(wanted, self.awaited(wanted), self.armed(), unwanted)?;
        let was = self.registered();
        self.kernel = now.0;
        Some((was, now))
    }

    /// Nothing is to be registered any more: what was, if anything.
    pub(crate) fn disarm(&mut self) -> Option<Directions> {
        let was = self.registered();
        self.kernel = 0;
        (!was.is_empty()).then_some(was)
    }

    /// The kernel's set is a new one, which reports the present state first: a one-shot that was reported is armed again.
    pub(crate) const fn renew(&mut self) {
        self.kernel &= !Self::SPENT;
    }
}

/// For images.
#[cfg(feature = "inspect")]
impl Readiness {
    pub(crate) const fn of(
        ready: Directions,
        in_flight: Directions,
        registered: Directions,
        spent: bool,
    ) -> Self {
        let spent = if spent { Self::SPENT } else { 0 };
        Self {
            ready,
            in_flight,
            kernel: registered.0 | spent,
        }
    }
}

impl BitOr for Directions {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Directions {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl BitAnd for Directions {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitAndAssign for Directions {
    fn bitand_assign(&mut self, other: Self) {
        *self = *self & other;
    }
}

impl Sub for Directions {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl SubAssign for Directions {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl fmt::Debug for Directions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "-",
            1 => "R",
            2 => "W",
            4 => "H",
            _ => "RW",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Directions; 4] = [
        Directions::NONE,
        Directions::READ,
        Directions::WRITE,
        Directions::BOTH,
    ];
    const TRIGGERS: [Trigger; 3] = [Trigger::Level, Trigger::Edge, Trigger::Oneshot];

    #[test]
    fn sets_obey_their_algebra() {
        for a in ALL {
            assert_eq!(a | Directions::NONE, a);
            assert_eq!(a & Directions::BOTH, a);
            assert!((a - a).is_empty());
            for b in ALL {
                assert_eq!(a | b, b | a);
                assert_eq!(a & b, b & a);
                assert_eq!((a - b) | (a & b), a);
                assert_eq!(a.contains(b), (b - a).is_empty());
                for c in ALL {
                    assert_eq!(a & (b | c), (a & b) | (a & c));
                    assert_eq!((a - b) - c, a - (b | c));
                }
            }
        }
    }

    /// The equations split what is wanted into three parts without a remainder: issued, awaited, in flight.
    #[test]
    fn wanted_is_issued_awaited_or_in_flight_and_nothing_twice() {
        for wanted in ALL {
            for ready in ALL {
                for in_flight in ALL {
                    let issue = issue(wanted, ready, in_flight);
                    let awaited = awaited(wanted, ready, in_flight);
                    assert_eq!(issue | awaited | (wanted & in_flight), wanted);
                    assert!((issue & awaited).is_empty());
                    assert!((issue & in_flight).is_empty());
                    assert!((awaited & in_flight).is_empty());
                    // A completion driver: everything is always ready, so nothing is ever awaited.
                    assert!(super::awaited(wanted, Directions::BOTH, in_flight).is_empty());
                }
            }
        }
    }

    /// A source that rests is left alone: one that is taken for it wrongly loses an event, one that is not costs time.
    #[test]
    fn only_bytes_are_awaited_if_the_kernel_reports_them_and_nothing_else_is_to_be_done() {
        for ready in ALL {
            for in_flight in ALL {
                for armed in ALL {
                    for spent in [0, Readiness::SPENT] {
                        let readiness = Readiness {
                            ready,
                            in_flight,
                            kernel: armed.0 | spent,
                        };
                        let reports = armed.contains(Directions::READ) && spent == 0;
                        let idle = in_flight.is_empty() && !ready.contains(Directions::READ);
                        assert_eq!(
                            readiness.only_awaits_bytes(),
                            reports && idle,
                            "{readiness:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn arming_covers_what_is_awaited_and_is_asked_for_only_when_needed() {
        for trigger in TRIGGERS {
            for wanted in ALL {
                for ready in ALL {
                    for in_flight in ALL {
                        for armed in ALL {
                            for unwanted in [false, true] {
                                let awaited = awaited(wanted, ready, in_flight);
                                let now = trigger.rearm(wanted, awaited, armed, unwanted);
                                // No edge can be lost: what is awaited is armed afterwards, whatever was before.
                                assert!(now.unwrap_or(armed).contains(awaited));
                                if armed.contains(awaited) && !unwanted {
                                    assert_eq!(now, None, "armed without need");
                                }
                                match trigger {
                                    // Disarming leaves nothing that would report unwanted readiness again.
                                    Trigger::Level if unwanted => {
                                        assert!(wanted.contains(now.unwrap_or(armed)));
                                    }
                                    Trigger::Level => {}
                                    Trigger::Edge => {
                                        assert!(now.is_none() || now == Some(Directions::BOTH));
                                    }
                                    Trigger::Oneshot => {
                                        assert!(now.is_none_or(|now| (now & ready).is_empty()));
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
