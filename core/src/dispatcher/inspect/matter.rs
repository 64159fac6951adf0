//! What of a slot is still read in its state, or may be in one that follows: two images that differ in nothing else are of
//! one state.

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
