//! Connections whose send buffers other sources' handlers have filled: they are sent from before anything else is done; see
//! the schedule's `yielding`.

use super::{Dispatcher, Issued};
use crate::event::{Completion, Op, TransferResult};
use crate::on_demand::on_demand;
use crate::output::Action;
use crate::readiness::Directions;
use crate::slot::State;
use crate::token::Token;

on_demand! { Dispatcher[m.filled];
    /// The handler of the serviced source has filled the send buffer of another connection past the threshold. If it is no
    /// other's, nothing is done: a driver that completes in the midst of an iteration has the handler of one connection called
    /// while another is serviced.
    pub(super) fn fill[&mut](index: u32) = filled;
    /// The next send of a connection that was filled, if one is due and can be tried.
    pub(super) fn next_of_filled[&mut]() -> Option<Action> = send_of_filled;
    /// The send of a filled connection has completed.
    pub(super) fn note_flushed[&mut](index: u32, completion: Completion) = flushed;
}

impl Dispatcher<'_> {
    /// A handler is about to queue bytes on a connection that is not its own.
    pub(crate) const fn will_fill(&mut self) {
        self.m.filled = Some(&FUNCTIONS);
    }

    fn filled(&mut self, index: u32) {
        // What was just accepted is greeted in the service of its listener, which receives nothing to forward.
        let serving = self.m.schedule.serving();
        if serving.is_some_and(|serving| self.slots.at(serving).state() == State::Listening) {
            return;
        }
        self.m.schedule.fill(index);
        self.slots.at_mut(index).attempts.fill();
    }

    /// Work: the slots between the first and the last that was filled.
    fn send_of_filled(&mut self) -> Option<Action> {
        let windows = self.m.windows;
        while let Some(index) = self.m.schedule.next_filled() {
            let slot = self.slots.at_mut(index);
            if !slot.attempts.take_filled() {
                continue;
            }
            if slot.readiness.is_in_flight(Directions::WRITE) {
                self.flushes(index);
                continue;
            }
            let sends = slot.readiness.issue(slot.wanted(windows));
            if sends.contains(Directions::WRITE) && slot.state() != State::Connecting {
                slot.readiness.begin(Directions::WRITE);
                let token = Token::new(index, slot.generation);
                let from = slot.send_span();
                self.m.issued = Issued {
                    token,
                    op: Op::Send,
                };
                self.flushes(index);
                return Some(Action::Send { token, from });
            }
        }
        None
    }

    /// The send that is in flight is that of a filled connection.
    fn flushes(&mut self, index: u32) {
        let attempts = &mut self.slots.at_mut(index).attempts;
        let more = !attempts.is_flushed();
        attempts.flush();
        self.m.schedule.flushes(more);
    }

    /// The send of a filled connection has completed. What was queued behind it may fill the buffer, too.
    fn flushed(&mut self, index: u32, completion: Completion) {
        let n = match completion.result {
            TransferResult::Complete | TransferResult::Drained => completion.n,
            TransferResult::Failed => 0,
        };
        let slot = self.slots.at_mut(index);
        slot.attempts.flushed();
        let fills = n > 0 && slot.tx.len() > n && self.m.schedule.is_filled(slot.tx.end);
        self.m.schedule.flushed();
        if fills {
            slot.attempts.fill();
            self.m.schedule.fill_again(index);
        }
    }
}
