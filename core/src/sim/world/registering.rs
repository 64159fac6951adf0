//! What is armed, in the simulated kernel's epoll set.

use super::broken::Broken;
use super::driver::{Driver, Interface};
use crate::directions::{Directions, Trigger};
use crate::session::{Handler, Session};
use crate::sim::errno::Errno;
use crate::sim::flags::EpollFlags;
use crate::sim::kernel::{Fd, Kernel};
use crate::token::Token;
use alloc::format;
use alloc::vec::Vec;

impl Driver {
    /// As the Linux driver does, but that nothing needs to be mended here.
    pub(super) fn arm(
        &self,
        kernel: &mut Kernel,
        token: Token,
        was: Directions,
        now: Directions,
        trigger: Trigger,
    ) -> Result<(), Errno> {
        let fd = self.sockets.get(&token).copied().ok_or(Errno::BADF)?;
        let (mask, data) = (interest(now, trigger), token.to_bits());
        if now.is_empty() {
            kernel.epoll_delete(self.set, fd)
        } else if was.is_empty() {
            kernel.epoll_add(self.set, fd, mask, data)
        } else {
            kernel.epoll_modify(self.set, fd, mask, data)
        }
    }

    /// A new set with everything that is armed. Its calls do not fail: that is the affair of others.
    pub(super) fn rebuild<H: Handler>(
        &mut self,
        session: &Session<'_, H>,
        kernel: &mut Kernel,
    ) -> Result<(), Broken> {
        let faults = core::mem::take(&mut kernel.faults);
        let fail = |errno| Broken::new(format!("no new set: {errno}"));
        kernel.close(self.set).map_err(fail)?;
        self.set = kernel.epoll_create().map_err(fail)?;
        for (token, armed, trigger) in session.armed() {
            self.arm(kernel, token, Directions::NONE, armed, trigger)
                .map_err(fail)?;
        }
        kernel.faults = faults;
        Ok(())
    }

    /// Whether the kernel's set holds what the session believes, and nothing else.
    pub(super) fn is_registered<H: Handler>(
        &self,
        session: &Session<'_, H>,
        kernel: &Kernel,
    ) -> bool {
        if self.interface == Interface::Completion {
            return true;
        }
        let believed = session.armed().map(|(token, armed, trigger)| {
            let fd = self.sockets.get(&token).copied();
            (fd, interest(armed, trigger), token.to_bits())
        });
        let mut believed: Vec<_> = believed.collect();
        let held = kernel.registered(self.set);
        let mut held: Vec<_> = held
            .map(|(fd, mask, data)| (Some(fd), mask, data))
            .collect();
        let order = |(fd, mask, data): &(Option<Fd>, EpollFlags, u64)| (*fd, mask.bits(), *data);
        believed.sort_by_key(order);
        held.sort_by_key(order);
        believed == held
    }
}

/// What to ask the kernel for, as the Linux driver does.
fn interest(directions: Directions, trigger: Trigger) -> EpollFlags {
    let read = (EpollFlags::IN | EpollFlags::RDHUP).when(directions.contains(Directions::READ));
    let flags = read | EpollFlags::OUT.when(directions.contains(Directions::WRITE));
    match trigger {
        Trigger::Level => flags,
        Trigger::Edge => flags | EpollFlags::ET | EpollFlags::RDHUP | EpollFlags::PRI,
        Trigger::Oneshot => flags | EpollFlags::ONESHOT,
    }
}
