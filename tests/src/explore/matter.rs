//! What of a connection has no bearing on what comes next because of what its kernel holds, or of what this world leaves out: two
//! states that differ in nothing else are one.

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
