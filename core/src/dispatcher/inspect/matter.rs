//! What of a slot is still read in its state, or may be in one that follows: two images that differ in nothing else are of
//! one state. Some of it is known only to who knows the kernel, or what it will do: he has it left out of the bytes of a
//! connection.

use super::numbers::{bits, directions};
use super::{ALL, ATTEMPTS, HANGUP, SOURCE, SPENT};
use crate::readiness::Directions;
use crate::slot::{Flags, Slot, State};

/// Its flags.
pub(super) fn flags(slot: &Slot) -> Flags {
    let opened = Flags::SPOKEN.or(Flags::PAUSED).bits();
    slot.flags.and(match slot.state() {
        State::Finishing | State::Lingering => Flags::of(!opened),
        State::Closing | State::Cancelling => Flags::OPENED.or(Flags::RESET),
        State::Free
        | State::Reserved
        | State::Connecting
        | State::Open
        | State::HalfClosing
        | State::HalfClosed
        | State::Listening
        | State::Watching
        | State::Datagrams
        | State::Retired => Flags::of(u16::MAX),
    })
}

/// The bits of its attempts. `edge`: a receive is never doubted.
pub(super) fn attempts(slot: &Slot, edge: bool) -> u8 {
    let never = Directions::READ.when(edge);
    match slot.state() {
        State::Closing | State::Cancelling => slot.attempts.flushed_bit(),
        State::Lingering => {
            (slot.attempts).bits_that_matter(slot.readiness.ready(), never | Directions::WRITE)
        }
        State::Free
        | State::Reserved
        | State::Connecting
        | State::Open
        | State::HalfClosing
        | State::HalfClosed
        | State::Finishing
        | State::Listening
        | State::Watching
        | State::Datagrams
        | State::Retired => slot
            .attempts
            .bits_that_matter(slot.readiness.ready(), never),
    }
}

/// Leaves out whether the kernel has notified these directions as ready, where they are: in them it moves something, or fails, at
/// the next attempt, whenever that is.
///
/// What was claimed is asked only when an attempt has moved nothing, or when a direction that is not ready is tried again
/// after a wait for memory; and it is forgotten when something has moved.
pub fn forget_claims(source: &mut [u8; SOURCE], moves: Directions) {
    let ready = directions(source[3]);
    source[ATTEMPTS] &= !bits(moves & ready);
}

/// Leaves out whether anything but data was ever reported: a receive returns as much as it asks for, or nothing. It is asked only
/// after a receive of less.
pub fn forget_closing(source: &mut [u8; SOURCE]) {
    source[1] &= !Flags::CLOSING.bits().to_le_bytes()[0];
}

/// Leaves out which directions are registered of one that is being closed: they are named again when they are withdrawn, and events
/// change nothing. If it is registered, it is for both.
pub fn forget_armed(source: &mut [u8; SOURCE]) {
    let state = ALL.get(usize::from(source[0] & 15));
    let registered = source[8] & HANGUP != 0 || !directions(source[3] >> 6).is_empty();
    if registered && state.is_some_and(|state| state.is_closing()) {
        source[3] |= bits(Directions::BOTH) << 6;
        source[8] &= !HANGUP;
    }
}

/// Leaves out which directions are registered as one-shot where they were reported, and so are silent until others are registered
/// in their place: where no event comes all the same, and no set is rebuilt. Returns whether it is so: then, for READ.
pub fn forget_spent(source: &mut [u8; SOURCE]) -> bool {
    let forgets = source[8] & SPENT != 0 && !directions(source[3] >> 6).is_empty();
    if forgets {
        source[3] = source[3] & 63 | bits(Directions::READ) << 6;
    }
    forgets
}
