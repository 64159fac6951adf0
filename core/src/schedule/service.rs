//! [`Service`]: the source that is being serviced, and what it has moved in that.

use super::units;
use crate::config::OPERATION_MIN;
use crate::queue::NONE;
use crate::readiness::Directions;

/// The source that is being serviced, and what is charged to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service {
    index: u32,
    /// What it has received and sent, in units of [`OPERATION_MIN`].
    received: u32,
    sent: u32,
    /// Its handler has filled the send buffer of another connection: it receives no more in this service.
    yields: bool,
}

impl Service {
    pub(super) const NONE: Self = Self::of(NONE);

    pub(super) const fn of(index: u32) -> Self {
        Self {
            index,
            received: 0,
            sent: 0,
            yields: false,
        }
    }

    pub(super) const fn index(&self) -> Option<u32> {
        if self.index == NONE {
            None
        } else {
            Some(self.index)
        }
    }

    pub(super) const fn is_of(&self, index: u32) -> bool {
        self.index == index
    }

    pub(super) const fn may_receive(&self, quantum: u32) -> bool {
        self.received < quantum && !self.yields
    }

    pub(super) const fn may_send(&self, quantum: u32) -> bool {
        self.sent < quantum
    }

    /// Charges an operation; what of it counts for the iteration. Neither overflows: a service ends at its quantum.
    #[inline]
    pub(super) fn charge(&mut self, direction: Directions, bytes: u32) -> u32 {
        let units = units(bytes);
        if direction == Directions::READ {
            self.received = self.received.wrapping_add(units);
            return units;
        }
        self.sent = self.sent.wrapping_add(units);
        if self.received > 0 {
            bytes / OPERATION_MIN
        } else {
            units
        }
    }

    pub(super) const fn yields(&mut self) {
        self.yields = true;
    }
}

/// For images.
#[cfg(feature = "inspect")]
impl Service {
    /// What was received and sent, at most a quantum each, and whether it yields.
    pub(super) fn spent(&self, quantum: u32) -> (u32, u32, bool) {
        (
            self.received.min(quantum),
            self.sent.min(quantum),
            self.yields,
        )
    }

    pub(super) const fn put_back(index: Option<u32>, spent: (u32, u32, bool)) -> Self {
        let index = match index {
            Some(index) => index,
            None => NONE,
        };
        let (received, sent, yields) = spent;
        Self {
            index,
            received,
            sent,
            yields,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_reply_costs_the_iteration_nothing_and_a_large_one_its_bytes() {
        let mut service = Service::of(0);
        assert_eq!(service.charge(Directions::READ, 64), 1);
        assert_eq!(service.charge(Directions::WRITE, OPERATION_MIN - 1), 0);
        assert_eq!(service.charge(Directions::WRITE, 3 * OPERATION_MIN), 3);
        // Without a receive it is an operation of its own.
        assert_eq!(Service::of(0).charge(Directions::WRITE, 64), 1);
    }
}
