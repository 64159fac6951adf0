//! Resource exhaustion in the kernel: wait, and find out which completions it has lost.

use super::slot::{Slot, Watch};
use super::{Uring, readable};
use crate::clock;
use core::time::Duration;
use rustix::event::{Timespec, poll};
use rustix::io::Errno;
use tidegate_core::{Directions, Event, Fault, Instant, Op, Outcome, Token};

/// The first pause before the kernel is called again, and the longest.
const FIRST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(64);

/// Completions were dropped (`EBADR`), and which is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lost {
    /// None.
    Nothing,
    /// Some are; everything is to be ended.
    Found,
    /// Everything was ended; what still completes is being reported. What does not is lost.
    Ending,
    /// Slots from this one on are searched for operations that have not completed: those of connections, then those of
    /// listeners.
    From(usize),
}

impl Uring {
    /// Nothing could be submitted, nothing can be read: pauses, twice as long as the last time. `until` may come
    /// sooner, but the first pause is made at least, as otherwise queued work would be a busy loop.
    pub(super) fn pause(&mut self, until: Option<Instant>) {
        let left = until.map_or(LONGEST, clock::left).max(FIRST);
        let pause = self.exhaustion.min(left);
        self.exhaustion = (self.exhaustion * 2).min(LONGEST);
        let time = Timespec {
            tv_sec: 0,
            tv_nsec: pause.subsec_nanos().into(),
        };
        // A signal may end it.
        let _ = poll(&mut [], Some(&time));
    }

    /// There was no resource exhaustion.
    pub(super) const fn go_on(&mut self) {
        self.exhaustion = FIRST;
    }

    /// While completions are lost: how many completions and lost operations can be reported without a call. `None` if none
    /// is lost.
    pub(super) fn search(&mut self) -> Option<u32> {
        if self.lost == Lost::Found && !self.end_all() {
            self.pause(None);
            return Some(0);
        }
        match self.lost {
            Lost::Nothing => return None,
            Lost::Ending if self.ring.ready() == 0 => {
                // SAFETY: they are a field behind that of the ring; all that selected one was ended, and what was begun
                // since was not submitted.
                let _ = unsafe { self.buffers.give_again(&self.ring) };
                self.lost = Lost::From(0);
            }
            Lost::Found | Lost::Ending => return Some(self.ring.ready()),
            Lost::From(_) => {}
        }
        Some(super::BATCH)
    }

    /// Cancels everything that is in flight, so that what is lost can be distinguished from what is not. Returns
    /// whether it could.
    fn end_all(&mut self) -> bool {
        let handed_over = self.ring.hand_over().is_ok() && !self.ring.has_pending();
        if !handed_over || self.ring.cancel().is_err() {
            return false;
        }
        self.slots.list.iter_mut().for_each(Slot::end);
        self.stop_polled = false;
        self.reported = true;
        self.lost = Lost::Ending;
        true
    }

    /// The next operation whose completion is lost, as an event after which it is retried.
    pub(super) fn next_lost(&mut self) -> Option<Event> {
        let Lost::From(mut at) = self.lost else {
            return None;
        };
        loop {
            let Some(slot) = self.slots.list.get_mut(at) else {
                self.lost = Lost::Nothing;
                return None;
            };
            if slot.hang_up == Watch::Ended {
                // It checks the state of the socket when it is submitted, so that nothing is missed.
                slot.hang_up = Watch::No;
                let _ = slot.watch_end(&mut self.ring);
            }
            if let Some(event) = of(slot) {
                self.lost = Lost::From(at);
                return Some(event);
            }
            at += 1;
        }
    }
}

/// What is lost of this source.
fn of(slot: &mut Slot) -> Option<Event> {
    let token = slot.token();
    if core::mem::take(&mut slot.send_ended) {
        slot.sending = 0;
        // How much of it was sent is lost, too, so that the connection cannot go on.
        return Some(Event::Done {
            token,
            op: Op::Send,
            outcome: Outcome::Failed(UNKNOWN),
        });
    }
    if slot.input == Watch::Ended {
        slot.input = Watch::No;
        return Some(readable(token));
    }
    let output = slot.output == Watch::Ended;
    if output {
        slot.output = Watch::No;
    }
    output.then_some(writable(token))
}

const fn writable(token: Token) -> Event {
    Event::Ready {
        token,
        directions: Directions::WRITE,
        closing: false,
    }
}

/// `EBADR`.
const UNKNOWN: tidegate_core::Fault = Fault::Unknown(53);

/// Whether an error of `io_uring_enter(2)` passes.
pub(super) const fn passes(errno: Errno) -> bool {
    matches!(errno, Errno::NOMEM | Errno::AGAIN | Errno::BADR)
}
