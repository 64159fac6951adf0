//! What of a connection has no bearing on what comes next because of what its kernel holds, or of what this world leaves out: two
//! states that differ in nothing else are one. The argument for each is where it is left out.
//!
//! It is checked, too: `what_is_left_out_does_not_matter` (`tests/tests/explore.rs`) explores worlds whose states keep all of it,
//! and takes every step from each state as it is and as it is without. Both must keep or break the same laws, allow the same steps and
//! lead to the same: then the two spaces are bisimilar, and what the smaller one never breaks the larger one does not break. Leave
//! nothing out here that this test does not see. One thing is left out before, and so not seen by it: which directions one is
//! registered for that is being closed (`forget_armed`, `Socket::closing`).

use super::socket::Socket;
use super::world::World;
use tidegate_core::Directions;
use tidegate_core::inspect::{self, SOURCE};

impl World<'_> {
    /// Leaves it out of the bytes of a connection, and of its socket.
    pub(super) fn leave_out(&self, source: &mut [u8; SOURCE], socket: &mut Socket) {
        if !self.settings.probes {
            source[inspect::ACKNOWLEDGED] = 0;
        }
        if !self.settings.stale {
            socket.forget_no_space();
        }
        inspect::forget_claims(source, socket.moves());
        if self.settings.window == 1 {
            inspect::forget_closing(source);
        }
        let silent = !self.settings.spurious && !self.settings.stale;
        if silent && inspect::forget_spent(source) {
            socket.register(Directions::READ, self.settings.trigger);
        }
    }
}
