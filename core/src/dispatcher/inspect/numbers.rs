//! How numbers, lengths, sets and reasons stand in the bytes of an image, and how they are read again.

use super::MILLI;
use crate::config::Class;
use crate::event::Fault;
use crate::output::Reason;
use crate::readiness::Directions;
use crate::slot::Cursors;

/// Two numbers up to 15 in one byte.
pub(super) fn pair(low: u32, high: u32) -> u8 {
    debug_assert!(
        low <= 15 && high <= 15,
        "{low} and {high} are for a small machine"
    );
    u8::try_from(low.min(15) | high.min(15) << 4).unwrap_or(0)
}

pub(super) fn cursors(pair: u8) -> Cursors {
    let (at, end) = halves(pair);
    Cursors { at, end }
}

pub(super) fn halves(pair: u8) -> (u32, u32) {
    (u32::from(pair & 15), u32::from(pair >> 4))
}

/// A length in milliseconds, rounded up, at most a minute.
pub(super) fn millis(nanos: u64) -> [u8; 2] {
    u16::try_from(nanos.div_ceil(MILLI))
        .unwrap_or(u16::MAX)
        .to_le_bytes()
}

pub(super) fn nanos(millis: [u8; 2]) -> u64 {
    u64::from(u16::from_le_bytes(millis)) * MILLI
}

pub(super) fn bits(directions: Directions) -> u8 {
    u8::from(directions.contains(Directions::READ))
        | u8::from(directions.contains(Directions::WRITE)) << 1
}

pub(super) fn directions(bits: u8) -> Directions {
    Directions::READ.when(bits & 1 != 0) | Directions::WRITE.when(bits & 2 != 0)
}

pub(super) fn number(class: Class) -> u32 {
    u32::try_from(class.index()).unwrap_or(0)
}

/// The reasons in 1..=15: the faults are one.
pub(super) fn number_of(reason: Reason) -> u32 {
    match reason {
        Reason::PeerFinished => 1,
        Reason::Finished => 2,
        Reason::Aborted => 3,
        Reason::TooLong => 4,
        Reason::Evicted => 5,
        Reason::Stopping => 6,
        Reason::Failed(_) => 7,
        Reason::Deadline(class) => 8 + number(class),
    }
}

pub(super) fn reason_of(number: u32) -> Option<Reason> {
    Some(match number {
        0 => return None,
        1 => Reason::PeerFinished,
        2 => Reason::Finished,
        3 => Reason::Aborted,
        4 => Reason::TooLong,
        5 => Reason::Evicted,
        6 => Reason::Stopping,
        7 => Reason::Failed(Fault::Unknown(0)),
        class => Reason::Deadline(*Class::ALL.get((class - 8) as usize)?),
    })
}
