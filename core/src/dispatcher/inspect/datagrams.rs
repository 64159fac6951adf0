//! What an image has of a datagram socket beside what it has of every source.

use super::SOURCE;
use super::numbers::{halves, millis, nanos, pair};
use crate::dispatcher::Dispatcher;
use crate::slot::State;
use crate::source::{Datagrams, Kind, Source};

/// How many datagrams an event is good for, and what is left of that.
const BURST: usize = 4;
/// Whether one waits to be sent and whether the application waits for that (bits 0 and 1); how long ago the burst began (2 and
/// 3), and its size less one (the upper half).
const FACTS: usize = 13;
/// How long its next pause lasts.
const PAUSE: usize = 14;

impl Dispatcher<'_> {
    /// `turn`: an iteration is in progress.
    pub(super) fn put_datagrams_into(&self, index: u32, turn: bool, bytes: &mut [u8; SOURCE]) {
        let Some(Source {
            slot,
            kind: Kind::Datagrams(datagrams),
            pace,
            ..
        }) = self.slots.source(index)
        else {
            return;
        };
        if slot.state() != State::Datagrams {
            return;
        }
        let (ago, size, left, rest) = pace.burst_parts(self.m.schedule.iterations(), turn);
        bytes[BURST] = pair(left.into(), rest.into());
        bytes[FACTS] = u8::from(datagrams.loaded)
            | u8::from(datagrams.send_wanted) << 1
            | pair(ago << 2, u32::from(size).saturating_sub(1));
        [bytes[PAUSE], bytes[PAUSE + 1]] = millis(pace.parts().1);
    }

    pub(super) fn put_datagrams(&mut self, index: u32, bytes: &[u8; SOURCE]) {
        let iterations = self.m.schedule.iterations();
        let Some(Source {
            slot,
            kind: Kind::Datagrams(datagrams),
            pace,
            ..
        }) = self.slots.source_mut(index)
        else {
            return;
        };
        if slot.state() != State::Datagrams {
            return;
        }
        let (left, rest) = halves(bytes[BURST]);
        let (facts, size) = halves(bytes[FACTS]);
        *datagrams = Datagrams {
            loaded: facts & 1 != 0,
            send_wanted: facts & 2 != 0,
            lost: 0,
        };
        let few = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        let (size, left, rest) = (few(size + 1), few(left), few(rest));
        pace.put_burst(iterations.wrapping_sub(facts >> 2), size, left, rest);
        pace.put_pause(nanos([bytes[PAUSE], bytes[PAUSE + 1]]));
    }
}
