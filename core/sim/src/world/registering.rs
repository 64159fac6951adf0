//! What is armed, in the simulated kernel's epoll set.

use super::broken::Broken;
use super::driver::{Driver, Interface};
use crate::kernel::{Fd, Interest, Kernel};
use crate::laws::Held;
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

    /// What the kernel holds of each source, for [`check_laws`](crate::check_laws). A completion driver registers nothing;
    /// of what went astray there is no saying.
    pub(super) fn held<H: Handler>(&self, session: &Session<'_, H>, kernel: &Kernel) -> Vec<Held> {
        let machine = session.machine();
        let completes = self.interface == Interface::Completion;
        let believed = |token: Token| {
            let armed = machine.armed().find(|(of, ..)| *of == token);
            armed.map(|(_, armed, trigger)| Interest::mask_of(armed, trigger))
        };
        let of = |(&token, &fd): (&Token, &Fd)| {
            if completes || self.astray.contains(&token) {
                return Held::unknown(token, believed(token));
            }
            let held = kernel.held(self.set, fd, token);
            Held {
                failed: held.failed && !self.misled.contains(&token),
                ..held
            }
        };
        self.sockets.iter().map(of).collect()
    }
}
