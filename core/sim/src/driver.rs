//! What a driver for Linux makes of what the machine and the kernel say: masks of directions, events of reports, outcomes
//! of results. As the library does; what an error means is the core's table.

use crate::flags::EpollFlags;
use crate::kernel::{Family, Interest, Report};
use tidegate_core::errno::{self, Errno};
use tidegate_core::{Directions, Event, Outcome, Token, Trigger};

/// What is reported as the end, beside directions.
const CLOSING: EpollFlags = EpollFlags::from_bits(0x201a); // RDHUP, HUP, ERR, PRI

impl Interest {
    /// The mask that a driver registers for these directions.
    #[must_use]
    pub fn mask_of(directions: Directions, trigger: Trigger) -> EpollFlags {
        let read = (EpollFlags::IN | EpollFlags::RDHUP).when(directions.contains(Directions::READ));
        let flags = read | EpollFlags::OUT.when(directions.contains(Directions::WRITE));
        match trigger {
            Trigger::Level => flags,
            Trigger::Edge => flags | EpollFlags::ET | EpollFlags::RDHUP | EpollFlags::PRI,
            Trigger::Oneshot => flags | EpollFlags::ONESHOT,
        }
    }

    /// A registration that is made, modified or withdrawn, as a driver does for
    /// [`Action::Arm`](tidegate_core::Action::Arm). `bits` are true of its file.
    pub(crate) fn armed(
        before: Option<Self>,
        now: Directions,
        trigger: Trigger,
        bits: EpollFlags,
    ) -> Option<Self> {
        if now.is_empty() {
            return None;
        }
        let mask = Self::mask_of(now, trigger);
        let mut interest = before.unwrap_or_else(|| Self::new(mask));
        interest.modify(mask);
        interest.queued |= interest.is_ready(bits);
        Some(interest)
    }

    /// The directions that a driver has registered by this mask.
    #[must_use]
    pub fn directions(&self) -> Directions {
        match directions(self.mask) {
            Directions::NONE => Directions::HANGUP,
            directions => directions,
        }
    }
}

/// What a wait reports of a file, if anything. `poll` says what is true of it, and is asked if it is in the ready list.
pub(crate) fn report(
    interest: &mut Option<Interest>,
    token: Token,
    poll: impl FnOnce() -> EpollFlags,
) -> Option<Event> {
    let interest = interest.as_mut().filter(|interest| interest.queued)?;
    let flags = interest.report(poll());
    let data = token.to_bits();
    (!flags.is_empty()).then(|| Report { flags, data }.event())
}

impl Report {
    /// The event that a driver passes on; it has registered the bits of a token as the word.
    #[must_use]
    pub fn event(self) -> Event {
        let urgent = self.flags.contains(EpollFlags::PRI);
        Event::Ready {
            token: Token::from_bits(self.data),
            directions: directions(self.flags) | Directions::READ.when(urgent),
            closing: self.flags.intersects(CLOSING),
        }
    }
}

/// What can be done, of the bits of a poll.
pub(crate) fn directions(flags: EpollFlags) -> Directions {
    Directions::READ.when(flags.contains(EpollFlags::IN))
        | Directions::WRITE.when(flags.contains(EpollFlags::OUT))
}

/// So many bytes moved; `short` if fewer than requested is significant.
pub(crate) fn moved(n: usize, asked: usize, short: bool) -> Outcome {
    let count = u32::try_from(n).unwrap_or(u32::MAX);
    if short && n < asked {
        Outcome::Drained(count)
    } else {
        Outcome::Complete(count)
    }
}

/// A transfer, or a question about one, failed.
pub(crate) fn failed(family: Family, errno: Errno) -> Outcome {
    if family == Family::Terminal {
        errno::stream(errno)
    } else {
        errno::transfer(errno)
    }
}
