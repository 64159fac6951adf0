//! What is armed, in the simulated kernel's epoll set.

use super::broken::Broken;
use super::driver::{Driver, Interface};
use crate::flags::EpollFlags;
use crate::kernel::{Fd, Interest, Kernel};
use alloc::format;
use alloc::vec::Vec;
use tidegate_core::Token;
use tidegate_core::errno::Errno;
use tidegate_core::{Directions, Trigger};
use tidegate_core::{Handler, Session};

impl Driver {
    /// As the Linux driver does. Only after an injected fault is there anything to repair.
    pub(super) fn arm(
        &mut self,
        kernel: &mut Kernel,
        token: Token,
        was: Directions,
        now: Directions,
        trigger: Trigger,
    ) -> Result<(), Errno> {
        let fd = self.sockets.get(&token).copied().ok_or(Errno::BADF)?;
        let (mask, data) = (Interest::mask_of(now, trigger), token.to_bits());
        let faults = kernel.faults.taken().len();
        let done = if now.is_empty() {
            kernel.epoll_delete(self.set, fd)
        } else if was.is_empty() {
            kernel.epoll_add(self.set, fd, mask, data)
        } else {
            kernel.epoll_modify(self.set, fd, mask, data)
        };
        let mends = kernel.faults.taken().len() > faults || self.astray.contains(&token);
        let done = match done {
            Err(Errno::NOENT | Errno::BADF) if mends && now.is_empty() => Ok(()),
            Err(Errno::EXIST) if mends => kernel.epoll_modify(self.set, fd, mask, data),
            Err(Errno::NOENT) if mends => kernel.epoll_add(self.set, fd, mask, data),
            done => done,
        };
        if done.is_ok() {
            self.astray.remove(&token);
        } else if mends || kernel.faults.taken().len() > faults {
            self.astray.insert(token);
        }
        done
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
        self.astray.clear();
        self.rebuilt = true;
        for (token, armed, trigger) in session.armed() {
            self.arm(kernel, token, Directions::NONE, armed, trigger)
                .map_err(fail)?;
        }
        kernel.faults = faults;
        Ok(())
    }

    /// Whether the kernel's set holds what the session believes, and nothing else, but for what went astray.
    pub(super) fn is_registered<H: Handler>(
        &self,
        session: &Session<'_, H>,
        kernel: &Kernel,
    ) -> bool {
        if self.interface == Interface::Completion {
            return true;
        }
        let known = |token: &Token| !self.astray.contains(token);
        let armed = session.armed().filter(|(token, ..)| known(token));
        let believed = armed.map(|(token, armed, trigger)| {
            let fd = self.sockets.get(&token).copied();
            (fd, Interest::mask_of(armed, trigger), token.to_bits())
        });
        let mut believed: Vec<_> = believed.collect();
        let held = kernel.registered(self.set);
        let mut held: Vec<_> = held
            .filter(|(.., data)| known(&Token::from_bits(*data)))
            .map(|(fd, mask, data)| (Some(fd), mask, data))
            .collect();
        let order = |(fd, mask, data): &(Option<Fd>, EpollFlags, u64)| (*fd, mask.bits(), *data);
        believed.sort_by_key(order);
        held.sort_by_key(order);
        believed == held
    }
}
