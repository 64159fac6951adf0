//! [`Ignored`]: the settings of a stream that its driver did not take.

use core::fmt;
use core::ops::{BitOr, BitOrAssign};

/// Settings that a device's driver did not take: a warning, by name. A serial line works without them as far as both
/// ends agree; a pseudo-terminal has none of them.
///
/// The driver returns them as the number in the [`Complete`](crate::Outcome::Complete) of a connect; the application finds
/// them in [`Info::ignored`](crate::Info::ignored).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ignored(u16);

impl Ignored {
    /// All settings were taken.
    pub const NONE: Self = Self(0);
    /// The number of data bits.
    pub const DATA_BITS: Self = Self(1);
    /// The parity, or its kind.
    pub const PARITY: Self = Self(1 << 1);
    /// The number of stop bits.
    pub const STOP_BITS: Self = Self(1 << 2);
    /// Flow control, by wires or by characters.
    pub const FLOW_CONTROL: Self = Self(1 << 3);
    /// The speed of input: another one than that of output.
    pub const INPUT_SPEED: Self = Self(1 << 4);
    /// What becomes of DTR and RTS at the last close (`HUPCL`).
    pub const HANG_UP: Self = Self(1 << 5);
    /// DTR.
    pub const DTR: Self = Self(1 << 6);
    /// RTS.
    pub const RTS: Self = Self(1 << 7);
    /// RS-485, or a part of it.
    pub const RS485: Self = Self(1 << 8);
    /// That nothing is interpreted on the way (`cfmakeraw(3)`).
    pub const RAW: Self = Self(1 << 9);

    /// Every setting, with its name.
    const NAMES: [(Self, &'static str); 10] = [
        (Self::DATA_BITS, "data bits"),
        (Self::PARITY, "parity"),
        (Self::STOP_BITS, "stop bits"),
        (Self::FLOW_CONTROL, "flow control"),
        (Self::INPUT_SPEED, "input speed"),
        (Self::HANG_UP, "hang-up at close"),
        (Self::DTR, "DTR"),
        (Self::RTS, "RTS"),
        (Self::RS485, "RS-485"),
        (Self::RAW, "raw mode"),
    ];

    /// The set of these bits; bits that name no setting are left out.
    #[must_use]
    pub const fn of_bits(bits: u32) -> Self {
        Self((bits & 0x3ff) as u16)
    }

    /// The set as bits, for [`of_bits`](Self::of_bits).
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// Whether all settings were taken.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every setting of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// `self`, or nothing unless `condition`.
    #[must_use]
    pub const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }

    /// The names of the settings in this set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let contained = Self::NAMES.into_iter();
        contained.filter_map(move |(setting, name)| self.contains(setting).then_some(name))
    }
}

impl BitOr for Ignored {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Ignored {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl fmt::Display for Ignored {
    /// `data bits, parity`; `nothing`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        let mut comma = "";
        for name in self.names() {
            f.write_str(comma)?;
            f.write_str(name)?;
            comma = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn every_bit_has_a_name_of_its_own_and_survives_its_number() {
        let mut all = Ignored::NONE;
        for (setting, name) in Ignored::NAMES {
            assert!(!all.contains(setting), "{name} twice");
            all |= setting;
            assert_eq!(setting.to_string(), name);
            assert_eq!(Ignored::of_bits(setting.bits()), setting);
        }
        assert_eq!(Ignored::of_bits(u32::MAX), all, "no bit without a name");
        let two = Ignored::PARITY | Ignored::DATA_BITS;
        assert_eq!(two.to_string(), "data bits, parity");
        assert_eq!(Ignored::NONE.to_string(), "nothing");
    }
}
